//! Latencies and rates of one run.

use std::time::Duration;

/// What one kind of operation reached.
#[derive(Debug, Clone)]
pub struct Figure {
    /// Operations that were answered as wanted.
    pub done: usize,
    /// Answers that were not (e.g. "no jobs" while there are some).
    pub other: usize,
    /// Wall time.
    pub wall: Duration,
    /// Every latency, sorted.
    pub latencies: Vec<Duration>,
    /// CPU seconds of the server process.
    pub server_cpu: f64,
    /// CPU seconds of the database's processes (0 when it is embedded).
    pub database_cpu: f64,
}

impl Figure {
    /// Operations a second.
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.done as f64 / self.wall.as_secs_f64().max(1e-9)
    }
    /// The latency below which this share of operations lies.
    #[must_use]
    pub fn quantile(&self, q: f64) -> Duration {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index")]
        let at = ((self.latencies.len() as f64 * q) as usize).min(self.latencies.len().saturating_sub(1));
        self.latencies.get(at).copied().unwrap_or_default()
    }
    /// One row of the table.
    #[must_use]
    pub fn row(&self, what: &str, callers: usize) -> String {
        let per = |cpu: f64| cpu * 1e6 / self.done.max(1) as f64;
        format!(
            "| {what} | {callers} | {:.0} | {:.2} | {:.2} | {:.1} | {:.0} | {:.0} | {} |",
            self.rate(),
            self.quantile(0.5).as_secs_f64() * 1e3,
            self.quantile(0.99).as_secs_f64() * 1e3,
            self.quantile(1.0).as_secs_f64() * 1e3,
            per(self.server_cpu),
            per(self.database_cpu),
            self.other
        )
    }
}

/// Head of the table that [`Figure::row`] fills.
pub const HEAD: &str = "| operation | callers | per second | p50 ms | p99 ms | longest ms | server µs/op | database µs/op | other answers |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|";
