//! The common parts of job documents, kept by id: written once, read by every claim of a task.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use parking_lot::Mutex;

/// Most bytes kept; a common part has some kilobytes, so this is thousands of tasks, and a process stays small.
const MAX_BYTES: usize = 16 << 20;

#[derive(Debug, Default)]
struct Held {
    docs: HashMap<i64, Arc<str>>,
    order: VecDeque<i64>,
    bytes: usize,
}

/// A bounded cache; rows of `job_common` never change.
#[derive(Debug, Default)]
pub(super) struct Commons(Mutex<Held>);

impl Commons {
    pub(super) fn get(&self, id: i64) -> Option<Arc<str>> {
        self.0.lock().docs.get(&id).cloned()
    }
    /// Keeps a document, dropping the oldest ones beyond the bound.
    pub(super) fn put(&self, id: i64, doc: String) -> Arc<str> {
        let doc: Arc<str> = doc.into();
        let mut held = self.0.lock();
        if held.docs.insert(id, Arc::clone(&doc)).is_none() {
            held.order.push_back(id);
            held.bytes += doc.len();
        }
        while held.bytes > MAX_BYTES && held.order.len() > 1 {
            if let Some(old) = held.order.pop_front().and_then(|id| held.docs.remove(&id)) {
                held.bytes -= old.len();
            }
        }
        doc
    }
}
