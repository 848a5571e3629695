//! One process of a job: started in a group of its own, watched, ended.
//!
//! Owns signals and resource use. Must not know why a payload is ended.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command as StdCommand, ExitStatus, Stdio};
use std::time::Duration;

use std::path::Path;

use rustix::process::{PidfdFlags, Signal, pidfd_open};
use tokio::io::unix::AsyncFd;
use tokio::process::{Child, Command};

use super::{logs, procfs};

/// Time that a killed process gets to disappear; more only if it hangs in the
/// kernel.
const AFTER_KILL: Duration = Duration::from_secs(10);

/// Attempts and pauses for a busy program; another slot's start takes about a
/// millisecond.
const BUSY_ATTEMPTS: u32 = 20;
const BUSY_PAUSE: Duration = Duration::from_millis(5);

/// What a payload used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    /// Seconds of CPU, children included.
    pub(crate) cpu_s: u64,
    /// Highest sampled resident memory of the process tree in kB.
    pub(crate) max_rss_kb: u64,
}

impl Usage {
    /// Adds a further step of the same job.
    pub(crate) fn add(&mut self, other: Self) {
        self.cpu_s += other.cpu_s;
        self.max_rss_kb = self.max_rss_kb.max(other.max_rss_kb);
    }
}

/// A started payload.
pub(crate) struct Running {
    child: Child,
    pid: u32,
    start: u64,
    mark: String,
    exit: Option<AsyncFd<OwnedFd>>,
    usage: Usage,
}

impl Running {
    /// Starts `command` in `dir`, output appended to the stream files there.
    pub(crate) fn start(mut command: StdCommand, dir: &Path, mark: &str) -> io::Result<Self> {
        use std::os::unix::process::CommandExt;
        let [stdout, stderr] = logs::STREAMS.map(|(file, _)| logs::open(dir, file));
        command.current_dir(dir).env(procfs::MARK_VARIABLE, mark).stdin(Stdio::null()).stdout(stdout?).stderr(stderr?).process_group(0);
        let child = spawn(Command::from(command))?;
        let pid = child.id().ok_or_else(|| io::Error::other("the payload ended before it could be watched"))?;
        // Kernels before 5.3 have no process descriptors; the child is waited
        // for directly then, and the last sample stands for its CPU time.
        let exit = procfs::pid_of(pid)
            .and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok())
            .and_then(|fd| logs::watch_fd(fd, tokio::io::Interest::READABLE).ok());
        Ok(Self { child, pid, start: procfs::stat(pid).map_or(0, |stat| stat.start), mark: mark.to_owned(), exit, usage: Usage::default() })
    }

    /// Process id and start time, for the journal.
    pub(crate) fn identity(&self) -> (u32, u64) {
        (self.pid, self.start)
    }

    /// Waits until the process has ended, without reaping it. Cancel safe.
    pub(crate) async fn ended(&mut self) {
        match &self.exit {
            Some(fd) => {
                let _ = fd.readable().await;
            }
            None => {
                let _ = self.child.wait().await;
            }
        }
    }

    /// Takes a sample of memory and CPU; the resident memory of the process
    /// tree, kB.
    pub(crate) fn sample(&mut self) -> u64 {
        let rss_kb = procfs::tree_rss_kb(self.pid);
        self.usage.max_rss_kb = self.usage.max_rss_kb.max(rss_kb);
        if let Some(stat) = procfs::stat(self.pid) {
            self.usage.cpu_s = self.usage.cpu_s.max(stat.cpu_s);
        }
        rss_kb
    }

    /// Takes a sample; what the process tree uses, kB, when that is more than
    /// `limit_kb` (0: no limit). Pages that processes share count once, where the
    /// kernel tells, which is asked only when it matters.
    pub(crate) fn beyond(&mut self, limit_kb: u64) -> Option<u64> {
        let rss_kb = self.sample();
        if limit_kb == 0 || rss_kb <= limit_kb {
            return None;
        }
        Some(procfs::tree_pss_kb(self.pid)).filter(|used| *used > limit_kb)
    }

    /// Reaps the ended process and ends what it left in its group.
    pub(crate) async fn reap(mut self) -> io::Result<(ExitStatus, Usage)> {
        if self.exit.is_some() {
            // Still a zombie: its CPU time is complete, and its number, which is
            // the group's, cannot be somebody else's yet.
            if let Some(stat) = procfs::stat(self.pid) {
                self.usage.cpu_s = stat.cpu_s;
            }
            procfs::signal_group(self.pid, Signal::KILL);
        }
        let status = self.child.wait().await?;
        Ok((status, self.usage))
    }

    /// Ends the payload: TERM to the group, after `grace` KILL to the group and
    /// to every process that carries the job's mark.
    pub(crate) async fn terminate(&mut self, grace: Duration) {
        self.sample();
        procfs::signal_group(self.pid, Signal::TERM);
        let _ = tokio::time::timeout(grace, self.ended()).await;
        procfs::signal_group(self.pid, Signal::KILL);
        let mark = self.mark.clone();
        let _ = tokio::task::spawn_blocking(move || {
            procfs::signal_marked(&mark, Signal::KILL);
        })
        .await;
        let _ = tokio::time::timeout(AFTER_KILL, self.ended()).await;
    }
}

/// Starts a command; again for a moment when its program is "busy": a slot that
/// starts its payload just then may have inherited the descriptor through which
/// this slot wrote the program.
fn spawn(mut command: Command) -> io::Result<Child> {
    for _ in 0..BUSY_ATTEMPTS {
        match command.spawn() {
            Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy => std::thread::sleep(BUSY_PAUSE),
            other => return other,
        }
    }
    command.spawn()
}

/// A status as a shell tells it: `128 + n` for signal `n`.
pub(crate) fn exit_code(status: ExitStatus) -> i32 {
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}
