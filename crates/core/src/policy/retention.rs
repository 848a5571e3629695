//! What of an ended task is moved into the archive and when, what is old enough to go, and which uploaded files a task names (`spec/engine.md`
//! sections 2.3, 13.1 and 20.13).
//!
//! It must not know tables, files on disks, or how long a site keeps what: ages and limits come in.

use crate::task::{
    command::{Command, allowed_from},
    state::TaskState,
};

/// Microseconds of a day.
pub const DAY_US: i64 = 86_400_000_000;
/// Most uploaded files that one task is remembered to name; a task has one or two.
pub const MAX_NAMED: usize = 50;

/// How long an ended task stays at hand, days after its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// Until its jobs are moved.
    pub after_days: i64,
    /// Until it is moved itself, when it could be taken up again.
    pub retry_days: i64,
}

/// What of a task is to be moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Nothing.
    Nothing,
    /// Its ended jobs; the task stays with its inputs, so that it can be taken up again. Builds stay, whose libraries a retry reads.
    Jobs,
    /// The task with everything.
    All,
}

/// Whether an ended task can be taken up again: retried, or run over new input.
#[must_use]
pub fn can_be_taken_up(state: TaskState) -> bool {
    allowed_from(Command::Retry).contains(&state) || allowed_from(Command::Incexec).contains(&state)
}

/// What of a task in `state` since `age_us` is to be moved; `jobs_moved`: its jobs have been moved since it ended.
#[must_use]
pub fn part(state: TaskState, age_us: i64, jobs_moved: bool, keep: Keep) -> Part {
    let older = |days: i64| age_us >= days.saturating_mul(DAY_US);
    if !state.is_final() || !older(keep.after_days) {
        Part::Nothing
    } else if !can_be_taken_up(state) || older(keep.retry_days.max(keep.after_days)) {
        Part::All
    } else if jobs_moved {
        Part::Nothing
    } else {
        Part::Jobs
    }
}

/// Whether something of this age is to go; 0 days = never.
#[must_use]
pub const fn expired(age_us: i64, days: i64) -> bool {
    days > 0 && age_us >= days.saturating_mul(DAY_US)
}

/// The names of uploaded archives in a text: task parameters, or a job's. Words in percent encoding are found as well.
#[must_use]
pub fn named_files(text: &str) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    let mut start = 0;
    let word = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'_' | b'-');
    let bytes = text.as_bytes();
    while start < bytes.len() && names.len() < MAX_NAMED {
        if !word(bytes[start]) {
            start += 1;
            continue;
        }
        let end = (start..bytes.len()).find(|i| !word(bytes[*i])).unwrap_or(bytes.len());
        // `%20name`: the first two digits belong to the sign in front.
        let escaped = start > 0 && bytes[start - 1] == b'%' && end - start > 2;
        let name = &text[start + if escaped { 2 } else { 0 }..end];
        if is_archive(name) && !names.contains(&name) {
            names.push(name);
        }
        start = end;
    }
    names
}

/// Whether a file of this name is a sandbox: an archive that tasks name.
#[must_use]
pub fn is_archive(name: &str) -> bool {
    let ends = [".tar.gz", ".tgz", ".tar", ".tar.bz2", ".tar.xz", ".zip"];
    ends.iter().any(|e| name.len() > e.len() && name.ends_with(e))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEEP: Keep = Keep { after_days: 4, retry_days: 30 };

    /// engine.md 2.3: jobs leave the hot tables after 3-4 days; a task that can be retried stays at hand longer.
    #[test]
    fn a_task_leaves_in_two_parts() {
        for (state, days, moved, want) in [
            (TaskState::Running, 100, false, Part::Nothing),
            (TaskState::Exhausted, 100, false, Part::Nothing),
            (TaskState::Finished, 3, false, Part::Nothing),
            (TaskState::Finished, 4, false, Part::Jobs),
            (TaskState::Finished, 29, true, Part::Nothing),
            (TaskState::Finished, 30, true, Part::All),
            (TaskState::Done, 4, false, Part::Jobs),
            (TaskState::Aborted, 4, false, Part::Jobs),
            (TaskState::Broken, 4, false, Part::All),
        ] {
            assert_eq!(part(state, days * DAY_US, moved, KEEP), want, "{state} {days} {moved}");
        }
        let long = Keep { after_days: 60, retry_days: 30 };
        assert_eq!(part(TaskState::Finished, 40 * DAY_US, false, long), Part::Nothing);
        assert_eq!(part(TaskState::Finished, 60 * DAY_US, false, long), Part::All);
    }

    #[test]
    fn zero_days_keep_forever() {
        assert!(!expired(i64::MAX, 0));
        assert!(expired(7 * DAY_US, 7));
        assert!(!expired(7 * DAY_US - 1, 7));
    }

    #[test]
    fn names_of_sandboxes_are_found_in_every_spelling() {
        let text =
            r#"{"a": "-a jobO.1-2.tar.gz", "b":"-p%20sources.x_y.tgz%20--b", "u":"http://h:1/cache/jobO.1-2.tar.gz", "n": "plain.root"}"#;
        assert_eq!(named_files(text), ["jobO.1-2.tar.gz", "sources.x_y.tgz"]);
        assert_eq!(named_files(".tgz a.tgz%2Fb.tar"), ["a.tgz", "b.tar"]);
    }
}
