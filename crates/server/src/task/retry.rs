//! `POST task/retry`. Tries what failed again, with new parameters if given.
//!
//! The flag is true whatever came of it, as in the original: clients look at the
//! code, which is 0 without and 3 with new parameters (client sheet section 6).

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_core::id::TaskId;
use panda_ops::task::command::{self, Retry};
use panda_wire::literal;
use serde_json::{Map, Value, json};

/// The result code.
pub async fn handle(ctx: Ctx, mut args: Args) -> Result<Answer, Refusal> {
    let retry = Retry {
        new_parameters: new_parameters(args.take("new_parameters"))?,
        no_child_retry: args.flag("no_child_retry"),
        discard_events: args.flag("discard_events"),
        disable_staging_mode: args.flag("disable_staging_mode"),
        keep_gshare_priority: args.flag("keep_gshare_priority"),
        ignore_hard_exhausted: args.flag("ignore_hard_exhausted"),
    };
    let given = command::retry(ctx.ops(), ctx.caller()?, TaskId(args.id("task_id")), &retry).await?;
    Ok(Answer::said(given.message, json!(given.code)))
}

/// An object, or its text in JSON or as a Python literal.
fn new_parameters(value: Option<Value>) -> Result<Option<Map<String, Value>>, Refusal> {
    let value = match value {
        Some(Value::String(text)) if text.trim().is_empty() => None,
        Some(Value::String(text)) => {
            let read = serde_json::from_str(&text).ok().or_else(|| literal::parse(&text).ok().map(|l| l.to_json()));
            Some(read.ok_or_else(|| Refusal::new("new_parameters must be an object, or the JSON text of one"))?)
        }
        other => other,
    };
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(map)) => Ok(Some(map)),
        Some(_) => Err(Refusal::new("new_parameters must be an object, or the JSON text of one")),
    }
}
