//! Registers files of the server's machine, or files uploaded before, as a data set.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use panda_access::{Principal, Right, table};
use panda_core::policy::names;
use panda_store::{
    Batch, IdKind,
    query::{
        cache,
        dataset::{self, DatasetFile, DatasetRow},
        queue::RseRow,
    },
};
use uuid::Uuid;

use super::{
    Name,
    manifest::{self, At, Entry, MAX_FILES},
    place::{Allowed, Placed, place},
};
use crate::{Ops, OpsError, storage};

/// Files measured and written at a time.
const CHUNK: usize = 200;

/// Where the list of files comes from.
#[derive(Debug, Clone)]
pub enum Source {
    /// Every regular file of a directory, without those below it and without dotfiles.
    Dir(PathBuf),
    /// A JSON or CSV manifest ([`manifest`]).
    Manifest(PathBuf),
    /// Files as listed.
    Files(Vec<Entry>),
}

/// A data set with what was added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Added {
    /// The data set, with its counters as they are now.
    pub dataset: DatasetRow,
    /// Files that are new in it.
    pub added: usize,
    /// Files that were there already.
    pub known: usize,
}

/// Registers files under `[scope:]name`, in the storage of `queue` (None = of the first queue by name). Files stay where they are and are linked
/// into the storage's layout. Registering the same files again changes nothing; a file of the same name with other content is refused.
pub async fn add(ops: &Ops, who: &Principal, name: &str, source: Source, queue: Option<&str>) -> Result<Added, OpsError> {
    table::allowed(Right::DatasetAdd, Some(who), None)?;
    let name = Name::parse(name)?;
    let vo = super::vo_of(ops, who).await?;
    let person = ops.person(who).await?.id;
    let entries = entries(ops, who, source).await?;
    if entries.is_empty() {
        return Err(OpsError::refused("there is no file to register"));
    }
    let rse = rse(ops, queue).await?;
    let row = super::ensure(ops, &vo, &name, person).await?;
    if row.person_id != Some(person) && !who.is_production() {
        return Err(OpsError::refused(format!("data set {} belongs to somebody else; choose another name", row.name)));
    }
    if row.state == "closed" {
        return Err(OpsError::refused(format!("data set {} is closed", row.name)));
    }
    let (mut added, mut found) = (0, 0);
    for chunk in entries.chunks(CHUNK) {
        let placed = place_all(ops, person, &row, &rse, chunk).await?;
        let names: Vec<String> = placed.iter().map(|p| p.2.clone()).collect();
        let mut known: HashMap<String, (Option<i64>, Option<String>)> =
            dataset::input::named(&ops.store, row.id, &names).await?.into_iter().map(|f| (f.lfn, (f.fsize, f.checksum))).collect();
        let mut ids = ops.store.ids(IdKind::Row, placed.len()).await?.into_iter();
        let mut batch = Batch::new();
        for (entry, scope, lfn, placed) in placed {
            let file = file(entry, &row, &rse, scope, lfn, &placed, ids.next().unwrap_or_default());
            match known.get(&file.lfn) {
                Some((size, sum)) if (*size, sum) == (file.fsize, &file.checksum) => found += 1,
                Some(_) => return Err(OpsError::refused(format!("data set {} has another file `{}` already", row.name, file.lfn))),
                None => {
                    known.insert(file.lfn.clone(), (file.fsize, file.checksum.clone()));
                    added += 1;
                    dataset::add_file(&mut batch, &file);
                }
            }
        }
        ops.store.apply(batch).await?;
    }
    let mut batch = Batch::new();
    dataset::recount(&mut batch, row.id);
    ops.store.apply(batch).await?;
    let dataset = dataset::by_name(&ops.store, &vo, &row.name).await?.unwrap_or(row);
    Ok(Added { dataset, added, known: found })
}

/// Lists the files. Paths of the server's machine are for production, and for everybody on an installation that serves its own machine only.
async fn entries(ops: &Ops, who: &Principal, source: Source) -> Result<Vec<Entry>, OpsError> {
    let local = match &source {
        Source::Dir(_) | Source::Manifest(_) => true,
        Source::Files(files) => files.iter().any(|e| matches!(e.at, At::Path(_))),
    };
    if local && !ops.options.local_paths && !who.is_production() {
        return Err(OpsError::refused(
            "files of the server's machine can be registered with the production role only; upload yours instead",
        ));
    }
    let listed = tokio::task::spawn_blocking(move || match source {
        Source::Dir(dir) => directory(&dir),
        Source::Manifest(path) => manifest::read(&path),
        Source::Files(files) => Ok(files),
    });
    let entries = listed.await.map_err(|e| OpsError::Internal(format!("listing stopped: {e}")))??;
    if entries.len() > MAX_FILES {
        return Err(OpsError::refused(format!("{} files; register at most {MAX_FILES} at once", entries.len())));
    }
    Ok(entries)
}

fn directory(dir: &Path) -> Result<Vec<Entry>, OpsError> {
    let failed = |source| OpsError::File { what: format!("listing {}", dir.display()), source };
    let mut paths = Vec::new();
    for item in std::fs::read_dir(dir).map_err(failed)? {
        let path = item.map_err(failed)?.path();
        let hidden = path.file_name().is_none_or(|n| n.to_string_lossy().starts_with('.'));
        if !hidden && path.is_file() {
            paths.push(path);
        }
        if paths.len() > MAX_FILES {
            return Err(OpsError::refused(format!(
                "{} has more than {MAX_FILES} files; register them in parts by a manifest",
                dir.display()
            )));
        }
    }
    paths.sort();
    Ok(paths.into_iter().map(Entry::path).collect())
}

/// The storage of a queue; without a name, of the first queue.
async fn rse(ops: &Ops, queue: Option<&str>) -> Result<Arc<RseRow>, OpsError> {
    let queues = ops.queues_changed().await?;
    let row = match queue.filter(|q| !q.is_empty()) {
        Some(name) => queues.by_name.get(name).cloned().ok_or_else(|| OpsError::NotFound(format!("queue `{name}` does not exist")))?,
        None => {
            let none = || OpsError::refused("there is no queue, so no storage either; add one with `panda queue add NAME --storage DIR`");
            queues.sorted().into_iter().next().ok_or_else(none)?
        }
    };
    queues.rses.get(&row.rse_id).cloned().ok_or_else(|| OpsError::Internal(format!("the storage of queue {} is missing", row.name)))
}

type InPlace<'e> = (&'e Entry, String, String, Placed);

/// Links and measures a chunk of files off the request's thread.
async fn place_all<'e>(ops: &Ops, person: i64, row: &DatasetRow, rse: &RseRow, chunk: &'e [Entry]) -> Result<Vec<InPlace<'e>>, OpsError> {
    let queues = ops.queues().await?;
    let roots = queues.rses.values().map(|r| PathBuf::from(&r.root)).collect();
    let mut jobs = Vec::with_capacity(chunk.len());
    for entry in chunk {
        let path = match &entry.at {
            At::Path(path) => path.clone(),
            At::Cache(name) => uploaded(ops, person, name).await?,
        };
        let last = || path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        let lfn = entry.lfn.clone().unwrap_or_else(last);
        if let Some(problem) = names::problem(&lfn) {
            return Err(OpsError::refused(problem));
        }
        let scope = match &entry.scope {
            Some(scope) => Name::parse(&format!("{scope}:x"))?.scope,
            None => row.scope.clone(),
        };
        let from_cache = matches!(entry.at, At::Cache(_));
        jobs.push((path, scope, lfn, entry.size, entry.adler32.clone(), from_cache));
    }
    let allowed = Allowed { roots, data_dir: ops.options.data_dir.clone() };
    let root = PathBuf::from(&rse.root);
    let work = move || -> Result<Vec<(String, String, Placed)>, OpsError> {
        let mut done = Vec::with_capacity(jobs.len());
        for (path, scope, lfn, size, sum, from_cache) in jobs {
            // Uploads lie in the data directory; that one is the caller's own was looked up.
            let allowed = if from_cache { Allowed { data_dir: PathBuf::new(), ..allowed.clone() } } else { allowed.clone() };
            let placed = place(&path, &root, &scope, &lfn, &allowed)?;
            let stated = size.is_none_or(|s| s == placed.size) && sum.as_ref().is_none_or(|s| *s == format!("{:08x}", placed.adler32));
            if !stated {
                let is = format!("{} bytes, ad:{:08x}", placed.size, placed.adler32);
                return Err(OpsError::refused(format!("`{lfn}` is not as stated: it has {is}")));
            }
            done.push((scope, lfn, placed));
        }
        Ok(done)
    };
    let done = tokio::task::spawn_blocking(work).await.map_err(|e| OpsError::Internal(format!("linking stopped: {e}")))??;
    Ok(chunk.iter().zip(done).map(|(e, (scope, lfn, placed))| (e, scope, lfn, placed)).collect())
}

/// The path of a file that the caller has uploaded.
async fn uploaded(ops: &Ops, person: i64, name: &str) -> Result<PathBuf, OpsError> {
    let row = cache::get(&ops.store, name).await?.filter(|f| f.person_id == person);
    let path = row.and_then(|_| ops.blobs.cache_path(name));
    path.ok_or_else(|| OpsError::NotFound(format!("you have not uploaded a file `{name}`")))
}

fn file(entry: &Entry, row: &DatasetRow, rse: &RseRow, scope: String, lfn: String, placed: &Placed, id: i64) -> DatasetFile {
    DatasetFile {
        id,
        dataset_id: row.id,
        lfn,
        scope,
        guid: Some(entry.guid.clone().unwrap_or_else(|| Uuid::new_v4().to_string())),
        fsize: i64::try_from(placed.size).ok(),
        checksum: Some(format!("ad:{:08x}", placed.adler32)),
        n_events: entry.n_events,
        surl: Some(storage::surl(&placed.path)),
        rse: Some(rse.name.clone()),
        lumiblock: entry.lumiblock,
        boundary: entry.boundary,
        lost: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{World, alice, bob, prod};

    #[tokio::test]
    async fn a_directory_becomes_a_data_set() {
        let w = World::new().await;
        let dir = w.path("in");
        std::fs::create_dir_all(dir.join("deeper")).unwrap();
        for (name, text) in [("b.txt", "bb"), ("a.txt", "a"), (".hidden", "x")] {
            std::fs::write(dir.join(name), text).unwrap();
        }
        let source = || Source::Dir(dir.clone());
        assert!(add(&w.ops, &alice(), "user.alice.in", source(), None).await.unwrap_err().to_string().contains("no queue"));
        w.queue("LOCAL").await;
        let got = add(&w.ops, &alice(), "user.alice.in/", source(), None).await.unwrap();
        assert_eq!((got.added, got.known, got.dataset.n_files, got.dataset.n_bytes), (2, 0, 2, 3));
        assert_eq!((got.dataset.scope.as_str(), got.dataset.vo.as_str()), ("user.alice", "amber"));
        let files = dataset::files(&w.ops.store, got.dataset.id, "", 10).await.unwrap();
        assert_eq!(files.iter().map(|f| f.lfn.as_str()).collect::<Vec<_>>(), ["a.txt", "b.txt"]);
        let place = storage::path(&w.path("storage"), "user.alice", "a.txt");
        assert_eq!(files[0].surl.as_deref(), Some(storage::surl(&place).as_str()));
        assert_eq!((files[0].rse.as_deref(), std::fs::read(place).unwrap().as_slice()), (Some("LOCAL_DISK"), &b"a"[..]));
        let again = add(&w.ops, &alice(), "user.alice.in", source(), Some("LOCAL")).await.unwrap();
        assert_eq!((again.added, again.known, again.dataset.n_files), (0, 2, 2));
        assert!(add(&w.ops, &bob(), "user.alice.in", source(), None).await.unwrap_err().to_string().contains("somebody else"));
        assert!(add(&w.ops, &alice(), "user.alice.in", source(), Some("NOPE")).await.is_err());
    }

    #[tokio::test]
    async fn uploads_and_wrong_statements() {
        let mut w = World::new().await;
        w.queue("LOCAL").await;
        std::fs::write(w.ops.blobs.cache_path("up.dat").unwrap(), "up").unwrap();
        let person = w.ops.person(&alice()).await.unwrap().id;
        let mut batch = Batch::new();
        let row = cache::CacheFile {
            name: "up.dat".into(),
            person_id: person,
            vo: None,
            fsize: 2,
            checksum: "1".into(),
            touched_us: w.ops.now().0,
        };
        cache::add(&mut batch, &row);
        w.ops.store.apply(batch).await.unwrap();
        let entry = Entry { at: At::Cache("up.dat".into()), lfn: Some("d".into()), ..Entry::path(PathBuf::new()) };
        let files = |e: &Entry| Source::Files(vec![e.clone()]);
        assert_eq!(add(&w.ops, &alice(), "user.alice.up", files(&entry), None).await.unwrap().added, 1);
        assert!(matches!(add(&w.ops, &bob(), "user.bob.up", files(&entry), None).await, Err(OpsError::NotFound(_))));
        let wrong = Entry { size: Some(9), ..entry };
        assert!(
            add(&w.ops, &alice(), "user.alice.up2", files(&wrong), None)
                .await
                .unwrap_err()
                .to_string()
                .contains("not as stated: it has 2 bytes")
        );
        w.ops.options.local_paths = false;
        let local = Source::Files(vec![Entry::path("/etc/hostname".into())]);
        assert!(add(&w.ops, &alice(), "user.alice.x", local, None).await.unwrap_err().to_string().contains("production role"));
        let manifest = w.path("m.csv");
        std::fs::write(w.path("f.dat"), "f").unwrap();
        std::fs::write(&manifest, "path,events\nf.dat,7\n").unwrap();
        let got = add(&w.ops, &prod(), "mc:mc.evnt", Source::Manifest(manifest), None).await.unwrap();
        let files = dataset::files(&w.ops.store, got.dataset.id, "", 10).await.unwrap();
        assert_eq!((files[0].scope.as_str(), files[0].n_events), ("mc", Some(7)));
    }
}
