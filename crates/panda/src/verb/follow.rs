//! Waits for tasks and jobs, and shows how they go.
//!
//! Owns the pace of asking: often at first, so that a short task ends at once, then once a second. Must not know what the task is.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::logs::{self, Piece};
use super::view::{self, Task};
use crate::failure::Failure;
use crate::reference::Reference;
use crate::screen;
use crate::session::Session;

/// First pause between two questions.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// Longest pause.
const LAST_PAUSE: Duration = Duration::from_secs(1);
/// Pause while output is expected: a line that a job writes should show at once.
const OUTPUT_PAUSE: Duration = Duration::from_millis(250);
/// Jobs whose output is shown as it comes; of more it would only be noise.
const MAX_FOLLOWED: usize = 4;
/// The two streams of a job: whether it is that of errors.
const STREAMS: [bool; 2] = [false, true];
/// For how long a server that does not answer is asked again: a restart takes seconds.
const MAX_SILENCE: Duration = Duration::from_secs(60);

/// How to follow.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// When to give up.
    pub timeout: Option<Duration>,
    /// Whether to print what the jobs write.
    pub logs: bool,
    /// Whether to say nothing.
    pub quiet: bool,
}

/// Follows a task to its end or to the timeout, with a line for each change; the answer is its last state.
pub async fn task(session: &Session, id: i64, options: &Options) -> Result<Task, Failure> {
    let mut pace = Pace::new(Instant::now(), options.timeout);
    let mut shown = String::new();
    let mut output = Output::default();
    loop {
        let Some((task, _)) = pace.patient(Task::fetch(session, id).await)? else {
            pace.sleep(false).await;
            continue;
        };
        let line = progress(&task);
        if line != shown && !options.quiet {
            screen::note(format!("task/{id} {line}"));
            shown = line;
        }
        let ended = view::task_end(&task.status).is_some();
        let moved = if options.logs { output.advance(session, id, ended).await } else { false };
        if ended || pace.is_over() {
            return Ok(task);
        }
        if moved {
            pace.pause = OUTPUT_PAUSE.min(pace.pause);
        }
        pace.sleep(output.is_open()).await;
    }
}

/// Waits until a task or job is at its end, or the timeout.
pub async fn until_end(session: &Session, reference: Reference, timeout: Option<Duration>) -> Result<(), Failure> {
    let mut pace = Pace::new(Instant::now(), timeout);
    loop {
        let ended = match reference {
            Reference::Task(id) => pace.patient(Task::fetch(session, id).await)?.and_then(|(task, _)| view::task_end(&task.status)),
            Reference::Job(id) => pace.patient(view::Job::fetch(session, id).await)?.and_then(|(job, _)| view::job_end(&job.status)),
        };
        if ended.is_some() || pace.is_over() {
            return Ok(());
        }
        pace.sleep(false).await;
    }
}

/// How a task stands, in one line.
fn progress(task: &Task) -> String {
    let mut line = task.status.clone();
    if task.files > 0 {
        line.push_str(&format!(", {} of {} done", task.finished, task.files));
    }
    if task.failed > 0 {
        line.push_str(&format!(", {} failed", task.failed));
    }
    if !task.reason.is_empty() && view::task_end(&task.status) != Some(0) {
        line.push_str(&format!(": {}", task.reason));
    }
    line
}

/// When to ask again, and when to stop.
#[derive(Debug)]
struct Pace {
    end: Option<Instant>,
    pause: Duration,
    silent_since: Option<Instant>,
}

impl Pace {
    fn new(start: Instant, timeout: Option<Duration>) -> Self {
        Self { end: timeout.and_then(|timeout| start.checked_add(timeout)), pause: FIRST_PAUSE, silent_since: None }
    }

    fn is_over(&self) -> bool {
        self.end.is_some_and(|end| Instant::now() >= end)
    }

    /// Passes an answer on; a server that is away for a moment is none, one that is away for long is a failure.
    fn patient<T>(&mut self, answer: Result<T, Failure>) -> Result<Option<T>, Failure> {
        match answer {
            Ok(answer) => {
                self.silent_since = None;
                Ok(Some(answer))
            }
            Err(failure) if failure.transient && self.silent_since.get_or_insert_with(Instant::now).elapsed() < MAX_SILENCE => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    async fn sleep(&mut self, output: bool) {
        let left = self.end.map_or(LAST_PAUSE, |end| end.saturating_duration_since(Instant::now()));
        tokio::time::sleep(self.pause.min(left)).await;
        let most = if output { OUTPUT_PAUSE } else { LAST_PAUSE };
        self.pause = (self.pause * 3 / 2).min(most);
    }
}

/// The logs of a task's first jobs.
#[derive(Debug, Default)]
struct Output {
    /// Job and whether it is its error stream.
    jobs: BTreeMap<(i64, bool), Piece>,
    full: bool,
}

impl Output {
    fn is_open(&self) -> bool {
        self.jobs.values().any(|piece| !piece.ended)
    }

    /// Prints what is new; says whether there was something. Output is a courtesy: that it cannot be had fails nothing.
    async fn advance(&mut self, session: &Session, task: i64, last: bool) -> bool {
        if !self.full || last {
            self.look_for_jobs(session, task).await;
        }
        let many = self.jobs.len() > STREAMS.len();
        let mut moved = false;
        for ((job, stderr), piece) in &mut self.jobs {
            // At the end everything that is left is read, piece by piece.
            while !piece.ended {
                let Ok(bytes) = logs::next(session, *job, piece).await else { break };
                if bytes.is_empty() {
                    break;
                }
                moved = true;
                logs::print(&bytes, many.then_some(*job), *stderr);
                if !last {
                    break;
                }
            }
        }
        moved
    }

    async fn look_for_jobs(&mut self, session: &Session, task: i64) {
        let Ok(answer) = session.client.get("task", "get_job_ids", &[("task_id", task)]).await else { return };
        let mut ids: Vec<i64> =
            answer.data.as_array().map(|ids| ids.iter().filter_map(serde_json::Value::as_i64).collect()).unwrap_or_default();
        ids.sort_unstable();
        for id in ids {
            if self.jobs.len() >= MAX_FOLLOWED * STREAMS.len() {
                if !self.full {
                    screen::note(format!(
                        "note: the output of the first {MAX_FOLLOWED} jobs is shown; `panda logs {task}` prints that of all"
                    ));
                }
                self.full = true;
                break;
            }
            for stderr in STREAMS {
                self.jobs.entry((id, stderr)).or_insert_with(|| Piece { stderr, ..Piece::default() });
            }
        }
    }
}
