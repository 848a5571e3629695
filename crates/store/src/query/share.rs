//! Configured shares.

use crate::{Batch, Error, Store, statements};

/// Name of the lease row whose epoch is the revision of all shares together.
pub const REVISION: &str = "shares";

statements! {
    [hot] read LIST = "share.list", "SELECT name, parent, part_percent, throttled, rank_no, rules FROM share_node WHERE name > :after ORDER BY name LIMIT 2000";
    write SET = "share.set", "INSERT INTO share_node (name, parent, part_percent, throttled, rank_no, rules) VALUES (:name, :parent, :percent, :throttled, :rank, :rules) {upsert(name): parent,part_percent,throttled,rank_no,rules}";
    write DELETE = "share.delete", "DELETE FROM share_node WHERE name = :name";
}

/// A share as stored.
#[derive(Debug, Clone, PartialEq)]
pub struct ShareRow {
    /// Name.
    pub name: String,
    /// What it is a part of.
    pub parent: Option<String>,
    /// Percent among its siblings.
    pub percent: f64,
    /// Whether generation for it is throttled.
    pub throttled: bool,
    /// Order of matching.
    pub rank: i64,
    /// Patterns by name, a JSON object.
    pub rules: String,
}

/// Every share, by name; at most 2,000.
pub async fn list(store: &Store) -> Result<Vec<ShareRow>, Error> {
    let rows = store.fetch(&LIST, vec![("after", " ".into())]).await?;
    rows.iter()
        .map(|r| {
            Ok(ShareRow {
                name: r.text(0)?.to_owned(),
                parent: r.opt_text(1)?.map(str::to_owned),
                percent: r.opt_real(2)?.unwrap_or_default(),
                throttled: r.int(3)? != 0,
                rank: r.int(4)?,
                rules: r.text(5)?.to_owned(),
            })
        })
        .collect()
}
/// Adds or replaces a share. The caller moves [`REVISION`] in the same batch.
pub fn set(batch: &mut Batch, s: &ShareRow) {
    batch.exec(
        &SET,
        vec![
            ("name", (&s.name).into()),
            ("parent", s.parent.as_deref().into()),
            ("percent", s.percent.into()),
            ("throttled", s.throttled.into()),
            ("rank", s.rank.into()),
            ("rules", (&s.rules).into()),
        ],
    );
}
/// Takes a share away. The caller moves [`REVISION`] in the same batch.
pub fn delete(batch: &mut Batch, name: &str) {
    batch.exec(&DELETE, vec![("name", name.into())]);
}
