//! `/shares/`: the tree of global shares with targets, what each uses and what waits, and the VOs in each.

use std::{collections::HashMap, sync::Arc};

use askama::Template;
use axum::{extract::State, response::Response};
use panda_ops::{share::show, statistics};
use panda_store::query::MAX_PAGE;
use serde_json::{Value, json};

use super::finish;
use crate::{
    app::{App, Asked},
    args::encode,
    frame::{self, Frame},
    level::{Level, percent},
    show::{Tag, Tone, When, count, stamp},
    trouble::Trouble,
};

/// Deepest indentation; the tree has at most as many levels (`core::policy::share::MAX_DEPTH`).
const MAX_INDENT: usize = 8;
/// A difference below this is none, parts of everything: half a percent of a small system is less than one core.
const EVEN: f64 = 0.005;

/// One line: a share, or a VO in the share above it.
struct Line {
    indent: usize,
    name: String,
    /// The share alone, with its parts; empty for a VO.
    link: String,
    throttled: Option<Tag>,
    /// Rules, or what else is to be said of it.
    notes: Vec<String>,
    target: String,
    used: String,
    difference: Option<Tag>,
    level: Option<Level>,
    rank: String,
    running: String,
    cores: String,
    queued: String,
}

#[derive(Template)]
#[template(path = "shares.html")]
struct Page {
    frame: Frame,
    only: String,
    configured: bool,
    at: When,
    running: String,
    cores: String,
    queued: String,
    lines: Vec<Line>,
    more: String,
}

/// The page.
pub(crate) async fn page(State(app): State<Arc<App>>, asked: Asked) -> Response {
    let page = load(&app, &asked).await;
    finish(&app, &asked, page)
}

async fn load(app: &App, asked: &Asked) -> Result<Response, Trouble> {
    let only = asked.query.text(&["share", "name"])?;
    let shares = show::show(&app.ops, &app.reader, only).await?;
    let load = statistics::load(&app.ops).await?;
    let all = load.all();
    if asked.json {
        return Ok(frame::json(&json!({
            "counted": (load.at.0 > 0).then(|| stamp(load.at.0)), "running": all.running(), "cores": all.running_cores(),
            "queued": all.activated(), "shares": shares,
        })));
    }
    let shares = shares.as_array().map(Vec::as_slice).unwrap_or_default();
    let mut lines = lines(shares);
    let limit = usize::try_from(MAX_PAGE).unwrap_or(usize::MAX);
    let more = lines.len().saturating_sub(limit);
    lines.truncate(limit);
    Ok(frame::html(&Page {
        frame: Frame::new(app, asked, "shares", only.map_or_else(|| "Shares".to_owned(), |n| format!("Share {n}")), true),
        only: only.unwrap_or_default().to_owned(),
        configured: only.is_some() || shares.len() > 1,
        at: When::ago(Some(load.at.0).filter(|at| *at > 0), app.ops.now().0),
        running: count(all.running()),
        cores: count(all.running_cores()),
        queued: count(all.activated()),
        lines,
        more: if more > 0 { count(i64::try_from(more).unwrap_or(i64::MAX)) } else { String::new() },
    }))
}

fn text(v: &Value) -> String {
    v.as_str().unwrap_or_default().to_owned()
}

fn number(v: &Value) -> String {
    v.as_i64().map_or_else(String::new, count)
}

/// Shares as lines, parents first, each with its VOs below it when it has no parts.
fn lines(shares: &[Value]) -> Vec<Line> {
    let mut depths: HashMap<&str, usize> = HashMap::new();
    let mut lines = Vec::new();
    for s in shares {
        let name = s["name"].as_str().unwrap_or_default();
        let depth = s["parent"].as_str().and_then(|p| depths.get(p)).map_or(0, |d| d + 1);
        depths.insert(name, depth);
        lines.push(share_line(s, depth.min(MAX_INDENT)));
        if shares.iter().all(|other| other["parent"].as_str() != Some(name)) {
            lines.extend(s["vos"].as_array().into_iter().flatten().map(|v| vo_line(v, (depth + 1).min(MAX_INDENT))));
        }
    }
    lines
}

fn share_line(s: &Value, indent: usize) -> Line {
    let name = text(&s["name"]);
    let (target, part) = (s["target"].as_f64().unwrap_or(0.0), s["part"].as_f64().unwrap_or(0.0));
    let rules: Vec<String> = s["rules"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, pattern)| format!("{key}={}", pattern.as_str().unwrap_or_default()))
        .collect();
    let unknown: Vec<&str> = s["unknown"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let mut notes = Vec::new();
    if !rules.is_empty() {
        notes.push(rules.join(" "));
    }
    if !unknown.is_empty() {
        notes.push(format!("with jobs of shares that are not there or have parts: {}", unknown.join(", ")));
    }
    Line {
        indent,
        link: format!("/shares/?share={}", encode(&name)),
        name,
        throttled: (s["throttled"] == true).then(|| Tag::new("throttled", Tone::Hold)),
        notes,
        target: percent(target),
        used: percent(part),
        difference: s["difference"].as_f64().map(difference),
        level: Some(Level::new(part, target)),
        rank: number(&s["rank"]),
        running: number(&s["running"]),
        cores: number(&s["cores"]),
        queued: number(&s["queued"]),
    }
}

fn vo_line(v: &Value, indent: usize) -> Line {
    Line {
        indent,
        link: String::new(),
        name: text(&v["vo"]),
        throttled: None,
        notes: Vec::new(),
        target: String::new(),
        used: percent(v["part"].as_f64().unwrap_or(0.0)),
        difference: None,
        level: None,
        rank: String::new(),
        running: number(&v["running"]),
        cores: number(&v["cores"]),
        queued: number(&v["queued"]),
    }
}

/// How far a share is from its target, in points of percent.
fn difference(d: f64) -> Tag {
    if d.abs() < EVEN {
        return Tag::new("even", Tone::Ok);
    }
    let (sign, tone) = if d < 0.0 { ("−", Tone::Wait) } else { ("+", Tone::Run) };
    Tag::new(format!("{sign}{:.1}", d.abs() * 100.0), tone)
}
