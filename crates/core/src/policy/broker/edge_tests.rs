//! Every filter at its boundary: what is just enough, and one unit beyond.

use super::tests::{Bench, NOW, busy, input_at, needs, queue, text};
use super::*;
use crate::job::state::JobState::{Activated, Running, Transferring};
use crate::policy::load::{AtQueue, Ended};
use crate::queue::hardware::{CpuNeed, Cpus, GpuNeed, Gpus};
use crate::queue::{PilotFamily, Queue, QueueKind, QueueState};
use crate::time::Micros;

/// Either the first or the second.
fn pick<T>(over: i64, enough: T, beyond: T) -> T {
    if over == 0 { enough } else { beyond }
}
fn bench(queue: Queue, needs: Needs) -> (Bench, Needs) {
    (Bench::new([queue, Queue { allow_no_pilot: true, ..self::queue("Z") }]), needs)
}
fn with_storage(needs: Needs, change: impl FnOnce(&mut Bench)) -> (Bench, Needs) {
    let (mut b, needs) = bench(Queue { storage: text("S"), ..queue("A") }, needs);
    change(&mut b);
    (b, needs)
}
fn with_load(at: AtQueue, change: impl FnOnce(&mut Bench)) -> (Bench, Needs) {
    let (mut b, needs) = bench(queue("A"), needs());
    b.queues[0].1 = at;
    change(&mut b);
    (b, needs)
}

/// Filters of the task's wishes and of what the queue is.
fn by_wish(criterion: Criterion, over: i64) -> Option<(Bench, Needs)> {
    let (q, n) = (|| queue("A"), needs);
    Some(match criterion {
        Criterion::Site => bench(q(), Needs { only: vec![pick(over, "A*", "B*").into(), "Z".into()], ..n() }),
        Criterion::Excluded => bench(q(), Needs { never: vec![pick(over, "B", "A").into()], ..n() }),
        Criterion::Cloud => bench(Queue { cloud: text(pick(over, "X", "Y")), ..q() }, Needs { cloud: text("X"), ..n() }),
        Criterion::Vo => bench(Queue { vos: vec![pick(over, "amber", "flint").into()], ..q() }, n()),
        Criterion::Status => bench(Queue { state: pick(over, QueueState::Online, QueueState::Brokeroff), ..q() }, n()),
        Criterion::Held => bench(Queue { hold: pick(over, None, text("broken disk")), ..q() }, n()),
        Criterion::Label => bench(Queue { kind: pick(over, QueueKind::Analysis, QueueKind::Production), ..q() }, n()),
        Criterion::Share => {
            bench(Queue { zero_shares: vec![pick(over, "fast", "slow").into()], ..q() }, Needs { share: "slow".into(), ..n() })
        }
        Criterion::Processing => bench(Queue { excluded_processing: vec![pick(over, "ru", "ru*").into()], ..q() }, n()),
        Criterion::Pilot => {
            let family = pick(over, PilotFamily::Native, PilotFamily::OfficialGeneric);
            bench(Queue { family, ..q() }, Needs { native: Some("a pattern"), ..n() })
        }
        Criterion::Virtual => bench(Queue { is_virtual: over > 0, ..q() }, Needs { no_virtual: true, ..n() }),
        Criterion::Moved => bench(q(), Needs { moved: [(queue(pick(over, "B", "A")).id, "congested".into())].into(), ..n() }),
        _ => return None,
    })
}

/// Filters of what the queue's nodes have.
fn by_nodes(criterion: Criterion, over: i64) -> Option<(Bench, Needs)> {
    let (q, n) = (|| queue("A"), needs);
    Some(match criterion {
        Criterion::Disk => bench(Queue { max_workdir_mb: 500, ..q() }, Needs { disk_mb: 400, input_mb: 100 + over, ..n() }),
        Criterion::Walltime => bench(Queue { max_time_s: 3_600, ..q() }, Needs { walltime_s: 3_600 + over, ..n() }),
        Criterion::Cores => bench(Queue { core_count: 8, ..q() }, Needs { cores: 8 + over, ..n() }),
        Criterion::Memory => bench(Queue { max_rss_mb: 1_800 - over, ..q() }, n()),
        Criterion::Gpu => {
            let gpu = Some(GpuNeed { count: 1 + over, ..GpuNeed::default() });
            bench(Queue { gpus: Gpus { count: 1, ..Gpus::default() }, ..q() }, Needs { gpu, ..n() })
        }
        Criterion::Cpu => {
            let cpus = vec![CpuNeed { arch: text(pick(over, "aarch64", "riscv64")), ..CpuNeed::default() }];
            bench(Queue { cpus: Cpus { archs: vec!["aarch64".into()], ..Cpus::default() }, ..q() }, Needs { cpus, ..n() })
        }
        Criterion::Software => {
            bench(Queue { releases: vec![pick(over, "R-2", "R-1").into()], ..q() }, Needs { software: vec!["R-2".into()], ..n() })
        }
        Criterion::Container => bench(Queue { has_container: over == 0, ..q() }, Needs { image: text("docker://alpine"), ..n() }),
        Criterion::System => bench(Queue { systems: vec![pick(over, "el9", "el8").into()], ..q() }, Needs { system: text("el9"), ..n() }),
        Criterion::Network => {
            bench(Queue { connectivity: text(pick(over, "full", "http")), ..q() }, Needs { connectivity: text("full"), ..n() })
        }
        _ => return None,
    })
}

/// Filters of storages and of where the input is.
fn by_storage(criterion: Criterion, over: i64) -> Option<(Bench, Needs)> {
    let endpoint = |b: &mut Bench, e: Endpoint| b.storages.endpoints.extend([("S".to_owned(), e)]);
    let way = |queued: i64| Link { cost: 5, mbps: None, queued };
    Some(match criterion {
        Criterion::Read => with_storage(needs(), |b| {
            b.input = Some(Locality { anywhere: Amount { files: 1, bytes: 1 }, all: Amount { files: 1, bytes: 1 }, ..Locality::default() });
            endpoint(b, Endpoint { readable: over == 0, ..Endpoint::default() });
        }),
        Criterion::Write => with_storage(needs(), |b| endpoint(b, Endpoint { writable: over == 0, ..Endpoint::default() })),
        Criterion::Space => with_storage(needs(), |b| endpoint(b, Endpoint { free_gb: Some(200 - over), ..Endpoint::default() })),
        Criterion::Nucleus => with_storage(Needs { nucleus: text("N"), ..needs() }, |b| b.storages.link("S", pick(over, "N", "M"), way(0))),
        Criterion::Data => with_storage(needs(), |b| b.input = Some(input_at(&[("S", 200)], 10 + over))),
        Criterion::Transfer => with_storage(needs(), |b| {
            b.storages.link("T", "S", way(150 + over));
            b.input = Some(input_at(&[("T", 1)], 0));
        }),
        Criterion::Io => with_storage(Needs { io_kb_s: 201, ..needs() }, |b| {
            b.storages.link("T", "S", way(0));
            b.input = Some(input_at(&[("T", 10 + over)], 0));
        }),
        _ => return None,
    })
}

/// Filters of what is on the queue.
fn by_load(criterion: Criterion, over: i64) -> Option<(Bench, Needs)> {
    let before = |hours: i64| Some(Micros((NOW - Micros::from_hours(hours)).0 - over));
    Some(match criterion {
        Criterion::NoPilot => {
            with_load(AtQueue { pilot_seen: before(3), ..AtQueue::default() }, |b| b.limits.pilot_window_s = Some(3 * 3_600))
        }
        Criterion::UserCap => with_load(busy(&[(Activated, 4 + over)]), |b| b.limits.user_cap = Some(5)),
        Criterion::QueueCap => with_load(busy(&[(Activated, 19 + over)]), |b| b.limits.queue_cap = Some(20)),
        Criterion::TypeCap => with_load(busy(&[(Activated, 20 + over)]), |b| b.limits.type_cap = Some((20, 2.0))),
        Criterion::Transferring => with_load(busy(&[(Transferring, 9 + over)]), |b| b.queues[0].0.transferring_limit = 9),
        Criterion::Overload => with_load(busy(&[(Activated, 20 + over), (Running, 1)]), |b| {
            b.limits.overload = Some((20, 1.2));
            b.queues[1].1 = busy(&[(Running, 100)]);
        }),
        Criterion::Inactive => with_load(AtQueue { last_start: before(2), ..busy(&[(Activated, 1)]) }, |_| {}),
        Criterion::Failure => {
            let ended = Ended { finished: 2, failed: 5 + over };
            with_load(AtQueue { ended: [(7, ended)].into(), ..AtQueue::default() }, |_| {})
        }
        Criterion::Weight => with_load(busy(&[(Activated, 1 + over)]), |b| b.limits.min_weight = 0.5),
        _ => return None,
    })
}

/// engine.md 8.1 to 8.3, 20.11: each filter keeps a queue that has just enough and takes it out one unit beyond.
#[test]
fn every_filter_at_its_boundary() {
    // What a plug-in rules out has no boundary of ours.
    for criterion in Criterion::ALL.iter().filter(|c| **c != Criterion::Plugin) {
        let at = |over| [by_wish, by_nodes, by_storage, by_load].iter().find_map(|of| of(*criterion, over));
        let falls = |over| {
            let (b, asks) = at(over).unwrap_or_else(|| panic!("{criterion} has no boundary here"));
            let decision = b.decide(&asks, 1);
            decision.funnel.iter().find(|r| r.queues.iter().any(|q| q == "A")).map(|r| r.criterion)
        };
        assert_eq!(falls(0), None, "{criterion}: just enough");
        assert_eq!(falls(1), Some(*criterion), "{criterion}: one beyond");
    }
}

/// 20.11: the numbers of upstream are what is shipped, where the neutral broker has them, and off where only one experiment has.
#[test]
fn numbers_as_shipped() {
    let l = Limits::default();
    assert_eq!((l.min_space_gb, l.queues_kept, l.memory_percent), (200, 5, 90));
    assert_eq!((l.missing_files, l.completeness, l.transfer_cap), (10, 90, 150));
    assert_eq!((l.io_cutoff_kb_s, l.io_move_bytes, l.io_move_files), (200, 10_000_000_000, 100));
    assert_eq!((l.inactive_s, l.failure_min, l.min_weight), (Some(7_200), Some(5), 0.0));
    assert_eq!((l.pilot_window_s, l.user_cap, l.queue_cap, l.type_cap, l.overload, l.max_cost), (None, None, None, None, None, None));
    assert_eq!(l.terms, [(Term::Load, 1.0)]);
}
