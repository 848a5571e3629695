//! `panda dataset add|list|show`

use std::path::Path;

use panda_access::Role;
use serde_json::{Map, Value, json};

use super::view;
use crate::cli::{DatasetAddArgs, DatasetVerb};
use crate::context::Context;
use crate::failure::{Failure, exit, io};
use crate::screen;
use crate::session::Session;

/// Largest manifest: a million files.
const MAX_MANIFEST_BYTES: u64 = 256 << 20;
/// Files in one call.
const FILES_A_CALL: usize = 1_000;
/// Columns of a manifest that are numbers.
const NUMBERS: [&str; 2] = ["size", "events"];

/// Runs the sub-verb.
pub async fn run(context: &Context, verb: &DatasetVerb) -> Result<u8, Failure> {
    match verb {
        DatasetVerb::Add(args) => add(context, args).await,
        DatasetVerb::List { pattern, limit } => list(context, pattern.as_deref(), *limit).await,
        DatasetVerb::Show { name, limit } => show(context, name, *limit).await,
    }
}

async fn add(context: &Context, args: &DatasetAddArgs) -> Result<u8, Failure> {
    let session = Session::with_role(context, Some(Role::Production), None)?;
    let mut body = json!({ "name": args.name });
    if let Some(queue) = &args.queue {
        body["queue"] = json!(queue);
    }
    let mut answer = Value::Null;
    if let Some(folder) = &args.dir {
        let folder = std::path::absolute(folder).map_err(io("read", folder))?;
        body["dir"] = json!(folder);
        answer = session.client.own_post("dataset/add", &body).await?.ok()?.data;
    } else if let Some(manifest) = &args.manifest {
        let files = read_manifest(manifest)?;
        for part in files.chunks(FILES_A_CALL) {
            body["files"] = json!(part);
            answer = session.client.own_post("dataset/add", &body).await?.ok()?.data;
        }
    }
    if context.json {
        screen::json(&answer);
    } else {
        screen::line(format!("{}: {} files, {}", args.name, view::int(&answer, "n_files"), view::bytes(view::int(&answer, "n_bytes"))));
    }
    Ok(exit::OK)
}

async fn list(context: &Context, pattern: Option<&str>, limit: u32) -> Result<u8, Failure> {
    let session = Session::open(context)?;
    let mut query = vec![("limit", limit.to_string())];
    query.extend(pattern.map(|pattern| ("pattern", pattern.to_owned())));
    let data = session.client.own_get("dataset/list", &query).await?.ok()?.data;
    if context.json {
        screen::json(&data);
        return Ok(exit::OK);
    }
    let rows = array(&data, "datasets").iter().map(|row| {
        vec![
            view::text(row, "name"),
            view::text(row, "state"),
            view::int(row, "n_files").to_string(),
            view::bytes(view::int(row, "n_bytes")),
        ]
    });
    screen::table(&["DATA SET", "STATE", "FILES", "SIZE"], rows.collect(), "no data sets; `panda dataset add NAME --dir DIR` makes one");
    Ok(exit::OK)
}

async fn show(context: &Context, name: &str, limit: u32) -> Result<u8, Failure> {
    let session = Session::open(context)?;
    let data = session.client.own_get("dataset/show", &[("name", name), ("limit", &limit.to_string())]).await?.ok()?.data;
    if context.json {
        screen::json(&data);
        return Ok(exit::OK);
    }
    let files = view::int(&data, "n_files");
    screen::line(format!(
        "{}  {}, {files} files, {}",
        view::text(&data, "name"),
        view::text(&data, "state"),
        view::bytes(view::int(&data, "n_bytes"))
    ));
    let rows: Vec<Vec<String>> = array(&data, "files")
        .iter()
        .map(|row| vec![view::text(row, "lfn"), view::bytes(view::int(row, "size")), view::text(row, "checksum"), view::text(row, "surl")])
        .collect();
    let shown = rows.len();
    screen::table(&["FILE", "SIZE", "CHECKSUM", "PLACE"], rows, "no files");
    if usize::try_from(files).is_ok_and(|files| files > shown) {
        screen::note(format!("note: the first {shown} files; `--limit N` shows more"));
    }
    Ok(exit::OK)
}

/// A list, or the list under a name.
fn array<'a>(data: &'a Value, name: &str) -> &'a [Value] {
    data.as_array().or_else(|| data.get(name).and_then(Value::as_array)).map_or(&[], Vec::as_slice)
}

/// Reads a manifest: JSON if it begins as JSON does, else CSV with a heading.
fn read_manifest(path: &Path) -> Result<Vec<Value>, Failure> {
    use std::io::Read as _;
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(io("read", path))?;
    #[allow(clippy::disallowed_methods, reason = "bounded by `take`")]
    file.take(MAX_MANIFEST_BYTES).read_to_string(&mut text).map_err(io("read", path))?;
    let at = |line: usize, what: String| Failure::usage(format!("{}:{line}: {what}", path.display()));
    let mut files: Vec<Value> = if text.trim_start().starts_with(['[', '{']) {
        serde_json::from_str(&text).map_err(|error| at(error.line(), format!("no list of objects: {error}")))?
    } else {
        csv(&text).map_err(|(line, what)| at(line, what))?
    };
    let folder = std::path::absolute(path).ok().and_then(|path| path.parent().map(Path::to_owned)).unwrap_or_default();
    for (index, file) in files.iter_mut().enumerate() {
        complete(file, &folder).map_err(|what| at(index + 1, what))?;
    }
    Ok(files)
}

/// Makes a relative path one below the manifest's folder, and a name of a path.
fn complete(file: &mut Value, folder: &Path) -> Result<(), String> {
    let Some(map) = file.as_object_mut() else { return Err("a file must be an object".to_owned()) };
    if let Some(path) = map.get("path").and_then(Value::as_str).map(str::to_owned) {
        if !path.contains("://") {
            map.insert("path".into(), json!(folder.join(&path)));
        }
        let name = path.rsplit('/').next().unwrap_or_default().to_owned();
        map.entry("lfn").or_insert_with(|| json!(name));
    }
    match map.get("lfn").and_then(Value::as_str) {
        Some(name) if !name.is_empty() => Ok(()),
        _ => Err("a file needs `lfn` or `path`".to_owned()),
    }
}

/// Comma-separated rows under a heading; quoted fields may hold commas and doubled quotes.
fn csv(text: &str) -> Result<Vec<Value>, (usize, String)> {
    let mut lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'));
    let Some((_, heading)) = lines.next() else { return Err((1, "no heading".to_owned())) };
    let columns = fields(heading);
    let mut rows = Vec::new();
    for (index, line) in lines {
        let values = fields(line);
        if values.len() != columns.len() {
            return Err((index + 1, format!("{} values under {} columns", values.len(), columns.len())));
        }
        let mut row = Map::new();
        for (column, value) in columns.iter().zip(values).filter(|(_, value)| !value.is_empty()) {
            let value = if NUMBERS.contains(&column.as_str()) {
                json!(value.parse::<i64>().map_err(|_| (index + 1, format!("`{column}` is `{value}`, which is no number")))?)
            } else {
                json!(value)
            };
            row.insert(column.clone(), value);
        }
        rows.push(Value::Object(row));
    }
    Ok(rows)
}

fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut quoted = false;
    let mut chars = line.trim_end().chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                fields.last_mut().into_iter().for_each(|field| field.push('"'));
            }
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(String::new()),
            c => fields.last_mut().into_iter().for_each(|field| field.push(c)),
        }
    }
    fields.iter().map(|field| field.trim().to_owned()).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn manifests() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let csv = write("a.csv", "# comment\npath,size,events,checksum\nx/a.root,12,3,\n\"b,c\",,,ad:1\n");
        let files = read_manifest(&csv).unwrap();
        assert_eq!(files[0], json!({ "path": folder.path().join("x/a.root"), "size": 12, "events": 3, "lfn": "a.root" }));
        assert_eq!(files[1]["lfn"], "b,c");
        let list = write("a.json", r#"[{"lfn": "q", "path": "/abs/q"}]"#);
        assert_eq!(read_manifest(&list).unwrap(), [json!({ "lfn": "q", "path": "/abs/q" })]);
        for (name, text, line) in
            [("b.csv", "path,size\nx\n", ":2:"), ("c.csv", "path,size\nx,y\n", ":2:"), ("d.json", "[1]", ":1:"), ("e.csv", "", ":1:")]
        {
            let failure = read_manifest(&write(name, text)).unwrap_err();
            assert!(failure.message.contains(line), "{failure:?}");
        }
    }
}
