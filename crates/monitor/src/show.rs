//! How values look on a page: states, times, sizes, bars. Every type here writes finished HTML and escapes what it is given.
//!
//! It must not know where values come from.

use std::fmt::{self, Display, Formatter, Write as _};

use askama::filters::HtmlSafe;
use panda_core::{file::FileState, job::state::JobState, task::state::TaskState};

/// What a state means to the reader; becomes a class of the stylesheet. The state's word always stands beside the colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Tone {
    /// Ended as wished.
    Ok,
    /// Ended, not all of it as wished.
    Part,
    /// Being worked on.
    Run,
    /// Waits for its turn.
    Wait,
    /// Held back; somebody may want to look.
    Hold,
    /// Ended badly.
    Bad,
    /// Ended because somebody said so, or put aside.
    Off,
}

impl Tone {
    /// Name of the class.
    pub(crate) fn class(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Part => "part",
            Self::Run => "run",
            Self::Wait => "wait",
            Self::Hold => "hold",
            Self::Bad => "bad",
            Self::Off => "off",
        }
    }
    /// Of a task.
    pub(crate) fn of_task(state: TaskState) -> Self {
        use TaskState as S;
        match state {
            S::Done => Self::Ok,
            S::Finished => Self::Part,
            S::Failed | S::Broken | S::Tobroken => Self::Bad,
            S::Aborted | S::Aborting | S::Toabort => Self::Off,
            S::Pending | S::Paused | S::Throttled | S::Exhausted | S::Staging => Self::Hold,
            S::Running | S::Scouting | S::Scouted | S::Merging | S::Prepared | S::Preprocessing | S::Finishing | S::Passed => Self::Run,
            _ => Self::Wait,
        }
    }
    /// Of a job.
    pub(crate) fn of_job(state: JobState) -> Self {
        use JobState as S;
        match state {
            S::Finished => Self::Ok,
            S::Failed => Self::Bad,
            S::Cancelled | S::Closed => Self::Off,
            S::Throttled => Self::Hold,
            s if s.is_queued() => Self::Wait,
            _ => Self::Run,
        }
    }
    /// Of a file.
    pub(crate) fn of_file(state: FileState) -> Self {
        use FileState as S;
        match state {
            S::Finished => Self::Ok,
            S::Failed | S::Lost | S::Missing | S::Notmerged => Self::Bad,
            S::Cancelled | S::Nooutput | S::Skipped => Self::Off,
            S::Partial => Self::Part,
            S::Running | S::Picked | S::Merging => Self::Run,
            _ => Self::Wait,
        }
    }
    /// Of a queue or storage endpoint, whose states are plain words.
    pub(crate) fn of_place(state: &str) -> Self {
        match state {
            "online" | "active" => Self::Ok,
            "test" => Self::Run,
            "brokeroff" => Self::Hold,
            _ => Self::Off,
        }
    }
}

/// A state with its colour.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tag {
    word: String,
    tone: Tone,
}

impl Tag {
    /// Of any word.
    pub(crate) fn new(word: impl Into<String>, tone: Tone) -> Self {
        Self { word: word.into(), tone }
    }
    /// Of a task.
    pub(crate) fn task(state: TaskState) -> Self {
        Self::new(state.as_str(), Tone::of_task(state))
    }
    /// Of a job.
    pub(crate) fn job(state: JobState) -> Self {
        Self::new(state.as_str(), Tone::of_job(state))
    }
    /// Of a file.
    pub(crate) fn file(state: FileState) -> Self {
        Self::new(state.as_str(), Tone::of_file(state))
    }
    /// Of a queue or storage endpoint.
    pub(crate) fn place(state: &str) -> Self {
        Self::new(state, Tone::of_place(state))
    }
    /// Of a task's state as a history holds it.
    pub(crate) fn task_word(word: &str) -> Self {
        TaskState::parse(word).map_or_else(|_| Self::new(word, Tone::Off), Self::task)
    }
    /// Of a job's state as a history holds it.
    pub(crate) fn job_word(word: &str) -> Self {
        JobState::parse(word).map_or_else(|_| Self::new(word, Tone::Off), Self::job)
    }
}

impl Display for Tag {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "<span class=\"tag {}\">{}</span>", self.tone.class(), Escaped(&self.word))
    }
}
impl HtmlSafe for Tag {}

/// An instant, shown as its distance from now with the UTC time beside it; None shows a dash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct When {
    at_us: Option<i64>,
    now_us: i64,
    form: Form,
}

/// How an instant is put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Ago,
    Lasts,
    Whole,
}

impl When {
    /// `3 min ago`; the time itself shows when one points at it.
    pub(crate) fn ago(at_us: impl Into<Option<i64>>, now_us: i64) -> Self {
        Self { at_us: at_us.into(), now_us, form: Form::Ago }
    }
    /// `3 min`, what has passed since.
    pub(crate) fn lasts(at_us: i64, now_us: i64) -> Self {
        Self { at_us: Some(at_us), now_us, form: Form::Lasts }
    }
    /// `2026-01-02 03:04:05`, with the distance when one points at it.
    pub(crate) fn at(at_us: impl Into<Option<i64>>, now_us: i64) -> Self {
        Self { at_us: at_us.into(), now_us, form: Form::Whole }
    }
}

impl Display for When {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Some(at) = self.at_us else { return f.write_str("<span class=\"none\">–</span>") };
        let text = stamp(at);
        let (shown, title) = match self.form {
            Form::Whole => (text.clone(), distance(self.now_us - at)),
            Form::Ago => (distance(self.now_us - at), format!("{text} UTC")),
            Form::Lasts => (span(self.now_us - at), format!("since {text} UTC")),
        };
        write!(f, "<time datetime=\"{}Z\" title=\"{}\">{}</time>", text.replace(' ', "T"), Escaped(&title), Escaped(&shown))
    }
}
impl HtmlSafe for When {}

fn distance(us: i64) -> String {
    if us < 0 {
        return format!("in {}", span(-us));
    }
    if us < 1_000_000 { "just now".to_owned() } else { format!("{} ago", span(us)) }
}

/// A stretch of time in its two largest units: `45 s`, `3 min 5 s`, `2 h 10 min`, `4 d 3 h`.
pub(crate) fn span(us: i64) -> String {
    let s = us.max(0) / 1_000_000;
    let (units, fine) = match s {
        0..60 => return format!("{s} s"),
        60..3_600 => ((s / 60, "min"), (s % 60, "s")),
        3_600..86_400 => ((s / 3_600, "h"), (s / 60 % 60, "min")),
        _ => ((s / 86_400, "d"), (s / 3_600 % 24, "h")),
    };
    if fine.0 == 0 { format!("{} {}", units.0, units.1) } else { format!("{} {} {} {}", units.0, units.1, fine.0, fine.1) }
}

/// `YYYY-MM-DD HH:MM:SS`, UTC.
pub(crate) fn stamp(us: i64) -> String {
    panda_ops::clock::text(us)
}

/// A count with narrow spaces between groups of three digits: `12 345`.
pub(crate) fn count(n: i64) -> String {
    let digits = n.unsigned_abs().to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3 + 1);
    if n < 0 {
        out.push('−');
    }
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push('\u{202f}');
        }
        out.push(c);
    }
    out
}

/// A size: `512 B`, `1.5 MB`; powers of 1,000.
pub(crate) fn bytes(n: i64) -> String {
    const UNITS: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];
    if n < 1_000 {
        return format!("{n} B");
    }
    let (mut whole, mut rest, mut unit) = (n / 1_000, n % 1_000, 0);
    while whole >= 1_000 && unit + 1 < UNITS.len() {
        (whole, rest, unit) = (whole / 1_000, whole % 1_000, unit + 1);
    }
    let name = UNITS.get(unit).copied().unwrap_or_default();
    if whole < 100 { format!("{whole}.{} {name}", rest / 100) } else { format!("{whole} {name}") }
}

/// A limit in a unit where 0 means that there is none.
pub(crate) fn limit(n: i64, unit: &str) -> String {
    if n <= 0 { "no limit".to_owned() } else { format!("{} {unit}", count(n)) }
}

/// A bar of shares of a whole, drawn with attributes only, so that the page needs no inline style.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bar {
    parts: Vec<(Tone, &'static str, i64)>,
    total: i64,
}

impl Bar {
    /// Parts with their words; what is missing to `total` stays blank.
    pub(crate) fn new(parts: Vec<(Tone, &'static str, i64)>, total: i64) -> Self {
        let sum: i64 = parts.iter().map(|p| p.2).sum();
        Self { parts, total: total.max(sum) }
    }
    /// Hundredths of a percent, so that small parts still show.
    fn share(&self, n: i64) -> i64 {
        if self.total <= 0 { 0 } else { i64::try_from(i128::from(n) * 10_000 / i128::from(self.total)).unwrap_or(0) }
    }
    /// What the bar says, in words.
    pub(crate) fn words(&self) -> String {
        let mut text = String::new();
        for (_, word, n) in self.parts.iter().filter(|p| p.2 > 0) {
            let _ = write!(text, "{}{} {word}", if text.is_empty() { "" } else { ", " }, count(*n));
        }
        if text.is_empty() { format!("none of {}", count(self.total)) } else { format!("{text} of {}", count(self.total)) }
    }
}

impl Display for Bar {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "<svg class=\"bar\" role=\"img\" aria-label=\"{0}\" width=\"100%\" height=\"100%\"><title>{0}</title>",
            Escaped(&self.words())
        )?;
        let mut left = 0;
        for (tone, _, n) in &self.parts {
            let share = self.share(*n);
            if share > 0 {
                let (x, w) = (left, share);
                write!(
                    f,
                    "<rect class=\"{}\" x=\"{}.{:02}%\" width=\"{}.{:02}%\" height=\"100%\"/>",
                    tone.class(),
                    x / 100,
                    x % 100,
                    w / 100,
                    w % 100
                )?;
            }
            left += share;
        }
        f.write_str("</svg>")
    }
}
impl HtmlSafe for Bar {}

/// Text with the five characters that mean something in HTML replaced.
pub(crate) struct Escaped<'a>(pub &'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '&' => f.write_str("&amp;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        assert_eq!([count(0), count(999), count(1_000), count(-12_345_678)], ["0", "999", "1\u{202f}000", "−12\u{202f}345\u{202f}678"]);
        assert_eq!(
            [bytes(0), bytes(999), bytes(1_500), bytes(123_456_789), bytes(i64::MAX)],
            ["0 B", "999 B", "1.5 kB", "123 MB", "9.2 EB"]
        );
        assert_eq!(limit(0, "MB"), "no limit");
        let s = 1_000_000;
        assert_eq!(
            [span(59 * s), span(60 * s), span(185 * s), span(7_200 * s), span(90_000 * s)],
            ["59 s", "1 min", "3 min 5 s", "2 h", "1 d 1 h"]
        );
    }

    #[test]
    fn times() {
        let now = 1_767_323_045_000_000;
        let ago = When::ago(now - 61_000_000, now).to_string();
        assert_eq!(ago, "<time datetime=\"2026-01-02T03:03:04Z\" title=\"2026-01-02 03:03:04 UTC\">1 min 1 s ago</time>");
        assert!(When::at(now + 5_000_000, now).to_string().contains("title=\"in 5 s\">2026-01-02 03:04:10<"));
        assert_eq!(When::ago(None, now).to_string(), "<span class=\"none\">–</span>");
    }

    #[test]
    fn bars_and_tags() {
        let bar = Bar::new(vec![(Tone::Ok, "done", 1), (Tone::Bad, "failed", 0), (Tone::Run, "in work", 2)], 4);
        assert_eq!(bar.words(), "1 done, 2 in work of 4");
        let html = bar.to_string();
        assert!(html.contains("<rect class=\"ok\" x=\"0.00%\" width=\"25.00%\""), "{html}");
        assert!(html.contains("<rect class=\"run\" x=\"25.00%\" width=\"50.00%\"") && !html.contains("bad"), "{html}");
        assert_eq!(Bar::new(vec![], 0).words(), "none of 0");
        assert_eq!(Tag::place("<b>").to_string(), "<span class=\"tag off\">&lt;b&gt;</span>");
        assert_eq!(Tag::job_word("running"), Tag::job(JobState::Running));
    }

    #[test]
    fn every_state_has_a_tone() {
        for state in TaskState::FINAL {
            assert!(!matches!(Tone::of_task(*state), Tone::Wait | Tone::Run | Tone::Hold), "{state}");
        }
        for state in JobState::ALL {
            assert_eq!(matches!(Tone::of_job(*state), Tone::Ok | Tone::Bad | Tone::Off), state.is_final(), "{state}");
        }
    }
}
