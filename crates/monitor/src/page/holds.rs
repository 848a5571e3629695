//! `/holds/`: what keeps work from going on: queues and machines that get no jobs, caps and throttles, and the tasks on hold by what holds them.

use std::sync::Arc;

use askama::Template;
use axum::{extract::State, response::Response};
use panda_core::{
    id::TaskId,
    setting::{ANY, broker::FAILURE_WINDOW_S},
};
use panda_ops::{
    hold, limit,
    why::held::{self, Group, Held, OnHold, pattern},
};
use panda_store::query::task::{TaskRow, list::many};
use serde_json::{Value, json};

use super::{Chip, finish, tasks};
use crate::{
    app::{App, Asked},
    args::encode,
    frame::{self, Frame, Linked},
    rows::TaskLine,
    show::{Tag, Tone, When, count, span},
    trouble::Trouble,
};

/// Rows of the tables of queues, caps, throttles and settings; more are only counted.
const ROWS: usize = 200;
/// Characters of a sentence that a link to its tasks carries.
const MAX_PATTERN: usize = 150;

/// A queue, a machine of one, or the server, that gets no jobs.
struct HoldLine {
    name: String,
    link: String,
    node: String,
    kind: Tag,
    since: String,
    who: String,
    reason: Linked,
    canary: Linked,
    failed: String,
    frees: Linked,
}

struct CapLine {
    whose: String,
    vo: String,
    jobs: String,
    cores: String,
    held: String,
    state: Tag,
    reason: Linked,
}

struct ThrottleLine {
    share: String,
    link: String,
    kind: String,
    running: String,
    queued: String,
    waiting: String,
    limits: String,
    state: Tag,
    reason: Linked,
}

struct SettingLine {
    name: String,
    scope: String,
    value: String,
}

struct GroupLine {
    stage: String,
    state: Tag,
    reason: Linked,
    n: String,
    link: String,
    oldest: When,
    examples: Vec<i64>,
}

/// A table that is cut, with how many rows it lacks.
struct Cut<T> {
    rows: Vec<T>,
    more: String,
}

impl<T> Cut<T> {
    fn new(mut rows: Vec<T>, others: usize) -> Self {
        let more = rows.len().saturating_sub(ROWS) + others;
        rows.truncate(ROWS);
        Self { rows, more: if more > 0 { count(i64::try_from(more).unwrap_or(i64::MAX)) } else { String::new() } }
    }
}

/// The tasks of one group.
struct Chosen {
    stage: String,
    reason: String,
    tasks: Vec<TaskLine>,
    older: String,
    newest: String,
}

#[derive(Template)]
#[template(path = "holds.html")]
struct Page {
    frame: Frame,
    window: String,
    holds: Cut<HoldLine>,
    caps: Cut<CapLine>,
    throttles: Cut<ThrottleLine>,
    settings: Cut<SettingLine>,
    states: Vec<Chip>,
    groups: Cut<GroupLine>,
    looked_at: String,
    chosen: Option<Chosen>,
}

/// The page.
pub(crate) async fn page(State(app): State<Arc<App>>, asked: Asked) -> Response {
    let page = load(&app, &asked).await;
    finish(&app, &asked, page)
}

/// What the address chooses.
#[derive(Clone, Copy)]
struct Choice<'a> {
    stage: Option<&'a str>,
    /// A sentence with `#` for numbers, or its beginning.
    reason: Option<&'a str>,
}

impl<'a> Choice<'a> {
    /// None when the address chooses nothing.
    fn of(asked: &'a Asked) -> Result<Option<Self>, Trouble> {
        let choice = Self { stage: asked.query.text(&["stage"])?, reason: asked.query.text(&["reason"])? };
        Ok((choice.stage.is_some() || choice.reason.is_some()).then_some(choice))
    }
    fn fits(self, t: &OnHold) -> bool {
        self.stage.is_none_or(|s| t.stage == s) && self.reason.is_none_or(|r| pattern(&t.reason).starts_with(&pattern(r)))
    }
}

async fn load(app: &App, asked: &Asked) -> Result<Response, Trouble> {
    let choice = Choice::of(asked)?;
    let limit = usize::try_from(asked.query.limit()?).unwrap_or(0);
    let before = asked.query.int(&["before"])?;
    let holds = hold::list(&app.ops).await?;
    let limits = limit::show::show(&app.ops, &app.reader).await?;
    let on_hold = held::tasks(&app.ops, &app.reader).await?;
    let (rows, more) = match choice {
        Some(choice) => {
            let fits = |t: &&OnHold| choice.fits(t) && before.is_none_or(|b| t.id.0 < b);
            let mut ids: Vec<TaskId> = on_hold.tasks.iter().filter(fits).take(limit + 1).map(|t| t.id).collect();
            let more = ids.len() > limit;
            ids.truncate(limit);
            let mut rows = if ids.is_empty() { Vec::new() } else { many(&app.ops.store, &ids).await? };
            rows.sort_by_key(|t| std::cmp::Reverse(t.id));
            (rows, more)
        }
        None => (Vec::new(), false),
    };
    if asked.json {
        let mut out = as_json(&holds, &limits, &on_hold);
        if choice.is_some() {
            out["tasks"]["chosen"] = tasks::list_json(app, &rows).await?;
        }
        return Ok(frame::json(&out));
    }
    let chosen = match choice {
        Some(choice) => Some(choose(app, asked, choice, &rows, more).await?),
        None => None,
    };
    html(app, asked, &holds, &limits, &on_hold, chosen).await
}

async fn choose(app: &App, asked: &Asked, choice: Choice<'_>, rows: &[TaskRow], more: bool) -> Result<Chosen, Trouble> {
    let last = rows.last().map(|t| t.id.0.to_string());
    let paged = asked.query.get(&["before"]).is_some();
    Ok(Chosen {
        stage: choice.stage.unwrap_or_default().to_owned(),
        reason: choice.reason.unwrap_or_default().to_owned(),
        tasks: tasks::lines(app, rows).await?,
        older: last.filter(|_| more).map(|last| asked.query.link(&asked.path, &[("before", Some(&last))])).unwrap_or_default(),
        newest: if paged { asked.query.link(&asked.path, &[("before", None)]) } else { String::new() },
    })
}

fn states(held: &Held) -> Vec<(panda_core::task::state::TaskState, i64)> {
    let of = |s: &panda_core::task::state::TaskState| (*s, i64::try_from(held.tasks.iter().filter(|t| t.state == *s).count()).unwrap_or(0));
    held::STATES.iter().map(of).filter(|(_, n)| *n > 0).collect()
}

fn as_json(holds: &[Value], limits: &Value, held: &Held) -> Value {
    let group = |g: &Group<'_>| {
        json!({
            "stage": g.stage, "status": g.state.as_str(), "reason": g.reason, "count": g.n, "oldest": crate::show::stamp(g.oldest_us),
            "examples": g.examples.iter().map(|t| t.0).collect::<Vec<_>>(),
        })
    };
    let states = states(held).into_iter().map(|(s, n)| (s.as_str().to_owned(), n.into())).collect::<serde_json::Map<String, Value>>();
    json!({
        "holds": holds, "limits": limits,
        "tasks": {
            "states": states, "looked_at": held.tasks.len(), "complete": !held.more,
            "groups": held.groups().iter().take(ROWS).map(group).collect::<Vec<_>>(),
        },
    })
}

async fn html(app: &App, asked: &Asked, holds: &[Value], limits: &Value, held: &Held, chosen: Option<Chosen>) -> Result<Response, Trouble> {
    let now = app.ops.now().0;
    let rows = |key: &str| limits[key].as_array().map(Vec::as_slice).unwrap_or_default();
    let more_caps = limits["more_caps"].as_u64().and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
    let window = app.ops.settings().await?.int(&FAILURE_WINDOW_S, ANY, ANY).saturating_mul(1_000_000);
    let chip = |(state, n)| Chip { state: Tag::task(state), n: count(n), link: format!("/tasks/?state={state}") };
    let paged = asked.query.get(&["before"]).is_some();
    Ok(frame::html(&Page {
        frame: Frame::new(app, asked, "holds", "Holds", !paged),
        window: span(window),
        holds: Cut::new(holds.iter().map(hold_line).collect(), 0),
        caps: Cut::new(rows("caps").iter().map(cap_line).collect(), more_caps),
        throttles: Cut::new(rows("throttles").iter().map(throttle_line).collect(), 0),
        settings: Cut::new(rows("settings").iter().map(setting_line).collect(), 0),
        states: states(held).into_iter().map(chip).collect(),
        groups: Cut::new(held.groups().iter().map(|g| group_line(g, now)).collect(), 0),
        looked_at: if held.more { count(i64::try_from(held.tasks.len()).unwrap_or(i64::MAX)) } else { String::new() },
        chosen,
    }))
}

fn text(v: &Value) -> String {
    v.as_str().unwrap_or_default().to_owned()
}

fn number(v: &Value) -> i64 {
    v.as_i64().unwrap_or(0)
}

fn hold_line(h: &Value) -> HoldLine {
    let name = text(&h["queue"]);
    let kind = match h["kind"].as_str() {
        Some("drain") => Tag::new("drained", Tone::Hold),
        Some("brake") => Tag::new("braked", Tone::Bad),
        _ => Tag::new("held", Tone::Hold),
    };
    let tries = number(&h["tries"]);
    let failed = if tries > 0 { format!("{tries} failed; ") } else { String::new() };
    let canary = match (h["next"].as_str(), h["job_id"].as_i64()) {
        (None, _) => String::new(),
        (_, Some(job)) => format!("{failed}job/{job} is under way"),
        (Some(_), None) if h["state"] == "trial" => format!("{failed}a pilot is being given one"),
        (Some(next), None) => format!("{failed}the next may go at {next}"),
    };
    HoldLine {
        link: if name.is_empty() { String::new() } else { format!("/queue/{}/", encode(&name)) },
        name: if name.is_empty() { "the whole server".to_owned() } else { name },
        node: text(&h["node"]),
        kind,
        since: text(&h["since"]),
        who: text(&h["who"]),
        reason: Linked(text(&h["reason"])),
        canary: Linked(canary),
        failed: rate(h["finished"].as_i64(), h["failed"].as_i64()),
        frees: Linked(text(&h["frees"])),
    }
}

/// `3 of 12 (25 %)`; nothing when nothing ended.
fn rate(finished: Option<i64>, failed: Option<i64>) -> String {
    match (finished, failed) {
        (Some(good), Some(bad)) if good + bad > 0 => {
            format!("{} of {} ({} %)", count(bad), count(good + bad), bad.saturating_mul(100) / (good + bad))
        }
        (Some(_), Some(_)) => "nothing ended".to_owned(),
        _ => String::new(),
    }
}

/// `3 of 12`, with what waits; nothing when there is no such cap.
fn use_of(cap: &Value, running: &Value, queued: &Value) -> String {
    cap.as_i64().map_or_else(String::new, |cap| format!("{} of {}, {} queued", count(number(running)), count(cap), count(number(queued))))
}

/// Whether jobs are made now, and the sentence when they are not.
fn verdict(reason: &Value) -> (Tag, Linked) {
    let tag = if reason.is_null() { Tag::new("open", Tone::Ok) } else { Tag::new("holds", Tone::Hold) };
    (tag, Linked(text(reason)))
}

fn cap_line(c: &Value) -> CapLine {
    let kind = match c["whose"].as_str() {
        Some("group") => "working group",
        Some("vo") => "VO",
        _ => "user",
    };
    let held = number(&c["held"]);
    let (state, reason) = verdict(&c["reason"]);
    CapLine {
        whose: format!("{kind} {}", text(&c["name"])),
        vo: text(&c["vo"]),
        jobs: use_of(&c["jobs"], &c["running"], &c["queued"]),
        cores: use_of(&c["cores"], &c["running_cores"], &c["queued_cores"]),
        held: if held > 0 { count(held) } else { String::new() },
        state,
        reason,
    }
}

fn throttle_line(t: &Value) -> ThrottleLine {
    let share = text(&t["share"]);
    let named = |key: &str, word: &str| t[key].as_i64().map(|n| format!("{word} {}", count(n)));
    let limits: Vec<String> =
        [named("queue_limit", "queued"), named("running_cap", "running at most"), named("queue_cap", "queued at most")]
            .into_iter()
            .flatten()
            .collect();
    let (state, reason) = verdict(&t["reason"]);
    ThrottleLine {
        link: format!("/shares/?share={}", encode(&share)),
        share,
        kind: text(&t["resource_type"]),
        running: count(number(&t["running"])),
        queued: count(number(&t["queued"])),
        waiting: count(number(&t["defined"]) + number(&t["waiting"])),
        limits: if limits.is_empty() { "as shipped".to_owned() } else { limits.join(", ") },
        state,
        reason,
    }
}

fn setting_line(s: &Value) -> SettingLine {
    let part = |key: &str, word: &str| s[key].as_str().filter(|v| *v != ANY).map(|v| format!("{word} {v}"));
    let scope: Vec<String> = [part("vo", "VO"), part("label", "label")].into_iter().flatten().collect();
    SettingLine {
        name: text(&s["setting"]),
        scope: if scope.is_empty() { "all".to_owned() } else { scope.join(", ") },
        value: text(&s["value"]),
    }
}

fn group_line(g: &Group<'_>, now_us: i64) -> GroupLine {
    let reason: String = pattern(g.reason).chars().take(MAX_PATTERN).collect();
    // The bound of a value in an address counts bytes.
    let reason = &reason[..reason.floor_char_boundary(MAX_PATTERN)];
    GroupLine {
        stage: g.stage.to_owned(),
        state: Tag::task(g.state),
        reason: Linked(g.reason.to_owned()),
        n: count(i64::try_from(g.n).unwrap_or(i64::MAX)),
        link: format!("/holds/?stage={}&reason={}", encode(g.stage), encode(reason)),
        oldest: When::lasts(g.oldest_us, now_us),
        examples: g.examples.iter().map(|t| t.0).collect(),
    }
}
