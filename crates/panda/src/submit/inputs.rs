//! What `--in` means: local files, URLs, or data sets.
//!
//! Owns the classification and the bounds. Must not know how files reach the server.

use std::path::{Path, PathBuf};

use crate::failure::{Failure, io};

/// Most local files or URLs of one task given on a command line.
const MAX_FILES: usize = 20_000;

/// The input of a task; kinds cannot be mixed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Inputs {
    /// None.
    Nothing,
    /// Files here, absolute, sorted by name.
    Files(Vec<PathBuf>),
    /// Addresses that the command itself opens.
    Urls(Vec<String>),
    /// Data sets by name, as given.
    Datasets(Vec<String>),
}

impl Inputs {
    /// How many there are, where that is known.
    pub fn count(&self) -> Option<i64> {
        match self {
            Self::Files(files) => i64::try_from(files.len()).ok(),
            Self::Urls(urls) => i64::try_from(urls.len()).ok(),
            Self::Nothing | Self::Datasets(_) => None,
        }
    }
}

/// Reads what the user gave.
pub fn classify(given: &[String]) -> Result<Inputs, Failure> {
    let (mut files, mut urls, mut datasets) = (Vec::new(), Vec::new(), Vec::new());
    for item in given.iter().map(|item| item.trim()).filter(|item| !item.is_empty()) {
        let path = Path::new(item);
        if item.contains("://") {
            urls.push(item.to_owned());
        } else if path.is_file() {
            files.push(absolute(path)?);
        } else if path.is_dir() {
            files.extend(folder(path)?);
        } else if item.contains(['*', '?', '[']) && !looks_like_dataset(item) {
            files.extend(matches(item)?);
        } else if path.is_absolute() || item.starts_with("./") || item.starts_with("../") {
            return Err(Failure::usage(format!("there is no file `{item}`")));
        } else {
            datasets.extend(item.split(',').map(str::to_owned));
        }
        if files.len().max(urls.len()) > MAX_FILES {
            return Err(
                Failure::usage(format!("more than {MAX_FILES} input files")).hint("register them once: `panda dataset add NAME --dir DIR`")
            );
        }
    }
    let kinds = usize::from(!files.is_empty()) + usize::from(!urls.is_empty()) + usize::from(!datasets.is_empty());
    if kinds > 1 {
        return Err(Failure::usage("local files, URLs and data sets cannot be mixed in `--in`"));
    }
    if !files.is_empty() {
        files.sort_by(|a, b| a.file_name().cmp(&b.file_name()));
        check_names(&files)?;
        return Ok(Inputs::Files(files));
    }
    Ok(match (urls.is_empty(), datasets.is_empty()) {
        (false, _) => Inputs::Urls(urls),
        (_, false) => Inputs::Datasets(datasets),
        _ => Inputs::Nothing,
    })
}

/// `scope:name*` and `user.name.*` are patterns of data sets, not of files.
fn looks_like_dataset(item: &str) -> bool {
    item.contains(':') || item.ends_with('/')
}

fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::fs::canonicalize(path).map_err(io("read", path)).map(|real| match (real.file_name(), path.file_name()) {
        // A link is known by its own name.
        (Some(a), Some(b)) if a != b => std::path::absolute(path).unwrap_or(real),
        _ => real,
    })
}

/// The files directly in a folder, without dotfiles.
fn folder(path: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).map_err(io("read", path))? {
        let entry = entry.map_err(io("read", path))?;
        let hidden = entry.file_name().to_string_lossy().starts_with('.');
        if !hidden && entry.path().is_file() {
            files.push(absolute(&entry.path())?);
        }
        if files.len() > MAX_FILES {
            break;
        }
    }
    if files.is_empty() { Err(Failure::usage(format!("the folder `{}` has no files", path.display()))) } else { Ok(files) }
}

fn matches(pattern: &str) -> Result<Vec<PathBuf>, Failure> {
    let options = glob::MatchOptions { require_literal_leading_dot: true, ..glob::MatchOptions::default() };
    let found = glob::glob_with(pattern, options).map_err(|error| Failure::usage(format!("`{pattern}` is no pattern: {error}")))?;
    let files: Vec<PathBuf> = found.take(MAX_FILES + 1).filter_map(Result::ok).filter(|path| path.is_file()).collect();
    if files.is_empty() {
        return Err(Failure::usage(format!("no file matches `{pattern}`")));
    }
    files.iter().map(|path| absolute(path)).collect()
}

/// A job sees its inputs by name in one folder, in lists separated by commas.
fn check_names(files: &[PathBuf]) -> Result<(), Failure> {
    let name = |path: &PathBuf| path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    for pair in files.windows(2) {
        if let [a, b] = pair
            && name(a) == name(b)
        {
            return Err(Failure::usage(format!("two input files are called `{}`", name(a)))
                .hint("a job has its inputs in one folder: give them different names"));
        }
    }
    let bad = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '\'' | '"' | ',' | ':' | '\\' | '$' | '`');
    match files.iter().map(name).find(|name| name.contains(bad) || name.contains('\u{fffd}')) {
        Some(name) => {
            Err(Failure::usage(format!("the name of the input file `{name}` contains a blank, a quote, a comma, a colon or the like"))
                .hint("such names break the lists in which jobs get them: rename it or make a link"))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn kinds() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.csv", "a.csv", ".hidden.csv", "c d.csv"] {
            std::fs::write(folder.path().join(name), name).unwrap();
        }
        let at = |name: &str| folder.path().join(name).display().to_string();
        let files = classify(&[at("[ab]*.csv")]).unwrap();
        assert_eq!(files, Inputs::Files(vec![at("a.csv").into(), at("b.csv").into()]));
        assert_eq!(files.count(), Some(2));
        assert_eq!(classify(&["root://x//y".into()]).unwrap(), Inputs::Urls(vec!["root://x//y".into()]));
        assert_eq!(classify(&["user.bob:user.bob.in/".into()]).unwrap(), Inputs::Datasets(vec!["user.bob:user.bob.in/".into()]));
        assert_eq!(classify(&["a.b,c.d".into()]).unwrap(), Inputs::Datasets(vec!["a.b".into(), "c.d".into()]));
        assert_eq!(classify(&[]).unwrap(), Inputs::Nothing);
        let refused = [vec![at("*.csv")], vec![at("nothing*")], vec!["./nothing".into()], vec![at("a.csv"), "user.x.y".into()]];
        for given in refused {
            assert_eq!(classify(&given).unwrap_err().code, 2, "{given:?}");
        }
    }
}
