//! What a job needs: memory, time, cores, a GPU.

use serde_json::{Map, Value, json};

use crate::cli::SubmitArgs;
use crate::failure::Failure;

/// Most memory a core that can be asked for, MB: 10 TB.
const MAX_MEMORY_MB: u64 = 10_000_000;

/// Megabytes of `2000`, `2000MB` or `4GB`.
pub fn megabytes(text: &str) -> Result<u64, Failure> {
    let wrong = || Failure::usage(format!("`{text}` is no amount of memory")).hint("write `2000` (MB), `2000MB` or `4GB`");
    let lower = text.trim().to_ascii_lowercase();
    let end = lower.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(lower.len());
    let number: f64 = lower[..end].parse().map_err(|_| wrong())?;
    let factor = match lower[end..].trim() {
        "" | "m" | "mb" | "mib" => 1.0,
        "g" | "gb" | "gib" => 1000.0,
        _ => return Err(wrong()),
    };
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked against the bound in the next line")]
    let megabytes = (number * factor).ceil().clamp(0.0, 1e18) as u64;
    if (1..=MAX_MEMORY_MB).contains(&megabytes) { Ok(megabytes) } else { Err(wrong()) }
}

/// Seconds of `30s`, `90m`, `12h` or `2d`; a bare number counts in `bare` seconds.
pub fn seconds(text: &str, bare: u64) -> Result<u64, Failure> {
    let wrong = || Failure::usage(format!("`{text}` is no time")).hint("write `30s`, `90m`, `12h` or `2d`");
    let lower = text.trim().to_ascii_lowercase();
    let end = lower.find(|c: char| !c.is_ascii_digit()).unwrap_or(lower.len());
    let number: u64 = lower[..end].parse().map_err(|_| wrong())?;
    let factor = match lower[end..].trim() {
        "" => bare,
        "s" => 1,
        "m" | "min" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return Err(wrong()),
    };
    number.checked_mul(factor).filter(|seconds| *seconds > 0).ok_or_else(wrong)
}

/// Adds what the jobs need to the task's parameters.
pub fn add(args: &SubmitArgs, params: &mut Map<String, Value>) -> Result<(), Failure> {
    if let Some(memory) = &args.memory {
        params.insert("ramCount".into(), json!(megabytes(memory)?));
        params.insert("ramCountUnit".into(), json!("MBPerCore"));
    }
    if let Some(cores) = args.cores.filter(|cores| *cores > 1) {
        params.insert("coreCount".into(), json!(cores));
    }
    if let Some(time) = &args.time {
        // The parameter counts in hours; a bare number is prun's, so hours too.
        params.insert("maxWalltime".into(), json!(seconds(time, 3_600)?.div_ceil(3_600)));
    }
    if let Some(attempts) = args.attempts {
        params.insert("maxAttempt".into(), json!(attempts));
    }
    if args.gpu {
        // `platform@base#cpu&gpu`, each part optional: any GPU.
        params.insert("architecture".into(), json!("&*"));
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn amounts() {
        for (text, mb) in [("2000", 2000), ("2000MB", 2000), ("4GB", 4000), ("1.5g", 1500), (" 16 gb ", 16000)] {
            assert_eq!(megabytes(text).unwrap(), mb, "{text}");
        }
        for text in ["", "x", "-1", "0", "4TB", "1e9", "99999999GB"] {
            assert_eq!(megabytes(text).unwrap_err().code, 2, "{text}");
        }
    }

    #[test]
    fn times() {
        for (text, s) in [("30s", 30), ("90m", 5400), ("12h", 43_200), ("2d", 172_800), ("3", 10_800)] {
            assert_eq!(seconds(text, 3_600).unwrap(), s, "{text}");
        }
        for text in ["", "h", "1y", "-1h", "0s", "99999999999999999999d", "1.5h"] {
            assert_eq!(seconds(text, 1).unwrap_err().code, 2, "{text}");
        }
    }
}
