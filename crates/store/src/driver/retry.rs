//! Trying again after deadlocks, serialisation failures and connections lost before the commit: the one place.

use std::time::Duration;

use crate::error::Error;

/// Tries of one unit.
const TRIES: u32 = 6;

/// Runs `unit` until it succeeds, fails for good, or has been tried six times, with growing pauses between.
pub(super) async fn retry<T, F: Future<Output = Result<T, Error>>>(mut unit: impl FnMut() -> F) -> Result<T, Error> {
    let mut tried = 1;
    loop {
        match unit().await {
            Err(Error::Backend { retryable: true, statement, message }) if tried < TRIES => {
                tracing::debug!(statement, message, tried, "trying again");
                // 1, 2, 4, 8, 16 ms: the other party of a deadlock is done by then.
                tokio::time::sleep(Duration::from_millis(1 << (tried - 1))).await;
                tried += 1;
            }
            other => return other,
        }
    }
}
