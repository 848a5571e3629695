use std::collections::BTreeSet;

use super::*;
use crate::id::QueueId;
use crate::job::state::JobState;
use crate::policy::load::{AtQueue, Ended};
use crate::queue::hardware::{CpuNeed, Cpus, GpuNeed, Gpus};
use crate::queue::{Capability, PilotFamily, Queue, QueueKind, QueueState};
use crate::time::{Micros, SplitMix64};

/// The present time of these tests.
pub(super) const NOW: Micros = Micros::from_hours(100);

/// Queues with what is on them, and all that the broker knows.
pub(super) struct Bench {
    pub(super) queues: Vec<(Queue, AtQueue)>,
    pub(super) storages: Storages,
    pub(super) input: Option<Locality>,
    pub(super) limits: Limits,
    used: BTreeSet<String>,
}

impl Bench {
    pub(super) fn new(queues: impl IntoIterator<Item = Queue>) -> Self {
        let queues = queues.into_iter().map(|q| (q, AtQueue::default())).collect();
        Self { queues, storages: Storages::default(), input: None, limits: Limits::default(), used: BTreeSet::new() }
    }
    fn with<R>(&self, act: impl FnOnce(&World<'_>) -> R) -> R {
        let offers: Vec<Offer<'_>> = self.queues.iter().map(|(queue, at)| Offer { queue, at }).collect();
        let mut all = crate::policy::load::Counts::default();
        for (_, at) in &self.queues {
            for state in JobState::LIVE {
                all.add(*state, at.all.jobs(&[*state]), 0);
            }
        }
        act(&World {
            offers: &offers,
            storages: &self.storages,
            input: self.input.as_ref(),
            all,
            limits: &self.limits,
            used: &self.used,
            now: NOW,
        })
    }
    pub(super) fn decide(&self, needs: &Needs, seed: u64) -> Decision {
        self.with(|w| decide(needs, w, &mut SplitMix64::new(seed)))
    }
    /// The filter that the first queue falls to.
    fn falls(&self, needs: &Needs) -> Option<&'static str> {
        let decision = self.decide(needs, 1);
        decision.funnel.first().map(|r| r.criterion.as_str())
    }
}

pub(super) fn queue(name: &str) -> Queue {
    Queue::new(QueueId(i64::from(name.bytes().map(u32::from).sum::<u32>())), name)
}
pub(super) fn needs() -> Needs {
    Needs {
        vo: "amber".into(),
        label: "user".into(),
        class: "analysis".into(),
        processing_type: "run".into(),
        resource_type: "SCORE".into(),
        cores: 1,
        ram: Ram::job(2_000),
        person: 7,
        ..Needs::default()
    }
}
pub(super) fn text(t: &str) -> Option<String> {
    Some(t.to_owned())
}

/// engine.md 8.1 to 8.3: what a queue offers, filter by filter: (filter, queue that falls, needs that it falls with, queue that passes).
#[test]
fn each_filter_of_what_a_queue_offers() {
    let q = || queue("A");
    let n = needs;
    let cases: Vec<(&str, Queue, Needs, Queue)> = vec![
        ("site", q(), Needs { only: vec!["B".into()], ..n() }, queue("B")),
        ("site", q(), Needs { only: vec!["B*".into()], ..n() }, queue("BX")),
        ("site", q(), Needs { only: vec!["A/MCORE".into()], ..n() }, q()),
        ("excluded", q(), Needs { never: vec!["*A".into()], ..n() }, queue("B")),
        ("cloud", q(), Needs { cloud: text("X"), ..n() }, Queue { cloud: text("X"), ..q() }),
        ("vo", Queue { vos: vec!["flint".into()], ..q() }, n(), Queue { vos: vec!["amber".into()], ..q() }),
        ("status", Queue { state: QueueState::Offline, ..q() }, n(), q()),
        ("status", Queue { state: QueueState::Test, ..q() }, n(), q()),
        ("status", Queue { state: QueueState::Brokeroff, ..q() }, n(), q()),
        ("status", Queue { state: QueueState::Paused, ..q() }, Needs { only: vec!["A".into()], ..n() }, q()),
        ("held", Queue { hold: text("broken disk"), ..q() }, n(), q()),
        ("label", Queue { kind: QueueKind::Production, ..q() }, n(), Queue { kind: QueueKind::Analysis, ..q() }),
        ("label", Queue { kind: QueueKind::Analysis, ..q() }, Needs { class: "production".into(), ..n() }, q()),
        ("share", Queue { zero_shares: vec!["slow".into()], ..q() }, Needs { share: "slow".into(), ..n() }, q()),
        ("share", Queue { zero_shares: vec!["run".into()], ..q() }, n(), Queue { zero_shares: vec!["evgen".into()], ..q() }),
        ("processing", Queue { excluded_processing: vec!["r*".into()], ..q() }, n(), q()),
        (
            "processing",
            Queue { allowed_processing: vec!["evgen".into()], ..q() },
            n(),
            Queue { allowed_processing: vec!["run".into()], ..q() },
        ),
        ("pilot", Queue { family: PilotFamily::OfficialGeneric, ..q() }, Needs { native: Some("a pattern"), ..n() }, q()),
        ("disk", Queue { max_workdir_mb: 500, ..q() }, Needs { disk_mb: 400, input_mb: 101, ..n() }, Queue { max_workdir_mb: 501, ..q() }),
        (
            "disk",
            Queue { max_workdir_mb: 500, direct_io: true, ..q() },
            Needs { disk_mb: 400, input_mb: 900, copies_input: true, ..n() },
            Queue { max_workdir_mb: 1_300, ..q() },
        ),
        ("walltime", Queue { max_time_s: 3_600, ..q() }, Needs { walltime_s: 3_601, ..n() }, Queue { max_time_s: 3_601, ..q() }),
        ("walltime", Queue { min_time_s: 60, ..q() }, Needs { walltime_s: 59, ..n() }, Queue { min_time_s: 59, ..q() }),
        (
            "walltime",
            Queue { max_time_s: 999, core_power_milli: 10_000, ..q() },
            Needs { work: Work { cpu_s: 8_000, base_s: 200, efficiency: 100 }, ..n() },
            Queue { max_time_s: 1_000, core_power_milli: 10_000, ..q() },
        ),
        (
            "walltime",
            Queue { max_time_s: 1_000, core_power_milli: 5_000, ..q() },
            Needs { work: Work { cpu_s: 10_000, base_s: 0, efficiency: 50 }, cores: 2, ..n() },
            Queue { max_time_s: 2_000, core_power_milli: 5_000, ..q() },
        ),
        ("cores", Queue { core_count: 4, ..q() }, Needs { cores: 8, ..n() }, Queue { core_count: 8, ..q() }),
        ("cores", Queue { capability: Capability::Mcore, core_count: 8, ..q() }, n(), Queue { capability: Capability::Score, ..q() }),
        ("cores", Queue { capability: Capability::Score, ..q() }, Needs { cores: 8, ..n() }, Queue { core_count: -1, ..q() }),
        ("memory", Queue { max_rss_mb: 1_799, ..q() }, n(), Queue { max_rss_mb: 1_800, ..q() }),
        ("memory", Queue { min_rss_mb: 2_001, ..q() }, n(), Queue { min_rss_mb: 2_000, ..q() }),
        (
            "memory",
            Queue { max_rss_mb: 16_000, core_count: 8, ..q() },
            Needs { cores: 8, ram: Ram { mb: 2_300, per_core: true, ..Ram::default() }, ..n() },
            Queue { max_rss_mb: 16_560, core_count: 8, ..q() },
        ),
        (
            "memory",
            Queue { max_rss_mb: 7_200, core_count: 8, capability: Capability::Ucore, ..q() },
            n(),
            Queue { max_rss_mb: 14_400, core_count: 8, capability: Capability::Ucore, ..q() },
        ),
        (
            "gpu",
            q(),
            Needs { gpu: Some(GpuNeed { count: 1, ..GpuNeed::default() }), ..n() },
            Queue { gpus: Gpus { count: 1, ..Gpus::default() }, ..q() },
        ),
        (
            "cpu",
            q(),
            Needs { cpus: vec![CpuNeed { arch: text("aarch64"), ..CpuNeed::default() }], ..n() },
            Queue { cpus: Cpus { archs: vec!["aarch64".into()], ..Cpus::default() }, ..q() },
        ),
        (
            "software",
            Queue { releases: vec!["R-1".into()], ..q() },
            Needs { software: vec!["R-2".into()], ..n() },
            Queue { releases: vec!["ANY".into()], ..q() },
        ),
        (
            "software",
            Queue { platforms: vec!["x86_64-el8-gcc11-opt".into()], ..q() },
            Needs { platform: text("x86_64-el9-gcc13-opt"), ..n() },
            Queue { platforms: vec!["x86_64-el9-*".into()], ..q() },
        ),
        ("container", q(), Needs { image: text("docker://alpine"), ..n() }, Queue { has_container: true, ..q() }),
        (
            "container",
            Queue { has_container: true, ..q() },
            Needs { image: text("docker://alpine"), only_tags: true, ..n() },
            Queue { has_container: true, image_tags: vec!["docker://*".into()], ..q() },
        ),
        (
            "system",
            Queue { systems: vec!["el8".into()], ..q() },
            Needs { platform: text("x86_64-el9-gcc13-opt"), same_os: true, ..n() },
            Queue { systems: vec!["EL9".into()], ..q() },
        ),
        ("network", Queue { connectivity: text("http"), ..q() }, Needs { connectivity: text("full"), ..n() }, q()),
        ("network", q(), Needs { ip_version: Some(6), ..n() }, Queue { ip_versions: vec![4, 6], ..q() }),
        ("virtual", Queue { is_virtual: true, ..q() }, Needs { no_virtual: true, ..n() }, q()),
        ("io", Queue { max_io_kb_s: 100, ..q() }, Needs { io_kb_s: 101, ..n() }, Queue { max_io_kb_s: 101, ..q() }),
    ];
    for (at, (want, falls, needs, passes)) in cases.into_iter().enumerate() {
        assert_eq!(Bench::new([falls]).falls(&needs), Some(want), "case {at}");
        let needs = if want == "site" { Needs { resource_type: "MCORE".into(), ..needs } } else { needs };
        assert_eq!(Bench::new([passes]).falls(&needs), None, "case {at}: {want}");
    }
}

/// engine.md 8.1 row 1: a pre-assigned queue need not be online; tests go to test queues.
#[test]
fn queues_asked_for_by_name_and_tests() {
    let closed = |state| Bench::new([Queue { state, ..queue("A") }]);
    let named = Needs { only: vec!["A".into()], ..needs() };
    assert_eq!(closed(QueueState::Test).falls(&named), None);
    assert_eq!(closed(QueueState::Brokeroff).falls(&named), None);
    assert_eq!(closed(QueueState::Test).falls(&Needs { only: vec!["A*".into()], ..needs() }), Some("status"));
    assert_eq!(closed(QueueState::Test).falls(&Needs { is_test: true, ..needs() }), None);
    let any = Needs { cores: 0, max_cores: 4, ram: Ram { mb: 1_000, per_core: true, base_mb: 500, ..Ram::default() }, ..needs() };
    let wide = Queue { core_count: 8, ..queue("A") };
    assert_eq!((any.cores_at(&wide), any.ram_at(&wide), any.cores_at(&queue("A"))), (4, 4_500, 1));
}

/// engine.md 8.1 row 3, 8.2 "SE free space/usable".
#[test]
fn storages_that_are_full_or_closed() {
    let mut b = Bench::new([Queue { storage: text("S"), ..queue("A") }]);
    let input = Locality { all: Amount { files: 1, bytes: 1 }, anywhere: Amount { files: 1, bytes: 1 }, ..Locality::default() };
    let mut with = |e: Endpoint, read: bool| {
        b.storages.endpoints.insert("S".into(), e);
        b.input = read.then(|| input.clone());
        b.falls(&needs())
    };
    assert_eq!(with(Endpoint { free_gb: Some(199), ..Endpoint::default() }, false), Some("space"));
    assert_eq!(with(Endpoint { free_gb: Some(200), ..Endpoint::default() }, false), None);
    assert_eq!(with(Endpoint { writable: false, ..Endpoint::default() }, false), Some("write"));
    assert_eq!(with(Endpoint { active: false, ..Endpoint::default() }, false), Some("write"));
    assert_eq!(with(Endpoint { readable: false, ..Endpoint::default() }, false), None, "there is nothing to read");
    assert_eq!(with(Endpoint { readable: false, ..Endpoint::default() }, true), Some("read"));
}

pub(super) fn input_at(at: &[(&str, i64)], nowhere: i64) -> Locality {
    let amount = |files: i64| Amount { files, bytes: files * 1_000_000_000 };
    let files = at.iter().map(|(_, n)| n).sum::<i64>() + nowhere;
    Locality { all: amount(files), anywhere: Amount::default(), at: at.iter().map(|(e, n)| ((*e).to_owned(), amount(*n))).collect() }
}

/// engine.md 8.1 row 9, 8.2 "dataset completeness", "number of file moves", 20.11 (90 %, 10 files).
#[test]
fn input_must_be_there_or_come_there() {
    let mut b = Bench::new([Queue { storage: text("S"), ..queue("A") }]);
    let far = Storages::default();
    let mut near = Storages::default();
    near.link("T", "S", Link { cost: 5, mbps: Some(100), queued: 150 });
    let mut with = |at: &[(&str, i64)], nowhere: i64, storages: &Storages| {
        b.input = Some(input_at(at, nowhere));
        b.storages = storages.clone();
        b.falls(&needs())
    };
    assert_eq!(with(&[("S", 100)], 0, &far), None);
    assert_eq!(with(&[("S", 99), ("T", 1)], 0, &far), Some("data"));
    assert_eq!(with(&[("S", 99), ("T", 1)], 0, &near), None);
    assert_eq!(with(&[("S", 100)], 10, &far), None, "10 files are nowhere");
    assert_eq!(with(&[("S", 200)], 11, &far), Some("data"));
    assert_eq!(with(&[("S", 80)], 9, &far), Some("data"), "less than 90 %");
    near.link("T", "S", Link { cost: 5, mbps: Some(100), queued: 151 });
    assert_eq!(with(&[("T", 9)], 0, &near), Some("transfer"));
    assert_eq!(with(&[("S", 9)], 0, &near), None, "nothing takes that way");
    let decision = Bench { input: Some(input_at(&[("S", 1)], 5)), ..Bench::new([Queue { storage: text("S"), ..queue("A") }]) };
    let sentence = decision.decide(&needs(), 1).sentence();
    assert_eq!(sentence, "no queue of 1 can take it: 1 that cannot get the input, of which 5 of 6 files lie at no usable storage (A)");
}

/// engine.md 8.2 "IO intensity", 20.11 (200 kB/s, 10 GB, 100 files); "network quality".
#[test]
fn jobs_that_read_much_go_to_their_input() {
    let mut b = Bench::new([Queue { storage: text("S"), ..queue("A") }]);
    b.storages.link("T", "S", Link { cost: 5, mbps: None, queued: 0 });
    let mut with = |files: i64, io_kb_s: i64| {
        b.input = Some(input_at(&[("T", files)], 0));
        b.falls(&Needs { io_kb_s, ..needs() })
    };
    assert_eq!(with(10, 201), None);
    assert_eq!(with(11, 200), None);
    assert_eq!(with(11, 201), Some("io"));
    b.input = Some(input_at(&[("T", 1)], 0));
    b.limits.max_cost = Some(4);
    assert_eq!(b.falls(&needs()), Some("transfer"));
}

/// engine.md 8.2 "nucleus-satellite link".
#[test]
fn outputs_must_find_a_way_to_the_nucleus() {
    let mut b = Bench::new([Queue { storage: text("S"), ..queue("A") }]);
    let asks = Needs { nucleus: text("N"), ..needs() };
    assert_eq!(b.falls(&asks), Some("nucleus"));
    assert_eq!(b.falls(&Needs { nucleus: text("S"), ..needs() }), None);
    b.storages.link("S", "N", Link::default());
    assert_eq!(b.falls(&asks), None);
    let writes = Bench::new([Queue { storage: text("S"), writes: vec!["N".into()], ..queue("A") }]);
    assert_eq!(writes.falls(&asks), None, "its jobs write there");
}

/// 8.4 "jobs": an online queue that could take the task's jobs and has a way to the nucleus; its load does not count.
#[test]
fn a_nucleus_needs_a_queue() {
    let asks = Needs { nucleus: text("S"), ..needs() };
    let reached = |q: Queue| Bench::new([Queue { storage: text("S"), ..q }]).with(|w| reaches(&asks, w));
    assert!(reached(queue("A")) && reached(Queue { hold: text("broken disk"), ..queue("A") }));
    assert!(!reached(Queue { state: QueueState::Offline, ..queue("A") }) && !reached(Queue { max_rss_mb: 900, ..queue("A") }));
    assert!(!Bench::new([Queue { storage: text("T"), ..queue("A") }]).with(|w| reaches(&asks, w)));
}

pub(super) fn busy(states: &[(JobState, i64)]) -> AtQueue {
    let mut at = AtQueue::default();
    for (state, n) in states {
        at.all.add(*state, *n, *n);
        at.by_type.entry("SCORE".into()).or_default().add(*state, *n, *n);
        at.by_person.entry(7).or_default().add(*state, *n, *n);
    }
    at
}

/// engine.md 8.1 row 8, 8.2 and 8.3: what is on a queue, filter by filter; 20.11 for the numbers; 18: the cap per type excludes.
#[test]
fn each_filter_of_the_load() {
    use JobState::{Activated, Running, Transferring};
    let falls = |queue: Queue, at: AtQueue, change: &dyn Fn(&mut Limits)| {
        let mut b = Bench::new([]);
        change(&mut b.limits);
        // Another queue stands beside it, so that filters that only prefer do what they can.
        b.queues = vec![(queue, at), (Queue { allow_no_pilot: true, ..self::queue("Z") }, AtQueue::default())];
        b.falls(&needs())
    };
    let q = || queue("A");
    let none = |_: &mut Limits| {};
    let seen = |hours: i64| AtQueue { pilot_seen: Some(NOW - Micros::from_hours(hours)), ..AtQueue::default() };
    let window = |l: &mut Limits| l.pilot_window_s = Some(3 * 3_600);
    assert_eq!(falls(q(), AtQueue::default(), &none), None);
    assert_eq!(falls(q(), AtQueue::default(), &window), Some("no_pilot"));
    assert_eq!(falls(q(), seen(4), &window), Some("no_pilot"));
    assert_eq!(falls(q(), seen(3), &window), None);
    assert_eq!(falls(Queue { allow_no_pilot: true, ..q() }, seen(4), &window), None);
    assert_eq!(falls(q(), busy(&[(Activated, 5)]), &|l| l.user_cap = Some(5)), Some("user_cap"));
    assert_eq!(falls(q(), busy(&[(Activated, 4)]), &|l| l.user_cap = Some(5)), None);
    assert_eq!(falls(Queue { max_queued: 5, ..q() }, busy(&[(Activated, 5)]), &none), Some("queue_cap"));
    let cap = |l: &mut Limits| l.queue_cap = Some(20);
    assert_eq!(falls(q(), busy(&[(Activated, 20)]), &cap), Some("queue_cap"));
    assert_eq!(falls(q(), busy(&[(Activated, 20), (Running, 11)]), &cap), None);
    let kind = |l: &mut Limits| l.type_cap = Some((20, 2.0));
    assert_eq!(falls(q(), busy(&[(Activated, 21)]), &kind), Some("type_cap"));
    assert_eq!(falls(q(), busy(&[(Activated, 22), (Running, 11)]), &kind), None);
    assert_eq!(falls(Queue { transferring_limit: 9, ..q() }, busy(&[(Transferring, 10)]), &none), Some("transferring"));
    assert_eq!(falls(Queue { transferring_limit: 9, ..q() }, busy(&[(Transferring, 10), (Running, 5)]), &none), None);
    let over = |l: &mut Limits| l.overload = Some((20, 1.2));
    assert_eq!(falls(q(), busy(&[(Activated, 20)]), &over), None);
    assert_eq!(falls(q(), busy(&[(Activated, 21), (Running, 1)]), &over), None, "all queues together are no better");
    let mut b = Bench::new([]);
    b.limits.overload = Some((20, 1.2));
    b.queues = vec![(q(), busy(&[(Activated, 30), (Running, 10)])), (queue("Z"), busy(&[(Activated, 1), (Running, 20)]))];
    assert_eq!(b.falls(&needs()), Some("overload"), "3 where all have 31 / 30");
    let started = |hours: i64, waits: i64| AtQueue { last_start: Some(NOW - Micros::from_hours(hours)), ..busy(&[(Activated, waits)]) };
    assert_eq!(falls(q(), started(3, 1), &none), Some("inactive"));
    assert_eq!(falls(q(), started(3, 0), &none), None, "nothing waits");
    assert_eq!(falls(q(), started(2, 1), &none), None);
    let ended = |finished, failed| AtQueue { ended: [(7, Ended { finished, failed })].into(), ..AtQueue::default() };
    assert_eq!(falls(q(), ended(0, 5), &none), None);
    assert_eq!(falls(q(), ended(2, 6), &none), Some("failure"));
    assert_eq!(falls(q(), ended(3, 6), &none), None);
    assert_eq!(falls(q(), ended(0, 60), &|l| l.failure_min = None), None);
}

/// 13.1: a queue that jobs were taken away from is avoided, but not when it is the only one.
#[test]
fn filters_that_prefer_never_take_the_last_queue() {
    let asks = Needs { moved: [(queue("A").id, "congested".to_owned())].into(), ..needs() };
    assert_eq!(Bench::new([queue("A"), queue("B")]).falls(&asks), Some("moved"));
    let alone = Bench::new([queue("A")]).decide(&asks, 1);
    assert_eq!((alone.chosen(), alone.waived.as_slice(), alone.funnel.len()), (Some("A"), [Criterion::Moved].as_slice(), 0));
}

/// 8.1: (running+1)/(activated+defined+1)/(defined+1); the others of 20.11.
#[test]
fn weights_by_configuration() {
    use JobState::{Activated, Assigned, Defined, Running, Starting};
    let weigh = |terms_text: &str, at: AtQueue, input: Option<Locality>| {
        let mut b = Bench::new([Queue { storage: text("S"), ..queue("A") }]);
        b.queues[0].1 = at;
        b.input = input;
        b.storages.link("T", "S", Link { cost: 3, mbps: None, queued: 0 });
        b.storages.link("F", "S", Link { cost: 3, mbps: Some(8_000), queued: 0 });
        b.storages.endpoints.insert("S".into(), Endpoint { free_gb: Some(250_000), ..Endpoint::default() });
        b.limits.terms = terms(terms_text).unwrap();
        let found = b.decide(&needs(), 1).kept[0].weight;
        format!("{found:.4}")
    };
    assert_eq!(weigh("load", busy(&[(Running, 3), (Defined, 2)]), None), "0.4444", "4 / 3 / 3");
    assert_eq!(weigh("load", busy(&[(Running, 3), (Activated, 4)]), None), "0.8000");
    assert_eq!(weigh("load=0", busy(&[(Running, 3)]), None), "1.0000");
    assert_eq!(weigh("load=2", busy(&[(Running, 3)]), None), "16.0000");
    assert_eq!(weigh("production", busy(&[(Running, 9), (Activated, 5), (Starting, 3), (Defined, 2)]), None), "0.5000");
    let moved = Some(input_at(&[("S", 1), ("T", 100)], 0));
    assert_eq!(weigh("production", busy(&[(Running, 9), (Activated, 1), (Assigned, 9)]), moved.clone()), "0.2500", "10 / 20 / 2");
    assert_eq!(weigh("locality", AtQueue::default(), moved), "0.5050", "102 / 101 / 2");
    assert_eq!(weigh("network", AtQueue::default(), Some(input_at(&[("T", 1)], 0))), "0.2500");
    assert_eq!(weigh("network", AtQueue::default(), Some(input_at(&[("F", 3_600)], 0))), "0.5000", "one hour");
    assert_eq!(weigh("network", AtQueue::default(), Some(input_at(&[("S", 1)], 0))), "1.0000");
    assert_eq!(weigh("space", AtQueue::default(), None), "0.2500");
    let ended = AtQueue { ended: [(7, Ended { finished: 1, failed: 6 })].into(), ..AtQueue::default() };
    assert_eq!(weigh("success", ended.clone(), None), "0.2500");
    assert_eq!(weigh("load,success=0.5", ended, None), "0.5000");
    for bad in ["", "luck", "load,load", "load=-1", "load=x"] {
        assert!(terms(bad).is_err(), "{bad}");
    }
    let mut b = Bench::new([queue("A"), queue("B")]);
    b.queues[0].1 = busy(&[(Activated, 99)]);
    b.limits.min_weight = 0.5;
    assert_eq!(b.falls(&needs()), Some("weight"));
}

/// 8.1: queues in use are kept, the rest in descending weight up to 5, at random among ties, and a draw by weight.
#[test]
fn five_queues_are_kept_beside_those_in_use() {
    let names = ["A", "B", "C", "D", "E", "F", "G", "H"];
    let mut b = Bench::new(names.map(queue));
    for (at, n) in b.queues.iter_mut().zip(0..) {
        at.1 = busy(&[(JobState::Activated, n)]);
    }
    let kept = |d: &Decision| d.kept.iter().map(|k| k.queue.clone()).collect::<Vec<_>>();
    assert_eq!(kept(&b.decide(&needs(), 1)), ["A", "B", "C", "D", "E"]);
    b.used.insert("H".into());
    let d = b.decide(&needs(), 1);
    assert_eq!((kept(&d), d.passed), (["A", "B", "C", "D", "E", "H"].map(str::to_owned).to_vec(), 8));
    assert!(d.kept[5].used && !d.kept[0].used);
    // A draw by weight: 1 : 1/2 : 1/3 : ….
    let mut drawn = std::collections::BTreeMap::new();
    for seed in 0..4_000 {
        *drawn.entry(b.decide(&needs(), seed).chosen().unwrap().to_owned()).or_insert(0) += 1;
    }
    let total: f64 = [1.0, 1.0 / 2.0, 1.0 / 3.0, 1.0 / 4.0, 1.0 / 5.0, 1.0 / 8.0].iter().sum();
    for (name, weight) in [("A", 1.0), ("B", 0.5), ("E", 0.2), ("H", 0.125)] {
        let (found, want) = (f64::from(drawn[name]) / 4_000.0, weight / total);
        assert!((found - want).abs() < 0.03, "{name}: {found} of {want}");
    }
    // Equals: every one is kept at times.
    let equal = Bench::new(names.map(queue));
    let mut ever = BTreeSet::new();
    (0..40).for_each(|seed| ever.extend(kept(&equal.decide(&needs(), seed))));
    assert_eq!(ever.len(), names.len());
}

/// Made-up queues and needs.
fn any_bench(seed: u64, n: usize) -> (Bench, Needs) {
    let mut r = SplitMix64::new(seed);
    let mut one = |of: &[i64]| of[usize::try_from(r.below(of.len() as u64)).unwrap()];
    let mut queues = Vec::new();
    for i in 0..n {
        queues.push(Queue {
            id: QueueId(i64::try_from(i).unwrap()),
            state: if one(&[0, 0, 0, 1]) == 1 { QueueState::Offline } else { QueueState::Online },
            core_count: one(&[0, 1, 4, 8, -1]),
            max_rss_mb: one(&[0, 2_000, 3_000, 4_000, 16_000]),
            min_rss_mb: one(&[0, 0, 0, 2_500]),
            max_time_s: one(&[0, 3_600, 7_200]),
            min_time_s: one(&[0, 0, 5_000]),
            max_workdir_mb: one(&[0, 1_000, 20_000]),
            gpus: Gpus { count: one(&[0, 0, 1]), ..Gpus::default() },
            has_container: one(&[0, 1]) == 1,
            vos: if one(&[0, 0, 0, 1]) == 1 { vec!["flint".into()] } else { Vec::new() },
            capability: if one(&[0, 1]) == 1 { Capability::Ucore } else { Capability::Any },
            direct_io: one(&[0, 1]) == 1,
            ..Queue::new(QueueId(0), format!("Q{i:03}"))
        });
    }
    let mut b = Bench::new(queues);
    for (_, at) in &mut b.queues {
        *at = busy(&[(JobState::Activated, one(&[0, 1, 30, 100])), (JobState::Running, one(&[0, 5, 50]))]);
    }
    b.limits.type_cap = if one(&[0, 1]) == 1 { Some((20, 2.0)) } else { None };
    let asks = Needs {
        cores: one(&[0, 1, 4, 8]),
        ram: Ram { mb: one(&[500, 2_000, 4_000, 20_000]), per_core: one(&[0, 1]) == 1, base_mb: one(&[0, 300]), fixed: false },
        disk_mb: one(&[0, 2_000, 30_000]),
        input_mb: one(&[0, 500]),
        walltime_s: one(&[0, 1_000, 5_000, 100_000]),
        gpu: (one(&[0, 0, 1]) == 1).then(GpuNeed::default),
        image: (one(&[0, 1]) == 1).then(|| "docker://x".to_owned()),
        only: if one(&[0, 0, 1]) == 1 { vec!["Q00*".into()] } else { Vec::new() },
        ..needs()
    };
    (b, asks)
}

/// Considered = removed by each filter + passed; the same arguments give the same answer, whatever order of names they were drawn in.
#[test]
fn funnels_add_up_and_replay() {
    for seed in 0..300 {
        let (b, asks) = any_bench(seed, 60);
        let d = b.decide(&asks, seed);
        let removed: usize = d.funnel.iter().map(|r| r.count).sum();
        assert_eq!(removed + d.passed, d.considered, "seed {seed}");
        assert!(d.funnel.is_sorted_by_key(|r| r.criterion) && d.funnel.iter().all(|r| r.queues.len() <= MAX_NAMES && r.count > 0));
        assert!(d.kept.len() <= d.passed && d.kept.len() >= d.passed.min(5));
        assert_eq!(d.chosen().is_some(), d.passed > 0);
        assert_eq!(d, b.decide(&asks, seed));
        // What is left passes everything, what is not does not.
        b.with(|w| {
            let passing = w.offers.iter().filter(|o| Criterion::ALL.iter().all(|c| c.is_soft() || c.passes(o, &asks, w))).count();
            assert_eq!(passing, d.passed, "seed {seed}");
        });
    }
}

/// A relaxation says how many queues more there would be: so many more there are, when it is done.
#[test]
fn relaxations_tell_the_truth() {
    let mut told = BTreeSet::new();
    for seed in 0..400 {
        let (mut b, asks) = any_bench(seed, 40);
        b.limits.queues_kept = 40;
        let before = b.decide(&asks, seed);
        for r in &before.frees {
            told.insert(r.criterion.as_str());
            if r.skip != 0 {
                continue; // The queue would have to change: counted below for the state.
            }
            let after = b.decide(&r.needs, seed);
            let names = |d: &Decision| d.kept.iter().map(|k| k.queue.clone()).collect::<BTreeSet<_>>();
            let more: Vec<String> = names(&after).difference(&names(&before)).cloned().collect();
            assert_eq!((more.len(), more.iter().take(MAX_NAMES).cloned().collect::<Vec<_>>()), (r.more, r.queues.clone()), "{}", r.what);
        }
        if let Some(r) = before.frees.iter().find(|r| r.criterion == Criterion::Status) {
            b.queues.iter_mut().for_each(|(q, _)| q.state = QueueState::Online);
            assert_eq!(b.decide(&asks, seed).passed, before.passed + r.more);
        }
    }
    for word in ["memory", "cores", "disk", "walltime", "gpu", "container", "site", "status", "vo", "type_cap"] {
        assert!(told.contains(word), "{word} was never relaxed: {told:?}");
    }
}

/// "with 3.5 GB instead of 4: 41 more queues".
#[test]
fn what_would_free_it_is_one_sentence() {
    let small = |n: i64| Queue { max_rss_mb: 3_150, ..queue(&format!("Q{n:02}")) };
    let b = Bench::new((0..41).map(small).chain([Queue { max_rss_mb: 900, ..queue("TINY") }]));
    let d = b.decide(&Needs { ram: Ram::job(4_000), ..needs() }, 1);
    assert_eq!(d.passed, 0);
    let lines: Vec<String> = d.frees.iter().map(Relaxation::sentence).collect();
    let names: Vec<String> = (0..20).map(|n| format!("Q{n:02}")).collect();
    assert_eq!(lines[0], format!("with 3500 MB of memory instead of 4000: 41 more queues ({}, …)", names.join(", ")));
    assert!(lines[1].starts_with("with 1000 MB of memory instead of 4000: 42 more queues"), "{}", lines[1]);
    let nearly = Bench::new([Queue { state: QueueState::Offline, ..queue("A") }, Queue { max_rss_mb: 900, ..queue("B") }]);
    let d = nearly.decide(&needs(), 1);
    assert_eq!(d.sentence(), "no queue of 2 can take it: 1 not online (A); 1 not for jobs of 2000 MB of memory (B)");
    let lines: Vec<String> = d.frees.iter().map(Relaxation::sentence).collect();
    assert_eq!(lines, ["if they were online: 1 more queue (A)", "with 1000 MB of memory instead of 2000: 1 more queue (B)"]);
    assert_eq!(Bench::new([]).decide(&needs(), 1).sentence(), "there is no queue; add one with `panda queue add NAME`");
}

#[test]
fn never_later_and_now() {
    let ask = |b: &Bench, n: &Needs| b.with(|w| feasible(n, w));
    assert_eq!(ask(&Bench::new([queue("A")]), &needs()), Feasible::Now);
    let offline = Bench::new([Queue { state: QueueState::Offline, ..queue("A") }]);
    assert_eq!(ask(&offline, &needs()), Feasible::Later("no queue of 1 can take it: 1 not online (A)".into()));
    let tight = Bench::new([Queue { state: QueueState::Offline, max_rss_mb: 900, ..queue("A") }, Queue { max_rss_mb: 900, ..queue("B") }]);
    // That A is not online is not what keeps it from ever running.
    let want = "no queue of 2 can take it: 2 not for jobs of 2000 MB of memory (A, B); with 1000 MB of memory instead of 2000: 2 more queues (A, B)";
    assert_eq!(ask(&tight, &needs()), Feasible::Never(want.into()));
    assert!(matches!(ask(&Bench::new([]), &needs()), Feasible::Never(_)));
}
