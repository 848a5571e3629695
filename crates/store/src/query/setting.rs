//! Settings that differ from their shipped values.

use crate::{Batch, Error, Store, statements};

statements! {
    [hot] read LIST = "setting.list", "SELECT name, vo, label, value FROM setting WHERE name > :after ORDER BY name, vo, label LIMIT 5000";
    write SET = "setting.set", "INSERT INTO setting (name, vo, label, value, modified_us) VALUES (:name, :vo, :label, :value, :now) {upsert(name,vo,label): value,modified_us}";
    write DELETE = "setting.delete", "DELETE FROM setting WHERE name = :name AND vo = :vo AND label = :label";
}

/// A value: name, VO, label (`*` = any), value.
pub type Row = ((String, String, String), String);

/// Every value; at most 5,000.
pub async fn list(store: &Store) -> Result<Vec<Row>, Error> {
    let rows = store.fetch(&LIST, vec![("after", " ".into())]).await?;
    let text = |r: &crate::Row, i| r.text(i).map(str::to_owned);
    rows.iter().map(|r| Ok(((text(r, 0)?, text(r, 1)?, text(r, 2)?), text(r, 3)?))).collect()
}
/// Writes a value.
pub fn set(batch: &mut Batch, name: &str, vo: &str, label: &str, value: &str, now_us: i64) {
    let binds = vec![("name", name.into()), ("vo", vo.into()), ("label", label.into()), ("value", value.into()), ("now", now_us.into())];
    batch.exec(&SET, binds);
}
/// Goes back to the shipped value.
pub fn delete(batch: &mut Batch, name: &str, vo: &str, label: &str) {
    batch.exec(&DELETE, vec![("name", name.into()), ("vo", vo.into()), ("label", label.into())]);
}
