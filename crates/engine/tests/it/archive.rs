//! The archive: what ended moves into cold tables batch by batch, is found as before, and can still be retried (`spec/engine.md` 2.3).

use panda_core::{
    id::{JobId, TaskId},
    task::state::TaskState,
};
use panda_ops::{
    file, job,
    retention::shift::{self, Budget, Moved},
    setting, task,
};
use panda_store::{
    query::archive::{self, shift as cold},
    testing::Backend,
};
use serde_json::{Value, json};

use crate::world::{World, alice, prun, with_input, with_output};

const DAY: i64 = 86_400;
/// A batch a step, two rows a batch.
const TINY: Budget = Budget { batches: 1, rows: 2 };

/// Everything that people and the API see of a task, without what differs by the time of asking.
async fn view(w: &World, id: TaskId) -> Value {
    let who = alice();
    let ids = task::read::job_ids(&w.ops, &who, id).await.unwrap();
    let jobs: Vec<JobId> = ids.iter().map(|i| JobId(*i)).collect();
    let roles = ["input", "pseudo_input", "output", "log"].map(str::to_owned);
    let mut why = Vec::new();
    for j in &jobs {
        let mut w = panda_ops::why::job::why(&w.ops, &who, *j).await.unwrap();
        w["heartbeat"] = Value::Null;
        why.push(w);
    }
    let all = json!({
        "ids": ids,
        "details": task::read::details(&w.ops, &who, id, true, true).await.unwrap(),
        "files": task::read::datasets_and_files(&w.ops, &who, id, &roles, false).await.unwrap(),
        "outputs": task::outputs::list(&w.ops, &who, id, None, 100).await.unwrap(),
        "info": task::info::detailed(&w.ops, &who, id).await.unwrap(),
        "since": task::info::detailed_since(&w.ops, &who, None, None, 10).await.unwrap(),
        "jobs": job::read::descriptions(&w.ops, &who, &jobs).await.unwrap(),
        "of task": job::read::of_task(&w.ops, &who, id, false).await.unwrap(),
        "why": panda_ops::why::task::why(&w.ops, &who, id).await.unwrap(),
        "why jobs": why,
    });
    assert!(ids.is_empty() || all["jobs"].as_array().unwrap().iter().all(|j| j["PandaID"].is_i64()));
    all
}

/// A task that ends `finished`: two jobs did well, one failed for good, and one job without a task.
async fn ended(w: &World) -> (TaskId, JobId) {
    w.dataset("user.bob.in", &["f1", "f2", "f3"]).await;
    let mut params = with_output(with_input(prun("user.alice.t", 1), "user.bob:user.bob.in/", 1), "out.root");
    params["maxAttempt"] = json!(1);
    let id = w.submit(params).await;
    w.settle().await;
    for n in 0..3 {
        let job = w.job().await.unwrap();
        if n == 1 { w.fail(&job, 3).await } else { w.finish(&job, "x").await }
    }
    let alone = json!([{"transformation": "http://h/x", "computingSite": "LOCAL", "Files": [{"lfn": "o", "type": "output", "destinationDBlock": "user.alice.o"}]}]);
    let alone = job::submit::submit(&w.ops, &alice(), alone.to_string()).await.unwrap()[0].job_id;
    let job = w.job().await.unwrap();
    assert_eq!(job["PandaID"], json!(alone.0));
    w.finish(&job, "y").await;
    w.settle().await;
    assert_eq!(w.task(id).await.state, TaskState::Finished);
    (id, alone)
}

/// Moves all that is due, a batch at a time, with a new process after each; everything is seen as before and stands in one place.
async fn move_all(w: &mut World, id: TaskId) -> Moved {
    let before = view(w, id).await;
    let mut sum = Moved::default();
    for _ in 0..100 {
        let moved = shift::step(&w.ops, TINY).await.unwrap();
        assert!(moved.batches <= 1);
        w.reopen().await;
        assert_eq!(w.broken().await, Vec::<String>::new());
        assert_eq!(view(w, id).await, before);
        sum = Moved { jobs: sum.jobs + moved.jobs, tasks: sum.tasks + moved.tasks, files: sum.files + moved.files, ..sum };
        if moved.batches == 0 {
            return sum;
        }
    }
    panic!("the archive is never done: {sum:?}");
}

async fn sizes(w: &World) -> Vec<(String, i64)> {
    cold::sizes(&w.ops.store).await.unwrap().into_iter().map(|(_, kind, n, _)| (kind, n)).collect()
}

/// engine.md 2.3: jobs leave after 4 days; the task stays for a retry, which works; later all of it is cold, and goes when the VO says so.
async fn the_archive_moves_a_task_in_parts(w: &mut World) {
    let (id, alone) = ended(w).await;
    w.pass(4 * DAY - 10);
    assert_eq!(shift::step(&w.ops, TINY).await.unwrap(), Moved::default(), "not yet");
    w.pass(10);
    let moved = move_all(w, id).await;
    assert_eq!((moved.jobs, moved.tasks, moved.files), (4, 0, 0));
    assert!(panda_store::query::job::list::get(&w.ops.store, alone).await.unwrap().is_none());
    assert!(archive::job::holds(&w.ops.store, alone).await.unwrap());

    // What failed is tried again, three days later: the inputs are at hand.
    w.pass(3 * DAY);
    assert_eq!(task::command::retry(&w.ops, &alice(), id, &task::command::Retry::default()).await.unwrap().code, 0);
    w.settle().await;
    let job = w.job().await.unwrap();
    assert_eq!(job["inFiles"], json!("f2"));
    w.finish(&job, "x").await;
    w.settle().await;
    assert_eq!(w.task(id).await.state, TaskState::Done);
    assert_eq!(task::read::details(&w.ops, &alice(), id, false, false).await.unwrap()["statistics"], json!("failed*1,finished*3"));
    w.pass(4 * DAY);
    assert_eq!(move_all(w, id).await.jobs, 1);

    // Nobody takes it up in a month.
    w.pass(26 * DAY);
    let moved = move_all(w, id).await;
    assert_eq!((moved.jobs, moved.tasks, moved.files), (0, 1, 3));
    let refused = task::command::retry(&w.ops, &alice(), id, &task::command::Retry::default()).await.unwrap_err().to_string();
    assert!(refused.contains("is in the archive: it can be looked at, not taken up again"), "{refused}");
    // Its name is free again.
    assert_ne!(w.submit(prun("user.alice.t", 1)).await, id);
    let files = [("jobs", 5), ("task files", 3), ("tasks", 1)].map(|(k, n)| (k.to_owned(), n));
    assert_eq!(sizes(w).await.into_iter().filter(|(k, _)| k != cold::HISTORY).collect::<Vec<_>>(), files);
}

/// A retry reads the library that was built before its jobs were archived.
async fn a_library_stays_with_its_task(w: &mut World) {
    let mut params = with_output(prun("user.alice.t", 2), "out.txt");
    params["maxAttempt"] = json!(1);
    params["buildSpec"] = json!({"prodSourceLabel": "panda", "archiveName": "sources.x.tar.gz", "jobParameters": "-i ${IN} -o ${OUT} --sourceURL ${SURL} -r . --bexec \"make\" "});
    params["jobParameters"][3] = json!({"type": "constant", "value": "-l ${LIB}"});
    let id = w.submit(params).await;
    w.settle().await;
    let build = w.job().await.unwrap();
    w.finish(&build, "lib").await;
    w.settle().await;
    let job = w.job().await.unwrap();
    w.finish(&job, "x").await;
    let job = w.job().await.unwrap();
    w.fail(&job, 1).await;
    w.settle().await;
    assert_eq!(w.task(id).await.state, TaskState::Finished);
    w.pass(5 * DAY);
    assert_eq!(move_all(w, id).await.jobs, 2, "the build stays");
    task::command::retry(&w.ops, &alice(), id, &task::command::Retry::default()).await.unwrap();
    w.settle().await;
    let job = w.job().await.unwrap();
    let lib = build["outFiles"].as_str().unwrap().split(',').next().unwrap();
    assert_eq!(job["inFiles"], json!(lib), "no second build");
    w.finish(&job, "x").await;
    w.settle().await;
    w.pass(40 * DAY);
    let moved = move_all(w, id).await;
    assert_eq!((moved.jobs, moved.tasks), (2, 1));
}

/// Whoever takes a task up while it is being moved wins: the move stops, nothing is lost.
async fn a_retry_stops_the_move(w: &mut World) {
    let (id, _) = ended(w).await;
    w.pass(31 * DAY);
    assert_eq!(shift::step(&w.ops, TINY).await.unwrap().jobs, 2);
    task::command::retry(&w.ops, &alice(), id, &task::command::Retry::default()).await.unwrap();
    while shift::step(&w.ops, TINY).await.unwrap().batches > 0 {}
    w.settle().await;
    let job = w.job().await.unwrap();
    w.finish(&job, "x").await;
    w.settle().await;
    assert_eq!(w.task(id).await.state, TaskState::Done);
    assert_eq!(w.counters(id).await[0], ("input".into(), "IN".into(), 3, 3, 0));
}

/// Each VO and label has its own ages.
async fn ages_are_by_vo_and_label(w: &mut World) {
    let (id, alone) = ended(w).await;
    for (name, label, value) in
        [("archive.after_days", "user", "10"), ("archive.after_days", "managed", "1"), ("archive.retry_days", "*", "12")]
    {
        setting::set(&w.ops, &crate::world::operator(), name, "amber", label, value).await.unwrap();
    }
    w.pass(9 * DAY);
    w.settle().await;
    assert!(!archive::job::holds(&w.ops.store, alone).await.unwrap());
    w.pass(DAY);
    w.settle().await;
    assert!(archive::job::holds(&w.ops.store, alone).await.unwrap());
    assert!(archive::task::cold(&w.ops.store, id).await.unwrap().is_none());
    w.pass(2 * DAY);
    w.settle().await;
    assert!(archive::task::cold(&w.ops.store, id).await.unwrap().is_some());
}

/// Lost outputs of archived jobs are found.
async fn archived_outputs_can_be_looked_for(w: &mut World) {
    let (id, _) = ended(w).await;
    w.pass(5 * DAY);
    w.settle().await;
    let request = file::recovery::Request { task_id: Some(id.0), dry_run: true, ..Default::default() };
    assert_eq!(file::recovery::request(&w.ops, &alice(), &request).await.unwrap().lost, 0);
    std::fs::remove_dir_all(w.dir.path().join("storage")).unwrap();
    assert!(file::recovery::request(&w.ops, &alice(), &request).await.unwrap().lost >= 2);
}

macro_rules! own {
    ($backend:ident: $($case:ident),* $(,)?) => { $(
        #[tokio::test]
        async fn $case() {
            let mut w = World::on(Backend::$backend).await;
            super::$case(&mut w).await;
            w.close().await;
        }
    )* };
}
macro_rules! all {
    ($($case:ident),* $(,)?) => {
        mod sqlite {
            use super::{Backend, World};
            own!(Sqlite: $($case),*);
        }
        mod db_postgres {
            use super::{Backend, World};
            own!(Postgres: $($case),*);
        }
        mod db_mariadb {
            use super::{Backend, World};
            own!(Mysql: $($case),*);
        }
    };
}
all!(
    the_archive_moves_a_task_in_parts,
    a_library_stays_with_its_task,
    a_retry_stops_the_move,
    ages_are_by_vo_and_label,
    archived_outputs_can_be_looked_for,
);
