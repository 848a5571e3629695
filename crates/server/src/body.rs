//! From the bytes of a request to named values.
//!
//! Owns limits, decompression and the guess at the encoding: real clients send
//! gzip without `Content-Encoding` and forms without `Content-Type` (client sheet
//! 3.2, pilot sheet 3.2). Must not know methods.

use crate::answer::Rejection;
use crate::args::Given;
use crate::query;
use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, StatusCode};
use http_body_util::BodyExt;
use serde_json::Value;
use std::io::Read;
use std::time::Duration;

/// Most bytes of an ordinary body, as they come in.
pub const JSON_LIMIT: u64 = 16 << 20;
/// Most bytes of `job/submit`: 5,000 jobs with their files.
pub const SUBMIT_LIMIT: u64 = 64 << 20;
/// How much larger a body may get by decompression.
pub const GUNZIP_FACTOR: u64 = 4;
/// How long a client may be silent in the middle of a body.
pub const CHUNK_TIMEOUT: Duration = Duration::from_secs(60);
/// Bodies from this size on are decompressed and parsed off the request threads.
const OFFLOAD_BYTES: usize = 128 << 10;

/// The rejection of a client that went silent.
#[must_use]
pub fn stalled() -> Rejection {
    Rejection::new(StatusCode::REQUEST_TIMEOUT, format!("no data for {} seconds in the middle of the body", CHUNK_TIMEOUT.as_secs()))
}

/// Reads a whole body of at most `limit` bytes.
///
/// # Errors
/// 413 over the limit (before reading when `Content-Length` tells), 400 for a
/// body that ends early, 408 for a silent client.
pub async fn read(mut body: Body, headers: &HeaderMap, limit: u64) -> Result<Bytes, Rejection> {
    let announced = headers.get(CONTENT_LENGTH).and_then(|v| v.to_str().ok()).and_then(|v| v.parse::<u64>().ok());
    if announced.is_some_and(|length| length > limit) {
        return Err(too_large(limit));
    }
    let mut first: Option<Bytes> = None;
    let mut joined = BytesMut::new();
    let mut size: u64 = 0;
    loop {
        let frame = tokio::time::timeout(CHUNK_TIMEOUT, body.frame()).await.map_err(|_| stalled())?;
        let Some(frame) = frame else { break };
        let frame = frame.map_err(|_| Rejection::unreadable("the body ended before its announced length"))?;
        let Ok(chunk) = frame.into_data() else { continue };
        size += chunk.len() as u64;
        if size > limit {
            return Err(too_large(limit));
        }
        match first.take() {
            None if joined.is_empty() => first = Some(chunk),
            None => joined.extend_from_slice(&chunk),
            Some(start) => {
                joined.extend_from_slice(&start);
                joined.extend_from_slice(&chunk);
            }
        }
    }
    Ok(first.unwrap_or_else(|| joined.freeze()))
}

fn too_large(limit: u64) -> Rejection {
    Rejection::too_large(format!("the body has more than {limit} bytes, which is the limit of this method"))
}

/// Whether bytes start as gzip does.
#[must_use]
pub fn is_gzip(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0x1f, 0x8b])
}

/// Decompresses gzip up to `limit` bytes.
///
/// # Errors
/// 400 for broken gzip, 413 over the limit.
pub fn gunzip(bytes: &[u8], limit: u64) -> Result<Vec<u8>, Rejection> {
    let mut out = Vec::new();
    let reader = flate2::read::MultiGzDecoder::new(bytes);
    // `take` bounds what is read to one byte above the limit.
    match std::io::copy(&mut reader.take(limit.saturating_add(1)), &mut out) {
        Ok(_) if out.len() as u64 > limit => Err(Rejection::too_large(format!(
            "the body has more than {limit} bytes after decompression, which is the limit of this method"
        ))),
        Ok(_) => Ok(out),
        Err(_) => Err(Rejection::unreadable("the body starts as gzip but is cut or broken")),
    }
}

/// Decodes a body that is no multipart.
///
/// # Errors
/// 400 for malformed gzip or JSON, 413 for a body that grows too much.
pub async fn decode(bytes: Bytes, headers: &HeaderMap, limit: u64) -> Result<Given, Rejection> {
    let is_json = is_json(headers);
    let size = bytes.len();
    let work = move || {
        if is_gzip(&bytes) { parse(&gunzip(&bytes, limit.saturating_mul(GUNZIP_FACTOR))?, is_json) } else { parse(&bytes, is_json) }
    };
    if size < OFFLOAD_BYTES {
        return work();
    }
    match tokio::task::spawn_blocking(work).await {
        Ok(given) => given,
        Err(_) => Err(Rejection::internal("the body could not be decoded")),
    }
}

/// The essence of `Content-Type`, without parameters.
#[must_use]
pub fn content_type(headers: &HeaderMap) -> &str {
    let value = headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim()
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = content_type(headers);
    kind.eq_ignore_ascii_case("application/json") || kind.to_ascii_lowercase().ends_with("+json")
}

fn parse(bytes: &[u8], is_json: bool) -> Result<Given, Rejection> {
    let start = bytes.iter().find(|b| !b.is_ascii_whitespace());
    match (start, is_json) {
        (None, _) => Ok(Given::Pairs(Vec::new())),
        // Nothing that is a form starts with a brace.
        (Some(b'{'), _) | (_, true) => json(bytes),
        _ => Ok(Given::Pairs(query::pairs(bytes))),
    }
}

fn json(bytes: &[u8]) -> Result<Given, Rejection> {
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(map)) => Ok(Given::Object(map)),
        Ok(_) => Err(Rejection::unreadable("received invalid JSON : the body must be an object")),
        Err(error) => Err(Rejection::unreadable(format!("received invalid JSON : {error}"))),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::io::Write;

    fn zip(bytes: &[u8]) -> Vec<u8> {
        let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        writer.write_all(bytes).unwrap();
        writer.finish().unwrap()
    }

    #[test]
    fn bombs_stop_at_the_limit() {
        let bomb = zip(&vec![0u8; 64 << 20]);
        assert!(bomb.len() < 100_000);
        let error = gunzip(&bomb, 1 << 20).unwrap_err();
        assert_eq!(error.status, StatusCode::PAYLOAD_TOO_LARGE);
        assert_eq!(gunzip(&zip(b"abc"), 3).unwrap(), b"abc");
    }

    #[test]
    fn truncated_gzip_is_unreadable() {
        let whole = zip(br#"{"a": 1}"#);
        for cut in 2..whole.len() {
            assert_eq!(gunzip(&whole[..cut], 1000).map_err(|e| e.status), Err(StatusCode::BAD_REQUEST), "cut at {cut}");
        }
    }

    #[test]
    fn encodings_are_guessed() {
        assert_eq!(parse(b"", true), Ok(Given::Pairs(vec![])));
        assert!(matches!(parse(b" {\"a\":1}", false), Ok(Given::Object(_))));
        assert_eq!(parse(b"a=1", false), Ok(Given::Pairs(vec![("a".into(), "1".into())])));
        assert!(parse(b"a=1", true).is_err());
        assert!(parse(b"[1]", true).is_err());
        assert!(parse(&b"[".repeat(100_000), true).is_err());
    }
}
