//! The rules that come with the program; a site changes, adds and switches them off at run time. They hold for every experiment: no number here is
//! about anybody's software.

use super::rule::{Action, Params, Rule};
use crate::job::error::Source;

/// Numbers below this one are shipped rules; rules of a site begin here.
pub const FIRST_OWN: i64 = 1_000;

struct Shipped {
    id: i64,
    source: Source,
    code: i64,
    action: Action,
    most: Option<i64>,
    note: &'static str,
}

const fn s(id: i64, code: i64, action: Action, note: &'static str) -> Shipped {
    Shipped { id, source: Source::Pilot, code, action, most: None, note }
}
const fn limit(id: i64, code: i64, most: i64, note: &'static str) -> Shipped {
    Shipped { id, source: Source::Pilot, code, action: Action::LimitRetry, most: Some(most), note }
}
const fn from(source: Source, s: Shipped) -> Shipped {
    Shipped { source, ..s }
}

const MEMORY: &str = "the payload ran out of memory: the next attempt gets more";
const GROWTH: &str = "the payload ran out of memory: the next attempt gets as much more as its task says";
const TIME: &str = "the job ran longer than it may: the next one gets more time";
const SMALLER: &str = "the payload wrote more than it may: the next jobs get less input";
const INPUT: &str = "an input is not there: a second attempt elsewhere, not more";
const FOREVER: &str = "this does not heal by itself";

/// All of them, by number.
const ALL: &[Shipped] = &[
    s(1, 1_212, Action::IncreaseMemory, MEMORY),
    s(2, 1_223, Action::IncreaseMemory, MEMORY),
    s(3, 1_235, Action::IncreaseMemory, MEMORY),
    from(
        Source::Trans,
        s(4, 137, Action::IncreaseMemory, "the payload was killed from outside, most often for its memory: the next attempt gets more"),
    ),
    s(11, 1_212, Action::IncreaseMemoryXtimes, GROWTH),
    s(12, 1_223, Action::IncreaseMemoryXtimes, GROWTH),
    s(13, 1_235, Action::IncreaseMemoryXtimes, GROWTH),
    from(Source::Trans, s(14, 137, Action::IncreaseMemoryXtimes, GROWTH)),
    s(21, 1_213, Action::IncreaseCputime, TIME),
    s(22, 1_204, Action::IncreaseCputime, TIME),
    s(31, 1_104, Action::ReduceInput, SMALLER),
    s(32, 1_124, Action::ReduceInput, SMALLER),
    s(33, 1_168, Action::ReduceInput, "the inputs are larger than the node can take: the next jobs get less"),
    limit(41, 1_100, 2, INPUT),
    limit(42, 1_103, 2, INPUT),
    limit(43, 1_326, 2, INPUT),
    limit(44, 1_331, 2, INPUT),
    s(51, 1_190, Action::NoRetry, FOREVER),
    s(52, 1_335, Action::NoRetry, FOREVER),
    s(53, 1_346, Action::NoRetry, FOREVER),
    s(54, 1_349, Action::NoRetry, FOREVER),
    s(55, 1_371, Action::NoRetry, FOREVER),
];

/// The shipped rules, by number.
#[must_use]
pub fn rules() -> Vec<Rule> {
    let rule = |s: &Shipped| Rule {
        id: s.id,
        source: s.source,
        code: Some(s.code),
        message: None,
        vo: None,
        label: None,
        architecture: None,
        release: None,
        share: None,
        action: s.action,
        params: Params { max_attempt: s.most, ..Params::default() },
        active: true,
        expires: None,
        note: s.note.to_owned(),
    };
    ALL.iter().map(rule).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::error::known;
    use crate::policy::retry::rule::{About, Error, pick};
    use crate::time::Micros;

    #[test]
    fn they_are_in_order_and_about_known_errors() {
        for pair in ALL.windows(2) {
            assert!(pair[0].id < pair[1].id);
        }
        for s in ALL {
            assert!(s.id < FIRST_OWN && known(s.source, s.code).is_some(), "rule {}", s.id);
            assert_eq!(s.most.is_some(), s.action == Action::LimitRetry);
        }
    }

    #[test]
    fn what_happens_to_the_common_errors() {
        let rules = rules();
        let of = |source, code| {
            let errors = [Error { source, code, message: "" }];
            let picked = pick(&rules, &errors, &About::default(), Micros(0), &|_, _| false);
            picked.rules.iter().map(|r| r.action.as_str()).collect::<Vec<_>>()
        };
        assert_eq!(of(Source::Pilot, 1_212), ["increase_memory", "increase_memory_xtimes"]);
        assert_eq!(of(Source::Trans, 137), ["increase_memory", "increase_memory_xtimes"]);
        assert_eq!(of(Source::Pilot, 1_213), ["increase_cputime"]);
        assert_eq!(of(Source::Pilot, 1_104), ["reduce_input_per_job"]);
        assert_eq!(of(Source::Pilot, 1_331), ["limit_retry"]);
        assert_eq!(of(Source::Pilot, 1_335), ["no_retry"]);
        assert_eq!(of(Source::Pilot, 1_305), [""; 0], "a payload that fails is tried as often as its task says");
    }
}
