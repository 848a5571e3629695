//! `panda config show`

use serde_json::{Map, Value, json};

use crate::cli::ConfigVerb;
use crate::config::{
    Origin, Setting,
    keys::{Key, Kind, PLUGIN_KEYS},
};
use crate::context::Context;
use crate::failure::{Failure, exit};
use crate::screen;

/// Shows every key with its value, in the form of the file.
pub fn run(context: &Context, verb: &ConfigVerb) -> Result<u8, Failure> {
    let ConfigVerb::Show { origin } = verb;
    if context.json {
        let settings = &context.config.settings;
        let mut all: Map<String, Value> = settings.iter().map(|(key, setting)| (key.path.to_owned(), as_json(key, setting))).collect();
        for (name, table) in settings.plugins() {
            all.extend(PLUGIN_KEYS.iter().map(|key| (format!("plugin.{name}.{}", key.path), as_json(key, table.get(key.path)))));
        }
        screen::json(&Value::Object(all));
        return Ok(exit::OK);
    }
    let mut table = "";
    for (key, setting) in context.config.settings.iter() {
        let (of, name) = key.path.rsplit_once('.').unwrap_or(("", key.path));
        if of != table {
            screen::line(format!("\n[{of}]"));
            table = of;
        }
        line(key, name, setting, *origin);
    }
    for (plugin, table) in context.config.settings.plugins() {
        screen::line(format!("\n[plugin.{plugin}]"));
        for key in PLUGIN_KEYS {
            line(key, key.path, table.get(key.path), *origin);
        }
    }
    if context.config.settings.plugins().next().is_none() {
        screen::line("\n# [plugin.NAME]");
        for key in PLUGIN_KEYS {
            line(key, key.path, None, *origin);
        }
    }
    Ok(exit::OK)
}

fn line(key: &Key, name: &str, setting: Option<&Setting>, origin: bool) {
    let text = match setting {
        Some(setting) => format!("{name} = {}", written(key, setting)),
        None => format!("# {name} ="),
    };
    let comment = match (origin, setting) {
        (true, Some(setting)) => setting.origin.to_string(),
        (true, None) => format!("unset: {}", key.about),
        (false, _) => key.about.to_owned(),
    };
    screen::line(format!("{text:<44} # {comment}"));
}

fn written(key: &Key, setting: &Setting) -> String {
    let first = setting.items.first().map_or("", String::as_str);
    match key.kind {
        // Secrets are given so.
        Kind::Texts if key.path == "env" => {
            let names = setting.items.iter().map(|item| format!("{}=***", item.split('=').next().unwrap_or_default()));
            Value::from(names.collect::<Vec<_>>()).to_string()
        }
        Kind::Int(..) | Kind::Bool => first.to_owned(),
        Kind::Texts => Value::from(setting.items.clone()).to_string(),
        Kind::Text | Kind::Word(_) | Kind::Path | Kind::Address => Value::from(hidden(first)).to_string(),
    }
}

fn as_json(key: &Key, setting: Option<&Setting>) -> Value {
    let Some(setting) = setting else { return json!({ "value": null, "origin": "unset" }) };
    let value = serde_json::from_str(&written(key, setting)).unwrap_or(Value::Null);
    let origin = match &setting.origin {
        Origin::File(path, line) => json!({ "file": path, "line": line }),
        other => json!(other.to_string()),
    };
    json!({ "value": value, "origin": origin })
}

/// A URL without its password.
fn hidden(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    match rest.rsplit_once('@') {
        Some((login, place)) => format!("{scheme}://{}:***@{place}", login.split(':').next().unwrap_or_default()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn passwords_are_not_shown() {
        assert_eq!(super::hidden("postgres://me:secret@host/db"), "postgres://me:***@host/db");
        assert_eq!(super::hidden("sqlite:/a@b"), "sqlite:/a@b");
    }
}
