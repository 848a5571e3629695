//! Keeps what may start within caps: activated jobs of whoever has reached a cap are held (`throttled`), and let go when less of theirs runs
//! (`spec/engine.md` section 20.9). Run by a loop of the engine; every step is bounded and finds its work by itself.

use std::collections::BTreeSet;

use panda_core::{
    id::{JobId, LaneId, TaskId},
    job::state::JobState,
    machine::Actor,
    policy::{
        load::{Counts, Load},
        throttle::{self, Cap, Has, Shift},
    },
    setting::{
        ANY, Setting, Values,
        dispatch::{GROUP_CORES, GROUP_JOBS, USER_CORES, USER_JOBS, VO_CORES, VO_JOBS},
    },
    task::state::TaskState,
};
use panda_store::{
    Batch,
    query::{
        decision,
        job::{self, JobRow},
        task,
    },
};
use serde_json::json;

use super::{cap, groups};
use crate::{Ops, OpsError, statistics};

/// Jobs moved in one step for one user, group or VO; the next step goes on.
const MAX_MOVED: i64 = 1_000;
/// Jobs of one batch: three rows each.
const JOBS_A_BATCH: usize = 150;
/// Tasks looked at for one user or group.
const MAX_TASKS: i64 = 1_000;
/// Pages of held jobs looked through for one user, group or VO.
const MAX_PAGES: usize = 20;
/// Jobs of a page.
const PAGE: i64 = 1_000;

/// Whose jobs are moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Whose {
    Person(i64),
    Group(String, String),
    Vo(String),
}

impl Whose {
    /// Sub-state of a job that this kind of cap holds: those of paused tasks are held for another reason, and each cap lets its own go.
    const fn mark(&self) -> &'static str {
        match self {
            Self::Person(_) => "capped_user",
            Self::Group(..) => "capped_group",
            Self::Vo(_) => "capped_vo",
        }
    }
    /// `user `x``, `working group `x``, `VO `x``.
    pub(super) async fn name(&self, ops: &Ops) -> Result<String, OpsError> {
        Ok(match self {
            Self::Person(id) => format!("user `{}`", ops.person_by_id(*id).await?.name),
            Self::Group(_, group) => format!("working group `{group}`"),
            Self::Vo(vo) => format!("VO `{vo}`"),
        })
    }
}

/// One step; the answer is how many jobs were moved.
pub async fn step(ops: &Ops) -> Result<usize, OpsError> {
    let settings = ops.settings().await?;
    let load = statistics::load(ops).await?;
    let mut n = 0;
    for (whose, vo, cap, has) in everybody(ops, &settings, &load).await? {
        n += match throttle::shift(&cap, &has, &cap::factors(&settings, &vo)) {
            Shift::Stay => 0,
            Shift::Hold(most) => hold(ops, &whose, &cap, most.min(MAX_MOVED)).await?,
            Shift::Release(most) => release(ops, &whose, most.min(MAX_MOVED)).await?,
        };
    }
    Ok(n)
}

/// Whoever has a cap, or jobs that one may hold, with VO, cap and what they have.
pub(super) async fn everybody(ops: &Ops, settings: &Values, load: &Load) -> Result<Vec<(Whose, String, Cap, Has)>, OpsError> {
    let held = |counts: &Counts| counts.jobs(&[JobState::Throttled]);
    let given =
        |jobs: &Setting, cores: &Setting| held(load.all()) > 0 || settings.iter().any(|(key, _)| key.0 == jobs.name || key.0 == cores.name);
    let mut out = Vec::new();
    let mut add = |whose: Whose, vo: String, cap: Cap, has: Has| {
        if cap != Cap::default() || has.held > 0 {
            out.push((whose, vo, cap, has));
        }
    };
    if given(&USER_JOBS, &USER_CORES) {
        for (person, counts) in load.people() {
            let vo = vo_of(ops, person).await?;
            let cap = cap::of(settings, &USER_JOBS, &USER_CORES, &vo);
            add(Whose::Person(person), vo, cap, Has { held: held(counts), ..cap::has(counts) });
        }
    }
    if given(&GROUP_JOBS, &GROUP_CORES) {
        for ((vo, group), has) in groups(ops).await?.iter() {
            let cap = cap::of(settings, &GROUP_JOBS, &GROUP_CORES, vo);
            add(Whose::Group(vo.clone(), group.clone()), vo.clone(), cap, *has);
        }
    }
    if given(&VO_JOBS, &VO_CORES) {
        for (vo, counts) in load.vos() {
            let cap = cap::of(settings, &VO_JOBS, &VO_CORES, vo);
            add(Whose::Vo(vo.to_owned()), vo.to_owned(), cap, Has { held: held(counts), ..cap::has(counts) });
        }
    }
    Ok(out)
}

/// The VO of a person's newest task or job; people work for one.
async fn vo_of(ops: &Ops, person: i64) -> Result<String, OpsError> {
    if let Some(t) = task::list::of_person(&ops.store, person, 0, 1).await?.first() {
        return Ok(t.vo.clone());
    }
    Ok(job::list::alone(&ops.store, person, 1).await?.first().map_or_else(|| ANY.to_owned(), |j| j.vo.clone()))
}

/// Activated jobs of theirs, the ones that would be handed out last first.
async fn activated(ops: &Ops, whose: &Whose, most: i64) -> Result<Vec<JobId>, OpsError> {
    let mut found: Vec<(i64, JobId)> = Vec::new();
    if let Whose::Vo(vo) = whose {
        let queues = ops.queues().await?;
        let mut lanes: Vec<LaneId> = queues.lanes.values().flatten().filter(|l| l.vo == *vo).map(|l| l.id).collect();
        lanes.sort();
        for lane in lanes {
            found.extend(job::list::last_ready(&ops.store, lane, most).await?);
        }
    } else {
        for t in tasks(ops, whose).await? {
            let mut after = JobId(0);
            while i64::try_from(found.len()).unwrap_or(i64::MAX) < most {
                let page = job::list::placed(&ops.store, t, JobState::Activated, after, PAGE).await?;
                let Some(last) = page.last() else { break };
                after = last.id;
                found.extend(page.iter().map(|j| (j.priority, j.id)));
            }
        }
        if let Whose::Person(person) = whose {
            let alone = job::list::alone(&ops.store, *person, PAGE).await?;
            found.extend(alone.iter().filter(|j| j.state == JobState::Activated).map(|j| (-j.neg_priority, j.id)));
        }
    }
    found.sort_by_key(|(priority, id)| (*priority, std::cmp::Reverse(*id)));
    found.truncate(usize::try_from(most).unwrap_or(0));
    Ok(found.into_iter().map(|(_, id)| id).collect())
}

/// Live tasks of a person or group, the least urgent and newest first.
async fn tasks(ops: &Ops, whose: &Whose) -> Result<Vec<TaskId>, OpsError> {
    let mut rows = match whose {
        Whose::Person(id) => task::list::of_person(&ops.store, *id, 0, MAX_TASKS).await?,
        Whose::Group(vo, group) => task::list::of_group(&ops.store, vo, group, TaskState::LIVE, MAX_TASKS).await?,
        Whose::Vo(_) => Vec::new(),
    };
    rows.retain(|t| !t.state.is_final());
    rows.sort_by_key(|t| (t.priority, std::cmp::Reverse(t.id)));
    Ok(rows.into_iter().map(|t| t.id).collect())
}

async fn hold(ops: &Ops, whose: &Whose, cap: &Cap, most: i64) -> Result<usize, OpsError> {
    let ids = activated(ops, whose, most).await?;
    let limit = match (cap.jobs, cap.cores) {
        (Some(jobs), Some(cores)) => format!("{jobs} running jobs and {cores} cores"),
        (Some(jobs), None) => format!("{jobs} running jobs"),
        (None, cores) => format!("{} running cores", cores.unwrap_or(0)),
    };
    let reason = format!("{} has a cap of {limit}; the job is let go when less is running", whose.name(ops).await?);
    let doc = json!({ "reason": reason, "jobs": cap.jobs, "cores": cap.cores }).to_string();
    let to = |j: &JobRow| JobRow { state: JobState::Throttled, sub_state: Some(whose.mark().to_owned()), ..j.clone() };
    shift(ops, &ids, JobState::Activated, &to, &reason, Some(&doc)).await
}

async fn release(ops: &Ops, whose: &Whose, most: i64) -> Result<usize, OpsError> {
    let of_group: BTreeSet<TaskId> = match whose {
        Whose::Group(..) => tasks(ops, whose).await?.into_iter().collect(),
        _ => BTreeSet::new(),
    };
    let theirs = |j: &JobRow| {
        j.sub_state.as_deref() == Some(whose.mark())
            && match whose {
                Whose::Person(id) => j.person_id == *id,
                Whose::Group(..) => j.task_id.is_some_and(|t| of_group.contains(&t)),
                Whose::Vo(vo) => j.vo == *vo,
            }
    };
    let mut found: Vec<(i64, JobId)> = Vec::new();
    let mut after = JobId(0);
    for _ in 0..MAX_PAGES {
        let page = job::list::in_state(&ops.store, JobState::Throttled, after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = last.id;
        found.extend(page.iter().filter(|j| theirs(j)).map(|j| (j.neg_priority, j.id)));
    }
    // What would be handed out first goes first.
    found.sort_unstable();
    found.truncate(usize::try_from(most).unwrap_or(0));
    let ids: Vec<JobId> = found.into_iter().map(|(_, id)| id).collect();
    let to = |j: &JobRow| JobRow { state: JobState::Activated, sub_state: None, ..j.clone() };
    shift(ops, &ids, JobState::Throttled, &to, "below the cap again", None).await
}

/// Moves jobs that are still in `from`. With a record it is written, else the old one is forgotten.
async fn shift(
    ops: &Ops,
    ids: &[JobId],
    from: JobState,
    to: &(dyn Fn(&JobRow) -> JobRow + Sync),
    reason: &str,
    doc: Option<&str>,
) -> Result<usize, OpsError> {
    let mut n = 0;
    for ids in ids.chunks(JOBS_A_BATCH) {
        let now = ops.now().0;
        let mut batch = Batch::new();
        let rows = job::list::many(&ops.store, ids).await?;
        let moving = rows.iter().filter(|j| j.state == from);
        let mut moved = 0;
        for j in moving {
            job::transition::move_to(&mut batch, j, &to(j), Actor::Engine, now, Some(reason))?;
            match doc {
                Some(doc) => decision::set(&mut batch, j.id.0, cap::STAGE, now, doc),
                None => decision::delete(&mut batch, j.id.0, cap::STAGE),
            }
            moved += 1;
        }
        match ops.store.apply(batch).await {
            Ok(()) => n += moved,
            // A pilot was quicker with one of them; the next step looks again.
            Err(e) if e.is_conflict() => {}
            Err(e) => return Err(e.into()),
        }
    }
    Ok(n)
}
