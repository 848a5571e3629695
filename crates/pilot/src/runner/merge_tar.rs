//! Logs and texts are merged into one gzipped tar archive.
//!
//! Owns the members' names (`payload_runners.md` section 5). Must not know
//! options.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Component, Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;

use super::unpack;

/// Most members of one merged archive.
const MAX_MEMBERS: usize = 2_000_000;

/// Merges `inputs` (names in `dir`) into the archive `to`: members of tar
/// archives are taken over, other files are added as they are. Top-level files
/// get a tag, so that equal names of several jobs do not hide each other.
pub(crate) fn merge(dir: &Path, inputs: &[String], to: &Path) -> io::Result<()> {
    let file = BufWriter::new(File::create(to)?);
    let mut out = tar::Builder::new(GzEncoder::new(file, Compression::default()));
    let mut taken = BTreeSet::new();
    for (position, name) in inputs.iter().enumerate() {
        let path = dir.join(name);
        if unpack::is_tar(&path) {
            take_members(&path, &tag_of(name, position), &mut out, &mut taken)?;
        } else {
            let mut file = File::open(&path)?;
            out.append_file(name, &mut file)?;
            taken.insert(PathBuf::from(name));
        }
    }
    out.into_inner()?.finish()?.flush()
}

fn take_members<W: Write>(archive: &Path, tag: &str, out: &mut tar::Builder<W>, taken: &mut BTreeSet<PathBuf>) -> io::Result<()> {
    let mut source = tar::Archive::new(unpack::open(archive)?);
    for entry in source.entries()? {
        let mut entry = entry?;
        let kind = entry.header().entry_type();
        if !(kind.is_file() || kind.is_contiguous() || kind.is_dir()) {
            continue;
        }
        let path = entry.path()?.into_owned();
        if !path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir)) {
            continue;
        }
        let mut name: PathBuf = path.components().filter(|part| *part != Component::CurDir).collect();
        if name.as_os_str().is_empty() {
            continue;
        }
        if kind.is_dir() {
            if !taken.insert(name.clone()) {
                continue;
            }
        } else {
            if name.components().count() == 1 {
                name = tagged(&name, tag);
            }
            let mut copy = 0;
            let wanted = name.clone();
            while !taken.insert(name.clone()) {
                copy += 1;
                name = tagged(&wanted, &format!("{tag}.{copy}"));
            }
        }
        if taken.len() > MAX_MEMBERS {
            return Err(io::Error::other(format!("more than {MAX_MEMBERS} members")));
        }
        let mut header = entry.header().clone();
        out.append_data(&mut header, &name, &mut entry)?;
    }
    Ok(())
}

/// `hist1.txt` with tag `T` is `hist1.T.txt`; without a dot the tag is appended.
fn tagged(name: &Path, tag: &str) -> PathBuf {
    let file = name.file_name().unwrap_or_default().to_string_lossy();
    let new = match file.rsplit_once('.') {
        Some((head, tail)) if !head.is_empty() => format!("{head}.{tag}.{tail}"),
        _ => format!("{file}.{tag}"),
    };
    name.with_file_name(new)
}

/// `<task>._<serial>` (or `<task>.<serial>`, as logs have it) found in the LFN,
/// else the position.
fn tag_of(lfn: &str, position: usize) -> String {
    let digits = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_digit());
    let fields: Vec<&str> = lfn.split('.').collect();
    for pair in fields.windows(2) {
        if let [task, serial] = pair
            && digits(task)
            && serial.strip_prefix('_').is_some_and(digits)
        {
            return format!("{task}.{serial}");
        }
    }
    position.to_string()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::fs;

    #[test]
    fn tags() {
        assert_eq!(tag_of("panda.um.user.a.10000012._000001.h.tgz", 4), "10000012._000001");
        assert_eq!(tag_of("x.txt", 4), "4");
        assert_eq!(tagged(Path::new("hist1.txt"), "T"), Path::new("hist1.T.txt"));
        assert_eq!(tagged(Path::new("README"), "T"), Path::new("README.T"));
        assert_eq!(tagged(Path::new(".hidden"), "T"), Path::new(".hidden.T"));
    }

    #[test]
    fn members_and_plain_files_come_together() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("r");
        fs::create_dir_all(root.join("d")).unwrap();
        fs::write(root.join("h.txt"), "1").unwrap();
        fs::write(root.join("d/x"), "x").unwrap();
        std::os::unix::fs::symlink("h.txt", root.join("l")).unwrap();
        let members = ["h.txt".into(), "d".into(), "l".into()];
        for serial in ["1", "2"] {
            let name = dir.path().join(format!("u.7._{serial}.tgz"));
            unpack::pack(&name, &root, &members).unwrap();
        }
        fs::write(dir.path().join("plain.txt"), "p").unwrap();
        let inputs = ["u.7._1.tgz", "u.7._2.tgz", "plain.txt"].map(str::to_owned);
        let to = dir.path().join("out");
        merge(dir.path(), &inputs, &to).unwrap();
        let mut archive = tar::Archive::new(unpack::open(&to).unwrap());
        let mut names: Vec<String> = archive.entries().unwrap().map(|entry| entry.unwrap().path().unwrap().display().to_string()).collect();
        names.sort();
        assert_eq!(names, ["d", "d/x", "d/x.7._2.1", "h.7._1.txt", "h.7._2.txt", "plain.txt"]);
    }
}
