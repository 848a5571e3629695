//! The programs of a job: which one, where it comes from, how it is started.
//!
//! Owns environment and images. A payload that wants an image is never started
//! without one.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::container::{ContainerError, ContainerRun, Engine, outside_directories};
use crate::runner::runner_name;

use super::Context;
use super::codes::{INTERNAL, JobFailure, NO_CONTAINER, NO_TRANSFORM, PAYLOAD, POST_PROCESS, PRE_PROCESS};
use super::job::{ContainerStep, Job, Plan, Step};

/// Runners that start containers themselves when told the image.
const IMAGE_RUNNERS: [&str; 4] = ["runGen", "buildGen", "runMerge", "runcontainer"];

/// Variables of the worker that payloads must not see: identities and databases.
const HIDDEN_STARTS: [&str; 4] = ["PANDA_AUTH", "PANDA_TOKEN", "PANDA_DB", "DATABASE_URL"];

/// A command to run, and the pilot code if it fails.
pub(crate) struct Prepared {
    pub(crate) command: Command,
    pub(crate) failure_code: i64,
}

/// One thing to run, in order.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Part<'a> {
    Script(&'a Step, Option<&'a str>, i64),
    Container(&'a ContainerStep),
}

/// What a job runs, in order.
pub(crate) fn parts(plan: &Plan) -> Vec<Part<'_>> {
    match plan {
        Plan::Single(step, image) => vec![Part::Script(step, image.as_deref(), PAYLOAD)],
        Plan::Steps(pre, main, post) => {
            vec![Part::Script(pre, None, PRE_PROCESS), Part::Container(main), Part::Script(post, None, POST_PROCESS)]
        }
    }
}

/// Makes the command of one part, with the job's environment.
pub(crate) async fn prepare(context: &Context, job: &Job, dir: &Path, part: Part<'_>) -> Result<Prepared, JobFailure> {
    let (mut command, failure_code) = match part {
        Part::Script(step, image, code) => (script(context, job, dir, step, image).await?, code),
        Part::Container(step) => {
            let argv = vec!["/bin/sh".to_owned(), "-c".to_owned(), step.exec.clone()];
            (in_image(&step.image, job, dir, argv)?, PAYLOAD)
        }
    };
    environment(&mut command, context, job, dir);
    Ok(Prepared { command, failure_code })
}

async fn script(context: &Context, job: &Job, dir: &Path, step: &Step, image: Option<&str>) -> Result<Command, JobFailure> {
    let name = script_name(&step.transformation)?;
    let program = dir.join(&name);
    let runner = runner_name(&name);
    if program.symlink_metadata().is_err() {
        match runner {
            Some(_) => symlink(&context.runner, &program)
                .map_err(|error| JobFailure::new(INTERNAL, format!("the runner cannot be linked: {error}")))?,
            None => fetch(&step.transformation, &program).await?,
        }
    }
    let mut args = step.args.clone();
    match (image, runner) {
        (Some(image), Some(runner)) if IMAGE_RUNNERS.contains(&runner) => {
            if !args.iter().any(|arg| arg.starts_with("--ctrImage")) {
                args.insert(0, format!("--ctrImage={image}"));
            }
        }
        (Some(image), _) => {
            let argv = std::iter::once(format!("./{name}")).chain(args).collect();
            return in_image(image, job, dir, argv);
        }
        (None, _) => {}
    }
    // Under its own name in the job directory: the name selects the runner.
    let mut command = Command::new(program);
    command.args(args);
    Ok(command)
}

/// The last path element of a script's address.
pub(crate) fn script_name(transformation: &str) -> Result<String, JobFailure> {
    let path = transformation.split(['?', '#']).next().unwrap_or_default();
    let name = path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    if name.is_empty() || name.starts_with('.') || name.contains('\0') {
        return Err(JobFailure::new(NO_TRANSFORM, format!("`{transformation}` names no program")));
    }
    Ok(name.to_owned())
}

/// Brings a program that is none of our runners.
async fn fetch(transformation: &str, to: &Path) -> Result<(), JobFailure> {
    let fail = |reason: String| JobFailure::new(NO_TRANSFORM, format!("Transform could not be downloaded: {transformation}: {reason}"));
    if !(transformation.starts_with("http://") || transformation.starts_with("https://")) {
        return Err(fail("it must be an http or https address".to_owned()));
    }
    // A client of its own: the script's server must not see the worker's token.
    let client = panda_client::Client::builder(host_of(transformation)).build().map_err(|error| fail(error.to_string()))?;
    let size = client.download(transformation, to).await.map_err(|error| fail(error.to_string()))?;
    if size == 0 {
        // An empty script would run as a success.
        return Err(fail("it is empty".to_owned()));
    }
    fs::set_permissions(to, fs::Permissions::from_mode(0o755)).map_err(|error| fail(error.to_string()))
}

/// `scheme://host:port` of an address.
fn host_of(address: &str) -> &str {
    let start = address.find("://").map_or(0, |at| at + 3);
    let end = address[start..].find(['/', '?', '#']).map_or(address.len(), |at| start + at);
    &address[..end]
}

fn in_image(image: &str, job: &Job, dir: &Path, argv: Vec<String>) -> Result<Command, JobFailure> {
    let refuse = |error: ContainerError| JobFailure::new(NO_CONTAINER, error.to_string());
    let inputs: Vec<String> = job.inputs.iter().map(|file| file.lfn.clone()).collect();
    let run = ContainerRun {
        image: image.to_owned(),
        job: dir.to_owned(),
        data_dir: dir.to_owned(),
        read_only: outside_directories(dir, &inputs),
        variables: Vec::new(),
        contained: false,
        argv,
    };
    Engine::find(image).and_then(|engine| engine.command(&run)).map_err(refuse)
}

/// The environment of `payload_runners.md` section 1.4, and the core numbers.
fn environment(command: &mut Command, context: &Context, job: &Job, dir: &Path) {
    let options = &context.options;
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if HIDDEN_STARTS.iter().any(|start| text.starts_with(start)) {
            command.env_remove(&name);
        }
    }
    let work: PathBuf = dir.parent().unwrap_or(dir).to_owned();
    command
        .env("PANDAID", job.id.to_string())
        .env("PILOT_HOME", &options.work_dir)
        .env("PILOT_WORK_DIR", &work)
        .env("PILOT_SOURCE_DIR", &work)
        .env("PILOT_SITENAME", &options.queue)
        .env("PILOT_USER", "native")
        .env("PILOT_VERSION", env!("CARGO_PKG_VERSION"))
        .env("PILOT_EXEC_ITERATION_COUNT", "0")
        .env("PILOT_JOB_STATE", "running")
        .env("PANDA_SERVER_URL", context.client.base().root())
        .env("ATHENA_CORE_NUMBER", job.cores.to_string())
        .env("ATHENA_PROC_NUMBER", job.cores.to_string());
    if let Some(task) = job.task_id {
        command.env("PanDA_TaskID", task.to_string());
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn names_of_scripts() {
        assert_eq!(script_name("http://h/trf/user/runGen-00-00-02").unwrap(), "runGen-00-00-02");
        assert_eq!(script_name("http://h/x.sh?y=1/2").unwrap(), "x.sh");
        for bad in ["", "http://h/..", "/"] {
            assert_eq!(script_name(bad).unwrap_err().code, NO_TRANSFORM);
        }
    }
}
