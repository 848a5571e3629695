//! The handle that the rest of the program holds.

use std::{collections::BTreeMap, sync::Arc};

use panda_core::id::LaneId;

use parking_lot::Mutex;

use crate::{
    batch::{Batch, Binds},
    driver::{self, Beat, BeatAnswer, Claim, Claimed, Driver},
    error::{Error, OpenError},
    heads::{self, Heads, Key},
    query::job::claim as texts,
    stmt::{Dialect, Stmt},
    value::Row,
    wake::Wake,
};

/// How many ids a process takes from the database at a time (DECISIONS "Writes").
const ID_BLOCK: i64 = 1_000;

/// Families of ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum IdKind {
    /// Tasks, from 10,000,000: the client takes smaller numbers for request ids.
    Task,
    /// Jobs, from 1,000,000,000.
    Job,
    /// Everything else.
    Row,
}

impl IdKind {
    /// Name of its `id_block` row.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Task => "task",
            Self::Job => "job",
            Self::Row => "row",
        }
    }
    /// First id.
    #[must_use]
    pub fn first(self) -> i64 {
        match self {
            Self::Task => panda_core::id::TASK_ID_MIN,
            Self::Job => panda_core::id::JOB_ID_MIN,
            Self::Row => 1,
        }
    }
}

/// Ids that this process has taken from the database and not handed out yet.
#[derive(Default)]
struct Ids {
    held: Mutex<BTreeMap<IdKind, std::ops::Range<i64>>>,
    refill: tokio::sync::Mutex<()>,
}

impl Ids {
    /// Adds to `out` until it has `n`, or there are none; whether it has.
    fn take(&self, kind: IdKind, n: usize, out: &mut Vec<i64>) -> bool {
        let mut held = self.held.lock();
        let range = held.entry(kind).or_insert(0..0);
        out.extend(range.by_ref().take(n - out.len()));
        out.len() == n
    }
}

/// A database, open and of the right schema. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    driver: Arc<dyn Driver>,
    wake: Wake,
    ids: Arc<Ids>,
    heads: Arc<Heads>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("dialect", &self.driver.dialect()).finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the database at `url` (`sqlite:PATH`, `postgres://…`, `mysql://…`). With `migrate` missing schema steps are applied,
    /// without it an older schema is refused.
    pub async fn open(url: &str, migrate: bool) -> Result<Self, OpenError> {
        let wake = Wake::default();
        let driver = driver::open(url, migrate, wake.clone()).await?;
        Ok(Self { driver, wake, ids: Arc::default(), heads: Arc::default() })
    }
    /// Opens an SQLite file that one thread works with, for simulations: quick, and a crash loses it.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn scratch(path: &std::path::Path) -> Result<Self, OpenError> {
        let wake = Wake::default();
        let driver = driver::scratch(path, wake.clone()).await?;
        Ok(Self { driver, wake, ids: Arc::default(), heads: Arc::default() })
    }
    /// Which backend this is.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        self.driver.dialect()
    }
    /// Wake-ups of this process (and, where the backend can, of others).
    #[must_use]
    pub fn wake(&self) -> &Wake {
        &self.wake
    }
    /// Runs one SELECT outside any transaction.
    pub(crate) async fn fetch(&self, stmt: &'static Stmt, binds: Binds) -> Result<Vec<Row>, Error> {
        self.driver.fetch(stmt, binds).await
    }
    /// Applies a batch atomically; on success wakes its topics. A guard that fails is [`Error::Conflict`], a unique key [`Error::Duplicate`]:
    /// then nothing was applied.
    pub async fn apply(&self, batch: Batch) -> Result<(), Error> {
        if batch.is_empty() {
            for topic in batch.wakes {
                self.wake.notify(topic);
            }
            return Ok(());
        }
        let touched = heads::touched(&batch);
        let applied = self.driver.apply(batch).await;
        self.heads.note(&touched);
        applied
    }
    /// Those of these lanes that seem to hold jobs, with the key of their first one (negated priority and id) or less: what this process knows,
    /// at most a second old at `now_us`. `fresh` asks the database.
    pub async fn heads(&self, lanes: &[LaneId], fresh: bool, now_us: i64) -> Result<Vec<(LaneId, Key)>, Error> {
        let (mut known, stale, generation) =
            if fresh { (vec![], lanes.to_vec(), self.heads.generation()) } else { self.heads.known(lanes, now_us) };
        for part in stale.chunks(crate::MAX_IN_LIST) {
            let ids: Vec<i64> = part.iter().map(|l| l.0).collect();
            let rows = self.fetch(&texts::HEADS, vec![("lanes", ids.into())]).await?;
            let mut found = Vec::with_capacity(rows.len());
            for r in &rows {
                let key = match (r.opt_int(1)?, r.opt_int(2)?) {
                    (Some(neg), Some(id)) => Some((neg, id)),
                    _ => None,
                };
                found.push((LaneId(r.int(0)?), key));
            }
            self.heads.learn(&found, generation, now_us);
            known.extend(found.into_iter().filter_map(|(lane, key)| Some((lane, key?))));
        }
        Ok(known)
    }
    /// Takes `n` fresh ids, in rising order; they are never handed out again.
    pub async fn ids(&self, kind: IdKind, n: usize) -> Result<Vec<i64>, Error> {
        let mut out = Vec::with_capacity(n);
        if self.ids.take(kind, n, &mut out) {
            return Ok(out);
        }
        // One caller at a time: blocks that several took at once would make later ids smaller than earlier ones.
        let _one = self.ids.refill.lock().await;
        if !self.ids.take(kind, n, &mut out) {
            let want = ID_BLOCK.max(i64::try_from(n - out.len()).unwrap_or(i64::MAX));
            let block = self.driver.id_block(kind, want).await?;
            self.ids.held.lock().insert(kind, block);
            self.ids.take(kind, n, &mut out);
        }
        Ok(out)
    }
    /// Takes one fresh id.
    pub async fn id(&self, kind: IdKind) -> Result<i64, Error> {
        self.ids(kind, 1).await?.pop().ok_or(Error::Closed)
    }
    /// Claims activated jobs for a pilot: each becomes `sent`, with its event row, in one transaction.
    pub async fn claim(&self, claim: Claim) -> Result<Vec<Claimed>, Error> {
        let generation = self.heads.generation();
        let whole = claim.max_ram_mb.is_none()
            && claim.max_disk_mb.is_none()
            && claim.max_walltime_s.is_none()
            && claim.person_id.is_none()
            && claim.task_id.is_none()
            && claim.ids.is_empty();
        let (lanes, want, now_us) = (claim.lanes.clone(), claim.n.max(1) as usize, claim.now_us);
        let taken = self.driver.claim(claim).await?;
        self.heads.taken((&lanes, want), &taken, whole, generation, now_us);
        Ok(taken)
    }
    /// A pure heartbeat; see [`Beat`].
    pub async fn beat(&self, beat: Beat) -> Result<BeatAnswer, Error> {
        self.driver.beat(beat).await
    }
    /// The backend's clock, microseconds UTC.
    pub async fn database_clock(&self) -> Result<i64, Error> {
        self.driver.clock().await
    }
    /// Schema steps applied.
    pub async fn schema_found(&self) -> Result<usize, Error> {
        self.driver.schema_found().await
    }
    /// Flushes and closes; later calls answer [`Error::Closed`].
    pub async fn close(&self) {
        self.driver.close().await;
    }
}
