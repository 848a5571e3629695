//! The stylesheet and the script, compiled in. Their addresses carry the version, so browsers may keep them.

use axum::{
    extract::Path,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};

const CSS: &str = include_str!("../assets/monitor.css");
const JS: &str = include_str!("../assets/monitor.js");

/// A short hash of a text (FNV-1a), so that a changed file has a new address.
const fn hash(text: &str) -> u32 {
    let bytes = text.as_bytes();
    let (mut hash, mut i) = (0x811c_9dc5_u32, 0);
    while i < bytes.len() {
        hash = (hash ^ bytes[i] as u32).wrapping_mul(0x0100_0193);
        i += 1;
    }
    hash
}

/// What stands behind `?v=` in the addresses.
pub(crate) const VERSION: u32 = hash(CSS) ^ hash(JS).rotate_left(1);

/// `/static/<name>`.
pub(crate) async fn serve(Path(name): Path<String>) -> Response {
    let (kind, text) = match name.as_str() {
        "monitor.css" => ("text/css; charset=utf-8", CSS),
        "monitor.js" => ("text/javascript; charset=utf-8", JS),
        _ => return (StatusCode::NOT_FOUND, "there is no such file; /static/ holds monitor.css and monitor.js\n").into_response(),
    };
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, text).into_response()
}
