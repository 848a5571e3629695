//! Options of `panda vo`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// `panda vo ...`
#[derive(Debug, Subcommand)]
pub enum VoVerb {
    /// List the VOs
    List,
    /// Show one VO
    Show {
        /// Its name
        name: String,
    },
    /// Add a VO; the running servers know it at once
    Add {
        /// Its name, as in `Origin`
        name: String,
        /// What is told of it
        #[command(flatten)]
        options: VoOptions,
        /// Who administers it, by short name at the provider; several times
        #[arg(long = "admin", value_name = "NAME")]
        admins: Vec<String>,
    },
    /// Change what is known of a VO; what is not named stays
    Set {
        /// Its name
        name: String,
        /// What is told of it
        #[command(flatten)]
        options: VoOptions,
        /// Forget what was told: `client_secret`, `audiences`, `members`, `roles`, `auto_roles`, `robots`, `legacy_issuers`; `idp` forgets all
        #[arg(long, value_name = "WHAT")]
        forget: Vec<String>,
    },
    /// Ask the identity provider of a VO for its keys, and with a token what the server makes of it
    ///
    /// The token is taken from the variable `PANDA_AUTH_ID_TOKEN`.
    Check {
        /// Its name
        name: String,
    },
    /// Take out a VO that was added; its tasks and files stay
    Remove {
        /// Its name
        name: String,
    },
}

/// What can be told of a VO.
#[derive(Debug, Default, Args)]
pub struct VoOptions {
    /// Address of its OpenID provider, the issuer of its tokens
    #[arg(long, value_name = "URL")]
    pub idp: Option<String>,
    /// The client that people's programs log in with
    #[arg(long, value_name = "ID")]
    pub client_id: Option<String>,
    /// File with the secret of that client, where it has one; people's programs get it
    #[arg(long, value_name = "FILE")]
    pub client_secret_file: Option<PathBuf>,
    /// A value of `aud` that is accepted beside the client's id
    #[arg(long = "audience", value_name = "AUD")]
    pub audiences: Vec<String>,
    /// The claim with the groups, `groups` unless told; nested claims are parted by slashes
    #[arg(long, value_name = "CLAIM")]
    pub groups_claim: Option<String>,
    /// A group whose people belong to the VO; without any, the group with the VO's name
    #[arg(long = "member", value_name = "GROUP")]
    pub members: Vec<String>,
    /// The group of a role; without, the group `<vo>/<role>`
    #[arg(long = "role", value_name = "ROLE=GROUP")]
    pub roles: Vec<String>,
    /// A role that people of its group act in without asking; the first that fits
    #[arg(long = "auto-role", value_name = "ROLE")]
    pub auto_roles: Vec<String>,
    /// A client that stands for no person, and its role
    #[arg(long = "robot", value_name = "CLIENT=ROLE")]
    pub robots: Vec<String>,
    /// Another spelling of the issuer in older tokens
    #[arg(long = "legacy-issuer", value_name = "URL")]
    pub legacy_issuers: Vec<String>,
    /// The provider follows the WLCG profile: groups are in `wlcg.groups`
    #[arg(long)]
    pub wlcg: bool,
}
