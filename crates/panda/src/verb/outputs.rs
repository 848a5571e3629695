//! `panda outputs TASK`

use serde_json::Value;

use super::view;
use crate::cli::IdArgs;
use crate::context::Context;
use crate::failure::{Failure, exit};
use crate::reference::Reference;
use crate::screen;
use crate::session::Session;

/// A registered output file.
#[derive(Debug, Clone)]
pub struct Output {
    /// Its name.
    pub lfn: String,
    /// Bytes.
    pub size: i64,
    /// `ad:` or `md5:` and digits.
    pub checksum: String,
    /// Where it lies.
    pub surl: String,
    /// Whether it is a log archive.
    pub is_log: bool,
}

impl Output {
    /// Reads one file of `task/outputs`.
    fn read(value: &Value) -> Self {
        Self {
            lfn: view::text(value, "lfn"),
            size: view::int(value, "size"),
            checksum: view::text(value, "checksum"),
            surl: view::text(value, "surl"),
            is_log: view::text(value, "role") == "log",
        }
    }

    /// The path of a file on this machine.
    pub fn local_path(&self) -> Option<std::path::PathBuf> {
        let path = self.surl.strip_prefix("file://localhost").or_else(|| self.surl.strip_prefix("file://")).unwrap_or(&self.surl);
        path.starts_with('/').then(|| path.into())
    }
}

/// Most pages that are read of one task: five million files.
const MAX_PAGES: usize = 1_000;

/// Asks for the outputs of a task, page by page; those that are there, outputs before logs.
pub async fn fetch(session: &Session, task: i64) -> Result<(Vec<Output>, Vec<Value>), Failure> {
    let (mut outputs, mut pages) = (Vec::new(), Vec::new());
    let mut after = String::new();
    for _ in 0..MAX_PAGES {
        let mut query = vec![("task_id", task.to_string())];
        query.extend((!after.is_empty()).then(|| ("after", after.clone())));
        let page = session.client.own_get("task/outputs", &query).await?.ok()?.data;
        for dataset in page.get("datasets").and_then(Value::as_array).map_or(&[][..], Vec::as_slice) {
            let files = dataset.get("files").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
            let there = files.iter().filter(|file| view::text(file, "state") == "finished");
            outputs.extend(there.map(Output::read));
        }
        after = view::text(&page, "next");
        pages.push(page);
        if after.is_empty() {
            break;
        }
    }
    outputs.sort_by(|a, b| (a.is_log, &a.lfn).cmp(&(b.is_log, &b.lfn)));
    Ok((outputs, pages))
}

/// Lists the outputs of a task.
pub async fn run(context: &Context, args: &IdArgs) -> Result<u8, Failure> {
    let task = Reference::task(&args.id)?;
    let session = Session::open(context)?;
    let (outputs, pages) = fetch(&session, task).await?;
    if context.json {
        let datasets = pages.into_iter().flat_map(|mut page| page["datasets"].take().as_array().cloned().unwrap_or_default());
        screen::json(&serde_json::json!({ "task_id": task, "datasets": datasets.collect::<Vec<_>>() }));
        return Ok(exit::OK);
    }
    let rows =
        outputs.iter().map(|file| vec![file.lfn.clone(), view::bytes(file.size), file.checksum.clone(), file.surl.clone()]).collect();
    screen::table(&["FILE", "SIZE", "CHECKSUM", "PLACE"], rows, &format!("task/{task} has no outputs yet"));
    Ok(exit::OK)
}
