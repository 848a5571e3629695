//! Option parsing by the rules of Python's `getopt`.
//!
//! Owns short options (value in the next word or the rest of the word), long
//! options (`--x v`, `--x=v`, unique abbreviations) and the stop at the first
//! plain word. Must not know which options mean what.

use super::fail::{Failure, Number};

/// The options that a runner knows. A name that ends in `=` takes a value.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Known {
    /// Short options; a letter followed by `:` takes a value (as in `getopt`).
    pub(crate) short: &'static str,
    /// Long options without the dashes.
    pub(crate) long: &'static [&'static str],
    /// Options that are accepted without effect; a mention is printed.
    pub(crate) idle: &'static [&'static str],
    /// Whether unknown options and stray words are skipped with a mention
    /// (runcontainer) or refused.
    pub(crate) lenient: bool,
}

/// One parsed option: its full name (short ones as the letter) and value.
pub(crate) type Given = (String, Option<String>);

/// The options and the plain words after them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Parsed {
    pub(crate) options: Vec<Given>,
    pub(crate) words: Vec<String>,
    /// Names of options that had no effect.
    pub(crate) ignored: Vec<String>,
}

impl Parsed {
    /// The last value given for `name`, as Python scripts see it.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        self.options.iter().rev().find(|(given, _)| given == name).and_then(|(_, value)| value.as_deref())
    }

    /// Whether the flag was given.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.options.iter().any(|(given, _)| given == name)
    }
}

/// Parses `args` (without the program's name).
pub(crate) fn parse(args: &[String], known: &Known) -> Result<Parsed, Failure> {
    let mut parsed = Parsed::default();
    let mut rest = args;
    while let Some((word, after)) = rest.split_first() {
        if word == "--" {
            rest = after;
            break;
        }
        if let Some(body) = word.strip_prefix("--") {
            rest = long(body, after, known, &mut parsed)?;
        } else if word.len() > 1 && word.starts_with('-') {
            rest = short(&word[1..], after, known, &mut parsed)?;
        } else if known.lenient {
            parsed.ignored.push(word.clone());
            rest = after;
        } else {
            break;
        }
    }
    parsed.words = rest.to_vec();
    Ok(parsed)
}

fn long<'a>(body: &str, after: &'a [String], known: &Known, parsed: &mut Parsed) -> Result<&'a [String], Failure> {
    let (name, inline) = match body.split_once('=') {
        Some((name, value)) => (name, Some(value.to_owned())),
        None => (body, None),
    };
    let Some((full, takes_value, idle)) = resolve(name, known)? else {
        if known.lenient {
            parsed.ignored.push(format!("--{body}"));
            return Ok(after);
        }
        return Err(refuse(format!("option --{name} is not known")));
    };
    let (value, after) = match (takes_value, inline) {
        (true, Some(value)) => (Some(value), after),
        (true, None) => {
            let (value, after) = after.split_first().ok_or_else(|| refuse(format!("option --{full} needs a value")))?;
            (Some(value.clone()), after)
        }
        (false, Some(_)) => return Err(refuse(format!("option --{full} takes no value"))),
        (false, None) => (None, after),
    };
    if idle {
        parsed.ignored.push(format!("--{full}"));
    } else {
        parsed.options.push((full.to_owned(), value));
    }
    Ok(after)
}

/// Full name, whether it takes a value, whether it is without effect.
fn resolve(name: &str, known: &Known) -> Result<Option<(&'static str, bool, bool)>, Failure> {
    let all = known.long.iter().map(|entry| (*entry, false)).chain(known.idle.iter().map(|entry| (*entry, true)));
    let mut found: Option<(&'static str, bool, bool)> = None;
    let mut others = Vec::new();
    for (entry, idle) in all {
        let full = entry.trim_end_matches('=');
        let candidate = (full, entry.ends_with('='), idle);
        if full == name {
            return Ok(Some(candidate));
        }
        if !name.is_empty() && full.starts_with(name) {
            if found.is_some() {
                others.push(full);
            } else {
                found = Some(candidate);
            }
        }
    }
    match (found, others.is_empty()) {
        (Some((full, ..)), false) if !known.lenient => {
            Err(refuse(format!("option --{name} is not unique (--{full}, --{})", others.join(", --"))))
        }
        (_, false) => Ok(None),
        (found, true) => Ok(found),
    }
}

fn short<'a>(cluster: &str, after: &'a [String], known: &Known, parsed: &mut Parsed) -> Result<&'a [String], Failure> {
    for (at, letter) in cluster.char_indices() {
        let Some(takes_value) = short_takes_value(letter, known.short) else {
            if known.lenient {
                parsed.ignored.push(format!("-{cluster}"));
                return Ok(after);
            }
            return Err(refuse(format!("option -{letter} is not known")));
        };
        let name = letter.to_string();
        if !takes_value {
            parsed.options.push((name, None));
            continue;
        }
        let tail = &cluster[at + letter.len_utf8()..];
        if !tail.is_empty() {
            parsed.options.push((name, Some(tail.to_owned())));
            return Ok(after);
        }
        let (value, after) = after.split_first().ok_or_else(|| refuse(format!("option -{letter} needs a value")))?;
        parsed.options.push((name, Some(value.clone())));
        return Ok(after);
    }
    Ok(after)
}

fn short_takes_value(letter: char, table: &str) -> Option<bool> {
    if letter == ':' {
        return None;
    }
    let mut letters = table.chars().peekable();
    while let Some(entry) = letters.next() {
        let takes_value = letters.peek() == Some(&':');
        if entry == letter {
            return Some(takes_value);
        }
    }
    None
}

fn refuse(text: String) -> Failure {
    Failure::new(Number::Argument, text)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const KNOWN: Known =
        Known { short: "i:o:d", long: &["sourceURL=", "debug", "dbrFile=", "dbrRun="], idle: &["oldPrefix=", "useMana"], lenient: false };

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn every_form_of_an_option() {
        let parsed = parse(&words("-i a -ob -dd --sourceURL=u=v --debug --source x -di c plain -i no"), &KNOWN).unwrap();
        assert_eq!(parsed.value("o"), Some("b"));
        assert_eq!(parsed.value("i"), Some("c"));
        assert_eq!(parsed.value("sourceURL"), Some("x"));
        assert!(parsed.has("d") && parsed.has("debug"));
        assert_eq!(parsed.words, words("plain -i no"));
    }

    #[test]
    fn empty_values_and_the_double_dash() {
        let args = ["-i", "", "--", "--debug"].map(str::to_owned);
        let parsed = parse(&args, &KNOWN).unwrap();
        assert_eq!(parsed.value("i"), Some(""));
        assert_eq!(parsed.words, ["--debug"]);
        let parsed = parse(&words("- -i x"), &KNOWN).unwrap();
        assert_eq!(parsed.words, words("- -i x"));
    }

    #[test]
    fn idle_options_are_mentioned() {
        let parsed = parse(&words("--oldPrefix x --useM -d"), &KNOWN).unwrap();
        assert_eq!(parsed.ignored, ["--oldPrefix", "--useMana"]);
        assert_eq!(parsed.options, [("d".to_owned(), None)]);
    }

    #[test]
    fn faults_name_the_option() {
        for (args, expected) in [
            ("--nope", "option --nope is not known"),
            ("-z", "option -z is not known"),
            ("--dbr x", "option --dbr is not unique (--dbrFile, --dbrRun)"),
            ("--debug=1", "option --debug takes no value"),
            ("--sourceURL", "option --sourceURL needs a value"),
            ("-i", "option -i needs a value"),
        ] {
            let failure = parse(&words(args), &KNOWN).unwrap_err();
            assert_eq!(failure.text, expected);
            assert_eq!(failure.exit_code(), 201);
        }
    }

    #[test]
    fn lenient_parsing_goes_on() {
        let known = Known { lenient: true, ..KNOWN };
        let parsed = parse(&words("--nope x -z -i a --no=1"), &known).unwrap();
        assert_eq!(parsed.value("i"), Some("a"));
        assert_eq!(parsed.ignored, ["--nope", "x", "-z", "--no=1"]);
    }
}
