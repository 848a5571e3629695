//! Rules as JSON: how they are listed and how their parameters are stored.

use panda_access::{Principal, Right, table};
use panda_core::{
    job::error::{Class, known},
    policy::retry::rule::{Params, Rule, Steps},
};
use serde_json::{Map, Value, json};

use super::Rules;
use crate::{Ops, OpsError, clock};

/// Keys of a rule's parameters.
pub(super) const PARAMS: &[&str] = &["max_attempt", "class", "steps", "files", "bytes", "excluded_rules"];

/// Every rule, by number, as [`rule`] shows it.
pub async fn list(ops: &Ops, who: &Principal) -> Result<Vec<Value>, OpsError> {
    table::allowed(Right::Read, Some(who), None)?;
    let rules = ops.reread_retry_rules().await?;
    Ok(rules.all.iter().map(|r| rule(&rules, r)).collect())
}

/// One rule.
pub async fn one(ops: &Ops, who: &Principal, id: i64) -> Result<Value, OpsError> {
    table::allowed(Right::Read, Some(who), None)?;
    let rules = ops.reread_retry_rules().await?;
    let found = rules.all.iter().find(|r| r.id == id).map(|r| rule(&rules, r));
    found.ok_or_else(|| OpsError::NotFound(format!("there is no retry rule {id}; `panda retry-rule list` shows all")))
}

/// `{"id", "origin": "shipped" | "changed" | "own", "source", "code", "name", "message", "vo", "label", "architecture", "release", "share", "action",
/// "params", "active", "expires", "note"}`; what is not given is null.
#[must_use]
pub fn rule(rules: &Rules, r: &Rule) -> Value {
    let origin = match (r.id < panda_core::policy::retry::shipped::FIRST_OWN, rules.is_own(r.id)) {
        (true, false) => "shipped",
        (true, true) => "changed",
        (false, _) => "own",
    };
    json!({
        "id": r.id, "origin": origin, "source": r.source.as_str(), "code": r.code,
        "name": r.code.and_then(|code| known(r.source, code)).map(|k| k.name), "message": r.message, "vo": r.vo, "label": r.label,
        "architecture": r.architecture, "release": r.release, "share": r.share, "action": r.action.as_str(),
        "params": params_json(&r.params), "active": r.active, "expires": r.expires.map(|at| clock::text(at.0)), "note": r.note,
    })
}

/// A rule's parameters as a JSON object without what is not given.
#[must_use]
pub fn params_json(p: &Params) -> Value {
    let mut m = Map::new();
    let mut put = |key: &str, value: Option<Value>| drop(value.map(|v| m.insert(key.to_owned(), v)));
    put("max_attempt", p.max_attempt.map(Value::from));
    put("class", p.class.map(|c| c.as_str().into()));
    put("steps", p.steps.map(|s| format!("{},{},{}", s.from, s.half_below, s.quarter_below).into()));
    put("files", p.files.map(Value::from));
    put("bytes", p.bytes.map(Value::from));
    put("excluded_rules", p.excluded_rules.as_ref().map(|r| r.join(",").into()));
    Value::Object(m)
}

/// Reads parameters as [`params_json`] writes them; numbers may be texts.
pub fn params(text: &str) -> Result<Params, String> {
    if text.trim().is_empty() {
        return Ok(Params::default());
    }
    match serde_json::from_str(text) {
        Ok(Value::Object(m)) => read(&m),
        _ => Err("its parameters are no JSON object".to_owned()),
    }
}

/// Reads parameters strictly.
pub fn read(m: &Map<String, Value>) -> Result<Params, String> {
    if let Some(key) = m.keys().find(|k| !PARAMS.contains(&k.as_str())) {
        return Err(format!("a rule has no parameter `{key}`; there are {}", PARAMS.join(", ")));
    }
    let text = |key: &str| m.get(key).and_then(super::given);
    let number = |key: &str| -> Result<Option<i64>, String> {
        let value = match m.get(key) {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::Number(n)) => n.as_i64(),
            Some(Value::String(s)) => s.trim().parse().ok(),
            Some(_) => None,
        };
        value.filter(|n| *n >= 0).map(Some).ok_or_else(|| format!("parameter `{key}`: a whole number is expected"))
    };
    let class = text("class").map(|c| Class::parse(&c).map_err(|e| e.to_string())).transpose()?;
    Ok(Params {
        max_attempt: number("max_attempt")?,
        class,
        steps: text("steps").map(|s| steps(&s)).transpose()?,
        files: number("files")?,
        bytes: number("bytes")?,
        excluded_rules: m
            .get("excluded_rules")
            .and_then(Value::as_str)
            .map(|list| list.split(',').map(str::trim).filter(|r| !r.is_empty()).map(str::to_owned).collect()),
    })
}

/// `from,half below,quarter below` (`spec/engine.md` section 11).
fn steps(text: &str) -> Result<Steps, String> {
    let wrong = || format!("parameter `steps` is `{text}`; three rising numbers such as 2,4,7 are expected");
    let numbers: Vec<i64> = text.split(',').map(|n| n.trim().parse().map_err(|_| wrong())).collect::<Result<_, _>>()?;
    match numbers[..] {
        [from, half_below, quarter_below] if 1 <= from && from <= half_below && half_below <= quarter_below => {
            Ok(Steps { from, half_below, quarter_below })
        }
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_come_back_as_they_were() {
        for text in [
            r#"{"max_attempt":4}"#,
            r#"{"class":"system"}"#,
            r#"{"steps":"1,3,5","files":10,"bytes":7,"excluded_rules":"NE"}"#,
            r#"{"excluded_rules":""}"#,
            "{}",
        ] {
            let back: Value = serde_json::from_str(text).unwrap();
            assert_eq!(params_json(&params(text).unwrap()), back);
        }
        assert_eq!(params("").unwrap(), Params::default());
        assert_eq!(params(r#"{"max_attempt":"4"}"#).unwrap().max_attempt, Some(4));
        let wrong = |text: &str| params(text).unwrap_err();
        assert!(wrong(r#"{"most":1}"#).starts_with("a rule has no parameter `most`; there are max_attempt, "));
        assert_eq!(wrong(r#"{"max_attempt":-1}"#), "parameter `max_attempt`: a whole number is expected");
        assert!(wrong(r#"{"steps":"4,2,7"}"#).contains("three rising numbers"));
        assert!(wrong(r#"{"class":"mine"}"#).contains("unknown error class"));
    }
}
