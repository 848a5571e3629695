//! `POST token/create`: makes an API token.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_ops::token::{Ask, create};

/// The token; its text stands in `token` this one time.
pub async fn handle(ctx: Ctx, args: Args) -> Result<Answer, Refusal> {
    let text = |key: &str| args.text(key).map(str::to_owned);
    let ask = Ask {
        name: text("name").unwrap_or_default(),
        robot: text("robot"),
        vo: text("vo"),
        roles: args.texts("roles").unwrap_or_default(),
        scopes: args.texts("scopes").unwrap_or_default(),
        days: args.int("days").unwrap_or_default(),
    };
    Ok(Answer::data(create(ctx.ops(), ctx.caller()?, &ask).await?))
}
