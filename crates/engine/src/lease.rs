//! The engine's leases: each loop, or group of loops, runs in one process at a time; several processes on one database share them, and what a process
//! that fell silent held is taken by the others.
//!
//! Each process registers itself (`process:NAME`) and renews that with what it holds. Who should hold what follows from the list of living processes
//! alone, so that all come to the same answer without talking to each other. Safety does not rest on the leases: every batch carries guards on the rows
//! it was decided on, so that a process that has lost a lease without knowing changes nothing that it did not read.

use std::{
    collections::BTreeMap,
    sync::Arc,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    time::Duration,
};

use panda_ops::Ops;
use panda_store::{Batch, query::lease, query::lease::Lease, stmt::Dialect};

use crate::EngineError;

/// How long a process may be silent before others take what it held, microseconds.
pub const TTL_US: i64 = 6_000_000;
/// How often leases are renewed; a quarter of their life.
pub const PERIOD: Duration = Duration::from_millis(1_500);
/// A process that has not renewed its row for so long, two periods and a little, gets nothing new: who is dead should not be waited for.
const SEEN_US: i64 = 3_500_000;
/// Rows of processes that fell silent are kept so long, microseconds, for those who look.
const FORGET_US: i64 = 3_600_000_000;
/// Kind of the leases on parts, in their names.
pub const KIND: &str = "engine";
/// Kind of the leases by which processes are known.
pub const PROCESSES: &str = "process";
/// Most characters of a process's name: what the column of names leaves.
pub const MAX_NAME: usize = 50;
/// Tries of a round in which others changed the same leases.
const TRIES: usize = 4;

/// What is leased, in the order in which living processes get them in turn: the two that work most come first, so that two processes have one each.
pub const PARTS: [&str; 14] =
    ["make", "finish", "merge", "close", "command", "effect", "watch", "balance", "count", "brake", "archive", "sweep", "dag", "workers"];

/// One part, as the loops and the keeper of leases see it.
#[derive(Debug, Default)]
pub struct Part {
    /// Whether a loop may begin a step.
    leads: AtomicBool,
    /// Loops that are in a step.
    busy: AtomicUsize,
}

impl Part {
    /// Lets a loop step as long as what it gets lives; nothing when another process has the part.
    pub fn enter(&self) -> Option<Entered<'_>> {
        // First busy, then the question: the keeper asks the other way round.
        self.busy.fetch_add(1, SeqCst);
        let entered = Entered(self);
        self.leads.load(SeqCst).then_some(entered)
    }
    /// Whether this process has the part.
    #[must_use]
    pub fn leads(&self) -> bool {
        self.leads.load(SeqCst)
    }
    /// Says whether steps may begin; true when that is so and none is under way that began before.
    fn set(&self, leads: bool) -> bool {
        self.leads.store(leads, SeqCst);
        self.busy.load(SeqCst) == 0
    }
}

/// A loop is in a step.
#[derive(Debug)]
pub struct Entered<'a>(&'a Part);

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, SeqCst);
    }
}

/// The parts, shared by the loops and the keeper of leases of a process.
#[derive(Debug, Default)]
pub struct Parts([Part; PARTS.len()]);

impl Parts {
    /// The part of this name, one of [`PARTS`].
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Part> {
        PARTS.iter().position(|p| *p == name).and_then(|n| self.0.get(n))
    }
}

/// Keeps the leases of one process.
#[derive(Debug)]
pub struct Keeper {
    name: String,
    /// Epoch of this process's own row.
    own: Option<i64>,
    /// Epochs of the parts it holds.
    epochs: BTreeMap<usize, i64>,
    parts: Arc<Parts>,
}

/// Who of `live` (sorted, each once) should hold a part.
fn wanted<'a>(live: &[&'a str], part: usize) -> Option<&'a str> {
    live.get(part.checked_rem(live.len())?).copied()
}

fn lease_name(part: usize) -> String {
    format!("{KIND}:{}", PARTS.get(part).unwrap_or(&""))
}

impl Keeper {
    /// Holds nothing yet.
    #[must_use]
    pub fn new(name: &str, parts: Arc<Parts>) -> Self {
        Self { name: name.chars().take(MAX_NAME).collect(), own: None, epochs: BTreeMap::new(), parts }
    }
    /// Whether it holds anything, and the names of what it holds.
    pub fn held(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.epochs.keys().filter_map(|n| PARTS.get(*n).copied())
    }
    /// Renews what this process should hold, takes what is free of it, and gives back what another should hold. No loop steps on after an error.
    pub async fn keep(&mut self, ops: &Ops) -> Result<(), EngineError> {
        for _ in 0..TRIES {
            match self.round(ops).await {
                Err(e) if e.is_conflict() => {}
                other => {
                    if other.is_err() {
                        self.lead(|_| false);
                    }
                    return other;
                }
            }
        }
        // Others change the same rows all the time: what is held is valid until it is seen to be lost.
        Ok(())
    }
    /// In which parts the loops step on.
    fn lead(&self, leads: impl Fn(usize) -> bool) {
        for (n, part) in self.parts.0.iter().enumerate() {
            part.set(leads(n));
        }
    }
    async fn round(&mut self, ops: &Ops) -> Result<(), EngineError> {
        let now = ops.now().0;
        let alone = ops.store.dialect() == Dialect::Sqlite;
        if alone && self.own.is_some() && self.epochs.len() == PARTS.len() {
            // Nobody else is there who could want any of it.
            self.lead(|_| true);
            return Ok(());
        }
        let (processes, leases) = (lease::kind(&ops.store, PROCESSES).await?, lease::kind(&ops.store, KIND).await?);
        let mut live: Vec<&str> = vec![&self.name];
        // A SQLite folder has one process: whoever held anything is gone.
        live.extend(
            processes.iter().filter(|p| !alone && p.until_us - TTL_US + SEEN_US >= now && p.name != self.name).map(|p| p.name.as_str()),
        );
        live.sort_unstable();
        let mut batch = Batch::new();
        let own = self.register(&mut batch, &processes, now);
        let mut epochs = BTreeMap::new();
        for (n, part) in self.parts.0.iter().enumerate() {
            let row = leases.iter().find(|l| PARTS.get(n) == Some(&l.name.as_str()));
            let mine = wanted(&live, n) == Some(&self.name);
            let held = row.filter(|l| self.epochs.get(&n) == Some(&l.epoch));
            let idle = held.is_none() || mine || part.set(false);
            match (row, held) {
                // Its loop ends the step it is in before it is given back.
                (_, Some(l)) if mine || !idle => {
                    lease::renew(&mut batch, &lease_name(n), l.epoch, now + TTL_US);
                    epochs.insert(n, l.epoch);
                }
                (_, Some(l)) => lease::renew(&mut batch, &lease_name(n), l.epoch, 0),
                (None, None) if mine => {
                    lease::add(&mut batch, &lease_name(n), &self.name, now + TTL_US);
                    epochs.insert(n, 1);
                }
                (Some(l), None) if mine && (alone || self.may_take(l, now)) => {
                    lease::take(&mut batch, &lease_name(n), &self.name, l.epoch, now + TTL_US);
                    epochs.insert(n, l.epoch + 1);
                }
                _ => {}
            }
        }
        match ops.store.apply(batch).await {
            // Two processes made the same row.
            Err(panda_store::Error::Duplicate(what)) => return Err(panda_store::Error::Conflict(what).into()),
            other => other?,
        }
        self.own = Some(own);
        self.epochs = epochs;
        self.lead(|n| self.epochs.contains_key(&n) && wanted(&live, n) == Some(&self.name));
        Ok(())
    }
    /// Free, or of a process that is silent, or of one of our own name, which then is gone.
    fn may_take(&self, l: &Lease, now: i64) -> bool {
        l.until_us < now || l.holder.as_deref() == Some(&self.name)
    }
    /// Makes or renews the row of this process, and takes away rows of those long gone. The epoch it then has.
    fn register(&self, batch: &mut Batch, processes: &[Lease], now: i64) -> i64 {
        for p in processes.iter().filter(|p| p.until_us + FORGET_US < now && p.name != self.name) {
            lease::drop(batch, &format!("{PROCESSES}:{}", p.name), p.epoch);
        }
        let name = format!("{PROCESSES}:{}", self.name);
        match processes.iter().find(|p| p.name == self.name) {
            Some(p) if self.own == Some(p.epoch) => {
                lease::renew(batch, &name, p.epoch, now + TTL_US);
                p.epoch
            }
            Some(p) => {
                lease::take(batch, &name, &self.name, p.epoch, now + TTL_US);
                p.epoch + 1
            }
            None => {
                lease::add(batch, &name, &self.name, now + TTL_US);
                1
            }
        }
    }
    /// Gives all back, once no loop is in a step, so that the next process need not wait.
    pub async fn give_back(&mut self, ops: &Ops) {
        let mut batch = Batch::new();
        for (n, epoch) in std::mem::take(&mut self.epochs) {
            lease::renew(&mut batch, &lease_name(n), epoch, 0);
        }
        if let Some(epoch) = self.own.take() {
            lease::drop(&mut batch, &format!("{PROCESSES}:{}", self.name), epoch);
        }
        if let Err(e) = ops.store.apply(batch).await {
            tracing::debug!("the engine's leases were not given back: {e}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_shared_among_the_living() {
        let of = |live: &[&str], me: &str| (0..PARTS.len()).filter(|n| wanted(live, *n) == Some(me)).count();
        assert_eq!((of(&["a"], "a"), of(&["a", "b"], "b"), of(&["a", "b", "c"], "c"), of(&[], "a")), (14, 7, 4, 0));
        assert_ne!(wanted(&["a", "b"], 0), wanted(&["a", "b"], 1), "making and finishing jobs are of two processes");
    }

    #[test]
    fn a_step_under_way_is_seen() {
        let part = Part::default();
        assert!(part.enter().is_none(), "it is not held");
        assert!(part.set(true));
        let step = part.enter();
        assert!(step.is_some() && !part.set(false), "the step goes on");
        drop(step);
        assert!(part.set(false) && part.enter().is_none());
    }
}
