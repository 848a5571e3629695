//! Logs of a job: `/job/<id>/log`, a piece as JSON for the page that follows it, or the whole stream as text (`?raw`).

use std::{sync::Arc, time::Duration};

use axum::{
    body::{Body, Bytes},
    extract::{Path, State},
    http::header,
    response::{IntoResponse, Response},
};
use futures::stream::{self, Stream};
use panda_core::id::JobId;
use panda_ops::{
    OpsError,
    job::log::{self, MAX_STREAM, Piece, Stream as LogStream, Which},
};
use serde_json::json;

use super::{finish, number};
use crate::{
    app::{App, Asked},
    frame,
    trouble::Trouble,
};

/// Bytes of a log that a page shows at first, its end.
pub(crate) const TAIL: i64 = 32 << 10;
/// Most bytes of one piece: what a browser adds to a page without a pause.
const PIECE: u64 = 256 << 10;
/// Longest wait for more; well below what browsers and proxies allow.
const MAX_WAIT_S: i64 = 25;

/// Which log an address means.
pub(crate) fn which(asked: &Asked, job: i64) -> Result<Which, Trouble> {
    let stream = LogStream::parse(asked.query.get(&["stream"]).unwrap_or("stdout"))?;
    Ok(Which { job: JobId(job), attempt: asked.query.int(&["attempt"])?, stream })
}

/// A piece of a log as text. `next` is where the next piece starts: before a character that is not there wholly yet.
pub(crate) struct Text {
    pub text: String,
    pub next: u64,
    pub size: u64,
    pub ended: bool,
    pub attempt: i64,
    /// Whether something stands before it.
    pub cut: bool,
}

impl Text {
    fn of(piece: Piece) -> Self {
        let whole = if piece.ended { piece.data.len() } else { whole_characters(&piece.data) };
        let mut data = &piece.data[..whole];
        // A piece out of the middle may start within a character.
        while piece.offset > 0 && data.first().is_some_and(|b| b & 0xC0 == 0x80) {
            data = &data[1..];
        }
        Self {
            text: String::from_utf8_lossy(data).into_owned(),
            next: piece.offset + whole as u64,
            size: piece.size,
            ended: piece.ended && piece.offset + whole as u64 >= piece.size,
            attempt: piece.attempt,
            cut: piece.offset > 0,
        }
    }
}

/// How many bytes end with a whole character; all of them when the end is no UTF-8 anyway.
fn whole_characters(data: &[u8]) -> usize {
    for back in 1..=data.len().min(3) {
        let at = data.len() - back;
        let long = match data[at] {
            b if b & 0xC0 == 0x80 => continue,
            b if b >= 0xF0 => 4,
            b if b >= 0xE0 => 3,
            b if b >= 0xC0 => 2,
            _ => 1,
        };
        return if long > back { at } else { data.len() };
    }
    data.len()
}

/// The end of a log, for the page itself.
pub(crate) async fn tail(app: &App, which: Which) -> Result<Text, Trouble> {
    Ok(Text::of(log::read(&app.ops, &app.reader, which, -TAIL, None, Duration::ZERO).await?))
}

/// `GET /job/<id>/log?stream=stdout|stderr&attempt=N&offset=N&wait_s=N`: `{"text", "next", "size", "ended", "attempt"}`.
pub(crate) async fn piece(State(app): State<Arc<App>>, Path(id): Path<String>, mut asked: Asked) -> Response {
    asked.json = !asked.query.flag("raw");
    let answer = read(&app, &asked, &id).await;
    finish(&app, &asked, answer)
}

async fn read(app: &Arc<App>, asked: &Asked, id: &str) -> Result<Response, Trouble> {
    let which = which(asked, number(id, "job")?)?;
    if asked.query.flag("raw") {
        return raw(app, which).await;
    }
    let offset = asked.query.int(&["offset"])?.unwrap_or(0);
    let wait = asked.query.int(&["wait_s"])?.unwrap_or(0).clamp(0, MAX_WAIT_S);
    let wait = Duration::from_secs(wait.unsigned_abs());
    let t = Text::of(log::read(&app.ops, &app.reader, which, offset, Some(PIECE), wait).await?);
    Ok(frame::json(&json!({"text": t.text, "next": t.next, "size": t.size, "ended": t.ended, "attempt": t.attempt})))
}

/// The stream as it is now, in pieces, so that no more than one is in memory.
async fn raw(app: &Arc<App>, which: Which) -> Result<Response, Trouble> {
    let first = log::read(&app.ops, &app.reader, which, 0, None, Duration::ZERO).await?;
    let size = first.size.min(MAX_STREAM);
    let which = Which { attempt: Some(first.attempt), ..which };
    let body = Body::from_stream(pieces(app.clone(), which, size, first));
    let headers = [(header::CONTENT_TYPE, "text/plain; charset=utf-8"), (header::CONTENT_DISPOSITION, "inline")];
    Ok(frame::with_headers((headers, body).into_response()))
}

/// The pieces of a log up to a size.
fn pieces(app: Arc<App>, which: Which, size: u64, first: Piece) -> impl Stream<Item = Result<Bytes, OpsError>> {
    stream::try_unfold((app, 0, Some(first)), move |(app, at, ready): (Arc<App>, u64, Option<Piece>)| async move {
        let piece = match ready {
            Some(piece) => piece,
            None if at >= size => return Ok(None),
            None => log::read(&app.ops, &app.reader, which, i64::try_from(at).unwrap_or(i64::MAX), None, Duration::ZERO).await?,
        };
        let mut data = piece.data;
        data.truncate(usize::try_from(size - at).unwrap_or(usize::MAX));
        let at = at + data.len() as u64;
        Ok((!data.is_empty()).then(|| (Bytes::from(data), (app, at, None))))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_stay_whole() {
        let text = "a€";
        for (bytes, whole) in [(&text.as_bytes()[..4], 4), (&text.as_bytes()[..3], 1), (&text.as_bytes()[..2], 1), (b"ab", 2), (b"", 0)] {
            assert_eq!(whole_characters(bytes), whole, "{bytes:?}");
        }
        assert_eq!(whole_characters(&[0x80, 0x80, 0x80, 0x80]), 4);
        let middle = Text::of(Piece { attempt: 0, offset: 7, data: text.as_bytes()[2..].to_vec(), size: 9, ended: true });
        assert_eq!((middle.text.as_str(), middle.next, middle.cut), ("", 9, true));
    }
}
