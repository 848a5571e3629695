//! What a slot is doing, on disk, so that a killed worker can clean up.
//!
//! Owns `slots/<n>.json` (the job) and `slots/<n>.report.json` (its final report
//! until the server has it). Must not know how either is used.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The job of a slot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) job_id: i64,
    pub(crate) attempt: i64,
    /// Scratch directory.
    pub(crate) dir: PathBuf,
    /// Mark in the environment of all processes of the job.
    pub(crate) mark: String,
    /// Boot in which the process was started.
    pub(crate) boot_id: String,
    /// Leader of the payload's process group, once started.
    pub(crate) pid: Option<u32>,
    /// Its start time in clock ticks after boot.
    pub(crate) pid_start: Option<u64>,
    /// Files in the storage that belong to this attempt; they are removed when
    /// it is lost.
    pub(crate) files: Vec<PathBuf>,
}

/// A final report that has to reach the server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Spooled {
    pub(crate) body: Value,
    /// Files in the storage that the report names.
    pub(crate) files: Vec<PathBuf>,
}

/// The files of one slot.
#[derive(Debug, Clone)]
pub(crate) struct Journal {
    dir: PathBuf,
    slot: usize,
}

impl Journal {
    /// The journal of slot `slot` below the worker's directory.
    pub(crate) fn new(work_dir: &Path, slot: usize) -> Self {
        Self { dir: work_dir.join("slots"), slot }
    }

    /// Slots that left a journal or a report.
    pub(crate) fn left_over(work_dir: &Path) -> io::Result<Vec<usize>> {
        let dir = work_dir.join("slots");
        fs::create_dir_all(&dir)?;
        let mut slots: Vec<usize> = fs::read_dir(dir)?
            .flatten()
            .filter_map(|entry| {
                let name = entry.file_name();
                name.to_str()?.strip_suffix(".json")?.split('.').next()?.parse().ok()
            })
            .collect();
        slots.sort_unstable();
        slots.dedup();
        Ok(slots)
    }

    fn entry_path(&self) -> PathBuf {
        self.dir.join(format!("{}.json", self.slot))
    }

    fn report_path(&self) -> PathBuf {
        self.dir.join(format!("{}.report.json", self.slot))
    }

    /// Writes the job; `durable` waits for the disk (needed before the payload
    /// starts; what is only true within this boot need not survive it).
    pub(crate) fn write(&self, entry: &Entry, durable: bool) -> io::Result<()> {
        write_whole(&self.entry_path(), &serde_json::to_vec(entry)?, durable)
    }

    pub(crate) fn read(&self) -> Option<Entry> {
        serde_json::from_slice(&fs::read(self.entry_path()).ok()?).ok()
    }

    /// Writes the final report durably.
    pub(crate) fn spool(&self, report: &Spooled) -> io::Result<()> {
        write_whole(&self.report_path(), &serde_json::to_vec(report)?, true)
    }

    pub(crate) fn spooled(&self) -> Option<Spooled> {
        serde_json::from_slice(&fs::read(self.report_path()).ok()?).ok()
    }

    /// Forgets the job and its report.
    pub(crate) fn clear(&self) {
        // The entry goes first: a report without a job is only delivered twice.
        for path in [self.entry_path(), self.report_path()] {
            if let Err(error) = fs::remove_file(&path)
                && error.kind() != io::ErrorKind::NotFound
            {
                tracing::warn!(path = %path.display(), %error, "cannot remove the journal");
            }
        }
    }
}

fn write_whole(path: &Path, text: &[u8], durable: bool) -> io::Result<()> {
    let part = path.with_extension("part");
    let mut file = File::create(&part)?;
    file.write_all(text)?;
    if durable {
        file.sync_all()?;
    }
    fs::rename(&part, path)?;
    if durable && let Some(dir) = path.parent() {
        File::open(dir)?.sync_all()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_slot_remembers_and_forgets() {
        let dir = tempfile::tempdir().unwrap();
        assert!(Journal::left_over(dir.path()).unwrap().is_empty());
        let journal = Journal::new(dir.path(), 3);
        assert_eq!(journal.read(), None);
        let entry = Entry {
            job_id: 1,
            attempt: 0,
            dir: "/x".into(),
            mark: "m".to_owned(),
            boot_id: "b".to_owned(),
            pid: Some(7),
            pid_start: None,
            files: vec!["/f".into()],
        };
        journal.write(&entry, true).unwrap();
        let report = Spooled { body: serde_json::json!({"job_id": 1}), files: Vec::new() };
        journal.spool(&report).unwrap();
        assert_eq!(Journal::left_over(dir.path()).unwrap(), [3]);
        assert_eq!((journal.read(), journal.spooled()), (Some(entry), Some(report)));
        journal.clear();
        assert!(Journal::left_over(dir.path()).unwrap().is_empty());
    }
}
