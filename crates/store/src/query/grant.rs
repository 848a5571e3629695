//! Roles that people were granted here, and bans.

use crate::{Batch, Error, Row, Store, batch::Binds, statements};

/// A role of somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantRow {
    /// Who vouches for the subject.
    pub issuer: String,
    /// The subject at its issuer; the short name (`preferred_username`) while it is pending.
    pub subject: String,
    /// The person has not come yet: who comes first under this short name gets it.
    pub pending: bool,
    /// The role, or `banned`.
    pub role: String,
    /// `*`, `vo:<name>` or `site:<name>`.
    pub reach: String,
    /// Name to show.
    pub shown: String,
    /// Who granted it.
    pub by: String,
    /// When, microseconds.
    pub at_us: i64,
    /// When it ends, microseconds.
    pub until_us: Option<i64>,
}

statements! {
    [hot] read LIST = "grant.list", "SELECT issuer, subject, pending, role, reach, shown, by_name, at_us, until_us FROM role_grant WHERE issuer >= :after ORDER BY issuer, subject, pending, role, reach LIMIT 10000";
    write SET = "grant.set", "INSERT INTO role_grant (issuer, subject, pending, role, reach, shown, by_name, at_us, until_us) VALUES (:issuer, :subject, :pending, :role, :reach, :shown, :by, :at, :until) {upsert(issuer,subject,pending,role,reach): shown,by_name,at_us,until_us}";
    write DELETE = "grant.delete", "DELETE FROM role_grant WHERE issuer = :issuer AND subject = :subject AND pending = :pending AND role = :role AND reach = :reach";
}

fn read(r: &Row) -> Result<GrantRow, Error> {
    Ok(GrantRow {
        issuer: r.text(0)?.to_owned(),
        subject: r.text(1)?.to_owned(),
        pending: r.int(2)? != 0,
        role: r.text(3)?.to_owned(),
        reach: r.text(4)?.to_owned(),
        shown: r.text(5)?.to_owned(),
        by: r.text(6)?.to_owned(),
        at_us: r.int(7)?,
        until_us: r.opt_int(8)?,
    })
}

/// Every grant and ban; at most 10,000.
pub async fn list(store: &Store) -> Result<Vec<GrantRow>, Error> {
    store.fetch(&LIST, vec![("after", " ".into())]).await?.iter().map(read).collect()
}
fn key(g: &GrantRow) -> Binds {
    vec![
        ("issuer", (&g.issuer).into()),
        ("subject", (&g.subject).into()),
        ("pending", i64::from(g.pending).into()),
        ("role", (&g.role).into()),
        ("reach", (&g.reach).into()),
    ]
}
/// Writes a grant.
pub fn set(batch: &mut Batch, g: &GrantRow) {
    let mut binds = key(g);
    binds.extend([("shown", (&g.shown).into()), ("by", (&g.by).into()), ("at", g.at_us.into()), ("until", g.until_us.into())]);
    batch.exec(&SET, binds);
}
/// Takes a grant away; one that is not there is no error.
pub fn delete(batch: &mut Batch, g: &GrantRow) {
    batch.exec(&DELETE, key(g));
}
