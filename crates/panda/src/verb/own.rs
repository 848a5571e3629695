//! What verbs over our own methods share: a change by whoever runs the site, and one document shown whole.

use panda_access::Role;
use serde_json::Value;

use super::why;
use crate::context::Context;
use crate::failure::{Failure, exit};
use crate::screen;
use crate::session::Session;

/// Changes something as an operator, or with what the caller was granted; says `line` of the answer, or shows it as JSON.
pub async fn change(context: &Context, path: &str, body: &Value, line: impl FnOnce(&Value) -> String) -> Result<u8, Failure> {
    let session = Session::with_role(context, Some(Role::Operator), None)?;
    let data = session.client.own_post(path, body).await?.ok()?.data;
    if context.json {
        screen::json(&data);
    } else {
        screen::line(line(&data));
    }
    Ok(exit::OK)
}

/// Asks for one document and shows it whole.
pub async fn show(context: &Context, path: &str, arguments: &[(&str, &str)]) -> Result<u8, Failure> {
    let session = Session::open(context)?;
    Ok(whole(context, &session.client.own_get(path, arguments).await?.ok()?.data))
}

/// Shows a document line by line, or as JSON.
pub fn whole(context: &Context, data: &Value) -> u8 {
    if context.json {
        screen::json(data);
    } else {
        why::lines(data, 0).into_iter().for_each(screen::line);
    }
    exit::OK
}
