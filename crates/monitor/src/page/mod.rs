//! One page a file: what it reads, its template, its JSON.

pub(crate) mod holds;
pub(crate) mod job;
pub(crate) mod jobs;
pub(crate) mod log;
pub(crate) mod missing;
pub(crate) mod moved;
pub(crate) mod overview;
pub(crate) mod queue;
pub(crate) mod queues;
pub(crate) mod retention;
pub(crate) mod search;
pub(crate) mod shares;
pub(crate) mod task;
pub(crate) mod tasks;

use axum::response::Response;
use panda_store::query::job::list::Event;
use serde_json::Value;

use crate::{
    app::{App, Asked},
    frame,
    show::{Tag, When},
    trouble::Trouble,
};

/// The answer of a page that was read, or of one that could not be.
fn finish(app: &App, asked: &Asked, page: Result<Response, Trouble>) -> Response {
    page.unwrap_or_else(|trouble| frame::trouble(app, asked, trouble))
}

/// A number in a path.
fn number(text: &str, what: &str) -> Result<i64, Trouble> {
    let shown: String = text.chars().take(40).collect();
    text.parse()
        .map_err(|_| Trouble::missing(format!("`{shown}` is no {what} number."), format!("Look for the {what} in the list of {what}s.")))
}

/// A name and what it is, for lists of facts; the value is text.
struct Fact {
    name: &'static str,
    value: String,
}

/// Facts that have a value.
fn facts(all: Vec<(&'static str, String)>) -> Vec<Fact> {
    all.into_iter().filter(|(_, v)| !v.is_empty()).map(|(name, value)| Fact { name, value }).collect()
}

/// A count with its state and the list behind it.
struct Chip {
    state: Tag,
    n: String,
    link: String,
}

/// One line of a history.
struct Step {
    at: When,
    from: Option<Tag>,
    to: Tag,
    actor: String,
    reason: String,
    /// How long it stayed in that state.
    stayed: String,
}

/// A history, newest first; `tag` gives states their colour. `now_us` ends the last stay while the thing is alive.
fn steps(events: &[Event], tag: fn(&str) -> Tag, now_us: i64, alive: bool) -> Vec<Step> {
    let next = |i: usize| events.get(i + 1).map(|e| e.at_us).or(alive.then_some(now_us));
    let step = |(i, e): (usize, &Event)| Step {
        at: When::at(e.at_us, now_us),
        from: e.from.as_deref().map(tag),
        to: tag(&e.to),
        actor: e.actor.clone(),
        reason: e.reason.clone().unwrap_or_default(),
        stayed: next(i).map(|end| crate::show::span(end - e.at_us)).unwrap_or_default(),
    };
    events.iter().enumerate().map(step).rev().collect()
}

/// A history as JSON.
fn history_json(events: &[Event]) -> Value {
    let line = |e: &Event| serde_json::json!({"modificationtime": crate::show::stamp(e.at_us), "from": e.from, "status": e.to, "actor": e.actor, "reason": e.reason});
    events.iter().map(line).collect()
}

/// Sentences under a key of a `why` answer.
fn sentences(why: &Value, key: &str) -> Vec<frame::Linked> {
    let mut all: Vec<frame::Linked> = Vec::new();
    for text in why[key].as_array().into_iter().flatten().filter_map(Value::as_str) {
        let text = frame::Linked(text.to_owned());
        if !all.contains(&text) {
            all.push(text);
        }
    }
    all
}

/// One recorded decision.
struct Decided {
    stage: String,
    at: String,
    /// The record, indented; the last resort when it has no lines.
    text: String,
    /// Filter by filter: criterion, how many it took out, why, which ones.
    lines: Vec<Filtered>,
    /// What was considered and chosen, in words.
    summary: Vec<String>,
}

/// One filter of a decision.
struct Filtered {
    criterion: String,
    removed: String,
    why: String,
    names: String,
}

/// Recorded decisions of a `why` answer.
fn decisions(why: &Value) -> Vec<Decided> {
    let words = |v: &Value| match v {
        Value::Null => String::new(),
        Value::String(s) => s.clone(),
        Value::Array(items) => items.iter().map(|i| i.as_str().map_or_else(|| i.to_string(), str::to_owned)).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    };
    let one = |d: &Value| {
        let mut doc = d["doc"].clone();
        crate::mask::mask(&mut doc);
        let filter = |f: &Value| Filtered {
            criterion: words(&f["criterion"]),
            removed: words(&f["removed"]),
            why: words(&f["why"]),
            names: words(&f["queues"]),
        };
        let named = |(key, value): (&String, &Value)| {
            let text = words(value);
            (key != "funnel" && !text.is_empty()).then(|| format!("{key}: {text}"))
        };
        Decided {
            stage: words(&d["stage"]),
            at: words(&d["at"]),
            lines: doc["funnel"].as_array().into_iter().flatten().map(filter).collect(),
            summary: doc.as_object().into_iter().flatten().filter_map(named).collect(),
            text: if doc.is_object() { String::new() } else { crate::mask::pretty(&doc) },
        }
    };
    why["decisions"].as_array().into_iter().flatten().map(one).collect()
}
