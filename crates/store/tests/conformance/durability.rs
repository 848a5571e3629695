//! What is left when the log is cut: every prefix of SQLite's log is a state in which no unit is torn and every history ends in its state.

use std::{
    fs::{self, OpenOptions},
    path::PathBuf,
};

use panda_core::{
    id::{JobId, LaneId},
    job::state::JobState,
    machine::Actor,
};
use panda_store::{
    Batch, Store,
    driver::{Beat, Claim},
    query::{decision, job},
    testing::{Backend, TestDb, broken_histories},
};

use super::fixtures::{add, ask, job as new_job, lanes};

const CALLERS: i64 = 8;
const ROUNDS: i64 = 12;

/// One caller's work: claim, start, heartbeat, and a pair of rows that belong together.
async fn work(store: Store, caller: i64) {
    for round in 1..=ROUNDS {
        let claim = Claim { lanes: vec![LaneId(10)], ..ask(1) };
        let claimed = store.claim(claim).await.unwrap().pop().unwrap();
        let before = job::list::get(&store, claimed.job_id).await.unwrap().unwrap();
        let mut after = before.clone();
        after.state = JobState::Running;
        let mut batch = Batch::new();
        job::transition::move_to(&mut batch, &before, &after, Actor::Pilot, round, None).unwrap();
        for half in ["left", "right"] {
            decision::set(&mut batch, caller, half, round, "{}");
        }
        store.apply(batch).await.unwrap();
        let beat = Beat { job_id: claimed.job_id, attempt: None, state: "running", doc: None, now_us: round };
        store.beat(beat).await.unwrap();
        add(&store, &[new_job(1_000 + caller * 100 + round)]).await;
    }
}

/// Rounds of each caller that are there; fails when a pair is torn.
async fn rounds(store: &Store) -> Vec<i64> {
    let mut out = vec![];
    for caller in 0..CALLERS {
        let halves = decision::list(store, caller).await.unwrap();
        assert!(halves.is_empty() || halves.len() == 2, "{halves:?}");
        assert!(halves.windows(2).all(|w| w[0].at_us == w[1].at_us), "a torn unit: {halves:?}");
        out.push(halves.first().map_or(0, |h| h.at_us));
    }
    out
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sqlite_every_prefix_of_the_log_is_consistent() {
    let db = TestDb::fresh(Backend::Sqlite).await;
    let path = PathBuf::from(db.url().strip_prefix("sqlite:").unwrap());
    let store = db.open().await;
    lanes(&store, &[10]).await;
    add(&store, &(1..=200).map(new_job).collect::<Vec<_>>()).await;
    store.close().await;
    drop(store);
    let store = db.open().await;
    // A reader keeps checkpoints from the file, so that the log holds all that follows: what is in the file has been synced in the log before.
    let reader = rusqlite::Connection::open(&path).unwrap();
    reader.execute_batch("BEGIN; SELECT COUNT(*) FROM job").unwrap();
    let callers: Vec<_> = (0..CALLERS).map(|caller| tokio::spawn(work(store.clone(), caller))).collect();
    for caller in callers {
        caller.await.unwrap();
    }
    let wal = path.with_extension("db-wal");
    let (file, log) = (fs::read(&path).unwrap(), fs::read(&wal).unwrap());
    drop(reader);
    store.close().await;
    assert!(log.len() > 100_000, "{}", log.len());
    let mut random: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut seen = std::collections::BTreeSet::new();
    for cut in 0..40 {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let length = if cut == 0 { log.len() } else { (random % log.len() as u64) as usize };
        let folder = path.with_file_name(format!("cut{cut}"));
        fs::create_dir(&folder).unwrap();
        let copy = folder.join("panda.db");
        fs::write(&copy, &file).unwrap();
        fs::write(copy.with_extension("db-wal"), &log).unwrap();
        OpenOptions::new().write(true).open(copy.with_extension("db-wal")).unwrap().set_len(length as u64).unwrap();
        let store = Store::open(&format!("sqlite:{}", copy.display()), false).await.unwrap();
        let wrong = broken_histories(&store).await.unwrap();
        assert!(wrong.is_empty(), "cut at {length} of {}: {wrong:?}", log.len());
        let rounds = rounds(&store).await;
        if cut == 0 {
            assert_eq!(rounds, vec![ROUNDS; CALLERS as usize], "an acknowledged unit is missing");
            assert!(job::list::get(&store, JobId(1_000 + ROUNDS)).await.unwrap().is_some());
        }
        seen.insert(rounds);
        store.close().await;
    }
    assert!(seen.len() > 5, "the cuts show the same few states: {seen:?}");
}
