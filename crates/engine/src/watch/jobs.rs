//! Jobs that stay too long where they are (`spec/engine.md` sections 13.1 and 20.2). Each state is read a page at a time, and only rows that are
//! older than the shortest limit that counts in it.

use std::collections::{BTreeMap, HashMap, HashSet};

use panda_core::{
    id::JobId,
    job::{
        error::LOST_HEARTBEAT,
        kill::{Killer, reason::TASK_REASSIGNED},
        record::JobKind,
        state::JobState,
        timers::{self, Action, Due, View},
    },
    machine::Actor,
    setting::{Values, job_timer},
    time::Micros,
};
use panda_ops::{
    Ops, clock,
    job::{
        account::{self, End},
        ending::Ending,
        judge,
        kill::{Options, Outcome, some},
    },
    pilot::update,
};
use panda_store::{
    Batch,
    query::{
        job::{
            self, JobRow,
            list::{Before, MAX_OVERDUE, Oldest},
        },
        snapshot, task,
    },
};

use parking_lot::Mutex;

use super::queues::{Facts, Queues};
use crate::{EngineError, Report, plan};

/// Rows of one page.
const PAGE: usize = 480;
/// Jobs failed by one batch.
const JOBS_A_BATCH: usize = 40;
/// Jobs ended by one step; the rest comes in the next.
const JOBS_A_STEP: usize = 5_000;
/// States that may hold a great many jobs and whose limits are hours or days: they are read less often.
const SLOW: &[JobState] = &[JobState::Activated, JobState::Throttled, JobState::Merging];
/// How often, seconds; a tenth of the shortest of those limits.
const SLOW_EVERY_S: i64 = 600;
/// How long it is believed from when on a job of a state can be overdue, seconds: limits that count from the making of a job may be met so much later.
const WALK_EVERY_S: i64 = 1_800;
/// Remembers when that was.
const SLOW_NAME: &str = "watch:slow";
/// The engine's name in texts.
const ENGINE: &str = "the engine";

/// One step.
pub async fn step(ops: &Ops, now: Micros) -> Result<Report, EngineError> {
    let settings = ops.settings().await?;
    let slow = snapshot::at(&ops.store, SLOW_NAME).await?.is_none_or(|at| now.0 - at >= SLOW_EVERY_S * 1_000_000);
    let mut report = Report::default();
    let mut queues = Queues::default();
    for state in JobState::LIVE.iter().filter(|s| slow || !SLOW.contains(s)) {
        report.add(in_state(ops, &settings, &mut queues, *state, now).await?);
        if report.done >= JOBS_A_STEP {
            return Ok(Report { more: true, ..report });
        }
    }
    if slow {
        let mut batch = Batch::new();
        snapshot::set(&mut batch, SLOW_NAME, now.0, "{}");
        ops.store.apply(batch).await?;
    }
    Ok(report)
}

async fn in_state(ops: &Ops, settings: &Values, queues: &mut Queues, state: JobState, now: Micros) -> Result<Report, EngineError> {
    let workflows: Vec<&str> =
        settings.iter().filter(|(key, _)| key.0 == job_timer::HEARTBEAT_WORKFLOWS.name).map(|(_, v)| v.as_str()).collect();
    let horizon = timers::horizon(state, now, &|s| settings.least_int(s), &workflows.join(","));
    let us = |at: Option<Micros>| at.map(|m| m.0);
    let before = Before {
        created: us(horizon.created),
        since: us(horizon.state),
        heard: us(horizon.heard),
        merges: us(horizon.merge_created),
        idle: us(horizon.dead_state),
        dead: if horizon.dead_state.is_some() {
            queues.dead(ops, settings.least_int(&job_timer::QUEUE_IDLE_S), now).await?
        } else {
            vec![]
        },
    };
    if is_quiet(ops, state, &before, now).await? {
        return Ok(Report::default());
    }
    let (mut after, mut report) = (JobId(0), Report::default());
    loop {
        let found = job::list::overdue(&ops.store, state, after, &before).await?;
        let Some((last, _)) = found.last() else { return Ok(report) };
        after = *last;
        for page in found.chunks(PAGE) {
            let seen: HashMap<JobId, i64> = page.iter().filter_map(|(id, at)| Some((*id, (*at)?))).collect();
            let ids: Vec<JobId> = page.iter().map(|(id, _)| *id).collect();
            let jobs: Vec<JobRow> = job::list::many(&ops.store, &ids).await?.into_iter().filter(|j| j.state == state).collect();
            report.done += judge(ops, settings, queues, &jobs, &seen, now).await?;
            if report.done >= JOBS_A_STEP {
                return Ok(report);
            }
        }
        if (found.len() as i64) < MAX_OVERDUE {
            return Ok(report);
        }
    }
}

/// What was found when the jobs of a state were walked over last, by state.
#[derive(Debug, Default)]
struct Walked(Mutex<HashMap<&'static str, (Micros, Oldest)>>);

/// Whether no job of a state can be overdue. A walk over many jobs tells from when on one can be, and instants of later jobs are later, but for the
/// making of a job that comes from another state: so what a walk told is believed for a while only.
async fn is_quiet(ops: &Ops, state: JobState, before: &Before, now: Micros) -> Result<bool, EngineError> {
    let walked = ops.live.of::<Walked>();
    let known = walked.0.lock().get(state.as_str()).copied();
    let oldest = match known.filter(|(at, _)| (0..WALK_EVERY_S * 1_000_000).contains(&now.since(*at).0)) {
        Some((_, oldest)) => oldest,
        None => {
            // What changes meanwhile is later than now.
            let found = job::list::oldest(&ops.store, state).await?;
            let since = |at: i64| at.min(now.0);
            let oldest = Oldest { since: since(found.since), heard: since(found.heard), ..found };
            walked.0.lock().insert(state.as_str(), (now, oldest));
            oldest
        }
    };
    Ok(oldest.is_in_time(before))
}

/// Asks the table about each job and does what it says.
async fn judge(
    ops: &Ops,
    settings: &Values,
    queues: &mut Queues,
    jobs: &[JobRow],
    seen: &HashMap<JobId, i64>,
    now: Micros,
) -> Result<usize, EngineError> {
    let holding: Vec<JobId> = jobs.iter().filter(|j| j.state == JobState::Holding).map(|j| j.id).collect();
    let reported: HashSet<JobId> = job::report::of_jobs(&ops.store, &holding).await?.into_iter().collect();
    let merges: Vec<JobId> = jobs.iter().filter(|j| j.kind == JobKind::Merge).map(|j| j.id).collect();
    let fed: HashSet<JobId> = job::file::with_sources(&ops.store, &merges).await?.into_iter().collect();
    let mut fails: Vec<(&JobRow, Due)> = Vec::new();
    let mut kills: BTreeMap<i64, Vec<(&JobRow, String)>> = BTreeMap::new();
    for j in jobs {
        let queue = match j.queue_id {
            Some(id) => queues.facts(ops, id).await?,
            None => Facts::default(),
        };
        let idle_s = settings.int(&job_timer::QUEUE_IDLE_S, &j.vo, &j.label);
        let view = View {
            state: j.state,
            kind: j.kind,
            label: &j.label,
            of_task: j.task_id.is_some(),
            waits_for_library: j.wait_job.is_some(),
            priority: -j.neg_priority,
            created: Micros(j.created_us),
            state_since: Micros(j.state_us),
            heard: Micros(seen.get(&j.id).copied().unwrap_or(0).max(j.modified_us)),
            reported: reported.contains(&j.id),
            queue: queue.state,
            workflow: &queue.workflow,
            queue_keeps: queue.keeps,
            queue_dead: queue.state.is_some_and(|s| timers::is_dead(s, queue.last_start, now, idle_s)),
            sources_gone: !fed.contains(&j.id),
        };
        let workflows = settings.text(&job_timer::HEARTBEAT_WORKFLOWS, &j.vo, &j.label);
        let Some(due) = timers::due(&view, now, &|s| settings.int(s, &j.vo, &j.label), workflows) else { continue };
        if due.timer.action == Action::Kill(TASK_REASSIGNED) && stays(ops, j).await? {
            continue;
        }
        match due.timer.action {
            Action::Kill(code) => kills.entry(code).or_default().push((j, due.sentence())),
            Action::KillOrFail(code) if j.state != JobState::Running => kills.entry(code).or_default().push((j, due.sentence())),
            Action::Fail | Action::KillOrFail(_) => fails.push((j, due)),
        }
    }
    let mut done = 0;
    for chunk in fails.chunks(JOBS_A_BATCH) {
        done += fail(ops, chunk, now).await?;
    }
    for (code, group) in kills {
        done += kill(ops, code, &group).await?;
    }
    Ok(done)
}

/// Whether the job's task wants that nobody sends its jobs elsewhere (DI).
async fn stays(ops: &Ops, j: &JobRow) -> Result<bool, EngineError> {
    let Some(id) = j.task_id else { return Ok(false) };
    match task::list::get(&ops.store, id).await? {
        Some(t) => Ok(plan::of(ops, &t).await?.plan.behaviour.no_reassign),
        None => Ok(false),
    }
}

/// Kills jobs with a code; the answer is how many ended.
pub(super) async fn kill(ops: &Ops, code: i64, group: &[(&JobRow, String)]) -> Result<usize, EngineError> {
    let jobs: Vec<JobRow> = group.iter().map(|(j, _)| (*j).clone()).collect();
    let killer = |text| Killer { name: ENGINE, owner: true, production: true, group_roles: &[], code: Some(code), text: Some(text) };
    let killers: Vec<Killer<'_>> = group.iter().map(|(_, text)| killer(text.as_str())).collect();
    let outcomes = some(ops, &jobs, &killers, &HashMap::new(), Actor::Watcher, Options::default()).await?;
    Ok(outcomes.iter().filter(|o| **o == Outcome::Ended).count())
}

/// Fails jobs as the dispatcher; when somebody else was first with one, each for itself.
async fn fail(ops: &Ops, group: &[(&JobRow, Due)], now: Micros) -> Result<usize, EngineError> {
    match fail_together(ops, group, now).await {
        Ok(()) => Ok(group.len()),
        Err(e) if e.is_conflict() || e.waits().is_some() => {
            let mut done = 0;
            for one in group {
                match fail_together(ops, std::slice::from_ref(one), now).await {
                    Ok(()) => done += 1,
                    Err(e) if e.is_conflict() => {}
                    Err(e) => {
                        // A plug-in has not decided: next time.
                        let Some(reason) = e.waits() else { return Err(e) };
                        judge::waits(ops, one.0.id, reason).await?;
                    }
                }
            }
            Ok(done)
        }
        Err(e) => Err(e),
    }
}

async fn fail_together(ops: &Ops, group: &[(&JobRow, Due)], now: Micros) -> Result<(), EngineError> {
    let ids: Vec<JobId> = group.iter().map(|(j, _)| j.id).collect();
    let (files, inputs) = account::files_of(ops, &ids).await?;
    let mut ending = Ending::asking(ops, now.0).await?;
    for (j, due) in group {
        let diag = format!("{}; it is {} and was last seen at {}", due.sentence(), j.state, clock::text(due.since.0));
        // Should its pilot come back, it still has a payload to stop.
        let silent = matches!(j.state, JobState::Sent | JobState::Starting | JobState::Running);
        let after = JobRow {
            state: JobState::Failed,
            sub_state: silent.then(|| update::LOST_HEARTBEAT.to_owned()).or_else(|| j.sub_state.clone()),
            dispatcher_error_code: Some(LOST_HEARTBEAT),
            diag: Some(diag),
            ended_us: Some(now.0),
            ..(*j).clone()
        };
        let reads = inputs.get(&j.id).map_or(&[][..], Vec::as_slice);
        let made = files.get(&j.id).map_or(&[][..], Vec::as_slice);
        ending.end(End::new(j, after, reads, made, Actor::Watcher)).await?;
    }
    ops.store.apply(ending.finish()).await?;
    Ok(())
}
