//! The log archive of a job: what is left in its directory.
//!
//! Owns the archive's form, `tarball_PandaJob_<id>_<queue>/...` as official
//! pilots make it. Links stay links, so no input travels with a log.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;

/// Most files of one archive: a payload that leaves more than this left a
/// software tree, not logs.
const MAX_FILES: usize = 200_000;

/// How deep directories are followed.
const MAX_DEPTH: usize = 64;

/// Packs `dir` without the top-level names of `leave_out` into the gzipped tar
/// `to`, everything below the directory `top`.
pub(crate) fn pack(dir: &Path, leave_out: &BTreeSet<String>, top: &str, to: &Path) -> io::Result<()> {
    let file = BufWriter::new(File::create(to)?);
    // Logs are written once and seldom read: speed over size.
    let mut out = Packer { tar: tar::Builder::new(GzEncoder::new(file, Compression::fast())), files: 0 };
    out.tar.follow_symlinks(false);
    out.add(dir, Path::new(top), Some(leave_out), 0)?;
    out.tar.into_inner()?.finish()?.flush()
}

struct Packer<W: Write> {
    tar: tar::Builder<W>,
    files: usize,
}

impl<W: Write> Packer<W> {
    fn add(&mut self, dir: &Path, name: &Path, leave_out: Option<&BTreeSet<String>>, depth: usize) -> io::Result<()> {
        let mut entries: Vec<fs::DirEntry> = fs::read_dir(dir)?.flatten().collect();
        entries.sort_by_key(fs::DirEntry::file_name);
        self.tar.append_dir(name, dir)?;
        for entry in entries {
            let file_name = entry.file_name();
            let left_out = leave_out.is_some_and(|names| names.contains(&*file_name.to_string_lossy()));
            if left_out || self.files >= MAX_FILES {
                continue;
            }
            let inside = name.join(&file_name);
            let kind = entry.file_type()?;
            if kind.is_dir() {
                if depth < MAX_DEPTH {
                    self.add(&entry.path(), &inside, None, depth + 1)?;
                }
            } else if kind.is_file() || kind.is_symlink() {
                self.files += 1;
                // A name that no archive can hold must not cost the whole log.
                if let Err(error) = self.tar.append_path_with_name(entry.path(), &inside) {
                    tracing::debug!(path = %inside.display(), %error, "left out of the log");
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn everything_but_inputs_and_outputs() {
        let dir = tempfile::tempdir().unwrap();
        let job = dir.path().join("job");
        fs::create_dir_all(job.join("d")).unwrap();
        for name in ["payload.stdout", "out", "d/out"] {
            fs::write(job.join(name), name).unwrap();
        }
        std::os::unix::fs::symlink("/nonexistent", job.join("link")).unwrap();
        let to = dir.path().join("log.tgz");
        pack(&job, &BTreeSet::from(["out".to_owned()]), "tarball_PandaJob_1_Q", &to).unwrap();
        let mut tar = tar::Archive::new(flate2::read::GzDecoder::new(File::open(&to).unwrap()));
        let names: Vec<String> = tar.entries().unwrap().map(|entry| entry.unwrap().path().unwrap().display().to_string()).collect();
        assert_eq!(
            names,
            [
                "tarball_PandaJob_1_Q",
                "tarball_PandaJob_1_Q/d",
                "tarball_PandaJob_1_Q/d/out",
                "tarball_PandaJob_1_Q/link",
                "tarball_PandaJob_1_Q/payload.stdout",
            ]
        );
    }
}
