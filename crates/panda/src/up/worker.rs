//! The local worker: the pilot's code with an address and a token, as anywhere else.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use panda_access::Role;
use panda_access::dev::{Issuer, TokenRequest};
use panda_client::TokenProvider;
use panda_pilot::worker::{self, WorkerError, WorkerOptions};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::config::Config;
use crate::failure::Failure;

/// Lifetime of a worker's token, and when it takes a new one: well before.
const TOKEN_LIFETIME_S: i64 = 24 * 3600;
const TOKEN_RENEWAL: Duration = Duration::from_secs(6 * 3600);
/// The name under which the worker's token stands.
const USER: &str = "local-worker";

/// A running worker.
pub(super) struct Worker {
    stop: watch::Sender<bool>,
    task: JoinHandle<Result<(), WorkerError>>,
}

/// Starts the worker of the configured queue.
pub(super) fn start(config: &Config, url: &str, issuer: Arc<Issuer>) -> Result<Worker, Failure> {
    let vo = config.default_vo();
    let options = WorkerOptions {
        slots: config.worker.slots,
        ..WorkerOptions::new(url, tokens(issuer, vo)?, &config.worker.queue, config.data.join("worker"))
    };
    let (stop, stopped) = watch::channel(false);
    let task = tokio::spawn(async move {
        let outcome = worker::run(options, stopped).await;
        if let Err(error) = &outcome {
            tracing::error!(%error, "the local worker cannot run; jobs wait until another one takes them");
        }
        outcome
    });
    Ok(Worker { stop, task })
}

/// Tokens of the pilot role, signed here, renewed before they end.
fn tokens(issuer: Arc<Issuer>, vo: String) -> Result<TokenProvider, Failure> {
    let request = TokenRequest {
        user: USER.to_owned(),
        vo,
        role: Some(Role::Pilot),
        everywhere: true,
        lifetime_s: Some(TOKEN_LIFETIME_S),
        ..TokenRequest::default()
    };
    let first = issuer.sign(&request).map_err(|error| Failure::usage(format!("the local worker gets no token: {error}")))?;
    let held = Mutex::new((first, Instant::now()));
    Ok(Arc::new(move || {
        let mut held = held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.1.elapsed() > TOKEN_RENEWAL {
            match issuer.sign(&request) {
                Ok(token) => *held = (token, Instant::now()),
                Err(error) => tracing::error!(%error, "the local worker keeps its old token"),
            }
        }
        held.0.clone()
    }))
}

impl Worker {
    /// Ends it: payloads are ended and reported, the journal is left in order.
    pub(super) async fn stop(self) {
        self.stop.send_replace(true);
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the local worker broke");
        }
    }
}
