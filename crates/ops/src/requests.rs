//! Requests that the server's machines answer a little later: an echo, a search in the server's own logs (`spec/api_v1.md` section 1). The process that
//! takes a request does it; what comes of it is kept for a day.

use std::{
    io::{BufRead, BufReader, Read},
    path::Path,
    sync::Arc,
    time::Duration,
};

use panda_access::{Object, Principal, Right, table};
use panda_store::{Batch, query::snapshot};
use regex::bytes::{Regex, RegexBuilder};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{Ops, OpsError, clock};

/// Kind of the stored documents.
const KIND: &str = "async";
/// How long they are kept, microseconds.
const KEPT_US: i64 = 86_400_000_000;
/// Most that are kept: each may hold [`MAX_OUTPUT`].
const MAX_KEPT: usize = 1_000;
/// Most bytes of an answer.
const MAX_OUTPUT: usize = 64 << 10;
/// Most bytes of a log that are read.
const MAX_READ: u64 = 256 << 20;
/// Longest pattern, and its compiled size, bytes.
const MAX_PATTERN: usize = 1_000;
const MAX_COMPILED: usize = 1 << 18;
/// Longest message of an echo, characters, and longest sleep.
pub const MAX_MESSAGE: usize = 100;
/// Seconds.
pub const MAX_SLEEP_S: i64 = 60;
/// After so long whoever was to answer is taken for dead, microseconds.
const PATIENCE_US: i64 = 180_000_000;
/// Services that run on this machine: the program has all in one.
const SERVICES: &[&str] = &["panda", "panda_server", "panda_jedi", "panda_daemon"];

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Task {
    /// Lines of a log that have the pattern.
    Grep {
        /// A regular expression.
        pattern: String,
        /// Name of the log: `panda-….log`.
        log: String,
    },
    /// A message, after a while.
    Echo {
        /// The message.
        message: String,
        /// Seconds.
        seconds: i64,
    },
}

/// The machine that this process runs on.
fn machine() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    if name.is_empty() { "localhost".to_owned() } else { name.to_owned() }
}

/// The machines that are meant: of a service, or one by name.
///
/// # Errors
/// Both or neither is given, or none is alive.
fn machines(service: Option<&str>, named: Option<&str>) -> Result<Vec<String>, OpsError> {
    let given = |text: Option<&'_ str>| text.filter(|t| !t.is_empty()).map(str::to_owned);
    let here = machine();
    match (given(service), given(named)) {
        (Some(service), None) if SERVICES.contains(&service.as_str()) => Ok(vec![here]),
        (Some(service), None) => Err(OpsError::refused(format!("no alive machines found for service '{service}'"))),
        (None, Some(name)) if name == here => Ok(vec![here]),
        (None, Some(name)) => Err(OpsError::refused(format!("no alive machine is called '{name}'"))),
        _ => Err(OpsError::refused("exactly one of service_name or machine_name must be provided")),
    }
}

fn compiled(pattern: &str) -> Result<Regex, OpsError> {
    if pattern.is_empty() || pattern.len() > MAX_PATTERN {
        return Err(OpsError::refused(format!("pattern has {} bytes; give 1 to {MAX_PATTERN}", pattern.len())));
    }
    let wrong = |e: regex::Error| OpsError::refused(format!("pattern is no regular expression: {e}"));
    RegexBuilder::new(pattern).size_limit(MAX_COMPILED).build().map_err(wrong)
}

fn check(task: &Task) -> Result<(), OpsError> {
    match task {
        Task::Grep { pattern, log } => {
            if log.contains('/') || log.contains("..") {
                return Err(OpsError::refused("log_filename must not contain / or .."));
            }
            let (named, ends) = (log.starts_with("panda-"), log.ends_with(".log"));
            if !named || !ends || log.chars().any(char::is_control) {
                return Err(OpsError::refused("log_filename must begin with panda- and end with .log"));
            }
            compiled(pattern).map(drop)
        }
        Task::Echo { message, seconds } => {
            if message.chars().count() > MAX_MESSAGE {
                return Err(OpsError::refused(format!("message has more than {MAX_MESSAGE} characters")));
            }
            if !(0..=MAX_SLEEP_S).contains(seconds) {
                return Err(OpsError::refused(format!("seconds is {seconds}; give 0 to {MAX_SLEEP_S}")));
            }
            Ok(())
        }
    }
}

/// Takes a request; the answer is its id.
///
/// # Errors
/// The caller may not; no machine; nonsense; too many requests.
pub async fn submit(
    ops: &Arc<Ops>,
    who: &Principal,
    task: Task,
    (service, named): (Option<&str>, Option<&str>),
) -> Result<String, OpsError> {
    let (right, level) = match task {
        Task::Grep { .. } => (Right::ServerLogs, "owner"),
        Task::Echo { .. } => (Right::ServerEcho, "production"),
    };
    let vo = who.vo.clone().unwrap_or_default();
    table::allowed(right, Some(who), Some(Object::of_vo(&vo)))?;
    check(&task)?;
    let expected = machines(service, named)?;
    let (id, now) = (Uuid::new_v4().to_string(), ops.now().0);
    let mut batch = Batch::new();
    let known = snapshot::kind(&ops.store, KIND).await?;
    let (old, fresh): (Vec<_>, Vec<_>) = known.into_iter().partition(|(_, at)| now - at > KEPT_US);
    if fresh.len() >= MAX_KEPT {
        return Err(OpsError::refused(format!("{MAX_KEPT} requests were taken within a day; try again later")));
    }
    old.iter().for_each(|(name, _)| snapshot::delete(&mut batch, &format!("{KIND}:{name}")));
    let doc = json!({
        "owner": [who.issuer, who.subject], "vo": vo, "level": level, "expected": expected,
        "results": expected.iter().map(|m| row(&id, m, "running", now)).collect::<Vec<_>>(),
    });
    snapshot::set(&mut batch, &format!("{KIND}:{id}"), now, &doc.to_string());
    ops.store.apply(batch).await?;
    tokio::spawn(work(ops.clone(), id.clone(), doc, task, now));
    Ok(id)
}

fn row(id: &str, machine: &str, status: &str, now: i64) -> Value {
    json!({
        "request_id": id, "machine_name": machine, "status": status, "result": null, "stderr": null, "return_code": null,
        "truncated": false, "error_msg": null, "attempts": 1, "started_at": clock::text(now), "finished_at": null,
    })
}

/// What came of it: status, output, code, whether it was cut, error.
type Done = (&'static str, String, i64, bool, Option<String>);

async fn work(ops: Arc<Ops>, id: String, mut doc: Value, task: Task, taken_us: i64) {
    let (status, result, code, truncated, error) = perform(&ops, task).await;
    let finished = clock::text(ops.now().0);
    for r in doc["results"].as_array_mut().into_iter().flatten() {
        r["status"] = status.into();
        r["result"] = result.clone().into();
        r["return_code"] = code.into();
        r["truncated"] = truncated.into();
        r["error_msg"] = error.clone().into();
        r["finished_at"] = finished.clone().into();
    }
    let mut batch = Batch::new();
    snapshot::set(&mut batch, &format!("{KIND}:{id}"), taken_us, &doc.to_string());
    if let Err(error) = ops.store.apply(batch).await {
        tracing::error!(%error, request = id, "what came of a request cannot be stored");
    }
}

async fn perform(ops: &Ops, task: Task) -> Done {
    match task {
        Task::Echo { message, seconds } => {
            tokio::time::sleep(Duration::from_secs(u64::try_from(seconds).unwrap_or(0))).await;
            ("done", message, 0, false, None)
        }
        Task::Grep { pattern, log } => {
            let path = ops.options.data_dir.join("log").join(&log);
            let failed = |why: String| ("failed", String::new(), 2, false, Some(why));
            let Ok(pattern) = compiled(&pattern) else { return failed("the pattern is no regular expression".into()) };
            match tokio::task::spawn_blocking(move || grep(&path, &pattern)).await {
                Ok(Ok((text, cut))) => ("done", text.clone(), i64::from(text.is_empty()), cut, None),
                Ok(Err(error)) => failed(format!("{log}: {error}")),
                Err(error) => failed(error.to_string()),
            }
        }
    }
}

/// Lines with the pattern, and whether some were cut; blocking.
fn grep(path: &Path, pattern: &Regex) -> std::io::Result<(String, bool)> {
    let file = std::fs::File::open(path)?;
    let mut reader = BufReader::new(file.take(MAX_READ));
    let (mut out, mut line) = (Vec::new(), Vec::new());
    loop {
        line.clear();
        if reader.read_until(b'\n', &mut line)? == 0 {
            let cut = reader.get_ref().limit() == 0;
            return Ok((String::from_utf8_lossy(&out).into_owned(), cut));
        }
        if pattern.is_match(&line) {
            if out.len() + line.len() > MAX_OUTPUT {
                return Ok((String::from_utf8_lossy(&out).into_owned(), true));
            }
            out.extend_from_slice(&line);
        }
    }
}

/// `{"overall_status", "expected_machines", "results"}`; `complete` when every machine has answered or is taken for dead.
///
/// # Errors
/// There is no such request, or it is not for the caller.
pub async fn result(ops: &Ops, who: &Principal, id: &str) -> Result<Value, OpsError> {
    table::admit(Right::Read, Some(who))?;
    let shown: String = id.chars().take(64).collect();
    let missing = || OpsError::NotFound(format!("request_id '{shown}' not found"));
    let id = Uuid::parse_str(id).map_err(|_| missing())?;
    let (at, text) = snapshot::get(&ops.store, &format!("{KIND}:{id}")).await?.ok_or_else(missing)?;
    let mut doc: Value = serde_json::from_str(&text).map_err(|e| OpsError::Internal(format!("request {id}: {e}")))?;
    let word = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    let vo = word(&doc["vo"]);
    let is_owner = who.owns((&word(&doc["owner"][0]), &word(&doc["owner"][1])));
    let by_role = doc["level"] == "production" && table::allowed(Right::ServerEcho, Some(who), Some(Object::of_vo(&vo))).is_ok();
    if !is_owner && !by_role && table::allowed(Right::ServerLogs, Some(who), None).is_err() {
        return Err(OpsError::refused(format!("not authorized to see the result of request_id '{id}'")));
    }
    let mut complete = true;
    for r in doc["results"].as_array_mut().into_iter().flatten() {
        if r["status"] == "running" && ops.now().0 - at > PATIENCE_US {
            r["status"] = "failed".into();
            r["error_msg"] = "the server process that was to answer has ended".into();
        }
        complete &= r["status"] != "running";
    }
    let overall = if complete { "complete" } else { "running" };
    Ok(json!({"overall_status": overall, "expected_machines": doc["expected"], "results": doc["results"]}))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{World, alice, bob, operator, prod};

    async fn wait(ops: &Ops, who: &Principal, id: &str) -> Value {
        for _ in 0..500 {
            let got = result(ops, who, id).await.unwrap();
            if got["overall_status"] == "complete" {
                return got["results"][0].clone();
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("never done");
    }

    #[tokio::test]
    async fn logs_are_searched_and_echoes_heard() {
        let w = World::new().await;
        let ops = Arc::new(w.ops);
        let log = ops.options.data_dir.join("log");
        std::fs::create_dir_all(&log).unwrap();
        std::fs::write(log.join("panda-server.log"), "one\ntwo\nanother\n").unwrap();
        let grep = |pattern: &str, log: &str| Task::Grep { pattern: pattern.into(), log: log.into() };
        let here = (Some("panda"), None);
        assert!(matches!(submit(&ops, &prod(), grep("o", "panda-server.log"), here).await, Err(OpsError::Denied(_))));
        let id = submit(&ops, &operator(), grep("^o|the", "panda-server.log"), here).await.unwrap();
        let got = wait(&ops, &operator(), &id).await;
        assert_eq!((&got["status"], &got["result"], &got["return_code"]), (&json!("done"), &json!("one\nanother\n"), &json!(0)));
        assert!(result(&ops, &alice(), &id).await.unwrap_err().to_string().starts_with("not authorized"));
        let id = submit(&ops, &operator(), grep("x", "panda-none.log"), here).await.unwrap();
        assert_eq!(wait(&ops, &operator(), &id).await["status"], "failed");
        for (pattern, log) in [("(", "panda-a.log"), ("x", "../panda-a.log"), ("x", "panda-a"), ("x", "a.log"), ("", "panda-a.log")] {
            assert!(submit(&ops, &operator(), grep(pattern, log), here).await.is_err(), "{pattern} {log}");
        }
        let echo = |seconds: i64| Task::Echo { message: "hello".into(), seconds };
        let id = submit(&ops, &prod(), echo(0), here).await.unwrap();
        assert_eq!(wait(&ops, &prod(), &id).await["result"], "hello");
        assert!(result(&ops, &bob(), &id).await.is_err());
        assert!(submit(&ops, &prod(), echo(61), here).await.is_err());
        for (service, named) in [(None, None), (Some("a"), Some("b")), (Some("tape"), None), (None, Some("elsewhere."))] {
            assert!(submit(&ops, &prod(), echo(0), (service, named)).await.is_err(), "{service:?} {named:?}");
        }
        assert!(result(&ops, &prod(), "x").await.unwrap_err().to_string().contains("request_id 'x' not found"));
    }
}
