//! A small server that hands out prepared jobs and records what a worker says.

use std::collections::{HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::body::Bytes;
use axum::extract::{Path as UrlPath, Query, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use panda_pilot::worker::WorkerOptions;
use serde_json::{Value, json};
use tokio::sync::{Notify, watch};

/// What the server knows.
#[derive(Default)]
pub struct Inner {
    jobs: VecDeque<Value>,
    pub updates: Vec<(Instant, Value)>,
    pub logs: HashMap<String, Vec<u8>>,
    pub first_log: Option<Instant>,
    pub acquires: usize,
    pub waits: usize,
    commands: HashMap<i64, String>,
    final_commands: HashMap<i64, String>,
    /// Answers of `update_job` that are errors before it works again.
    pub broken_finals: usize,
    pub statuses: HashMap<i64, (String, i64)>,
    /// `params` of the queue's document.
    pub params: Value,
    storage: PathBuf,
    last_handed: Option<Instant>,
}

#[derive(Clone, Default)]
pub struct Fake {
    pub inner: Arc<Mutex<Inner>>,
    wake: Arc<Notify>,
}

impl Fake {
    /// Starts a server; the storage is the directory `storage`.
    pub async fn start(storage: &Path) -> (Self, String) {
        let fake = Self::default();
        fake.inner.lock().unwrap().storage = storage.to_owned();
        let app = Router::new()
            .route("/api/v1/pilot/acquire_jobs", post(acquire))
            .route("/api/v1/pilot/update_job", post(update))
            .route("/api/v1/pilot/get_job_status", get(status))
            .route("/api/panda/v1/pilot/wait", post(wait))
            .route("/api/panda/v1/job/log", post(log))
            .route("/cache/ddmendpoints.json", get(endpoints))
            .route("/cache/schedconfig/{queue}", get(queue))
            .route("/trf/user/{name}", get(script))
            .with_state(fake.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        (fake, url)
    }

    pub fn submit(&self, job: Value) {
        self.inner.lock().unwrap().jobs.push_back(job);
        self.wake.notify_waiters();
    }

    /// A command that only the answer to the final report carries.
    pub fn final_command(&self, job: i64, command: &str) {
        self.inner.lock().unwrap().final_commands.insert(job, command.to_owned());
    }

    pub fn command(&self, job: i64, command: &str) {
        self.inner.lock().unwrap().commands.insert(job, command.to_owned());
    }

    /// States of a job in the order told.
    pub fn states(&self, job: i64) -> Vec<String> {
        let inner = self.inner.lock().unwrap();
        inner
            .updates
            .iter()
            .filter(|(_, body)| body["job_id"] == job)
            .map(|(_, body)| body["job_status"].as_str().unwrap().to_owned())
            .collect()
    }

    /// Waits for the final report of a job.
    pub async fn final_report(&self, job: i64) -> Value {
        let begin = Instant::now();
        loop {
            let found = self.inner.lock().unwrap().updates.iter().find_map(|(_, body)| {
                let done = matches!(body["job_status"].as_str(), Some("finished" | "failed"));
                (body["job_id"] == job && done).then(|| body.clone())
            });
            if let Some(body) = found {
                return body;
            }
            assert!(begin.elapsed() < Duration::from_secs(30), "no final report of {job}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until a job is told to be in a state.
    pub async fn reached(&self, job: i64, state: &str) {
        let begin = Instant::now();
        while !self.states(job).iter().any(|known| known == state) {
            assert!(begin.elapsed() < Duration::from_secs(30), "{job} never {state}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub fn log(&self, job: i64, stream: &str) -> String {
        let inner = self.inner.lock().unwrap();
        let bytes = inner.logs.get(&format!("{job}/{stream}")).cloned().unwrap_or_default();
        String::from_utf8(bytes).unwrap()
    }

    /// Time from handing out a job to the first byte of output.
    pub fn first_log_after(&self) -> Duration {
        let inner = self.inner.lock().unwrap();
        inner.first_log.unwrap() - inner.last_handed.unwrap()
    }
}

async fn acquire(State(fake): State<Fake>, Json(body): Json<Value>) -> Json<Value> {
    assert_eq!(body["prod_source_label"], "unified");
    assert_eq!(body["n_jobs"], 1);
    let mut inner = fake.inner.lock().unwrap();
    inner.acquires += 1;
    match inner.jobs.pop_front() {
        Some(job) => {
            inner.last_handed = Some(Instant::now());
            Json(json!({"success": true, "message": "", "data": {"StatusCode": 0, "jobs": [job]}}))
        }
        None => Json(json!({"success": false, "message": "No jobs in PanDA", "data": null})),
    }
}

async fn wait(State(fake): State<Fake>, Json(body): Json<Value>) -> Json<Value> {
    let notified = fake.wake.notified();
    let ready = {
        let mut inner = fake.inner.lock().unwrap();
        inner.waits += 1;
        !inner.jobs.is_empty()
    };
    let timeout = Duration::from_secs(body["timeout_s"].as_u64().unwrap());
    let ready = ready || tokio::time::timeout(timeout, notified).await.is_ok();
    Json(json!({"success": true, "message": "", "data": {"ready": ready}}))
}

async fn update(State(fake): State<Fake>, Json(body): Json<Value>) -> (axum::http::StatusCode, Json<Value>) {
    let mut inner = fake.inner.lock().unwrap();
    let fin = matches!(body["job_status"].as_str(), Some("finished" | "failed"));
    if fin && inner.broken_finals > 0 {
        inner.broken_finals -= 1;
        return (axum::http::StatusCode::INTERNAL_SERVER_ERROR, Json(json!("broken")));
    }
    let id = body["job_id"].as_i64().unwrap();
    let told = if fin { inner.final_commands.get(&id) } else { None };
    let command = told.or(inner.commands.get(&id)).cloned();
    inner.updates.push((Instant::now(), body));
    let data = json!({"StatusCode": 0, "command": command.unwrap_or("NULL".to_owned())});
    (axum::http::StatusCode::OK, Json(json!({"success": true, "message": "", "data": data})))
}

async fn status(State(fake): State<Fake>, Query(query): Query<HashMap<String, String>>) -> Json<Value> {
    let id: i64 = query["job_ids"].parse().unwrap();
    let known = fake.inner.lock().unwrap().statuses.get(&id).cloned();
    let (status, attempt) = known.unwrap_or(("not found".to_owned(), 0));
    Json(json!({"success": true, "message": "", "data": [
        {"job_id": id, "status": status, "attempt_number": attempt}]}))
}

async fn log(State(fake): State<Fake>, Query(query): Query<HashMap<String, String>>, body: Bytes) -> Json<Value> {
    let mut inner = fake.inner.lock().unwrap();
    inner.first_log.get_or_insert_with(Instant::now);
    let stream = inner.logs.entry(format!("{}/{}", query["job_id"], query["stream"])).or_default();
    assert_eq!(query["offset"].parse::<usize>().unwrap(), stream.len());
    stream.extend_from_slice(&body);
    Json(json!({"success": true, "message": "", "data": null}))
}

async fn endpoints(State(fake): State<Fake>) -> Json<Value> {
    let path = fake.inner.lock().unwrap().storage.clone();
    let protocol = json!([{"endpoint": "file://localhost", "path": path}]);
    Json(json!({"RSE": {"arprotocols": {"write_lan": protocol, "read_lan": protocol}}}))
}

async fn queue(State(fake): State<Fake>, UrlPath(queue): UrlPath<String>) -> Json<Value> {
    assert_eq!(queue, "Q.all.json");
    let params = fake.inner.lock().unwrap().params.clone();
    Json(json!({"nickname": "Q", "params": params, "astorages": {"write_lan": ["RSE"], "read_lan": ["RSE"]}}))
}

async fn script(UrlPath(name): UrlPath<String>) -> String {
    match name.as_str() {
        "empty.sh" => String::new(),
        _ => "#!/bin/sh\necho script \"$@\"\n".to_owned(),
    }
}

/// A worker of a test, with directories of its own.
pub struct Site {
    pub root: tempfile::TempDir,
    pub fake: Fake,
    pub url: String,
}

impl Site {
    pub async fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let (fake, url) = Fake::start(&root.path().join("se")).await;
        Self { root, fake, url }
    }

    pub fn work_dir(&self) -> PathBuf {
        self.root.path().join("work")
    }

    pub fn options(&self) -> WorkerOptions {
        let mut options = WorkerOptions::new(self.url.clone(), Arc::new(|| "token".to_owned()), "Q", self.work_dir());
        options.runner_program = Some(env!("CARGO_BIN_EXE_panda-pilot").into());
        options.heartbeat = Duration::from_millis(200);
        options.kill_grace = Duration::from_millis(300);
        options
    }

    /// Starts a worker; true on the sender ends it.
    pub fn start(&self, options: WorkerOptions) -> (watch::Sender<bool>, tokio::task::JoinHandle<()>) {
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(async move { panda_pilot::worker::run(options, stopped).await.unwrap() });
        (stop, task)
    }

    /// A file of the storage by its entry in a report.
    pub fn stored(&self, report: &Value, lfn: &str) -> Vec<u8> {
        let files: Value = serde_json::from_str(report["job_output_report"].as_str().unwrap()).unwrap();
        let surl = files[lfn]["surl"].as_str().unwrap_or_else(|| panic!("{lfn} in {files}"));
        let bytes = std::fs::read(surl.strip_prefix("file://localhost").unwrap()).unwrap();
        assert_eq!(files[lfn]["fsize"], bytes.len());
        let adler = format!("{:08x}", adler2::adler32_slice(&bytes));
        assert_eq!(files[lfn]["adler32"], adler);
        bytes
    }

    /// All files below the storage.
    pub fn storage_names(&self) -> Vec<String> {
        fn walk(dir: &Path, names: &mut Vec<String>) {
            for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
                if entry.path().is_dir() {
                    walk(&entry.path(), names);
                } else {
                    names.push(entry.file_name().into_string().unwrap());
                }
            }
        }
        let mut names = Vec::new();
        walk(&self.root.path().join("se"), &mut names);
        names.sort();
        names
    }
}

/// A prun-like job; `extra` overrides keys.
pub fn job(id: i64, pars: &str, extra: Value) -> Value {
    let mut job = json!({
        "PandaID": id, "attemptNr": 1, "taskID": 10_000_001, "StatusCode": 0,
        "transformation": "http://unreachable.invalid/trf/user/runGen-00-00-02",
        "jobPars": pars, "inFiles": "", "outFiles": format!("L{id}.log.tgz"), "logFile": format!("L{id}.log.tgz"),
        "scopeOut": "", "scopeLog": "user.alice", "logGUID": "LOG-GUID", "ddmEndPointOut": "RSE",
        "coreCount": 2, "maxWalltime": 0,
    });
    for (key, value) in extra.as_object().unwrap() {
        job[key] = value.clone();
    }
    job
}
