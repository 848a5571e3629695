//! Adding, changing and removing retry rules.

use panda_access::{Object, Principal, Right, table};
use panda_core::{
    job::error::Source,
    policy::retry::{
        rule::{Action, Params, Rule},
        shipped,
    },
    time::Micros,
};
use panda_store::{Batch, IdKind, query::retry_rule as rows};
use serde_json::{Map, Value};

use super::{Rules, compile, given, show};
use crate::{Ops, OpsError};

/// Keys of a rule beside those of its parameters.
const KEYS: &[&str] = &[
    "id",
    "source",
    "code",
    "message",
    "vo",
    "label",
    "architecture",
    "release",
    "share",
    "action",
    "params",
    "active",
    "expires",
    "note",
];
/// Most rules of a site.
const MAX_OWN: usize = 1_000;

/// Adds a rule, or changes the one of the number `id`: what is given changes, null takes a condition away, the rest stays. The answer is the rule's
/// number. Administrators of the VO that the rule names; else operators.
pub async fn set(ops: &Ops, who: &Principal, changes: &Map<String, Value>) -> Result<i64, OpsError> {
    let rules = ops.reread_retry_rules().await?;
    let mut rule = merged(&rules, changes).map_err(OpsError::refused)?;
    may(who, rules.all.iter().find(|r| r.id == rule.id).unwrap_or(&rule))?;
    may(who, &rule)?;
    if rule.id == 0 {
        if rules.all.iter().filter(|r| rules.is_own(r.id)).count() >= MAX_OWN {
            return Err(OpsError::refused(format!("there are {MAX_OWN} rules already; remove some with `panda retry-rule remove`")));
        }
        rule.id = shipped::FIRST_OWN + ops.store.id(IdKind::Row).await?;
    }
    let mut batch = Batch::new();
    rows::set(&mut batch, &rule, &show::params_json(&rule.params).to_string(), ops.now().0);
    ops.store.apply(batch).await?;
    tracing::info!(rule = rule.id, action = %rule.action, active = rule.active, by = who.name, "retry rule changed");
    ops.reread_retry_rules().await?;
    Ok(rule.id)
}

/// Removes a rule of the site; a shipped rule that the site changed is as shipped again.
pub async fn remove(ops: &Ops, who: &Principal, id: i64) -> Result<(), OpsError> {
    let rules = ops.reread_retry_rules().await?;
    let found = rules.all.iter().find(|r| r.id == id);
    found.map_or_else(|| Ok(table::admit(Right::VoSettings, Some(who))?), |rule| may(who, rule))?;
    if !rules.is_own(id) {
        return Err(OpsError::refused(match rules.all.iter().any(|r| r.id == id) {
            true => format!("rule {id} is shipped; `panda retry-rule set {id} active=false` switches it off"),
            false => format!("there is no retry rule {id}; `panda retry-rule list` shows all"),
        }));
    }
    let mut batch = Batch::new();
    rows::delete(&mut batch, id);
    ops.store.apply(batch).await?;
    tracing::info!(rule = id, by = who.name, "retry rule removed");
    ops.reread_retry_rules().await.map(|_| ())
}

/// Who may change a rule: of one VO its administrators, of all operators.
fn may(who: &Principal, rule: &Rule) -> Result<(), OpsError> {
    match rule.vo.as_deref().filter(|vo| !vo.contains('*')) {
        Some(vo) => Ok(table::allowed(Right::VoSettings, Some(who), Some(Object::of_vo(vo)))?),
        None => Ok(table::allowed(Right::SystemChange, Some(who), None)?),
    }
}

/// The rule that the changes make of the one they name, or of nothing.
fn merged(rules: &Rules, m: &Map<String, Value>) -> Result<Rule, String> {
    if let Some(key) = m.keys().find(|k| !KEYS.contains(&k.as_str()) && !show::PARAMS.contains(&k.as_str())) {
        return Err(format!("a rule has no `{key}`; there are {}, and of parameters {}", KEYS.join(", "), show::PARAMS.join(", ")));
    }
    let mut rule = match number(m, "id")?.flatten() {
        None => new(m)?,
        Some(id) => rules.all.iter().find(|r| r.id == id).cloned().ok_or_else(|| format!("there is no retry rule {id}"))?,
    };
    if let Some(source) = m.get("source").and_then(given) {
        rule.source = Source::parse(&source).map_err(|e| e.to_string())?;
    }
    if let Some(action) = m.get("action").and_then(given) {
        rule.action = Action::parse(&action).map_err(|e| e.to_string())?;
    }
    if let Some(code) = number(m, "code")? {
        rule.code = code;
    }
    let Rule { message, vo, label, architecture, release, share, .. } = &mut rule;
    for (key, slot) in
        [("message", message), ("vo", vo), ("label", label), ("architecture", architecture), ("release", release), ("share", share)]
    {
        if let Some(value) = m.get(key) {
            *slot = given(value);
        }
    }
    if let Some(note) = m.get("note") {
        rule.note = given(note).unwrap_or_default();
    }
    if let Some(active) = m.get("active") {
        rule.active = flag(active).ok_or("`active` is true, or false for a rule that is only recorded")?;
    }
    if let Some(expires) = m.get("expires") {
        rule.expires = given(expires).map(|text| time(&text)).transpose()?;
    }
    rule.params = params(&rule.params, m)?;
    check(rule)
}

/// A rule of nothing but its source and action.
fn new(m: &Map<String, Value>) -> Result<Rule, String> {
    let text = |key: &str| m.get(key).and_then(given).ok_or_else(|| format!("a new rule needs `{key}`"));
    Ok(Rule {
        id: 0,
        source: Source::parse(&text("source")?).map_err(|e| e.to_string())?,
        code: None,
        message: None,
        vo: None,
        label: None,
        architecture: None,
        release: None,
        share: None,
        action: Action::parse(&text("action")?).map_err(|e| e.to_string())?,
        params: Params::default(),
        active: true,
        expires: None,
        note: String::new(),
    })
}

/// Parameters stand in an object `params` or beside the other keys.
fn params(old: &Params, m: &Map<String, Value>) -> Result<Params, String> {
    let mut all = show::params_json(old).as_object().cloned().unwrap_or_default();
    let object = m.get("params").and_then(Value::as_object).into_iter().flatten();
    let beside = m.iter().filter(|(k, _)| show::PARAMS.contains(&k.as_str()));
    all.extend(object.chain(beside).map(|(k, v)| (k.clone(), v.clone())));
    all.retain(|_, v| !v.is_null());
    show::read(&all)
}

/// What a rule must have.
fn check(rule: Rule) -> Result<Rule, String> {
    if rule.code.is_none() && rule.message.is_none() {
        return Err("a rule needs `code` or `message`, else it would match every error of its source".into());
    }
    if let Some(pattern) = &rule.message {
        compile(pattern)?;
    }
    match rule.action {
        Action::LimitRetry if rule.params.max_attempt.is_none() => Err("`limit_retry` needs `max_attempt`".into()),
        Action::Classify if rule.params.class.is_none() => Err("`classify` needs `class`".into()),
        _ => Ok(rule),
    }
}

fn number(m: &Map<String, Value>, key: &str) -> Result<Option<Option<i64>>, String> {
    match m.get(key) {
        None => Ok(None),
        Some(Value::Null) => Ok(Some(None)),
        Some(Value::String(s)) if s.trim().is_empty() => Ok(Some(None)),
        Some(Value::String(s)) => {
            s.trim().parse().map(|n| Some(Some(n))).map_err(|_| format!("`{key}` is `{s}`; a whole number is expected"))
        }
        Some(v) => v.as_i64().map(|n| Some(Some(n))).ok_or_else(|| format!("`{key}` is {v}; a whole number is expected")),
    }
}

fn flag(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(b) => Some(*b),
        Value::String(s) => match s.trim() {
            "true" | "yes" => Some(true),
            "false" | "no" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

fn time(text: &str) -> Result<Micros, String> {
    crate::clock::parse(text)
        .map(Micros)
        .ok_or_else(|| format!("`expires` is `{text}`; a time such as `2027-01-31 00:00:00` (UTC) is expected"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        rule::show::list,
        testing::{World, alice, operator},
    };
    use serde_json::json;

    fn map(v: &Value) -> Map<String, Value> {
        v.as_object().cloned().unwrap()
    }

    #[tokio::test]
    async fn a_site_adds_changes_and_removes_rules() {
        let w = World::new().await;
        let shipped = list(&w.ops, &alice()).await.unwrap();
        assert_eq!((shipped[0]["origin"].clone(), shipped[0]["name"].clone()), (json!("shipped"), json!("PAYLOADOUTOFMEMORY")));
        let new = json!({"source": "exe", "code": "65", "message": "disk .* full", "action": "limit_retry", "max_attempt": "2",
            "vo": "amber", "expires": "2030-01-01 00:00:00", "note": "see the list of 12 May"});
        let id = set(&w.ops, &operator(), &map(&new)).await.unwrap();
        assert!(id >= shipped::FIRST_OWN);
        let show = async |id: i64| list(&w.ops, &alice()).await.unwrap().into_iter().find(|r| r["id"] == id);
        let got = show(id).await.unwrap();
        assert_eq!(
            (&got["origin"], &got["params"], &got["expires"]),
            (&json!("own"), &json!({"max_attempt": 2}), &json!("2030-01-01 00:00:00"))
        );
        assert_eq!(set(&w.ops, &operator(), &map(&json!({"id": id, "vo": null, "active": "no", "max_attempt": 3}))).await.unwrap(), id);
        let got = show(id).await.unwrap();
        assert_eq!(
            (&got["vo"], &got["active"], &got["params"], &got["code"]),
            (&json!(null), &json!(false), &json!({"max_attempt": 3}), &json!(65))
        );
        // A shipped rule is changed and goes back.
        set(&w.ops, &operator(), &map(&json!({"id": 1, "active": false}))).await.unwrap();
        assert_eq!((show(1).await.unwrap()["origin"].clone(), show(1).await.unwrap()["active"].clone()), (json!("changed"), json!(false)));
        for rule in [id, 1] {
            remove(&w.ops, &operator(), rule).await.unwrap();
        }
        assert_eq!(list(&w.ops, &alice()).await.unwrap(), shipped);
    }

    #[tokio::test]
    async fn what_makes_no_sense_is_refused_with_the_reason() {
        let w = World::new().await;
        let base = json!({"source": "pilot", "code": 1305, "action": "no_retry"});
        assert!(set(&w.ops, &alice(), &map(&base)).await.is_err(), "not for everybody");
        let said = async |changes: Value| {
            let mut m = map(&base);
            m.extend(map(&changes));
            set(&w.ops, &operator(), &m).await.unwrap_err().to_string()
        };
        assert_eq!(said(json!({"code": null})).await, "a rule needs `code` or `message`, else it would match every error of its source");
        assert!(said(json!({"message": "("})).await.starts_with("`(` is no regular expression"));
        assert_eq!(said(json!({"action": "limit_retry"})).await, "`limit_retry` needs `max_attempt`");
        assert_eq!(said(json!({"action": "classify"})).await, "`classify` needs `class`");
        assert!(said(json!({"action": "stop"})).await.contains("unknown retry action"));
        assert!(said(json!({"source": "moon"})).await.contains("unknown error source"));
        assert!(said(json!({"colour": 1})).await.starts_with("a rule has no `colour`"));
        assert!(said(json!({"expires": "soon"})).await.starts_with("`expires` is `soon`"));
        assert_eq!(said(json!({"id": 4_000})).await, "there is no retry rule 4000");
        assert!(remove(&w.ops, &operator(), 1).await.unwrap_err().to_string().contains("set 1 active=false"));
        assert!(remove(&w.ops, &operator(), 999).await.unwrap_err().to_string().starts_with("there is no retry rule 999"));
    }
}
