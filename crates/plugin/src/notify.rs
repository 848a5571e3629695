//! Notification: who is told that a task changed.

use futures::future::BoxFuture;
use serde_json::Value;

use crate::Error;

/// Tells people, or another system, of changes of tasks.
pub trait Notifier: Send + Sync {
    /// What is wrong with it when it does not work now: one sentence that names it.
    fn trouble(&self) -> Option<String> {
        None
    }
    /// Tells of a change; the same `key` again is the same news. `news` has the fields that a webhook is posted: `event`, `task_id`, `name`, `vo`,
    /// `label`, `owner`, `from`, `to`, `by`, `reason`, `at`, `url`. [`Error::Unknown`] says that nobody wants it: it is not tried again.
    fn tell<'a>(&'a self, key: &'a str, news: &'a Value) -> BoxFuture<'a, Result<(), Error>>;
}
