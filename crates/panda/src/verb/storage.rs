//! `panda storage add|list|show|set|link|unlink|remove`

use serde_json::{Map, Value, json};

use super::own::{self, change};
use super::retry::pairs;
use super::view;
use crate::cli::StorageVerb;
use crate::context::Context;
use crate::failure::{Failure, exit, io};
use crate::screen;
use crate::session::Session;

/// Runs the sub-verb.
pub async fn run(context: &Context, verb: &StorageVerb) -> Result<u8, Failure> {
    match verb {
        StorageVerb::Add { name, root, values } => {
            let root = std::path::absolute(root).map_err(io("use", root))?;
            let body = json!({ "name": name, "root": root, "values": forgetting(pairs(values)?) });
            change(context, "storage/add", &body, |_| format!("storage `{name}` added")).await
        }
        StorageVerb::List => list(context).await,
        StorageVerb::Show { name } => own::show(context, "storage/show", &[("name", name)]).await,
        StorageVerb::Set { name, values } => {
            let body = json!({ "name": name, "values": forgetting(pairs(values)?) });
            change(context, "storage/set", &body, |_| format!("storage `{name}` changed")).await
        }
        StorageVerb::Link { from, to, cost, mbps, queued } => {
            let body = json!({ "from": from, "to": to, "cost": cost, "mbps": mbps, "queued": queued });
            change(context, "storage/link", &body, |_| format!("from `{from}` to `{to}` costs {cost}")).await
        }
        StorageVerb::Unlink { from, to } => {
            let line = |_: &Value| format!("nothing is known of a way from `{from}` to `{to}`");
            change(context, "storage/unlink", &json!({ "from": from, "to": to }), line).await
        }
        StorageVerb::Remove { name } => {
            change(context, "storage/remove", &json!({ "name": name }), |_| format!("storage `{name}` removed; its directory stays")).await
        }
    }
}

/// An empty value forgets what was told.
fn forgetting(values: Map<String, Value>) -> Map<String, Value> {
    values.into_iter().map(|(key, v)| (key, if v == "" { Value::Null } else { v })).collect()
}

async fn list(context: &Context) -> Result<u8, Failure> {
    let session = Session::open(context)?;
    let data = session.client.own_get("storage/list", &()).await?.ok()?.data;
    if context.json {
        screen::json(&data);
        return Ok(exit::OK);
    }
    let of = |key: &str| data[key].as_array().map_or(&[][..], Vec::as_slice);
    let rows = of("endpoints").iter().map(|e| {
        let can: Vec<&str> = ["read", "write"].into_iter().filter(|k| e[k] == true).collect();
        let is: Vec<&str> = [("is_tape", "tape"), ("nucleus", "nucleus")].iter().filter(|(k, _)| e[k] == true).map(|(_, w)| *w).collect();
        vec![
            view::text(e, "name"),
            view::text(e, "state"),
            can.join(","),
            view::text(e, "space_free_gb"),
            is.join(","),
            view::text(e, "root"),
        ]
    });
    screen::table(
        &["STORAGE", "STATE", "CAN", "FREE GB", "IS", "DIRECTORY"],
        rows.collect(),
        "no storage; `panda queue add` and `panda storage add` make some",
    );
    if !of("links").is_empty() {
        screen::line("");
        let rows = of("links").iter().map(|l| ["from", "to", "cost", "mbps", "queued"].map(|k| view::text(l, k)).to_vec());
        screen::table(&["FROM", "TO", "COST", "MBIT/S", "QUEUED"], rows.collect(), "");
    }
    Ok(exit::OK)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_value_forgets() {
        let given = ["nucleus=true", "space_free_gb="].map(str::to_owned);
        assert_eq!(Value::Object(forgetting(pairs(&given).unwrap())), json!({ "nucleus": true, "space_free_gb": null }));
    }
}
