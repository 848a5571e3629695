//! Output files: what the user calls them, what they are called in the end, and in which data set.

use panda_wire::literal::Literal;
use serde_json::{Value, json};

use crate::failure::Failure;

/// Most output streams of a task.
const MAX_STREAMS: usize = 50;

/// Items of the job parameters for the outputs of a task named `name`; nothing for no outputs.
pub fn items(name: &str, outputs: &[String]) -> Result<Vec<Value>, Failure> {
    if outputs.is_empty() {
        return Ok(Vec::new());
    }
    if outputs.len() > MAX_STREAMS {
        return Err(Failure::usage(format!("{} outputs are too many", outputs.len()))
            .hint(format!("at most {MAX_STREAMS}; a glob packs many files")));
    }
    let stem = stem(name);
    let mut items = Vec::new();
    let mut map = Vec::new();
    let mut suffixes: Vec<String> = Vec::new();
    for (index, output) in outputs.iter().enumerate() {
        let (suffix, pattern) = split(output);
        let (lfn, suffix) = if pattern.starts_with("regex|") {
            (pattern.to_owned(), suffix.map_or_else(|| index.to_string(), str::to_owned))
        } else {
            let file = file_name(pattern)?;
            let suffix = suffix.map_or_else(|| file.clone(), str::to_owned);
            (format!("{stem}.$JEDITASKID._${{SN/P}}.{file}"), suffix)
        };
        check_suffix(&suffix)?;
        if suffixes.contains(&suffix) {
            return Err(
                Failure::usage(format!("two outputs have the suffix `{suffix}`")).hint("tell them apart: `--out A:x*.txt --out B:y*.txt`")
            );
        }
        let dataset = format!("{name}_{suffix}/");
        suffixes.push(suffix);
        items.push(
            json!({ "type": "template", "value": lfn, "param_type": "output", "dataset": dataset, "container": dataset, "hidden": true }),
        );
        map.push((Literal::Str(pattern.to_owned()), Literal::Str(lfn)));
    }
    items.push(json!({ "type": "constant", "value": format!("-o \"{}\"", Literal::Dict(map).repr()) }));
    Ok(items)
}

/// What output file names start with: user or group of the task's name, else the name.
fn stem(name: &str) -> String {
    let fields: Vec<&str> = name.split('.').collect();
    match fields.as_slice() {
        [first, second, _, ..] => format!("{first}.{second}"),
        _ => name.to_owned(),
    }
}

/// `SUFFIX:GLOB`, or the glob alone.
fn split(output: &str) -> (Option<&str>, &str) {
    if output.starts_with("regex|") {
        return (None, output);
    }
    output.split_once(':').map_or((None, output), |(suffix, pattern)| (Some(suffix), pattern))
}

/// The end of the file's name: a glob's matches are packed into an archive.
fn file_name(pattern: &str) -> Result<String, Failure> {
    let wrong =
        |why: &str| Failure::usage(format!("the output `{pattern}` {why}")).hint("outputs are names or `*` globs in the job's own folder");
    if pattern.is_empty() {
        return Err(wrong("is empty"));
    }
    if pattern.contains('/') {
        return Err(wrong("contains `/`"));
    }
    if pattern.contains(['?', '[', ']']) {
        return Err(wrong("contains a wildcard other than `*`"));
    }
    let name = if pattern.contains('*') { format!("{}.tgz", pattern.replace('*', "XYZ")) } else { pattern.to_owned() };
    match name.chars().find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'))) {
        Some(bad) => Err(wrong(&format!("contains `{bad}`"))),
        None => Ok(name),
    }
}

fn check_suffix(suffix: &str) -> Result<(), Failure> {
    if !suffix.is_empty() && suffix.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_')) {
        return Ok(());
    }
    Err(Failure::usage(format!("`{suffix}` is no suffix of a data set")).hint("letters, digits, `.`, `-` and `_`"))
}
