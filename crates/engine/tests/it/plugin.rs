//! Data management by plug-ins: data sets that only a plug-in knows, and what becomes of tasks whose plug-in fails (`spec/engine.md` 12.4).

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use futures::{FutureExt, future::BoxFuture};
use panda_core::{id::TaskId, setting::plugin as settings, task::state::TaskState};
use panda_ops::{effect, setting, why};
use panda_plugin::{DataManagement, Dataset, Error, File, FilePage, Replica};
use panda_store::query::dataset;
use serde_json::{Value, json};

use crate::world::{World, alice, prod, prun, with_input, with_output};

/// How the double answers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
enum Mode {
    #[default]
    Good,
    Fails,
    /// Answers nothing until it is mended.
    Hangs,
    /// Fails when files behind the first page are asked for.
    BreaksOff,
    OutOfOrder,
    BadName,
}

#[derive(Debug, Default)]
pub struct Kept {
    mode: Mode,
    sets: BTreeMap<String, (bool, Vec<File>)>,
    /// `after` of each call for files.
    pages: Vec<String>,
}

/// A keeper of data in this process.
#[derive(Debug, Default)]
pub struct Keeper {
    kept: Mutex<Kept>,
    mended: tokio::sync::Notify,
}

impl Keeper {
    fn set(&self, mode: Mode) {
        self.kept.lock().unwrap().mode = mode;
        self.mended.notify_waiters();
    }
    fn put(&self, name: &str, open: bool, lfns: &[String]) {
        self.kept.lock().unwrap().sets.insert(name.to_owned(), (open, lfns.iter().map(|lfn| file(lfn)).collect()));
    }
    async fn answers(&self) -> Result<(), Error> {
        loop {
            let mended = self.mended.notified();
            match self.kept.lock().unwrap().mode {
                Mode::Hangs => {}
                Mode::Fails => return Err(Error::later("the catalogue is down")),
                _ => return Ok(()),
            }
            mended.await;
        }
    }
    fn of(&self, name: &str) -> Result<(bool, Vec<File>), Error> {
        self.kept.lock().unwrap().sets.get(name).cloned().ok_or_else(|| Error::Unknown(format!("there is no data set {name}")))
    }
}

pub fn file(lfn: &str) -> File {
    let replicas = vec![Replica { rse: "LOCAL_DISK".into(), pfn: format!("root://far//{lfn}") }];
    File { lfn: lfn.into(), scope: String::new(), size_bytes: 700, checksum: Some("md:00".into()), guid: None, n_events: Some(5), replicas }
}

impl DataManagement for Keeper {
    fn resolve<'a>(&'a self, _: &'a str, name: &'a str) -> BoxFuture<'a, Result<Dataset, Error>> {
        async move {
            self.answers().await?;
            Ok(Dataset { name: name.to_owned(), open: self.of(name)?.0 })
        }
        .boxed()
    }
    fn files<'a>(&'a self, _: &'a str, name: &'a str, after: &'a str, limit: usize) -> BoxFuture<'a, Result<FilePage, Error>> {
        async move {
            self.answers().await?;
            let mode = {
                let mut kept = self.kept.lock().unwrap();
                kept.pages.push(after.to_owned());
                kept.mode.clone()
            };
            let all = self.of(name)?.1;
            let mut files: Vec<File> = all.iter().filter(|f| f.lfn.as_str() > after).take(limit).cloned().collect();
            match mode {
                Mode::BreaksOff if !after.is_empty() => return Err(Error::later("it broke off")),
                Mode::OutOfOrder => files.reverse(),
                Mode::BadName => files.insert(0, file("../../etc")),
                _ => {}
            }
            let more = all.iter().filter(|f| f.lfn.as_str() > after).count() > limit;
            Ok(FilePage { files, more })
        }
        .boxed()
    }
    fn register<'a>(&'a self, _: &'a str, _: &'a str, _: &'a str, _: &'a [File]) -> BoxFuture<'a, Result<(), Error>> {
        async move { Ok(()) }.boxed()
    }
    fn delete<'a>(&'a self, _: &'a str, _: &'a str) -> BoxFuture<'a, Result<(), Error>> {
        async move { Ok(()) }.boxed()
    }
    fn stage<'a>(&'a self, _: &'a str, _: &'a str, _: &'a str) -> BoxFuture<'a, Result<bool, Error>> {
        async move { Ok(true) }.boxed()
    }
}

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
    setting::set(&w.ops, &prod(), settings::DATA.name, "", "", "keeper").await.unwrap();
    keeper
}
/// Steps the loops until a task is as wanted: plug-ins answer beside the loops.
async fn until(w: &World, id: TaskId, wanted: impl Fn(TaskState, &str) -> bool) -> String {
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
}

async fn a_plug_in_that_is_not_there_is_waited_for(w: &World) {
    setting::set(&w.ops, &prod(), settings::DATA.name, "amber", "user", "nobody").await.unwrap();
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
    setting::unset(&w.ops, &prod(), settings::DATA.name, "", "").await.unwrap();
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

cases!(
    a_data_set_that_only_a_plug_in_knows_is_read,
    what_a_plug_in_does_not_know_is_missing,
    a_plug_in_that_fails_holds_its_tasks_until_it_works,
    a_plug_in_that_is_not_there_is_waited_for,
    a_copy_that_broke_off_goes_on,
    a_plug_in_that_hangs_holds_nothing_else,
    an_open_data_set_of_a_plug_in_grows,
);
