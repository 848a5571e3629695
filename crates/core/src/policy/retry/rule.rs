//! Retry rules: which of them match the errors of a job that ended badly, and which of those count (`spec/engine.md` section 11).
//!
//! It must not know regular expressions, which come in as a function, nor where rules are stored.

use super::{Again, Verdict};
use crate::job::error::{Class, Source, class_of, telling};
use crate::time::Micros;
use crate::words::word_enum;

word_enum! {
    /// What a rule does.
    Action, "retry action" {
        /// Not again.
        NoRetry = "no_retry",
        /// At most so many attempts.
        LimitRetry = "limit_retry",
        /// One step of the memory ladder.
        IncreaseMemory = "increase_memory",
        /// As much more memory as the task itself says (RX, RY, RZ).
        IncreaseMemoryXtimes = "increase_memory_xtimes",
        /// More time.
        IncreaseCputime = "increase_cputime",
        /// Smaller jobs.
        ReduceInput = "reduce_input_per_job",
        /// Only says whose matter the error is.
        Classify = "classify",
    }
}

/// Attempts from which jobs get a half, a quarter and one unit of their input: below the second the half, below the third the quarter, then one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Steps {
    /// From this attempt on.
    pub from: i64,
    /// Half below this attempt.
    pub half_below: i64,
    /// A quarter below this one.
    pub quarter_below: i64,
}

impl Default for Steps {
    /// `spec/engine.md` 20.12.
    fn default() -> Self {
        Self { from: 2, half_below: 4, quarter_below: 7 }
    }
}

/// Parameters of a rule; each action reads its own.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Params {
    /// [`Action::LimitRetry`].
    pub max_attempt: Option<i64>,
    /// [`Action::Classify`].
    pub class: Option<Class>,
    /// [`Action::ReduceInput`]: thresholds.
    pub steps: Option<Steps>,
    /// [`Action::ReduceInput`]: files of a job to begin with; else those of the job that failed.
    pub files: Option<i64>,
    /// [`Action::ReduceInput`]: bytes of a job to begin with; else those of the job that failed.
    pub bytes: Option<i64>,
    /// [`Action::ReduceInput`]: split rules that a task must not have; else NE and NF.
    pub excluded_rules: Option<Vec<String>>,
}

/// A rule. What is not given matches everything.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// Number; shipped rules have small ones.
    pub id: i64,
    /// Who says it.
    pub source: Source,
    /// The code.
    pub code: Option<i64>,
    /// Regular expression that the message matches, from its beginning, with dots that match line ends too.
    pub message: Option<String>,
    /// Virtual organisation.
    pub vo: Option<String>,
    /// `prodSourceLabel`.
    pub label: Option<String>,
    /// Architecture that the task asks for.
    pub architecture: Option<String>,
    /// Release that the task asks for.
    pub release: Option<String>,
    /// Share (work queue).
    pub share: Option<String>,
    /// What to do.
    pub action: Action,
    /// With what.
    pub params: Params,
    /// A rule that is not active is only recorded when it matches.
    pub active: bool,
    /// When it ends.
    pub expires: Option<Micros>,
    /// Why it is there.
    pub note: String,
}

impl Rule {
    /// How many conditions it has; the rule with more of them counts.
    #[must_use]
    pub fn specificity(&self) -> usize {
        let given = [&self.message, &self.vo, &self.label, &self.architecture, &self.release, &self.share];
        usize::from(self.code.is_some()) + given.into_iter().filter(|g| g.is_some()).count()
    }
    fn fits(&self, job: &About<'_>, now: Micros) -> bool {
        let same = |rule: &Option<String>, job: &str| rule.as_deref().is_none_or(|r| r == job);
        self.expires.is_none_or(|at| now < at)
            && same(&self.vo, job.vo)
            && same(&self.label, job.label)
            && same(&self.architecture, job.architecture)
            && same(&self.release, job.release)
            && same(&self.share, job.share)
    }
    /// Whether the rule could match a job with this error, whatever else is known of it.
    #[must_use]
    pub fn is_about(&self, error: &Error<'_>) -> bool {
        self.source == error.source && self.code.is_none_or(|c| c == error.code)
    }
    /// Attempts that it allows; the fewest counts when two are as specific.
    fn most_attempts(&self) -> i64 {
        if self.action == Action::NoRetry { 0 } else { self.params.max_attempt.unwrap_or(i64::MAX) }
    }
}

/// What the rules need to know of a job.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct About<'a> {
    /// Virtual organisation.
    pub vo: &'a str,
    /// `prodSourceLabel`.
    pub label: &'a str,
    /// Architecture that its task asks for; empty when none.
    pub architecture: &'a str,
    /// Release that its task asks for; empty when none.
    pub release: &'a str,
    /// Share.
    pub share: &'a str,
}

/// An error of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Error<'a> {
    /// Who says it.
    pub source: Source,
    /// The code, not 0.
    pub code: i64,
    /// The text; may be empty.
    pub message: &'a str,
}

/// The order in which errors are looked at; the first that a rule matches counts. The server's own errors are looked at apart.
const ORDER: &[Source] = &[Source::Pilot, Source::Exe, Source::Ddm, Source::Trans, Source::Sup, Source::Dispatcher];

/// The rules that count for a job.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Picked<'r> {
    /// Active rules, at most one of each kind; [`Action::NoRetry`] and [`Action::LimitRetry`] are one kind.
    pub rules: Vec<&'r Rule>,
    /// Rules that would have counted had they been active.
    pub dry: Vec<&'r Rule>,
}

impl<'r> Picked<'r> {
    /// The rule of this action.
    #[must_use]
    pub fn of(&self, action: Action) -> Option<&'r Rule> {
        self.rules.iter().find(|r| r.action == action).copied()
    }
}

/// Kinds of which at most one rule counts.
const fn kind(action: Action) -> Action {
    match action {
        Action::LimitRetry => Action::NoRetry,
        other => other,
    }
}

/// Picks the rules that count. `matches` says whether a rule's regular expression matches a text; it is asked only for rules that have one.
#[must_use]
pub fn pick<'r>(
    rules: &'r [Rule],
    errors: &[Error<'_>],
    job: &About<'_>,
    now: Micros,
    matches: &dyn Fn(&Rule, &str) -> bool,
) -> Picked<'r> {
    let matching = |error: &Error<'_>, active: bool| -> Vec<&'r Rule> {
        let all = rules.iter().filter(|r| r.active == active && r.is_about(error) && r.fits(job, now));
        all.filter(|r| r.message.is_none() || matches(r, error.message)).collect()
    };
    let choose = |active: bool| {
        let first = ORDER.iter().flat_map(|s| errors.iter().filter(move |e| e.source == *s)).map(|e| matching(e, active));
        let mut found: Vec<&Rule> = first.into_iter().find(|m| !m.is_empty()).unwrap_or_default();
        let server = errors.iter().filter(|e| e.source == Source::Server).map(|e| matching(e, active)).find(|m| !m.is_empty());
        found.extend(server.unwrap_or_default());
        best_of_each_kind(found)
    };
    Picked { rules: choose(true), dry: choose(false) }
}

fn best_of_each_kind(mut found: Vec<&Rule>) -> Vec<&Rule> {
    found.sort_by_key(|r| (kind(r.action), std::cmp::Reverse(r.specificity()), r.most_attempts(), r.id));
    found.dedup_by_key(|r| kind(r.action));
    found
}

/// What the picked rules and the dictionary say of attempts. The class of the most telling error counts unless a rule says another.
#[must_use]
pub fn verdict(picked: &Picked<'_>, errors: &[Error<'_>]) -> (Verdict, Option<Class>) {
    let again = match (picked.of(Action::NoRetry), picked.of(Action::LimitRetry)) {
        (Some(_), _) => Again::Never,
        (None, Some(rule)) => rule.params.max_attempt.map_or(Again::Usual, Again::AtMost),
        (None, None) => Again::Usual,
    };
    let codes: Vec<(Source, i64)> = errors.iter().map(|e| (e.source, e.code)).collect();
    let shipped = telling(&codes).and_then(|(source, code)| class_of(source, code));
    let class = picked.of(Action::Classify).and_then(|r| r.params.class).or(shipped);
    (Verdict { again, not_counted: class == Some(Class::System) }, class)
}

#[cfg(test)]
#[path = "rule_tests.rs"]
mod tests;
