//! Several engine processes on one database: they share the loops, and a kill -9 of one costs nothing but time.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use panda_core::{
    file::{FileRole, FileState},
    id::{JobId, TaskId},
    job::{report::Reported, state::JobState},
    task::state::TaskState,
};
use panda_engine::lease::{Keeper, PARTS, Parts, TTL_US};
use panda_ops::pilot::acquire::{Ask, acquire};
use panda_store::{
    query::{dataset, job, task},
    stmt::Dialect,
    testing::Backend,
};
use serde_json::Value;
use tokio::process::{Child, Command};

use super::world::{World, pilot, prun};

/// Jobs of the workload.
const JOBS: usize = 10_000;
/// How long it may stand still before the test gives up.
const STALL_LIMIT: Duration = Duration::from_secs(100);

pub async fn processes_share_the_loops_and_take_over_what_a_silent_one_held(w: &World) {
    let (a_parts, b_parts) = (Arc::new(Parts::default()), Arc::new(Parts::default()));
    let (mut a, mut b) = (Keeper::new("a", a_parts.clone()), Keeper::new("b", b_parts.clone()));
    a.keep(&w.ops).await.unwrap();
    assert_eq!(a.held().collect::<Vec<_>>(), PARTS, "alone it has all");
    if w.ops.store.dialect() == Dialect::Sqlite {
        // A folder has one process: another one means that the first is gone.
        b.keep(&w.ops).await.unwrap();
        assert_eq!(b.held().count(), PARTS.len());
        return;
    }
    b.keep(&w.ops).await.unwrap();
    assert_eq!(b.held().count(), 0, "what another has is not taken");
    // The loop of `finish`, which goes to the other, is in a step: it keeps the lease until that ends.
    let step = a_parts.get("finish").and_then(|p| p.enter());
    assert!(step.is_some());
    a.keep(&w.ops).await.unwrap();
    b.keep(&w.ops).await.unwrap();
    assert!(a.held().any(|p| p == "finish") && !b.held().any(|p| p == "finish"));
    assert!(a_parts.get("finish").unwrap().enter().is_none(), "no further step begins");
    drop(step);
    a.keep(&w.ops).await.unwrap();
    b.keep(&w.ops).await.unwrap();
    let (mut of_a, mut of_b): (Vec<_>, Vec<_>) = (a.held().collect(), b.held().collect());
    assert_eq!((of_a.len(), of_b.len()), (PARTS.len().div_ceil(2), PARTS.len() / 2));
    assert!(of_a.contains(&"make") && of_b.contains(&"finish"), "{of_a:?} {of_b:?}");
    of_a.append(&mut of_b);
    assert_eq!(of_a.iter().collect::<BTreeSet<_>>().len(), PARTS.len(), "no part is held twice");
    // `a` falls silent.
    w.pass(TTL_US / 1_000_000 + 1);
    b.keep(&w.ops).await.unwrap();
    assert_eq!(b.held().count(), PARTS.len());
    // It was only asleep: it sees what it lost and steps on in nothing before it is its turn again.
    a.keep(&w.ops).await.unwrap();
    assert!(a.held().count() == 0 && PARTS.iter().all(|p| !a_parts.get(p).unwrap().leads()));
    // One that ends in order leaves everything at once; the other has to see it.
    b.give_back(&w.ops).await;
    a.keep(&w.ops).await.unwrap();
    assert_eq!(a.held().count(), PARTS.len());
    a.give_back(&w.ops).await;
}

cases!(processes_share_the_loops_and_take_over_what_a_silent_one_held);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_9_of_engines_in_turn_loses_and_doubles_nothing_on_postgres() {
    kill_9_of_engines_in_turn(Backend::Postgres).await;
}
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_9_of_engines_in_turn_loses_and_doubles_nothing_on_mariadb() {
    kill_9_of_engines_in_turn(Backend::Mysql).await;
}

/// The program of `examples/engine.rs`, which stands beside the tests.
fn program() -> PathBuf {
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    path.join("examples/engine")
}

fn engine(w: &World, name: &str) -> Child {
    let mut command = Command::new(program());
    command.args([w.url(), &w.dir.path().join("data").display().to_string(), name]);
    command.stdin(Stdio::null()).kill_on_drop(true).spawn().unwrap_or_else(|e| panic!("{}: {e}", program().display()))
}

/// Runs jobs as they come until told to stop.
async fn work(w: Arc<World>, stop: Arc<AtomicBool>) {
    let ask = Ask { queue: "LOCAL".into(), label: Some("unified".into()), n: 50, ..Ask::default() };
    while !stop.load(Ordering::Relaxed) {
        w.now();
        let jobs = acquire(&w.ops, &pilot(), &ask).await.unwrap();
        if jobs.is_empty() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        for job in &jobs {
            let job: Value = serde_json::from_str(job).unwrap();
            let report = w.store(&job, "log");
            w.report(&job, Reported::Finished, |u| u.report = Some(report)).await;
        }
    }
}

async fn finished(w: &World, id: TaskId) -> usize {
    let counts = job::list::count_task(&w.ops.store, id).await.unwrap();
    counts.iter().find(|(state, _)| state == JobState::Finished.as_str()).map_or(0, |(_, n)| usize::try_from(*n).unwrap())
}

async fn kill_9_of_engines_in_turn(backend: Backend) {
    let w = Arc::new(World::on(backend).await);
    w.now();
    let id = w.submit(prun("user.alice.several", i64::try_from(JOBS).unwrap())).await;
    let stop = Arc::new(AtomicBool::new(false));
    let mut engines = vec![engine(&w, "one 0"), engine(&w, "two 0")];
    let pilots: Vec<_> = (0..8).map(|_| tokio::spawn(work(w.clone(), stop.clone()))).collect();
    let (mut kills, mut best, mut moved) = (0, 0, Instant::now());
    while w.task(id).await.state != TaskState::Done {
        tokio::time::sleep(Duration::from_millis(2_500 + 331 * (kills % 5))).await;
        // Mostly one of them, so that what it held goes to the other and back; at times the other.
        let victim = usize::from(kills % 3 == 2);
        let old = engines.get_mut(victim).unwrap();
        old.kill().await.unwrap();
        kills += 1;
        *old = engine(&w, &format!("{} {kills}", ["one", "two"][victim]));
        let now = finished(&w, id).await;
        if now > best {
            (best, moved) = (now, Instant::now());
        }
        let state = w.task(id).await;
        assert!(moved.elapsed() < STALL_LIMIT, "{best} of {JOBS} jobs are done and nothing moves: {state:?}");
    }
    stop.store(true, Ordering::Relaxed);
    for pilot in pilots {
        pilot.await.unwrap();
    }
    for mut engine in engines {
        engine.kill().await.unwrap();
    }
    assert!(kills > 3, "the workload was over after {kills} kills");
    check(&w, id).await;
    let Ok(w) = Arc::try_unwrap(w) else { panic!("somebody still works") };
    w.close().await;
}

/// Every input once, every job once, every output registered once.
async fn check(w: &World, id: TaskId) {
    let store = &w.ops.store;
    assert_eq!(w.broken().await, Vec::<String>::new());
    assert_eq!(
        job::list::count_task(store, id).await.unwrap(),
        vec![(JobState::Finished.as_str().to_owned(), i64::try_from(JOBS).unwrap())]
    );
    for set in task::dataset::of_task(store, id).await.unwrap() {
        assert_eq!((set.n_finished, set.n_failed), (i64::try_from(JOBS).unwrap(), 0), "{}", set.name);
        if set.role != FileRole::Log {
            continue;
        }
        let (mut jobs, mut paths, mut after) = (BTreeSet::<JobId>::new(), BTreeSet::new(), 0);
        loop {
            let page = job::file::of_dataset(store, set.id, FileState::ALL, after, 500).await.unwrap();
            let Some(last) = page.last() else { break };
            after = last.id;
            for file in &page {
                assert_eq!(file.state, FileState::Finished, "{}", file.lfn);
                assert!(jobs.insert(file.job_id), "{} has two logs", file.job_id);
                let path = file.surl.as_deref().unwrap().strip_prefix("file://localhost").unwrap().to_owned();
                assert!(Path::new(&path).is_file() && paths.insert(path), "{}", file.lfn);
            }
        }
        assert_eq!(jobs.len(), JOBS);
        let row = dataset::by_name(store, "amber", set.name.trim_end_matches('/')).await.unwrap().unwrap();
        assert_eq!(row.n_files, i64::try_from(JOBS).unwrap(), "{} in the catalogue", set.name);
    }
}
