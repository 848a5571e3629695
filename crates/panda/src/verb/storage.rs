//! `panda storage list|set|link|unlink`

use panda_access::Role;
use serde_json::{Map, Value, json};

use super::{retry::pairs, view};
use crate::cli::StorageVerb;
use crate::context::Context;
use crate::failure::{Failure, exit};
use crate::screen;
use crate::session::Session;

/// Runs the sub-verb.
pub async fn run(context: &Context, verb: &StorageVerb) -> Result<u8, Failure> {
    match verb {
        StorageVerb::List => list(context).await,
        StorageVerb::Set { name, values } => {
            let body = json!({ "name": name, "values": forgetting(pairs(values)?) });
            change(context, "storage/set", &body, format!("storage endpoint `{name}` changed")).await
        }
        StorageVerb::Link { from, to, cost, mbps, queued } => {
            let body = json!({ "from": from, "to": to, "cost": cost, "mbps": mbps, "queued": queued });
            change(context, "storage/link", &body, format!("there is a way from `{from}` to `{to}`")).await
        }
        StorageVerb::Unlink { from, to } => {
            change(context, "storage/link", &json!({ "from": from, "to": to }), format!("there is no way from `{from}` to `{to}`")).await
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
    let rows = |key: &str, columns: &[&str]| -> Vec<Vec<String>> {
        let all = data[key].as_array().map_or(&[][..], Vec::as_slice);
        all.iter().map(|one| columns.iter().map(|c| view::text(one, c)).collect()).collect()
    };
    screen::table(
        &["STORAGE", "STATE", "READ", "WRITE", "FREE GB", "TAPE", "NUCLEUS", "ROOT"],
        rows("endpoints", &["name", "state", "read", "write", "space_free_gb", "is_tape", "nucleus", "root"]),
        "no storage endpoints; `panda queue add NAME` makes one",
    );
    let links = rows("links", &["from", "to", "cost", "mbps", "queued"]);
    if !links.is_empty() {
        screen::table(&["FROM", "TO", "COST", "MBIT/S", "WAITING"], links, "");
    }
    Ok(exit::OK)
}

async fn change(context: &Context, path: &str, body: &Value, line: String) -> Result<u8, Failure> {
    let session = Session::with_role(context, Some(Role::Production), None)?;
    let data = session.client.own_post(path, body).await?.ok()?.data;
    if context.json {
        screen::json(&data);
    } else {
        screen::line(line);
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
