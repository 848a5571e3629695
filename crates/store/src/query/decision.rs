//! Records of decisions: why something waits, or went where it went; the latest of each (subject, stage).

use crate::{Batch, Error, Store, statements};

statements! {
    write SET = "decision.set", "INSERT INTO decision (subject_id, stage, at_us, doc) VALUES (:subject, :stage, :at, :doc) {upsert(subject_id,stage): at_us,doc}";
    [hot] read LIST = "decision.list", "SELECT stage, at_us, doc FROM decision WHERE subject_id = :subject ORDER BY stage LIMIT 50";
    [hot] read GET = "decision.get", "SELECT at_us, doc FROM decision WHERE subject_id = :subject AND stage = :stage LIMIT 1";
    [hot] read OF_STAGE = "decision.of_stage", "SELECT subject_id, at_us, doc FROM decision WHERE subject_id IN (:ids*) AND stage = :stage LIMIT 1000";
    [hot] read STAGES = "decision.stages", "SELECT subject_id, stage, at_us FROM decision WHERE subject_id IN (:ids*) ORDER BY subject_id, stage LIMIT 20000";
    // The present record as a past one.
    [hot] write KEEP = "decision_history.keep", "INSERT INTO decision_history (subject_id, stage, at_us, doc) SELECT subject_id, stage, at_us, doc FROM decision WHERE subject_id = :subject AND stage = :stage {skip_dup(subject_id,stage,at_us)}",
        // There the columns of both tables would be meant.
        mysql: "INSERT IGNORE INTO decision_history (subject_id, stage, at_us, doc) SELECT subject_id, stage, at_us, doc FROM decision WHERE subject_id = :subject AND stage = :stage";
    [hot] read HISTORY = "decision_history.list", "SELECT stage, at_us, doc FROM decision_history WHERE subject_id = :subject AND stage = :stage ORDER BY at_us DESC LIMIT 50";
    [hot] write FORGET = "decision_history.forget", "DELETE FROM decision_history WHERE subject_id = :subject AND stage = :stage AND at_us < :before";
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
/// Most past records kept of a stage.
pub const MAX_HISTORY: usize = 20;

/// The latest record of a stage: its time and document.
pub async fn get(store: &Store, subject: i64, stage: &str) -> Result<Option<(i64, String)>, Error> {
    let rows = store.fetch(&GET, vec![("subject", subject.into()), ("stage", stage.into())]).await?;
    rows.first().map(|r| Ok((r.int(0)?, r.text(1)?.to_owned()))).transpose()
}
/// The latest records of a stage of these subjects (at most 1,000): subject, time and document.
pub async fn of_stage(store: &Store, subjects: &[i64], stage: &str) -> Result<Vec<(i64, i64, String)>, Error> {
    let rows = store.fetch(&OF_STAGE, vec![("ids", subjects.to_vec().into()), ("stage", stage.into())]).await?;
    rows.iter().map(|r| Ok((r.int(0)?, r.int(1)?, r.text(2)?.to_owned()))).collect()
}
/// Which stages these subjects (at most 1,000) have records of, without the documents: subject, stage and time. At most 20,000.
pub async fn stages(store: &Store, subjects: &[i64]) -> Result<Vec<(i64, String, i64)>, Error> {
    let rows = store.fetch(&STAGES, vec![("ids", subjects.to_vec().into())]).await?;
    rows.iter().map(|r| Ok((r.int(0)?, r.text(1)?.to_owned(), r.int(2)?))).collect()
}
/// Keeps the present record of a stage as a past one; [`set`] follows in the same batch.
pub fn keep(batch: &mut Batch, subject: i64, stage: &str) {
    batch.exec(&KEEP, vec![("subject", subject.into()), ("stage", stage.into())]);
}
/// Past records of a stage, the latest first; at most 50.
pub async fn history(store: &Store, subject: i64, stage: &str) -> Result<Vec<Decision>, Error> {
    let rows = store.fetch(&HISTORY, vec![("subject", subject.into()), ("stage", stage.into())]).await?;
    rows.iter().map(|r| Ok(Decision { stage: r.text(0)?.to_owned(), at_us: r.int(1)?, doc: r.text(2)?.to_owned() })).collect()
}
/// Forgets past records of a stage that are older than `before_us`.
pub fn forget(batch: &mut Batch, subject: i64, stage: &str, before_us: i64) {
    batch.exec(&FORGET, vec![("subject", subject.into()), ("stage", stage.into()), ("before", before_us.into())]);
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
