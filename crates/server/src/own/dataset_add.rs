//! `POST dataset/add`: registers files under a data set's name.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_ops::dataset::add::{Source, add};
use panda_ops::dataset::manifest::Entry;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// The data set as it is now, and how many files were new.
pub async fn handle(ctx: Ctx, args: Args) -> Result<Answer, Refusal> {
    let source = match (args.text("dir"), args.get("files")) {
        (Some(folder), None) => Source::Dir(PathBuf::from(folder)),
        (None, Some(Value::Array(files))) => Source::Files(entries(files)?),
        _ => return Err(Refusal::new("give either `dir` or `files`")),
    };
    let name = args.text("name").unwrap_or_default();
    let added = add(ctx.ops(), ctx.caller()?, name, source, args.text("queue")).await?;
    let set = added.dataset;
    Ok(Answer::data(json!({
        "name": set.name,
        "scope": set.scope,
        "state": set.state,
        "n_files": set.n_files,
        "n_bytes": set.n_bytes,
        "added": added.added,
        "known": added.known,
    })))
}

/// Paths come whole: a server has no folder that a caller could mean.
fn entries(files: &[Value]) -> Result<Vec<Entry>, Refusal> {
    let one = |(n, file): (usize, &Value)| match file {
        Value::Object(map) => Entry::from_object(map, Path::new("/")).map_err(|e| Refusal::new(format!("files[{n}]: {e}"))),
        _ => Err(Refusal::new(format!("files[{n}] must be an object"))),
    };
    files.iter().enumerate().map(one).collect()
}
