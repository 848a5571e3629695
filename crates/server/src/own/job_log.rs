//! `job/log`: GET reads a piece of a job's log, POST appends one.
//!
//! Owns the two shapes of a piece: an object with text, or the bytes themselves
//! with their place in headers. Must not know where logs lie.

use crate::answer::{Answer, BYTES, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method};
use panda_core::id::JobId;
use panda_ops::job::log::{self, Piece, Stream, Which};
use serde_json::json;
use std::time::Duration;

/// GET: `{"text", "offset", "next", "size", "attempt", "end"}`, or bytes with `raw=true`. POST: `{"size", "full"}`.
pub async fn handle(ctx: Ctx, mut args: Args) -> Result<Answer, Refusal> {
    let which = Which {
        job: JobId(args.id("job_id")),
        attempt: args.int("attempt"),
        stream: Stream::parse(args.text("stream").unwrap_or_default())?,
    };
    let offset = args.int("offset").unwrap_or(0);
    if ctx.verb == Method::POST {
        let offset = u64::try_from(offset).map_err(|_| Refusal::new("offset must not be negative when a piece is appended"))?;
        let last = args.flag("final");
        let added = log::append(ctx.ops(), ctx.caller()?, which, offset, args.take_body().to_vec(), last).await?;
        return Ok(Answer::data(json!({"size": added.size, "full": added.full})));
    }
    let limit = args.int("limit").and_then(|n| u64::try_from(n).ok());
    let wait = Duration::from_secs(u64::try_from(args.int("wait_s").unwrap_or(0)).unwrap_or(0));
    let piece = log::read(ctx.ops(), ctx.caller()?, which, offset, limit, wait).await?;
    Ok(if args.flag("raw") { raw(piece) } else { text(piece) })
}

fn raw(piece: Piece) -> Answer {
    let header = |name: &'static str, value: u64| (HeaderName::from_static(name), HeaderValue::from(value));
    let headers = vec![
        header("x-panda-log-offset", piece.offset),
        header("x-panda-log-next", piece.offset + piece.data.len() as u64),
        header("x-panda-log-size", piece.size),
        header("x-panda-log-attempt", u64::try_from(piece.attempt).unwrap_or(0)),
        header("x-panda-log-end", u64::from(piece.ended)),
    ];
    Answer::Bytes { content_type: BYTES, bytes: Bytes::from(piece.data), headers }
}

fn text(mut piece: Piece) -> Answer {
    // A character that is cut at the end comes whole with the next piece.
    let cut = cut_character(&piece.data);
    if cut < piece.data.len() && cut > 0 {
        piece.data.truncate(cut);
    }
    Answer::data(json!({
        "text": String::from_utf8_lossy(&piece.data),
        "offset": piece.offset,
        "next": piece.offset + piece.data.len() as u64,
        "size": piece.size,
        "attempt": piece.attempt,
        "end": piece.ended,
    }))
}

/// Length without an unfinished UTF-8 character at the end.
fn cut_character(data: &[u8]) -> usize {
    match std::str::from_utf8(data) {
        // No length: the bytes could still become a character.
        Err(error) if error.error_len().is_none() => error.valid_up_to(),
        _ => data.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_stay_whole() {
        let text = "aé😀".as_bytes();
        let lengths: Vec<usize> = (0..=text.len()).map(|n| cut_character(&text[..n])).collect();
        assert_eq!(lengths, [0, 1, 1, 3, 3, 3, 3, 7]);
        assert_eq!(cut_character(b"a\xffb"), 3);
    }
}
