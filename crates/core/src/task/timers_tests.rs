//! Every time-driven rule of tasks just before and just after, on a clock of numbers.

use super::*;
use crate::machine::Actor;
use crate::setting::Values;
use crate::task::command::Command;
use crate::task::transition;

const NOW: Micros = Micros::from_days(20_000);
const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;

fn task(state: TaskState) -> View {
    View {
        state,
        state_since: NOW,
        frozen_since: None,
        priority: 500,
        n_throttled: 0,
        auto_finish: true,
        auto_pause: true,
        failure_rate: None,
        use_exhausted: false,
        parent: Parent::None,
        goal: None,
        completeness: 0,
        files: 1_000,
        files_ended: 0,
        files_finished: 0,
        jobs_finished: 0,
        jobs_failed: 0,
        jobs_left: 10,
        failed_attempts: 0,
        commanded: true,
    }
}
fn at(view: View, values: &Values) -> Option<(&'static str, Met)> {
    let limits = Limits { int: &|s| values.int(s, "amber", "user"), float: &|s| values.opt_float(s, "amber", "user") };
    due(&view, NOW, &limits).map(|(t, met)| (t.name, met))
}
fn given(name: &str, v: &str) -> ((String, String, String), String) {
    ((name.to_owned(), "*".to_owned(), "user".to_owned()), v.to_owned())
}
fn ago(view: View, seconds: i64) -> View {
    View { state_since: NOW - Micros::from_secs(seconds), ..view }
}
fn frozen(view: View, seconds: i64) -> View {
    View { frozen_since: Some(NOW - Micros::from_secs(seconds)), ..ago(view, 0) }
}

/// Rules that count from an instant: engine.md 4.4 and 20.9, row by row.
#[test]
fn every_limit_of_a_task_just_before_and_just_after() {
    use Action::{Command as Again, Exhaust, Kill, LookAgain, SoftFinish};
    type Aged = fn(View, i64) -> View;
    let lost = |state| View { commanded: false, ..task(state) };
    let rows: &[(&str, View, Aged, i64, Action)] = &[
        ("pending", task(Pending), ago, 60, LookAgain),
        ("give_up", task(Pending), frozen, 7 * DAY, Kill),
        ("give_up", View { files_finished: 1, ..task(Pending) }, frozen, 7 * DAY, Exhaust),
        ("give_up", View { use_exhausted: true, ..task(Pending) }, frozen, 7 * DAY, Exhaust),
        ("exhausted", task(Exhausted), ago, 48 * HOUR, SoftFinish),
        ("throttled", View { n_throttled: 1, ..task(Throttled) }, ago, 2 * HOUR, LookAgain),
        ("throttled", View { n_throttled: 3, ..task(Throttled) }, ago, 18 * HOUR, LookAgain),
        ("stuck", lost(Aborting), ago, 600, Again(Command::Kill)),
        ("stuck", lost(Finishing), ago, 600, Again(Command::Finish)),
        ("stuck", lost(Toretry), ago, 600, Again(Command::Retry)),
        ("stuck", lost(Toincexec), ago, 600, Again(Command::Incexec)),
        ("stuck", lost(Toreassign), ago, 600, Again(Command::Reassign)),
        ("stuck", lost(Reassigning), ago, 600, Again(Command::Reassign)),
    ];
    let none = Values::default();
    for (name, view, aged, seconds, action) in rows {
        let before = at(aged(*view, *seconds), &none);
        assert!(before.as_ref().is_none_or(|(n, _)| n != name), "{name}: {before:?}");
        let (found, met) = at(aged(*view, *seconds + 1), &none).unwrap_or_else(|| panic!("{name}"));
        assert_eq!((found, met.action), (*name, *action));
        assert!(!met.reason.is_empty());
    }
    for line in TABLE.iter().filter(|t| !matches!(t.name, "parent_failed" | "goal" | "failure_rate" | "failed_attempts" | "boost")) {
        assert!(rows.iter().any(|r| r.0 == line.name), "no case for {}", line.name);
    }
}

/// Each rule ends in a change that the transition table allows to the watcher.
#[test]
fn what_a_rule_does_stands_in_the_transition_table() {
    let to = |action| match action {
        Action::LookAgain => Some(Running),
        Action::Exhaust => Some(Exhausted),
        Action::Kill => Some(Aborting),
        Action::SoftFinish => Some(Finishing),
        Action::Throttle => Some(Throttled),
        Action::Pause => Some(TaskState::Paused),
        Action::Boost(_) | Action::Command(_) => None,
    };
    for (states, action) in [
        (&[Pending, Throttled][..], Action::LookAgain),
        (&[Pending], Action::Exhaust),
        (KILLABLE, Action::Kill),
        (&[Exhausted, Running, Scouting, Throttled], Action::SoftFinish),
        (&[Running], Action::Throttle),
        (&[Running], Action::Pause),
    ] {
        for state in states.iter().filter(|s| !matches!(s, Finishing | Passed | Tobroken)) {
            assert_eq!(to(action).map(|to| transition::check(Some(*state), to, Actor::Watcher)), Some(Ok(())), "{state} {action:?}");
        }
    }
}

#[test]
fn a_parents_end_ends_who_waits_for_it() {
    let none = Values::default();
    for state in KILLABLE {
        let met = at(View { parent: Parent::Bad, ..task(*state) }, &none);
        let ends = !matches!(state, Finishing | Passed | Tobroken);
        assert_eq!(met.is_some_and(|(n, m)| n == "parent_failed" && m.action == Action::Kill), ends, "{state}");
    }
    assert_eq!(at(View { parent: Parent::Unfinished, ..task(Running) }, &none), None);
    assert_eq!(at(View { parent: Parent::Bad, ..task(Aborting) }, &none), None);
}

#[test]
fn the_goal_ends_a_task_softly() {
    let none = Values::default();
    let near = View { goal: Some(905), completeness: 904, ..task(Running) };
    assert_eq!(at(near, &none), None);
    let (name, met) = at(View { completeness: 905, ..near }, &none).unwrap();
    assert_eq!((name, met.action, met.reason.as_str()), ("goal", Action::SoftFinish, "its goal of 90.5 percent is reached with 90.5"));
    assert_eq!(at(View { goal: Some(1_000), completeness: 1_000, ..near }, &none), None, "a full goal is the usual end");
    assert_eq!(at(View { goal: None, completeness: 1_000, ..near }, &none), None);
}

#[test]
fn files_that_keep_failing_throttle() {
    let none = Values::default();
    let failing = |failed_attempts, n_throttled| at(View { failed_attempts, n_throttled, ..task(Running) }, &none);
    assert_eq!((failing(4, 0), failing(5, 1), failing(14, 2)), (None, None, None));
    let (name, met) = failing(5, 0).unwrap();
    assert_eq!((name, met.action), ("failed_attempts", Action::Throttle));
    assert_eq!(met.reason, "its unfinished input files failed 5 times on average; throttle 1, it goes on after 2 hours");
    assert!(failing(15, 2).unwrap().1.reason.ends_with("it goes on after 18 hours"));
    assert_eq!(at(View { failed_attempts: 50, ..task(Running) }, &Values::new([given("task.throttle_step", "0")]).0), None);
}

#[test]
fn a_failure_rate_pauses_when_a_site_says_so() {
    let bad = View { jobs_failed: 501, jobs_finished: 499, files: 1_100, files_ended: 1_000, ..task(Running) };
    assert_eq!(at(bad, &Values::default()), None, "off as shipped");
    let on = Values::new([given("task.pause_failed_percent", "50")]).0;
    let (name, met) = at(bad, &on).unwrap();
    assert_eq!((name, met.action), ("failure_rate", Action::Pause));
    assert!(met.reason.starts_with("501 of 1000 jobs failed, more than 50 percent"), "{}", met.reason);
    assert_eq!(at(View { jobs_failed: 500, jobs_finished: 500, ..bad }, &on), None);
    assert_eq!(at(View { jobs_failed: 501, jobs_finished: 498, ..bad }, &on), None, "too few jobs have ended");
    assert_eq!(at(View { files_ended: 1_001, ..bad }, &on), None, "too few are left");
    assert_eq!(at(View { auto_pause: false, ..bad }, &on), None, "it does not want to be");
    // What the task itself allows goes before, more or less of it.
    let own = |percent| at(View { failure_rate: Some(percent), ..bad }, &on).map(|(_, met)| met.reason);
    assert_eq!(own(51), None);
    let none = at(View { failure_rate: Some(50), ..bad }, &Values::default()).unwrap().1.reason;
    assert_eq!((own(50).as_deref(), none.contains("more than 50 percent (its `failureRate`)")), (Some(none.as_str()), true));
}

#[test]
fn near_its_end_a_task_gets_priority() {
    let none = Values::default();
    let near = View { files_finished: 950, files_ended: 960, jobs_left: 100, ..task(Running) };
    let (name, met) = at(near, &none).unwrap();
    assert_eq!((name, met.action), ("boost", Action::Boost(900)));
    let stays = [
        View { files_finished: 949, ..near },
        View { jobs_left: 101, ..near },
        View { priority: 900, ..near },
        View { files_ended: 1_000, ..near },
    ];
    for view in stays {
        assert_eq!(at(view, &none), None, "{view:?}");
    }
}

#[test]
fn who_asks_for_no_automatic_end_waits() {
    assert_eq!(at(ago(View { auto_finish: false, ..task(Exhausted) }, 100 * DAY), &Values::default()), None);
    assert_eq!(at(ago(task(Aborting), DAY), &Values::default()), None, "its command waits to be carried out");
    assert_eq!(at(ago(task(TaskState::Paused), 100 * DAY), &Values::default()), None, "a pause has no end");
}

#[test]
fn looks_at_a_hold_become_rare() {
    let none = Values::default();
    let limits = Limits { int: &|s| none.int(s, "amber", "user"), float: &|_| None };
    let after = |s| retry_after(Micros::from_secs(s), &limits).as_secs();
    assert_eq!([after(0), after(599), after(6_000), after(36_000), after(DAY)], [60, 60, 600, 3_600, 3_600]);
    let held = |on_hold, look| at(View { state_since: NOW - Micros::from_secs(look), ..frozen(task(Pending), on_hold) }, &none);
    assert_eq!(held(6_000, 600), None);
    assert_eq!(held(6_000, 601).unwrap().1.action, Action::LookAgain);
    assert_eq!((back_to(Some(Running)), back_to(None), back_to(Some(Exhausted))), (Running, TaskState::Defined, TaskState::Defined));
}

#[test]
fn a_hold_is_counted_through_all_looks_that_come_to_nothing() {
    use TaskState::{Defined, Paused, Ready};
    let mut frozen = None;
    for (at, from, to) in [(1, Ready, Pending), (2, Pending, Ready), (3, Ready, Pending), (4, Pending, Running), (5, Running, Pending)] {
        frozen = frozen_after(from, frozen, to, at);
        assert_eq!(frozen, Some(1));
    }
    assert_eq!(frozen_after(Ready, frozen, Running, 6), None, "jobs were made");
    assert_eq!(frozen_after(Defined, frozen, Ready, 6), None, "files were listed");
    assert_eq!(frozen_after(Pending, frozen, Paused, 6), None);
}
