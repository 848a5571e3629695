//! What an ended job has used: HEP-score seconds, and the carbon dioxide that its power came with (`spec/engine.md` sections 3.6 and 7.1).
//!
//! It must not know where the powers of machines and the figures of sites come from.

/// Joules of a kilowatt-hour.
const J_PER_KWH: f64 = 3_600_000.0;

/// Power of a core by a part of the CPU's name, thousandths of HEP-score.
pub type Powers = Vec<(String, i64)>;

/// Reads `PART OF A CPU'S NAME=POWER; …`, the power of one core in HEP-score.
///
/// # Errors
/// The piece that makes no sense.
pub fn powers(text: &str) -> Result<Powers, String> {
    let mut all = Powers::new();
    for piece in text.split(';').map(str::trim).filter(|p| !p.is_empty()) {
        let (name, power) = piece.rsplit_once('=').ok_or_else(|| format!("`{piece}` has no power; write CPU=POWER; …"))?;
        let (name, number) = (name.trim().to_lowercase(), power.trim().parse::<f64>().ok().filter(|p| *p > 0.0 && *p < 1e6));
        let number = number.filter(|_| !name.is_empty()).ok_or_else(|| format!("`{piece}`: a name and a power above 0 are expected"))?;
        if all.iter().any(|(known, _)| *known == name) {
            return Err(format!("`{name}` stands twice"));
        }
        #[expect(clippy::cast_possible_truncation, reason = "below 10^9")]
        all.push((name, (number * 1_000.0).round() as i64));
    }
    Ok(all)
}

/// Power of a core of this CPU: that of the longest name that its own contains, whatever the capitals.
#[must_use]
pub fn power_of(powers: &Powers, cpu: &str) -> Option<i64> {
    let cpu = cpu.to_lowercase();
    powers.iter().filter(|(name, _)| cpu.contains(name.as_str())).max_by_key(|(name, _)| name.len()).map(|(_, power)| *power)
}

/// HEP-score seconds of so many cores of a power (thousandths) in so many seconds, rounded down.
#[must_use]
pub fn hs06_s(power_milli: i64, cores: i64, wall_s: i64) -> i64 {
    let all = (i128::from(power_milli.max(0)) * i128::from(cores.max(1))).saturating_mul(i128::from(wall_s.max(0))) / 1_000;
    i64::try_from(all).unwrap_or(i64::MAX)
}

/// Grams of carbon dioxide for so many cores that draw so many watts each in so many seconds, where a kilowatt-hour comes with so many grams.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "cores and seconds")]
pub fn co2_g(core_watts: f64, cores: i64, wall_s: i64, g_per_kwh: f64) -> f64 {
    core_watts * cores.max(1) as f64 * wall_s.max(0) as f64 / J_PER_KWH * g_per_kwh
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_of_cpus() {
        let all = powers("Xeon = 9.5; Xeon(R) Gold 6130=11;EPYC 7302=14.25;").unwrap();
        let of = |cpu: &str| power_of(&all, cpu);
        assert_eq!(of("Intel(R) Xeon(R) Gold 6130 CPU @ 2.10GHz"), Some(11_000), "the longest name");
        assert_eq!((of("intel xeon E5"), of("AMD EPYC 7302 16-Core"), of("arm")), (Some(9_500), Some(14_250), None));
        assert_eq!(powers(" "), Ok(Vec::new()));
        for (text, wrong) in [
            ("Xeon", "`Xeon` has no power; write CPU=POWER; …"),
            ("Xeon=fast", "`Xeon=fast`: a name and a power above 0 are expected"),
            ("Xeon=0", "`Xeon=0`: a name and a power above 0 are expected"),
            ("=3", "`=3`: a name and a power above 0 are expected"),
            ("a=1;A=2", "`a` stands twice"),
        ] {
            assert_eq!(powers(text).unwrap_err(), wrong);
        }
    }

    #[test]
    fn seconds_and_grams() {
        assert_eq!((hs06_s(10_000, 8, 3_600), hs06_s(12_345, 1, 10), hs06_s(10_000, 0, 10)), (288_000, 123, 100));
        assert_eq!(hs06_s(i64::MAX, i64::MAX, i64::MAX), i64::MAX);
        // 8 cores of 10 W for an hour are 0.08 kWh.
        assert!((co2_g(10.0, 8, 3_600, 300.0) - 24.0).abs() < 1e-9);
        assert!(co2_g(10.0, 8, -1, 300.0).abs() < 1e-9);
    }
}
