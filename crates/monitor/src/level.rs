//! A bar of what is used, with a line where the target is. Drawn with attributes only, so that the page needs no inline style.

use std::fmt::{self, Display, Formatter};

use askama::filters::HtmlSafe;

use crate::show::{Escaped, Tone};

/// Width of the line, tenths of a percent of the bar.
const LINE: i64 = 6;

/// A part of everything and its target, 0 to 1 each.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Level {
    part: f64,
    target: f64,
}

/// Tenths of a percent, within the bar.
#[expect(clippy::cast_possible_truncation, reason = "clamped to a thousand")]
fn milli(part: f64) -> i64 {
    if part.is_finite() { (part * 1_000.0).round().clamp(0.0, 1_000.0) as i64 } else { 0 }
}

/// `12.5 %`.
pub(crate) fn percent(part: f64) -> String {
    format!("{:.1} %", part * 100.0)
}

impl Level {
    /// Of a part with its target.
    pub(crate) fn new(part: f64, target: f64) -> Self {
        Self { part, target }
    }
    fn words(self) -> String {
        format!("{} used, target {}", percent(self.part), percent(self.target))
    }
}

impl Display for Level {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (part, at) = (milli(self.part), milli(self.target).min(1_000 - LINE));
        write!(
            f,
            "<svg class=\"bar\" role=\"img\" aria-label=\"{0}\" width=\"100%\" height=\"100%\"><title>{0}</title>\
             <rect class=\"{1}\" x=\"0%\" width=\"{2}.{3}%\" height=\"100%\"/><rect class=\"mark\" x=\"{4}.{5}%\" width=\"0.{LINE}%\" height=\"100%\"/></svg>",
            Escaped(&self.words()),
            Tone::Run.class(),
            part / 10,
            part % 10,
            at / 10,
            at % 10
        )
    }
}
impl HtmlSafe for Level {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_stay_within_the_bar() {
        let html = Level::new(0.125, 0.5).to_string();
        assert!(html.contains("aria-label=\"12.5 % used, target 50.0 %\"") && html.contains("width=\"12.5%\""), "{html}");
        assert!(html.contains("class=\"mark\" x=\"50.0%\" width=\"0.6%\""), "{html}");
        let full = Level::new(7.0, 1.0).to_string();
        assert!(full.contains("width=\"100.0%\"") && full.contains("x=\"99.4%\""), "{full}");
        assert!(Level::new(f64::NAN, -1.0).to_string().contains("width=\"0.0%\""));
    }
}
