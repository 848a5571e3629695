//! Jobs out of rows (`spec/engine.md` 5.5 and 6.1): nothing lost or doubled over many batches, in turns and through crashes; secondary inputs,
//! numbers, names, libraries of other tasks.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use panda_core::{
    file::FileState,
    id::{JobId, TaskId},
    job::record::JobKind,
    task::state::TaskState,
};
use panda_engine::loops::{self, LoopKind};
use panda_ops::task;
use panda_store::query::{
    dataset::DatasetFile,
    job::{self, JobRow},
    task::file::TaskFile,
};
use serde_json::{Value, json};

use crate::world::{World, prun, who, with_input, with_output};

fn numbered(n: usize) -> Vec<DatasetFile> {
    (0..n).map(|i| DatasetFile { lfn: format!("f{i:05}"), ..DatasetFile::default() }).collect()
}
fn over(name: &str, dataset: &str, each: i64) -> Value {
    with_output(with_input(prun(name, 1), dataset, each), "out.txt")
}
/// Adds an item to the parameters of the jobs.
fn with_item(mut params: Value, item: Value) -> Value {
    params["jobParameters"].as_array_mut().unwrap().push(item);
    params
}
async fn jobs(w: &World, id: TaskId) -> Vec<JobRow> {
    let (mut all, mut after) = (Vec::new(), JobId(0));
    loop {
        let page = job::list::of_task(&w.ops.store, id, after, 1_000).await.unwrap();
        let Some(last) = page.last() else { return all };
        after = last.id;
        all.extend(page);
    }
}
/// Rows by job: every job that was there before has some, and every row that is taken is one of a job that is there after. That holds at any moment.
async fn by_job(w: &World, id: TaskId, stream: &str) -> BTreeMap<JobId, Vec<TaskFile>> {
    let ids = async || -> BTreeSet<JobId> { jobs(w, id).await.iter().map(|j| j.id).collect() };
    let before = ids().await;
    let mut by: BTreeMap<JobId, Vec<TaskFile>> = BTreeMap::new();
    for row in w.rows(id, stream).await {
        assert_eq!(row.state == FileState::Running, row.job_id.is_some(), "{row:?}");
        if let Some(job) = row.job_id {
            by.entry(job).or_default().push(row);
        }
    }
    let after = ids().await;
    assert!(before.iter().all(|job| by.contains_key(job)), "a job without rows");
    assert!(by.keys().all(|job| after.contains(job)), "rows of a job that is not there");
    by
}
/// Every row of a task is in one job of `each` rows (the last: of what is left), every job has rows, and no output name is given twice.
async fn whole(w: &World, id: TaskId, rows: usize, each: usize) {
    let by = by_job(w, id, "IN").await;
    let made = jobs(w, id).await;
    assert_eq!((by.len(), made.len()), (rows.div_ceil(each), rows.div_ceil(each)));
    assert_eq!(by.values().map(Vec::len).sum::<usize>(), rows);
    assert_eq!(
        by.values().filter(|r| r.len() != each).map(Vec::len).collect::<Vec<_>>(),
        match rows % each {
            0 => vec![],
            n => vec![n],
        }
    );
    for rows in by.values() {
        assert!(rows.windows(2).all(|w| w[1].seq == w[0].seq + 1), "{rows:?}");
    }
    let mut names = BTreeSet::new();
    for d in panda_store::query::task::dataset::of_task(&w.ops.store, id).await.unwrap().iter().filter(|d| !d.role.is_input()) {
        let files: Vec<String> = names_of(w, d.id).await;
        assert_eq!((files.len(), d.n_files), (made.len(), made.len() as i64), "{}", d.name);
        assert!(files.into_iter().all(|f| names.insert(f)), "a name twice in {}", d.name);
    }
}
async fn names_of(w: &World, dataset: i64) -> Vec<String> {
    let (mut all, mut after) = (Vec::new(), 0);
    loop {
        let page = job::file::of_dataset(&w.ops.store, dataset, FileState::ALL, after, 1_000).await.unwrap();
        let Some(last) = page.last() else { return all };
        after = last.id;
        all.extend(page.into_iter().map(|f| f.lfn));
    }
}

/// More jobs than one batch, one window and one turn hold.
async fn many_batches_lose_and_double_nothing(w: &World) {
    w.files("d", "closed", numbered(2_501)).await;
    let id = w.submit(over("user.alice.t", "d", 2)).await;
    w.settle().await;
    whole(w, id, 2_501, 2).await;
    assert_eq!(w.task(id).await.state, TaskState::Running);
    assert_eq!(w.counters(id).await[0], ("input".into(), "IN".into(), 2_501, 0, 0));
    // The first job has the first files and the first serial number.
    let job = w.job().await.unwrap();
    assert_eq!(job["inFiles"], json!("f00000,f00001"));
    assert!(job["outFiles"].as_str().unwrap().contains("._000001.out.txt"), "{}", job["outFiles"]);
    assert_eq!(w.broken().await, Vec::<String>::new());
}

/// A process that dies at any moment while jobs are written: the next one makes the rest, and none twice.
async fn generation_goes_on_after_a_crash_between_batches(w: &World) {
    w.files("d", "closed", numbered(1_900)).await;
    let id = w.submit(over("user.alice.t", "d", 1)).await;
    w.settle_without(&[LoopKind::Generate]).await;
    let mut cut = 0;
    for ms in [3, 8, 15, 25, 40, 60] {
        let step = loops::step(LoopKind::Generate, &w.ops, w.ops.now());
        // What is dropped here has sent some of its batches, and not the others.
        if tokio::time::timeout(Duration::from_millis(ms), step).await.is_err() {
            cut += 1;
        }
        // What was sent is applied or not, but whole.
        let by = by_job(w, id, "IN").await;
        assert!(by.values().all(|rows| rows.len() == 1));
    }
    w.settle().await;
    whole(w, id, 1_900, 1).await;
    assert!(cut > 0, "no step was cut off");
    assert_eq!(w.broken().await, Vec::<String>::new());
}

/// Several tasks get their jobs in one step, and each its own.
async fn tasks_take_turns_in_one_step(w: &World) {
    w.files("d", "closed", numbered(30)).await;
    let mut ids = Vec::new();
    for n in 0..12 {
        let person = who(&format!("p{}", n % 3), &[]);
        let params = over(&format!("user.p.t{n}"), "d", 7);
        ids.push(task::submit::submit(&w.ops, &person, params, None).await.unwrap().task_id);
    }
    w.settle().await;
    for id in ids {
        whole(w, id, 30, 7).await;
    }
}

/// A file that failed is alone in its next job when the others of its job did well, with the number of its first one.
async fn a_retry_keeps_the_number_of_its_files(w: &World) {
    w.files("d", "closed", numbered(4)).await;
    let item = json!({"type": "template", "param_type": "number", "value": "seq=${SEQNUMBER}", "offset": 10});
    let id = w.submit(with_item(over("user.alice.t", "d", 2), item)).await;
    w.settle().await;
    let pars = |job: &Value| job["jobPars"].as_str().unwrap().rsplit("seq=").next().unwrap().split([' ', '"']).next().unwrap().to_owned();
    let (first, second) = (w.job().await.unwrap(), w.job().await.unwrap());
    let numbers = [pars(&first), pars(&second)];
    assert_ne!(numbers[0], numbers[1]);
    w.fail(&second, 3).await;
    w.settle().await;
    let again = w.job().await.unwrap();
    assert_eq!((pars(&again), &again["inFiles"]), (numbers[1].clone(), &second["inFiles"]));
    assert_ne!(again["outFiles"], second["outFiles"]);
    for job in [first, again] {
        w.finish(&job, "x").await;
    }
    w.settle().await;
    assert_eq!(w.task(id).await.state, TaskState::Done);
}

/// Fields of the input's name go into the outputs' (AN, UF).
async fn names_of_inputs_go_into_outputs(w: &World) {
    w.files("d", "closed", ["run.17.raw", "run.18.raw"].map(|n| DatasetFile { lfn: n.into(), ..DatasetFile::default() }).to_vec()).await;
    let mut params = over("user.alice.t", "d", 1);
    let text = params.to_string().replace("user.alice.$JEDITASKID._", "user.alice.$JEDITASKID.${MIDDLENAME}._");
    params = serde_json::from_str(&text).unwrap();
    params["addNthFieldToLFN"] = json!("2,3");
    params["useFileAsSourceLFN"] = json!(true);
    let id = w.submit(params).await;
    w.settle().await;
    for (n, run) in [(1, 17), (2, 18)] {
        let job = w.job().await.unwrap();
        let name = format!("user.alice.{id}.{run}.raw._00000{n}.out.txt");
        assert!(job["outFiles"].as_str().unwrap().contains(&name) && job["jobPars"].as_str().unwrap().contains(&name), "{job}");
    }
}

/// Files of a secondary input: every job has its own, or all the same.
async fn secondary_files_go_with_jobs(w: &World) {
    w.files("d", "closed", numbered(6)).await;
    w.files("sec", "closed", ["s1", "s2", "s3"].map(|n| DatasetFile { lfn: n.into(), ..DatasetFile::default() }).to_vec()).await;
    let item = |attributes: &str, each: Value| {
        let mut item =
            json!({"type": "template", "param_type": "input", "value": "-s ${SEC/T}", "dataset": "sec", "attributes": attributes});
        if !each.is_null() {
            item["nFilesPerJob"] = each;
        }
        item
    };
    let own = w.submit(with_item(over("user.alice.own", "d", 2), item("", json!(1)))).await;
    let all = w.submit(with_item(over("user.alice.all", "d", 3), item("nosplit,reusable", Value::Null))).await;
    w.settle().await;
    let mut seen = BTreeMap::new();
    while let Some(job) = w.job().await {
        seen.entry(job["taskID"].as_i64().unwrap()).or_insert_with(Vec::new).push(job["inFiles"].as_str().unwrap().to_owned());
        w.finish(&job, "x").await;
    }
    assert_eq!(seen[&own.0], ["f00000,f00001,s1", "f00002,f00003,s2", "f00004,f00005,s3"]);
    assert_eq!(seen[&all.0], ["f00000,f00001,f00002,s1,s2,s3", "f00003,f00004,f00005,s1,s2,s3"]);
    w.settle().await;
    for id in [own, all] {
        assert_eq!(w.task(id).await.state, TaskState::Done);
    }
}

fn built(name: &str, archive: &str) -> Value {
    let mut params = with_output(prun(name, 1), "out.txt");
    params["buildSpec"] =
        json!({"prodSourceLabel": "panda", "archiveName": archive, "jobParameters": "-i ${IN} -o ${OUT} --sourceURL ${SURL} -r ."});
    params["jobParameters"][3] = json!({"type": "constant", "value": "-l ${LIB}"});
    params
}
/// The build jobs of a task.
async fn builds(w: &World, id: TaskId) -> usize {
    jobs(w, id).await.iter().filter(|j| j.kind == JobKind::Build).count()
}

/// A library that another task of the same person made of the same archive is used again; anybody else's is not, nor an old one.
async fn a_library_is_used_by_other_tasks_of_its_owner(w: &World) {
    let one = w.submit(built("user.alice.one", "sources.a.tar.gz")).await;
    w.settle().await;
    let build = w.job().await.unwrap();
    let lib = build["outFiles"].as_str().unwrap().split(',').next().unwrap().to_owned();
    // While it is being built another task builds its own: this one may fail.
    let beside = w.submit(built("user.alice.beside", "sources.a.tar.gz")).await;
    w.settle().await;
    assert_eq!((builds(w, one).await, builds(w, beside).await), (1, 1));
    task::command::kill(&w.ops, &crate::world::alice(), beside).await.unwrap();
    w.settle().await;
    assert_eq!(w.task(beside).await.state, TaskState::Aborted);
    w.finish(&build, "lib").await;
    w.settle().await;
    let job = w.job().await.unwrap();
    w.finish(&job, "x").await;
    w.settle().await;
    assert_eq!(w.task(one).await.state, TaskState::Done);

    let third = w.submit(built("user.alice.third", "sources.b.tar.gz")).await;
    let bob = task::submit::submit(&w.ops, &who("bob", &[]), built("user.bob.t", "sources.a.tar.gz"), None).await.unwrap().task_id;
    w.settle().await;
    assert_eq!((builds(w, third).await, builds(w, bob).await), (1, 1), "another archive, another person");
    for _ in 0..2 {
        let build = w.job().await.unwrap();
        w.finish(&build, "lib").await;
        w.settle().await;
    }
    while let Some(job) = w.job().await {
        w.finish(&job, "x").await;
    }
    w.settle().await;

    let again = w.submit(built("user.alice.again", "sources.b.tar.gz")).await;
    w.settle().await;
    assert_eq!(builds(w, again).await, 0);
    let job = w.job().await.unwrap();
    let used = job["inFiles"].as_str().unwrap().to_owned();
    assert!(used.contains(".lib.") && used != lib, "{used}");
    assert!(job["jobPars"].as_str().unwrap().contains(&format!("-l {used}")));
    w.finish(&job, "x").await;
    w.settle().await;
    assert_eq!(w.task(again).await.state, TaskState::Done);

    w.pass(8 * 86_400);
    let late = w.submit(built("user.alice.late", "sources.b.tar.gz")).await;
    w.settle().await;
    assert_eq!(builds(w, late).await, 1);
}

cases!(
    many_batches_lose_and_double_nothing,
    generation_goes_on_after_a_crash_between_batches,
    tasks_take_turns_in_one_step,
    a_retry_keeps_the_number_of_its_files,
    names_of_inputs_go_into_outputs,
    secondary_files_go_with_jobs,
    a_library_is_used_by_other_tasks_of_its_owner,
);
