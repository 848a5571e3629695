//! `panda user list|grant|revoke|ban|unban`, `panda token create|list|revoke`, `panda journal`

use panda_access::Role;
use serde_json::{Value, json};

use super::own::change;
use super::view;
use crate::cli::{GrantArgs, JournalArgs, TokenCreateArgs, TokenVerb, UserVerb, WhomArgs};
use crate::context::Context;
use crate::failure::{Failure, exit};
use crate::screen;
use crate::session::Session;

/// `panda user ...`
pub async fn run(context: &Context, verb: &UserVerb) -> Result<u8, Failure> {
    match verb {
        UserVerb::List { vo } => list(context, vo.as_deref()).await,
        UserVerb::Grant { grant, days } => {
            let mut body = grant_body(grant);
            body["days"] = json!(days);
            change(context, "user/grant", &body, |g| said(g, "has the role", "will have the role when first here:")).await
        }
        UserVerb::Revoke { grant } => {
            change(context, "user/revoke", &grant_body(grant), |_| format!("{} has no longer the role {}", grant.whom.name, grant.role))
                .await
        }
        UserVerb::Ban { whom, vo, days } => {
            let body = json!({ "name": whom.name, "issuer": whom.issuer, "vo": vo, "days": days });
            change(context, "user/ban", &body, |g| said(g, "is", "is")).await
        }
        UserVerb::Unban { whom, vo } => {
            let body = json!({ "name": whom.name, "issuer": whom.issuer, "vo": vo });
            change(context, "user/unban", &body, |_| format!("{} is let in again", whom.name)).await
        }
    }
}

fn grant_body(g: &GrantArgs) -> Value {
    let WhomArgs { name, issuer } = &g.whom;
    json!({ "name": name, "issuer": issuer, "role": g.role, "vo": g.vo, "site": g.site })
}

fn said(g: &Value, known: &str, pending: &str) -> String {
    let verb = if g["pending"] == true { pending } else { known };
    format!("{} {verb} {} ({})", view::text(g, "name"), view::text(g, "role"), view::text(g, "reach"))
}

async fn list(context: &Context, vo: Option<&str>) -> Result<u8, Failure> {
    let session = Session::with_role(context, Some(Role::Operator), None)?;
    let query: Vec<(&str, &str)> = vo.map(|vo| ("vo", vo)).into_iter().collect();
    let data = session.client.own_get("user/list", &query).await?.ok()?.data;
    table(context, &data, "grants", &["name", "role", "reach", "by", "at", "until"], "no role is granted here and nobody is banned")
}

fn table(context: &Context, data: &Value, list: &str, keys: &[&str], empty: &str) -> Result<u8, Failure> {
    if context.json {
        screen::json(data);
        return Ok(exit::OK);
    }
    let cell = |row: &Value, key: &str| match &row[key] {
        Value::Array(all) => all.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(","),
        _ => view::text(row, key),
    };
    let rows = data[list].as_array().into_iter().flatten().map(|row| keys.iter().map(|key| cell(row, key)).collect()).collect();
    screen::table(keys, rows, empty);
    Ok(exit::OK)
}

/// `panda token create|list|revoke`
pub async fn token(context: &Context, verb: &TokenVerb) -> Result<u8, Failure> {
    match verb {
        TokenVerb::Create(args) => create(context, args).await,
        TokenVerb::List => {
            let session = Session::with_role(context, Some(Role::Operator), None)?;
            let data = session.client.own_get("token/list", &()).await?.ok()?.data;
            table(
                context,
                &data,
                "tokens",
                &["id", "name", "holder", "vo", "roles", "everywhere", "scopes", "until", "state"],
                "no API tokens",
            )
        }
        TokenVerb::Revoke { name } => {
            change(context, "token/revoke", &json!({ "name": name }), |t| format!("token `{}` is revoked", view::text(t, "name"))).await
        }
    }
}

async fn create(context: &Context, args: &TokenCreateArgs) -> Result<u8, Failure> {
    let body = json!({
        "name": args.name, "robot": args.robot, "vo": args.vo, "roles": args.roles, "scopes": args.scopes, "days": args.days,
    });
    // A robot's token is made by administrators; one's own in the role that it is to have.
    let role = match &args.robot {
        Some(_) => Some(Role::Operator),
        None => args.roles.first().map(|role| Role::from_name(role)),
    };
    let session = Session::with_role(context, role, None)?;
    let data = session.client.own_post("token/create", &body).await?.ok()?.data;
    if context.json {
        screen::json(&data);
    } else {
        screen::line(view::text(&data, "token"));
        screen::note(format!(
            "token `{}` of {} until {}; it is not shown again",
            args.name,
            view::text(&data, "holder"),
            view::text(&data, "until")
        ));
    }
    Ok(exit::OK)
}

/// `panda journal`
pub async fn journal(context: &Context, args: &JournalArgs) -> Result<u8, Failure> {
    let session = Session::with_role(context, Some(Role::Operator), None)?;
    let limit = args.limit.to_string();
    let mut query = vec![("limit", limit.as_str())];
    query.extend(args.area.as_deref().map(|area| ("area", area)));
    let mut data = session.client.own_get("journal/list", &query).await?.ok()?.data;
    for line in data["lines"].as_array_mut().into_iter().flatten() {
        line["outcome"] = line["doc"]["outcome"].clone();
    }
    table(context, &data, "lines", &["at", "who", "area", "what", "subject", "outcome"], "nothing was changed yet")
}
