//! Data sets that a plug-in keeps: asked for when a task's input is listed.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use panda_core::setting::plugin as settings;
use panda_ops::{
    Ops,
    dataset::{Name, place::Allowed},
    plugin::{Asked, Desk, named},
};
use panda_plugin::{DataManagement, Error, Kind};
use panda_store::{
    Batch, Store,
    query::dataset::{self, DatasetRow, input as catalogue, keeper},
};

use super::copy::{self, Copy};
use crate::EngineError;

/// Questions under way of one process.
type Fetches = Desk<Result<(), Error>>;

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// VO and label of the task.
    pub vo: &'a str,
    /// See `vo`.
    pub label: &'a str,
    /// Names that the catalogue does not have.
    pub missing: &'a [String],
    /// Data sets that are there in part, or that may grow.
    pub growing: &'a [DatasetRow],
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Fetched {
    /// Whether something was asked for and is in the catalogue now as its keeper has it.
    pub any: bool,
    /// What keepers say of names that they do not know.
    pub unknown: BTreeMap<String, String>,
    /// Why something is not there yet, with the plug-in's name.
    pub waits: Option<String>,
    /// What was asked and is not answered yet.
    pub under_way: Vec<UnderWay>,
}

/// A question without an answer yet.
#[derive(Debug, Clone)]
pub struct UnderWay {
    key: String,
    vo: String,
    /// The data set's name in the catalogue.
    name: String,
}

/// Asks for what is wanted: of the plug-in that keeps it already, else of the one that VO and label have.
pub async fn fetch(ops: &Ops, wanted: &Wanted<'_>) -> Result<Fetched, EngineError> {
    let values = ops.settings().await?;
    let (vo, label) = (wanted.vo, wanted.label);
    let own = values.text(&settings::DATA, vo, label);
    let stage_to = values.text(&settings::STAGE_TO, vo, label);
    let mut asks: Vec<(String, String)> = Vec::new();
    if !own.is_empty() {
        asks.extend(wanted.missing.iter().map(|name| (own.to_owned(), name.trim_end_matches('/').to_owned())));
    }
    let ids: Vec<i64> = wanted.growing.iter().map(|d| d.id).collect();
    for chunk in ids.chunks(panda_store::MAX_IN_LIST) {
        let keepers = keeper::of(&ops.store, chunk).await?;
        let kept = wanted.growing.iter().filter_map(|d| Some((keepers.get(&d.id)?.clone(), format!("{}:{}", d.scope, d.name))));
        asks.extend(kept);
    }
    let age_us = values.int(&settings::RETRY_S, vo, label).saturating_mul(500_000);
    let mut fetched = Fetched::default();
    for (plugin, name) in asks {
        match ask(ops, vo, &plugin, &name, stage_to, age_us).await? {
            Asked::Answer(Ok(())) => fetched.any = true,
            Asked::Answer(Err(Error::Unknown(text))) => drop(fetched.unknown.insert(name, named(Kind::Data, &plugin, text))),
            Asked::Answer(Err(e)) => drop(fetched.waits.get_or_insert(named(Kind::Data, &plugin, e.to_string()))),
            Asked::UnderWay => {
                let plain = Name::parse(&name).map(|n| n.name).unwrap_or_default();
                fetched.under_way.push(UnderWay { key: key(&plugin, vo, &name), vo: vo.to_owned(), name: plain });
                fetched.waits.get_or_insert(format!("data plug-in `{plugin}` is asked for data set {name}"));
            }
        }
    }
    Ok(fetched)
}

/// Has keepers asked again of what is here in whole since long, for a task that begins to read it: whether something of it has been looked at now. A keeper
/// that does not answer changes nothing; a data set that it does not know any more leaves the catalogue.
pub async fn recheck(ops: &Ops, vo: &str, label: &str, whole: &[DatasetRow]) -> Result<bool, EngineError> {
    let values = ops.settings().await?;
    let (every, now) = (values.int(&settings::RECHECK_S, vo, label), ops.now().0);
    if every == 0 || !ops.plugins.names().iter().any(|(kind, _)| *kind == Kind::Data) {
        return Ok(false);
    }
    let age_us = values.int(&settings::RETRY_S, vo, label).saturating_mul(500_000);
    let mut any = false;
    for chunk in whole.chunks(panda_store::MAX_IN_LIST) {
        let ids: Vec<i64> = chunk.iter().map(|d| d.id).collect();
        let stale = keeper::stale(&ops.store, &ids, now - every.saturating_mul(1_000_000)).await?;
        let keepers = keeper::of(&ops.store, &stale).await?;
        for d in chunk.iter().filter(|d| keepers.contains_key(&d.id)) {
            let (plugin, name) = (&keepers[&d.id], format!("{}:{}", d.scope, d.name));
            match ask(ops, vo, plugin, &name, "", age_us).await? {
                Asked::Answer(Ok(())) => any = true,
                Asked::Answer(Err(Error::Unknown(why))) => {
                    forget(ops, d.id).await?;
                    tracing::info!(dataset = name, why, "its keeper has removed it");
                    any = true;
                }
                Asked::Answer(Err(why)) => tracing::warn!(dataset = name, "not compared with its keeper: {why}"),
                Asked::UnderWay => {}
            }
        }
    }
    Ok(any)
}

/// Takes a data set out of the catalogue.
async fn forget(ops: &Ops, dataset: i64) -> Result<(), EngineError> {
    loop {
        let files = dataset::files(&ops.store, dataset, "", 1_000).await?;
        let mut batch = Batch::new();
        dataset::drop_files(&mut batch, &files.iter().map(|f| f.id).collect::<Vec<_>>());
        if files.is_empty() {
            dataset::remove(&mut batch, dataset);
        }
        ops.store.apply(batch).await?;
        if files.is_empty() {
            return Ok(());
        }
    }
}

fn key(plugin: &str, vo: &str, name: &str) -> String {
    format!("{plugin}/{vo}/{name}")
}

/// Rings for answers that came before anybody was written down as waiting for them.
pub async fn ring_for(ops: &Ops, questions: &[UnderWay]) {
    let desk = ops.live.of::<Fetches>();
    for q in questions.iter().filter(|q| desk.has_answer(&q.key)) {
        ring(ops.store.clone(), q.vo.clone(), q.name.clone()).await;
    }
}

async fn ask(ops: &Ops, vo: &str, plugin: &str, name: &str, stage_to: &str, age_us: i64) -> Result<Asked<Result<(), Error>>, EngineError> {
    // A name that no catalogue can have is not asked for.
    let Ok(parsed) = Name::parse(name) else { return Ok(Asked::Answer(Err(Error::Unknown(format!("`{name}` is no data set name"))))) };
    let keeper = match ops.plugins.data(plugin) {
        Ok(keeper) => keeper,
        Err(e) => return Ok(Asked::Answer(Err(e))),
    };
    let copy = Copy { stage_to: stage_to.to_owned(), ..copy_of(ops, keeper, plugin, vo, name, &parsed).await? };
    let desk = ops.live.of::<Fetches>();
    let ring = ring(ops.store.clone(), vo.to_owned(), parsed.name);
    Ok(desk.ask(&key(plugin, vo, name), ops.now().0, age_us, async move { copy.run().await }, ring).await)
}

/// Inputs that wait for a data set look at it: the answer is there.
async fn ring(store: Store, vo: String, name: String) {
    let mut batch = Batch::new();
    catalogue::touched_name(&mut batch, &vo, &name);
    if let Err(error) = store.apply(batch).await {
        tracing::warn!(%error, vo, name, "inputs that wait for a data set learn of it later");
    }
}

async fn copy_of(
    ops: &Ops,
    keeper: Arc<dyn DataManagement>,
    plugin: &str,
    vo: &str,
    name: &str,
    parsed: &Name,
) -> Result<Copy, EngineError> {
    let queues = ops.queues().await?;
    let roots: BTreeMap<String, PathBuf> = queues.rses.values().map(|r| (r.name.clone(), PathBuf::from(&r.root))).collect();
    let allowed = Allowed { roots: roots.values().cloned().collect(), data_dir: ops.options.data_dir.clone() };
    Ok(Copy {
        store: ops.store.clone(),
        keeper,
        plugin: plugin.to_owned(),
        vo: vo.to_owned(),
        asked: name.to_owned(),
        scope: parsed.scope.clone(),
        name: parsed.name.clone(),
        stage_to: String::new(),
        places: Arc::new(copy::Places { roots, allowed }),
        now_us: ops.now().0,
    })
}
