//! From a request to a method and back.
//!
//! Owns the order of checks: method, identity, ban, parse, identity needed, role,
//! verb, binding, casting; ownership is the operation's (API sheet 0.2, 0.5).
//! Must not know any method: everything comes from the table.

use crate::answer::{self, Answer, Refusal, Rejection};
use crate::args::{self, Args, Given};
use crate::audit;
use crate::body;
use crate::ctx::{Ctx, Peer, ServerState};
use crate::forwarded::Told;
use crate::legacy;
use crate::methods::{self, Intake, Method, Space, Verb};
use crate::query;
use crate::statics;
use crate::upload;
use axum::body::Body;
use futures::FutureExt;
use http::{HeaderMap, Request, Response};
use http_body_util::BodyExt;
use panda_access::{AccessError, Principal, RequestIdentity, table};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

/// How much of a body is thrown away before an early refusal: closing on a
/// client that still sends would cut off the answer.
const DRAIN_BYTES: usize = 1 << 20;

/// Answers any request of ours; a panic becomes a 500 and ends nothing.
pub async fn dispatch(state: Arc<ServerState>, peer: Peer, request: Request<Body>) -> Response<Body> {
    let started = Instant::now();
    let observer = state.observer.clone();
    let mut what = "unknown";
    let work = AssertUnwindSafe(route(state, peer, request, &mut what)).catch_unwind();
    let response = match work.await {
        Ok(response) => response,
        Err(_) => {
            tracing::error!(method = what, "a handler panicked");
            Rejection::internal("the server made a mistake; it is in the log").into_response()
        }
    };
    observer.request(what, response.status().as_u16(), started.elapsed());
    response
}

async fn route(state: Arc<ServerState>, peer: Peer, request: Request<Body>, what: &mut &'static str) -> Response<Body> {
    let path = request.uri().path();
    let found = if let Some(rest) = path.strip_prefix("/api/v1/").or_else(|| path.strip_prefix("/api/latest/")) {
        methods::find(Space::V1, rest)
    } else if let Some(rest) = path.strip_prefix("/api/panda/v1/") {
        methods::find(Space::Own, rest)
    } else if let Some(name) = path.strip_prefix("/server/panda/") {
        if let Some(old) = legacy::find(name) {
            *what = old.name;
            return answer_legacy(state, peer, request, old).await;
        }
        None
    } else if let Some(response) = statics::serve(&state, request.method(), path, request.headers()).await {
        *what = "static";
        return response;
    } else {
        None
    };
    let Some((name, method)) = found else {
        return forbidden(path).into_response();
    };
    *what = name;
    answer_method(state, peer, request, method).await
}

/// Every unknown path is a forbidden method, as in the original.
fn forbidden(path: &str) -> Rejection {
    let shown: String = path.rsplit('/').next().unwrap_or_default().chars().take(100).collect();
    Rejection::forbidden(format!("method {shown} is forbidden"))
}

async fn answer_method(state: Arc<ServerState>, peer: Peer, request: Request<Body>, method: &'static Method) -> Response<Body> {
    match call(state, peer, request, method).await {
        Ok((ctx, args)) => answer::into_response(audit::run(method, ctx, args).await).await,
        Err(refusal) => answer::into_response(Err(refusal)).await,
    }
}

/// Everything that comes before the handler.
async fn call(state: Arc<ServerState>, peer: Peer, request: Request<Body>, method: &'static Method) -> Result<(Ctx, Args), Refusal> {
    let (parts, body) = request.into_parts();
    let principal = authenticate(&state, &peer, &parts.headers).await?;
    let ctx = Ctx { principal, state, headers: parts.headers, verb: parts.method, peer };
    let query = parts.uri.query().unwrap_or_default().as_bytes();
    let is_get = ctx.verb == http::Method::GET || ctx.verb == http::Method::HEAD;
    // A large body is not taken from somebody who may not send it.
    if !is_get
        && !matches!(method.intake, Intake::Values(_))
        && let Err(refusal) = admit(method, &ctx)
    {
        drain(body).await;
        return Err(refusal);
    }
    let (given, upload, raw) = match method.intake {
        _ if is_get => (Given::Pairs(query::pairs(query)), None, None),
        Intake::Raw(limit) => {
            let raw = body::read(body, &ctx.headers, limit).await?;
            (Given::Pairs(query::pairs(query)), None, Some(raw))
        }
        Intake::File(cap) if is_multipart(&ctx.headers) => {
            let intake = upload::Intake { folder: &ctx.state.options.upload_folder, cap };
            let parts = upload::receive(body, full_content_type(&ctx.headers), Some(intake)).await?;
            // A file in a form is the parameter `file`; the table does not list it.
            (Given::Pairs(parts.fields), parts.file, None)
        }
        Intake::Values(limit) => (values(body, &ctx.headers, limit, query).await?, None, None),
        Intake::File(_) => (values(body, &ctx.headers, body::JSON_LIMIT, query).await?, None, None),
    };
    admit(method, &ctx)?;
    let args = args::bind(method, given, is_get).map_err(Refusal::new)?;
    Ok((ctx, args.with_upload(upload).with_body(raw.unwrap_or_default())))
}

async fn values(body: Body, headers: &HeaderMap, limit: u64, query: &[u8]) -> Result<Given, Rejection> {
    if is_multipart(headers) {
        return Ok(Given::Pairs(upload::receive(body, full_content_type(headers), None).await?.fields));
    }
    let bytes = body::read(body, headers, limit).await?;
    if bytes.is_empty() {
        return Ok(Given::Pairs(query::pairs(query)));
    }
    body::decode(bytes, headers, limit).await
}

fn is_multipart(headers: &HeaderMap) -> bool {
    body::content_type(headers).eq_ignore_ascii_case("multipart/form-data")
}

fn full_content_type(headers: &HeaderMap) -> &str {
    headers.get(http::header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default()
}

async fn drain(mut body: Body) {
    let mut left = DRAIN_BYTES;
    let read = async {
        while let Some(Ok(frame)) = body.frame().await {
            let size = frame.data_ref().map_or(0, bytes::Bytes::len);
            if size >= left {
                break;
            }
            left -= size;
        }
    };
    // A client that is silent gets its refusal all the same.
    drop(tokio::time::timeout(std::time::Duration::from_secs(5), read).await);
}

/// Identity and role, then the verb.
fn admit(method: &Method, ctx: &Ctx) -> Result<(), Refusal> {
    table::admit(method.right, ctx.principal.as_deref())?;
    let fits = match method.verb {
        Verb::Get => ctx.verb == http::Method::GET || ctx.verb == http::Method::HEAD,
        Verb::Post => ctx.verb == http::Method::POST,
        Verb::Any => matches!(ctx.verb, http::Method::GET | http::Method::HEAD | http::Method::POST),
    };
    if fits { Ok(()) } else { Err(Refusal::new(format!("expecting {}, received {}", method.verb.name(), ctx.verb))) }
}

/// Who calls a method. A browser shows a person's certificate to whichever page makes it ask, so a request that a page of another site made counts only
/// with a token, which such a page does not have.
async fn authenticate(state: &ServerState, peer: &Peer, headers: &HeaderMap) -> Result<Option<Arc<Principal>>, Rejection> {
    let who = identify(state, peer, headers).await?;
    if who.is_some() && is_of_another_site(headers) {
        return Err(Rejection::forbidden("a page of another site made the browser send this request; it is not done with a certificate"));
    }
    Ok(who)
}

/// Whether a browser says that it was made to ask by somebody else's page (Fetch Metadata; programs send no such header).
fn is_of_another_site(headers: &HeaderMap) -> bool {
    let site = headers.get("sec-fetch-site").map(http::HeaderValue::as_bytes);
    !headers.contains_key(http::header::AUTHORIZATION) && site.is_some_and(|site| !matches!(site, b"same-origin" | b"none"))
}

/// Who asks; a failed claim and a ban are 403. A key or token that is not known yet is asked for once.
///
/// # Errors
/// The claim does not hold, its bearer is banned, or asks too often.
pub async fn identify(state: &ServerState, peer: &Peer, headers: &HeaderMap) -> Result<Option<Arc<Principal>>, Rejection> {
    let text = |name: &str| headers.get(name).map(|v| v.to_str().unwrap_or("\u{fffd}"));
    let is_forwarded = headers.contains_key("x-forwarded-for") || headers.contains_key("forwarded");
    let forwarded = state.options.forwarded.read(peer.address.ip(), headers).map_err(Rejection::forbidden)?;
    let request = RequestIdentity {
        authorization: text("authorization"),
        origin: text("origin"),
        // What a proxy passes on comes from elsewhere, wherever the proxy runs.
        peer_is_loopback: peer.address.ip().to_canonical().is_loopback() && !is_forwarded && forwarded == Told::Nothing,
        certificate: match &forwarded {
            Told::Certificate(shown) => Some(shown),
            _ => peer.certificate.as_deref(),
        },
        certificate_name: match &forwarded {
            Told::Name(name) => Some(name),
            _ => None,
        },
    };
    let mut outcome = state.identity.authenticate(&request);
    let issuer = match &outcome {
        Err(AccessError::UnknownKey(issuer) | AccessError::NoKeys(issuer)) => Some(issuer.as_str()),
        Err(AccessError::UnknownToken) => Some(panda_access::tokens::ISSUER),
        _ => None,
    };
    if let Some(issuer) = issuer
        && state.identity.learn(issuer).await
    {
        outcome = state.identity.authenticate(&request);
    }
    let principal = outcome.map_err(|why| {
        let what = if matches!(why, AccessError::Certificate(_)) { "Certificate" } else { "Token" };
        Rejection::forbidden(format!("{what} authentication failed. {why}"))
    })?;
    match principal {
        Some(who) if state.bans.is_banned(&who) => Err(Rejection::forbidden(format!("{} is banned", who.name))),
        Some(who) => match state.limits.take(&who, Instant::now()) {
            Ok(()) => Ok(Some(who)),
            Err(seconds) => Err(Rejection::too_many(seconds)),
        },
        principal => Ok(principal),
    }
}

async fn answer_legacy(state: Arc<ServerState>, peer: Peer, request: Request<Body>, old: &'static legacy::Old) -> Response<Body> {
    match call_legacy(state, peer, request, old).await {
        Ok(answer) => answer::into_response(Ok(answer)).await,
        Err(rejection) => rejection.into_response(),
    }
}

async fn call_legacy(state: Arc<ServerState>, peer: Peer, request: Request<Body>, old: &'static legacy::Old) -> Result<Answer, Rejection> {
    let (parts, body) = request.into_parts();
    let principal = authenticate(&state, &peer, &parts.headers).await?;
    let ctx = Ctx { principal, state, headers: parts.headers, verb: parts.method, peer };
    let query = parts.uri.query().unwrap_or_default().as_bytes();
    let mut file = None;
    let given = match ctx.verb {
        http::Method::GET | http::Method::HEAD => Given::Pairs(query::pairs(query)),
        http::Method::POST if is_multipart(&ctx.headers) && old.takes_file().is_some() => {
            let Some((cap, right)) = old.takes_file() else { return Err(Rejection::internal("a method lost its file")) };
            // A large body is not taken from somebody who may not send it; the method's own answer says why.
            if table::admit(right, ctx.principal.as_deref()).is_err() {
                drain(body).await;
                Given::Pairs(Vec::new())
            } else {
                let intake = upload::Intake { folder: &ctx.state.options.upload_folder, cap };
                let parts = upload::receive(body, full_content_type(&ctx.headers), Some(intake)).await?;
                file = parts.file;
                Given::Pairs(parts.fields)
            }
        }
        http::Method::POST => values(body, &ctx.headers, body::SUBMIT_LIMIT, query).await?,
        _ => return Err(Rejection::forbidden(format!("method {} is forbidden", old.name))),
    };
    Ok(legacy::answer(old, ctx, given, file).await)
}
