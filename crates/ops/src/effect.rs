//! News about tasks: what is to be told is decided here and stored with the change itself; a loop of the engine delivers it
//! (`spec/engine.md` section 5.6, ADR 9).
//!
//! Documents: `{"vo", "label", "from", "to", "subject", "body"}` (mail), `{"vo", "label", "url", "body"}` (webhook; `body` is the text that is
//! posted), `{"vo", "label", "url", "since_us", "after"}` (jobs; what was told last), `{"vo", "label", "plugin", "news"}` (news), `{"vo", "label", "plugin", "name"}` (registration, removal; `name`
//! is the data set with its scope).

use panda_core::{
    id::TaskId,
    machine::Actor,
    setting::{Values, notify, plugin},
    task::{notice, state::TaskState},
};
use panda_store::{
    Batch, IdKind,
    query::{
        effect::{self, DONE, Effect, FAILED, WAITING},
        old,
        task::{self, TaskRow},
    },
};
use serde_json::{Value, json};

use crate::{Ops, OpsError, clock};

/// Kind of a mail to the owner of a task.
pub const MAIL: &str = "mail";
/// Kind of a post to a receiver of the site.
pub const WEBHOOK: &str = "webhook";
/// Kind of news to a notification plug-in.
pub const NEWS: &str = "news";
/// Kind of the registration of an output data set with a data management plug-in.
pub const REGISTER: &str = "data.register";
/// Kind of the removal of an output data set from a data management plug-in.
pub const DELETE: &str = "data.delete";
/// Kind of the posts to a receiver of the site about a task's jobs, and what they tell.
pub const JOB_STATES: &str = "job_states";
/// What a webhook tells.
pub const TASK_STATE: &str = "task_state";

/// Adds what somebody is to be told of a task's change to the batch that makes it. `why`: one sentence for people.
pub async fn task_moved(
    ops: &Ops,
    batch: &mut Batch,
    before: &TaskRow,
    after: &TaskRow,
    actor: Actor,
    now_us: i64,
    why: Option<&str>,
) -> Result<(), OpsError> {
    let settings = ops.settings().await?;
    let text = |s| settings.text(s, &before.vo, &before.label);
    let hook = text(&notify::WEBHOOK_URL);
    let plugin = text(&plugin::NOTIFY);
    let mut posts = !hook.is_empty() && notice::wanted(text(&notify::WEBHOOK_STATES), after.state);
    let mut tells = !plugin.is_empty() && notice::wanted(text(&plugin::NOTIFY_STATES), after.state);
    // PC: all changes, and those of its jobs each time that it begins to work.
    let all = (!hook.is_empty(), !plugin.is_empty());
    let begins = before.state == TaskState::Registered || (before.state.is_final() && !after.state.is_final());
    if (all.0 || all.1) && (begins || (posts, tells) != all) && says(ops, before, "pushStatusChanges").await? {
        (posts, tells) = all;
        if begins && posts {
            let doc = json!({"vo": before.vo, "label": before.label, "url": hook, "since_us": now_us, "after": 0});
            effect::add(batch, &waiting(ops, before, JOB_STATES, JOB_STATES, i64::MAX, &doc, now_us).await?);
        }
    }
    let mails = !text(&notify::MAIL_RELAY).is_empty() && notice::wanted(text(&notify::MAIL_STATES), after.state);
    if !posts && !mails && !tells {
        return Ok(());
    }
    let owner = ops.person_by_id(before.person_id).await?;
    let reason = why.or(after.reason.as_deref()).unwrap_or_default();
    let url = format!("{}/task/{}/", ops.options.monitor_url, before.id);
    let body = json!({
        "event": TASK_STATE, "task_id": before.id.0, "name": before.name, "vo": before.vo, "label": before.label, "owner": owner.name,
        "from": before.state.as_str(), "to": after.state.as_str(), "by": actor.as_str(), "reason": reason, "at": clock::text(now_us), "url": url,
    });
    if tells {
        let doc = json!({"vo": before.vo, "label": before.label, "plugin": plugin, "news": body});
        add(ops, batch, &settings, NEWS, before, &doc, now_us).await?;
    }
    if posts {
        let doc = json!({"vo": before.vo, "label": before.label, "url": hook, "body": body.to_string()});
        add(ops, batch, &settings, WEBHOOK, before, &doc, now_us).await?;
    }
    let address = owner.email.as_deref().filter(|a| !a.is_empty());
    if let (true, Some(to)) = (mails, address)
        && !says(ops, before, "noEmail").await?
    {
        let words = words(ops, before, after, &owner.name, reason, url).await?;
        let doc = json!({
            "vo": before.vo, "label": before.label, "from": text(&notify::MAIL_FROM), "to": to,
            "subject": notice::fill(text(&notify::MAIL_SUBJECT), &words), "body": notice::fill(text(&notify::MAIL_TEXT), &words),
        });
        add(ops, batch, &settings, MAIL, before, &doc, now_us).await?;
    }
    Ok(())
}

/// One effect a kind and change: the key names the task's revision.
async fn add(
    ops: &Ops,
    batch: &mut Batch,
    settings: &Values,
    kind: &str,
    before: &TaskRow,
    doc: &Value,
    now_us: i64,
) -> Result<(), OpsError> {
    let give_up_us = settings.int(&notify::GIVE_UP_S, &before.vo, &before.label).saturating_mul(1_000_000);
    let until_us = now_us.saturating_add(give_up_us);
    let row = waiting(ops, before, kind, kind, until_us, doc, now_us).await?;
    effect::add(batch, &row);
    Ok(())
}

/// An effect of a task's next move, to be done at once; `name` tells it from the others of that move.
async fn waiting(ops: &Ops, t: &TaskRow, kind: &str, name: &str, until_us: i64, doc: &Value, now_us: i64) -> Result<Effect, OpsError> {
    new(ops, t.id, kind, format!("task/{}/{}/{name}", t.id, t.rev + 1), until_us, doc, now_us).await
}

/// An effect to be done at once.
async fn new(ops: &Ops, task: TaskId, kind: &str, key: String, until_us: i64, doc: &Value, now_us: i64) -> Result<Effect, OpsError> {
    Ok(Effect {
        id: ops.store.id(IdKind::Row).await?,
        key,
        kind: kind.to_owned(),
        subject: task.0,
        state: WAITING.to_owned(),
        attempts: 0,
        created_us: now_us,
        next_us: now_us,
        until_us,
        reason: None,
        doc: Some(doc.to_string()),
    })
}

/// Adds the registration of what a task has put into its output data sets (names with scope) to the batch that closes them, where VO and label have a data
/// management plug-in. It is tried until it is done.
pub async fn outputs_closed(ops: &Ops, batch: &mut Batch, t: &TaskRow, names: &[(i64, String)], now_us: i64) -> Result<(), OpsError> {
    let settings = ops.settings().await?;
    let plugin = settings.text(&plugin::DATA, &t.vo, &t.label);
    if plugin.is_empty() {
        return Ok(());
    }
    for (dataset, name) in names {
        let doc = json!({"vo": t.vo, "label": t.label, "plugin": plugin, "name": name});
        let row = waiting(ops, t, REGISTER, &format!("register/{dataset}"), i64::MAX, &doc, now_us).await?;
        effect::add(batch, &row);
    }
    Ok(())
}

/// Adds to the batch that removes what an archived task has put into a data set (name with scope) that its keeper is to delete it as well, where VO and
/// label have a data management plug-in. It is tried until it is done.
pub(crate) async fn outputs_removed(ops: &Ops, batch: &mut Batch, o: &old::Output, name: &str) -> Result<(), OpsError> {
    let settings = ops.settings().await?;
    let plugin = settings.text(&plugin::DATA, &o.vo, &o.label);
    if plugin.is_empty() {
        return Ok(());
    }
    let now_us = ops.now().0;
    let doc = json!({"vo": o.vo, "label": o.label, "plugin": plugin, "name": name});
    let row = new(ops, o.task, DELETE, format!("task/{}/delete/{}", o.task, o.dataset), i64::MAX, &doc, now_us).await?;
    effect::add(batch, &row);
    Ok(())
}

/// Whether a plug-in never gives it up.
#[must_use]
pub fn is_kept_up(kind: &str) -> bool {
    matches!(kind, REGISTER | DELETE)
}

/// Whether a plug-in has to do it.
#[must_use]
pub fn is_plugins(kind: &str) -> bool {
    matches!(kind, NEWS | REGISTER | DELETE)
}

/// Whether the task's parameters say yes to this one.
async fn says(ops: &Ops, t: &TaskRow, parameter: &str) -> Result<bool, OpsError> {
    let params = task::list::params(&ops.store, t.id).await?.unwrap_or_default();
    let params: Value = serde_json::from_str(&params).unwrap_or_default();
    Ok(params.get(parameter).is_some_and(|v| v.as_bool() == Some(true) || v.as_str().is_some_and(|s| s.eq_ignore_ascii_case("true"))))
}

async fn words(
    ops: &Ops,
    before: &TaskRow,
    after: &TaskRow,
    owner: &str,
    reason: &str,
    url: String,
) -> Result<Vec<(&'static str, String)>, OpsError> {
    let datasets = task::dataset::of_task(&ops.store, before.id).await?;
    let sum = |of: fn(&task::dataset::TaskDataset) -> i64| datasets.iter().filter(|d| d.is_master).map(of).sum::<i64>().to_string();
    Ok(vec![
        ("id", before.id.to_string()),
        ("name", before.name.clone()),
        ("state", after.state.to_string()),
        ("from", before.state.to_string()),
        ("reason", reason.to_owned()),
        ("owner", owner.to_owned()),
        ("vo", before.vo.clone()),
        ("label", before.label.clone()),
        ("files", sum(|d| d.n_files)),
        ("finished", sum(|d| d.n_finished)),
        ("failed", sum(|d| d.n_failed)),
        ("url", url),
    ])
}

/// The document of an effect; null when there is none.
#[must_use]
pub fn document(e: &Effect) -> Value {
    e.doc.as_deref().and_then(|d| serde_json::from_str(d).ok()).unwrap_or_default()
}

/// What an effect does, for people.
fn what(e: &Effect) -> String {
    let doc = document(e);
    let text = |key: &str| doc[key].as_str().unwrap_or("?").to_owned();
    match e.kind.as_str() {
        MAIL => "the mail to its owner".to_owned(),
        WEBHOOK => "the news to the webhook".to_owned(),
        JOB_STATES => "the news of its jobs to the webhook".to_owned(),
        NEWS => format!("the news to notify plug-in `{}`", text("plugin")),
        REGISTER => format!("the registration of output data set {} with data plug-in `{}`", text("name"), text("plugin")),
        DELETE => format!("the removal of output data set {} from data plug-in `{}`", text("name"), text("plugin")),
        other => format!("effect {other}"),
    }
}

/// Sentences about deliveries of a task that wait after a failure or were given up, and about outputs that are to be registered elsewhere, for
/// `panda why`.
pub(crate) async fn sentences(ops: &Ops, task: i64) -> Result<Vec<String>, OpsError> {
    let line = |e: &Effect| {
        let reason = e.reason.as_deref().unwrap_or("no reason is known");
        match e.state.as_str() {
            FAILED => Some(format!("{} was given up after {} attempts: {reason}", what(e), e.attempts)),
            WAITING if e.attempts > 0 => {
                Some(format!("{} failed {} times and is tried again at {}: {reason}", what(e), e.attempts, clock::text(e.next_us)))
            }
            WAITING if is_kept_up(&e.kind) => Some(format!("{} is under way", what(e))),
            DONE if is_kept_up(&e.kind) => Some(format!("{} was done at {}", what(e), clock::text(e.next_us))),
            _ => None,
        }
    };
    Ok(effect::of_subject(&ops.store, task).await?.iter().filter_map(line).collect())
}

/// Several effects of a kind, for people.
fn many(kind: &str) -> String {
    match kind {
        NEWS => "news to plug-ins".to_owned(),
        JOB_STATES => "webhooks about jobs".to_owned(),
        REGISTER => "registrations of output data sets".to_owned(),
        DELETE => "removals of output data sets".to_owned(),
        other => format!("{other}s"),
    }
}

/// What people should look at: plug-ins that do not work or are not there, deliveries that keep failing or were given up, a sentence a kind; empty =
/// all is well.
pub async fn health(ops: &Ops) -> Result<Vec<String>, OpsError> {
    let mut lines = ops.plugins.troubles();
    lines.extend(crate::plugin::absent(ops).await?);
    for (state, says) in [(WAITING, "wait to be delivered"), (FAILED, "were given up")] {
        for c in effect::counts(&ops.store, state).await? {
            if state == WAITING && c.attempts == 0 {
                continue; // They are on their way.
            }
            let reason = c.reason.as_deref().unwrap_or("no reason is known");
            lines.push(format!("{} {} {says}, the oldest since {}: {reason}", c.n, many(&c.kind), clock::text(c.oldest_us)));
        }
    }
    Ok(lines)
}
