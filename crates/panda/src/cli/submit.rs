//! Options of `submit` and `run`; prun's spellings are aliases.

use std::path::PathBuf;

use clap::Args;

/// What to run, on what, where, and what comes out.
#[derive(Debug, Clone, Default, Args)]
#[command(after_help = AFTER)]
pub struct SubmitArgs {
    /// The command. One word is given to /bin/sh as it is; several are quoted. `%IN` is the input files of a job (separated by
    /// commas), `%RNDM:N` a number that counts up from N+1 job by job
    #[arg(last = true, value_name = "COMMAND", required_unless_present = "exec")]
    pub command: Vec<String>,
    /// The command as one text, as prun takes it
    #[arg(long, value_name = "TEXT", conflicts_with = "command")]
    pub exec: Option<String>,

    /// Input: files, globs, URLs or the names of data sets
    #[arg(long = "in", alias = "inDS", num_args = 1.., value_name = "WHAT", help_heading = "Data")]
    pub input: Vec<String>,
    /// A DAG of jobs: a file with one node a line, as {"name": "b", "args": "-n 2", "after": ["a"]}. Each node runs the command with `%NODE` and
    /// `%ARGS` replaced, when those that it comes after have ended as it asks (docs/dag.md)
    #[arg(long, value_name = "FILE", conflicts_with_all = ["input", "jobs", "files_per_job", "files", "merge", "pattern"], help_heading = "Data")]
    pub dag: Option<PathBuf>,
    /// Output files: a name, a glob (its matches are packed together), or SUFFIX:GLOB
    #[arg(long = "out", alias = "outputs", value_delimiter = ',', value_name = "GLOB", help_heading = "Data")]
    pub outputs: Vec<String>,
    /// Name of the task and stem of its output data sets [default: made from your name and the time]
    #[arg(long, alias = "outDS", value_name = "NAME", help_heading = "Data")]
    pub name: Option<String>,
    /// Folder whose files go along with the jobs (never dotfiles), or `none`
    #[arg(long, value_name = "DIR|none", default_value = ".", help_heading = "Data")]
    pub sandbox: String,
    /// Join the outputs of all jobs at the end
    #[arg(long, alias = "mergeOutput", help_heading = "Data")]
    pub merge: bool,
    /// The command that joins: `%IN` and `%OUT` in it, or it is run as COMMAND -o OUT IN IN ...
    #[arg(long, alias = "mergeScript", value_name = "TEXT", requires = "merge", help_heading = "Data")]
    pub merge_command: Option<String>,
    /// Only input files that match this regular expression
    #[arg(long = "match", value_name = "REGEX", help_heading = "Data")]
    pub pattern: Option<String>,

    /// Number of jobs, for a task without input; with input: most jobs
    #[arg(long, alias = "nJobs", value_name = "N", value_parser = clap::value_parser!(i64).range(1..=1_000_000), help_heading = "Splitting")]
    pub jobs: Option<i64>,
    /// Input files of a job
    #[arg(long, alias = "nFilesPerJob", value_name = "N", value_parser = clap::value_parser!(i64).range(1..=10_000), help_heading = "Splitting")]
    pub files_per_job: Option<i64>,
    /// Use only so many input files
    #[arg(long, alias = "nFiles", value_name = "N", value_parser = clap::value_parser!(i64).range(1..=10_000_000), help_heading = "Splitting")]
    pub files: Option<i64>,
    /// Attempts of a job
    #[arg(long, alias = "maxAttempt", value_name = "N", value_parser = clap::value_parser!(i64).range(1..=50), help_heading = "Splitting")]
    pub attempts: Option<i64>,

    /// Cores of a job
    #[arg(long, alias = "nCore", value_name = "N", value_parser = clap::value_parser!(i64).range(1..=10_000), help_heading = "Needs")]
    pub cores: Option<i64>,
    /// Memory a core, as 2000 (MB), 2000MB or 4GB
    #[arg(long, value_name = "SIZE", help_heading = "Needs")]
    pub memory: Option<String>,
    /// Longest wall time of a job, as 90m, 12h or 2d; counted in whole hours
    #[arg(long, alias = "maxWalltime", value_name = "TIME", help_heading = "Needs")]
    pub time: Option<String>,
    /// A GPU
    #[arg(long, help_heading = "Needs")]
    pub gpu: bool,
    /// Container image to run in
    #[arg(long, alias = "containerImage", value_name = "IMAGE", help_heading = "Needs")]
    pub container: Option<String>,
    /// Queue to run on, or several separated by commas
    #[arg(long, alias = "site", value_name = "NAME", help_heading = "Needs")]
    pub queue: Option<String>,
    /// Queues not to run on
    #[arg(long, alias = "excludedSite", value_delimiter = ',', value_name = "NAME", help_heading = "Needs")]
    pub exclude_queue: Vec<String>,
    /// A variable in the environment of the command
    #[arg(long = "env", value_name = "NAME=VALUE", help_heading = "Needs")]
    pub env: Vec<String>,
    /// The VO to submit for
    #[arg(long, help_heading = "Needs")]
    pub vo: Option<String>,

    /// Build once before the jobs: this command is run in the sandbox, and what it leaves goes along with every job
    #[arg(long, alias = "bexec", value_name = "TEXT", help_heading = "Needs")]
    pub build: Option<String>,
    /// No build step (this is the default; prun's spelling)
    #[arg(long = "no-build", alias = "noBuild", conflicts_with = "build", hide = true)]
    pub no_build: bool,

    /// Print the task's parameters and send nothing
    #[arg(long, alias = "noSubmit", help_heading = "Needs")]
    pub dry_run: bool,
}

const AFTER: &str = "examples:\n  \
panda run -- echo hello\n  \
panda run --dag nodes.jsonl -- './step.sh %NODE %ARGS'\n  \
panda run --jobs 3 --out 'out*.txt' -- './sim %RNDM:100 > out.txt'\n  \
panda submit --in data/*.csv --files-per-job 10 --out sum.csv -- './sum.sh %IN > sum.csv'\n\
prun's spellings work too: --exec --inDS --outDS --outputs --nJobs --nFilesPerJob --nCore --site --excludedSite --containerImage --bexec --noBuild";

/// How long to wait.
#[derive(Debug, Clone, Default, Args)]
pub struct WaitArgs {
    /// Give up waiting after this time, as 30s, 90m or 12h (exit code 5)
    #[arg(long, value_name = "TIME")]
    pub timeout: Option<String>,
}

impl SubmitArgs {
    /// The folder of the sandbox; none when the user wants none.
    #[must_use]
    pub fn sandbox_folder(&self) -> Option<PathBuf> {
        (self.sandbox != "none").then(|| PathBuf::from(&self.sandbox))
    }
}
