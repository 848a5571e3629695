//! The worker as a program of its own: `panda-pilot pilot ...`.
//!
//! Owns its few options and signals. `panda up` uses [`crate::worker`] directly.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::runner::getopt::{self, Known, Parsed};
use crate::worker::{self, WorkerOptions};

const USAGE: &str = "\
usage: pilot --server URL --queue NAME --token-file FILE [--work-dir DIR] [--slots N] [--origin VO]
Takes jobs of the queue and runs them here until it gets SIGTERM or SIGINT.
  --server      address of the server, e.g. http://127.0.0.1:25080
  --token-file  file with a token of the role pilot; read again at each call
  --work-dir    directory of this worker alone (default: /var/tmp/panda-pilot-NAME)
  --slots       jobs at the same time (default: 1)
  --origin      VO, or VO.role, sent as Origin";

const KNOWN: Known =
    Known { short: "h", long: &["server=", "queue=", "token-file=", "work-dir=", "slots=", "origin=", "help"], idle: &[], lenient: false };

/// Runs the worker and returns the exit status: 0, 1 for a failure, 2 for usage.
pub(crate) fn main(args: Vec<OsString>) -> i32 {
    let args: Vec<String> = args.into_iter().map(|arg| arg.to_string_lossy().into_owned()).collect();
    let options = match getopt::parse(&args, &KNOWN).map_err(|failure| failure.text) {
        Ok(parsed) if parsed.has("help") || parsed.has("h") => {
            println!("{USAGE}");
            return 0;
        }
        Ok(parsed) => options(&parsed),
        Err(text) => Err(text),
    };
    let options = match options {
        Ok(options) => options,
        Err(text) => {
            eprintln!("pilot: {text}\n{USAGE}");
            return 2;
        }
    };
    match serve(options) {
        Ok(()) => 0,
        Err(text) => {
            eprintln!("pilot: {text}");
            1
        }
    }
}

fn options(parsed: &Parsed) -> Result<WorkerOptions, String> {
    let needed = |name: &str| parsed.value(name).map(str::to_owned).ok_or_else(|| format!("--{name} is missing"));
    if let Some(word) = parsed.words.first() {
        return Err(format!("`{word}` is not an option"));
    }
    let queue = needed("queue")?;
    let token_file = PathBuf::from(needed("token-file")?);
    std::fs::read_to_string(&token_file).map_err(|error| format!("the token file {}: {error}", token_file.display()))?;
    let token = Arc::new(move || std::fs::read_to_string(&token_file).map(|text| text.trim().to_owned()).unwrap_or_default());
    let work_dir = parsed.value("work-dir").map_or_else(|| PathBuf::from(format!("/var/tmp/panda-pilot-{queue}")), PathBuf::from);
    let mut options = WorkerOptions::new(needed("server")?, token, queue, work_dir);
    if let Some(slots) = parsed.value("slots") {
        options.slots = slots.parse().map_err(|_| format!("--slots must be a number, not `{slots}`"))?;
    }
    options.origin = parsed.value("origin").map(str::to_owned);
    Ok(options)
}

fn serve(options: WorkerOptions) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().map_err(|error| error.to_string())?;
    runtime.block_on(async {
        let (stop, stopped) = watch::channel(false);
        let mut term = signal(SignalKind::terminate()).map_err(|error| error.to_string())?;
        let mut int = signal(SignalKind::interrupt()).map_err(|error| error.to_string())?;
        tokio::spawn(async move {
            tokio::select! {
                _ = term.recv() => {}
                _ = int.recv() => {}
            }
            stop.send_replace(true);
            // The sender lives on: a dropped one would mean the same.
            std::future::pending::<()>().await;
        });
        worker::run(options, stopped).await.map_err(|error| error.to_string())
    })
}
