//! The user's command: how words become a text, and the text becomes job parameters.
//!
//! Owns quoting, percent-encoding and `%RNDM`. Must not know what else a task has.

use panda_core::policy::text::percent_encoded;
use serde_json::{Value, json};

use crate::failure::Failure;

/// The placeholder of a counted number.
const COUNTER: &str = "%RNDM";
/// The placeholder of the name of a node of a DAG.
pub const NODE: &str = "%NODE";
/// The placeholder of the arguments of a node of a DAG.
pub const ARGS: &str = "%ARGS";

/// The command as one text for `/bin/sh`: one word is taken as it is, several are quoted where they must be.
pub fn text(words: &[String]) -> String {
    match words {
        [one] => one.clone(),
        many => many.iter().map(|word| quote(word)).collect::<Vec<_>>().join(" "),
    }
}

/// A word that the shell reads as itself; placeholders stay readable.
pub fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_@%+=:,./-".contains(c);
    if !word.is_empty() && word.chars().all(plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

/// The command with variables set before it. They are exported, so that every part of a compound command has them.
pub fn with_environment(command: &str, variables: &[String]) -> Result<String, Failure> {
    let mut text = String::new();
    for variable in variables {
        let (name, value) = variable
            .split_once('=')
            .ok_or_else(|| Failure::usage(format!("`--env {variable}` has no value")).hint("write `--env NAME=VALUE`"))?;
        let starts = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        if !starts || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return Err(Failure::usage(format!("`{name}` is no name of a variable")));
        }
        text.push_str(&format!("export {name}={}; ", quote(value)));
    }
    text.push_str(command);
    Ok(text)
}

/// Percent-encodes as the runners decode.
pub fn encode(text: &str) -> String {
    percent_encoded(text)
}

/// The items `-p "..."` of the job parameters, with each `%RNDM:N` as a counted template; of a DAG, with what tells its nodes apart.
pub fn items(command: &str, is_dag: bool) -> Result<Vec<Value>, Failure> {
    let mut items = vec![json!({ "type": "constant", "value": "-p \"", "padding": false })];
    let mut rest = command;
    let mut offset = None;
    while let Some(at) = rest.find(COUNTER) {
        parts(&rest[..at], is_dag, &mut items);
        let (number, after) = counter(&rest[at + COUNTER.len()..])?;
        if offset.is_some_and(|first| first != number) {
            return Err(
                Failure::usage("`%RNDM` has two different starts in one command").hint("a job has one number; compute others from it")
            );
        }
        offset = Some(number);
        items.push(json!({
            "type": "template", "value": "${SEQNUMBER}", "param_type": "pseudo_input", "dataset": "seq_number", "offset": number, "padding": false,
        }));
        rest = after;
    }
    parts(rest, is_dag, &mut items);
    items.push(json!({ "type": "constant", "value": "\"" }));
    Ok(items)
}

/// A text as items; the words of a node come encoded into the encoded text (`/U`).
fn parts(text: &str, is_dag: bool, items: &mut Vec<Value>) {
    let mut part = |value: String| items.push(json!({ "type": "constant", "value": value, "padding": false }));
    let mut rest = text;
    let next = |rest: &str| [(NODE, "${NODE/U}"), (ARGS, "${ARGS/U}")].into_iter().filter_map(|w| Some((rest.find(w.0)?, w))).min();
    while let Some((at, (word, placeholder))) = next(rest).filter(|_| is_dag) {
        part(encode(&rest[..at]));
        part(placeholder.to_owned());
        rest = &rest[at + word.len()..];
    }
    part(encode(rest));
}

/// Reads `:N` or `=N` after `%RNDM`; without it counting starts at 1.
fn counter(text: &str) -> Result<(i64, &str), Failure> {
    let Some(digits) = text.strip_prefix([':', '=']) else { return Ok((0, text)) };
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    if end == 0 {
        return Ok((0, text));
    }
    let number = digits[..end].parse().map_err(|_| Failure::usage(format!("`%RNDM:{}` is too large", &digits[..end])))?;
    Ok((number, &digits[end..]))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn words(text: &[&str]) -> Vec<String> {
        text.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn one_word_is_shell_text_and_several_are_quoted() {
        assert_eq!(text(&words(&["echo a > b; ls"])), "echo a > b; ls");
        assert_eq!(text(&words(&["./run.sh", "%IN", "a b", "it's", ""])), r"./run.sh %IN 'a b' 'it'\''s' ''");
    }

    #[test]
    fn encoding_is_that_of_the_runners() {
        assert_eq!(encode("./run.sh %IN > é~_-"), "./run.sh%20%25IN%20%3E%20%C3%A9~_-");
    }

    #[test]
    fn counters_become_templates() {
        let items = items("echo %RNDM:100 %RNDM:100x", false).unwrap();
        let values: Vec<&str> = items.iter().map(|item| item["value"].as_str().unwrap()).collect();
        assert_eq!(values, ["-p \"", "echo%20", "${SEQNUMBER}", "%20", "${SEQNUMBER}", "x", "\""]);
        assert_eq!(items[2]["offset"], 100);
        assert!(super::items("%RNDM:1 %RNDM:2", false).is_err());
        assert_eq!(super::items("a %RNDM b", false).unwrap()[2]["offset"], 0);
    }

    #[test]
    fn words_of_a_node_become_placeholders() {
        let of = |is_dag| {
            let items = items("x %ARGS>%NODE %RNDM", is_dag).unwrap();
            items.iter().map(|item| item["value"].as_str().unwrap().to_owned()).collect::<Vec<_>>().join("|")
        };
        assert_eq!(of(true), "-p \"|x%20|${ARGS/U}|%3E|${NODE/U}|%20|${SEQNUMBER}||\"");
        assert_eq!(of(false), "-p \"|x%20%25ARGS%3E%25NODE%20|${SEQNUMBER}||\"");
    }

    #[test]
    fn variables_are_exported() {
        assert_eq!(with_environment("a && b", &words(&["X=1 2", "Y="])).unwrap(), "export X='1 2'; export Y=''; a && b");
        assert!(with_environment("a", &words(&["X"])).is_err());
        assert!(with_environment("a", &words(&["1X=2"])).is_err());
    }
}
