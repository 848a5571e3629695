//! The user's secrets: out of the job directory and into the command's
//! environment.
//!
//! Owns `panda_secrets.json`. Values never reach a log or an archive: the file
//! is deleted before anything else happens with it.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use base64::Engine;
use serde_json::{Map, Value};

use super::fail::{Failure, Number};
use super::place::plain_name;

const FILE: &str = "panda_secrets.json";

/// Keys that start so are files, base64-encoded.
const FILE_PREFIX: &str = "___file___:";

/// Takes the secrets out of the job directory, writes those that are files into
/// the run directory (mode 0600), and returns the others as variables.
pub(crate) fn take(job: &Path, run: &Path) -> Result<Vec<(String, String)>, Failure> {
    let path = job.join(FILE);
    let Ok(text) = fs::read(&path) else {
        return Ok(Vec::new());
    };
    fs::remove_file(&path).map_err(|error| Failure::local("cannot remove the secrets from the job directory", &error))?;
    let secrets: Map<String, Value> = serde_json::from_slice(&text).map_err(|_| {
        // Not the parser's words: they may quote a secret.
        Failure::new(Number::Argument, "the secrets are not a JSON object")
    })?;
    let mut variables = Vec::new();
    for (key, value) in secrets {
        let value = match value {
            Value::String(text) => text,
            other => other.to_string(),
        };
        if let Some(name) = key.strip_prefix(FILE_PREFIX) {
            plain_name("the secret file", name)?;
            let bytes = base64::engine::general_purpose::STANDARD
                .decode(value.trim())
                .map_err(|_| Failure::new(Number::Argument, format!("the secret file {name} is not base64")))?;
            write_private(&run.join(name), &bytes)
                .map_err(|error| Failure::local(format!("cannot write the secret file {name}"), &error))?;
        } else if is_variable(&key) && !value.contains('\0') {
            variables.push((key, value));
        } else {
            println!("the secret `{key}` is no variable name; it is left out");
        }
    }
    Ok(variables)
}

/// Writes a file that only the owner can read.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(bytes)
}

fn is_variable(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_') && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn variables_and_files() {
        let dir = tempfile::tempdir().unwrap();
        let run = dir.path().join("run");
        fs::create_dir(&run).unwrap();
        fs::write(dir.path().join(FILE), r#"{"TOKEN": "a'b c", "___file___:key.pem": "aGk=", "bad name": "x"}"#).unwrap();
        let variables = take(dir.path(), &run).unwrap();
        assert_eq!(variables, [("TOKEN".to_owned(), "a'b c".to_owned())]);
        assert_eq!(fs::read_to_string(run.join("key.pem")).unwrap(), "hi");
        assert!(!dir.path().join(FILE).exists());
        assert!(take(dir.path(), &run).unwrap().is_empty());
    }

    #[test]
    fn a_bad_file_is_deleted_and_not_quoted() {
        let dir = tempfile::tempdir().unwrap();
        for text in ["hunter2", r#"{"___file___:../x": "aGk="}"#] {
            fs::write(dir.path().join(FILE), text).unwrap();
            let failure = take(dir.path(), dir.path()).unwrap_err();
            assert!(!failure.text.contains("hunter2"));
            assert!(!dir.path().join(FILE).exists());
        }
    }
}
