//! `panda demo`: the whole system once, on one machine, with a real task to verified outputs.
//!
//! Owns the show: what is printed when. The task goes the way of every task: through the API, to the local worker.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::download;
use super::view::{self, Job, Task};
use crate::builder::Server;
use crate::cli::DemoArgs;
use crate::config::{Config, Origin, keys::HTTP_PORT};
use crate::context::Context;
use crate::failure::{Failure, exit, io};
use crate::session::Session;
use crate::up::Running;
use crate::{demo, screen, submit};

/// The task ends within seconds; a machine that takes this long has a fault that should be seen.
const TIMEOUT: Duration = Duration::from_secs(300);
/// How often the task is looked at.
const PAUSE: Duration = Duration::from_millis(100);
/// The user of the demo.
const USER: &str = "demo";

/// Brings it up, runs the task, verifies, and either ends or stays.
pub async fn run(context: &Context, args: &DemoArgs) -> Result<u8, Failure> {
    let started = Instant::now();
    let (config, own_folder) = configuration(&context.config)?;
    let data = config.data.clone();
    let running = Server::builder(config.clone()).free_port().start().await?;
    say(context, format!("system up at {} after {} (embedded database, {} slots)", running.url(), seconds(started), config.worker.slots));
    let context = Context {
        config: Config { client: with_server(&config, running.url()), ..config },
        json: context.json,
        verbose: 0,
        words: context.words.clone(),
    };
    let outcome = task(&context, &data, started).await;
    if let Ok(shown) = &outcome {
        close(&context, args, &running, own_folder.is_some(), shown);
    }
    match (&outcome, args.keep) {
        (Ok(_), true) => running.until_signal().await?,
        _ => running.stop().await,
    }
    if outcome.is_err()
        && let Some(folder) = own_folder
    {
        // What went wrong should be there to be looked at.
        let kept = folder.keep();
        return outcome.map_err(|failure| failure.hint(format!("the data folder is kept: {}", kept.display()))).map(|_| exit::OK);
    }
    outcome.map(|_| exit::OK)
}

/// A folder that goes away at the end, unless one was named.
fn configuration(config: &Config) -> Result<(Config, Option<tempfile::TempDir>), Failure> {
    let mut config = config.clone();
    config.client.user = Some(USER.to_owned());
    config.worker.enabled = true;
    // A system of a minute on this machine; the port is that of the lasting one.
    config.server.tls = None;
    if config.settings.origin("data") == Origin::Option("--data") {
        return Ok((config, None));
    }
    let folder =
        tempfile::Builder::new().prefix("panda-demo-").tempdir().map_err(|error| Failure::new(format!("cannot make a folder: {error}")))?;
    config.data = folder.path().to_owned();
    if config.settings.get("database").is_none() {
        config.database = format!("sqlite:{}", config.data.join("panda.db").display());
    }
    Ok((config, Some(folder)))
}

fn with_server(config: &Config, url: &str) -> crate::config::ClientConfig {
    crate::config::ClientConfig { server: Some(url.to_owned()), ..config.client.clone() }
}

/// What the end tells.
struct Shown {
    task_id: i64,
    totals: demo::Totals,
    files: Vec<PathBuf>,
    took: Duration,
}

/// Submits the task, follows it, fetches and verifies its outputs.
async fn task(context: &Context, data: &Path, started: Instant) -> Result<Shown, Failure> {
    let session = Session::open(context)?;
    // In the storage: a server registers no other files of its own folder.
    let files = demo::write(&context.config.storage().join("demo"))?;
    let dataset = format!("user.{}.seattle", session.nickname()?);
    submit::register_inputs(&session, &dataset, &demo::inputs(&files)).await?;
    let name = format!("demo.{}", &uuid::Uuid::new_v4().simple().to_string()[..8]);
    let prepared = submit::prepare(context, &session, &demo::options(&files, dataset, &name)).await?;
    let task = submit::submit(&session, prepared).await?;
    say(context, format!("task/{} submitted: a build, 8 jobs over 48 files, a merge", task.task_id));
    let end = progress(context, &session, task.task_id).await?;
    if view::task_end(&end.status) != Some(exit::OK) {
        return Err(Failure { code: exit::TASK_FAILED, ..Failure::new(format!("task/{} is {}: {}", end.id, end.status, end.reason)) });
    }
    let results = data.join("demo").join("results");
    let files = download::fetch(&session, task.task_id, &results, &download::Wanted::default()).await?;
    let totals = demo::verify(&files)?;
    Ok(Shown { task_id: task.task_id, totals, files, took: started.elapsed() })
}

/// Follows the task's jobs: a bar on a terminal, plain lines elsewhere.
async fn progress(context: &Context, session: &Session, id: i64) -> Result<Task, Failure> {
    let style = ProgressStyle::with_template("  {bar:40} {pos} of {len} jobs  {msg}").unwrap_or_else(|_| ProgressStyle::default_bar());
    let on_terminal = screen::is_terminal() && !context.json;
    let bar = if on_terminal { ProgressBar::new(demo::JOBS).with_style(style) } else { ProgressBar::hidden() };
    let started = Instant::now();
    let mut shown = String::new();
    let end = loop {
        let (task, _) = Task::fetch(session, id).await?;
        let (jobs, _) = Job::of_task(session, id).await?;
        let done = u64::try_from(jobs.iter().filter(|job| is_over(&job.status)).count()).unwrap_or(0);
        bar.set_position(done);
        bar.set_message(task.status.clone());
        let line = format!("task/{id} {}, {done} of {} jobs over", task.status, demo::JOBS);
        if !on_terminal && line != shown {
            say(context, line.clone());
            shown = line;
        }
        if view::task_end(&task.status).is_some() || started.elapsed() > TIMEOUT {
            break task;
        }
        tokio::time::sleep(PAUSE).await;
    };
    bar.finish_and_clear();
    Ok(end)
}

/// Whether a job's payload has run; what is merged later counts here.
fn is_over(status: &str) -> bool {
    status == "merging" || view::job_end(status).is_some()
}

/// The last lines: what was found, and how to go on.
fn close(context: &Context, args: &DemoArgs, running: &Running, temporary: bool, shown: &Shown) {
    let peak_mb = peak_memory_mb();
    if context.json {
        let files: Vec<String> = shown.files.iter().map(|path| path.display().to_string()).collect();
        return screen::json(&json!({
            "task_id": shown.task_id, "verified": true, "days": shown.totals.days, "months": shown.totals.months, "rain_mm": shown.totals.rain_mm,
            "seconds": shown.took.as_secs_f64(), "peak_memory_mb": peak_mb, "url": running.url(), "files": files,
        }));
    }
    let totals = &shown.totals;
    say(
        context,
        format!(
            "verified: {} days in {} months, {:.1} mm of rain, up to {:.1} degrees; both outputs agree with the input",
            totals.days, totals.months, totals.rain_mm, totals.highest_c
        ),
    );
    let memory = peak_mb.map(|mb| format!(", at most {mb} MB of memory")).unwrap_or_default();
    say(context, format!("from start to verified outputs {:.1} s{memory}", shown.took.as_secs_f64()));
    let data = if temporary || args.keep { format!(" --data {}", context.config.data.display()) } else { String::new() };
    if args.keep {
        say(
            context,
            format!("\nmonitor: {}  (Ctrl-C ends the system{})", running.url(), if temporary { " and removes its data" } else { "" }),
        );
        say(context, "now yours, in another shell:".to_owned());
        commands(context, &data);
    } else {
        say(context, format!("\nnow yours: `panda up` in one shell (monitor: {}), and in another:", default_monitor(context)));
        commands(context, "");
    }
}

fn default_monitor(context: &Context) -> String {
    let mut listen = context.config.server.listen;
    if listen.port() == 0 {
        listen.set_port(HTTP_PORT);
    }
    format!("http://{listen}")
}

/// Submit my script, watch it, fetch its outputs.
fn commands(context: &Context, data: &str) {
    say(context, format!("  id=$(panda submit{data} --out out.txt -- './my-script.sh > out.txt')"));
    say(context, format!("  panda status{data} $id --wait"));
    say(context, format!("  panda download{data} $id --to results"));
}

fn say(context: &Context, text: String) {
    if !context.json {
        screen::line(text);
    }
}

fn seconds(since: Instant) -> String {
    format!("{:.2} s", since.elapsed().as_secs_f64())
}

/// The largest resident memory of this process so far, MB; payloads are processes of their own.
fn peak_memory_mb() -> Option<u64> {
    let path = Path::new("/proc/self/status");
    let text = std::fs::read(path).map_err(io("read", path)).ok()?;
    let text = String::from_utf8_lossy(&text);
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches("kB").trim().parse::<u64>().ok().map(|kb| kb.div_ceil(1024))
}
