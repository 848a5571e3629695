//! Brokerage, retry and naming plug-ins in this process: what they decide, and what waits while they fail.

use std::sync::{Arc, Mutex};

use futures::{FutureExt, future::BoxFuture};
use panda_core::{
    file::FileState,
    id::{JobId, TaskId},
    setting::plugin as settings,
    task::state::TaskState,
};
use panda_ops::{setting, why};
use panda_plugin::{
    Brokerage, BrokerageAsk, Error, Judgement, NamesAsk, Naming, NamingService, OutputName, Preference, Preferences, RetryAsk, RetryPolicy,
};
use serde_json::Value;

use crate::{
    plugin::until,
    world::{World, alice, prun, with_input, with_output},
};

/// What a double answers, and what it was asked.
type Script<A, Q> = (Option<Result<A, Error>>, Vec<Q>);

#[derive(Debug, Default)]
struct Broker(Mutex<Script<Preferences, BrokerageAsk>>);

impl Broker {
    fn say(&self, said: Result<Preferences, Error>) {
        self.0.lock().unwrap().0 = Some(said);
    }
    fn only(&self, queue: &str) {
        let queues = vec![Preference { queue: queue.into(), weight: None }];
        self.say(Ok(Preferences { queues, reason: "the others are for production".into() }));
    }
}

impl Brokerage for Broker {
    fn choose<'a>(&'a self, ask: &'a BrokerageAsk) -> BoxFuture<'a, Result<Preferences, Error>> {
        async move {
            let said = {
                let mut broker = self.0.lock().unwrap();
                broker.1.push(ask.clone());
                broker.0.clone()
            };
            // Without a word it hangs.
            match said {
                Some(said) => said,
                None => std::future::pending().await,
            }
        }
        .boxed()
    }
}

async fn broker(w: &World) -> Arc<Broker> {
    let broker = Arc::new(Broker::default());
    w.ops.plugins.add_brokerage("own", broker.clone());
    setting::set(&w.ops, &crate::world::operator(), settings::BROKERAGE.name, "amber", "user", "own").await.unwrap();
    broker
}
async fn held(w: &World, id: TaskId, says: &str) {
    until(w, id, |state, reason| state == TaskState::Pending && reason.contains(says)).await;
    let because = why::task::why(&w.ops, &alice(), id).await.unwrap();
    assert!(because["because"].to_string().contains(says), "{because}");
}

async fn a_brokerage_plug_in_rules_out_and_weighs_queues(w: &World) {
    w.queue("OTHER", "native").await;
    let broker = broker(w).await;
    broker.only("OTHER");
    let id = w.submit(prun("user.alice.t", 3)).await;
    until(w, id, |state, _| state == TaskState::Running).await;
    for _ in 0..3 {
        assert!(w.job_at("LOCAL").await.is_none());
        let job = w.job_at("OTHER").await.unwrap();
        w.finish(&job, "x").await;
    }
    until(w, id, |state, _| state == TaskState::Done).await;
    let ask = broker.0.lock().unwrap().1[0].clone();
    let mut queues: Vec<&str> = ask.candidates.iter().map(|c| c.queue.as_str()).collect();
    queues.sort_unstable();
    assert_eq!((queues, ask.task_id, ask.label.as_str()), (vec!["LOCAL", "OTHER"], id.0, "user"));
    let doc = why::task::why(&w.ops, &alice(), id).await.unwrap().to_string();
    assert!(doc.contains("ruled out by brokerage plug-in `own`: the others are for production"), "{doc}");
}

async fn a_brokerage_plug_in_that_fails_holds_its_tasks(w: &World) {
    let broker = broker(w).await;
    broker.say(Err(Error::later("the grid map is being drawn")));
    let id = w.submit(prun("user.alice.t", 1)).await;
    held(w, id, "brokerage plug-in `own`: the grid map is being drawn").await;
    assert!(w.job().await.is_none(), "nothing falls back");
    for (said, words) in [
        (vec![("NOWHERE", None)], "brokerage plug-in `own` answers nonsense: NOWHERE is none of the queues that fit"),
        (vec![("LOCAL", Some(f64::NAN))], "answers nonsense: LOCAL has the weight NaN"),
        (vec![], "ruled out by brokerage plug-in `own`: none is good enough (LOCAL)"),
    ] {
        let queues = said.into_iter().map(|(queue, weight)| Preference { queue: queue.into(), weight }).collect();
        broker.say(Ok(Preferences { queues, reason: "none is good enough".into() }));
        w.pass(61);
        held(w, id, words).await;
    }
    broker.only("LOCAL");
    w.pass(61);
    until(w, id, |state, _| state == TaskState::Running).await;
    assert!(w.job().await.is_some());
}

/// One that hangs holds its own tasks and no others; one that is not there, too.
async fn a_brokerage_plug_in_that_hangs_holds_nothing_else(w: &World) {
    let broker = broker(w).await;
    let id = w.submit(prun("user.alice.t", 1)).await;
    let mut params = prun("user.alice.other", 1);
    params["prodSourceLabel"] = "test".into();
    let other = w.submit(params).await;
    until(w, other, |state, _| state == TaskState::Running).await;
    let because = why::task::why(&w.ops, &alice(), id).await.unwrap()["because"].to_string();
    assert!(because.contains("brokerage plug-in `own` is asked for a queue"), "{because}");
    assert_eq!(w.task(id).await.state, TaskState::Ready);
    // A process that knows no such plug-in.
    let ops = panda_ops::Ops::new(w.ops.store.clone(), w.clock.clone(), w.ops.options.clone());
    panda_engine::loops::step(panda_engine::loops::LoopKind::Generate, &ops, ops.now()).await.unwrap();
    held(w, id, "brokerage plug-in `own` is not configured on this server").await;
    broker.only("LOCAL");
}

#[derive(Debug, Default)]
struct Judge(Mutex<Script<Judgement, RetryAsk>>);

impl Judge {
    fn say(&self, said: Result<Judgement, Error>) {
        self.0.lock().unwrap().0 = Some(said);
    }
}

impl RetryPolicy for Judge {
    fn judge<'a>(&'a self, ask: &'a RetryAsk) -> BoxFuture<'a, Result<Judgement, Error>> {
        async move {
            let said = {
                let mut judge = self.0.lock().unwrap();
                judge.1.push(ask.clone());
                judge.0.clone()
            };
            match said {
                Some(said) => said,
                None => std::future::pending().await,
            }
        }
        .boxed()
    }
}

async fn judge(w: &World) -> Arc<Judge> {
    let judge = Arc::new(Judge::default());
    w.ops.plugins.add_retry("strict", judge.clone());
    setting::set(&w.ops, &crate::world::operator(), settings::RETRY.name, "amber", "", "strict").await.unwrap();
    w.files("d", "closed", vec![panda_store::query::dataset::DatasetFile { lfn: "a".into(), ..Default::default() }]).await;
    judge
}
async fn started(w: &World) -> (TaskId, Value) {
    let id = w.submit(with_input(prun("user.alice.t", 1), "d", 1)).await;
    w.settle().await;
    (id, w.job().await.unwrap())
}
async fn of_job(w: &World, job: &Value) -> String {
    why::job::why(&w.ops, &alice(), JobId(job["PandaID"].as_i64().unwrap())).await.unwrap().to_string()
}

async fn a_retry_plug_in_says_what_is_tried_again(w: &World) {
    let judge = judge(w).await;
    judge.say(Ok(Judgement { retry: true, max_attempt: None, reason: "the node was bad".into() }));
    let (id, job) = started(w).await;
    w.fail(&job, 7).await;
    w.settle().await;
    assert!(
        of_job(w, &job).await.contains("retry plug-in `strict` says that its inputs are tried again as its task allows: the node was bad")
    );
    let ask = judge.0.lock().unwrap().1[0].clone();
    assert_eq!((ask.task_id, ask.queue.as_str(), ask.inputs[0].lfn.as_str(), ask.inputs[0].attempt), (id.0, "LOCAL", "a", 1));
    assert!(ask.errors.iter().any(|e| e.source == "pilot" && e.code == 1305 && e.message == "payload failed"), "{:?}", ask.errors);
    let again = w.job().await.unwrap();
    judge.say(Ok(Judgement { retry: false, max_attempt: None, reason: "it is hopeless".into() }));
    w.fail(&again, 7).await;
    w.settle().await;
    assert!(of_job(w, &again).await.contains("its inputs are not tried again: it is hopeless"));
    assert!(w.job().await.is_none());
    assert_eq!((w.task(id).await.state, w.rows(id, "IN").await[0].state), (TaskState::Failed, FileState::Failed));
}

/// As long as it fails the report waits, and those of others do not.
async fn a_retry_plug_in_that_fails_holds_its_jobs(w: &World) {
    let judge = judge(w).await;
    judge.say(Err(Error::later("it is at lunch")));
    let (id, job) = started(w).await;
    let other = w.submit(prun("user.alice.other", 1)).await;
    w.settle().await;
    let well = w.job().await.unwrap();
    w.fail(&job, 7).await;
    w.finish(&well, "x").await;
    w.settle().await;
    assert_eq!(w.task(other).await.state, TaskState::Done, "a job that ended well asks nobody");
    let said = of_job(w, &job).await;
    assert!(said.contains("retry plug-in `strict`: it is at lunch") && said.contains("holding"), "{said}");
    assert!(w.job().await.is_none(), "nothing falls back");
    w.pass(16);
    w.settle().await;
    assert!(of_job(w, &job).await.contains("it is at lunch"));
    judge.say(Ok(Judgement { retry: true, ..Judgement::default() }));
    w.pass(16);
    w.settle().await;
    let again = w.job().await.unwrap();
    // It hangs: the same.
    judge.0.lock().unwrap().0 = None;
    w.fail(&again, 7).await;
    w.settle().await;
    assert!(of_job(w, &again).await.contains("retry plug-in `strict` is asked whether it is tried again"));
    // A lost job is asked of, too; nothing is decided without an answer.
    assert_eq!(w.rows(id, "IN").await[0].state, FileState::Running);
}

async fn a_lost_job_is_asked_of(w: &World) {
    let judge = judge(w).await;
    judge.say(Err(Error::later("it is at lunch")));
    let (id, job) = started(w).await;
    w.pass(8 * 3_600);
    w.settle().await;
    assert!(of_job(w, &job).await.contains("retry plug-in `strict`: it is at lunch"), "{}", of_job(w, &job).await);
    assert_eq!(w.rows(id, "IN").await[0].state, FileState::Running);
    judge.say(Ok(Judgement { retry: false, ..Judgement::default() }));
    w.pass(61);
    w.settle().await;
    assert_eq!(w.rows(id, "IN").await[0].state, FileState::Failed);
}

#[derive(Debug, Default)]
struct Namer(Mutex<Option<Error>>);

impl Naming for Namer {
    fn output(&self, ask: &OutputName<'_>) -> Result<String, Error> {
        if let Some(e) = self.0.lock().unwrap().clone() {
            return Err(e);
        }
        Ok(format!("own.{}.{}.{}", ask.task_id, ask.serial, ask.neutral.rsplit('.').next().unwrap()))
    }
}

async fn a_naming_plug_in_names_outputs(w: &World) {
    setting::set(&w.ops, &crate::world::operator(), settings::NAMING.name, "amber", "user", "own").await.unwrap();
    let id = w.submit(with_output(prun("user.alice.t", 2), "out.txt")).await;
    held(w, id, "naming plug-in `own` is not configured on this server").await;
    let namer = Arc::new(Namer::default());
    *namer.0.lock().unwrap() = Some(Error::later("it has no words"));
    w.ops.plugins.add_naming("own", namer.clone());
    w.pass(61);
    held(w, id, "naming plug-in `own`: it has no words").await;
    *namer.0.lock().unwrap() = None;
    w.pass(61);
    until(w, id, |state, _| state == TaskState::Running).await;
    let mut names = Vec::new();
    while let Some(job) = w.job().await {
        names.extend(job["outFiles"].as_str().unwrap().split(',').map(str::to_owned));
        assert!(job["jobPars"].as_str().unwrap().contains(&format!("own.{id}.")), "{job}");
        w.finish(&job, "x").await;
    }
    until(w, id, |state, _| state == TaskState::Done).await;
    names.sort();
    assert!(names.contains(&format!("own.{id}.1.txt")) && names.contains(&format!("own.{id}.2.txt")), "{names:?}");
}

/// A naming service: `exp`, the neutral name, and the job's number.
#[derive(Debug, Default)]
struct Clerk(Mutex<Script<String, NamesAsk>>, tokio::sync::Notify);

impl Clerk {
    fn say(&self, said: Option<Result<String, Error>>) {
        self.0.lock().unwrap().0 = said;
        self.1.notify_waiters();
    }
    fn asked(&self) -> usize {
        self.0.lock().unwrap().1.iter().map(|a| a.outputs.len()).sum()
    }
}

impl NamingService for Clerk {
    fn outputs<'a>(&'a self, ask: &'a NamesAsk) -> BoxFuture<'a, Result<Vec<String>, Error>> {
        async move {
            self.0.lock().unwrap().1.push(ask.clone());
            // Without a word it hangs.
            let prefix = loop {
                let told = self.1.notified();
                if let Some(said) = self.0.lock().unwrap().0.clone() {
                    break said?;
                }
                told.await;
            };
            Ok(ask.outputs.iter().map(|o| format!("{prefix}.{}.$PANDAID", o.neutral)).collect())
        }
        .boxed()
    }
}

/// One that answers later: generation waits for it and for nothing else, nothing is asked twice, and nothing falls back.
async fn a_naming_service_is_asked_beside_the_loop(w: &World) {
    setting::set(&w.ops, &crate::world::operator(), settings::NAMING.name, "amber", "user", "clerk").await.unwrap();
    let clerk = Arc::new(Clerk::default());
    w.ops.plugins.add_naming_service("clerk", clerk.clone());
    let id = w.submit(with_output(prun("user.alice.t", 3), "out.txt")).await;
    let mut params = prun("user.alice.other", 1);
    params["prodSourceLabel"] = "test".into();
    let other = w.submit(params).await;
    until(w, other, |state, _| state == TaskState::Running).await;
    assert_eq!(w.task(id).await.state, TaskState::Ready, "it is left as it is");
    let because = why::task::why(&w.ops, &alice(), id).await.unwrap()["because"].to_string();
    assert!(because.contains("naming plug-in `clerk` is asked for the names of 6 outputs"), "{because}");
    clerk.say(Some(Err(Error::later("it has no words"))));
    held(w, id, "naming plug-in `clerk`: it has no words").await;
    clerk.say(Some(Ok("exp/sub".into())));
    w.pass(61);
    held(w, id, "naming plug-in `clerk`: it answers nonsense: file name exp/sub").await;
    clerk.say(Some(Ok("exp".into())));
    w.pass(61);
    until(w, id, |state, _| state == TaskState::Running).await;
    let because = why::task::why(&w.ops, &alice(), id).await.unwrap()["because"].to_string();
    assert!(!because.contains("clerk"), "{because}");
    let asked = clerk.asked();
    let job = w.job_at("LOCAL").await.unwrap();
    let mut seen = 0;
    let mut job = Some(job);
    while let Some(j) = job {
        if j["taskID"] == id.0 {
            for lfn in j["outFiles"].as_str().unwrap().split(',') {
                assert!(lfn.starts_with("exp.user.alice.") && lfn.ends_with(&format!(".{:05}", j["PandaID"].as_i64().unwrap())), "{lfn}");
                seen += 1;
            }
            assert!(j["jobPars"].as_str().unwrap().contains("exp.user.alice."), "{j}");
        }
        w.finish(&j, "x").await;
        job = w.job().await;
    }
    until(w, id, |state, _| state == TaskState::Done).await;
    assert_eq!((seen, clerk.asked()), (6, asked), "what was answered is not asked again");
    let first = clerk.0.lock().unwrap().1[0].clone();
    assert_eq!((first.vo.as_str(), first.label.as_str(), first.task_id, first.outputs.len()), ("amber", "user", id.0, 6));
}

cases!(
    a_naming_service_is_asked_beside_the_loop,
    a_naming_plug_in_names_outputs,
    a_brokerage_plug_in_rules_out_and_weighs_queues,
    a_brokerage_plug_in_that_fails_holds_its_tasks,
    a_brokerage_plug_in_that_hangs_holds_nothing_else,
    a_retry_plug_in_says_what_is_tried_again,
    a_retry_plug_in_that_fails_holds_its_jobs,
    a_lost_job_is_asked_of,
);
