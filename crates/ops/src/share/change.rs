//! Changes of the tree of shares. All shares are checked together, and the revision of all of them guards the change.

use panda_access::{Principal, Right, table};
use panda_core::policy::share::Share;
use panda_store::{
    Batch,
    query::{
        lease,
        share::{self, REVISION},
    },
};
use serde_json::{Map, Value};

use super::{check, read, row};
use crate::{MAX_CONFLICTS, Ops, OpsError};

/// Most characters of a share's rules together (the column's width, with names and quotes).
const MAX_RULES: usize = 1_900;

/// Adds or changes a share. `values`: `parent`, `value` (percent), `position`, `throttled`, and rules by their name; what is not named stays, an
/// empty text takes a parent or a rule away. Operators.
pub async fn set(ops: &Ops, who: &Principal, name: &str, values: &Map<String, Value>) -> Result<Share, OpsError> {
    table::allowed(Right::SystemChange, Some(who), None)?;
    change(ops, |shares| {
        let at = match shares.iter().position(|s| s.name == name) {
            Some(at) => at,
            None => {
                shares.push(Share::new(name, None, 0.0));
                shares.len() - 1
            }
        };
        let new = shares.len() - 1 == at && !values.contains_key("value") && shares[at].value == 0.0;
        if new {
            return Err(OpsError::refused(format!("share `{name}` is new: give its value, a percentage among its siblings")));
        }
        apply(&mut shares[at], values)?;
        Ok(shares[at].clone())
    })
    .await
}

/// Takes a share without parts away. Tasks and jobs that are in it go on as `Undefined`. Operators.
pub async fn remove(ops: &Ops, who: &Principal, name: &str) -> Result<(), OpsError> {
    table::allowed(Right::SystemChange, Some(who), None)?;
    change(ops, |shares| {
        let at = shares.iter().position(|s| s.name == name);
        let at = at.ok_or_else(|| OpsError::NotFound(format!("share `{name}` does not exist; `panda share list` shows what there is")))?;
        if let Some(part) = shares.iter().find(|s| s.parent.as_deref() == Some(name)) {
            return Err(OpsError::refused(format!("share `{name}` has parts; remove `{}` and its siblings first", part.name)));
        }
        shares.remove(at);
        Ok(())
    })
    .await
}

fn apply(share: &mut Share, values: &Map<String, Value>) -> Result<(), OpsError> {
    let name = share.name.clone();
    let wrong = |key: &str, what: &str, value: &Value| OpsError::refused(format!("share `{name}`: {key} must be {what}, got {value}"));
    for (key, value) in values {
        let text = || match value {
            Value::Null => Some(String::new()),
            Value::String(t) => Some(t.trim().to_owned()),
            _ => None,
        };
        let number = || value.as_f64().or_else(|| value.as_str().and_then(|t| t.trim().parse().ok()));
        match key.as_str() {
            "parent" => share.parent = Some(text().ok_or_else(|| wrong(key, "a name", value))?).filter(|p| !p.is_empty()),
            "value" => share.value = number().ok_or_else(|| wrong(key, "a percentage", value))?,
            "position" => {
                let n = value.as_i64().or_else(|| value.as_str().and_then(|t| t.trim().parse().ok()));
                share.position = n.ok_or_else(|| wrong(key, "a whole number", value))?;
            }
            "throttled" => {
                let flag = value.as_bool().or_else(|| value.as_str().and_then(|t| t.trim().parse().ok()));
                share.throttled = flag.ok_or_else(|| wrong(key, "true or false", value))?;
            }
            rule => {
                let names = share.rules.texts().map(|(k, _)| k).join(", ");
                let slot = share.rules.slot(rule).ok_or_else(|| {
                    OpsError::refused(format!(
                        "share `{name}`: `{rule}` is unknown; possible are parent, value, position, throttled, {names}"
                    ))
                })?;
                *slot = Some(text().ok_or_else(|| wrong(key, "a regular expression", value))?).filter(|p| !p.is_empty());
            }
        }
    }
    let length: usize = share.rules.texts().iter().filter_map(|(_, t)| *t).map(str::len).sum();
    if length > MAX_RULES - 200 {
        return Err(OpsError::refused(format!("share `{name}`: its rules have {length} characters; at most {} are kept", MAX_RULES - 200)));
    }
    Ok(())
}

/// Reads all shares, changes them, checks all of them, writes what differs.
async fn change<T>(ops: &Ops, edit: impl Fn(&mut Vec<Share>) -> Result<T, OpsError>) -> Result<T, OpsError> {
    for _ in 0..MAX_CONFLICTS {
        let revision = lease::get(&ops.store, REVISION).await?;
        let before = share::list(&ops.store).await?.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        let mut after = before.clone();
        let out = edit(&mut after)?;
        check(after.clone()).map_err(OpsError::refused)?;
        let mut batch = Batch::new();
        match &revision {
            Some(l) => lease::take(&mut batch, REVISION, "shares", l.epoch, 0),
            None => lease::add(&mut batch, REVISION, "shares", 0),
        }
        for s in after.iter().filter(|s| !before.contains(s)) {
            share::set(&mut batch, &row(s));
        }
        for s in before.iter().filter(|s| !after.iter().any(|a| a.name == s.name)) {
            share::delete(&mut batch, &s.name);
        }
        match ops.store.apply(batch).await {
            Ok(()) => {
                ops.reread_shares().await?;
                return Ok(out);
            }
            Err(e) if e.is_conflict() => {}
            Err(e) => return Err(e.into()),
        }
    }
    Err(OpsError::refused("the shares are being changed by somebody else; try again"))
}
