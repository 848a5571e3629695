//! Whether a queue, or one machine of it, is held because its jobs fail; and when the next canary job may go there.
//!
//! Failures of the system count always. Failures of payloads count only when jobs of several people fail: one user's broken code holds no
//! queue. A machine is held when its jobs fail while those of the rest of the queue do not (a black hole); there a payload's failure counts
//! also when the same task does well on another machine. What does not count is left out of the rate altogether.
//!
//! Failures come first: where jobs have been starting for less time than they take, all that ended have failed. What ends is therefore not the
//! whole story: jobs that started with the failed ones and still run when they have failed ([`Peers`]) speak for the place.
//!
//! It must not know where outcomes come from nor how a hold is kept.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    job::error::{BUILD_FAILED, Class, MERGE_FAILED, Source, known, telling},
    words::word_enum,
};

word_enum! {
    /// Whose hold it is.
    HoldKind, "hold" {
        /// Somebody stopped the dispatch.
        Drain = "drain",
        /// Somebody holds the queue.
        Operator = "operator",
        /// The queue's jobs failed.
        Brake = "brake",
    }
}

word_enum! {
    /// How a hold stands.
    HoldState, "state of a hold" {
        /// Nothing is handed out; a brake waits for the next canary job.
        Held = "held",
        /// A canary job is under way.
        Trial = "trial",
        /// A canary job did well, or somebody let it go: what failed before counts no more.
        Free = "free",
    }
}

/// Who is to blame for a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// The machine, the storage, the pilot, the network.
    System,
    /// The payload.
    Payload,
}

/// Who is to blame for a failure with these codes. What nobody knows is the payload's matter when only the payload spoke, else the system's: a
/// site that brings up new codes is not well.
#[must_use]
pub fn blame(codes: &[(Source, i64)]) -> Blame {
    match telling(codes) {
        Some((source, code)) => match (known(source, code.abs()).map(|k| k.class), source) {
            (Some(Class::User | Class::Limits | Class::Wanted), _) | (None, Source::Trans | Source::Exe) => Blame::Payload,
            _ => Blame::System,
        },
        None => Blame::System,
    }
}

/// Whether a failure tells nothing about the queue: what the job needed failed elsewhere. A job whose outputs could not be merged did well where it
/// ran; the merge job that failed counts for the queue where it ran, as every other job.
#[must_use]
pub fn is_elsewhere(codes: &[(Source, i64)]) -> bool {
    codes.iter().any(|(source, code)| *source == Source::Server && [BUILD_FAILED, MERGE_FAILED].contains(code))
}

/// A job that a pilot had and that ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome<'a> {
    /// None: it ended well.
    pub failed: Option<Blame>,
    /// Its task; jobs without one have their own number here.
    pub task: i64,
    /// Its owner.
    pub person: i64,
    /// The machine.
    pub machine: &'a str,
    /// Microseconds UTC when a pilot got it.
    pub started_us: i64,
    /// Microseconds UTC when it ended.
    pub ended_us: i64,
}

/// When something is held.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Least number of jobs that count.
    pub min_jobs: usize,
    /// Part of them that must have failed.
    pub rate: f64,
    /// People whose payloads must fail for payloads' failures to count.
    pub min_people: usize,
    /// Part of those that ended or run on ([`Peers`]) that must have failed.
    pub early_rate: f64,
}

/// Running jobs that speak for a place: those that started no earlier than the failed ones and have run for longer than these took. Both are
/// medians, so that what failed after a long time does not hide what fails at once now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Peers {
    /// When half of the failed ones had started, microseconds UTC.
    pub since_us: i64,
    /// How long half of the failed ones took, microseconds.
    pub age_us: i64,
}

/// Why something is held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The machine; None = the whole queue.
    pub machine: Option<String>,
    /// Jobs that count.
    pub ended: usize,
    /// Failed ones among them.
    pub failed: usize,
    /// Those for which the system is to blame.
    pub system: usize,
    /// Tasks with failed jobs.
    pub tasks: usize,
    /// People with failed jobs.
    pub people: usize,
    /// Which running jobs speak for it.
    pub peers: Peers,
    /// How many there are, as far as somebody counted them.
    pub running: usize,
}

impl Finding {
    /// How many running jobs acquit the place: with so many of them too few have failed of all that could have.
    #[must_use]
    #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few thousand jobs at most")]
    pub fn acquitted_by(&self, l: &Limits) -> usize {
        // A rate of nothing is a rate that everything is above.
        if l.early_rate <= 0.0 {
            return usize::MAX;
        }
        ((self.failed as f64 / l.early_rate).floor() as usize + 1).saturating_sub(self.ended).max(1)
    }
    /// One sentence; `minutes` that were looked at.
    #[must_use]
    pub fn sentence(&self, minutes: i64) -> String {
        let (place, f) = (self.machine.as_ref().map_or_else(String::new, |m| format!(" on {m}")), self);
        let on = if f.running == 0 { String::new() } else { format!("; {} that started with them run on", f.running) };
        format!(
            "{} of {} jobs that ended{place} in {minutes} minutes failed, {} of them by the system's fault, of {} tasks and {} people{on}",
            f.failed, f.ended, f.system, f.tasks, f.people
        )
    }
}

/// The machine in a node's name: pilots write `slot@machine`.
#[must_use]
pub fn machine(node: &str) -> &str {
    node.rsplit('@').next().unwrap_or(node)
}

fn median(mut all: Vec<i64>) -> i64 {
    all.sort_unstable();
    all.get(all.len() / 2).copied().unwrap_or(0)
}

fn people<'a>(failed: impl Iterator<Item = &'a Outcome<'a>>) -> usize {
    failed.map(|o| o.person).collect::<BTreeSet<_>>().len()
}

/// Counts outcomes; `counts` tells which payload failures do.
fn weigh<'a>(all: &[&'a Outcome<'a>], counts: impl Fn(&Outcome<'a>) -> bool) -> Finding {
    let failed: Vec<&Outcome<'_>> =
        all.iter().copied().filter(|o| o.failed == Some(Blame::System) || (o.failed == Some(Blame::Payload) && counts(o))).collect();
    Finding {
        machine: None,
        ended: failed.len() + all.iter().filter(|o| o.failed.is_none()).count(),
        failed: failed.len(),
        system: failed.iter().filter(|o| o.failed == Some(Blame::System)).count(),
        tasks: failed.iter().map(|o| o.task).collect::<BTreeSet<_>>().len(),
        people: people(failed.iter().copied()),
        peers: Peers {
            since_us: median(failed.iter().map(|o| o.started_us).collect()),
            age_us: median(failed.iter().map(|o| o.ended_us - o.started_us).collect()),
        },
        running: 0,
    }
}

#[expect(clippy::cast_precision_loss, reason = "a few thousand jobs at most")]
fn over(f: &Finding, l: &Limits) -> bool {
    f.ended >= l.min_jobs.max(1) && f.failed as f64 >= l.rate * f.ended as f64
}

/// Whether the queue as a whole is to be held.
#[must_use]
pub fn queue(outcomes: &[Outcome<'_>], l: &Limits) -> Option<Finding> {
    let all: Vec<&Outcome<'_>> = outcomes.iter().collect();
    let many = people(outcomes.iter().filter(|o| o.failed == Some(Blame::Payload))) >= l.min_people;
    let f = weigh(&all, |_| many);
    over(&f, l).then_some(f)
}

/// The machines that are to be held, by name: they fail while the rest of the queue does well.
#[must_use]
pub fn machines(outcomes: &[Outcome<'_>], l: &Limits) -> Vec<Finding> {
    let mut by: BTreeMap<&str, Vec<&Outcome<'_>>> = BTreeMap::new();
    let mut good: BTreeMap<i64, BTreeSet<&str>> = BTreeMap::new();
    for o in outcomes.iter().filter(|o| !o.machine.is_empty()) {
        by.entry(o.machine).or_default().push(o);
        if o.failed.is_none() {
            good.entry(o.task).or_default().insert(o.machine);
        }
    }
    let mut found = Vec::new();
    for (name, own) in &by {
        let rest: Vec<&Outcome<'_>> = by.iter().filter(|(n, _)| *n != name).flat_map(|(_, o)| o.iter().copied()).collect();
        let many = people(own.iter().copied().filter(|o| o.failed == Some(Blame::Payload))) >= l.min_people;
        let elsewhere = |task: i64| good.get(&task).is_some_and(|m| m.iter().any(|m| m != name));
        let f = weigh(own, |o| many || elsewhere(o.task));
        let others = weigh(&rest, |_| true);
        // Twice as many failures elsewhere and it is the queue, or the payloads.
        let rest_is_well = others.ended > others.failed && !over(&others, &Limits { min_jobs: 1, rate: l.rate / 2.0, ..*l });
        if over(&f, l) && rest_is_well {
            found.push(Finding { machine: Some((*name).to_owned()), ..f });
        }
    }
    found
}

/// Seconds until the next canary job after one that failed.
#[must_use]
pub fn next_wait(wait_s: i64, most_s: i64) -> i64 {
    wait_s.saturating_mul(2).clamp(1, most_s.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUEUE: Limits = Limits { min_jobs: 10, rate: 0.8, min_people: 3, early_rate: 0.2 };
    const NODE: Limits = Limits { min_jobs: 5, rate: 0.9, min_people: 3, early_rate: 0.2 };

    fn some(n: usize, failed: Option<Blame>, task: i64, person: i64, machine: &str) -> Vec<Outcome<'_>> {
        (0..n).map(|_| Outcome { failed, task, person, machine, started_us: 0, ended_us: 60 }).collect()
    }

    #[test]
    fn blame_by_codes() {
        for (codes, want) in [
            (vec![(Source::Pilot, 1_305), (Source::Trans, 1)], Blame::Payload),
            (vec![(Source::Pilot, 1_212)], Blame::Payload),
            (vec![(Source::Trans, 65)], Blame::Payload),
            (vec![(Source::Pilot, 1_099)], Blame::System),
            (vec![(Source::Pilot, -1_152)], Blame::System),
            (vec![(Source::Pilot, 1_137), (Source::Trans, 1)], Blame::System),
            (vec![(Source::Dispatcher, 100)], Blame::System),
            (vec![(Source::Pilot, 9_999)], Blame::System),
            (vec![], Blame::System),
        ] {
            assert_eq!(blame(&codes), want, "{codes:?}");
        }
        assert!([BUILD_FAILED, MERGE_FAILED].iter().all(|code| is_elsewhere(&[(Source::Server, *code)])));
        // What the merge job itself reports.
        assert!(!is_elsewhere(&[(Source::Pilot, 1_099)]) && !is_elsewhere(&[(Source::Pilot, 1_305), (Source::Trans, 18)]));
    }

    #[test]
    fn the_system_s_failures_hold_a_queue() {
        let mut all = some(9, Some(Blame::System), 1, 1, "n1");
        assert_eq!(queue(&all, &QUEUE), None, "too few");
        all.extend(some(2, None, 1, 1, "n1"));
        let f = queue(&all, &QUEUE).unwrap();
        assert_eq!((f.failed, f.ended, f.system), (9, 11, 9));
        assert_eq!(
            f.sentence(60),
            "9 of 11 jobs that ended in 60 minutes failed, 9 of them by the system's fault, of 1 tasks and 1 people"
        );
        all.extend(some(2, None, 1, 1, "n1"));
        assert_eq!(queue(&all, &QUEUE), None, "9 of 13");
    }

    #[test]
    fn one_user_s_broken_code_holds_nothing() {
        let mut all = some(1_000, Some(Blame::Payload), 1, 1, "n1");
        all.extend(some(3, None, 2, 2, "n1"));
        assert_eq!(queue(&all, &QUEUE), None);
        assert_eq!(machines(&all, &NODE), []);
        all.extend(some(20, Some(Blame::Payload), 3, 2, "n1"));
        assert_eq!(queue(&all, &QUEUE), None, "nor two users'");
        all.extend(some(20, Some(Blame::Payload), 4, 3, "n1"));
        assert_eq!(queue(&all, &QUEUE).unwrap().people, 3);
        // What one user breaks does not hide what the system breaks either.
        let mut all = some(1_000, Some(Blame::Payload), 1, 1, "n1");
        all.extend(some(12, Some(Blame::System), 2, 2, "n1"));
        assert_eq!(queue(&all, &QUEUE).unwrap().ended, 12);
    }

    #[test]
    fn a_black_hole_is_found_and_the_rest_goes_on() {
        let mut all = some(8, Some(Blame::System), 1, 1, "hole");
        all.extend(some(30, None, 1, 1, "n1"));
        assert_eq!(queue(&all, &QUEUE), None);
        assert_eq!(machines(&all, &NODE).iter().map(|f| f.machine.as_deref()).collect::<Vec<_>>(), [Some("hole")]);
        // The same task does well elsewhere: then a payload's failure counts, too.
        let mut all = some(8, Some(Blame::Payload), 1, 1, "hole");
        all.extend(some(30, None, 1, 1, "n1"));
        assert_eq!(machines(&all, &NODE).len(), 1);
        let mut all = some(8, Some(Blame::Payload), 1, 1, "hole");
        all.extend(some(30, None, 2, 1, "n1"));
        assert_eq!(machines(&all, &NODE), []);
    }

    /// Of jobs that take hours the failed ones end first; those that started with them and run on speak for the queue.
    #[test]
    fn running_jobs_acquit() {
        let at = |started_us, ended_us| Outcome { failed: Some(Blame::System), task: 1, person: 1, machine: "n1", started_us, ended_us };
        let early: Vec<_> = (0..12).map(|n| at(n * 10, n * 10 + 50 + n)).collect();
        let f = queue(&early, &QUEUE).unwrap();
        assert_eq!(f.peers, Peers { since_us: 60, age_us: 56 });
        // 12 of 60 are a fifth: held; 12 of 61 are less.
        assert_eq!(f.acquitted_by(&QUEUE), 49);
        assert_eq!(f.acquitted_by(&Limits { early_rate: 0.0, ..QUEUE }), usize::MAX);
        let said = Finding { running: 7, ..f.clone() }.sentence(60);
        assert!(said.ends_with("of 1 tasks and 1 people; 7 that started with them run on"), "{said}");
        // A few that failed after hours do not make hours of running jobs witnesses of what fails at once now.
        let mut all: Vec<_> = (0..20).map(|n| at(10_000 + n, 10_001 + n)).collect();
        all.extend((0..10).map(|n| at(n, 10_000)));
        assert_eq!(queue(&all, &QUEUE).unwrap().peers, Peers { since_us: 10_005, age_us: 1 });
    }

    #[test]
    fn where_everything_fails_it_is_not_the_machine() {
        let mut all = some(8, Some(Blame::System), 1, 1, "n1");
        all.extend(some(8, Some(Blame::System), 1, 1, "n2"));
        assert_eq!(machines(&all, &NODE), []);
        assert!(queue(&all, &QUEUE).is_some());
        assert_eq!(machines(&some(8, Some(Blame::System), 1, 1, "only"), &NODE), []);
    }

    #[test]
    fn waits_double_up_to_a_bound() {
        let waits: Vec<i64> = std::iter::successors(Some(600), |w| Some(next_wait(*w, 3_000))).take(4).collect();
        assert_eq!(waits, [600, 1_200, 2_400, 3_000]);
        assert_eq!((machine("slot1@node7"), machine("node7")), ("node7", "node7"));
    }
}
