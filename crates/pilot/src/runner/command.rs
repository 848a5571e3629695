//! Runs the user's command.
//!
//! Owns `/bin/sh -c` semantics, the environment, and the script that a container
//! runs. stdout and stderr are the runner's own, so they stay apart and
//! unbuffered.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::container::{ContainerError, ContainerRun, Engine, outside_directories};

use super::fail::{Failure, Number, payload_status};
use super::place::{Place, make_executable};
use super::secrets::write_private;

/// What runs in a container, in the job directory. The name is fixed: prun's
/// `containerExec` prints and runs it.
pub(crate) const EXEC_SCRIPT: &str = "__run_main_exec.sh";

/// Variables that are secret; the script reads and deletes it first, because
/// prun's container command prints the script into the log.
pub(crate) const SECRETS_SCRIPT: &str = "__run_main_secrets.sh";

/// Variables of the pre-process step that the container gets when it has none.
const DEFAULTED: [&str; 2] = ["X509_USER_PROXY", "X509_CERT_DIR"];

/// Runs `command` in the run directory and returns its status (0..=254).
pub(crate) fn run(command: &str, place: &Place, variables: &[(String, String)]) -> Result<i32, Failure> {
    make_first_word_executable(command, &place.run);
    // What was printed so far comes before the command's own output.
    let _ = std::io::stdout().flush();
    let status = Command::new("/bin/sh")
        .arg("-c")
        .arg(command)
        .current_dir(&place.run)
        .env("PATH", path_with_dot())
        .env("TestArea", &place.work)
        .env("PWD", &place.run)
        .envs(variables.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .status()
        .map_err(|error| Failure::local("cannot start /bin/sh", &error))?;
    Ok(payload_status(status))
}

/// 0 is success; anything else the payload's failure.
pub(crate) fn judge(status: i32) -> Result<(), Failure> {
    if status == 0 { Ok(()) } else { Err(Failure::payload(status)) }
}

/// Runs `command` in `image`, with the job directory as its current directory;
/// never outside. Inputs that are links into a storage are made visible.
pub(crate) fn run_in_image(
    image: &str,
    command: &str,
    place: &Place,
    inputs: &[String],
    variables: &[(String, String)],
) -> Result<i32, Failure> {
    let refuse = |error: ContainerError| Failure::new(Number::NoContainer, error.to_string());
    let engine = Engine::find(image).map_err(refuse)?;
    write_script(command, place, variables)?;
    let run = ContainerRun {
        image: image.to_owned(),
        job: place.job.clone(),
        data_dir: place.job.clone(),
        read_only: outside_directories(&place.job, inputs),
        variables: Vec::new(),
        contained: false,
        argv: vec!["/bin/sh".to_owned(), EXEC_SCRIPT.to_owned()],
    };
    let _ = std::io::stdout().flush();
    let status = engine
        .command(&run)
        .map_err(refuse)?
        .stdin(Stdio::null())
        .status()
        .map_err(|error| Failure::local("cannot start the container engine", &error))?;
    remove_script(place);
    Ok(payload_status(status))
}

fn path_with_dot() -> String {
    match std::env::var("PATH") {
        Ok(path) if !path.is_empty() => format!(".:{path}"),
        _ => ".:/usr/local/bin:/usr/bin:/bin".to_owned(),
    }
}

/// Makes the first word of a command executable, if it is a file of the run
/// directory; assignments before it are passed over.
pub(crate) fn make_first_word_executable(command: &str, run: &Path) {
    let word = command.split_whitespace().find(|word| !word.split('/').next().unwrap_or_default().contains('='));
    if let Some(word) = word {
        let word = word.trim_matches(|c| matches!(c, '"' | '\'' | ';' | '('));
        if !word.is_empty() {
            make_executable(&run.join(word));
        }
    }
}

/// Writes the script that enters the run directory and runs `command`, for a
/// container that sees the job directory as its current directory.
pub(crate) fn write_script(command: &str, place: &Place, variables: &[(String, String)]) -> Result<(), Failure> {
    make_first_word_executable(command, &place.run);
    let mut script = String::new();
    // Writing to a String cannot fail.
    if !variables.is_empty() {
        let _ = writeln!(script, ". ./{SECRETS_SCRIPT}\nrm -f ./{SECRETS_SCRIPT}");
    }
    let work = place.work.strip_prefix(&place.job).unwrap_or(&place.work);
    let _ = writeln!(script, "export TestArea=\"$PWD\"/{}", quote(&work.to_string_lossy()));
    let _ = writeln!(script, "cd {} || exit 1", quote(&place.run_below_job().to_string_lossy()));
    let _ = writeln!(script, "export PATH=$PATH:.");
    for name in DEFAULTED {
        if let Ok(value) = std::env::var(name)
            && !value.is_empty()
        {
            let _ = writeln!(script, "if [ -z \"${name}\" ]; then export {name}={}; fi", quote(&value));
        }
    }
    script.push_str(command);
    script.push('\n');
    let failure = |error| Failure::local("cannot write the container's script", &error);
    if !variables.is_empty() {
        let mut secret = String::new();
        for (name, value) in variables {
            let _ = writeln!(secret, "export {name}={}", quote(value));
        }
        write_private(&place.job.join(SECRETS_SCRIPT), secret.as_bytes()).map_err(failure)?;
    }
    write_private(&place.job.join(EXEC_SCRIPT), script.as_bytes()).map_err(failure)?;
    make_executable(&place.job.join(EXEC_SCRIPT));
    Ok(())
}

/// Removes what [`write_script`] left.
pub(crate) fn remove_script(place: &Place) {
    for name in [EXEC_SCRIPT, SECRETS_SCRIPT] {
        let _ = std::fs::remove_file(place.job.join(name));
    }
}

/// A word that `sh` reads back as `text`.
pub(crate) fn quote(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./,:=@%+".contains(c);
    if !text.is_empty() && text.chars().all(plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn place() -> (tempfile::TempDir, Place) {
        let dir = tempfile::tempdir().unwrap();
        let place = Place::new(dir.path().to_owned(), "sub dir").unwrap();
        std::fs::create_dir_all(&place.run).unwrap();
        (dir, place)
    }

    #[test]
    fn statuses_and_quotes_reach_the_shell_unchanged() {
        let (_dir, place) = place();
        let variables = [("S".to_owned(), "a'b \"c".to_owned())];
        let command = r#"printf '%s' "$S" > out; printf '%s' "it's \"x\"" > end; exit 7"#;
        assert_eq!(run(command, &place, &variables).unwrap(), 7);
        let read = |name: &str| std::fs::read_to_string(place.run.join(name)).unwrap();
        assert_eq!(read("out"), "a'b \"c");
        assert_eq!(read("end"), "it's \"x\"");
        assert_eq!(run("exit 255", &place, &[]).unwrap(), 254);
        assert_eq!(run("kill -9 $$", &place, &[]).unwrap(), 137);
    }

    #[test]
    fn a_script_of_the_sandbox_runs_without_its_bit() {
        let (_dir, place) = place();
        let script = place.run.join("run.sh");
        std::fs::write(&script, "#!/bin/sh\nexit 5\n").unwrap();
        std::fs::set_permissions(&script, PermissionsExt::from_mode(0o644)).unwrap();
        assert_eq!(run("A=1 run.sh", &place, &[]).unwrap(), 5);
    }

    #[test]
    fn the_container_script_runs_and_keeps_secrets_out_of_itself() {
        let (dir, place) = place();
        let variables = [("S".to_owned(), "hid'den".to_owned())];
        write_script("printf '%s' \"$S\" > out", &place, &variables).unwrap();
        let text = std::fs::read_to_string(dir.path().join(EXEC_SCRIPT)).unwrap();
        assert!(!text.contains("hid"), "{text}");
        let status = Command::new("/bin/sh").arg(EXEC_SCRIPT).current_dir(dir.path()).status().unwrap();
        assert!(status.success());
        assert_eq!(std::fs::read_to_string(place.run.join("out")).unwrap(), "hid'den");
        assert!(!dir.path().join(SECRETS_SCRIPT).exists());
    }
}
