//! How long a job may stay where it is, and what happens then, as one table (`spec/engine.md` sections 13.1 and 20.2).
//!
//! It must not know where limits are stored (they come in), nor how a job is ended.

use super::kill::reason::{EXPIRED, EXPIRED_WAITING, TASK_FINISHED, TASK_REASSIGNED};
use super::{JobKind, JobState};
use crate::queue::QueueState;
use crate::setting::{Setting, job_timer as limit};
use crate::time::Micros;
use JobState::{Activated, Assigned, Defined, Holding, Merging, Pending, Running, Sent, Starting, Throttled, Transferring, Waiting};

/// From this priority on a job that its pilot holds, or that waits at a dead queue, is not left for long (`spec/engine.md` 13.1).
pub const HIGH_PRIORITY: i64 = 800;
/// From this priority on, jobs that take events have a limit of time.
const EVENTS_PRIORITY: i64 = 900;
/// States that the original keeps among its active jobs.
const ACTIVE: &[JobState] = &[Activated, Throttled, Sent, Starting, Running, Holding, Transferring, Merging];

/// A job as far as time limits need it.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// Present state.
    pub state: JobState,
    /// What it is for.
    pub kind: JobKind,
    /// `prodSourceLabel`.
    pub label: &'a str,
    /// Whether it belongs to a task.
    pub of_task: bool,
    /// Whether it waits for the library of a build job.
    pub waits_for_library: bool,
    /// Priority.
    pub priority: i64,
    /// When it was made.
    pub created: Micros,
    /// When its state last changed.
    pub state_since: Micros,
    /// When it last changed, or was last heard of.
    pub heard: Micros,
    /// Whether its final report waits to be settled.
    pub reported: bool,
    /// State of its queue; none = it has no queue.
    pub queue: Option<QueueState>,
    /// `workflow` of its queue.
    pub workflow: &'a str,
    /// Whether its queue keeps what it was given (`disable_reassign`).
    pub queue_keeps: bool,
    /// Whether its queue has started no job for so long that it counts as dead ([`is_dead`]).
    pub queue_dead: bool,
    /// Of a merge job: whether what it was to merge is gone.
    pub sources_gone: bool,
}

impl View<'_> {
    fn analysis(&self) -> bool {
        matches!(self.label, "user" | "panda")
    }
    fn production(&self) -> bool {
        self.label == "managed"
    }
    /// Labels `managed` and `test`, made by a task.
    fn production_task(&self) -> bool {
        matches!(self.label, "managed" | "test") && self.of_task
    }
}

/// From when a limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// Its making.
    Created,
    /// The last change of state.
    State,
    /// The last change or sign of life.
    Heard,
}

/// Jobs that a limit can concern at all, as far as a database can tell without looking at each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Only {
    /// Any.
    Any,
    /// Merge jobs.
    Merges,
    /// Jobs of queues that count as dead ([`is_dead`]).
    DeadQueues,
}

/// The instants before which a job can have met a limit, by what they count from; none = there is no such limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Horizon {
    /// Its making.
    pub created: Option<Micros>,
    /// Its last change of state.
    pub state: Option<Micros>,
    /// Its last sign.
    pub heard: Option<Micros>,
    /// The making of a merge job.
    pub merge_created: Option<Micros>,
    /// The last change of state of a job at a dead queue.
    pub dead_state: Option<Micros>,
}

/// What happens at the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// It fails with an error of the dispatcher.
    Fail,
    /// It is killed with this code ([`super::kill::reason`]).
    Kill(i64),
    /// It is killed with this code; a running job fails, as its pilot would not end it.
    KillOrFail(i64),
}

/// One line of the table.
#[derive(Debug)]
pub struct Timer {
    /// Short name.
    pub name: &'static str,
    /// States in which it counts.
    pub states: &'static [JobState],
    /// From when.
    pub since: Since,
    /// For how long, in seconds.
    pub limit: &'static Setting,
    /// For which jobs.
    pub only: Only,
    applies: fn(&View<'_>) -> bool,
    /// What then.
    pub action: Action,
    /// What is wrong, for people.
    pub text: &'static str,
}

const fn timer(
    name: &'static str,
    states: &'static [JobState],
    since: Since,
    limit: &'static Setting,
    applies: fn(&View<'_>) -> bool,
    action: Action,
    text: &'static str,
) -> Timer {
    Timer { name, states, since, limit, only: Only::Any, applies, action, text }
}

impl Timer {
    const fn only(self, only: Only) -> Self {
        Self { only, ..self }
    }
}

/// The table; the first line that holds counts.
pub const TABLE: &[Timer] = {
    use Action::{Fail, Kill, KillOrFail};
    use Since::{Created, Heard, State};
    &[
        timer(
            "heartbeat",
            &[Starting, Running],
            Heard,
            &limit::HEARTBEAT_S,
            |j| j.analysis() || j.queue != Some(QueueState::Paused),
            Fail,
            "lost heartbeat: nothing was heard of it",
        ),
        timer("sent", &[Sent], Heard, &limit::SENT_S, |_| true, Fail, "Sent job didn't receive reply from pilot"),
        timer(
            "transferring",
            &[Transferring],
            Heard,
            &limit::TRANSFERRING_S,
            |j| j.analysis(),
            Fail,
            "its outputs are on their way and nothing was heard of them",
        ),
        timer(
            "holding",
            &[Holding],
            Heard,
            &limit::HOLDING_S,
            |j| !j.reported && (j.analysis() || j.priority > HIGH_PRIORITY),
            Fail,
            "its pilot holds it and sent no report",
        ),
        timer(
            "holding_rest",
            &[Holding],
            Heard,
            &limit::HOLDING_REST_S,
            |j| !j.reported && !j.analysis() && j.priority <= HIGH_PRIORITY,
            Fail,
            "its pilot holds it and sent no report",
        ),
        timer(
            "pending",
            &[Pending],
            State,
            &limit::PENDING_S,
            |j| !j.waits_for_library,
            Kill(EXPIRED_WAITING),
            "it was made and not let go",
        ),
        timer(
            "waiting",
            &[Waiting],
            State,
            &limit::WAITING_S,
            |j| !j.waits_for_library,
            Kill(EXPIRED_WAITING),
            "its inputs were not ready",
        ),
        timer(
            "defined",
            &[Defined],
            State,
            &limit::DEFINED_S,
            |j| j.production_task() && !j.waits_for_library,
            Kill(TASK_REASSIGNED),
            "it was defined and not let go",
        ),
        timer(
            "defined_other",
            &[Defined],
            State,
            &limit::DEFINED_S,
            |j| !j.of_task || (j.label == "panda" && j.kind == JobKind::Build),
            Kill(EXPIRED),
            "it was defined and not let go",
        ),
        timer(
            "before_activation",
            JobState::BEFORE_ACTIVATION,
            Created,
            &limit::BEFORE_ACTIVATION_S,
            |j| j.production() && !j.waits_for_library,
            Kill(TASK_REASSIGNED),
            "it was made and not activated",
        ),
        timer(
            "inactive_queue",
            &[Activated, Starting],
            State,
            &limit::INACTIVE_QUEUE_S,
            |j| j.production() && j.of_task && j.kind != JobKind::Merge && j.priority >= HIGH_PRIORITY && j.queue_dead,
            Kill(TASK_REASSIGNED),
            "its queue starts nothing",
        )
        .only(Only::DeadQueues),
        timer(
            "activated",
            &[Activated],
            State,
            &limit::ACTIVATED_S,
            |j| j.production() && j.of_task && !j.queue_keeps,
            Kill(TASK_REASSIGNED),
            "no pilot took it",
        ),
        timer(
            "queued",
            &[Pending, Defined, Assigned, Waiting, Activated],
            Created,
            &limit::QUEUED_S,
            |_| true,
            Kill(EXPIRED),
            "no pilot took it",
        ),
        timer("throttled", &[Throttled], State, &limit::THROTTLED_S, |_| true, Kill(EXPIRED), "its task is paused"),
        timer("starting", &[Starting], State, &limit::STARTING_S, |j| j.production(), Kill(TASK_REASSIGNED), "it did not come to run"),
        timer(
            "merge_sources",
            &[Pending, Defined, Assigned, Waiting, Activated, Sent, Starting, Running],
            Created,
            &limit::MERGE_CHECK_S,
            |j| j.kind == JobKind::Merge && j.sources_gone,
            Kill(TASK_FINISHED),
            "what it was to merge is gone",
        )
        .only(Only::Merges),
        timer(
            "events",
            &[Starting, Running],
            State,
            &limit::EVENTS_S,
            |j| j.kind == JobKind::EsMerge || (matches!(j.kind, JobKind::Consumer | JobKind::Jumbo) && j.priority >= EVENTS_PRIORITY),
            Kill(EXPIRED),
            "it takes events or merges them",
        ),
        timer("idle", ACTIVE, Heard, &limit::IDLE_S, |j| j.analysis() || j.label == "test", KillOrFail(EXPIRED), "nothing changed"),
        timer("total", ACTIVE, Created, &limit::TOTAL_S, |_| true, KillOrFail(EXPIRED), "it was made too long ago"),
    ]
};

/// A limit that was met.
#[derive(Debug, Clone, Copy)]
pub struct Due {
    /// The line.
    pub timer: &'static Timer,
    /// The limit in seconds.
    pub limit_s: i64,
    /// From when it counted.
    pub since: Micros,
}

impl Due {
    /// One sentence for people, without the instant: what is wrong, for how long, and which setting says so.
    #[must_use]
    pub fn sentence(&self) -> String {
        format!("{} for more than {} (setting {})", self.timer.text, span(self.limit_s), self.timer.limit.name)
    }
}

/// The first limit that a job has met. `limits` gives the seconds of a setting for the job's VO and label, 0 for none.
#[must_use]
pub fn due(job: &View<'_>, now: Micros, limits: &dyn Fn(&Setting) -> i64, workflows: &str) -> Option<Due> {
    TABLE.iter().filter(|t| t.states.contains(&job.state) && (t.applies)(job)).find_map(|timer| {
        let mut limit_s = limits(timer.limit);
        if *timer.limit == limit::HEARTBEAT_S && !job.analysis() {
            limit_s = of_workflow(workflows, job.workflow).unwrap_or(limit_s);
        }
        let since = match timer.since {
            Since::Created => job.created,
            Since::State => job.state_since,
            Since::Heard => job.heard,
        };
        (limit_s > 0 && now.since(since) > Micros::from_secs(limit_s)).then_some(Due { timer, limit_s, since })
    })
}

/// Before when a job in `state` can have met a limit. `least` gives the smallest seconds of a setting for any VO and label, 0 for none.
#[must_use]
pub fn horizon(state: JobState, now: Micros, least: &dyn Fn(&Setting) -> i64, workflows: &str) -> Horizon {
    let mut horizon = Horizon::default();
    for timer in TABLE.iter().filter(|t| t.states.contains(&state)) {
        let mut limits = vec![least(timer.limit)];
        if *timer.limit == limit::HEARTBEAT_S {
            limits.extend(pairs(workflows).map(|(_, s)| s));
        }
        let Some(limit_s) = limits.into_iter().filter(|s| *s > 0).min() else { continue };
        let at = now - Micros::from_secs(limit_s);
        let slot = match (timer.only, timer.since) {
            (Only::Merges, Since::Created) => &mut horizon.merge_created,
            (Only::DeadQueues, Since::State) => &mut horizon.dead_state,
            (_, Since::Created) => &mut horizon.created,
            (_, Since::State) => &mut horizon.state,
            (_, Since::Heard) => &mut horizon.heard,
        };
        *slot = Some(slot.map_or(at, |known: Micros| known.max(at)));
    }
    horizon
}

/// Whether a queue counts as dead: it is offline or for tests, or has started no job for `idle_s` seconds (`spec/engine.md` 13.1).
#[must_use]
pub fn is_dead(state: QueueState, last_start: Option<Micros>, now: Micros, idle_s: i64) -> bool {
    matches!(state, QueueState::Offline | QueueState::Test) || last_start.is_none_or(|at| now.since(at) > Micros::from_secs(idle_s))
}

fn pairs(workflows: &str) -> impl Iterator<Item = (&str, i64)> {
    workflows.split(',').filter_map(|pair| {
        let (name, seconds) = pair.split_once('=')?;
        Some((name.trim(), seconds.trim().parse().ok()?))
    })
}

fn of_workflow(workflows: &str, workflow: &str) -> Option<i64> {
    pairs(workflows).find(|(name, _)| *name == workflow).map(|(_, s)| s)
}

/// A span as people say it: `2 hours`, `30 minutes`, `90 seconds`.
#[must_use]
pub fn span(seconds: i64) -> String {
    const UNITS: [(i64, &str); 3] = [(86_400, "day"), (3_600, "hour"), (60, "minute")];
    let (n, unit) =
        UNITS.iter().find(|(size, _)| seconds >= *size && seconds % size == 0).map_or((seconds, "second"), |(s, u)| (seconds / s, *u));
    format!("{n} {unit}{}", if n == 1 { "" } else { "s" })
}

#[cfg(test)]
#[path = "timers_tests.rs"]
mod tests;
