//! What a process keeps of small tables that are read with nearly every operation.

use std::sync::Arc;

use arc_swap::ArcSwapOption;

/// How old it may be before it is reread; a change by another process shows after this time.
const MAX_AGE_US: i64 = 1_000_000;

/// The contents of a table as they were read last, for a second.
#[derive(Debug)]
pub struct Held<T>(ArcSwapOption<(i64, Arc<T>)>);

impl<T> Default for Held<T> {
    fn default() -> Self {
        Self(ArcSwapOption::default())
    }
}

impl<T> Held<T> {
    /// What was read less than a second before `now_us`; a clock that was set back makes it be read anew.
    pub(crate) fn fresh(&self, now_us: i64) -> Option<Arc<T>> {
        let held = self.0.load_full()?;
        (0..MAX_AGE_US).contains(&(now_us - held.0)).then(|| held.1.clone())
    }
    /// Keeps what was read at `now_us`.
    pub(crate) fn keep(&self, now_us: i64, value: T) -> Arc<T> {
        let value = Arc::new(value);
        self.0.store(Some(Arc::new((now_us, value.clone()))));
        value
    }
}
