//! Options of `panda retry-rule`.

use clap::{Args, Subcommand};

/// `panda retry-rule ...`
#[derive(Debug, Subcommand)]
pub enum RetryRuleVerb {
    /// List all rules: shipped ones, changed ones and those of the site
    List,
    /// Show a rule
    Show {
        /// Its number
        id: i64,
    },
    /// Add a rule, e.g. source=pilot code=1305 'message=.*disk full' action=limit_retry max_attempt=2
    Add {
        /// KEY=VALUE; values are JSON where they parse as such
        #[arg(required = true, value_name = "KEY=VALUE")]
        values: Vec<String>,
    },
    /// Change a rule, also a shipped one, e.g. active=false
    Set {
        /// Its number
        id: i64,
        /// KEY=VALUE; null takes a condition away
        #[arg(required = true, value_name = "KEY=VALUE")]
        values: Vec<String>,
    },
    /// Remove a rule of the site; a changed shipped rule is as shipped again
    Remove {
        /// Its number
        id: i64,
    },
    /// Tell which rules act on a job that ended badly, or on an error
    Try(RetryRuleTryArgs),
}

/// `panda retry-rule try`
#[derive(Debug, Args)]
pub struct RetryRuleTryArgs {
    /// A job that ended badly
    #[arg(required_unless_present = "code", conflicts_with_all = ["code", "message", "vo", "label", "architecture", "release", "share"])]
    pub job: Option<String>,
    /// An error code
    #[arg(long)]
    pub code: Option<i64>,
    /// Who says it: pilot, exe, trans, ddm, sup, jobdispatcher, taskbuffer
    #[arg(long, default_value = "pilot")]
    pub source: String,
    /// The text of the error
    #[arg(long, default_value = "")]
    pub message: String,
    /// For a job of this VO
    #[arg(long)]
    pub vo: Option<String>,
    /// For a job of this label
    #[arg(long)]
    pub label: Option<String>,
    /// For a job whose task asks for this architecture
    #[arg(long)]
    pub architecture: Option<String>,
    /// For a job whose task asks for this release
    #[arg(long)]
    pub release: Option<String>,
    /// For a job of this share
    #[arg(long)]
    pub share: Option<String>,
}
