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
    numbers(&template.replace("${SN/P}", &padded).replace("${SN}", &padded), task, job)
}

/// As [`lfn`], for a job that has no number yet: `$PANDAID` stays.
#[must_use]
pub fn lfn_of_any_job(template: &str, task: i64, serial: i64) -> String {
    let padded = format!("{serial:0SERIAL_DIGITS$}");
    of_task(&template.replace("${SN/P}", &padded).replace("${SN}", &padded), task)
}

/// The fields of a dotted name (1 = the first) that go into names of outputs (rules AN, UF), joined by dots; those that it does not have are
/// left out.
#[must_use]
pub fn fields(name: &str, which: &[usize]) -> String {
    let all: Vec<&str> = name.split('.').collect();
    let picked: Vec<&str> = which.iter().filter_map(|n| all.get(n.checked_sub(1)?).copied()).collect();
    picked.join(".")
}

/// A template with `${MIDDLENAME}` replaced by a field of its own: a dot is set before it when there is none, and none is left over without it.
#[must_use]
pub fn with_middle(template: &str, middle: &str) -> String {
    const MARK: &str = "${MIDDLENAME}";
    let Some(at) = template.find(MARK) else { return template.to_owned() };
    let (head, tail) = (&template[..at], &template[at + MARK.len()..]);
    match (middle.is_empty(), head.ends_with('.') || head.is_empty()) {
        (false, true) => format!("{head}{middle}{tail}"),
        (false, false) => format!("{head}.{middle}{tail}"),
        (true, true) => format!("{head}{}", tail.strip_prefix('.').unwrap_or(tail)),
        (true, false) => format!("{head}{tail}"),
    }
}

/// A text with `$JEDITASKID`, `$JOBSETID` (the task's number serves as job set) and `$PANDAID` replaced.
#[must_use]
pub fn numbers(text: &str, task: i64, job: i64) -> String {
    if !text.contains('$') {
        return text.to_owned();
    }
    with_job(&of_task(text, task), job)
}

fn of_task(text: &str, task: i64) -> String {
    text.replace("$JEDITASKID", &task.to_string()).replace("$JOBSETID", &format!("{task:06}"))
}

/// A text with `$PANDAID` replaced.
#[must_use]
pub fn with_job(text: &str, job: i64) -> String {
    text.replace("$PANDAID", &format!("{job:05}"))
}

/// The pre-merge twin of a data set, template or file name.
#[must_use]
pub fn pre_merge(name: &str) -> String {
    format!("{PRE_MERGE}{name}")
}

/// The data set of the libraries that a task has on a queue, named by the first build job there.
#[must_use]
pub fn library_dataset(task: i64, job: i64) -> String {
    format!("panda.{task}.{job}.lib")
}

/// The library that a build job makes. `.lib.` and the ending `.lib.tgz` tell pilots that it is a build job (section 4).
#[must_use]
pub fn library(task: i64, job: i64, row: i64) -> String {
    format!("panda.{task}.{job}.lib._{task}.{row}.lib.tgz")
}

/// The log of a build job.
#[must_use]
pub fn build_log(task: i64, job: i64) -> String {
    format!("panda.{task}.{job}.log.tgz")
}

/// Where a file lies below the root of a storage endpoint: scope with dots as slashes, two levels from the digest, the name.
/// `md5_hex` is the MD5 of `scope:lfn` in lower-case hex; `None` when it is shorter than the four digits that are used.
#[must_use]
pub fn storage_path(scope: &str, lfn: &str, md5_hex: &str) -> Option<String> {
    let (first, second) = (md5_hex.get(0..2)?, md5_hex.get(2..4)?);
    Some(format!("{}/{first}/{second}/{lfn}", scope.replace('.', "/")))
}

/// A name without the scope in front of it (`user.bob:user.bob.in/` becomes `user.bob.in/`), and the scope if there was one.
#[must_use]
pub fn unscoped(name: &str) -> (Option<&str>, &str) {
    match name.split_once(':') {
        Some((scope, rest)) => (Some(scope), rest),
        None => (None, name),
    }
}

/// What is wrong with a file name, if anything: quotes, blanks, commas, colons, slashes and backslashes break the literals and lists that
/// carry names to pilots; `$`, backquotes, `;`, `&`, `|`, `<` and `>` would be run by the shell that starts the payload.
#[must_use]
pub fn problem(lfn: &str) -> Option<String> {
    if lfn.is_empty() {
        return Some("a file name is empty".into());
    }
    if lfn.len() > MAX_LFN {
        return Some(format!("file name {lfn} has {} characters, at most {MAX_LFN} are possible", lfn.len()));
    }
    let bad = |c: char| {
        c.is_control() || c.is_whitespace() || matches!(c, '"' | '\'' | ',' | ':' | '\\' | '/' | '$' | '`' | ';' | '&' | '|' | '<' | '>')
    };
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
    fn fields_of_names() {
        assert_eq!(fields("mc23.601229.e8514.s4162", &[2, 4]), "601229.s4162");
        assert_eq!(fields("a.b", &[3, 1]), "a");
        for (template, middle, expected) in [
            ("u.$JEDITASKID.${MIDDLENAME}._${SN}.o", "x.y", "u.$JEDITASKID.x.y._${SN}.o"),
            ("u.$JEDITASKID${MIDDLENAME}._${SN}.o", "x", "u.$JEDITASKID.x._${SN}.o"),
            ("u.$JEDITASKID.${MIDDLENAME}._${SN}.o", "", "u.$JEDITASKID._${SN}.o"),
            ("u.$JEDITASKID${MIDDLENAME}._${SN}.o", "", "u.$JEDITASKID._${SN}.o"),
            ("plain", "x", "plain"),
        ] {
            assert_eq!(with_middle(template, middle), expected);
        }
    }

    #[test]
    fn libraries_twins_and_places() {
        let lib = library(10_000_101, 7, 1);
        assert!(lib.contains(".lib.") && lib.ends_with(".lib.tgz") && lib.starts_with(&library_dataset(10_000_101, 7)), "{lib}");
        assert_eq!(scope(&lib), "panda");
        assert_eq!(pre_merge("user.alice.x"), "panda.um.user.alice.x");
        // Seen in a pilot's report (section 12.5).
        let digest = "52be0000000000000000000000000000";
        let lfn = "user.alice.10000101._000001.out.txt";
        assert_eq!(storage_path("user.alice", lfn, digest).unwrap(), format!("user/alice/52/be/{lfn}"));
        assert_eq!(storage_path("panda", "x", "5"), None);
        assert_eq!(unscoped("user.bob:user.bob.in/"), (Some("user.bob"), "user.bob.in/"));
        assert_eq!(unscoped("user.bob.in/"), (None, "user.bob.in/"));
    }

    #[test]
    fn bad_names_are_told() {
        for bad in ["$(id)", "a`b", "a;b", "a|b", "", "a b", "a,b", "a:b", "a/b", "a\\b", "a'b", "..", "a\nb"] {
            assert!(problem(bad).is_some(), "{bad:?}");
        }
        assert!(problem(&"x".repeat(256)).is_some());
        assert_eq!(problem("user.alice.10000101._000001.out.root"), None);
    }
}
