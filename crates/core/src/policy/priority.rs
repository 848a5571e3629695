//! Priority of a job (`spec/engine.md` sections 3.4 and 20.1).
//!
//! It must not know how often priorities are recomputed, nor shares.

/// Label `install`.
pub const INSTALL: i64 = 4_100;
/// Processing type `artprod` of users.
pub const ARTPROD: i64 = 7_000;
/// A user's job.
pub const USER: i64 = 1_000;
/// Working set of a user's `express` jobs.
pub const EXPRESS: i64 = 6_000;
/// A build job: its dependents wait.
pub const BUILD: i64 = 2_000;
/// A build job of an `express` task.
pub const BUILD_EXPRESS: i64 = 6_500;
/// A merge job: its inputs wait.
pub const MERGE: i64 = 5_000;
/// A scout: the rest of its task waits.
pub const SCOUT: i64 = 901;
/// From this assigned priority on a user's job keeps it.
pub const JUMP_OVER: i64 = 1_500;
/// What a job loses when it is tried again by the pilot.
pub const RETRY_STEP: i64 = -10;
/// Jobs of a user that make one point less.
const SERIALS_A_POINT: i64 = 5;
/// Points that a weight of 1 takes.
const WEIGHT_POINTS: i64 = 100;

/// What decides a job's priority.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PriorityView<'a> {
    /// `prodSourceLabel`.
    pub label: &'a str,
    /// `processingType`.
    pub processing_type: &'a str,
    /// The task's priority.
    pub assigned: i64,
    /// Extra for named users and groups.
    pub offset: i64,
    /// The how manieth job of the user in this submission, from 0.
    pub serial: i64,
    /// How much the user has already, in thousandths of a weight.
    pub weight_milli: i64,
    /// Whether this is a scout.
    pub scout: bool,
    /// Whether the task asked for `express`.
    pub express: bool,
    /// Whether priorities of users are not reduced by what they have (small installations).
    pub no_reduction: bool,
    /// From this assigned priority on a user's job keeps it; None = [`JUMP_OVER`].
    pub jump_over: Option<i64>,
}

/// Priority points by which a waiting job must be off before it is given another priority: rewriting it costs more than being a little off.
pub const WORTHWHILE: i64 = 10;

/// How much somebody uses of what all together use, in thousandths of a weight: 1 is everything.
#[must_use]
pub fn weight_milli(own: i64, all: i64) -> i64 {
    if all <= 0 { 0 } else { (own.max(0).saturating_mul(1_000) / all).min(1_000) }
}

/// New priorities for a user's waiting jobs, which are given (priority, and the assigned one) with the one that is handed out first at the front:
/// index and priority of those that are off by [`WORTHWHILE`] points. `view` is what the user has now, its serial the number of jobs that run; jobs from the jump-over threshold on
/// keep theirs, and so do builds and merges, which stand there.
#[must_use]
pub fn renewed(view: &PriorityView<'_>, waiting: &[(i64, i64)]) -> Vec<(usize, i64)> {
    let jump_over = view.jump_over.unwrap_or(JUMP_OVER);
    let mut out = Vec::new();
    let mut serial = view.serial;
    for (at, (old, assigned)) in waiting.iter().enumerate().filter(|(_, (old, _))| *old < jump_over) {
        let new = current(&PriorityView { serial, assigned: *assigned, ..*view });
        serial = serial.saturating_add(1);
        if new.abs_diff(*old) >= WORTHWHILE.unsigned_abs() {
            out.push((at, new));
        }
    }
    out
}

/// The current priority of a new job.
#[must_use]
pub fn current(job: &PriorityView<'_>) -> i64 {
    let is_merge = job.processing_type == "pmerge";
    match job.label {
        "install" => INSTALL,
        "user" | "panda" if job.processing_type.split('-').any(|word| word == "artprod") => ARTPROD,
        "panda" if job.express => BUILD_EXPRESS,
        "panda" => BUILD.saturating_add(job.offset),
        "user" if is_merge => job.assigned,
        "user" if job.express => EXPRESS,
        "user" if job.scout || job.assigned >= job.jump_over.unwrap_or(JUMP_OVER) => job.assigned,
        "user" if job.no_reduction => job.offset.saturating_add(i64::from(job.scout)),
        // Who asks for less than users have gets less.
        "user" => USER
            .min(if job.assigned > 0 { job.assigned } else { USER })
            .saturating_add(job.offset)
            .saturating_sub(job.serial / SERIALS_A_POINT)
            .saturating_sub(job.weight_milli.saturating_mul(WEIGHT_POINTS) / 1_000),
        _ => job.assigned,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// engine.md 3.4: 1000 + offset − serNum/5 − 100·weight, for what the user has now.
    #[test]
    fn waiting_jobs_follow_usage() {
        let user = PriorityView { label: "user", serial: 10, weight_milli: 500, ..PriorityView::default() };
        // 1000 - 10/5 - 50 = 948 for the first.
        let usual = |old: &[i64]| old.iter().map(|p| (*p, USER)).collect::<Vec<_>>();
        assert_eq!(renewed(&user, &usual(&[948, 2_000, 939, 700])), [(3, 948)], "small differences and what jumps over stay");
        let idle = PriorityView { weight_milli: 0, serial: 0, ..user };
        assert_eq!(renewed(&idle, &usual(&[-100_000; 3])), [(0, 1_000), (1, 1_000), (2, 1_000)]);
        assert_eq!(renewed(&idle, &[(1_000, 10)]), [(0, 10)], "the task asked for less");
        assert_eq!((weight_milli(5, 0), weight_milli(250, 1_000), weight_milli(9, 3)), (0, 250, 1_000));
    }

    /// engine.md 3.4 and 20.1.
    #[test]
    fn rows_of_the_table() {
        let user =
            PriorityView { label: "user", processing_type: "panda-client-2.2.0-jedi-run", assigned: 1_000, ..PriorityView::default() };
        let build = PriorityView { label: "panda", ..user };
        let cases = [
            (PriorityView { label: "install", ..user }, 4_100),
            (PriorityView { processing_type: "artprod", ..user }, 7_000),
            (PriorityView { processing_type: "pmerge", assigned: MERGE, ..user }, 5_000),
            (PriorityView { express: true, ..user }, 6_000),
            (PriorityView { express: true, ..build }, 6_500),
            (PriorityView { offset: 5, ..build }, 2_005),
            (PriorityView { scout: true, assigned: SCOUT, ..user }, 901),
            (PriorityView { assigned: 1_600, ..user }, 1_600),
            (PriorityView { offset: 10, serial: 12, weight_milli: 1_500, ..user }, 1_000 + 10 - 2 - 150),
            (PriorityView { no_reduction: true, offset: 3, ..user }, 3),
            (PriorityView { label: "managed", assigned: 800, ..user }, 800),
        ];
        for (job, expected) in cases {
            assert_eq!(current(&job), expected, "{job:?}");
        }
    }
}
