//! How a task ends: done, finished, failed, exhausted, aborted or broken (`spec/engine.md` section 5.6).
//!
//! It must not know files or data sets: only how many there are and how many are well.

use super::state::TaskState;

/// Full completeness and full goal, in per mille.
pub const ALL_PER_MILLE: i64 = 1_000;

/// The parent of a task, as far as its end matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parent {
    /// There is none, or its state does not matter (`noWaitParent`).
    None,
    /// It ended with everything.
    Done,
    /// It failed, was broken or aborted.
    Bad,
    /// Anything else: it goes on, or ended with a part.
    Unfinished,
}

impl Parent {
    /// The view of a parent's state.
    #[must_use]
    pub const fn of(state: TaskState) -> Self {
        match state {
            TaskState::Done => Self::Done,
            TaskState::Failed | TaskState::Broken | TaskState::Aborted => Self::Bad,
            _ => Self::Unfinished,
        }
    }
}

/// A task at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FinishView {
    /// Its state: prepared, passed, toabort, tobroken, paused.
    pub state: TaskState,
    /// Master input files, or pseudo inputs.
    pub files: i64,
    /// Those that ended well.
    pub files_finished: i64,
    /// Events of the input; 0 when events are not known, then completeness counts files.
    pub events: i64,
    /// Events that ended well.
    pub events_finished: i64,
    /// Its parent.
    pub parent: Parent,
    /// Whether the input may still grow.
    pub mutable_input: bool,
    /// Whether an empty input is fine (`allowEmptyInput`).
    pub allow_empty: bool,
    /// `goal` in per mille.
    pub goal: Option<i64>,
    /// `useExhausted`.
    pub use_exhausted: bool,
    /// `failGoalUnreached`.
    pub fail_goal_unreached: bool,
    /// A hyper-parameter optimisation with at least one finished event.
    pub hpo_with_results: bool,
}

/// The end of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FinishDecision {
    /// The final state (or `exhausted`).
    pub to: TaskState,
    /// How much ended well, in per mille.
    pub completeness: i64,
    /// Why, for people.
    pub why: &'static str,
}

/// Decides how a task ends; `None` = it stays as it is (it is paused, or not at its end).
#[must_use]
pub fn decide(task: &FinishView) -> Option<FinishDecision> {
    let completeness = completeness(task);
    let ends = |to, why| Some(FinishDecision { to, completeness, why });
    match task.state {
        TaskState::Tobroken => return ends(TaskState::Broken, "it could not be run"),
        TaskState::Toabort => return ends(TaskState::Aborted, "it was killed"),
        TaskState::Prepared | TaskState::Passed => {}
        _ => return None,
    }
    let (to, why) = by_files(task);
    if to != TaskState::Finished {
        return ends(to, why);
    }
    let unreached = completeness < task.goal.unwrap_or(ALL_PER_MILLE);
    let passed = task.state == TaskState::Passed;
    if task.hpo_with_results {
        return ends(TaskState::Finished, "some points were evaluated");
    }
    if unreached && task.use_exhausted && !passed {
        return ends(TaskState::Exhausted, "its goal is not reached: retry or finish it");
    }
    // Who finishes a task early takes what there is: `finish` drops the wish to fail below the goal (5.7).
    if unreached && task.fail_goal_unreached && !passed {
        return ends(TaskState::Failed, "its goal is not reached");
    }
    ends(to, why)
}

fn by_files(task: &FinishView) -> (TaskState, &'static str) {
    if task.files <= 0 {
        return if task.allow_empty {
            (TaskState::Finished, "its input is empty")
        } else if task.hpo_with_results {
            (TaskState::Finished, "some points were evaluated")
        } else {
            (TaskState::Failed, "no input file was processed")
        };
    }
    if task.files_finished >= task.files {
        return match task.parent {
            Parent::Bad => (TaskState::Failed, "all files ended well, but its parent failed"),
            Parent::Unfinished => (TaskState::Finished, "all files ended well, but its parent is not done"),
            Parent::Done if task.mutable_input => (TaskState::Finished, "all files ended well, but its input may still grow"),
            Parent::Done | Parent::None => (TaskState::Done, "all files ended well"),
        };
    }
    if task.files_finished <= 0 && !task.hpo_with_results {
        return (TaskState::Failed, "no file ended well");
    }
    (TaskState::Finished, "some files ended well")
}

/// The word for a data set of a task that ended (5.6): `done` with all of its files, `finished` with some, `failed` without any. Outputs that
/// were not made do not count against an output set.
#[must_use]
pub const fn end_of_dataset(is_input: bool, files: i64, finished: i64) -> &'static str {
    if finished >= files || (!is_input && finished > 0) {
        "done"
    } else if finished > 0 {
        "finished"
    } else {
        "failed"
    }
}

/// How much ended well, in per mille, rounded down: by events where they are known, else by files.
#[must_use]
pub fn completeness(task: &FinishView) -> i64 {
    let (done, all) = if task.events > 0 { (task.events_finished, task.events) } else { (task.files_finished, task.files) };
    if all <= 0 {
        return 0;
    }
    let share = i128::from(done.clamp(0, all)) * i128::from(ALL_PER_MILLE) / i128::from(all);
    i64::try_from(share).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Actor;
    use crate::task::transition;

    const TASK: FinishView = FinishView {
        state: TaskState::Prepared,
        files: 10,
        files_finished: 10,
        events: 0,
        events_finished: 0,
        parent: Parent::None,
        mutable_input: false,
        allow_empty: false,
        goal: None,
        use_exhausted: false,
        fail_goal_unreached: false,
        hpo_with_results: false,
    };

    fn end(task: FinishView) -> Option<TaskState> {
        let decision = decide(&task)?;
        assert_eq!(transition::check(Some(task.state), decision.to, Actor::Finisher), Ok(()));
        Some(decision.to)
    }

    #[test]
    fn table_of_ends() {
        use TaskState as S;
        let some = FinishView { files_finished: 4, ..TASK };
        let passed = FinishView { state: S::Passed, ..some };
        let cases = [
            (TASK, S::Done),
            (some, S::Finished),
            (FinishView { files_finished: 0, ..TASK }, S::Failed),
            (FinishView { state: S::Tobroken, ..TASK }, S::Broken),
            (FinishView { state: S::Toabort, ..TASK }, S::Aborted),
            (FinishView { parent: Parent::Bad, ..TASK }, S::Failed),
            (FinishView { parent: Parent::Unfinished, ..TASK }, S::Finished),
            (FinishView { parent: Parent::Done, ..TASK }, S::Done),
            (FinishView { parent: Parent::Done, mutable_input: true, ..TASK }, S::Finished),
            (FinishView { use_exhausted: true, ..some }, S::Exhausted),
            (FinishView { use_exhausted: true, goal: Some(400), ..some }, S::Finished),
            (FinishView { use_exhausted: true, ..passed }, S::Finished),
            (FinishView { fail_goal_unreached: true, ..some }, S::Failed),
            (FinishView { fail_goal_unreached: true, use_exhausted: true, ..passed }, S::Finished),
            (FinishView { fail_goal_unreached: true, use_exhausted: true, ..some }, S::Exhausted),
            (FinishView { fail_goal_unreached: true, goal: Some(400), ..some }, S::Finished),
            (FinishView { fail_goal_unreached: true, goal: Some(401), ..some }, S::Failed),
            (FinishView { fail_goal_unreached: true, goal: Some(700), events: 10, events_finished: 7, ..some }, S::Finished),
            (FinishView { fail_goal_unreached: true, hpo_with_results: true, ..some }, S::Finished),
            (FinishView { files: 0, files_finished: 0, ..passed }, S::Failed),
            (FinishView { files: 0, files_finished: 0, allow_empty: true, goal: Some(0), ..passed }, S::Finished),
        ];
        for (task, expected) in cases {
            assert_eq!(end(task), Some(expected), "{task:?}");
        }
        assert_eq!(end(FinishView { state: S::Paused, ..TASK }), None);
        assert_eq!(end(FinishView { state: S::Running, ..TASK }), None);
    }

    #[test]
    fn words_for_data_sets() {
        let of = |input, files, finished| end_of_dataset(input, files, finished);
        assert_eq!([of(true, 3, 3), of(true, 3, 1), of(true, 3, 0), of(true, 0, 0)], ["done", "finished", "failed", "done"]);
        assert_eq!([of(false, 3, 1), of(false, 3, 0)], ["done", "failed"]);
    }

    #[test]
    fn completeness_prefers_events() {
        assert_eq!(completeness(&FinishView { events: 3, events_finished: 2, ..TASK }), 666);
        assert_eq!(completeness(&FinishView { files_finished: 1, files: 3, ..TASK }), 333);
        assert_eq!(completeness(&FinishView { files: 0, ..TASK }), 0);
    }
}
