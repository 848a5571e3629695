//! A DAG of jobs: nodes run when those that they depend on have ended as they ask; who cannot run says because of whom; nothing is told twice or lost,
//! whatever happens between.

use std::collections::BTreeMap;

use panda_core::{file::FileState, id::TaskId, task::state::TaskState};
use panda_engine::loops::LoopKind;
use panda_ops::task::command::{self, Retry};
use panda_store::testing::Backend;
use serde_json::{Value, json};

use crate::world::{World, alice, prun, with_output};

/// A line: name, and what it depends on (`b`, or `b:end`).
fn line(name: &str, after: &[&str]) -> String {
    let after: Vec<Value> = after
        .iter()
        .map(|a| match a.split_once(':') {
            Some((node, on)) => json!({"node": node, "on": on}),
            None => json!(a),
        })
        .collect();
    json!({"name": name, "args": format!("--node {name}"), "after": after}).to_string()
}
/// Submits these lines as a DAG whose nodes are tried once.
async fn submit(w: &World, name: &str, lines: &[String]) -> TaskId {
    submit_with(w, name, lines, |_| {}).await
}
async fn submit_with(w: &World, name: &str, lines: &[String], change: impl FnOnce(&mut Value)) -> TaskId {
    let file = format!("{name}.jsonl");
    std::fs::write(w.ops.blobs.cache_path(&file).unwrap(), lines.join("\n")).unwrap();
    let mut params = with_output(prun(name, 1), "out.txt");
    let map = params.as_object_mut().unwrap();
    for key in ["noInput", "nEvents", "nEventsPerJob"] {
        map.remove(key);
    }
    map.insert("dag".into(), json!(file));
    map.insert("maxAttempt".into(), json!(1));
    let items = map["jobParameters"].as_array_mut().unwrap();
    items.retain(|i| i["param_type"] != json!("pseudo_input"));
    items.push(json!({"type": "constant", "value": "@${NODE}@ ${ARGS}"}));
    change(&mut params);
    let id = w.submit(params).await;
    w.settle().await;
    id
}
/// The node of a job, from its command line.
fn node(job: &Value) -> String {
    let pars = job["jobPars"].as_str().unwrap();
    let name = pars.split('@').nth(1).unwrap().to_owned();
    assert!(pars.contains(&format!("@{name}@ --node {name}")), "{pars}");
    assert!(job["jobName"].as_str().unwrap().ends_with(&format!(".{name}")), "{}", job["jobName"]);
    name
}
/// Takes the jobs that are there.
async fn take(w: &World) -> Vec<(String, Value)> {
    let mut jobs = Vec::new();
    while let Some(job) = w.job().await {
        jobs.push((node(&job), job));
    }
    jobs.sort_by(|a, b| a.0.cmp(&b.0));
    jobs
}
/// Runs all jobs that are there; those named fail. Names of all of them.
async fn round(w: &World, fails: &[&str]) -> String {
    let jobs = take(w).await;
    for (name, job) in &jobs {
        if fails.contains(&name.as_str()) { w.fail(job, 7).await } else { w.finish(job, name).await }
    }
    w.settle().await;
    jobs.into_iter().map(|(name, _)| name).collect::<Vec<_>>().join(" ")
}
/// Runs all until nothing is left.
async fn run(w: &World, fails: &[&str]) -> Vec<String> {
    let mut rounds = Vec::new();
    loop {
        let names = round(w, fails).await;
        if names.is_empty() {
            return rounds;
        }
        rounds.push(names);
    }
}
async fn states(w: &World, id: TaskId) -> BTreeMap<String, FileState> {
    w.rows(id, "dag").await.into_iter().map(|f| (f.lfn, f.state)).collect()
}
async fn why(w: &World, id: TaskId) -> String {
    let said = panda_ops::why::task::why(&w.ops, &alice(), id).await.unwrap();
    said["because"].as_array().unwrap().iter().map(|s| s.as_str().unwrap().to_owned()).collect::<Vec<_>>().join("\n")
}
async fn again(w: &World, id: TaskId) {
    assert_eq!(command::retry(&w.ops, &alice(), id, &Retry::default()).await.unwrap().code, 0);
    w.settle().await;
}
fn diamond() -> Vec<String> {
    vec![
        line("report", &["left", "right:end"]),
        line("left", &["start"]),
        line("right", &["start"]),
        line("start", &[]),
        line("alone", &[]),
        line("mop", &["right:failure"]),
        line("after", &["report"]),
    ]
}

async fn nodes_run_when_those_they_depend_on_have_ended(w: &World) {
    let id = submit(w, "user.alice.a", &diamond()).await;
    let said = why(w, id).await;
    assert!(said.contains("5 nodes of its DAG wait for others; the first is left, for the success of start (running)"), "{said}");
    assert_eq!(run(w, &[]).await, ["alone start", "left right", "report", "after"]);
    assert_eq!(w.task(id).await.state, TaskState::Done, "what is not needed is no failure");
    assert_eq!(states(w, id).await["mop"], FileState::Unneeded);
    assert_eq!(w.counters(id).await[0], ("pseudo_input".into(), "dag".into(), 7, 7, 0));
}

async fn a_failed_node_holds_only_what_depends_on_it(w: &World) {
    let id = submit(w, "user.alice.b", &diamond()).await;
    assert_eq!(run(w, &["left"]).await, ["alone start", "left right"]);
    let got = states(w, id).await;
    assert_eq!((got["report"], got["after"], got["mop"]), (FileState::Blocked, FileState::Blocked, FileState::Unneeded));
    assert_eq!(w.task(id).await.state, TaskState::Finished);
    let said = why(w, id).await;
    assert!(said.contains("2 nodes cannot run because node left failed, job/"), "{said}");
    // What depended on it waits again, and nothing else.
    again(w, id).await;
    assert_eq!(w.task(id).await.state, TaskState::Running);
    assert_eq!(run(w, &[]).await, ["left", "report", "after"]);
    assert_eq!(w.task(id).await.state, TaskState::Done);
}

async fn who_waits_for_a_failure_runs_after_one(w: &World) {
    let id = submit(w, "user.alice.c", &diamond()).await;
    assert_eq!(run(w, &["right"]).await, ["alone start", "left right", "mop report", "after"]);
    assert_eq!(w.task(id).await.state, TaskState::Finished);
    // It failed, and when it is tried again and ends well, what ran because of the failure has run.
    again(w, id).await;
    assert_eq!(run(w, &[]).await, ["right"]);
    assert_eq!(w.task(id).await.state, TaskState::Done);
    // Whoever cannot run counts as a failure for those who wait for one.
    let id =
        submit(w, "user.alice.d", &[line("a", &[]), line("b", &["a"]), line("mop", &["b:failure"]), line("c", &["mop", "b:end"])]).await;
    assert_eq!(run(w, &["a"]).await, ["a", "mop", "c"]);
    again(w, id).await;
    assert_eq!(run(w, &[]).await, ["a", "b"], "c and mop ended well before");
    assert_eq!(w.task(id).await.state, TaskState::Done);
}

async fn a_killed_node_is_tried_again_as_its_attempts_say(w: &World) {
    let id = submit_with(w, "user.alice.k", &[line("a", &[]), line("b", &["a"])], |p| p["maxAttempt"] = json!(2)).await;
    assert_eq!(round(w, &["a"]).await, "a");
    assert_eq!(states(w, id).await["b"], FileState::Pending, "it may still end well");
    assert_eq!(run(w, &[]).await, ["a", "b"]);
    assert_eq!(w.task(id).await.state, TaskState::Done);
}

async fn a_killed_dag_takes_up_where_it_was(w: &World) {
    let id = submit(w, "user.alice.e", &diamond()).await;
    assert_eq!(round(w, &[]).await, "alone start");
    command::kill(&w.ops, &alice(), id).await.unwrap();
    w.settle().await;
    assert_eq!(w.task(id).await.state, TaskState::Aborted);
    assert!(take(w).await.is_empty());
    let got = states(w, id).await;
    assert!(["left", "right", "report", "after", "mop"].iter().all(|n| got[*n] != FileState::Pending), "{got:?}");
    // Finishing early keeps what is done; a retry counts anew what everybody waits for.
    let id = submit(w, "user.alice.f", &diamond()).await;
    assert_eq!(round(w, &[]).await, "alone start");
    command::finish(&w.ops, &alice(), id, false).await.unwrap();
    w.settle().await;
    assert_eq!(w.task(id).await.state, TaskState::Finished);
    again(w, id).await;
    assert_eq!(run(w, &[]).await, ["left right", "report", "after"]);
    assert_eq!(w.task(id).await.state, TaskState::Done);
}

async fn a_retry_in_place_takes_failed_nodes_up(w: &World) {
    let id = submit(w, "user.alice.g", &diamond()).await;
    assert_eq!(run(w, &["start"]).await, ["alone start", "mop"]);
    assert_eq!(w.task(id).await.state, TaskState::Finished, "nothing is left to run");
    again(w, id).await;
    let jobs = take(w).await;
    assert_eq!(jobs.len(), 1);
    w.finish(&jobs[0].1, "x").await;
    w.settle().await;
    let jobs = take(w).await;
    w.fail(&jobs[0].1, 7).await;
    w.settle().await;
    // `right` still runs, `left` failed and blocks nobody yet who does not wait for `right`, too.
    again(w, id).await;
    assert_eq!(round(w, &[]).await, "left");
    w.finish(&jobs[1].1, "x").await;
    w.settle().await;
    assert_eq!(run(w, &[]).await, ["report", "after"]);
    assert_eq!(w.task(id).await.state, TaskState::Done);
}

/// More dependants than a batch has, pages of nodes than one, and dependencies of one node than a list has.
async fn a_wide_dag(w: &World) {
    let names: Vec<String> = (0..1_300).map(|n| format!("n{n:04}")).collect();
    let mut lines = vec![line("first", &[])];
    lines.extend(names.iter().map(|n| line(n, &["first"])));
    lines.push(line("last", &names.iter().map(String::as_str).collect::<Vec<_>>()));
    let id = submit(w, "user.alice.h", &lines).await;
    assert_eq!(round(w, &[]).await, "first");
    let got = states(w, id).await;
    assert_eq!(got.values().filter(|s| **s == FileState::Running).count(), 1_300);
    assert_eq!(got["last"], FileState::Pending);
    command::kill(&w.ops, &alice(), id).await.unwrap();
    w.settle().await;
    assert_eq!(w.counters(id).await[0], ("pseudo_input".into(), "dag".into(), 1_302, 1, 1_301));
    // One that all depend on fails: all cannot run, and so on.
    let id = submit(w, "user.alice.i", &lines).await;
    assert_eq!(run(w, &["first"]).await, ["first"]);
    assert_eq!(w.counters(id).await[0], ("pseudo_input".into(), "dag".into(), 1_302, 0, 1_302));
    assert!(why(w, id).await.contains("1301 nodes cannot run because node first failed"));
    again(w, id).await;
    let got = states(w, id).await;
    assert_eq!(got.values().filter(|s| **s == FileState::Pending).count(), 1_301);
}

/// Random DAGs with random ends, against what the types of their dependencies say.
async fn every_end_is_told_once(w: &World) {
    let mut seed = 7u64;
    let mut random = move |n: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % n
    };
    for dag in 0..4 {
        let n = 40;
        let name = |i: u64| format!("n{i:03}");
        let on: Vec<Vec<(u64, &str)>> = (0..n)
            .map(|i| {
                let mut on = BTreeMap::new();
                for _ in 0..random(4).min(i) {
                    on.insert(random(i), ["success", "success", "end", "failure"][usize::try_from(random(4)).unwrap()]);
                }
                on.into_iter().collect()
            })
            .collect();
        let fails: Vec<String> = (0..n).filter(|_| random(4) == 0).map(name).collect();
        let mut lines: Vec<String> = (0..n)
            .map(|i| {
                let after: Vec<String> = on[usize::try_from(i).unwrap()].iter().map(|(p, kind)| format!("{}:{kind}", name(*p))).collect();
                line(&name(i), &after.iter().map(String::as_str).collect::<Vec<_>>())
            })
            .collect();
        lines.reverse();
        let id = submit(w, &format!("user.alice.r{dag}"), &lines).await;
        let fails: Vec<&str> = fails.iter().map(String::as_str).collect();
        let ran = run(w, &fails).await;
        let mut want: BTreeMap<String, FileState> = BTreeMap::new();
        for i in 0..n {
            let mut state = if fails.contains(&name(i).as_str()) { FileState::Failed } else { FileState::Finished };
            let ends: Vec<(FileState, &str)> = on[usize::try_from(i).unwrap()].iter().map(|(p, kind)| (want[&name(*p)], *kind)).collect();
            let bad = |s: FileState| matches!(s, FileState::Failed | FileState::Blocked);
            if ends.iter().any(|(s, kind)| *kind == "success" && bad(*s)) {
                state = FileState::Blocked;
            } else if ends.iter().any(|(s, kind)| *kind != "end" && (*s == FileState::Unneeded || (*kind == "failure" && !bad(*s)))) {
                state = FileState::Unneeded;
            }
            want.insert(name(i), state);
        }
        assert_eq!(states(w, id).await, want, "{lines:#?} {ran:?}");
        let jobs = ran.iter().flat_map(|r| r.split(' ')).count();
        let expected = want.values().filter(|s| matches!(s, FileState::Finished | FileState::Failed)).count();
        assert_eq!(jobs, expected, "each node that runs is one job");
        // Taken up again, with nothing failing: what failed, and what could not run, runs as far as it is needed.
        if want.values().any(|s| *s == FileState::Failed) {
            again(w, id).await;
            run(w, &[]).await;
            let got = states(w, id).await;
            assert!(got.values().all(|s| matches!(s, FileState::Finished | FileState::Unneeded)), "{got:?}");
            assert_eq!(w.task(id).await.state, TaskState::Done);
        }
    }
}

async fn a_wrong_dag_is_told_with_its_line(w: &World) {
    let id = submit(w, "user.alice.w", &[line("a", &["b"]), line("b", &["a"])]).await;
    let t = w.task(id).await;
    assert_eq!(t.state, TaskState::Broken);
    assert_eq!(
        t.reason.as_deref(),
        Some("the DAG user.alice.w.jsonl has a cycle: a depends on b depends on a again; leave out one of these dependencies")
    );
    let id = submit_with(w, "user.alice.x", &[line("a", &[])], |p| p["dag"] = json!("not.there")).await;
    assert!(w.task(id).await.reason.unwrap().contains("not.there cannot be opened"));
    let params = |change: fn(&mut Value)| {
        let mut p = prun("user.alice.y", 1);
        p.as_object_mut().unwrap().insert("dag".into(), json!("x.jsonl"));
        change(&mut p);
        p
    };
    for (p, want) in [
        (params(|_| {}), "parameter `nEvents`: is given beside `dag`, where each node is one job; leave it out"),
        (
            params(|p| drop(p.as_object_mut().unwrap().insert("dag".into(), json!("../x")))),
            "give the name under which the file was uploaded",
        ),
    ] {
        let refused = panda_ops::task::submit::submit(&w.ops, &alice(), p, None).await.unwrap_err().to_string();
        assert!(refused.contains(want), "{refused}");
    }
}

cases!(
    nodes_run_when_those_they_depend_on_have_ended,
    a_failed_node_holds_only_what_depends_on_it,
    who_waits_for_a_failure_runs_after_one,
    a_killed_node_is_tried_again_as_its_attempts_say,
    a_killed_dag_takes_up_where_it_was,
    a_retry_in_place_takes_failed_nodes_up,
    a_wide_dag,
    every_end_is_told_once,
    a_wrong_dag_is_told_with_its_line,
);

/// A process that dies while a DAG is listed: the next one goes on behind the rows that are there, and nobody is told before all are.
#[tokio::test]
async fn a_dag_that_is_listed_in_part() {
    let mut w = World::on(Backend::Sqlite).await;
    let lines: Vec<String> = (0..12_000).map(|n| line(&format!("n{n:05}"), if n == 0 { &[] } else { &["n00000"] })).collect();
    let file = "d.jsonl";
    std::fs::write(w.ops.blobs.cache_path(file).unwrap(), lines.join("\n")).unwrap();
    let mut params = prun("user.alice.z", 1);
    let map = params.as_object_mut().unwrap();
    for key in ["noInput", "nEvents", "nEventsPerJob"] {
        map.remove(key);
    }
    map.insert("dag".into(), json!(file));
    map["jobParameters"].as_array_mut().unwrap().retain(|i| i["param_type"] != json!("pseudo_input"));
    map["jobParameters"].as_array_mut().unwrap().push(json!({"type": "constant", "value": "@${NODE}@ ${ARGS}"}));
    let id = w.submit(params).await;
    let step = async |w: &World, kind: LoopKind| panda_engine::loops::step(kind, &w.ops, w.ops.now()).await.unwrap();
    assert!(step(&w, LoopKind::Refine).await.more, "it takes more than one step");
    w.reopen().await;
    step(&w, LoopKind::Generate).await;
    let jobs = take(&w).await;
    assert_eq!(jobs.len(), 1);
    w.finish(&jobs[0].1, "x").await;
    step(&w, LoopKind::Finish).await;
    step(&w, LoopKind::Dag).await;
    assert!(w.rows(id, "dag").await.iter().skip(1).all(|f| f.state == FileState::Pending));
    w.settle_without(&[LoopKind::Generate]).await;
    let rows = w.rows(id, "dag").await;
    assert_eq!((rows.len(), rows.iter().filter(|f| f.state == FileState::Ready).count()), (12_000, 11_999));
    assert!(rows.iter().zip(1..).all(|(f, n)| f.seq == n && f.lfn == format!("n{:05}", n - 1)));
    w.close().await;
}

/// One that is finished while it is listed: a retry lists the rest of it.
#[tokio::test]
async fn a_dag_that_is_finished_before_it_is_listed() {
    let w = World::on(Backend::Sqlite).await;
    let lines: Vec<String> = (0..10_000).map(|n| line(&format!("n{n:05}"), if n == 0 { &[] } else { &["n00000"] })).collect();
    std::fs::write(w.ops.blobs.cache_path("e.jsonl").unwrap(), lines.join("\n")).unwrap();
    let mut params = prun("user.alice.cut", 1);
    let map = params.as_object_mut().unwrap();
    for key in ["noInput", "nEvents", "nEventsPerJob"] {
        map.remove(key);
    }
    map.insert("dag".into(), json!("e.jsonl"));
    let id = w.submit(params).await;
    panda_engine::loops::step(LoopKind::Refine, &w.ops, w.ops.now()).await.unwrap();
    assert_eq!(w.rows(id, "dag").await.len(), 9_600);
    command::finish(&w.ops, &alice(), id, false).await.unwrap();
    w.settle().await;
    assert!(w.task(id).await.state.is_final());
    again(&w, id).await;
    let got = states(&w, id).await;
    assert_eq!((got.len(), got.values().filter(|s| **s == FileState::Pending).count()), (10_000, 9_999));
    w.close().await;
}
