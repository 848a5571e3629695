//! A small world to look at: people, queues, tasks and jobs in many states, in a temporary SQLite database. Shared by the tests and by the
//! preview program.

#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use panda_access::{Principal, Role, Standing};
use panda_core::{
    file::{FileRole, FileState},
    id::{JobId, LaneId, QueueId, TaskId},
    job::{record::JobKind, state::JobState},
    machine::Actor,
    task::state::TaskState,
    time::{Clock, Micros},
};
use panda_ops::{Ops, Options, job::log, queue::LaneOf};
use panda_store::{
    Batch, IdKind, Store,
    query::{
        decision,
        job::{self, JobRow, file::JobFile},
        queue::{self, QueueRow, RseRow},
        task::{self, TaskRow, dataset::TaskDataset, file::TaskFile},
    },
    testing::job_row,
};

/// 2026-01-02 03:04:05 UTC.
pub const START_US: i64 = 1_767_323_045_000_000;
const S: i64 = 1_000_000;

/// A clock set by hand.
pub struct Hand(AtomicI64);
impl Clock for Hand {
    fn now(&self) -> Micros {
        Micros(self.0.load(Ordering::Relaxed))
    }
}
impl Hand {
    pub fn at(us: i64) -> Arc<Self> {
        Arc::new(Self(AtomicI64::new(us)))
    }
    pub fn set(&self, us: i64) {
        self.0.store(us, Ordering::Relaxed);
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

pub struct World {
    pub ops: Arc<Ops>,
    pub dir: tempfile::TempDir,
    pub now: i64,
}

/// Ids of what [`World::fill`] makes.
pub struct Ids {
    pub running: TaskId,
    pub done: TaskId,
    pub pending: TaskId,
    pub failed: TaskId,
    pub job_running: JobId,
    pub job_failed: JobId,
    pub job_waiting: JobId,
}

impl Ids {
    /// Of nothing.
    pub const NONE: Self = Self {
        running: TaskId(0),
        done: TaskId(0),
        pending: TaskId(0),
        failed: TaskId(0),
        job_running: JobId(0),
        job_failed: JobId(0),
        job_waiting: JobId(0),
    };
}

/// What a job is made with.
pub struct Spec<'a> {
    pub task: Option<&'a TaskRow>,
    pub kind: JobKind,
    pub queue: Option<QueueId>,
    pub path: &'a [(JobState, Actor, i64)],
    pub error: Option<(i64, i64, &'a str)>,
    pub doc: &'a str,
    pub age_s: i64,
}

impl World {
    pub async fn new(clock: Arc<dyn Clock>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&format!("sqlite:{}", dir.path().join("panda.db").display()), true).await.unwrap();
        let now = clock.now().0;
        let mut options = Options::new("http://127.0.0.1:25080", dir.path().join("data"));
        options.vos = vec!["amber".into()];
        let ops = Ops::new(store, clock, options);
        ops.blobs.create().unwrap();
        Self { ops: Arc::new(ops), dir, now }
    }
    async fn row_id(&self) -> i64 {
        self.ops.store.id(IdKind::Row).await.unwrap()
    }
    async fn apply(&self, batch: Batch) {
        self.ops.store.apply(batch).await.unwrap();
    }
    pub async fn queue(&self, name: &str, state: &str, family: &str, doc: &str) -> QueueId {
        let mut batch = Batch::new();
        let rse = RseRow {
            id: self.row_id().await,
            name: format!("{name}_DISK"),
            root: format!("/storage/{name}"),
            state: "active".into(),
            doc: None,
        };
        queue::add_rse(&mut batch, &rse);
        let q = QueueRow {
            id: QueueId(self.row_id().await),
            name: name.into(),
            site: name.split('_').next().unwrap().into(),
            state: state.into(),
            pilot_family: family.into(),
            rse_id: rse.id,
            script_base: None,
            core_count: 8,
            max_ram_mb: 16_000,
            max_disk_mb: 0,
            max_walltime_s: 172_800,
            doc: doc.into(),
            rev: 0,
        };
        queue::add(&mut batch, &q, self.now);
        self.apply(batch).await;
        self.ops.queues_changed().await.unwrap();
        q.id
    }
    /// A task that was submitted `age_s` seconds ago and went this way, each step so many seconds later.
    pub async fn task(&self, owner: &str, name: &str, age_s: i64, path: &[(TaskState, i64)], reason: Option<&str>) -> TaskRow {
        let mut at = self.now - age_s * S;
        let params = format!(
            r#"{{"taskName":"{name}","vo":"amber","prodSourceLabel":"user","cliParams":"prun --exec 'python fit.py %IN' --inDS user.{owner}.points --nFilesPerJob 2","nFilesPerJob":2,"secrets":"very-secret-value","jobParameters":[{{"type":"constant","value":"-j \"\""}},{{"type":"template","param_type":"input","value":"-i \"${{IN/T}}\"","dataset":"user.{owner}.points"}}]}}"#
        );
        let id = TaskId(self.ops.store.id(IdKind::Task).await.unwrap());
        let person = self.ops.person(&who(owner, &[])).await.unwrap().id;
        let mut t = TaskRow {
            processing_type: Some("panda-client-2.2.0-jedi-run".into()),
            priority: 1_000,
            ..TaskRow::new(id, name, TaskState::Registered, "amber", "user", person, at)
        };
        let mut batch = Batch::new();
        task::transition::add(&mut batch, &t, &params, false, Actor::Client).unwrap();
        self.apply(batch).await;
        for (i, (state, after_s)) in path.iter().enumerate() {
            at += after_s * S;
            let mut batch = Batch::new();
            let mut after = t.clone();
            after.prev_state = (*state == TaskState::Pending).then_some(t.state);
            after.state = *state;
            after.reason = reason.filter(|_| i + 1 == path.len()).map(str::to_owned);
            if *state == TaskState::Running {
                after.started_us = Some(at);
            }
            if state.is_final() {
                after.ended_us = Some(at);
            }
            let actor = if state.is_final() { Actor::Finisher } else { Actor::Engine };
            let actor = if matches!(state, TaskState::Aborting | TaskState::Paused) { Actor::User } else { actor };
            task::transition::move_to(&mut batch, &t, &after, actor, at, after.reason.as_deref()).unwrap();
            self.apply(batch).await;
            t = TaskRow { rev: t.rev + 1, state_us: at, modified_us: at, ..after };
        }
        t
    }
    /// A data set; of inputs with their files, given as (state, job) pairs.
    pub async fn dataset(&self, t: &TaskRow, role: FileRole, seq: i64, files: &[(FileState, Option<JobId>)]) -> i64 {
        let id = self.row_id().await;
        let count = |s: FileState| i64::try_from(files.iter().filter(|f| f.0 == s).count()).unwrap();
        let n_files = i64::try_from(files.len()).unwrap();
        let stem = t.name.trim_end_matches('/').replace(['<', '>'], "");
        let name =
            if role.is_input() { "user.alice.points".into() } else { format!("{stem}.{}/", if role.is_log() { "log" } else { "fit.csv" }) };
        let stream = match (role.is_input(), role.is_log()) {
            (true, _) => "IN",
            (_, true) => "LOG0",
            _ => "OUTPUT0",
        };
        let d = TaskDataset {
            id,
            is_master: role.is_input(),
            state: if count(FileState::Finished) == n_files { "done" } else { "ready" }.into(),
            n_files,
            n_used: n_files - count(FileState::Ready),
            n_finished: count(FileState::Finished),
            n_failed: count(FileState::Failed),
            n_events: n_files * 1_000,
            seq,
            ..TaskDataset::new(t.id, role, name, stream)
        };
        let mut batch = Batch::new();
        task::dataset::add(&mut batch, &d);
        for (i, (state, job)) in files.iter().enumerate().filter(|_| role.is_input()) {
            let f = TaskFile {
                id: self.row_id().await,
                scope: Some("user.alice".into()),
                fsize: Some(1_234_567),
                checksum: Some("ad:0badcafe".into()),
                n_events: Some(1_000),
                surl: Some(format!("file://localhost/storage/LOCAL/user/alice/1f/a7/points.{:05}.csv", i + 1)),
                state: *state,
                attempt: i64::from(*state == FileState::Failed) * 3,
                max_attempt: 3,
                failed: i64::from(*state == FileState::Failed) * 3,
                job_id: *job,
                ..TaskFile::new(&d, i64::try_from(i).unwrap() + 1, format!("points.{:05}.csv", i + 1))
            };
            task::file::add(&mut batch, &f);
        }
        self.apply(batch).await;
        id
    }
    pub async fn output(&self, job: JobId, t: &TaskRow, dataset: i64, role: FileRole, state: FileState) {
        let done = state == FileState::Finished;
        let lfn = format!("user.alice.{}._{:06}.{}", t.id, job.0 % 1_000_000, if role.is_log() { "log.tgz" } else { "fit.csv" });
        let f = JobFile {
            id: self.row_id().await,
            job_id: job,
            task_id: Some(t.id),
            dataset_id: Some(dataset),
            role,
            seq: i64::from(role.is_log()),
            scope: Some("user.alice".into()),
            guid: None,
            fsize: done.then_some(98_765),
            checksum: done.then(|| "ad:12345678".into()),
            surl: done.then(|| format!("file://localhost/storage/LOCAL/user/alice/9c/02/{lfn}")),
            lfn,
            n_events: None,
            state,
            optional: false,
            attempt: 0,
            used_by: None,
        };
        let mut batch = Batch::new();
        job::file::add(&mut batch, &f);
        self.apply(batch).await;
    }
    pub async fn job(&self, s: Spec<'_>) -> JobId {
        self.job_in("default", "amber", s).await
    }
    /// A job of a share and a VO.
    pub async fn job_in(&self, share: &str, vo: &str, s: Spec<'_>) -> JobId {
        let mut at = self.now - s.age_s * S;
        let lane: Option<LaneId> = match s.queue {
            Some(queue) => {
                Some(self.ops.lane(&LaneOf { queue, vo, label: "user", share, resource_type: "SCORE", ram_mb: 0 }).await.unwrap())
            }
            None => None,
        };
        let alice = self.ops.person(&who("alice", &[])).await.unwrap().id;
        let (first, first_actor, _) = s.path[0];
        let mut j = JobRow {
            task_id: s.task.map(|t| t.id),
            state: first,
            vo: vo.into(),
            kind: s.kind,
            queue_id: s.queue,
            lane_id: lane,
            name: Some(s.task.map_or_else(|| "hello".to_owned(), |t| format!("{}._000001", t.name.trim_end_matches('/')))),
            processing_type: Some("panda-client-2.2.0-jedi-run".into()),
            ram_mb: 2_000,
            walltime_s: 3_600,
            ..job_row(JobId(self.ops.store.id(IdKind::Job).await.unwrap()), s.task.map_or(alice, |t| t.person_id), at)
        };
        let mut batch = Batch::new();
        job::transition::add(&mut batch, &j, 0, s.doc, first_actor).unwrap();
        self.apply(batch).await;
        for (to, actor, after_s) in &s.path[1..] {
            at += after_s * S;
            let mut batch = Batch::new();
            let mut after = j.clone();
            after.state = *to;
            after.host = Some("slot1@node07.example.org".into());
            if *to == JobState::Running {
                after.started_us = Some(at);
            }
            if to.is_final() {
                after.ended_us = Some(at);
                if let Some((trans, pilot, diag)) = s.error {
                    (after.trans_exit_code, after.pilot_error_code, after.diag) = (Some(trans), Some(pilot), Some(diag.to_owned()));
                    let doc = serde_json::json!({"errors": {"pilot_error_diag": diag}, "metrics": {"max_rss": 412_345, "cpu_consumption_time": 37}});
                    job::report::set_end(&mut batch, j.id, Some(&doc.to_string()), Some(r#"{"events": 1000}"#));
                }
            }
            let reason = s.error.filter(|_| to.is_final()).map(|e| e.2);
            job::transition::move_to(&mut batch, &j, &after, *actor, at, reason).unwrap();
            if to.is_with_pilot() {
                job::report::set_live(&mut batch, j.id, 0, self.now - 4 * S, Some(r#"{"max_rss": 409600, "n_events": 120}"#));
            }
            self.apply(batch).await;
            j = JobRow { rev: j.rev + 1, ..after };
        }
        j.id
    }
    pub async fn log(&self, job: JobId, stream: log::Stream, offset: u64, text: &str, last: bool) -> u64 {
        let pilot = who("pilot", &[Role::Pilot]);
        let which = log::Which { job, attempt: None, stream };
        log::append(&self.ops, &pilot, which, offset, text.as_bytes().to_vec(), last).await.unwrap().size
    }
    pub async fn decide(&self, subject: i64, stage: &str, doc: &str) {
        let mut batch = Batch::new();
        decision::set(&mut batch, subject, stage, self.now - 30 * S, doc);
        self.apply(batch).await;
    }

    /// Fills the world: four kinds of tasks and what belongs to them.
    pub async fn fill(&self) -> Ids {
        use {FileState as F, JobState as J, TaskState as T};
        let local = self.queue("LOCAL", "online", "native", r#"{"status":"online","container_type":"","site_password":"hunter2"}"#).await;
        let grid = self.queue("AMBER_GRID", "online", "official-generic", r#"{"status":"online"}"#).await;
        self.queue("OLD", "offline", "any", "{}").await;
        let doc = r#""jobPars":"-j \"\" -p \"python%20fit.py\" -i \"['points.00001.csv']\"","transformation":"http://127.0.0.1:25080/trf/user/runGen-00-00-02","inFiles":"points.00001.csv","scopeIn":"user.alice","secrets":"very-secret-value""#;
        let sent: &[(JobState, Actor, i64)] =
            &[(J::Activated, Actor::Engine, 0), (J::Sent, Actor::Pilot, 12), (J::Starting, Actor::Pilot, 1), (J::Running, Actor::Pilot, 2)];
        let finished = [sent, &[(J::Holding, Actor::Pilot, 95), (J::Finished, Actor::Finisher, 1)]].concat();
        let failed = [sent, &[(J::Holding, Actor::Pilot, 20), (J::Failed, Actor::Finisher, 1)]].concat();
        let run = |task, path, error| Spec { task: Some(task), kind: JobKind::Run, queue: Some(local), path, error, doc, age_s: 600 };

        let done = self
            .task(
                "alice",
                "user.alice.fit.v1/",
                9_000,
                &[(T::Defined, 1), (T::Ready, 1), (T::Running, 3), (T::Prepared, 400), (T::Done, 2)],
                None,
            )
            .await;
        let out = self.dataset(&done, FileRole::Output, 1, &[(F::Finished, None); 3]).await;
        let log = self.dataset(&done, FileRole::Log, 2, &[(F::Finished, None); 3]).await;
        let mut files = Vec::new();
        for _ in 0..3 {
            let j = self.job(Spec { age_s: 8_900, ..run(&done, &finished, None) }).await;
            self.output(j, &done, out, FileRole::Output, F::Finished).await;
            self.output(j, &done, log, FileRole::Log, F::Finished).await;
            files.extend([(F::Finished, Some(j)); 2]);
        }
        self.dataset(&done, FileRole::Input, 0, &files).await;

        let broken = self
            .task(
                "bob",
                "user.bob.typo/",
                5_000,
                &[(T::Tobroken, 2), (T::Broken, 1)],
                Some("parameter `nFilesPerJob`: expected a number, found \"two\""),
            )
            .await;
        let bad = self
            .task(
                "bob",
                "user.bob.<script>alert('x')</script>/",
                4_000,
                &[(T::Defined, 1), (T::Ready, 1), (T::Running, 2), (T::Prepared, 90), (T::Failed, 1)],
                None,
            )
            .await;
        let died = (3, 1305, "payload <b>exit code 3</b>: ValueError: no column `y` in points.00001.csv");
        let mut files = Vec::new();
        for _ in 0..2 {
            let j = self.job(Spec { age_s: 3_900, ..run(&bad, &failed, Some(died)) }).await;
            files.push((F::Failed, Some(j)));
        }
        self.dataset(&bad, FileRole::Input, 0, &files).await;
        let aborting = [(T::Defined, 1), (T::Ready, 1), (T::Running, 2), (T::Aborting, 60), (T::Toabort, 1), (T::Aborted, 1)];
        self.task("alice", "user.alice.mistake/", 3_000, &aborting, Some("killed by alice")).await;

        let pending = self
            .task(
                "alice",
                "user.alice.bigmem/",
                1_200,
                &[(T::Defined, 1), (T::Ready, 1), (T::Pending, 2)],
                Some("no queue fits: 32000 MB asked for"),
            )
            .await;
        self.dataset(&pending, FileRole::Input, 0, &[(F::Ready, None); 4]).await;
        let funnel = r#"{"considered":3,"funnel":[{"criterion":"state","why":"the queue is not online","removed":1,"queues":["OLD"]},{"criterion":"memory","why":"32000 MB asked for, 16000 MB there","removed":2,"queues":["AMBER_GRID","LOCAL"]}],"left":[],"chosen":null}"#;
        self.decide(pending.id.0, "broker", funnel).await;

        let running = self.task("alice", "user.alice.fit.v2/", 700, &[(T::Defined, 1), (T::Ready, 1), (T::Running, 3)], None).await;
        let out = self.dataset(&running, FileRole::Output, 1, &[(F::Finished, None); 3]).await;
        let log = self.dataset(&running, FileRole::Log, 2, &[(F::Finished, None); 3]).await;
        let mut files = Vec::new();
        for _ in 0..3 {
            let j = self.job(run(&running, &finished, None)).await;
            self.output(j, &running, out, FileRole::Output, F::Finished).await;
            self.output(j, &running, log, FileRole::Log, F::Finished).await;
            files.extend([(F::Finished, Some(j)); 2]);
        }
        let job_failed = self.job(run(&running, &failed, Some(died))).await;
        self.output(job_failed, &running, out, FileRole::Output, F::Failed).await;
        files.push((F::Failed, Some(job_failed)));
        self.log(job_failed, log::Stream::Stdout, 0, "reading points.00001.csv\n", true).await;
        self.log(
            job_failed,
            log::Stream::Stderr,
            0,
            "Traceback (most recent call last):\n  File \"fit.py\", line 12\nValueError: <no column y>\n",
            true,
        )
        .await;
        let job_running = self.job(run(&running, sent, None)).await;
        self.output(job_running, &running, out, FileRole::Output, F::Defined).await;
        files.extend([(F::Running, Some(job_running)); 2]);
        self.log(job_running, log::Stream::Stdout, 0, "reading points.00007.csv\nfit 1 of 40: chi2 = 1.03 χ²\n", false).await;
        self.job(Spec { age_s: 60, ..run(&running, sent, None) }).await;
        let job_waiting = self.job(Spec { age_s: 50, queue: Some(grid), ..run(&running, &sent[..1], None) }).await;
        files.extend([(F::Ready, None); 5]);
        self.dataset(&running, FileRole::Input, 0, &files).await;
        self.decide(running.id.0, "broker", r#"{"considered":3,"funnel":[{"criterion":"state","why":"the queue is not online","removed":1,"queues":["OLD"]}],"left":["AMBER_GRID","LOCAL"],"chosen":"LOCAL"}"#).await;

        let alone = Spec { task: None, kind: JobKind::Standalone, queue: Some(grid), path: &finished, error: None, doc, age_s: 2_000 };
        self.job(alone).await;
        let _ = broken;
        Ids { running: running.id, done: done.id, pending: pending.id, failed: bad.id, job_running, job_failed, job_waiting }
    }
}

mod engine;

/// How long tests wait at most for something to arrive.
pub const PATIENCE: Duration = Duration::from_secs(10);
