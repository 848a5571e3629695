//! The payload's output, sent to the server while it is written.
//!
//! Owns when and how much is sent. Output goes to files first, so a dead server
//! or a killed worker never stops a payload. Woken by the kernel, not by polling.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use panda_client::Client;
use rustix::fs::inotify;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// Files of the job directory, and the names of their streams.
pub(crate) const STREAMS: [(&str, &str); 2] = [("payload.stdout", "stdout"), ("payload.stderr", "stderr")];

/// Pause before the first sending: lines written together travel together, and
/// the first one is still seen at once.
const FIRST_PAUSE: Duration = Duration::from_millis(15);

/// Least time between two sendings; one request a second and job is cheap.
const PERIOD: Duration = Duration::from_secs(1);

/// Look-out period where the kernel gives no more watches.
const POLL_PERIOD: Duration = Duration::from_millis(500);

/// Bytes of one request.
const CHUNK_BYTES: usize = 256 << 10;

/// Bytes of a stream that are sent; the rest is in the log archive only, so
/// that a chatty payload cannot fill the server.
const MAX_STREAM_BYTES: u64 = 16 << 20;

/// Time for what is left when the payload has ended.
const LAST_TIMEOUT: Duration = Duration::from_secs(10);

/// A running transfer.
pub(crate) struct LogStream {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

/// Opens (and makes) a stream's file for appending.
pub(crate) fn open(dir: &Path, name: &str) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(dir.join(name))
}

impl LogStream {
    /// Starts sending the streams of a job directory. The files must exist.
    pub(crate) fn start(client: Client, job_id: i64, attempt: i64, dir: PathBuf) -> Self {
        let (stop, stopped) = oneshot::channel();
        let sender = Sender { client, job_id, attempt, offsets: [0; STREAMS.len()], dead: false, dir };
        Self { stop, task: tokio::spawn(run(sender, stopped)) }
    }

    /// Sends what is left and ends; gives up after a while.
    pub(crate) async fn finish(self) {
        let _ = self.stop.send(());
        let abort = self.task.abort_handle();
        if tokio::time::timeout(LAST_TIMEOUT, self.task).await.is_err() {
            abort.abort();
        }
    }
}

async fn run(mut sender: Sender, mut stopped: oneshot::Receiver<()>) {
    let watch = Watch::new(&sender.dir);
    let mut last: Option<Instant> = None;
    loop {
        let mut ending = tokio::select! {
            () = watch.changed() => false,
            _ = &mut stopped => true,
        };
        if !ending {
            let pause = last.map_or(FIRST_PAUSE, |last| PERIOD.saturating_sub(last.elapsed()).max(FIRST_PAUSE));
            ending = tokio::time::timeout(pause, &mut stopped).await.is_ok();
        }
        sender.flush().await;
        last = Some(Instant::now());
        if ending || sender.dead {
            return;
        }
    }
}

struct Sender {
    client: Client,
    job_id: i64,
    attempt: i64,
    dir: PathBuf,
    offsets: [u64; STREAMS.len()],
    /// The server does not take (any more of) this job's output.
    dead: bool,
}

impl Sender {
    async fn flush(&mut self) {
        for (at, (file, stream)) in STREAMS.iter().enumerate() {
            while !self.dead && self.offsets[at] < MAX_STREAM_BYTES {
                let Ok(bytes) = read_from(&self.dir.join(file), self.offsets[at]) else {
                    break;
                };
                if bytes.is_empty() {
                    break;
                }
                let count = bytes.len() as u64;
                if !self.send(stream, self.offsets[at], bytes).await {
                    break;
                }
                self.offsets[at] += count;
            }
        }
    }

    async fn send(&mut self, stream: &str, offset: u64, bytes: Vec<u8>) -> bool {
        let query = [
            ("job_id", self.job_id.to_string()),
            ("attempt", self.attempt.to_string()),
            ("stream", stream.to_owned()),
            ("offset", offset.to_string()),
        ];
        match self.client.own_post_bytes("job/log", &query, bytes).await {
            Ok(answer) => {
                if !answer.success {
                    tracing::debug!(job = self.job_id, answer.message, "the log is not wanted");
                    self.dead = true;
                }
                answer.success
            }
            Err(error) => {
                if matches!(error.status(), Some(400 | 404 | 405 | 413)) {
                    self.dead = true;
                }
                tracing::debug!(job = self.job_id, %error, "the log could not be sent");
                false
            }
        }
    }
}

/// Registers a descriptor that nobody else uses or closes.
// The replacement is unsafe because some types may close their descriptor
// behind the reactor's back; an owned descriptor cannot.
#[allow(deprecated)]
pub(crate) fn watch_fd(fd: OwnedFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(fd, interest)
}

#[allow(clippy::disallowed_methods)] // bounded by `take`
fn read_from(path: &Path, offset: u64) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(offset))?;
    let mut bytes = Vec::new();
    file.take(CHUNK_BYTES as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Tells when the streams' files change.
struct Watch {
    events: Option<AsyncFd<OwnedFd>>,
}

impl Watch {
    fn new(dir: &Path) -> Self {
        let events = Self::kernel(dir);
        if let Err(error) = &events {
            tracing::debug!(%error, "no kernel watch for payload output; looking twice a second");
        }
        Self { events: events.ok() }
    }

    fn kernel(dir: &Path) -> io::Result<AsyncFd<OwnedFd>> {
        let fd = inotify::init(inotify::CreateFlags::NONBLOCK | inotify::CreateFlags::CLOEXEC)?;
        for (file, _) in STREAMS {
            inotify::add_watch(&fd, dir.join(file), inotify::WatchFlags::MODIFY)?;
        }
        watch_fd(fd, Interest::READABLE)
    }

    async fn changed(&self) {
        let Some(events) = &self.events else {
            return tokio::time::sleep(POLL_PERIOD).await;
        };
        let Ok(mut guard) = events.readable().await else {
            return tokio::time::sleep(POLL_PERIOD).await;
        };
        // What the events say does not matter; they only have to be taken away.
        let mut buffer = [0u8; 4096];
        while rustix::io::read(events.get_ref(), &mut buffer).is_ok_and(|count| count > 0) {}
        guard.clear_ready();
    }
}
