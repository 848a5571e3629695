//! One connection: statements prepared once, values bound and read.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use rusqlite::{
    CachedStatement, Connection, ErrorCode, OpenFlags,
    types::{ToSqlOutput, ValueRef},
};

use crate::{
    batch::Binds,
    dialect::{Bound, Compiled, Texts},
    error::{Error, OpenError},
    stmt::Stmt,
    value::{Row, Value},
};

/// Prepared statements kept; the catalogue has fewer texts that are in use at a time.
const STATEMENTS: usize = 512;
/// Page cache of the writer, kB: the upper levels of all hot indexes of millions of jobs.
const WRITER_CACHE_KB: i32 = 65_536;
/// Page cache of a reader, kB; the operating system holds the rest.
const READER_CACHE_KB: i32 = 8_192;
/// Page cache of a simulation, kB: what is hot in a day of a whole experiment.
const SCRATCH_CACHE_KB: i32 = 700_000;

/// A connection and the compiled statements.
pub(super) struct Session {
    pub(super) conn: Connection,
    texts: Arc<Texts>,
    /// How often each statement ran and how long altogether; only where somebody reads it.
    spent: Option<RefCell<Spent>>,
}

/// Runs and time by name of statement.
pub(super) type Spent = BTreeMap<&'static str, (u64, Duration)>;

/// Turns a failure into ours; a unique key is a duplicate.
pub(super) fn failure(statement: &'static str, e: &rusqlite::Error) -> Error {
    if let rusqlite::Error::SqliteFailure(code, message) = e {
        let key =
            [rusqlite::ffi::SQLITE_CONSTRAINT_UNIQUE, rusqlite::ffi::SQLITE_CONSTRAINT_PRIMARYKEY, rusqlite::ffi::SQLITE_CONSTRAINT_ROWID];
        if key.contains(&code.extended_code) {
            return Error::Duplicate(statement);
        }
        if code.code == ErrorCode::OperationInterrupted {
            return Error::backend(statement, format!("the read took more than {} s and was stopped", super::super::READ_LIMIT.as_secs()));
        }
        let retryable = matches!(code.code, ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked);
        return Error::Backend { statement, message: message.clone().unwrap_or_else(|| e.to_string()), retryable };
    }
    Error::backend(statement, e)
}

impl rusqlite::ToSql for Bound<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Int(v) => ValueRef::Integer(*v),
            Self::Real(v) => ValueRef::Real(*v),
            Self::Text(v) => ValueRef::Text(v.as_bytes()),
            Self::Null | Self::Ints(_) | Self::Texts(_) => ValueRef::Null,
        }))
    }
}

/// What an error of opening says about the file.
fn open_failure(url: &str, path: &Path, e: &rusqlite::Error) -> OpenError {
    let (url, problem) = (url.to_owned(), e.to_string());
    match e.sqlite_error_code() {
        Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => OpenError::Right {
            url,
            right: format!("write the file `{}` ({problem})", path.display()),
            hint: format!("chown $USER {0} && chmod u+rw {0}", path.display()),
        },
        Some(ErrorCode::NotADatabase) => {
            OpenError::Unreachable { url, problem: "the file is not an SQLite database; name another file".to_owned() }
        }
        _ => OpenError::Unreachable { url, problem },
    }
}

impl Session {
    fn new(conn: Connection, texts: Arc<Texts>) -> Self {
        conn.set_prepared_statement_cache_capacity(STATEMENTS);
        Self { conn, texts, spent: None }
    }

    /// The writing connection; makes the file when it is missing. Sentences of [`OpenError`] for what people get wrong.
    pub(super) fn writer(url: &str, path: &Path, texts: Arc<Texts>) -> Result<Self, OpenError> {
        let wrong = |e| open_failure(url, path, &e);
        let conn = Connection::open_with_flags(
            path,
            OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
        )
        .map_err(wrong)?;
        conn.busy_timeout(Duration::from_secs(5)).map_err(wrong)?;
        // Durable: a reply is sent after the log is on disk. Checkpoints are the checkpointer's.
        conn.execute_batch(&format!(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0; PRAGMA cache_size = -{WRITER_CACHE_KB}; PRAGMA temp_store = MEMORY; PRAGMA case_sensitive_like = ON;"
        ))
        .map_err(wrong)?;
        Ok(Self::new(conn, texts))
    }

    /// The only connection of a simulation: quick, and without any safety from crashes. The journal is a file that stays, which nobody syncs: one in
    /// memory is thousands of small allocations for each transaction.
    pub(super) fn scratch(url: &str, path: &Path, texts: Arc<Texts>) -> Result<Self, OpenError> {
        let session = Self::writer(url, path, texts)?;
        let pragmas = format!(
            "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = PERSIST; PRAGMA synchronous = OFF; PRAGMA cache_size = -{SCRATCH_CACHE_KB};"
        );
        session.conn.execute_batch(&pragmas).map_err(|e| open_failure(url, path, &e))?;
        let spent = tracing::enabled!(tracing::Level::DEBUG).then(RefCell::default);
        Ok(Self { spent, ..session })
    }

    /// A connection that cannot write.
    pub(super) fn reader(path: &Path, texts: Arc<Texts>) -> Result<Self, Error> {
        let wrong = |e| failure("open a reader", &e);
        let conn = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX).map_err(wrong)?;
        conn.busy_timeout(Duration::from_secs(5)).map_err(wrong)?;
        conn.execute_batch(&format!(
            "PRAGMA query_only = ON; PRAGMA cache_size = -{READER_CACHE_KB}; PRAGMA temp_store = MEMORY; PRAGMA case_sensitive_like = ON;"
        ))
        .map_err(wrong)?;
        Ok(Self::new(conn, texts))
    }

    /// Runs `work`, and notes how long it took where somebody reads that.
    fn timed<T>(&self, stmt: &'static Stmt, work: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
        let Some(spent) = &self.spent else { return work() };
        let since = Instant::now();
        let outcome = work();
        let mut spent = spent.borrow_mut();
        let line = spent.entry(stmt.name).or_default();
        line.0 += 1;
        line.1 += since.elapsed();
        outcome
    }

    /// What each statement took so far, the most costly first; empty where it is not noted.
    pub(super) fn spent(&self) -> Vec<(&'static str, u64, Duration)> {
        let mut all: Vec<_> =
            self.spent.iter().flat_map(|s| s.borrow().iter().map(|(n, (k, t))| (*n, *k, *t)).collect::<Vec<_>>()).collect();
        all.sort_by_key(|(.., took)| std::cmp::Reverse(*took));
        all
    }

    fn prepare(&self, c: &Compiled, sql: &str, values: &[Bound<'_>]) -> Result<CachedStatement<'_>, Error> {
        let wrong = |e| failure(c.name, &e);
        let mut prepared = self.conn.prepare_cached(sql).map_err(wrong)?;
        for (i, value) in values.iter().enumerate() {
            prepared.raw_bind_parameter(i + 1, value).map_err(wrong)?;
        }
        Ok(prepared)
    }

    /// Runs a write; answers the number of rows it touched.
    pub(super) fn execute(&self, stmt: &'static Stmt, binds: &Binds) -> Result<u64, Error> {
        self.timed(stmt, || self.execute_now(stmt, binds))
    }

    fn execute_now(&self, stmt: &'static Stmt, binds: &Binds) -> Result<u64, Error> {
        let c = self.texts.get(stmt)?;
        let (sql, values) = c.bind(binds)?;
        let n = self.prepare(&c, &sql, &values)?.raw_execute().map_err(|e| failure(c.name, &e))?;
        Ok(n as u64)
    }

    /// Runs a statement that answers rows.
    pub(super) fn fetch(&self, stmt: &'static Stmt, binds: &Binds) -> Result<Vec<Row>, Error> {
        self.timed(stmt, || self.fetch_now(stmt, binds))
    }

    fn fetch_now(&self, stmt: &'static Stmt, binds: &Binds) -> Result<Vec<Row>, Error> {
        let c = self.texts.get(stmt)?;
        let (sql, values) = c.bind(binds)?;
        let wrong = |e| failure(c.name, &e);
        let mut prepared = self.prepare(&c, &sql, &values)?;
        let columns = prepared.column_count();
        let mut rows = prepared.raw_query();
        let mut out = vec![];
        while let Some(row) = rows.next().map_err(wrong)? {
            let mut values = Vec::with_capacity(columns);
            for i in 0..columns {
                values.push(match row.get_ref(i).map_err(wrong)? {
                    ValueRef::Null => Value::Null,
                    ValueRef::Integer(v) => Value::Int(v),
                    ValueRef::Real(v) => Value::Real(v),
                    ValueRef::Text(v) | ValueRef::Blob(v) => Value::Text(
                        std::str::from_utf8(v).map_err(|_| Error::Decode(format!("{}: column {i} is not UTF-8", c.name)))?.to_owned(),
                    ),
                });
            }
            out.push(Row(values));
        }
        Ok(out)
    }

    /// Inserts rows.
    pub(super) fn insert(&self, stmt: &'static Stmt, rows: &[Vec<Value>]) -> Result<(), Error> {
        self.timed(stmt, || self.insert_now(stmt, rows))
    }

    fn insert_now(&self, stmt: &'static Stmt, rows: &[Vec<Value>]) -> Result<(), Error> {
        let c = self.texts.get(stmt)?;
        let wrong = |e| failure(c.name, &e);
        let mut prepared = self.conn.prepare_cached(c.text()).map_err(wrong)?;
        for row in rows {
            for (i, value) in row.iter().enumerate() {
                prepared.raw_bind_parameter(i + 1, Bound::from(value)).map_err(wrong)?;
            }
            prepared.raw_execute().map_err(wrong)?;
        }
        Ok(())
    }

    /// Runs a word of transaction control.
    pub(super) fn control(&self, sql: &'static str) -> Result<(), Error> {
        self.conn.prepare_cached(sql).and_then(|mut s| s.raw_execute()).map(|_| ()).map_err(|e| failure(sql, &e))
    }
}
