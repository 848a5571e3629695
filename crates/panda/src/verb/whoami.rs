//! `panda whoami`

use serde_json::Value;

use crate::context::Context;
use crate::failure::{Failure, exit};
use crate::screen;
use crate::session::Session;

/// Asks the server who it takes us for.
pub async fn run(context: &Context) -> Result<u8, Failure> {
    let session = Session::open(context)?;
    let data = session.client.own_get("whoami", &()).await?.ok()?.data;
    if context.json {
        screen::json(&data);
        return Ok(exit::OK);
    }
    let text = |key: &str| match data.get(key) {
        Some(Value::String(text)) if !text.is_empty() => text.clone(),
        Some(Value::Array(items)) if !items.is_empty() => items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", "),
        _ => "-".to_owned(),
    };
    for key in ["name", "nickname", "vo", "roles", "groups", "issuer", "subject"] {
        screen::line(format!("{key:<9} {}", text(key)));
    }
    screen::line(format!("{:<9} {}", "server", session.client.base().root()));
    Ok(exit::OK)
}
