//! `panda setting list|set|unset`

use serde_json::{Value, json};

use super::own::change;
use super::view;
use crate::cli::{SettingScope, SettingVerb};
use crate::context::Context;
use crate::failure::{Failure, exit};
use crate::screen;
use crate::session::Session;

/// Runs the sub-verb.
pub async fn run(context: &Context, verb: &SettingVerb) -> Result<u8, Failure> {
    match verb {
        SettingVerb::List { filter } => list(context, filter.as_deref().unwrap_or_default()).await,
        SettingVerb::Set { name, value, scope } => {
            let mut body = of(name, scope);
            body["value"] = json!(value);
            change(context, "setting/set", &body, |_| format!("{name} is {value}{}", place(scope))).await
        }
        SettingVerb::Unset { name, scope } => {
            change(context, "setting/unset", &of(name, scope), |_| format!("{name} has its shipped value again{}", place(scope))).await
        }
    }
}

fn of(name: &str, scope: &SettingScope) -> Value {
    json!({ "name": name, "vo": scope.vo, "label": scope.label })
}

fn place(scope: &SettingScope) -> String {
    let part = |word: &str, value: &Option<String>| value.as_ref().map(|v| format!(" for {word} {v}")).unwrap_or_default();
    format!("{}{}", part("VO", &scope.vo), part("label", &scope.label))
}

async fn list(context: &Context, filter: &str) -> Result<u8, Failure> {
    let session = Session::open(context)?;
    let data = session.client.own_get("setting/list", &[("filter", filter)]).await?.ok()?.data;
    if context.json {
        screen::json(&data);
        return Ok(exit::OK);
    }
    let mut rows = Vec::new();
    for s in data.as_array().map_or(&[][..], Vec::as_slice) {
        rows.push(vec![
            view::text(s, "name"),
            view::text(s, "default"),
            format!("shipped, {}", view::text(s, "scope")),
            view::text(s, "about"),
        ]);
        for given in s.get("given").and_then(Value::as_array).map_or(&[][..], Vec::as_slice) {
            let place = format!("VO {}, label {}", view::text(given, "vo"), view::text(given, "label"));
            rows.push(vec![view::text(s, "name"), view::text(given, "value"), place, String::new()]);
        }
    }
    screen::table(&["SETTING", "VALUE", "WHERE", "WHAT"], rows, "no setting has such a name");
    Ok(exit::OK)
}
