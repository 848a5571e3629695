//! Whole tasks, from submission to their final state.

use panda_core::{id::TaskId, task::state::TaskState};
use panda_ops::{
    pilot::acquire::{Ask, acquire},
    task,
};
use serde_json::json;

use crate::world::{World, alice, pilot, prun, with_input, with_output};

async fn no_input_runs_to_done(w: &World) {
    let id = w.submit(with_output(prun("user.alice.t", 2), "out.txt")).await;
    w.settle().await;
    assert_eq!(w.task(id).await.state, TaskState::Running);
    let first = w.job().await.unwrap();
    assert_eq!(
        first["jobPars"],
        json!(format!(
            "-j \"\" --sourceURL http://127.0.0.1:35080 -r . -a jobO.x.tar.gz -o \"{{'out.txt': 'user.alice.{id}._000001.out.txt'}}\" -p \"echo%20hello%20101\""
        ))
    );
    assert_eq!(first["transformation"], json!("http://127.0.0.1:25080/trf/user/runGen-00-00-02"));
    assert_eq!(first["outFiles"], json!(format!("user.alice.{id}._000001.out.txt,user.alice.t.log.{id}.000001.log.tgz")));
    assert_eq!(first["inFiles"], json!(""));
    assert_eq!((&first["StatusCode"], &first["attemptNr"], &first["taskID"]), (&json!(0), &json!(0), &json!(id.0)));
    w.finish(&first, "hello 101\n").await;
    let second = w.job().await.unwrap();
    assert!(second["jobPars"].as_str().unwrap().ends_with("-p \"echo%20hello%20102\""), "{}", second["jobPars"]);
    w.finish(&second, "hello 102\n").await;
    assert!(w.job().await.is_none());
    w.settle().await;
    assert_eq!(w.task(id).await.state, TaskState::Done);
    assert_eq!(
        w.counters(id).await,
        [
            ("pseudo_input".into(), "pseudo".into(), 2, 2, 0),
            ("output".into(), "OUTPUT0".into(), 2, 2, 0),
            ("log".into(), "LOG0".into(), 2, 2, 0)
        ]
    );
    let registered = panda_store::query::dataset::by_name(&w.ops.store, "amber", "user.alice.t_out.txt").await.unwrap().unwrap();
    assert_eq!((registered.n_files, registered.n_bytes), (2, 20));
}

async fn inputs_are_split_and_accounted(w: &World) {
    w.dataset("user.bob.in", &["f1", "f2", "f3", "f4", "f5", "x.log.tgz"]).await;
    let id = w.submit(with_output(with_input(prun("user.alice.t", 1), "user.bob:user.bob.in/", 2), "out.root")).await;
    w.settle().await;
    let mut seen = Vec::new();
    while let Some(job) = w.job().await {
        seen.push(job["inFiles"].as_str().unwrap().to_owned());
        assert!(
            job["jobPars"].as_str().unwrap().contains(&format!("-i \"['{}']\"", job["inFiles"].as_str().unwrap().replace(',', "', '")))
        );
        assert_eq!(job["scopeIn"].as_str().unwrap().split(',').next(), Some("user.bob"));
        w.finish(&job, "x").await;
    }
    assert_eq!(seen, ["f1,f2", "f3,f4", "f5"]);
    w.settle().await;
    assert_eq!(w.task(id).await.state, TaskState::Done);
    assert_eq!(w.counters(id).await[0], ("input".into(), "IN".into(), 5, 5, 0));
}

async fn a_failing_file_is_tried_to_its_limit(w: &World) {
    let mut params = with_output(prun("user.alice.t", 2), "out.txt");
    params["maxAttempt"] = json!(2);
    let id = w.submit(params).await;
    w.settle().await;
    let good = w.job().await.unwrap();
    w.finish(&good, "x").await;
    for serial in ["000002", "000003"] {
        let job = w.job().await.unwrap();
        assert!(job["outFiles"].as_str().unwrap().contains(serial), "a retry has a new serial: {}", job["outFiles"]);
        assert!(job["jobPars"].as_str().unwrap().contains("hello%20102"), "a retry keeps its number");
        w.fail(&job, 3).await;
        w.settle().await;
    }
    assert!(w.job().await.is_none());
    let t = w.task(id).await;
    assert_eq!(t.state, TaskState::Finished);
    assert_eq!(w.counters(id).await[0], ("pseudo_input".into(), "pseudo".into(), 2, 1, 1));
    // A retry gives further attempts, and the task can still become done.
    task::command::retry(&w.ops, &alice(), id, &task::command::Retry::default()).await.unwrap();
    w.settle().await;
    let job = w.job().await.unwrap();
    w.finish(&job, "x").await;
    w.settle().await;
    assert_eq!(w.task(id).await.state, TaskState::Done);
    assert_eq!(w.counters(id).await[0], ("pseudo_input".into(), "pseudo".into(), 2, 2, 0));
}

async fn run_jobs_wait_for_the_library(w: &World) {
    let mut params = with_output(prun("user.alice.t", 2), "out.txt");
    params["buildSpec"] = json!({"prodSourceLabel": "panda", "archiveName": "sources.x.tar.gz", "jobParameters": "-i ${IN} -o ${OUT} --sourceURL ${SURL} -r . --bexec \"make\" "});
    params["jobParameters"][3] = json!({"type": "constant", "value": "-l ${LIB}"});
    let id = w.submit(params).await;
    w.settle().await;
    let build = w.job().await.unwrap();
    assert!(build["transformation"].as_str().unwrap().ends_with("/trf/user/buildGen-00-00-01"));
    assert_eq!(build["prodSourceLabel"], json!("panda"));
    let lib = build["outFiles"].as_str().unwrap().split(',').next().unwrap().to_owned();
    assert!(lib.contains(".lib.") && lib.ends_with(".lib.tgz"), "{lib}");
    assert!(
        build["jobPars"]
            .as_str()
            .unwrap()
            .starts_with(&format!("-i sources.x.tar.gz -o {lib} --sourceURL http://127.0.0.1:35080 -r . --bexec \"make\""))
    );
    assert!(w.job().await.is_none(), "run jobs wait");
    w.finish(&build, "lib").await;
    w.settle().await;
    for _ in 0..2 {
        let job = w.job().await.unwrap();
        assert_eq!(
            (job["inFiles"].as_str().unwrap(), &job["scopeIn"], &job["prodDBlockToken"]),
            (lib.as_str(), &json!("panda"), &json!("local"))
        );
        assert!(job["jobPars"].as_str().unwrap().contains(&format!("-l {lib}")));
        w.finish(&job, "x").await;
    }
    w.settle().await;
    assert_eq!(w.task(id).await.state, TaskState::Done);
}

async fn a_failed_build_fails_its_dependents_and_is_tried_again(w: &World) {
    let mut params = prun("user.alice.t", 1);
    params["buildSpec"] = json!({"prodSourceLabel": "panda", "archiveName": "sources.x.tar.gz", "jobParameters": "-i ${IN} -o ${OUT} --sourceURL ${SURL} -r ."});
    params["jobParameters"][3] = json!({"type": "constant", "value": "-l ${LIB}"});
    let id = w.submit(params).await;
    for _ in 0..3 {
        w.settle().await;
        let build = w.job().await.unwrap();
        assert!(build["transformation"].as_str().unwrap().contains("buildGen"));
        w.fail(&build, 2).await;
    }
    w.settle().await;
    assert!(w.job().await.is_none());
    assert_eq!(w.task(id).await.state, TaskState::Failed);
}

async fn outputs_are_merged(w: &World) {
    let mut params = with_output(prun("user.alice.t", 3), "out.txt");
    params["mergeOutput"] = json!(true);
    params["mergeSpec"] =
        json!({"useLocalIO": 1, "jobParameters": "-r . -a jobO.x.tar.gz --sourceURL ${SURL} ${TRN_OUTPUT:OUTPUT} ${TRN_LOG:LOG}"});
    let id = w.submit(params).await;
    w.settle().await;
    let mut um = Vec::new();
    for n in 1..=3 {
        let job = w.job().await.unwrap();
        let name = format!("panda.um.user.alice.{id}._00000{n}.out.txt");
        assert!(job["jobPars"].as_str().unwrap().contains(&format!("-o \"{{'out.txt': '{name}'}}\"")), "{}", job["jobPars"]);
        assert!(job["outFiles"].as_str().unwrap().starts_with(&name));
        um.push(name);
        w.finish(&job, &"x".repeat(4 - n)).await;
        w.settle().await;
    }
    let merge = w.job().await.unwrap();
    assert!(merge["transformation"].as_str().unwrap().ends_with("/trf/user/runMerge-00-00-02"));
    assert_eq!(merge["processingType"], json!("pmerge"));
    let pars = merge["jobPars"].as_str().unwrap();
    assert!(pars.contains(&format!("{}:user.alice.{id}._000001.out.txt", um.join(","))), "{pars}");
    assert!(merge["inFiles"].as_str().unwrap().contains(&um[2]));
    // A merge that fails is tried again with the same files.
    w.fail(&merge, 18).await;
    w.settle().await;
    let merge = w.job().await.unwrap();
    assert!(merge["jobPars"].as_str().unwrap().contains(&um.join(",")));
    w.finish(&merge, "xxxxxx").await;
    w.settle().await;
    assert_eq!(w.task(id).await.state, TaskState::Done);
    let counters = w.counters(id).await;
    assert_eq!(counters[0], ("pseudo_input".into(), "pseudo".into(), 3, 3, 0));
    assert!(counters.contains(&("trn_output".into(), "OUTPUT0".into(), 3, 3, 0)), "{counters:?}");
    let merged = panda_store::query::dataset::by_name(&w.ops.store, "amber", "user.alice.t_out.txt").await.unwrap().unwrap();
    assert_eq!((merged.n_files, merged.n_bytes), (1, 6));
}

async fn an_output_counts_only_when_it_is_there(w: &World) {
    let mut params = with_output(prun("user.alice.t", 1), "out.txt");
    params["maxAttempt"] = json!(1);
    let id = w.submit(params).await;
    w.settle().await;
    let job = w.job().await.unwrap();
    let report = w.store(&job, "hello").replace("\"fsize\":5", "\"fsize\":6");
    w.report(&job, panda_core::job::report::Reported::Finished, |u| u.report = Some(report)).await;
    w.settle().await;
    assert_eq!(w.task(id).await.state, TaskState::Failed);
    let jobs = panda_store::query::job::list::of_task(&w.ops.store, id, panda_core::id::JobId(0), 10).await.unwrap();
    assert!(jobs[0].diag.as_deref().unwrap().contains("5 bytes at file://localhost"), "{:?}", jobs[0].diag);
}

async fn a_kill_ends_queued_jobs_at_once_and_tells_pilots(w: &World) {
    let id = w.submit(prun("user.alice.t", 3)).await;
    w.settle().await;
    let job = w.job().await.unwrap();
    w.report(&job, panda_core::job::report::Reported::Running, |_| {}).await;
    task::command::kill(&w.ops, &alice(), id).await.unwrap();
    w.settle().await;
    assert_eq!(w.task(id).await.state, TaskState::Aborting);
    assert!(w.job().await.is_none());
    let answer = w.report(&job, panda_core::job::report::Reported::Running, |_| {}).await;
    assert_eq!(answer, "tobekilled");
    w.fail(&job, 1).await;
    w.settle().await;
    assert_eq!(w.task(id).await.state, TaskState::Aborted);
}

async fn a_missing_data_set_holds_the_task_with_its_reason(w: &World) {
    let id = w.submit(with_input(prun("user.alice.t", 1), "user.bob.later/", 1)).await;
    w.settle().await;
    let t = w.task(id).await;
    assert_eq!(t.state, TaskState::Pending);
    assert!(t.reason.unwrap().contains("data set user.bob.later/ does not exist in VO amber; register it with `panda dataset add"));
    w.dataset("user.bob.later", &["f1"]).await;
    w.pass(120);
    w.settle().await;
    assert_eq!(w.task(id).await.state, TaskState::Running);
}

async fn what_no_queue_can_do_is_held_with_the_funnel(w: &World) {
    let id = w.submit_too_big("user.alice.t", 9_000).await;
    w.settle().await;
    let t = w.task(id).await;
    assert_eq!(t.state, TaskState::Pending);
    assert_eq!(
        t.reason.as_deref(),
        Some(
            "no queue of 1 can take it: 1 not for jobs of 9000 MB of memory (LOCAL); with 4444 MB of memory instead of 9000: 1 more queue (LOCAL)"
        )
    );
}

/// A task whose only queue was not online does not wait for the next look when it is again.
async fn what_waited_for_an_offline_queue_goes_on_at_once(w: &World) {
    w.set_queue("LOCAL", json!({"state": "offline"})).await;
    let id = w.submit(prun("user.alice.t", 1)).await;
    w.settle().await;
    let t = w.task(id).await;
    assert_eq!(t.state, TaskState::Pending);
    assert!(t.reason.as_deref().unwrap().contains("1 not online (LOCAL)"), "{:?}", t.reason);
    let mut woken = w.ops.store.wake().subscribe(panda_engine::loops::LoopKind::Watch.topics()[0]);
    woken.mark_unchanged();
    w.set_queue("LOCAL", json!({"site": "ELSEWHERE"})).await;
    w.settle().await;
    assert_eq!((w.task(id).await.rev, woken.has_changed().unwrap()), (t.rev, false), "nobody looks before it is online");
    w.set_queue("LOCAL", json!({"state": "online"})).await;
    assert!(woken.has_changed().unwrap(), "the loop is woken");
    w.settle().await;
    assert_eq!(w.task(id).await.state, TaskState::Running);
    went_on(w, id, "queue LOCAL is online again").await;
}

async fn went_on(w: &World, id: TaskId, why: &str) {
    let events = panda_store::query::task::list::events(&w.ops.store, id).await.unwrap();
    assert!(events.iter().any(|e| e.reason.as_deref() == Some(why)), "{events:?}");
}

/// Nor does one that no queue could take when a queue is added that can, or one is changed so that it can.
async fn what_no_queue_could_take_goes_on_with_a_new_or_larger_one(w: &World) {
    let mut params = prun("user.alice.large", 1);
    params["ramCount"] = json!(3000);
    w.set_queue("LOCAL", json!({"cores": 8})).await;
    let (large, many) = (w.submit(params.clone()).await, {
        params["taskName"] = json!("user.alice.many/");
        params["coreCount"] = json!(4);
        w.submit(params).await
    });
    w.set_queue("LOCAL", json!({"cores": 1, "max_ram_mb": 1000})).await;
    w.settle().await;
    for id in [large, many] {
        assert_eq!(w.task(id).await.state, TaskState::Pending, "{:?}", w.task(id).await.reason);
    }
    w.pass(1);
    w.settle().await;
    assert_eq!(w.task(large).await.state, TaskState::Pending);
    w.set_queue("LOCAL", json!({"max_ram_mb": 4000})).await;
    w.settle().await;
    assert_eq!(w.task(large).await.state, TaskState::Running, "{:?}", w.task(large).await.reason);
    went_on(w, large, "queue LOCAL was added or changed").await;
    assert_eq!(w.task(many).await.state, TaskState::Pending);
    w.pass(1);
    let values = json!({"cores": 8, "max_ram_mb": 64_000});
    panda_ops::queue::change::add(&w.ops, &crate::world::operator(), "WIDE", None, values.as_object().unwrap()).await.unwrap();
    w.settle().await;
    assert_eq!(w.task(many).await.state, TaskState::Running, "{:?}", w.task(many).await.reason);
    went_on(w, many, "queue WIDE was added or changed").await;
}

async fn a_silent_pilot_loses_its_job(w: &World) {
    let id = w.submit(prun("user.alice.t", 1)).await;
    w.settle().await;
    let job = w.job().await.unwrap();
    w.report(&job, panda_core::job::report::Reported::Running, |_| {}).await;
    w.pass(7_300);
    w.settle().await;
    let again = w.job().await.unwrap();
    assert_ne!(again["PandaID"], job["PandaID"]);
    let answer = w.report(&job, panda_core::job::report::Reported::Running, |_| {}).await;
    assert_eq!(answer, "tobekilled");
    w.finish(&again, "x").await;
    w.settle().await;
    assert_eq!(w.task(id).await.state, TaskState::Done);
}

async fn a_lost_worker_spends_no_attempt(w: &World) {
    let mut params = prun("user.alice.t", 1);
    params["maxAttempt"] = json!(1);
    let id = w.submit(params).await;
    for _ in 0..3 {
        w.settle().await;
        let job = w.job().await.unwrap();
        w.report(&job, panda_core::job::report::Reported::Running, |_| {}).await;
        w.report(&job, panda_core::job::report::Reported::Failed, |u| u.sub_state = Some("lost_worker".into())).await;
    }
    w.settle().await;
    let job = w.job().await.unwrap();
    w.finish(&job, "x").await;
    w.settle().await;
    assert_eq!(w.task(id).await.state, TaskState::Done);
}

async fn the_same_name_again(w: &World) {
    let params = prun("user.alice.t", 1);
    let id = w.submit(params.clone()).await;
    let again = task::submit::submit(&w.ops, &alice(), params.clone(), None).await.unwrap_err().to_string();
    assert_eq!(again, format!("jediTaskID={id} is already queued for outDS=user.alice.t/"));
    w.settle().await;
    let job = w.job().await.unwrap();
    w.finish(&job, "x").await;
    w.settle().await;
    assert_eq!(w.task(id).await.state, TaskState::Done);
    let mut more = params;
    more["nEvents"] = json!(2);
    let taken = task::submit::submit(&w.ops, &alice(), more, None).await.unwrap();
    assert_eq!((taken.task_id, taken.code), (id, task::submit::code::REACTIVATED));
    w.settle().await;
    let job = w.job().await.unwrap();
    w.finish(&job, "x").await;
    w.settle().await;
    assert_eq!(w.task(id).await.state, TaskState::Done);
    assert_eq!(w.counters(id).await[0].2, 2);
}

async fn a_second_batch_job_is_told_to_stop(w: &World) {
    let id = w.submit(prun("user.alice.t", 1)).await;
    w.settle().await;
    let job = w.job().await.unwrap();
    let running = panda_core::job::report::Reported::Running;
    assert_eq!(w.report(&job, running, |u| u.batch_id = Some("one.host".into())).await, "NULL");
    for _ in 0..2 {
        assert_eq!(w.report(&job, running, |u| u.batch_id = Some("two.host".into())).await, "tobekilled");
    }
    let jobs = panda_store::query::job::list::of_task(&w.ops.store, id, panda_core::id::JobId(0), 10).await.unwrap();
    assert_eq!(jobs[0].sup_error_code, Some(panda_core::job::report::INVALID_BATCH_ID));
    assert_eq!(jobs[0].batch_id.as_deref(), Some("one.host"), "the job stays with the one that has it");
    w.finish(&job, "x").await;
    w.settle().await;
    assert_eq!(w.task(id).await.state, TaskState::Done);
}

/// What the broker lets go to a queue of 4,000 MB, a slot of 4,000 MB gets (engine.md 20.4: 90 % of the job's memory has to fit).
async fn a_job_a_little_larger_than_its_slot_runs(w: &World) {
    let mut params = prun("user.alice.t", 1);
    params["ramCount"] = json!(4_200);
    w.submit(params).await;
    w.settle().await;
    let ask = |memory_mb| Ask { queue: "LOCAL".into(), label: Some("unified".into()), n: 1, memory_mb, ..Ask::default() };
    assert_eq!(acquire(&w.ops, &pilot(), &ask(3_700)).await.unwrap(), Vec::<String>::new());
    assert_eq!(acquire(&w.ops, &pilot(), &ask(4_000)).await.unwrap().len(), 1);
}

cases!(
    a_job_a_little_larger_than_its_slot_runs,
    a_second_batch_job_is_told_to_stop,
    no_input_runs_to_done,
    inputs_are_split_and_accounted,
    a_failing_file_is_tried_to_its_limit,
    run_jobs_wait_for_the_library,
    a_failed_build_fails_its_dependents_and_is_tried_again,
    outputs_are_merged,
    an_output_counts_only_when_it_is_there,
    a_kill_ends_queued_jobs_at_once_and_tells_pilots,
    a_missing_data_set_holds_the_task_with_its_reason,
    what_no_queue_can_do_is_held_with_the_funnel,
    what_waited_for_an_offline_queue_goes_on_at_once,
    what_no_queue_could_take_goes_on_with_a_new_or_larger_one,
    a_silent_pilot_loses_its_job,
    a_lost_worker_spends_no_attempt,
    the_same_name_again,
);
