//! Retry rules of a site: its own, and changes of shipped ones.

use panda_core::{
    job::error::Source,
    policy::retry::rule::{Action, Params, Rule},
    time::Micros,
};

use crate::{Batch, Error, Store, query::code, statements};

statements! {
    [hot] read LIST = "retry_rule.list", "SELECT id, source, code, message, vo, label, architecture, release_name, share_name, action, active, expires_us, note, params FROM retry_rule WHERE id > :after ORDER BY id LIMIT 2000";
    write SET = "retry_rule.set", "INSERT INTO retry_rule (id, source, code, message, vo, label, architecture, release_name, share_name, action, active, expires_us, note, params, modified_us) VALUES (:id, :source, :code, :message, :vo, :label, :architecture, :release, :share, :action, :active, :expires, :note, :params, :now) {upsert(id): source,code,message,vo,label,architecture,release_name,share_name,action,active,expires_us,note,params,modified_us}";
    write DELETE = "retry_rule.delete", "DELETE FROM retry_rule WHERE id = :id";
}

/// A rule as stored; its parameters are JSON, which is read where it is used.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    /// The rule, without parameters.
    pub rule: Rule,
    /// Its parameters, a JSON object.
    pub params: String,
}

/// Every rule; at most 2,000.
pub async fn list(store: &Store) -> Result<Vec<Stored>, Error> {
    let rows = store.fetch(&LIST, vec![("after", 0.into())]).await?;
    rows.iter()
        .map(|r| {
            let text = |i| Ok::<_, Error>(r.opt_text(i)?.map(str::to_owned));
            let rule = Rule {
                id: r.int(0)?,
                source: code("error source", r.text(1)?, Source::parse(r.text(1)?).ok())?,
                code: r.opt_int(2)?,
                message: text(3)?,
                vo: text(4)?,
                label: text(5)?,
                architecture: text(6)?,
                release: text(7)?,
                share: text(8)?,
                action: code("retry action", r.text(9)?, Action::parse(r.text(9)?).ok())?,
                params: Params::default(),
                active: r.int(10)? != 0,
                expires: r.opt_int(11)?.map(Micros),
                note: text(12)?.unwrap_or_default(),
            };
            Ok(Stored { rule, params: text(13)?.unwrap_or_default() })
        })
        .collect()
}
/// Adds a rule, or replaces the one of its number.
pub fn set(batch: &mut Batch, rule: &Rule, params: &str, now_us: i64) {
    let text = |t: &Option<String>| t.as_deref().into();
    let some = |t: &str| if t.is_empty() { None } else { Some(t.to_owned()) };
    batch.exec(
        &SET,
        vec![
            ("id", rule.id.into()),
            ("source", rule.source.as_str().into()),
            ("code", rule.code.into()),
            ("message", text(&rule.message)),
            ("vo", text(&rule.vo)),
            ("label", text(&rule.label)),
            ("architecture", text(&rule.architecture)),
            ("release", text(&rule.release)),
            ("share", text(&rule.share)),
            ("action", rule.action.as_str().into()),
            ("active", rule.active.into()),
            ("expires", rule.expires.map(|at| at.0).into()),
            ("note", some(&rule.note).as_deref().into()),
            ("params", some(params).as_deref().into()),
            ("now", now_us.into()),
        ],
    );
}
/// Removes a rule.
pub fn delete(batch: &mut Batch, id: i64) {
    batch.exec(&DELETE, vec![("id", id.into())]);
}
