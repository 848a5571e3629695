//! Where the files of an input come from, a page at a time: numbers, the nodes of a DAG, addresses, data sets by name, data sets in another order, files by name.

use std::sync::Arc;

use panda_core::policy::feed::{File, Order};
use panda_ops::{Ops, task::dag::Dag};
use panda_store::query::dataset::{self, DatasetFile, input};

use crate::EngineError;

/// Files of one page: as many as a batch has rows.
pub const PAGE: usize = 480;

/// How far data sets are listed: how many wholly, and the last name of the next.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cursor {
    /// Data sets that are listed wholly.
    pub part: usize,
    /// Last name listed of the next one; empty = none.
    pub after: String,
}

/// A file, and how far its input is listed with it.
#[derive(Debug, Clone)]
pub struct Item {
    /// The file.
    pub file: DatasetFile,
    /// The cursor behind it.
    pub cursor: Cursor,
}

/// The files of an input.
#[derive(Debug)]
pub enum Source {
    /// Pseudo inputs of these numbers, with so many events each.
    Numbers {
        /// The next one.
        next: i64,
        /// The last one.
        last: i64,
        /// Events of each.
        events: i64,
    },
    /// The nodes of a DAG.
    Nodes {
        /// All of them.
        dag: Arc<Dag>,
        /// The next one.
        next: usize,
    },
    /// Addresses, with the number of events behind a `^`.
    Addresses {
        /// All of them.
        list: Vec<String>,
        /// The next one.
        next: usize,
    },
    /// Data sets one after the other, by name.
    Names {
        /// The data sets.
        parts: Vec<i64>,
        /// How far they are listed.
        at: Cursor,
    },
    /// Rows of the catalogue in an order of their own.
    Rows {
        /// All of them.
        ids: Vec<i64>,
        /// The next one.
        next: usize,
    },
    /// Files of these names (sorted), data set by data set.
    Listed {
        /// The data sets.
        parts: Vec<i64>,
        /// The names.
        names: Vec<String>,
        /// The data set that is read.
        part: usize,
        /// The next name.
        next: usize,
    },
}

impl Source {
    /// The next files; none when there are no more.
    pub async fn page(&mut self, ops: &Ops) -> Result<Vec<Item>, EngineError> {
        Ok(match self {
            Self::Numbers { next, last, events } => {
                let to = (*next + PAGE as i64 - 1).min(*last);
                let page = (*next..=to).map(|n| pseudo(format!("pseudo_lfn.{n:06}"), Some(*events))).collect();
                *next = to + 1;
                page
            }
            Self::Nodes { dag, next } => {
                let page: Vec<Item> = dag.nodes.iter().skip(*next).take(PAGE).map(|n| pseudo(n.name.clone(), None)).collect();
                *next += page.len();
                page
            }
            Self::Addresses { list, next } => {
                let to = (*next + PAGE).min(list.len());
                let page = list[*next..to].iter().map(|text| {
                    let (address, events) = panda_core::policy::params::pfn(text);
                    pseudo(address.to_owned(), events)
                });
                let page = page.collect();
                *next = to;
                page
            }
            Self::Names { parts, at } => by_name(ops, parts, at).await?,
            Self::Rows { ids, next } => {
                let mut found = Vec::new();
                while found.is_empty() && *next < ids.len() {
                    let to = (*next + PAGE).min(ids.len());
                    found = input::by_ids(&ops.store, &ids[*next..to]).await?;
                    *next = to;
                }
                found.into_iter().map(plain).collect()
            }
            Self::Listed { parts, names, part, next } => {
                let mut page = Vec::new();
                while page.is_empty() && *part < parts.len() {
                    let to = (*next + PAGE).min(names.len());
                    page = input::named(&ops.store, parts[*part], &names[*next..to]).await?;
                    *next = to;
                    if to == names.len() {
                        (*part, *next) = (*part + 1, 0);
                    }
                }
                page.into_iter().map(plain).collect()
            }
        })
    }
}

/// A row that no data set has. Its cursor only says that the listing is under way: where it stands is the number of rows.
fn pseudo(lfn: String, n_events: Option<i64>) -> Item {
    Item { file: DatasetFile { lfn, n_events, ..DatasetFile::default() }, cursor: Cursor { part: 1, after: String::new() } }
}

fn plain(file: DatasetFile) -> Item {
    Item { file, cursor: Cursor::default() }
}

async fn by_name(ops: &Ops, parts: &[i64], at: &mut Cursor) -> Result<Vec<Item>, EngineError> {
    while let Some(part) = parts.get(at.part) {
        let page = dataset::files(&ops.store, *part, &at.after, PAGE as i64).await?;
        if let Some(last) = page.last() {
            let here = at.part;
            at.after.clone_from(&last.lfn);
            return Ok(page.into_iter().map(|file| Item { cursor: Cursor { part: here, after: file.lfn.clone() }, file }).collect());
        }
        *at = Cursor { part: at.part + 1, after: String::new() };
    }
    Ok(Vec::new())
}

/// The rows of these data sets in an order that needs all of them; `None` when there are more than `most`.
pub async fn sorted(
    ops: &Ops,
    parts: &[i64],
    order: Order,
    events: impl Fn(Option<i64>) -> Option<i64>,
    most: usize,
) -> Result<Option<Vec<i64>>, EngineError> {
    let mut keys: Vec<(u64, u32, i64)> = Vec::new();
    for part in parts {
        let mut after = String::new();
        loop {
            let page = input::keys(&ops.store, *part, &after, input::MAX_KEYS).await?;
            let Some(last) = page.last() else { break };
            after.clone_from(&last.lfn);
            for k in page {
                let place = u32::try_from(keys.len()).unwrap_or(u32::MAX);
                let file = File { events: events(k.n_events), lumiblock: k.lumiblock };
                keys.push((order.key(u64::from(place), &file, None), place, k.id));
            }
            if keys.len() > most {
                return Ok(None);
            }
        }
    }
    keys.sort_unstable();
    Ok(Some(keys.into_iter().map(|k| k.2).collect()))
}
