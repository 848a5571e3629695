//! What this process keeps in memory between requests; all of it may vanish at any moment.

use std::{
    any::{Any, TypeId},
    collections::HashMap,
    sync::Arc,
};

use panda_core::id::QueueId;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::{
    broker::locality::Known,
    statistics::{Count, Held},
};

/// Memory of one process.
#[derive(Debug, Default)]
pub struct Live {
    pub(crate) logs: Hub,
    pub(crate) pilots: Mutex<HashMap<QueueId, i64>>,
    /// When uploaded files were last noted as used.
    pub(crate) touched: Mutex<HashMap<String, i64>>,
    pub(crate) starts: Mutex<HashMap<QueueId, i64>>,
    pub(crate) places: Mutex<Known>,
    pub(crate) load: Mutex<Held>,
    /// Held by who looks for a newer load.
    pub(crate) loading: tokio::sync::Mutex<()>,
    /// What other rooms keep, one value a type.
    rooms: Mutex<HashMap<TypeId, Arc<dyn Any + Send + Sync>>>,
    /// When priorities were last renewed, and the last person when some are left over.
    pub(crate) renewed: Mutex<(i64, Option<i64>)>,
    pub(crate) groups: crate::limit::GroupCounts,
    pub(crate) counts: tokio::sync::Mutex<Option<(i64, Arc<Vec<Count>>)>>,
}

impl Live {
    /// What a room keeps in this memory; made empty at the first use. It belongs to this database: a process may serve several.
    pub fn of<T: Any + Send + Sync + Default>(&self) -> Arc<T> {
        let mut rooms = self.rooms.lock();
        let held = rooms.entry(TypeId::of::<T>()).or_insert_with(|| Arc::<T>::default()).clone();
        held.downcast().unwrap_or_default()
    }
}

/// A value that is costly to make, kept for a while: one caller makes it anew, others who ask then wait for that.
#[derive(Debug)]
pub struct Kept<T>(tokio::sync::Mutex<Option<(i64, Arc<T>)>>);

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self(tokio::sync::Mutex::default())
    }
}

impl<T> Kept<T> {
    /// The value, at most `age_us` microseconds old at `now_us`; with `make` it is made.
    pub async fn get<E>(&self, now_us: i64, age_us: i64, make: impl Future<Output = Result<T, E>>) -> Result<Arc<T>, E> {
        let mut held = self.0.lock().await;
        if let Some((at, value)) = held.as_ref()
            && (0..age_us).contains(&(now_us - at))
        {
            return Ok(value.clone());
        }
        let value = Arc::new(make.await?);
        *held = Some((now_us, value.clone()));
        Ok(value)
    }
}

/// Wakes those who follow the log of a job.
#[derive(Debug, Default)]
pub(crate) struct Hub(Mutex<HashMap<i64, Arc<Notify>>>);

impl Hub {
    /// The bell of a job.
    pub fn bell(&self, job: i64) -> Arc<Notify> {
        self.0.lock().entry(job).or_default().clone()
    }
    /// Wakes everybody who holds the bell of a job.
    pub fn ring(&self, job: i64) {
        let mut bells = self.0.lock();
        if let Some(bell) = bells.get(&job) {
            bell.notify_waiters();
            // The map's own reference is the last one: nobody follows any more.
            if Arc::strong_count(bell) == 1 {
                bells.remove(&job);
            }
        }
    }
    /// Gives a bell back.
    pub fn leave(&self, job: i64, bell: Arc<Notify>) {
        let mut bells = self.0.lock();
        drop(bell);
        if bells.get(&job).is_some_and(|b| Arc::strong_count(b) == 1) {
            bells.remove(&job);
        }
    }
}
