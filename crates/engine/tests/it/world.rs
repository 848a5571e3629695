//! A database, a queue, a person, and a pilot that does what the test says.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use panda_access::{Principal, Role, Standing};
use panda_core::{
    id::{QueueId, TaskId},
    job::report::Reported,
    time::{Clock, Micros},
};
use panda_engine::loops::{self, LoopKind};
use panda_ops::{
    Ops, Options,
    pilot::{
        acquire::{Ask, acquire},
        update::{Update, update},
    },
    storage, task,
};
use panda_store::{
    Batch, IdKind,
    query::{
        dataset::{self, DatasetFile, DatasetRow},
        queue::{self, QueueRow, RseRow},
        task::{TaskRow, file::TaskFile},
    },
    testing::{Backend, TestDb},
};
use serde_json::{Map, Value, json};

pub struct Hand(AtomicI64);
impl Clock for Hand {
    fn now(&self) -> Micros {
        Micros(self.0.load(Ordering::Relaxed))
    }
}

pub struct World {
    pub ops: Arc<Ops>,
    pub clock: Arc<Hand>,
    pub dir: tempfile::TempDir,
    db: TestDb,
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
pub fn operator() -> Principal {
    Principal { standing: Standing { roles: [Role::Operator].into(), ..Standing::default() }, ..who("operator", &[]) }
}
pub fn prod() -> Principal {
    who("prod", &[Role::Production])
}
pub fn pilot() -> Principal {
    who("pilot", &[Role::Pilot])
}

impl World {
    pub async fn on(backend: Backend) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let db = TestDb::fresh(backend).await;
        let store = db.open().await;
        let clock = Arc::new(Hand(AtomicI64::new(1_767_323_045_000_000)));
        let ops = Ops::new(store, clock.clone(), Options::new("http://127.0.0.1:25080", dir.path().join("data")));
        ops.blobs.create().unwrap();
        let w = Self { ops: Arc::new(ops), clock, dir, db };
        w.queue("LOCAL", "native").await;
        // Scouts are for the tests that ask for them.
        w.scouts(0).await;
        w
    }
    /// Tasks make so many scouts first; 0 = none.
    pub async fn scouts(&self, n: i64) {
        panda_ops::setting::set(&self.ops, &operator(), "scout.jobs", "", "", &n.to_string()).await.unwrap();
    }
    /// As after kill -9 and a new start: nothing that a process remembers is left.
    pub async fn reopen(&mut self) {
        self.ops.store.close().await;
        let store = self.db.open().await;
        self.ops = Arc::new(Ops::new(store, self.clock.clone(), self.ops.options.clone()));
    }
    /// What is wrong with the histories now.
    pub async fn broken(&self) -> Vec<String> {
        panda_store::testing::broken_histories(&self.ops.store).await.unwrap()
    }
    pub async fn queue(&self, name: &str, family: &str) -> QueueId {
        self.queue_of(name, family, 1, 4_000).await
    }
    /// A queue whose slots have so many cores and MB of memory.
    pub async fn queue_of(&self, name: &str, family: &str, core_count: i64, max_ram_mb: i64) -> QueueId {
        let id = self.ops.store.id(IdKind::Row).await.unwrap();
        let rse = RseRow {
            id,
            name: format!("{name}_DISK"),
            root: self.dir.path().join("storage").display().to_string(),
            state: "active".into(),
            doc: None,
        };
        std::fs::create_dir_all(&rse.root).unwrap();
        let q = QueueRow {
            id: QueueId(self.ops.store.id(IdKind::Row).await.unwrap()),
            name: name.into(),
            site: name.into(),
            state: "online".into(),
            pilot_family: family.into(),
            rse_id: rse.id,
            script_base: None,
            core_count,
            max_ram_mb,
            max_disk_mb: 0,
            max_walltime_s: 0,
            doc: "{}".into(),
            rev: 0,
        };
        let mut batch = Batch::new();
        queue::add_rse(&mut batch, &rse);
        queue::add(&mut batch, &q, self.ops.now().0);
        self.ops.store.apply(batch).await.unwrap();
        self.ops.queues_changed().await.unwrap();
        q.id
    }
    /// Changes a queue, as `panda queue set` does.
    pub async fn set_queue(&self, name: &str, values: Value) {
        panda_ops::queue::change::set(&self.ops, &operator(), name, values.as_object().unwrap()).await.unwrap();
    }
    /// Submits a task of one job that needs so much memory, MB, while the queue `LOCAL` has it; the queue is small again afterwards.
    pub async fn submit_too_big(&self, name: &str, mb: i64) -> TaskId {
        self.set_queue("LOCAL", json!({"max_ram_mb": mb})).await;
        let mut params = prun(name, 1);
        params["ramCount"] = json!(mb);
        let id = self.submit(params).await;
        self.set_queue("LOCAL", json!({"max_ram_mb": 4_000})).await;
        id
    }
    pub fn pass(&self, seconds: i64) {
        self.clock.0.fetch_add(seconds * 1_000_000, Ordering::Relaxed);
    }
    /// The clock shows the real time, as other processes have it.
    pub fn now(&self) {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        self.clock.0.fetch_max(i64::try_from(now.as_micros()).unwrap(), Ordering::Relaxed);
    }
    /// URL of the database.
    pub fn url(&self) -> &str {
        self.db.url()
    }
    /// The clock goes on by as little as it can.
    pub fn tick(&self) {
        self.clock.0.fetch_add(1, Ordering::Relaxed);
    }
    /// A data set in the catalogue with files of these names; nothing lies on the storage.
    pub async fn dataset(&self, name: &str, files: &[&str]) {
        let id = self.ops.store.id(IdKind::Row).await.unwrap();
        let mut batch = Batch::new();
        dataset::add(
            &mut batch,
            &DatasetRow {
                id,
                vo: "amber".into(),
                name: name.into(),
                scope: "user.bob".into(),
                state: "closed".into(),
                person_id: None,
                n_files: files.len() as i64,
                n_bytes: 0,
                created_us: 0,
            },
        );
        for lfn in files {
            let file = DatasetFile {
                id: self.ops.store.id(IdKind::Row).await.unwrap(),
                dataset_id: id,
                lfn: (*lfn).into(),
                scope: "user.bob".into(),
                fsize: Some(700),
                checksum: Some("ad:00000001".into()),
                ..DatasetFile::default()
            };
            dataset::add_file(&mut batch, &file);
        }
        self.ops.store.apply(batch).await.unwrap();
    }
    /// Adds files to a data set of the catalogue, which is made when it is new.
    pub async fn files(&self, name: &str, state: &str, files: Vec<DatasetFile>) -> i64 {
        let store = &self.ops.store;
        let id = match dataset::by_name(store, "amber", name).await.unwrap() {
            Some(row) => row.id,
            None => store.id(IdKind::Row).await.unwrap(),
        };
        let mut batch = Batch::new();
        let row = DatasetRow {
            id,
            vo: "amber".into(),
            name: name.into(),
            scope: "user.bob".into(),
            state: state.into(),
            person_id: None,
            n_files: 0,
            n_bytes: 0,
            created_us: 0,
        };
        dataset::add_if_new(&mut batch, &row);
        dataset::set_state(&mut batch, id, state);
        store.apply(batch).await.unwrap();
        for chunk in files.chunks(400) {
            let mut batch = Batch::new();
            for f in chunk {
                let file = DatasetFile {
                    id: store.id(IdKind::Row).await.unwrap(),
                    dataset_id: id,
                    scope: "user.bob".into(),
                    fsize: f.fsize.or(Some(700)),
                    checksum: Some("ad:00000001".into()),
                    ..f.clone()
                };
                dataset::add_file(&mut batch, &file);
            }
            dataset::grow(&mut batch, id, chunk.len() as i64, 0);
            store.apply(batch).await.unwrap();
        }
        id
    }
    /// Rows of a task's input stream, in order.
    pub async fn rows(&self, id: TaskId, stream: &str) -> Vec<TaskFile> {
        let all = panda_store::query::task::dataset::of_task(&self.ops.store, id).await.unwrap();
        let d = all.iter().find(|d| d.role.is_input() && d.stream.as_deref() == Some(stream)).unwrap();
        let mut rows = Vec::new();
        loop {
            let page = panda_store::query::task::file::page(&self.ops.store, d.id, rows.len() as i64, 1_000).await.unwrap();
            if page.is_empty() {
                return rows;
            }
            rows.extend(page);
        }
    }
    pub async fn submit(&self, params: Value) -> TaskId {
        task::submit::submit(&self.ops, &alice(), params, None).await.unwrap().task_id
    }
    /// Steps every loop until none has anything to do.
    pub async fn settle(&self) {
        self.settle_without(&[]).await;
    }
    /// The same with some loops left alone.
    pub async fn settle_without(&self, left: &[LoopKind]) {
        for _ in 0..100 {
            let mut done = 0;
            for kind in LoopKind::ALL.iter().filter(|k| !left.contains(k)) {
                let report = loops::step(*kind, &self.ops, self.ops.now()).await.unwrap();
                // A step that met what another is still writing has done nothing and wants to be run again.
                done += report.done + usize::from(report.more);
                self.clock.0.fetch_add(1, Ordering::Relaxed);
            }
            if done == 0 {
                return;
            }
        }
        panic!("the loops do not come to rest");
    }
    pub async fn task(&self, id: TaskId) -> TaskRow {
        panda_store::query::task::list::get(&self.ops.store, id).await.unwrap().unwrap()
    }
    /// The next job, as a pilot gets it.
    pub async fn job(&self) -> Option<Value> {
        self.job_at("LOCAL").await
    }
    /// The next job of this queue, as a pilot gets it.
    pub async fn job_at(&self, queue: &str) -> Option<Value> {
        let ask = Ask { queue: queue.into(), label: Some("unified".into()), n: 1, ..Ask::default() };
        let everybody_s = Principal { standing: Standing { roles: [Role::Pilot].into(), ..Standing::default() }, ..pilot() };
        let jobs = acquire(&self.ops, &everybody_s, &ask).await.unwrap();
        jobs.first().map(|j| serde_json::from_str(j).unwrap())
    }
    pub async fn report(&self, job: &Value, state: Reported, fill: impl FnOnce(&mut Update)) -> String {
        let mut u = Update {
            job_id: panda_core::id::JobId(job["PandaID"].as_i64().unwrap()),
            state,
            attempt: Some(0),
            node: Some("node".into()),
            batch_id: None,
            sub_state: None,
            report: None,
            meta: None,
            errors: Map::new(),
            metrics: Map::new(),
            vo: None,
        };
        fill(&mut u);
        update(&self.ops, &u).await.unwrap().to_string()
    }
    /// Stores `content` for each output of the job and reports it finished.
    pub async fn finish(&self, job: &Value, content: &str) {
        self.report(job, Reported::Running, |_| {}).await;
        let report = self.store(job, content);
        self.report(job, Reported::Finished, |u| u.report = Some(report)).await;
    }
    /// Stores `content` under each output name; the answer is the output report.
    pub fn store(&self, job: &Value, content: &str) -> String {
        let mut report = Map::new();
        for lfn in job["outFiles"].as_str().unwrap().split(',').filter(|l| !l.is_empty()) {
            let scope = panda_core::policy::names::scope(lfn);
            let path = storage::path(&self.dir.path().join("storage"), &scope, lfn);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, content).unwrap();
            report.insert(lfn.into(), entry(&path, content));
        }
        Value::Object(report).to_string()
    }
    pub async fn fail(&self, job: &Value, code: i64) {
        self.report(job, Reported::Running, |_| {}).await;
        self.report(job, Reported::Failed, |u| {
            u.errors.insert("trans_exit_code".into(), json!(code));
            u.errors.insert("pilot_error_code".into(), json!(1305));
            u.errors.insert("pilot_error_diag".into(), json!("payload failed"));
        })
        .await;
    }
    /// Lets a file fail so often, whatever its attempts allow.
    pub async fn limit_failures(&self, file: &TaskFile, n: i64) {
        self.db.run(&[format!("UPDATE task_file SET max_failure = {n} WHERE id = {}", file.id)]).await;
    }
    /// Data sets of a task as (role, stream, files, finished, failed).
    pub async fn counters(&self, id: TaskId) -> Vec<(String, String, i64, i64, i64)> {
        let all = panda_store::query::task::dataset::of_task(&self.ops.store, id).await.unwrap();
        all.iter().map(|d| (d.role.to_string(), d.stream.clone().unwrap_or_default(), d.n_files, d.n_finished, d.n_failed)).collect()
    }
}

pub fn entry(path: &Path, content: &str) -> Value {
    json!({"guid": "", "fsize": content.len(), "adler32": format!("{:08x}", adler2::adler32_slice(content.as_bytes())), "surl": storage::surl(path)})
}

/// Task parameters as prun sends them for `--noBuild --nJobs n`.
pub fn prun(name: &str, n: i64) -> Value {
    json!({
        "taskName": format!("{name}/"), "uniqueTaskName": true, "vo": "atlas", "architecture": null, "transUses": "", "transHome": null,
        "processingType": "panda-client-2.2.0-jedi-run", "prodSourceLabel": "user", "site": null, "excludedSite": [], "includedSite": null,
        "nEvents": n, "nEventsPerJob": 1, "cliParams": "prun", "osInfo": "Linux", "nMaxFilesPerJob": 200, "respectSplitRule": true,
        "sourceURL": "http://127.0.0.1:35080", "noInput": true,
        "log": {"dataset": format!("{name}.log/"), "container": format!("{name}.log/"), "type": "template", "param_type": "log",
                "value": format!("{name}.log.$JEDITASKID.${{SN}}.log.tgz")},
        "jobParameters": [
            {"type": "constant", "value": "-j \"\" --sourceURL ${SURL}"}, {"type": "constant", "value": "-r ."},
            {"type": "constant", "value": "__delimiter__", "hidden": true}, {"type": "constant", "value": "-a jobO.x.tar.gz"},
            {"type": "constant", "value": "-p \"", "padding": false}, {"type": "constant", "value": "echo%20hello%20", "padding": false},
            {"type": "template", "value": "${SEQNUMBER}", "param_type": "pseudo_input", "dataset": "seq_number", "offset": 100, "padding": false},
            {"type": "constant", "value": "", "padding": false}, {"type": "constant", "value": "\""}]
    })
}

/// Adds an output to task parameters.
pub fn with_output(mut params: Value, name: &str) -> Value {
    let base = params["taskName"].as_str().unwrap().trim_end_matches('/').to_owned();
    let template = format!("user.alice.$JEDITASKID._${{SN/P}}.{name}");
    let items = params["jobParameters"].as_array_mut().unwrap();
    items.insert(4, json!({"type": "template", "value": template, "param_type": "output", "dataset": format!("{base}_{name}/"), "container": format!("{base}_{name}/"), "hidden": true}));
    items.insert(5, json!({"type": "constant", "value": format!("-o \"{{'{name}': '{template}'}}\"")}));
    params
}

/// Turns task parameters into ones with an input.
pub fn with_input(mut params: Value, dataset: &str, files_per_job: i64) -> Value {
    let map = params.as_object_mut().unwrap();
    for key in ["noInput", "nEvents", "nEventsPerJob"] {
        map.remove(key);
    }
    map.insert("nFilesPerJob".into(), json!(files_per_job));
    map.insert("dsForIN".into(), json!(dataset));
    let items = map.get_mut("jobParameters").unwrap().as_array_mut().unwrap();
    items.retain(|i| i["param_type"] != json!("pseudo_input"));
    items.insert(4, json!({"type": "template", "param_type": "input", "value": "-i \"${IN/T}\"", "dataset": dataset, "exclude": "\\.log\\.tgz(\\.\\d+)*$", "expand": true}));
    params
}

impl World {
    /// Checks that every counter equals what its file rows say, then closes the database.
    pub async fn close(self) {
        let tasks = panda_store::query::task::list::recent(&self.ops.store, TaskId(i64::MAX), 100).await.unwrap();
        for t in tasks {
            assert_eq!(task::recount::differences(&self.ops, t.id).await.unwrap(), Vec::<String>::new());
            for d in panda_store::query::task::dataset::of_task(&self.ops.store, t.id).await.unwrap().iter().filter(|d| d.role.is_input()) {
                let counts = panda_store::query::task::file::count(&self.ops.store, d.id).await.unwrap();
                assert_eq!(d.n_files, counts.iter().map(|(_, n)| n).sum::<i64>(), "files of {} {}", t.id, d.name);
            }
        }
        self.ops.store.close().await;
        drop(self.ops);
        drop(self.db);
    }
}
