//! Libraries that tasks may use which did not build them.

use panda_core::id::QueueId;

use crate::{Batch, Error, Store, statements};

statements! {
    [hot] read GET = "library.get", "SELECT file_id, made_us FROM task_library WHERE made_of = :made_of AND queue_id = :queue LIMIT 1";
    write SET = "library.set", "INSERT INTO task_library (made_of, queue_id, file_id, made_us) VALUES (:made_of, :queue, :file, :now) {upsert(made_of,queue_id): file_id,made_us}";
}

/// File row of the newest library made of this on a queue, and when its build was made (microseconds UTC).
pub async fn get(store: &Store, made_of: &str, queue: QueueId) -> Result<Option<(i64, i64)>, Error> {
    let rows = store.fetch(&GET, vec![("made_of", made_of.into()), ("queue", queue.into())]).await?;
    rows.first().map(|r| Ok((r.int(0)?, r.int(1)?))).transpose()
}
/// Notes a library that is being built.
pub fn set(batch: &mut Batch, made_of: &str, queue: QueueId, file: i64, now_us: i64) {
    let binds = vec![("made_of", made_of.into()), ("queue", queue.into()), ("file", file.into()), ("now", now_us.into())];
    batch.exec(&SET, binds);
}
