//! A DAG of jobs given as a file: checked here as the server will check it, and packed for the way there.

use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::path::Path;

use flate2::{Compression, write::GzEncoder};
use panda_ops::task::dag;
use tempfile::NamedTempFile;

use super::command::{ARGS, NODE};
use crate::failure::{Failure, io};

/// Most nodes of a file; the server has a setting of its own.
const MAX_NODES: usize = 10_000_000;

/// A checked DAG.
#[derive(Debug)]
pub struct Checked {
    /// The file as it is sent; removed when dropped.
    pub file: NamedTempFile,
    /// Its name on the server.
    pub name: String,
    /// Nodes.
    pub nodes: usize,
}

/// Checks a DAG and the command that each of its nodes runs.
pub fn check(path: &Path, command: &str) -> Result<Checked, Failure> {
    if !command.contains(NODE) && !command.contains(ARGS) {
        return Err(Failure::usage(format!("the command has neither `{NODE}` nor `{ARGS}`: all nodes would do the same"))
            .hint(format!("write for example `panda run --dag FILE -- './step.sh {ARGS}'`")));
    }
    let mut file = File::open(path).map_err(io("open", path))?;
    let found = dag::read(&mut file, MAX_NODES).map_err(|what| Failure::usage(format!("{}: {what}", path.display())))?;
    let failed = |error: std::io::Error| Failure::new(format!("cannot pack {}: {error}", path.display()));
    file.rewind().map_err(failed)?;
    let mut packed = NamedTempFile::new().map_err(failed)?;
    let mut magic = [0; 2];
    file.read_exact(&mut magic).map_err(failed)?;
    file.rewind().map_err(failed)?;
    if magic == [0x1f, 0x8b] {
        std::io::copy(&mut file, packed.as_file_mut()).map_err(failed)?;
    } else {
        let mut to = GzEncoder::new(packed.as_file_mut(), Compression::default());
        std::io::copy(&mut file, &mut to).map_err(failed)?;
        to.finish().map_err(failed)?;
    }
    // The name decides how large a file may be (`spec/client.md` section 4.2).
    let name = format!("sources.{}.jsonl.gz", uuid::Uuid::new_v4());
    Ok(Checked { file: packed, name, nodes: found.nodes.len() })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_dag_is_checked_before_it_is_sent() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("nodes.jsonl");
        std::fs::write(&path, "{\"name\": \"a\"}\n{\"name\": \"b\", \"after\": [\"a\"]}\n").unwrap();
        let checked = check(&path, "./step %NODE").unwrap();
        assert_eq!(checked.nodes, 2);
        // What is sent is packed; a packed file is sent as it is.
        let again = check(checked.file.path(), "./step %ARGS").unwrap();
        assert_eq!(std::fs::read(again.file.path()).unwrap(), std::fs::read(checked.file.path()).unwrap());
        assert!(check(&path, "./step").unwrap_err().message.contains("all nodes would do the same"));
        std::fs::write(&path, "{\"name\": \"b\", \"after\": [\"a\"]}\n").unwrap();
        let told = check(&path, "%NODE").unwrap_err().message;
        assert!(told.contains("nodes.jsonl: line 1: b depends on a, which no line is named"), "{told}");
        assert!(check(&folder.path().join("nothing"), "%NODE").unwrap_err().message.contains("cannot open"));
    }
}
