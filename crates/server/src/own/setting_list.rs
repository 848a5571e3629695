//! `GET setting/list`: settings, their shipped values, and the values that differ.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_ops::setting::{Shown, list};
use serde_json::{Value, json};

/// A list of settings by area.
pub async fn handle(ctx: Ctx, args: Args) -> Result<Answer, Refusal> {
    let all = list(ctx.ops(), ctx.caller()?, args.text("filter").unwrap_or_default()).await?;
    Ok(Answer::data(all.iter().map(shown).collect::<Value>()))
}

fn shown(s: &Shown) -> Value {
    json!({
        "name": s.setting.name,
        "kind": s.setting.default.kind(),
        "default": s.setting.default.text(),
        "about": s.setting.about,
        "source": s.setting.source,
        "scope": s.setting.scope.text(),
        "given": s.given.iter().map(|(vo, label, value)| json!({"vo": vo, "label": label, "value": value})).collect::<Value>(),
    })
}
