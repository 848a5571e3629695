//! Which share is served next: an account of what each uses and of what it was due (`spec/engine.md` sections 9.1 and 9.2).
//!
//! Siblings are ranked by what their branch uses now over its target, depth first, as upstream does. That alone is right for many slots and
//! long jobs only: with one slot nothing runs when it asks, with ten a share of 1 % has always less than its target. So each branch also carries what
//! it used too much or too little since it wants jobs ([`Branch::excess`], core seconds over its target); divided by the usual duration
//! of a job it is added to what is used now. Over time each branch then gets its target exactly, whatever the durations; and a branch that
//! wanted nothing has no claim for it.
//!
//! What is used comes as counts that are some seconds old, so the account adds what happened here since.
//!
//! It must not know lanes, queues' rows or jobs.

use std::collections::{BTreeMap, VecDeque};

use super::{Tree, UNDEFINED};
use crate::time::Micros;

/// A leaf that no asker could have got a job of for this long wants nothing, unless counts say that it has jobs.
const WANTS_FOR: Micros = Micros::from_secs(10);
/// What happened here is kept in steps of this length until counts say it too.
const STEP: Micros = Micros::from_millis(250);
/// Most such steps: twice the age that counts have when all is well, then some.
const MAX_STEPS: usize = 256;
/// Seconds that every job counts more than it ran: a share whose jobs end at once must be charged too.
const OVERHEAD_S: f64 = 0.1;
/// Least duration of a job, seconds, for the weight of the past.
const MIN_DURATION_S: f64 = 1.0;
/// Jobs after which the usual duration forgets half.
const MEMORY_JOBS: f64 = 20_000.0;
/// Excess that is remembered: this many of the largest jobs, or this part of what the branch is due, whichever is more. A branch that came back
/// from nothing must not get everything for hours.
const MEMORY_OF_JOBS: f64 = 2.0;
const MEMORY_OF_USE: f64 = 0.1;
/// A leaf with jobs is passed over at most this number of times over its target: 1 % waits for at most 10,000 dispatches of its queue.
/// Such dispatches are at most a hundredth of the leaf's own, so they move no share by more than 1 % of its target.
const PATIENCE: f64 = 100.0;
/// The same for a leaf without target.
const MAX_WAIT: u64 = 100_000;

/// A leaf of the account: a share and a VO. VOs in one share have equal parts of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Leaf(usize);

#[derive(Debug, Clone)]
struct Branch {
    name: String,
    parent: Option<usize>,
    children: Vec<usize>,
    /// Part among its siblings, not normalised.
    part: f64,
    /// Of everything, 0 to 1, when all want jobs.
    target: f64,
    /// Weight in use, those of the branch together.
    used: i64,
    /// What it used too much (positive) or too little: weight times seconds over `part`.
    excess: f64,
    /// When an asker could last have got a job of it.
    wanted: Option<Micros>,
    /// Whether it had jobs when they were last counted.
    queued: bool,
    /// Weight times seconds used.
    busy: f64,
    /// Jobs and weight dispatched.
    jobs: f64,
    weight: f64,
    /// The ranking that it takes part in.
    round: u64,
}

impl Branch {
    fn new(name: &str, parent: Option<usize>, part: f64, target: f64) -> Self {
        Self {
            name: name.to_owned(),
            parent,
            children: Vec::new(),
            part,
            target,
            used: 0,
            excess: 0.0,
            wanted: None,
            queued: false,
            busy: 0.0,
            jobs: 0.0,
            weight: 0.0,
            round: 0,
        }
    }
    fn wants(&self, now: Micros) -> bool {
        self.queued || self.wanted.is_some_and(|at| now.since(at) <= WANTS_FOR)
    }
    fn in_use(&self) -> f64 {
        real(self.used.max(0))
    }
}

/// What a leaf uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Used<'a> {
    /// Share.
    pub share: &'a str,
    /// VO.
    pub vo: &'a str,
    /// Weight (cores, or their power) of jobs that are with pilots.
    pub weight: i64,
    /// Whether it has jobs that wait for one.
    pub queued: bool,
}

/// The account.
#[derive(Debug, Clone, Default)]
pub struct Account {
    branches: Vec<Branch>,
    tops: Vec<usize>,
    leaves: BTreeMap<(String, String), Leaf>,
    /// Leaf shares that are served before all others.
    first: Vec<String>,
    now: Micros,
    /// What happened here, by step: changes of weight by leaf.
    steps: VecDeque<(Micros, BTreeMap<usize, i64>)>,
    round: u64,
    /// How often a leaf was passed over on a queue.
    waits: BTreeMap<(i64, Leaf), u64>,
    age: u32,
    /// Processes that hand out jobs like this one, itself included; 0 = not told.
    servers: i64,
}

#[expect(clippy::cast_precision_loss, reason = "cores in use are far below the 53 bits of a double")]
fn real(n: i64) -> f64 {
    n as f64
}

impl Account {
    /// An account of a tree. Leaf shares named in `first` go before all others (upstream: `Test`).
    #[must_use]
    pub fn new(tree: &Tree, first: &[String]) -> Self {
        let mut account = Self { first: first.to_vec(), ..Self::default() };
        for node in tree.nodes() {
            let index = account.branches.len();
            account.branches.push(Branch::new(&node.share.name, node.parent, node.part, node.target));
            match node.parent {
                Some(p) => account.branches[p].children.push(index),
                None => account.tops.push(index),
            }
        }
        account
    }

    /// The account of another tree that goes on with what this one knows of use.
    #[must_use]
    pub fn moved_to(&self, tree: &Tree, first: &[String]) -> Self {
        let mut next = Self::new(tree, first);
        (next.now, next.servers, next.age) = (self.now, self.servers, self.age);
        let mut same = BTreeMap::new();
        for ((share, vo), leaf) in &self.leaves {
            let to = next.leaf(share, vo);
            // A name that was no leaf of the old tree shares the leaf of another name, which carries what is used.
            if self.branches[leaf.0].parent.is_none_or(|p| self.branches[p].name != *share) {
                continue;
            }
            same.insert(leaf.0, to.0);
            next.add(to.0, self.branches[leaf.0].used);
        }
        for (at, changes) in &self.steps {
            let mut moved = BTreeMap::new();
            for (leaf, change) in changes {
                if let Some(to) = same.get(leaf) {
                    *moved.entry(*to).or_insert(0) += change;
                }
            }
            next.steps.push_back((*at, moved));
        }
        next
    }

    /// The leaf of a share and a VO; of [`UNDEFINED`] when there is no such share or it has parts.
    pub fn leaf(&mut self, share: &str, vo: &str) -> Leaf {
        if let Some(leaf) = self.leaves.get(&(share.to_owned(), vo.to_owned())) {
            return *leaf;
        }
        let shares: Vec<usize> = self.leaves.values().map(|l| l.0).collect();
        // A branch of the tree, not of a VO, whose only parts are VOs.
        let is_leaf = |at: &usize| {
            let b = &self.branches[*at];
            b.name == share && !shares.contains(at) && b.children.iter().all(|c| shares.contains(c))
        };
        let found = (0..self.branches.len()).find(|at| is_leaf(at));
        let Some(parent) = found else {
            if share == UNDEFINED {
                // Every tree has it.
                return Leaf(0);
            }
            let leaf = self.leaf(UNDEFINED, vo);
            self.leaves.insert((share.to_owned(), vo.to_owned()), leaf);
            return leaf;
        };
        let index = self.branches.len();
        self.branches.push(Branch::new(vo, Some(parent), 1.0, 0.0));
        self.branches[parent].children.push(index);
        let (whole, n) = (self.branches[parent].target, self.branches[parent].children.len());
        for child in self.branches[parent].children.clone() {
            self.branches[child].target = whole / real(i64::try_from(n).unwrap_or(1));
        }
        let leaf = Leaf(index);
        self.leaves.insert((share.to_owned(), vo.to_owned()), leaf);
        leaf
    }

    /// Changes the weight of a leaf and of the branches above it.
    fn add(&mut self, at: usize, change: i64) {
        let mut at = Some(at);
        while let Some(i) = at {
            self.branches[i].used += change;
            at = self.branches[i].parent;
        }
    }

    /// Tells how many processes hand out jobs. What happens here is then taken for as many: each sees the same deficit in the counts, and
    /// without that each would make up for all of it.
    pub fn among(&mut self, servers: i64) {
        self.servers = servers;
    }

    /// Notes a change that counts do not know yet.
    fn note(&mut self, at: usize, change: i64) {
        let change = change.saturating_mul(self.servers.max(1));
        let from = self.now;
        let fresh = self.steps.back().is_none_or(|(begin, _)| from.since(*begin) >= STEP);
        if fresh {
            if self.steps.len() >= MAX_STEPS
                && let Some((_, oldest)) = self.steps.pop_front()
                && let Some((_, next)) = self.steps.front_mut()
            {
                for (leaf, change) in oldest {
                    *next.entry(leaf).or_insert(0) += change;
                }
            }
            self.steps.push_back((from, BTreeMap::new()));
        }
        if let Some((_, changes)) = self.steps.back_mut() {
            *changes.entry(at).or_insert(0) += change;
        }
        self.add(at, change);
    }

    /// Takes counts made at `at` in place of what was known; what happened here since is added. Leaves that are not named use nothing.
    pub fn publish(&mut self, now: Micros, at: Micros, counts: &[Used<'_>]) {
        self.advance(now);
        for branch in &mut self.branches {
            (branch.used, branch.queued) = (0, false);
        }
        for count in counts {
            let leaf = self.leaf(count.share, count.vo);
            self.add(leaf.0, count.weight);
            let mut at = Some(leaf.0).filter(|_| count.queued);
            while let Some(i) = at {
                self.branches[i].queued = true;
                at = self.branches[i].parent;
            }
        }
        self.steps.retain(|(begin, _)| *begin >= at);
        let since: Vec<(usize, i64)> = self.steps.iter().flat_map(|(_, c)| c.iter().map(|(l, n)| (*l, *n))).collect();
        for (leaf, change) in since {
            self.add(leaf, change);
        }
    }

    /// Lets time pass: what is used too much or too little adds up.
    fn advance(&mut self, now: Micros) {
        let seconds = now.since(self.now).as_secs_f64();
        self.now = self.now.max(now);
        if seconds <= 0.0 || self.round == 0 {
            return;
        }
        for branch in &mut self.branches {
            branch.busy += branch.in_use() * seconds;
        }
        let duration = self.duration();
        let tops = std::mem::take(&mut self.tops);
        self.pass(&tops, seconds, duration);
        self.tops = tops;
        for i in 0..self.branches.len() {
            if !self.branches[i].children.is_empty() {
                let children = std::mem::take(&mut self.branches[i].children);
                self.pass(&children, seconds, duration);
                self.branches[i].children = children;
            }
        }
    }

    /// The same for the branches of one level.
    fn pass(&mut self, siblings: &[usize], seconds: f64, duration: f64) {
        let now = self.now;
        let (mut used, mut parts, mut largest) = (0.0, 0.0, 0.0_f64);
        let mut n = 0;
        for b in siblings.iter().map(|s| &self.branches[*s]).filter(|b| b.wants(now) && b.part > 0.0) {
            used += b.in_use();
            parts += b.part;
            if b.jobs > 0.0 {
                largest = largest.max(b.busy / b.jobs);
            }
            n += 1;
        }
        if n < 2 {
            for s in siblings {
                self.branches[*s].excess = 0.0;
            }
            return;
        }
        let due = used / parts;
        let most_used = MEMORY_OF_USE * due * duration;
        for s in siblings {
            let b = &mut self.branches[*s];
            if !b.wants(now) || b.part <= 0.0 {
                b.excess = 0.0;
                continue;
            }
            let most = most_used.max(MEMORY_OF_JOBS * largest.max(OVERHEAD_S) / b.part);
            b.excess = (b.excess + (b.in_use() / b.part - due) * seconds).clamp(-most, most);
        }
    }

    /// How long a job usually takes, seconds: what is used over what is dispatched.
    fn duration(&self) -> f64 {
        let (mut busy, mut weight) = (0.0, 0.0);
        for b in self.tops.iter().map(|t| &self.branches[*t]) {
            busy += b.busy;
            weight += b.weight;
        }
        if weight > 0.0 { (busy / weight).max(MIN_DURATION_S) } else { MIN_DURATION_S }
    }

    /// These leaves, which have jobs for an asker of `queue`, in the order in which they are due.
    pub fn rank(&mut self, now: Micros, queue: i64, wanted: &[Leaf]) -> Vec<Leaf> {
        self.round += 1;
        self.advance(now);
        for leaf in wanted {
            let mut at = Some(leaf.0);
            while let Some(i) = at {
                let b = &mut self.branches[i];
                if b.round == self.round {
                    break;
                }
                if !b.wants(now) {
                    b.excess = 0.0;
                }
                (b.wanted, b.round) = (Some(now), self.round);
                at = b.parent;
            }
        }
        if wanted.len() < 2 {
            return wanted.to_vec();
        }
        let mut out = Vec::with_capacity(wanted.len());
        self.visit(&self.tops, self.duration(), &mut out);
        if !self.first.is_empty() {
            out.sort_by_key(|leaf| !self.branches[leaf.0].parent.is_some_and(|p| self.first.contains(&self.branches[p].name)));
        }
        let late = |leaf: &Leaf| {
            let waited = self.waits.get(&(queue, *leaf)).copied().unwrap_or(0);
            let bound = self.bound(*leaf);
            if waited >= bound { waited - bound + 1 } else { 0 }
        };
        if let Some((at, _)) =
            out.iter().enumerate().max_by_key(|(at, leaf)| (late(leaf), std::cmp::Reverse(*at))).filter(|(_, l)| late(l) > 0)
        {
            out[..=at].rotate_right(1);
        }
        out
    }

    fn visit(&self, level: &[usize], duration: f64, out: &mut Vec<Leaf>) {
        let key = |b: &Branch| if b.part > 0.0 { b.in_use() / b.part + b.excess / duration } else { f64::INFINITY };
        let mut due: Vec<(f64, usize)> =
            level.iter().filter(|i| self.branches[**i].round == self.round).map(|i| (key(&self.branches[*i]), *i)).collect();
        // Equal ones: the larger target first, then as configured.
        due.sort_by(|a, b| {
            a.0.total_cmp(&b.0).then_with(|| self.branches[b.1].part.total_cmp(&self.branches[a.1].part)).then_with(|| a.1.cmp(&b.1))
        });
        for (_, at) in due {
            if self.branches[at].children.is_empty() { out.push(Leaf(at)) } else { self.visit(&self.branches[at].children, duration, out) }
        }
    }

    /// How many dispatches of a queue may go to others in a row while this leaf has jobs there.
    #[must_use]
    pub fn bound(&self, leaf: Leaf) -> u64 {
        let target = self.branches[leaf.0].target;
        let bound = if target > 0.0 { PATIENCE / target } else { f64::INFINITY };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to the range just before")]
        let bound = bound.ceil().clamp(1.0, real(i64::try_from(MAX_WAIT).unwrap_or(i64::MAX))) as u64;
        bound
    }

    /// Notes that a job of `leaf` was handed out on `queue`, where `wanted` had jobs.
    pub fn dispatched(&mut self, now: Micros, queue: i64, wanted: &[Leaf], leaf: Leaf, weight: i64) {
        self.advance(now);
        for other in wanted.iter().filter(|o| **o != leaf) {
            *self.waits.entry((queue, *other)).or_insert(0) += 1;
        }
        self.waits.remove(&(queue, leaf));
        self.note(leaf.0, weight);
        let mut at = Some(leaf.0);
        let all = real(self.servers.max(1));
        while let Some(i) = at {
            let charge = real(weight) * OVERHEAD_S * all;
            let b = &mut self.branches[i];
            (b.jobs, b.weight, b.busy) = (b.jobs + all, b.weight + real(weight) * all, b.busy + charge);
            if b.jobs > MEMORY_JOBS {
                (b.jobs, b.weight, b.busy) = (b.jobs / 2.0, b.weight / 2.0, b.busy / 2.0);
            }
            at = b.parent;
            self.charge(i, charge);
        }
    }

    /// Charges a branch with weight times seconds.
    fn charge(&mut self, at: usize, charge: f64) {
        let now = self.now;
        let siblings = match self.branches[at].parent {
            Some(p) => std::mem::take(&mut self.branches[p].children),
            None => std::mem::take(&mut self.tops),
        };
        let parts: f64 = siblings.iter().map(|s| &self.branches[*s]).filter(|b| b.wants(now)).map(|b| b.part).sum();
        if siblings.len() > 1 && parts > 0.0 {
            for s in &siblings {
                let b = &mut self.branches[*s];
                if b.wants(now) && b.part > 0.0 {
                    b.excess += if *s == at { charge / b.part } else { 0.0 } - charge / parts;
                }
            }
        }
        match self.branches[at].parent {
            Some(p) => self.branches[p].children = siblings,
            None => self.tops = siblings,
        }
    }

    /// Notes that a leaf's jobs on `queue` turned out to be none.
    pub fn nothing(&mut self, queue: i64, leaf: Leaf) {
        self.waits.remove(&(queue, leaf));
    }

    /// Notes that a job of this weight is no longer with a pilot.
    pub fn ended(&mut self, now: Micros, leaf: Leaf, weight: i64) {
        self.advance(now);
        self.note(leaf.0, -weight);
    }

    /// Whether this dispatch is one of the `percent` of all that go by age, in even distances: exactly that many (upstream's comparison gives one
    /// percent more, section 18).
    pub fn by_age(&mut self, percent: u32) -> bool {
        self.age += percent.min(100);
        if self.age >= 100 {
            self.age -= 100;
            return true;
        }
        false
    }

    /// Weight that a share (any branch of the tree) has in use.
    #[must_use]
    pub fn used(&self, share: &str) -> i64 {
        let vos: Vec<usize> = self.leaves.values().map(|l| l.0).collect();
        let found = (0..self.branches.len()).find(|i| self.branches[*i].name == share && !vos.contains(i));
        found.map_or(0, |i| self.branches[i].used.max(0))
    }
}
