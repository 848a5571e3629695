//! Connecting, and what a refused connection says.

use std::time::Duration;

use deadpool_postgres::{Hook, HookError, Manager, ManagerConfig, Pool, RecyclingMethod, Runtime};
use tokio_postgres::{Client, Config, NoTls, error::SqlState};

use super::super::READ_LIMIT;
use crate::error::{Error, OpenError};

/// Connections of a process: more than the cores of a database machine do not make it faster, and a server has 100 by default.
const CONNECTIONS: usize = 16;
/// How long a server may take to answer.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// How long a caller waits for a free connection before it is told that the database is overloaded.
const WAIT_LIMIT: Duration = Duration::from_secs(30);

/// Reads the URL.
pub(super) fn config(url: &str, target: &str) -> Result<Config, OpenError> {
    let mut config: Config =
        target.parse().map_err(|e: tokio_postgres::Error| OpenError::Url { url: url.to_owned(), problem: chain(&e) })?;
    if config.get_dbname().is_none() {
        return Err(OpenError::Url { url: url.to_owned(), problem: "it names no database".to_owned() });
    }
    if config.get_application_name().is_none() {
        config.application_name("panda");
    }
    config.connect_timeout(CONNECT_LIMIT);
    Ok(config)
}

/// An error with its causes; the driver's own text leaves them out.
pub(super) fn chain(e: &dyn std::error::Error) -> String {
    let mut out = e.to_string();
    let mut cause = e.source();
    while let Some(e) = cause {
        let text = e.to_string();
        if !out.contains(&text) {
            out = format!("{out}: {text}");
        }
        cause = e.source();
    }
    out
}

/// What an error while opening means to people.
pub(super) fn refused(url: &str, user: &str, e: &tokio_postgres::Error) -> OpenError {
    let url = url.to_owned();
    let Some(db) = e.as_db_error() else {
        let problem = chain(e);
        return if problem.contains("password") { OpenError::Login { url, problem } } else { OpenError::Unreachable { url, problem } };
    };
    let problem = db.message().to_owned();
    match db.code() {
        c if *c == SqlState::INVALID_PASSWORD || *c == SqlState::INVALID_AUTHORIZATION_SPECIFICATION => OpenError::Login { url, problem },
        c if *c == SqlState::INVALID_CATALOG_NAME => {
            OpenError::Unreachable { url, problem: format!("{problem}; create it with `CREATE DATABASE`") }
        }
        c if *c == SqlState::INSUFFICIENT_PRIVILEGE => OpenError::Right {
            url,
            right: format!("make tables ({problem})"),
            hint: format!("GRANT CREATE, USAGE ON SCHEMA public TO {user}"),
        },
        c if c.code().starts_with("57P") || c.code().starts_with("53") => OpenError::Unreachable { url, problem },
        _ => OpenError::Statement { url, source: super::failure("open", e) },
    }
}

/// One connection outside the pool; it ends when the client is dropped.
pub(super) async fn single(url: &str, config: &Config) -> Result<Client, OpenError> {
    let user = config.get_user().unwrap_or("…").to_owned();
    let (client, connection) = config.connect(NoTls).await.map_err(|e| refused(url, &user, &e))?;
    tokio::spawn(async move {
        if let Err(e) = connection.await {
            tracing::debug!(error = %e, "a connection ended");
        }
    });
    Ok(client)
}

/// The pool.
pub(super) fn pool(url: &str, config: &Config) -> Result<Pool, OpenError> {
    // Plans are made once a statement and connection: planning a claim costs as much as running it, and with `LIMIT $n` the server would plan
    // anew for ever. One made while a table was small must not stay a sequential scan when it has grown.
    let session = format!(
        "SET statement_timeout = {}; SET idle_in_transaction_session_timeout = 10000; SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; SET jit = off; SET timezone = 'UTC'",
        READ_LIMIT.as_millis()
    );
    let hook = Hook::async_fn(move |client: &mut deadpool_postgres::ClientWrapper, _| {
        let session = session.clone();
        Box::pin(async move { client.batch_execute(&session).await.map_err(HookError::Backend) })
    });
    let manager = Manager::from_config(config.clone(), NoTls, ManagerConfig { recycling_method: RecyclingMethod::Fast });
    Pool::builder(manager)
        .max_size(CONNECTIONS)
        .runtime(Runtime::Tokio1)
        .wait_timeout(Some(WAIT_LIMIT))
        .create_timeout(Some(CONNECT_LIMIT))
        .post_create(hook)
        .build()
        .map_err(|e| OpenError::Statement { url: url.to_owned(), source: Error::backend("pool", e) })
}

/// Runs statements as they are.
#[cfg(any(test, feature = "testing"))]
pub(in crate::driver) async fn admin(url: &str, target: &str, statements: &[String]) -> Result<(), OpenError> {
    let client = single(url, &config(url, target)?).await?;
    for text in statements {
        client.batch_execute(text).await.map_err(|e| refused(url, "…", &e))?;
    }
    Ok(())
}

/// A connection for the catalogue test.
#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
pub(in crate::driver) async fn inspect(url: &str, target: &str) -> Client {
    single(url, &config(url, target).unwrap()).await.unwrap()
}
