//! What stands around every page, and how a page becomes an answer: HTML or JSON, with headers, or a page that says what went wrong.

use askama::Template;
use axum::{
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use crate::{
    app::{App, Asked},
    assets,
    show::{Escaped, stamp},
    trouble::Trouble,
};

/// Only our own files, no inline code or style, no frames.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; \
                      base-uri 'none'; frame-ancestors 'none'";

/// What stands around every page.
pub(crate) struct Frame {
    /// Name of the installation.
    pub site: String,
    /// Title of the page.
    pub title: String,
    /// Which entry of the menu is lit.
    pub menu: &'static str,
    /// Time of the page, UTC.
    pub now: String,
    /// The same page as JSON.
    pub json: String,
    /// Whether the page refreshes itself.
    pub live: bool,
    /// The page with refreshing switched the other way; empty when nothing on it changes.
    pub toggle: String,
    /// Version of stylesheet and script.
    pub assets: u32,
}

impl Frame {
    /// For a page at the address asked for. `changes`: whether what it shows still moves, so that it refreshes itself unless `refresh=off`.
    pub(crate) fn new(app: &App, asked: &Asked, menu: &'static str, title: impl Into<String>, changes: bool) -> Self {
        let on = asked.query.get(&["refresh"]) != Some("off");
        let toggle = if changes { asked.query.link(&asked.path, &[("refresh", on.then_some("off"))]) } else { String::new() };
        Self {
            site: app.state.title.clone(),
            title: title.into(),
            menu,
            now: stamp(app.ops.now().0),
            json: asked.query.link(&asked.path, &[("json", Some("")), ("refresh", None)]),
            live: changes && on,
            toggle,
            assets: assets::VERSION,
        }
    }
    /// Class of a menu entry.
    pub(crate) fn lit(&self, menu: &str) -> &'static str {
        if self.menu == menu { "page" } else { "false" }
    }
}

/// A page that says why there is no page.
#[derive(Template)]
#[template(path = "trouble.html")]
struct TroublePage {
    frame: Frame,
    what: String,
    hint: String,
}

/// The page as HTML.
pub(crate) fn html(page: &impl Template) -> Response {
    answer(StatusCode::OK, page)
}

/// The page as JSON.
pub(crate) fn json(value: &Value) -> Response {
    with_headers((StatusCode::OK, [(header::CONTENT_TYPE, "application/json")], value.to_string()).into_response())
}

fn answer(status: StatusCode, page: &impl Template) -> Response {
    match page.render() {
        Ok(text) => with_headers((status, [(header::CONTENT_TYPE, "text/html; charset=utf-8")], text).into_response()),
        Err(error) => {
            tracing::error!(%error, "a page could not be written");
            (StatusCode::INTERNAL_SERVER_ERROR, "the page could not be written; the server's log says why\n").into_response()
        }
    }
}

/// Headers of every page: nothing is kept by the browser, nothing of others is loaded, other sites get no address.
pub(crate) fn with_headers(mut response: Response) -> Response {
    for (name, value) in [
        (header::CACHE_CONTROL, "no-store"),
        (header::VARY, "accept"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "same-origin"),
    ] {
        response.headers_mut().insert(name, axum::http::HeaderValue::from_static(value));
    }
    response
}

/// What went wrong, in the form asked for. What the database said goes to the log and to the page: whoever reads it runs the system or asks
/// the one who does.
pub(crate) fn trouble(app: &App, asked: &Asked, trouble: Trouble) -> Response {
    let (status, title, what, hint) = match trouble {
        Trouble::Missing { what, hint } => (StatusCode::NOT_FOUND, "Not found", what, hint),
        Trouble::Bad(what) => {
            let hint = "Change the address, or start again from one of the lists above.".to_owned();
            (StatusCode::BAD_REQUEST, "This address makes no sense", what, hint)
        }
        Trouble::Refused(refused) => (refused.status, "Not for everybody", refused.what, refused.hint),
        Trouble::Failed(what) => {
            tracing::error!(path = asked.path, "a page could not be read: {what}");
            let hint = "Try again; if it stays, `panda doctor` looks at the database.".to_owned();
            (StatusCode::SERVICE_UNAVAILABLE, "The page cannot be read now", what, hint)
        }
    };
    if asked.json {
        let mut response = json(&json!({"error": what, "hint": hint}));
        *response.status_mut() = status;
        return response;
    }
    answer(status, &TroublePage { frame: Frame::new(app, asked, "", title, false), what, hint })
}

/// Text in which `task/ID` and `job/ID` are links and back-quoted pieces are code; all else is escaped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Linked(pub String);

impl std::fmt::Display for Linked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (i, piece) in self.0.split('`').enumerate() {
            if i % 2 == 1 {
                write!(f, "<code>{}</code>", Escaped(piece))?;
                continue;
            }
            for (j, word) in piece.split(' ').enumerate() {
                if j > 0 {
                    f.write_str(" ")?;
                }
                match id(word) {
                    Some((kind, number, rest)) => write!(f, "<a href=\"/{kind}/{number}/\">{kind}/{number}</a>{}", Escaped(rest))?,
                    None => Escaped(word).fmt(f)?,
                }
            }
        }
        Ok(())
    }
}
impl askama::filters::HtmlSafe for Linked {}

/// `job/123)` as kind, number and what follows; an opening parenthesis in front is not taken for one.
fn id(word: &str) -> Option<(&'static str, &str, &str)> {
    let (kind, rest) = match word.strip_prefix("task/") {
        Some(rest) => ("task", rest),
        None => ("job", word.strip_prefix("job/")?),
    };
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    (digits > 0).then(|| (kind, &rest[..digits], &rest[digits..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_have_links() {
        let text = Linked("2 jobs <b> (latest: job/12), see task/3 or `panda why task/3`".into()).to_string();
        assert_eq!(
            text,
            "2 jobs &lt;b&gt; (latest: <a href=\"/job/12/\">job/12</a>), see <a href=\"/task/3/\">task/3</a> or <code>panda why task/3</code>"
        );
        assert_eq!(Linked("task/x job/".into()).to_string(), "task/x job/");
    }
}
