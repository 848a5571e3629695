//! What travels on a runner's command line: lists, maps and commands.
//!
//! Owns the forms of `payload_runners.md` section 2. The literal parser itself
//! is `panda_wire::literal`; option words are split in `getopt`.

use panda_wire::literal::{self, Literal};
use percent_encoding::percent_decode_str;

use super::fail::{Failure, Number};

/// A Python list (or tuple) of texts: `['a', 'b']`.
pub(crate) fn list(option: &str, text: &str) -> Result<Vec<String>, Failure> {
    match literal::parse(text) {
        Ok(Literal::List(items) | Literal::Tuple(items)) => texts(option, items),
        Ok(_) => Err(refuse(option, "it must be a list of texts")),
        Err(error) => Err(refuse(option, error)),
    }
}

/// A Python dictionary of text to text: `{'src': 'lfn'}`, in its order.
pub(crate) fn map(option: &str, text: &str) -> Result<Vec<(String, String)>, Failure> {
    let wrong = || refuse(option, "it must be a map of text to text");
    entries(option, text)?
        .into_iter()
        .map(|(key, value)| match value {
            Literal::Str(value) => Ok((key, value)),
            _ => Err(wrong()),
        })
        .collect()
}

/// A Python dictionary of text to list: `{'IN': ['a'], 'IN2': ['b']}`.
pub(crate) fn map_of_lists(option: &str, text: &str) -> Result<Vec<(String, Vec<String>)>, Failure> {
    let wrong = || refuse(option, "it must be a map of text to a list of texts");
    entries(option, text)?
        .into_iter()
        .map(|(key, value)| match value {
            Literal::List(items) | Literal::Tuple(items) => Ok((key, texts(option, items)?)),
            _ => Err(wrong()),
        })
        .collect()
}

/// A comma-separated list; empty entries are dropped.
pub(crate) fn commas(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

/// A percent-encoded command, decoded once as UTF-8. A `%` that starts no
/// escape (`%IN`) stays as it is.
pub(crate) fn command(option: &str, text: &str) -> Result<String, Failure> {
    percent_decode_str(text).decode_utf8().map(std::borrow::Cow::into_owned).map_err(|error| refuse(option, error))
}

fn entries(option: &str, text: &str) -> Result<Vec<(String, Literal)>, Failure> {
    let pairs = match literal::parse(text) {
        Ok(Literal::Dict(pairs)) => pairs,
        Ok(_) => return Err(refuse(option, "it must be a map")),
        Err(error) => return Err(refuse(option, error)),
    };
    pairs
        .into_iter()
        .map(|(key, value)| match key {
            Literal::Str(key) => Ok((key, value)),
            _ => Err(refuse(option, "its keys must be texts")),
        })
        .collect()
}

fn texts(option: &str, items: Vec<Literal>) -> Result<Vec<String>, Failure> {
    items
        .into_iter()
        .map(|item| match item {
            Literal::Str(text) => Ok(text),
            _ => Err(refuse(option, "it must be a list of texts")),
        })
        .collect()
}

fn refuse(option: &str, reason: impl std::fmt::Display) -> Failure {
    Failure::new(Number::Argument, format!("the value of {option} cannot be read: {reason}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn lists_and_maps_of_the_recorded_submissions() {
        assert_eq!(list("-i", "['f1', \"f2\"]").unwrap(), ["f1", "f2"]);
        assert_eq!(
            map("-o", r"{'out.root': 'u.1.root', 'regex|^x.*\\.dat$': 'regex|^x.*\\.dat$'}").unwrap(),
            [("out.root".to_owned(), "u.1.root".to_owned()), (r"regex|^x.*\.dat$".to_owned(), r"regex|^x.*\.dat$".to_owned())]
        );
        assert_eq!(
            map_of_lists("--inMap", "{'IN': ['m1'], 'IN2': ['s1', 's2']}").unwrap()[1],
            ("IN2".to_owned(), vec!["s1".to_owned(), "s2".to_owned()])
        );
    }

    #[test]
    fn other_literals_are_argument_faults() {
        for text in ["{'a': 1}", "['a']", "output.json", "{'a': open('x')}"] {
            let failure = map("-o", text).unwrap_err();
            assert!(failure.text.contains("value of -o"), "{}", failure.text);
            assert_eq!(failure.exit_code(), 201);
        }
        assert!(list("-i", "[1]").is_err());
        assert!(map_of_lists("--inMap", "{'IN': 'a'}").is_err());
    }

    #[test]
    fn commands_are_decoded_once() {
        assert_eq!(command("-p", "./run.sh%20%25IN").unwrap(), "./run.sh %IN");
        assert_eq!(command("-p", "echo%20%2541").unwrap(), "echo %41");
        assert_eq!(command("-j", "./m.sh %IN %OUT").unwrap(), "./m.sh %IN %OUT");
        assert_eq!(command("-p", "caf%C3%A9+x").unwrap(), "café+x");
        assert!(command("-p", "%ff").is_err());
    }

    #[test]
    fn comma_lists() {
        assert_eq!(commas("a, b,,c"), ["a", "b", "c"]);
        assert!(commas("").is_empty());
    }
}
