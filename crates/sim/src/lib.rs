//! The simulator: the real engine, dispatch and store on a virtual clock, over a made-up or recorded workload.
//!
//! What is simulated is the outside: users who submit and steer, pilots with their slots, storages, faults. Everything else is the program itself,
//! stepped by an event heap instead of its timers. The same scenario and seed give the same result. This room must not know HTTP.

mod check;
mod drive;
mod fate;
mod faults;
mod furnish;
mod outcome;
mod ranges;
pub mod scenario;
mod share;
mod shelf;
mod site;
mod submit;
mod world;

use std::{path::PathBuf, sync::Arc};

use panda_ops::OpsError;
use panda_store::{Error as StoreError, OpenError, Store};

pub use outcome::{Outcome, ShareLine};
pub use scenario::Scenario;

/// Why a simulation could not run. What the simulated system did wrong is no error but stands in [`Outcome::violations`].
#[derive(Debug, thiserror::Error)]
pub enum SimError {
    /// The scenario makes no sense.
    #[error("the scenario: {0}")]
    Scenario(String),
    /// The database.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An operation.
    #[error(transparent)]
    Ops(#[from] OpsError),
    /// A loop of the engine.
    #[error("loop {0}: {1}")]
    Engine(&'static str, panda_engine::EngineError),
    /// A file.
    #[error("{0}: {1}")]
    File(String, std::io::Error),
}

/// How far a run is.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    /// Simulated seconds gone by.
    pub now_s: i64,
    /// Simulated seconds altogether.
    pub end_s: i64,
    /// Jobs handed out.
    pub dispatched: u64,
    /// Jobs that pilots work on.
    pub running: u64,
    /// Jobs whose end was reported.
    pub ended: u64,
}

/// Runs a scenario on an empty database.
///
/// `folder` is for what a server keeps beside its database. `watch` hears of the progress after each step.
///
/// # Errors
/// The scenario makes no sense, or the database or an operation fails in a way that a simulated fault does not explain.
pub async fn run(scenario: &Scenario, store: Store, folder: PathBuf, watch: &mut dyn FnMut(Progress)) -> Result<Outcome, SimError> {
    scenario.check()?;
    let mut world = world::World::new(Arc::new(scenario.clone()), store, folder).await?;
    while world.step().await? {
        watch(world.progress());
    }
    world.outcome().await
}

/// Runs a scenario on a database of its own, which is removed afterwards.
///
/// # Errors
/// As [`run`].
pub async fn run_alone(scenario: &Scenario, watch: &mut dyn FnMut(Progress)) -> Result<Outcome, SimError> {
    let folder = tempfile::Builder::new().prefix("panda-sim-").tempdir().map_err(|e| SimError::File("a temporary folder".into(), e))?;
    let store = Store::scratch(&folder.path().join("panda.db")).await?;
    let outcome = Box::pin(run(scenario, store.clone(), folder.path().join("data"), watch)).await;
    store.close().await;
    outcome
}
