//! Storage endpoints that are directories of this machine.
//!
//! Owns the layout of files, checksums, and how a file becomes part of a
//! storage: temporary name, fsync, rename. Must not know jobs.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use adler2::Adler32;
use md5::{Digest, Md5};
use serde_json::Value;

/// Read and write size; large enough that system calls do not show.
const BUFFER_BYTES: usize = 256 << 10;

/// What the worker knows of its queue's storage.
#[derive(Debug, Clone, Default)]
pub(crate) struct Storage {
    /// Endpoint name to root directory; endpoints elsewhere are left out.
    roots: BTreeMap<String, PathBuf>,
    /// The queue's endpoints for reading and writing.
    read_default: Option<String>,
    write_default: Option<String>,
}

impl Storage {
    /// Reads the queue's document and that of all endpoints.
    pub(crate) fn parse(queue: &Value, endpoints: &Value) -> Self {
        let first = |activities: &[&str]| {
            activities.iter().find_map(|activity| queue.get("astorages")?.get(activity)?.get(0)?.as_str().map(str::to_owned))
        };
        let mut roots = BTreeMap::new();
        for (name, document) in endpoints.as_object().into_iter().flatten() {
            if let Some(root) = root_of(document) {
                roots.insert(name.clone(), root);
            }
        }
        Self { roots, read_default: first(&["read_lan", "pr", "default"]), write_default: first(&["write_lan", "pw", "default"]) }
    }

    /// Root directory for reading from `endpoint`, or from the queue's own.
    pub(crate) fn read_root(&self, endpoint: Option<&str>) -> Result<&Path, String> {
        self.root(endpoint, self.read_default.as_deref()).map(|(_, root)| root)
    }

    /// Name and root directory for writing.
    pub(crate) fn write_root(&self, endpoint: Option<&str>) -> Result<(&str, &Path), String> {
        self.root(endpoint, self.write_default.as_deref())
    }

    fn root(&self, endpoint: Option<&str>, default: Option<&str>) -> Result<(&str, &Path), String> {
        let wanted = [endpoint, default];
        for name in wanted.into_iter().flatten() {
            if let Some((name, root)) = self.roots.get_key_value(name) {
                return Ok((name, root));
            }
        }
        match endpoint.or(default) {
            Some(name) => Err(format!("the storage {name} is not a directory of this machine")),
            None => Err("the queue names no storage".to_owned()),
        }
    }
}

fn root_of(document: &Value) -> Option<PathBuf> {
    let protocols = document.get("arprotocols")?;
    let protocol = ["write_lan", "read_lan"].iter().find_map(|activity| protocols.get(activity)?.get(0))?;
    let endpoint = protocol.get("endpoint").and_then(Value::as_str).unwrap_or_default();
    let local = matches!(endpoint.trim_end_matches('/'), "" | "file:" | "file://localhost");
    let path = Path::new(protocol.get("path")?.as_str()?);
    (local && path.is_absolute()).then(|| path.to_owned())
}

/// `<root>/<scope, dots as slashes>/<md5 of scope:lfn, 1-2>/<3-4>/<lfn>`.
pub(crate) fn path_of(root: &Path, scope: &str, lfn: &str) -> PathBuf {
    let digest = hex(&Md5::digest(format!("{scope}:{lfn}")));
    let mut path = root.to_owned();
    path.extend(scope.split('.').filter(|part| !part.is_empty()));
    path.push(&digest[0..2]);
    path.push(&digest[2..4]);
    path.push(lfn);
    path
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Size and adler32 (eight hex digits) of a file.
pub(crate) fn measure(path: &Path) -> io::Result<(u64, String)> {
    copy_measured(&mut File::open(path)?, &mut io::sink())
}

/// md5 of a file in hex.
pub(crate) fn md5_of(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut digest = Md5::new();
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            return Ok(hex(&digest.finalize()));
        }
        digest.update(&buffer[..count]);
    }
}

/// Copies `from` into the storage at `to`. The file is there whole and durable,
/// or not at all. Returns its size and adler32.
pub(crate) fn put(from: &Path, to: &Path) -> io::Result<(u64, String)> {
    let dir = to.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(dir)?;
    let part = part_of(to);
    let result = (|| {
        let mut out = File::create(&part)?;
        let measured = copy_measured(&mut File::open(from)?, &mut out)?;
        out.sync_all()?;
        fs::rename(&part, to)?;
        File::open(dir)?.sync_all()?;
        Ok(measured)
    })();
    if result.is_err() {
        // The error that is returned matters more than a left-over part.
        let _ = fs::remove_file(&part);
    }
    result
}

/// The temporary name of [`put`].
pub(crate) fn part_of(to: &Path) -> PathBuf {
    let mut name = to.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    to.with_file_name(name)
}

fn copy_measured(from: &mut File, to: &mut impl Write) -> io::Result<(u64, String)> {
    let mut adler = Adler32::new();
    let mut size = 0u64;
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let count = from.read(&mut buffer)?;
        if count == 0 {
            return Ok((size, format!("{:08x}", adler.checksum())));
        }
        adler.write_slice(&buffer[..count]);
        to.write_all(&buffer[..count])?;
        size += count as u64;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    #[test]
    fn the_layout_of_the_recorded_runs() {
        // From a recorded final report of an official pilot.
        let path = path_of(Path::new("/se"), "user.alice", "user.alice.10000101._000001.out.txt");
        assert_eq!(path, Path::new("/se/user/alice/52/be/user.alice.10000101._000001.out.txt"));
    }

    #[test]
    fn endpoints_and_defaults() {
        let endpoint = |endpoint: &str, path: &str| json!({"arprotocols": {"write_lan": [{"endpoint": endpoint, "path": path}]}});
        let storage = Storage::parse(
            &json!({"astorages": {"write_lan": ["A"], "read_lan": ["B"]}}),
            &json!({"A": endpoint("file://localhost", "/a"), "B": endpoint("file://localhost/", "/b"),
                    "C": endpoint("root://far", "/c"), "D": endpoint("file://localhost", "rel")}),
        );
        assert_eq!(storage.read_root(Some("A")).unwrap(), Path::new("/a"));
        assert_eq!(storage.read_root(None).unwrap(), Path::new("/b"));
        assert_eq!(storage.write_root(Some("C")).unwrap(), ("A", Path::new("/a")));
        let none = Storage::default();
        assert!(none.write_root(Some("D")).unwrap_err().contains("storage D"));
        assert!(none.write_root(None).is_err());
    }

    #[test]
    fn files_arrive_whole() {
        let dir = tempfile::tempdir().unwrap();
        let from = dir.path().join("from");
        fs::write(&from, "Wikipedia").unwrap();
        let to = dir.path().join("a/b/to");
        assert_eq!(put(&from, &to).unwrap(), (9, "11e60398".to_owned()));
        assert_eq!(measure(&to).unwrap(), (9, "11e60398".to_owned()));
        assert!(put(&dir.path().join("none"), &dir.path().join("a/b/none")).is_err());
        assert_eq!(fs::read_dir(dir.path().join("a/b")).unwrap().count(), 1);
        fs::write(&from, "").unwrap();
        assert_eq!(put(&from, &to).unwrap(), (0, "00000001".to_owned()));
        assert_eq!(md5_of(&to).unwrap(), "d41d8cd98f00b204e9800998ecf8427e");
    }
}
