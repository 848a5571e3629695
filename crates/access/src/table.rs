//! The one table of who may do what.
//!
//! Owns: every class of operation and what it demands of a caller (`spec/api_v1.md`, the auth column and section 17.2's
//! missing checks; `spec/client.md` section 8.4). Must not know: how a caller is identified or how an owner is looked up.

use crate::principal::Principal;

/// The owner of a task or job: (issuer, subject).
pub type Owner<'a> = (&'a str, &'a str);

/// What a right demands of the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Demand {
    /// Nothing: anonymous callers may.
    Nothing,
    /// An identity, whichever.
    Identity,
    /// The production role, or the pilot role where pilots work.
    PilotOrProduction,
    /// The production role.
    Production,
    /// To own the task or job, or the production role.
    Owner,
}

/// A class of operation. Each API method, page and command names exactly one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "each right is explained beside its demand in `Right::demand`")]
pub enum Right {
    ReadOpen,
    Read,
    TaskSubmit,
    TaskKill,
    TaskFinish,
    TaskRetry,
    TaskPause,
    TaskResume,
    TaskReloadInput,
    TaskReassign,
    TaskSteer,
    JobSubmit,
    JobSubmitManaged,
    JobKill,
    JobReassign,
    JobDebug,
    JobCommand,
    PilotAcquire,
    PilotAcquireOwn,
    PilotReport,
    Harvester,
    HarvesterCommand,
    CacheUse,
    CacheRegister,
    LogUpload,
    FileRecovery,
    SecretsOwn,
    Credentials,
    DatasetAdd,
    QueueChange,
    VoChange,
}

impl Right {
    /// Every right, for pages and tests that walk the table.
    pub const ALL: [Self; 31] = [
        Self::ReadOpen,
        Self::Read,
        Self::TaskSubmit,
        Self::TaskKill,
        Self::TaskFinish,
        Self::TaskRetry,
        Self::TaskPause,
        Self::TaskResume,
        Self::TaskReloadInput,
        Self::TaskReassign,
        Self::TaskSteer,
        Self::JobSubmit,
        Self::JobSubmitManaged,
        Self::JobKill,
        Self::JobReassign,
        Self::JobDebug,
        Self::JobCommand,
        Self::PilotAcquire,
        Self::PilotAcquireOwn,
        Self::PilotReport,
        Self::Harvester,
        Self::HarvesterCommand,
        Self::CacheUse,
        Self::CacheRegister,
        Self::LogUpload,
        Self::FileRecovery,
        Self::SecretsOwn,
        Self::Credentials,
        Self::DatasetAdd,
        Self::QueueChange,
        Self::VoChange,
    ];

    /// The table.
    #[must_use]
    pub const fn demand(self) -> Demand {
        match self {
            // is_alive, statistics, site and resource types, static files: nothing personal, and callers send no identity
            Self::ReadOpen => Demand::Nothing,
            // status, details, parameters, files of any task or job: readable by every identified caller, as upstream
            Self::Read => Demand::Identity,
            Self::TaskSubmit | Self::JobSubmit => Demand::Identity,
            // job/submit with the label `managed`
            Self::JobSubmitManaged => Demand::Production,
            Self::TaskKill | Self::TaskFinish | Self::TaskRetry | Self::JobKill => Demand::Owner,
            // upstream checks no owner here (api_v1.md section 17.2: to be mended)
            Self::TaskReloadInput | Self::TaskReassign | Self::JobReassign | Self::FileRecovery => Demand::Owner,
            // upstream asks for production; here the owner may also steer what is his own
            Self::TaskPause | Self::TaskResume | Self::JobDebug => Demand::Owner,
            // release, reactivate, avalanche, increase_attempts, change_*, shares, cloning, jumbo jobs
            Self::TaskSteer | Self::JobCommand => Demand::Production,
            Self::PilotAcquire | Self::PilotReport => Demand::PilotOrProduction,
            // acquire_jobs with prod_source_label=user: only the caller's own jobs are handed out
            Self::PilotAcquireOwn => Demand::Identity,
            // harvester/*: upstream takes any identity (section 17.2: to be mended)
            Self::Harvester => Demand::PilotOrProduction,
            Self::HarvesterCommand => Demand::Production,
            // sandbox upload, touch, validate, delete
            Self::CacheUse => Demand::Identity,
            Self::CacheRegister => Demand::Production,
            // upload_jedi_log, update_jedi_log: workers deliver logs, too
            Self::LogUpload => Demand::PilotOrProduction,
            // set_user_secrets, get_user_secrets: keyed by the caller, so nobody reaches another's
            Self::SecretsOwn => Demand::Identity,
            // get_proxy, get_key_pair, get_access_token: upstream keeps a flag per user; the roles replace it
            Self::Credentials => Demand::PilotOrProduction,
            Self::DatasetAdd => Demand::Identity,
            // queues, storage, shares, settings, rules; VOs and whom they trust
            Self::QueueChange | Self::VoChange => Demand::Production,
        }
    }
}

/// Why a caller may not. The texts are upstream's, since clients print and compare them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// No identity where one is needed.
    #[error("SSL secure connection is required")]
    NoIdentity,
    /// Neither production nor (where it counts) pilot role.
    #[error("production or pilot role required")]
    NoRole,
    /// `acquire_jobs` without a role and for jobs that are not the caller's.
    #[error("no production/pilot role in VOMS FQANs or non pilot owner")]
    NotPilot,
    /// Neither owner nor production.
    #[error("not the task owner or no production role")]
    NotOwner,
}

/// What can be told before the request is read: identity and role (upstream's checks 1 and 2). A right that depends on the
/// owner passes here for every identified caller; [`allowed`] decides it later.
///
/// # Errors
/// [`Denied`] with upstream's message.
pub fn admit(right: Right, principal: Option<&Principal>) -> Result<(), Denied> {
    let demand = right.demand();
    if demand == Demand::Nothing {
        return Ok(());
    }
    let principal = principal.ok_or(Denied::NoIdentity)?;
    let holds = match demand {
        Demand::Nothing | Demand::Identity | Demand::Owner => true,
        Demand::PilotOrProduction => principal.is_pilot() || principal.is_production(),
        Demand::Production => principal.is_production(),
    };
    match (holds, right) {
        (true, _) => Ok(()),
        (false, Right::PilotAcquire) => Err(Denied::NotPilot),
        (false, _) => Err(Denied::NoRole),
    }
}

/// The whole question: may this caller do that to something of this owner? An owner of None (an unknown task, or a thing
/// without owner) is nobody's, so only production passes where ownership counts.
///
/// # Errors
/// [`Denied`] with upstream's message.
pub fn allowed(right: Right, principal: Option<&Principal>, owner: Option<Owner<'_>>) -> Result<(), Denied> {
    admit(right, principal)?;
    let (Demand::Owner, Some(principal)) = (right.demand(), principal) else { return Ok(()) };
    let is_owner = owner.is_some_and(|owner| principal.owns(owner));
    if is_owner || principal.is_production() { Ok(()) } else { Err(Denied::NotOwner) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::principal::Role;

    fn who(subject: &str, roles: &[Role]) -> Principal {
        Principal {
            issuer: "i".into(),
            subject: subject.into(),
            name: subject.into(),
            nickname: subject.into(),
            vo: Some("amber".into()),
            roles: roles.iter().cloned().collect(),
            groups: vec!["amber".into()],
            email: None,
        }
    }

    #[test]
    fn the_matrix() {
        let alice = who("alice", &[]);
        let bob = who("bob", &[]);
        let prod = who("prod", &[Role::Production]);
        let pilot = who("pilot", &[Role::Pilot]);
        let odd = who("odd", &[Role::Named("analysis".into())]);
        let of_alice = Some(("i", "alice"));
        for right in Right::ALL {
            let ask = |p: Option<&Principal>| allowed(right, p, of_alice);
            let (no_role, pilot_role) = match right {
                Right::PilotAcquire => (Err(Denied::NotPilot), Ok(())),
                _ => (Err(Denied::NoRole), Ok(())),
            };
            let want = match right.demand() {
                Demand::Nothing => [Ok(()); 6],
                Demand::Identity => [Err(Denied::NoIdentity), Ok(()), Ok(()), Ok(()), Ok(()), Ok(())],
                Demand::PilotOrProduction => [Err(Denied::NoIdentity), no_role, no_role, Ok(()), pilot_role, no_role],
                Demand::Production => [Err(Denied::NoIdentity), no_role, no_role, Ok(()), Err(Denied::NoRole), no_role],
                Demand::Owner => {
                    let no = Err(Denied::NotOwner);
                    [Err(Denied::NoIdentity), Ok(()), no, Ok(()), no, no]
                }
            };
            let got = [ask(None), ask(Some(&alice)), ask(Some(&bob)), ask(Some(&prod)), ask(Some(&pilot)), ask(Some(&odd))];
            assert_eq!(got, want, "{right:?}");
        }
    }

    #[test]
    fn what_nobody_owns_needs_production_and_the_issuer_counts() {
        let alice = who("alice", &[]);
        assert_eq!(allowed(Right::TaskKill, Some(&alice), None), Err(Denied::NotOwner));
        assert_eq!(allowed(Right::TaskKill, Some(&alice), Some(("elsewhere", "alice"))), Err(Denied::NotOwner));
        assert_eq!(allowed(Right::TaskKill, Some(&who("p", &[Role::Production])), None), Ok(()));
    }

    #[test]
    fn every_right_stands_once_in_the_list() {
        let seen: std::collections::HashSet<_> = Right::ALL.into_iter().collect();
        assert_eq!(seen.len(), Right::ALL.len());
    }

    #[test]
    fn messages_are_upstreams() {
        assert_eq!(Denied::NoIdentity.to_string(), "SSL secure connection is required");
        assert_eq!(Denied::NoRole.to_string(), "production or pilot role required");
        assert_eq!(Denied::NotOwner.to_string(), "not the task owner or no production role");
    }
}
