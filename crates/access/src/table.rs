//! The one table of who may do what.
//!
//! Owns: every class of operation and the grounds on which a caller may do it (`spec/api_v1.md`, the auth column and section 17.2's missing checks;
//! `spec/client.md` section 8.4). The server, `docs/roles.md` and the tests read it. Must not know: how a caller is identified or how an owner is looked up.

use crate::principal::{Principal, Role};

/// The owner of a task or job: (issuer, subject).
pub type Owner<'a> = (&'a str, &'a str);

/// What is to be touched, as far as it counts here.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Object<'a> {
    /// Who owns it; None is nobody.
    pub owner: Option<Owner<'a>>,
    /// The VO that it belongs to; None is no VO in particular.
    pub vo: Option<&'a str>,
    /// The site that it belongs to.
    pub site: Option<&'a str>,
}

impl<'a> Object<'a> {
    /// Something of a VO.
    #[must_use]
    pub const fn of_vo(vo: &'a str) -> Self {
        Self { owner: None, vo: Some(vo), site: None }
    }

    /// A task, a job or a file of a VO with its owner.
    #[must_use]
    pub const fn owned(owner: Option<Owner<'a>>, vo: &'a str) -> Self {
        Self { owner, vo: Some(vo), site: None }
    }

    /// A queue of a site.
    #[must_use]
    pub const fn of_site(site: &'a str) -> Self {
        Self { owner: None, vo: None, site: Some(site) }
    }
}

/// A reason for which a caller may do something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ground {
    /// None is needed: anonymous callers may.
    Anyone,
    /// An identity, whichever.
    Identity,
    /// To be of the VO that it belongs to.
    Member,
    /// To own it.
    Owner,
    /// The production role of its VO.
    Production,
    /// The pilot role of its VO, or of the whole site.
    Pilot,
    /// The harvester role, likewise.
    Harvester,
    /// To administer its VO.
    VoAdmin,
    /// To administer its site.
    SiteAdmin,
    /// To administer the system.
    Operator,
}

impl Ground {
    /// Its name in the documentation.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Anyone => "anyone",
            Self::Identity => "any identity",
            Self::Member => "member of its VO",
            Self::Owner => "owner",
            Self::Production => "production",
            Self::Pilot => "pilot",
            Self::Harvester => "harvester",
            Self::VoAdmin => "vo-admin",
            Self::SiteAdmin => "site-admin",
            Self::Operator => "operator",
        }
    }

    const fn role(self) -> Option<Role> {
        match self {
            Self::Production => Some(Role::Production),
            Self::Pilot => Some(Role::Pilot),
            Self::Harvester => Some(Role::Harvester),
            Self::VoAdmin => Some(Role::VoAdmin),
            Self::SiteAdmin => Some(Role::SiteAdmin),
            Self::Operator => Some(Role::Operator),
            Self::Anyone | Self::Identity | Self::Member | Self::Owner => None,
        }
    }

    /// Whether it holds for this caller and that object.
    fn holds(self, who: &Principal, object: Object<'_>) -> bool {
        match self {
            Self::Anyone | Self::Identity => true,
            Self::Member => who.is_of(object.vo),
            Self::Owner => object.owner.is_some_and(|owner| who.owns(owner)),
            Self::SiteAdmin => object.site.is_some_and(|site| who.standing.sites.contains(site)),
            role => role.role().is_some_and(|role| who.acts(&role, object.vo)),
        }
    }

    /// Whether it may hold, as far as can be told before the object is known.
    fn may_hold(self, who: &Principal) -> bool {
        match self {
            Self::Anyone | Self::Identity | Self::Member | Self::Owner => true,
            Self::SiteAdmin => !who.standing.sites.is_empty(),
            role => role.role().is_some_and(|role| who.acts(&role, None)),
        }
    }
}

/// What an API token can be made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// To look.
    Read,
    /// To submit tasks and jobs, with their sandboxes and data sets.
    Submit,
    /// To kill, retry, pause and change what is there.
    Control,
    /// To take and report jobs.
    Pilot,
    /// To submit and report workers.
    Harvester,
    /// To administer.
    Admin,
}

impl Scope {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Read, Self::Submit, Self::Control, Self::Pilot, Self::Harvester, Self::Admin];

    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Submit => "submit",
            Self::Control => "control",
            Self::Pilot => "pilot",
            Self::Harvester => "harvester",
            Self::Admin => "admin",
        }
    }

    /// The scope of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == name)
    }
}

/// The rows: what a right is, its name, its scope and its grounds.
macro_rules! rights {
    ($($(#[doc = $about:literal])+ $name:ident: $scope:ident, $grounds:ident;)+) => {
        /// A class of operation. Each API method, page and command names exactly one.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Right {
            $($(#[doc = $about])+ $name,)+
        }

        impl Right {
            /// Every right, for pages and tests that walk the table.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The grounds of which one suffices.
            #[must_use]
            pub const fn grounds(self) -> &'static [Ground] {
                match self { $(Self::$name => $grounds,)+ }
            }

            /// What a token must be made for.
            #[must_use]
            pub const fn scope(self) -> Scope {
                match self { $(Self::$name => Scope::$scope,)+ }
            }

            /// Its name.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)+ }
            }

            /// What it is, a sentence or two.
            #[must_use]
            pub const fn about(self) -> &'static str {
                match self { $(Self::$name => concat!($($about),+),)+ }
            }
        }
    };
}

const ANYONE: &[Ground] = &[Ground::Anyone];
const IDENTITY: &[Ground] = &[Ground::Identity];
const READERS: &[Ground] = &[Ground::Member, Ground::Owner, Ground::Pilot, Ground::Harvester, Ground::Operator];
const OWNERS: &[Ground] = &[Ground::Owner, Ground::Production, Ground::VoAdmin, Ground::Operator];
const PRODUCERS: &[Ground] = &[Ground::Production, Ground::VoAdmin, Ground::Operator];
const WORKERS: &[Ground] = &[Ground::Pilot, Ground::Harvester, Ground::Production, Ground::Operator];
const SITES: &[Ground] = &[Ground::Production, Ground::SiteAdmin, Ground::Operator];
const QUEUES: &[Ground] = &[Ground::SiteAdmin, Ground::Operator];
const VOS: &[Ground] = &[Ground::VoAdmin, Ground::Operator];
const OPERATORS: &[Ground] = &[Ground::Operator];

rights! {
    /// is_alive, statistics, site and resource types, static files: nothing personal, and callers send no identity.
    ReadOpen: Read, ANYONE;
    /// Status, details, parameters and files of tasks and jobs; queues, shares and settings, which are of no VO.
    Read: Read, READERS;
    /// Submit a task.
    TaskSubmit: Submit, IDENTITY;
    /// Kill a task.
    TaskKill: Control, OWNERS;
    /// Finish a task.
    TaskFinish: Control, OWNERS;
    /// Retry a task.
    TaskRetry: Control, OWNERS;
    /// Pause a task. The original asks for production; here the owner may steer what is his own.
    TaskPause: Control, OWNERS;
    /// Resume a task.
    TaskResume: Control, OWNERS;
    /// Look for new inputs of a task. The original checks no owner.
    TaskReloadInput: Control, OWNERS;
    /// Send a task elsewhere. The original checks no owner.
    TaskReassign: Control, OWNERS;
    /// Release, reactivate, avalanche, change attributes, shares, attempts; cloning and jumbo jobs.
    TaskSteer: Control, PRODUCERS;
    /// Submit jobs without a task.
    JobSubmit: Submit, IDENTITY;
    /// Submit for production: `managed` tasks and jobs.
    JobSubmitManaged: Submit, PRODUCERS;
    /// Kill jobs.
    JobKill: Control, OWNERS;
    /// Send jobs elsewhere. The original checks no owner.
    JobReassign: Control, OWNERS;
    /// See what a running job writes.
    JobDebug: Control, OWNERS;
    /// Commands to jobs.
    JobCommand: Control, PRODUCERS;
    /// Take jobs of others: of the VO of the role, or of all VOs with a pilot role of the whole site.
    PilotAcquire: Pilot, WORKERS;
    /// Take jobs of one's own with the label `user`.
    PilotAcquireOwn: Pilot, IDENTITY;
    /// Report jobs, workers and their nodes.
    PilotReport: Pilot, WORKERS;
    /// Report workers and take commands. The original takes any identity.
    Harvester: Harvester, WORKERS;
    /// Give commands to a Harvester, and target slots to a queue. Where there are several VOs, production reaches queues that are of its VO alone.
    HarvesterCommand: Control, SITES;
    /// Upload, validate and delete one's own sandboxes.
    CacheUse: Submit, IDENTITY;
    /// Relay to a workflow service, which this server has not; hand in workflows and event picking.
    WorkflowSubmit: Submit, IDENTITY;
    /// Steer the staging of inputs.
    StagingSteer: Control, PRODUCERS;
    /// Ask the machines of the server for an echo.
    ServerEcho: Control, PRODUCERS;
    /// Search the logs of the server itself, in which is what all VOs do.
    ServerLogs: Admin, OPERATORS;
    /// Register a cached file that is kept elsewhere.
    CacheRegister: Submit, PRODUCERS;
    /// Upload logs of tasks and workers.
    LogUpload: Pilot, WORKERS;
    /// Have lost files made again.
    FileRecovery: Control, OWNERS;
    /// Set and get one's own secrets: nobody reaches another's.
    SecretsOwn: Submit, IDENTITY;
    /// Get proxies, keys and tokens for jobs.
    Credentials: Pilot, WORKERS;
    /// Make data sets and register files.
    DatasetAdd: Submit, IDENTITY;
    /// Change queues, holds and drains of a site.
    QueueChange: Admin, QUEUES;
    /// Change settings and retry rules of a VO.
    VoSettings: Admin, VOS;
    /// Change shares, storages and settings that are of all VOs.
    SystemChange: Admin, OPERATORS;
    /// Change what is known of a VO and whom it trusts.
    VoChange: Admin, VOS;
    /// Grant and take roles of a VO, ban people from it.
    UserChange: Admin, VOS;
    /// See the journal of what was done.
    JournalRead: Admin, VOS;
    /// Make, see and revoke one's own API tokens.
    TokenOwn: Admin, IDENTITY;
    /// Make, see and revoke tokens of robots of a VO.
    TokenRobot: Admin, VOS;
}

/// Why a caller may not. The first four texts are upstream's, since clients print and compare them.
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
    /// It belongs to another VO.
    #[error("it belongs to another VO")]
    OtherVo,
    /// A right of operators.
    #[error("the role operator is required; an operator grants it with `panda user grant`")]
    NotOperator,
    /// A right of those who administer the site.
    #[error("neither administrator of this site (role site-admin) nor operator; an operator grants both with `panda user grant`")]
    NotSiteAdmin,
    /// A right of those who administer the VO.
    #[error("neither administrator of this VO (role vo-admin) nor operator; an operator grants both with `panda user grant`")]
    NotVoAdmin,
    /// The token was made for less.
    #[error("this token was not made for `{0}`; make one that has this scope")]
    Scope(&'static str),
}

/// What is said to a caller who has none of the grounds.
fn refusal(right: Right, who: &Principal, object: Object<'_>) -> Denied {
    let grounds = right.grounds();
    let has = |ground| grounds.contains(&ground);
    if right == Right::PilotAcquire {
        Denied::NotPilot
    } else if has(Ground::Owner) && has(Ground::Production) {
        Denied::NotOwner
    } else if has(Ground::Member) {
        Denied::OtherVo
    } else if has(Ground::Production) || has(Ground::Pilot) {
        let has_role = grounds.iter().any(|g| g.may_hold(who));
        if has_role && !who.is_of(object.vo) { Denied::OtherVo } else { Denied::NoRole }
    } else if has(Ground::SiteAdmin) {
        Denied::NotSiteAdmin
    } else if has(Ground::VoAdmin) {
        Denied::NotVoAdmin
    } else {
        Denied::NotOperator
    }
}

fn identified(right: Right, principal: Option<&Principal>) -> Result<Option<&Principal>, Denied> {
    if right.grounds().contains(&Ground::Anyone) {
        return Ok(None);
    }
    let who = principal.ok_or(Denied::NoIdentity)?;
    match &who.standing.scopes {
        Some(scopes) if !scopes.contains(&right.scope()) => Err(Denied::Scope(right.scope().as_str())),
        _ => Ok(Some(who)),
    }
}

/// What can be told before the request is read: identity and role (upstream's checks 1 and 2). A right that depends on the
/// object passes here for every caller for whom it may hold; [`allowed`] decides it later.
///
/// # Errors
/// [`Denied`] with upstream's message.
pub fn admit(right: Right, principal: Option<&Principal>) -> Result<(), Denied> {
    let Some(who) = identified(right, principal)? else { return Ok(()) };
    if right.grounds().iter().any(|g| g.may_hold(who)) { Ok(()) } else { Err(refusal(right, who, Object::default())) }
}

/// The whole question: may this caller do that to this object? An object of None is of nobody, of no VO and no site.
///
/// # Errors
/// [`Denied`] with upstream's message.
pub fn allowed(right: Right, principal: Option<&Principal>, object: Option<Object<'_>>) -> Result<(), Denied> {
    let Some(who) = identified(right, principal)? else { return Ok(()) };
    let object = object.unwrap_or_default();
    if right.grounds().iter().any(|g| g.holds(who, object)) { Ok(()) } else { Err(refusal(right, who, object)) }
}

pub mod page;
#[cfg(test)]
mod tests;
