//! Which uploaded files tasks and jobs name: such a file stays as long as one of them may need it, and a use makes it young again.

use panda_core::policy::retention::named_files;
use panda_store::{Batch, query::cache};

use crate::{Ops, OpsError};

/// A file that is read all the time is noted as used once in so long, microseconds (`spec/engine.md` section 13.1: touched once a day).
const TOUCH_US: i64 = 86_400 * 1_000_000;
/// Names of which this process remembers that they were touched.
const MAX_REMEMBERED: usize = 10_000;

/// Notes the uploaded files that a task's parameters, or a job's, name. Goes into the batch that makes the task or job.
pub fn name(ops: &Ops, batch: &mut Batch, subject: i64, text: &str) {
    for name in mention(batch, subject, text) {
        touch(ops, batch, name);
    }
}

/// As [`name`], without making the files young: for many jobs that name the same. The answer is what they name.
pub fn mention<'a>(batch: &mut Batch, subject: i64, text: &'a str) -> Vec<&'a str> {
    let names = named_files(text);
    names.iter().for_each(|name| cache::use_by(batch, name, subject));
    names
}

/// Makes a file young.
pub fn touch(ops: &Ops, batch: &mut Batch, name: &str) {
    let now = ops.now().0;
    cache::touch_old(batch, name, now, now);
}

/// Somebody reads an uploaded file.
pub async fn read(ops: &Ops, name: &str) -> Result<(), OpsError> {
    let now = ops.now().0;
    {
        let mut touched = ops.live.touched.lock();
        if touched.get(name).is_some_and(|at| now - at < TOUCH_US) {
            return Ok(());
        }
        if touched.len() >= MAX_REMEMBERED {
            touched.clear();
        }
        touched.insert(name.to_owned(), now);
    }
    let mut batch = Batch::new();
    cache::touch_old(&mut batch, name, now, now - TOUCH_US);
    ops.store.apply(batch).await.map_err(Into::into)
}
