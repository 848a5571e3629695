//! Tells the nodes of a DAG of the ends that they wait for: those that wait for nobody any more run, or cannot, or need not
//! (`core::policy::dag`). Whoever ends a node leaves its number (`dag_ended`) in the same batch; here it is taken away in the batch that changes its
//! dependants, so that each end is told once. While a DAG is listed nothing is told: its rows are not all there.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use panda_core::{
    file::FileState,
    id::TaskId,
    policy::dag::{Ended, Fate, Kind, fate},
    time::Micros,
};
use panda_ops::{Ops, task::dag::Stored};
use panda_store::{
    Batch, MAX_IN_LIST, Topic,
    query::task::{
        self,
        dag::{self, EndedNode, Node},
        dataset::Delta,
    },
};

use crate::{EngineError, Report, generate::node};

mod anew;

/// Ends told in one batch.
const ENDS: i64 = 400;
/// Dependants told in one batch, as a rule, and when each of them needs a statement or row of its own.
const MOST: [usize; 2] = [20_000, 200];
/// Statements and rows of one batch that change dependants; near its bound of 500.
const CHANGES: usize = 420;

/// One step.
pub(super) async fn step(ops: &Ops, now: Micros) -> Result<Report, EngineError> {
    let mut report = Report::default();
    for (dataset, task, state) in dag::with_ended(&ops.store).await? {
        if matches!(state.as_str(), "defined" | "feeding") {
            continue;
        }
        match one(ops, dataset, task, now).await {
            Ok(r) => report.add(r),
            Err(e) if e.is_conflict() => report.more = true,
            Err(e) => tracing::error!(%task, "telling nodes of a DAG: {e}"),
        }
    }
    Ok(report)
}

async fn one(ops: &Ops, dataset: i64, task: TaskId, now: Micros) -> Result<Report, EngineError> {
    if task::list::get(&ops.store, task).await?.is_none_or(|t| t.state.is_final()) {
        let mut batch = Batch::new();
        dag::forget(&mut batch, dataset);
        ops.store.apply(batch).await?;
        return Ok(Report::default());
    }
    let ends = dag::ended_of(&ops.store, dataset, 0, ENDS).await?;
    match ends.first() {
        None => Ok(Report::default()),
        Some(wish) if wish.seq == 0 => anew::count(ops, dataset, wish).await,
        Some(_) => tell(ops, dataset, &ends, now).await,
    }
}

/// What nodes become, by what they were: waited for, state, who is to blame.
type Settled = BTreeMap<(i64, FileState, Option<i64>), Vec<i64>>;

/// Changes of nodes that wait.
#[derive(Debug, Default)]
struct Changes {
    /// Those that wait on: by how many they waited for and wait for.
    waits: BTreeMap<(i64, i64), Vec<i64>>,
    /// Those that do not.
    settled: Settled,
    /// Numbers of those that ended by this.
    ended: Vec<i64>,
    delta: Delta,
}

impl Changes {
    /// A node that waits for nobody any more.
    fn settle(&mut self, n: &Node, state: FileState, blame: Option<i64>) {
        self.settled.entry((n.n_wait, state, blame)).or_default().push(n.id);
        self.delta.on_hold -= 1;
        if state != FileState::Ready {
            self.ended.push(n.seq);
            self.delta.used += 1;
            self.delta.failed += i64::from(state == FileState::Blocked);
            self.delta.finished += i64::from(state == FileState::Unneeded);
        }
    }
    fn wait(&mut self, n: &Node, waits: i64) {
        if waits != n.n_wait {
            self.waits.entry((n.n_wait, waits)).or_default().push(n.id);
        }
    }
    /// Statements and rows that they come to.
    fn len(&self) -> usize {
        let statements = |ids: &Vec<i64>| ids.len().div_ceil(MAX_IN_LIST);
        self.waits.values().map(statements).sum::<usize>() + self.settled.values().map(statements).sum::<usize>()
    }
    fn write(self, batch: &mut Batch, dataset: i64) {
        for ((was, waits), ids) in &self.waits {
            for ids in ids.chunks(MAX_IN_LIST) {
                dag::wait(batch, ids, *was, *waits);
            }
        }
        for ((was, state, blame), ids) in &self.settled {
            for ids in ids.chunks(MAX_IN_LIST) {
                dag::settle(batch, ids, *was, *state, *blame);
            }
            batch.wake(if *state == FileState::Ready { Topic::Files } else { Topic::Ended });
        }
        task::dataset::count(batch, dataset, self.delta);
    }
}

/// Tells the dependants of these nodes, as many as fit into a batch.
async fn tell(ops: &Ops, dataset: i64, ends: &[EndedNode], now: Micros) -> Result<Report, EngineError> {
    let pages = node::pages(ops, dataset, ends.iter().map(|e| e.seq)).await?;
    for most in MOST {
        let told = Told::of(ends, &pages, most);
        let mut changes = Changes::default();
        if !changes.decide(ops, dataset, &told.by).await? {
            // One that should have ended has not: somebody took it up again and what waits is to be counted anew.
            let mut batch = Batch::new();
            dag::count_anew(&mut batch, dataset, now.0);
            ops.store.apply(batch).await?;
            return Ok(Report { done: 0, more: true });
        }
        if most > CHANGES && changes.len() + changes.ended.len() > CHANGES {
            continue;
        }
        let mut batch = Batch::new();
        dag::told(&mut batch, dataset, &told.wholly);
        if let Some((e, done)) = told.partly {
            dag::told_some(&mut batch, dataset, &e, done);
        }
        let ended = std::mem::take(&mut changes.ended);
        changes.write(&mut batch, dataset);
        for seq in ended {
            dag::ended(&mut batch, dataset, seq);
        }
        ops.store.apply(batch).await?;
        return Ok(Report { done: told.wholly.len().max(1), more: true });
    }
    Ok(Report::default())
}

/// Whose ends are told in a batch, and to whom.
#[derive(Debug, Default)]
struct Told {
    wholly: Vec<i64>,
    partly: Option<(EndedNode, i64)>,
    /// Dependants by number, with how many of their dependencies ended.
    by: BTreeMap<i64, i64>,
}

impl Told {
    fn of(ends: &[EndedNode], pages: &HashMap<i64, Vec<Stored>>, most: usize) -> Self {
        let (mut told, mut room) = (Self::default(), most);
        for e in ends {
            let by = node::of(pages, e.seq).map_or(&[][..], |n| n.by.as_slice());
            let rest = usize::try_from(e.done).ok().and_then(|done| by.get(done..)).unwrap_or_default();
            let now = rest.get(..room).unwrap_or(rest);
            for (child, _) in now {
                *told.by.entry(*child).or_default() += 1;
            }
            room -= now.len();
            if now.len() < rest.len() {
                if !now.is_empty() {
                    told.partly = Some((*e, e.done + i64::try_from(now.len()).unwrap_or(0)));
                }
                break;
            }
            told.wholly.push(e.seq);
        }
        told
    }
}

impl Changes {
    /// What becomes of nodes of which so many dependencies ended; false when one that is not waited for has not ended.
    async fn decide(&mut self, ops: &Ops, dataset: i64, by: &BTreeMap<i64, i64>) -> Result<bool, EngineError> {
        let mut free = Vec::new();
        for n in nodes(ops, dataset, by.keys().copied()).await? {
            // One that waits for none is to be counted anew, which is asked for already.
            if n.state != FileState::Pending || n.n_wait == 0 {
                continue;
            }
            let waits = n.n_wait - by.get(&n.seq).copied().unwrap_or(0);
            if waits > 0 {
                self.wait(&n, waits);
            } else {
                free.push(n);
            }
        }
        let pages = node::pages(ops, dataset, free.iter().map(|n| n.seq)).await?;
        let on = |n: &Node| node::of(&pages, n.seq).map_or(&[][..], |s| s.on.as_slice());
        let asked: BTreeSet<i64> = free.iter().flat_map(|n| on(n).iter().map(|(seq, _)| *seq)).collect();
        let found = nodes(ops, dataset, asked.into_iter()).await?;
        let known: HashMap<i64, (Option<Ended>, i64)> =
            found.iter().map(|n| (n.seq, (Ended::of(n.state), blame(n.seq, n.blame)))).collect();
        for n in &free {
            match settled(on(n), |seq| known.get(&seq).copied()) {
                Some((state, blame)) => self.settle(n, state, blame),
                None => return Ok(false),
            }
        }
        Ok(true)
    }
}

/// Who is to blame for what depends on a node: itself, or who is to blame for it.
fn blame(seq: i64, blame: Option<i64>) -> i64 {
    blame.unwrap_or(seq)
}

/// What a node becomes, and who is to blame; none when one that it depends on has not ended. `of`: how a node ended, and who is to blame for that.
fn settled(on: &[(i64, Kind)], of: impl Fn(i64) -> Option<(Option<Ended>, i64)>) -> Option<(FileState, Option<i64>)> {
    let ends = on.iter().map(|(seq, kind)| Some((*kind, of(*seq)?.0?))).collect::<Option<Vec<_>>>()?;
    Some(match fate(ends) {
        Fate::Runs => (FileState::Ready, None),
        Fate::Unneeded => (FileState::Unneeded, None),
        Fate::Blocked(at) => (FileState::Blocked, on.get(at).and_then(|(seq, _)| of(*seq)).map(|(_, blame)| blame)),
    })
}

async fn nodes(ops: &Ops, dataset: i64, seqs: impl Iterator<Item = i64>) -> Result<Vec<Node>, EngineError> {
    let seqs: Vec<i64> = seqs.collect();
    let mut all = Vec::with_capacity(seqs.len());
    for chunk in seqs.chunks(MAX_IN_LIST) {
        all.extend(dag::nodes(&ops.store, dataset, chunk).await?);
    }
    Ok(all)
}
