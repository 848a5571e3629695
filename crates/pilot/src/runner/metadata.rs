//! The job report: user metadata and the files that go with the log.
//!
//! Owns `userJobMetadata.json` and `jobReport.json` (`payload_runners.md` 3.4).

use std::fs;
use std::path::Path;

use serde_json::{Map, Value};

use super::fail::Failure;
use super::place::{Place, move_in};

/// Largest user metadata that is taken over; the server keeps it per job.
const MAX_USER_METADATA_BYTES: u64 = 1 << 20;

/// Largest report or catalogue in which names are replaced.
const MAX_REPORT_BYTES: u64 = 64 << 20;

const REPORT: &str = "jobReport.json";

/// Files with these starts go into the job directory, and so into the log.
const LOG_STARTS: [&str; 3] = ["runargs.", "runwrapper.", "log."];

/// Repeats renames in the reports, merges the user's metadata, and moves reports
/// and logs into the job directory.
pub(crate) fn finish(place: &Place, renamed: &[(String, String)]) -> Result<(), Failure> {
    for name in [REPORT, "PoolFileCatalog.xml"] {
        rename_in(&place.run.join(name), renamed);
    }
    if let Some(user) = user_metadata(&place.run) {
        let path = place.run.join(REPORT);
        let mut report = read_object(&path, MAX_REPORT_BYTES).unwrap_or_default();
        report.insert("user_job_metadata".to_owned(), Value::Object(user));
        if !report.contains_key("reportVersion") {
            report.insert("reportVersion".to_owned(), Value::from("1.0.0"));
        }
        fs::write(&path, Value::Object(report).to_string()).map_err(|error| Failure::local("cannot write jobReport.json", &error))?;
    }
    let Ok(entries) = fs::read_dir(&place.run) else {
        return Ok(());
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let text = name.to_string_lossy();
        let wanted = text == REPORT || LOG_STARTS.iter().any(|start| text.starts_with(start));
        if wanted && entry.path().is_file() {
            move_in(&entry.path(), &place.job.join(&name)).map_err(|error| Failure::local(format!("cannot move {text}"), &error))?;
        }
    }
    Ok(())
}

fn user_metadata(run: &Path) -> Option<Map<String, Value>> {
    let path = run.join("userJobMetadata.json");
    if !path.exists() {
        return None;
    }
    let object = read_object(&path, MAX_USER_METADATA_BYTES);
    if object.is_none() {
        println!("userJobMetadata.json is left out: it must be a JSON object of at most {MAX_USER_METADATA_BYTES} bytes");
    }
    object
}

fn read_object(path: &Path, limit: u64) -> Option<Map<String, Value>> {
    let meta = fs::metadata(path).ok()?;
    if meta.len() > limit {
        return None;
    }
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

/// Replaces `"name"` by `"lfn"`: whole quoted names only.
fn rename_in(path: &Path, renamed: &[(String, String)]) {
    let small = fs::metadata(path).is_ok_and(|meta| meta.len() <= MAX_REPORT_BYTES);
    if !small || renamed.is_empty() {
        return;
    }
    let Ok(mut text) = fs::read_to_string(path) else {
        return;
    };
    for (name, lfn) in renamed {
        text = text.replace(&format!("\"{name}\""), &format!("\"{lfn}\""));
    }
    if let Err(error) = fs::write(path, text) {
        println!("cannot rename outputs in {}: {error}", path.display());
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn place() -> (tempfile::TempDir, Place) {
        let dir = tempfile::tempdir().unwrap();
        let place = Place::new(dir.path().to_owned(), ".").unwrap();
        fs::create_dir_all(&place.run).unwrap();
        (dir, place)
    }

    #[test]
    fn user_metadata_makes_a_report() {
        let (dir, place) = place();
        fs::write(place.run.join("userJobMetadata.json"), r#"{"a": 1}"#).unwrap();
        fs::write(place.run.join("log.x"), "").unwrap();
        finish(&place, &[]).unwrap();
        assert_eq!(fs::read_to_string(dir.path().join(REPORT)).unwrap(), r#"{"user_job_metadata":{"a":1},"reportVersion":"1.0.0"}"#);
        assert!(dir.path().join("log.x").exists());
    }

    #[test]
    fn an_existing_report_is_kept_and_names_replaced() {
        let (dir, place) = place();
        fs::write(place.run.join(REPORT), r#"{"reportVersion":"2","f":"o.root","g":"xo.root"}"#).unwrap();
        fs::write(place.run.join("userJobMetadata.json"), "[1]").unwrap();
        finish(&place, &[("o.root".to_owned(), "L.root".to_owned())]).unwrap();
        assert_eq!(fs::read_to_string(dir.path().join(REPORT)).unwrap(), r#"{"reportVersion":"2","f":"L.root","g":"xo.root"}"#);
    }

    #[test]
    fn nothing_to_report_leaves_nothing() {
        let (dir, place) = place();
        finish(&place, &[]).unwrap();
        assert!(!dir.path().join(REPORT).exists());
    }
}
