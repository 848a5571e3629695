//! Placeholders of the user's command: `%IN`, `%<stream>`, core numbers.
//!
//! Owns where a placeholder ends. Must not know where the values come from.

/// Replaces every `%NAME` whose whole word `NAME` (letters, digits, underscore)
/// is in `values`. One pass: what was put in is not looked at again.
///
/// `%IN` is one word with commas, as users know it (`payload_runners.md` 3.2).
pub(crate) fn substitute(command: &str, values: &[(String, String)]) -> String {
    let mut out = String::with_capacity(command.len());
    let mut rest = command;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        let end = after.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(after.len());
        let name = &after[..end];
        match values.iter().find(|(known, _)| known == name) {
            Some((_, value)) => out.push_str(value),
            None => {
                out.push('%');
                out.push_str(name);
            }
        }
        rest = &after[end..];
    }
    out.push_str(rest);
    out
}

/// `CORE_NUMBER` and `PROC_NUMBER` from the environment of the job; 1 when the
/// pilot says nothing, as the generic one does.
pub(crate) fn core_numbers() -> Vec<(String, String)> {
    [("CORE_NUMBER", "ATHENA_CORE_NUMBER"), ("PROC_NUMBER", "ATHENA_PROC_NUMBER")]
        .into_iter()
        .map(|(name, variable)| {
            let value = std::env::var(variable).ok().filter(|value| !value.is_empty()).unwrap_or_else(|| "1".to_owned());
            (name.to_owned(), value)
        })
        .collect()
}

/// Replaces whole produced names by their LFNs, longest first
/// (`--execWithRealFileNames`). A name ends where no letter, digit, `_`, `.` or
/// `-` is beside it.
pub(crate) fn real_names(command: &str, names: &[(String, String)]) -> String {
    let mut sorted: Vec<_> = names.iter().filter(|(name, _)| !name.is_empty()).collect();
    sorted.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
    let part_of_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '-');
    let mut out = String::with_capacity(command.len());
    let mut rest = command;
    'text: while let Some(first) = rest.chars().next() {
        let free_before = !out.chars().next_back().is_some_and(part_of_name);
        if free_before {
            for (name, lfn) in &sorted {
                if let Some(after) = rest.strip_prefix(name.as_str())
                    && !after.chars().next().is_some_and(part_of_name)
                {
                    out.push_str(lfn);
                    rest = after;
                    continue 'text;
                }
            }
        }
        out.push(first);
        rest = &rest[first.len_utf8()..];
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn streams_end_where_their_word_ends() {
        let streams = values(&[("IN", "a,b"), ("IN2", "c"), ("CORE_NUMBER", "8")]);
        for (command, expected) in [
            ("run %IN %IN2", "run a,b c"),
            ("f(%IN)", "f(a,b)"),
            ("'%IN' \"%IN2\";%IN", "'a,b' \"c\";a,b"),
            ("%IN3 %INX %IN_A", "%IN3 %INX %IN_A"),
            ("%IN.root,%IN", "a,b.root,a,b"),
            ("-j%CORE_NUMBER 100% %", "-j8 100% %"),
            ("%%IN", "%a,b"),
        ] {
            assert_eq!(substitute(command, &streams), expected);
        }
    }

    #[test]
    fn values_are_not_substituted_again() {
        let streams = values(&[("IN", "%IN2"), ("IN2", "x")]);
        assert_eq!(substitute("%IN", &streams), "%IN2");
    }

    #[test]
    fn real_file_names() {
        let names = values(&[("out.root", "U.1.out.root"), ("out", "U.1.out")]);
        assert_eq!(
            real_names("run -o out.root -p out > 'out.root' about layout.root", &names),
            "run -o U.1.out.root -p U.1.out > 'U.1.out.root' about layout.root"
        );
    }
}
