//! `panda retry-rule list|show|add|set|remove|try`

use serde_json::{Value, json};

use super::own::{self, change};
use super::retry::pairs;
use super::view;
use crate::cli::{RetryRuleTryArgs, RetryRuleVerb};
use crate::context::Context;
use crate::failure::{Failure, exit};
use crate::reference::Reference;
use crate::screen;
use crate::session::Session;

/// Runs the sub-verb.
pub async fn run(context: &Context, verb: &RetryRuleVerb) -> Result<u8, Failure> {
    match verb {
        RetryRuleVerb::List => list(context).await,
        RetryRuleVerb::Show { id } => own::show(context, "retry_rule/show", &[("id", id.to_string().as_str())]).await,
        RetryRuleVerb::Add { values } => {
            let line = |data: &Value| format!("rule {} added", view::text(data, "id"));
            change(context, "retry_rule/add", &json!({ "values": pairs(values)? }), line).await
        }
        RetryRuleVerb::Set { id, values } => {
            let body = json!({ "id": id, "values": pairs(values)? });
            change(context, "retry_rule/set", &body, |_| format!("rule {id} changed")).await
        }
        RetryRuleVerb::Remove { id } => change(context, "retry_rule/remove", &json!({ "id": id }), |_| format!("rule {id} removed")).await,
        RetryRuleVerb::Try(args) => trial(context, args).await,
    }
}

async fn list(context: &Context) -> Result<u8, Failure> {
    let session = Session::open(context)?;
    let data = session.client.own_get("retry_rule/list", &()).await?.ok()?.data;
    if context.json {
        screen::json(&data);
        return Ok(exit::OK);
    }
    let rows = data.as_array().map_or(&[][..], Vec::as_slice).iter().map(row);
    screen::table(&["RULE", "ORIGIN", "ACTIVE", "ERROR", "WHERE", "ACTION", "NOTE"], rows.collect(), "there are no rules");
    Ok(exit::OK)
}

fn row(rule: &Value) -> Vec<String> {
    let parts = |keys: &[&str]| -> Vec<String> {
        keys.iter().map(|key| (key, view::text(rule, key))).filter(|(_, t)| !t.is_empty()).map(|(key, t)| format!("{key} {t}")).collect()
    };
    let mut error = parts(&["source", "code"]);
    error.extend(Some(view::text(rule, "name")).filter(|name| !name.is_empty()));
    error.extend(Some(view::text(rule, "message")).filter(|m| !m.is_empty()).map(|m| format!("`{m}`")));
    let params = rule.get("params").and_then(Value::as_object).into_iter().flatten();
    let params = params.map(|(key, value)| format!(" {key}={}", value.as_str().map_or_else(|| value.to_string(), str::to_owned)));
    vec![
        view::text(rule, "id"),
        view::text(rule, "origin"),
        if rule.get("active") == Some(&Value::Bool(true)) { "yes".into() } else { "no".into() },
        error.join(" ").replacen("source ", "", 1),
        parts(&["vo", "label", "architecture", "release", "share"]).join(", "),
        format!("{}{}", view::text(rule, "action"), params.collect::<String>()),
        view::text(rule, "note"),
    ]
}

async fn trial(context: &Context, args: &RetryRuleTryArgs) -> Result<u8, Failure> {
    let session = Session::open(context)?;
    let mut query = Vec::new();
    if let Some(text) = &args.job {
        let Reference::Job(id) = Reference::parse(text)? else {
            return Err(Failure::usage(format!("`{text}` is a task, but a job is wanted here")));
        };
        query.push(("job_id", id.to_string()));
    } else {
        query.extend(args.code.map(|code| ("code", code.to_string())));
        query.push(("source", args.source.clone()));
        query.push(("message", args.message.clone()));
        let more = [
            ("vo", &args.vo),
            ("label", &args.label),
            ("architecture", &args.architecture),
            ("release", &args.release),
            ("share", &args.share),
        ];
        query.extend(more.into_iter().filter_map(|(key, value)| Some((key, value.clone()?))));
    }
    let data = session.client.own_get("retry_rule/try", &query).await?.ok()?.data;
    Ok(own::whole(context, &data))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn a_rule_is_a_line() {
        let rule = json!({"id": 1007, "origin": "own", "source": "exe", "code": 65, "name": null, "message": "disk .* full", "vo": "amber",
            "label": null, "action": "limit_retry", "params": {"max_attempt": 2}, "active": false, "note": "see the list"});
        let want = ["1007", "own", "no", "exe code 65 `disk .* full`", "vo amber", "limit_retry max_attempt=2", "see the list"];
        assert_eq!(super::row(&rule), want);
    }
}
