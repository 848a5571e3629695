//! Feeding (`spec/engine.md` 5.3): which files of which data sets become rows, in which order, and when they are looked at again.

use panda_core::{file::FileState, id::TaskId, task::state::TaskState};
use panda_engine::{
    feed,
    loops::{self, LoopKind},
};
use panda_ops::task::command;
use panda_store::{
    Batch, IdKind,
    query::{
        dataset::{self, DatasetFile, DatasetRow, input},
        task::file::TaskFile,
    },
};
use serde_json::{Value, json};

use crate::world::{World, alice, prod, prun, with_input, with_output};

fn file(lfn: &str) -> DatasetFile {
    DatasetFile { lfn: lfn.into(), ..DatasetFile::default() }
}
fn named(names: &[&str]) -> Vec<DatasetFile> {
    names.iter().map(|n| file(n)).collect()
}
fn events(files: &[(&str, i64)]) -> Vec<DatasetFile> {
    files.iter().map(|(lfn, n)| DatasetFile { n_events: Some(*n), ..file(lfn) }).collect()
}
/// A task over a data set; `set` changes the input item, `more` the task.
fn over(dataset: &str, set: &Value, more: &Value) -> Value {
    let mut params = with_output(with_input(prun("user.alice.t", 1), dataset, 1), "out.txt");
    for (k, v) in more.as_object().unwrap() {
        match v {
            Value::Null => drop(params.as_object_mut().unwrap().remove(k)),
            v => params[k] = v.clone(),
        }
    }
    let item = params["jobParameters"].as_array_mut().unwrap().iter_mut().find(|i| i["param_type"] == json!("input")).unwrap();
    for (k, v) in set.as_object().unwrap() {
        item[k] = v.clone();
    }
    params
}
fn lfns(rows: &[TaskFile]) -> Vec<&str> {
    rows.iter().map(|r| r.lfn.as_str()).collect()
}
fn ranges(rows: &[TaskFile]) -> Vec<(&str, i64, i64)> {
    rows.iter().map(|r| (r.lfn.as_str(), r.first_event.unwrap(), r.last_event.unwrap())).collect()
}
async fn broken(w: &World, id: TaskId) -> String {
    let t = w.task(id).await;
    assert_eq!(t.state, TaskState::Broken, "{:?}", t.reason);
    t.reason.unwrap()
}
async fn finish_all(w: &World) -> usize {
    let mut n = 0;
    while let Some(job) = w.job().await {
        w.finish(&job, "x").await;
        w.settle().await;
        n += 1;
    }
    n
}

async fn lists_and_containers(w: &World) {
    let (a, b) = (w.files("a", "closed", named(&["a2", "a1"])).await, w.files("b", "closed", named(&["b1", "a1"])).await);
    w.files("c", "closed", named(&["c1"])).await;
    let store = &w.ops.store;
    let id = store.id(IdKind::Row).await.unwrap();
    let mut batch = Batch::new();
    let row = |id, name: &str| DatasetRow {
        id,
        vo: "amber".into(),
        name: name.into(),
        scope: "x".into(),
        state: "closed".into(),
        person_id: None,
        n_files: 0,
        n_bytes: 0,
        created_us: 0,
    };
    dataset::add(&mut batch, &row(id, "container"));
    input::add_part(&mut batch, id, b, 1);
    input::add_part(&mut batch, id, a, 2);
    store.apply(batch).await.unwrap();
    let list = w.submit(over("c,container/", &json!({}), &json!({"taskName": "user.alice.list/"}))).await;
    let skip = w.submit(over("c,container/", &json!({"offset": 2}), &json!({"taskName": "user.alice.skip/", "nFiles": 1}))).await;
    w.settle().await;
    // Data set by data set, constituents in their order, each name once.
    assert_eq!(lfns(&w.rows(list, "IN").await), ["c1", "a1", "b1", "a2"]);
    assert_eq!(lfns(&w.rows(skip, "IN").await), ["b1"], "offset 2, then one file");
    finish_all(w).await;
    assert_eq!(w.task(list).await.state, TaskState::Done);
}

async fn filters_and_files_by_name(w: &World) {
    w.files("d", "closed", named(&["x.1", "x.2", "x.2.log", "y.1"])).await;
    let some = json!({"include": "x,z", "exclude": "log$"});
    let filtered = w.submit(over("d", &some, &json!({"taskName": "user.alice.f/"}))).await;
    let named = w.submit(over("d", &json!({"files": "user.bob:y.1,x.2"}), &json!({"taskName": "user.alice.n/"}))).await;
    let absent = w.submit(over("d", &json!({"files": "y.1,x.9,x.8"}), &json!({"taskName": "user.alice.a/"}))).await;
    let part = json!({"taskName": "user.alice.p/", "allowIncompleteInDS": true});
    let part = w.submit(over("d", &json!({"files": "y.1,x.9"}), &part)).await;
    let none = w.submit(over("d", &json!({"include": "q"}), &json!({"taskName": "user.alice.q/"}))).await;
    w.settle().await;
    assert_eq!(lfns(&w.rows(filtered, "IN").await), ["x.1", "x.2"]);
    assert_eq!(lfns(&w.rows(named, "IN").await), ["x.2", "y.1"]);
    assert_eq!(lfns(&w.rows(part, "IN").await), ["y.1"]);
    let why = "2 of the 3 files asked for are not in d, the first is x.8; leave them out or set `allowIncompleteInDS`";
    assert_eq!(broken(w, absent).await, why);
    assert_eq!(broken(w, none).await, "no file of d matches; check the data set and the filters");
}

async fn orders(w: &World) {
    let mut files = events(&[("a", 7), ("b", 20), ("c", 10), ("d", 9)]);
    for (f, lb) in files.iter_mut().zip([Some(5), None, Some(3), Some(5)]) {
        f.lumiblock = lb;
    }
    w.files("d", "closed", files).await;
    let order = async |name: &str, set: Value, more: Value| {
        let mut more = more;
        more["taskName"] = json!(format!("user.alice.{name}/"));
        let id = w.submit(over("d", &set, &more)).await;
        w.settle().await;
        lfns(&w.rows(id, "IN").await).join("")
    };
    let align = json!({"orderInputBy": "eventsAlignment", "nEventsPerJob": 10, "nFilesPerJob": null});
    let cut = order("align", json!({}), align).await;
    assert_eq!(cut, "bbcadd", "20 and 10 are multiples of 10; then 7 and 9, which share a job");
    assert_eq!(order("lumi", json!({}), json!({"orderByLB": true})).await, "cadb");
    let shuffled = order("random", json!({"random": true}), json!({})).await;
    let mut sorted: Vec<char> = shuffled.chars().collect();
    sorted.sort_unstable();
    assert_eq!(sorted.iter().collect::<String>(), "abcd");
    assert_eq!(order("limit", json!({}), json!({"nEvents": 25})).await, "ab", "no further file after 27 events");
    assert_eq!(order("given", json!({}), json!({"nEvents": 25, "nEventsPerFile": 10})).await, "abc");
}

async fn files_are_cut_by_events(w: &World) {
    w.files("d", "closed", events(&[("a", 70), ("b", 50)])).await;
    w.files("u", "closed", named(&["a"])).await;
    let by = |name: &str, more: Value| {
        let mut more = more;
        more["taskName"] = json!(format!("user.alice.{name}/"));
        more["nFilesPerJob"] = json!(null);
        more
    };
    let every = w.submit(over("d", &json!({}), &by("every", json!({"nEventsPerJob": 30})))).await;
    let target = w.submit(over("d", &json!({}), &by("target", json!({"tgtNumEventsPerJob": 30})))).await;
    let short = w.submit(over("d", &json!({}), &by("short", json!({"nEventsPerJob": 30, "skipShortInput": true})))).await;
    let unknown = w.submit(over("u", &json!({}), &by("unknown", json!({"nEventsPerJob": 30})))).await;
    w.settle().await;
    let rows = w.rows(every, "IN").await;
    assert_eq!(ranges(&rows), [("a", 0, 29), ("a", 30, 59), ("a", 60, 69), ("b", 0, 19), ("b", 20, 49)]);
    assert_eq!(
        rows.iter().map(|r| (r.file_no, r.event_no)).collect::<Vec<_>>(),
        [(1, Some(0)), (1, Some(30)), (1, Some(60)), (2, Some(70)), (2, Some(90))]
    );
    assert_eq!(ranges(&w.rows(target, "IN").await)[..3], [("a", 0, 23), ("a", 24, 47), ("a", 48, 69)]);
    assert_eq!(ranges(&w.rows(short, "IN").await), [("a", 0, 29), ("a", 30, 59), ("b", 0, 29)]);
    assert!(broken(w, unknown).await.starts_with("nobody knows how many events a has"));
}

async fn files_used_by_other_tasks_are_left_out(w: &World) {
    w.files("d", "closed", events(&[("a", 10), ("b", 10), ("c", 10)])).await;
    let first = w.submit(over("d", &json!({"files": "b"}), &json!({"taskName": "user.alice.1/"}))).await;
    w.settle().await;
    let second = w.submit(over("d", &json!({}), &json!({"taskName": "user.alice.2/", "skipFilesUsedBy": first.0.to_string()}))).await;
    let cut = json!({"taskName": "user.alice.3/", "nFilesPerJob": null, "nEventsPerJob": 5, "nEvents": 5});
    let cut = w.submit(over("d", &json!({}), &cut)).await;
    w.settle().await;
    let rest = json!({"taskName": "user.alice.4/", "nFilesPerJob": null, "nEventsPerJob": 5, "skipFilesUsedBy": cut.0.to_string()});
    let rest = w.submit(over("d", &json!({}), &rest)).await;
    let wrong = w.submit(over("d", &json!({}), &json!({"taskName": "user.alice.5/", "skipFilesUsedBy": "77"}))).await;
    w.settle().await;
    assert_eq!(lfns(&w.rows(second, "IN").await), ["a", "c"]);
    assert_eq!(ranges(&w.rows(rest, "IN").await)[0], ("a", 5, 9), "by name and range of events");
    assert_eq!(broken(w, wrong).await, "`skipFilesUsedBy` names task 77, which does not exist");
}

/// One step of a loop, after which this process remembers nothing.
async fn step_and_die(w: &World, kind: LoopKind) {
    loops::step(kind, &w.ops, w.ops.now()).await.unwrap();
    feed::forget(&w.ops);
}

async fn feeding_goes_on_where_a_crash_left_it(w: &World) {
    let names: Vec<String> = (0..11_000).map(|i| format!("f.{i:05}")).collect();
    let all: Vec<&str> = names.iter().map(String::as_str).collect();
    w.files("d", "closed", named(&all[..10_000])).await;
    w.files("e", "closed", named(&all[9_000..])).await;
    let plain = w.submit(over("d", &json!({}), &json!({"taskName": "user.alice.plain/", "nFilesPerJob": 1000}))).await;
    let several = w.submit(over("d,e", &json!({}), &json!({"taskName": "user.alice.several/", "nFilesPerJob": 1000}))).await;
    let shuffled = w.submit(over("d", &json!({"random": true}), &json!({"taskName": "user.alice.random/", "nFilesPerJob": 1000}))).await;
    step_and_die(w, LoopKind::Refine).await;
    let rows = w.rows(plain, "IN").await.len();
    assert!(rows > 0 && rows < 10_000, "a call lists a bounded part: {rows}");
    assert_eq!(w.task(plain).await.state, TaskState::Ready, "jobs are made while it is listed");
    step_and_die(w, LoopKind::Generate).await;
    assert_eq!(w.task(plain).await.state, TaskState::Running);
    for _ in 0..3 {
        step_and_die(w, LoopKind::Refine).await;
    }
    assert_eq!(lfns(&w.rows(plain, "IN").await), all[..10_000]);
    assert_eq!(lfns(&w.rows(several, "IN").await), all, "files of both once");
    let mut found: Vec<String> = w.rows(shuffled, "IN").await.into_iter().map(|r| r.lfn).collect();
    assert_ne!(found, names[..10_000]);
    found.sort();
    assert_eq!(found, names[..10_000]);
    for id in [plain, several, shuffled] {
        let seqs: Vec<i64> = w.rows(id, "IN").await.iter().map(|r| r.seq).collect();
        assert_eq!(seqs, (1..=seqs.len() as i64).collect::<Vec<_>>());
    }
}

async fn a_task_runs_until_its_data_set_is_closed(w: &World) {
    let d = w.files("d", "open", named(&["a"])).await;
    let id = w.submit(over("d", &json!({}), &json!({"runUntilClosed": true, "noInputPooling": true}))).await;
    w.settle().await;
    assert_eq!(finish_all(w).await, 1);
    assert_eq!(w.task(id).await.state, TaskState::Running, "its input may grow");
    w.files("d", "open", named(&["c", "b"])).await;
    w.settle().await;
    assert_eq!(lfns(&w.rows(id, "IN").await), ["a", "b", "c"], "looked at when it changed");
    assert_eq!(finish_all(w).await, 2);
    // Somebody else changed the catalogue behind our back: the period finds it (20.6: 5 min).
    let mut batch = Batch::new();
    dataset::add_file(
        &mut batch,
        &DatasetFile { id: w.ops.store.id(IdKind::Row).await.unwrap(), dataset_id: d, scope: "x".into(), ..file("e") },
    );
    w.ops.store.apply(batch).await.unwrap();
    w.settle().await;
    assert_eq!(w.rows(id, "IN").await.len(), 3);
    w.pass(301);
    w.settle().await;
    assert_eq!(w.rows(id, "IN").await.len(), 4);
    finish_all(w).await;
    let mut batch = Batch::new();
    dataset::set_state(&mut batch, d, "closed");
    w.ops.store.apply(batch).await.unwrap();
    w.settle().await;
    assert_eq!(w.task(id).await.state, TaskState::Done);
    assert_eq!(w.counters(id).await[0].2, 4);
}

async fn an_open_data_set_pools_files_for_whole_jobs(w: &World) {
    w.files("d", "open", named(&["a", "b", "c"])).await;
    w.submit(over("d", &json!({}), &json!({"runUntilClosed": true, "nFilesPerJob": 2}))).await;
    w.settle().await;
    let job = w.job().await.unwrap();
    assert_eq!(job["inFiles"], json!("a,b"));
    assert!(w.job().await.is_none(), "c waits for another file");
    w.files("d", "closed", named(&["d", "e"])).await;
    w.settle().await;
    let mut rest = Vec::new();
    while let Some(job) = w.job().await {
        rest.push(job["inFiles"].as_str().unwrap().to_owned());
    }
    assert_eq!(rest, ["c,d", "e"]);
}

async fn a_child_waits_for_its_parent_or_runs_beside_it(w: &World) {
    let mut params = with_output(prun("user.alice.parent", 2), "out.txt");
    params["taskName"] = json!("user.alice.parent/");
    let parent = w.submit(params).await;
    let child = |name: &str, more: Value| {
        let mut more = more;
        more["taskName"] = json!(format!("user.alice.{name}/"));
        more["parentTaskID"] = json!(parent.0);
        over("user.alice.parent_out.txt/", &json!({}), &more)
    };
    let waits = w.submit(child("waits", json!({}))).await;
    let beside = w.submit(child("beside", json!({"noWaitParent": true, "noInputPooling": true}))).await;
    w.settle().await;
    let t = w.task(waits).await;
    assert_eq!(t.state, TaskState::Pending);
    assert_eq!(
        t.reason.unwrap(),
        format!("waits for its parent task {parent}; it begins when that has ended, or at once with `noWaitParent`")
    );
    let records = panda_store::query::decision::list(&w.ops.store, waits.0).await.unwrap();
    assert!(records.iter().any(|r| r.stage == feed::PARENT_STAGE), "panda why knows");
    let first = w.job().await.unwrap();
    w.finish(&first, "x").await;
    w.settle().await;
    assert_eq!(w.rows(beside, "IN").await.len(), 1, "a part of the parent's output");
    let mut jobs = 0;
    while let Some(job) = w.job().await {
        w.finish(&job, "x").await;
        w.settle().await;
        jobs += 1;
    }
    assert_eq!(jobs, 1 + 2 + 2, "the parent's second, and two of each child");
    for id in [parent, waits, beside] {
        assert_eq!(w.task(id).await.state, TaskState::Done);
    }
    assert_eq!(w.rows(waits, "IN").await.len(), 2);
}

async fn what_is_missing_is_waited_for(w: &World) {
    let waits = w.submit(over("later", &json!({}), &json!({"taskName": "user.alice.w/"}))).await;
    let hours = w.submit(over("never", &json!({}), &json!({"taskName": "user.alice.h/", "waitInput": 2}))).await;
    w.files("there", "closed", named(&["a"])).await;
    let ignores = json!({"taskName": "user.alice.i/", "ignoreMissingInDS": true});
    let ignores = w.submit(over("there,never", &json!({}), &ignores)).await;
    let incomplete = json!({"taskName": "user.alice.p/", "allowIncompleteInDS": true});
    let incomplete = w.submit(over("never,there", &json!({}), &incomplete)).await;
    w.settle().await;
    for id in [waits, hours] {
        assert_eq!(w.task(id).await.state, TaskState::Pending);
    }
    for id in [ignores, incomplete] {
        assert_eq!(lfns(&w.rows(id, "IN").await), ["a"]);
    }
    // Registered: it goes on at once, not after a period.
    w.files("later", "closed", named(&["l"])).await;
    w.settle().await;
    assert_eq!(w.task(waits).await.state, TaskState::Running);
    w.pass(7_300);
    w.settle().await;
    assert_eq!(broken(w, hours).await, "data set never did not appear in VO amber within 2 hours (`waitInput`)");
}

async fn lost_files_and_found_ones(w: &World) {
    let mut files = named(&["a", "b", "c"]);
    files[1].lost = true;
    let d = w.files("d", "closed", files).await;
    let id = w.submit(over("d", &json!({}), &json!({"taskName": "user.alice.w/"}))).await;
    let ignores = w.submit(over("d", &json!({}), &json!({"taskName": "user.alice.i/", "ignoreMissingInDS": true}))).await;
    w.settle().await;
    assert_eq!(w.rows(id, "IN").await.iter().map(|r| r.state).collect::<Vec<_>>()[1], FileState::Lost);
    assert_eq!(finish_all(w).await, 4);
    assert_eq!(w.task(id).await.state, TaskState::Finished, "one file never came");
    assert_eq!(w.task(ignores).await.state, TaskState::Done);
    // Recovered: reload_input takes it up.
    let mut batch = Batch::new();
    input::lose(&mut batch, d, &["b".to_owned()], false);
    input::lose(&mut batch, d, &["c".to_owned()], true);
    w.ops.store.apply(batch).await.unwrap();
    command::reload_input(&w.ops, &alice(), id, false).await.unwrap();
    w.settle().await;
    let job = w.job().await.unwrap();
    assert_eq!(job["inFiles"], json!("b"));
    w.finish(&job, "x").await;
    w.settle().await;
    assert_eq!(w.task(id).await.state, TaskState::Done, "c was done before it was lost");
}

async fn an_empty_input_may_be_allowed(w: &World) {
    w.files("d", "closed", Vec::new()).await;
    let id = w.submit(over("d", &json!({}), &json!({"allowEmptyInput": true}))).await;
    w.settle().await;
    assert_eq!(w.task(id).await.state, TaskState::Finished);
    assert!(w.job().await.is_none());
}

async fn reload_input_takes_new_files_and_failed_ones(w: &World) {
    w.files("d", "closed", named(&["b", "c"])).await;
    let id = w.submit(over("d", &json!({}), &json!({"maxAttempt": 1}))).await;
    w.settle().await;
    let bad = w.job().await.unwrap();
    w.fail(&bad, 1).await;
    w.settle().await;
    assert_eq!(finish_all(w).await, 1);
    assert_eq!(w.task(id).await.state, TaskState::Finished);
    w.files("d", "closed", named(&["a"])).await;
    command::reload_input(&w.ops, &alice(), id, false).await.unwrap();
    w.settle().await;
    let rows = w.rows(id, "IN").await;
    assert_eq!(lfns(&rows), ["b", "c", "a"], "what is new comes behind");
    assert_eq!(finish_all(w).await, 2);
    assert_eq!(w.task(id).await.state, TaskState::Done);
    assert_eq!(w.counters(id).await[0], ("input".into(), "IN".into(), 3, 3, 0));
}

async fn addresses_and_numbers(w: &World) {
    let mut params = with_output(with_input(prun("user.alice.t", 1), "unused", 2), "out.txt");
    params["pfnList"] = json!(["root://h//a^10", "root://h//b", "root://h//c^5"]);
    params["noInput"] = json!(true);
    let items = params["jobParameters"].as_array_mut().unwrap();
    items.retain(|i| i["param_type"] != json!("input"));
    items.insert(4, json!({"type": "constant", "value": "-i \"${IN/T}\""}));
    let id = w.submit(params).await;
    let mut many = prun("user.alice.many", 1_200);
    many["nEventsPerJob"] = json!(2);
    let many = w.submit(many).await;
    w.settle().await;
    let rows = w.rows(id, "IN").await;
    assert_eq!(
        rows.iter().map(|r| (r.lfn.as_str(), r.n_events)).collect::<Vec<_>>(),
        [("root://h//a", Some(10)), ("root://h//b", None), ("root://h//c", Some(5))]
    );
    let rows = w.rows(many, "pseudo").await;
    assert_eq!((rows.len(), rows[599].lfn.as_str(), rows[599].n_events), (600, "pseudo_lfn.000600", Some(2)));
}

/// WH (6.2, 15.1): a task is held up until its input is complete, or somebody releases it.
async fn a_task_is_held_up_until_its_input_is_complete(w: &World) {
    w.files("d", "open", vec![file("a")]).await;
    let submit = async |name: &str, dataset: Option<&str>| {
        let plain = prun(&format!("user.alice.{name}"), 1);
        let mut params = dataset.map_or(plain.clone(), |d| with_input(plain, d, 1));
        params["workflowHoldup"] = json!(true);
        let id = w.submit(params).await;
        w.settle().await;
        id
    };
    let held = async |id| {
        let t = w.task(id).await;
        assert_eq!(t.state, TaskState::Pending);
        t.reason.unwrap()
    };
    let id = submit("t", Some("d")).await;
    assert_eq!(
        held(id).await,
        "it is held up until its input d is complete, which is when that is closed; `task/release` lets it go (`workflowHoldup`)"
    );
    let early = submit("early", Some("d")).await;
    held(early).await;
    command::release(&w.ops, &prod(), early).await.unwrap();
    w.settle().await;
    assert_eq!((w.task(early).await.state, w.rows(early, "IN").await.len()), (TaskState::Running, 1), "released");
    assert_eq!(held(id).await.split(';').count(), 2);
    w.files("d", "closed", vec![file("b")]).await;
    w.settle().await;
    assert_eq!((w.task(id).await.state, w.rows(id, "IN").await.len()), (TaskState::Running, 2));
    // What is complete holds nobody up; what reads nothing waits for a person.
    let whole = submit("whole", Some("d")).await;
    assert_eq!(w.task(whole).await.state, TaskState::Running);
    let none = submit("none", None).await;
    assert_eq!(held(none).await, "it is held up until somebody releases it: `task/release` lets it go (`workflowHoldup`)");
    command::release(&w.ops, &prod(), none).await.unwrap();
    w.settle().await;
    assert_eq!(w.task(none).await.state, TaskState::Running);
}

cases!(
    a_task_is_held_up_until_its_input_is_complete,
    lists_and_containers,
    filters_and_files_by_name,
    orders,
    files_are_cut_by_events,
    files_used_by_other_tasks_are_left_out,
    feeding_goes_on_where_a_crash_left_it,
    a_task_runs_until_its_data_set_is_closed,
    an_open_data_set_pools_files_for_whole_jobs,
    a_child_waits_for_its_parent_or_runs_beside_it,
    what_is_missing_is_waited_for,
    lost_files_and_found_ones,
    an_empty_input_may_be_allowed,
    reload_input_takes_new_files_and_failed_ones,
    addresses_and_numbers,
);
