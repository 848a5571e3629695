//! Settings at run time: read through a cache, listed, changed.

use std::sync::Arc;

use panda_access::{Object, Principal, Right, table};
use panda_core::setting::{self, ANY, Setting, Values, dispatch};
use panda_store::{Batch, query::setting as rows};

use crate::{Ops, OpsError, held::Held};

/// The cache.
pub type Settings = Held<Values>;

/// A setting with a value, for people.
#[derive(Debug, Clone, PartialEq)]
pub struct Shown {
    /// The setting.
    pub setting: &'static Setting,
    /// Values that differ from the default: VO, label, value.
    pub given: Vec<(String, String, String)>,
}

impl Ops {
    /// The values of all settings, at most a second old.
    pub async fn settings(&self) -> Result<Arc<Values>, OpsError> {
        match self.settings.fresh(self.now().0) {
            Some(held) => Ok(held),
            None => self.reread_settings().await,
        }
    }
    async fn reread_settings(&self) -> Result<Arc<Values>, OpsError> {
        let now = self.now().0;
        let (values, problems) = Values::new(rows::list(&self.store).await?);
        for problem in problems {
            tracing::warn!("setting left at its default: {problem}; `panda setting unset` removes it");
        }
        Ok(self.settings.keep(now, values))
    }
}

/// Every setting with its values. `filter`: part of a name; empty = all.
pub async fn list(ops: &Ops, who: &Principal, filter: &str) -> Result<Vec<Shown>, OpsError> {
    table::allowed(Right::Read, Some(who), None)?;
    let values = ops.reread_settings().await?;
    let shown = |s: &'static Setting| Shown {
        setting: s,
        given: values.iter().filter(|(k, _)| k.0 == s.name).map(|(k, v)| (k.1.clone(), k.2.clone(), v.clone())).collect(),
    };
    Ok(setting::areas().iter().flat_map(|a| a.iter()).filter(|s| s.name.contains(filter)).map(|s| shown(s)).collect())
}

/// Changes a setting for a VO and a label (empty = any). Administrators of the VO; for every VO operators.
pub async fn set(ops: &Ops, who: &Principal, name: &str, vo: &str, label: &str, value: &str) -> Result<(), OpsError> {
    change(who, vo)?;
    let setting = known(name)?;
    if value.is_empty() {
        return Err(OpsError::refused(format!("the value is empty; `panda setting unset {name}` goes back to the shipped value")));
    }
    setting.check(value).map_err(OpsError::refused)?;
    setting.check_scope(or_any(vo), or_any(label)).map_err(OpsError::refused)?;
    check_json(setting, value).map_err(|e| OpsError::refused(format!("`{value}` is no value for {name}: {e}")))?;
    let mut batch = Batch::new();
    rows::set(&mut batch, name, or_any(vo), or_any(label), value, ops.now().0);
    ops.store.apply(batch).await?;
    tracing::info!(name, vo, label, value, by = who.name, "setting changed");
    ops.reread_settings().await.map(|_| ())
}

/// Goes back to the shipped value. Administrators of the VO; for every VO operators.
pub async fn unset(ops: &Ops, who: &Principal, name: &str, vo: &str, label: &str) -> Result<(), OpsError> {
    change(who, vo)?;
    let mut batch = Batch::new();
    rows::delete(&mut batch, name, or_any(vo), or_any(label));
    ops.store.apply(batch).await?;
    tracing::info!(name, vo, label, by = who.name, "setting back to its default");
    ops.reread_settings().await.map(|_| ())
}

/// Who may change a setting of this VO (empty = any).
fn change(who: &Principal, vo: &str) -> Result<(), OpsError> {
    match or_any(vo) {
        ANY => Ok(table::allowed(Right::SystemChange, Some(who), None)?),
        vo => Ok(table::allowed(Right::VoSettings, Some(who), Some(Object::of_vo(vo)))?),
    }
}

/// Checks a value in JSON, which `core` cannot read.
fn check_json(setting: &Setting, value: &str) -> Result<(), String> {
    if *setting == dispatch::RESOURCE_TYPES {
        crate::resource::read(value).map(drop)
    } else if *setting == dispatch::LIMITS {
        crate::limit::throttle::read(value).map(drop)
    } else if *setting == dispatch::BOOSTS {
        crate::job::priority::read(value).map(drop)
    } else {
        Ok(())
    }
}

fn or_any(text: &str) -> &str {
    if text.is_empty() { ANY } else { text }
}

fn known(name: &str) -> Result<&'static Setting, OpsError> {
    setting::by_name(name).ok_or_else(|| OpsError::refused(format!("there is no setting `{name}`; `panda setting list` shows all")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{World, alice, operator};
    use panda_core::setting::task_timer::PENDING_RETRY_S;

    #[tokio::test]
    async fn a_change_holds_at_once_and_can_be_taken_back() {
        let w = World::new().await;
        let name = PENDING_RETRY_S.name;
        let now = async || w.ops.settings().await.unwrap().int(&PENDING_RETRY_S, "amber", "user");
        assert_eq!(now().await, 60);
        set(&w.ops, &operator(), name, "amber", "", "5").await.unwrap();
        assert_eq!(now().await, 5);
        let shown = list(&w.ops, &alice(), "pending_retry").await.unwrap();
        assert_eq!(shown[0].given, [("amber".to_owned(), "*".to_owned(), "5".to_owned())]);
        unset(&w.ops, &operator(), name, "amber", "").await.unwrap();
        assert_eq!(now().await, 60);
        assert!(set(&w.ops, &alice(), name, "", "", "5").await.is_err(), "not for everybody");
        let wrong = set(&w.ops, &operator(), name, "", "", "soon").await.unwrap_err().to_string();
        assert_eq!(wrong, "`soon` is no value for task.pending_retry_s: a whole number is expected");
        let said = async |name: &str, vo: &str, value: &str| set(&w.ops, &operator(), name, vo, "", value).await.unwrap_err().to_string();
        assert!(said("broker.weight", "", "speed=1").await.starts_with("`speed=1` is no value for broker.weight: "));
        assert_eq!(said("share.first", "amber", "Test").await, "share.first holds for all VOs and labels: give neither VO nor label");
        for name in ["resource.types", "throttle.limits", "priority.boosts"] {
            assert!(said(name, "", "nonsense").await.starts_with(&format!("`nonsense` is no value for {name}: ")), "{name}");
        }
        assert!(said("throttle.limits", "", r#"{"LIMIT_Test": 1}"#).await.contains("NQUEUELIMIT_"));
        assert!(said("priority.boosts", "", r#"[{"name": "bob", "type": "friend", "prio": 1}]"#).await.contains("`user` or `group`"));
        assert!(set(&w.ops, &operator(), "task.nonsense", "", "", "1").await.unwrap_err().to_string().contains("panda setting list"));
    }
}
