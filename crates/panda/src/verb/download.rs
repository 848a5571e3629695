//! `panda download TASK --to DIR`

use std::path::{Path, PathBuf};

use serde_json::json;

use super::outputs::{self, Output};
use crate::cli::DownloadArgs;
use crate::context::Context;
use crate::failure::{Failure, exit, io};
use crate::reference::Reference;
use crate::session::Session;
use crate::{screen, submit};

/// Which outputs are fetched.
#[derive(Debug, Default)]
pub struct Wanted {
    /// Log archives, too.
    pub logs: bool,
    /// Names that match.
    pub only: Option<glob::Pattern>,
}

/// Fetches the outputs of a task.
pub async fn run(context: &Context, args: &DownloadArgs) -> Result<u8, Failure> {
    let task = Reference::task(&args.id)?;
    let only = args.only.as_deref().map(glob::Pattern::new).transpose();
    let only = only.map_err(|error| Failure::usage(format!("`--only` is no pattern: {error}")))?;
    let session = Session::open(context)?;
    let files = fetch(&session, task, &args.to, &Wanted { logs: args.logs, only }).await?;
    if files.is_empty() {
        return Err(Failure::new(format!("task/{task} has no such outputs")).hint(format!("`panda outputs {task}` lists what there is")));
    }
    let names: Vec<String> = files.iter().map(|path| path.display().to_string()).collect();
    if context.json {
        screen::json(&json!(names));
    } else {
        names.into_iter().for_each(screen::line);
    }
    Ok(exit::OK)
}

/// Brings files to a folder, whole or not at all, and checks their sizes.
pub async fn fetch(session: &Session, task: i64, folder: &Path, wanted: &Wanted) -> Result<Vec<PathBuf>, Failure> {
    let (all, _) = outputs::fetch(session, task).await?;
    let chosen = all.iter().filter(|file| (wanted.logs || !file.is_log) && wanted.only.as_ref().is_none_or(|only| only.matches(&file.lfn)));
    std::fs::create_dir_all(folder).map_err(io("make", folder))?;
    let mut fetched = Vec::new();
    for file in chosen {
        // A name from the server is a name, never a path.
        if file.lfn.is_empty() || file.lfn.contains('/') || file.lfn.starts_with("..") {
            return Err(Failure::new(format!("the server names an output `{}`, which is no file name", file.lfn)));
        }
        let to = folder.join(&file.lfn);
        one(session, task, file, &to).await?;
        fetched.push(to);
    }
    Ok(fetched)
}

async fn one(session: &Session, task: i64, file: &Output, to: &Path) -> Result<(), Failure> {
    let size = match file.local_path().filter(|path| session.is_local() && path.is_file()) {
        Some(path) => {
            let part = to.with_file_name(format!(".{}.part", file.lfn));
            let size = std::fs::copy(&path, &part).map_err(io("copy", &path))?;
            std::fs::rename(&part, to).map_err(io("write", to))?;
            size
        }
        // Through the server, which sees the storage.
        None => {
            session.client.download(&format!("/api/panda/v1/task/output?task_id={task}&lfn={}", submit::encoded(&file.lfn)), to).await?
        }
    };
    if file.size > 0 && u64::try_from(file.size).is_ok_and(|expected| expected != size) {
        return Err(Failure::new(format!("`{}` has {size} bytes, but was registered with {}", to.display(), file.size)));
    }
    Ok(())
}
