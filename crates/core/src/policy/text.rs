//! The placeholders of job parameters (`spec/payload_runners.md` section 10.4) and what replaces them.

use std::collections::BTreeMap;

/// Why a text cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// A `${` without `}`.
    #[error("`{0}` has `${{` without `}}`")]
    Open(String),
    /// A placeholder that means nothing here.
    #[error("unknown placeholder `${{{0}}}`; known here: {1}")]
    Unknown(String, String),
    /// A format behind the slash that does not exist.
    #[error("placeholder `${{{0}}}` has an unknown format; known: T, L, L/A, L/S, E, F, P")]
    Format(String),
    /// A slice that is none.
    #[error("placeholder `${{{0}}}` has a wrong slice; write `[from:to]`")]
    Slice(String),
}

/// Values of one job.
#[derive(Debug, Clone, Default)]
pub struct Values {
    /// File names a stream: inputs, and outputs and logs with one name each.
    pub streams: BTreeMap<String, Vec<String>>,
    /// Data set name a stream, for `${S/F}`.
    pub datasets: BTreeMap<String, String>,
    /// Plain replacements: `SN`, `SURL`, `SEQNUMBER`, `LIB`, `MAXEVENTS`, ….
    pub words: BTreeMap<String, String>,
}

/// One placeholder, taken apart: `A,B[1:3]/L/S`.
struct Placeholder<'a> {
    names: Vec<&'a str>,
    slice: Option<(usize, usize)>,
    format: &'a str,
}

fn take_apart(inner: &str) -> Result<Placeholder<'_>, TextError> {
    let (head, format) = inner.split_once('/').unwrap_or((inner, ""));
    let (head, slice) = match head.split_once('[') {
        None => (head, None),
        Some((head, rest)) => {
            let wrong = || TextError::Slice(inner.to_owned());
            let (from, to) = rest.strip_suffix(']').and_then(|r| r.split_once(':')).ok_or_else(wrong)?;
            let number = |t: &str, empty: usize| if t.is_empty() { Ok(empty) } else { t.parse().map_err(|_| wrong()) };
            (head, Some((number(from, 0)?, number(to, usize::MAX)?)))
        }
    };
    Ok(Placeholder { names: head.split(',').map(str::trim).collect(), slice, format })
}

/// The placeholders of a text, as written between `${` and `}`.
pub fn placeholders(text: &str) -> Result<Vec<&str>, TextError> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let inner = &rest[at + 2..];
        let end = inner.find('}').ok_or_else(|| TextError::Open(text.to_owned()))?;
        found.push(&inner[..end]);
        rest = &inner[end + 1..];
    }
    Ok(found)
}

/// Names of the streams and words that a text refers to.
pub fn names(text: &str) -> Result<Vec<String>, TextError> {
    let mut all = Vec::new();
    for inner in placeholders(text)? {
        for name in take_apart(inner)?.names {
            all.push(name.to_owned());
        }
    }
    Ok(all)
}

/// Whether every placeholder of a text will have a value and a known format, given the streams and words that jobs will have. To be asked
/// when a task is submitted, so that no job fails on its text.
pub fn check(text: &str, streams: &[&str], words: &[&str]) -> Result<(), TextError> {
    let values = Values {
        streams: streams.iter().map(|name| ((*name).to_owned(), Vec::new())).collect(),
        words: words.iter().map(|name| ((*name).to_owned(), "0".to_owned())).collect(),
        ..Values::default()
    };
    fill(text, &values).map(drop)
}

/// Replaces every placeholder.
pub fn fill(text: &str, values: &Values) -> Result<String, TextError> {
    let mut out = String::with_capacity(text.len() + 64);
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        out.push_str(&rest[..at]);
        let inner = &rest[at + 2..];
        let end = inner.find('}').ok_or_else(|| TextError::Open(text.to_owned()))?;
        out.push_str(&one(&inner[..end], values)?);
        rest = &inner[end + 1..];
    }
    out.push_str(rest);
    Ok(out)
}

fn one(inner: &str, values: &Values) -> Result<String, TextError> {
    if let Some(word) = values.words.get(inner) {
        return Ok(word.clone());
    }
    if let Some((from, to)) = inner.split_once(':')
        && let Some(word) = values.words.get(&format!("{from}:{to}"))
    {
        return Ok(word.clone());
    }
    let p = take_apart(inner)?;
    if p.format == "P"
        && let [name] = p.names[..]
        && let Some(Ok(number)) = values.words.get(name).map(|w| w.parse::<i64>())
    {
        return Ok(format!("{number:06}"));
    }
    let mut lfns: Vec<&str> = Vec::new();
    for name in &p.names {
        let Some(files) = values.streams.get(*name) else {
            let known: Vec<&str> = values.streams.keys().chain(values.words.keys()).map(String::as_str).collect();
            return Err(TextError::Unknown(inner.to_owned(), known.join(", ")));
        };
        lfns.extend(files.iter().map(String::as_str));
    }
    if let Some((from, to)) = p.slice {
        lfns = lfns.into_iter().skip(from).take(to.saturating_sub(from)).collect();
    }
    match p.format {
        "T" => Ok(format!("[{}]", lfns.iter().map(|l| repr(l)).collect::<Vec<_>>().join(", "))),
        "L" => Ok(lfns.join(",")),
        "L/A" => Ok(lfns.iter().map(|l| format!("'{l}'")).collect::<Vec<_>>().join(",")),
        "L/S" => Ok(lfns.join(" ")),
        "E" => Ok(lfns.iter().map(|l| percent_decoded(l)).collect::<Vec<_>>().join(",")),
        "F" => Ok(p.names.first().and_then(|n| values.datasets.get(*n)).map(|d| format!("tmpin_{d}")).unwrap_or_default()),
        "" => Ok(compact(&lfns)),
        _ => Err(TextError::Format(inner.to_owned())),
    }
}

/// A Python string literal, as Python prints it.
#[must_use]
pub fn repr(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut out = String::with_capacity(text.len() + 2);
    out.push(quote);
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c == quote => {
                out.push('\\');
                out.push(c);
            }
            c if c.is_control() => out.push_str(&match u32::from(c) {
                code @ 0..=0xff => format!("\\x{code:02x}"),
                code => format!("\\u{code:04x}"),
            }),
            c => out.push(c),
        }
    }
    out.push(quote);
    out
}

/// One name as it is; several as `head[1,2,3]tail` when only digits differ, else joined by commas.
fn compact(lfns: &[&str]) -> String {
    let [first, rest @ ..] = lfns else { return String::new() };
    if rest.is_empty() {
        return (*first).to_owned();
    }
    let all = |f: &dyn Fn(&str) -> bool| lfns.iter().all(|l| f(l));
    let head = common_prefix(lfns);
    // Digits belong to what differs, so that numbers are not torn.
    let head = first[..head].trim_end_matches(|c: char| c.is_ascii_digit());
    let tails: Vec<&str> = lfns.iter().map(|l| &l[head.len()..]).collect();
    let digits = |t: &str| t.bytes().take_while(u8::is_ascii_digit).count();
    let tail = &tails[0][digits(tails[0])..];
    let same = tails.iter().all(|t| digits(t) > 0 && &t[digits(t)..] == tail);
    if same && all(&|l| l.is_char_boundary(head.len())) {
        let numbers: Vec<&str> = tails.iter().map(|t| &t[..digits(t)]).collect();
        format!("{head}[{}]{tail}", numbers.join(","))
    } else {
        lfns.join(",")
    }
}

fn common_prefix(lfns: &[&str]) -> usize {
    let first = lfns[0];
    let mut n = first.len();
    for l in &lfns[1..] {
        n = n.min(first.bytes().zip(l.bytes()).take_while(|(a, b)| a == b).count());
    }
    while !first.is_char_boundary(n) {
        n -= 1;
    }
    n
}

/// As the runners decode it: all but letters, digits and `_.-~/` (`spec/payload_runners.md` section 2).
#[must_use]
pub fn percent_encoded(text: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(text.len());
    for b in text.bytes() {
        if b.is_ascii_alphanumeric() || b"_.-~/".contains(&b) {
            out.push(char::from(b));
        } else {
            let _ = write!(out, "%{b:02X}");
        }
    }
    out
}

fn percent_decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut i = 0;
    while i < bytes.len() {
        let hex = |b: u8| char::from(b).to_digit(16);
        match (bytes[i], bytes.get(i + 1).copied().and_then(hex), bytes.get(i + 2).copied().and_then(hex)) {
            (b'%', Some(a), Some(b)) => {
                out.push(u8::try_from(a * 16 + b).unwrap_or(b'?'));
                i += 3;
            }
            (b, ..) => {
                out.push(b);
                i += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values() -> Values {
        let mut v = Values::default();
        let list = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        v.streams.insert("IN".into(), list(&["f1", "f2"]));
        v.streams.insert("IN2".into(), list(&["s1"]));
        v.streams.insert("OUTPUT0".into(), list(&["o.root"]));
        v.words.insert("SN".into(), "7".into());
        v.words.insert("SURL".into(), "http://h".into());
        v.datasets.insert("IN".into(), "user.bob.in".into());
        v
    }

    #[test]
    fn each_format() {
        let v = values();
        for (text, expected) in [
            ("-i \"${IN/T}\"", "-i \"['f1', 'f2']\""),
            ("${IN/L}", "f1,f2"),
            ("${IN/L/A}", "'f1','f2'"),
            ("${IN/L/S}", "f1 f2"),
            ("${IN/F}", "tmpin_user.bob.in"),
            ("${IN[1:2]}", "f2"),
            ("${IN,IN2/T}", "['f1', 'f2', 's1']"),
            ("${OUTPUT0}^m.tgz", "o.root^m.tgz"),
            ("${SN} ${SN/P}", "7 000007"),
            ("--sourceURL ${SURL}", "--sourceURL http://h"),
            ("${IN}", "f[1,2]"),
            ("plain", "plain"),
        ] {
            assert_eq!(fill(text, &v).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn what_means_nothing_is_named() {
        let text = fill("${NOPE/T}", &values()).unwrap_err().to_string();
        assert_eq!(text, "unknown placeholder `${NOPE/T}`; known here: IN, IN2, OUTPUT0, SN, SURL");
        assert!(matches!(fill("${IN/X}", &values()), Err(TextError::Format(_))));
        assert!(matches!(fill("${IN[a:b]}", &values()), Err(TextError::Slice(_))));
        assert!(matches!(fill("${IN", &values()), Err(TextError::Open(_))));
    }

    #[test]
    fn texts_are_checked_before_there_are_jobs() {
        let ok = |text: &str| check(text, &["IN"], &["SN", "TRN_OUTPUT:OUTPUT"]).is_ok();
        assert!(ok("${IN/T} ${IN[0:3]/L} ${SN} ${SN/P} ${TRN_OUTPUT:OUTPUT}"));
        for bad in ["${IN2}", "${IN/X}", "${IN[1]}", "${SN", "${TRN_LOG:LOG}", "${}", "${SEQNUMBER}"] {
            assert!(!ok(bad), "{bad}");
        }
    }

    #[test]
    fn python_literals() {
        assert_eq!(repr("a"), "'a'");
        assert_eq!(repr("it's"), "\"it's\"");
        assert_eq!(repr("a\\b"), "'a\\\\b'");
        assert_eq!(repr("it's \"x\""), "'it\\'s \"x\"'");
        assert_eq!(repr("a\u{1}\u{7f}\n"), "'a\\x01\\x7f\\n'");
        assert_eq!(percent_decoded("a%20b%"), "a b%");
        assert_eq!(percent_encoded("a \"é%/~"), "a%20%22%C3%A9%25/~");
        assert_eq!(percent_decoded(&percent_encoded("a \"é%/~")), "a \"é%/~");
    }

    #[test]
    fn compact_form() {
        assert_eq!(compact(&["x._001.root", "x._002.root", "x._013.root"]), "x._[001,002,013].root");
        assert_eq!(compact(&["a.txt", "b.txt"]), "a.txt,b.txt");
        assert_eq!(compact(&["a1b", "a2c"]), "a1b,a2c");
    }
}
