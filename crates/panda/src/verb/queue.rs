//! `panda queue add|list|show|set|hold|release|holds|test`

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::follow::{self, Options};
use super::retry::pairs;
use super::{hold, logs, own, view};
use crate::cli::{QueueAddArgs, QueueVerb, SubmitArgs, WaitArgs};
use crate::context::Context;
use crate::failure::{Failure, exit, io};
use crate::session::Session;
use crate::{screen, submit};

/// How long a test waits unless told: a batch system may take its time.
const TEST_TIMEOUT: Duration = Duration::from_secs(600);
/// What the test's job writes and what must come back.
const TEST_WORD: &str = "panda-queue-test";

/// Runs the sub-verb.
pub async fn run(context: &Context, verb: &QueueVerb) -> Result<u8, Failure> {
    match verb {
        QueueVerb::Add(args) => add(context, args).await,
        QueueVerb::List => list(context).await,
        QueueVerb::Show { name } => own::show(context, "queue/show", &[("name", name)]).await,
        QueueVerb::Set { name, values } => set(context, name, values).await,
        QueueVerb::Hold { name, reason } => hold::hold(context, name, reason).await,
        QueueVerb::Release { name } => hold::release(context, name).await,
        QueueVerb::Holds => hold::list(context).await,
        QueueVerb::Test { name, limits } => test(context, name, limits).await,
    }
}

async fn add(context: &Context, args: &QueueAddArgs) -> Result<u8, Failure> {
    let mut settings = match &args.settings {
        Some(path) => {
            let text = std::fs::read(path).map_err(io("read", path))?;
            serde_json::from_slice::<Map<String, Value>>(&text)
                .map_err(|error| Failure::usage(format!("{}:{}: {error}", path.display(), error.line())))?
        }
        None => Map::new(),
    };
    settings.extend(pairs(&args.values)?);
    let mut body = json!({ "name": args.name, "config": settings, "pilot": args.pilot });
    if let Some(storage) = &args.storage {
        body["storage"] = json!(std::path::absolute(storage).map_err(io("use", storage))?);
    }
    own::change(context, "queue/add", &body, |_| format!("queue `{}` added", args.name)).await
}

async fn list(context: &Context) -> Result<u8, Failure> {
    let session = Session::open(context)?;
    let data = session.client.own_get("queue/list", &()).await?.ok()?.data;
    if context.json {
        screen::json(&data);
        return Ok(exit::OK);
    }
    let rows = data.as_array().map_or(&[][..], Vec::as_slice).iter().map(|queue| {
        let storage = queue.get("storage").map(|storage| view::text(storage, "root")).unwrap_or_default();
        vec![view::text(queue, "name"), view::text(queue, "state"), view::text(queue, "site"), view::text(queue, "pilot"), storage]
    });
    screen::table(&["QUEUE", "STATE", "SITE", "PILOT", "STORAGE"], rows.collect(), "no queues; `panda queue add NAME` makes one");
    Ok(exit::OK)
}

async fn set(context: &Context, name: &str, values: &[String]) -> Result<u8, Failure> {
    let body = json!({ "name": name, "values": pairs(values)? });
    own::change(context, "queue/set", &body, |_| format!("queue `{name}` changed")).await
}

/// Runs one small task on the queue and looks for its word in the log.
async fn test(context: &Context, name: &str, limits: &WaitArgs) -> Result<u8, Failure> {
    let timeout = limits.timeout.as_deref().map(|text| submit::seconds(text, 1)).transpose()?.map_or(TEST_TIMEOUT, Duration::from_secs);
    let session = Session::open(context)?;
    // A queue that does not exist would only make the task wait.
    session.client.own_get("queue/show", &[("name", name)]).await?.ok()?;
    let args = SubmitArgs {
        exec: Some(format!("echo {TEST_WORD}")),
        sandbox: "none".into(),
        queue: Some(name.to_owned()),
        ..SubmitArgs::default()
    };
    let prepared = submit::prepare(context, &session, &args).await?;
    let task = submit::submit(&session, prepared).await?;
    let end = follow::task(&session, task.task_id, &Options { timeout: Some(timeout), logs: false, quiet: context.json }).await?;
    let code = view::task_end(&end.status).unwrap_or(exit::TIMED_OUT);
    let wrote = code == exit::OK && wrote_word(&session, task.task_id).await?;
    if context.json {
        screen::json(&json!({ "queue": name, "task_id": task.task_id, "status": end.status, "ok": wrote }));
    } else if wrote {
        screen::line(format!("queue `{name}` works: task/{} ran there and its log came back", task.task_id));
    }
    match (code, wrote) {
        (exit::OK, true) => Ok(exit::OK),
        (exit::OK, false) => Err(Failure::new(format!("task/{} ended on `{name}`, but its log did not come back", task.task_id))),
        _ => Err(Failure { code, ..Failure::new(format!("task/{} is {} on `{name}`", task.task_id, end.status)) }
            .hint(format!("`panda why {}` tells the reason", task.task_id))),
    }
}

async fn wrote_word(session: &Session, task: i64) -> Result<bool, Failure> {
    let (jobs, _) = view::Job::of_task(session, task).await?;
    for job in jobs {
        let text = logs::next(session, job.id, &mut logs::Piece::default()).await?;
        if String::from_utf8_lossy(&text).contains(TEST_WORD) {
            return Ok(true);
        }
    }
    Ok(false)
}
