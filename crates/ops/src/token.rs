//! API tokens of people and robots: made, listed, revoked.

use std::collections::BTreeSet;

use panda_access::{
    Object, Principal, Right, Role, Scope, table,
    tokens::{ISSUER, hash},
};
use panda_store::{
    Batch, IdKind, Topic,
    query::token::{self as rows, TokenRow},
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    Ops, OpsError, clock,
    trust::{TokenDoc, is_robot},
};

/// Most tokens of one holder that hold.
const MAX_TOKENS: usize = 100;
/// Longest name.
const MAX_NAME: usize = 60;
/// Longest life, days: one that is forgotten ends in the end.
pub const MAX_DAYS: i64 = 366;
/// Days after its end that a token is still listed.
const LISTED_DAYS: i64 = 30;
const DAY_US: i64 = 86_400_000_000;

/// Makes the text of a token out of its claims.
pub type Sign = std::sync::Arc<dyn Fn(&[u8]) -> Result<String, String> + Send + Sync>;

/// What is asked for.
#[derive(Debug, Clone, Default)]
pub struct Ask {
    /// What to call it.
    pub name: String,
    /// A robot of this name, who is no person, instead of the caller.
    pub robot: Option<String>,
    /// The robot's VO; None = every VO (operators).
    pub vo: Option<String>,
    /// Roles: of the caller's own those that he acts in; of a robot any of its VO.
    pub roles: Vec<String>,
    /// Scopes; none = all.
    pub scopes: Vec<String>,
    /// Days that it lives.
    pub days: i64,
}

/// Makes a token: `{"token": text, "id", "name", "subject", "vo", "roles", "scopes", "until"}`. Its text is shown this one time.
pub async fn create(ops: &Ops, who: &Principal, ask: &Ask) -> Result<Value, OpsError> {
    let name = ask.name.trim();
    if name.is_empty() || name.len() > MAX_NAME || name.chars().any(char::is_control) {
        return Err(OpsError::refused(format!("give the token a name of at most {MAX_NAME} bytes: it is what you revoke it by")));
    }
    if !(1..=MAX_DAYS).contains(&ask.days) {
        return Err(OpsError::refused(format!("a token lives between 1 and {MAX_DAYS} days")));
    }
    let scopes = scopes(who, &ask.scopes)?;
    let (holder, doc) = match &ask.robot {
        Some(robot) => of_robot(ops, who, ask, robot, scopes).await?,
        None => of_caller(who, ask, scopes)?,
    };
    let now = ops.now().0;
    let all = rows::list(&ops.store).await?;
    let mut own = all.iter().filter(|t| t.issuer == holder.0 && t.subject == holder.1 && holds(t, now));
    if own.clone().any(|t| doc_of(t).name == name) {
        return Err(OpsError::refused(format!(
            "there is a token `{name}` already; revoke it first with `panda token revoke`, or choose another name"
        )));
    }
    if own.by_ref().count() >= MAX_TOKENS {
        return Err(OpsError::refused(format!("there are {MAX_TOKENS} tokens already; revoke some with `panda token revoke`")));
    }
    let until_us = now.saturating_add(ask.days.saturating_mul(DAY_US));
    let text = sign(ops, &holder, &doc, now, until_us)?;
    let id = ops.store.id(IdKind::Row).await?;
    let json_doc = serde_json::to_string(&doc).map_err(|e| OpsError::Internal(format!("a token: {e}")))?;
    let (issuer, subject, name_shown) = holder;
    let row =
        TokenRow { id, hash: hash(&text), issuer, subject, shown: name_shown, doc: json_doc, created_us: now, until_us, revoked_us: None };
    let mut batch = Batch::new();
    rows::add(&mut batch, &row);
    for t in all.iter().filter(|t| t.until_us.max(t.revoked_us.unwrap_or(0)) < now - LISTED_DAYS * DAY_US) {
        rows::delete(&mut batch, t.id);
    }
    batch.wake(Topic::Vos);
    ops.store.apply(batch).await?;
    tracing::info!(id, name, holder = row.shown, by = who.name, "API token made");
    let mut answer = shown(&row, now);
    answer["token"] = text.into();
    Ok(answer)
}

/// Tokens that the caller may revoke: `{"tokens": [{"id", "name", "holder", "robot", "vo", "roles", "everywhere", "scopes", "by", "created", "until", "state"}]}`; state is `valid`,
/// `revoked` or `expired`.
pub async fn list(ops: &Ops, who: &Principal) -> Result<Value, OpsError> {
    table::allowed(Right::TokenOwn, Some(who), None)?;
    let now = ops.now().0;
    let all = rows::list(&ops.store).await?;
    Ok(json!({ "tokens": all.iter().filter(|t| may(who, t)).map(|t| shown(t, now)).collect::<Vec<_>>() }))
}

/// Revokes a token, by number or by name; from now on it is refused.
pub async fn revoke(ops: &Ops, who: &Principal, which: &str) -> Result<Value, OpsError> {
    table::allowed(Right::TokenOwn, Some(who), None)?;
    let (now, which) = (ops.now().0, which.trim());
    let number = which.parse::<i64>().ok();
    let all = rows::list(&ops.store).await?;
    let mut found = all.into_iter().filter(|t| may(who, t) && holds(t, now) && (Some(t.id) == number || doc_of(t).name == which));
    let token = match (found.next(), found.next()) {
        (Some(token), None) => token,
        (None, _) => return Err(OpsError::NotFound(format!("there is no token `{which}` that holds; `panda token list` shows yours"))),
        (Some(_), Some(_)) => return Err(OpsError::refused(format!("several tokens are called `{which}`; name the number"))),
    };
    let mut batch = Batch::new();
    rows::revoke(&mut batch, token.id, now);
    batch.wake(Topic::Vos);
    match ops.store.apply(batch).await {
        Ok(()) => {}
        // Somebody else was first: it is revoked.
        Err(e) if e.is_conflict() => {}
        Err(e) => return Err(e.into()),
    }
    tracing::info!(id = token.id, holder = token.shown, by = who.name, "API token revoked");
    Ok(shown(&TokenRow { revoked_us: Some(now), ..token }, now))
}

/// Issuer, subject and shown name.
type Holder = (String, String, String);

fn of_caller(who: &Principal, ask: &Ask, scopes: Option<BTreeSet<String>>) -> Result<(Holder, TokenDoc), OpsError> {
    table::allowed(Right::TokenOwn, Some(who), None)?;
    let mut roles = BTreeSet::new();
    for name in &ask.roles {
        let role = Role::from_name(name);
        if !who.roles.contains(&role) {
            return Err(OpsError::refused(format!("you do not act in the role {role} now; a token has no more than its maker")));
        }
        roles.insert(role.to_string());
    }
    if ask.vo.as_ref().is_some_and(|vo| who.vo.as_ref() != Some(&vo.trim().to_lowercase())) {
        return Err(OpsError::refused("your own tokens are of the VO that you act for now; name another one in `Origin`"));
    }
    let doc = TokenDoc {
        name: ask.name.trim().to_owned(),
        vo: who.vo.clone(),
        roles,
        everywhere: BTreeSet::new(),
        scopes,
        nickname: who.nickname.clone(),
        groups: who.groups.clone(),
        by: who.name.clone(),
    };
    Ok(((who.issuer.clone(), who.subject.clone(), who.name.clone()), doc))
}

async fn of_robot(
    ops: &Ops,
    who: &Principal,
    ask: &Ask,
    robot: &str,
    scopes: Option<BTreeSet<String>>,
) -> Result<(Holder, TokenDoc), OpsError> {
    let vo = ask.vo.as_deref().map(|vo| vo.trim().to_lowercase());
    table::allowed(Right::TokenRobot, Some(who), Some(Object { owner: None, vo: Some(vo.as_deref().unwrap_or_default()), site: None }))?;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    if robot.is_empty() || robot.len() > MAX_NAME || !robot.chars().all(plain) {
        return Err(OpsError::refused(format!("`{robot}` is no name of a robot; use letters, digits, `.`, `-`, `_`, at most {MAX_NAME}")));
    }
    if let Some(vo) = &vo {
        let vos = ops.reread_vos().await?;
        if !vos.contains(vo) {
            return Err(OpsError::refused(format!("there is no VO `{vo}`; there are: {}", vos.list())));
        }
    }
    let mut roles = BTreeSet::new();
    for name in &ask.roles {
        match Role::from_name(name) {
            role @ (Role::Pilot | Role::Harvester) => roles.insert(role.to_string()),
            role @ Role::Production if vo.is_some() => roles.insert(role.to_string()),
            role => {
                return Err(OpsError::refused(format!(
                    "a robot cannot have the role {role}; there are production (of a VO), pilot and harvester"
                )));
            }
        };
    }
    // The same name in two VOs is two robots.
    let subject = vo.as_ref().map_or_else(|| robot.to_owned(), |vo| format!("{vo}/{robot}"));
    let groups = vo.iter().cloned().chain(vo.iter().flat_map(|vo| roles.iter().map(move |r| format!("{vo}/{r}")))).collect();
    let (roles, everywhere) = if vo.is_some() { (roles, BTreeSet::new()) } else { (BTreeSet::new(), roles) };
    let doc = TokenDoc {
        name: ask.name.trim().to_owned(),
        vo,
        roles,
        everywhere,
        scopes,
        nickname: robot.to_owned(),
        groups,
        by: who.name.clone(),
    };
    Ok(((ISSUER.to_owned(), subject, format!("robot {robot}")), doc))
}

/// Scopes of a new token: known ones, and none that the maker's own token has not.
fn scopes(who: &Principal, names: &[String]) -> Result<Option<BTreeSet<String>>, OpsError> {
    let all = || Scope::ALL.map(Scope::as_str).join(", ");
    let mut wanted = BTreeSet::new();
    for name in names {
        let scope =
            Scope::from_name(name.trim()).ok_or_else(|| OpsError::refused(format!("there is no scope `{name}`; there are {}", all())))?;
        wanted.insert(scope);
    }
    let own = who.standing.scopes.as_ref();
    let reaches = own.is_none_or(|own| !wanted.is_empty() && wanted.is_subset(own));
    if !reaches {
        return Err(OpsError::refused("a token cannot make one that may more than itself: name its scopes"));
    }
    Ok((!wanted.is_empty()).then(|| wanted.into_iter().map(|s| s.as_str().to_owned()).collect()))
}

fn sign(ops: &Ops, (issuer, subject, shown): &Holder, doc: &TokenDoc, now_us: i64, until_us: i64) -> Result<String, OpsError> {
    let sign = ops.sign.as_ref().ok_or_else(|| OpsError::refused("this process makes no tokens; ask a server"))?;
    let role = doc.roles.iter().next().map(|r| format!(":{r}")).unwrap_or_default();
    let claims = json!({
        "iss": ISSUER, "aud": "panda", "sub": subject, "holder": issuer, "jti": Uuid::new_v4().to_string(), "iat": now_us / 1_000_000, "exp": until_us / 1_000_000,
        "name": shown, "preferred_username": doc.nickname, "vo": doc.vo.as_ref().map(|vo| format!("{vo}{role}")), "groups": doc.groups,
        "scope": doc.scopes.as_ref().map(|s| s.iter().map(String::as_str).collect::<Vec<_>>().join(" ")),
    });
    sign(claims.to_string().as_bytes()).map_err(OpsError::Internal)
}

fn doc_of(t: &TokenRow) -> TokenDoc {
    serde_json::from_str(&t.doc).unwrap_or_default()
}

fn holds(t: &TokenRow, now_us: i64) -> bool {
    t.revoked_us.is_none() && t.until_us > now_us
}

/// Whether the caller may see and revoke a token: the own ones, those of the VO's robots, operators all.
fn may(who: &Principal, t: &TokenRow) -> bool {
    let vo = doc_of(t).vo.unwrap_or_default();
    let over = table::allowed(Right::TokenRobot, Some(who), Some(Object::of_vo(&vo))).is_ok();
    who.owns((&t.issuer, &t.subject)) || (over && (is_robot(t) || table::allowed(Right::SystemChange, Some(who), None).is_ok()))
}

fn shown(t: &TokenRow, now_us: i64) -> Value {
    let doc = doc_of(t);
    let state = if t.revoked_us.is_some() {
        "revoked"
    } else if t.until_us <= now_us {
        "expired"
    } else {
        "valid"
    };
    json!({
        "id": t.id, "name": doc.name, "holder": t.shown, "robot": is_robot(t), "subject": t.subject, "vo": doc.vo, "roles": doc.roles, "everywhere": doc.everywhere,
        "scopes": doc.scopes, "by": doc.by, "created": clock::text(t.created_us), "until": clock::text(t.until_us), "state": state,
    })
}

#[cfg(test)]
#[path = "token_tests.rs"]
mod tests;
