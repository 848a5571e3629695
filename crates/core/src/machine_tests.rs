//! The transition tables against a simple model: random walks by random actors.

use super::*;
use crate::file::FileState;
use crate::job::JobState;
use crate::task::TaskState;
use crate::worker::WorkerState;
use proptest::prelude::*;
use std::collections::BTreeSet;

/// Every (from, to, actor) that the table allows, written out plainly.
fn model<S: State + Ord>() -> BTreeSet<(Option<S>, S, Actor)> {
    let mut all = BTreeSet::new();
    for rule in S::TABLE {
        let starts: Vec<Option<S>> = match rule.from {
            Start::Nothing => vec![None],
            Start::In(states) => states.iter().copied().map(Some).collect(),
        };
        for from in starts {
            for to in rule.to.iter().copied().filter(|to| from != Some(*to)) {
                all.extend(rule.actors.iter().map(|actor| (from, to, *actor)));
            }
        }
    }
    all
}

/// What a walk may not do, whatever the table says.
fn walk<S: State + Ord + fmt::Debug>(states: &[S], tries: &[(usize, usize)], is_final: fn(S) -> bool, leaves_final: &[(S, S)]) {
    let model = model::<S>();
    let mut now: Option<S> = None;
    for (state, actor) in tries {
        let to = states[state % states.len()];
        let actor = Actor::ALL[actor % Actor::ALL.len()];
        let allowed = check(now, to, actor).is_ok();
        assert_eq!(allowed, model.contains(&(now, to, actor)), "{now:?} to {to:?} by {actor}");
        assert_eq!(exits(now).iter().any(|(next, actors)| *next == to && actors.contains(&actor)), allowed);
        if allowed {
            if let Some(from) = now.filter(|from| is_final(*from)) {
                assert!(leaves_final.contains(&(from, to)), "{from:?} is final, but {to:?} followed");
            }
            now = Some(to);
        }
    }
}

fn tries() -> impl Strategy<Value = Vec<(usize, usize)>> {
    prop::collection::vec((0_usize..64, 0_usize..8), 1..300)
}

proptest! {
    #[test]
    fn jobs(tries in tries()) {
        walk(JobState::ALL, &tries, JobState::is_final, &[]);
    }

    #[test]
    fn tasks(tries in tries()) {
        use TaskState::{Aborted, Done, Failed, Finished, Ready, Toincexec, Toretry};
        let commands = [
            (Finished, Toretry), (Failed, Toretry), (Finished, Toincexec), (Failed, Toincexec), (Aborted, Toincexec), (Done, Toincexec),
            (Finished, Ready), (Failed, Ready), (Aborted, Ready),
        ];
        walk(TaskState::ALL, &tries, TaskState::is_final, &commands);
    }

    #[test]
    fn workers(tries in tries()) {
        walk(WorkerState::ALL, &tries, WorkerState::is_final, &[]);
    }

    #[test]
    fn files(tries in tries()) {
        walk(FileState::ALL, &tries, |_| false, &[]);
    }
}

fn reachable<S: State + Ord>() -> BTreeSet<S> {
    let mut seen: BTreeSet<S> = BTreeSet::new();
    let mut open: Vec<S> = exits::<S>(None).into_iter().map(|(to, _)| to).collect();
    while let Some(state) = open.pop() {
        if seen.insert(state) {
            open.extend(exits(Some(state)).into_iter().map(|(to, _)| to));
        }
    }
    seen
}

/// From every state that is not final there is a way to a final one.
fn ends<S: State + Ord + fmt::Debug>(states: &BTreeSet<S>, is_final: fn(S) -> bool) {
    for start in states {
        let mut seen = BTreeSet::from([*start]);
        let mut open = vec![*start];
        while let Some(state) = open.pop() {
            for (to, _) in exits(Some(state)) {
                if seen.insert(to) {
                    open.push(to);
                }
            }
        }
        assert!(seen.iter().any(|state| is_final(*state)), "{start:?} never ends");
    }
}

#[test]
fn every_state_can_be_reached_and_left() {
    assert_eq!(reachable::<JobState>(), JobState::ALL.iter().copied().collect());
    assert_eq!(reachable::<WorkerState>(), WorkerState::ALL.iter().copied().collect());
    assert_eq!(reachable::<FileState>(), FileState::ALL.iter().copied().collect());
    let tasks: BTreeSet<TaskState> =
        TaskState::ALL.iter().copied().filter(|state| !matches!(state, TaskState::Rescued | TaskState::Merging)).collect();
    assert!(tasks.is_subset(&reachable::<TaskState>()), "{:?}", tasks.difference(&reachable()).collect::<Vec<_>>());
    ends(&reachable::<JobState>(), JobState::is_final);
    ends(&reachable::<TaskState>(), TaskState::is_final);
    ends(&reachable::<WorkerState>(), WorkerState::is_final);
}

/// Every pair of states and every actor: allowed exactly when a line of the table says so, and a refusal says who else may.
fn every_pair<S: State + Ord + fmt::Debug>(states: &[S]) -> (usize, usize) {
    let model = model::<S>();
    let (mut yes, mut no) = (0, 0);
    let starts = std::iter::once(None).chain(states.iter().copied().map(Some));
    for from in starts {
        for to in states.iter().copied() {
            for actor in Actor::ALL.iter().copied() {
                let others: Vec<Actor> = Actor::ALL.iter().copied().filter(|a| model.contains(&(from, to, *a))).collect();
                match check(from, to, actor) {
                    Ok(why) => {
                        assert!(others.contains(&actor) && from != Some(to), "{from:?} to {to:?} by {actor}");
                        assert!(why.contains(char::is_numeric), "{why:?} names no section");
                        yes += 1;
                    }
                    Err(IllegalTransition::NotYours { .. }) => {
                        assert!(!others.is_empty() && !others.contains(&actor), "{from:?} to {to:?} by {actor}");
                        no += 1;
                    }
                    Err(IllegalTransition::NoSuchWay { .. }) => {
                        assert!(others.is_empty(), "{from:?} to {to:?} by {actor}");
                        no += 1;
                    }
                }
            }
        }
    }
    assert_eq!(yes + no, (states.len() + 1) * states.len() * Actor::ALL.len());
    assert_eq!(yes, model.len());
    (yes, no)
}

#[test]
fn every_pair_of_states_and_actor_is_allowed_or_refused_by_the_table() {
    for (yes, no) in [every_pair(JobState::ALL), every_pair(TaskState::ALL), every_pair(FileState::ALL), every_pair(WorkerState::ALL)] {
        assert!(yes > 0 && no > yes);
    }
}

#[test]
fn the_page_of_the_tables_is_up_to_date() {
    let page = include_str!("../../../docs/state-machines.md");
    let made = render::page();
    let line = page.lines().zip(made.lines()).position(|(a, b)| a != b);
    assert!(page == made, "docs/state-machines.md differs from line {line:?} on: run what its head says");
}

#[test]
fn pilots_report_and_never_end_a_job() {
    for from in JobState::ALL {
        for (to, actors) in exits(Some(*from)) {
            assert!(!(to.is_final() && actors.contains(&Actor::Pilot)), "{from} to {to}");
        }
    }
}

#[test]
fn messages_say_what_to_do() {
    let nobody = check(Some(JobState::Finished), JobState::Running, Actor::Pilot).unwrap_err().to_string();
    assert_eq!(nobody, "a job cannot go from finished to running: read it again and decide on its present state");
    let others = check(Some(JobState::Activated), JobState::Sent, Actor::User).unwrap_err().to_string();
    assert_eq!(others, "a job goes from activated to sent by pilot only, not by user");
    let made = check(None, TaskState::Running, Actor::Client).unwrap_err().to_string();
    assert_eq!(made, "a task cannot go from nothing to running: read it again and decide on its present state");
}
