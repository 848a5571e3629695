//! A keeper of data in this process, which answers as it is told.

use std::{collections::BTreeMap, sync::Mutex};

use futures::{FutureExt, future::BoxFuture};
use panda_plugin::{DataManagement, Dataset, Error, File, FilePage, Replica};

/// How the double answers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Mode {
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
    pub mode: Mode,
    pub sets: BTreeMap<String, (bool, Vec<File>)>,
    /// `after` of each call for files.
    pub pages: Vec<String>,
    /// Outputs told: key, data set, files.
    pub told: Vec<(String, String, Vec<File>)>,
    /// Data sets that were to be deleted.
    pub deleted: Vec<String>,
    /// Endpoints that everything is at.
    pub staged: Vec<String>,
}

/// A keeper of data in this process.
#[derive(Debug, Default)]
pub struct Keeper {
    pub kept: Mutex<Kept>,
    mended: tokio::sync::Notify,
}

impl Keeper {
    pub fn set(&self, mode: Mode) {
        self.kept.lock().unwrap().mode = mode;
        self.mended.notify_waiters();
    }
    pub fn put(&self, name: &str, open: bool, lfns: &[String]) {
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
    fn register<'a>(&'a self, _: &'a str, name: &'a str, key: &'a str, files: &'a [File]) -> BoxFuture<'a, Result<(), Error>> {
        async move {
            self.kept.lock().unwrap().told.push((key.to_owned(), name.to_owned(), files.to_vec()));
            // Who hangs has it, but does not say so.
            self.answers().await
        }
        .boxed()
    }
    fn delete<'a>(&'a self, vo: &'a str, name: &'a str) -> BoxFuture<'a, Result<(), Error>> {
        async move {
            self.answers().await?;
            self.kept.lock().unwrap().deleted.push(format!("{vo} {name}"));
            Err(Error::Unknown(format!("there is no data set {name}")))
        }
        .boxed()
    }
    fn stage<'a>(&'a self, _: &'a str, _: &'a str, rse: &'a str) -> BoxFuture<'a, Result<bool, Error>> {
        async move { Ok(self.kept.lock().unwrap().staged.iter().any(|s| s == rse)) }.boxed()
    }
}
