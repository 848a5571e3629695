//! Batches, guards, bulk inserts, ids.

use std::{collections::BTreeSet, time::Duration};

use panda_core::{id::JobId, job::state::JobState, machine::Actor};
use panda_store::{
    Batch, Error, IdKind, Topic,
    query::{cache, decision, job, lease, snapshot},
    testing::{Backend, TestDb},
};

use super::fixtures::{QUEUE, add, job, lanes, task};

pub async fn a_batch_is_applied_whole_or_not_at_all(backend: Backend) {
    let db = TestDb::fresh(backend).await;
    let store = db.open().await;
    add(&store, &[job(1), job(2)]).await;
    let before = job::list::get(&store, JobId(1)).await.unwrap().unwrap();
    let mut after = before.clone();
    after.state = JobState::Throttled;
    let mut batch = Batch::new();
    job::transition::move_to(&mut batch, &before, &after, Actor::Engine, 7, Some("paused")).unwrap();
    store.apply(batch.clone()).await.unwrap();
    assert_eq!(job::list::get(&store, JobId(1)).await.unwrap().unwrap().state, JobState::Throttled);
    // The same decision again: its guard fails, and what stood before it in the batch is undone.
    let mut again = Batch::new();
    decision::set(&mut again, 1, "broker", 7, "{}");
    again.append(batch);
    let e = store.apply(again).await.unwrap_err();
    assert!(matches!(e, Error::Conflict("job.transition")), "{e}");
    assert!(decision::list(&store, 1).await.unwrap().is_empty());
    assert_eq!(job::list::events(&store, JobId(1)).await.unwrap().len(), 2);
    store.close().await;
    assert!(matches!(job::list::get(&store, JobId(1)).await, Err(Error::Closed)));
}

pub async fn duplicates_and_conflicts_name_the_statement(backend: Backend) {
    let db = TestDb::fresh(backend).await;
    let store = db.open().await;
    add(&store, &[job(1)]).await;
    let mut batch = Batch::new();
    snapshot::set(&mut batch, "counts", 1, "{}");
    job::transition::add(&mut batch, &job(2), 0, "\"a\":1", Actor::Engine).unwrap();
    job::transition::add(&mut batch, &job(1), 0, "\"a\":1", Actor::Engine).unwrap();
    let e = store.apply(batch).await.unwrap_err();
    assert!(matches!(e, Error::Duplicate("job.transition_new")), "{e}");
    assert!(e.is_conflict());
    assert!(job::list::get(&store, JobId(2)).await.unwrap().is_none());
    assert!(snapshot::get(&store, "counts").await.unwrap().is_none());
    // An upsert twice leaves the second value; a skipped duplicate leaves the first.
    for n in 1..3 {
        let mut batch = Batch::new();
        snapshot::set(&mut batch, "counts", n, &format!("{{\"n\":{n}}}"));
        job::report::add(&mut batch, &job::report::Report { job_id: JobId(1), attempt: 0, at_us: n, doc: format!("{{\"n\":{n}}}") });
        store.apply(batch).await.unwrap();
    }
    assert_eq!(snapshot::get(&store, "counts").await.unwrap(), Some((2, "{\"n\":2}".into())));
    assert_eq!(job::report::next(&store, JobId(0), 10).await.unwrap().iter().map(|r| r.at_us).collect::<Vec<_>>(), [1]);
}

pub async fn bulk_inserts_keep_every_value(backend: Backend) {
    let db = TestDb::fresh(backend).await;
    let store = db.open().await;
    let mut jobs: Vec<_> = (1..=437).map(job).collect();
    for (n, job) in (0_i64..).zip(&mut jobs) {
        job.task_id = (n % 3 == 0).then(|| task(n));
        job.name = (n % 5 != 0).then(|| format!("näme \"{n}\" ' \\ {}", '\u{1F43C}'));
        job.ram_mb = n * 1_000_000_007;
        job.debug = n % 2 == 0;
    }
    add(&store, &jobs).await;
    let ids: Vec<JobId> = jobs.iter().map(|j| j.id).collect();
    let found = job::list::many(&store, &ids).await.unwrap();
    for (found, job) in found.iter().zip(&mut jobs) {
        (job.modified_us, job.state_us) = (job.created_us, job.created_us);
        assert_eq!(found, job);
    }
    assert_eq!(found.len(), jobs.len());
}

pub async fn text_is_compared_byte_by_byte(backend: Backend) {
    let db = TestDb::fresh(backend).await;
    let store = db.open().await;
    for (n, name) in ["a", "A", "a ", "ä", "é", "e\u{301}"].into_iter().enumerate() {
        let mut batch = Batch::new();
        let file = cache::CacheFile { name: name.into(), person_id: n as i64, vo: None, fsize: 1, checksum: "x".into(), touched_us: 1 };
        cache::add(&mut batch, &file);
        store.apply(batch).await.unwrap_or_else(|e| panic!("{name:?}: {e}"));
    }
    assert_eq!(cache::get(&store, "A").await.unwrap().unwrap().person_id, 1);
    assert_eq!(cache::get(&store, "a ").await.unwrap().unwrap().person_id, 2);
    assert!(cache::get(&store, "E").await.unwrap().is_none());
}

pub async fn lists_of_any_length(backend: Backend) {
    let db = TestDb::fresh(backend).await;
    let store = db.open().await;
    add(&store, &(1..=300).map(job).collect::<Vec<_>>()).await;
    for n in [0, 1, 2, 4, 5, 17, 65, 257, 300] {
        let ids: Vec<JobId> = (1..=n).map(JobId).collect();
        assert_eq!(job::list::many(&store, &ids).await.unwrap().len(), n as usize);
    }
    let ids: Vec<JobId> = (1..=1_001).map(JobId).collect();
    assert!(job::list::many(&store, &ids).await.unwrap_err().to_string().contains("job.many"));
}

/// Batches that need no disk may share a commit; each stands or falls by itself.
pub async fn batches_that_share_a_commit_fail_alone(backend: Backend) {
    let db = TestDb::fresh(backend).await;
    let store = db.open().await;
    add(&store, &[job(1)]).await;
    let fails = |n: i64| n % 10 == 3;
    let callers: Vec<_> = (0..60)
        .map(|n| {
            let store = store.clone();
            tokio::spawn(async move {
                let id = if fails(n) { 1 } else { 100 + n };
                let mut batch = Batch::new();
                job::transition::add(&mut batch, &job(id), 0, "\"a\":1", Actor::Engine).unwrap();
                decision::set(&mut batch, n, "broker", 7, "{}");
                batch.relax();
                store.apply(batch).await
            })
        })
        .collect();
    for (n, caller) in (0..).zip(callers) {
        match caller.await.unwrap() {
            Ok(()) => assert!(!fails(n), "{n}"),
            Err(e) => assert!(fails(n) && matches!(e, Error::Duplicate("job.transition_new")), "{n}: {e}"),
        }
        assert_eq!(job::list::get(&store, JobId(100 + n)).await.unwrap().is_some(), !fails(n), "{n}");
        assert_eq!(decision::list(&store, n).await.unwrap().is_empty(), fails(n), "{n}");
    }
}

pub async fn deltas_of_many_callers_add_up(backend: Backend) {
    let db = TestDb::fresh(backend).await;
    let store = db.open().await;
    let mut batch = Batch::new();
    lease::add(&mut batch, "shard 1", "me", 0);
    store.apply(batch).await.unwrap();
    // Thirty-two callers race for one lease by compare-and-set; each step has one winner.
    let mut callers = vec![];
    for caller in 0..32 {
        let store = store.clone();
        callers.push(tokio::spawn(async move {
            let mut won = 0;
            for _ in 0..10 {
                let epoch = lease::get(&store, "shard 1").await.unwrap().unwrap().epoch;
                let mut batch = Batch::new();
                lease::take(&mut batch, "shard 1", &format!("caller {caller}"), epoch, 1);
                match store.apply(batch).await {
                    Ok(()) => won += 1,
                    Err(e) => assert!(e.is_conflict(), "{e}"),
                }
            }
            won
        }));
    }
    let mut won = 0;
    for caller in callers {
        won += caller.await.unwrap();
    }
    let first = lease::get(&store, "shard 1").await.unwrap().unwrap();
    assert!(won > 0);
    assert!(first.epoch >= won, "{first:?} after {won} wins");
}

pub async fn ids_are_never_handed_out_twice(backend: Backend) {
    let db = TestDb::fresh(backend).await;
    let (one, mut seen) = (db.open().await, BTreeSet::new());
    let mut callers = vec![];
    for _ in 0..32 {
        let store = one.clone();
        callers.push(tokio::spawn(async move { store.ids(IdKind::Job, 333).await.unwrap() }));
    }
    for caller in callers {
        let ids = caller.await.unwrap();
        assert!(ids.is_sorted());
        for id in ids {
            assert!(id >= 1_000_000_000 && seen.insert(id), "{id}");
        }
    }
    assert!(one.id(IdKind::Task).await.unwrap() >= 10_000_000);
    // After a restart numbers go on; what was reserved and not used is a gap.
    one.close().await;
    drop(one);
    let two = db.open().await;
    assert!(two.ids(IdKind::Job, 5_000).await.unwrap().into_iter().all(|id| seen.insert(id)));
}

pub async fn wake_ups_come_after_the_commit(backend: Backend) {
    let db = TestDb::fresh(backend).await;
    let store = db.open().await;
    let mut ready = store.wake().subscribe(Topic::Ready(QUEUE));
    lanes(&store, &[10]).await;
    assert!(!ready.has_changed().unwrap());
    add(&store, &[job(1)]).await;
    tokio::time::timeout(Duration::from_secs(5), ready.changed()).await.unwrap().unwrap();
    if backend != Backend::Sqlite {
        // Another process learns of it too; it may take the time of one look at the wake table.
        let other = db.open().await;
        let mut ready = other.wake().subscribe(Topic::Ready(QUEUE));
        tokio::time::sleep(Duration::from_millis(500)).await;
        ready.mark_unchanged();
        add(&store, &[job(2)]).await;
        tokio::time::timeout(Duration::from_secs(5), ready.changed()).await.unwrap().unwrap();
        other.close().await;
    }
    let now = store.database_clock().await.unwrap();
    let here = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_micros() as i64;
    assert!((now - here).abs() < 10_000_000, "{now} {here}");
}
