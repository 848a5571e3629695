//! Who is let in to the pages.
//!
//! Owns asking before a page is made, and the page that says why somebody is not let in. Must not know how a caller is identified.

use std::pin::Pin;
use std::sync::Arc;

use axum::{
    extract::{FromRequestParts as _, Request, State},
    http::{StatusCode, request::Parts},
    middleware::Next,
    response::Response,
};

use crate::{
    app::{App, Asked},
    frame,
    trouble::Trouble,
};

/// Says of a request whether its sender may read the pages.
pub type Door = Arc<dyn Fn(&Parts) -> Pin<Box<dyn Future<Output = Result<(), Refused>> + Send>> + Send + Sync>;

/// Why somebody is not let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The answer's status.
    pub status: StatusCode,
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub hint: String,
}

/// Asks before every page.
pub(crate) async fn guard(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let Some(door) = app.state.door.clone() else { return next.run(request).await };
    let (mut parts, body) = request.into_parts();
    match door(&parts).await {
        Ok(()) => next.run(Request::from_parts(parts, body)).await,
        Err(refused) => {
            let Ok(asked) = Asked::from_request_parts(&mut parts, &()).await;
            frame::trouble(&app, &asked, Trouble::Refused(refused))
        }
    }
}
