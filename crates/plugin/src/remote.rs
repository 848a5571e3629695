//! Plug-ins that are child processes: each method of a trait is one call of `docs/plugins.md`.

use futures::{FutureExt, future::BoxFuture};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    Brokerage, BrokerageAsk, DataManagement, Dataset, Error, File, FilePage, Judgement, NamesAsk, NamingService, Notifier, Preferences,
    RetryAsk, RetryPolicy,
    host::{Host, Options},
};

/// A plug-in that runs as a child process.
#[derive(Debug)]
pub struct Remote {
    host: Host,
}

#[derive(Deserialize)]
struct Done {}

#[derive(Deserialize)]
struct Staged {
    complete: bool,
}

impl Remote {
    /// Whether its process starts and says who it is.
    ///
    /// # Errors
    /// Why it does not.
    pub async fn check(&self) -> Result<(), Error> {
        self.host.check().await
    }
    /// A plug-in; its process is started by the first call.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self { host: Host::new(options) }
    }
}

impl DataManagement for Remote {
    fn trouble(&self) -> Option<String> {
        self.host.trouble()
    }
    fn resolve<'a>(&'a self, vo: &'a str, name: &'a str) -> BoxFuture<'a, Result<Dataset, Error>> {
        self.host.call("data.resolve", json!({"vo": vo, "name": name})).boxed()
    }
    fn files<'a>(&'a self, vo: &'a str, name: &'a str, after: &'a str, limit: usize) -> BoxFuture<'a, Result<FilePage, Error>> {
        async move {
            let page: FilePage = self.host.call("data.files", json!({"vo": vo, "name": name, "after": after, "limit": limit})).await?;
            // A page that does not go on would be read for ever.
            let mut last = after;
            for file in &page.files {
                if file.lfn.as_str() <= last {
                    return Err(self.host.nonsense("data.files", &format!("`{}` does not come after `{last}`", file.lfn)));
                }
                last = &file.lfn;
            }
            if page.files.len() > limit || (page.more && page.files.is_empty()) {
                return Err(self.host.nonsense("data.files", &format!("a page of {} files, asked for {limit}", page.files.len())));
            }
            Ok(page)
        }
        .boxed()
    }
    fn register<'a>(&'a self, vo: &'a str, name: &'a str, key: &'a str, files: &'a [File]) -> BoxFuture<'a, Result<(), Error>> {
        let params = json!({"vo": vo, "name": name, "key": key, "files": files});
        async move { self.host.call::<Done>("data.register", params).await.map(|_| ()) }.boxed()
    }
    fn delete<'a>(&'a self, vo: &'a str, name: &'a str) -> BoxFuture<'a, Result<(), Error>> {
        async move { self.host.call::<Done>("data.delete", json!({"vo": vo, "name": name})).await.map(|_| ()) }.boxed()
    }
    fn stage<'a>(&'a self, vo: &'a str, name: &'a str, rse: &'a str) -> BoxFuture<'a, Result<bool, Error>> {
        async move { self.host.call::<Staged>("data.stage", json!({"vo": vo, "name": name, "rse": rse})).await.map(|s| s.complete) }.boxed()
    }
}

impl Notifier for Remote {
    fn trouble(&self) -> Option<String> {
        self.host.trouble()
    }
    fn tell<'a>(&'a self, key: &'a str, news: &'a Value) -> BoxFuture<'a, Result<(), Error>> {
        async move { self.host.call::<Done>("notify.tell", json!({"key": key, "news": news})).await.map(|_| ()) }.boxed()
    }
}

impl Brokerage for Remote {
    fn trouble(&self) -> Option<String> {
        self.host.trouble()
    }
    fn choose<'a>(&'a self, ask: &'a BrokerageAsk) -> BoxFuture<'a, Result<Preferences, Error>> {
        self.host.call("brokerage.choose", json!(ask)).boxed()
    }
}

#[derive(Deserialize)]
struct Named {
    names: Vec<String>,
}

impl NamingService for Remote {
    fn trouble(&self) -> Option<String> {
        self.host.trouble()
    }
    fn outputs<'a>(&'a self, ask: &'a NamesAsk) -> BoxFuture<'a, Result<Vec<String>, Error>> {
        async move {
            let Named { names } = self.host.call("naming.outputs", json!(ask)).await?;
            if names.len() != ask.outputs.len() {
                let what = format!("{} names, asked for {}", names.len(), ask.outputs.len());
                return Err(self.host.nonsense("naming.outputs", &what));
            }
            Ok(names)
        }
        .boxed()
    }
}

impl RetryPolicy for Remote {
    fn trouble(&self) -> Option<String> {
        self.host.trouble()
    }
    fn judge<'a>(&'a self, ask: &'a RetryAsk) -> BoxFuture<'a, Result<Judgement, Error>> {
        self.host.call("retry.judge", json!(ask)).boxed()
    }
}
