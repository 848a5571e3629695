//! Every line of the table just before its limit and just after it, on a clock of numbers.

use super::*;
use crate::setting::Values;

const NOW: Micros = Micros::from_days(20_000);
const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;

/// A job of a user's task that changed a moment ago.
fn job(state: JobState) -> View<'static> {
    View {
        state,
        kind: JobKind::Run,
        label: "user",
        of_task: true,
        waits_for_library: false,
        priority: 500,
        created: NOW,
        state_since: NOW,
        heard: NOW,
        reported: false,
        queue: Some(QueueState::Online),
        workflow: "",
        queue_keeps: false,
        queue_dead: false,
        sources_gone: false,
    }
}
fn managed(state: JobState) -> View<'static> {
    View { label: "managed", ..job(state) }
}
fn met(view: &View<'_>, values: &Values) -> Option<Due> {
    due(view, NOW, &|s| values.int(s, "amber", view.label), values.text(&limit::HEARTBEAT_WORKFLOWS, "amber", view.label))
}

/// (line, job, from when, seconds, action): engine.md 13.1 and 20.2, row by row.
fn rows() -> Vec<(&'static str, View<'static>, Since, i64, Action)> {
    use Action::{Fail, Kill, KillOrFail};
    use Since::{Created, Heard, State};
    let dead = |v: View<'static>| View { priority: 800, queue_dead: true, ..v };
    vec![
        ("heartbeat", job(Running), Heard, 2 * HOUR, Fail),
        ("heartbeat", job(Starting), Heard, 2 * HOUR, Fail),
        ("heartbeat", managed(Running), Heard, 2 * HOUR, Fail),
        ("heartbeat", View { queue: Some(QueueState::Paused), ..job(Running) }, Heard, 2 * HOUR, Fail),
        ("sent", job(Sent), Heard, 30 * 60, Fail),
        ("sent", managed(Sent), Heard, 30 * 60, Fail),
        ("transferring", job(Transferring), Heard, 2 * HOUR, Fail),
        ("holding", job(Holding), Heard, 3 * HOUR, Fail),
        ("holding", View { priority: 801, ..managed(Holding) }, Heard, 3 * HOUR, Fail),
        ("holding_rest", View { priority: 800, ..managed(Holding) }, Heard, 48 * HOUR, Fail),
        ("pending", job(Pending), State, HOUR, Kill(4)),
        ("waiting", managed(Waiting), State, HOUR, Kill(4)),
        ("defined", managed(Defined), State, 4 * HOUR, Kill(51)),
        ("defined", View { label: "test", ..job(Defined) }, State, 4 * HOUR, Kill(51)),
        ("defined_other", View { label: "panda", kind: JobKind::Build, ..job(Defined) }, State, 4 * HOUR, Kill(2)),
        ("defined_other", View { of_task: false, kind: JobKind::Standalone, ..job(Defined) }, State, 4 * HOUR, Kill(2)),
        ("before_activation", managed(Assigned), Created, 12 * HOUR, Kill(51)),
        ("inactive_queue", dead(managed(Activated)), State, 4 * HOUR, Kill(51)),
        ("inactive_queue", dead(managed(Starting)), State, 4 * HOUR, Kill(51)),
        ("activated", managed(Activated), State, 2 * DAY, Kill(51)),
        ("queued", job(Activated), Created, 7 * DAY, Kill(2)),
        ("queued", View { queue_keeps: true, ..managed(Activated) }, Created, 7 * DAY, Kill(2)),
        ("queued", View { waits_for_library: true, ..job(Defined) }, Created, 7 * DAY, Kill(2)),
        ("throttled", job(Throttled), State, 7 * DAY, Kill(2)),
        ("starting", managed(Starting), State, 48 * HOUR, Kill(51)),
        ("merge_sources", View { kind: JobKind::Merge, sources_gone: true, ..job(Activated) }, Created, 30 * 60, Kill(52)),
        ("events", View { kind: JobKind::EsMerge, ..job(Running) }, State, DAY, Kill(2)),
        ("events", View { kind: JobKind::Consumer, priority: 900, ..managed(Starting) }, State, DAY, Kill(2)),
        ("idle", View { label: "test", ..job(Merging) }, Heard, 7 * DAY, KillOrFail(2)),
        ("idle", job(Merging), Heard, 7 * DAY, KillOrFail(2)),
        ("total", job(Running), Created, 21 * DAY, KillOrFail(2)),
        ("total", managed(Merging), Created, 21 * DAY, KillOrFail(2)),
    ]
}

#[test]
fn every_limit_of_a_job_just_before_and_just_after() {
    let values = Values::default();
    let mut seen: Vec<&str> = Vec::new();
    for (name, view, since, seconds, action) in rows() {
        let aged = |by: Micros| {
            let at = NOW - by;
            match since {
                Since::Created => View { created: at, ..view },
                Since::State => View { state_since: at, created: at, ..view },
                Since::Heard => View { heard: at, ..view },
            }
        };
        let edge = Micros::from_secs(seconds);
        assert!(met(&aged(edge), &values).is_none(), "{name}: {view:?}");
        let due = met(&aged(edge + Micros(1)), &values).unwrap_or_else(|| panic!("{name}: {view:?}"));
        assert_eq!((due.timer.name, due.timer.action, due.limit_s), (name, action, seconds), "{view:?}");
        assert!(due.sentence().contains(&span(seconds)) && due.sentence().contains(due.timer.limit.name), "{}", due.sentence());
        // A site switches the limit off for this VO.
        let off = ((due.timer.limit.name.to_owned(), "amber".to_owned(), "*".to_owned()), "0".to_owned());
        let next = met(&aged(edge + Micros(1)), &Values::new([off]).0);
        assert!(next.is_none_or(|d| d.timer.name != name), "{name} can be switched off");
        seen.push(name);
    }
    for line in TABLE {
        assert!(seen.contains(&line.name), "no case for {}", line.name);
    }
}

#[test]
fn what_is_exempt_stays() {
    let old = |v: View<'static>| View { heard: NOW - Micros::from_hours(3), state_since: NOW - Micros::from_hours(3), ..v };
    let long = |v: View<'static>| View { state_since: NOW - Micros::from_days(3), heard: NOW - Micros::from_days(3), ..v };
    let none = Values::default();
    let stays = [
        old(View { queue: Some(QueueState::Paused), ..managed(Running) }),
        old(managed(Transferring)),
        long(View { reported: true, ..job(Holding) }),
        long(View { waits_for_library: true, ..job(Pending) }),
        long(View { waits_for_library: true, ..managed(Defined) }),
        long(job(Defined)),
        long(job(Activated)),
        long(View { queue_keeps: true, ..managed(Activated) }),
        long(View { kind: JobKind::Merge, ..job(Activated) }),
        View { queue_dead: true, priority: 799, state_since: NOW - Micros::from_hours(5), ..managed(Activated) },
        View { queue_dead: true, priority: 900, kind: JobKind::Merge, state_since: NOW - Micros::from_hours(5), ..managed(Activated) },
    ];
    for view in stays {
        assert!(met(&view, &none).is_none(), "{view:?}");
    }
    for state in JobState::FINAL {
        assert!(met(&View { created: Micros(0), heard: Micros(0), state_since: Micros(0), ..job(*state) }, &none).is_none());
    }
}

#[test]
fn heartbeats_by_vo_label_and_kind_of_queue() {
    let given = |name: &str, vo: &str, label: &str, v: &str| ((name.to_owned(), vo.to_owned(), label.to_owned()), v.to_owned());
    let values = Values::new([
        given("job.heartbeat_s", "amber", "user", "600"),
        given("job.heartbeat_workflows", "*", "*", "pull=1200, push=14400,odd"),
    ])
    .0;
    let silent = |v: View<'static>, minutes| View { heard: NOW - Micros::from_mins(minutes), ..v };
    let at = |v: &View<'_>| met(v, &values).map(|d| d.limit_s);
    assert_eq!((at(&silent(job(Running), 10)), at(&silent(job(Running), 11))), (None, Some(600)));
    let push = View { workflow: "push", ..managed(Running) };
    assert_eq!((at(&silent(push, 239)), at(&silent(push, 241))), (None, Some(14_400)));
    assert_eq!(at(&silent(View { workflow: "pull", ..managed(Running) }, 21)), Some(1_200));
    assert_eq!(at(&silent(View { workflow: "other", ..managed(Running) }, 119)), None);
    let horizon = horizon(Running, NOW, &|s| values.least_int(s), values.text(&limit::HEARTBEAT_WORKFLOWS, "*", "*"));
    let ago = |m: Micros| Some(NOW - m);
    assert_eq!(
        (horizon.merge_created, horizon.state, horizon.heard, horizon.dead_state),
        (ago(Micros::from_mins(30)), ago(Micros::from_days(1)), ago(Micros::from_secs(600)), None)
    );
}

#[test]
fn the_horizon_lies_before_every_limit() {
    let none = Values::default();
    for (name, view, since, seconds, _) in rows() {
        let horizon = horizon(view.state, NOW, &|s| none.least_int(s), "");
        let at = NOW - Micros::from_secs(seconds) - Micros(1);
        let before = match since {
            Since::Created => [horizon.created, horizon.merge_created.filter(|_| view.kind == JobKind::Merge)],
            Since::State => [horizon.state, horizon.dead_state.filter(|_| view.queue_dead)],
            Since::Heard => [horizon.heard, None],
        };
        assert!(before.into_iter().flatten().any(|h| at < h), "{name}");
    }
}

#[test]
fn dead_queues() {
    let hours = |n| Some(NOW - Micros::from_hours(n));
    assert!(is_dead(QueueState::Offline, hours(0), NOW, 7_200) && is_dead(QueueState::Test, hours(0), NOW, 7_200));
    assert!(is_dead(QueueState::Online, hours(3), NOW, 7_200) && is_dead(QueueState::Online, None, NOW, 7_200));
    assert!(!is_dead(QueueState::Online, hours(2), NOW, 7_200));
    assert_eq!([span(1), span(90), span(60), span(7_200), span(172_800)], ["1 second", "90 seconds", "1 minute", "2 hours", "2 days"]);
}
