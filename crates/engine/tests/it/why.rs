//! What `why` says of jobs that ended badly: the code, the limit or the file, the last lines, further attempts, rules, what can be changed.

use panda_core::{id::JobId, job::report::Reported};
use panda_ops::{job::log, why};
use serde_json::{Value, json};

use crate::world::{World, alice, pilot, prun, with_input, with_output};

fn id(job: &Value) -> JobId {
    JobId(job["PandaID"].as_i64().unwrap())
}
async fn end_with(w: &World, job: &Value, pilot_code: i64, diag: &str) {
    w.report(job, Reported::Running, |_| {}).await;
    w.report(job, Reported::Failed, |u| {
        u.errors.insert("pilot_error_code".into(), json!(pilot_code));
        u.errors.insert("pilot_error_diag".into(), json!(diag));
    })
    .await;
    w.settle().await;
}
async fn told(w: &World, job: &Value) -> Value {
    why::job::why(&w.ops, &alice(), id(job)).await.unwrap()
}

/// Memory: the limit, the rule, the attempt that follows and the job that makes it.
async fn out_of_memory(w: &World) {
    let mut params = prun("user.alice.t", 1);
    params["ramCount"] = json!(1_500);
    let task = w.submit(params).await;
    w.settle().await;
    let job = w.job().await.unwrap();
    end_with(w, &job, 1_212, "as the pilot says it").await;
    let next = w.job().await.unwrap();
    let got = told(w, &job).await;
    let want = [
        "the payload ran out of memory (pilot code 1212, PAYLOADOUTOFMEMORY)".to_owned(),
        "as the pilot says it".into(),
        "it was given 1500 MB of memory on 1 cores".into(),
        format!("its input is tried again (attempt 2 of 3): job/{} has it now and is sent", id(&next)),
        "retry: the next attempt gets 2000 MB instead of 1500; 1 of 1 files need more than the task asks for, so all its jobs get it"
            .into(),
    ];
    assert_eq!(got["because"], json!(want));
    assert_eq!((&got["again"]["job"], &got["error"]["rules"][0]["rule"]), (&json!(format!("job/{}", id(&next))), &json!(1)));
    assert_eq!(got["frees"], json!(["ask for more memory (`ramCount`, `prun --memory`), or give a job fewer inputs"]));
    // The last of the attempts.
    end_with(w, &next, 1_212, "again").await;
    let last = w.job().await.unwrap();
    end_with(w, &last, 1_212, "and again").await;
    let got = told(w, &last).await;
    assert_eq!(got["because"][3], "its input is not tried again: attempt 3 of 3 was the last");
    assert_eq!(got["frees"][1], format!("`panda retry task/{task}` gives what failed more attempts, when the task is at its end"));
    assert_eq!(told(w, &job).await["again"]["job"], json!(format!("job/{}", id(&last))), "who has it last");
}

/// A payload's own failure: the last lines that it wrote.
async fn the_payload_failed(w: &World) {
    w.submit(prun("user.alice.t", 1)).await;
    w.settle().await;
    let job = w.job().await.unwrap();
    let which = log::Which { job: id(&job), attempt: None, stream: log::Stream::Stderr };
    log::append(&w.ops, &pilot(), which, 0, b"one\n\ntwo\ncannot open x.root\n".to_vec(), true).await.unwrap();
    w.fail(&job, 3).await;
    w.settle_without(&[panda_engine::loops::LoopKind::Generate]).await;
    let got = told(w, &job).await;
    let want = [
        "the payload ended with the exit status 3 (trans code 3)".to_owned(),
        "also: the payload failed (pilot code 1305, PAYLOADEXECUTIONFAILURE)".into(),
        "the last of its stderr: one | two | cannot open x.root".into(),
        format!(
            "its input is tried again (attempt 2 of 3): it waits for the next job of task/{}, which is made at once when the task gets jobs",
            job["taskID"]
        ),
    ];
    assert_eq!(got["because"], json!(want));
    assert_eq!(got["error"]["lines"], json!(["one", "two", "cannot open x.root"]));
    let want = [
        "run the same command at home with one input, mend it, and submit again with the mended code".to_owned(),
        format!("`panda logs job/{}` shows what it wrote", id(&job)),
        format!("`panda why task/{}` tells what holds back its next job, if anything does", job["taskID"]),
    ];
    assert_eq!(got["frees"], json!(want));
}

/// An input that is not there: its name, and the limit of attempts.
async fn an_input_is_missing(w: &World) {
    w.dataset("user.bob.in", &["f1.root", "f2.root"]).await;
    w.submit(with_output(with_input(prun("user.alice.t", 1), "user.bob.in/", 2), "out.root")).await;
    w.settle().await;
    let job = w.job().await.unwrap();
    end_with(w, &job, 1_103, "cannot stat f2.root at the storage").await;
    let got = told(w, &job).await;
    assert_eq!(got["error"]["files"], json!(["f2.root"]));
    assert_eq!((&got["again"]["inputs"], &got["again"]["max_attempt"]), (&json!(2), &json!(2)));
    let because = got["because"].to_string();
    assert!(because.contains("it is about f2.root") && because.contains("its inputs are tried at most 2 times"), "{because}");
}

cases!(out_of_memory, the_payload_failed, an_input_is_missing);
