//! Container engines: which one is here, and how it is started.
//!
//! Owns the command lines of Apptainer, Singularity, Podman and Docker. Must not
//! know jobs. A command that wants an image is never run without one: callers
//! get an error when no engine is there.

use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Names the engine (or its path) where the first one found is not wanted.
pub const ENGINE_VARIABLE: &str = "PANDA_CONTAINER_ENGINE";

/// Variables of the job that Podman and Docker are told to hand on; Apptainer
/// hands on everything.
const PASSED: [&str; 6] = ["PANDAID", "PanDA_TaskID", "ATHENA_CORE_NUMBER", "ATHENA_PROC_NUMBER", "PANDA_SERVER_URL", "PILOT_SITENAME"];

/// A family of engines with one command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    Apptainer,
    Podman,
    Docker,
}

/// An engine on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Engine {
    family: Family,
    program: PathBuf,
}

/// Why an image cannot be used here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ContainerError {
    /// None of the programs is on the `PATH`.
    #[error("the image {image} needs apptainer, singularity, podman or docker on this machine; none is there")]
    NoEngine {
        /// The image that was asked for.
        image: String,
    },
    /// `PANDA_CONTAINER_ENGINE` names something else.
    #[error("{ENGINE_VARIABLE} names `{name}`, which is no known container engine")]
    UnknownEngine {
        /// Its value.
        name: String,
    },
    /// Podman and Docker cannot run an unpacked image.
    #[error("the image {image} is a path; only apptainer or singularity can use it")]
    PathImage {
        /// The image that was asked for.
        image: String,
    },
    /// The image would be read as an option.
    #[error("`{image}` is no image name")]
    BadImage {
        /// The text that was given.
        image: String,
    },
}

/// What to run in which image.
#[derive(Debug, Clone)]
pub struct ContainerRun {
    /// Image as the user wrote it: `docker://busybox`, `busybox`, a path.
    pub image: String,
    /// The job directory.
    pub job: PathBuf,
    /// Where the job directory is seen inside; also the current directory.
    pub data_dir: PathBuf,
    /// Directories of inputs outside the job directory, bound read-only.
    pub read_only: Vec<PathBuf>,
    /// Further variables.
    pub variables: Vec<(String, String)>,
    /// Whether the container shares nothing else with the machine (`-C`).
    pub contained: bool,
    /// Program and arguments inside.
    pub argv: Vec<String>,
}

impl Engine {
    /// The engine named by [`ENGINE_VARIABLE`], else the first on the `PATH` of
    /// apptainer, singularity, podman, docker.
    ///
    /// # Errors
    /// [`ContainerError::NoEngine`] or [`ContainerError::UnknownEngine`].
    pub fn find(image: &str) -> Result<Self, ContainerError> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        match std::env::var(ENGINE_VARIABLE) {
            Ok(name) if !name.is_empty() => Self::named(&name, &path, image),
            _ => ["apptainer", "singularity", "podman", "docker"]
                .into_iter()
                .find_map(|name| Self::named(name, &path, image).ok())
                .ok_or_else(|| ContainerError::NoEngine { image: image.to_owned() }),
        }
    }

    fn named(name: &str, path: &OsString, image: &str) -> Result<Self, ContainerError> {
        let base = Path::new(name).file_name().unwrap_or_default();
        let family = match base.to_str() {
            Some("apptainer" | "singularity") => Family::Apptainer,
            Some("podman") => Family::Podman,
            Some("docker") => Family::Docker,
            _ => {
                return Err(ContainerError::UnknownEngine { name: name.to_owned() });
            }
        };
        let program = if name.contains('/') {
            Some(PathBuf::from(name))
        } else {
            std::env::split_paths(path).map(|dir| dir.join(name)).find(|p| is_program(p))
        };
        match program {
            Some(program) if is_program(&program) => Ok(Self { family, program }),
            _ => Err(ContainerError::NoEngine { image: image.to_owned() }),
        }
    }

    /// The command that runs `run`; its current directory is the job directory.
    ///
    /// # Errors
    /// [`ContainerError::PathImage`] or [`ContainerError::BadImage`].
    pub fn command(&self, run: &ContainerRun) -> Result<Command, ContainerError> {
        if run.image.is_empty() || run.image.starts_with('-') {
            return Err(ContainerError::BadImage { image: run.image.clone() });
        }
        let mut command = Command::new(&self.program);
        command.current_dir(&run.job);
        match self.family {
            Family::Apptainer => apptainer(&mut command, run),
            Family::Podman | Family::Docker => self.docker(&mut command, run)?,
        }
        Ok(command)
    }

    fn docker(&self, command: &mut Command, run: &ContainerRun) -> Result<(), ContainerError> {
        let image = run.image.strip_prefix("docker://").unwrap_or(&run.image);
        if image.starts_with('/') || image.contains("://") {
            return Err(ContainerError::PathImage { image: run.image.clone() });
        }
        command.args(["run", "--rm", "--workdir"]).arg(&run.data_dir);
        command.arg("--volume").arg(bind(&run.job, &run.data_dir, ""));
        for dir in &run.read_only {
            command.arg("--volume").arg(bind(dir, dir, ":ro"));
        }
        if self.family == Family::Docker {
            // Outputs belong to whoever runs the job, not to root.
            let (uid, gid) = (rustix::process::getuid(), rustix::process::getgid());
            command.arg("--user").arg(format!("{}:{}", uid.as_raw(), gid.as_raw()));
        }
        for name in PASSED {
            if std::env::var_os(name).is_some() {
                command.args(["--env", name]);
            }
        }
        for (name, value) in &run.variables {
            // By name only: values do not show in the process list.
            command.env(name, value).arg("--env").arg(name);
        }
        // An image's own entry point would swallow the command.
        let mut argv = run.argv.iter();
        if let Some(program) = argv.next() {
            command.arg("--entrypoint").arg(program);
        }
        command.arg(image).args(argv);
        Ok(())
    }
}

fn apptainer(command: &mut Command, run: &ContainerRun) {
    command.arg("exec");
    if run.contained {
        command.arg("-C");
    }
    command.arg("--bind").arg(bind(&run.job, &run.data_dir, ""));
    for dir in &run.read_only {
        command.arg("--bind").arg(bind(dir, dir, ":ro"));
    }
    command.arg("--pwd").arg(&run.data_dir);
    for (name, value) in &run.variables {
        command.env(format!("APPTAINERENV_{name}"), value);
        command.env(format!("SINGULARITYENV_{name}"), value);
    }
    let local = run.image.contains("://") || run.image.starts_with('/') || Path::new(&run.image).exists();
    let image = if local { run.image.clone() } else { format!("docker://{}", run.image) };
    command.arg(image).args(&run.argv);
}

fn bind(from: &Path, to: &Path, mode: &str) -> OsString {
    let mut text = from.as_os_str().to_owned();
    text.push(":");
    text.push(to);
    text.push(mode);
    text
}

fn is_program(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// Directories outside `job` that the links `names` of `job` lead to.
#[must_use]
pub fn outside_directories(job: &Path, names: &[String]) -> Vec<PathBuf> {
    let mut dirs: Vec<PathBuf> = names
        .iter()
        .filter_map(|name| job.join(name).canonicalize().ok())
        .filter_map(|path| path.parent().map(Path::to_owned))
        .filter(|dir| !dir.starts_with(job) && !job.canonicalize().is_ok_and(|job| dir.starts_with(job)))
        .collect();
    dirs.sort();
    dirs.dedup();
    dirs
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn run(image: &str) -> ContainerRun {
        ContainerRun {
            image: image.to_owned(),
            job: "/job".into(),
            data_dir: "/job".into(),
            read_only: vec!["/store/a".into()],
            variables: vec![("K".to_owned(), "v".to_owned())],
            contained: false,
            argv: vec!["/bin/sh".to_owned(), "s.sh".to_owned()],
        }
    }

    fn line(family: Family, image: &str) -> Result<String, ContainerError> {
        let engine = Engine { family, program: "/bin/engine".into() };
        let command = engine.command(&run(image))?;
        let words: Vec<_> = command.get_args().map(|arg| arg.to_string_lossy()).collect();
        Ok(words.join(" "))
    }

    #[test]
    fn command_lines() {
        assert_eq!(
            line(Family::Apptainer, "busybox").unwrap(),
            "exec --bind /job:/job --bind /store/a:/store/a:ro --pwd /job docker://busybox /bin/sh s.sh"
        );
        let podman = line(Family::Podman, "docker://busybox").unwrap();
        assert!(podman.starts_with("run --rm --workdir /job --volume /job:/job --volume /store/a:/store/a:ro"), "{podman}");
        assert!(podman.ends_with("--env K --entrypoint /bin/sh busybox s.sh"), "{podman}");
        assert!(line(Family::Docker, "busybox").unwrap().contains("--user "));
        assert!(matches!(line(Family::Docker, "/cvmfs/i"), Err(ContainerError::PathImage { .. })));
        assert!(matches!(line(Family::Apptainer, "-x"), Err(ContainerError::BadImage { .. })));
    }

    #[test]
    fn engines_are_looked_up() {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("podman");
        std::fs::write(&program, "").unwrap();
        let path = dir.path().as_os_str().to_owned();
        assert!(Engine::named("podman", &path, "i").is_err());
        std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
        assert_eq!(Engine::named("podman", &path, "i").unwrap().family, Family::Podman);
        assert!(matches!(Engine::named("bash", &path, "i"), Err(ContainerError::UnknownEngine { .. })));
    }
}
