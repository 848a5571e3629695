//! What time does to tasks, as one table (`spec/engine.md` sections 4.4, 5.9 and 20.9).
//!
//! It must not know where limits are stored (they come in), nor how a task is moved.

use super::finish::{ALL_PER_MILLE, Parent};
use super::state::TaskState;
use super::transition::{HOLDABLE, KILLABLE};
use crate::job::timers::span;
use crate::setting::{Setting, task_timer as limit};
use crate::time::Micros;
use TaskState::{
    Aborting, Exhausted, Finishing, Passed, Pending, Reassigning, Running, Scouting, Throttled, Tobroken, Toincexec, Toreassign, Toretry,
};

/// A task as far as time-driven rules need it.
#[derive(Debug, Clone, Copy)]
pub struct View {
    /// Present state.
    pub state: TaskState,
    /// When its state last changed.
    pub state_since: Micros,
    /// Since when it is on hold without making a job; none = it is not, or nothing is known.
    pub frozen_since: Option<Micros>,
    /// Priority.
    pub priority: i64,
    /// How often it was throttled.
    pub n_throttled: i64,
    /// Whether it may be finished by itself (not DF).
    pub auto_finish: bool,
    /// Per cent of its ended jobs that may fail, when it says so itself; before that of the site.
    pub failure_rate: Option<i64>,
    /// Whether it may be paused by itself (not NP).
    pub auto_pause: bool,
    /// Whether `useExhausted` is set.
    pub use_exhausted: bool,
    /// Its parent, as far as it waits for it.
    pub parent: Parent,
    /// Goal in per mille, if it has one.
    pub goal: Option<i64>,
    /// How much of its input ended well, in per mille.
    pub completeness: i64,
    /// Master input files.
    pub files: i64,
    /// Those that ended, well or not.
    pub files_ended: i64,
    /// Those that ended well.
    pub files_finished: i64,
    /// Jobs that finished.
    pub jobs_finished: i64,
    /// Jobs that failed.
    pub jobs_failed: i64,
    /// Jobs that have not ended.
    pub jobs_left: i64,
    /// Failed attempts of input files that have not ended, on average and rounded down; 0 when nobody counted.
    pub failed_attempts: i64,
    /// Whether a command on it waits to be carried out.
    pub commanded: bool,
}

/// What happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// It goes back to where it was, so that its loop looks again.
    LookAgain,
    /// It stops for a person to look at.
    Exhaust,
    /// It is killed.
    Kill,
    /// It is finished early; its running jobs may end.
    SoftFinish,
    /// It rests, its jobs go on.
    Throttle,
    /// It rests until a person resumes it.
    Pause,
    /// It gets this priority.
    Boost(i64),
    /// The command that its state belongs to is given again.
    Command(super::command::Command),
}

/// One line of the table.
#[derive(Debug)]
pub struct Timer {
    /// Short name.
    pub name: &'static str,
    /// States in which it counts.
    pub states: &'static [TaskState],
    /// The setting that rules it, for people.
    pub setting: Option<&'static Setting>,
    rule: fn(&View, Micros, &Limits<'_>) -> Option<Met>,
}

/// A rule that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Met {
    /// What happens.
    pub action: Action,
    /// One sentence for people.
    pub reason: String,
}

/// Seconds and numbers of settings for a task's VO and label.
pub struct Limits<'a> {
    /// A whole number; 0 when it has none.
    pub int: &'a dyn Fn(&Setting) -> i64,
    /// A number, if it is given.
    pub float: &'a dyn Fn(&Setting) -> Option<f64>,
}

impl Limits<'_> {
    /// Whether `seconds` (0 = never) have passed.
    fn passed(&self, setting: &Setting, now: Micros, since: Micros) -> Option<i64> {
        let s = (self.int)(setting);
        (s > 0 && now.since(since) > Micros::from_secs(s)).then_some(s)
    }
}

fn met(action: Action, reason: String) -> Option<Met> {
    Some(Met { action, reason })
}

/// States in the middle of a command.
const COMMANDED: &[TaskState] = &[Aborting, Finishing, Toretry, Toincexec, Toreassign, Reassigning];

/// The table; the first line that holds counts.
pub const TABLE: &[Timer] = &[
    Timer { name: "parent_failed", states: KILLABLE, setting: None, rule: parent_failed },
    Timer { name: "stuck", states: COMMANDED, setting: Some(&limit::STUCK_S), rule: stuck },
    Timer { name: "give_up", states: &[Pending], setting: Some(&limit::PENDING_GIVE_UP_S), rule: give_up },
    Timer { name: "pending", states: &[Pending], setting: Some(&limit::PENDING_RETRY_S), rule: pending },
    Timer { name: "exhausted", states: &[Exhausted], setting: Some(&limit::EXHAUSTED_S), rule: exhausted },
    Timer { name: "throttled", states: &[Throttled], setting: Some(&limit::THROTTLED_S), rule: rested },
    Timer { name: "goal", states: &[Running, Scouting, Throttled], setting: None, rule: goal },
    Timer { name: "failure_rate", states: &[Running], setting: Some(&limit::PAUSE_FAILED_PERCENT), rule: failure_rate },
    Timer { name: "failed_attempts", states: &[Running], setting: Some(&limit::THROTTLE_STEP), rule: failed_attempts },
    Timer { name: "boost", states: &[Running], setting: Some(&limit::BOOST_PERCENT), rule: boost },
];

/// The first rule that holds for a task.
#[must_use]
pub fn due(task: &View, now: Micros, limits: &Limits<'_>) -> Option<(&'static Timer, Met)> {
    TABLE.iter().filter(|t| t.states.contains(&task.state)).find_map(|t| Some((t, (t.rule)(task, now, limits)?)))
}

/// A task that waits for its parent ends with it (4.4, 5.6).
fn parent_failed(task: &View, _: Micros, _: &Limits<'_>) -> Option<Met> {
    let ending = matches!(task.state, Finishing | Passed | Tobroken);
    if task.parent == Parent::Bad && !ending { met(Action::Kill, "its parent task failed, was broken or killed".into()) } else { None }
}

fn stuck(task: &View, now: Micros, limits: &Limits<'_>) -> Option<Met> {
    use super::command::Command;
    if task.commanded {
        return None;
    }
    limits.passed(&limit::STUCK_S, now, task.state_since)?;
    let command = match task.state {
        Aborting => Command::Kill,
        Finishing => Command::Finish,
        Toretry => Command::Retry,
        Toincexec => Command::Incexec,
        _ => Command::Reassign,
    };
    met(Action::Command(command), format!("it is {} and no command on it waits; {command} again", task.state))
}

/// How long a task on hold may wait between two looks: a minute at first, then a tenth of the time that it has been on hold.
#[must_use]
pub fn retry_after(on_hold: Micros, limits: &Limits<'_>) -> Micros {
    let least = (limits.int)(&limit::PENDING_RETRY_S).max(1);
    let most = (limits.int)(&limit::PENDING_RETRY_MOST_S).max(least);
    Micros::from_secs((on_hold.as_secs() / 10).clamp(least, most))
}

fn give_up(task: &View, now: Micros, limits: &Limits<'_>) -> Option<Met> {
    let since = task.frozen_since.unwrap_or(task.state_since);
    let s = limits.passed(&limit::PENDING_GIVE_UP_S, now, since)?;
    let why = format!("it was on hold for more than {} (setting {})", span(s), limit::PENDING_GIVE_UP_S.name);
    if task.files_finished > 0 || task.use_exhausted { met(Action::Exhaust, why) } else { met(Action::Kill, why) }
}

fn pending(task: &View, now: Micros, limits: &Limits<'_>) -> Option<Met> {
    let on_hold = now.since(task.frozen_since.unwrap_or(task.state_since));
    let due = now.since(task.state_since) > retry_after(on_hold, limits);
    if due { met(Action::LookAgain, "looked at again".into()) } else { None }
}

fn exhausted(task: &View, now: Micros, limits: &Limits<'_>) -> Option<Met> {
    if !task.auto_finish {
        return None;
    }
    let s = limits.passed(&limit::EXHAUSTED_S, now, task.state_since)?;
    met(Action::SoftFinish, format!("nobody looked at it for more than {} (setting {})", span(s), limit::EXHAUSTED_S.name))
}

fn rested(task: &View, now: Micros, limits: &Limits<'_>) -> Option<Met> {
    let n = task.n_throttled.max(1);
    let s = (limits.int)(&limit::THROTTLED_S).max(1).saturating_mul(n.saturating_mul(n));
    if now.since(task.state_since) > Micros::from_secs(s) {
        met(Action::LookAgain, format!("it rested for {} after throttle {n}", span(s)))
    } else {
        None
    }
}

fn goal(task: &View, _: Micros, _: &Limits<'_>) -> Option<Met> {
    let goal = task.goal.filter(|g| (1..ALL_PER_MILLE).contains(g))?;
    if task.completeness < goal {
        return None;
    }
    met(Action::SoftFinish, format!("its goal of {} percent is reached with {}", percent(goal), percent(task.completeness)))
}

fn percent(per_mille: i64) -> String {
    if per_mille % 10 == 0 { (per_mille / 10).to_string() } else { format!("{}.{}", per_mille / 10, per_mille % 10) }
}

fn failure_rate(task: &View, _: Micros, limits: &Limits<'_>) -> Option<Met> {
    #[expect(clippy::cast_precision_loss, reason = "per cent")]
    let (most, name) = match task.failure_rate {
        Some(own) => (own as f64, "its `failureRate`".to_owned()),
        None => ((limits.float)(&limit::PAUSE_FAILED_PERCENT)?, format!("setting {}", limit::PAUSE_FAILED_PERCENT.name)),
    };
    if !task.auto_pause {
        return None;
    }
    let ended = task.jobs_finished + task.jobs_failed;
    let left = task.files - task.files_ended;
    if ended < (limits.int)(&limit::PAUSE_MIN_JOBS).max(1) || left < (limits.int)(&limit::PAUSE_MIN_LEFT) {
        return None;
    }
    #[expect(clippy::cast_precision_loss, reason = "a percentage of counts")]
    let rate = task.jobs_failed as f64 * 100.0 / ended as f64;
    if rate <= most {
        return None;
    }
    let failed = task.jobs_failed;
    met(Action::Pause, format!("{failed} of {ended} jobs failed, more than {most} percent ({name}); resume it after a look at the errors"))
}

fn failed_attempts(task: &View, _: Micros, limits: &Limits<'_>) -> Option<Met> {
    let step = (limits.int)(&limit::THROTTLE_STEP);
    if step <= 0 || task.failed_attempts / step <= task.n_throttled {
        return None;
    }
    let n = task.n_throttled + 1;
    let rest = (limits.int)(&limit::THROTTLED_S).max(1).saturating_mul(n.saturating_mul(n));
    met(
        Action::Throttle,
        format!(
            "its unfinished input files failed {} times on average; throttle {n}, it goes on after {}",
            task.failed_attempts,
            span(rest)
        ),
    )
}

fn boost(task: &View, _: Micros, limits: &Limits<'_>) -> Option<Met> {
    let (share, to) = ((limits.int)(&limit::BOOST_PERCENT), (limits.int)(&limit::BOOST_PRIORITY));
    let near = share > 0 && task.files > 0 && task.files_finished.saturating_mul(100) >= share.saturating_mul(task.files);
    let few = task.jobs_left <= (limits.int)(&limit::BOOST_JOBS);
    if near && few && task.files_ended < task.files && task.priority < to {
        met(
            Action::Boost(to),
            format!("{} of {} files are done and {} jobs are left: priority {to}", task.files_finished, task.files, task.jobs_left),
        )
    } else {
        None
    }
}

/// Since when a task is on hold without making progress, after a change of its state: from the first hold on, through all looks that came to
/// nothing (microseconds UTC).
#[must_use]
pub fn frozen_after(before: TaskState, frozen: Option<i64>, after: TaskState, now: i64) -> Option<i64> {
    match (before, after) {
        (_, Pending) => frozen.or(Some(now)),
        (Pending, to) if HOLDABLE.contains(&to) => frozen,
        _ => None,
    }
}

/// Where a task goes back to from a hold: where it was, or where its inputs are looked at, from which it finds its own way.
#[must_use]
pub fn back_to(prev: Option<TaskState>) -> TaskState {
    prev.filter(|p| HOLDABLE.contains(p)).unwrap_or(TaskState::Defined)
}

#[cfg(test)]
#[path = "timers_tests.rs"]
mod tests;
