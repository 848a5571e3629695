//! Requests as they come in: query string, form, JSON, gzip, multipart, bound to any method of the table. Never a panic, never
//! a body that grows past its limit; a refusal has a text.
#![no_main]

use std::sync::LazyLock;

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use libfuzzer_sys::fuzz_target;
use panda_server::args::{self, Given};
use panda_server::methods::{self, Method};
use panda_server::{body, query, upload};
use tokio::runtime::{Builder, Runtime};

/// Small, so that the fuzzer reaches it.
const LIMIT: u64 = 1 << 16;

static METHODS: LazyLock<Vec<&'static Method>> = LazyLock::new(|| methods::all().collect());
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Builder::new_current_thread().enable_time().build().expect("a runtime"));
static UPLOADS: LazyLock<tempfile::TempDir> = LazyLock::new(|| tempfile::tempdir().expect("a temporary folder"));

fn headers(content_type: &'static str) -> HeaderMap {
    HeaderMap::from_iter([(http::header::CONTENT_TYPE, HeaderValue::from_static(content_type))])
}

/// What the bytes are as this kind of request; None when they are refused as unreadable.
fn given(kind: u8, bytes: Vec<u8>) -> Option<Given> {
    let text = match kind % 4 {
        0 => return Some(Given::Pairs(query::pairs(&bytes))),
        1 => "application/json",
        2 => "application/x-www-form-urlencoded",
        _ => {
            let folder = UPLOADS.path();
            let intake = (kind >= 128).then_some(upload::Intake { folder, cap: |_| LIMIT });
            let parts = RUNTIME.block_on(upload::receive(Body::from(bytes), "multipart/form-data; boundary=x", intake)).ok()?;
            return Some(Given::Pairs(parts.fields));
        }
    };
    let headers = headers(text);
    RUNTIME.block_on(async {
        let read = body::read(Body::from(Bytes::from(bytes)), &headers, LIMIT).await.ok()?;
        body::decode(read, &headers, LIMIT).await.ok()
    })
}

fuzz_target!(|input: (u8, u8, Vec<u8>)| {
    let (kind, which, bytes) = input;
    if let Ok(name) = std::str::from_utf8(&bytes)
        && let Some(safe) = upload::safe_name(name)
    {
        assert!(!safe.contains(['/', '\\', '\0']) && !safe.starts_with('.'), "{safe:?}");
    }
    let Some(given) = given(kind, bytes) else { return };
    let method = METHODS[usize::from(which) % METHODS.len()];
    if let Given::Object(map) = &given {
        let _ = args::bind_leniently(method, map.clone());
    }
    match args::bind(method, given, kind % 4 == 0) {
        Ok(args) => drop(args.into_object()),
        Err(text) => assert!(!text.is_empty()),
    }
});
