//! Owns: running other programs and saying clearly what failed. Must not know: what they are run for.

use std::env;
use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Why a command of ours ends without success.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Called wrongly: the usage is printed and the exit code is 2.
    Usage(String),
    /// Something failed: the exit code is 1.
    Failed(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Usage(text) | Self::Failed(text)) = self;
        f.write_str(text)
    }
}

pub(crate) type Outcome<T = ()> = Result<T, Failure>;

/// A failure with this text.
pub(crate) fn fail<T>(text: impl Into<String>) -> Outcome<T> {
    Err(Failure::Failed(text.into()))
}

/// Turns an error of a file operation into a failure that names the file.
pub(crate) fn on<'a>(action: &'a str, path: &'a Path) -> impl FnOnce(std::io::Error) -> Failure + 'a {
    move |error| Failure::Failed(format!("cannot {action} `{}`: {error}", path.display()))
}

/// The command as one would type it, for messages.
fn typed(command: &Command) -> String {
    std::iter::once(command.get_program()).chain(command.get_args()).map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}

/// Runs with the terminal of ours; anything but exit code 0 is a failure.
pub(crate) fn run(command: &mut Command) -> Outcome {
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => fail(format!("`{}` ended with {status}", typed(command))),
        Err(error) => fail(format!("cannot start `{}`: {error}", typed(command))),
    }
}

/// Runs and takes what is printed; on failure the message holds what was printed on standard error.
pub(crate) fn output(command: &mut Command) -> Outcome<String> {
    let out = match command.stdin(Stdio::null()).output() {
        Ok(out) => out,
        Err(error) => return fail(format!("cannot start `{}`: {error}", typed(command))),
    };
    if out.status.success() {
        return Ok(String::from_utf8_lossy(&out.stdout).into_owned());
    }
    let told = String::from_utf8_lossy(&out.stderr);
    fail(format!("`{}` ended with {}:\n{}", typed(command), out.status, told.trim_end()))
}

/// Whether a program of this name is on the path, and where.
pub(crate) fn which(name: &str) -> Option<PathBuf> {
    // the system's folders are not on every user's path, but the programs that start services are there
    let path = env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/sbin", "/sbin"].map(PathBuf::from);
    env::split_paths(&path).chain(system).map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// Whether we may install packages and start services.
pub(crate) fn is_root() -> bool {
    output(Command::new("id").arg("-u")).is_ok_and(|uid| uid.trim() == "0")
}

/// Installs Debian packages as root; elsewhere says which command to run.
pub(crate) fn apt_install(packages: &[&str], why: &str) -> Outcome {
    let names = packages.join(" ");
    if which("apt-get").is_none() {
        return fail(format!("{why} needs {names}; install them with the system's package manager"));
    }
    if !is_root() {
        return fail(format!("{why} needs {names}; run `sudo apt-get install {names}`"));
    }
    eprintln!("installing {names} ({why})");
    let apt = |args: &[&str]| {
        let mut command = Command::new("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive").args(["-qq", "-y"]).args(args);
        output(&mut command).map(drop)
    };
    // a first try without the index: it is often fresh, and fetching it takes longer than a small package
    let install = [&["install", "--no-install-recommends"], packages].concat();
    apt(&install).or_else(|_| apt(&["update"]).and_then(|()| apt(&install)))
}

/// The workspace's root.
pub(crate) fn root() -> PathBuf {
    let manifest = env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    manifest.parent().map_or_else(|| PathBuf::from("."), Path::to_owned)
}

/// Where build products go: everything made by these commands lies below it.
pub(crate) fn target() -> PathBuf {
    match env::var_os("CARGO_TARGET_DIR") {
        Some(folder) if !folder.is_empty() => root().join(folder),
        _ => root().join("target"),
    }
}

/// `cargo` at the workspace's root.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    // set by the cargo that started us; a nested one must not take them for its own
    for name in ["CARGO_MANIFEST_DIR", "CARGO_PKG_NAME", "CARGO_PKG_VERSION"] {
        command.env_remove(name);
    }
    command
}
