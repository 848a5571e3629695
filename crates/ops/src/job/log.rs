//! Live logs of jobs: a worker appends what the payload writes, people follow it. One file a job, attempt and stream in the blob directory;
//! losing some of it in a crash is bearable, so nothing is flushed to the disk by force.

use std::{
    fs::{File, OpenOptions},
    io::{Read, Seek, SeekFrom, Write},
    path::PathBuf,
    time::Duration,
};

use panda_access::{Object, Principal, Right, table};
use panda_core::{id::JobId, job::state::JobState};
use panda_store::query::{
    archive,
    job::{self, JobRow},
};

use crate::{Ops, OpsError};

/// Most bytes kept of one stream of one attempt: what a person still reads, and a bound for payloads that write without end.
pub const MAX_STREAM: u64 = 64 << 20;
/// Most bytes of one answer.
pub const MAX_PIECE: u64 = 4 << 20;
/// Longest wait for more, seconds; below the usual limits of proxies.
pub const MAX_WAIT_S: u64 = 60;
/// How often a follower looks even if no bell rings: another process may have appended.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// Highest attempt number that names a file.
const MAX_ATTEMPT: i64 = 1_000_000;

/// The payload's two streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

impl Stream {
    /// Reads `stdout` or `stderr`.
    pub fn parse(word: &str) -> Result<Self, OpsError> {
        match word {
            "stdout" => Ok(Self::Stdout),
            "stderr" => Ok(Self::Stderr),
            other => Err(OpsError::refused(format!("stream must be stdout or stderr, got `{other}`"))),
        }
    }
    const fn word(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}

/// Which log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Which {
    /// The job.
    pub job: JobId,
    /// The attempt; None = the present one.
    pub attempt: Option<i64>,
    /// The stream.
    pub stream: Stream,
}

/// What [`append`] answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// Bytes of the stream that are there now: where the next piece starts.
    pub size: u64,
    /// Whether the stream is full ([`MAX_STREAM`]); what comes further is dropped.
    pub full: bool,
}

/// A piece of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// The attempt.
    pub attempt: i64,
    /// Where the piece starts.
    pub offset: u64,
    /// The bytes.
    pub data: Vec<u8>,
    /// Bytes of the stream so far.
    pub size: u64,
    /// Whether nothing more will come.
    pub ended: bool,
}

/// Appends a piece that starts at `offset`. A piece that is there already, wholly or in part, is not written twice, so a worker may send again;
/// one that leaves a gap is refused with the offset to go on from. `last`: nothing follows.
pub async fn append(ops: &Ops, who: &Principal, which: Which, offset: u64, data: Vec<u8>, last: bool) -> Result<Appended, OpsError> {
    let (row, owns) = job(ops, who, which.job).await?;
    if !owns {
        table::allowed(Right::PilotReport, Some(who), Some(Object::of_vo(&row.vo)))?;
    }
    let attempt = attempt(&row, which)?;
    let path = path(ops, which, attempt);
    let done = blocking(move || write(path, offset, &data, last)).await?;
    ops.live.logs.ring(which.job.0);
    done
}

/// Reads from `offset` on (a negative one counts from the end), at most `limit` bytes and [`MAX_PIECE`]. When there is nothing yet, waits up to
/// `wait` for more.
pub async fn read(ops: &Ops, who: &Principal, which: Which, offset: i64, limit: Option<u64>, wait: Duration) -> Result<Piece, OpsError> {
    let row = super::read::row(ops, who, which.job).await?;
    let attempt = attempt(&row, which)?;
    let limit = limit.unwrap_or(MAX_PIECE).min(MAX_PIECE);
    let until = tokio::time::Instant::now() + wait.min(Duration::from_secs(MAX_WAIT_S));
    let bell = ops.live.logs.bell(which.job.0);
    let result = loop {
        // Waiting starts before looking, or a piece between the two would go unnoticed.
        let rung = bell.notified();
        tokio::pin!(rung);
        rung.as_mut().enable();
        let path = path(ops, which, attempt);
        let mut piece = match blocking(move || look(path, offset, limit)).await {
            Ok(Ok(piece)) => piece,
            Ok(Err(e)) | Err(e) => break Err(e),
        };
        piece.attempt = attempt;
        if !piece.ended && piece.data.is_empty() {
            match job::list::get(&ops.store, which.job).await {
                Ok(row) => piece.ended = row.is_none_or(|j| silent(&j, attempt)),
                Err(e) => break Err(e.into()),
            }
        }
        let left = until.saturating_duration_since(tokio::time::Instant::now());
        if piece.ended || !piece.data.is_empty() || left.is_zero() {
            break Ok(piece);
        }
        let _ = tokio::time::timeout(left.min(LOOK_AGAIN), rung).await;
    };
    ops.live.logs.leave(which.job.0, bell);
    result
}

/// Whether no worker writes this attempt's log any more.
fn silent(j: &JobRow, attempt: i64) -> bool {
    j.attempt != attempt || j.state.is_final() || matches!(j.state, JobState::Holding | JobState::Merging)
}

async fn job(ops: &Ops, who: &Principal, id: JobId) -> Result<(JobRow, bool), OpsError> {
    let row = archive::job::find(&ops.store, id).await?.ok_or_else(|| OpsError::NotFound(format!("job {id} not found")))?;
    let owner = ops.person_by_id(row.person_id).await?;
    Ok((row, who.owns((&owner.issuer, &owner.subject))))
}

fn attempt(row: &JobRow, which: Which) -> Result<i64, OpsError> {
    match which.attempt {
        None => Ok(row.attempt),
        Some(n) if (0..=MAX_ATTEMPT).contains(&n) => Ok(n),
        Some(n) => Err(OpsError::refused(format!("attempt {n} is no attempt number"))),
    }
}

fn path(ops: &Ops, which: Which, attempt: i64) -> PathBuf {
    ops.blobs.log_dir(which.job.0).join(format!("{attempt}.{}", which.stream.word()))
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, OpsError> {
    tokio::task::spawn_blocking(work).await.map_err(|e| OpsError::Internal(format!("a log task stopped: {e}")))
}

fn failed(path: &std::path::Path, what: &str) -> impl FnOnce(std::io::Error) -> OpsError {
    let what = format!("{what} {}", path.display());
    move |source| OpsError::File { what, source }
}

fn end_mark(path: &std::path::Path) -> PathBuf {
    path.with_extension(format!("{}.end", path.extension().and_then(|e| e.to_str()).unwrap_or_default()))
}

fn write(path: PathBuf, offset: u64, data: &[u8], last: bool) -> Result<Appended, OpsError> {
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir).map_err(failed(dir, "making"))?;
    }
    let mut file = OpenOptions::new().create(true).append(true).open(&path).map_err(failed(&path, "opening"))?;
    let size = file.metadata().map_err(failed(&path, "reading"))?.len();
    if offset > size && size < MAX_STREAM {
        return Err(OpsError::refused(format!("this log has {size} bytes and the piece starts at {offset}; send it again from {size}")));
    }
    let known = usize::try_from(size.saturating_sub(offset)).unwrap_or(usize::MAX).min(data.len());
    let room = usize::try_from(MAX_STREAM.saturating_sub(size)).unwrap_or(usize::MAX);
    let fresh = &data[known..];
    let fresh = &fresh[..fresh.len().min(room)];
    file.write_all(fresh).map_err(failed(&path, "writing"))?;
    let size = size + fresh.len() as u64;
    if last {
        let mark = end_mark(&path);
        File::create(&mark).map_err(failed(&mark, "making"))?;
    }
    Ok(Appended { size, full: size >= MAX_STREAM })
}

fn look(path: PathBuf, offset: i64, limit: u64) -> Result<Piece, OpsError> {
    // The mark is looked at first: it is made after the last byte.
    let ended = end_mark(&path).exists();
    let mut file = match File::open(&path) {
        Ok(file) => file,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Piece { attempt: 0, offset: 0, data: Vec::new(), size: 0, ended }),
        Err(e) => return Err(failed(&path, "opening")(e)),
    };
    let size = file.metadata().map_err(failed(&path, "reading"))?.len();
    let start = if offset < 0 { size.saturating_sub(offset.unsigned_abs()) } else { offset.unsigned_abs().min(size) };
    file.seek(SeekFrom::Start(start)).map_err(failed(&path, "reading"))?;
    let mut data = vec![0; usize::try_from(limit.min(size - start)).unwrap_or(0)];
    file.read_exact(&mut data).map_err(failed(&path, "reading"))?;
    let ended = ended && start + data.len() as u64 >= size;
    Ok(Piece { attempt: 0, offset: start, data, size, ended })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{World, alice, bob, pilot};

    const NOW: Duration = Duration::ZERO;

    #[tokio::test]
    async fn pieces_are_joined_once() {
        let w = World::new().await;
        let q = w.queue("LOCAL").await;
        let j = w.job(&alice(), None, q, JobState::Running).await;
        let which = Which { job: j, attempt: None, stream: Stream::Stdout };
        let add = async |at: u64, text: &str, last: bool| append(&w.ops, &pilot(), which, at, text.into(), last).await;
        assert!(matches!(append(&w.ops, &bob(), which, 0, vec![], false).await, Err(OpsError::Denied(_))));
        assert_eq!(add(0, "hello ", false).await.unwrap().size, 6);
        assert_eq!(add(0, "hello world", false).await.unwrap().size, 11, "the part that is there is not doubled");
        assert!(add(20, "x", false).await.unwrap_err().to_string().contains("again from 11"));
        let piece = read(&w.ops, &bob(), which, 6, None, NOW).await.unwrap();
        assert_eq!((piece.data.as_slice(), piece.size, piece.ended), (&b"world"[..], 11, false));
        assert_eq!(read(&w.ops, &bob(), which, -3, None, NOW).await.unwrap().data, b"rld");
        assert_eq!(read(&w.ops, &bob(), which, 0, Some(2), NOW).await.unwrap().data, b"he");
        add(11, "!", true).await.unwrap();
        let piece = read(&w.ops, &bob(), which, 11, None, NOW).await.unwrap();
        assert_eq!((piece.data.as_slice(), piece.ended), (&b"!"[..], true));
        let other = Which { stream: Stream::Stderr, ..which };
        assert_eq!(read(&w.ops, &bob(), other, 0, None, NOW).await.unwrap().size, 0);
    }

    #[tokio::test]
    async fn followers_are_woken() {
        let w = std::sync::Arc::new(World::new().await);
        let q = w.queue("LOCAL").await;
        let j = w.job(&alice(), None, q, JobState::Running).await;
        let which = Which { job: j, attempt: None, stream: Stream::Stdout };
        let follower = tokio::spawn({
            let w = w.clone();
            async move { read(&w.ops, &alice(), which, 0, None, Duration::from_secs(20)).await.unwrap() }
        });
        tokio::time::sleep(Duration::from_millis(50)).await;
        append(&w.ops, &alice(), which, 0, b"x".to_vec(), false).await.unwrap();
        assert_eq!(follower.await.unwrap().data, b"x");
        let failed = w.job(&alice(), None, q, JobState::Failed).await;
        let over = read(&w.ops, &alice(), Which { job: failed, ..which }, 0, None, Duration::from_secs(20)).await.unwrap();
        assert!(over.ended && over.data.is_empty());
    }
}
