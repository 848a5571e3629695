//! External effects: mail and webhooks that a batch decided on, and how their delivery fares.

use crate::{Batch, Error, Row, Store, Topic, query::MAX_PAGE, statements};

/// Not delivered yet.
pub const WAITING: &str = "waiting";
/// Delivered at least once.
pub const DONE: &str = "done";
/// Given up.
pub const FAILED: &str = "failed";

/// A row of `effect`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effect {
    /// Row id.
    pub id: i64,
    /// Its own name; the same effect decided twice is one.
    pub key: String,
    /// `mail`, `webhook`.
    pub kind: String,
    /// The task that it is about.
    pub subject: i64,
    /// [`WAITING`], [`DONE`] or [`FAILED`].
    pub state: String,
    /// Attempts so far.
    pub attempts: i64,
    /// Microseconds UTC.
    pub created_us: i64,
    /// When it is tried next, or when it was done or given up, microseconds UTC.
    pub next_us: i64,
    /// When it is given up, microseconds UTC.
    pub until_us: i64,
    /// Why the last attempt failed.
    pub reason: Option<String>,
    /// What is to be delivered, JSON; none when it is done.
    pub doc: Option<String>,
}

statements! {
    insert ADD = "effect.add" => effect (id: Int, effect_key: Text, kind: Text, subject_id: Int, state: Text, attempts: Int, created_us: Int, next_us: Int, until_us: Int, reason: Text, doc: Text), "{skip_dup(effect_key)}";
    [hot] read DUE = "effect.due", "SELECT id, effect_key, kind, subject_id, state, attempts, created_us, next_us, until_us, reason, doc FROM effect WHERE state = 'waiting' AND next_us <= :now ORDER BY next_us, id LIMIT :n";
    [hot] read OF_SUBJECT = "effect.of_subject", "SELECT id, effect_key, kind, subject_id, state, attempts, created_us, next_us, until_us, reason, doc FROM effect WHERE subject_id = :subject ORDER BY id DESC LIMIT 50";
    [hot] read OLD = "effect.old", "SELECT id FROM effect WHERE state = :state AND next_us < :before ORDER BY next_us LIMIT :n";
    [hot] read COUNT = "effect.count", "SELECT kind, COUNT(*), MIN(created_us), MAX(attempts) FROM effect WHERE state = :state GROUP BY kind ORDER BY kind LIMIT 100";
    [hot] read LAST = "effect.last_reason", "SELECT reason FROM effect WHERE state = :state AND kind = :kind AND reason IS NOT NULL ORDER BY next_us DESC LIMIT 1";
    [hot] write SETTLE = "effect.settle", "UPDATE effect SET state = :state, attempts = :attempts, next_us = :next, reason = :reason, doc = :doc WHERE id = :id AND state = 'waiting' AND attempts = :was";
    [hot] write DELETE = "effect.delete", "DELETE FROM effect WHERE id IN (:ids*)";
}

fn read(r: &Row) -> Result<Effect, Error> {
    Ok(Effect {
        id: r.int(0)?,
        key: r.text(1)?.to_owned(),
        kind: r.text(2)?.to_owned(),
        subject: r.int(3)?,
        state: r.text(4)?.to_owned(),
        attempts: r.int(5)?,
        created_us: r.int(6)?,
        next_us: r.int(7)?,
        until_us: r.int(8)?,
        reason: r.opt_text(9)?.map(str::to_owned),
        doc: r.opt_text(10)?.map(str::to_owned),
    })
}

/// Adds an effect to be delivered; the same key twice is one.
pub fn add(batch: &mut Batch, e: &Effect) {
    batch.insert(
        &ADD,
        vec![
            e.id.into(),
            (&e.key).into(),
            (&e.kind).into(),
            e.subject.into(),
            (&e.state).into(),
            e.attempts.into(),
            e.created_us.into(),
            e.next_us.into(),
            e.until_us.into(),
            e.reason.as_deref().into(),
            e.doc.as_deref().into(),
        ],
    );
    batch.wake(Topic::Effects);
}
/// Effects to be tried now, the longest overdue first; at most `n` and 1,000.
pub async fn due(store: &Store, now_us: i64, n: i64) -> Result<Vec<Effect>, Error> {
    store.fetch(&DUE, vec![("now", now_us.into()), ("n", n.min(MAX_PAGE).into())]).await?.iter().map(read).collect()
}
/// The newest 50 effects about a task.
pub async fn of_subject(store: &Store, subject: i64) -> Result<Vec<Effect>, Error> {
    store.fetch(&OF_SUBJECT, vec![("subject", subject.into())]).await?.iter().map(read).collect()
}
/// Writes state, attempts, next time, reason and document of an effect that still waits after `was` attempts.
pub fn settle(batch: &mut Batch, e: &Effect, was: i64) {
    batch.guard(
        &SETTLE,
        vec![
            ("state", (&e.state).into()),
            ("attempts", e.attempts.into()),
            ("next", e.next_us.into()),
            ("reason", e.reason.as_deref().map(crate::query::job::transition::cut_diag).into()),
            ("doc", e.doc.as_deref().into()),
            ("id", e.id.into()),
            ("was", was.into()),
        ],
        1,
    );
}
/// Effects of a kind in one state, with the oldest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Count {
    /// `mail`, `webhook`.
    pub kind: String,
    /// How many.
    pub n: i64,
    /// When the oldest was decided, microseconds UTC.
    pub oldest_us: i64,
    /// The most attempts of one.
    pub attempts: i64,
    /// Why the latest attempt failed.
    pub reason: Option<String>,
}
/// How many effects are in `state`, by kind.
pub async fn counts(store: &Store, state: &str) -> Result<Vec<Count>, Error> {
    let mut counts = Vec::new();
    for r in store.fetch(&COUNT, vec![("state", state.into())]).await? {
        let kind = r.text(0)?.to_owned();
        let last = store.fetch(&LAST, vec![("state", state.into()), ("kind", (&kind).into())]).await?;
        let reason = last.first().map(|r| r.opt_text(0)).transpose()?.flatten().map(str::to_owned);
        counts.push(Count { kind, n: r.int(1)?, oldest_us: r.int(2)?, attempts: r.int(3)?, reason });
    }
    Ok(counts)
}
/// Removes effects that were done or given up before `before_us`, at most 500; the answer is their number.
pub async fn forget(store: &Store, batch: &mut Batch, state: &str, before_us: i64) -> Result<usize, Error> {
    let rows = store.fetch(&OLD, vec![("state", state.into()), ("before", before_us.into()), ("n", 500.into())]).await?;
    let ids: Vec<i64> = rows.iter().map(|r| r.int(0)).collect::<Result<_, _>>()?;
    if !ids.is_empty() {
        batch.exec(&DELETE, vec![("ids", ids.clone().into())]);
    }
    Ok(ids.len())
}
