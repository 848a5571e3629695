//! The directories of a runner and how files get from one to another.
//!
//! Owns the layout `job directory/workDir/run directory` and the rule that no
//! file is ever written or moved through a link that leaves the job directory:
//! with pilots that link inputs, the storage itself lies behind such links.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};

use super::fail::{Failure, Number};
use super::{fetch, unpack};

/// Name of the directory that holds the sandbox, as users know it from
/// upstream's runners.
const WORK_DIR: &str = "workDir";

/// Where a runner works.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    /// The job directory: where the runner was started.
    pub(crate) job: PathBuf,
    /// `<job>/workDir`.
    pub(crate) work: PathBuf,
    /// Where the command runs, at or below `work`.
    pub(crate) run: PathBuf,
}

impl Place {
    /// The layout for the run directory `sub` (`-r`), without touching the disk.
    pub(crate) fn new(job: PathBuf, sub: &str) -> Result<Self, Failure> {
        let sub_path = Path::new(sub);
        let inside = sub_path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        if !inside {
            return Err(Failure::new(Number::Argument, format!("the run directory `{sub}` must lie below the work directory")));
        }
        let work = job.join(WORK_DIR);
        let run: PathBuf = work.join(sub_path).components().collect();
        Ok(Self { job, work, run })
    }

    /// Makes the work directory afresh.
    pub(crate) fn make_work(&self) -> Result<(), Failure> {
        self.remove_work();
        fs::create_dir(&self.work).map_err(|error| Failure::local("cannot make the work directory", &error))
    }

    /// Makes the run directory, unless the sandbox brought it.
    pub(crate) fn make_run(&self) -> Result<(), Failure> {
        fs::create_dir_all(&self.run).map_err(|error| Failure::local("cannot make the run directory", &error))
    }

    /// Removes the work directory; links in it are removed, never followed.
    pub(crate) fn remove_work(&self) {
        if self.work.symlink_metadata().is_ok()
            && let Err(error) = fs::remove_dir_all(&self.work)
        {
            println!("cannot remove {}: {error}", self.work.display());
        }
    }

    /// The run directory relative to the job directory, e.g. `workDir/sub`.
    pub(crate) fn run_below_job(&self) -> &Path {
        self.run.strip_prefix(&self.job).unwrap_or(&self.run)
    }

    /// Unpacks the sandbox `name` into the work directory. One that lies in the
    /// job directory or in `$PAYLOAD_INPUT_DIR` is used; otherwise it is fetched.
    pub(crate) fn unpack_sandbox(&self, name: &str, source_url: Option<&str>, may_fetch: bool, into: &Path) -> Result<(), Failure> {
        if let Some(there) = self.find_local(name) {
            return unpack::unpack(&there, into);
        }
        if !may_fetch {
            return Err(Failure::new(Number::NotFetched, format!("the sandbox {name} is not in the job directory")));
        }
        plain_name("the sandbox", name)?;
        let url = source_url
            .map(str::to_owned)
            .or_else(|| std::env::var("PANDA_SERVER_URL").ok())
            .ok_or_else(|| Failure::new(Number::Argument, "--sourceURL is needed to fetch the sandbox"))?;
        // Beside the job directory's files under a hidden name, so that neither
        // a log archive nor a list of outputs sees it.
        let archive = self.job.join(format!(".fetched.{name}"));
        let result = fetch::fetch(&url, name, &archive).and_then(|()| unpack::unpack(&archive, into));
        let _ = fs::remove_file(&archive);
        result
    }

    /// Unpacks a library that a build job made and the pilot brought.
    pub(crate) fn unpack_library(&self, name: &str) -> Result<(), Failure> {
        let path = self.job.join(name);
        if !path.is_file() {
            return Err(Failure::new(Number::InputUnavailable, format!("the library {name} is not in the job directory")));
        }
        unpack::unpack(&path, &self.work)
    }

    fn find_local(&self, name: &str) -> Option<PathBuf> {
        let mut places = vec![self.job.join(name)];
        if let Some(dir) = std::env::var_os("PAYLOAD_INPUT_DIR") {
            places.push(Path::new(&dir).join(name));
        }
        places.into_iter().find(|path| path.is_file())
    }
}

/// Names of the files in a directory (links count, directories do not).
pub(crate) fn file_names(dir: &Path) -> io::Result<BTreeSet<OsString>> {
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if !entry.path().is_dir() {
            names.insert(entry.file_name());
        }
    }
    Ok(names)
}

/// Refuses names with a directory part, and `.` and `..`.
pub(crate) fn plain_name(what: &str, name: &str) -> Result<(), Failure> {
    let mut parts = Path::new(name).components();
    match (parts.next(), parts.next()) {
        (Some(Component::Normal(_)), None) if !name.contains('/') => Ok(()),
        _ => Err(Failure::new(Number::Argument, format!("{what} `{name}` must be a plain file name"))),
    }
}

/// Puts the content of `from` at `to`: renamed when `from` is a file of its own,
/// hard-linked or copied when it is a link. What `to` was is replaced, never
/// written through.
pub(crate) fn move_in(from: &Path, to: &Path) -> io::Result<()> {
    if from.symlink_metadata()?.is_file() {
        return match fs::rename(from, to) {
            Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
                copy_in(from, to)?;
                fs::remove_file(from)
            }
            other => other,
        };
    }
    copy_in(from, to)
}

/// Copies the content of `from` (links followed) to `to` through a temporary
/// name, so that an existing link at `to` is replaced.
pub(crate) fn copy_in(from: &Path, to: &Path) -> io::Result<()> {
    let part = beside(to);
    let _ = fs::remove_file(&part);
    fs::copy(from, &part)?;
    fs::rename(&part, to)
}

/// Gives `to` the content of `from` without a copy where the file system can.
pub(crate) fn link_or_copy(from: &Path, to: &Path) -> io::Result<()> {
    let real = from.canonicalize()?;
    let part = beside(to);
    let _ = fs::remove_file(&part);
    if fs::hard_link(&real, &part).is_ok() {
        return fs::rename(&part, to);
    }
    copy_in(&real, to)
}

fn beside(to: &Path) -> PathBuf {
    let mut name = OsString::from(".part.");
    name.push(to.file_name().unwrap_or_default());
    to.with_file_name(name)
}

/// Adds the execute bits to a file if it is one; its owner may run it then.
pub(crate) fn make_executable(path: &Path) {
    if let Ok(meta) = fs::metadata(path)
        && meta.is_file()
    {
        let mut permissions = meta.permissions();
        permissions.set_mode(permissions.mode() | 0o111);
        // A file of somebody else cannot be changed; the command will say so.
        let _ = fs::set_permissions(path, permissions);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn run_directories_stay_below_the_work_directory() {
        let job = PathBuf::from("/j");
        assert_eq!(Place::new(job.clone(), ".").unwrap().run, Path::new("/j/workDir"));
        assert_eq!(Place::new(job.clone(), "a/./b").unwrap().run, Path::new("/j/workDir/a/b"));
        for bad in ["..", "a/../..", "/tmp"] {
            assert!(Place::new(job.clone(), bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn moving_a_link_leaves_its_target_alone() {
        let dir = tempfile::tempdir().unwrap();
        let store = dir.path().join("store");
        fs::write(&store, "data").unwrap();
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&store, &link).unwrap();
        let to = dir.path().join("to");
        std::os::unix::fs::symlink(&store, &to).unwrap();
        move_in(&link, &to).unwrap();
        assert!(to.symlink_metadata().unwrap().is_file());
        fs::write(&to, "other").unwrap();
        assert_eq!(fs::read_to_string(&store).unwrap(), "data");
    }

    #[test]
    fn only_plain_names() {
        assert!(plain_name("x", "jobO.1.tar.gz").is_ok());
        for bad in ["", ".", "..", "a/b", "/a", "a/"] {
            assert!(plain_name("x", bad).is_err(), "{bad}");
        }
    }
}
