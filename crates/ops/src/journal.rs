//! The journal, for people.

use panda_access::{Object, Principal, Right, table};
use panda_store::query::journal as rows;
use serde_json::{Value, json};

use crate::{Ops, OpsError, clock};

/// Most lines looked at for one answer: those of other VOs are left out.
const MAX_SCANNED: i64 = 5_000;
/// Most lines of an answer.
const MAX_LINES: i64 = 1_000;

/// `{"lines": [{"id", "at", "area", "what", "subject", "who", "doc"}], "next"}`, the newest first, with numbers below `before`. Administrators of a VO see what its people did,
/// operators everything. `next` is null when there is no more.
pub async fn list(ops: &Ops, who: &Principal, area: Option<&str>, before: Option<i64>, limit: i64) -> Result<Value, OpsError> {
    table::admit(Right::JournalRead, Some(who))?;
    let limit = limit.clamp(1, MAX_LINES);
    let (mut lines, mut before, mut scanned) = (Vec::new(), before.unwrap_or(i64::MAX), 0);
    loop {
        let page = rows::list(&ops.store, area.filter(|a| !a.is_empty()), before, limit).await?;
        for l in &page {
            before = l.id;
            let doc: Value = l.doc.as_deref().and_then(|d| serde_json::from_str(d).ok()).unwrap_or_default();
            let vo = doc["vo"].as_str().unwrap_or_default();
            if table::allowed(Right::JournalRead, Some(who), Some(Object::of_vo(vo))).is_ok() {
                lines.push(json!({
                    "id": l.id, "at": clock::text(l.at_us), "area": l.area, "what": l.what, "subject": l.subject, "who": l.who, "doc": doc,
                }));
            }
            if lines.len() as i64 >= limit {
                return Ok(json!({ "lines": lines, "next": before }));
            }
        }
        scanned += page.len() as i64;
        if (page.len() as i64) < limit {
            return Ok(json!({ "lines": lines, "next": null }));
        }
        if scanned >= MAX_SCANNED {
            return Ok(json!({ "lines": lines, "next": before }));
        }
    }
}
