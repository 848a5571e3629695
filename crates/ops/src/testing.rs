//! What the tests of this room share: a store in a temporary directory, a clock set by hand, callers, and rows to begin with.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use panda_access::{Principal, Role, Standing};
use panda_core::{
    file::{FileRole, FileState},
    id::{JobId, QueueId, TaskId},
    job::{record::JobKind, state::JobState},
    machine::Actor,
    policy::share::UNDEFINED,
    task::state::TaskState,
    time::{Clock, Micros},
};
use panda_store::{
    Batch, IdKind,
    query::{
        job::{self, JobRow},
        queue::{self, QueueRow, RseRow},
        task::{self, TaskRow, dataset::TaskDataset, file::TaskFile},
    },
    testing::{Backend, TestDb},
};

use crate::{Ops, Options, queue::LaneOf};

/// 2026-01-02 03:04:05 UTC.
pub const START_US: i64 = 1_767_323_045_000_000;

pub struct Hand(AtomicI64);
impl Clock for Hand {
    fn now(&self) -> Micros {
        Micros(self.0.load(Ordering::Relaxed))
    }
}

/// Dropped in this order: when the database goes, the histories in it are checked.
pub struct World {
    pub ops: Ops,
    pub clock: Arc<Hand>,
    pub dir: tempfile::TempDir,
    _db: TestDb,
}

/// SQLite, or what `PANDA_OPS_BACKEND` says: `postgres`, `mysql`.
fn backend() -> Backend {
    match std::env::var("PANDA_OPS_BACKEND").as_deref() {
        Ok("postgres") => Backend::Postgres,
        Ok("mysql") => Backend::Mysql,
        _ => Backend::Sqlite,
    }
}

pub fn who(subject: &str, roles: &[Role]) -> Principal {
    Principal {
        issuer: "test".into(),
        subject: subject.into(),
        name: subject.into(),
        nickname: subject.into(),
        vo: Some("amber".into()),
        roles: roles.iter().cloned().collect(),
        groups: vec!["amber".into()],
        email: None,
        standing: Standing::default(),
    }
}
pub fn alice() -> Principal {
    who("alice", &[])
}
pub fn bob() -> Principal {
    who("bob", &[])
}
pub fn prod() -> Principal {
    who("prod", &[Role::Production])
}
pub fn operator() -> Principal {
    Principal { standing: Standing { roles: [Role::Operator].into(), ..Standing::default() }, ..who("operator", &[]) }
}
/// A pilot of every VO.
pub fn site_pilot() -> Principal {
    Principal { standing: Standing { roles: [Role::Pilot].into(), ..Standing::default() }, ..who("pilot", &[]) }
}
pub fn pilot() -> Principal {
    who("pilot", &[Role::Pilot])
}

impl World {
    pub async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let db = TestDb::fresh(backend()).await;
        let store = db.open().await;
        let clock = Arc::new(Hand(AtomicI64::new(START_US)));
        let mut options = Options::new("http://127.0.0.1:25080", dir.path().join("data"));
        options.vos = vec!["amber".into()];
        let ops = Ops::new(store, clock.clone(), options);
        ops.blobs.create().unwrap();
        Self { ops, clock, dir, _db: db }
    }
    pub fn pass(&self, seconds: i64) {
        self.clock.0.fetch_add(seconds * 1_000_000, Ordering::Relaxed);
    }
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
    pub async fn row_id(&self) -> i64 {
        self.ops.store.id(IdKind::Row).await.unwrap()
    }
    /// A queue `LOCAL` with its storage endpoint below the temporary directory.
    pub async fn queue(&self, name: &str) -> QueueId {
        let mut batch = Batch::new();
        let rse = RseRow {
            id: self.row_id().await,
            name: format!("{name}_DISK"),
            root: self.path("storage").display().to_string(),
            state: "active".into(),
            doc: None,
        };
        std::fs::create_dir_all(&rse.root).unwrap();
        queue::add_rse(&mut batch, &rse);
        let q = QueueRow {
            id: QueueId(self.row_id().await),
            name: name.into(),
            site: name.into(),
            state: "online".into(),
            pilot_family: "native".into(),
            rse_id: rse.id,
            script_base: None,
            core_count: 1,
            max_ram_mb: 4_000,
            max_disk_mb: 0,
            max_walltime_s: 0,
            doc: "{}".into(),
            rev: 0,
        };
        queue::add(&mut batch, &q, self.ops.now().0);
        self.ops.store.apply(batch).await.unwrap();
        self.ops.queues_changed().await.unwrap();
        q.id
    }
    /// A task of `owner`, forced into `state` through its table.
    pub async fn task(&self, owner: &Principal, state: TaskState, params: &str) -> TaskId {
        let person = self.ops.person(owner).await.unwrap();
        let now = self.ops.now().0;
        let id = TaskId(self.ops.store.id(IdKind::Task).await.unwrap());
        let name = format!("user.{}.t{id}/", owner.name);
        let mut t = TaskRow {
            processing_type: Some("panda-client-2.2.0-jedi-run".into()),
            priority: 1_000,
            ..TaskRow::new(id, name, TaskState::Registered, "amber", "user", person.id, now)
        };
        let mut batch = Batch::new();
        task::transition::add(&mut batch, &t, params, true, Actor::Client).unwrap();
        self.ops.store.apply(batch).await.unwrap();
        for step in path(state) {
            let mut batch = Batch::new();
            let mut after = t.clone();
            after.state = *step;
            let actor = if step.is_final() { Actor::Finisher } else { Actor::Engine };
            task::transition::move_to(&mut batch, &t, &after, actor, now, None).unwrap();
            self.ops.store.apply(batch).await.unwrap();
            t = TaskRow { rev: t.rev + 1, ..after };
        }
        id
    }
    pub async fn task_row(&self, id: TaskId) -> TaskRow {
        task::list::get(&self.ops.store, id).await.unwrap().unwrap()
    }
    /// A data set of a task with files in the given states.
    pub async fn dataset(&self, task: TaskId, role: FileRole, seq: i64, files: &[(&str, FileState)]) -> i64 {
        let id = self.row_id().await;
        let count = |s: FileState| i64::try_from(files.iter().filter(|f| f.1 == s).count()).unwrap();
        let n_files = i64::try_from(files.len()).unwrap();
        let d = TaskDataset {
            id,
            stream: None,
            is_master: role.is_input() && seq == 0,
            state: "ready".into(),
            n_files,
            n_used: n_files - count(FileState::Ready),
            n_finished: count(FileState::Finished),
            n_failed: count(FileState::Failed),
            seq,
            ..TaskDataset::new(task, role, format!("user.alice.{role}{seq}"), "")
        };
        let mut batch = Batch::new();
        task::dataset::add(&mut batch, &d);
        if role.is_input() {
            for (i, (lfn, state)) in files.iter().enumerate() {
                let f = TaskFile {
                    id: self.row_id().await,
                    scope: Some("user.alice".into()),
                    fsize: Some(10),
                    checksum: Some("ad:00000001".into()),
                    state: *state,
                    max_attempt: 3,
                    ..TaskFile::new(&d, i64::try_from(i).unwrap() + 1, *lfn)
                };
                task::file::add(&mut batch, &f);
            }
        }
        self.ops.store.apply(batch).await.unwrap();
        id
    }
    /// A job of `owner`, moved into `state`.
    pub async fn job(&self, owner: &Principal, task: Option<TaskId>, queue: QueueId, state: JobState) -> JobId {
        let kind = if task.is_some() { JobKind::Run } else { JobKind::Standalone };
        self.job_of(owner, task, kind, queue, state).await
    }
    /// The same, of a kind.
    pub async fn job_of(&self, owner: &Principal, task: Option<TaskId>, kind: JobKind, queue: QueueId, state: JobState) -> JobId {
        let person = self.ops.person(owner).await.unwrap();
        let now = self.ops.now().0;
        let lane = self
            .ops
            .lane(&LaneOf { queue, vo: "amber", label: "user", share: UNDEFINED, resource_type: "SCORE", ram_mb: 0 })
            .await
            .unwrap();
        let mut j = JobRow {
            task_id: task,
            kind,
            queue_id: Some(queue),
            lane_id: Some(lane),
            name: Some("n".into()),
            ..panda_store::testing::job_row(JobId(self.ops.store.id(IdKind::Job).await.unwrap()), person.id, now)
        };
        let mut batch = Batch::new();
        job::transition::add(&mut batch, &j, 0, "\"jobPars\":\"x\"", Actor::Engine).unwrap();
        self.ops.store.apply(batch).await.unwrap();
        let steps: &[(JobState, Actor)] = match state {
            JobState::Activated => &[],
            JobState::Running => &[(JobState::Sent, Actor::Pilot), (JobState::Running, Actor::Pilot)],
            JobState::Finished => {
                &[(JobState::Sent, Actor::Pilot), (JobState::Holding, Actor::Pilot), (JobState::Finished, Actor::Finisher)]
            }
            other => &[(JobState::Failed, Actor::Finisher)][..usize::from(other == JobState::Failed)],
        };
        for (to, actor) in steps {
            let mut batch = Batch::new();
            let mut after = j.clone();
            after.state = *to;
            after.ended_us = to.is_final().then_some(now);
            job::transition::move_to(&mut batch, &j, &after, *actor, now, None).unwrap();
            self.ops.store.apply(batch).await.unwrap();
            j = JobRow { rev: j.rev + 1, ..after };
        }
        j.id
    }
    pub async fn job_row(&self, id: JobId) -> JobRow {
        job::list::get(&self.ops.store, id).await.unwrap().unwrap()
    }
}

fn path(state: TaskState) -> &'static [TaskState] {
    use TaskState::{
        Aborted, Aborting, Broken, Defined, Done, Failed, Finished, Pending, Prepared, Ready, Registered, Running, Scouting, Toabort,
        Tobroken,
    };
    match state {
        Registered => &[],
        Pending => &[Defined, Pending],
        Defined => &[Defined],
        Ready => &[Defined, Ready],
        Scouting => &[Defined, Ready, Scouting],
        Running => &[Defined, Ready, Running],
        Done => &[Defined, Ready, Running, Prepared, Done],
        Finished => &[Defined, Ready, Running, Prepared, Finished],
        Failed => &[Defined, Ready, Running, Prepared, Failed],
        Aborted => &[Aborting, Toabort, Aborted],
        Broken => &[Tobroken, Broken],
        other => panic!("no way to {other}"),
    }
}
