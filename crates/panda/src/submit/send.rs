//! Brings inputs, sandbox and parameters to the server.
//!
//! Owns the calls of a submission and their order. Must not know how parameters are made.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use panda_client::Envelope;
use serde_json::{Value, json};

use super::dag::{self, Checked};
use super::inputs::{self, Inputs};
use super::sandbox::{self, Packed, Plan};
use super::{command, name, params};
use crate::cli::SubmitArgs;
use crate::context::Context;
use crate::failure::Failure;
use crate::screen;
use crate::session::Session;

/// Most bytes of local input files that are sent to a server elsewhere: they fill its disk, and larger data has a storage of its own.
const MAX_UPLOAD_BYTES: u64 = 500 << 20;
/// Most input files that are sent one by one.
const MAX_UPLOADS: usize = 1_000;
/// Files in one call of `dataset/add`.
const FILES_A_CALL: usize = 1_000;

/// A task that is ready to be sent.
#[derive(Debug)]
pub struct Prepared {
    /// Its parameters.
    pub params: Value,
    /// Its name without slash.
    pub name: String,
    /// Data set to register first, with its files.
    pub dataset: Option<(String, Vec<PathBuf>)>,
    /// The sandbox to upload first.
    pub packed: Option<Packed>,
    /// The DAG to upload first.
    pub dag: Option<Checked>,
}

/// A task that the server took.
#[derive(Debug, Clone)]
pub struct Submitted {
    /// Its id.
    pub task_id: i64,
    /// Its name.
    pub name: String,
    /// The server's words.
    pub message: String,
}

/// Makes a task of the options; nothing is sent, except the question whether the server has the sandbox already.
pub async fn prepare(context: &Context, session: &Session, args: &SubmitArgs) -> Result<Prepared, Failure> {
    let text = args.exec.clone().unwrap_or_else(|| command::text(&args.command));
    if text.trim().is_empty() {
        return Err(Failure::usage("the command is empty").hint("write it after `--`: `panda run -- ./my-program`"));
    }
    let full = command::with_environment(&text, &args.env)?;
    let name = name::task_name(args.name.as_deref(), session.nickname()?, &text)?;
    let inputs = inputs::classify(&args.input)?;
    let local = match &inputs {
        Inputs::Files(files) => files.clone(),
        _ => Vec::new(),
    };
    let dag = args.dag.as_ref().map(|path| dag::check(path, &text)).transpose()?;
    let dataset = (!local.is_empty()).then(|| format!("{name}.in"));
    if !session.is_local() {
        check_upload(&local)?;
    }
    let mut without: BTreeSet<PathBuf> = local.iter().cloned().collect();
    without.extend(std::fs::canonicalize(&context.config.data));
    without.extend(args.dag.as_ref().and_then(|path| std::fs::canonicalize(path).ok()));
    let plan = Plan { folder: args.sandbox_folder(), without, command: text, build: args.build.is_some() };
    let mut packed = sandbox::pack(&plan)?;
    if let Some(packed) = &mut packed
        && !args.dry_run
        && let Some(known) = known_sandbox(session, packed).await?
    {
        packed.name = known;
        packed.known = true;
    }
    let line =
        std::iter::once("panda".to_owned()).chain(context.words.iter().map(|word| command::quote(word))).collect::<Vec<_>>().join(" ");
    let parts = params::Parts {
        args,
        name: &name,
        vo: args.vo.as_deref().unwrap_or(&session.vo),
        command: &full,
        inputs: &inputs,
        dataset: dataset.as_deref(),
        dag: dag.as_ref().map(|dag| dag.name.as_str()),
        archive: packed.as_ref().map(|packed| packed.name.as_str()),
        line: &line,
    };
    let params = params::make(&parts)?;
    Ok(Prepared { params, name, dataset: dataset.map(|dataset| (dataset, local)), packed, dag })
}

fn check_upload(files: &[PathBuf]) -> Result<(), Failure> {
    let bytes: u64 = files.iter().map(|path| path.metadata().map_or(0, |meta| meta.len())).sum();
    if bytes <= MAX_UPLOAD_BYTES && files.len() <= MAX_UPLOADS {
        return Ok(());
    }
    let limit = MAX_UPLOAD_BYTES >> 20;
    Err(Failure::usage(format!(
        "{} input files with {} MB; a server elsewhere is sent up to {MAX_UPLOADS} with {limit} MB",
        files.len(),
        bytes >> 20
    ))
    .hint("bring them to a storage that the jobs can read, and register them there: `panda dataset add NAME --dir DIR`"))
}

/// The name under which the server has the same archive, if it has.
async fn known_sandbox(session: &Session, packed: &Packed) -> Result<Option<String>, Failure> {
    let body = json!({ "file_size": packed.size, "checksum": packed.crc });
    let answer = session.client.post("file_server", "validate_cache_file", &body).await?;
    // `FOUND:<host>:<file>`; anything else means that it has to be sent.
    let found = answer.message.strip_prefix("FOUND:").and_then(|rest| rest.rsplit_once(':'));
    Ok(found.map(|(_, file)| file.to_owned()).filter(|file| !file.is_empty()))
}

/// Sends a prepared task.
pub async fn submit(session: &Session, mut prepared: Prepared) -> Result<Submitted, Failure> {
    if let Some((dataset, files)) = prepared.dataset.take() {
        register_inputs(session, &dataset, &files).await?;
    }
    if let Some(packed) = &prepared.packed
        && !packed.known
    {
        send(session, "the sandbox", &packed.name, packed.file.path()).await?;
    }
    if let Some(dag) = &prepared.dag {
        send(session, "the DAG", &dag.name, dag.file.path()).await?;
        screen::note(format!("sent a DAG of {} nodes", dag.nodes));
    }
    let body = json!({ "task_parameters": prepared.params, "parent_tid": Value::Null });
    let answer = session.client.post("task", "submit", &body).await?;
    if !answer.success {
        return Err(Failure::new(format!("the server did not take the task: {}", answer.message)));
    }
    let task_id =
        task_id(&answer).ok_or_else(|| Failure::new(format!("the server took the task but named no id; it said: {}", answer.message)))?;
    Ok(Submitted { task_id, name: prepared.name, message: answer.message })
}

async fn send(session: &Session, what: &str, name: &str, path: &Path) -> Result<(), Failure> {
    let answer = session.client.upload_cache_file(name, path).await?;
    if answer.success { Ok(()) } else { Err(Failure::new(format!("the server did not take {what}: {}", answer.message))) }
}

/// The id in an answer to `task/submit`: its data, else `jediTaskID=<n>` in its words.
fn task_id(answer: &Envelope) -> Option<i64> {
    let in_words = || {
        let (_, tail) = answer.message.split_once("jediTaskID=")?;
        let end = tail.find(|c: char| !c.is_ascii_digit()).unwrap_or(tail.len());
        tail[..end].parse().ok()
    };
    answer.data.as_i64().filter(|id| *id > 0).or_else(in_words)
}

/// Registers files of this machine as a data set: a server on this machine reads them where they are, one elsewhere is sent them.
pub async fn register_inputs(session: &Session, dataset: &str, files: &[PathBuf]) -> Result<(), Failure> {
    for part in files.chunks(FILES_A_CALL) {
        let mut rows = Vec::new();
        for path in part {
            let lfn = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            rows.push(if session.is_local() {
                json!({ "lfn": lfn, "path": path })
            } else {
                json!({ "lfn": lfn, "cache": upload(session, path).await? })
            });
        }
        let answer = session.client.own_post("dataset/add", &json!({ "name": dataset, "files": rows })).await?;
        if !answer.success {
            return Err(Failure::new(format!("the server did not register the input files: {}", answer.message)));
        }
    }
    screen::note(format!("registered {} input file{} as `{dataset}`", files.len(), if files.len() == 1 { "" } else { "s" }));
    Ok(())
}

/// Sends one input file; the answer is its name on the server.
async fn upload(session: &Session, path: &Path) -> Result<String, Failure> {
    // The name decides how large a file may be (`spec/client.md` section 4.2).
    let name = format!("sources.{}.input", uuid::Uuid::new_v4());
    let answer = session.client.upload_cache_file(&name, path).await?;
    if answer.success { Ok(name) } else { Err(Failure::new(format!("the server did not take `{}`: {}", path.display(), answer.message))) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_found() {
        let answer = |data: Value, message: &str| Envelope { success: true, message: message.to_owned(), data, ..Envelope::default() };
        assert_eq!(task_id(&answer(json!(10_000_001), "")), Some(10_000_001));
        assert_eq!(task_id(&answer(Value::Null, "succeeded. new jediTaskID=10000002. See http://x")), Some(10_000_002));
        assert_eq!(task_id(&answer(Value::Null, "succeeded")), None);
    }
}
