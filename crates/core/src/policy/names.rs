//! Names of files and data sets (`spec/payload_runners.md` sections 10.2 and 12.4): serial numbers, scopes, pre-merge twins.

/// Digits of a serial number in a file name.
const SERIAL_DIGITS: usize = 6;
/// What stands in front of the name of a pre-merge file or data set.
pub const PRE_MERGE: &str = "panda.um.";
/// Longest file name; pilots refuse longer ones (error 1190).
pub const MAX_LFN: usize = 255;

/// The scope of a name: its first two dot fields for `user` and `group`, else the first (`panda` for libraries and pre-merge files).
#[must_use]
pub fn scope(name: &str) -> String {
    let mut fields = name.split('.');
    let first = fields.next().unwrap_or_default();
    match (first, fields.next()) {
        ("user" | "group", Some(second)) => format!("{first}.{second}"),
        _ => first.to_owned(),
    }
}

/// A file's name from its template: `$JEDITASKID`, `${SN}`, `${SN/P}`, `$PANDAID`, `$JOBSETID`.
#[must_use]
pub fn lfn(template: &str, task: i64, job: i64, serial: i64) -> String {
    let padded = format!("{serial:0SERIAL_DIGITS$}");
    template.replace("${SN/P}", &padded).replace("${SN}", &padded).replace("$JEDITASKID", &task.to_string()).replace("$JOBSETID", &format!("{task:06}")).replace("$PANDAID", &format!("{job:05}"))
}

/// What is wrong with a file name, if anything: quotes, blanks, commas, colons, slashes and backslashes break the literals and lists that
/// carry names to pilots.
#[must_use]
pub fn problem(lfn: &str) -> Option<String> {
    if lfn.is_empty() {
        return Some("a file name is empty".into());
    }
    if lfn.len() > MAX_LFN {
        return Some(format!("file name {lfn} has {} characters, at most {MAX_LFN} are possible", lfn.len()));
    }
    let bad = |c: char| c.is_control() || c.is_whitespace() || matches!(c, '"' | '\'' | ',' | ':' | '\\' | '/');
    match lfn.chars().find(|c| bad(*c)) {
        Some(c) => Some(format!("file name {lfn} contains {c:?}; use letters, digits, `_`, `-`, `.`")),
        None if lfn == "." || lfn == ".." => Some(format!("file name {lfn} is a directory")),
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_worked_examples() {
        assert_eq!(lfn("user.alice.$JEDITASKID._${SN/P}.out.root", 10_000_101, 5, 1), "user.alice.10000101._000001.out.root");
        assert_eq!(lfn("user.alice.test.log.$JEDITASKID.${SN}.log.tgz", 10_000_101, 5, 12), "user.alice.test.log.10000101.000012.log.tgz");
        assert_eq!(scope("user.alice.10000101._000001.out.root"), "user.alice");
        assert_eq!(scope("panda.um.user.alice.x"), "panda");
        assert_eq!(scope("mc23"), "mc23");
    }

    #[test]
    fn bad_names_are_told() {
        for bad in ["", "a b", "a,b", "a:b", "a/b", "a\\b", "a'b", "..", "a\nb"] {
            assert!(problem(bad).is_some(), "{bad:?}");
        }
        assert!(problem(&"x".repeat(256)).is_some());
        assert_eq!(problem("user.alice.10000101._000001.out.root"), None);
    }
}
