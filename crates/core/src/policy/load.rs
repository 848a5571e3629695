//! How busy everything is: live jobs by queue, share, VO, label, person and resource type, and what ended lately. Brokerage, the order of
//! shares and throttles decide on it.
//!
//! It must not know where the numbers come from nor how old they are.

use std::collections::BTreeMap;

use crate::id::QueueId;
use crate::job::state::JobState;
use crate::time::Micros;

/// Number of live states.
const STATES: usize = JobState::LIVE.len();

/// Live jobs and their cores, by state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    jobs: [i64; STATES],
    cores: [i64; STATES],
}

fn slot(state: JobState) -> Option<usize> {
    JobState::LIVE.iter().position(|s| *s == state)
}

impl Counts {
    /// No jobs.
    pub const NONE: &'static Self = &Self { jobs: [0; STATES], cores: [0; STATES] };

    /// Adds `n` jobs with `cores` cores altogether; final states are not counted.
    pub fn add(&mut self, state: JobState, n: i64, cores: i64) {
        if let Some(at) = slot(state) {
            self.jobs[at] += n;
            self.cores[at] += cores;
        }
    }
    /// Jobs in these states.
    #[must_use]
    pub fn jobs(&self, states: &[JobState]) -> i64 {
        states.iter().filter_map(|s| slot(*s)).map(|at| self.jobs[at]).sum::<i64>().max(0)
    }
    /// Cores of jobs in these states.
    #[must_use]
    pub fn cores(&self, states: &[JobState]) -> i64 {
        states.iter().filter_map(|s| slot(*s)).map(|at| self.cores[at]).sum::<i64>().max(0)
    }
    /// Jobs that a pilot has: sent, starting, running (`spec/engine.md` 9.1: "executing").
    #[must_use]
    pub fn running(&self) -> i64 {
        self.jobs(JobState::WITH_PILOT)
    }
    /// Cores of [`Self::running`].
    #[must_use]
    pub fn running_cores(&self) -> i64 {
        self.cores(JobState::WITH_PILOT)
    }
    /// Jobs that wait for a pilot and may be taken.
    #[must_use]
    pub fn activated(&self) -> i64 {
        self.jobs(&[JobState::Activated])
    }
    /// Jobs that are not yet ready for a pilot.
    #[must_use]
    pub fn defined(&self) -> i64 {
        self.jobs(JobState::BEFORE_ACTIVATION)
    }
    /// Jobs that have not started, those of paused tasks left out.
    #[must_use]
    pub fn queued(&self) -> i64 {
        self.activated() + self.defined()
    }
    /// All live jobs.
    #[must_use]
    pub fn live(&self) -> i64 {
        self.jobs(JobState::LIVE)
    }
}

/// Jobs that ended lately.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ended {
    /// Well.
    pub finished: i64,
    /// Badly: failed; killed and replaced ones do not count.
    pub failed: i64,
}

/// What is on one queue.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AtQueue {
    /// Everything.
    pub all: Counts,
    /// By resource type.
    pub by_type: BTreeMap<String, Counts>,
    /// By share.
    pub by_share: BTreeMap<String, Counts>,
    /// By share and VO.
    pub by_share_vo: BTreeMap<(String, String), Counts>,
    /// By person (row id).
    pub by_person: BTreeMap<i64, Counts>,
    /// What ended lately, by person.
    pub ended: BTreeMap<i64, Ended>,
    /// When a pilot or worker was last heard of.
    pub pilot_seen: Option<Micros>,
    /// When a job was last handed out.
    pub last_start: Option<Micros>,
}

/// Nothing on a queue.
static EMPTY: AtQueue = AtQueue {
    all: Counts { jobs: [0; STATES], cores: [0; STATES] },
    by_type: BTreeMap::new(),
    by_share: BTreeMap::new(),
    by_share_vo: BTreeMap::new(),
    by_person: BTreeMap::new(),
    ended: BTreeMap::new(),
    pilot_seen: None,
    last_start: None,
};

/// Jobs that share all properties that are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line<'a> {
    /// Where they are; none = nowhere yet.
    pub queue: Option<QueueId>,
    /// Share; empty when they are nowhere yet.
    pub share: &'a str,
    /// Resource type; empty when they are nowhere yet.
    pub resource_type: &'a str,
    /// VO; empty = not told (the views by VO are left alone).
    pub vo: &'a str,
    /// `prodSourceLabel`; empty = not told.
    pub label: &'a str,
    /// Owner's row id; 0 = not told.
    pub person: i64,
    /// State.
    pub state: JobState,
    /// How many; negative takes away.
    pub n: i64,
    /// Their cores altogether.
    pub cores: i64,
}

/// Live jobs in all views.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Load {
    /// When they were counted.
    pub at: Micros,
    queues: BTreeMap<QueueId, AtQueue>,
    shares: BTreeMap<String, Counts>,
    share_types: BTreeMap<String, BTreeMap<String, Counts>>,
    types: BTreeMap<String, Counts>,
    vos: BTreeMap<String, Counts>,
    vo_labels: BTreeMap<String, BTreeMap<String, Counts>>,
    people: BTreeMap<i64, Counts>,
    all: Counts,
}

fn two<'a>(map: &'a BTreeMap<String, BTreeMap<String, Counts>>, a: &str, b: &str) -> &'a Counts {
    map.get(a).and_then(|m| m.get(b)).unwrap_or(Counts::NONE)
}
/// The entry of a key, made only when it is new.
fn entry<'a, T: Default>(map: &'a mut BTreeMap<String, T>, key: &str) -> &'a mut T {
    if !map.contains_key(key) {
        map.insert(key.to_owned(), T::default());
    }
    map.entry(key.to_owned()).or_default()
}

impl Load {
    /// Nothing anywhere.
    #[must_use]
    pub fn new(at: Micros) -> Self {
        Self { at, ..Self::default() }
    }
    /// Adds jobs to every view that the line tells of.
    pub fn add(&mut self, l: &Line<'_>) {
        let count = |c: &mut Counts| c.add(l.state, l.n, l.cores);
        count(&mut self.all);
        if let Some(queue) = l.queue {
            let q = self.queues.entry(queue).or_default();
            count(&mut q.all);
            count(entry(&mut q.by_type, l.resource_type));
            count(entry(&mut q.by_share, l.share));
            if !l.vo.is_empty() {
                count(q.by_share_vo.entry((l.share.to_owned(), l.vo.to_owned())).or_default());
            }
            if l.person != 0 {
                count(q.by_person.entry(l.person).or_default());
            }
            count(entry(&mut self.shares, l.share));
            count(entry(entry(&mut self.share_types, l.share), l.resource_type));
            count(entry(&mut self.types, l.resource_type));
        }
        if !l.vo.is_empty() {
            count(entry(&mut self.vos, l.vo));
            if !l.label.is_empty() {
                count(entry(entry(&mut self.vo_labels, l.vo), l.label));
            }
        }
        if l.person != 0 {
            count(self.people.entry(l.person).or_default());
        }
    }
    /// Adds jobs of a person to the views by person, when [`Self::add`] was not told whose they are.
    pub fn add_person(&mut self, queue: Option<QueueId>, person: i64, state: JobState, n: i64, cores: i64) {
        self.people.entry(person).or_default().add(state, n, cores);
        if let Some(queue) = queue {
            self.queues.entry(queue).or_default().by_person.entry(person).or_default().add(state, n, cores);
        }
    }
    /// Adds jobs of a person that ended lately at a queue.
    pub fn add_ended(&mut self, queue: QueueId, person: i64, finished: i64, failed: i64) {
        let e = self.queues.entry(queue).or_default().ended.entry(person).or_default();
        e.finished += finished;
        e.failed += failed;
    }
    /// Notes that a pilot of a queue was heard of.
    pub fn see_pilot(&mut self, queue: QueueId, at: Micros) {
        let q = self.queues.entry(queue).or_default();
        q.pilot_seen = q.pilot_seen.max(Some(at));
    }
    /// Notes that a job was handed out at a queue.
    pub fn see_start(&mut self, queue: QueueId, at: Micros) {
        let q = self.queues.entry(queue).or_default();
        q.last_start = q.last_start.max(Some(at));
    }
    /// What is on a queue.
    #[must_use]
    pub fn queue(&self, queue: QueueId) -> &AtQueue {
        self.queues.get(&queue).unwrap_or(&EMPTY)
    }
    /// Every queue with something on it, by number.
    pub fn queues(&self) -> impl Iterator<Item = (QueueId, &AtQueue)> {
        self.queues.iter().map(|(id, q)| (*id, q))
    }
    /// Jobs of a share.
    #[must_use]
    pub fn share(&self, share: &str) -> &Counts {
        self.shares.get(share).unwrap_or(Counts::NONE)
    }
    /// Every share with jobs, by name.
    pub fn shares(&self) -> impl Iterator<Item = (&str, &Counts)> {
        self.shares.iter().map(|(s, c)| (s.as_str(), c))
    }
    /// Jobs of a share of one resource type.
    #[must_use]
    pub fn share_type(&self, share: &str, resource_type: &str) -> &Counts {
        two(&self.share_types, share, resource_type)
    }
    /// Every resource type of a share with jobs, by name.
    pub fn types_of(&self, share: &str) -> impl Iterator<Item = (&str, &Counts)> {
        self.share_types.get(share).into_iter().flatten().map(|(t, c)| (t.as_str(), c))
    }
    /// Jobs of a resource type.
    #[must_use]
    pub fn resource_type(&self, resource_type: &str) -> &Counts {
        self.types.get(resource_type).unwrap_or(Counts::NONE)
    }
    /// Jobs of a VO.
    #[must_use]
    pub fn vo(&self, vo: &str) -> &Counts {
        self.vos.get(vo).unwrap_or(Counts::NONE)
    }
    /// Jobs of a VO with a label.
    #[must_use]
    pub fn vo_label(&self, vo: &str, label: &str) -> &Counts {
        two(&self.vo_labels, vo, label)
    }
    /// Jobs of a person.
    #[must_use]
    pub fn person(&self, person: i64) -> &Counts {
        self.people.get(&person).unwrap_or(Counts::NONE)
    }
    /// Everybody with jobs (row ids).
    pub fn people(&self) -> impl Iterator<Item = (i64, &Counts)> {
        self.people.iter().map(|(id, c)| (*id, c))
    }
    /// Every VO with jobs, by name.
    pub fn vos(&self) -> impl Iterator<Item = (&str, &Counts)> {
        self.vos.iter().map(|(vo, c)| (vo.as_str(), c))
    }
    /// All live jobs.
    #[must_use]
    pub const fn all(&self) -> &Counts {
        &self.all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: Line<'static> = Line {
        queue: Some(QueueId(1)),
        share: "express",
        resource_type: "MCORE",
        vo: "amber",
        label: "user",
        person: 7,
        state: JobState::Running,
        n: 2,
        cores: 16,
    };

    #[test]
    fn every_view_counts_the_same_jobs() {
        let mut load = Load::new(Micros(5));
        load.add(&LINE);
        load.add(&Line { state: JobState::Activated, n: 3, cores: 24, ..LINE });
        load.add(&Line { queue: None, share: "", resource_type: "", state: JobState::Defined, n: 1, cores: 8, ..LINE });
        let at = load.queue(QueueId(1));
        let views = [
            &at.all,
            &at.by_type["MCORE"],
            &at.by_share["express"],
            &at.by_share_vo[&("express".into(), "amber".into())],
            load.share("express"),
            load.share_type("express", "MCORE"),
        ];
        for c in views.into_iter().chain([&at.by_person[&7], load.resource_type("MCORE")]) {
            assert_eq!((c.running(), c.activated(), c.queued(), c.running_cores()), (2, 3, 3, 16));
        }
        for c in [load.all(), load.vo("amber"), load.vo_label("amber", "user"), load.person(7)] {
            assert_eq!((c.running(), c.queued(), c.defined(), c.live()), (2, 4, 1, 6));
        }
        assert_eq!(load.types_of("express").map(|(t, c)| (t, c.live())).collect::<Vec<_>>(), [("MCORE", 5)]);
        assert_eq!(load.queue(QueueId(2)), &AtQueue::default());
        assert_eq!(load.vo_label("amber", "managed"), Counts::NONE);
    }

    #[test]
    fn a_dispatch_moves_jobs_between_states() {
        let mut load = Load::default();
        load.add(&Line { state: JobState::Activated, ..LINE });
        load.add(&Line { state: JobState::Activated, n: -1, cores: -8, ..LINE });
        load.add(&Line { state: JobState::Sent, n: 1, cores: 8, ..LINE });
        let c = load.share("express");
        assert_eq!((c.activated(), c.running(), c.running_cores(), c.live()), (1, 1, 8, 2));
        load.see_start(QueueId(1), Micros(9));
        load.see_start(QueueId(1), Micros(4));
        load.add_ended(QueueId(1), 7, 1, 2);
        assert_eq!((load.queue(QueueId(1)).last_start, load.queue(QueueId(1)).ended[&7].failed), (Some(Micros(9)), 2));
    }
}
