//! What a handler gives back, and how it becomes an HTTP response.
//!
//! Owns the envelope rules of `/api/v1`: a refusal is HTTP 200 with
//! `success: false`, a rejection is plain text `ERROR : ...` with a status that
//! says why the request was not understood (API sheet 0.2 to 0.5). Must not know
//! any method.

use axum::body::Body;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName, RETRY_AFTER};
use http::{HeaderValue, Response, StatusCode};
use panda_ops::OpsError;
use serde_json::Value;
use std::path::PathBuf;

/// Type of every envelope; no `charset`, since pilots compare it.
pub const JSON: &str = "application/json";
/// Type of rejections and raw texts.
pub const TEXT: &str = "text/plain; charset=utf-8";
/// Type of files that are nothing else.
pub const BYTES: &str = "application/octet-stream";

/// The `data` member: a value, or JSON text that the operation already has.
#[derive(Debug, Clone, PartialEq)]
pub enum Data {
    /// A value to be written.
    Value(Value),
    /// JSON text, sent as it is. The writer vouches that it is JSON.
    Json(String),
}

impl Default for Data {
    fn default() -> Self {
        Data::Value(Value::Null)
    }
}

impl From<Value> for Data {
    fn from(value: Value) -> Self {
        Data::Value(value)
    }
}

impl Data {
    /// The value; text is parsed, null when it is no JSON.
    #[must_use]
    pub fn into_value(self) -> Value {
        match self {
            Data::Value(value) => value,
            Data::Json(text) => serde_json::from_str(&text).unwrap_or_default(),
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Data::Value(Value::Null) => out.extend_from_slice(b"null"),
            // Writing a value into a vector fails only for keys that are no text, which `Value` cannot hold.
            Data::Value(value) => drop(serde_json::to_writer(out, value)),
            Data::Json(text) => out.extend_from_slice(text.as_bytes()),
        }
    }
}

/// A method's answer.
#[derive(Debug)]
pub enum Answer {
    /// The envelope, HTTP 200.
    Envelope {
        /// Whether the call did what was asked.
        success: bool,
        /// Text for people; clients parse some.
        message: String,
        /// The answer proper.
        data: Data,
        /// The pilot command, repeated beside `data`: one pilot generation looks
        /// for it at the top (pilot sheet 4.2).
        command: Option<String>,
    },
    /// A JSON document that is no envelope (old wire, static documents).
    Document(Data),
    /// Plain text.
    Text(String),
    /// Bytes of some type.
    Bytes {
        /// `Content-Type`.
        content_type: &'static str,
        /// The bytes.
        bytes: Bytes,
        /// Further headers (`X-Panda-Log-Offset`).
        headers: Vec<(HeaderName, HeaderValue)>,
    },
    /// An open file, streamed.
    Open {
        /// The file, at its start.
        file: std::fs::File,
        /// Its bytes.
        size: u64,
    },
    /// A file, streamed from disk.
    File {
        /// Where it lies.
        path: PathBuf,
        /// `Content-Type`.
        content_type: &'static str,
    },
}

impl Answer {
    /// Success with data and an empty message.
    pub fn data(data: impl Into<Data>) -> Self {
        Answer::said("", data)
    }

    /// Success with a message and data.
    pub fn said(message: impl Into<String>, data: impl Into<Data>) -> Self {
        Answer::Envelope { success: true, message: message.into(), data: data.into(), command: None }
    }

    /// Success with null data.
    #[must_use]
    pub fn nothing() -> Self {
        Answer::data(Value::Null)
    }

    /// A document with `StatusCode` and whatever else, for the old wire.
    pub fn document(value: Value) -> Self {
        Answer::Document(Data::Value(value))
    }
}

/// The system understood the call and does not do it: HTTP 200 with
/// `success: false`. What it did not understand is a [`Rejection`], which a
/// handler may answer as well.
#[derive(Debug, Clone, PartialEq)]
pub enum Refusal {
    /// An envelope.
    Envelope {
        /// Why, for people.
        message: String,
        /// A code or other data; mostly null.
        data: Value,
    },
    /// A plain-text answer with another status.
    Rejected(Rejection),
}

impl Refusal {
    /// A refusal without data.
    pub fn new(message: impl Into<String>) -> Self {
        Refusal::with_data(message, Value::Null)
    }

    /// A refusal with a code or other data.
    pub fn with_data(message: impl Into<String>, data: impl Into<Value>) -> Self {
        Refusal::Envelope { message: message.into(), data: data.into() }
    }

    /// The text that says why.
    #[must_use]
    pub fn message(&self) -> &str {
        match self {
            Refusal::Envelope { message, .. } => message,
            Refusal::Rejected(rejection) => &rejection.text,
        }
    }
}

impl From<Rejection> for Refusal {
    fn from(rejection: Rejection) -> Self {
        Refusal::Rejected(rejection)
    }
}

impl From<panda_access::Denied> for Refusal {
    fn from(denied: panda_access::Denied) -> Self {
        Refusal::new(denied.to_string())
    }
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Envelope { message, data } => Answer::Envelope { success: false, message, data: Data::Value(data), command: None },
            Refusal::Rejected(rejection) => Answer::Text(rejection.line()),
        }
    }
}

/// What callers read when the database fails; the cause is in the log.
pub const DATABASE: &str = "database error in the PanDA server";

impl From<OpsError> for Refusal {
    fn from(error: OpsError) -> Self {
        match error {
            OpsError::Refused { code, message } => Refusal::with_data(message, code),
            // No operation of the API asks a plug-in; should one, the caller learns which it was.
            OpsError::Denied(_) | OpsError::NotFound(_) | OpsError::Waits(_) => Refusal::new(error.to_string()),
            OpsError::Store(cause) => {
                tracing::error!(%cause, "the database failed");
                Refusal::new(DATABASE)
            }
            OpsError::File { .. } => {
                tracing::error!(%error, "a file of the server's own failed");
                Refusal::new("the server cannot use its files now; try again")
            }
            OpsError::Internal(_) => {
                tracing::error!(%error, "an operation met what it cannot be");
                Refusal::Rejected(Rejection::internal("the server made a mistake; it is in the log"))
            }
        }
    }
}

/// The request was not understood or not let in: plain text `ERROR : <text>`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Rejection {
    /// 400, 403, 404, 408, 413, 429, 500 or 503.
    pub status: StatusCode,
    /// What is wrong, for people: clients print it.
    pub text: String,
    /// Seconds after which to try again (`Retry-After`).
    pub retry_after_s: Option<u64>,
}

impl Rejection {
    /// Any status.
    pub fn new(status: StatusCode, text: impl Into<String>) -> Self {
        Rejection { status, text: text.into(), retry_after_s: None }
    }

    /// 400: the request cannot be read.
    pub fn unreadable(text: impl Into<String>) -> Self {
        Rejection::new(StatusCode::BAD_REQUEST, text)
    }

    /// 403.
    pub fn forbidden(text: impl Into<String>) -> Self {
        Rejection::new(StatusCode::FORBIDDEN, text)
    }

    /// 413: more than is read here.
    pub fn too_large(text: impl Into<String>) -> Self {
        Rejection::new(StatusCode::PAYLOAD_TOO_LARGE, text)
    }

    /// 429: more requests than an identity may send.
    #[must_use]
    pub fn too_many(seconds: u64) -> Self {
        let text = format!("too many requests of one identity (limits.requests_per_minute); try again in {seconds} s");
        Rejection { retry_after_s: Some(seconds), ..Rejection::new(StatusCode::TOO_MANY_REQUESTS, text) }
    }

    /// 500: our fault. The reason belongs into the log, not here.
    pub fn internal(text: impl Into<String>) -> Self {
        Rejection::new(StatusCode::INTERNAL_SERVER_ERROR, text)
    }

    fn line(&self) -> String {
        format!("ERROR : {}", self.text)
    }

    /// The response.
    #[must_use]
    pub fn into_response(self) -> Response<Body> {
        let mut response = respond(self.status, TEXT, self.line().into_bytes());
        if let Some(seconds) = self.retry_after_s {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// A response of one piece with its length.
pub fn respond(status: StatusCode, content_type: &'static str, body: Vec<u8>) -> Response<Body> {
    let length = HeaderValue::from(body.len());
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response.headers_mut().insert(CONTENT_LENGTH, length);
    response
}

/// Bytes that an envelope needs beside message and data.
const ENVELOPE_OVERHEAD: usize = 64;

/// The bytes of an envelope: no trailing newline, since pilots look at the last byte.
fn envelope(success: bool, message: &str, data: &Data, command: Option<&str>) -> Vec<u8> {
    let room = match data {
        Data::Json(text) => text.len(),
        Data::Value(_) => 128,
    };
    let mut out = Vec::with_capacity(ENVELOPE_OVERHEAD + message.len() + room);
    out.extend_from_slice(if success { br#"{"success": true, "message": "# } else { br#"{"success": false, "message": "# });
    write_text(&mut out, message);
    out.extend_from_slice(br#", "data": "#);
    data.write(&mut out);
    if let Some(command) = command {
        out.extend_from_slice(br#", "command": "#);
        write_text(&mut out, command);
    }
    out.push(b'}');
    out
}

fn write_text(out: &mut Vec<u8>, text: &str) {
    // Writing text into a vector cannot fail.
    drop(serde_json::to_writer(out, text));
}

/// Makes the response of an outcome.
pub async fn into_response(outcome: Result<Answer, Refusal>) -> Response<Body> {
    match outcome {
        Ok(Answer::Envelope { success, message, data, command }) => {
            respond(StatusCode::OK, JSON, envelope(success, &message, &data, command.as_deref()))
        }
        Ok(Answer::Document(data)) => {
            let mut out = Vec::new();
            data.write(&mut out);
            respond(StatusCode::OK, JSON, out)
        }
        Ok(Answer::Text(text)) => respond(StatusCode::OK, TEXT, text.into_bytes()),
        Ok(Answer::Bytes { content_type, bytes, headers }) => {
            let mut response = respond(StatusCode::OK, content_type, Vec::new());
            response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(bytes.len()));
            for (name, value) in headers {
                response.headers_mut().append(name, value);
            }
            *response.body_mut() = Body::from(bytes);
            response
        }
        Ok(Answer::Open { file, size }) => crate::statics::stream(tokio::fs::File::from_std(file), size, BYTES),
        Ok(Answer::File { path, content_type }) => crate::statics::file_response(&path, content_type).await,
        Err(Refusal::Envelope { message, data }) => respond(StatusCode::OK, JSON, envelope(false, &message, &Data::Value(data), None)),
        Err(Refusal::Rejected(rejection)) => rejection.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn envelopes_look_like_the_originals() {
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        assert_eq!(text(envelope(true, "", &Data::default(), None)), r#"{"success": true, "message": "", "data": null}"#);
        assert_eq!(
            text(envelope(false, "say \"no\"", &json!(4).into(), None)),
            r#"{"success": false, "message": "say \"no\"", "data": 4}"#
        );
        let data = Data::Json(r#"{"StatusCode":0}"#.into());
        assert_eq!(
            text(envelope(true, "", &data, Some("tobekilled"))),
            r#"{"success": true, "message": "", "data": {"StatusCode":0}, "command": "tobekilled"}"#
        );
    }
}
