//! The file that maps names of certificates: `grid-mapfile`, with what this server grants behind it.
//!
//! Owns: its form. Must not know: certificates.

use std::collections::BTreeMap;

use super::name::tidy;

/// Most lines; the largest files of sites have some ten thousand.
const MAX_LINES: usize = 1_000_000;

/// What the file says of one name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mapped {
    /// Short name.
    pub nickname: Option<String>,
    /// VOs that the holder belongs to, and the role that he has in each without asking; lower case.
    pub grants: Vec<(String, Option<String>)>,
}

/// Names in slash form, tidied, with what is said of each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MapFile(BTreeMap<String, Mapped>);

impl MapFile {
    /// Reads lines of the form `"/DC=org/CN=Alice" alice amber amber:production`: the name, a short name (of several with commas the first counts; one that
    /// begins with a dot is a pool of accounts and grants its VO), then VOs and roles that are granted. Lines for FQANs of VOMS are none of ours.
    ///
    /// # Errors
    /// A sentence with the line.
    pub fn read(text: &str) -> Result<Self, String> {
        let mut all: BTreeMap<String, Mapped> = BTreeMap::new();
        for (number, line) in text.lines().enumerate() {
            let bad = |why: &str| Err(format!("line {}: {why}", number + 1));
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if number >= MAX_LINES {
                return bad("the file is too long");
            }
            let Some((name, rest)) = line.strip_prefix('"').and_then(|line| line.split_once('"')) else {
                return bad("a name in quotation marks is wanted first: \"/DC=org/CN=Alice\" alice");
            };
            if !name.starts_with('/') {
                return bad("names are in slash form: /DC=org/CN=Alice");
            }
            if !name.contains('=') || name.contains("/Role=") || name.contains('*') {
                continue;
            }
            let mut words = rest.split_whitespace();
            let Some(account) = words.next().and_then(|accounts| accounts.split(',').next()).filter(|account| !account.is_empty()) else {
                return bad("a short name is wanted behind the name of the certificate");
            };
            let mapped = all.entry(tidy(name)).or_default();
            match account.strip_prefix('.') {
                Some(pool) => mapped.grants.push((pool.to_ascii_lowercase(), None)),
                None => mapped.nickname = Some(account.to_owned()),
            }
            for word in words {
                let word = word.to_ascii_lowercase();
                let (vo, role) = word.split_once(':').map_or((word.as_str(), None), |(vo, role)| (vo, Some(role.to_owned())));
                if vo.is_empty() || role.as_ref().is_some_and(String::is_empty) || word.contains('/') {
                    return bad("what is granted is VO or VO:role");
                }
                mapped.grants.push((vo.to_owned(), role));
            }
        }
        Ok(Self(all))
    }

    /// What it says of a name in slash form.
    #[must_use]
    pub fn of(&self, subject: &str) -> Option<&Mapped> {
        self.0.get(&tidy(subject))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_sites_and_our_own() {
        let text = "# people\n\"/DC=org/CN=Alice\" alice\n\"/DC=org/CN=Bob/emailAddress=b@x.org\" bob,bob2 Amber amber:Production\n\
            \"/DC=org/CN=Carol\" .amber\n\"/amber/Role=production\" amberprd\n\"/amber/*\" .amber\n";
        let map = MapFile::read(text).unwrap();
        assert_eq!(map.of("/DC=org/CN=Alice").unwrap().nickname.as_deref(), Some("alice"));
        let bob = map.of("/DC=org/CN=Bob/Email=b@x.org").unwrap();
        assert_eq!(bob.nickname.as_deref(), Some("bob"));
        assert_eq!(bob.grants, [("amber".to_owned(), None), ("amber".to_owned(), Some("production".to_owned()))]);
        assert_eq!(map.of("/DC=org/CN=Carol").unwrap().grants, [("amber".to_owned(), None)]);
        assert_eq!((map.0.len(), map.of("/DC=org/CN=Dave")), (3, None));
    }

    #[test]
    fn mistakes_are_told_with_their_line() {
        for (text, part) in [
            ("\n/DC=org/CN=Alice alice", "line 2: a name in quotation marks"),
            ("\"/CN=Alice\"", "line 1: a short name"),
            ("\"CN=Alice\" alice", "line 1: names are in slash form"),
            ("\"/CN=Alice\" alice amber:", "line 1: what is granted"),
        ] {
            let error = MapFile::read(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
