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
const UNITS: u32 = 2_000;

/// Statements whose time is told.
const SHOWN: usize = 40;

struct State {
    session: Session,
    /// Units of the open transaction; 0 = there is none.
    units: u32,
    _lock: File,
}

/// The connection.
pub(super) struct Alone(Mutex<Option<State>>);

impl Alone {
    pub(super) fn new(session: Session, lock: File) -> Self {
        Self(Mutex::new(Some(State { session, units: 0, _lock: lock })))
    }

    /// Runs a unit; an error or a panic undoes it.
    pub(super) fn write<T>(&self, unit: impl FnOnce(&Session) -> Result<T, Error>) -> Result<T, Error> {
        let mut held = self.0.lock();
        let state = held.as_mut().ok_or(Error::Closed)?;
        let s = &state.session;
        if state.units == 0 {
            s.control("BEGIN IMMEDIATE")?;
        }
        state.units += 1;
        s.control("SAVEPOINT unit")?;
        let outcome = catch_unwind(AssertUnwindSafe(|| unit(s)));
        let outcome = outcome.unwrap_or_else(|_| Err(Error::backend("unit of work", "it panicked and was undone")));
        if s.conn.is_autocommit() {
            state.units = 0;
            return Err(Error::backend("unit of work", "the database rolled back the whole transaction (disk full or I/O error)"));
        }
        if outcome.is_err() {
            s.control("ROLLBACK TO unit")?;
        }
        s.control("RELEASE unit")?;
        if state.units >= UNITS {
            state.units = 0;
            s.control("COMMIT")?;
        }
        outcome
    }

    /// Runs a read, which sees all units before it.
    pub(super) fn read<T>(&self, read: impl FnOnce(&Session) -> Result<T, Error>) -> Result<T, Error> {
        read(&self.0.lock().as_ref().ok_or(Error::Closed)?.session)
    }

    /// Writes what is open and closes.
    pub(super) fn close(&self) {
        let Some(state) = self.0.lock().take() else { return };
        for (name, runs, took) in state.session.spent().iter().take(SHOWN) {
            tracing::debug!("{name}: {runs} runs, {:.3} s, {} µs each", took.as_secs_f64(), took.as_micros() / u128::from(*runs));
        }
        if state.units > 0
            && let Err(e) = state.session.control("COMMIT")
        {
            tracing::error!("closing: {e}");
        }
    }
}
