//! Times as they travel: Python's `isoformat` text inside `{"__datetime__": ..}`,
//! plain texts in several shapes, and epoch seconds.
//!
//! Owns reading and writing. Must not read a clock. Inside the system a time is
//! microseconds since 1970 in UTC; that is the only form this module gives.

use serde_json::Value;

const MICROS: i64 = 1_000_000;
const DAY_SECONDS: i64 = 86_400;
/// Key of the marker object in answers.
pub const MARKER: &str = "__datetime__";
/// Key of the marker object in submitted job states.
pub const STATE_MARKER: &str = "_datetime_object";

/// `{"__datetime__": "2026-01-01T10:00:00"}`: no zone and no `Z`, since older
/// Pythons cannot read it; the fraction only when it is not zero.
#[must_use]
pub fn marker(micros: i64) -> Value {
    let mut map = serde_json::Map::with_capacity(1);
    map.insert(MARKER.to_owned(), Value::String(iso(micros)));
    Value::Object(map)
}

/// `2026-01-01T10:00:00[.123456]`, UTC.
#[must_use]
pub fn iso(micros: i64) -> String {
    format(micros, 'T')
}

/// `2026-01-01 10:00:00[.123456]`, UTC.
#[must_use]
pub fn plain(micros: i64) -> String {
    format(micros, ' ')
}

fn format(micros: i64, separator: char) -> String {
    let seconds = micros.div_euclid(MICROS);
    let fraction = micros.rem_euclid(MICROS);
    let (year, month, day) = civil(seconds.div_euclid(DAY_SECONDS));
    let rest = seconds.rem_euclid(DAY_SECONDS);
    let (h, m, s) = (rest / 3600, rest / 60 % 60, rest % 60);
    if fraction == 0 {
        format!("{year:04}-{month:02}-{day:02}{separator}{h:02}:{m:02}:{s:02}")
    } else {
        format!("{year:04}-{month:02}-{day:02}{separator}{h:02}:{m:02}:{s:02}.{fraction:06}")
    }
}

/// Reads `2026-01-01[ T]10:00[:00[.123456]][Z|+00:00]`, a bare date, and the same
/// behind Harvester's `datetime/`. Texts without a zone are UTC.
#[must_use]
pub fn parse(text: &str) -> Option<i64> {
    let text = text.trim();
    let text = text.strip_prefix("datetime/").unwrap_or(text);
    let (date, time) = match text.find([' ', 'T']) {
        Some(at) => (&text[..at], &text[at + 1..]),
        None => (text, ""),
    };
    let mut fields = date.split('-');
    let year: i64 = number(fields.next()?, 4)?;
    let month: i64 = number(fields.next()?, 2)?;
    let day: i64 = number(fields.next()?, 2)?;
    if fields.next().is_some() || !(1..=12).contains(&month) || day < 1 || day > days_in(year, month) {
        return None;
    }
    let midnight = days_from_civil(year, month, day) * DAY_SECONDS * MICROS;
    if time.is_empty() {
        return Some(midnight);
    }
    let (time, offset) = split_zone(time)?;
    let (clock, fraction) = time.split_once('.').map_or((time, ""), |(c, f)| (c, f));
    let mut fields = clock.split(':');
    let h: i64 = number(fields.next()?, 2)?;
    let m: i64 = number(fields.next()?, 2)?;
    let s: i64 = fields.next().map_or(Some(0), |s| number(s, 2))?;
    if fields.next().is_some() || h > 23 || m > 59 || s > 60 {
        return None;
    }
    let fraction: i64 = match fraction.len() {
        0 => 0,
        _ if !fraction.bytes().all(|b| b.is_ascii_digit()) => return None,
        n => format!("{:0<6}", &fraction[..n.min(6)]).parse().ok()?,
    };
    Some(midnight + (h * 3600 + m * 60 + s - offset) * MICROS + fraction)
}

/// Reads any shape a time travels in: a text for [`parse`], a marker object,
/// epoch seconds as a number or as a text of digits.
#[must_use]
pub fn parse_value(value: &Value) -> Option<i64> {
    match value {
        Value::String(text) => parse(text).or_else(|| text.trim().parse::<f64>().ok().and_then(epoch)),
        Value::Number(n) => n.as_f64().and_then(epoch),
        Value::Object(map) => map.get(MARKER).or_else(|| map.get(STATE_MARKER)).and_then(Value::as_str).and_then(parse),
        _ => None,
    }
}

/// Epoch seconds to microseconds; only years 1970 to 9999.
fn epoch(seconds: f64) -> Option<i64> {
    if (0.0..253_402_300_800.0).contains(&seconds) {
        #[allow(clippy::cast_possible_truncation)]
        Some((seconds * 1e6).round() as i64)
    } else {
        None
    }
}

fn number(text: &str, most: usize) -> Option<i64> {
    if text.is_empty() || text.len() > most || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

/// Cuts a zone off a time of day; the second value is its offset in seconds.
fn split_zone(time: &str) -> Option<(&str, i64)> {
    if let Some(time) = time.strip_suffix('Z') {
        return Some((time, 0));
    }
    let Some(at) = time.find(['+', '-']) else {
        return Some((time, 0));
    };
    let zone = &time[at + 1..];
    let (h, m) = zone.split_once(':').or_else(|| zone.split_at_checked(2))?;
    let seconds = number(h, 2)? * 3600 + if m.is_empty() { 0 } else { number(m, 2)? * 60 };
    let sign = if time.as_bytes().get(at) == Some(&b'-') { -1 } else { 1 };
    Some((&time[..at], sign * seconds))
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01 of a Gregorian date (March-based years of 400).
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let yoe = y.rem_euclid(400);
    let doy = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    era * 146_097 + doe - 719_468
}

/// The inverse of [`days_from_civil`].
fn civil(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let day = doy - (153 * mp + 2) / 5 + 1;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    let year = yoe + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn writes_as_python_does() {
        assert_eq!(iso(0), "1970-01-01T00:00:00");
        assert_eq!(iso(1_795_340_952_351_960), "2026-11-22T09:49:12.351960");
        assert_eq!(plain(951_782_400_000_000), "2000-02-29 00:00:00");
        assert_eq!(marker(1), json!({"__datetime__": "1970-01-01T00:00:00.000001"}));
    }

    #[test]
    fn reads_every_shape() {
        let t = parse("2026-11-22T09:49:12.351960").unwrap();
        assert_eq!(iso(t), "2026-11-22T09:49:12.351960");
        for same in [
            "2026-11-22 09:49:12",
            "2026-11-22T09:49:12Z",
            "2026-11-22T09:49:12+00:00",
            "2026-11-22T10:49:12+01:00",
            "2026-11-22T08:49:12-0100",
            "datetime/2026-11-22 09:49:12.000000",
        ] {
            assert_eq!(iso(parse(same).unwrap()), "2026-11-22T09:49:12", "{same}");
        }
        assert_eq!(iso(parse("2026-11-22").unwrap()), "2026-11-22T00:00:00");
        assert_eq!(parse_value(&json!(1.5)), Some(1_500_000));
        assert_eq!(parse_value(&json!("1795342194.9797755")), Some(1_795_342_194_979_776));
        assert_eq!(parse_value(&json!({"_datetime_object": "1970-01-01 00:00:01.000000"})), Some(1_000_000));
    }

    #[test]
    fn refuses_what_is_no_time() {
        for bad in [
            "",
            "x",
            "2026-13-01",
            "2026-02-30",
            "2026-01-01T25:00:00",
            "2026-01-01T10:00:00.x",
            "2026-01-01T1é",
            "99999-01-01",
            "2026-01-01T10:00+é",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
        assert_eq!(parse_value(&json!(-1)), None);
        assert_eq!(parse_value(&json!(1e300)), None);
        assert_eq!(parse_value(&json!([])), None);
    }

    #[test]
    fn round_trips_over_the_calendar() {
        for day in (-200_000..200_000).step_by(37) {
            let micros = day * DAY_SECONDS * MICROS;
            if (0..=9999).contains(&civil(day).0) {
                assert_eq!(parse(&iso(micros)), Some(micros));
            }
        }
    }
}
