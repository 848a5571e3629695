//! A DAG of jobs: what a dependency asks of the node that it points to, what becomes of a node when all those have ended, and the order in which
//! nodes can be numbered so that each comes behind what it depends on.
//!
//! It must not know names or rows of the database. The types of dependencies are those that batch systems have (Slurm's `afterok`, `afterany`, `afternotok`).

use crate::{file::FileState, words::word_enum};

word_enum! {
    /// What a dependency asks of the node that it points to.
    Kind, "kind of dependency" {
        /// It ended well.
        Success = "success",
        /// It ended, well or badly.
        End = "end",
        /// It ended badly.
        Failure = "failure",
    }
}

impl Kind {
    /// As it is stored.
    #[must_use]
    pub const fn code(self) -> i64 {
        match self {
            Self::Success => 0,
            Self::End => 1,
            Self::Failure => 2,
        }
    }
    /// Reads [`Self::code`].
    #[must_use]
    pub fn of_code(code: i64) -> Option<Self> {
        Self::ALL.iter().copied().find(|k| k.code() == code)
    }
}

/// How a node ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Its job ended well.
    Well,
    /// Its job failed for good, or was killed.
    Badly,
    /// It could not run.
    Blocked,
    /// It was not needed.
    Unneeded,
}

impl Ended {
    /// How a node in this state ended, if it did.
    #[must_use]
    pub const fn of(state: FileState) -> Option<Self> {
        Some(match state {
            FileState::Finished => Self::Well,
            FileState::Failed | FileState::Cancelled | FileState::Skipped | FileState::Notmerged => Self::Badly,
            FileState::Blocked => Self::Blocked,
            FileState::Unneeded => Self::Unneeded,
            _ => return None,
        })
    }
}

/// What becomes of a node when all that it depends on have ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It runs.
    Runs,
    /// It cannot run; which of its dependencies is to blame, counted from 0: the first.
    Blocked(usize),
    /// It need not run.
    Unneeded,
}

/// What one dependency comes to.
const fn one(kind: Kind, ended: Ended) -> Fate {
    match (kind, ended) {
        (Kind::End, _) | (Kind::Success, Ended::Well) | (Kind::Failure, Ended::Badly | Ended::Blocked) => Fate::Runs,
        (Kind::Success, Ended::Badly | Ended::Blocked) => Fate::Blocked(0),
        (Kind::Failure, Ended::Well) | (_, Ended::Unneeded) => Fate::Unneeded,
    }
}

/// What becomes of a node with these dependencies, all of which have ended. The answer does not depend on who ended first.
#[must_use]
pub fn fate(dependencies: impl IntoIterator<Item = (Kind, Ended)>) -> Fate {
    let mut fate = Fate::Runs;
    for (at, (kind, ended)) in dependencies.into_iter().enumerate() {
        match one(kind, ended) {
            Fate::Blocked(_) => return Fate::Blocked(at),
            Fate::Unneeded => fate = Fate::Unneeded,
            Fate::Runs => {}
        }
    }
    fate
}

/// Nodes that depend on themselves, each on the next and the last on the first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cycle(pub Vec<u32>);

/// Numbers nodes so that each comes behind all that it depends on; `on(n)`: what node `n` of `nodes` depends on, each number below `nodes`. Those without
/// dependencies come first, in the order given; so it goes on level by level.
///
/// # Errors
/// One of the cycles that there are.
pub fn order<'a>(nodes: u32, on: impl Fn(u32) -> &'a [(u32, Kind)]) -> Result<Vec<u32>, Cycle> {
    // Those that depend on a node, as one list: where each node's part begins, and the list.
    let at = |n: u32| n as usize;
    let mut begins = vec![0u32; at(nodes) + 1];
    let mut open = vec![0u32; at(nodes)];
    for n in 0..nodes {
        for (parent, _) in on(n) {
            begins[at(*parent) + 1] += 1;
            open[at(n)] += 1;
        }
    }
    for n in 0..at(nodes) {
        begins[n + 1] += begins[n];
    }
    let mut filled = begins.clone();
    let mut children = vec![0u32; begins.last().map_or(0, |n| at(*n))];
    for n in 0..nodes {
        for (parent, _) in on(n) {
            children[at(filled[at(*parent)])] = n;
            filled[at(*parent)] += 1;
        }
    }
    let mut sorted: Vec<u32> = (0..nodes).filter(|n| open[at(*n)] == 0).collect();
    let mut next = 0;
    while let Some(node) = sorted.get(next).copied() {
        next += 1;
        for child in &children[at(begins[at(node)])..at(begins[at(node) + 1])] {
            open[at(*child)] -= 1;
            if open[at(*child)] == 0 {
                sorted.push(*child);
            }
        }
    }
    if sorted.len() == at(nodes) { Ok(sorted) } else { Err(cycle(&open, on)) }
}

/// A cycle among the nodes that are left: each of them depends on one that is left.
fn cycle<'a>(open: &[u32], on: impl Fn(u32) -> &'a [(u32, Kind)]) -> Cycle {
    let left = |n: u32| open.get(n as usize).is_some_and(|n| *n > 0);
    let mut place = vec![0usize; open.len()];
    let mut walked: Vec<u32> = Vec::new();
    let mut node = (0..u32::try_from(open.len()).unwrap_or(u32::MAX)).find(|n| left(*n));
    while let Some(n) = node {
        let seen = &mut place[n as usize];
        if *seen > 0 {
            return Cycle(walked.split_off(*seen - 1));
        }
        walked.push(n);
        *seen = walked.len();
        node = on(n).iter().map(|(parent, _)| *parent).find(|p| left(*p));
    }
    Cycle(walked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dependency_asks_what_its_kind_says() {
        use Ended::{Badly, Blocked, Unneeded, Well};
        let runs = |kind| [Well, Badly, Blocked, Unneeded].map(|e| fate([(kind, e)]));
        assert_eq!(runs(Kind::Success), [Fate::Runs, Fate::Blocked(0), Fate::Blocked(0), Fate::Unneeded]);
        assert_eq!(runs(Kind::End), [Fate::Runs; 4], "it has ended, however it did");
        assert_eq!(runs(Kind::Failure), [Fate::Unneeded, Fate::Runs, Fate::Runs, Fate::Unneeded]);
        assert_eq!(fate([]), Fate::Runs);
        // Who cannot run is told before who need not; whom to blame does not depend on the rest.
        assert_eq!(fate([(Kind::Failure, Well), (Kind::End, Badly), (Kind::Success, Badly)]), Fate::Blocked(2));
        assert_eq!(fate([(Kind::Failure, Well), (Kind::Success, Well)]), Fate::Unneeded);
        for kind in Kind::ALL {
            assert_eq!(Kind::of_code(kind.code()), Some(*kind));
        }
    }

    #[test]
    fn nodes_come_behind_what_they_depend_on() {
        let s = Kind::Success;
        // 0 → 2 → 3, 1 → 3; 4 stands alone.
        let on: Vec<Vec<(u32, Kind)>> = vec![vec![], vec![], vec![(0, s)], vec![(2, s), (1, s)], vec![]];
        assert_eq!(order(5, |n| &on[n as usize]), Ok(vec![0, 1, 4, 2, 3]));
        assert_eq!(order(0, |_| &[]), Ok(vec![]));
    }

    #[test]
    fn a_cycle_is_told() {
        let s = Kind::Success;
        // 0 → 1 → 2 → 3 → 1, and 4 behind it.
        let on: Vec<Vec<(u32, Kind)>> = vec![vec![], vec![(0, s), (3, s)], vec![(1, s)], vec![(2, s)], vec![(3, s)]];
        let Err(Cycle(nodes)) = order(5, |n| &on[n as usize]) else { panic!("there is a cycle") };
        let mut sorted = nodes.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, [1, 2, 3], "and nobody else: {nodes:?}");
        assert_eq!(order(1, |_| &[(0, Kind::End)]), Err(Cycle(vec![0])));
    }

    #[test]
    fn a_million_nodes_are_ordered() {
        let on: Vec<Vec<(u32, Kind)>> =
            (0..1_000_000u32).map(|n| if n < 1_000 { vec![] } else { vec![(n - 1_000, Kind::Success)] }).collect();
        let sorted = order(1_000_000, |n| &on[n as usize]).unwrap_or_default();
        assert_eq!((sorted.len(), sorted.first(), sorted.last()), (1_000_000, Some(&0), Some(&999_999)));
    }
}
