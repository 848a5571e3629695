//! The pages of a world, asked as a browser and as a script ask, and what holds for every page.

#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;

use axum::{
    Router,
    body::Body,
    http::{Request, StatusCode, header},
};
use http_body_util::BodyExt as _;
use panda_monitor::{MonitorState, fallback, router};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::support::{Hand, Ids, START_US, World};

pub struct Site {
    pub world: World,
    pub ids: Ids,
    router: Router,
}

pub struct Got {
    pub status: StatusCode,
    pub kind: String,
    pub place: String,
    pub policy: String,
    pub text: String,
}

impl Site {
    pub async fn new() -> Self {
        let world = World::new(Hand::at(START_US)).await;
        let ids = world.fill().await;
        Self::over(world, ids)
    }
    /// Over a world in which nothing is.
    pub async fn empty() -> Self {
        Self::over(World::new(Hand::at(START_US)).await, Ids::NONE)
    }
    fn over(world: World, ids: Ids) -> Self {
        let engine = || json!([{"loop": "refine", "last_us": START_US - 2_000_000, "steps": 7, "done": 3, "last_error": "<oops>"}]);
        let state = MonitorState { ops: world.ops.clone(), engine_status: Some(Arc::new(engine)), title: "Amber & Co".into(), door: None };
        Self { router: fallback(router(state.clone()), state), world, ids }
    }
    pub async fn ask(&self, path: &str, accept: &str) -> Got {
        let request = Request::get(path).header(header::ACCEPT, accept).body(Body::empty()).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let head = |name| response.headers().get(name).map(|v| v.to_str().unwrap().to_owned()).unwrap_or_default();
        let (status, kind, place, policy) =
            (response.status(), head(header::CONTENT_TYPE), head(header::LOCATION), head(header::CONTENT_SECURITY_POLICY));
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        Got { status, kind, place, policy, text: String::from_utf8(bytes.to_vec()).unwrap() }
    }
    pub async fn html(&self, path: &str) -> String {
        let got = self.ask(path, "text/html,application/xhtml+xml").await;
        assert_eq!((got.status, got.kind.as_str()), (StatusCode::OK, "text/html; charset=utf-8"), "{path}: {}", got.text);
        assert!(got.policy.contains("script-src 'self'"), "{path}: {}", got.policy);
        check(path, &got.text);
        named(&got.text)
    }
    pub async fn json(&self, path: &str) -> Value {
        let got = self.ask(path, "*/*").await;
        assert_eq!((got.status, got.kind.as_str()), (StatusCode::OK, "application/json"), "{path}: {}", got.text);
        assert!(!got.text.contains("very-secret-value") && !got.text.contains("hunter2"), "{path} shows a secret: {}", got.text);
        serde_json::from_str(&got.text).unwrap()
    }
}

/// With names for the characters that are escaped, as both our own code and the templates mean them.
pub fn named(html: &str) -> String {
    html.replace("&#60;", "&lt;").replace("&#62;", "&gt;").replace("&#38;", "&amp;").replace("&#34;", "&quot;")
}

/// What holds for every page.
pub fn check(path: &str, html: &str) {
    let html = &named(html);
    assert!(html.starts_with("<!doctype html>"), "{path}");
    assert!(!html.contains("very-secret-value") && !html.contains("hunter2"), "{path} shows a secret");
    assert!(!html.contains("<script>alert") && !html.contains("<b>exit code"), "{path} does not escape");
    assert!(!html.contains("style=\"") && !html.contains(" onclick"), "{path} has inline style or code, which the policy forbids");
    assert!(!html.contains("http://") || !html.contains("src=\"http"), "{path} loads from elsewhere");
    assert!(html.contains("Amber &amp; Co"), "{path} does not name the site");
    for tag in ["section", "table", "tbody", "tr", "td", "th", "ul", "dl", "details", "div", "nav", "form", "pre", "span", "a"] {
        let opened = html.matches(&format!("<{tag} ")).count() + html.matches(&format!("<{tag}>")).count();
        assert_eq!(opened, html.matches(&format!("</{tag}>")).count(), "{path}: <{tag}> is not closed");
    }
}
