//! Less input for jobs that cannot cope (`spec/engine.md` section 11: `reduce_input_per_job`).

use super::rule::Params;

/// Split rules of tasks whose jobs are not made smaller, unless a rule says others.
pub const EXCLUDED_RULES: &[&str] = &["NE", "NF"];

/// What is known of the job and its task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Job<'a> {
    /// Attempts that its files have behind them, this one included.
    pub attempt: i64,
    /// Its input files.
    pub files: i64,
    /// Their bytes.
    pub bytes: i64,
    /// Split rules of its task, by their two letters.
    pub rules: &'a [&'a str],
    /// Files and bytes of a job before anything was made smaller (RM), if something was.
    pub first: Option<(i64, i64)>,
}

/// What jobs of the task get from now on, and what they began with (RM).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Less {
    /// Most files.
    pub files: i64,
    /// Most bytes.
    pub bytes: i64,
    /// Files at first.
    pub first_files: i64,
    /// Bytes at first.
    pub first_bytes: i64,
}

/// Half, a quarter, then one unit of what jobs began with, by the attempt; nothing before the second attempt or when the task fixes its input.
#[must_use]
pub fn less(job: &Job<'_>, params: &Params) -> Option<Less> {
    let steps = params.steps.unwrap_or_default();
    let excluded = |rule: &&str| match &params.excluded_rules {
        Some(rules) => rules.iter().any(|r| r == rule),
        None => EXCLUDED_RULES.contains(rule),
    };
    if job.attempt < steps.from || job.rules.iter().any(excluded) {
        return None;
    }
    let (first_files, first_bytes) = job.first.unwrap_or((params.files.unwrap_or(job.files), params.bytes.unwrap_or(job.bytes)));
    let part = |of: i64| match job.attempt {
        n if n < steps.half_below => of / 2,
        n if n < steps.quarter_below => of / 4,
        _ => 1,
    };
    Some(Less { files: part(first_files).max(1), bytes: part(first_bytes).max(1), first_files, first_bytes })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::retry::rule::Steps;

    const JOB: Job<'static> = Job { attempt: 2, files: 100, bytes: 40_000, rules: &[], first: None };

    #[test]
    fn half_a_quarter_one() {
        let sizes =
            |attempt| less(&Job { attempt, first: Some((100, 40_000)), files: 3, ..JOB }, &Params::default()).map(|l| (l.files, l.bytes));
        assert_eq!(sizes(1), None);
        assert_eq!((sizes(2), sizes(3)), (Some((50, 20_000)), Some((50, 20_000))));
        assert_eq!((sizes(4), sizes(6)), (Some((25, 10_000)), Some((25, 10_000))));
        assert_eq!((sizes(7), sizes(50)), (Some((1, 1)), Some((1, 1))));
        let steps = Params { steps: Some(Steps { from: 1, half_below: 2, quarter_below: 3 }), ..Params::default() };
        assert_eq!(less(&Job { attempt: 2, ..JOB }, &steps).map(|l| l.files), Some(25));
    }

    #[test]
    fn it_begins_with_the_rule_or_the_job() {
        let l = less(&JOB, &Params::default()).unwrap();
        assert_eq!((l.first_files, l.first_bytes, l.files), (100, 40_000, 50));
        let given = Params { files: Some(10), bytes: Some(8), ..Params::default() };
        assert_eq!(less(&JOB, &given).map(|l| (l.first_files, l.files, l.bytes)), Some((10, 5, 4)));
        assert_eq!(less(&Job { files: 1, bytes: 0, ..JOB }, &Params::default()).map(|l| (l.files, l.bytes)), Some((1, 1)), "never nothing");
    }

    #[test]
    fn tasks_that_fix_their_input_are_left_alone() {
        for rule in ["NE", "NF"] {
            assert_eq!(less(&Job { rules: &["US", rule], ..JOB }, &Params::default()), None);
        }
        let none = Params { excluded_rules: Some(Vec::new()), ..Params::default() };
        assert!(less(&Job { rules: &["NE", "NF"], ..JOB }, &none).is_some());
    }
}
