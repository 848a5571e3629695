//! `panda pilot`: the worker as a process of its own.

use panda_access::Role;
use panda_pilot::worker::{self, WorkerOptions};
use tokio::sync::watch;

use crate::cli::PilotArgs;
use crate::context::Context;
use crate::failure::{Failure, exit};
use crate::session::Session;
use crate::up;

/// Takes jobs until it is told to end.
pub async fn run(context: &Context, args: &PilotArgs) -> Result<u8, Failure> {
    let session = Session::with_role(context, Some(Role::Pilot), None)?;
    let token = session.token.clone().ok_or_else(crate::session::no_token)?;
    let work_dir = args.work_dir.clone().unwrap_or_else(|| context.config.data.join(format!("pilot-{}", args.queue)));
    let provider = std::sync::Arc::new(move || token.clone());
    let options = WorkerOptions {
        slots: usize::from(args.slots),
        ..WorkerOptions::new(session.client.base().root(), provider, &args.queue, work_dir)
    };
    let (stop, stopped) = watch::channel(false);
    let signal = tokio::spawn(async move {
        up::signal().await;
        stop.send_replace(true);
    });
    let outcome = worker::run(options, stopped).await;
    signal.abort();
    outcome.map_err(|error| Failure::new(error.to_string()))?;
    Ok(exit::OK)
}
