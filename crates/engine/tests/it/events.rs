//! Jobs that take the events of their files in ranges (`spec/engine.md` 3.7, 6.3): every event is done once, and none is lost.

use std::collections::BTreeMap;

use panda_core::{
    file::FileState,
    id::{JobId, TaskId},
    job::{record::JobKind, report::Reported, state::JobState},
    policy::events::RangeState,
    task::state::TaskState,
};
use panda_ops::{
    event::{self, Change, Handed},
    job::kill,
    task::{command, recount},
};
use panda_store::query::{dataset::DatasetFile, job, task::events as store};
use serde_json::{Value, json};

use crate::world::{World, alice, pilot, prun, with_input, with_output};

fn number(job: &Value) -> JobId {
    JobId(job["PandaID"].as_i64().unwrap())
}
async fn state(w: &World, job: &Value) -> JobState {
    job::list::get(&w.ops.store, number(job)).await.unwrap().unwrap().state
}
/// A task over files of so many events each, in ranges of 10.
async fn submit(w: &World, events: &[i64], more: Value) -> TaskId {
    let files = events.iter().enumerate();
    let files = files.map(|(n, events)| DatasetFile { lfn: format!("f{n}"), n_events: Some(*events), ..DatasetFile::default() });
    w.files("user.bob.events", "closed", files.collect()).await;
    let mut params = with_output(with_input(prun("user.alice.t", 1), "user.bob.events/", 1), "out.txt");
    for key in ["nEvents", "nEventsPerJob"] {
        params.as_object_mut().unwrap().remove(key);
    }
    params["nEventsPerWorker"] = json!(10);
    for (key, value) in more.as_object().unwrap() {
        params[key] = value.clone();
    }
    let id = w.submit(params).await;
    w.settle().await;
    id
}
async fn ranges(w: &World, job: &Value, n: i64) -> Vec<Handed> {
    let task = TaskId(job["taskID"].as_i64().unwrap());
    event::acquire(&w.ops, &pilot(), number(job), Some(task), n).await.unwrap()
}
fn says(range: &Handed, word: &str, output: &str) -> Change {
    let output = Some(output.to_owned()).filter(|o| !o.is_empty());
    Change { range: event::name(&range.0).to_string(), word: word.into(), output, ..Change::default() }
}
async fn say(w: &World, all: &[Change]) -> Vec<bool> {
    event::update(&w.ops, &pilot(), all).await.unwrap().taken
}
/// Events of a file that are done, each with how often.
async fn done(w: &World, files: &[i64]) -> BTreeMap<(i64, i64), usize> {
    let mut all = BTreeMap::new();
    for file in files {
        for r in store::named(&w.ops.store, *file, &(0..100).collect::<Vec<_>>()).await.unwrap().iter().filter(|r| r.state.is_done()) {
            for event in r.first_event..=r.last_event {
                *all.entry((*file, event)).or_default() += 1;
            }
        }
    }
    all
}
async fn sound(w: &World, id: TaskId) {
    assert_eq!(recount::differences(&w.ops, id).await.unwrap(), Vec::<String>::new());
}

/// A consumer does some ranges, fails one, and dies; the next one does the rest; what was stored is merged.
async fn events_are_done_once_whoever_dies(w: &World) {
    let id = submit(w, &[35], json!({})).await;
    let first = w.job().await.unwrap();
    assert_eq!((&first["eventService"], &first["inFiles"], &first["eventServiceMerge"]), (&json!("True"), &json!("f0"), &Value::Null));
    assert_eq!(first["outFiles"], first["logFile"], "outputs come about by merging");
    w.report(&first, Reported::Running, |_| {}).await;
    let got = ranges(w, &first, 3).await;
    let events: Vec<(i64, i64)> = got.iter().map(|(r, _)| (r.first_event, r.last_event)).collect();
    assert_eq!(events, [(0, 9), (10, 19), (20, 29)]);
    let said = [says(&got[0], "finished", "zip.1"), says(&got[1], "running", ""), says(&got[1], "failed", "")];
    assert_eq!(say(w, &said).await, [true; 3]);
    sound(w, id).await;
    // Dead: nothing is heard of its pilot any more.
    w.pass(3 * 3_600);
    w.settle().await;
    assert_eq!(state(w, &first).await, JobState::Failed);
    sound(w, id).await;
    assert_eq!(say(w, &[says(&got[2], "finished", "late")]).await, [false], "it is another attempt's by now");
    let row = w.rows(id, "IN").await.remove(0);
    assert_eq!((row.state, row.attempt, row.prev_job), (FileState::Running, 1, Some(number(&first))));

    let second = w.job().await.unwrap();
    assert_eq!((&second["eventService"], &second["inFiles"]), (&json!("True"), &json!("f0")));
    w.report(&second, Reported::Running, |_| {}).await;
    let got = ranges(w, &second, 10).await;
    let told: Vec<(i64, i64)> = got.iter().map(|(r, _)| (r.first_event, r.attempt)).collect();
    assert_eq!(told, [(10, 1), (20, 1), (30, 0)], "what others left before what nobody had");
    assert_eq!(ranges(w, &second, 10).await, []);
    say(w, &[says(&got[0], "finished", "zip.2"), says(&got[1], "finished", "zip.2"), says(&got[2], "finished", "")]).await;
    let report = w.store(&second, "log");
    w.report(&second, Reported::Finished, |u| u.report = Some(report)).await;
    w.settle().await;
    assert_eq!((state(w, &second).await, w.task(id).await.state), (JobState::Finished, TaskState::Running));
    sound(w, id).await;

    let merge = w.job().await.unwrap();
    assert_eq!((&merge["eventServiceMerge"], &merge["eventService"]), (&json!("True"), &Value::Null));
    let own = event::name(&got[2].0).to_string();
    assert_eq!(merge["inFiles"].as_str().unwrap(), format!("{own},zip.1,zip.2"));
    let out = merge["outFiles"].as_str().unwrap().split(',').next().unwrap().to_owned();
    assert_eq!(merge["writeToFile"].as_str().unwrap(), format!("inputFor_{out}:{own},zip.1,zip.2"));
    assert!(merge["jobPars"].as_str().unwrap().contains(&format!("{own},zip.1,zip.2:{out}")), "{}", merge["jobPars"]);
    assert!(merge["transformation"].as_str().unwrap().contains("runMerge"));
    w.finish(&merge, "merged").await;
    w.settle().await;
    assert_eq!(w.task(id).await.state, TaskState::Done);
    assert_eq!(done(w, &[row.id]).await, (0..35).map(|e| ((row.id, e), 1)).collect(), "each event once, none lost");
    let merged = store::count(&w.ops.store, &[row.id]).await.unwrap();
    assert!(merged.iter().all(|c| c.1 == RangeState::Merged), "{merged:?}");
    let counters = w.counters(id).await;
    assert_eq!(counters[0], ("input".into(), "IN".into(), 1, 1, 0));
    assert!(counters.contains(&("output".into(), "OUTPUT0".into(), 1, 1, 0)), "{counters:?}");
    sound(w, id).await;
}

/// A job's files go the same way: one whose events are all done waits for the others, and is merged with them.
async fn files_of_a_job_stay_together(w: &World) {
    let id = submit(w, &[20, 10, 10], json!({"nFilesPerJob": 2, "maxAttempt": 4})).await;
    let one = w.job().await.unwrap();
    let two = w.job().await.unwrap();
    assert_eq!((&one["inFiles"], &two["inFiles"]), (&json!("f0,f1"), &json!("f2")));
    for job in [&one, &two] {
        w.report(job, Reported::Running, |_| {}).await;
    }
    let got = ranges(w, &one, 10).await;
    assert_eq!(got.len(), 3);
    // The zip holds events of both files; one range fails.
    say(w, &[says(&got[0], "finished", "zip"), says(&got[2], "finished", "zip"), says(&got[1], "failed", "")]).await;
    for r in ranges(w, &two, 10).await {
        say(w, &[says(&r, "finished", "other")]).await;
    }
    for job in [&one, &two] {
        let report = w.store(job, "log");
        w.report(job, Reported::Finished, |u| u.report = Some(report)).await;
    }
    w.settle().await;
    sound(w, id).await;
    // The merge of the complete one, and a consumer of what is left of the other.
    let (a, b) = (w.job().await.unwrap(), w.job().await.unwrap());
    let (merge, again) = if a["eventServiceMerge"] == json!("True") { (a, b) } else { (b, a) };
    assert_eq!((&merge["inFiles"], &again["inFiles"]), (&json!("other"), &json!("f0,f1")));
    w.report(&again, Reported::Running, |_| {}).await;
    let got = ranges(w, &again, 10).await;
    assert_eq!(got.iter().map(|(r, f)| (f.lfn.as_str(), r.first_event, r.attempt)).collect::<Vec<_>>(), [("f0", 10, 1)]);
    say(w, &[says(&got[0], "finished", "zip.2")]).await;
    // It fails all the same: what was said of ranges counts.
    w.report(&again, Reported::Failed, |_| {}).await;
    w.finish(&merge, "x").await;
    w.settle().await;
    sound(w, id).await;
    let merge = w.job().await.unwrap();
    assert_eq!((&merge["eventServiceMerge"], &merge["inFiles"]), (&json!("True"), &json!("zip,zip.2")));
    // A merge that fails is tried again, three times.
    w.fail(&merge, 1).await;
    w.settle().await;
    let merge = w.job().await.unwrap();
    assert_eq!(merge["inFiles"], json!("zip,zip.2"));
    w.finish(&merge, "x").await;
    w.settle().await;
    assert_eq!(w.task(id).await.state, TaskState::Done);
    assert_eq!(w.counters(id).await[0], ("input".into(), "IN".into(), 3, 3, 0));
    sound(w, id).await;
}

/// Attempts of ranges and of jobs end; a retry starts anew, or keeps what is done (ND).
async fn attempts_end_and_a_retry_keeps_or_forgets(w: &World) {
    for keeps in [false, true] {
        let name = format!("user.alice.r{keeps}/");
        let id =
            submit(w, &[20], json!({"taskName": name, "maxAttemptES": 2, "maxAttemptEsJob": 5, "notDiscardEvents": keeps, "nFiles": 1}))
                .await;
        for attempt in 0..2 {
            let job = w.job().await.unwrap();
            w.report(&job, Reported::Running, |_| {}).await;
            for r in ranges(w, &job, 10).await {
                let word = if r.0.first_event == 0 { "failed" } else { "finished" };
                assert_eq!(r.0.attempt, if r.0.first_event == 0 { attempt } else { 0 });
                say(w, &[says(&r, word, "zip")]).await;
            }
            let report = w.store(&job, "log");
            w.report(&job, Reported::Finished, |u| u.report = Some(report)).await;
            w.settle().await;
        }
        assert_eq!(w.task(id).await.state, TaskState::Failed, "a range was given up");
        assert_eq!(w.counters(id).await[0], ("input".into(), "IN".into(), 1, 0, 1));
        sound(w, id).await;
        command::retry(&w.ops, &alice(), id, &command::Retry::default()).await.unwrap();
        w.settle().await;
        let job = w.job().await.unwrap();
        w.report(&job, Reported::Running, |_| {}).await;
        let got = ranges(w, &job, 10).await;
        let told: Vec<i64> = got.iter().map(|(r, _)| r.first_event).collect();
        assert_eq!(told, if keeps { vec![0] } else { vec![0, 10] });
        sound(w, id).await;
        kill::kill(&w.ops, &alice(), &[number(&job)], None, kill::Options::default()).await.unwrap();
        assert_eq!(state(w, &job).await, JobState::Cancelled, "a running consumer ends at once: its ranges go to others");
        sound(w, id).await;
        command::kill(&w.ops, &alice(), id).await.unwrap();
        w.settle().await;
        assert_eq!(w.task(id).await.state, TaskState::Aborted);
        sound(w, id).await;
    }
}

/// Consumers of the same files (EC): they never get the same range, one that ends hands over, the last one settles.
async fn consumers_share_their_files(w: &World) {
    w.queue("OTHER", "native").await;
    let id = submit(w, &[40], json!({"nEsConsumers": 3, "nSitesPerJob": 2})).await;
    let mut jobs = Vec::new();
    for queue in ["LOCAL", "OTHER"] {
        while let Some(job) = w.job_at(queue).await {
            jobs.push(job);
        }
    }
    assert_eq!(jobs.len(), 3);
    let row = async || w.rows(id, "IN").await.remove(0);
    let lead = row().await.job_id.unwrap();
    jobs.sort_by_key(|j| number(j) != lead);
    for job in &jobs[..2] {
        w.report(job, Reported::Running, |_| {}).await;
    }
    let (a, b) = (ranges(w, &jobs[0], 2).await, ranges(w, &jobs[1], 10).await);
    let firsts: Vec<i64> = a.iter().chain(&b).map(|(r, _)| r.first_event).collect();
    assert_eq!(firsts, [0, 10, 20, 30]);
    say(w, &[says(&a[0], "finished", "a")]).await;
    // The one in charge fails: a running one is in charge then, and gets what was left.
    w.report(&jobs[0], Reported::Failed, |_| {}).await;
    w.settle().await;
    assert_eq!((row().await.job_id, row().await.attempt), (Some(number(&jobs[1])), 0));
    sound(w, id).await;
    let rest = ranges(w, &jobs[1], 10).await;
    assert_eq!(rest.iter().map(|(r, _)| (r.first_event, r.attempt)).collect::<Vec<_>>(), [(10, 1)]);
    for r in b.iter().chain(&rest) {
        say(w, &[says(r, "finished", "b")]).await;
    }
    let report = w.store(&jobs[1], "log");
    w.report(&jobs[1], Reported::Finished, |u| u.report = Some(report)).await;
    w.settle().await;
    // All is done: the third is not needed.
    let third = job::list::get(&w.ops.store, number(&jobs[2])).await.unwrap().unwrap();
    assert_eq!((third.command.as_deref(), third.server_error_code), (Some("tobekilled"), Some(200)));
    assert_eq!(ranges(w, &jobs[2], 1).await, []);
    assert_eq!(w.report(&jobs[2], Reported::Running, |_| {}).await, "tobekilled");
    w.report(&jobs[2], Reported::Failed, |_| {}).await;
    w.settle().await;
    assert_eq!(state(w, &jobs[2]).await, JobState::Cancelled);
    let mut merge = w.job().await;
    if merge.is_none() {
        merge = w.job_at("OTHER").await;
    }
    let merge = merge.unwrap();
    assert_eq!(merge["inFiles"], json!("a,b"));
    sound(w, id).await;
}

/// Two that share files and end in the same step do not lose them.
async fn consumers_that_end_together(w: &World) {
    let id = submit(w, &[20], json!({"nEsConsumers": 2})).await;
    let (a, b) = (w.job().await.unwrap(), w.job().await.unwrap());
    for job in [&a, &b] {
        w.report(job, Reported::Running, |_| {}).await;
        say(w, &[says(&ranges(w, job, 1).await[0], "finished", &number(job).to_string())]).await;
    }
    for job in [&a, &b] {
        let report = w.store(job, "log");
        w.report(job, Reported::Finished, |u| u.report = Some(report)).await;
    }
    w.settle().await;
    sound(w, id).await;
    let merge = w.job().await.unwrap();
    assert_eq!(merge["eventServiceMerge"], json!("True"));
    w.finish(&merge, "x").await;
    w.settle().await;
    assert_eq!(w.task(id).await.state, TaskState::Done);
}

/// Jobs of few events are ordinary ones (SE); files without a known number of events break the task.
async fn few_events_are_an_ordinary_job(w: &World) {
    let id = submit(w, &[5, 50], json!({"switchEStoNormal": 10})).await;
    let (a, b) = (w.job().await.unwrap(), w.job().await.unwrap());
    let (few, many) = if a["inFiles"] == json!("f0") { (a, b) } else { (b, a) };
    assert_eq!((&few["eventService"], &many["eventService"]), (&Value::Null, &json!("True")));
    assert!(few["outFiles"].as_str().unwrap().contains("out.txt"));
    w.finish(&few, "x").await;
    w.settle().await;
    assert_eq!(w.counters(id).await[0], ("input".into(), "IN".into(), 2, 1, 0));
    let unknown = w.files("user.bob.unknown", "closed", vec![DatasetFile { lfn: "u".into(), ..DatasetFile::default() }]).await;
    assert!(unknown > 0);
    let mut params = with_input(prun("user.alice.u", 1), "user.bob.unknown/", 1);
    params["nEventsPerWorker"] = json!(10);
    params.as_object_mut().unwrap().remove("nEventsPerJob");
    let id = w.submit(params).await;
    w.settle().await;
    let t = w.task(id).await;
    assert_eq!(t.state, TaskState::Broken);
    assert!(t.reason.unwrap().starts_with("nobody knows how many events u has"));
}

/// Clones (UC): the first that runs counts, the others hear that they are not needed; when it fails, others are made.
async fn the_first_clone_that_runs_counts(w: &World) {
    w.queue("OTHER", "native").await;
    let id = submit(w, &[10], json!({"useJobCloning": "runonce", "nEventsPerWorker": null, "nSitesPerJob": 3})).await;
    let (a, b) = (w.job_at("LOCAL").await.unwrap(), w.job_at("OTHER").await.unwrap());
    assert_eq!((&a["cloneJob"], &b["cloneJob"], &a["eventService"]), (&json!("runonce"), &json!("runonce"), &Value::Null));
    let third = job::list::of_task_in(&w.ops.store, id, &[JobState::Activated], 10).await.unwrap().remove(0);
    let why = panda_ops::why::job::why(&w.ops, &alice(), third.id).await.unwrap();
    assert!(why["because"].to_string().contains("it shares its files with"), "{}", why["because"]);
    assert_eq!(w.report(&a, Reported::Running, |_| {}).await, "NULL");
    assert_eq!(w.report(&b, Reported::Running, |_| {}).await, "tobekilled");
    let closed = job::list::get(&w.ops.store, third.id).await.unwrap().unwrap();
    assert_eq!((closed.state, closed.server_error_code), (JobState::Closed, Some(200)));
    assert_eq!((ranges(w, &a, 5).await.len(), ranges(w, &b, 5).await.len()), (1, 0), "one range says who counts");
    w.report(&b, Reported::Failed, |_| {}).await;
    w.settle().await;
    assert_eq!(state(w, &b).await, JobState::Cancelled);
    sound(w, id).await;
    // The one that counts fails: the file is tried again, by clones.
    w.fail(&a, 1).await;
    w.settle().await;
    assert_eq!(w.rows(id, "IN").await[0].attempt, 1);
    sound(w, id).await;
    let again = w.job_at("LOCAL").await.unwrap();
    w.finish(&again, "x").await;
    w.settle().await;
    assert_eq!((state(w, &again).await, w.task(id).await.state), (JobState::Finished, TaskState::Done));
    assert_eq!(w.counters(id).await[0], ("input".into(), "IN".into(), 1, 1, 0));
    sound(w, id).await;
}

/// Clones (UC): the first that ends well counts, what the others stored does not.
async fn the_first_clone_that_ends_well_counts(w: &World) {
    w.queue("OTHER", "native").await;
    let id = submit(w, &[10, 10], json!({"useJobCloning": "storeonce", "nEventsPerWorker": null, "nFilesPerJob": 2})).await;
    let (a, b) = (w.job_at("LOCAL").await.unwrap(), w.job_at("OTHER").await.unwrap());
    assert_eq!((&a["inFiles"], &b["inFiles"], &b["cloneJob"]), (&json!("f0,f1"), &json!("f0,f1"), &json!("storeonce")));
    for job in [&a, &b] {
        assert_eq!(w.report(job, Reported::Running, |_| {}).await, "NULL");
    }
    let lead = w.rows(id, "IN").await[0].job_id;
    let (first, second) = if lead == Some(number(&a)) { (&b, &a) } else { (&a, &b) };
    // The one that is not in charge ends first, the other in the same step.
    for job in [first, second] {
        let report = w.store(job, "x");
        w.report(job, Reported::Finished, |u| u.report = Some(report)).await;
    }
    w.settle().await;
    let states = [state(w, first).await, state(w, second).await];
    assert!(states.contains(&JobState::Finished) && states.contains(&JobState::Closed), "{states:?}");
    sound(w, id).await;
    assert_eq!(w.task(id).await.state, TaskState::Done);
    let counters = w.counters(id).await;
    assert_eq!(counters[0], ("input".into(), "IN".into(), 2, 2, 0));
    assert!(counters.contains(&("output".into(), "OUTPUT0".into(), 1, 1, 1)), "one output is registered: {counters:?}");
    // One that fails leaves the files to the other.
    let id =
        submit(w, &[10], json!({"taskName": "user.alice.again/", "useJobCloning": "storeonce", "nEventsPerWorker": null, "nFiles": 1}))
            .await;
    let (a, b) = (w.job_at("LOCAL").await.unwrap(), w.job_at("OTHER").await.unwrap());
    w.fail(&a, 1).await;
    w.settle().await;
    sound(w, id).await;
    assert_eq!(w.rows(id, "IN").await[0].attempt, 0, "the other goes on");
    w.finish(&b, "x").await;
    w.settle().await;
    assert_eq!(w.task(id).await.state, TaskState::Done);
    sound(w, id).await;
}

/// Bookkeeping by events (FP): a job that fails when all of its events are done has done its work.
async fn a_job_that_fails_after_its_events_has_done_them(w: &World) {
    let id = submit(w, &[3, 3], json!({"fineGrainedProc": true, "nEventsPerWorker": null})).await;
    let (a, b) = (w.job().await.unwrap(), w.job().await.unwrap());
    for (job, n) in [(&a, 3), (&b, 2)] {
        w.report(job, Reported::Running, |_| {}).await;
        let got = ranges(w, job, n).await;
        assert_eq!(got.len(), n as usize);
        for r in &got {
            say(w, &[says(r, "finished", "")]).await;
        }
        w.report(job, Reported::Failed, |_| {}).await;
    }
    w.settle().await;
    assert_eq!(w.counters(id).await[0], ("input".into(), "IN".into(), 2, 1, 0));
    let again = w.job().await.unwrap();
    assert_eq!(again["inFiles"], b["inFiles"]);
    w.report(&again, Reported::Running, |_| {}).await;
    assert_eq!(ranges(w, &again, 5).await.len(), 1, "what is done is not told again");
    w.finish(&again, "x").await;
    w.settle().await;
    assert_eq!(w.task(id).await.state, TaskState::Done);
    assert_eq!(w.counters(id).await[0], ("input".into(), "IN".into(), 2, 2, 0));
    sound(w, id).await;
}

/// A number of events that fits the time of the queue (DY), at most so many (MX): rows of the granularity, whose files count once.
async fn jobs_take_as_many_events_as_fit(w: &World) {
    w.set_queue("LOCAL", json!({"max_walltime_s": 4_000})).await;
    let more = json!({"nEventsPerWorker": null, "minGranularity": 10, "cpuTime": 100, "cpuTimeUnit": "HS06sPerEvent", "baseWalltime": 0,
        "cpuEfficiency": 100, "nMaxFilesPerJob": 2, "nFilesPerJob": null});
    let id = submit(w, &[100], more).await;
    let mut told = Vec::new();
    while let Some(job) = w.job().await {
        assert_eq!(job["inFiles"], json!("f0"));
        told.push(job["PandaID"].as_i64().unwrap());
    }
    let rows = w.rows(id, "IN").await;
    assert_eq!(rows.len(), 10, "rows of ten events");
    let of = |job: &i64| rows.iter().filter(|r| r.job_id == Some(JobId(*job))).filter_map(|r| r.n_events).sum::<i64>();
    assert_eq!(told.iter().map(of).collect::<Vec<_>>(), [40, 40, 20], "4,000 seconds of 100 an event");
}

/// XF: an attempt that ended badly does not count when it did some of its ranges.
async fn an_attempt_that_did_something_is_free(w: &World) {
    let id = submit(w, &[50], json!({"maxAttemptEsJob": 2, "maxAttemptES": 9, "decAttOnFailedES": true})).await;
    for attempt in 0..3 {
        let job = w.job().await.unwrap();
        w.report(&job, Reported::Running, |_| {}).await;
        let got = ranges(w, &job, 2).await;
        say(w, &[says(&got[0], "finished", "zip")]).await;
        w.report(&job, Reported::Failed, |_| {}).await;
        w.settle().await;
        let row = w.rows(id, "IN").await.remove(0);
        assert_eq!((row.state, row.attempt, row.max_attempt - row.attempt), (FileState::Running, attempt + 1, 2));
        sound(w, id).await;
    }
    // One that does nothing counts.
    for state in [TaskState::Running, TaskState::Failed] {
        let job = w.job().await.unwrap();
        w.fail(&job, 1).await;
        w.settle().await;
        assert_eq!(w.task(id).await.state, state);
    }
    sound(w, id).await;
}

/// 3.5: a killed merge of ranges is made again; with `keepUnmerged` the attempt does not count.
async fn a_killed_merge_of_ranges_is_made_again(w: &World) {
    let id = submit(w, &[10], json!({})).await;
    let job = w.job().await.unwrap();
    w.report(&job, Reported::Running, |_| {}).await;
    for r in ranges(w, &job, 5).await {
        say(w, &[says(&r, "finished", "zip")]).await;
    }
    let report = w.store(&job, "log");
    w.report(&job, Reported::Finished, |u| u.report = Some(report)).await;
    w.settle().await;
    for (keep_unmerged, left) in [(true, 3), (true, 3), (false, 2)] {
        let merge = w.job().await.unwrap();
        assert_eq!(merge["inFiles"], json!("zip"));
        w.report(&merge, Reported::Running, |_| {}).await;
        assert_eq!(kill::kill(&w.ops, &alice(), &[number(&merge)], None, kill::Options { keep_unmerged }).await.unwrap(), [true]);
        w.settle().await;
        let row = w.rows(id, "IN").await.remove(0);
        assert_eq!((row.state, row.max_attempt - row.attempt), (FileState::Running, left));
        sound(w, id).await;
    }
    w.finish(&w.job().await.unwrap(), "x").await;
    w.settle().await;
    assert_eq!(w.task(id).await.state, TaskState::Done);
    let why = panda_ops::why::task::why(&w.ops, &alice(), id).await.unwrap();
    assert!(why["because"].to_string().contains("event ranges that jobs asked for so far: 1 merged"), "{}", why["because"]);
}

/// Jumbo jobs (NJ): they take ranges of the files of all consumers, and are over when nothing is left.
async fn jumbo_jobs_take_ranges_of_all_files(w: &World) {
    let id = submit(w, &[20, 20], json!({"nJumboJobs": 1, "maxJumboPerSite": 1, "maxAttemptEsJob": 2})).await;
    let mut all = Vec::new();
    while let Some(job) = w.job().await {
        w.report(&job, Reported::Running, |_| {}).await;
        all.push(job);
    }
    assert_eq!(all.len(), 3, "two consumers and one jumbo job");
    let kind = async |job: &Value| job::list::get(&w.ops.store, number(job)).await.unwrap().unwrap().kind;
    let mut consumers = Vec::new();
    let mut jumbo = None;
    for job in all {
        if kind(&job).await == JobKind::Jumbo { jumbo = Some(job) } else { consumers.push(job) }
    }
    let jumbo = jumbo.unwrap();
    assert_eq!((&jumbo["eventService"], jumbo["inFiles"].as_str().unwrap()), (&json!("True"), "f0,f1"));
    let got = ranges(w, &jumbo, 3).await;
    let told: Vec<(&str, i64)> = got.iter().map(|(r, f)| (f.lfn.as_str(), r.first_event)).collect();
    assert_eq!(told, [("f0", 0), ("f0", 10), ("f1", 0)]);
    // The consumer of f0 finds nothing: its file waits for the jumbo job, and no attempt is spent.
    let find = |lfn: &str| consumers.iter().find(|j| j["inFiles"] == json!(lfn)).unwrap().clone();
    let (none, some) = (find("f0"), find("f1"));
    assert_eq!(ranges(w, &none, 9).await, []);
    let report = w.store(&none, "log");
    w.report(&none, Reported::Finished, |u| u.report = Some(report)).await;
    w.settle().await;
    let row = w.rows(id, "IN").await.remove(0);
    assert_eq!((row.state, row.max_attempt - row.attempt), (FileState::Ready, 2));
    assert!(w.job().await.is_none(), "nobody else can do anything for it");
    sound(w, id).await;
    // What the jumbo job says ends the wait.
    say(w, &[says(&got[0], "finished", "j.1"), says(&got[1], "finished", "j.1")]).await;
    w.settle().await;
    let merge = w.job().await.unwrap();
    assert_eq!((&merge["eventServiceMerge"], &merge["inFiles"]), (&json!("True"), &json!("j.1")));
    w.finish(&merge, "x").await;
    // It dies with a range in its hands, which the other consumer gets.
    w.report(&jumbo, Reported::Failed, |_| {}).await;
    w.settle().await;
    sound(w, id).await;
    let rest = ranges(w, &some, 9).await;
    assert_eq!(rest.iter().map(|(r, _)| (r.first_event, r.attempt)).collect::<Vec<_>>(), [(0, 1), (10, 0)]);
    say(w, &[says(&rest[0], "finished", "c"), says(&rest[1], "failed", "")]).await;
    let report = w.store(&some, "log");
    w.report(&some, Reported::Finished, |u| u.report = Some(report)).await;
    w.settle().await;
    // A further consumer, and a jumbo job in place of the dead one, which does the last range; the consumer has nothing to do then.
    let (a, b) = (w.job().await.unwrap(), w.job().await.unwrap());
    let (jumbo, consumer) = if kind(&a).await == JobKind::Jumbo { (a, b) } else { (b, a) };
    assert_eq!((kind(&jumbo).await, kind(&consumer).await), (JobKind::Jumbo, JobKind::Consumer));
    for job in [&jumbo, &consumer] {
        w.report(job, Reported::Running, |_| {}).await;
    }
    let last = ranges(w, &consumer, 9).await;
    assert_eq!(last.len(), 1);
    say(w, &[says(&last[0], "finished", "c.2")]).await;
    let report = w.store(&consumer, "log");
    w.report(&consumer, Reported::Finished, |u| u.report = Some(report)).await;
    w.settle().await;
    let merge = w.job().await.unwrap();
    assert_eq!(merge["inFiles"], json!("c,c.2"));
    w.finish(&merge, "x").await;
    w.settle().await;
    assert_eq!((state(w, &jumbo).await, w.task(id).await.state), (JobState::Closed, TaskState::Done), "nothing is left for it");
    sound(w, id).await;
}

cases!(
    jumbo_jobs_take_ranges_of_all_files,
    an_attempt_that_did_something_is_free,
    a_killed_merge_of_ranges_is_made_again,
    the_first_clone_that_runs_counts,
    the_first_clone_that_ends_well_counts,
    a_job_that_fails_after_its_events_has_done_them,
    jobs_take_as_many_events_as_fit,
    events_are_done_once_whoever_dies,
    files_of_a_job_stay_together,
    attempts_end_and_a_retry_keeps_or_forgets,
    consumers_share_their_files,
    consumers_that_end_together,
    few_events_are_an_ordinary_job,
);
