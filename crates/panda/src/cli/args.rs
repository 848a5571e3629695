//! Options of all verbs but `submit` and `run`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::submit::{SubmitArgs, WaitArgs};

/// Options that every verb takes.
#[derive(Debug, Clone, Default, Args)]
pub struct Global {
    /// Configuration file [default: ~/.config/panda/panda.toml, else /etc/panda/panda.toml]
    #[arg(long, global = true, value_name = "FILE", help_heading = "Everywhere")]
    pub config: Option<PathBuf>,
    /// Data folder [default: $XDG_DATA_HOME/panda, else ~/.local/share/panda]
    #[arg(long, global = true, value_name = "DIR", help_heading = "Everywhere")]
    pub data: Option<PathBuf>,
    /// Address of the server [default: $PANDA_URL_SSL, $PANDA_URL, the configuration, the server of the data folder]
    #[arg(long, global = true, value_name = "URL", help_heading = "Everywhere")]
    pub server: Option<String>,
    /// Answer as JSON
    #[arg(long, global = true, help_heading = "Everywhere")]
    pub json: bool,
    /// Log more (twice: everything)
    #[arg(short, long, global = true, action = clap::ArgAction::Count, help_heading = "Everywhere")]
    pub verbose: u8,
}

/// Options that set keys of the configuration.
#[derive(Debug, Clone, Default, Args)]
pub struct ListenArgs {
    /// Address and port to listen on
    #[arg(long, value_name = "ADDR:PORT")]
    pub listen: Option<String>,
    /// Database: sqlite:PATH, postgres://... or mysql://...
    #[arg(long, value_name = "URL")]
    pub db: Option<String>,
}

/// `panda demo`
#[derive(Debug, Args)]
pub struct DemoArgs {
    #[command(flatten)]
    pub(crate) listen: ListenArgs,
    /// Leave the system running at the end, until Ctrl-C
    #[arg(long)]
    pub keep: bool,
}

/// `panda up`
#[derive(Debug, Args)]
pub struct UpArgs {
    #[command(flatten)]
    pub(crate) listen: ListenArgs,
    /// Run no jobs here: leave the queue to other workers and pilots
    #[arg(long)]
    pub no_worker: bool,
}

/// A role of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Role {
    /// The API.
    Server,
    /// The loops.
    Engine,
    /// The pages, read only.
    Monitor,
}

/// `panda serve`
#[derive(Debug, Args)]
pub struct ServeArgs {
    #[command(flatten)]
    pub(crate) listen: ListenArgs,
    /// What this process does
    #[arg(long, required = true, value_delimiter = ',', value_name = "ROLE")]
    pub role: Vec<Role>,
}

/// `panda run`
#[derive(Debug, Args)]
pub struct RunArgs {
    #[command(flatten)]
    pub(crate) submit: SubmitArgs,
    #[command(flatten)]
    pub(crate) wait: WaitArgs,
    /// Fetch the outputs to this folder at the end
    #[arg(long, value_name = "DIR")]
    pub to: Option<PathBuf>,
    /// Do not print what the jobs write
    #[arg(short, long)]
    pub quiet: bool,
}

/// `panda tasks`
#[derive(Debug, Args)]
pub struct TasksArgs {
    /// Only tasks in this status
    #[arg(long)]
    pub status: Option<String>,
    /// Only tasks whose name contains this
    #[arg(long)]
    pub name: Option<String>,
    /// Only tasks that changed in the last days
    #[arg(long, default_value_t = 14, value_parser = clap::value_parser!(u32).range(1..=36_500))]
    pub days: u32,
    /// Most tasks to list
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub limit: u32,
    /// Tasks of another user
    #[arg(long)]
    pub user: Option<String>,
}

/// A task or job.
#[derive(Debug, Args)]
pub struct IdArgs {
    /// task/ID, job/ID, or the bare number
    pub id: String,
}

/// `panda jobs`
#[derive(Debug, Args)]
pub struct JobsArgs {
    /// The task
    pub task: String,
    /// Only jobs in this status
    #[arg(long)]
    pub status: Option<String>,
}

/// `panda status`
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// task/ID, job/ID, or the bare number
    pub id: String,
    /// Wait for its end
    #[arg(long)]
    pub wait: bool,
    #[command(flatten)]
    pub(crate) limits: WaitArgs,
}

/// `panda logs`
#[derive(Debug, Args)]
pub struct LogsArgs {
    /// task/ID, job/ID, or the bare number
    pub id: String,
    /// Go on as it is written, until the end
    #[arg(short, long)]
    pub follow: bool,
    /// Only the last lines
    #[arg(long, value_name = "N")]
    pub tail: Option<usize>,
    /// The error stream
    #[arg(long)]
    pub stderr: bool,
    /// An attempt of the job that is not the last
    #[arg(long)]
    pub attempt: Option<i64>,
}

/// `panda download`
#[derive(Debug, Args)]
pub struct DownloadArgs {
    /// The task
    pub id: String,
    /// Where to
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub to: PathBuf,
    /// Also the log archives
    #[arg(long)]
    pub logs: bool,
    /// Only files whose name matches
    #[arg(long, value_name = "GLOB")]
    pub only: Option<String>,
}

/// `panda kill`
#[derive(Debug, Args)]
pub struct KillArgs {
    /// task/ID, job/ID, or bare numbers
    #[arg(required = true)]
    pub ids: Vec<String>,
    /// Keep what is done: the task ends with it
    #[arg(long)]
    pub finish: bool,
}

/// `panda retry`
#[derive(Debug, Args)]
pub struct RetryArgs {
    /// The task
    pub id: String,
    /// A new value of a task parameter
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}

/// `panda token`
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct TokenArgs {
    /// API tokens, which other machines may show
    #[command(subcommand)]
    pub verb: Option<super::TokenVerb>,
    /// Whose token [default: `client.user` of the configuration, else the login name]
    #[arg(long)]
    pub user: Option<String>,
    /// The VO [default: `client.vo`, else the first of `vos`, else `local`]
    #[arg(long)]
    pub vo: Option<String>,
    /// A role to act in
    #[arg(long, value_parser = ["production", "pilot", "harvester", "vo-admin", "operator"])]
    pub role: Option<String>,
    /// The role reaches every VO: for pilots and agents that serve a whole site
    #[arg(long, requires = "role")]
    pub everywhere: bool,
    /// Full name [default: the user]
    #[arg(long)]
    pub name: Option<String>,
    /// How long it is good for, as 90m, 12h or 7d
    #[arg(long, default_value = "7d", value_name = "TIME")]
    pub lifetime: String,
}

/// `panda env`
#[derive(Debug, Args)]
pub struct EnvArgs {
    /// The VO [default: `client.vo`, else the first of `vos`, else `local`]
    #[arg(long)]
    pub vo: Option<String>,
    /// Whose token
    #[arg(long)]
    pub user: Option<String>,
}

/// `panda dataset ...`
#[derive(Debug, Subcommand)]
pub enum DatasetVerb {
    /// Register files as a data set
    Add(DatasetAddArgs),
    /// List data sets
    List {
        /// Only names that match, `*` stands for anything
        pattern: Option<String>,
        /// Most data sets to list
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
        limit: u32,
    },
    /// Show a data set with its files
    Show {
        /// Its name
        name: String,
        /// Most files to list
        #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=10_000))]
        limit: u32,
    },
}

/// `panda dataset add`
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("what").required(true).args(["dir", "manifest"]))]
pub struct DatasetAddArgs {
    /// Its name, with or without `scope:`
    pub name: String,
    /// A folder, as the server sees it: every file in it
    #[arg(long)]
    pub dir: Option<PathBuf>,
    /// A list of files: JSON (array of objects) or CSV (with a heading); columns lfn, path, size, checksum, events, guid
    #[arg(long, value_name = "FILE")]
    pub manifest: Option<PathBuf>,
    /// The queue whose storage the files belong to
    #[arg(long)]
    pub queue: Option<String>,
}

/// `panda doctor`
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Database, if not the configured one
    #[arg(long, value_name = "URL")]
    pub db: Option<String>,
}

/// `panda selftest`
#[derive(Debug, Args)]
pub struct SelftestArgs {
    /// Write a report in JUnit's form
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// The queue to test [default: whichever brokerage takes]
    #[arg(long)]
    pub queue: Option<String>,
    #[command(flatten)]
    pub(crate) limits: WaitArgs,
}

/// `panda db ...`
#[derive(Debug, Subcommand)]
pub enum DbVerb {
    /// Bring the schema up to date
    Migrate {
        /// Database, if not the configured one
        #[arg(long, value_name = "URL")]
        db: Option<String>,
        /// Only print what would be done
        #[arg(long)]
        dry_run: bool,
    },
    /// Tell whether the database answers and what schema it has
    Status {
        /// Database, if not the configured one
        #[arg(long, value_name = "URL")]
        db: Option<String>,
    },
}

/// `panda config ...`
#[derive(Debug, Subcommand)]
pub enum ConfigVerb {
    /// Show every key with its value
    Show {
        /// Also where each value came from
        #[arg(long)]
        origin: bool,
    },
}

/// `panda pilot`
#[derive(Debug, Args)]
pub struct PilotArgs {
    /// The queue
    #[arg(long)]
    pub queue: String,
    /// Where jobs run [default: a folder `pilot-QUEUE` below the data folder]
    #[arg(long, value_name = "DIR")]
    pub work_dir: Option<PathBuf>,
    /// Jobs at a time
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub slots: u16,
}

/// `panda completions`
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// For which shell
    pub shell: clap_complete::Shell,
}

/// `panda man`
#[derive(Debug, Args)]
pub struct ManArgs {
    /// Write a page for each verb to this folder
    #[arg(long, value_name = "DIR")]
    pub to: Option<PathBuf>,
}

impl super::Verb {
    /// Options of the verb that set keys of the configuration: key, value, name of the option.
    pub(super) fn options(&self) -> Vec<(&'static str, Option<String>, &'static str)> {
        let listen = |args: &ListenArgs| vec![("server.listen", args.listen.clone(), "--listen"), ("database", args.db.clone(), "--db")];
        match self {
            Self::Demo(args) => listen(&args.listen),
            Self::Up(args) => {
                let mut options = listen(&args.listen);
                options.push(("worker.enabled", args.no_worker.then(|| "false".to_owned()), "--no-worker"));
                options
            }
            Self::Serve(args) => listen(&args.listen),
            Self::Doctor(args) => vec![("database", args.db.clone(), "--db")],
            Self::Db(DbVerb::Migrate { db, .. } | DbVerb::Status { db }) => vec![("database", db.clone(), "--db")],
            _ => Vec::new(),
        }
    }
}
