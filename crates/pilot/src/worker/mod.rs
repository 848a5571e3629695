//! The worker: takes jobs of one queue from a server and runs them here.
//!
//! Owns slots, scratch directories and their journal. Uses only the API, with a
//! token, as any pilot does; must not know the database, the engine or batch
//! systems. A killed worker cleans up at its next start: it ends left-over
//! processes, delivers reports that were not delivered, and reports the other
//! jobs as lost.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use panda_client::{Client, ClientError, RetryPolicy, TokenProvider};
use tokio::sync::watch;
use tokio::task::JoinSet;

mod archive;
mod codes;
mod ending;
mod execute;
mod heartbeat;
mod job;
mod journal;
mod logs;
mod outcome;
mod payload;
mod procfs;
mod queue;
mod recover;
mod report;
mod shlex;
mod slot;
mod stage;
mod steps;
mod storage;

/// How the worker names itself in updates: batch tag and version.
const PILOT_ID: &str = concat!("native|", env!("CARGO_PKG_VERSION"));

/// Most slots of one worker; more jobs than this on one machine need a batch
/// system.
pub const MAX_SLOTS: usize = 1024;

/// Settings of a worker.
#[derive(Clone)]
pub struct WorkerOptions {
    /// Address of the server, with or without `/server/panda`.
    pub server_url: String,
    /// Gives the bearer token (role `pilot`) of each call.
    pub token: TokenProvider,
    /// `Origin` header (a VO, or `vo.role`), if the server wants one.
    pub origin: Option<String>,
    /// Queue whose jobs are taken.
    pub queue: String,
    /// Jobs at the same time, 1 to [`MAX_SLOTS`].
    pub slots: usize,
    /// Directory of the worker alone; made if absent.
    pub work_dir: PathBuf,
    /// Program that is started as payload runner under the runners' names
    /// (see [`crate::runner::main_by_name`]); the running one if `None`.
    pub runner_program: Option<PathBuf>,
    /// Period of heartbeats while a payload runs.
    pub heartbeat: Duration,
    /// Time between TERM and KILL when a payload is ended.
    pub kill_grace: Duration,
    /// Name of this machine in updates; the worker's own mark is put before it.
    pub node: String,
}

impl WorkerOptions {
    /// Settings with one slot, a heartbeat of 10 s and this machine's name.
    #[must_use]
    pub fn new(server_url: impl Into<String>, token: TokenProvider, queue: impl Into<String>, work_dir: impl Into<PathBuf>) -> Self {
        Self {
            server_url: server_url.into(),
            token,
            origin: None,
            queue: queue.into(),
            slots: 1,
            work_dir: work_dir.into(),
            runner_program: None,
            heartbeat: Duration::from_secs(10),
            kill_grace: Duration::from_secs(10),
            node: rustix::system::uname().nodename().to_string_lossy().into_owned(),
        }
    }
}

/// Why a worker cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkerError {
    /// The address or the HTTP machinery is unusable.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The work directory is unusable.
    #[error("the worker cannot use its directory {}: {source}", path.display())]
    WorkDir {
        /// The directory.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// Another worker has the directory.
    #[error("another worker uses {}; stop it or give this one a directory of its own", path.display())]
    Busy {
        /// The directory.
        path: PathBuf,
    },
    /// The runner program is not there.
    #[error("the runner program {} cannot be used: {source}", path.display())]
    Runner {
        /// The program.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// A number out of its range.
    #[error("a worker has 1 to {MAX_SLOTS} slots, not {0}")]
    Slots(usize),
}

/// What all slots share.
struct Context {
    client: Client,
    options: WorkerOptions,
    queue: queue::QueueCache,
    runner: PathBuf,
    boot_id: String,
    /// `<mark>@<machine>`: the mark belongs to the work directory, so that a worker that starts again knows what it was handed.
    node: String,
    /// Held by the one idle slot that asks for work, so that idle slots cost
    /// one waiting call together.
    gate: tokio::sync::Mutex<()>,
}

impl Context {
    /// Scratch directories of a slot.
    fn scratch(&self, slot: usize) -> PathBuf {
        self.options.work_dir.join("scratch").join(slot.to_string())
    }
}

/// Runs a worker until `shutdown` becomes true (or its sender is dropped).
///
/// Payloads that still run then are ended and reported as lost, which spends no
/// attempt of the job; reports that cannot be delivered within a few seconds
/// wait on disk for the next start.
///
/// # Errors
/// [`WorkerError`] when it cannot start; a running worker has no fatal errors.
pub async fn run(options: WorkerOptions, shutdown: watch::Receiver<bool>) -> Result<(), WorkerError> {
    if options.slots == 0 || options.slots > MAX_SLOTS {
        return Err(WorkerError::Slots(options.slots));
    }
    let _lock = lock(&options.work_dir)?;
    let mark = mark(&options.work_dir)?;
    let context = Arc::new(context(options, &mark)?);
    let work_dir = |source| WorkerError::WorkDir { path: context.options.work_dir.clone(), source };
    let left_over = journal::Journal::left_over(&context.options.work_dir).map_err(work_dir)?;
    recover::clean(&context, &left_over).await;
    let unseen = recover::unseen(&context, &left_over, &mut shutdown.clone()).await;
    let mut slots = JoinSet::new();
    if !unseen.is_empty() {
        let (context, mut shutdown) = (Arc::clone(&context), shutdown.clone());
        slots.spawn(async move { recover::give_back(&context, &unseen, &mut shutdown).await });
    }
    for slot in left_over.iter().copied().filter(|slot| *slot >= context.options.slots) {
        let (context, mut shutdown) = (Arc::clone(&context), shutdown.clone());
        slots.spawn(async move { recover::settle(&context, slot, &mut shutdown).await });
    }
    for slot in 0..context.options.slots {
        let (context, mut shutdown) = (Arc::clone(&context), shutdown.clone());
        slots.spawn(async move {
            recover::settle(&context, slot, &mut shutdown).await;
            slot::run(&context, slot, &mut shutdown).await;
        });
    }
    while let Some(ended) = slots.join_next().await {
        if let Err(error) = ended {
            tracing::error!(%error, "a slot of the worker broke");
        }
    }
    Ok(())
}

fn context(options: WorkerOptions, mark: &str) -> Result<Context, WorkerError> {
    let mut client = Client::builder(options.server_url.clone())
        .token_provider(Arc::clone(&options.token))
        .retry(RetryPolicy::NONE)
        .user_agent(concat!("panda-pilot/", env!("CARGO_PKG_VERSION")));
    if let Some(origin) = &options.origin {
        client = client.origin(origin.clone());
    }
    let client = client.build()?;
    let runner = match &options.runner_program {
        Some(path) => path.clone(),
        None => std::env::current_exe().map_err(|source| WorkerError::Runner { path: "(the running program)".into(), source })?,
    };
    let runner = runner.canonicalize().map_err(|source| WorkerError::Runner { path: runner, source })?;
    Ok(Context {
        client,
        node: format!("{mark}@{}", options.node),
        options,
        queue: queue::QueueCache::default(),
        runner,
        boot_id: procfs::boot_id(),
        gate: tokio::sync::Mutex::new(()),
    })
}

/// Digits of a work directory's mark: enough for the workers of one machine.
const MARK_DIGITS: usize = 8;

/// The mark of the work directory, made at its first use.
fn mark(work_dir: &Path) -> Result<String, WorkerError> {
    let path = work_dir.join("mark");
    let is_mark = |text: &str| text.len() == MARK_DIGITS && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if let Some(mark) = fs::read_to_string(&path).ok().filter(|text| is_mark(text)) {
        return Ok(mark);
    }
    let mut mark = uuid::Uuid::new_v4().simple().to_string();
    mark.truncate(MARK_DIGITS);
    let draft = work_dir.join("mark.part");
    let written = fs::write(&draft, &mark).and_then(|()| fs::rename(&draft, &path));
    written.map_err(|source| WorkerError::WorkDir { path, source })?;
    Ok(mark)
}

/// Takes the directory for this process; the lock ends with it, also by kill.
fn lock(work_dir: &Path) -> Result<File, WorkerError> {
    let fail = |source| WorkerError::WorkDir { path: work_dir.to_owned(), source };
    fs::create_dir_all(work_dir).map_err(fail)?;
    let file = File::create(work_dir.join("lock")).map_err(fail)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(WorkerError::Busy { path: work_dir.to_owned() }),
        Err(TryLockError::Error(source)) => Err(fail(source)),
    }
}
