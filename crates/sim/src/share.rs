//! Who has how much of what runs, while everybody has something that waits.

use std::collections::BTreeMap;

use panda_core::job::state::JobState;
use panda_ops::{Ops, statistics};

use crate::{SimError, scenario::Share};

/// Simulated time between two samples, microseconds.
const EVERY_US: i64 = 600 * 1_000_000;

/// Running cores by share, added up over samples.
#[derive(Debug, Default)]
pub(crate) struct Shares {
    /// Leaves with their part of everything, 0 to 1.
    pub targets: BTreeMap<String, f64>,
    /// Part of the running cores, added up.
    pub sums: BTreeMap<String, f64>,
    /// Samples taken.
    pub samples: u64,
    /// Samples left out because a share had nothing that waits.
    pub without_demand: u64,
    next_us: i64,
}

impl Shares {
    pub fn new(shares: &[Share], from_us: i64) -> Self {
        Self { targets: targets(shares), next_us: from_us, ..Self::default() }
    }
    /// Takes a sample when it is time.
    pub async fn look(&mut self, ops: &Ops, now_us: i64) -> Result<(), SimError> {
        if self.targets.len() < 2 || now_us < self.next_us {
            return Ok(());
        }
        self.next_us = now_us + EVERY_US;
        let load = statistics::load(ops).await?;
        let of = |share: &str| load.share(share).cores(&[JobState::Sent, JobState::Starting, JobState::Running]);
        let running: BTreeMap<&str, i64> = self.targets.keys().map(|s| (s.as_str(), of(s))).collect();
        let all: i64 = running.values().sum();
        if all == 0 || self.targets.keys().any(|s| load.share(s).activated() == 0) {
            self.without_demand += 1;
            return Ok(());
        }
        self.samples += 1;
        for share in self.targets.keys() {
            let part = running.get(share.as_str()).copied().unwrap_or(0) as f64 / all as f64;
            *self.sums.entry(share.clone()).or_default() += part;
        }
        Ok(())
    }
}

/// The leaves' parts of everything.
fn targets(shares: &[Share]) -> BTreeMap<String, f64> {
    fn below(shares: &[Share], parent: Option<&str>, part: f64, out: &mut BTreeMap<String, f64>, depth: usize) {
        let parts: Vec<&Share> = shares.iter().filter(|s| s.parent.as_deref() == parent).collect();
        let all: f64 = parts.iter().map(|s| s.value).sum();
        for s in parts {
            let own = if all > 0.0 { part * s.value / all } else { 0.0 };
            let is_leaf = !shares.iter().any(|c| c.parent.as_deref() == Some(s.name.as_str()));
            if is_leaf {
                out.insert(s.name.clone(), own);
            } else if depth < shares.len() {
                below(shares, Some(&s.name), own, out, depth + 1);
            }
        }
    }
    let mut out = BTreeMap::new();
    below(shares, None, 1.0, &mut out, 0);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_parts_of_the_whole() {
        let share = |name: &str, parent: Option<&str>, value| Share { name: name.into(), parent: parent.map(Into::into), value };
        let all = [share("a", None, 75.0), share("b", None, 25.0), share("a1", Some("a"), 2.0), share("a2", Some("a"), 1.0)];
        let targets = targets(&all);
        assert_eq!(targets.iter().map(|(n, v)| (n.as_str(), *v)).collect::<Vec<_>>(), [("a1", 0.5), ("a2", 0.25), ("b", 0.25)]);
    }
}
