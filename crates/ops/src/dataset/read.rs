//! Lists of data sets and of their files.

use panda_access::{Principal, Right, table};
use panda_store::query::dataset::{self, DatasetFile, DatasetRow};
use serde_json::{Value, json};

use super::{Name, vo_of};
use crate::{Ops, OpsError, clock};

/// Most lines of one answer.
pub const MAX_LINES: usize = 1_000;
/// Most data sets looked at for one page of a filtered list.
const MAX_SCANNED: usize = 50_000;

/// `{"datasets": [{"name", "scope", "state", "n_files", "n_bytes", "created"}], "next": name}` of the caller's VO by name, above `after`;
/// `pattern` may hold `*`. `next` is null on the last page.
pub async fn list(ops: &Ops, who: &Principal, pattern: Option<&str>, after: &str, limit: usize) -> Result<Value, OpsError> {
    table::allowed(Right::Read, Some(who), None)?;
    let vo = vo_of(ops, who).await?;
    let limit = limit.clamp(1, MAX_LINES);
    let fits = |name: &str| pattern.filter(|p| !p.is_empty()).is_none_or(|p| wildcard(p, name));
    let (mut found, mut scanned, mut next) = (Vec::new(), 0, after.to_owned());
    while found.len() < limit && scanned < MAX_SCANNED {
        let page = dataset::list(&ops.store, &vo, &next, panda_store::query::MAX_PAGE).await?;
        let Some(last) = page.last() else { return Ok(json!({"datasets": found, "next": null})) };
        scanned += page.len();
        next.clone_from(&last.name);
        for d in &page {
            if found.len() == limit {
                break;
            }
            if fits(&d.name) {
                next.clone_from(&d.name);
                found.push(line(d));
            } else if found.len() + 1 == limit {
                next.clone_from(&d.name);
            }
        }
        if found.len() < limit {
            next = page.last().map(|d| d.name.clone()).unwrap_or_default();
        }
    }
    Ok(json!({"datasets": found, "next": next}))
}

/// [`list`]'s line, with `"files": [{"lfn", "scope", "guid", "size", "checksum", "events", "surl", "rse"}]` by name above `after`, and `next`.
pub async fn show(ops: &Ops, who: &Principal, name: &str, after: &str, limit: usize) -> Result<Value, OpsError> {
    table::allowed(Right::Read, Some(who), None)?;
    let (vo, name) = (vo_of(ops, who).await?, Name::parse(name)?);
    let missing = || OpsError::NotFound(format!("data set {} of VO {vo} not found; `panda dataset list` shows what there is", name.name));
    let row = dataset::by_name(&ops.store, &vo, &name.name).await?.ok_or_else(missing)?;
    let limit = limit.clamp(1, MAX_LINES);
    let files = dataset::files(&ops.store, row.id, after, i64::try_from(limit).unwrap_or(1)).await?;
    let next = files.last().filter(|_| files.len() == limit).map(|f| f.lfn.clone());
    let mut answer = line(&row);
    if let Value::Object(m) = &mut answer {
        m.insert("files".into(), files.iter().map(file).collect());
        m.insert("next".into(), next.into());
    }
    Ok(answer)
}

fn line(d: &DatasetRow) -> Value {
    json!({
        "name": d.name, "scope": d.scope, "vo": d.vo, "state": d.state, "n_files": d.n_files, "n_bytes": d.n_bytes,
        "created": clock::text(d.created_us),
    })
}
fn file(f: &DatasetFile) -> Value {
    json!({
        "lfn": f.lfn, "scope": f.scope, "guid": f.guid, "size": f.fsize, "checksum": f.checksum, "events": f.n_events, "surl": f.surl, "rse": f.rse,
    })
}

/// Whether a name fits a pattern in which `*` stands for any text.
fn wildcard(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = name.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{World, alice, bob};

    #[test]
    fn stars() {
        for (pattern, name, want) in [
            ("a*", "abc", true),
            ("*c", "abc", true),
            ("a*c", "abc", true),
            ("a*b*c", "abc", true),
            ("abc", "abc", true),
            ("ab", "abc", false),
            ("a*b", "abc", false),
            ("*x*", "abc", false),
            ("*", "", true),
        ] {
            assert_eq!(wildcard(pattern, name), want, "{pattern} {name}");
        }
    }

    #[tokio::test]
    async fn pages_go_by_name() {
        let w = World::new().await;
        let person = w.ops.person(&alice()).await.unwrap().id;
        for name in ["a.one", "b.two", "c.three", "d.two"] {
            super::super::ensure(&w.ops, "amber", &Name::parse(name).unwrap(), person).await.unwrap();
        }
        let ask = async |pattern: Option<&str>, after: &str, n| {
            let got = list(&w.ops, &bob(), pattern, after, n).await.unwrap();
            let names: Vec<String> = got["datasets"].as_array().unwrap().iter().map(|d| d["name"].as_str().unwrap().to_owned()).collect();
            (names.join(" "), got["next"].as_str().map(str::to_owned))
        };
        assert_eq!(ask(None, "", 3).await, ("a.one b.two c.three".into(), Some("c.three".into())));
        assert_eq!(ask(None, "c.three", 3).await, ("d.two".into(), None));
        assert_eq!(ask(Some("*.two"), "", 1).await, ("b.two".into(), Some("b.two".into())));
        assert_eq!(ask(Some("*.two"), "b.two", 5).await, ("d.two".into(), None));
        let shown = show(&w.ops, &bob(), "b:b.two/", "", 10).await.unwrap();
        assert_eq!((&shown["name"], &shown["files"], &shown["next"]), (&"b.two".into(), &json!([]), &Value::Null));
        assert!(show(&w.ops, &bob(), "nope", "", 10).await.unwrap_err().to_string().contains("not found"));
    }
}
