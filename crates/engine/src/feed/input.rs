//! Lists one input: pages of files become rows, each page one batch that also writes how far the input is listed.

use std::collections::BTreeMap;

use panda_core::{machine::Actor, policy::feed::Feed, task::state::TaskState};
use panda_ops::Ops;
use panda_store::{
    Batch, IdKind, Topic,
    query::{
        dataset::input as catalogue,
        decision,
        task::{self, TaskRow, dataset::TaskDataset, file::TaskFile},
    },
};
use parking_lot::Mutex;

use super::{
    Feeding, INPUT_STAGE, Listed, begin, came, dag, fresh, listed_state,
    listing::{Listing, ROWS, Rows},
    reconcile,
    source::Source,
};
use crate::EngineError;

/// Batches of one call: other tasks get their turn in between.
const BATCHES_A_CALL: usize = 20;
/// Listings kept between calls; each may hold the names of a large data set.
const MAX_HELD: usize = 4;
/// Times that a batch is written again when somebody else changed the task meanwhile.
const MAX_CONFLICTS: usize = 20;

/// Listings kept between calls of one process; they may vanish at any time.
#[derive(Debug, Default)]
struct Held(Mutex<BTreeMap<i64, (Listing, Source)>>);

/// Forgets every listing under way: they are begun anew from what is stored.
pub fn forget(ops: &Ops) {
    ops.live.of::<Held>().0.lock().clear();
}

/// Lists an input, or the next part of it.
pub(super) async fn list(f: &mut Feeding<'_>, d: &TaskDataset) -> Result<Listed, EngineError> {
    let ops = f.ops;
    let listings = ops.live.of::<Held>();
    let held = listings.0.lock().remove(&d.id).filter(|(l, _)| l.fits(d, f.t.doc_rev));
    let (mut listing, mut source) = match held {
        Some(held) => held,
        None => match begin::begin(f, d).await? {
            Ok(begun) => begun,
            Err(listed) => return Ok(listed),
        },
    };
    let mut ended = false;
    if listing.hand.is_empty() {
        let page = source.page(ops).await?;
        ended = page.is_empty();
        listing.hand.extend(page);
    }
    for _ in 0..BATCHES_A_CALL {
        let mut rows = Rows::default();
        loop {
            if let Err(reason) = listing.take(f.plan(), d, &mut rows) {
                return Ok(Listed::Broken(reason));
            }
            // A few rows wait for those of the next page: a small input is one batch.
            if rows.files.len() > ROWS / 2 || listing.is_over(ended) {
                break;
            }
            let page = source.page(ops).await?;
            ended = page.is_empty();
            listing.hand.extend(page);
        }
        let over = listing.is_over(ended);
        let reads = !over && listing.hand.is_empty();
        // The next page is read while this one is written.
        let (written, page) =
            futures::join!(write(f, &mut listing, rows, over), async { if reads { source.page(ops).await.map(Some) } else { Ok(None) } });
        if !written? {
            return Ok(Listed::Gone);
        }
        if over {
            let empty = listing.row.n_files == 0 && !listing.open;
            if let Some(known) = listing.known.as_ref().filter(|_| listing.again) {
                reconcile::run(f, d.id, known, &listing.lost).await?;
            }
            return Ok(Listed::Whole { empty });
        }
        if let Some(page) = page? {
            ended = page.is_empty();
            listing.hand.extend(page);
        }
        if listing.row.n_files > listing.most_rows {
            return Ok(Listed::Broken(format!(
                "{} has more than {} files or parts of files; use filters, larger parts or several tasks (setting feed.max_rows)",
                d.name, listing.most_rows
            )));
        }
    }
    let mut all = listings.0.lock();
    if all.len() >= MAX_HELD {
        all.clear();
    }
    all.insert(d.id, (listing, source));
    Ok(Listed::More)
}

/// Writes rows with how far the input is listed; false when the task has moved on to where nothing is listed.
async fn write(f: &mut Feeding<'_>, listing: &mut Listing, rows: Rows, over: bool) -> Result<bool, EngineError> {
    let n = rows.files.len();
    let ids = f.ops.store.ids(IdKind::Row, n).await?;
    let before = listing.row.clone();
    let (now, period) = (f.now.0, f.period_us().await?);
    let mut after = TaskDataset {
        state: if over { "ready" } else { "feeding" }.to_owned(),
        is_open: listing.open,
        feed: Some(listing.feed.text()),
        look_us: match (over, listing.open) {
            (false, _) => Some(0),
            (true, true) => Some(now + period),
            (true, false) => None,
        },
        checked_us: Some(now),
        ..before.clone()
    };
    listing.put_cursor(&mut after, over);
    let came = came(n, &rows);
    let files: Vec<TaskFile> = rows.files.into_iter().zip(ids).map(|(row, id)| TaskFile { id, ..row }).collect();
    let listed = TaskDataset {
        n_files: before.n_files + i64::try_from(n).unwrap_or(0),
        n_events: before.n_events + came.events,
        n_missing: before.n_missing + came.missing,
        n_on_hold: before.n_on_hold + came.on_hold,
        ..after.clone()
    };
    let begun = f.begun.take();
    let sets = begun.as_ref().map(|b| b.sets.clone());
    let mut begun = begun.map(|b| b.batch(Some(&listed)));
    for _ in 0..MAX_CONFLICTS {
        let mut batch = Batch::new();
        for file in &files {
            task::file::add(&mut batch, file);
        }
        if let Some(dag) = &listing.dag {
            dag::pages(&mut batch, dag, &before, n);
        }
        batch.append(begun.take().unwrap_or_default());
        if over {
            watches(f, &mut batch, listing);
        }
        if sets.is_none() {
            task::dataset::progress(&mut batch, &before, &after, came, now);
        }
        let moved = enter(f, &mut batch, &before, n, over).await?;
        batch.relax();
        match f.ops.store.apply(batch).await {
            Ok(()) => {
                f.t = moved.unwrap_or_else(|| f.t.clone());
                if let Some(sets) = sets.filter(|_| over && f.t.state == TaskState::Ready) {
                    fresh::put(f, sets, &listed, files);
                }
                listing.row = listed;
                return Ok(true);
            }
            // A task that is begun twice.
            Err(e) if sets.is_some() => return Err(e.into()),
            Err(e) if e.is_conflict() => {
                // Either the task was moved on, or another process has listed it further.
                if !f.reread().await? {
                    return Ok(false);
                }
                let all = task::dataset::of_task(&f.ops.store, f.t.id).await?;
                let same = all.iter().any(|d| d.id == before.id && d.n_files == before.n_files && d.part_after == before.part_after);
                if !same {
                    return Err(e.into());
                }
            }
            Err(e) => return Err(e.into()),
        }
    }
    Err(EngineError::Internal(format!("task {} is changed all the time", f.t.id)))
}

/// The task moves on with the first rows of its master; otherwise the batch is guarded by its revision.
async fn enter(f: &Feeding<'_>, batch: &mut Batch, d: &TaskDataset, rows: usize, over: bool) -> Result<Option<TaskRow>, EngineError> {
    if d.is_master && rows > 0 {
        batch.wake(Topic::Files);
    }
    if d.is_master && over {
        batch.wake(Topic::Ended);
        // Nodes that ended meanwhile could not tell those that were not there.
        batch.wake(Topic::Nodes);
    }
    let waits = f.t.state == TaskState::Pending && f.t.prev_state == Some(TaskState::Defined);
    let mut t = f.t.clone();
    if d.is_master && rows > 0 && (waits || t.state == TaskState::Defined) {
        if waits {
            decision::delete(batch, t.id.0, INPUT_STAGE);
            let after = TaskRow { state: TaskState::Defined, prev_state: None, reason: None, ..t.clone() };
            f.ops.move_task(batch, &t, &after, Actor::Engine, f.now.0, Some("its input is there")).await?;
            t = TaskRow { rev: t.rev + 1, ..after };
        }
        let after = TaskRow { state: listed_state(f).await?, reason: None, prev_state: None, ..t.clone() };
        f.ops.move_task(batch, &t, &after, Actor::Engine, f.now.0, None).await?;
        return Ok(Some(TaskRow { rev: t.rev + 1, ..after }));
    }
    task::transition::guard(batch, &t, f.now.0);
    Ok(None)
}

/// An input that may grow watches its data sets; one that may not, none.
fn watches(f: &Feeding<'_>, batch: &mut Batch, listing: &Listing) {
    let id = listing.row.id;
    if listing.open {
        for name in &listing.names {
            catalogue::watch(batch, &f.t.vo, name, id);
        }
    } else if listing.row.is_open || listing.again {
        catalogue::end_watch(batch, id);
    }
}

/// Where the listing of an input stood when it was written last.
pub(super) fn stored(d: &TaskDataset) -> Feed {
    d.feed.as_deref().and_then(Feed::parse).unwrap_or_default()
}
