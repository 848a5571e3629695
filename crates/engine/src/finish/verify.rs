//! An output counts only when the reported file is there with the reported size and checksum.

use std::path::{Path, PathBuf};

use panda_ops::{
    queue::Snapshot,
    storage::{self, Look},
};
use panda_store::query::queue::QueueRow;

use super::report::Stored;

/// A storage endpoint that jobs of a queue write to.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// Its name; none = the queue's own.
    pub name: Option<String>,
    /// Its directory.
    pub root: PathBuf,
}

/// The endpoints that jobs of a queue write to, its own first.
#[must_use]
pub fn written_to(queues: &Snapshot, queue: &QueueRow) -> Vec<Endpoint> {
    let own = queues.rses.get(&queue.rse_id).map(|r| Endpoint { name: None, root: PathBuf::from(&r.root) });
    let writes = queues.fact(queue.id).map(|q| q.writes.as_slice()).unwrap_or_default();
    let others = writes.iter().filter_map(|name| queues.rses.values().find(|r| r.name == *name));
    own.into_iter().chain(others.map(|r| Endpoint { name: Some(r.name.clone()), root: PathBuf::from(&r.root) })).collect()
}

/// The name of the endpoint that a stored file lies at, of those that are not the queue's own (which comes first). Blocking.
#[must_use]
pub fn lies_at(endpoints: &[Endpoint], file: &Stored) -> Option<String> {
    let path = storage::local_path(file.surl.as_deref()?)?;
    endpoints.iter().find(|e| below(&e.root, &path)).and_then(|e| e.name.clone())
}

/// Checks one stored file; the answer is the problem, if any. Blocking.
#[must_use]
pub fn problem(look: &dyn Look, endpoints: &[Endpoint], file: &Stored) -> Option<String> {
    let Some(surl) = &file.surl else { return Some(format!("output {}: the report says no address", file.lfn)) };
    let Some(path) = storage::local_path(surl) else {
        return Some(format!("output {}: {surl} is no address of a storage that this server reads", file.lfn));
    };
    if !endpoints.iter().any(|e| below(&e.root, &path)) {
        return Some(format!("output {}: {surl} does not lie in the queue's storage", file.lfn));
    }
    let (size, sum) = match look.measure(&path, file.checksum.starts_with("md5:")) {
        Ok(found) => found,
        Err(e) => return Some(format!("output {}: reported at {surl}, but: {e}", file.lfn)),
    };
    if i64::try_from(size) != Ok(file.size) {
        return Some(format!("output {}: {size} bytes at {surl}, {} reported", file.lfn, file.size));
    }
    if sum != file.checksum {
        return Some(format!("output {}: checksum {sum} at {surl}, {} reported", file.lfn, file.checksum));
    }
    None
}

/// Whether `path` lies below `root` without leaving it.
fn below(root: &Path, path: &Path) -> bool {
    let plain = path.components().all(|c| !matches!(c, std::path::Component::ParentDir));
    if !plain {
        return false;
    }
    // Either as written, or after links are followed (a root below a linked directory).
    path.starts_with(root) || matches!((root.canonicalize(), path.canonicalize()), (Ok(r), Ok(p)) if p.starts_with(&r))
}
