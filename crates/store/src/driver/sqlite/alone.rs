//! One connection that its caller's own thread works with, for simulations: no threads to hand work to, no sync of the disk, and a commit now and
//! then. A crash loses what was written; a unit that fails is undone as everywhere.

use std::{
    fs::File,
    panic::{AssertUnwindSafe, catch_unwind},
};

use parking_lot::Mutex;

use super::Session;
use crate::error::Error;

/// Units of one transaction: enough that hot pages are written once for many of them.
const UNITS: usize = 2_000;

/// Statements whose time is told.
const SHOWN: usize = 40;

/// A unit that took effect, to be done again.
type Done = Box<dyn Fn(&Session) -> Result<(), Error> + Send>;

struct State {
    session: Session,
    /// What the open transaction holds; empty = there is none. A unit has no savepoint of its own, which would copy each page that it touches: one that
    /// fails takes the transaction with it, and those before it are done again. They find what they found before, so they do the same.
    done: Vec<Done>,
    /// Units that failed.
    undone: u64,
    _lock: File,
}

/// The connection.
pub(super) struct Alone(Mutex<Option<State>>);

impl Alone {
    pub(super) fn new(session: Session, lock: File) -> Self {
        Self(Mutex::new(Some(State { session, done: Vec::new(), undone: 0, _lock: lock })))
    }

    /// Runs a unit; an error or a panic undoes it.
    pub(super) fn write<T>(&self, unit: impl Fn(&Session) -> Result<T, Error> + Send + 'static) -> Result<T, Error> {
        let mut held = self.0.lock();
        let state = held.as_mut().ok_or(Error::Closed)?;
        let s = &state.session;
        if state.done.is_empty() {
            s.control("BEGIN IMMEDIATE")?;
        }
        let outcome = catch_unwind(AssertUnwindSafe(|| unit(s)));
        let outcome = outcome.unwrap_or_else(|_| Err(Error::backend("unit of work", "it panicked and was undone")));
        if s.conn.is_autocommit() {
            state.done.clear();
            return Err(Error::backend("unit of work", "the database rolled back the whole transaction (disk full or I/O error)"));
        }
        if outcome.is_err() {
            state.undo()?;
            return outcome;
        }
        state.done.push(Box::new(move |s| unit(s).map(drop)));
        if state.done.len() >= UNITS {
            state.commit()?;
        }
        outcome
    }

    /// Runs a read, which sees all units before it.
    pub(super) fn read<T>(&self, read: impl FnOnce(&Session) -> Result<T, Error>) -> Result<T, Error> {
        read(&self.0.lock().as_ref().ok_or(Error::Closed)?.session)
    }

    /// Writes what is open and closes.
    pub(super) fn close(&self) {
        let Some(mut state) = self.0.lock().take() else { return };
        for (name, runs, took) in state.session.spent().iter().take(SHOWN) {
            tracing::debug!("{name}: {runs} runs, {:.3} s, {} µs each", took.as_secs_f64(), took.as_micros() / u128::from(*runs));
        }
        tracing::debug!("{} units of work were undone", state.undone);
        if let Err(e) = state.commit() {
            tracing::error!("closing: {e}");
        }
    }
}

impl State {
    fn commit(&mut self) -> Result<(), Error> {
        if self.done.is_empty() {
            return Ok(());
        }
        self.done.clear();
        self.session.control("COMMIT")
    }

    /// Takes the transaction back and does again what it held.
    fn undo(&mut self) -> Result<(), Error> {
        self.undone += 1;
        let s = &self.session;
        s.control("ROLLBACK")?;
        if self.done.is_empty() {
            return Ok(());
        }
        s.control("BEGIN IMMEDIATE")?;
        self.done.iter().try_for_each(|unit| unit(s))
    }
}
