//! Archives, unpacked so that nothing lands or points outside the directory.
//!
//! Owns the safety rules and packing. Must not know where archives come from.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Component, Path, PathBuf};

use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;

use super::fail::{Failure, Number};

/// Most members of one archive; a sandbox of a whole software tree has some
/// ten thousand.
const MAX_MEMBERS: usize = 2_000_000;

/// Unpacks the (gzipped) tar archive `archive` into `dir`.
///
/// Refused, with nothing further unpacked: absolute names, `..`, links that
/// leave `dir`, device files, anything that is no tar archive.
pub(crate) fn unpack(archive: &Path, dir: &Path) -> Result<(), Failure> {
    let broken = |reason: String| Failure::new(Number::BadArchive, format!("the archive {} cannot be used: {reason}", archive.display()));
    let reader = open(archive).map_err(|error| broken(error.to_string()))?;
    let mut tar = tar::Archive::new(reader);
    tar.set_overwrite(true);
    let entries = tar.entries().map_err(|error| broken(error.to_string()))?;
    let mut members = 0usize;
    for entry in entries {
        let mut entry = entry.map_err(|error| broken(error.to_string()))?;
        members += 1;
        if members > MAX_MEMBERS {
            return Err(broken(format!("more than {MAX_MEMBERS} members")));
        }
        check(&entry).map_err(&broken)?;
        let name = entry.path().map(|path| path.display().to_string()).unwrap_or_default();
        match entry.unpack_in(dir) {
            Ok(true) => {}
            Ok(false) => return Err(broken(format!("the member {name} leaves the work directory"))),
            Err(error) => return Err(broken(format!("{name}: {error}"))),
        }
    }
    if members == 0 && !is_empty_archive(archive) {
        return Err(broken("it is no tar archive".to_owned()));
    }
    Ok(())
}

/// A reader over the plain tar bytes.
pub(crate) fn open(archive: &Path) -> std::io::Result<Box<dyn Read>> {
    let mut file = File::open(archive)?;
    let mut magic = [0u8; 4];
    let count = file.read(&mut magic)?;
    file.seek(SeekFrom::Start(0))?;
    if magic[..count].starts_with(b"PK\x03\x04") {
        return Err(std::io::Error::other("it is a zip archive, which this runner does not unpack; send a tar archive"));
    }
    let file = BufReader::new(file);
    if magic[..count].starts_with(&[0x1f, 0x8b]) { Ok(Box::new(MultiGzDecoder::new(file))) } else { Ok(Box::new(file)) }
}

/// Whether a file looks like a tar archive (gzipped or not).
pub(crate) fn is_tar(path: &Path) -> bool {
    let Ok(reader) = open(path) else { return false };
    tar::Archive::new(reader).entries().is_ok_and(|mut entries| entries.next().is_some_and(|first| first.is_ok()))
}

/// An archive without members is two blocks of zeros, not an empty file.
fn is_empty_archive(archive: &Path) -> bool {
    let Ok(mut reader) = open(archive) else { return false };
    let mut block = [1u8; 512];
    reader.read_exact(&mut block).is_ok() && block.iter().all(|byte| *byte == 0)
}

fn check<R: Read>(entry: &tar::Entry<'_, R>) -> Result<(), String> {
    let name = entry.path().map_err(|error| error.to_string())?.into_owned();
    if !stays_inside(Path::new(""), &name) || has_parent(&name) {
        return Err(format!("the member {} leaves the work directory", name.display()));
    }
    let kind = entry.header().entry_type();
    let known = kind.is_file() || kind.is_dir() || kind.is_symlink() || kind.is_hard_link() || kind.is_contiguous() || kind.is_gnu_sparse();
    if !known {
        return Err(format!("the member {} is no file, directory or link", name.display()));
    }
    if let Some(target) = entry.link_name().map_err(|error| error.to_string())? {
        // A hard link's target is relative to the archive, a symbolic link's to
        // the place of the link.
        let from = if kind.is_symlink() { name.parent().unwrap_or(Path::new("")) } else { Path::new("") };
        if !stays_inside(from, &target) {
            return Err(format!("the link {} points outside the work directory ({})", name.display(), target.display()));
        }
    }
    Ok(())
}

fn has_parent(path: &Path) -> bool {
    path.components().any(|part| part == Component::ParentDir)
}

/// Whether `path`, read from the directory `from` below the root, stays below
/// the root. Purely by name; `unpack_in` looks at the links on disk.
fn stays_inside(from: &Path, path: &Path) -> bool {
    let mut depth = from.components().filter(|part| matches!(part, Component::Normal(_))).count();
    for part in path.components() {
        match part {
            Component::Normal(_) => depth += 1,
            Component::CurDir => {}
            Component::ParentDir if depth > 0 => depth -= 1,
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return false,
        }
    }
    true
}

/// Packs `members` (relative to `root`; directories with their content) into the
/// gzipped tar `archive`, in the given order. Symbolic links stay links.
pub(crate) fn pack(archive: &Path, root: &Path, members: &[PathBuf]) -> std::io::Result<()> {
    let file = BufWriter::new(File::create(archive)?);
    let mut tar = tar::Builder::new(GzEncoder::new(file, Compression::default()));
    tar.follow_symlinks(false);
    for member in members {
        let full = root.join(member);
        if full.symlink_metadata()?.is_dir() {
            tar.append_dir_all(member, &full)?;
        } else {
            tar.append_path_with_name(&full, member)?;
        }
    }
    tar.into_inner()?.finish()?.flush()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn archive(make: impl FnOnce(&mut tar::Builder<Vec<u8>>)) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.tar");
        let mut builder = tar::Builder::new(Vec::new());
        make(&mut builder);
        std::fs::write(&path, builder.into_inner().unwrap()).unwrap();
        std::fs::create_dir(dir.path().join("work")).unwrap();
        (dir, path)
    }

    fn header(name: &str, kind: tar::EntryType, size: u64) -> tar::Header {
        let mut header = tar::Header::new_gnu();
        // Straight into the field: the builder itself refuses bad names.
        let field = &mut header.as_old_mut().name;
        field[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(kind);
        header.set_mode(0o644);
        header.set_size(size);
        header.set_cksum();
        header
    }

    fn link(name: &str, target: &str, kind: tar::EntryType) -> tar::Header {
        let mut header = header(name, kind, 0);
        header.as_old_mut().linkname[..target.len()].copy_from_slice(target.as_bytes());
        header.set_cksum();
        header
    }

    #[test]
    fn whatever_leaves_the_directory_is_refused() {
        use tar::EntryType::{Char, Fifo, Link, Regular, Symlink};
        for (bad, expected) in [
            (header("../evil", Regular, 0), "leaves the work directory"),
            (header("/evil", Regular, 0), "leaves the work directory"),
            (header("a/../../evil", Regular, 0), "leaves the work directory"),
            (link("l", "/etc/passwd", Symlink), "points outside"),
            (link("d/l", "../../x", Symlink), "points outside"),
            (link("l", "../x", Link), "points outside"),
            (header("f", Fifo, 0), "no file, directory or link"),
            (header("c", Char, 0), "no file, directory or link"),
        ] {
            let (dir, path) = archive(|tar| tar.append(&bad, std::io::empty()).unwrap());
            let failure = unpack(&path, &dir.path().join("work")).unwrap_err();
            assert!(failure.text.contains(expected), "{}", failure.text);
            assert_eq!(failure.exit_code(), 209);
            assert!(!dir.path().join("evil").exists());
        }
    }

    #[test]
    fn a_chain_of_links_does_not_write_outside() {
        use tar::EntryType::{Directory, Regular, Symlink};
        let (dir, path) = archive(|tar| {
            tar.append(&header("x/", Directory, 0), std::io::empty()).unwrap();
            tar.append(&link("x/up", "..", Symlink), std::io::empty()).unwrap();
            tar.append(&link("out", "x/up/..", Symlink), std::io::empty()).unwrap();
            tar.append(&header("out/evil", Regular, 1), &b"e"[..]).unwrap();
        });
        assert!(unpack(&path, &dir.path().join("work")).is_err());
        assert!(!dir.path().join("evil").exists());
    }

    #[test]
    fn what_was_packed_comes_out_again() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        std::fs::create_dir_all(root.join("sub")).unwrap();
        std::fs::write(root.join("sub/f"), "x").unwrap();
        std::os::unix::fs::symlink("sub/f", root.join("l")).unwrap();
        let file = dir.path().join("p.tgz");
        pack(&file, &root, &["sub".into(), "l".into()]).unwrap();
        let work = dir.path().join("work");
        std::fs::create_dir(&work).unwrap();
        unpack(&file, &work).unwrap();
        assert_eq!(std::fs::read_to_string(work.join("l")).unwrap(), "x");
        assert!(is_tar(&file) && !is_tar(&root.join("sub/f")));
    }

    #[test]
    fn other_files_are_no_archives() {
        let dir = tempfile::tempdir().unwrap();
        for (name, text, expected) in [
            ("empty", &b""[..], "no tar archive"),
            ("text", b"hello", ""),
            ("zip", b"PK\x03\x04rest", "zip"),
            ("cut.tgz", &[0x1f, 0x8b, 8, 0, 0], ""),
        ] {
            let file = dir.path().join(name);
            std::fs::write(&file, text).unwrap();
            let failure = unpack(&file, dir.path()).unwrap_err();
            assert_eq!(failure.exit_code(), 209);
            assert!(failure.text.contains(expected), "{}", failure.text);
        }
        let file = dir.path().join("none.tar");
        std::fs::write(&file, [0u8; 1024]).unwrap();
        assert!(unpack(&file, dir.path()).is_ok());
    }
}
