//! What is served without identity: `/cache`, `/trf/user`, `/auth`.
//!
//! Owns the refusal of path tricks (a name is one component of safe characters,
//! whatever the encoding) and streaming. Nothing is listed. Must not know what
//! the documents say. Pilots and runners fetch all of these without identity
//! (pilot sheet, corrections), and run whatever body `/trf` answers: so a wrong
//! name there answers a script that fails.

use crate::answer::{BYTES, JSON, Rejection, TEXT, respond};
use crate::ctx::ServerState;
use crate::queue_doc;
use crate::upload::safe_name;
use axum::body::Body;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use std::path::Path;
use tokio_util::io::ReaderStream;

/// What a wrong name under `/trf` answers: pilots run it, so it must fail when run.
const NO_SCRIPT: &str = "#!/bin/sh\necho 'ERROR : the server has no such payload script' >&2\nexit 127\n";

/// Starts of the script names that are the runner program under another name.
/// Clients and tasks append versions (`runGen-00-00-02`).
const RUNNERS: [&str; 4] = ["runGen", "buildGen", "runMerge", "runcontainer"];

/// Piece in which files are read, bytes: few calls for large files, little memory for many readers.
const PIECE: usize = 64 << 10;

/// Answers a path that belongs to this module; `None` for any other.
pub async fn serve(state: &ServerState, verb: &Method, path: &str, headers: &HeaderMap) -> Option<Response<Body>> {
    let (folder, rest) = path.strip_prefix('/')?.split_once('/')?;
    if !matches!(folder, "cache" | "trf" | "auth") {
        return None;
    }
    if verb != Method::GET && verb != Method::HEAD {
        return Some(Rejection::new(StatusCode::METHOD_NOT_ALLOWED, "files are read with GET").into_response());
    }
    let answer = match folder {
        "cache" => cache(state, rest).await,
        "trf" => trf(state, rest).await,
        _ => auth(state, rest, headers),
    };
    Some(answer.unwrap_or_else(Rejection::into_response))
}

fn missing() -> Rejection {
    Rejection::new(StatusCode::NOT_FOUND, "not found")
}

async fn cache(state: &ServerState, rest: &str) -> Result<Response<Body>, Rejection> {
    if rest == "ddmendpoints.json" {
        return Ok(json(queue_doc::storages(&state.ops).await?));
    }
    if let Some(name) = rest.strip_prefix("schedconfig/") {
        match name {
            "panda_queues.json" => return Ok(json(queue_doc::all(&state.ops).await?)),
            "ddmendpoints.json" => return Ok(json(queue_doc::storages(&state.ops).await?)),
            "queues_config.json" => return Ok(json(queue_doc::templates(&state.ops).await?)),
            _ => {}
        }
        let queue = component(name).and_then(|n| n.strip_suffix(".all.json")).ok_or_else(missing)?;
        return queue_doc::one(&state.ops, queue).await?.map(json).ok_or_else(missing);
    }
    let name = component(rest).ok_or_else(missing)?;
    let path = state.files.path(name).await.ok_or_else(missing)?;
    // Its age counts from the last use; a database that is down does not keep a worker from its sandbox.
    if let Err(error) = panda_ops::retention::uses::read(&state.ops, name).await {
        tracing::warn!(%error, name, "the use of an uploaded file was not noted");
    }
    Ok(file_response(&path, BYTES).await)
}

async fn trf(state: &ServerState, rest: &str) -> Result<Response<Body>, Rejection> {
    let name = rest.strip_prefix("user/").and_then(component);
    let known = name.is_some_and(|n| RUNNERS.iter().any(|r| n == *r || n.strip_prefix(r).is_some_and(is_version)));
    if known
        && let Some(runner) = &state.options.runner
        && tokio::fs::metadata(runner).await.is_ok_and(|m| m.is_file())
    {
        return Ok(file_response(runner, BYTES).await);
    }
    Ok(respond(StatusCode::NOT_FOUND, TEXT, NO_SCRIPT.as_bytes().to_vec()))
}

fn is_version(text: &str) -> bool {
    text.starts_with('-') && text.bytes().all(|b| b.is_ascii_digit() || b == b'-')
}

fn auth(state: &ServerState, rest: &str, headers: &HeaderMap) -> Result<Response<Body>, Rejection> {
    // VO names may carry a role behind a colon, which arrives encoded.
    let rest = percent_encoding::percent_decode_str(rest).decode_utf8().map_err(|_| missing())?;
    let safe = rest.len() <= 300 && rest.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-:/".contains(&b)) && !rest.contains("..");
    if !safe {
        return Err(missing());
    }
    let host = headers.get(HOST).and_then(|v| v.to_str().ok());
    let base = match (&state.options.public_url, host) {
        (Some(url), _) => url.trim_end_matches('/').to_owned(),
        (None, Some(host)) => format!("http://{host}"),
        (None, None) => format!("http://{}", state.options.listen),
    };
    let document = state.auth.document(&rest, &base).ok_or_else(missing)?;
    Ok(json(document.to_string()))
}

/// A path that is one safe component as it stands: encoded characters are refused with the rest.
fn component(path: &str) -> Option<&str> {
    safe_name(path).filter(|name| name.len() == path.len())
}

fn json(text: String) -> Response<Body> {
    respond(StatusCode::OK, JSON, text.into_bytes())
}

/// Streams a file; 404 when it is gone.
pub(crate) async fn file_response(path: &Path, content_type: &'static str) -> Response<Body> {
    let opened = async {
        let file = tokio::fs::File::open(path).await?;
        let length = file.metadata().await?.len();
        std::io::Result::Ok((file, length))
    };
    match opened.await {
        Ok((file, length)) => stream(file, length, content_type),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => missing().into_response(),
        Err(error) => {
            tracing::error!(%error, path = %path.display(), "cannot read a file that is served");
            Rejection::internal("the file cannot be read now").into_response()
        }
    }
}

/// Streams an open file of this many bytes.
pub(crate) fn stream(file: tokio::fs::File, length: u64, content_type: &'static str) -> Response<Body> {
    // A file that grows meanwhile must not be longer than announced.
    let bounded = tokio::io::AsyncReadExt::take(file, length);
    let mut response = Response::new(Body::from_stream(ReaderStream::with_capacity(bounded, PIECE)));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn components() {
        assert_eq!(component("jobO.1.tar.gz"), Some("jobO.1.tar.gz"));
        for bad in ["", ".", "..", "a/b", "../a", "a%2fb", "%2e%2e", "a\\b", ".upload-x", "a b"] {
            assert_eq!(component(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn versions() {
        assert!(is_version("-00-00-02"));
        for bad in ["", "00", "-00.x", "x"] {
            assert!(!is_version(bad), "{bad:?}");
        }
    }
}
