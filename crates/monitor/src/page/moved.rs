//! Addresses that people type, or know from the original's monitor: each leads to the page that means the same, with its query.

use axum::{
    extract::Path,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

use crate::{app::Asked, args::encode};

fn to(asked: &Asked, path: &str, without: &str) -> Response {
    let place = asked.query.link(path, &[(without, None)]);
    match HeaderValue::from_str(&place) {
        // Found, not permanent: browsers keep permanent ones for ever.
        Ok(place) => (StatusCode::FOUND, [(header::LOCATION, place)]).into_response(),
        Err(_) => StatusCode::NOT_FOUND.into_response(),
    }
}

/// The same address with its slash.
pub(crate) async fn slash(asked: Asked) -> Response {
    to(&asked, &format!("{}/", asked.path), "")
}

/// `/task?jeditaskid=ID`; without a number the list.
pub(crate) async fn task(asked: Asked) -> Response {
    match asked.query.int(&["jeditaskid"]) {
        Ok(Some(id)) => to(&asked, &format!("/task/{id}/"), "jeditaskid"),
        _ => to(&asked, "/tasks/", ""),
    }
}

/// `/job?pandaid=ID`; without a number the list.
pub(crate) async fn job(asked: Asked) -> Response {
    match asked.query.int(&["pandaid"]) {
        Ok(Some(id)) => to(&asked, &format!("/job/{id}/"), "pandaid"),
        _ => to(&asked, "/jobs/", ""),
    }
}

/// `/sites/`: queues.
pub(crate) async fn sites(asked: Asked) -> Response {
    to(&asked, "/queues/", "")
}

/// `/globalshares/`: shares.
pub(crate) async fn shares(asked: Asked) -> Response {
    to(&asked, "/shares/", "")
}

/// `/site/<queue>/`.
pub(crate) async fn site(asked: Asked, Path(name): Path<String>) -> Response {
    to(&asked, &format!("/queue/{}/", encode(&name)), "")
}
