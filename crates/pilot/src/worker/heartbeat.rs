//! Heartbeats of a running payload.
//!
//! Owns their rhythm and the kill command that comes with an answer. Must not
//! know how a payload is ended.

use std::time::Duration;

use serde_json::Value;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use super::{Context, report};

/// How long a heartbeat on its way may delay the final report.
const PATIENCE: Duration = Duration::from_secs(2);

/// `running` updates in a task of their own, so that a slow server never delays
/// the end of a payload.
pub(crate) struct Heartbeats {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
    killed: watch::Receiver<bool>,
}

impl Heartbeats {
    /// Starts with an update at once.
    pub(crate) fn start(context: &Context, body: Value) -> Self {
        let (stop, mut stopped) = oneshot::channel();
        let (kill, killed) = watch::channel(false);
        let (client, period) = (context.client.clone(), context.options.heartbeat);
        let task = tokio::spawn(async move {
            loop {
                match report::send(&client, &body).await {
                    Ok(answer) if answer.is_kill() => {
                        kill.send_replace(true);
                    }
                    Ok(_) => {}
                    Err(error) => tracing::debug!(%error, "a heartbeat was not delivered"),
                }
                if tokio::time::timeout(period, &mut stopped).await.is_ok() {
                    return;
                }
            }
        });
        Self { stop, task, killed }
    }

    /// Resolves when the server wants the job ended.
    pub(crate) async fn killed(&mut self) {
        if self.killed.wait_for(|kill| *kill).await.is_err() {
            // The task broke; nobody will tell any more.
            std::future::pending::<()>().await;
        }
    }

    /// Ends the task; an update on its way may still arrive before the final one.
    pub(crate) async fn finish(self) {
        let _ = self.stop.send(());
        let abort = self.task.abort_handle();
        if tokio::time::timeout(PATIENCE, self.task).await.is_err() {
            abort.abort();
        }
    }
}
