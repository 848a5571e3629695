//! `GET whoami`: who the caller is to this server.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use serde_json::json;

/// Identity, names, VO and roles.
pub async fn handle(ctx: Ctx, _: Args) -> Result<Answer, Refusal> {
    let who = ctx.caller()?;
    // Who has asked this is known by name to those who grant and ban.
    ctx.ops().person(who).await?;
    let roles: Vec<&str> = who.roles.iter().map(panda_access::Role::as_str).collect();
    Ok(Answer::data(json!({
        "issuer": who.issuer,
        "subject": who.subject,
        "name": who.name,
        "nickname": who.nickname,
        "vo": who.vo,
        "roles": roles,
        "everywhere": who.standing.roles.iter().map(panda_access::Role::as_str).collect::<Vec<_>>(),
        "sites": who.standing.sites,
        "scopes": who.standing.scopes.as_ref().map(|s| s.iter().map(|s| s.as_str()).collect::<Vec<_>>()),
        "groups": who.groups,
        "email": who.email,
    })))
}
