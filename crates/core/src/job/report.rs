//! What a pilot's status update does to a job and which command goes back (`spec/engine.md` section 3.3).
//!
//! It must not know the wire, nor how attributes (node, CPU time, ...) are stored: it only says whether they are.

use std::borrow::Cow;
use std::fmt;

use super::state::JobState;
use crate::words::word_enum;

word_enum! {
    /// What a pilot may say of its job.
    Reported, "reported job state" {
        /// The pilot works on it.
        Starting = "starting",
        /// The payload runs.
        Running = "running",
        /// The pilot keeps it for now.
        Holding = "holding",
        /// Outputs are being moved.
        Transferring = "transferring",
        /// Final: ended well.
        Finished = "finished",
        /// Final: ended badly.
        Failed = "failed",
    }
}

impl Reported {
    /// Whether this is the last word: a report comes with it and the job goes to `holding`.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Finished | Self::Failed)
    }
}

/// Supervisor error code of an update from a batch job other than the one that has the job. Our own number: the original's is not documented.
pub const INVALID_BATCH_ID: i64 = 1_000;

/// The answer to an update: text for the pilot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command(Cow<'static, str>);

impl Command {
    /// Nothing to do.
    pub const NULL: Self = Self(Cow::Borrowed("NULL"));
    /// Stop the payload and report.
    pub const TO_BE_KILLED: Self = Self(Cow::Borrowed("tobekilled"));
    /// Send the tail of the payload's output with each heartbeat.
    pub const DEBUG: Self = Self(Cow::Borrowed("debug"));
    /// Both.
    pub const DEBUG_TO_BE_KILLED: Self = Self(Cow::Borrowed("debug,tobekilled"));
    /// The final report is in; nothing more is wanted.
    pub const ALREADY_DONE: Self = Self(Cow::Borrowed("alreadydone"));

    /// The command that waits for the pilot: `debug` when debugging, joined by a comma with the stored one; `NULL` without either.
    #[must_use]
    pub fn pending(debug: bool, stored: Option<&str>) -> Self {
        match (debug, stored.filter(|text| !text.is_empty())) {
            (false, None) => Self::NULL,
            (true, None) => Self::DEBUG,
            (false, Some("tobekilled")) => Self::TO_BE_KILLED,
            (true, Some("tobekilled")) => Self::DEBUG_TO_BE_KILLED,
            (false, Some(text)) => Self(Cow::Owned(text.to_owned())),
            (true, Some(text)) => Self(Cow::Owned(format!("debug,{text}"))),
        }
    }

    /// The text that travels.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What the decision needs to know of the stored job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JobView<'a> {
    /// Present state.
    pub state: JobState,
    /// `attemptNr`.
    pub attempt: i64,
    /// Batch id of the pilot that has it.
    pub batch_id: Option<&'a str>,
    /// Whether `holding` or what follows came from a final report and not from a pilot that only holds or transfers.
    pub final_report_in: bool,
    /// Stored command.
    pub command: Option<&'a str>,
    /// Debug mode.
    pub debug: bool,
}

/// What the decision needs to know of the update.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UpdateRequest<'a> {
    /// The reported state.
    pub state: Reported,
    /// The attempt the pilot believes in; not checked when absent.
    pub attempt: Option<i64>,
    /// The pilot's batch id.
    pub batch_id: Option<&'a str>,
}

/// What happens to the row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Nothing, not even the time of the last change.
    None,
    /// The reported attributes are stored; the state stays.
    Attributes,
    /// The reported attributes are stored and the state changes.
    To(JobState),
    /// The report is stored for the finisher and the job is in `holding` (it may have been there, held by the pilot).
    FinalReport {
        /// Whether the job changes its state to `holding`.
        moves: bool,
        /// Whether the pilot says it ended well.
        finished: bool,
    },
    /// Only [`INVALID_BATCH_ID`] and this text are stored as supervisor error.
    WrongBatch {
        /// What is wrong.
        diag: String,
    },
}

/// The decision on one update.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpdateDecision {
    /// What happens to the row.
    pub effect: Effect,
    /// What the pilot is told.
    pub command: Command,
    /// Whether the start time is now (or as reported).
    pub sets_started: bool,
    /// Whether the end time is now (or as reported).
    pub sets_ended: bool,
}

impl UpdateDecision {
    const fn only(command: Command) -> Self {
        Self { effect: Effect::None, command, sets_started: false, sets_ended: false }
    }
}

/// Decides on one status update; `current` is `None` when there is no such job.
#[must_use]
pub fn on_update(current: Option<&JobView<'_>>, request: &UpdateRequest<'_>) -> UpdateDecision {
    let Some(job) = current else {
        return UpdateDecision::only(Command::TO_BE_KILLED);
    };
    if request.attempt.is_some_and(|attempt| attempt != job.attempt) {
        return UpdateDecision::only(Command::TO_BE_KILLED);
    }
    let pending = Command::pending(job.debug, job.command);
    let held = request.state == Reported::Holding || request.state.is_final();
    match job.state {
        // Over for good, or not given to any pilot (yet, or any more): whoever reports must stop.
        JobState::Finished
        | JobState::Cancelled
        | JobState::Closed
        | JobState::Pending
        | JobState::Defined
        | JobState::Assigned
        | JobState::Waiting
        | JobState::Activated
        | JobState::Throttled => UpdateDecision::only(Command::TO_BE_KILLED),
        // A job that its own report made fail is done with; one that we declared lost still has a payload to stop.
        JobState::Failed if job.final_report_in => UpdateDecision::only(Command::ALREADY_DONE),
        JobState::Failed => UpdateDecision::only(Command::TO_BE_KILLED),
        JobState::Transferring if held && job.final_report_in => UpdateDecision::only(Command::ALREADY_DONE),
        JobState::Holding if request.state.is_final() && job.final_report_in => UpdateDecision::only(Command::ALREADY_DONE),
        JobState::Holding if !request.state.is_final() => UpdateDecision::only(pending),
        JobState::Merging => UpdateDecision::only(pending),
        JobState::Transferring if matches!(request.state, Reported::Starting | Reported::Running) => UpdateDecision::only(pending),
        _ if differs(job.batch_id, request.batch_id) => UpdateDecision {
            effect: Effect::WrongBatch {
                diag: format!(
                    "update from batch job {} while batch job {} has this job",
                    request.batch_id.unwrap_or_default(),
                    job.batch_id.unwrap_or_default()
                ),
            },
            command: Command::TO_BE_KILLED,
            sets_started: false,
            sets_ended: false,
        },
        JobState::Sent | JobState::Starting | JobState::Running | JobState::Holding | JobState::Transferring => {
            applied(job.state, request.state, pending)
        }
    }
}

/// The last row of the table: the update counts. `from` is sent, starting, running, or held by the pilot itself.
fn applied(from: JobState, reported: Reported, command: Command) -> UpdateDecision {
    let to = match reported {
        Reported::Starting if from == JobState::Running => JobState::Running,
        Reported::Starting => JobState::Starting,
        Reported::Running => JobState::Running,
        Reported::Transferring => JobState::Transferring,
        Reported::Holding | Reported::Finished | Reported::Failed => JobState::Holding,
    };
    let effect = if reported.is_final() {
        Effect::FinalReport { moves: from != JobState::Holding, finished: reported == Reported::Finished }
    } else if to == from {
        Effect::Attributes
    } else {
        Effect::To(to)
    };
    UpdateDecision {
        effect,
        command,
        sets_started: to == JobState::Running && matches!(from, JobState::Sent | JobState::Starting),
        sets_ended: to != from && (to == JobState::Holding || (from == JobState::Running && to == JobState::Transferring)),
    }
}

/// Whether two batch ids name different batch jobs. Plain numbers (`12`, `12.0`) are not compared: one batch job shows several.
fn differs(stored: Option<&str>, reported: Option<&str>) -> bool {
    match (stored.filter(|s| !s.is_empty()), reported.filter(|s| !s.is_empty())) {
        (Some(stored), Some(reported)) => stored != reported && !is_number(stored) && !is_number(reported),
        _ => false,
    }
}

fn is_number(text: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    match text.split_once('.') {
        Some((whole, fraction)) => digits(whole) && digits(fraction),
        None => digits(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::transition;
    use crate::machine::Actor;

    fn job(state: JobState) -> JobView<'static> {
        JobView { state, attempt: 1, batch_id: None, final_report_in: true, command: None, debug: false }
    }

    fn said(state: Reported) -> UpdateRequest<'static> {
        UpdateRequest { state, attempt: Some(1), batch_id: None }
    }

    fn outcome(view: &JobView<'_>, state: Reported) -> (Effect, String) {
        let decision = on_update(Some(view), &said(state));
        (decision.effect, decision.command.to_string())
    }

    #[test]
    fn unknown_jobs_and_other_attempts_are_killed() {
        for reported in Reported::ALL {
            assert_eq!(on_update(None, &said(*reported)).command, Command::TO_BE_KILLED);
            let other = UpdateRequest { attempt: Some(2), ..said(*reported) };
            let decision = on_update(Some(&job(JobState::Running)), &other);
            assert_eq!((decision.effect, decision.command), (Effect::None, Command::TO_BE_KILLED));
        }
        let silent = UpdateRequest { attempt: None, ..said(Reported::Running) };
        assert_eq!(on_update(Some(&job(JobState::Starting)), &silent).effect, Effect::To(JobState::Running));
    }

    #[test]
    fn rows_of_the_table() {
        use Reported as R;
        let none = |command: &str| (Effect::None, command.to_owned());
        let pilot_held = |state| JobView { final_report_in: false, ..job(state) };
        for reported in [R::Holding, R::Transferring, R::Starting, R::Running, R::Finished] {
            assert_eq!(outcome(&job(JobState::Failed), reported), none("alreadydone"));
            assert_eq!(outcome(&pilot_held(JobState::Failed), reported), none("tobekilled"));
            assert_eq!(outcome(&job(JobState::Merging), reported), none("NULL"));
        }
        assert_eq!(outcome(&job(JobState::Transferring), R::Holding), none("alreadydone"));
        assert_eq!(outcome(&job(JobState::Holding), R::Finished), none("alreadydone"));
        assert_eq!(outcome(&job(JobState::Holding), R::Holding), none("NULL"));
        assert_eq!(outcome(&job(JobState::Holding), R::Running), none("NULL"));
        assert_eq!(outcome(&job(JobState::Holding), R::Transferring), none("NULL"));
        assert_eq!(outcome(&job(JobState::Transferring), R::Starting), none("NULL"));
        assert_eq!(outcome(&job(JobState::Running), R::Starting), (Effect::Attributes, "NULL".into()));
        assert_eq!(outcome(&pilot_held(JobState::Transferring), R::Holding), (Effect::To(JobState::Holding), "NULL".into()));
        let final_report = Effect::FinalReport { moves: false, finished: true };
        assert_eq!(outcome(&pilot_held(JobState::Holding), R::Finished), (final_report, "NULL".into()));
    }

    #[test]
    fn times_follow_the_state() {
        let start = on_update(Some(&job(JobState::Sent)), &said(Reported::Running));
        assert!(start.sets_started && !start.sets_ended);
        let again = on_update(Some(&job(JobState::Running)), &said(Reported::Running));
        assert_eq!((again.effect, again.sets_started), (Effect::Attributes, false));
        let end = on_update(Some(&job(JobState::Running)), &said(Reported::Failed));
        assert_eq!(end.effect, Effect::FinalReport { moves: true, finished: false });
        assert!(end.sets_ended);
    }

    #[test]
    fn another_batch_job_is_told_to_stop() {
        let mut view = JobView { batch_id: Some("slurm-7"), ..job(JobState::Running) };
        let request = UpdateRequest { batch_id: Some("slurm-8"), ..said(Reported::Running) };
        let decision = on_update(Some(&view), &request);
        assert_eq!(decision.command, Command::TO_BE_KILLED);
        assert!(matches!(decision.effect, Effect::WrongBatch { .. }));
        view.batch_id = Some("7.0");
        assert_eq!(on_update(Some(&view), &request).effect, Effect::Attributes);
    }

    #[test]
    fn commands_join() {
        let texts =
            [(false, None), (true, None), (false, Some("tobekilled")), (true, Some("tobekilled")), (true, Some("x")), (false, Some(""))];
        let joined: Vec<String> = texts.iter().map(|(debug, stored)| Command::pending(*debug, *stored).to_string()).collect();
        assert_eq!(joined, ["NULL", "debug", "tobekilled", "debug,tobekilled", "debug,x", "NULL"]);
    }

    #[test]
    fn every_change_stands_in_the_transition_table() {
        for state in JobState::ALL {
            for reported in Reported::ALL {
                for final_report_in in [false, true] {
                    let view = JobView { final_report_in, ..job(*state) };
                    let to = match on_update(Some(&view), &said(*reported)).effect {
                        Effect::To(to) => to,
                        Effect::FinalReport { moves: true, .. } => JobState::Holding,
                        Effect::FinalReport { moves: false, .. } => {
                            assert_eq!(*state, JobState::Holding);
                            continue;
                        }
                        _ => continue,
                    };
                    assert_eq!(transition::check(Some(*state), to, Actor::Pilot), Ok(()), "{state} + {reported}");
                }
            }
        }
    }
}
