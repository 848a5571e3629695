//! Experiments (VOs): those of the configuration and those that were added at run time, with the identity provider of each.

use std::{collections::BTreeMap, sync::Arc};

use panda_access::{Object, Principal, Right, Role, oidc::Rules, table};
use panda_store::{Batch, Topic, query::vo as rows};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::{Ops, OpsError, held::Held};

/// Longest name of a VO.
const MAX_NAME: usize = 40;
/// Longest document of a VO.
const MAX_DOC: usize = 64 * 1024;

/// What is known of a VO.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vo {
    /// Who vouches for its people; none: development tokens only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idp: Option<Rules>,
}

/// Every VO by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Vos(pub BTreeMap<String, Vo>);

impl Vos {
    /// Their names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
    /// Whether there is a VO of this name (lower case).
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }
    /// Their names for a sentence.
    #[must_use]
    pub fn list(&self) -> String {
        self.names().collect::<Vec<_>>().join(", ")
    }
    /// The rules of those that have an identity provider.
    #[must_use]
    pub fn rules(&self) -> BTreeMap<String, Rules> {
        self.0.iter().filter_map(|(name, vo)| Some((name.clone(), vo.idp.clone()?))).collect()
    }
}

/// The cache.
pub type Cache = Held<Vos>;

impl Ops {
    /// The VOs, at most a second old.
    pub async fn vos(&self) -> Result<Arc<Vos>, OpsError> {
        match self.vo_cache.fresh(self.now().0) {
            Some(held) => Ok(held),
            None => self.reread_vos().await,
        }
    }
    /// The one VO to which this worker's doings are held, where there are several.
    pub(crate) async fn only_vo<'w>(&self, who: &'w Principal) -> Result<Option<&'w str>, OpsError> {
        let Some(vo) = who.worker_vo() else { return Ok(None) };
        Ok((self.vos().await?.0.len() > 1).then_some(vo))
    }
    /// The VOs as they are stored now.
    pub async fn reread_vos(&self) -> Result<Arc<Vos>, OpsError> {
        let now = self.now().0;
        let mut all: BTreeMap<String, Vo> = self.options.vos.iter().map(|name| (name.clone(), Vo::default())).collect();
        for row in rows::list(&self.store).await? {
            match serde_json::from_str(&row.doc) {
                Ok(vo) => drop(all.insert(row.name, vo)),
                // Its people are refused by name; everybody else's work goes on.
                Err(e) => tracing::error!("VO `{}` cannot be read and is left out: {e}; `panda vo set` mends it", row.name),
            }
        }
        Ok(self.vo_cache.keep(now, Vos(all)))
    }
}

/// Every VO, with its provider's secret left out: `{"vos": [{"name", "configured", "idp"}]}`.
pub async fn list(ops: &Ops, who: &Principal) -> Result<Value, OpsError> {
    table::allowed(Right::Read, Some(who), None)?;
    let vos = ops.reread_vos().await?;
    let all = vos.0.iter().map(|(name, vo)| shown(ops, name, vo)).collect::<Result<Vec<_>, _>>()?;
    Ok(json!({ "vos": all }))
}

/// One VO, as in [`list`].
pub async fn show(ops: &Ops, who: &Principal, name: &str) -> Result<Value, OpsError> {
    table::allowed(Right::Read, Some(who), None)?;
    let vos = ops.reread_vos().await?;
    let name = name.trim().to_lowercase();
    let vo = vos.0.get(&name).ok_or_else(|| unknown(&name, &vos))?;
    shown(ops, &name, vo)
}

/// Adds a VO, or changes what `values` names of it: the members of [`Rules`]; null forgets one, `"idp": null` the provider. A VO that does not exist
/// yet is added by operators.
pub async fn set(ops: &Ops, who: &Principal, name: &str, values: &Map<String, Value>) -> Result<Value, OpsError> {
    let name = checked_name(name)?;
    table::allowed(Right::VoChange, Some(who), Some(Object::of_vo(&name)))?;
    let before = ops.reread_vos().await?.0.get(&name).cloned().unwrap_or_default();
    let vo = Vo { idp: merged(before.idp.as_ref(), values)? };
    let doc = serde_json::to_string(&vo).map_err(|e| OpsError::Internal(format!("VO {name}: {e}")))?;
    if doc.len() > MAX_DOC {
        return Err(OpsError::refused(format!("what is told of the VO has {} bytes, at most {MAX_DOC} are kept", doc.len())));
    }
    let mut batch = Batch::new();
    rows::set(&mut batch, &name, &doc, ops.now().0);
    batch.wake(Topic::Vos);
    ops.store.apply(batch).await?;
    tracing::info!(name, by = who.name, "VO changed");
    ops.reread_vos().await?;
    shown(ops, &name, &vo)
}

/// Takes a VO out that was added at run time; its tasks and files stay. Operators.
pub async fn remove(ops: &Ops, who: &Principal, name: &str) -> Result<(), OpsError> {
    let name = name.trim().to_lowercase();
    table::allowed(Right::SystemChange, Some(who), None)?;
    if !rows::list(&ops.store).await?.iter().any(|row| row.name == name) {
        return Err(match ops.options.vos.contains(&name) {
            true => OpsError::refused(format!("VO `{name}` stands in the configuration (`vos`) and has nothing else to be removed")),
            false => unknown(&name, &*ops.reread_vos().await?),
        });
    }
    let mut batch = Batch::new();
    rows::delete(&mut batch, &name);
    batch.wake(Topic::Vos);
    ops.store.apply(batch).await?;
    tracing::info!(name, by = who.name, "VO removed");
    ops.reread_vos().await.map(drop)
}

fn unknown(name: &str, vos: &Vos) -> OpsError {
    OpsError::refused(format!("there is no VO `{name}`; there are: {}", vos.list()))
}

fn shown(ops: &Ops, name: &str, vo: &Vo) -> Result<Value, OpsError> {
    let mut idp = serde_json::to_value(&vo.idp).map_err(|e| OpsError::Internal(format!("VO {name}: {e}")))?;
    if let Some(secret) = idp.get_mut("client_secret") {
        *secret = json!("(kept)");
    }
    Ok(json!({ "name": name, "configured": ops.options.vos.iter().any(|v| v == name), "idp": idp }))
}

fn checked_name(name: &str) -> Result<String, OpsError> {
    let name = name.trim().to_lowercase();
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    if name.is_empty() || name.len() > MAX_NAME || !name.chars().all(plain) || name.starts_with('.') || name.ends_with('.') {
        return Err(OpsError::refused(format!(
            "`{name}` is no name of a VO; use letters, digits, `.`, `-` and `_`, at most {MAX_NAME}, no dot at either end"
        )));
    }
    Ok(name)
}

/// The provider's rules with `values` over them.
fn merged(before: Option<&Rules>, values: &Map<String, Value>) -> Result<Option<Rules>, OpsError> {
    if values.get("idp").is_some_and(Value::is_null) {
        return Ok(None);
    }
    if values.is_empty() {
        return Ok(before.cloned());
    }
    let mut all = match before.map(serde_json::to_value).transpose() {
        Ok(Some(Value::Object(all))) => all,
        _ => Map::new(),
    };
    for (key, value) in values {
        if value.is_null() { drop(all.remove(key)) } else { drop(all.insert(key.clone(), value.clone())) }
    }
    let rules: Rules = serde_json::from_value(Value::Object(all)).map_err(|e| OpsError::refused(format!("the identity provider: {e}")))?;
    check(&rules)?;
    Ok(Some(rules))
}

fn check(rules: &Rules) -> Result<(), OpsError> {
    let host = |rest: &str| rest.split(['/', '?', '#']).next().unwrap_or_default().to_owned();
    let local = |host: &str| ["127.0.0.1", "localhost", "[::1]"].iter().any(|l| host == *l || host.starts_with(&format!("{l}:")));
    let fits = match rules.issuer.split_once("://") {
        Some(("https", rest)) => !host(rest).is_empty(),
        Some(("http", rest)) => local(&host(rest)),
        _ => false,
    };
    if !fits || rules.issuer.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(OpsError::refused(format!(
            "`{}` is no issuer: give the address of the identity provider, `https://...` (`http://` on this machine only)",
            rules.issuer
        )));
    }
    if rules.client_id.trim().is_empty() {
        return Err(OpsError::refused("the identity provider needs a client_id: the client that people's programs log in with"));
    }
    let told = rules.roles.keys().chain(&rules.auto_roles).chain(rules.robots.values());
    if let Some(role) = told.map(|r| Role::from_name(r)).find(|r| !r.is_of_a_vo()) {
        return Err(OpsError::refused(format!("the role {role} reaches further than a VO; operators grant it with `panda user grant`")));
    }
    if rules.groups_claim.trim().is_empty() {
        return Err(OpsError::refused("groups_claim is empty; leave it out for `groups`"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{World, alice, operator};

    fn values(v: Value) -> Map<String, Value> {
        v.as_object().unwrap().clone()
    }

    #[tokio::test]
    async fn a_vo_is_added_changed_and_taken_out_while_all_goes_on() {
        let w = World::new().await;
        let idp = values(json!({"issuer": "https://idp.example.org", "client_id": "panda", "client_secret": "s"}));
        assert!(matches!(set(&w.ops, &alice(), "Beryl", &idp).await, Err(OpsError::Denied(_))));
        let made = set(&w.ops, &operator(), "Beryl", &idp).await.unwrap();
        assert_eq!((&made["name"], &made["idp"]["client_secret"], &made["configured"]), (&json!("beryl"), &json!("(kept)"), &json!(false)));
        let vos = w.ops.vos().await.unwrap();
        assert_eq!(vos.names().collect::<Vec<_>>(), ["amber", "beryl"]);
        assert_eq!(vos.rules()["beryl"].client_secret.as_deref(), Some("s"));
        let changed =
            set(&w.ops, &operator(), "beryl", &values(json!({"groups_claim": "cern_roles", "client_secret": null}))).await.unwrap();
        assert_eq!((&changed["idp"]["groups_claim"], changed["idp"].get("client_secret")), (&json!("cern_roles"), None));
        assert_eq!(set(&w.ops, &operator(), "beryl", &Map::new()).await.unwrap(), changed, "nothing told, nothing changed");
        assert!(set(&w.ops, &operator(), "beryl", &values(json!({"idp": null}))).await.unwrap()["idp"].is_null());
        remove(&w.ops, &operator(), "beryl").await.unwrap();
        assert!(!w.ops.vos().await.unwrap().contains("beryl"));
    }

    #[tokio::test]
    async fn what_cannot_be_is_refused_with_what_to_do() {
        let w = World::new().await;
        let say = |r: Result<Value, OpsError>| r.unwrap_err().to_string();
        let with =
            |v: Value| values(json!({"issuer": "https://idp.example.org", "client_id": "panda"})).into_iter().chain(values(v)).collect();
        let mut all = Vec::new();
        for (name, v) in [
            ("b b", json!({})),
            ("beryl", json!({"issuer": "http://idp.example.org"})),
            ("beryl", json!({"client_id": " "})),
            ("beryl", json!({"groupsclaim": "x"})),
            ("beryl", json!({"members": "x"})),
            ("beryl", json!({"groups_claim": ""})),
        ] {
            all.push(say(set(&w.ops, &operator(), name, &with(v)).await));
        }
        all.push(say(show(&w.ops, &operator(), "beryl").await));
        all.push(remove(&w.ops, &operator(), "amber").await.unwrap_err().to_string());
        insta::assert_snapshot!(all.join("\n"));
        assert!(set(&w.ops, &operator(), "beryl", &with(json!({"issuer": "http://127.0.0.1:8080/realms/b"}))).await.is_ok());
    }
}
