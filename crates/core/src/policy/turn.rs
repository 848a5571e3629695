//! In which order tasks get their jobs made (`spec/engine.md` sections 5.4 and 20.6).
//!
//! Tasks of a share and resource type go by priority; within a priority users take turns; tasks of high priority (`express`) take at most a part of
//! the turns while others wait, merge tasks go first. Above that VOs and shares take turns, so that nobody's many or large tasks delay another's first
//! job by more than a bounded batch each.
//!
//! It must not know rows, nor how much of a task is done at its turn.

use std::collections::{BTreeMap, VecDeque};

use crate::id::TaskId;

/// Percent of the turns that tasks of high priority take while others wait (20.6: SUPER_HIGH_PRIO_TASK_RATIO).
pub const EXPRESS_PERCENT: i64 = 30;

/// A task that waits for its turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate<'a> {
    /// The task.
    pub id: TaskId,
    /// VO.
    pub vo: &'a str,
    /// Share.
    pub share: &'a str,
    /// Whose turn it is: the owner, or what a site takes turns by.
    pub group: i64,
    /// Priority.
    pub priority: i64,
    /// Whether it is of high priority where it belongs.
    pub express: bool,
    /// Whether it merges.
    pub merges: bool,
    /// Whether its scouts run: the rest of it waits for them.
    pub scouting: bool,
}

/// One group's tasks, the best first.
type Tasks = VecDeque<(i64, TaskId)>;

/// What waits in one share of a VO.
#[derive(Default)]
struct Lane {
    merges: BTreeMap<i64, Tasks>,
    express: BTreeMap<i64, Tasks>,
    others: BTreeMap<i64, Tasks>,
    /// Percent of a turn that high priority has saved up.
    saved: i64,
    /// The group that had the last turn, by class.
    last: [Option<i64>; 3],
}

/// Takes the best task: highest priority, among equals the group after the one that had the last turn.
fn next(groups: &mut BTreeMap<i64, Tasks>, last: &mut Option<i64>) -> Option<TaskId> {
    let top = groups.values().filter_map(|t| t.front().map(|(p, _)| *p)).max()?;
    let has = |t: &Tasks| t.front().is_some_and(|(p, _)| *p == top);
    let after = last.and_then(|l| groups.range(l.saturating_add(1)..).find(|(_, t)| has(t)).map(|(g, _)| *g));
    let group = after.or_else(|| groups.iter().find(|(_, t)| has(t)).map(|(g, _)| *g))?;
    let tasks = groups.get_mut(&group)?;
    let task = tasks.pop_front().map(|(_, id)| id);
    if tasks.is_empty() {
        groups.remove(&group);
    }
    *last = Some(group);
    task
}

impl Lane {
    fn next(&mut self, express_percent: i64) -> Option<TaskId> {
        if let Some(id) = next(&mut self.merges, &mut self.last[0]) {
            return Some(id);
        }
        self.saved += express_percent;
        let first = self.saved >= 100 || self.others.is_empty();
        if first && let Some(id) = next(&mut self.express, &mut self.last[1]) {
            self.saved = (self.saved - 100).max(0);
            return Some(id);
        }
        // Nothing is saved up while nobody of high priority waits.
        if self.express.is_empty() {
            self.saved = 100 - express_percent;
        }
        next(&mut self.others, &mut self.last[2]).or_else(|| next(&mut self.express, &mut self.last[1]))
    }
}

/// The tasks in the order of their turns, at most `most`. `express_percent`: the part of the turns that tasks of high priority have. `seed` is where the rounds over VOs and shares begin, so that successive calls do not favour the first name.
#[must_use]
pub fn order(candidates: &[Candidate<'_>], express_percent: i64, seed: usize, most: usize) -> Vec<TaskId> {
    let mut vos: BTreeMap<&str, BTreeMap<&str, Lane>> = BTreeMap::new();
    for c in candidates {
        let lane = vos.entry(c.vo).or_default().entry(c.share).or_default();
        // Both classes give high priority its first turn at once.
        lane.saved = 100 - express_percent;
        let class = if c.merges {
            &mut lane.merges
        } else if c.express {
            &mut lane.express
        } else {
            &mut lane.others
        };
        class.entry(c.group).or_default().push_back((c.priority.saturating_add(i64::from(c.scouting)), c.id));
    }
    let mut rounds: Vec<Vec<Lane>> = vos
        .into_values()
        .map(|shares| {
            let mut lanes: Vec<Lane> = shares.into_values().collect();
            for lane in &mut lanes {
                // So that the first of very many groups are not the only ones that ever have a turn.
                for (last, groups) in lane.last.iter_mut().zip([&lane.merges, &lane.express, &lane.others]) {
                    *last = if seed == 0 || groups.is_empty() { None } else { groups.keys().nth(seed % groups.len()).copied() };
                }
                for tasks in lane.merges.values_mut().chain(lane.express.values_mut()).chain(lane.others.values_mut()) {
                    tasks.make_contiguous().sort_by_key(|(priority, id)| (-priority, *id));
                }
            }
            let n = lanes.len();
            lanes.rotate_left(seed % n);
            lanes
        })
        .collect();
    let n = rounds.len().max(1);
    rounds.rotate_left(seed % n);
    let mut out = Vec::with_capacity(candidates.len().min(most));
    let mut at = vec![0_usize; rounds.len()];
    let mut going = true;
    while going && out.len() < most {
        going = false;
        for (lanes, at) in rounds.iter_mut().zip(&mut at) {
            // One task of each VO a round, of the share whose turn it is.
            for _ in 0..lanes.len() {
                let lane = *at % lanes.len();
                *at += 1;
                if let Some(id) = lanes[lane].next(express_percent) {
                    out.push(id);
                    going = true;
                    break;
                }
            }
            if out.len() >= most {
                break;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn task(id: i64, vo: &'static str, group: i64, priority: i64) -> Candidate<'static> {
        Candidate { id: TaskId(id), vo, share: "S", group, priority, express: priority >= 1_500, merges: false, scouting: false }
    }
    fn ids(candidates: &[Candidate<'_>]) -> Vec<i64> {
        order(candidates, EXPRESS_PERCENT, 0, usize::MAX).iter().map(|t| t.0).collect()
    }

    /// engine.md 5.4: priority descending, round robin between users, merge tasks first, scouting + 1.
    #[test]
    fn priority_users_and_merges() {
        let mut tasks = vec![task(1, "amber", 1, 900), task(2, "amber", 1, 1_000), task(3, "amber", 1, 1_000), task(4, "amber", 2, 1_000)];
        assert_eq!(ids(&tasks), [2, 4, 3, 1]);
        tasks.push(Candidate { merges: true, ..task(5, "amber", 3, 1) });
        tasks.push(Candidate { scouting: true, ..task(6, "amber", 1, 1_000) });
        assert_eq!(ids(&tasks), [5, 6, 4, 2, 3, 1], "the user of the scouts had a turn, then the other one");
    }

    /// engine.md 20.6: the group of priority 1500 and more has 30 % of the turns while others wait, and all of them otherwise.
    #[test]
    fn high_priority_has_its_part() {
        let mut tasks: Vec<_> = (0..1_000).map(|i| task(i, "amber", 1, 1_500)).collect();
        tasks.extend((1_000..2_000).map(|i| task(i, "amber", 2, 1_000)));
        let found = ids(&tasks);
        assert_eq!(found.len(), 2_000);
        assert!(found[0] < 1_000, "its first turn comes at once");
        let express = found[..1_000].iter().filter(|i| **i < 1_000).count();
        assert!((299..=301).contains(&express), "{express}");
        assert!(found[1_500..].iter().all(|i| *i < 1_000), "nobody else waits");
    }

    /// The issue: no VO's and no user's many tasks delay another's by more than one batch for each VO and share that waits.
    #[test]
    fn nobody_waits_behind_anothers_tasks() {
        let mut tasks: Vec<_> = (0..6_000).map(|i| task(i, "amber", 1, 1_000)).collect();
        tasks.push(task(7_000, "flint", 2, 1));
        tasks.push(task(7_001, "amber", 3, 1_000));
        let found = ids(&tasks);
        assert!(found.iter().position(|i| *i == 7_000).unwrap() <= 1);
        assert!(found.iter().position(|i| *i == 7_001).unwrap() <= 3);
        // Shares take turns too.
        tasks.push(Candidate { share: "T", ..task(7_002, "amber", 1, 1) });
        assert!(ids(&tasks).iter().position(|i| *i == 7_002).unwrap() <= 3);
        let first = |seed| order(&tasks, 30, seed, 1)[0].0;
        assert_ne!(first(0) < 6_000, first(1) < 6_000, "the rounds begin elsewhere each time");
        // Many groups of large tasks: each has a turn in some of the rounds.
        let many: Vec<_> = (0..500).map(|i| task(i, "amber", i, 1_000)).collect();
        let mut seen: Vec<TaskId> = (1..60).flat_map(|seed| order(&many, 30, seed * 97, 100)).collect();
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), 500);
    }

    proptest! {
        #[test]
        fn every_task_has_one_turn(
            tasks in prop::collection::vec((0_usize..3, 0_usize..3, 0_i64..4, 0_i64..2_000, any::<bool>(), any::<bool>()), 0..200),
            seed: usize,
        ) {
            let vos = ["amber", "flint", "jade"];
            let candidates: Vec<_> = tasks.iter().enumerate().map(|(i, (vo, share, group, priority, merges, scouting))| Candidate {
                id: TaskId(i64::try_from(i).unwrap()), vo: vos[*vo], share: vos[*share], group: *group, priority: *priority, express: *priority >= 1_500, merges: *merges, scouting: *scouting,
            }).collect();
            let mut found = order(&candidates, EXPRESS_PERCENT, seed, usize::MAX);
            prop_assert_eq!(&found, &order(&candidates, EXPRESS_PERCENT, seed, usize::MAX));
            found.sort();
            prop_assert_eq!(found, candidates.iter().map(|c| c.id).collect::<Vec<_>>());
        }
    }
}
