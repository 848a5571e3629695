//! The journal of what people changed.
//!
//! Owns which calls are noted and what of them: who, from where, what, with which outcome; never a secret or a file. What pilots report is in the
//! histories of jobs and workers. Must not know any method.

use panda_access::Scope;
use panda_ops::Ops;
use panda_store::query::journal::{self, Line};
use panda_store::{Batch, IdKind};
use serde_json::{Map, Value, json};

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use crate::methods::{Method, Verb};

/// Area of the journal.
pub const AREA: &str = "api";
/// Parameters that are noted: they name what is touched and how. All others may hold secrets or be large.
const NOTED: [&str; 32] = [
    "task_id",
    "jedi_task_id",
    "job_id",
    "job_ids",
    "task_ids",
    "name",
    "queue",
    "site",
    "panda_queue",
    "queue_name",
    "vo",
    "label",
    "role",
    "issuer",
    "robot",
    "scopes",
    "days",
    "until",
    "reason",
    "code",
    "value",
    "priority",
    "share",
    "gshare",
    "state",
    "id",
    "key",
    "soft",
    "command",
    "dataset",
    "from",
    "to",
];
/// Parameters of which the value of the call is a secret.
const SECRET: [&str; 1] = ["set_user_secrets"];
/// Longest noted text, characters.
const MAX_TEXT: usize = 200;
/// Longest noted list.
const MAX_LIST: usize = 20;

/// Calls a method, and notes it when it is one that changes something.
pub async fn run(method: &'static Method, ctx: Ctx, args: Args) -> Result<Answer, Refusal> {
    if method.verb == Verb::Get || !matches!(method.right.scope(), Scope::Submit | Scope::Control | Scope::Admin) {
        return (method.handler)(ctx, args).await;
    }
    let Some(who) = ctx.principal.clone() else { return (method.handler)(ctx, args).await };
    let given = noted(method, &args);
    let (ops, peer) = (ctx.state.ops.clone(), ctx.peer.address.ip());
    let outcome = (method.handler)(ctx, args).await;
    let said = match &outcome {
        Ok(Answer::Envelope { success: false, message, .. }) => short(message),
        Ok(_) => "done".to_owned(),
        Err(refusal) => short(refusal.message()),
    };
    let subject = given.values().next().map(Value::to_string).unwrap_or_default();
    let doc = json!({
        "issuer": who.issuer, "subject": who.subject, "vo": who.vo, "roles": who.roles.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "peer": peer.to_string(), "given": given, "outcome": said,
    });
    let what = if method.module.is_empty() { method.name.to_owned() } else { format!("{}/{}", method.module, method.name) };
    if let Err(error) = note(&ops, what, subject.trim_matches('"'), &who.name, &doc).await {
        tracing::error!(%error, entry = %doc, "the journal cannot be written");
    }
    outcome
}

async fn note(ops: &Ops, what: String, subject: &str, who: &str, doc: &Value) -> Result<(), panda_store::Error> {
    let subject = if subject.is_empty() { "-".to_owned() } else { short(subject) };
    let id = ops.store.id(IdKind::Row).await?;
    let line = Line { id, at_us: ops.now().0, area: AREA.to_owned(), what, subject, who: short(who), doc: Some(doc.to_string()) };
    let mut batch = Batch::new();
    journal::add(&mut batch, &line);
    ops.store.apply(batch).await
}

fn noted(method: &Method, args: &Args) -> Map<String, Value> {
    let mut out = Map::new();
    let has = |name: &str| method.params.iter().any(|p| p.name == name) && (name != "value" || !SECRET.contains(&method.name));
    for name in NOTED.iter().filter(|name| has(name)) {
        let value = match args.get(name) {
            Some(Value::String(text)) => Value::String(short(text)),
            Some(Value::Array(list)) => list.iter().take(MAX_LIST).filter(|v| !v.is_object() && !v.is_array()).cloned().collect(),
            Some(value @ (Value::Number(_) | Value::Bool(_))) => value.clone(),
            _ => continue,
        };
        out.insert((*name).to_owned(), value);
    }
    out
}

fn short(text: &str) -> String {
    text.chars().take(MAX_TEXT).collect()
}
