//! Commits of many callers in one: relaxed batches that come while others are under way are applied together, rows of one table by one statement. A
//! caller that is alone waits for nobody.

use std::{collections::VecDeque, sync::Arc};

use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::Inner;
use crate::{
    batch::{Batch, Binds, Expect, Op},
    error::Error,
    stmt::Stmt,
    value::Value,
};

/// Transactions under way at the same time: while one waits for the server, another is prepared.
const AT_ONCE: usize = 2;
/// Most rows and statements of one transaction.
const ROWS: usize = 4_000;

/// One statement of a transaction.
#[derive(Debug)]
pub(super) enum Unit<'a> {
    /// With named binds.
    Exec { stmt: &'static Stmt, binds: &'a Binds, expect: Expect },
    /// Rows of one or many batches.
    Insert { stmt: &'static Stmt, rows: Vec<&'a [Value]> },
}

impl Unit<'_> {
    pub(super) fn stmt(&self) -> &'static Stmt {
        match self {
            Self::Exec { stmt, .. } | Self::Insert { stmt, .. } => stmt,
        }
    }
}

/// The statements of batches that are applied together: first the rows that each begins with, by table, then the rest of each in its order; what each
/// ends with on rows that all batches of a task write comes last, so that transactions at the same time wait for one another only while they commit.
pub(super) fn units<'a>(batches: &[&'a Batch]) -> Vec<Unit<'a>> {
    let mut out: Vec<Unit<'a>> = Vec::new();
    let (mut rest, mut ends) = (Vec::new(), Vec::new());
    for batch in batches {
        let first = batch.ops.iter().take_while(|op| matches!(op, Op::Insert { .. })).count();
        for op in &batch.ops[..first] {
            let Op::Insert { stmt, rows: more } = op else { continue };
            let same = out.iter_mut().find_map(|u| match u {
                Unit::Insert { stmt: s, rows } if std::ptr::eq(*s, *stmt) => Some(rows),
                _ => None,
            });
            match same {
                Some(rows) => rows.extend(more.iter().map(Vec::as_slice)),
                None => out.push(unit(op)),
            }
        }
        let last = batch.ops.iter().rposition(|op| !is_shared(op)).map_or(first, |at| first.max(at + 1));
        rest.extend(batch.ops[first..last].iter().map(unit));
        ends.extend(batch.ops[last..].iter().map(unit));
    }
    out.extend(rest);
    out.extend(ends);
    out
}

/// Whether a statement writes the row of a task, or of one of its data sets.
fn is_shared(op: &Op) -> bool {
    let name = op.stmt().name;
    matches!(op, Op::Exec { .. }) && (name.starts_with("task.") || name.starts_with("task_dataset."))
}

fn unit(op: &Op) -> Unit<'_> {
    match op {
        Op::Exec { stmt, binds, expect } => Unit::Exec { stmt, binds, expect: *expect },
        Op::Insert { stmt, rows } => Unit::Insert { stmt, rows: rows.iter().map(Vec::as_slice).collect() },
    }
}

type Answer = oneshot::Sender<Result<(), Error>>;

/// Batches that wait, and how many transactions are under way.
#[derive(Debug, Default)]
struct Waiting {
    batches: VecDeque<(Arc<Batch>, Answer)>,
    running: usize,
}

/// The callers of one process.
#[derive(Debug, Default, Clone)]
pub(super) struct Group(Arc<Mutex<Waiting>>);

impl Group {
    /// Applies a batch, perhaps together with others.
    pub(super) async fn apply(&self, inner: &Arc<Inner>, batch: &Arc<Batch>) -> Result<(), Error> {
        let (answer, answered) = oneshot::channel();
        let starts = {
            let mut waiting = self.0.lock();
            waiting.batches.push_back((Arc::clone(batch), answer));
            let starts = waiting.running < AT_ONCE;
            waiting.running += usize::from(starts);
            starts
        };
        if starts {
            // Its own task: a caller that goes away must not leave a connection inside a transaction.
            tokio::spawn(self.clone().run(Arc::clone(inner)));
        }
        answered.await.map_err(|_| Error::Closed)?
    }
    /// Applies what waits until nothing does.
    async fn run(self, inner: Arc<Inner>) {
        let mut running = Running { group: &self, counted: true };
        while let Some(taken) = running.next() {
            apply(&inner, taken).await;
        }
    }
}

/// A transaction under way; not counted any more when it ends, however that comes.
struct Running<'a> {
    group: &'a Group,
    counted: bool,
}

impl Running<'_> {
    /// What is applied next; in the moment in which nothing waits this one is not counted any more.
    fn next(&mut self) -> Option<Vec<(Arc<Batch>, Answer)>> {
        let mut waiting = self.group.0.lock();
        let taken = take(&mut waiting.batches);
        if taken.is_empty() {
            waiting.running -= 1;
            self.counted = false;
            return None;
        }
        Some(taken)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if self.counted {
            self.group.0.lock().running -= 1;
        }
    }
}

/// As many as one transaction holds, at least one.
fn take(waiting: &mut VecDeque<(Arc<Batch>, Answer)>) -> Vec<(Arc<Batch>, Answer)> {
    let (mut n, mut rows) = (0, 0);
    while let Some((batch, _)) = waiting.get(n) {
        rows += batch.len();
        if n > 0 && rows > ROWS {
            break;
        }
        n += 1;
    }
    waiting.drain(..n).collect()
}

/// Together when that works, else each by itself, so that nobody fails for another's conflict.
async fn apply(inner: &Inner, taken: Vec<(Arc<Batch>, Answer)>) {
    if let [_, _, ..] = &taken[..] {
        let batches: Vec<&Batch> = taken.iter().map(|(batch, _)| &**batch).collect();
        let together = inner.apply_once(&units(&batches), true).await;
        match together {
            Ok(()) => {
                for (_, answer) in taken {
                    let _ = answer.send(Ok(()));
                }
                return;
            }
            // Nobody knows whether it took effect: that is what each is told.
            Err(Error::Backend { statement: "COMMIT", message, retryable: false }) => {
                for (_, answer) in taken {
                    let _ = answer.send(Err(Error::backend("COMMIT", &message)));
                }
                return;
            }
            Err(e) => tracing::debug!(n = taken.len(), "batches are applied one by one: {e}"),
        }
    }
    for (batch, answer) in taken {
        let _ = answer.send(inner.apply_alone(&batch).await);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::query::task::dataset;

    fn batch(id: i64) -> Batch {
        let set = |id| dataset::TaskDataset {
            id,
            ..dataset::TaskDataset::new(panda_core::id::TaskId(id), panda_core::file::FileRole::Input, "d", "IN")
        };
        let mut b = Batch::new();
        dataset::add(&mut b, &set(id));
        dataset::look(&mut b, id, None);
        dataset::add(&mut b, &set(id + 100));
        dataset::count(&mut b, id, dataset::Delta { files: 1, ..dataset::Delta::default() });
        b
    }

    #[test]
    fn rows_that_batches_begin_with_are_one_statement() {
        let (a, b) = (batch(1), batch(2));
        let all = units(&[&a, &b]);
        let shown: Vec<(&str, usize)> = all
            .iter()
            .map(|u| match u {
                Unit::Insert { stmt, rows } => (stmt.name, rows.len()),
                Unit::Exec { stmt, .. } => (stmt.name, 0),
            })
            .collect();
        // Rows behind another statement stay behind it; what is done to rows that others write as well comes last.
        let each = [("task_dataset.look", 0), ("task_dataset.add", 1)];
        let last = ("task_dataset.count", 0);
        assert_eq!(shown, [[("task_dataset.add", 2)].as_slice(), &each, &each, &[last, last]].concat());
        assert_eq!(units(&[&a]).len(), a.ops.len());
    }

    #[test]
    fn a_transaction_takes_what_it_can_hold() {
        let one = Arc::new(batch(1));
        let mut waiting: VecDeque<_> = (0..ROWS).map(|_| (Arc::clone(&one), oneshot::channel().0)).collect();
        assert_eq!(take(&mut waiting).len(), ROWS / one.len());
        waiting.truncate(1);
        assert_eq!((take(&mut waiting).len(), take(&mut waiting).len()), (1, 0));
    }
}
