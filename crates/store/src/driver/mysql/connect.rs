//! Connecting, session settings, and what a refused connection says.

use mysql_async::{Conn, Opts, OptsBuilder, Pool, PoolConstraints, PoolOpts, prelude::Queryable};

use super::super::READ_LIMIT;
use crate::{
    error::{Error, OpenError},
    stmt::Dialect,
};

/// Connections of a process: more than the cores of a database machine do not make it faster, and a server has 151 by default.
const CONNECTIONS: usize = 24;
/// Prepared statements of a connection.
const STATEMENTS: usize = 512;

/// Turns a failure into ours: unique keys are duplicates, deadlocks and lost connections may be tried again.
pub(super) fn failure(statement: &'static str, e: &mysql_async::Error) -> Error {
    match e {
        mysql_async::Error::Server(e) => match e.code {
            1062 => Error::Duplicate(statement),
            1969 | 3024 => Error::backend(statement, format!("it took more than {} s and was stopped", READ_LIMIT.as_secs())),
            // Lock wait, deadlock, row changed since it was read (snapshot isolation).
            code => Error::Backend { statement, message: format!("{} ({code})", e.message), retryable: matches!(code, 1205 | 1213 | 1020) },
        },
        mysql_async::Error::Driver(mysql_async::DriverError::PoolDisconnected) => Error::Closed,
        mysql_async::Error::Io(_) | mysql_async::Error::Driver(mysql_async::DriverError::ConnectionClosed) => {
            Error::Backend { statement, message: e.to_string(), retryable: true }
        }
        e => Error::backend(statement, e),
    }
}

/// Whether [`failure`]'s text tells of an answer of the server, which carries its number, and not of a broken connection.
pub(super) fn refused_by_server(message: &str) -> bool {
    ["(1205)", "(1213)", "(1020)"].iter().any(|code| message.ends_with(code))
}

/// What an error while opening means to people.
pub(super) fn refused(url: &str, e: &mysql_async::Error) -> OpenError {
    let url = url.to_owned();
    match e {
        mysql_async::Error::Server(e) => {
            let problem = e.message.clone();
            match e.code {
                1045 | 1698 | 1251 => OpenError::Login { url, problem },
                1044 | 1142 | 1227 | 1370 => OpenError::Right {
                    url,
                    right: format!("make tables ({problem})"),
                    hint: "GRANT ALL PRIVILEGES ON DATABASE.* TO USER".to_owned(),
                },
                1049 => OpenError::Unreachable { url, problem: format!("{problem}; create it with `CREATE DATABASE`") },
                1040 | 1130 | 1053 => OpenError::Unreachable { url, problem },
                _ => OpenError::Statement { url, source: failure("open", &mysql_async::Error::Server(e.clone())) },
            }
        }
        mysql_async::Error::Io(e) => OpenError::Unreachable { url, problem: e.to_string() },
        e => OpenError::Unreachable { url, problem: e.to_string() },
    }
}

/// Reads the URL.
pub(super) fn options(url: &str, target: &str) -> Result<OptsBuilder, OpenError> {
    let opts = Opts::from_url(target).map_err(|e| OpenError::Url { url: url.to_owned(), problem: e.to_string() })?;
    if opts.db_name().is_none_or(str::is_empty) {
        return Err(OpenError::Url { url: url.to_owned(), problem: "it names no database".to_owned() });
    }
    // Rows found, not rows changed: a guarded update that writes the same values must not look like a lost race.
    Ok(OptsBuilder::from_opts(opts).client_found_rows(true).tcp_nodelay(true).stmt_cache_size(STATEMENTS))
}

/// Session settings on which all texts rely: no dates, no zones, no silent cuts, no backslash escapes, `||` joins, keys compared byte by byte.
pub(super) fn session(dialect: Dialect) -> Vec<String> {
    let (collation, limit) = match dialect {
        Dialect::MySql => ("utf8mb4_0900_bin", format!("SET SESSION max_execution_time = {}", READ_LIMIT.as_millis())),
        _ => (
            "utf8mb4_nopad_bin",
            format!("SET SESSION max_statement_time = {}, SESSION idle_transaction_timeout = 10", READ_LIMIT.as_secs()),
        ),
    };
    vec![
        format!("SET NAMES utf8mb4 COLLATE {collation}"),
        "SET SESSION sql_mode = 'ANSI,STRICT_ALL_TABLES,NO_BACKSLASH_ESCAPES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION', SESSION time_zone = '+00:00', SESSION innodb_lock_wait_timeout = 5".to_owned(),
        "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED".to_owned(),
        limit,
    ]
}

/// One connection outside the pool, and which server it is.
pub(super) async fn single(url: &str, options: OptsBuilder) -> Result<(Conn, Dialect), OpenError> {
    let wrong = |e: mysql_async::Error| refused(url, &e);
    let mut conn = tokio::time::timeout(READ_LIMIT, Conn::new(options))
        .await
        .map_err(|_| OpenError::Unreachable { url: url.to_owned(), problem: "the server does not answer".to_owned() })?
        .map_err(wrong)?;
    let version: Option<String> = conn.query_first("SELECT VERSION()").await.map_err(wrong)?;
    let version = version.unwrap_or_default();
    let dialect = if version.contains("MariaDB") { Dialect::MariaDb } else { Dialect::MySql };
    // SKIP LOCKED came with these.
    let least = if dialect == Dialect::MariaDb { (10, 6) } else { (8, 0) };
    let mut numbers = version.split(['.', '-']).map(|n| n.parse::<u32>().unwrap_or(0));
    let found = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if found < least {
        return Err(OpenError::Unreachable {
            url: url.to_owned(),
            problem: format!("the server is version {version}; MariaDB 10.6 or MySQL 8.0 is needed"),
        });
    }
    Ok((conn, dialect))
}

/// The pool.
pub(super) fn pool(options: OptsBuilder, dialect: Dialect) -> Pool {
    // The least number is the largest: the pool closes idle connections above it at once.
    let constraints = PoolConstraints::new(CONNECTIONS, CONNECTIONS).unwrap_or_default();
    // Connections are never left inside a transaction or with other settings, and a reset would drop the prepared statements.
    let pool = PoolOpts::default().with_constraints(constraints).with_reset_connection(false);
    Pool::new(options.pool_opts(pool).init(session(dialect)))
}

/// Runs statements as they are.
#[cfg(any(test, feature = "testing"))]
pub(in crate::driver) async fn admin(url: &str, target: &str, statements: &[String]) -> Result<(), OpenError> {
    let (mut conn, _) = single(url, options(url, target)?).await?;
    // The default is a day.
    conn.query_drop(format!("SET SESSION lock_wait_timeout = {}", READ_LIMIT.as_secs())).await.map_err(|e| refused(url, &e))?;
    for text in statements {
        conn.query_drop(text).await.map_err(|e| refused(url, &e))?;
    }
    conn.disconnect().await.map_err(|e| refused(url, &e))
}

/// A connection with the session's settings, for the catalogue test.
#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
pub(in crate::driver) async fn inspect(url: &str, target: &str) -> (Conn, Dialect) {
    let (mut conn, dialect) = single(url, options(url, target).unwrap()).await.unwrap();
    for text in session(dialect) {
        conn.query_drop(text).await.unwrap();
    }
    (conn, dialect)
}
