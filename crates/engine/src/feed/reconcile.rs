//! After an input was listed again: rows of files that were lost or vanished are not waited for, those that came back are.

use std::collections::BTreeSet;

use panda_core::file::FileState;
use panda_store::{
    Batch, Topic,
    query::task::{self, dataset::Delta, file::Name},
};

use super::{
    Feeding,
    known::{self, Known},
};
use crate::EngineError;

/// Rows moved by one batch.
const ROWS: usize = 400;

/// Moves the rows whose file is not what they say; only those that no job has.
pub(super) async fn run(f: &mut Feeding<'_>, dataset: i64, known: &Known, lost: &BTreeSet<String>) -> Result<(), EngineError> {
    let mut after = 0;
    loop {
        let page = task::file::names(&f.ops.store, dataset, after, 10_000).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = last.seq;
        let moves: Vec<(&Name, FileState)> = page.iter().filter_map(|n| Some((n, becomes(n, known, lost)?))).collect();
        for chunk in moves.chunks(ROWS) {
            write(f, dataset, chunk).await?;
        }
    }
}

fn becomes(n: &Name, known: &Known, lost: &BTreeSet<String>) -> Option<FileState> {
    let state = if lost.contains(&n.lfn) {
        FileState::Lost
    } else if known.was_met(known::key(&n.lfn)) {
        FileState::Ready
    } else {
        FileState::Missing
    };
    let free = matches!(n.state, FileState::Ready | FileState::Lost | FileState::Missing);
    (free && n.state != state).then_some(state)
}

async fn write(f: &mut Feeding<'_>, dataset: i64, moves: &[(&Name, FileState)]) -> Result<(), EngineError> {
    let mut batch = Batch::new();
    let mut missing = 0;
    let states = [FileState::Ready, FileState::Lost, FileState::Missing];
    for from in states {
        for to in states {
            let ids: Vec<i64> = moves.iter().filter(|(n, state)| n.state == from && *state == to).map(|(n, _)| n.id).collect();
            let n = i64::try_from(ids.len()).unwrap_or(0);
            missing += n * (i64::from(from == FileState::Ready) - i64::from(to == FileState::Ready));
            task::file::move_all(&mut batch, &ids, from, to);
        }
    }
    task::dataset::count(&mut batch, dataset, Delta { missing, ..Delta::default() });
    batch.wake(Topic::Files);
    batch.wake(Topic::Ended);
    match f.ops.store.apply(batch).await {
        // A job has taken one of them meanwhile; the next listing sees to the others.
        Err(e) if e.is_conflict() => Ok(()),
        other => Ok(other?),
    }
}
