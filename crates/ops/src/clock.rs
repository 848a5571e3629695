//! The machine's clock, for the programs; tests and the simulator bring their own.

use panda_core::time::{Clock, Micros};

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Micros {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }
}

/// `YYYY-MM-DD HH:MM:SS`, UTC: how upstream writes times.
#[must_use]
pub fn text(us: i64) -> String {
    jiff::Timestamp::from_microsecond(us).map_or_else(|_| us.to_string(), |t| t.strftime("%Y-%m-%d %H:%M:%S").to_string())
}

/// Reads `YYYY-MM-DD HH:MM:SS[.f]` or ISO 8601 with `T`, UTC when no zone is given; None when it is neither.
#[must_use]
pub fn parse(text: &str) -> Option<i64> {
    let text = text.trim().replacen(' ', "T", 1);
    if let Ok(t) = text.parse::<jiff::Timestamp>() {
        return Some(t.as_microsecond());
    }
    let civil = if text.len() == 10 { format!("{text}T00:00:00") } else { text };
    format!("{civil}Z").parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_microsecond)
}
