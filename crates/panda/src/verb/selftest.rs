//! `panda selftest`: the demo's task against a running server, step by step, with a report that machines read.
//!
//! Owns the steps and the report's two forms. Leaves nothing running: a task that does not end in time is ended.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::json;

use super::follow::{self, Options};
use super::{download, logs, view};
use crate::cli::SelftestArgs;
use crate::context::Context;
use crate::failure::{Failure, exit, io};
use crate::session::Session;
use crate::{demo, screen, submit};

/// How long the task may take unless told: a batch system may take its time.
const TIMEOUT: Duration = Duration::from_secs(900);
/// The input's data set, below the user's name; registered once and used again.
const DATASET: &str = "panda-selftest-input";

/// A step that was done.
#[derive(Debug)]
struct Step {
    name: &'static str,
    took: Duration,
    /// What was seen, or why it failed.
    outcome: Result<String, String>,
}

/// Steps so far; after a failure the rest is skipped.
#[derive(Debug, Default)]
struct Report {
    steps: Vec<Step>,
}

impl Report {
    async fn step<T>(
        &mut self,
        context: &Context,
        name: &'static str,
        work: impl Future<Output = Result<(T, String), Failure>>,
    ) -> Option<T> {
        let started = Instant::now();
        let done = work.await;
        let took = started.elapsed();
        let (value, outcome) = match done {
            Ok((value, seen)) => (Some(value), Ok(seen)),
            Err(failure) => (None, Err(failure.message)),
        };
        if !context.json {
            let (word, text) = match &outcome {
                Ok(seen) => ("ok", seen),
                Err(why) => ("FAILED", why),
            };
            screen::line(format!("{word:<7} {name:<10} {:>6.2} s  {text}", took.as_secs_f64()));
        }
        self.steps.push(Step { name, took, outcome });
        value
    }

    fn failed(&self) -> usize {
        self.steps.iter().filter(|step| step.outcome.is_err()).count()
    }

    /// The form that CI systems read.
    fn junit(&self) -> String {
        let total: f64 = self.steps.iter().map(|step| step.took.as_secs_f64()).sum();
        let mut text = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"panda selftest\" tests=\"{}\" failures=\"{}\" time=\"{total:.3}\">\n",
            self.steps.len(),
            self.failed()
        );
        for step in &self.steps {
            let head = format!("  <testcase classname=\"panda.selftest\" name=\"{}\" time=\"{:.3}\"", step.name, step.took.as_secs_f64());
            // Writing to a text cannot fail.
            let _ = match &step.outcome {
                Ok(seen) => writeln!(text, "{head}><system-out>{}</system-out></testcase>", escape(seen)),
                Err(why) => writeln!(text, "{head}><failure message=\"{}\"/></testcase>", escape(why)),
            };
        }
        text.push_str("</testsuite>\n");
        text
    }

    fn json(&self) -> serde_json::Value {
        let step = |step: &Step| {
            let (ok, text) = match &step.outcome {
                Ok(seen) => (true, seen),
                Err(why) => (false, why),
            };
            json!({ "name": step.name, "ok": ok, "seconds": step.took.as_secs_f64(), "text": text })
        };
        json!({ "ok": self.failed() == 0, "steps": self.steps.iter().map(step).collect::<Vec<_>>() })
    }
}

fn escape(text: &str) -> String {
    let plain: String = text.chars().filter(|c| !c.is_control() || *c == '\n').collect();
    plain.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Runs the steps and writes the reports.
pub async fn run(context: &Context, args: &SelftestArgs) -> Result<u8, Failure> {
    let timeout = args.limits.timeout.as_deref().map(|text| submit::seconds(text, 1)).transpose()?.map_or(TIMEOUT, Duration::from_secs);
    let mut report = Report::default();
    steps(context, args, timeout, &mut report).await;
    if let Some(path) = &args.junit {
        std::fs::write(path, report.junit()).map_err(io("write", path))?;
    }
    if context.json {
        screen::json(&report.json());
    }
    Ok(if report.failed() == 0 { exit::OK } else { exit::FAILED })
}

async fn steps(context: &Context, args: &SelftestArgs, timeout: Duration, report: &mut Report) -> Option<()> {
    let session = report.step(context, "server", server(context)).await?;
    let folder = report.step(context, "files", async { folder(context, &session) }).await?;
    let files = demo::write(folder.path()).ok()?;
    let input = report.step(context, "input", input(&session, &files)).await?;
    let task = report.step(context, "submit", submit_task(context, &session, args, &files, input)).await?;
    let ended = report.step(context, "run", run_task(&session, task, timeout)).await;
    if ended.is_none() {
        // Nothing is left running; what failed has ended by itself.
        let _ = session.client.post("task", "kill", &json!({ "task_id": task })).await;
        return None;
    }
    let results = tempfile::tempdir().ok()?;
    let fetched = report.step(context, "outputs", outputs(&session, task, results.path().to_owned())).await?;
    report.step(context, "verify", async { demo::verify(&fetched).map(|totals| ((), format!("{} days agree", totals.days))) }).await?;
    report.step(context, "logs", job_logs(&session, task)).await
}

async fn server(context: &Context) -> Result<(Session, String), Failure> {
    let session = Session::open(context)?;
    session.client.get("system", "is_alive", &()).await?.ok()?;
    let who = session.client.own_get("whoami", &()).await?.ok()?.data;
    let text = format!("{} answers, we are {}", session.client.base().root(), view::text(&who, "name"));
    Ok((session, text))
}

/// A folder for program and input: lasting when the server reads the input there, else one that goes away.
enum Folder {
    Lasting(PathBuf),
    Passing(tempfile::TempDir),
}

impl Folder {
    fn path(&self) -> &std::path::Path {
        match self {
            Self::Lasting(path) => path,
            Self::Passing(folder) => folder.path(),
        }
    }
}

fn folder(context: &Context, session: &Session) -> Result<(Folder, String), Failure> {
    let folder = if session.is_local() {
        let path = context.config.storage().join("selftest");
        std::fs::create_dir_all(&path).map_err(io("make", &path))?;
        Folder::Lasting(path)
    } else {
        Folder::Passing(tempfile::tempdir().map_err(|error| Failure::new(format!("cannot make a folder: {error}")))?)
    };
    let text = folder.path().display().to_string();
    Ok((folder, text))
}

/// The input as a data set; the one of an earlier test is used again.
async fn input(session: &Session, files: &demo::Files) -> Result<(String, String), Failure> {
    let dataset = format!("user.{}.{DATASET}", session.nickname()?);
    let inputs = demo::inputs(files);
    let known = session.client.own_get("dataset/show", &[("name", dataset.as_str()), ("limit", "1")]).await?;
    if usize::try_from(view::int(&known.data, "n_files")).is_ok_and(|n| n == inputs.len()) {
        return Ok((dataset.clone(), format!("{dataset} is there")));
    }
    submit::register_inputs(session, &dataset, &inputs).await?;
    Ok((dataset.clone(), format!("{dataset} registered")))
}

async fn submit_task(
    context: &Context,
    session: &Session,
    args: &SelftestArgs,
    files: &demo::Files,
    input: String,
) -> Result<(i64, String), Failure> {
    let name = format!("panda-selftest.{}", &uuid::Uuid::new_v4().simple().to_string()[..8]);
    let mut options = demo::options(files, input, &name);
    options.queue.clone_from(&args.queue);
    let prepared = submit::prepare(context, session, &options).await?;
    let task = submit::submit(session, prepared).await?;
    Ok((task.task_id, format!("task/{}", task.task_id)))
}

async fn run_task(session: &Session, task: i64, timeout: Duration) -> Result<((), String), Failure> {
    let end = follow::task(session, task, &Options { timeout: Some(timeout), logs: false, quiet: true }).await?;
    if view::task_end(&end.status) == Some(exit::OK) {
        return Ok(((), format!("{} of {} files", end.finished, end.files)));
    }
    Err(Failure::new(format!("task/{task} is {} after {} s: {}", end.status, timeout.as_secs(), end.reason)))
}

async fn outputs(session: &Session, task: i64, to: PathBuf) -> Result<(Vec<PathBuf>, String), Failure> {
    let files = download::fetch(session, task, &to, &download::Wanted::default()).await?;
    let text = format!("{} files", files.len());
    Ok((files, text))
}

/// The log of the first job that wrote what the program writes.
async fn job_logs(session: &Session, task: i64) -> Result<((), String), Failure> {
    let (jobs, _) = view::Job::of_task(session, task).await?;
    for job in jobs {
        let text = logs::next(session, job.id, &mut logs::Piece::default()).await?;
        if String::from_utf8_lossy(&text).contains("analysing ") {
            return Ok(((), format!("job/{} wrote {} bytes", job.id, text.len())));
        }
    }
    Err(Failure::new(format!("no job's log of task/{task} has the program's words")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_are_well_formed() {
        let step = |name, outcome| Step { name, took: Duration::from_millis(1500), outcome };
        let report = Report { steps: vec![step("a", Ok("fine".to_owned())), step("b", Err("<no> \"way\" & \u{7}".to_owned()))] };
        let text = report.junit();
        assert!(text.contains("tests=\"2\" failures=\"1\" time=\"3.000\""), "{text}");
        assert!(text.contains("<failure message=\"&lt;no&gt; &quot;way&quot; &amp; \"/>"), "{text}");
        assert_eq!(report.json()["ok"], false);
    }
}
