//! Rows that the checks work on.

use panda_core::{
    id::{JobId, LaneId, QueueId, TaskId},
    machine::Actor,
};
use panda_store::{
    Batch, Store,
    driver::Claim,
    query::{
        job::{JobRow, transition},
        queue,
    },
    testing::job_row,
};

pub const QUEUE: QueueId = QueueId(5);
pub const LANE: LaneId = LaneId(10);

/// An activated job without limits in [`LANE`].
pub fn job(id: i64) -> JobRow {
    JobRow {
        queue_id: Some(QUEUE),
        lane_id: Some(LANE),
        name: Some(format!("job {id}")),
        modified_us: 0,
        state_us: 0,
        ..job_row(JobId(id), 1, 1_700_000_000_000_000)
    }
}

/// Adds jobs with a document each.
pub async fn add(store: &Store, jobs: &[JobRow]) {
    for part in jobs.chunks(100) {
        let mut batch = Batch::new();
        for job in part {
            transition::add(&mut batch, job, job.task_id.map_or(0, |t| t.0), &format!("\"PandaID\":{}", job.id.0), Actor::Engine).unwrap();
        }
        store.apply(batch).await.unwrap();
    }
}

/// Adds lanes of [`QUEUE`].
pub async fn lanes(store: &Store, ids: &[i64]) {
    let mut batch = Batch::new();
    for id in ids {
        let share = format!("share {id}");
        queue::add_lane(
            &mut batch,
            &queue::LaneRow {
                id: LaneId(*id),
                queue_id: QUEUE,
                vo: "amber".into(),
                resource_type: "SCORE".into(),
                label: "user".into(),
                share,
                ram_step: 0,
            },
        );
    }
    store.apply(batch).await.unwrap();
}

/// Asks for `n` jobs of [`LANE`].
pub fn ask(n: u32) -> Claim {
    Claim { lanes: vec![LANE], n, host: Some("node'1".into()), now_us: 1_700_000_001_000_000, ..Claim::default() }
}

/// A task number.
pub fn task(n: i64) -> TaskId {
    TaskId(10_000_000 + n)
}
