//! `panda db migrate|status`: works on the database itself, no server is needed.

use std::path::{Path, PathBuf};

use panda_store::{OpenError, Store};
use serde_json::json;

use crate::cli::DbVerb;
use crate::context::Context;
use crate::failure::{Failure, exit, io};
use crate::screen;

/// Runs the sub-verb.
pub async fn run(context: &Context, verb: &DbVerb) -> Result<u8, Failure> {
    match verb {
        DbVerb::Migrate { dry_run: true, .. } => plan(context).await,
        DbVerb::Migrate { .. } => migrate(context).await,
        DbVerb::Status { .. } => status(context).await,
    }
}

async fn plan(context: &Context) -> Result<u8, Failure> {
    let url = &context.config.database;
    // An embedded database that is not there is planned somewhere else: a dry run makes nothing.
    let missing = sqlite_path(url).is_some_and(|path| !path.exists());
    let elsewhere =
        if missing { Some(tempfile::tempdir().map_err(|error| Failure::new(format!("cannot make a folder: {error}")))?) } else { None };
    let planned = elsewhere.as_ref().map_or_else(|| url.clone(), |folder| format!("sqlite:{}", folder.path().join("plan.db").display()));
    let statements = panda_store::migration_plan(&planned).await.map_err(failure)?;
    if context.json {
        screen::json(&json!(statements));
    } else if statements.is_empty() {
        screen::note("nothing to do");
    } else {
        statements.iter().for_each(|statement| screen::line(format!("{statement};")));
    }
    Ok(exit::OK)
}

async fn migrate(context: &Context) -> Result<u8, Failure> {
    make_folder(&context.config.database)?;
    let store = Store::open(&context.config.database, true).await.map_err(failure)?;
    let found = store.schema_found().await;
    store.close().await;
    let found = found.map_err(|error| Failure::new(error.to_string()))?;
    if context.json {
        screen::json(&json!({ "schema": found }));
    } else {
        screen::line(format!("the schema is up to date: step {found}"));
    }
    Ok(exit::OK)
}

async fn status(context: &Context) -> Result<u8, Failure> {
    let config = &context.config;
    let store = Store::open(&config.database, false).await.map_err(failure)?;
    let (found, clock) = (store.schema_found().await, store.database_clock().await);
    let dialect = format!("{:?}", store.dialect()).to_lowercase();
    store.close().await;
    let found = found.map_err(|error| Failure::new(error.to_string()))?;
    let clock = clock.map_err(|error| Failure::new(error.to_string()))?;
    let ahead_ms = (clock - crate::session::now_us()) / 1_000;
    if context.json {
        screen::json(&json!({ "backend": dialect, "schema": found, "clock_ahead_ms": ahead_ms }));
    } else {
        screen::line(format!("{dialect}: answers, schema step {found}, clock {ahead_ms} ms ahead of ours"));
    }
    Ok(exit::OK)
}

/// The folder of an embedded database.
pub(crate) fn make_folder(url: &str) -> Result<(), Failure> {
    let path = sqlite_path(url);
    match path.as_deref().and_then(Path::parent) {
        Some(folder) => std::fs::create_dir_all(folder).map_err(io("make", folder)),
        None => Ok(()),
    }
}

/// The file of an embedded database.
fn sqlite_path(url: &str) -> Option<PathBuf> {
    url.strip_prefix("sqlite:").map(|rest| PathBuf::from(rest.strip_prefix("//").unwrap_or(rest)))
}

/// Why a database cannot be opened, as a failure with what to do.
pub(crate) fn failure(error: OpenError) -> Failure {
    let usage = matches!(error, OpenError::Url { .. });
    let hint = match &error {
        OpenError::Older { .. } => Some("`panda db migrate --dry-run` shows what would be done"),
        OpenError::Unreachable { url, .. } if url.starts_with("sqlite") => Some("`panda db migrate` or `panda up` makes it"),
        OpenError::Unreachable { .. } => Some("is the database server running, and are host and port in `--db` right?"),
        OpenError::Locked { .. } => Some("`panda status` and its kin talk to the running server and need no lock"),
        _ => None,
    };
    let failure = if usage { Failure::usage(error.to_string()) } else { Failure::new(error.to_string()) };
    hint.into_iter().fold(failure, Failure::hint)
}
