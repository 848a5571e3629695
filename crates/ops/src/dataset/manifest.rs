//! Lists of files to register: JSON or CSV.
//!
//! JSON is a list of objects (or an object with such a list under `files`), CSV a first line of column names and a line a file. Names:
//! `path` (also `pfn`, `surl`, `cache`), and if wanted `lfn` (also `name`), `scope`, `guid`, `events` (also `n_events`), `lumiblock`, `boundary`,
//! `size` (also `fsize`), `checksum` (also `adler32`). Relative paths count from the manifest's directory.

use std::path::{Path, PathBuf};

use panda_wire::lenient;
use serde_json::{Map, Value};

use crate::{OpsError, storage};

/// Most files that one call registers.
pub const MAX_FILES: usize = 100_000;
/// Largest manifest, bytes.
pub const MAX_BYTES: u64 = 64 << 20;

/// Where the bytes of an entry are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum At {
    /// On the server's machine.
    Path(PathBuf),
    /// Uploaded under `/cache`.
    Cache(String),
}

/// One file to register. What is stated is checked against the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Where it is.
    pub at: At,
    /// Name; None = the last part of the path.
    pub lfn: Option<String>,
    /// Scope; None = the data set's.
    pub scope: Option<String>,
    /// GUID; None = a new one.
    pub guid: Option<String>,
    /// Number of events.
    pub n_events: Option<i64>,
    /// Lumiblock.
    pub lumiblock: Option<i64>,
    /// What it belongs together with, or is to be kept apart from (`groupBoundaryID`).
    pub boundary: Option<i64>,
    /// Stated size.
    pub size: Option<u64>,
    /// Stated Adler-32, eight hex digits.
    pub adler32: Option<String>,
}

impl Entry {
    /// A plain file.
    #[must_use]
    pub fn path(path: PathBuf) -> Self {
        Self {
            at: At::Path(path),
            lfn: None,
            scope: None,
            guid: None,
            n_events: None,
            lumiblock: None,
            boundary: None,
            size: None,
            adler32: None,
        }
    }
    /// Reads one object; `base` is where relative paths count from.
    pub fn from_object(map: &Map<String, Value>, base: &Path) -> Result<Self, OpsError> {
        let get = |keys: &[&str]| keys.iter().find_map(|k| map.get(*k)).filter(|v| !v.is_null() && v.as_str() != Some("")).cloned();
        let text = |keys: &[&str]| get(keys).and_then(lenient::text);
        let number = |keys: &[&str]| match get(keys) {
            None => Ok(None),
            Some(v) => {
                lenient::int(&v).filter(|n| *n >= 0).map(Some).ok_or_else(|| OpsError::refused(format!("{}: {v} is no number", keys[0])))
            }
        };
        let known = [
            "path",
            "pfn",
            "surl",
            "cache",
            "lfn",
            "name",
            "scope",
            "guid",
            "events",
            "n_events",
            "lumiblock",
            "boundary",
            "size",
            "fsize",
            "checksum",
            "adler32",
        ];
        if let Some(odd) = map.keys().find(|k| !known.contains(&k.as_str())) {
            return Err(OpsError::refused(format!("`{odd}` is no column of a manifest; known are {}", known.join(", "))));
        }
        let at = match (text(&["cache"]), text(&["path", "pfn", "surl"])) {
            (Some(name), None) => At::Cache(name),
            (None, Some(path)) => At::Path(storage::local_path(&path).unwrap_or_else(|| base.join(path))),
            _ => return Err(OpsError::refused("each file needs either a path or the name of an uploaded file (`cache`)")),
        };
        let adler32 = text(&["checksum", "adler32"]).map(|c| c.trim_start_matches("ad:").to_lowercase());
        if let Some(bad) = adler32.as_ref().filter(|c| c.len() > 8 || !c.bytes().all(|b| b.is_ascii_hexdigit())) {
            return Err(OpsError::refused(format!("checksum `{bad}` is no Adler-32; give up to eight hex digits, or leave it out")));
        }
        Ok(Self {
            at,
            lfn: text(&["lfn", "name"]),
            scope: text(&["scope"]),
            guid: text(&["guid"]),
            n_events: number(&["events", "n_events"])?,
            lumiblock: number(&["lumiblock"])?,
            boundary: number(&["boundary"])?,
            size: number(&["size", "fsize"])?.map(i64::unsigned_abs),
            adler32: adler32.map(|c| format!("{c:0>8}")),
        })
    }
}

/// Reads a manifest file; blocking. JSON when it starts with `[` or `{`, else CSV.
pub fn read(path: &Path) -> Result<Vec<Entry>, OpsError> {
    let failed = |source| OpsError::File { what: format!("reading manifest {}", path.display()), source };
    let size = std::fs::metadata(path).map_err(failed)?.len();
    if size > MAX_BYTES {
        return Err(OpsError::refused(format!("manifest {} has {size} bytes; at most {MAX_BYTES} are read", path.display())));
    }
    let text = std::fs::read_to_string(path).map_err(failed)?;
    let base = path.parent().unwrap_or(Path::new("/"));
    parse(&text, base)
}

/// Reads a manifest's text.
pub fn parse(text: &str, base: &Path) -> Result<Vec<Entry>, OpsError> {
    let objects = if text.trim_start().starts_with(['[', '{']) { json(text)? } else { csv(text)? };
    if objects.len() > MAX_FILES {
        return Err(OpsError::refused(format!("{} files in one manifest; register at most {MAX_FILES} at once", objects.len())));
    }
    let entries = objects
        .iter()
        .enumerate()
        .map(|(i, o)| Entry::from_object(o, base).map_err(|e| OpsError::refused(format!("file {} of the manifest: {e}", i + 1))));
    entries.collect()
}

fn json(text: &str) -> Result<Vec<Map<String, Value>>, OpsError> {
    let value: Value = serde_json::from_str(text).map_err(|e| OpsError::refused(format!("the manifest is not valid JSON: {e}")))?;
    let list = match value {
        Value::Object(mut map) => map.remove("files").unwrap_or_default(),
        other => other,
    };
    let Value::Array(list) = list else { return Err(OpsError::refused("the manifest must be a list of files, or an object with `files`")) };
    let objects = list.into_iter().map(|v| match v {
        Value::Object(map) => Ok(map),
        Value::String(path) => Ok(Map::from_iter([("path".to_owned(), Value::String(path))])),
        other => Err(OpsError::refused(format!("the manifest lists {other}; a file is an object or a path"))),
    });
    objects.collect()
}

fn csv(text: &str) -> Result<Vec<Map<String, Value>>, OpsError> {
    let mut lines = text.lines().filter(|l| !l.trim().is_empty() && !l.starts_with('#'));
    let names: Vec<String> = fields(lines.next().unwrap_or_default()).iter().map(|n| n.trim().to_lowercase()).collect();
    if !names.iter().any(|n| matches!(n.as_str(), "path" | "pfn" | "surl" | "cache")) {
        return Err(OpsError::refused("the first line of a CSV manifest names its columns; one of them must be `path`"));
    }
    let mut objects = Vec::new();
    for (i, line) in lines.enumerate() {
        let values = fields(line);
        if values.len() != names.len() {
            return Err(OpsError::refused(format!(
                "file {} of the manifest has {} columns instead of {}",
                i + 1,
                values.len(),
                names.len()
            )));
        }
        objects.push(names.iter().cloned().zip(values.into_iter().map(|v| Value::String(v.trim().to_owned()))).collect());
    }
    Ok(objects)
}

/// Fields of a CSV line; a field in double quotes may hold commas, a doubled quote stands for one.
fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut quoted = false;
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        let last = fields.len() - 1;
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                fields[last].push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(String::new()),
            _ => fields[last].push(c),
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_and_csv_say_the_same() {
        let base = Path::new("/data");
        let json = r#"{"files": [{"path": "a.root", "events": "5", "checksum": "ad:1"}, "/x/b.root"]}"#;
        let csv = "# mine\npath,events,checksum\n\"a.root\",5,00000001\n/x/b.root,,\n";
        let got = parse(json, base).unwrap();
        assert_eq!(got, parse(csv, base).unwrap());
        assert_eq!((&got[0].at, got[0].n_events, got[0].adler32.as_deref()), (&At::Path("/data/a.root".into()), Some(5), Some("00000001")));
        assert_eq!(got[1].at, At::Path("/x/b.root".into()));
        assert_eq!(fields(r#"a,"b,""c""",d"#), ["a", "b,\"c\"", "d"]);
    }

    #[test]
    fn faults_name_the_file() {
        let base = Path::new("/");
        for (text, want) in [
            ("[1]", "lists 1"),
            ("{}", "must be a list"),
            ("[", "not valid JSON"),
            ("a,b\n1,2", "must be `path`"),
            ("path,lfn\nx", "file 1 of the manifest has 1 columns"),
            (r#"[{"path":"a"},{"lfn":"b"}]"#, "file 2 of the manifest: each file needs"),
            (r#"[{"path":"a","colour":"red"}]"#, "`colour` is no column"),
            (r#"[{"path":"a","events":"many"}]"#, "is no number"),
            (r#"[{"path":"a","checksum":"xyz"}]"#, "no Adler-32"),
        ] {
            let e = parse(text, base).unwrap_err().to_string();
            assert!(e.contains(want), "{text}: {e}");
        }
    }
}
