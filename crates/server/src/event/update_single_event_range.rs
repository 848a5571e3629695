//! `POST event/update_single_event_range`: takes what a job says of one range.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_ops::OpsError;
use panda_ops::event::{self, Change};
use serde_json::{Value, json};

/// `{"Command": text or null}`.
pub async fn handle(ctx: Ctx, args: Args) -> Result<Answer, Refusal> {
    let text = |name: &str| args.text(name).unwrap_or_default().to_owned();
    let change = Change {
        range: text("event_range_id"),
        word: text("event_range_status"),
        store_id: args.int("object_store_id"),
        ..Change::default()
    };
    let updated = event::update(ctx.ops(), ctx.caller()?, std::slice::from_ref(&change)).await?;
    if updated.taken.first() != Some(&true) {
        let why = format!("range `{}` cannot become `{}`: it is unknown, another's by now, or has ended", change.range, change.word);
        return Err(OpsError::refused(why).into());
    }
    let command = updated.commands.into_iter().map(|(_, command)| command).next().unwrap_or(Value::Null);
    Ok(Answer::data(json!({"Command": command})))
}
