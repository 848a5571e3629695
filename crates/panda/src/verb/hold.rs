//! `panda drain`, `panda undrain`, `panda queue hold|release|holds`

use serde_json::{Value, json};

use super::own::change;
use super::view;
use crate::context::Context;
use crate::failure::{Failure, exit};
use crate::screen;
use crate::session::Session;

/// `panda drain`
pub async fn drain(context: &Context, queue: Option<&str>, reason: &str) -> Result<u8, Failure> {
    let body = json!({ "name": queue, "reason": reason });
    change(context, "queue/drain", &body, |_| format!("{} no jobs until `panda undrain{}`", of(queue, "gets", "hands out"), option(queue)))
        .await
}

/// `panda undrain`
pub async fn undrain(context: &Context, queue: Option<&str>) -> Result<u8, Failure> {
    let line =
        |n: &Value| if *n == 0 { "nothing was drained".to_owned() } else { format!("{} jobs again", of(queue, "gets", "hands out")) };
    change(context, "queue/undrain", &json!({ "name": queue }), line).await
}

/// `panda queue hold`
pub async fn hold(context: &Context, name: &str, reason: &str) -> Result<u8, Failure> {
    let line = |_: &Value| format!("queue `{name}` is held until `panda queue release {name}`");
    change(context, "queue/hold", &json!({ "name": name, "reason": reason }), line).await
}

/// `panda queue release`
pub async fn release(context: &Context, name: &str) -> Result<u8, Failure> {
    let line = |n: &Value| if *n == 0 { format!("queue `{name}` was not held") } else { format!("queue `{name}` is released") };
    change(context, "queue/release", &json!({ "name": name }), line).await
}

/// `panda queue holds`
pub async fn list(context: &Context) -> Result<u8, Failure> {
    let session = Session::open(context)?;
    let data = session.client.own_get("queue/holds", &()).await?.ok()?.data;
    if context.json {
        screen::json(&data);
        return Ok(exit::OK);
    }
    let rows = data.as_array().map_or(&[][..], Vec::as_slice).iter().map(|h| {
        let what = match (h["queue"].as_str(), h["node"].as_str()) {
            (None, _) => "the server".to_owned(),
            (Some(queue), None) => queue.to_owned(),
            (Some(queue), Some(node)) => format!("{node} of {queue}"),
        };
        vec![what, view::text(h, "kind"), view::text(h, "since"), view::text(h, "who"), view::text(h, "reason"), view::text(h, "frees")]
    });
    screen::table(&["HELD", "KIND", "SINCE", "BY", "REASON", "FREED BY"], rows.collect(), "nothing holds the dispatch");
    Ok(exit::OK)
}

fn of(queue: Option<&str>, one: &str, all: &str) -> String {
    queue.map_or_else(|| format!("the server {all}"), |q| format!("queue `{q}` {one}"))
}

fn option(queue: Option<&str>) -> String {
    queue.map(|q| format!(" --queue {q}")).unwrap_or_default()
}
