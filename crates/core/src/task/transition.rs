//! Which task state may follow which, and by whom (`spec/engine.md` sections 4.2 to 4.4), as one table.
//!
//! Every change of a task's state passes [`check`]; it must not know how the change is stored.

pub use crate::machine::IllegalTransition;
use crate::machine::{self, Actor, Rule, Start, State};

use super::state::TaskState;
use Actor::{Client, Engine, Finisher, User, Watcher};
use TaskState::{
    Aborted, Aborting, Assigning, Broken, Defined, Done, Exhausted, Failed, Finished, Finishing, Merging, Passed, Paused, Pending,
    Prepared, Preprocessing, Ready, Reassigning, Registered, Rerefine, Running, Scouted, Scouting, Staging, Throttled, Toabort, Tobroken,
    Toincexec, Topreprocess, Toreassign, Toretry, Waiting,
};

/// States that a hold can interrupt and to which it can lead back.
pub const HOLDABLE: &[TaskState] =
    &[Registered, Staging, Defined, Assigning, Ready, Topreprocess, Preprocessing, Scouting, Scouted, Running, Merging, Prepared, Rerefine];

/// States in which `kill` and `finish` are taken (`spec/engine.md` 4.3: not final, not aborting).
pub const KILLABLE: &[TaskState] = &[
    Waiting,
    Registered,
    Staging,
    Defined,
    Assigning,
    Ready,
    Topreprocess,
    Preprocessing,
    Scouting,
    Scouted,
    Running,
    Merging,
    Prepared,
    Exhausted,
    Pending,
    Paused,
    Throttled,
    Toretry,
    Toincexec,
    Rerefine,
    Toreassign,
    Reassigning,
    Finishing,
    Passed,
    Tobroken,
];

/// States in which `pause` is taken: not final, not paused, and not already on the way to an end.
pub const PAUSABLE: &[TaskState] = &[
    Waiting,
    Registered,
    Staging,
    Defined,
    Assigning,
    Ready,
    Topreprocess,
    Preprocessing,
    Scouting,
    Scouted,
    Running,
    Merging,
    Prepared,
    Pending,
    Throttled,
    Rerefine,
];

/// The transition table of tasks. Remaining in the same state is not a transition.
pub const TABLE: &[Rule<TaskState>] = &[
    // 4.2, birth and refinement
    Rule { from: Start::Nothing, to: &[Waiting], actors: &[Client, Engine], why: "4.2: submitted" },
    Rule {
        from: Start::Nothing,
        to: &[Registered],
        actors: &[Client, Engine],
        why: "4.2: submitted; waiting is passed in the same commit",
    },
    Rule { from: Start::In(&[Waiting]), to: &[Registered], actors: &[Engine], why: "4.2: picked up for refinement" },
    Rule {
        from: Start::In(&[Registered, Rerefine]),
        to: &[Defined, Staging, Topreprocess, Pending, Finishing],
        actors: &[Engine],
        why: "4.2: refined, or held, or empty",
    },
    Rule {
        from: Start::In(&[
            Waiting,
            Registered,
            Rerefine,
            Defined,
            Assigning,
            Ready,
            Preprocessing,
            Topreprocess,
            Staging,
            Scouting,
            Running,
            Pending,
        ]),
        to: &[Tobroken],
        actors: &[Engine],
        why: "4.2, 10.4 of payload_runners: parameters, inputs, scouts or generation have a fault that waiting does not mend",
    },
    Rule { from: Start::In(&[Staging]), to: &[Defined, Registered], actors: &[Engine, User], why: "4.3: inputs are on disk" },
    Rule { from: Start::In(&[Defined]), to: &[Ready, Assigning, Finishing], actors: &[Engine], why: "4.2: contents feeder" },
    Rule { from: Start::In(&[Assigning]), to: &[Ready], actors: &[Engine], why: "4.2: a nucleus is chosen" },
    // 4.2, running
    Rule { from: Start::In(&[Ready]), to: &[Scouting, Running, Preprocessing], actors: &[Engine], why: "4.2: jobs are made" },
    Rule { from: Start::In(&[Topreprocess]), to: &[Preprocessing], actors: &[Engine], why: "6.3: the preparation job is made" },
    Rule { from: Start::In(&[Scouting]), to: &[Scouted, Exhausted], actors: &[Engine, Finisher], why: "4.2: scouts are assessed" },
    Rule { from: Start::In(&[Scouting]), to: &[Running], actors: &[Engine, User], why: "4.3: scouts are released (avalanche)" },
    Rule { from: Start::In(&[Scouted]), to: &[Running, Ready], actors: &[Engine, Finisher], why: "4.2: scout data are stored" },
    Rule {
        from: Start::In(&[Running, Merging, Preprocessing, Ready, Throttled]),
        to: &[Prepared],
        actors: &[Engine, Finisher],
        why: "4.2: every file is settled and the input does not grow",
    },
    Rule {
        from: Start::In(&[Running, Merging, Ready, Throttled]),
        to: &[Defined],
        actors: &[Engine, Finisher, Watcher],
        why: "4.2, 5.9: the input may have grown, look again",
    },
    Rule { from: Start::In(&[Preprocessing]), to: &[Registered], actors: &[Engine, Finisher], why: "4.2: preparation is complete" },
    // 4.2, the end
    Rule { from: Start::In(&[Prepared]), to: &[Done, Finished, Failed, Exhausted, Aborted], actors: &[Finisher], why: "4.2, 5.6" },
    Rule { from: Start::In(&[Tobroken]), to: &[Broken], actors: &[Finisher], why: "4.2" },
    Rule { from: Start::In(&[Toabort]), to: &[Aborted], actors: &[Finisher], why: "4.2" },
    Rule { from: Start::In(&[Passed]), to: &[Done, Finished, Failed], actors: &[Finisher], why: "4.2, 5.6: finished early" },
    // holds
    Rule { from: Start::In(HOLDABLE), to: &[Pending], actors: &[Engine], why: "4.2: no candidate, no input, or held on purpose" },
    Rule {
        from: Start::In(&[Pending]),
        to: HOLDABLE,
        actors: &[Engine, Watcher, User],
        why: "4.2, 4.4: back after a while, a wake-up or `release`",
    },
    Rule { from: Start::In(&[Pending]), to: &[Aborting, Exhausted], actors: &[Watcher], why: "4.2: pending for more than 7 days" },
    Rule {
        from: Start::In(PAUSABLE),
        to: &[Paused],
        actors: &[User, Watcher, Finisher],
        why: "4.3: pause; 5.9: paused by its failure rate",
    },
    Rule { from: Start::In(&[Paused]), to: PAUSABLE, actors: &[Engine, User], why: "4.3: resume" },
    Rule { from: Start::In(&[Running]), to: &[Throttled], actors: &[Watcher], why: "4.4: its files keep failing" },
    Rule { from: Start::In(&[Throttled]), to: HOLDABLE, actors: &[Watcher, Engine, User], why: "4.2, 4.4: resume" },
    // 4.3, commands
    Rule { from: Start::In(KILLABLE), to: &[Aborting], actors: &[User, Engine, Watcher], why: "4.3: kill" },
    Rule { from: Start::In(&[Aborting]), to: &[Toabort], actors: &[Engine, Finisher], why: "4.3: its jobs are killed" },
    Rule {
        from: Start::In(KILLABLE),
        to: &[Finishing],
        actors: &[User, Engine, Watcher],
        why: "4.3: finish; 4.4: goal reached, or exhausted for more than 48 hours",
    },
    Rule { from: Start::In(&[Finishing]), to: &[Passed], actors: &[Engine, Finisher], why: "4.3: its jobs are ended" },
    Rule { from: Start::In(&[Finished, Failed, Exhausted]), to: &[Toretry], actors: &[User, Engine], why: "4.3: retry" },
    Rule { from: Start::In(&[Toretry]), to: &[Ready], actors: &[Engine], why: "4.3: attempts are added" },
    Rule {
        from: Start::In(&[Toretry]),
        to: &[Exhausted, Finished, Failed],
        actors: &[Engine],
        why: "4.3: a gate is violated, or there is nothing to retry",
    },
    Rule {
        from: Start::In(&[Finished, Failed, Aborted, Done, Exhausted]),
        to: &[Toincexec],
        actors: &[User, Client, Engine],
        why: "4.3: input is to be read anew; also the same task submitted again",
    },
    Rule { from: Start::In(&[Toincexec]), to: &[Rerefine], actors: &[Engine], why: "4.3: changed parameters are in place" },
    Rule { from: Start::In(&[Toincexec]), to: &[Exhausted], actors: &[Engine], why: "4.3, 5.7: a gate is violated" },
    Rule {
        from: Start::In(&[Defined, Ready, Running, Scouting, Scouted, Pending, Assigning, Exhausted]),
        to: &[Toreassign],
        actors: &[User, Watcher],
        why: "4.3: reassign",
    },
    Rule { from: Start::In(&[Toreassign]), to: &[Reassigning], actors: &[Engine], why: "4.3: its jobs are being closed" },
    Rule {
        from: Start::In(&[Reassigning]),
        to: &[Assigning, Ready, Registered, Rerefine, Defined, Running, Scouting, Scouted, Pending, Exhausted],
        actors: &[Engine],
        why: "4.3: moved, or back to the old state",
    },
    Rule { from: Start::In(&[Finished, Failed, Aborted, Exhausted, Pending]), to: &[Ready], actors: &[User], why: "api_v1 13: reactivate" },
    // 4.4, a parent's fate
    Rule { from: Start::In(KILLABLE), to: &[Toabort], actors: &[Watcher, Finisher], why: "4.4, 5.6: its parent failed" },
];

impl State for TaskState {
    const NOUN: &'static str = "task";
    const TABLE: &'static [Rule<Self>] = TABLE;
}

/// Whether `actor` may move a task from `from` (`None`: it is being made) to `to`.
///
/// # Errors
/// [`IllegalTransition`] says whether nobody may, or who else may.
pub fn check(from: Option<TaskState>, to: TaskState, actor: Actor) -> Result<(), IllegalTransition> {
    machine::check(from, to, actor).map(|_why| ())
}
