//! What a kill does to a job: who may, what the pilot is told, and which final state follows (`spec/engine.md` section 3.5).
//!
//! It must not know identities: who the killer is relative to the job comes in as flags.

use super::state::JobState;

/// Codes with which jobs are killed (`code` of `job/kill`).
pub mod reason {
    /// Expired: nobody took it.
    pub const EXPIRED: i64 = 2;
    /// Aborted by an operator.
    pub const ABORTED: i64 = 3;
    /// Expired while waiting.
    pub const EXPIRED_WAITING: i64 = 4;
    /// A failed job was tried again.
    pub const RETRIED: i64 = 7;
    /// Moved elsewhere.
    pub const REASSIGNED: i64 = 8;
    /// Killed by the system, running or not.
    pub const BY_SYSTEM: i64 = 9;
    /// Its queue is congested.
    pub const FAST_REBROKERAGE: i64 = 10;
    /// Its task is killed.
    pub const TASK_KILLED: i64 = 50;
    /// Its task wants its files back.
    pub const TASK_REASSIGNED: i64 = 51;
    /// Its task is finished early.
    pub const TASK_FINISHED: i64 = 52;
    /// Its task is done without it.
    pub const TASK_DONE: i64 = 55;
    /// The pilot closed it.
    pub const BY_PILOT: i64 = 60;
    /// An operator insists.
    pub const FORCED: i64 = 99;
}

/// Numbers of the server's own errors (`taskBufferErrorCode`).
pub mod code {
    /// Killed.
    pub const KILL: i64 = 100;
    /// A transfer failed.
    pub const TRANSFER: i64 = 101;
    /// Expired.
    pub const EXPIRE: i64 = 102;
    /// Aborted.
    pub const ABORTED: i64 = 103;
    /// Moved elsewhere.
    pub const REASSIGNED: i64 = 105;
    /// Tried again by the server.
    pub const RETRIED: i64 = 106;
    /// Tried again by the pilot.
    pub const PILOT_RETRIED: i64 = 107;
    /// Its queue was congested.
    pub const FAST_REBROKERAGE: i64 = 130;
    /// Its worker was over.
    pub const WORKER_DONE: i64 = 300;
}

/// Codes with which a production role may kill jobs of users.
const PRODUCTION_ON_USER_JOBS: &[i64] = &[2, 4, 7, 8, 9, 10, 50, 51, 52, 91, 99];

/// Codes whose command is set even if the pilot was already told to stop.
const TOLD_AGAIN: &[i64] = &[2, 9, 10, 51, 52, 60, 99];

/// The job as far as a kill needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KillView<'a> {
    /// Present state.
    pub state: JobState,
    /// `prodSourceLabel`.
    pub label: &'a str,
    /// `workingGroup` of its task.
    pub working_group: Option<&'a str>,
    /// Whether it processes event ranges or merges them.
    pub event_service: bool,
    /// Whether the stored command is already `tobekilled`.
    pub told: bool,
    /// When the state last changed, as people read it.
    pub state_since: &'a str,
}

/// Who kills, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Killer<'a> {
    /// Name to show.
    pub name: &'a str,
    /// Whether the killer owns the job.
    pub owner: bool,
    /// Whether the killer has the production role; the system's own loops have it.
    pub production: bool,
    /// Working-group roles of the killer.
    pub group_roles: &'a [&'a str],
    /// One of [`reason`], or none.
    pub code: Option<i64>,
    /// Text given with the kill: the diagnosis with codes 50 and 52, the line in the job's history with all.
    pub text: Option<&'a str>,
}

/// The final row of a killed job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// `cancelled` or `closed`.
    pub to: JobState,
    /// Sub-state.
    pub sub_state: Option<&'static str>,
    /// One of [`code`].
    pub error_code: i64,
    /// Text of the error.
    pub error_diag: String,
    /// Whether the stored command is taken away.
    pub clears_command: bool,
    /// Whether the start time becomes the end time (the payload never ran).
    pub start_is_end: bool,
}

/// What a kill does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KillDecision {
    /// The killer may not.
    Refused,
    /// The job is over, or its pilot was told already: nothing is written.
    Nothing,
    /// The command `tobekilled` and this text are stored; the pilot's report ends the job.
    TellPilot {
        /// Stored as the server's text.
        diag: String,
    },
    /// The job ends now.
    End(Ending),
    /// A failed job is only marked: it was tried again ([`code::RETRIED`]).
    MarkRetried,
}

impl KillDecision {
    /// The answer of `job/kill`: whether the command was set or the job ended.
    #[must_use]
    pub const fn done(&self) -> bool {
        !matches!(self, Self::Refused | Self::Nothing)
    }
}

/// Whether the killer may kill the job at all (step 1).
#[must_use]
pub fn permitted(job: &KillView<'_>, killer: &Killer<'_>) -> bool {
    let group = matches!(job.label, "managed" | "test")
        && job.working_group.is_some_and(|group| killer.group_roles.iter().any(|role| group_has_role(group, role)));
    let users_job = matches!(job.label, "user" | "panda");
    let production = killer.production && (!users_job || killer.code.is_some_and(|code| PRODUCTION_ON_USER_JOBS.contains(&code)));
    killer.owner || group || production
}

/// Whether a working group belongs to a role: it is the role, or ends in `_role`; case does not count.
#[must_use]
pub fn group_has_role(group: &str, role: &str) -> bool {
    let (group, role) = (group.to_lowercase(), role.to_lowercase());
    !role.is_empty() && (group == role || group.ends_with(&format!("_{role}")))
}

/// Decides on one kill.
#[must_use]
pub fn on_kill(job: &KillView<'_>, killer: &Killer<'_>) -> KillDecision {
    if !permitted(job, killer) {
        return KillDecision::Refused;
    }
    if job.state.is_final() {
        let retried = job.state == JobState::Failed && killer.code == Some(reason::RETRIED);
        return if retried { KillDecision::MarkRetried } else { KillDecision::Nothing };
    }
    // A job in `merging` has no pilot any more that could hear.
    let insists = job.event_service || job.state == JobState::Merging || killer.code.is_some_and(|code| TOLD_AGAIN.contains(&code));
    if job.told && !insists {
        return KillDecision::Nothing;
    }
    if job.state == JobState::Running && !ends_running(job, killer) {
        return KillDecision::TellPilot { diag: format!("killed by {}", killer.name) };
    }
    KillDecision::End(ending(job, killer))
}

/// Whether even a running job ends now instead of by its pilot (step 3).
fn ends_running(job: &KillView<'_>, killer: &Killer<'_>) -> bool {
    let production_job = job.label == "managed" || job.label.contains("test");
    match killer.code {
        Some(reason::BY_SYSTEM | reason::TASK_FINISHED) if production_job => true,
        Some(reason::FORCED) if killer.production => true,
        _ => job.event_service,
    }
}

/// The final row (step 4).
fn ending(job: &KillView<'_>, killer: &Killer<'_>) -> Ending {
    let killed_by = || format!("killed by {}", killer.name);
    let given = || killer.text.map_or_else(killed_by, str::to_owned);
    let expired = || format!("expired in {}. status unchanged since {}", job.state, job.state_since);
    let (to, sub_state, error_code, error_diag) = match killer.code {
        Some(reason::EXPIRED | reason::EXPIRED_WAITING) => (JobState::Closed, Some("toreassign"), code::EXPIRE, expired()),
        Some(reason::ABORTED) => (JobState::Cancelled, None, code::ABORTED, format!("aborted by {}", killer.name)),
        Some(reason::REASSIGNED) => (JobState::Cancelled, None, code::REASSIGNED, format!("reassigned by {}", killer.name)),
        Some(reason::TASK_KILLED | reason::TASK_FINISHED) => (JobState::Cancelled, None, code::KILL, given()),
        Some(reason::TASK_REASSIGNED) => (JobState::Closed, Some("toreassign"), code::KILL, "reassigned by JEDI".to_owned()),
        Some(reason::TASK_DONE) => (JobState::Closed, Some("taskdone"), code::KILL, killed_by()),
        Some(reason::BY_PILOT) => (JobState::Closed, None, code::KILL, "closed by the pilot".to_owned()),
        Some(reason::FAST_REBROKERAGE) => (JobState::Closed, None, code::FAST_REBROKERAGE, "moved away from a congested queue".to_owned()),
        _ => (JobState::Cancelled, None, code::KILL, killed_by()),
    };
    Ending {
        to,
        sub_state,
        error_code,
        error_diag,
        clears_command: killer.code == Some(reason::REASSIGNED),
        start_is_end: job.state == JobState::Starting,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::transition;
    use crate::machine::Actor;

    const JOB: KillView<'static> = KillView {
        state: JobState::Activated,
        label: "user",
        working_group: None,
        event_service: false,
        told: false,
        state_since: "2026-01-02 03:04:05",
    };
    const OWNER: Killer<'static> = Killer { name: "alice", owner: true, production: false, group_roles: &[], code: None, text: None };
    const OPERATOR: Killer<'static> = Killer { name: "root", owner: false, production: true, ..OWNER };

    #[test]
    fn only_owners_groups_and_production_may() {
        assert_eq!(on_kill(&JOB, &Killer { owner: false, ..OWNER }), KillDecision::Refused);
        assert_eq!(on_kill(&JOB, &OPERATOR), KillDecision::Refused, "a users' job needs a code");
        assert!(on_kill(&JOB, &Killer { code: Some(9), ..OPERATOR }).done());
        let managed = KillView { label: "managed", working_group: Some("AP_HIGG"), ..JOB };
        assert!(on_kill(&managed, &OPERATOR).done());
        let group = Killer { owner: false, group_roles: &["higg"], ..OWNER };
        assert!(on_kill(&managed, &group).done());
        assert_eq!(on_kill(&KillView { label: "user", ..managed }, &group), KillDecision::Refused);
        assert!(!group_has_role("AP_HIGG", "igg") && !group_has_role("x", ""));
    }

    #[test]
    fn production_needs_a_code_for_jobs_of_users() {
        for code in -1..=130 {
            let allowed = [2, 4, 7, 8, 9, 10, 50, 51, 52, 91, 99].contains(&code);
            for label in ["user", "panda"] {
                assert_eq!(permitted(&KillView { label, ..JOB }, &Killer { code: Some(code), ..OPERATOR }), allowed, "{code}");
            }
            for label in ["managed", "test", "prod_test", "install"] {
                assert!(permitted(&KillView { label, ..JOB }, &Killer { code: Some(code), ..OPERATOR }));
            }
        }
        let whole = KillView { label: "test", working_group: Some("HIGG"), ..JOB };
        assert!(permitted(&whole, &Killer { owner: false, group_roles: &["x", "Higg"], ..OWNER }));
    }

    /// Step 2: who was told already is told again only by some codes; step 3: which codes end even a running job.
    #[test]
    fn codes_that_insist_and_codes_that_end_what_runs() {
        let told = KillView { told: true, state: JobState::Running, ..JOB };
        for code in [2, 9, 10, 51, 52, 60, 99] {
            assert!(on_kill(&told, &Killer { code: Some(code), ..OWNER }).done(), "{code}");
        }
        for code in [None, Some(3), Some(4), Some(8), Some(50), Some(55), Some(91)] {
            assert_eq!(on_kill(&told, &Killer { code, ..OWNER }), KillDecision::Nothing, "{code:?}");
            let merging = KillView { state: JobState::Merging, ..told };
            assert!(matches!(on_kill(&merging, &Killer { code, ..OWNER }), KillDecision::End(_)), "{code:?}: its pilot is gone");
        }
        for (label, code, ends) in [
            ("managed", 9, true),
            ("managed", 52, true),
            ("prod_test", 52, true),
            ("rc_test2", 9, true),
            ("user", 9, false),
            ("user", 52, false),
            ("managed", 50, false),
            ("managed", 51, false),
            ("user", 99, true),
        ] {
            let job = KillView { state: JobState::Running, label, ..JOB };
            let decision = on_kill(&job, &Killer { code: Some(code), ..OPERATOR });
            assert_eq!(matches!(decision, KillDecision::End(_)), ends, "{label} {code}");
        }
        let events = KillView { event_service: true, state: JobState::Running, ..JOB };
        assert!(matches!(on_kill(&events, &OWNER), KillDecision::End(_)));
    }

    #[test]
    fn running_jobs_are_told_and_others_end() {
        let running = KillView { state: JobState::Running, ..JOB };
        assert_eq!(on_kill(&running, &OWNER), KillDecision::TellPilot { diag: "killed by alice".into() });
        assert_eq!(on_kill(&KillView { told: true, ..running }, &OWNER), KillDecision::Nothing);
        assert!(on_kill(&KillView { told: true, ..running }, &Killer { code: Some(51), ..OWNER }).done());
        let forced = Killer { code: Some(99), ..OPERATOR };
        assert!(matches!(on_kill(&running, &forced), KillDecision::End(_)));
        assert!(matches!(on_kill(&running, &Killer { code: Some(99), ..OWNER }), KillDecision::TellPilot { .. }));
        let managed = KillView { label: "managed", ..running };
        assert!(matches!(on_kill(&managed, &Killer { code: Some(52), ..OPERATOR }), KillDecision::End(_)));
        for state in [JobState::Sent, JobState::Starting, JobState::Holding, JobState::Transferring] {
            let KillDecision::End(end) = on_kill(&KillView { state, ..JOB }, &OWNER) else { panic!("{state}") };
            assert_eq!((end.to, end.error_code, end.start_is_end), (JobState::Cancelled, code::KILL, state == JobState::Starting));
        }
    }

    #[test]
    fn codes_decide_the_final_row() {
        let end = |kill| match on_kill(&JOB, &Killer { code: Some(kill), text: Some("enough"), ..OWNER }) {
            KillDecision::End(end) => (end.to.as_str(), end.sub_state, end.error_code, end.error_diag),
            other => panic!("{other:?}"),
        };
        let expired = "expired in activated. status unchanged since 2026-01-02 03:04:05".to_owned();
        assert_eq!(end(2), ("closed", Some("toreassign"), 102, expired.clone()));
        assert_eq!(end(4), ("closed", Some("toreassign"), 102, expired));
        assert_eq!(end(50), ("cancelled", None, 100, "enough".into()));
        assert_eq!(end(51), ("closed", Some("toreassign"), 100, "reassigned by JEDI".into()));
        assert_eq!(end(55), ("closed", Some("taskdone"), 100, "killed by alice".into()));
        assert_eq!(end(60), ("closed", None, 100, "closed by the pilot".into()));
        assert_eq!(end(52), end(50));
        assert_eq!((end(10).0, end(10).2), ("closed", code::FAST_REBROKERAGE));
        assert_eq!(end(3), ("cancelled", None, code::ABORTED, "aborted by alice".into()));
        assert_eq!((end(8).0, end(8).2), ("cancelled", code::REASSIGNED));
        for other in [0, 1, 5, 6, 7, 9, 91, 99, 1_000] {
            assert_eq!(end(other), ("cancelled", None, code::KILL, "killed by alice".into()), "{other}");
        }
        let clears = |kill| matches!(on_kill(&JOB, &Killer { code: Some(kill), ..OWNER }), KillDecision::End(e) if e.clears_command);
        assert!(clears(8) && !clears(50) && !clears(51));
        let failed = KillView { state: JobState::Failed, ..JOB };
        assert_eq!(on_kill(&failed, &Killer { code: Some(7), ..OWNER }), KillDecision::MarkRetried);
        assert_eq!(on_kill(&failed, &OWNER), KillDecision::Nothing);
    }

    #[test]
    fn every_end_stands_in_the_transition_table() {
        for state in JobState::LIVE {
            for kill in [None, Some(2), Some(3), Some(8), Some(10), Some(50), Some(51), Some(55), Some(60), Some(99)] {
                if let KillDecision::End(end) = on_kill(&KillView { state: *state, ..JOB }, &Killer { code: kill, ..OWNER }) {
                    assert_eq!(transition::check(Some(*state), end.to, Actor::User), Ok(()));
                }
            }
        }
    }
}
