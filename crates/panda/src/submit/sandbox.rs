//! Packs the files that go along with the jobs.
//!
//! Owns which files of a folder go along (as prun has it: no `.root`, `.o`, `.a`, `.so`, nothing above 1 MiB; dotfiles never) and the archive
//! format. The same files give the same bytes, so that the server finds an archive it has. Must not know the server.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufWriter, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use flate2::{Compression, GzBuilder};
use tempfile::NamedTempFile;

use crate::failure::{Failure, io};
use crate::screen;

/// Largest file that goes along unasked, prun's bound: what is larger is data, not program.
const MAX_FILE_BYTES: u64 = 1 << 20;
/// Most files: beyond it somebody stands in the wrong folder.
const MAX_FILES: usize = 20_000;
/// Deepest folder.
const MAX_DEPTH: usize = 32;
/// Largest archive that the server takes under the name `jobO.*`.
const MAX_PLAIN_BYTES: u64 = 10 << 20;
/// Largest archive of all: the server's bound for `sources.*` is 768 MiB, and every job fetches it.
const MAX_BYTES: u64 = 256 << 20;
/// Endings of files that are made, not written.
const MADE: [&str; 3] = [".o", ".a", ".so"];

/// What to pack.
#[derive(Debug, Default)]
pub struct Plan {
    /// The folder, if any.
    pub folder: Option<PathBuf>,
    /// Paths below the folder that are left out: inputs that reach the jobs another way, the data folder.
    pub without: BTreeSet<PathBuf>,
    /// The command: a file of the sandbox that it starts with is made executable.
    pub command: String,
    /// Whether there is a build step: it takes another name of archive.
    pub build: bool,
}

/// A packed sandbox.
#[derive(Debug)]
pub struct Packed {
    /// The archive; removed when dropped.
    pub file: NamedTempFile,
    /// Its name on the server.
    pub name: String,
    /// Bytes.
    pub size: u64,
    /// CRC-32 of what is compressed, the key under which a server finds it again.
    pub crc: u32,
    /// Names in it.
    pub members: Vec<String>,
    /// Whether the server has it already, under `name`.
    pub known: bool,
}

/// Packs; nothing when there is nothing to pack and no build step.
pub fn pack(plan: &Plan) -> Result<Option<Packed>, Failure> {
    let mut files = Vec::new();
    if let Some(folder) = &plan.folder {
        check_folder(folder)?;
        gather(plan, folder, Path::new(""), 0, &mut files)?;
        files.sort();
    }
    if files.is_empty() && !plan.build {
        return Ok(None);
    }
    let mut file = NamedTempFile::new().map_err(|error| Failure::new(format!("cannot make a temporary file: {error}")))?;
    write(plan, &files, file.as_file_mut())?;
    let (size, crc) = measure(file.as_file_mut()).map_err(|error| Failure::new(format!("cannot read the sandbox back: {error}")))?;
    if size > MAX_BYTES {
        let limit = MAX_BYTES >> 20;
        return Err(Failure::usage(format!("the sandbox has {} MB, more than {limit} MB", size >> 20))
            .hint("large files are input: register them on the server's machine with `panda dataset add`"));
    }
    let stem = if plan.build || size > MAX_PLAIN_BYTES { "sources" } else { "jobO" };
    let name = format!("{stem}.{}.tar.gz", uuid::Uuid::new_v4());
    Ok(Some(Packed { file, name, size, crc, members: files.into_iter().map(|(name, _)| name).collect(), known: false }))
}

/// Refuses the folders whose files nobody means to send.
fn check_folder(folder: &Path) -> Result<(), Failure> {
    let real = std::fs::canonicalize(folder).map_err(io("read", folder))?;
    let home = std::env::var_os("HOME").and_then(|home| std::fs::canonicalize(home).ok());
    if real.parent().is_none() || home.as_deref() == Some(&real) {
        return Err(Failure::usage(format!("the sandbox would be all of `{}`", real.display()))
            .hint("go to the folder of your program, or say `--sandbox DIR` or `--sandbox none`"));
    }
    Ok(())
}

/// Collects (name in the archive, path); folders end with a slash and are there only if they are empty.
fn gather(plan: &Plan, root: &Path, below: &Path, depth: usize, files: &mut Vec<(String, PathBuf)>) -> Result<(), Failure> {
    let folder = root.join(below);
    if depth > MAX_DEPTH {
        return Err(Failure::usage(format!("`{}` lies deeper than {MAX_DEPTH} folders", folder.display())));
    }
    let mut empty = true;
    for entry in std::fs::read_dir(&folder).map_err(io("read", &folder))? {
        let entry = entry.map_err(io("read", &folder))?;
        empty = false;
        let name = entry.file_name();
        if name.to_string_lossy().starts_with('.') {
            continue;
        }
        let (path, inside) = (entry.path(), below.join(&name));
        if std::fs::canonicalize(&path).is_ok_and(|real| plan.without.contains(&real)) {
            continue;
        }
        let kind = entry.file_type().map_err(io("read", &path))?;
        if kind.is_dir() {
            gather(plan, root, &inside, depth + 1, files)?;
        } else if path.is_file() && goes_along(&path) {
            files.push((member_name(&inside)?, path));
        }
        if files.len() > MAX_FILES {
            return Err(Failure::usage(format!("`{}` has more than {MAX_FILES} files", root.display()))
                .hint("say `--sandbox DIR` for the folder of your program, or `--sandbox none`"));
        }
    }
    if empty && depth > 0 {
        files.push((format!("{}/", member_name(below)?), folder));
    }
    Ok(())
}

fn member_name(path: &Path) -> Result<String, Failure> {
    path.to_str().map(str::to_owned).ok_or_else(|| Failure::usage(format!("the name `{}` is no UTF-8", path.display())))
}

/// Whether a file goes along unasked; says so when it does not.
fn goes_along(path: &Path) -> bool {
    let name = path.to_string_lossy();
    let is_root = name.rsplit_once(".root").is_some_and(|(_, tail)| tail.split('.').all(|part| part.bytes().all(|b| b.is_ascii_digit())));
    let size = path.metadata().map_or(0, |meta| meta.len());
    let reason = if MADE.iter().any(|end| name.ends_with(end)) {
        "made by a build"
    } else if is_root {
        "a data file"
    } else if size > MAX_FILE_BYTES {
        "above 1 MB"
    } else {
        return true;
    };
    screen::note(format!("note: `{name}` is not in the sandbox ({reason})"));
    false
}

/// Writes a gzipped tar whose bytes depend on names, contents and modes alone.
fn write(plan: &Plan, members: &[(String, PathBuf)], out: &mut File) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::new(format!("cannot write the sandbox: {error}"));
    let gzip = GzBuilder::new().mtime(0).write(BufWriter::new(out), Compression::default());
    let mut tar = tar::Builder::new(gzip);
    let program = plan.command.split_whitespace().next().unwrap_or_default().trim_start_matches("./").to_owned();
    for (name, path) in members {
        let meta = std::fs::metadata(path).map_err(io("read", path))?;
        let mut header = tar::Header::new_gnu();
        header.set_mtime(0);
        if meta.is_dir() {
            header.set_entry_type(tar::EntryType::Directory);
            header.set_mode(0o755);
            header.set_size(0);
            tar.append_data(&mut header, name, std::io::empty()).map_err(failed)?;
            continue;
        }
        let executable = meta.permissions().mode() & 0o111 != 0 || *name == program;
        header.set_mode(if executable { 0o755 } else { 0o644 });
        header.set_size(meta.len());
        let file = File::open(path).map_err(io("read", path))?;
        // A file that grows meanwhile must not break the archive; one that shrinks is an error.
        tar.append_data(&mut header, name, file.take(meta.len())).map_err(failed)?;
    }
    let gzip = tar.into_inner().map_err(failed)?;
    gzip.finish().and_then(|mut out| out.flush()).map_err(failed)
}

/// Size of the archive, and the CRC-32 from its last eight bytes.
fn measure(file: &mut File) -> std::io::Result<(u64, u32)> {
    let size = file.seek(SeekFrom::End(0))?;
    file.seek(SeekFrom::End(-8))?;
    let mut crc = [0; 4];
    file.read_exact(&mut crc)?;
    file.rewind()?;
    Ok((size, u32::from_le_bytes(crc)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn plan(folder: &Path) -> Plan {
        Plan { folder: Some(folder.to_owned()), command: "./run.sh %IN".into(), ..Plan::default() }
    }

    fn fill(folder: &Path) {
        for name in ["run.sh", ".token", "sub/x.txt", "sub/.git", "lib.o", "big.root", "big.root.1", "root.txt", ".config/secret"] {
            let path = folder.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, name).unwrap();
        }
        std::fs::create_dir(folder.join("empty")).unwrap();
        std::fs::write(folder.join("large.bin"), vec![0; (1 << 20) + 1]).unwrap();
        std::os::unix::fs::symlink(folder.join("run.sh"), folder.join("link.sh")).unwrap();
        std::os::unix::fs::symlink(folder.join("nowhere"), folder.join("dangling")).unwrap();
        std::os::unix::fs::symlink(folder, folder.join("loop")).unwrap();
    }

    #[test]
    fn dotfiles_never_go_along_and_bytes_repeat() {
        let folder = tempfile::tempdir().unwrap();
        fill(folder.path());
        let one = pack(&plan(folder.path())).unwrap().unwrap();
        assert_eq!(one.members, ["empty/", "link.sh", "root.txt", "run.sh", "sub/x.txt"]);
        assert!(one.name.starts_with("jobO.") && one.name.ends_with(".tar.gz"));
        let two = pack(&plan(folder.path())).unwrap().unwrap();
        assert_eq!((one.size, one.crc), (two.size, two.crc));
        let gzip = flate2::read::GzDecoder::new(File::open(one.file.path()).unwrap());
        let mut archive = tar::Archive::new(gzip);
        let modes: Vec<(String, u32)> = archive
            .entries()
            .unwrap()
            .map(|entry| entry.unwrap())
            .map(|entry| (entry.path().unwrap().display().to_string(), entry.header().mode().unwrap()))
            .collect();
        assert!(modes.contains(&("run.sh".to_owned(), 0o755)), "{modes:?}");
        assert!(modes.contains(&("root.txt".to_owned(), 0o644)));
    }

    #[test]
    fn inputs_and_builds() {
        let folder = tempfile::tempdir().unwrap();
        assert!(pack(&plan(folder.path())).unwrap().is_none());
        let built = pack(&Plan { build: true, ..plan(folder.path()) }).unwrap().unwrap();
        assert!(built.name.starts_with("sources.") && built.members.is_empty());
        std::fs::write(folder.path().join("a.csv"), "1").unwrap();
        let input = std::fs::canonicalize(folder.path().join("a.csv")).unwrap();
        std::fs::write(folder.path().join("b.csv"), "1").unwrap();
        let plan = Plan { without: BTreeSet::from([input]), ..plan(folder.path()) };
        assert_eq!(pack(&plan).unwrap().unwrap().members, ["b.csv"]);
    }

    #[test]
    fn whole_machines_are_not_packed() {
        let failure = pack(&plan(Path::new("/"))).unwrap_err();
        assert!(failure.message.contains("all of"), "{failure:?}");
    }
}
