//! The commands on a task: where each is taken and through which states it leads (`spec/engine.md` section 4.3).
//!
//! It must not know who commands, nor how a command is stored.

use super::state::TaskState;
use super::transition::{KILLABLE, PAUSABLE};
use crate::id::TaskId;
use crate::words::word_enum;
use TaskState::{
    Aborted, Aborting, Assigning, Defined, Done, Exhausted, Failed, Finished, Finishing, Passed, Paused, Pending, Ready, Reassigning,
    Rerefine, Running, Scouted, Scouting, Staging, Throttled, Toabort, Toincexec, Toreassign, Toretry,
};

/// Result code of an accepted command.
pub const CODE_REGISTERED: i64 = 0;
/// Result code when there is no such task.
pub const CODE_NOT_FOUND: i64 = 2;
/// Result code when the task's state does not take the command.
pub const CODE_REJECTED: i64 = 4;
/// Result code of a retry in place: the failed files of a task that still runs are tried again at once.
pub const CODE_IN_PLACE: i64 = 5;

word_enum! {
    /// A command on a task.
    Command, "task command" {
        /// End it and its jobs.
        Kill = "kill",
        /// End it early, keeping what is done.
        Finish = "finish",
        /// Try its failed files again.
        Retry = "retry",
        /// Read its input anew (`reload_input`).
        Incexec = "incexec",
        /// Move it elsewhere.
        Reassign = "reassign",
        /// Make and start no more jobs for now.
        Pause = "pause",
        /// Go on.
        Resume = "resume",
        /// Do not wait for the scouts.
        Avalanche = "avalanche",
        /// Do not wait for parents, staging or holds.
        Release = "release",
    }
}

/// Where an accepted command leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Doing {
    /// The result code for the caller: [`CODE_REGISTERED`] or [`CODE_IN_PLACE`].
    pub code: i64,
    /// The state that the task enters at once; none when it stays (it is there already, or only a flag changes) or goes back.
    pub enters: Option<TaskState>,
    /// The state that follows when the work of the command is done; none = the previous one, or the task just goes on.
    pub then: Option<TaskState>,
    /// Whether the present state is kept as the previous one.
    pub keeps_previous: bool,
    /// Whether the task goes back to its previous state.
    pub goes_back: bool,
}

/// A command that is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommandRejected {
    /// There is no such task.
    #[error("jediTaskID={0} not found")]
    NotFound(TaskId),
    /// Its state does not take it.
    #[error("Command rejected: the {command} command is not accepted if the task is in {state} status")]
    State {
        /// The command.
        command: Command,
        /// The task's state.
        state: TaskState,
    },
}

impl CommandRejected {
    /// The result code for the caller.
    #[must_use]
    pub const fn code(&self) -> i64 {
        match self {
            Self::NotFound(_) => CODE_NOT_FOUND,
            Self::State { .. } => CODE_REJECTED,
        }
    }
}

/// The text for an accepted command, as clients show it.
#[must_use]
pub fn registered_text(command: Command, task: TaskId) -> String {
    format!("command={command} is registered for task ID {task}. will be executed in a few minutes")
}

/// The states in which a command is taken.
#[must_use]
pub const fn allowed_from(command: Command) -> &'static [TaskState] {
    match command {
        Command::Kill | Command::Finish => KILLABLE,
        Command::Retry => &[Finished, Failed, Exhausted],
        Command::Incexec => &[Finished, Failed, Aborted, Done, Exhausted],
        Command::Reassign => &[Defined, Ready, Running, Scouting, Scouted, Pending, Assigning, Exhausted],
        Command::Pause => PAUSABLE,
        Command::Resume => &[Paused, Throttled, Staging],
        Command::Avalanche => &[Scouting],
        Command::Release => &[Scouting, Pending, Running, Ready, Assigning, Defined],
    }
}

/// States in which `retry` of a user's task tries failed files again in place.
pub const RETRY_IN_PLACE: &[TaskState] = &[Running, Scouting, Pending];

/// Whether a task in `state` takes `command`, and where that leads. `user_task`: its label is `user` (only those retry in place).
///
/// # Errors
/// [`CommandRejected::State`].
pub fn allowed(command: Command, state: TaskState, user_task: bool) -> Result<Doing, CommandRejected> {
    if command == Command::Retry && user_task && RETRY_IN_PLACE.contains(&state) {
        return Ok(Doing { code: CODE_IN_PLACE, enters: None, then: None, keeps_previous: false, goes_back: false });
    }
    if !allowed_from(command).contains(&state) {
        return Err(CommandRejected::State { command, state });
    }
    let (enters, then) = match command {
        Command::Kill => (Some(Aborting), Some(Toabort)),
        Command::Finish => (Some(Finishing), Some(Passed)),
        Command::Retry => (Some(Toretry), Some(Ready)),
        Command::Incexec => (Some(Toincexec), Some(Rerefine)),
        Command::Reassign => (Some(Toreassign), Some(Reassigning)),
        Command::Pause => (Some(Paused), None),
        Command::Resume | Command::Release => (None, None),
        Command::Avalanche => (Some(Running), None),
    };
    Ok(Doing {
        code: CODE_REGISTERED,
        enters: enters.filter(|next| *next != state),
        then,
        keeps_previous: matches!(command, Command::Pause | Command::Reassign),
        goes_back: command == Command::Resume || (command == Command::Release && state == Pending),
    })
}

/// Where `reassign` sends a task.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Target {
    /// A queue.
    pub site: Option<String>,
    /// A group of queues.
    pub cloud: Option<String>,
    /// The site of its outputs.
    pub nucleus: Option<String>,
}

/// The state in which a reassigned task goes on (4.3, 5.7). `prev`: the state in which the command came, or that a hold had interrupted;
/// `had_nucleus`: a site for its outputs was chosen before; `to_old`: it goes on where it was.
#[must_use]
pub fn after_reassign(prev: Option<TaskState>, target: &Target, had_nucleus: bool, to_old: bool) -> TaskState {
    match prev {
        Some(early @ (TaskState::Registered | Rerefine)) => early,
        None | Some(Defined | Staging) => Defined,
        Some(old @ (Assigning | Ready | Running | Scouting | Scouted | Exhausted)) if to_old => old,
        // What chose the site before chooses anew.
        Some(_) if target.site.is_none() && target.nucleus.is_none() && had_nucleus => Assigning,
        Some(_) => Ready,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Actor;
    use crate::task::transition;

    #[test]
    fn every_accepted_command_stands_in_the_transition_table() {
        for command in Command::ALL {
            for state in TaskState::ALL {
                let Ok(doing) = allowed(*command, *state, true) else { continue };
                if let Some(enters) = doing.enters {
                    assert_eq!(transition::check(Some(*state), enters, Actor::User), Ok(()), "{command}: {state}");
                }
                let (Some(now), Some(then)) = (doing.enters, doing.then) else { continue };
                assert_eq!(transition::check(Some(now), then, Actor::Engine), Ok(()), "{command}: {now}");
            }
        }
    }

    #[test]
    fn a_reassigned_task_goes_on() {
        let to = |site: &str, nucleus: &str| Target {
            site: (!site.is_empty()).then(|| site.to_owned()),
            nucleus: (!nucleus.is_empty()).then(|| nucleus.to_owned()),
            cloud: None,
        };
        let cases = [
            (Running, to("Q", ""), true, false, Ready),
            (Running, to("", "N"), true, false, Ready),
            (Running, to("", ""), true, false, Assigning),
            (Running, to("", ""), false, false, Ready),
            (Running, to("", ""), true, true, Running),
            (Exhausted, to("", ""), false, true, Exhausted),
            (Exhausted, to("Q", ""), false, false, Ready),
            (Defined, to("Q", ""), false, true, Defined),
        ];
        for (prev, target, had, old, expected) in cases {
            let state = after_reassign(Some(prev), &target, had, old);
            assert_eq!(state, expected, "{prev} {target:?}");
            assert_eq!(transition::check(Some(Reassigning), state, Actor::Engine), Ok(()));
        }
        assert_eq!(after_reassign(None, &to("", ""), false, false), Defined);
    }

    #[test]
    fn refusals_and_codes() {
        let refused = allowed(Command::Kill, Done, true).unwrap_err();
        assert_eq!(refused.code(), CODE_REJECTED);
        assert_eq!(refused.to_string(), "Command rejected: the kill command is not accepted if the task is in done status");
        assert_eq!(CommandRejected::NotFound(TaskId(7)).to_string(), "jediTaskID=7 not found");
        assert!(allowed(Command::Kill, Aborting, true).is_err());
        assert_eq!(allowed(Command::Finish, Finishing, true).unwrap().enters, None, "soft finish, then hard");
        assert_eq!(allowed(Command::Retry, Running, true).unwrap().code, CODE_IN_PLACE);
        assert!(allowed(Command::Retry, Running, false).is_err());
        assert!(allowed(Command::Pause, Paused, true).is_err());
        assert!(allowed(Command::Resume, Paused, true).unwrap().goes_back);
        assert!(allowed(Command::Resume, Running, true).is_err());
    }
}
