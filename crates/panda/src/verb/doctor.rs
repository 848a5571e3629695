//! `panda doctor`: looks for what is wrong with an installation, and says what to do.
//!
//! Owns the checks and their order: what later ones need comes first. Changes nothing.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use panda_store::{OpenError, Store};
use serde_json::Value;

use super::finding::{self, Finding, Verdict};
use super::{cert, db, view};
use crate::context::Context;
use crate::failure::Failure;
use crate::session::{self, Session};
use crate::up;

/// Clocks farther apart than this break leases and tokens.
const MAX_CLOCK_MS: i64 = 2_000;
/// Less free space than this fills up within a few jobs.
const MIN_FREE_MB: u64 = 1_000;
/// How long a server may take to say that it is alive.
const ALIVE_TIMEOUT: Duration = Duration::from_secs(5);
/// Programs that payloads and their wrapper need on a worker.
const PROGRAMS: [&str; 2] = ["/bin/sh", "/bin/bash"];

/// Runs every check.
pub async fn run(context: &Context) -> Result<u8, Failure> {
    let mut findings = vec![data_folder(&context.config.data), key(&context.config.data), free_space(&context.config.data), programs()];
    findings.extend(database(context).await);
    findings.extend(plugins(context).await);
    let alive = alive(context).await;
    let is_alive = alive.as_ref().is_some_and(|finding| finding.verdict == Verdict::Ok);
    findings.extend(alive);
    if is_alive {
        findings.extend(queues(context).await);
        findings.extend(news(context).await);
    } else {
        findings.push(port(context));
    }
    findings.extend(cert::ends(&context.config));
    finding::show(context, &findings);
    Ok(finding::code(&findings))
}

fn data_folder(path: &Path) -> Finding {
    let shown = path.display();
    let Ok(meta) = std::fs::metadata(path) else {
        return Finding::warning("data", format!("{shown} is not there yet"), "`panda up` makes it, or name another with `--data DIR`");
    };
    if !meta.is_dir() {
        return Finding::bad("data", format!("{shown} is no folder"), "move the file away or name another with `--data DIR`");
    }
    if rustix::fs::access(path, rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK).is_err() {
        return Finding::bad(
            "data",
            format!("{shown} cannot be written by us"),
            format!("it belongs to user {}; run as that user or `chown` it", meta.uid()),
        );
    }
    if meta.permissions().mode() & 0o007 != 0 {
        return Finding::warning("data", format!("{shown} is open to everybody on this machine"), format!("`chmod o-rwx {shown}`"));
    }
    Finding::ok("data", shown.to_string())
}

fn key(data: &Path) -> Finding {
    let path = data.join(session::KEY_FILE);
    match std::fs::metadata(&path) {
        Err(_) => Finding::ok("identity", "no development key yet; it is made when it is needed"),
        Ok(meta) if meta.permissions().mode() & 0o077 != 0 => {
            Finding::bad("identity", format!("others can read {}", path.display()), format!("`chmod 600 {}`", path.display()))
        }
        Ok(_) => Finding::ok("identity", "development key in place, readable by its owner alone"),
    }
}

fn free_space(data: &Path) -> Finding {
    let there = data.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"));
    match rustix::fs::statvfs(there) {
        Ok(stat) => {
            let free_mb = stat.f_bavail.saturating_mul(stat.f_frsize) >> 20;
            let text = format!("{free_mb} MB free at {}", there.display());
            if free_mb < MIN_FREE_MB {
                Finding::warning("space", text, "make room, or put `data` on a larger disk")
            } else {
                Finding::ok("space", text)
            }
        }
        Err(error) => Finding::warning("space", format!("cannot be told: {error}"), "is the disk mounted?"),
    }
}

fn programs() -> Finding {
    match PROGRAMS.iter().find(|program| !Path::new(program).exists()) {
        None => Finding::ok("programs", PROGRAMS.join(", ")),
        Some(missing) => Finding::bad("programs", format!("{missing} is missing"), "jobs are started with it: install it on every worker"),
    }
}

/// Starts each plug-in and asks who it is.
async fn plugins(context: &Context) -> Vec<Finding> {
    let mut findings = Vec::new();
    for plugin in &context.config.plugins {
        let who = format!("{} plug-in `{}`", plugin.kind.as_str(), plugin.name);
        findings.push(match up::plugin::check(plugin).await {
            Ok(()) => Finding::ok("plug-in", format!("{who} starts and answers")),
            Err(error) => Finding::bad(
                "plug-in",
                error.to_string(),
                format!("look at `{}`, and at `[plugin.{}]`", plugin.command.join(" "), plugin.name),
            ),
        });
    }
    findings
}

async fn database(context: &Context) -> Vec<Finding> {
    match Store::open(&context.config.database, false).await {
        Ok(store) => {
            let (found, clock) = (store.schema_found().await, store.database_clock().await);
            store.close().await;
            let schema = match found {
                Ok(step) => Finding::ok("database", format!("answers, schema step {step}")),
                Err(error) => Finding::bad("database", error.to_string(), "`panda db status` tells more"),
            };
            let clock = match clock {
                Ok(us) => clock_finding((us - session::now_us()) / 1_000),
                Err(error) => Finding::bad("clock", error.to_string(), "`panda db status` tells more"),
            };
            vec![schema, clock]
        }
        // What holds it is most probably the server that the next check finds.
        Err(OpenError::Locked { pid, .. }) => vec![Finding::ok("database", format!("in use by process {pid}"))],
        Err(error) => {
            let missing = context.config.database.strip_prefix("sqlite:").is_some_and(|path| !PathBuf::from(path).exists());
            if missing {
                return vec![Finding::ok("database", "not there yet; `panda up` makes it")];
            }
            let failure = db::failure(error);
            vec![Finding::bad(
                "database",
                failure.message,
                failure.hints.first().cloned().unwrap_or_else(|| "`panda db status` tells more".to_owned()),
            )]
        }
    }
}

fn clock_finding(ahead_ms: i64) -> Finding {
    let text = format!("the database's clock is {ahead_ms} ms ahead of ours");
    if ahead_ms.abs() > MAX_CLOCK_MS { Finding::bad("clock", text, "set both by NTP") } else { Finding::ok("clock", text) }
}

/// Whether a server answers; none is no fault in itself.
async fn alive(context: &Context) -> Option<Finding> {
    let session = match Session::open(context) {
        Ok(session) => session,
        Err(failure) => {
            return Some(Finding::bad("server", failure.message, "`panda config show --origin` tells where the address comes from"));
        }
    };
    let root = session.client.base().root().to_owned();
    match tokio::time::timeout(ALIVE_TIMEOUT, session.client.get("system", "is_alive", &())).await {
        Ok(Ok(answer)) if answer.success => Some(Finding::ok("server", format!("answers at {root}"))),
        Ok(Ok(answer)) => Some(Finding::bad("server", format!("{root} says: {}", answer.message), "look at its log")),
        Ok(Err(error)) if error.is_unreachable() => {
            Some(Finding::warning("server", format!("nobody answers at {root}"), "`panda up` starts one"))
        }
        Ok(Err(error)) => Some(Finding::bad("server", error.to_string(), "is that a PanDA server?")),
        Err(_) => {
            Some(Finding::bad("server", format!("{root} takes connections but does not answer"), "look at its log; is it overloaded?"))
        }
    }
}

/// Whether the port is free for a server.
fn port(context: &Context) -> Finding {
    let listen = context.config.server.listen;
    match std::net::TcpListener::bind(listen) {
        Ok(_) => Finding::ok("port", format!("{listen} is free")),
        Err(error) => {
            Finding::bad("port", format!("{listen}: {error}"), "another program has it; choose another with `--listen ADDR:PORT`")
        }
    }
}

/// Each queue and the place where its files go.
async fn queues(context: &Context) -> Vec<Finding> {
    let answer = match Session::open(context) {
        Ok(session) => session.client.own_get("queue/list", &()).await.map_err(Failure::from),
        Err(failure) => Err(failure),
    };
    let list = match answer {
        Ok(answer) => answer.data.as_array().cloned().unwrap_or_default(),
        Err(failure) => return vec![Finding::bad("queue", failure.message, "`panda queue list` tells more")],
    };
    if list.is_empty() {
        return vec![Finding::bad("queue", "there is none, so no job can run", "`panda queue add NAME`, or `panda up` with a worker")];
    }
    list.iter().flat_map(|queue| [queue_state(queue), storage(queue)]).collect()
}

/// Mail and webhooks that are not delivered.
async fn news(context: &Context) -> Vec<Finding> {
    let answer = match Session::open(context) {
        Ok(session) => session.client.own_get("health", &()).await.map_err(Failure::from),
        Err(failure) => Err(failure),
    };
    let hint = "`panda setting list notify` shows where it should go";
    match answer {
        Ok(answer) => {
            let problems = answer.data.as_array().cloned().unwrap_or_default();
            let lines = problems.iter().filter_map(|p| Some(Finding::warning("news", p.as_str()?, hint)));
            lines.collect()
        }
        Err(failure) => vec![Finding::warning("news", failure.message, "is the server older than this program?")],
    }
}

fn queue_state(queue: &Value) -> Finding {
    let (name, state) = (view::text(queue, "name"), view::text(queue, "state"));
    if state == "online" {
        return Finding::ok("queue", format!("{name} is online"));
    }
    Finding::warning("queue", format!("{name} is {state}"), format!("`panda queue set {name} state=online` opens it"))
}

fn storage(queue: &Value) -> Finding {
    let name = view::text(queue, "name");
    let root = queue.get("storage").map(|storage| view::text(storage, "root")).unwrap_or_default();
    if root.is_empty() {
        return Finding::bad(
            "storage",
            format!("{name} has none, so outputs have no place"),
            format!("`panda queue set {name} storage=DIR`"),
        );
    }
    let path = Path::new(&root);
    if !path.is_dir() {
        return Finding::warning(
            "storage",
            format!("{root} of {name} is not on this machine"),
            "it must be there on the workers and where the engine runs",
        );
    }
    if rustix::fs::access(path, rustix::fs::Access::WRITE_OK).is_err() {
        return Finding::bad("storage", format!("{root} of {name} cannot be written by us"), "give the workers' user the right to");
    }
    Finding::ok("storage", format!("{root} of {name}"))
}
