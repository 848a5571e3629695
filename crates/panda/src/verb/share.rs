//! `panda share list|show|set|remove`

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::own::change;
use super::view;
use crate::cli::ShareVerb;
use crate::context::Context;
use crate::failure::{Failure, exit};
use crate::screen;
use crate::session::Session;

/// Runs the sub-verb.
pub async fn run(context: &Context, verb: &ShareVerb) -> Result<u8, Failure> {
    match verb {
        ShareVerb::List => list(context).await,
        ShareVerb::Show { name } => show(context, name.as_deref()).await,
        ShareVerb::Set { name, values } => {
            // Every value goes as text: the server knows which are numbers, and a rule may look like one.
            let values: serde_json::Map<String, Value> = pairs(values)?;
            change(context, "share/set", &json!({ "name": name, "values": values }), |_| format!("share `{name}` changed")).await
        }
        ShareVerb::Remove { name } => {
            change(context, "share/remove", &json!({ "name": name }), |_| format!("share `{name}` removed")).await
        }
    }
}

fn pairs(values: &[String]) -> Result<serde_json::Map<String, Value>, Failure> {
    values
        .iter()
        .map(|pair| match pair.split_once('=') {
            Some((key, value)) => Ok((key.trim().to_owned(), Value::from(value))),
            None => Err(Failure::usage(format!("`{pair}` is no KEY=VALUE"))),
        })
        .collect()
}

/// The name of a share, moved in by its depth. Parents come first.
fn indented(shares: &[Value]) -> Vec<String> {
    let mut depths: BTreeMap<String, usize> = BTreeMap::new();
    shares
        .iter()
        .map(|s| {
            let depth = depths.get(&view::text(s, "parent")).map_or(0, |d| d + 1);
            depths.insert(view::text(s, "name"), depth);
            format!("{}{}", "  ".repeat(depth), view::text(s, "name"))
        })
        .collect()
}

async fn list(context: &Context) -> Result<u8, Failure> {
    let session = Session::open(context)?;
    let data = session.client.own_get("share/list", &()).await?.ok()?.data;
    if context.json {
        screen::json(&data);
        return Ok(exit::OK);
    }
    let shares = data.as_array().map_or(&[][..], Vec::as_slice);
    let rows = shares.iter().zip(indented(shares)).map(|(s, name)| {
        let rules = s.get("rules").and_then(Value::as_object).into_iter().flatten();
        let rules: Vec<String> = rules.map(|(k, v)| format!("{k}={}", v.as_str().unwrap_or_default())).collect();
        vec![name, view::text(s, "value"), view::text(s, "throttled"), view::text(s, "position"), rules.join(" ")]
    });
    screen::table(&["SHARE", "VALUE %", "THROTTLED", "POSITION", "RULES"], rows.collect(), "no shares");
    Ok(exit::OK)
}

async fn show(context: &Context, name: Option<&str>) -> Result<u8, Failure> {
    let session = Session::open(context)?;
    let query: Vec<(&str, &str)> = name.map(|n| ("name", n)).into_iter().collect();
    let data = session.client.own_get("share/show", &query).await?.ok()?.data;
    if context.json {
        screen::json(&data);
        return Ok(exit::OK);
    }
    let shares = data.as_array().map_or(&[][..], Vec::as_slice);
    let number =
        |s: &Value, key: &str, factor: f64| s.get(key).and_then(Value::as_f64).map_or("-".to_owned(), |n| format!("{:.2}", n * factor));
    let rows = shares.iter().zip(indented(shares)).map(|(s, name)| {
        vec![
            name,
            number(s, "target", 100.0),
            number(s, "part", 100.0),
            number(s, "ratio", 1.0),
            view::text(s, "running"),
            view::text(s, "cores"),
            view::text(s, "queued"),
        ]
    });
    screen::table(&["SHARE", "TARGET %", "USED %", "RATIO", "RUNNING", "CORES", "QUEUED"], rows.collect(), "no shares");
    Ok(exit::OK)
}
