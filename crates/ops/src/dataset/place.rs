//! Brings a file of this machine into the layout of a storage endpoint without copying it, so that every pilot finds it where it computes it to be.

use std::path::{Path, PathBuf};

use crate::{OpsError, storage};

/// A file in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// Where it lies.
    pub path: PathBuf,
    /// Bytes.
    pub size: u64,
    /// Adler-32.
    pub adler32: u32,
}

/// Which files of this machine may be registered.
#[derive(Debug, Clone)]
pub struct Allowed {
    /// Roots of storage endpoints: what lies there may be registered.
    pub roots: Vec<PathBuf>,
    /// The data directory: what lies there and in no root may not (database, keys).
    pub data_dir: PathBuf,
}

/// Links `source` to the place of (scope, lfn) below `root` and measures it; blocking. A hard link where possible, since it stays when the
/// source is moved; across devices a symbolic one. A file that is there already must be the same.
pub fn place(source: &Path, root: &Path, scope: &str, lfn: &str, allowed: &Allowed) -> Result<Placed, OpsError> {
    let real = source.canonicalize().map_err(failed("opening", source))?;
    check(&real, allowed)?;
    let measured = storage::measure(&real).map_err(failed("reading", &real))?;
    let path = put(&real, root, scope, lfn)?;
    Ok(Placed { path, size: measured.0, adler32: measured.1 })
}

/// The same for a file whose size and checksum are known; it is read only when there is another file in its place. The answer is its place.
pub fn link(source: &Path, root: &Path, scope: &str, lfn: &str, allowed: &Allowed) -> Result<PathBuf, OpsError> {
    let real = source.canonicalize().map_err(failed("opening", source))?;
    check(&real, allowed)?;
    put(&real, root, scope, lfn)
}

fn failed(what: &str, path: &Path) -> impl FnOnce(std::io::Error) -> OpsError + use<> {
    let what = format!("{what} {}", path.display());
    move |source| OpsError::File { what, source }
}

fn put(real: &Path, root: &Path, scope: &str, lfn: &str) -> Result<PathBuf, OpsError> {
    let target = storage::path(root, scope, lfn);
    if let Ok(there) = target.canonicalize() {
        let clash = || OpsError::refused(format!("another file `{scope}:{lfn}` is in storage already; give this one another name"));
        return if there == real || is_same(real, &there)? { Ok(target) } else { Err(clash()) };
    }
    if let Some(dir) = target.parent() {
        std::fs::create_dir_all(dir).map_err(failed("making", dir))?;
    }
    // A dangling link of a source that was moved.
    if target.symlink_metadata().is_ok_and(|m| m.is_symlink()) {
        std::fs::remove_file(&target).map_err(failed("replacing", &target))?;
    }
    if std::fs::hard_link(real, &target).is_err() {
        std::os::unix::fs::symlink(real, &target).map_err(failed("linking", &target))?;
    }
    Ok(target)
}

/// Whether two files are one, or have the same content.
fn is_same(a: &Path, b: &Path) -> Result<bool, OpsError> {
    use std::os::unix::fs::MetadataExt as _;
    let meta = |path: &Path| path.metadata().map_err(failed("reading", path));
    let (of_a, of_b) = (meta(a)?, meta(b)?);
    if (of_a.dev(), of_a.ino()) == (of_b.dev(), of_b.ino()) {
        return Ok(true);
    }
    if of_a.len() != of_b.len() {
        return Ok(false);
    }
    let sum = |path: &Path| storage::measure(path).map_err(failed("reading", path));
    Ok(sum(a)? == sum(b)?)
}

fn check(real: &Path, allowed: &Allowed) -> Result<(), OpsError> {
    let inside = |root: &PathBuf| root.canonicalize().is_ok_and(|r| real.starts_with(r));
    if !real.is_file() {
        return Err(OpsError::refused(format!("{} is no regular file", real.display())));
    }
    if inside(&allowed.data_dir) && !allowed.roots.iter().any(inside) {
        return Err(OpsError::refused(format!("{} is a file of the server itself and cannot be registered", real.display())));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn files_are_linked_once() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("data/storage");
        std::fs::create_dir_all(&root).unwrap();
        let allowed = Allowed { roots: vec![root.clone()], data_dir: dir.path().join("data") };
        let put = |name: &str, text: &str| {
            let path = dir.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let (a, b) = (put("a", "abc"), put("b", "xyz"));
        let placed = place(&a, &root, "user.bob", "f", &allowed).unwrap();
        assert_eq!((placed.size, placed.adler32), (3, 0x024d_0127));
        assert_eq!(placed.path, storage::path(&root, "user.bob", "f"));
        assert_eq!(std::fs::read(&placed.path).unwrap(), b"abc");
        assert_eq!(place(&a, &root, "user.bob", "f", &allowed).unwrap(), placed, "twice is once");
        assert_eq!(place(&placed.path, &root, "user.bob", "f", &allowed).unwrap(), placed, "in place already");
        assert!(place(&b, &root, "user.bob", "f", &allowed).unwrap_err().to_string().contains("another file"));
        let key = put("data/key", "secret");
        assert!(place(&key, &root, "user.bob", "k", &allowed).unwrap_err().to_string().contains("server itself"));
        assert!(place(dir.path(), &root, "user.bob", "d", &allowed).unwrap_err().to_string().contains("no regular file"));
        assert!(place(&dir.path().join("none"), &root, "user.bob", "n", &allowed).is_err());
        let gone = storage::path(&root, "user.bob", "g");
        std::fs::create_dir_all(gone.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink("/nonexistent", &gone).unwrap();
        assert!(place(&b, &root, "user.bob", "g", &allowed).is_ok(), "a dangling link is replaced");
    }
}
