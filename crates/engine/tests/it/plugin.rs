//! Plug-ins in this process: data sets that only one knows, outputs that it is told of, news, and what becomes of what needs one that fails
//! (`spec/engine.md` 12.4).

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use futures::{FutureExt, future::BoxFuture};
use panda_core::{id::TaskId, setting::plugin as settings, task::state::TaskState};
use panda_engine::loops::{self, LoopKind};
use panda_ops::{effect, setting, why};
use panda_plugin::{Error, File, Notifier, Replica};
use panda_store::query::dataset;
use serde_json::{Value, json};

use crate::{
    keeper::{Keeper, Mode},
    world::{World, alice, prun, with_input, with_output},
};

fn names(n: usize) -> Vec<String> {
    (0..n).map(|i| format!("f.{i:05}")).collect()
}
fn over(dataset: &str, name: &str) -> Value {
    with_output(with_input(prun(name, 1), dataset, 1_000), "out.txt")
}
/// A keeper that is chosen for everybody.
async fn keeper(w: &World) -> Arc<Keeper> {
    let keeper = Arc::new(Keeper::default());
    w.ops.plugins.add_data("keeper", keeper.clone());
    setting::set(&w.ops, &crate::world::operator(), settings::DATA.name, "", "", "keeper").await.unwrap();
    keeper
}
/// Steps the loops until a task is as wanted: plug-ins answer beside the loops.
pub async fn until(w: &World, id: TaskId, wanted: impl Fn(TaskState, &str) -> bool) -> String {
    let begun = Instant::now();
    loop {
        w.settle().await;
        let t = w.task(id).await;
        let reason = t.reason.unwrap_or_default();
        if wanted(t.state, &reason) {
            return reason;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "{}: {reason}", t.state);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
async fn held(w: &World, id: TaskId, says: &str) {
    until(w, id, |state, reason| state == TaskState::Pending && reason.contains(says)).await;
    let because = why::task::why(&w.ops, &alice(), id).await.unwrap();
    assert!(because["because"].to_string().contains(says) && because["reason"].as_str().unwrap().contains(says), "{because}");
}
async fn ready(w: &World, id: TaskId) {
    until(w, id, |state, _| matches!(state, TaskState::Ready | TaskState::Running)).await;
}

async fn a_data_set_that_only_a_plug_in_knows_is_read(w: &World) {
    let keeper = keeper(w).await;
    keeper.put("s:in", false, &names(3));
    let id = w.submit(over("s:in/", "user.alice.t")).await;
    ready(w, id).await;
    let rows = w.rows(id, "IN").await;
    assert_eq!(rows.iter().map(|f| (f.lfn.as_str(), f.scope.as_deref())).collect::<Vec<_>>().len(), 3);
    assert_eq!((rows[0].lfn.as_str(), rows[0].scope.as_deref(), rows[0].fsize), ("f.00000", Some("s"), Some(700)));
    assert_eq!((rows[0].checksum.as_deref(), rows[0].n_events), (Some("md5:00"), Some(5)));
    let d = dataset::by_name(&w.ops.store, "amber", "in").await.unwrap().unwrap();
    assert_eq!((d.state.as_str(), d.n_files, d.n_bytes), ("closed", 3, 2_100));
    let f = dataset::file(&w.ops.store, d.id, "f.00001").await.unwrap().unwrap();
    assert_eq!((f.surl.as_deref(), f.rse.as_deref()), (Some("root://far//f.00001"), Some("LOCAL_DISK")));
    let job = w.job().await.unwrap();
    w.finish(&job, "x").await;
    until(w, id, |state, _| state == TaskState::Done).await;
    // Another task finds it here, whatever becomes of the keeper.
    keeper.set(Mode::Fails);
    let other = w.submit(over("s:in", "user.alice.other")).await;
    ready(w, other).await;
}

async fn what_a_plug_in_does_not_know_is_missing(w: &World) {
    let keeper = keeper(w).await;
    let id = w.submit(over("s:in", "user.alice.t")).await;
    held(w, id, "data set s:in does not exist in VO amber: data plug-in `keeper`: there is no data set s:in").await;
    keeper.put("s:in", false, &names(1));
    w.pass(301);
    ready(w, id).await;
}

async fn a_plug_in_that_fails_holds_its_tasks_until_it_works(w: &World) {
    let keeper = keeper(w).await;
    keeper.put("s:in", false, &names(2));
    keeper.set(Mode::Fails);
    w.files("own", "closed", vec![dataset::DatasetFile { lfn: "a".into(), ..Default::default() }]).await;
    let id = w.submit(over("s:in", "user.alice.t")).await;
    let own = w.submit(over("own", "user.alice.own")).await;
    held(w, id, "data plug-in `keeper`: the catalogue is down").await;
    ready(w, own).await;
    w.pass(16);
    held(w, id, "the catalogue is down").await;
    keeper.set(Mode::OutOfOrder);
    w.pass(16);
    held(w, id, "data plug-in `keeper` answers nonsense about data set s:in: `f.00000` does not come after `f.00001`").await;
    keeper.set(Mode::BadName);
    w.pass(16);
    held(w, id, "answers nonsense about data set s:in: file name ../../etc contains").await;
    keeper.set(Mode::Good);
    w.pass(16);
    ready(w, id).await;
    assert_eq!(w.rows(id, "IN").await.len(), 2);
    let said = because(w, id).await;
    assert!(!said.contains("keeper"), "what held it is over: {said}");
}

async fn a_plug_in_that_is_not_there_is_waited_for(w: &World) {
    setting::set(&w.ops, &crate::world::operator(), settings::DATA.name, "amber", "user", "nobody").await.unwrap();
    w.files("own", "closed", vec![dataset::DatasetFile { lfn: "a".into(), ..Default::default() }]).await;
    let id = w.submit(over("s:in", "user.alice.t")).await;
    let own = w.submit(over("own", "user.alice.own")).await;
    held(w, id, "data plug-in `nobody` is not configured on this server").await;
    ready(w, own).await;
    let health = effect::health(&w.ops).await.unwrap();
    assert!(health.len() == 1 && health[0].contains("setting plugin.data for VO amber and label user names it"), "{health:?}");
    let keeper = Arc::new(Keeper::default());
    keeper.put("s:in", false, &names(1));
    w.ops.plugins.add_data("nobody", keeper);
    w.pass(16);
    ready(w, id).await;
    assert!(effect::health(&w.ops).await.unwrap().is_empty());
}

/// A copy that breaks off goes on behind its last file, also in another process, and nobody reads a part of a data set.
async fn a_copy_that_broke_off_goes_on(w: &World) {
    let keeper = keeper(w).await;
    keeper.put("s:in", false, &names(900));
    keeper.set(Mode::BreaksOff);
    let id = w.submit(over("s:in", "user.alice.t")).await;
    held(w, id, "it broke off").await;
    let d = dataset::by_name(&w.ops.store, "amber", "in").await.unwrap().unwrap();
    assert_eq!(d.state, "arriving");
    // Of a label without a plug-in, the same.
    setting::unset(&w.ops, &crate::world::operator(), settings::DATA.name, "", "").await.unwrap();
    let other = w.submit(over("in", "user.alice.other")).await;
    held(w, other, "it broke off").await;
    assert!(w.rows(other, "IN").await.is_empty());
    keeper.kept.lock().unwrap().pages.clear();
    keeper.set(Mode::Good);
    w.pass(16);
    ready(w, id).await;
    ready(w, other).await;
    assert_eq!((w.rows(id, "IN").await.len(), w.rows(other, "IN").await.len()), (900, 900));
    let pages = keeper.kept.lock().unwrap().pages.clone();
    assert_eq!(pages, ["f.00399", "f.00799"], "what was there is not asked for again");
    let d = dataset::by_name(&w.ops.store, "amber", "in").await.unwrap().unwrap();
    assert_eq!((d.state.as_str(), d.n_files), ("closed", 900));
}

/// One that does not answer holds up its own task and nothing else; when it answers, the task goes on by itself.
async fn a_plug_in_that_hangs_holds_nothing_else(w: &World) {
    let keeper = keeper(w).await;
    keeper.put("s:in", false, &names(1));
    keeper.set(Mode::Hangs);
    w.files("own", "closed", vec![dataset::DatasetFile { lfn: "a".into(), ..Default::default() }]).await;
    let id = w.submit(over("s:in", "user.alice.t")).await;
    let own = w.submit(over("own", "user.alice.own")).await;
    ready(w, own).await;
    held(w, id, "data plug-in `keeper` is asked for data set s:in").await;
    keeper.set(Mode::Good);
    ready(w, id).await;
}

/// A data set that its keeper leaves open is asked for again when its input is looked at again.
async fn an_open_data_set_of_a_plug_in_grows(w: &World) {
    let keeper = keeper(w).await;
    keeper.put("s:in", true, &names(2));
    let mut params = over("s:in", "user.alice.t");
    params["runUntilClosed"] = json!(true);
    let id = w.submit(params).await;
    ready(w, id).await;
    assert_eq!(w.rows(id, "IN").await.len(), 2);
    let asked = keeper.kept.lock().unwrap().pages.len();
    w.settle().await;
    assert_eq!(keeper.kept.lock().unwrap().pages.len(), asked, "it is not asked all the time");
    let mut all = names(3);
    all.push("a.first".into());
    all.sort();
    keeper.put("s:in", true, &all);
    w.pass(301);
    w.settle().await;
    assert_eq!(w.rows(id, "IN").await.len(), 4);
    keeper.put("s:in", false, &all);
    w.pass(301);
    w.settle().await;
    let d = dataset::by_name(&w.ops.store, "amber", "in").await.unwrap().unwrap();
    assert_eq!((d.state.as_str(), d.n_files), ("closed", 4));
    while let Some(job) = w.job().await {
        w.finish(&job, "x").await;
        w.settle().await;
    }
    assert_eq!(w.task(id).await.state, TaskState::Done);
}

/// A data set is brought to an endpoint before its files are listed, and read there.
async fn input_is_brought_where_it_is_wanted(w: &World) {
    let keeper = keeper(w).await;
    setting::set(&w.ops, &crate::world::operator(), settings::STAGE_TO.name, "", "", "FAR").await.unwrap();
    keeper.put("s:in", false, &names(1));
    let id = w.submit(over("s:in", "user.alice.t")).await;
    held(w, id, "data plug-in `keeper` is bringing data set s:in to FAR").await;
    {
        let mut kept = keeper.kept.lock().unwrap();
        kept.staged.push("FAR".into());
        kept.sets.get_mut("s:in").unwrap().1[0].replicas.push(Replica { rse: "FAR".into(), pfn: "root://near//f".into() });
    }
    w.pass(16);
    ready(w, id).await;
    let d = dataset::by_name(&w.ops.store, "amber", "in").await.unwrap().unwrap();
    let f = dataset::files(&w.ops.store, d.id, "", 10).await.unwrap().remove(0);
    assert_eq!((f.surl.as_deref(), f.rse.as_deref()), (Some("root://near//f"), Some("FAR")));
}

/// Runs a task of one job to its end; the loop of effects is left alone.
async fn run(w: &World, name: &str) -> TaskId {
    let id = w.submit(with_output(prun(name, 1), "out.txt")).await;
    w.settle_without(&[LoopKind::Effect]).await;
    let job = w.job().await.unwrap();
    w.finish(&job, "x").await;
    w.settle_without(&[LoopKind::Effect]).await;
    assert_eq!(w.task(id).await.state, TaskState::Done);
    id
}
async fn step(w: &World) {
    loops::step(LoopKind::Effect, &w.ops, w.ops.now()).await.unwrap();
}
async fn because(w: &World, id: TaskId) -> String {
    why::task::why(&w.ops, &alice(), id).await.unwrap()["because"].to_string()
}
/// Steps the loop of effects until the answer to `why` has these words.
async fn until_said(w: &World, id: TaskId, words: &str) {
    let begun = Instant::now();
    loop {
        step(w).await;
        let said = because(w, id).await;
        if said.contains(words) {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "{said}");
        w.pass(3);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn outputs_are_registered_with_the_keeper(w: &World) {
    let keeper = keeper(w).await;
    let id = run(w, "user.alice.t").await;
    let registration = "the registration of output data set user.alice:user.alice.t_out.txt with data plug-in `keeper`";
    assert!(because(w, id).await.contains(&format!("{registration} is under way")), "{}", because(w, id).await);
    assert!(keeper.kept.lock().unwrap().told.is_empty(), "not while the task is closed");
    until_said(w, id, &format!("{registration} was done at")).await;
    step(w).await;
    let told = keeper.kept.lock().unwrap().told.clone();
    let (key, _, files) = told.iter().find(|(_, name, _)| name == "user.alice:user.alice.t_out.txt").unwrap();
    assert!(key.starts_with(&format!("task/{id}/")), "{key}");
    assert_eq!((files.len(), files[0].size_bytes, files[0].replicas.len()), (1, 1, 1));
    assert_eq!(files[0].replicas[0].rse, "LOCAL_DISK");
    assert!(files[0].replicas[0].pfn.starts_with("file://localhost/") && files[0].checksum.as_deref().unwrap().starts_with("ad:"));
    assert_eq!(told.iter().map(|(key, ..)| key).collect::<std::collections::BTreeSet<_>>().len(), told.len(), "each once");
}

/// A keeper that fails for days is told when it works again, and what waits for it is seen.
async fn outputs_are_registered_whatever_the_keeper_does(w: &World) {
    let keeper = keeper(w).await;
    keeper.set(Mode::Fails);
    let id = run(w, "user.alice.t").await;
    until_said(w, id, "failed 1 times and is tried again at").await;
    assert!(because(w, id).await.contains("data plug-in `keeper`: the catalogue is down"));
    let health = effect::health(&w.ops).await.unwrap().join("; ");
    assert!(
        health.contains("registrations of output data sets wait to be delivered") && health.contains("the catalogue is down"),
        "{health}"
    );
    for _ in 0..20 {
        w.pass(86_400);
        step(w).await;
    }
    assert!(!because(w, id).await.contains("given up"), "{}", because(w, id).await);
    // It hangs; nothing else does. It is told again, under the same key, by another process.
    keeper.set(Mode::Hangs);
    w.pass(301);
    step(w).await;
    keeper.kept.lock().unwrap().told.clear();
    keeper.set(Mode::Good);
    until_said(w, id, "was done at").await;
    assert!(effect::health(&w.ops).await.unwrap().is_empty());
}

/// A process that dies between the keeper's answer and its own record tells the same again, under the same key.
async fn a_kill_between_registration_and_record_registers_again(w: &World) {
    let keeper = keeper(w).await;
    keeper.set(Mode::Hangs);
    let id = run(w, "user.alice.t").await;
    step(w).await;
    let first = keeper.kept.lock().unwrap().told.clone();
    assert!(!first.is_empty());
    keeper.set(Mode::Good);
    // What the process remembers is gone.
    let other = panda_ops::Ops::new(w.ops.store.clone(), w.clock.clone(), w.ops.options.clone());
    other.plugins.add_data("keeper", keeper.clone());
    w.pass(3);
    loops::step(LoopKind::Effect, &other, other.now()).await.unwrap();
    until_said(w, id, "was done at").await;
    let told = keeper.kept.lock().unwrap().told.clone();
    let keys = |told: &[(String, String, Vec<File>)]| told.iter().map(|t| t.0.clone()).collect::<std::collections::BTreeSet<_>>();
    assert_eq!(keys(&told), keys(&first));
}

#[derive(Debug, Default)]
struct Crier(Mutex<(Option<Error>, Vec<Value>)>);

impl Notifier for Crier {
    fn tell<'a>(&'a self, key: &'a str, news: &'a Value) -> BoxFuture<'a, Result<(), Error>> {
        async move {
            let mut crier = self.0.lock().unwrap();
            if let Some(e) = crier.0.clone() {
                return Err(e);
            }
            let mut news = news.clone();
            news["key"] = key.into();
            crier.1.push(news);
            Ok(())
        }
        .boxed()
    }
}

async fn a_notification_plug_in_is_told_what_its_vo_and_label_want(w: &World) {
    let crier = Arc::new(Crier::default());
    w.ops.plugins.add_notify("crier", crier.clone());
    setting::set(&w.ops, &crate::world::operator(), settings::NOTIFY.name, "amber", "user", "crier").await.unwrap();
    crier.0.lock().unwrap().0 = Some(Error::later("out of breath"));
    let id = run(w, "user.alice.t").await;
    until_said(w, id, "the news to notify plug-in `crier` failed 1 times").await;
    assert!(because(w, id).await.contains("notify plug-in `crier`: out of breath"));
    crier.0.lock().unwrap().0 = None;
    w.pass(31);
    step(w).await;
    step(w).await;
    let told = crier.0.lock().unwrap().1.clone();
    assert_eq!(told.len(), 1);
    assert_eq!((&told[0]["to"], &told[0]["task_id"], &told[0]["owner"]), (&json!("done"), &json!(id.0), &json!("alice")));
    crier.0.lock().unwrap().0 = Some(Error::Unknown("nobody wants it".into()));
    let other = run(w, "user.alice.other").await;
    until_said(w, other, "was given up after 1 attempts: notify plug-in `crier`: nobody wants it").await;
    setting::set(&w.ops, &crate::world::operator(), settings::NOTIFY.name, "amber", "user", "nobody").await.unwrap();
    let lost = run(w, "user.alice.lost").await;
    until_said(w, lost, "notify plug-in `nobody` is not configured on this server").await;
}

/// Files that their keeper has removed leave the catalogue when a task begins to read the data set, once in a while; one that it does not know any more leaves
/// it, too. A keeper that does not answer changes nothing.
async fn what_a_keeper_removes_leaves_the_catalogue(w: &World) {
    let keeper = keeper(w).await;
    setting::set(&w.ops, &crate::world::operator(), settings::RECHECK_S.name, "", "", "100").await.unwrap();
    // More than a page of the copy, and of the comparison.
    keeper.put("s:in", false, &names(1_300));
    let read = async |name: &str| {
        let id = w.submit(over("s:in", &format!("user.alice.{name}"))).await;
        ready(w, id).await;
        w.rows(id, "IN").await.into_iter().map(|r| r.lfn).collect::<Vec<_>>()
    };
    assert_eq!(read("all").await.len(), 1_300);
    let mut left: Vec<String> =
        names(1_300).into_iter().enumerate().filter(|(n, _)| ![0, 1, 399, 400, 800, 1_299].contains(n)).map(|(_, lfn)| lfn).collect();
    left.push("g.new".into());
    keeper.put("s:in", false, &left);
    assert_eq!(read("soon").await.len(), 1_300, "it is not asked each time");
    w.pass(101);
    assert_eq!(read("later").await, left);
    let d = dataset::by_name(&w.ops.store, "amber", "in").await.unwrap().unwrap();
    assert_eq!((d.n_files, d.state.as_str()), (1_295, "closed"));
    keeper.put("s:in", false, &[]);
    keeper.set(Mode::Fails);
    w.pass(101);
    assert_eq!(read("without").await.len(), 1_295, "what is here is read");
    keeper.set(Mode::Good);
    keeper.kept.lock().unwrap().sets.clear();
    w.pass(101);
    let id = w.submit(over("s:in", "user.alice.none")).await;
    held(w, id, "data set s:in does not exist in VO amber").await;
    assert_eq!(dataset::by_name(&w.ops.store, "amber", "in").await.unwrap(), None);
}

cases!(
    what_a_keeper_removes_leaves_the_catalogue,
    a_data_set_that_only_a_plug_in_knows_is_read,
    what_a_plug_in_does_not_know_is_missing,
    a_plug_in_that_fails_holds_its_tasks_until_it_works,
    a_plug_in_that_is_not_there_is_waited_for,
    a_copy_that_broke_off_goes_on,
    a_plug_in_that_hangs_holds_nothing_else,
    an_open_data_set_of_a_plug_in_grows,
    input_is_brought_where_it_is_wanted,
    outputs_are_registered_with_the_keeper,
    outputs_are_registered_whatever_the_keeper_does,
    a_kill_between_registration_and_record_registers_again,
    a_notification_plug_in_is_told_what_its_vo_and_label_want,
);
