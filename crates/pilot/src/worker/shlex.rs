//! Splits job parameters into words as a POSIX shell would, without a shell.
//!
//! Owns quotes and backslashes only: no expansion, no pattern, no operator ever
//! happens, so text of a job can start nothing but its own program.

/// Why a text cannot be split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SplitError {
    #[error("a quotation ({0}) is not closed")]
    OpenQuote(char),
    #[error("a backslash stands at the end")]
    LastBackslash,
}

/// Words of `text`; `""` and `''` are empty words.
pub(crate) fn split(text: &str) -> Result<Vec<String>, SplitError> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            ' ' | '\t' | '\n' | '\r' => words.extend(word.take()),
            '\'' => single(&mut chars, word.get_or_insert_default())?,
            '"' => double(&mut chars, word.get_or_insert_default())?,
            '\\' => match chars.next() {
                // A backslash before a line end joins the lines.
                Some('\n') => {}
                Some(next) => word.get_or_insert_default().push(next),
                None => return Err(SplitError::LastBackslash),
            },
            other => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    Ok(words)
}

fn single(chars: &mut std::str::Chars<'_>, word: &mut String) -> Result<(), SplitError> {
    for c in chars {
        if c == '\'' {
            return Ok(());
        }
        word.push(c);
    }
    Err(SplitError::OpenQuote('\''))
}

fn double(chars: &mut std::str::Chars<'_>, word: &mut String) -> Result<(), SplitError> {
    while let Some(c) = chars.next() {
        match c {
            '"' => return Ok(()),
            '\\' => match chars.next() {
                Some(next @ ('"' | '\\' | '$' | '`')) => word.push(next),
                Some('\n') => {}
                Some(next) => {
                    word.push('\\');
                    word.push(next);
                }
                None => return Err(SplitError::OpenQuote('"')),
            },
            other => word.push(other),
        }
    }
    Err(SplitError::OpenQuote('"'))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn recorded_parameters() {
        let text =
            r#"-j "" --sourceURL http://h:1 -r . -o "{'out.root': 'u._000001.out.root', 'regex|^x.*\\.dat$': 'x'}" -p "./run.sh%20%25IN""#;
        assert_eq!(
            split(text).unwrap(),
            [
                "-j",
                "",
                "--sourceURL",
                "http://h:1",
                "-r",
                ".",
                "-o",
                r"{'out.root': 'u._000001.out.root', 'regex|^x.*\.dat$': 'x'}",
                "-p",
                "./run.sh%20%25IN",
            ]
        );
    }

    #[test]
    fn quotes_and_backslashes() {
        for (text, expected) in [
            ("a  b\tc\n", vec!["a", "b", "c"]),
            (r#"a"b c"'d "e'\ f"#, vec![r#"ab cd "e f"#]),
            (r#""\a \" \\ \$x""#, vec![r#"\a " \ $x"#]),
            (r"'\a'", vec![r"\a"]),
            ("$HOME `id` ; | & > *", vec!["$HOME", "`id`", ";", "|", "&", ">", "*"]),
            ("a\\\nb", vec!["ab"]),
            ("# no comment", vec!["#", "no", "comment"]),
            ("", vec![]),
        ] {
            assert_eq!(split(text).unwrap(), expected, "{text}");
        }
        assert_eq!(split("a 'b").unwrap_err(), SplitError::OpenQuote('\''));
        assert_eq!(split("a \"b").unwrap_err(), SplitError::OpenQuote('"'));
        assert_eq!(split("a\\").unwrap_err(), SplitError::LastBackslash);
    }
}
