//! Secrets of users, and the credentials that a site keeps for its pilots.
//!
//! Credentials are files below `credentials/` in the data directory, put there by whoever runs the installation: `proxies/<name>[.<role>].pem`,
//! `keys/<name>`, `tokens/<client>.token` with, if wanted, `tokens/<client>.key`, the text that pilots must send to get the token. They are read
//! anew for each call, so they can be replaced at any time.

use std::path::{Path, PathBuf};

use panda_access::{Denied, Principal, Right, table};
use panda_store::{Batch, query::person};
use serde_json::{Map, Value};

use crate::{Ops, OpsError, blob::is_safe_name};

/// Most secrets of one person.
pub const MAX_SECRETS: usize = 100;
/// Longest key, bytes.
const MAX_KEY: usize = 200;
/// Largest secret, bytes: a file of 1,000 kB in base64, the client's own limit.
const MAX_SECRET: usize = 1_400_000;
/// Largest credential file, bytes.
const MAX_FILE: u64 = 1 << 20;

/// Sets one of the caller's secrets; without a value the key goes, without a key all of them.
pub async fn set_secret(ops: &Ops, who: &Principal, key: Option<&str>, value: Option<&str>) -> Result<(), OpsError> {
    table::allowed(Right::SecretsOwn, Some(who), None)?;
    let person = ops.person(who).await?.id;
    let mut batch = Batch::new();
    match (key, value) {
        (Some(key), Some(value)) => {
            if key.is_empty() || key.len() > MAX_KEY || value.len() > MAX_SECRET {
                return Err(OpsError::refused(format!("a secret needs a key of 1 to {MAX_KEY} bytes and a value of at most {MAX_SECRET}")));
            }
            let held = person::secrets(&ops.store, person).await?;
            if held.len() >= MAX_SECRETS && !held.iter().any(|(k, _)| k == key) {
                return Err(OpsError::refused(format!("you have {MAX_SECRETS} secrets already; delete one first")));
            }
            person::set_secret(&mut batch, person, key, value);
        }
        (key, _) => person::delete_secret(&mut batch, person, key),
    }
    Ok(ops.store.apply(batch).await?)
}

/// The caller's secrets (all, or those of the given keys) as the text of a JSON object: clients parse it themselves.
pub async fn secrets(ops: &Ops, who: &Principal, keys: Option<&[String]>) -> Result<String, OpsError> {
    table::allowed(Right::SecretsOwn, Some(who), None)?;
    let person = ops.person(who).await?.id;
    let wanted = |key: &String| keys.is_none_or(|keys| keys.contains(key));
    let held = person::secrets(&ops.store, person).await?;
    // An empty secret is stored as one blank.
    let value = |v: String| if v == " " { String::new() } else { v };
    let map: Map<String, Value> = held.into_iter().filter(|(k, _)| wanted(k)).map(|(k, v)| (k, Value::String(value(v)))).collect();
    Ok(Value::Object(map).to_string())
}

/// What is kept for the whole installation is not for workers of one of several VOs.
async fn whole(ops: &Ops, who: &Principal) -> Result<(), OpsError> {
    table::allowed(Right::Credentials, Some(who), None)?;
    if ops.only_vo(who).await?.is_some() { Err(Denied::OtherVo.into()) } else { Ok(()) }
}

/// A key pair of the installation: (public, private).
pub async fn key_pair(ops: &Ops, who: &Principal, public: &str, private: &str) -> Result<(String, String), OpsError> {
    whole(ops, who).await?;
    let keys = dir(ops).join("keys");
    let missing = |name: &str| OpsError::NotFound(format!("key `{name}` not found"));
    let public = read(&keys, public).await?.ok_or_else(|| missing(public))?;
    let private = read(&keys, private).await?.ok_or_else(|| missing(private))?;
    Ok((public, private))
}

/// A proxy certificate of `name` (None = the caller), of a role if wanted.
pub async fn proxy(ops: &Ops, who: &Principal, role: Option<&str>, name: Option<&str>) -> Result<String, OpsError> {
    table::allowed(Right::Credentials, Some(who), None)?;
    let name = name.filter(|n| !n.is_empty()).unwrap_or(&who.name);
    if name != who.name {
        whole(ops, who).await?;
    }
    let file = match role.filter(|r| !r.is_empty()) {
        Some(role) => format!("{}.{}.pem", file_name(name), file_name(role)),
        None => format!("{}.pem", file_name(name)),
    };
    read(&dir(ops).join("proxies"), &file).await?.ok_or_else(|| OpsError::NotFound(format!("'proxy' not found for {name}")))
}

/// An access token that the installation keeps for `client`; where a key is set, the caller must send it.
pub async fn access_token(ops: &Ops, who: &Principal, client: &str, key: Option<&str>) -> Result<String, OpsError> {
    whole(ops, who).await?;
    let tokens = dir(ops).join("tokens");
    let missing = || OpsError::NotFound(format!("'token' not found for {client}"));
    let wanted = read(&tokens, &format!("{client}.key")).await?;
    if let Some(wanted) = wanted.filter(|w| !w.trim().is_empty())
        && !same(wanted.trim(), key.unwrap_or_default())
    {
        return Err(OpsError::refused(format!("failed since token key is invalid for {client}")));
    }
    let token = read(&tokens, &format!("{client}.token")).await?.ok_or_else(missing)?;
    Ok(token.trim_end().to_owned())
}

/// The key that pilots must send to get the access token of `client`.
pub async fn token_key(ops: &Ops, who: &Principal, client: &str) -> Result<String, OpsError> {
    table::allowed(Right::Credentials, Some(who), None)?;
    let key = read(&dir(ops).join("tokens"), &format!("{client}.key")).await?;
    let key = key.map(|k| k.trim().to_owned()).filter(|k| !k.is_empty());
    key.ok_or_else(|| OpsError::NotFound(format!("Token key is missing for '{client}'")))
}

/// Compares without telling by time how much was right.
fn same(a: &str, b: &str) -> bool {
    a.len() == b.len() && a.bytes().zip(b.bytes()).fold(0, |odd, (x, y)| odd | (x ^ y)) == 0
}

fn dir(ops: &Ops) -> PathBuf {
    ops.options.data_dir.join("credentials")
}

/// A person's name as part of a file name.
fn file_name(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '_' }).collect()
}

/// The text of a credential; None when there is none of that name, or the name is no file name.
async fn read(dir: &Path, name: &str) -> Result<Option<String>, OpsError> {
    if !is_safe_name(name) {
        return Ok(None);
    }
    let path = dir.join(name);
    let failed = |source: std::io::Error| OpsError::File { what: format!("reading credential {}", path.display()), source };
    match tokio::fs::metadata(&path).await {
        Ok(meta) if meta.is_file() && meta.len() <= MAX_FILE => Ok(Some(tokio::fs::read_to_string(&path).await.map_err(failed)?)),
        Ok(_) => Err(OpsError::refused(format!("credential `{name}` is no file of at most {MAX_FILE} bytes"))),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(failed(e)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{World, alice, bob, pilot};

    #[tokio::test]
    async fn secrets_are_ones_own() {
        let w = World::new().await;
        assert_eq!(secrets(&w.ops, &alice(), None).await.unwrap(), "{}");
        set_secret(&w.ops, &alice(), Some("a"), Some("1")).await.unwrap();
        set_secret(&w.ops, &alice(), Some("b"), Some("")).await.unwrap();
        assert_eq!(secrets(&w.ops, &alice(), None).await.unwrap(), r#"{"a":"1","b":""}"#);
        assert_eq!(secrets(&w.ops, &alice(), Some(&["b".into()])).await.unwrap(), r#"{"b":""}"#);
        assert_eq!(secrets(&w.ops, &bob(), None).await.unwrap(), "{}");
        set_secret(&w.ops, &alice(), Some("b"), None).await.unwrap();
        assert_eq!(secrets(&w.ops, &alice(), None).await.unwrap(), r#"{"a":"1"}"#);
        set_secret(&w.ops, &alice(), None, None).await.unwrap();
        assert_eq!(secrets(&w.ops, &alice(), None).await.unwrap(), "{}");
        assert!(set_secret(&w.ops, &alice(), Some(""), Some("x")).await.is_err());
    }

    #[tokio::test]
    async fn credentials_are_files_of_the_installation() {
        let w = World::new().await;
        let dir = w.ops.options.data_dir.join("credentials");
        for (path, text) in [
            ("keys/pub", "P"),
            ("keys/priv", "S"),
            ("proxies/Alice_Example.pem", "X"),
            ("proxies/pilot.production.pem", "Y"),
            ("tokens/c.token", "T\n"),
            ("tokens/c.key", "k"),
        ] {
            std::fs::create_dir_all(dir.join(path).parent().unwrap()).unwrap();
            std::fs::write(dir.join(path), text).unwrap();
        }
        assert!(matches!(key_pair(&w.ops, &alice(), "pub", "priv").await, Err(OpsError::Denied(_))));
        assert_eq!(key_pair(&w.ops, &pilot(), "pub", "priv").await.unwrap(), ("P".into(), "S".into()));
        let e = key_pair(&w.ops, &pilot(), "pub", "../tokens/c.key").await.unwrap_err().to_string();
        assert_eq!(e, "key `../tokens/c.key` not found");
        assert_eq!(proxy(&w.ops, &pilot(), None, Some("Alice Example")).await.unwrap(), "X");
        assert_eq!(proxy(&w.ops, &pilot(), Some("production"), None).await.unwrap(), "Y");
        assert_eq!(proxy(&w.ops, &pilot(), None, None).await.unwrap_err().to_string(), "'proxy' not found for pilot");
        assert_eq!(token_key(&w.ops, &pilot(), "c").await.unwrap(), "k");
        assert_eq!(token_key(&w.ops, &pilot(), "d").await.unwrap_err().to_string(), "Token key is missing for 'd'");
        assert_eq!(access_token(&w.ops, &pilot(), "c", Some("k")).await.unwrap(), "T");
        let e = access_token(&w.ops, &pilot(), "c", None).await.unwrap_err().to_string();
        assert_eq!(e, "failed since token key is invalid for c");
        assert_eq!(access_token(&w.ops, &pilot(), "d", None).await.unwrap_err().to_string(), "'token' not found for d");
    }
}
