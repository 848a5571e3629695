//! `panda logs ID`

use std::time::Duration;

use serde_json::{Value, json};

use super::view::{self, Job};
use crate::cli::LogsArgs;
use crate::context::Context;
use crate::failure::{Failure, exit};
use crate::reference::Reference;
use crate::screen;
use crate::session::Session;

/// How long one question waits for more output.
const WAIT_S: u64 = 10;
/// Jobs of a task whose logs are printed without being asked for one by one.
const MAX_JOBS: usize = 100;
/// Most bytes kept to find the last lines in.
const MAX_TAIL_BYTES: usize = 8 << 20;

/// Where one reads in a job's log.
#[derive(Debug, Clone, Default)]
pub struct Piece {
    /// Bytes read.
    pub offset: u64,
    /// Whether the log is complete and read.
    pub ended: bool,
    /// `stdout` unless told.
    pub stderr: bool,
    /// Attempt; the last one unless told.
    pub attempt: Option<i64>,
    /// Seconds that the server may wait for more.
    pub wait_s: u64,
}

/// Prints what a job, or the jobs of a task, wrote.
pub async fn run(context: &Context, args: &LogsArgs) -> Result<u8, Failure> {
    let session = Session::open(context)?;
    let jobs = match Reference::parse(&args.id)? {
        Reference::Job(id) => vec![id],
        Reference::Task(id) => {
            let (jobs, _) = Job::of_task(&session, id).await?;
            if jobs.is_empty() {
                return Err(Failure::new(format!("task/{id} has no jobs yet")).hint(format!("`panda why {id}` tells what it waits for")));
            }
            if jobs.len() > MAX_JOBS {
                screen::note(format!("note: the first {MAX_JOBS} of {} jobs; `panda jobs {id}` lists all", jobs.len()));
            }
            jobs.iter().map(|job| job.id).take(MAX_JOBS).collect()
        }
    };
    let many = jobs.len() > 1;
    let mut all = Vec::new();
    for job in jobs {
        let text = one(&session, job, args, many.then_some(job), context.json).await?;
        if context.json {
            all.push(json!({ "job_id": job, "text": text }));
        }
    }
    if context.json {
        screen::json(&Value::Array(all));
    }
    Ok(exit::OK)
}

/// Prints one job's log; with JSON it is the answer instead.
async fn one(session: &Session, job: i64, args: &LogsArgs, prefix: Option<i64>, json: bool) -> Result<String, Failure> {
    let mut piece = Piece { stderr: args.stderr, attempt: args.attempt, ..Piece::default() };
    let mut text = Vec::new();
    // What is there already.
    loop {
        let bytes = next(session, job, &mut piece).await?;
        if bytes.is_empty() {
            break;
        }
        if json || args.tail.is_some() {
            text.extend_from_slice(&bytes);
            if args.tail.is_some() && text.len() > MAX_TAIL_BYTES {
                text.drain(..text.len() - MAX_TAIL_BYTES);
            }
        } else {
            print(&bytes, prefix, false);
        }
    }
    if let Some(lines) = args.tail {
        text = last_lines(&text, lines).to_vec();
        if !json {
            print(&text, prefix, false);
        }
    }
    if args.follow && !json {
        follow(session, job, piece, prefix).await?;
    }
    Ok(String::from_utf8_lossy(&text).into_owned())
}

async fn follow(session: &Session, job: i64, mut piece: Piece, prefix: Option<i64>) -> Result<(), Failure> {
    piece.wait_s = WAIT_S;
    while !piece.ended {
        let bytes = next(session, job, &mut piece).await?;
        print(&bytes, prefix, false);
        if bytes.is_empty() && !piece.ended {
            // A server that does not wait must not be asked without pause; and a job that ended without a word has ended.
            tokio::time::sleep(Duration::from_millis(300)).await;
            let (now, _) = Job::fetch(session, job).await?;
            if view::job_end(&now.status).is_some() {
                print(&next(session, job, &mut piece).await?, prefix, false);
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Reads the next piece; nothing means that there is no more for now.
pub async fn next(session: &Session, job: i64, piece: &mut Piece) -> Result<Vec<u8>, Failure> {
    let mut query = vec![("job_id", job.to_string()), ("offset", piece.offset.to_string()), ("wait_s", piece.wait_s.to_string())];
    query.push(("stream", if piece.stderr { "stderr" } else { "stdout" }.to_owned()));
    query.extend(piece.attempt.map(|attempt| ("attempt", attempt.to_string())));
    let data = session.client.own_get("job/log", &query).await?.ok()?.data;
    let text = view::text(&data, "text");
    let next = view::int(&data, "next");
    piece.ended = data.get("end").and_then(Value::as_bool).unwrap_or(false);
    piece.offset = u64::try_from(next).unwrap_or(0).max(piece.offset);
    Ok(text.into_bytes())
}

/// Prints bytes, each line with its job in front when there are several jobs; what jobs wrote as errors goes where errors go.
pub fn print(bytes: &[u8], job: Option<i64>, stderr: bool) {
    let text = String::from_utf8_lossy(bytes);
    let lines = |job: i64| text.lines().map(move |line| format!("job/{job} | {line}"));
    match (job, stderr) {
        (None, false) => screen::raw(bytes),
        (None, true) => text.lines().for_each(screen::note),
        (Some(job), false) => lines(job).for_each(screen::line),
        (Some(job), true) => lines(job).for_each(screen::note),
    }
}

/// The last lines of a text.
fn last_lines(text: &[u8], lines: usize) -> &[u8] {
    let body = text.strip_suffix(b"\n").unwrap_or(text);
    let starts = body.iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1);
    if lines == 0 {
        return &[];
    }
    starts.skip(lines - 1).map(|at| &text[at..]).next().unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::last_lines;

    #[test]
    fn tails() {
        assert_eq!(last_lines(b"a\nb\nc\n", 2), b"b\nc\n");
        assert_eq!(last_lines(b"a\nb", 1), b"b");
        assert_eq!(last_lines(b"a\nb\n", 5), b"a\nb\n");
        assert_eq!(last_lines(b"a\n", 0), b"");
        assert_eq!(last_lines(b"", 3), b"");
    }
}
