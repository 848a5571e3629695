//! Options of `panda user`, `panda token` and `panda journal`.

use clap::{Args, Subcommand};

/// Who it is about.
#[derive(Debug, Args)]
pub struct WhomArgs {
    /// Subject, short name, name or mail address
    pub name: String,
    /// Who vouches for the person, where several people are called so or nobody is known yet
    #[arg(long, value_name = "URL")]
    pub issuer: Option<String>,
}

/// A role and what it reaches.
#[derive(Debug, Args)]
pub struct GrantArgs {
    /// Who
    #[command(flatten)]
    pub whom: WhomArgs,
    /// The role
    #[arg(value_parser = ["production", "pilot", "harvester", "vo-admin", "site-admin", "operator"])]
    pub role: String,
    /// In this VO
    #[arg(long)]
    pub vo: Option<String>,
    /// At this site (role site-admin)
    #[arg(long)]
    pub site: Option<String>,
}

/// `panda user ...`
#[derive(Debug, Subcommand)]
pub enum UserVerb {
    /// List granted roles and bans
    List {
        /// Of this VO
        #[arg(long)]
        vo: Option<String>,
    },
    /// Grant a role; who has not come yet is known by the short name at the VO's identity provider
    Grant {
        /// Which
        #[command(flatten)]
        grant: GrantArgs,
        /// For so many days [default: until it is revoked]
        #[arg(long)]
        days: Option<u32>,
    },
    /// Take a granted role away
    Revoke {
        /// Which
        #[command(flatten)]
        grant: GrantArgs,
    },
    /// Lock somebody out
    Ban {
        /// Who
        #[command(flatten)]
        whom: WhomArgs,
        /// Of this VO [default: of everything]
        #[arg(long)]
        vo: Option<String>,
        /// For so many days [default: until it is lifted]
        #[arg(long)]
        days: Option<u32>,
    },
    /// Let somebody in again
    Unban {
        /// Who
        #[command(flatten)]
        whom: WhomArgs,
        /// The VO of the ban
        #[arg(long)]
        vo: Option<String>,
    },
}

/// `panda token ...`: API tokens.
#[derive(Debug, Subcommand)]
pub enum TokenVerb {
    /// Make an API token, which a robot or an agent shows instead of a log-in; it is printed this one time
    Create(TokenCreateArgs),
    /// List API tokens that you may revoke
    List,
    /// Revoke an API token at once
    Revoke {
        /// Its name or number
        name: String,
    },
}

/// `panda token create`
#[derive(Debug, Args)]
pub struct TokenCreateArgs {
    /// What to call it
    pub name: String,
    /// Of a robot of this name, which is no person, instead of you
    #[arg(long)]
    pub robot: Option<String>,
    /// The robot's VO; without, it reaches every VO
    #[arg(long)]
    pub vo: Option<String>,
    /// A role; several times
    #[arg(long = "role", value_name = "ROLE")]
    pub roles: Vec<String>,
    /// What it may: read, submit, control, pilot, harvester, admin; several times [default: all that its holder may]
    #[arg(long = "scope", value_name = "SCOPE")]
    pub scopes: Vec<String>,
    /// Days that it lives
    #[arg(long, default_value = "90")]
    pub days: u32,
}

/// `panda journal`
#[derive(Debug, Args)]
pub struct JournalArgs {
    /// A part of the system: `api` is what people did
    #[arg(long)]
    pub area: Option<String>,
    /// Most lines
    #[arg(long, default_value = "50")]
    pub limit: u32,
}
