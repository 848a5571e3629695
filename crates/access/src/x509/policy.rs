//! Signing policies: which names a CA may sign (`<hash>.signing_policy`, the form of Globus' EACL).
//!
//! Owns: reading them and comparing names. Must not know: certificates.

use super::name::tidy;

/// Most subjects of one file.
const MAX_SUBJECTS: usize = 1_000;

/// The names that one CA may sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SigningPolicy {
    /// The CA's name in slash form.
    pub ca: String,
    /// Patterns in slash form; `*` stands for any text.
    pub subjects: Vec<String>,
}

impl SigningPolicy {
    /// Reads the policies of a file.
    ///
    /// # Errors
    /// A sentence with the line.
    pub fn read(text: &str) -> Result<Vec<Self>, String> {
        let mut all: Vec<Self> = Vec::new();
        let mut may_sign = false;
        for (number, line) in text.lines().enumerate() {
            let number = number + 1;
            let line = line.split_once('#').map_or(line, |(before, _)| before).trim();
            let words = words(line).ok_or_else(|| format!("line {number}: a quotation mark is not closed"))?;
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            match words[..] {
                [] => {}
                ["access_id_CA", kind, name] => {
                    if !kind.eq_ignore_ascii_case("x509") {
                        return Err(format!("line {number}: `{kind}` is no kind of CA that is known here, X509 is"));
                    }
                    may_sign = false;
                    all.push(Self { ca: tidy(name), subjects: Vec::new() });
                }
                ["pos_rights", "globus", right] => may_sign = right.eq_ignore_ascii_case("CA:sign"),
                ["neg_rights", ..] => return Err(format!("line {number}: `neg_rights` is not supported")),
                ["cond_subjects", "globus", ref subjects @ ..] => {
                    let Some(policy) = all.last_mut() else { return Err(format!("line {number}: `cond_subjects` before `access_id_CA`")) };
                    if !may_sign {
                        return Err(format!("line {number}: `cond_subjects` before `pos_rights globus CA:sign`"));
                    }
                    for list in subjects {
                        // One word in single quotes that holds several in double quotes.
                        let inner = self::words(list).ok_or_else(|| format!("line {number}: a quotation mark is not closed"))?;
                        policy.subjects.extend(inner.iter().map(|subject| tidy(subject)));
                    }
                    if policy.subjects.len() > MAX_SUBJECTS {
                        return Err(format!("line {number}: more than {MAX_SUBJECTS} subjects"));
                    }
                }
                [word, ..] => return Err(format!("line {number}: `{word}` is not understood")),
            }
        }
        if all.is_empty() {
            return Err("there is no `access_id_CA` in it".to_owned());
        }
        Ok(all)
    }

    /// Whether the CA may sign a name (slash form).
    #[must_use]
    pub fn allows(&self, subject: &str) -> bool {
        let subject = tidy(subject).to_ascii_lowercase();
        self.subjects.iter().any(|pattern| fits(&pattern.to_ascii_lowercase(), &subject))
    }
}

/// Words parted by white space; quotation marks of both kinds hold together. None when one is not closed.
fn words(line: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut rest = line.trim_start();
    while let Some(first) = rest.chars().next() {
        let (word, after) = if matches!(first, '\'' | '"') {
            rest.get(1..)?.split_once(first)?
        } else {
            rest.split_once(char::is_whitespace).unwrap_or((rest, ""))
        };
        words.push(word.to_owned());
        rest = after.trim_start();
    }
    Some(words)
}

/// Whether a text fits a pattern with `*` for any text and `?` for one octet; takes time in proportion to both lengths at most.
fn fits(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    let mut back: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                back = Some((p, t));
                p += 1;
            }
            Some(octet) if *octet == b'?' || *octet == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match back {
                Some((star, from)) => {
                    p = star + 1;
                    t = from + 1;
                    back = Some((star, from + 1));
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|octet| *octet == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_the_grid_is_read() {
        let text = "# EACL of a CA\naccess_id_CA   X509    '/C=CH/O=Amber/CN=Amber CA/emailAddress=ca@example.org'\n\
            pos_rights     globus  CA:sign\ncond_subjects  globus  '\"/C=CH/O=Amber/*\" \"/DC=org/DC=amber/*\"'\n\
            access_id_CA X509 /CN=other\npos_rights globus CA:sign\ncond_subjects globus \"/O=Other/CN=?\"\n";
        let all = SigningPolicy::read(text).unwrap();
        assert_eq!(all.len(), 2);
        assert_eq!(all[0].ca, "/C=CH/O=Amber/CN=Amber CA/Email=ca@example.org");
        for (subject, may) in [
            ("/C=CH/O=Amber/CN=Alice", true),
            ("/DC=org/DC=amber/OU=x/CN=Alice", true),
            ("/dc=org/dc=AMBER/CN=Alice", true),
            ("/C=CH/O=Amberish/CN=Alice", false),
            ("/C=DE/O=Amber/CN=Alice", false),
            ("", false),
        ] {
            assert_eq!(all[0].allows(subject), may, "{subject}");
        }
        assert!(all[1].allows("/O=Other/CN=x") && !all[1].allows("/O=Other/CN=xy"));
    }

    #[test]
    fn what_cannot_be_understood_is_said_with_its_line() {
        for (text, part) in [
            ("", "no `access_id_CA`"),
            ("cond_subjects globus '\"/*\"'", "line 1: `cond_subjects` before `access_id_CA`"),
            ("access_id_CA X509 '/CN=a'\ncond_subjects globus '\"/*\"'", "line 2: `cond_subjects` before `pos_rights"),
            ("access_id_CA X509 '/CN=a", "line 1: a quotation mark"),
            ("access_id_CA PGP '/CN=a'", "line 1: `PGP`"),
            ("allow all", "line 1: `allow`"),
            ("access_id_CA X509 '/CN=a'\nneg_rights globus CA:sign", "line 2: `neg_rights`"),
        ] {
            let error = SigningPolicy::read(text).unwrap_err();
            assert!(error.contains(part), "{text:?}: {error}");
        }
    }
}
