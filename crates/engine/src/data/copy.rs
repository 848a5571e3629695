//! Copies a data set of a plug-in into the catalogue, page by page in the order of names, so that a copy that broke off goes on behind the last file
//! that is there. One that is here in whole is compared: what is new comes, what its keeper has removed goes.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
};

use panda_core::policy::names;
use panda_ops::{
    dataset::{
        Name,
        place::{self, Allowed},
    },
    storage,
};
use panda_plugin::{DataManagement, Error, File, FilePage};
use panda_store::{
    Batch, IdKind, Store,
    query::dataset::{self, DatasetFile, DatasetRow, keeper},
};

/// Files of one page: a page is one batch.
const PAGE: usize = 400;
/// Files of the catalogue that are compared with a page of the plug-in's at a time.
const SWEEP: i64 = 1_000;
/// Most files of one data set: more are a plug-in that goes round in circles.
const MAX_FILES: usize = 20_000_000;

/// Storage endpoints of this system.
#[derive(Debug)]
pub struct Places {
    /// Their directories by name.
    pub roots: BTreeMap<String, PathBuf>,
    /// What may be linked.
    pub allowed: Allowed,
}

/// A data set to be copied.
pub struct Copy {
    /// The database.
    pub store: Store,
    /// Who keeps it.
    pub keeper: Arc<dyn DataManagement>,
    /// Its name among the plug-ins.
    pub plugin: String,
    /// The VO.
    pub vo: String,
    /// The data set as it is asked for.
    pub asked: String,
    /// Its scope here.
    pub scope: String,
    /// Its name here.
    pub name: String,
    /// Storage endpoint to which it is to be brought first; empty = it is read where it is.
    pub stage_to: String,
    /// Where files lie.
    pub places: Arc<Places>,
    /// The present time.
    pub now_us: i64,
}

/// The database's trouble is no fault of the plug-in: it is told as it is, and all is tried again.
fn ours(e: panda_store::Error) -> Error {
    Error::later(format!("the catalogue cannot be written: {e}"))
}

impl Copy {
    /// Copies what is not there yet.
    pub async fn run(self) -> Result<(), Error> {
        let found = self.keeper.resolve(&self.vo, &self.asked).await?;
        if !self.stage_to.is_empty() && !self.keeper.stage(&self.vo, &self.asked, &self.stage_to).await? {
            return Err(Error::later(format!("data plug-in `{}` is bringing data set {} to {}", self.plugin, self.asked, self.stage_to)));
        }
        let Some(row) = self.row().await? else { return Ok(()) };
        let arriving = row.state == keeper::ARRIVING;
        // What is here in whole may have grown anywhere.
        let mut after =
            if arriving { keeper::last_file(&self.store, row.id).await.map_err(ours)?.unwrap_or_default() } else { String::new() };
        let (mut new, mut gone, mut seen) = (0, 0, 0);
        loop {
            let from = after.clone();
            let page = self.keeper.files(&self.vo, &self.asked, &after, PAGE).await?;
            self.check(&page, &after)?;
            seen += page.files.len();
            if seen > MAX_FILES {
                return Err(self.nonsense(&format!("more than {MAX_FILES} files")));
            }
            if let Some(last) = page.files.last() {
                after.clone_from(&last.lfn);
            }
            if !arriving {
                gone += self.sweep(row.id, &from, page.more.then_some(after.as_str()), &page.files).await?;
            }
            new += self.write(&row, page.files, arriving).await?;
            if !page.more {
                break;
            }
        }
        let state = if found.open { "open" } else { "closed" };
        let mut batch = Batch::new();
        keeper::checked(&mut batch, row.id, self.now_us);
        if new > 0 || gone > 0 || row.state != state {
            keeper::arrived(&mut batch, row.id, state);
        }
        self.store.apply(batch).await.map_err(ours)
    }

    /// Takes files out of the catalogue that their keeper does not list any more: those behind `from`, up to `to` (none = to the end), that are not among
    /// `listed`. Their number.
    async fn sweep(&self, dataset: i64, from: &str, to: Option<&str>, listed: &[File]) -> Result<usize, Error> {
        let listed: BTreeSet<&str> = listed.iter().map(|f| f.lfn.as_str()).collect();
        let (mut after, mut gone) = (from.to_owned(), Vec::new());
        loop {
            let page = dataset::input::keys(&self.store, dataset, &after, SWEEP).await.map_err(ours)?;
            let Some(last) = page.last() else { break };
            after.clone_from(&last.lfn);
            let full = page.len() as i64 == SWEEP;
            let within = |lfn: &str| to.is_none_or(|to| lfn <= to);
            let over = !full || !within(&after);
            gone.extend(page.into_iter().filter(|k| within(&k.lfn) && !listed.contains(k.lfn.as_str())).map(|k| k.id));
            if over {
                break;
            }
        }
        for ids in gone.chunks(PAGE) {
            let mut batch = Batch::new();
            dataset::drop_files(&mut batch, ids);
            self.store.apply(batch).await.map_err(ours)?;
        }
        Ok(gone.len())
    }

    fn nonsense(&self, what: &str) -> Error {
        Error::later(format!("data plug-in `{}` answers nonsense about data set {}: {what}", self.plugin, self.asked))
    }

    /// The catalogue's row; none when the catalogue has got a data set of its own of that name meanwhile.
    async fn row(&self) -> Result<Option<DatasetRow>, Error> {
        for _ in 0..2 {
            if let Some(found) = dataset::by_name(&self.store, &self.vo, &self.name).await.map_err(ours)? {
                let kept = keeper::of(&self.store, &[found.id]).await.map_err(ours)?;
                return Ok(kept.contains_key(&found.id).then_some(found));
            }
            let row = DatasetRow {
                id: self.store.id(IdKind::Row).await.map_err(ours)?,
                vo: self.vo.clone(),
                name: self.name.clone(),
                scope: self.scope.clone(),
                state: keeper::ARRIVING.into(),
                person_id: None,
                n_files: 0,
                n_bytes: 0,
                created_us: self.now_us,
            };
            let mut batch = Batch::new();
            keeper::add_kept(&mut batch, &row, &self.plugin);
            match self.store.apply(batch).await {
                Ok(()) => return Ok(Some(row)),
                Err(e) if e.is_conflict() => {}
                Err(e) => return Err(ours(e)),
            }
        }
        Err(Error::later(format!("data set {} appears and vanishes", self.name)))
    }

    /// Whether a page can be meant so.
    fn check(&self, page: &FilePage, after: &str) -> Result<(), Error> {
        let mut last = after;
        for f in &page.files {
            if f.lfn.as_str() <= last {
                return Err(self.nonsense(&format!("`{}` does not come after `{last}`", f.lfn)));
            }
            if let Some(problem) = names::problem(&f.lfn) {
                return Err(self.nonsense(&problem));
            }
            if !f.scope.is_empty() && Name::parse(&format!("{}:x", f.scope)).is_err() {
                return Err(self.nonsense(&format!("`{}` is no scope", f.scope)));
            }
            last = &f.lfn;
        }
        if page.files.len() > PAGE || (page.more && page.files.is_empty()) {
            return Err(self.nonsense(&format!("a page of {} files", page.files.len())));
        }
        Ok(())
    }

    /// Writes the files of a page that are not there; their number.
    async fn write(&self, row: &DatasetRow, mut files: Vec<File>, arriving: bool) -> Result<usize, Error> {
        if !arriving {
            let names: Vec<String> = files.iter().map(|f| f.lfn.clone()).collect();
            let known = dataset::input::named(&self.store, row.id, &names).await.map_err(ours)?;
            let known: BTreeSet<String> = known.into_iter().map(|f| f.lfn).collect();
            files.retain(|f| !known.contains(&f.lfn));
        }
        if files.is_empty() {
            return Ok(0);
        }
        let (scope, stage_to, places) = (row.scope.clone(), self.stage_to.clone(), self.places.clone());
        let all = move || files.into_iter().map(|f| placed(f, &scope, &stage_to, &places)).collect::<Result<Vec<_>, _>>();
        let placed = tokio::task::spawn_blocking(all);
        let placed = placed.await.map_err(|e| Error::later(format!("linking stopped: {e}")))?;
        let placed =
            placed.map_err(|e| Error::later(format!("a file of data plug-in `{}` cannot be put in its place: {e}", self.plugin)))?;
        let mut batch = Batch::new();
        let ids = self.store.ids(IdKind::Row, placed.len()).await.map_err(ours)?;
        for (file, id) in placed.iter().zip(ids) {
            dataset::add_file(&mut batch, &DatasetFile { id, dataset_id: row.id, ..file.clone() });
        }
        self.store.apply(batch).await.map_err(ours)?;
        Ok(placed.len())
    }
}

/// A file as the catalogue has it. One that lies on this machine, at an endpoint of ours but not in the endpoint's layout, is linked into it, since
/// that is where pilots look; the replica where it was brought to goes before one at an endpoint of ours, and that before others. Blocking.
fn placed(f: File, scope: &str, stage_to: &str, places: &Places) -> Result<DatasetFile, panda_ops::OpsError> {
    let scope = if f.scope.is_empty() { scope.to_owned() } else { f.scope };
    let of = |wanted: &dyn Fn(&str) -> bool| f.replicas.iter().find(|r| wanted(&r.rse));
    let staged = of(&|rse| rse == stage_to);
    let replica = staged.or_else(|| of(&|rse| places.roots.contains_key(rse))).or(f.replicas.first());
    let mut surl = replica.map(|r| r.pfn.clone());
    if let Some((root, path)) = replica.and_then(|r| Some((places.roots.get(&r.rse)?, storage::local_path(&r.pfn)?)))
        && path.exists()
    {
        surl = Some(storage::surl(&place::link(&path, root, &scope, &f.lfn, &places.allowed)?));
    }
    Ok(DatasetFile {
        lfn: f.lfn,
        scope,
        guid: f.guid,
        fsize: i64::try_from(f.size_bytes).ok(),
        checksum: f.checksum.map(|c| c.strip_prefix("md:").map(|hex| format!("md5:{hex}")).unwrap_or(c)),
        n_events: f.n_events.and_then(|n| i64::try_from(n).ok()),
        surl,
        rse: replica.map(|r| r.rse.clone()),
        ..DatasetFile::default()
    })
}
