//! Claims and heartbeats.

use std::collections::{BTreeMap, BTreeSet};

use panda_core::{
    id::{JobId, LaneId},
    job::state::JobState,
    machine::Actor,
};
use panda_store::{
    Batch, Store,
    driver::{Beat, BeatAnswer, Claim},
    query::job,
    testing::{Backend, TestDb},
};

use super::fixtures::{LANE, add, ask, job, lanes, task};

async fn claim_ids(store: &Store, claim: &Claim) -> Vec<i64> {
    store.claim(claim.clone()).await.unwrap().iter().map(|c| c.job_id.0).collect()
}

pub async fn every_job_is_claimed_once(backend: Backend) {
    let db = TestDb::fresh(backend).await;
    let store = db.open().await;
    lanes(&store, &[10, 11, 12]).await;
    const JOBS: i64 = 1_200;
    let jobs: Vec<_> = (1..=JOBS)
        .map(|id| {
            let mut job = job(id);
            job.lane_id = Some(LaneId(10 + id % 3));
            job.neg_priority = -(id % 7);
            job
        })
        .collect();
    add(&store, &jobs).await;
    let mut callers = vec![];
    for caller in 0..32_u32 {
        let store = store.clone();
        callers.push(tokio::spawn(async move {
            let mut mine = vec![];
            let lanes = (0..3).map(|n| LaneId(10 + i64::from((caller + n) % 3))).collect();
            let claim = Claim { lanes, max_disk_mb: (caller % 2 == 0).then_some(1), ..ask(1 + caller % 3) };
            loop {
                let got = store.claim(claim.clone()).await.unwrap();
                if got.is_empty() {
                    return mine;
                }
                assert!(got.len() <= claim.n as usize);
                mine.extend(got.iter().map(|c| (c.job_id.0, c.lane_id.0)));
            }
        }));
    }
    let mut seen = BTreeMap::new();
    for caller in callers {
        for (id, lane) in caller.await.unwrap() {
            assert!(seen.insert(id, lane).is_none(), "job {id} was given out twice");
            assert_eq!(lane, 10 + id % 3);
        }
    }
    // Nobody was told "no jobs" while there were some: the last caller left none.
    assert_eq!(seen.len() as i64, JOBS);
    let sent = job::list::get(&store, JobId(7)).await.unwrap().unwrap();
    assert_eq!(
        (sent.state, sent.rev, sent.host.as_deref(), sent.started_us),
        (JobState::Sent, 1, Some("node'1"), Some(1_700_000_001_000_000))
    );
    let events = job::list::events(&store, JobId(7)).await.unwrap();
    assert_eq!(
        (events[1].from.as_deref(), events[1].to.as_str(), events[1].actor.as_str(), events[1].rev),
        (Some("activated"), "sent", "pilot", 1)
    );
}

pub async fn lanes_and_priorities_are_kept(backend: Backend) {
    let db = TestDb::fresh(backend).await;
    let store = db.open().await;
    lanes(&store, &[10, 11]).await;
    let mut jobs: Vec<_> = (1..=6).map(job).collect();
    jobs[1].neg_priority = -2_000;
    jobs[3].lane_id = Some(LaneId(11));
    jobs[4].lane_id = Some(LaneId(11));
    jobs[4].task_id = Some(task(1));
    jobs[5].state = JobState::Defined;
    add(&store, &jobs).await;
    assert_eq!(claim_ids(&store, &ask(1)).await, [2]);
    // A task is pinned within the lanes asked for.
    let pinned = Claim { task_id: Some(task(1)), lanes: vec![LANE, LaneId(11)], ..ask(5) };
    assert_eq!(claim_ids(&store, &pinned).await, [5]);
    assert!(claim_ids(&store, &pinned).await.is_empty());
    // Lanes in the order asked for; the rest comes from the next one.
    let claim = Claim { lanes: vec![LaneId(11), LANE], ..ask(2) };
    assert_eq!(claim_ids(&store, &claim).await, [4, 1]);
    assert!(claim_ids(&store, &Claim { lanes: vec![LaneId(11)], ..ask(1) }).await.is_empty());
    assert!(claim_ids(&store, &Claim { lanes: vec![], ..ask(1) }).await.is_empty());
    assert_eq!(claim_ids(&store, &ask(9)).await, [3]);
}

pub async fn limits_filter_behind_the_first_rows(backend: Backend) {
    let db = TestDb::fresh(backend).await;
    let store = db.open().await;
    lanes(&store, &[10]).await;
    // More than two pages of jobs that are too large stand in front.
    let mut jobs: Vec<_> = (1..=1_103).map(job).collect();
    for job in &mut jobs[..1_100] {
        (job.disk_mb, job.ram_mb, job.walltime_s) = (50_000, 8_000, 100_000);
    }
    jobs[1_101].person_id = 77;
    jobs[1_102].task_id = Some(task(3));
    add(&store, &jobs).await;
    assert_eq!(claim_ids(&store, &Claim { person_id: Some(77), ..ask(1) }).await, [1_102]);
    assert_eq!(claim_ids(&store, &Claim { max_disk_mb: Some(1_000), ..ask(1) }).await, [1_101]);
    assert_eq!(claim_ids(&store, &Claim { task_id: Some(task(3)), max_walltime_s: Some(1_000), ..ask(1) }).await, [1_103]);
    for claim in [
        Claim { max_disk_mb: Some(1_000), ..ask(1) },
        Claim { max_ram_mb: Some(1_000), ..ask(1) },
        Claim { max_walltime_s: Some(1_000), ..ask(1) },
    ] {
        assert!(claim_ids(&store, &claim).await.is_empty());
    }
    assert_eq!(claim_ids(&store, &Claim { max_ram_mb: Some(8_000), ..ask(2) }).await, [1, 2]);
}

pub async fn limits_are_met_under_contention(backend: Backend) {
    let db = TestDb::fresh(backend).await;
    let store = db.open().await;
    lanes(&store, &[10]).await;
    let jobs: Vec<_> = (1..=400)
        .map(|id| {
            let mut job = job(id);
            job.disk_mb = (id % 4) * 1_000;
            job
        })
        .collect();
    add(&store, &jobs).await;
    let mut callers = vec![];
    for caller in 0..32_i64 {
        let store = store.clone();
        callers.push(tokio::spawn(async move {
            let limit = (caller % 4) * 1_000;
            let mut mine = vec![];
            loop {
                let got = claim_ids(&store, &Claim { max_disk_mb: Some(limit), ..ask(1) }).await;
                if got.is_empty() {
                    return mine;
                }
                assert!(got.iter().all(|id| (id % 4) * 1_000 <= limit), "{got:?} for {limit}");
                mine.extend(got);
            }
        }));
    }
    let mut seen = BTreeSet::new();
    for caller in callers {
        for id in caller.await.unwrap() {
            assert!(seen.insert(id), "job {id} was given out twice");
        }
    }
    assert_eq!(seen.len(), 400);
}

pub async fn a_new_job_of_higher_priority_is_seen(backend: Backend) {
    let db = TestDb::fresh(backend).await;
    let store = db.open().await;
    lanes(&store, &[10]).await;
    add(&store, &(1..=5).map(job).collect::<Vec<_>>()).await;
    assert_eq!(claim_ids(&store, &ask(2)).await, [1, 2]);
    let mut urgent = job(9);
    urgent.neg_priority = -9_000;
    add(&store, &[urgent]).await;
    assert_eq!(claim_ids(&store, &ask(1)).await, [9]);
    // Given back in front of the remembered place: throttled and activated again.
    let before = job::list::get(&store, JobId(3)).await.unwrap().unwrap();
    assert_eq!(claim_ids(&store, &ask(1)).await, [3]);
    assert_eq!(before.state, JobState::Activated);
    let four = job::list::get(&store, JobId(4)).await.unwrap().unwrap();
    let mut throttled = four.clone();
    throttled.state = JobState::Throttled;
    let mut batch = Batch::new();
    job::transition::move_to(&mut batch, &four, &throttled, Actor::User, 1, None).unwrap();
    store.apply(batch).await.unwrap();
    assert_eq!(claim_ids(&store, &ask(3)).await, [5]);
    let four = job::list::get(&store, JobId(4)).await.unwrap().unwrap();
    let mut activated = four.clone();
    activated.state = JobState::Activated;
    let mut batch = Batch::new();
    job::transition::move_to(&mut batch, &four, &activated, Actor::User, 1, None).unwrap();
    store.apply(batch).await.unwrap();
    assert_eq!(claim_ids(&store, &ask(1)).await, [4]);
}

pub async fn documents_come_with_the_job(backend: Backend) {
    let db = TestDb::fresh(backend).await;
    let store = db.open().await;
    lanes(&store, &[10]).await;
    let mut batch = Batch::new();
    job::transition::add_common(&mut batch, task(1).0, Some(task(1)), "\"vo\":\"amber\"");
    store.apply(batch).await.unwrap();
    let mut jobs = [job(1), job(2), job(3)];
    jobs[0].task_id = Some(task(1));
    jobs[1].task_id = Some(task(1));
    jobs[1].debug = true;
    jobs[1].attempt = 2;
    add(&store, &jobs).await;
    let got = store.claim(ask(3)).await.unwrap();
    assert_eq!(got.iter().map(|c| &*c.common).collect::<Vec<_>>(), ["\"vo\":\"amber\"", "\"vo\":\"amber\"", ""]);
    assert_eq!(got[0].doc, "\"PandaID\":1");
    assert_eq!((got[1].debug, got[1].attempt, got[1].priority, got[1].person_id, got[1].task_id), (true, 2, 1_000, 1, Some(task(1))));
}

pub async fn heartbeats_of_many_callers(backend: Backend) {
    let db = TestDb::fresh(backend).await;
    let store = db.open().await;
    lanes(&store, &[10]).await;
    add(&store, &(1..=64).map(job).collect::<Vec<_>>()).await;
    for _ in 0..60 {
        assert_eq!(claim_ids(&store, &ask(1)).await.len(), 1);
    }
    let mut batch = Batch::new();
    job::transition::command(&mut batch, JobId(7), "tobekilled", 5);
    store.apply(batch).await.unwrap();
    let mut callers = vec![];
    for caller in 0..32_i64 {
        let store = store.clone();
        callers.push(tokio::spawn(async move {
            for round in 0..20_i64 {
                let id = 1 + (caller + round) % 64;
                let doc = (round % 2 == 0).then(|| format!("{{\"round\":\"{round}'\"}}"));
                let beat = Beat { job_id: JobId(id), attempt: (round % 3 == 0).then_some(0), state: "sent", doc, now_us: 100 + round };
                let answer = store.beat(beat).await.unwrap();
                if id > 60 {
                    assert_eq!(answer, BeatAnswer::Differs, "job {id} is not with a pilot");
                } else {
                    let command = (id == 7).then(|| "tobekilled".to_owned());
                    assert_eq!(answer, BeatAnswer::Recorded { command, debug: false });
                }
            }
        }));
    }
    for caller in callers {
        caller.await.unwrap();
    }
    assert!(job::list::live(&store, JobId(7)).await.unwrap().unwrap().1 >= 100);
    assert!(job::list::live(&store, JobId(61)).await.unwrap().is_none());
    let beat = |job: i64, attempt, state| Beat { job_id: JobId(job), attempt, state, doc: None, now_us: 999 };
    assert_eq!(store.beat(beat(1, Some(1), "sent")).await.unwrap(), BeatAnswer::Differs);
    assert_eq!(store.beat(beat(1, Some(0), "running")).await.unwrap(), BeatAnswer::Differs);
    assert_eq!(store.beat(beat(4_711, None, "sent")).await.unwrap(), BeatAnswer::Differs);
    // Metrics outlive a heartbeat without any.
    let with = Beat { doc: Some("{\"rss\":1}".into()), ..beat(1, None, "sent") };
    store.beat(with).await.unwrap();
    store.beat(beat(1, Some(0), "sent")).await.unwrap();
    assert_eq!(job::list::live(&store, JobId(1)).await.unwrap(), Some((0, 999, Some("{\"rss\":1}".into()))));
    assert_eq!(LANE.0, 10);
}
