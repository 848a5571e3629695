//! The verbs and their options, and the way from a command line to a verb.
//!
//! Owns names, help texts and aliases. Must not know how a verb does its work: each has its file in `verb/`.

mod args;
mod cert;
mod queue;
mod retry_rule;
mod setting;
mod share;
mod sim;
mod storage;
mod submit;
mod user;
mod vo;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _, Subcommand};

pub use args::*;
pub use cert::{CertCheckArgs, CertInitArgs, CertVerb, Viewer};
pub use queue::*;
pub use retry_rule::{RetryRuleTryArgs, RetryRuleVerb};
pub use setting::{SettingScope, SettingVerb};
pub use share::ShareVerb;
pub use sim::SimArgs;
pub use storage::StorageVerb;
pub use submit::{SubmitArgs, WaitArgs};
pub use user::{GrantArgs, JournalArgs, TokenCreateArgs, TokenVerb, UserVerb, WhomArgs};
pub use vo::{VoOptions, VoVerb};

use crate::context::Context;
use crate::failure::{Failure, exit};
use crate::{screen, verb};

/// PanDA for any experiment: tasks in, jobs on queues, outputs out.
#[derive(Debug, clap::Parser)]
#[command(name = "panda", version, about, long_about = None, propagate_version = true, max_term_width = 110, after_help = AFTER)]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    verb: Verb,
}

const AFTER: &str = "first steps: `panda demo`, then `panda up` and, in another shell, `panda run -- echo hello`\n\
exit codes: 0 ok or done, 1 failed, 2 usage; of `run` and `status` also 3 partly finished, 4 task failed, 5 not at its end yet";

/// What every verb does. One line each: `panda help VERB` tells more.
#[derive(Debug, Subcommand)]
#[allow(clippy::large_enum_variant, reason = "one value a process")]
enum Verb {
    /// Bring up a whole system once and run a real task through it to verified outputs
    Demo(DemoArgs),
    /// Run the whole system on this machine: API, engine, monitor, worker, development identities
    Up(UpArgs),
    /// Run one or more roles of a system: server, engine, monitor
    Serve(ServeArgs),
    /// Submit a task; prints its id
    Submit(SubmitArgs),
    /// Submit a task, follow it to its end, and say by the exit code how it went
    Run(RunArgs),
    /// List your tasks
    Tasks(TasksArgs),
    /// List the jobs of a task
    Jobs(JobsArgs),
    /// Tell the status of a task or job
    Status(StatusArgs),
    /// Print what jobs wrote
    Logs(LogsArgs),
    /// List the output files of a task
    Outputs(IdArgs),
    /// Fetch the output files of a task
    Download(DownloadArgs),
    /// End tasks or jobs
    Kill(KillArgs),
    /// Try again what failed
    Retry(RetryArgs),
    /// Tell why a task or job is where it is
    Why(IdArgs),
    /// Print a development token for a user of this machine; make and revoke API tokens
    Token(TokenArgs),
    /// Tell who you are to the server
    Whoami,
    /// Print the variables that the official client needs: eval "$(panda env --vo VO)"
    Env(EnvArgs),
    /// Add, show, change and test queues
    #[command(subcommand)]
    Queue(QueueVerb),
    /// Add, show and change storage endpoints and the ways between them
    #[command(subcommand)]
    Storage(StorageVerb),
    /// Add, show, check and change VOs and the identity provider of each
    #[command(subcommand)]
    Vo(Box<VoVerb>),
    /// Grant and take roles, ban people
    #[command(subcommand)]
    User(UserVerb),
    /// Show what was changed, and by whom
    Journal(JournalArgs),
    /// Stop handing out jobs; running ones go on
    Drain(DrainArgs),
    /// Hand out jobs again
    Undrain(UndrainArgs),
    /// Show what is kept, how much of it, and for how long
    Retention(RetentionArgs),
    /// Show and change settings of the whole system, for a VO or a label
    #[command(subcommand)]
    Setting(SettingVerb),
    /// Show and change the shares that VOs, groups and activities have of what runs
    #[command(subcommand)]
    Share(ShareVerb),
    /// Show, change and try the rules that say whether and how failed work is tried again
    #[command(subcommand)]
    RetryRule(RetryRuleVerb),
    /// Register and show data sets
    #[command(subcommand)]
    Dataset(DatasetVerb),
    /// Make certificates of a CA of your own, and look for what is wrong with certificates
    #[command(subcommand)]
    Cert(CertVerb),
    /// Look for what is wrong with an installation
    Doctor(DoctorArgs),
    /// Run the demo's task against a running server and check it
    Selftest(SelftestArgs),
    /// Simulate a system: the engine on a virtual clock, over made-up or recorded work
    Sim(SimArgs),
    /// Migrate the database or tell its state
    #[command(subcommand)]
    Db(DbVerb),
    /// Show the configuration
    #[command(subcommand)]
    Config(ConfigVerb),
    /// Take and run jobs of a queue, as a worker of its own
    Pilot(PilotArgs),
    /// Print completions for a shell
    Completions(CompletionsArgs),
    /// Print the manual page, or write the pages of all verbs to a folder
    Man(ManArgs),
}

/// The whole command line as clap sees it: for completions, manual pages and tests.
#[must_use]
pub fn command() -> clap::Command {
    Cli::command()
}

/// Reads a command line and runs its verb.
#[must_use]
pub fn run(arguments: Vec<OsString>) -> ExitCode {
    let parsed = command().try_get_matches_from(&arguments).and_then(|matches| Ok((Cli::from_arg_matches(&matches)?, matches)));
    let (cli, _) = match parsed {
        Ok(parsed) => parsed,
        Err(error) => {
            // Help and version are no errors and go to standard output; a closed pipe is nobody's fault.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { exit::USAGE } else { exit::OK });
        }
    };
    let json = cli.global.json;
    let words = arguments.iter().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    match carry_out(cli, words) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            failure.print(json);
            ExitCode::from(failure.code)
        }
    }
}

fn carry_out(cli: Cli, words: Vec<String>) -> Result<u8, Failure> {
    // Verbs that need no configuration work even when it is broken.
    match cli.verb {
        Verb::Completions(args) => return verb::completions::run(&args),
        Verb::Man(args) => return verb::man::run(&args),
        _ => {}
    }
    let Cli { global, verb } = cli;
    let context = Context::new(global, verb.options(), words)?;
    match verb {
        Verb::Demo(args) => service(&context, "warn", verb::demo::run(&context, &args)),
        Verb::Up(args) => service(&context, "", verb::up::run(&context, &args)),
        Verb::Serve(args) => service(&context, "", verb::serve::run(&context, &args)),
        Verb::Submit(args) => call(verb::submit::run(&context, &args)),
        Verb::Run(args) => call(verb::run::run(&context, &args)),
        Verb::Tasks(args) => call(verb::tasks::run(&context, &args)),
        Verb::Jobs(args) => call(verb::jobs::run(&context, &args)),
        Verb::Status(args) => call(verb::status::run(&context, &args)),
        Verb::Logs(args) => call(verb::logs::run(&context, &args)),
        Verb::Outputs(args) => call(verb::outputs::run(&context, &args)),
        Verb::Download(args) => call(verb::download::run(&context, &args)),
        Verb::Kill(args) => call(verb::kill::run(&context, &args)),
        Verb::Retry(args) => call(verb::retry::run(&context, &args)),
        Verb::Why(args) => call(verb::why::run(&context, &args)),
        Verb::Token(TokenArgs { verb: Some(verb), .. }) => call(verb::user::token(&context, &verb)),
        Verb::Token(args) => verb::token::run(&context, &args),
        Verb::Whoami => call(verb::whoami::run(&context)),
        Verb::Env(args) => verb::env::run(&context, &args),
        Verb::Queue(args) => call(verb::queue::run(&context, &args)),
        Verb::Drain(args) => call(verb::hold::drain(&context, args.queue.as_deref(), &args.reason)),
        Verb::Undrain(args) => call(verb::hold::undrain(&context, args.queue.as_deref())),
        Verb::Retention(args) => call(verb::retention::run(&context, args.due)),
        Verb::Setting(args) => call(verb::setting::run(&context, &args)),
        Verb::Share(args) => call(verb::share::run(&context, &args)),
        Verb::Storage(args) => call(verb::storage::run(&context, &args)),
        Verb::User(args) => call(verb::user::run(&context, &args)),
        Verb::Journal(args) => call(verb::user::journal(&context, &args)),
        Verb::Vo(args) => call(verb::vo::run(&context, &args)),
        Verb::RetryRule(args) => call(verb::retry_rule::run(&context, &args)),
        Verb::Dataset(args) => call(verb::dataset::run(&context, &args)),
        Verb::Cert(args) => call(verb::cert::run(&context, &args)),
        Verb::Doctor(_) => call(verb::doctor::run(&context)),
        Verb::Selftest(args) => call(verb::selftest::run(&context, &args)),
        Verb::Sim(args) => call(verb::sim::run(&context, &args)),
        Verb::Db(args) => call(verb::db::run(&context, &args)),
        Verb::Config(args) => verb::config::run(&context, &args),
        Verb::Pilot(args) => service(&context, "", verb::pilot::run(&context, &args)),
        Verb::Completions(_) | Verb::Man(_) => Ok(exit::OK),
    }
}

/// How long the end of a service waits for what is under way to be dropped.
const AT_THE_END: std::time::Duration = std::time::Duration::from_secs(1);

/// Runs a verb that only makes calls: one thread is enough and starts fastest.
fn call(future: impl Future<Output = Result<u8, Failure>>) -> Result<u8, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::new(format!("cannot start: {error}")))?;
    runtime.block_on(future)
}

/// Runs a verb that serves: with threads for each core, and a log.
fn service(context: &Context, quiet: &str, future: impl Future<Output = Result<u8, Failure>>) -> Result<u8, Failure> {
    screen::start_log(context, quiet)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::new(format!("cannot start: {error}")))?;
    let outcome = runtime.block_on(future);
    // What is under way is dropped, which ends the children of plug-ins; blocking work that is left (a reader of standard input, a lookup) must not hold the
    // end back for longer.
    runtime.shutdown_timeout(AT_THE_END);
    outcome
}
