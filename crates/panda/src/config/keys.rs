//! Every key of the configuration file: name, type, default, environment variable, meaning.
//!
//! Owns the one list from which reading, checking, `config show` and the reference are made. Must not know what a key does.

/// Port of the API without encryption, as the original's.
pub const HTTP_PORT: u16 = 25080;
/// Port of the API with TLS, as the original's.
pub const HTTPS_PORT: u16 = 25443;
/// The VO of development tokens when none is configured: of no experiment.
pub const DEFAULT_VO: &str = "local";
/// The queue of the local worker.
pub const DEFAULT_QUEUE: &str = "local";
/// Most slots of a local worker: each is a process with its own folder.
const MAX_SLOTS: i64 = 1_024;
/// A day, the longest period of anything.
const DAY_S: i64 = 86_400;

/// Type of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text, not empty.
    Text,
    /// One of some words.
    Word(&'static [&'static str]),
    /// A folder or file; relative to the file it stands in, `~/` is the home folder.
    Path,
    /// `ADDRESS:PORT`.
    Address,
    /// A whole number within bounds.
    Int(i64, i64),
    /// `true` or `false`.
    Bool,
    /// A list of texts.
    Texts,
}

impl Kind {
    /// What is expected, for messages.
    #[must_use]
    pub fn expected(self) -> String {
        match self {
            Self::Text => "a text in quotes".to_owned(),
            Self::Word(words) => format!("one of {}", words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(", ")),
            Self::Path => "a path in quotes".to_owned(),
            Self::Address => "an address and port such as \"127.0.0.1:25080\"".to_owned(),
            Self::Int(low, high) => format!("a whole number from {low} to {high}"),
            Self::Bool => "true or false".to_owned(),
            Self::Texts => "a list of texts such as [\"amber\"]".to_owned(),
        }
    }
}

/// One key.
#[derive(Debug)]
pub struct Key {
    /// Name with its table, `server.listen`.
    pub path: &'static str,
    /// Type.
    pub kind: Kind,
    /// Environment variables that set it, first one wins.
    pub env: &'static [&'static str],
    /// The value when nobody sets it; empty means that there is none or that it follows from others.
    pub default: &'static str,
    /// Meaning, one line.
    pub about: &'static str,
}

const fn key(path: &'static str, kind: Kind, env: &'static [&'static str], default: &'static str, about: &'static str) -> Key {
    Key { path, kind, env, default, about }
}

/// The keys, in the order in which they are shown.
pub const KEYS: &[Key] = &[
    key("data", Kind::Path, &["PANDA_DATA"], "", "the data folder; default: $XDG_DATA_HOME/panda, else ~/.local/share/panda"),
    key(
        "database",
        Kind::Text,
        &["PANDA_DATABASE"],
        "",
        "sqlite:PATH, postgres://... or mysql://...; default: panda.db in the data folder",
    ),
    key("vos", Kind::Texts, &[], "", "the experiments served here; with none, any VO that a development token names"),
    key("server.listen", Kind::Address, &["PANDA_LISTEN"], "127.0.0.1:25080", "address and port of the API and the monitor"),
    key("server.public_url", Kind::Text, &[], "", "address under which others reach the server, if not that of the listener"),
    key("server.tls_listen", Kind::Address, &[], "", "address and port of the API and the monitor over TLS, such as \"0.0.0.0:25443\""),
    key(
        "server.tls_certificate",
        Kind::Path,
        &[],
        "",
        "certificate of this host and those that vouch for it, PEM; taken anew when it changes",
    ),
    key("server.tls_key", Kind::Path, &[], "", "key of the certificate, PEM; default: in the certificate's file"),
    key(
        "x509.ca_dir",
        Kind::Path,
        &[],
        "",
        "directory with the CAs whose client certificates count, their lists and signing policies; none: no client certificates",
    ),
    key(
        "x509.voms_dir",
        Kind::Path,
        &[],
        "",
        "directory with the VOMS servers that speak for VOs, VO/HOST.lsc; none: VOMS attributes are not looked at",
    ),
    key("x509.map_file", Kind::Path, &[], "", "file that gives names of certificates a short name, VOs and roles (grid-mapfile)"),
    key("x509.trusted_proxies", Kind::Texts, &[], "", "addresses or networks of reverse proxies that may tell who a caller is"),
    key("x509.certificate_header", Kind::Text, &[], "", "header in which they pass the caller's certificate on, such as \"Client-Cert\""),
    key(
        "x509.name_header",
        Kind::Text,
        &[],
        "",
        "header in which they tell the subject of a certificate they have verified, such as \"SSL_CLIENT_S_DN\"",
    ),
    key(
        "monitor.access",
        Kind::Word(&["public", "members", "operators"]),
        &[],
        "public",
        "who may read the pages: whoever reaches the listener, people of any VO here, or operators; by token or client certificate",
    ),
    key("worker.enabled", Kind::Bool, &[], "true", "whether `panda up` runs jobs itself"),
    key("worker.queue", Kind::Text, &[], DEFAULT_QUEUE, "the queue the local worker serves"),
    key("worker.slots", Kind::Int(1, MAX_SLOTS), &[], "", "jobs at a time; default: the number of cores"),
    key("engine.period_s", Kind::Int(1, DAY_S), &[], "5", "longest time between two looks of a loop that nobody woke"),
    key("limits.active_tasks", Kind::Int(1, 10_000_000), &[], "10000", "most active tasks of one person"),
    key(
        "limits.requests_per_minute",
        Kind::Int(0, 10_000_000),
        &[],
        "6000",
        "most requests of one identity a minute, pilots and Harvesters excepted; 0 is no limit",
    ),
    key("limits.attempts", Kind::Int(1, 100), &[], "3", "attempts of an input when the task does not say"),
    key(
        "client.server",
        Kind::Text,
        &["PANDA_URL_SSL", "PANDA_URL"],
        "",
        "address of the server; default: the one that runs on the data folder",
    ),
    key("client.vo", Kind::Text, &["PANDA_AUTH_VO"], "", "the VO to act for; default: the first of `vos`, else `local`"),
    key("client.user", Kind::Text, &[], "", "the name in development tokens; default: the login name"),
    key("log.level", Kind::Text, &["PANDA_LOG"], "info", "what is logged, as `info` or `panda_engine=debug,info`"),
    key("log.format", Kind::Word(&["text", "json"]), &[], "text", "form of the log lines"),
];

/// The table of plug-ins: `[plugin.NAME]`.
pub const PLUGIN: &str = "plugin";
/// Longest time for one answer of a plug-in.
const MAX_DEADLINE_S: i64 = 3_600;

/// The keys of each table `[plugin.NAME]`, in the order in which they are shown; `kind` and `command` must be there.
pub const PLUGIN_KEYS: &[Key] = &[
    key("kind", Kind::Word(PLUGIN_KINDS), &[], "", "what the plug-in is for"),
    key("command", Kind::Text, &[], "", "its program, found as a shell finds it"),
    key("args", Kind::Texts, &[], "", "arguments of the program"),
    key("env", Kind::Texts, &[], "", "variables of its environment, as [\"NAME=value\"]; values are not shown"),
    key("dir", Kind::Path, &[], "", "the folder in which it runs; default: where the server does"),
    key(
        "deadline_s",
        Kind::Int(1, MAX_DEADLINE_S),
        &[],
        "30",
        "time for one answer; a plug-in that takes longer is ended and started again",
    ),
    key(
        "calls",
        Kind::Int(1, MAX_CALLS),
        &[],
        "8",
        "calls under way at one time; others wait for their turn, and their deadline does not count before",
    ),
];

/// Most calls of a plug-in at one time.
const MAX_CALLS: i64 = 1_024;

/// What a plug-in that runs alone can be for.
const PLUGIN_KINDS: &[&str] = &["data", "brokerage", "retry", "naming", "notify"];

/// The key of a plug-in's table.
#[must_use]
pub fn find_plugin(name: &str) -> Option<&'static Key> {
    PLUGIN_KEYS.iter().find(|key| key.path == name)
}

/// The key of a name.
#[must_use]
pub fn find(path: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.path == path)
}

/// Whether a name is that of a table, such as `server`.
#[must_use]
pub fn is_table(path: &str) -> bool {
    KEYS.iter().any(|key| key.path.strip_prefix(path).is_some_and(|rest| rest.starts_with('.')))
}

/// The known name nearest to a wrong one, if one is near.
#[must_use]
pub fn nearest(path: &str) -> Option<&'static str> {
    let last = path.rsplit('.').next().unwrap_or(path);
    let scored = KEYS.iter().map(|key| {
        let own = key.path.rsplit('.').next().unwrap_or(key.path);
        // A right name under a wrong table is as good as a near name.
        (distance(path, key.path).min(distance(last, own)), key.path)
    });
    scored.min().filter(|(score, _)| *score <= 2).map(|(_, path)| path)
}

/// The known table nearest to a wrong one, if one is near.
#[must_use]
pub fn nearest_table(path: &str) -> Option<&'static str> {
    let tables = KEYS.iter().filter_map(|key| key.path.split_once('.').map(|(table, _)| (distance(path, table), table)));
    tables.min().filter(|(score, _)| *score <= 2).map(|(_, table)| table)
}

/// Edit distance; both texts are short.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut left = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replace = row[j] + usize::from(x != *y);
            row[j] = left;
            left = replace.min(left + 1).min(row[j + 1] + 1);
        }
        row[b.len()] = left;
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        assert_eq!((distance("", "abc"), distance("abc", "abc"), distance("lisen", "listen"), distance("kitten", "sitting")), (3, 0, 1, 3));
        assert_eq!(nearest("server.lisen"), Some("server.listen"));
        assert_eq!(nearest("listen"), Some("server.listen"));
        assert_eq!(nearest("completely.other"), None);
    }

    #[test]
    fn names_are_unique_and_tables_are_no_keys() {
        for (index, key) in KEYS.iter().enumerate() {
            assert!(KEYS.iter().skip(index + 1).all(|other| other.path != key.path), "{} stands twice", key.path);
            assert!(!is_table(key.path), "{} is a key and a table", key.path);
        }
        assert!(is_table("server") && !is_table("serv") && !is_table(PLUGIN));
    }

    #[test]
    fn plugins_are_of_every_kind() {
        let kinds: Vec<&str> = panda_plugin::Kind::ALL.iter().map(|kind| kind.as_str()).collect();
        assert_eq!(kinds, PLUGIN_KINDS);
    }
}
