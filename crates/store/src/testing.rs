//! Fresh databases for tests: one a test, dropped by name afterwards; when dropped, the history of every job and task is checked against its
//! state.

use std::sync::atomic::{AtomicU32, Ordering};

use panda_core::{
    id::JobId,
    job::{record::JobKind, state::JobState},
};

pub use crate::query::check::broken as broken_histories;
use crate::{Store, query::job::JobRow};

/// Which backend a test runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    /// A file in the system's temporary folder.
    Sqlite,
    /// The server at `PANDA_TEST_POSTGRES` (default `postgres://postgres@127.0.0.1:5432/postgres`).
    Postgres,
    /// The server at `PANDA_TEST_MYSQL` (default `mysql://root@127.0.0.1:3306/mysql`), MariaDB or MySQL.
    Mysql,
    /// MySQL itself, at `PANDA_TEST_REAL_MYSQL`; machines with MariaDB only have none.
    RealMysql,
}

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// A database of one test.
#[derive(Debug)]
pub struct TestDb {
    backend: Backend,
    url: String,
    name: String,
    check: bool,
}

fn server(backend: Backend) -> String {
    let (variable, default) = match backend {
        Backend::Sqlite => return String::new(),
        Backend::Postgres => ("PANDA_TEST_POSTGRES", "postgres://postgres@127.0.0.1:5432/postgres"),
        Backend::Mysql => ("PANDA_TEST_MYSQL", "mysql://root@127.0.0.1:3306/mysql"),
        Backend::RealMysql => ("PANDA_TEST_REAL_MYSQL", "mysql://root@127.0.0.1:3307/mysql"),
    };
    std::env::var(variable).unwrap_or_else(|_| default.to_owned())
}

/// The server's URL with another database name.
fn with_database(server: &str, name: &str) -> String {
    let (head, query) = server.split_once('?').map_or((server, String::new()), |(h, q)| (h, format!("?{q}")));
    let base = head.rfind('/').map_or(head, |at| &head[..at]);
    format!("{base}/{name}{query}")
}

impl TestDb {
    /// Makes an empty database; [`Self::open`] brings it to this program's schema.
    ///
    /// # Panics
    /// When the server is not there: a test that needs it fails loudly.
    pub async fn fresh(backend: Backend) -> Self {
        let name = format!("panda_t{}_{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let url = match backend {
            Backend::Sqlite => {
                let folder = std::env::temp_dir().join(&name);
                let _ = std::fs::remove_dir_all(&folder);
                std::fs::create_dir_all(&folder).unwrap_or_else(|e| fail(&e));
                format!("sqlite:{}", folder.join("panda.db").display())
            }
            _ => {
                let server = server(backend);
                crate::driver::admin(&server, &[format!("DROP DATABASE IF EXISTS {name}"), format!("CREATE DATABASE {name}")])
                    .await
                    .unwrap_or_else(|e| fail(&e));
                with_database(&server, &name)
            }
        };
        Self { backend, url, name, check: true }
    }
    /// The database's URL.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }
    /// Opens it and applies the schema.
    ///
    /// # Panics
    /// When it cannot be opened.
    pub async fn open(&self) -> Store {
        Store::open(&self.url, true).await.unwrap_or_else(|e| fail(&e))
    }
    /// Runs statements as they are, behind the store's back.
    ///
    /// # Panics
    /// When one fails.
    pub async fn run(&self, statements: &[String]) {
        crate::driver::admin(&self.url, statements).await.unwrap_or_else(|e| fail(&e));
    }
    /// Leaves out the check of histories, for tests that write rows without events on purpose.
    #[must_use]
    pub fn unchecked(mut self) -> Self {
        self.check = false;
        self
    }
}

#[expect(clippy::panic, reason = "helpers of tests fail the test")]
fn fail<T>(e: &dyn std::fmt::Display) -> T {
    panic!("test database: {e}")
}

impl Drop for TestDb {
    fn drop(&mut self) {
        let (backend, url, name, check) = (self.backend, self.url.clone(), self.name.clone(), self.check && !std::thread::panicking());
        // The test's own runtime may be ending.
        let work = move || -> Vec<String> {
            let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return vec![] };
            runtime.block_on(async move {
                let mut wrong = vec![];
                if check {
                    match Store::open(&url, true).await {
                        Ok(store) => {
                            wrong = broken_histories(&store).await.unwrap_or_else(|e| vec![e.to_string()]);
                            store.close().await;
                        }
                        Err(e) => wrong.push(format!("{e} (was the store dropped before the database?)")),
                    }
                }
                if backend == Backend::Sqlite {
                    let _ = std::fs::remove_dir_all(std::env::temp_dir().join(&name));
                } else {
                    let force = if backend == Backend::Postgres { " WITH (FORCE)" } else { "" };
                    let _ = crate::driver::admin(&server(backend), &[format!("DROP DATABASE IF EXISTS {name}{force}")]).await;
                }
                wrong
            })
        };
        let wrong = std::thread::spawn(work).join().unwrap_or_default();
        if !wrong.is_empty() && !std::thread::panicking() {
            fail::<()>(&wrong.join("; "));
        }
    }
}

/// An activated run job without limits, priority 1,000, in no queue and lane: tests change what matters to them.
#[must_use]
pub fn job_row(id: JobId, person_id: i64, now_us: i64) -> JobRow {
    JobRow {
        id,
        task_id: None,
        state: JobState::Activated,
        sub_state: None,
        kind: JobKind::Run,
        queue_id: None,
        lane_id: None,
        neg_priority: -1_000,
        attempt: 0,
        max_attempt: 3,
        vo: "amber".into(),
        label: "user".into(),
        person_id,
        name: None,
        processing_type: None,
        resource_type: "SCORE".into(),
        core_count: 1,
        ram_mb: 0,
        disk_mb: 0,
        walltime_s: 0,
        command: None,
        debug: false,
        host: None,
        batch_id: None,
        wait_job: None,
        trans_exit_code: None,
        pilot_error_code: None,
        exe_error_code: None,
        ddm_error_code: None,
        sup_error_code: None,
        dispatcher_error_code: None,
        server_error_code: None,
        diag: None,
        created_us: now_us,
        modified_us: now_us,
        state_us: now_us,
        started_us: None,
        ended_us: None,
        rev: 0,
    }
}
