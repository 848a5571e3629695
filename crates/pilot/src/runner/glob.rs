//! Shell patterns over a directory: `*`, `?`, `[...]`, per path element.
//!
//! Owns matching only; hidden names need an explicit dot, as in a shell.

use std::path::{Path, PathBuf};

/// Relative paths below `root` that match `pattern`, sorted by name.
pub(crate) fn matches(root: &Path, pattern: &str) -> Vec<PathBuf> {
    let parts: Vec<&str> = pattern.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    let mut found = vec![PathBuf::new()];
    for part in parts {
        if part == ".." {
            return Vec::new();
        }
        found = found.iter().flat_map(|dir| step(root, dir, part)).collect();
    }
    found.retain(|path| !path.as_os_str().is_empty());
    found.sort();
    found
}

fn step(root: &Path, dir: &Path, pattern: &str) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(root.join(dir)) else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| !name.starts_with('.') || pattern.starts_with('.'))
        .filter(|name| matches_name(pattern, name))
        .map(|name| dir.join(name))
        .collect()
}

/// Whether one name matches one pattern element.
pub(crate) fn matches_name(pattern: &str, name: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    // Classic linear matcher: remember the last star and how much it has eaten.
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        let step = match pattern.get(p) {
            Some('*') => {
                star = Some((p, n));
                p += 1;
                continue;
            }
            Some('?') => Some(1),
            Some('[') => class(&pattern[p..], name[n]),
            Some(c) if *c == name[n] => Some(1),
            _ => None,
        };
        match (step, star) {
            (Some(used), _) => {
                p += used;
                n += 1;
            }
            (None, Some((at, eaten))) => {
                star = Some((at, eaten + 1));
                p = at + 1;
                n = eaten + 1;
            }
            (None, None) => return false,
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

/// Length of the class at the start of `pattern` if `c` is in it. An unclosed
/// bracket is an ordinary character.
fn class(pattern: &[char], c: char) -> Option<usize> {
    let negated = matches!(pattern.get(1), Some('!' | '^'));
    let start = if negated { 2 } else { 1 };
    let close = pattern.iter().enumerate().skip(start + 1).find(|(_, c)| **c == ']').map(|(at, _)| at);
    let Some(close) = close else {
        return (c == '[').then_some(1);
    };
    let body = &pattern[start..close];
    let mut inside = false;
    let mut at = 0;
    while at < body.len() {
        if at + 2 < body.len() && body[at + 1] == '-' {
            inside |= body[at] <= c && c <= body[at + 2];
            at += 3;
        } else {
            inside |= body[at] == c;
            at += 1;
        }
    }
    (inside != negated).then_some(close + 1)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn names() {
        for (pattern, name, expected) in [
            ("hist*.root", "hist1.root", true),
            ("hist*.root", "hist.root", true),
            ("hist*.root", "xhist1.root", false),
            ("*a*b*", "xxaxxbxx", true),
            ("*a*b", "ab_b_a", false),
            ("h?", "h1", true),
            ("h[0-9]", "h5", true),
            ("h[!0-9]", "h5", false),
            ("h[", "h[", true),
            ("*", "", true),
        ] {
            assert_eq!(matches_name(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn directories() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("d1")).unwrap();
        for name in ["d1/b.txt", "d1/a.txt", ".hidden.txt", "c.txt"] {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        let paths = |pattern: &str| matches(dir.path(), pattern);
        assert_eq!(paths("d*/*.txt"), [PathBuf::from("d1/a.txt"), "d1/b.txt".into()]);
        assert_eq!(paths("*.txt"), [PathBuf::from("c.txt")]);
        assert!(paths("../*").is_empty());
    }
}
