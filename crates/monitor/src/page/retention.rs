//! `/retention/`: what is kept and until when, what the next sweep removes, sizes of tables and disks, and the settings behind it.

use std::sync::Arc;

use askama::Template;
use axum::{extract::State, response::Response};
use panda_core::setting::ANY;
use panda_ops::retention::overview;
use panda_store::query::MAX_PAGE;
use serde_json::Value;

use super::finish;
use crate::{
    app::{App, Asked},
    frame::{self, Frame},
    show::{Bar, Tone, bytes, count},
    trouble::Trouble,
};

/// Below this part of its size a disk is nearly full, percent.
const NEARLY_FULL: i64 = 10;

struct KeptLine {
    what: String,
    vo: String,
    n: String,
    size: String,
    oldest: String,
    days: String,
    from: String,
    next: String,
    setting: String,
}

struct DueLine {
    what: String,
    vo: String,
    n: String,
    size: String,
    oldest: String,
    examples: Vec<String>,
}

struct RowsLine {
    table: String,
    active: String,
    archived: String,
}

struct ArchiveLine {
    vo: String,
    kind: String,
    rows: String,
    size: String,
}

struct DiskLine {
    what: String,
    path: String,
    /// None when it did not answer.
    bar: Option<Bar>,
    free: String,
    size: String,
    low: bool,
}

struct SettingLine {
    name: String,
    about: String,
    shipped: String,
    given: Vec<String>,
}

#[derive(Template)]
#[template(path = "retention.html")]
struct Page {
    frame: Frame,
    at: String,
    kept: Vec<KeptLine>,
    more_kept: String,
    due: Vec<DueLine>,
    rows: Vec<RowsLine>,
    archive: Vec<ArchiveLine>,
    more_archive: String,
    disks: Vec<DiskLine>,
    more_disks: String,
    settings: Vec<SettingLine>,
}

/// The page.
pub(crate) async fn page(State(app): State<Arc<App>>, asked: Asked) -> Response {
    let page = load(&app, &asked).await;
    finish(&app, &asked, page)
}

async fn load(app: &App, asked: &Asked) -> Result<Response, Trouble> {
    let all = overview::show(&app.ops, &app.reader).await?;
    if asked.json {
        return Ok(frame::json(&all));
    }
    let rows = |key: &str| all[key].as_array().map(Vec::as_slice).unwrap_or_default();
    let most = usize::try_from(MAX_PAGE).unwrap_or(usize::MAX);
    let beyond = |n: usize| if n > 0 { count(i64::try_from(n).unwrap_or(i64::MAX)) } else { String::new() };
    let more = |key: &str| beyond(rows(key).len().saturating_sub(most));
    Ok(frame::html(&Page {
        frame: Frame::new(app, asked, "retention", "Retention", false),
        at: text(&all["at"]),
        kept: rows("kept").iter().take(most).map(kept_line).collect(),
        more_kept: more("kept"),
        due: rows("due").iter().take(most).map(due_line).collect(),
        rows: rows("rows").iter().map(rows_line).collect(),
        archive: rows("archive").iter().take(most).map(archive_line).collect(),
        more_archive: more("archive"),
        disks: rows("disks").iter().map(disk_line).collect(),
        more_disks: beyond(all["more_disks"].as_u64().and_then(|n| usize::try_from(n).ok()).unwrap_or(0)),
        settings: rows("settings").iter().map(setting_line).collect(),
    }))
}

fn text(v: &Value) -> String {
    v.as_str().unwrap_or_default().to_owned()
}

fn number(v: &Value) -> String {
    v.as_i64().map_or_else(String::new, count)
}

/// A size; nothing where none is known.
fn size(v: &Value) -> String {
    v.as_i64().filter(|n| *n > 0).map(bytes).unwrap_or_default()
}

fn days(n: i64) -> String {
    match n {
        0 => "for ever".to_owned(),
        1 => "1 day".to_owned(),
        n => format!("{} days", count(n)),
    }
}

fn kept_line(k: &Value) -> KeptLine {
    KeptLine {
        what: text(&k["class"]),
        vo: text(&k["vo"]),
        n: number(&k["rows"]),
        size: size(&k["bytes"]),
        oldest: text(&k["oldest"]),
        days: days(k["keep_days"].as_i64().unwrap_or(0)),
        from: text(&k["counts_from"]),
        next: text(&k["next"]),
        setting: text(&k["setting"]),
    }
}

fn due_line(d: &Value) -> DueLine {
    DueLine {
        what: text(&d["class"]),
        vo: text(&d["vo"]),
        n: number(&d["n"]),
        size: size(&d["bytes"]),
        oldest: text(&d["oldest"]),
        examples: d["examples"].as_array().into_iter().flatten().map(text).collect(),
    }
}

fn rows_line(r: &Value) -> RowsLine {
    RowsLine { table: text(&r["table"]), active: number(&r["active"]), archived: number(&r["archived"]) }
}

fn archive_line(a: &Value) -> ArchiveLine {
    ArchiveLine { vo: text(&a["vo"]), kind: text(&a["kind"]), rows: number(&a["rows"]), size: size(&a["bytes"]) }
}

fn disk_line(d: &Value) -> DiskLine {
    let sizes = d["bytes"].as_i64().zip(d["free"].as_i64());
    let low = sizes.is_some_and(|(all, free)| free < all / 100 * NEARLY_FULL);
    DiskLine {
        what: text(&d["what"]),
        path: text(&d["path"]),
        // In MB, which the bar's own words then count.
        bar: sizes.map(|(all, free)| {
            let tone = if low { Tone::Bad } else { Tone::Run };
            Bar::new(vec![(tone, "MB used", (all - free) / 1_000_000)], all / 1_000_000)
        }),
        free: sizes.map(|s| bytes(s.1)).unwrap_or_default(),
        size: sizes.map(|s| bytes(s.0)).unwrap_or_default(),
        low,
    }
}

fn setting_line(s: &Value) -> SettingLine {
    let given = |g: &Value| {
        let part = |key: &str, word: &str| g[key].as_str().filter(|v| *v != ANY).map(|v| format!("{word} {v}"));
        let whom: Vec<String> = [part("vo", "VO"), part("label", "label")].into_iter().flatten().collect();
        let whom = if whom.is_empty() { "all".to_owned() } else { whom.join(", ") };
        format!("{whom}: {}", text(&g["days"]))
    };
    SettingLine {
        name: text(&s["setting"]),
        about: text(&s["about"]),
        shipped: text(&s["default"]),
        given: s["given"].as_array().into_iter().flatten().map(given).collect(),
    }
}
