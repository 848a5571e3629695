//! What jobs say of their ranges.

use std::collections::{BTreeMap, BTreeSet};

use panda_access::{Principal, Right, table};
use panda_core::{
    id::JobId,
    job::record::JobKind,
    policy::events::{RangeId, RangeState, Said, said},
};
use panda_store::{
    Batch,
    query::{
        archive, job,
        task::events::{self, EventFile, Range},
    },
};
use serde_json::{Map, Value};

use super::TRIES;
use crate::{Ops, OpsError};

/// Longest words on an error, characters: what the column holds.
const MAX_DIAG: usize = 500;
/// Longest name of a file with output, likewise.
const MAX_OUTPUT: usize = 255;
/// Ranges of one batch: a statement each.
const A_BATCH: usize = 400;

/// What a job says of a range.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Change {
    /// Its name.
    pub range: String,
    /// The state that it is in, as the job has it.
    pub word: String,
    /// The file with its output.
    pub output: Option<String>,
    /// The object store where that lies.
    pub store_id: Option<i64>,
    /// What went wrong.
    pub error: Option<i64>,
    /// The same in words.
    pub diag: Option<String>,
}

/// What came of it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Updated {
    /// For each change in order, whether it was taken.
    pub taken: Vec<bool>,
    /// Commands for the jobs, by number; null where there is none.
    pub commands: Map<String, Value>,
}

fn cut(text: Option<&String>, most: usize) -> Option<String> {
    text.map(|t| t.chars().take(most).collect())
}

/// Takes what jobs say. A change that makes no sense, of a range that is another's by now or has ended, is told as not taken; the others count.
pub async fn update(ops: &Ops, who: &Principal, changes: &[Change]) -> Result<Updated, OpsError> {
    table::admit(Right::PilotReport, Some(who))?;
    let mut updated = Updated { taken: vec![false; changes.len()], ..Updated::default() };
    let mut jobs: Vec<JobId> = Vec::new();
    for (n, chunk) in changes.chunks(A_BATCH).enumerate() {
        let taken = together(ops, who, chunk, &mut jobs).await?;
        for (to, taken) in updated.taken.iter_mut().skip(n * A_BATCH).zip(taken) {
            *to = taken;
        }
    }
    jobs.sort_unstable();
    jobs.dedup();
    for chunk in jobs.chunks(panda_store::MAX_IN_LIST) {
        for j in job::list::many(&ops.store, chunk).await? {
            if j.kind == JobKind::Jumbo && updated.taken.iter().any(|t| *t) {
                // What it did may be the last of a file that waits for it.
                let mut batch = Batch::new();
                super::end::look_again(ops, &mut batch, &j).await?;
                ops.store.apply(batch).await?;
            }
            let command = if j.state.is_final() { Some("tobekilled".to_owned()) } else { j.command };
            updated.commands.insert(j.id.0.to_string(), command.into());
        }
    }
    Ok(updated)
}

/// Takes these changes in one batch; `jobs` are those that have the ranges.
async fn together(ops: &Ops, who: &Principal, changes: &[Change], jobs: &mut Vec<JobId>) -> Result<Vec<bool>, OpsError> {
    let ids: Vec<Option<(RangeId, RangeState)>> =
        changes.iter().map(|c| Some((RangeId::parse(&c.range)?, RangeState::parse(&c.word).ok()?))).collect();
    let mut numbers: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
    for (id, _) in ids.iter().flatten() {
        numbers.entry(id.file).or_default().push(id.number);
    }
    let files: Vec<i64> = numbers.keys().copied().collect();
    let most: BTreeMap<i64, EventFile> = events::files(&ops.store, &files).await?.into_iter().map(|f| (f.file_id, f)).collect();
    for _ in 0..TRIES {
        let mut found: BTreeMap<(i64, i64), Range> = BTreeMap::new();
        for (file, numbers) in &numbers {
            found.extend(events::named(&ops.store, *file, numbers).await?.into_iter().map(|r| ((r.file_id, r.number), r)));
        }
        if let Some(vo) = who.worker_vo() {
            let ids: BTreeSet<JobId> = found.values().map(|r| r.job_id).collect();
            let ids: Vec<JobId> = ids.into_iter().collect();
            let own: BTreeSet<JobId> =
                archive::job::many(&ops.store, &ids).await?.into_iter().filter(|j| j.vo == vo).map(|j| j.id).collect();
            found.retain(|_, r| own.contains(&r.job_id));
        }
        jobs.extend(found.values().map(|r| r.job_id));
        let (mut batch, mut taken) = (Batch::new(), Vec::with_capacity(changes.len()));
        for (change, id) in changes.iter().zip(&ids) {
            taken.push(id.is_some_and(|(id, word)| {
                let Some(range) = found.get_mut(&(id.file, id.number)) else { return false };
                let Some(most) = most.get(&id.file) else { return false };
                one(&mut batch, range, &id, word, most.max_attempt, change, ops.now().0)
            }));
        }
        match ops.store.apply(batch).await {
            Ok(()) => return Ok(taken),
            Err(e) if e.is_conflict() => {}
            Err(e) => return Err(e.into()),
        }
    }
    Err(OpsError::refused("the same ranges are changed all the time; say it again"))
}

/// Adds one change; whether it is taken. The range is what it becomes, for a later change of the same list.
fn one(batch: &mut Batch, range: &mut Range, id: &RangeId, word: RangeState, most: i64, change: &Change, now_us: i64) -> bool {
    if super::name(range) != *id {
        return false;
    }
    let (state, attempt) = match said(range.state, word, range.attempt, most) {
        Said::Known => return true,
        Said::Refused => return false,
        Said::Now(state) => (state, range.attempt),
        Said::Again => (RangeState::Ready, range.attempt + 1),
    };
    let kept = state == RangeState::Finished;
    let after = Range {
        state,
        attempt,
        // What names no file is a file of the range's own name.
        output: kept.then(|| cut(change.output.as_ref(), MAX_OUTPUT).unwrap_or_else(|| id.to_string())),
        store_id: change.store_id.filter(|_| kept),
        error: change.error,
        diag: cut(change.diag.as_ref(), MAX_DIAG),
        at_us: now_us,
        ..range.clone()
    };
    events::settle(batch, range, &after);
    *range = after;
    true
}
