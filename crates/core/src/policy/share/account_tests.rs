//! Properties of dispatch over long runs: every share gets its target within 2 %, and nobody starves.

use std::{cmp::Reverse, collections::BinaryHeap};

use proptest::prelude::*;

use super::{
    Share, Tree,
    account::{Account, Leaf, Used},
};
use crate::time::{Micros, Random, SplitMix64};

/// Dispatches of a long run.
const RUN: usize = 100_000;
/// What a share may be off its target.
const WITHIN: f64 = 0.02;

/// A run: slots that ask again as soon as their job has ended.
struct Run {
    tree: Tree,
    slots: usize,
    /// Mean duration of a leaf's jobs, seconds, by the leaf's number.
    seconds: fn(usize) -> i64,
    /// Whether a job runs between half and one and a half times its leaf's mean; all run the mean when not.
    spread: bool,
    /// Ends fall together on multiples of this many seconds.
    lump_s: i64,
    /// Seconds between two counts, and how old a count is when it is seen.
    counts_s: i64,
    late_s: i64,
    /// Whether ends are seen at once, or only by counts.
    sees_ends: bool,
    /// Processes that hand out jobs, each with its own account.
    servers: usize,
    seed: u64,
}

impl Default for Run {
    fn default() -> Self {
        Self {
            tree: flat(&[50.0, 30.0, 15.0, 4.0, 1.0]),
            slots: 1_000,
            seconds: |_| 600,
            spread: true,
            lump_s: 1,
            counts_s: 10,
            late_s: 1,
            sees_ends: true,
            servers: 1,
            seed: 1,
        }
    }
}

struct Outcome {
    /// Target of each leaf, and its parts of dispatches and of time.
    parts: Vec<(f64, f64, f64)>,
    /// Longest row of dispatches that passed over each leaf.
    waits: Vec<u64>,
}

fn flat(values: &[f64]) -> Tree {
    Tree::new(values.iter().enumerate().map(|(i, v)| Share::new(&format!("S{i:02}"), None, *v)).collect()).unwrap()
}

fn random(random: &mut SplitMix64) -> i64 {
    i64::try_from(random.next_u64() >> 1).unwrap()
}

/// What was counted and is not yet published: when, when it will be seen, and weight by leaf.
type Pending = (Micros, Micros, Vec<i64>);

fn run(r: &Run, dispatches: usize) -> Outcome {
    let names: Vec<String> = r.tree.nodes().iter().filter(|n| n.children.is_empty()).map(|n| n.share.name.clone()).collect();
    let names: Vec<String> = names.into_iter().filter(|n| n != super::UNDEFINED).collect();
    let mut random_numbers = SplitMix64::new(r.seed);
    let mut servers: Vec<(Account, Vec<Leaf>)> = (0..r.servers)
        .map(|_| {
            let mut account = Account::new(&r.tree, &[]);
            account.among(i64::try_from(r.servers).unwrap());
            let leaves = names.iter().map(|n| account.leaf(n, "amber")).collect();
            (account, leaves)
        })
        .collect();
    // Everything waits from the beginning.
    let waiting: Vec<Used<'_>> = names.iter().map(|share| Used { share, vo: "amber", weight: 0, queued: true }).collect();
    servers.iter_mut().for_each(|s| s.0.publish(Micros::ZERO, Micros::ZERO, &waiting));
    let mut ends: BinaryHeap<Reverse<(i64, u64, usize)>> = BinaryHeap::new();
    let (mut used, mut counts, mut busy) = (vec![0_i64; names.len()], vec![0_usize; names.len()], vec![0_i64; names.len()]);
    let (mut waits, mut longest) = (vec![0_u64; names.len()], vec![0_u64; names.len()]);
    let (mut now_s, mut next_count, mut pending): (i64, i64, Option<Pending>) = (0, r.counts_s, None);
    for n in 0..dispatches {
        if ends.len() == r.slots
            && let Some(Reverse((at, _, leaf))) = ends.pop()
        {
            let passed = at - now_s;
            for (b, u) in busy.iter_mut().zip(&used) {
                *b += passed * u;
            }
            // The last count before this end, half a second before it at least.
            if next_count < at {
                let counted = next_count + (at - 1 - next_count) / r.counts_s * r.counts_s;
                pending = Some((Micros::from_millis(counted * 1_000 + 500), Micros::from_secs(counted + r.late_s), used.clone()));
                next_count = counted + r.counts_s;
            }
            now_s = at;
            used[leaf] -= 1;
            if r.sees_ends {
                let server = &mut servers[usize::try_from(random_numbers.next_u64() % r.servers as u64).unwrap()];
                server.0.ended(Micros::from_secs(now_s), server.1[leaf], 1);
            }
        }
        let now = Micros::from_secs(now_s);
        if let Some((at, _, counted)) = pending.take_if(|(_, seen, _)| *seen <= now) {
            let counted: Vec<Used<'_>> =
                names.iter().zip(&counted).map(|(share, w)| Used { share, vo: "amber", weight: *w, queued: true }).collect();
            servers.iter_mut().for_each(|s| s.0.publish(now, at, &counted));
        }
        let server = &mut servers[n % r.servers];
        let leaves = server.1.clone();
        let first = server.0.rank(now, 1, &leaves)[0];
        server.0.dispatched(now, 1, &leaves, first, 1);
        let leaf = leaves.iter().position(|l| *l == first).unwrap();
        counts[leaf] += 1;
        used[leaf] += 1;
        for (i, w) in waits.iter_mut().enumerate() {
            *w = if i == leaf { 0 } else { *w + 1 };
            longest[i] = longest[i].max(*w);
        }
        let mean = (r.seconds)(leaf);
        let length = if r.spread { mean / 2 + random(&mut random_numbers) % mean.max(1) } else { mean };
        let end = (now_s + length.max(1) + r.lump_s - 1) / r.lump_s * r.lump_s;
        ends.push(Reverse((end, random_numbers.next_u64(), leaf)));
    }
    #[allow(clippy::cast_precision_loss)]
    let parts = |v: &[i64]| {
        let sum: i64 = v.iter().sum();
        v.iter().map(|x| *x as f64 / sum.max(1) as f64).collect::<Vec<_>>()
    };
    let by_count = parts(&counts.iter().map(|c| i64::try_from(*c).unwrap()).collect::<Vec<_>>());
    let by_time = parts(&busy);
    let sum: f64 = names.iter().map(|n| r.tree.get(n).unwrap().target).sum();
    let parts = names.iter().enumerate().map(|(i, n)| (r.tree.get(n).unwrap().target / sum, by_count[i], by_time[i])).collect();
    Outcome { parts, waits: longest }
}

/// Within 2 % of the target, or three of the dispatches.
fn near(part: f64, target: f64) -> bool {
    #[allow(clippy::cast_precision_loss)]
    let three = 3.0 / RUN as f64;
    (part - target).abs() <= WITHIN * target + three
}

/// engine.md 9.2 and the issue: with demand everywhere each share gets its target within 2 %.
#[test]
fn each_share_gets_its_target_over_100_000_dispatches() {
    for slots in [1, 10, 100, 1_000, 5_000] {
        for lump_s in [1, 300, 3_600] {
            let out = run(&Run { slots, lump_s, ..Run::default() }, RUN);
            for (target, count, time) in out.parts {
                assert!(near(count, target) && near(time, target), "{slots} slots, lumps of {lump_s} s: {target}, {count}, {time}");
            }
        }
    }
}

/// Jobs of one share run a hundred times longer than another's: the time used follows the targets, as upstream's executing cores do.
#[test]
fn long_jobs_count_for_what_they_use() {
    for slots in [10, 100] {
        let out = run(
            &Run { slots, seconds: |leaf| if leaf == 1 { 6_000 } else { 60 * (i64::try_from(leaf).unwrap() + 1) }, ..Run::default() },
            RUN,
        );
        for (target, _, time) in out.parts {
            assert!(near(time, target), "{slots} slots: {target}, {time}");
        }
    }
}

/// Ends that only counts tell, and several processes that do not see each other's dispatches.
#[test]
fn counts_that_are_old_move_no_share() {
    for (sees_ends, servers, lump_s) in [(false, 1, 1), (true, 4, 1), (true, 4, 300), (false, 4, 60)] {
        let out = run(&Run { sees_ends, servers, lump_s, ..Run::default() }, RUN);
        for (target, count, time) in out.parts {
            // Four processes see a quarter of what happens each: a share of ten jobs is known to a quarter of them.
            let close = |part: f64| near(part, target) || (part - target).abs() < 0.001;
            assert!(
                close(count) && close(time),
                "ends seen {sees_ends}, {servers} servers, lumps of {lump_s} s: {target}, {count}, {time}"
            );
        }
    }
}

/// The bound: a share with jobs is passed over at most `100 / target` times in a row; in an even run it is twice its turn.
#[test]
fn the_lowest_share_waits_a_bounded_number_of_dispatches() {
    let r = Run::default();
    let out = run(&r, RUN);
    for ((target, ..), waited) in out.parts.iter().zip(&out.waits) {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let bound = (100.0 / target).ceil() as u64 + 1;
        assert!(*waited <= bound, "{target}: {waited} > {bound}");
    }
    let mut account = Account::new(&flat(&[99.0, 1.0]), &[]);
    let (high, low) = (account.leaf("S00", "amber"), account.leaf("S01", "amber"));
    // The low share holds far more than its target with a job that never ends, and more of it waits.
    account.publish(Micros::ZERO, Micros::ZERO, &[Used { share: "S01", vo: "amber", weight: 1_000_000, queued: true }]);
    let mut waited = 0;
    while account.rank(Micros(1), 7, &[high, low])[0] == high {
        account.dispatched(Micros(1), 7, &[high, low], high, 1);
        account.ended(Micros(1), high, 1);
        waited += 1;
        assert!(waited <= account.bound(low));
    }
    assert_eq!(waited, account.bound(low));
    assert_eq!(waited, 10_100, "100 over a target of 1 of 101");
}

/// One VO's backlog does not hold up another's first job: it is due at once.
#[test]
fn another_vos_first_job_is_next() {
    let mut account = Account::new(&Tree::default(), &[]);
    let (amber, flint) = (account.leaf(super::UNDEFINED, "amber"), account.leaf(super::UNDEFINED, "flint"));
    for n in 0..1_000_000_i64 {
        let now = Micros::from_millis(n);
        account.rank(now, 1, &[amber]);
        account.dispatched(now, 1, &[amber], amber, 1);
    }
    assert_eq!(account.rank(Micros::from_secs(1_000), 1, &[amber, flint]), [flint, amber]);
}

/// What came back from nothing has no claim for the time it wanted nothing.
#[test]
fn idle_shares_save_nothing_up() {
    let mut account = Account::new(&flat(&[50.0, 50.0]), &[]);
    let (a, b) = (account.leaf("S00", "amber"), account.leaf("S01", "amber"));
    let mut now = Micros::ZERO;
    let mut turn = |account: &mut Account, wanted: &[Leaf]| {
        now = now + Micros::from_secs(60);
        let first = account.rank(now, 1, wanted)[0];
        account.dispatched(now, 1, wanted, first, 1);
        now = now + Micros::from_secs(60);
        account.ended(now, first, 1);
        first
    };
    let count = |account: &mut Account, b: bool| {
        let used = |share, queued| Used { share, vo: "amber", weight: 0, queued };
        account.publish(Micros::ZERO, Micros::ZERO, &[used("S00", true), used("S01", b)]);
    };
    count(&mut account, false);
    for _ in 0..1_000 {
        assert_eq!(turn(&mut account, &[a]), a);
    }
    count(&mut account, true);
    let served: Vec<Leaf> = (0..20).map(|_| turn(&mut account, &[a, b])).collect();
    let n = served.iter().filter(|l| **l == b).count();
    assert!((9..=12).contains(&n), "{served:?}");
}

#[test]
fn the_named_share_goes_first_and_one_without_target_last() {
    let tree = Tree::new(vec![Share::new("Test", None, 1.0), Share::new("A", None, 90.0), Share::new("Idle", None, 0.0)]).unwrap();
    let mut account = Account::new(&tree, &["Test".to_owned()]);
    let leaves = ["Idle", "A", "Test"].map(|s| account.leaf(s, "amber"));
    account.publish(Micros::ZERO, Micros::ZERO, &[Used { share: "Test", vo: "amber", weight: 50, queued: true }]);
    let order = account.rank(Micros(1), 1, &leaves);
    assert_eq!(order, [leaves[2], leaves[1], leaves[0]]);
}

/// engine.md 18: `<=` gave upstream 11 %; here it is exactly what is said.
#[test]
fn by_age_is_exact() {
    let mut account = Account::new(&Tree::default(), &[]);
    for percent in [0, 1, 10, 33, 100] {
        let n = (0..1_000).filter(|_| account.by_age(percent)).count();
        assert_eq!(n, usize::try_from(percent).unwrap() * 10);
    }
}

/// Counts replace what happened before them, and keep what happened since.
#[test]
fn counts_are_joined_with_what_happened_since() {
    let mut account = Account::new(&flat(&[50.0, 50.0]), &[]);
    let a = account.leaf("S00", "amber");
    let at = Micros::from_secs;
    account.dispatched(at(1), 1, &[a], a, 8);
    account.dispatched(at(5), 1, &[a], a, 4);
    account.ended(at(6), a, 1);
    account.publish(at(7), at(3), &[Used { share: "S00", vo: "amber", weight: 20, queued: true }]);
    assert_eq!(account.used("S00"), 23);
    let moved = account.moved_to(&flat(&[50.0, 30.0, 20.0]), &[]);
    assert_eq!(moved.used("S00"), 23);
    // A share that went: what it uses counts for what matches nothing.
    let gone = account.moved_to(&Tree::default(), &[]);
    assert_eq!(gone.used(super::UNDEFINED), 23);
}

fn tree() -> impl Strategy<Value = Tree> {
    // Two to three parts on each of four levels.
    prop::collection::vec(1_u32..=33, 27 + 9 + 3).prop_flat_map(|values| (Just(values), 2_usize..=3)).prop_map(|(values, width)| {
        let mut shares = vec![Share::new("R", None, 100.0)];
        let mut level = vec!["R".to_owned()];
        let mut next = values.into_iter();
        for _ in 0..3 {
            let mut below = vec![];
            for parent in &level {
                for i in 0..width {
                    let name = format!("{parent}{i}");
                    shares.push(Share::new(&name, Some(parent), f64::from(next.next().unwrap_or(7))));
                    below.push(name);
                }
            }
            level = below;
        }
        Tree::new(shares).unwrap()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, ..ProptestConfig::default() })]
    /// The property, over trees of four levels and lumpy ends: what is shared is time; jobs as long as each other
    /// are shared by number, too.
    #[test]
    fn trees_of_four_levels_keep_their_targets(tree in tree(), slots in 1_usize..3_000, lump in 0_usize..3, seed: u64) {
        let lump_s = [1, 60, 900][lump];
        for spread in [true, false] {
            let out = run(&Run { tree: tree.clone(), slots, lump_s, seed, spread, ..Run::default() }, RUN);
            for (target, count, time) in out.parts {
                let part = if spread { time } else { count };
                prop_assert!(near(part, target), "{slots} slots, lumps of {lump_s} s: target {target}, dispatched {count}, used {time}");
            }
        }
    }
}
