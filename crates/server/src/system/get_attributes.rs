//! `GET system/get_attributes`: the request as the server sees it.
//!
//! The original shows the whole process environment; here only what the caller
//! sent and what was made of it, never a token.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_access::Principal;
use serde_json::{Map, Value, json};
use std::fmt::Write as _;

/// Headers that are shown, and under which names.
const SHOWN: [(&str, &str); 6] = [
    ("host", "HTTP_HOST"),
    ("user-agent", "HTTP_USER_AGENT"),
    ("accept", "HTTP_ACCEPT"),
    ("accept-encoding", "HTTP_ACCEPT_ENCODING"),
    ("content-type", "CONTENT_TYPE"),
    ("origin", "HTTP_ORIGIN"),
];

/// `{"parameters", "environment"}` and the same as text.
pub async fn handle(ctx: Ctx, args: Args) -> Result<Answer, Refusal> {
    let parameters = args.rest().clone();
    let environment = environment(&ctx);
    let mut text = "===== param =====\n".to_owned();
    write(&mut text, &parameters);
    text.push_str("\n====== env ======\n");
    write(&mut text, &environment);
    Ok(Answer::said(text, json!({"parameters": parameters, "environment": environment})))
}

fn environment(ctx: &Ctx) -> Map<String, Value> {
    let mut map = Map::new();
    map.insert("REQUEST_METHOD".into(), ctx.verb.as_str().into());
    map.insert("REMOTE_ADDR".into(), ctx.peer.address.ip().to_string().into());
    for (header, name) in SHOWN {
        if let Some(value) = ctx.header(header) {
            map.insert(name.into(), value.into());
        }
    }
    if let Some(principal) = &ctx.principal {
        map.insert("SSL_CLIENT_S_DN".into(), principal.dn_raw().into());
        map.extend(attributes(principal));
    }
    map
}

/// Groups and roles, numbered as the original's front end does.
pub(super) fn attributes(who: &Principal) -> Map<String, Value> {
    who.fqans().iter().enumerate().map(|(n, fqan)| (format!("GRST_CRED_{n}"), format!("VOMS {fqan}").into())).collect()
}

pub(super) fn write(out: &mut String, map: &Map<String, Value>) {
    for (key, value) in map {
        match value.as_str() {
            Some(text) => drop(writeln!(out, "{key} : {text}")),
            None => drop(writeln!(out, "{key} : {value}")),
        }
    }
}
