//! One run of a child: calls by id, and one task that reads, keeps the deadlines and ends the process group.

use std::{
    collections::BTreeMap,
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use rustix::process::{Pid, Signal, kill_process_group};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncRead, AsyncWriteExt, BufReader},
    process::{Child, ChildStdin, ChildStdout, Command},
    sync::{mpsc, oneshot},
    time::Instant,
};

use super::{
    Options,
    line::{Line, Lines},
    short,
};

/// How often deadlines are looked at.
const TICK: Duration = Duration::from_millis(50);
/// Longest line of standard error that is logged, in bytes; a longer one ends the logging of that child.
const MAX_ERROR_LINE: usize = 16 << 10;
/// Lines of standard error logged in [`ERROR_WINDOW`].
const MAX_ERROR_LINES: u32 = 100;
const ERROR_WINDOW: Duration = Duration::from_secs(10);

/// What a child answered.
#[derive(Debug)]
pub enum Answer {
    /// The result.
    Result(Value),
    /// An error: code and message.
    Error(i64, String),
}

#[derive(Deserialize)]
struct Reply {
    jsonrpc: String,
    id: u64,
    #[serde(default)]
    result: Option<Value>,
    #[serde(default)]
    error: Option<ReplyError>,
}

#[derive(Deserialize)]
struct ReplyError {
    code: i64,
    message: String,
}

#[derive(Debug)]
struct Waiting {
    method: String,
    due: Instant,
    answer: oneshot::Sender<Result<Answer, String>>,
}

#[derive(Debug, Default)]
struct Shared {
    waiting: Mutex<BTreeMap<u64, Waiting>>,
    /// Why it ended.
    ended: Mutex<Option<String>>,
    served: AtomicBool,
}

impl Shared {
    /// The first reason stays.
    fn end(&self, reason: &str) {
        self.ended.lock().get_or_insert_with(|| reason.to_owned());
    }
}

/// A child that runs, or did. Dropping it ends the child.
#[derive(Debug)]
pub struct Link {
    shared: Arc<Shared>,
    next: AtomicU64,
    lines: mpsc::Sender<String>,
    stop: mpsc::Sender<()>,
    deadline: Duration,
    max_in_flight: usize,
}

impl Link {
    /// Starts a child in a process group of its own.
    pub fn start(o: &Options) -> Result<Self, String> {
        let (program, args) = o.command.split_first().ok_or("has no command")?;
        let mut command = Command::new(program);
        command
            .args(args)
            .envs(o.env.iter().cloned())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .process_group(0);
        if let Some(dir) = &o.dir {
            command.current_dir(dir);
        }
        let mut child = command.spawn().map_err(|e| format!("`{program}` cannot be started: {e}"))?;
        let (Some(stdin), Some(stdout), Some(stderr)) = (child.stdin.take(), child.stdout.take(), child.stderr.take()) else {
            return Err("has no standard streams".to_owned());
        };
        let shared = Arc::new(Shared::default());
        let (lines, to_write) = mpsc::channel(o.max_in_flight.max(1));
        let (stop, stopped) = mpsc::channel(1);
        tokio::spawn(write(stdin, to_write));
        tokio::spawn(log(o.name.clone(), stderr));
        tokio::spawn(watch(Running::new(child), stdout, shared.clone(), stopped, o.max_line));
        Ok(Self { shared, next: AtomicU64::new(1), lines, stop, deadline: o.deadline, max_in_flight: o.max_in_flight })
    }
    /// Why it ended; none while it runs.
    pub fn ended(&self) -> Option<String> {
        self.shared.ended.lock().clone()
    }
    /// Whether it has answered a call.
    pub fn has_served(&self) -> bool {
        self.shared.served.load(Ordering::Relaxed)
    }
    /// Its first answer (`initialize`) is none.
    pub fn forget_served(&self) {
        self.shared.served.store(false, Ordering::Relaxed);
    }
    /// Ends it.
    pub fn stop(&self, reason: &str) {
        self.shared.end(reason);
        self.shared.served.store(false, Ordering::Relaxed);
        let _ = self.stop.try_send(());
    }
    /// Calls a method and waits for the answer; otherwise why there is none.
    pub async fn call(&self, method: &str, params: Value) -> Result<Answer, String> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let line = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}).to_string() + "\n";
        let (answer, answered) = oneshot::channel();
        {
            let mut waiting = self.shared.waiting.lock();
            if let Some(reason) = self.ended() {
                return Err(reason);
            }
            if waiting.len() >= self.max_in_flight {
                return Err(format!("{} calls wait for an answer already", waiting.len()));
            }
            waiting.insert(id, Waiting { method: method.to_owned(), due: Instant::now() + self.deadline, answer });
        }
        if self.lines.try_send(line).is_err() {
            self.stop("does not read its calls");
        }
        answered.await.unwrap_or_else(|_| Err(self.ended().unwrap_or_else(|| "ended".to_owned())))
    }
}

/// A process with its group, which ends with it even when nobody waits.
struct Running {
    child: Child,
    group: Option<Pid>,
}

impl Running {
    fn new(child: Child) -> Self {
        let group = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        Self { child, group }
    }
    /// Ends the group while its leader is not waited for, so that its number is nobody else's.
    fn kill(&mut self) {
        if let Some(group) = self.group.take() {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Reads answers until the child is to end, ends it, and tells those who wait.
async fn watch(mut running: Running, stdout: ChildStdout, shared: Arc<Shared>, mut stop: mpsc::Receiver<()>, max_line: usize) {
    let mut reader = BufReader::new(stdout);
    let mut lines = Lines::default();
    let mut tick = tokio::time::interval(TICK);
    let reason = loop {
        tokio::select! {
            line = lines.next(&mut reader, max_line) => match line {
                Ok(Line::Text(line)) => if let Err(reason) = take(&shared, &line) { break Some(reason) },
                Ok(Line::TooLong) => break Some(format!("nonsense: a line of more than {max_line} bytes")),
                Ok(Line::End) => break None,
                Err(e) => break Some(format!("cannot be read: {e}")),
            },
            _ = stop.recv() => break Some("was ended".to_owned()),
            _ = tick.tick() => if let Some(reason) = late(&shared) { break Some(reason) },
        }
    };
    if let Some(reason) = &reason {
        shared.end(reason);
    }
    running.kill();
    let status = running.child.wait().await;
    if reason.is_none() {
        shared.end(&status.map_or_else(|e| format!("crashed: {e}"), |s| format!("crashed: its process ended ({s})")));
    }
    let reason = shared.ended.lock().clone().unwrap_or_default();
    let waiting = std::mem::take(&mut *shared.waiting.lock());
    for call in waiting.into_values() {
        let _ = call.answer.send(Err(reason.clone()));
    }
}

/// Gives an answer to who waits for it.
fn take(shared: &Shared, line: &[u8]) -> Result<(), String> {
    let shown = || short(&String::from_utf8_lossy(line));
    let reply: Reply =
        serde_json::from_slice(line).map_err(|e| format!("nonsense: `{}` is no answer ({})", shown(), short(&e.to_string())))?;
    let answer = match (reply.result, reply.error) {
        (Some(value), None) => Answer::Result(value),
        (None, Some(e)) => Answer::Error(e.code, e.message),
        _ => return Err(format!("nonsense: `{}` has not one of result and error", shown())),
    };
    if reply.jsonrpc != "2.0" {
        return Err(format!("nonsense: `{}` is not JSON-RPC 2.0", shown()));
    }
    let call = shared.waiting.lock().remove(&reply.id);
    let call = call.ok_or_else(|| format!("nonsense: an answer with id {}, which no call has", reply.id))?;
    shared.served.store(true, Ordering::Relaxed);
    let _ = call.answer.send(Ok(answer));
    Ok(())
}

/// Why it must end, when a call has waited too long.
fn late(shared: &Shared) -> Option<String> {
    let now = Instant::now();
    let waiting = shared.waiting.lock();
    waiting.values().find(|w| w.due <= now).map(|w| format!("no answer to {} in time", w.method))
}

async fn write(mut stdin: ChildStdin, mut lines: mpsc::Receiver<String>) {
    while let Some(line) = lines.recv().await {
        if stdin.write_all(line.as_bytes()).await.is_err() || stdin.flush().await.is_err() {
            return;
        }
    }
}

/// Logs what a child says on standard error, so much and no more.
async fn log(name: String, stderr: impl AsyncRead + Unpin) {
    let mut reader = BufReader::new(stderr);
    let mut lines = Lines::default();
    let (mut since, mut n) = (Instant::now(), 0);
    loop {
        match lines.next(&mut reader, MAX_ERROR_LINE).await {
            Ok(Line::Text(line)) => {
                if since.elapsed() > ERROR_WINDOW {
                    (since, n) = (Instant::now(), 0);
                }
                n += 1;
                if n <= MAX_ERROR_LINES {
                    tracing::info!(plugin = name, "{}", String::from_utf8_lossy(&line).trim_end());
                }
            }
            Ok(Line::TooLong) => {
                tracing::warn!(plugin = name, "a line of more than {MAX_ERROR_LINE} bytes on standard error; no more of it is logged");
                let _ = tokio::io::copy(&mut reader, &mut tokio::io::sink()).await;
                return;
            }
            _ => return,
        }
    }
}
