//! The three forms of a database URL.

use std::path::PathBuf;

use crate::error::OpenError;

/// A URL, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Url {
    /// `sqlite:PATH`.
    Sqlite(PathBuf),
    /// `postgres://…`, as the driver reads it.
    Postgres(String),
    /// `mysql://…`, as the driver reads it.
    Mysql(String),
}

/// The URL with its password replaced; also when it is none of ours.
pub(crate) fn redact(url: &str) -> String {
    let (head, query) = url.split_once('?').map_or((url, None), |(h, q)| (h, Some(q)));
    let mut out = match (head.split_once("://"), head.rfind('@')) {
        (Some((scheme, rest)), Some(_)) if rest.contains('@') => {
            let (login, host) = rest.rsplit_once('@').unwrap_or(("", rest));
            let login = login.split_once(':').map_or_else(|| login.to_owned(), |(user, _)| format!("{user}:***"));
            format!("{scheme}://{login}@{host}")
        }
        _ => head.to_owned(),
    };
    if let Some(query) = query {
        let shown: Vec<String> = query
            .split('&')
            .map(|p| if p.to_ascii_lowercase().starts_with("pass") { "password=***".to_owned() } else { p.to_owned() })
            .collect();
        out = format!("{out}?{}", shown.join("&"));
    }
    out
}

/// Reads a URL.
pub(crate) fn parse(url: &str) -> Result<Url, OpenError> {
    let wrong = |problem: &str| OpenError::Url { url: redact(url), problem: problem.to_owned() };
    let Some((scheme, rest)) = url.split_once(':') else {
        return Err(wrong("it has no scheme"));
    };
    match scheme {
        "sqlite" | "sqlite3" => {
            let path = rest.strip_prefix("//").unwrap_or(rest);
            if path.starts_with(":memory:") {
                return Err(wrong("an in-memory database is not supported, it would lose acknowledged work"));
            }
            if path.is_empty() || path.contains('?') {
                return Err(wrong("it names no file"));
            }
            Ok(Url::Sqlite(PathBuf::from(path)))
        }
        "postgres" | "postgresql" => Ok(Url::Postgres(url.to_owned())),
        "mysql" | "mariadb" => Ok(Url::Mysql(format!("mysql:{rest}"))),
        other => Err(wrong(&format!("`{other}` is not a backend of this program"))),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn passwords_are_never_shown() {
        assert_eq!(redact("postgres://me:s3:c@ret@host/db?password=x&a=b"), "postgres://me:***@host/db?password=***&a=b");
        assert_eq!(redact("mysql://root@h/d"), "mysql://root@h/d");
        assert_eq!(redact("sqlite:/a/b@c"), "sqlite:/a/b@c");
        assert_eq!(redact("oracle://u:p@h"), "oracle://u:***@h");
    }

    #[test]
    fn forms() {
        assert_eq!(parse("sqlite:a/b.db").unwrap(), Url::Sqlite("a/b.db".into()));
        assert_eq!(parse("sqlite:/a/b.db").unwrap(), Url::Sqlite("/a/b.db".into()));
        assert_eq!(parse("sqlite:///a/b.db").unwrap(), Url::Sqlite("/a/b.db".into()));
        for (url, part) in
            [("sqlite::memory:", "in-memory"), ("sqlite:", "no file"), ("panda.db", "no scheme"), ("oracle://x", "`oracle` is not")]
        {
            let text = parse(url).unwrap_err().to_string();
            assert!(text.contains(part) && text.contains("use `sqlite:PATH`"), "{text}");
        }
    }
}
