//! One job from its dictionary to its delivered report.
//!
//! Owns the order of things: journal, directory, inputs, payload, log, outputs,
//! report. Each of them lives in a module of its own.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::sync::watch;

use super::codes::{INTERNAL, JobFailure, LOG_ARCHIVE, MAKE_DIRECTORY, STAGE_OUT};
use super::ending::{End, killed, stopping};
use super::heartbeat::Heartbeats;
use super::job::{self, Job, REGEX_PREFIX};
use super::journal::{Entry, Journal, Spooled};
use super::logs::{self, LogStream};
use super::outcome::{Outcome, text_time};
use super::payload::{self, Running};
use super::queue::Queue;
use super::slot::{Taken, is_stopped, stopped};
use super::stage::{self, Delivery};
use super::storage::path_of;
use super::{Context, archive, report, steps};

/// When memory is sampled first, and how often then.
const FIRST_SAMPLE: Duration = Duration::from_millis(300);
const SAMPLE_PERIOD: Duration = Duration::from_secs(1);

const SECRETS: &str = "panda_secrets.json";

/// Files that never go into a log archive.
const NEVER_LOGGED: [&str; 2] = [SECRETS, "__run_main_secrets.sh"];

/// Runs a job and delivers its report.
pub(crate) async fn run(context: &Context, slot: usize, taken: &Taken, shutdown: &mut watch::Receiver<bool>) {
    let Some((id, attempt)) = job::identity(&taken.job) else {
        tracing::error!("the server sent a job without PandaID");
        return;
    };
    let journal = Journal::new(&context.options.work_dir, slot);
    let dir = context.scratch(slot).join(format!("PanDA_Pilot-{id}"));
    let mut outcome = Outcome::new(taken.asked_s);
    let mut files = Vec::new();
    tracing::info!(job = id, attempt, slot, "job taken");
    match Job::parse(&taken.job) {
        Err(failure) => outcome.failure = Some(failure),
        Ok(job) => {
            let mut work = Work::new(context, slot, job, dir.clone(), journal.clone());
            outcome.cores = work.job.cores;
            work.all(&mut outcome, shutdown).await;
            files = work.entry.files;
        }
    }
    if let Some(failure) = &outcome.failure {
        tracing::info!(job = id, code = failure.code, diag = failure.diag, "job failed");
    }
    let spooled = Spooled { body: outcome.body(context, id, attempt), files };
    if let Err(error) = journal.spool(&spooled) {
        tracing::warn!(%error, "the final report could not be written to disk");
    }
    report::deliver(context, &journal, &spooled, shutdown).await;
    remove_dir(dir).await;
}

/// A job at work.
struct Work<'a> {
    context: &'a Context,
    job: Arc<Job>,
    dir: PathBuf,
    slot_dir: PathBuf,
    journal: Journal,
    entry: Entry,
    queue: Queue,
    /// Names in the job directory that are no outputs.
    known: BTreeSet<String>,
}

impl<'a> Work<'a> {
    fn new(context: &'a Context, slot: usize, job: Job, dir: PathBuf, journal: Journal) -> Self {
        let entry = Entry {
            job_id: job.id,
            attempt: job.attempt,
            dir: dir.clone(),
            mark: uuid::Uuid::new_v4().to_string(),
            boot_id: context.boot_id.clone(),
            pid: None,
            pid_start: None,
            files: Vec::new(),
        };
        Self {
            context,
            job: Arc::new(job),
            slot_dir: context.scratch(slot),
            dir,
            journal,
            entry,
            queue: Queue::default(),
            known: BTreeSet::new(),
        }
    }

    async fn all(&mut self, outcome: &mut Outcome, shutdown: &mut watch::Receiver<bool>) {
        let worked = self.work(outcome, shutdown).await;
        let begin = Instant::now();
        let delivered = match worked {
            Ok(()) => self.deliver(outcome).await,
            Err(failure) => {
                outcome.failure = Some(failure);
                // The log helps to find out why; another failure adds nothing.
                if let Err(failure) = self.store_log(outcome, &[]).await {
                    tracing::warn!(job = self.job.id, diag = failure.diag, "no log archive");
                }
                Ok(())
            }
        };
        if let Err(failure) = delivered {
            outcome.failure = Some(failure);
        }
        if outcome.failure.is_some() {
            self.drop_outputs(outcome).await;
        }
        outcome.timing.stage_out = begin.elapsed().as_secs();
    }

    /// Everything up to the payload's end.
    async fn work(&mut self, outcome: &mut Outcome, shutdown: &mut watch::Receiver<bool>) -> Result<(), JobFailure> {
        let begin = Instant::now();
        self.prepare().await?;
        if is_stopped(shutdown) {
            return Err(stopping(outcome));
        }
        let starting = report::base(self.context, self.job.id, self.job.attempt, "starting");
        match report::send(&self.context.client, &Value::Object(starting)).await {
            Ok(answer) if answer.is_kill() => return Err(killed()),
            Ok(_) => {}
            // The payload does not need the server; the final report is kept.
            Err(error) => tracing::warn!(job = self.job.id, %error, "`starting` was not delivered"),
        }
        outcome.timing.set_up = begin.elapsed().as_secs();
        let begin = Instant::now();
        let (job, storage, dir) = (Arc::clone(&self.job), Arc::clone(&self.queue.storage), self.dir.clone());
        blocking(move || stage::stage_in(&job, &storage, &dir)).await?;
        outcome.timing.stage_in = begin.elapsed().as_secs();
        self.write_secrets()?;
        let begin = Instant::now();
        let result = self.payload(outcome, shutdown).await;
        outcome.timing.payload = begin.elapsed().as_secs();
        result
    }

    /// The queue's documents, journal, job directory.
    async fn prepare(&mut self) -> Result<(), JobFailure> {
        self.queue = self
            .context
            .queue
            .get(&self.context.client, &self.context.options.queue)
            .await
            .map_err(|error| JobFailure::new(INTERNAL, format!("the queue's data: {error}")))?;
        self.entry.files = self.planned_files();
        let fail = |error: std::io::Error| JobFailure::new(INTERNAL, format!("the worker cannot write its journal: {error}"));
        self.journal.write(&self.entry, true).map_err(fail)?;
        let dir = self.dir.clone();
        blocking(move || {
            let fail = |error| JobFailure::new(MAKE_DIRECTORY, format!("Failed to create {}: {error}", dir.display()));
            if dir.exists() {
                fs::remove_dir_all(&dir).map_err(fail)?;
            }
            fs::create_dir_all(&dir).map_err(fail)?;
            for (name, _) in logs::STREAMS {
                logs::open(&dir, name).map_err(fail)?;
            }
            Ok(())
        })
        .await
    }

    /// Where the job's files will lie, as far as their names are known.
    fn planned_files(&self) -> Vec<PathBuf> {
        self.job
            .outputs
            .iter()
            .chain(&self.job.log)
            .filter(|file| !file.lfn.starts_with(REGEX_PREFIX))
            .filter_map(|file| {
                let (_, root) = self.queue.storage.write_root(file.endpoint.as_deref()).ok()?;
                Some(path_of(root, &file.scope, &file.lfn))
            })
            .collect()
    }

    fn write_secrets(&self) -> Result<(), JobFailure> {
        let Some(secrets) = &self.job.secrets else {
            return Ok(());
        };
        fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(self.dir.join(SECRETS))
            .and_then(|mut file| file.write_all(secrets.as_bytes()))
            .map_err(|error| JobFailure::new(INTERNAL, format!("the secrets cannot be written: {error}")))
    }

    /// Runs the job's programs, with heartbeats and the log stream.
    async fn payload(&mut self, outcome: &mut Outcome, shutdown: &mut watch::Receiver<bool>) -> Result<(), JobFailure> {
        let stream = LogStream::start(self.context.client.clone(), self.job.id, self.job.attempt, self.dir.clone());
        let mut hearts = None;
        let result = self.parts(outcome, &mut hearts, shutdown).await;
        stream.finish().await;
        if let Some(hearts) = hearts {
            hearts.finish().await;
        }
        result
    }

    async fn parts(
        &mut self,
        outcome: &mut Outcome,
        hearts: &mut Option<Heartbeats>,
        shutdown: &mut watch::Receiver<bool>,
    ) -> Result<(), JobFailure> {
        let job = Arc::clone(&self.job);
        let deadline = (job.max_wall_time_s > 0).then(|| tokio::time::Instant::now() + Duration::from_secs(job.max_wall_time_s));
        for part in steps::parts(&job.plan) {
            let prepared = steps::prepare(self.context, &job, &self.dir, part).await?;
            self.known = names_in(&self.dir);
            let running = Running::start(prepared.command, &self.dir, &self.entry.mark)
                .map_err(|error| JobFailure::new(prepared.failure_code, format!("Failed to execute payload:{error}")))?;
            let hearts = hearts.get_or_insert_with(|| self.heartbeats(outcome));
            self.note(&running);
            let (end, status) = self.supervise(running, outcome, deadline, hearts, shutdown).await?;
            match end {
                End::Exited => outcome.judge(&self.dir, status, prepared.failure_code)?,
                end => {
                    // What it left may still tell something.
                    let _ = outcome.judge(&self.dir, status, prepared.failure_code);
                    return Err(end.failure(&job, self.queue.grace, outcome));
                }
            }
        }
        Ok(())
    }

    /// Journals the process; it means nothing after a crash of the machine.
    fn note(&mut self, running: &Running) {
        let (pid, start) = running.identity();
        self.entry.pid = Some(pid);
        self.entry.pid_start = Some(start);
        if let Err(error) = self.journal.write(&self.entry, false) {
            tracing::warn!(%error, "the worker cannot write its journal");
        }
    }

    async fn supervise(
        &self,
        mut running: Running,
        outcome: &mut Outcome,
        deadline: Option<tokio::time::Instant>,
        hearts: &mut Heartbeats,
        shutdown: &mut watch::Receiver<bool>,
    ) -> Result<(End, i32), JobFailure> {
        let mut sample_at = tokio::time::Instant::now() + FIRST_SAMPLE;
        let end = loop {
            let far = sample_at + SAMPLE_PERIOD;
            tokio::select! {
                biased;
                () = running.ended() => break End::Exited,
                () = hearts.killed() => break End::Killed,
                () = stopped(shutdown) => break End::Stopped,
                () = tokio::time::sleep_until(deadline.unwrap_or(far)), if deadline.is_some() => {
                    break End::WallTime;
                }
                () = tokio::time::sleep_until(sample_at) => {
                    if let Some(used) = running.beyond(self.queue.grace.limit_kb(self.job.memory_mb)) {
                        break End::Memory(used);
                    }
                    sample_at += SAMPLE_PERIOD;
                }
            }
        };
        if !matches!(end, End::Exited) {
            running.terminate(self.context.options.kill_grace).await;
        }
        let (status, usage) = running.reap().await.map_err(|error| JobFailure::new(INTERNAL, format!("the payload was lost: {error}")))?;
        outcome.usage.add(usage);
        Ok((end, payload::exit_code(status)))
    }

    fn heartbeats(&self, outcome: &Outcome) -> Heartbeats {
        let mut body = report::base(self.context, self.job.id, self.job.attempt, "running");
        body.insert("start_time".to_owned(), json!(text_time(outcome.start)));
        body.insert("core_count".to_owned(), json!(self.job.cores));
        Heartbeats::start(self.context, Value::Object(body))
    }

    /// Log and outputs of a payload that succeeded. The log goes first: when it
    /// cannot be stored, nothing else has to be taken back.
    async fn deliver(&mut self, outcome: &mut Outcome) -> Result<(), JobFailure> {
        let (job, storage, dir, known) = (Arc::clone(&self.job), Arc::clone(&self.queue.storage), self.dir.clone(), self.known.clone());
        let found = blocking(move || stage::outputs(&job, &storage, &dir, &known)).await?;
        let new: Vec<PathBuf> = found.iter().map(|file| file.to.clone()).filter(|path| !self.entry.files.contains(path)).collect();
        if !new.is_empty() {
            self.entry.files.extend(new);
            self.journal.write(&self.entry, true).map_err(|error| JobFailure::new(STAGE_OUT, format!("the journal: {error}")))?;
        }
        self.store_log(outcome, &found).await?;
        let mut files = blocking(move || stage::deliver(&found)).await?;
        outcome.files.append(&mut files);
        Ok(())
    }

    /// Packs and stores the log archive, if the job has a log.
    async fn store_log(&self, outcome: &mut Outcome, outputs: &[Delivery]) -> Result<(), JobFailure> {
        let Some(log) = &self.job.log else {
            return Ok(());
        };
        if !self.dir.is_dir() {
            return Ok(());
        }
        let packed = self.slot_dir.join("log.tgz");
        let delivery = stage::delivery(log, &log.lfn, packed.clone(), self.job.log_guid.as_deref(), &self.queue.storage)?;
        let top = format!("tarball_PandaJob_{}_{}", self.job.id, self.context.options.queue);
        let (leave_out, dir) = (self.leave_out(outputs), self.dir.clone());
        let mut files = blocking(move || {
            archive::pack(&dir, &leave_out, &top, &packed)
                .map_err(|error| JobFailure::new(LOG_ARCHIVE, format!("Failed during creation of log file: {error}")))?;
            let stored = stage::deliver(&[delivery]);
            let _ = fs::remove_file(&packed);
            stored
        })
        .await?;
        outcome.files.append(&mut files);
        Ok(())
    }

    /// Inputs, outputs, our runner, secrets: not for the log.
    fn leave_out(&self, outputs: &[Delivery]) -> BTreeSet<String> {
        let inputs = self.job.inputs.iter().map(|file| file.lfn.clone());
        let declared = self.job.outputs.iter().map(|file| file.lfn.clone());
        let found = outputs.iter().map(|file| file.lfn.clone());
        let runners = self.known.iter().filter(|name| crate::runner::runner_name(name).is_some()).cloned();
        let never = NEVER_LOGGED.map(str::to_owned);
        inputs.chain(declared).chain(found).chain(runners).chain(never).collect()
    }

    /// A failed job leaves nothing but its log in the storage.
    async fn drop_outputs(&mut self, outcome: &mut Outcome) {
        let log = self.job.log.as_ref().map(|file| file.lfn.as_str());
        outcome.files.retain(|lfn, _| Some(lfn.as_str()) == log);
        let is_log = |path: &PathBuf| path.file_name().and_then(|name| name.to_str()) == log && log.is_some();
        let stray = self.entry.files.iter().filter(|path| !is_log(path)).cloned().collect();
        self.entry.files.retain(is_log);
        report::remove_files(stray).await;
    }
}

fn names_in(dir: &std::path::Path) -> BTreeSet<String> {
    fs::read_dir(dir)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .chain(["payload_error_report.json", "jobReport.json"].map(str::to_owned))
        .collect()
}

/// Runs file work on the blocking pool.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, JobFailure> + Send + 'static) -> Result<T, JobFailure> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(JobFailure::new(INTERNAL, format!("the worker broke: {error}"))))
}

/// Removes a job directory; links in it are removed, not followed.
pub(crate) async fn remove_dir(dir: PathBuf) {
    let result = tokio::task::spawn_blocking(move || if dir.exists() { fs::remove_dir_all(dir) } else { Ok(()) }).await;
    if let Ok(Err(error)) = result {
        tracing::warn!(%error, "a scratch directory could not be removed");
    }
}
