//! What plug-ins are told: outputs that were closed or removed, changes of tasks. Asked beside the loop of effects, so that one that hangs holds up nothing.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use futures::future::BoxFuture;
use panda_notify::Failure;
use panda_ops::{
    Ops,
    effect::{DELETE, REGISTER, is_kept_up},
    plugin::{Asked, Desk, named},
    storage,
};
use panda_plugin::{DataManagement, Error, File, Kind, Replica};
use panda_store::{
    Store,
    query::{
        dataset::{self, DatasetFile},
        effect::Effect,
    },
};
use serde_json::Value;

use crate::{EngineError, finish::catalogue::plain_name};

/// Calls under way of one process.
type Calls = Desk<Result<(), Error>>;

/// Files of one call.
const PAGE: i64 = 400;
/// How long an answer is kept for the loop, microseconds: a question is told apart by its attempt, so that none is used twice.
const KEPT_US: i64 = 3_600_000_000;

/// One attempt of an effect that a plug-in does.
pub async fn ask(ops: &Ops, e: &Effect, doc: &Value) -> Result<Asked<Result<(), Failure>>, EngineError> {
    let text = |key: &str| doc[key].as_str().unwrap_or_default().to_owned();
    let plugin = text("plugin");
    let desk = ops.live.of::<Calls>();
    let key = format!("{}#{}", e.key, e.attempts);
    let ask = async |call: BoxFuture<'static, Result<(), Error>>| desk.ask(&key, ops.now().0, KEPT_US, call, async {}).await;
    let answer = if e.kind == DELETE {
        match ops.plugins.data(&plugin) {
            Ok(keeper) => {
                let (vo, name) = (text("vo"), text("name"));
                ask(Box::pin(async move { gone(keeper.delete(&vo, &name).await) })).await
            }
            Err(e) => Asked::Answer(Err(e)),
        }
    } else if e.kind == REGISTER {
        match ops.plugins.data(&plugin) {
            Ok(keeper) => {
                let registration = Registration {
                    store: ops.store.clone(),
                    keeper,
                    vo: text("vo"),
                    name: text("name"),
                    key: e.key.clone(),
                    roots: roots(ops).await?,
                };
                ask(Box::pin(registration.run())).await
            }
            Err(e) => Asked::Answer(Err(e)),
        }
    } else {
        match ops.plugins.notify(&plugin) {
            Ok(notifier) => {
                let (key, news) = (e.key.clone(), doc["news"].clone());
                ask(Box::pin(async move { notifier.tell(&key, &news).await })).await
            }
            Err(e) => Asked::Answer(Err(e)),
        }
    };
    let kind = if is_kept_up(&e.kind) { Kind::Data } else { Kind::Notify };
    Ok(match answer {
        Asked::UnderWay => Asked::UnderWay,
        Asked::Answer(result) => Asked::Answer(result.map_err(|error| {
            // Outputs are never given up; news that nobody wants is.
            let lasting = !is_kept_up(&e.kind) && matches!(error, Error::Unknown(_));
            Failure { reason: named(kind, &plugin, error.to_string()), lasting }
        })),
    })
}

/// A data set that its keeper does not know is deleted.
fn gone(result: Result<(), Error>) -> Result<(), Error> {
    result.or_else(|e| if matches!(e, Error::Unknown(_)) { Ok(()) } else { Err(e) })
}

/// Directories of the storage endpoints, by name.
async fn roots(ops: &Ops) -> Result<BTreeMap<String, PathBuf>, EngineError> {
    Ok(ops.queues().await?.rses.values().map(|r| (r.name.clone(), PathBuf::from(&r.root))).collect())
}

/// The registration of a data set's files.
struct Registration {
    store: Store,
    keeper: Arc<dyn DataManagement>,
    vo: String,
    /// With scope.
    name: String,
    key: String,
    roots: BTreeMap<String, PathBuf>,
}

impl Registration {
    /// Tells of all files that are there, page by page; each page has a key of its own, made from where it begins.
    async fn run(self) -> Result<(), Error> {
        let ours = |e: panda_store::Error| Error::later(format!("the catalogue cannot be read: {e}"));
        let row = dataset::by_name(&self.store, &self.vo, plain_name(&self.name)).await.map_err(ours)?;
        let Some(row) = row else { return Ok(()) };
        let mut after = String::new();
        loop {
            let page = dataset::files(&self.store, row.id, &after, PAGE).await.map_err(ours)?;
            let Some(last) = page.last().map(|f| f.lfn.clone()) else { return Ok(()) };
            let files: Vec<File> = page.into_iter().map(|f| self.file(f)).collect();
            self.keeper.register(&self.vo, &self.name, &format!("{}/{after}", self.key), &files).await?;
            after = last;
        }
    }
    fn file(&self, f: DatasetFile) -> File {
        let path = f.surl.as_deref().and_then(storage::local_path);
        let below = || self.roots.iter().find(|(_, root)| path.as_ref().is_some_and(|p| p.starts_with(root))).map(|(name, _)| name.clone());
        let rse = f.rse.clone().or_else(below);
        File {
            lfn: f.lfn,
            scope: f.scope,
            size_bytes: f.fsize.and_then(|n| u64::try_from(n).ok()).unwrap_or(0),
            checksum: f.checksum.map(|c| c.strip_prefix("md5:").map(|hex| format!("md:{hex}")).unwrap_or(c)),
            guid: f.guid,
            n_events: f.n_events.and_then(|n| u64::try_from(n).ok()),
            replicas: rse.zip(f.surl).map(|(rse, pfn)| Replica { rse, pfn }).into_iter().collect(),
        }
    }
}
