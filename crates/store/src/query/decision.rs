//! Records of decisions: why something waits, or went where it went; the latest of each (subject, stage).

use crate::{Batch, Error, Store, statements};

statements! {
    write SET = "decision.set", "INSERT INTO decision (subject_id, stage, at_us, doc) VALUES (:subject, :stage, :at, :doc) {upsert(subject_id,stage): at_us,doc}";
    [hot] read LIST = "decision.list", "SELECT stage, at_us, doc FROM decision WHERE subject_id = :subject ORDER BY stage LIMIT 50";
    write DELETE = "decision.delete", "DELETE FROM decision WHERE subject_id = :subject AND stage = :stage";
}

/// One record; `doc` is a JSON object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// `broker`, `hold`, …
    pub stage: String,
    /// Microseconds UTC.
    pub at_us: i64,
    /// JSON.
    pub doc: String,
}

/// Writes the latest record of a stage. `subject` is a task or job id: their ranges do not meet.
pub fn set(batch: &mut Batch, subject: i64, stage: &str, at_us: i64, doc: &str) {
    batch.exec(&SET, vec![("subject", subject.into()), ("stage", stage.into()), ("at", at_us.into()), ("doc", doc.into())]);
}
/// Forgets a stage's record.
pub fn delete(batch: &mut Batch, subject: i64, stage: &str) {
    batch.exec(&DELETE, vec![("subject", subject.into()), ("stage", stage.into())]);
}
/// The records of a task or job, by stage.
pub async fn list(store: &Store, subject: i64) -> Result<Vec<Decision>, Error> {
    let rows = store.fetch(&LIST, vec![("subject", subject.into())]).await?;
    rows.iter().map(|r| Ok(Decision { stage: r.text(0)?.to_owned(), at_us: r.int(1)?, doc: r.text(2)?.to_owned() })).collect()
}
