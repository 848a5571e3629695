//! Jobs that wait are sent elsewhere (`job/reassign`, `spec/api_v1.md` section 8). Those of a task are closed, so that their files go to other jobs,
//! which avoid the queue; those without a task get another queue where one takes them. Jobs that a pilot has stay.

use std::collections::{BTreeMap, HashMap, HashSet};

use panda_access::{Object, Principal, Right, table};
use panda_core::{
    id::{JobId, QueueId, TaskId},
    job::{
        kill::{Killer, reason::TASK_REASSIGNED},
        record::JobKind,
        state::JobState,
    },
    machine::Actor,
    policy::rebroker::FREE,
};
use panda_store::{
    Batch,
    query::{
        job::{self, JobRow},
        task::{self, moved},
    },
};

use super::{
    kill::{self, MAX_JOBS, Options, Outcome},
    place,
};
use crate::{Ops, OpsError, broker::Broker};

/// Jobs read at a time.
const CHUNK: usize = 240;

/// What came of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reassigned {
    /// Jobs that go elsewhere.
    pub moved: usize,
    /// Jobs that stay: a pilot has them, they have ended or are not known, this would be the last attempt of their files, or no other queue takes
    /// them.
    pub stay: usize,
}

impl Reassigned {
    /// For people.
    #[must_use]
    pub fn sentence(&self) -> String {
        let Self { moved, stay } = self;
        match stay {
            0 => format!("{moved} jobs go elsewhere"),
            _ => {
                format!("{moved} jobs go elsewhere; {stay} stay (with a pilot, ended, on their last attempt, or wanted by no other queue)")
            }
        }
    }
}

/// Sends jobs elsewhere. When the caller may not for one of them, none is moved.
///
/// # Errors
/// Too many jobs, or one that the caller may not move.
pub async fn reassign(ops: &Ops, who: &Principal, ids: &[JobId]) -> Result<Reassigned, OpsError> {
    table::admit(Right::JobReassign, Some(who))?;
    if ids.len() > MAX_JOBS {
        return Err(OpsError::refused(format!("{} jobs in one call; reassign at most {MAX_JOBS} at once", ids.len())));
    }
    let ids: Vec<JobId> = ids.iter().copied().collect::<HashSet<_>>().into_iter().collect();
    for chunk in ids.chunks(CHUNK) {
        for j in job::list::many(&ops.store, chunk).await? {
            let owner = ops.person_by_id(j.person_id).await?;
            table::allowed(Right::JobReassign, Some(who), Some(Object::owned(Some(owner.key()), &j.vo)))?;
        }
    }
    let mut broker = None;
    let mut n = 0;
    for chunk in ids.chunks(CHUNK) {
        let jobs = job::list::many(&ops.store, chunk).await?;
        let (of_tasks, alone): (Vec<JobRow>, Vec<JobRow>) =
            jobs.into_iter().filter(|j| FREE.contains(&j.state)).partition(|j| j.task_id.is_some());
        n += give_back(ops, who, of_tasks).await?;
        for j in alone.iter().filter(|j| j.state == JobState::Activated) {
            let broker = match &mut broker {
                Some(broker) => broker,
                None => broker.insert(Broker::new(ops).await?),
            };
            n += usize::from(place::elsewhere(ops, broker, j, &who.name).await?);
        }
    }
    Ok(Reassigned { moved: n, stay: ids.len() - n })
}

/// Closes jobs of tasks; their queues are noted first, so that the next choice avoids them even when the server dies in between.
async fn give_back(ops: &Ops, who: &Principal, jobs: Vec<JobRow>) -> Result<usize, OpsError> {
    let jobs = with_attempts(ops, jobs).await?;
    if jobs.is_empty() {
        return Ok(0);
    }
    let text = format!("reassigned by {}", who.name);
    let mut left: BTreeMap<(TaskId, QueueId), ()> = BTreeMap::new();
    for j in &jobs {
        if let (Some(task), Some(queue)) = (j.task_id, j.queue_id) {
            left.insert((task, queue), ());
        }
    }
    let mut batch = Batch::new();
    for (task, queue) in left.keys() {
        moved::set(&mut batch, *task, *queue, &text, ops.now().0);
    }
    ops.store.apply(batch).await?;
    let killer =
        Killer { name: &who.name, owner: true, production: false, group_roles: &[], code: Some(TASK_REASSIGNED), text: Some(&text) };
    let killers = vec![killer; jobs.len()];
    let outcomes = kill::some(ops, &jobs, &killers, &HashMap::new(), Actor::User, Options::default()).await?;
    Ok(outcomes.iter().filter(|o| **o == Outcome::Ended).count())
}

/// Those whose files have an attempt left after this one: being closed spends it, and must not be what a task fails for. Builds and merges stay:
/// others wait for them.
async fn with_attempts(ops: &Ops, mut jobs: Vec<JobRow>) -> Result<Vec<JobRow>, OpsError> {
    jobs.retain(|j| j.kind == JobKind::Run);
    if jobs.is_empty() {
        return Ok(jobs);
    }
    let ids: Vec<JobId> = jobs.iter().map(|j| j.id).collect();
    let files = task::file::of_jobs(&ops.store, &ids).await?;
    let last: HashSet<JobId> = files.iter().filter(|f| f.attempt + 1 >= f.max_attempt).filter_map(|f| f.job_id).collect();
    jobs.retain(|j| !last.contains(&j.id));
    Ok(jobs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{World, alice, bob};
    use panda_core::{
        file::{FileRole, FileState},
        policy::split::take::Run,
        task::state::TaskState,
    };

    #[tokio::test]
    async fn files_of_a_waiting_job_go_to_others_that_avoid_its_queue() {
        let w = World::new().await;
        let q = w.queue("LOCAL").await;
        let t = w.task(&alice(), TaskState::Running, "{}").await;
        let d = w.dataset(t, FileRole::Input, 0, &[("a", FileState::Ready)]).await;
        let waits = w.job(&alice(), Some(t), q, JobState::Activated).await;
        let runs = w.job(&alice(), Some(t), q, JobState::Running).await;
        let mut batch = Batch::new();
        task::file::take(&mut batch, d, &Run { first: 1, last: 1, job: waits.0, each: 1 });
        task::dataset::count(&mut batch, d, task::dataset::Delta { used: 1, ..task::dataset::Delta::default() });
        w.ops.store.apply(batch).await.unwrap();
        assert!(matches!(reassign(&w.ops, &bob(), &[waits]).await, Err(OpsError::Denied(_))));
        let done = reassign(&w.ops, &alice(), &[waits, runs, waits, JobId(1)]).await.unwrap();
        assert_eq!(done, Reassigned { moved: 1, stay: 2 });
        let j = w.job_row(waits).await;
        assert_eq!((j.state, j.sub_state.as_deref()), (JobState::Closed, Some("toreassign")));
        assert_eq!(w.job_row(runs).await.state, JobState::Running);
        assert_eq!(task::file::page(&w.ops.store, d, 0, 1).await.unwrap()[0].state, FileState::Ready);
        let left = moved::list(&w.ops.store, t, 0).await.unwrap();
        assert_eq!((left[0].0, left[0].1.as_str()), (q, "reassigned by alice"));
    }

    #[tokio::test]
    async fn the_last_attempt_is_not_spent() {
        let w = World::new().await;
        let q = w.queue("LOCAL").await;
        let t = w.task(&alice(), TaskState::Running, "{}").await;
        let d = w.dataset(t, FileRole::Input, 0, &[("a", FileState::Ready)]).await;
        let mut last = Vec::new();
        for attempt in 0..3 {
            let j = w.job(&alice(), Some(t), q, JobState::Activated).await;
            let mut batch = Batch::new();
            task::file::take(&mut batch, d, &Run { first: 1, last: 1, job: j.0, each: 1 });
            task::dataset::count(&mut batch, d, task::dataset::Delta { used: 1, ..task::dataset::Delta::default() });
            w.ops.store.apply(batch).await.unwrap();
            last.push((attempt, reassign(&w.ops, &alice(), &[j]).await.unwrap().moved));
        }
        assert_eq!(last, [(0, 1), (1, 1), (2, 0)], "of three attempts the last one stays where it is");
    }

    #[tokio::test]
    async fn a_job_without_a_task_gets_another_queue() {
        let w = World::new().await;
        let q = w.queue("LOCAL").await;
        let j = w.job(&alice(), None, q, JobState::Activated).await;
        assert_eq!(reassign(&w.ops, &alice(), &[j]).await.unwrap(), Reassigned { moved: 0, stay: 1 }, "there is no other queue");
        let other = w.queue("OTHER").await;
        assert_eq!(reassign(&w.ops, &alice(), &[j]).await.unwrap(), Reassigned { moved: 1, stay: 0 });
        let row = w.job_row(j).await;
        assert_eq!((row.state, row.queue_id), (JobState::Activated, Some(other)));
        let ask = crate::pilot::acquire::Ask { queue: "OTHER".into(), label: Some("user".into()), n: 1, ..Default::default() };
        let got = crate::pilot::acquire::acquire(&w.ops, &crate::testing::pilot(), &ask).await.unwrap();
        assert!(got.len() == 1 && got[0].contains(&format!("\"PandaID\":{j}")), "a pilot of the new queue gets it: {got:?}");
    }
}
