//! Split rules: two-letter codes with a value (`NF=2,MF=200`), which is how tasks' options are written for people and for the API
//! (`spec/engine.md` section 6.2).
//!
//! The table is data: what each code is called, which task parameters set it, what values it has, whether it may be changed on a live task,
//! and what it does here. The parameters are what is stored; a text of rules is made from them and read strictly. It must not know JSON nor
//! tasks.

mod parameter;
mod table;

pub use parameter::{PARAMETERS, Parameter};
pub use table::RULES;

/// What values a rule has, and how they are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `1` when it is set.
    Flag,
    /// A whole number between two bounds, both included.
    Int(i64, i64),
    /// A number above 0, or the word `MAX`, which is no limit.
    Number,
    /// Text of letters, digits and `_.:+/-`; commas are written as slashes.
    Text,
    /// One of these words (first), written as its code (second).
    Words(&'static [(&'static str, &'static str)]),
    /// The parameter holds a document; the rule only says that there is one, with this value.
    Present(&'static str),
}

/// What a rule or a parameter does in this system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Here {
    /// What the specification says.
    Effective,
    /// It is kept and shown, and decides nothing, as in the original.
    Kept,
    /// Nothing has to be done for it: why.
    Harmless(&'static str),
    /// Nothing has to be done for these values; the others are refused, and why.
    HarmlessAs(&'static [&'static str], &'static str),
    /// It counts together with this parameter only, and is refused without it.
    With(&'static str),
    /// The task is accepted, so that its client goes on, and held: why this system does not do it, and what to do instead.
    Held(&'static str),
    /// A part of what the specification says is done: which.
    Partly(&'static str),
    /// It is refused: why this system does not do it, and what to do instead.
    No(&'static str),
    /// The engine sets it; no parameter does.
    Internal(&'static str),
}

impl Here {
    /// One word or sentence for the page of compatibility.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::Effective => "as upstream".into(),
            Self::Kept => "kept and shown".into(),
            Self::Harmless(why) => format!("accepted: {why}"),
            Self::HarmlessAs(values, why) => format!("accepted as {}: {why}", values.join(", ")),
            Self::With(other) => format!("with `{other}` only"),
            Self::Held(why) => format!("no: the task is held: {why}"),
            Self::Partly(what) => format!("in part: {what}"),
            Self::No(why) => format!("no: refused at submission: {why}"),
            Self::Internal(why) => format!("set by the engine: {why}"),
        }
    }
}

/// A split rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// Two capital letters.
    pub code: &'static str,
    /// Its name.
    pub name: &'static str,
    /// Task parameters that set it; the first that is given counts. Empty: none does.
    pub parameters: &'static [&'static str],
    /// Its values.
    pub kind: Kind,
    /// Whether it may be changed on a live task.
    pub changeable: bool,
    /// What it does here.
    pub here: Here,
}

/// A value as a task parameter gives it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Given<'a> {
    /// Yes or no.
    Flag(bool),
    /// A whole number.
    Int(i64),
    /// A number.
    Number(f64),
    /// A text.
    Text(&'a str),
    /// A document that is not empty.
    Document,
}

/// A value as it goes into a task parameter.
#[derive(Debug, Clone, PartialEq)]
pub enum Taken {
    /// Yes or no.
    Flag(bool),
    /// A whole number.
    Int(i64),
    /// A number.
    Number(f64),
    /// A text.
    Text(String),
}

impl Rule {
    /// The value as it stands in a text of rules; `None` when nothing was asked for (no, 0, nothing).
    ///
    /// # Errors
    /// What the value is and what is expected.
    pub fn value(&self, given: Given<'_>) -> Result<Option<String>, String> {
        let not = |what: &str| Err(format!("{what}; {} is expected", self.expected()));
        match (self.kind, given) {
            (_, Given::Flag(false) | Given::Int(0) | Given::Text("")) => Ok(None),
            (Kind::Present(value), _) => Ok(Some(value.into())),
            (Kind::Flag, Given::Flag(true) | Given::Int(_)) => Ok(Some("1".into())),
            (Kind::Int(least, most), Given::Int(n)) if (least..=most).contains(&n) => Ok(Some(n.to_string())),
            (Kind::Int(..), Given::Int(n)) => not(&format!("is {n}")),
            (Kind::Number, Given::Int(n)) if n > 0 => Ok(Some(n.to_string())),
            (Kind::Number, Given::Number(x)) if x.is_finite() && x > 0.0 => Ok(Some(x.to_string())),
            (Kind::Number, Given::Text("MAX")) => Ok(None),
            (Kind::Number, Given::Int(n)) => not(&format!("is {n}")),
            (Kind::Number, Given::Number(x)) => not(&format!("is {x}")),
            (Kind::Words(words), Given::Text(text)) => match words.iter().find(|(word, _)| *word == text) {
                Some((_, code)) => Ok(Some((*code).into())),
                None => not(&format!("is `{text}`")),
            },
            (Kind::Text, Given::Text(text)) => match text.replace(',', "/") {
                text if is_plain(&text) => Ok(Some(text)),
                _ => not(&format!("is `{text}`")),
            },
            (Kind::Text, Given::Int(n)) => Ok(Some(n.to_string())),
            (_, Given::Text(text)) => not(&format!("is `{text}`")),
            _ => not("is of the wrong type"),
        }
    }

    /// The value of a parameter for a value of a text of rules, read strictly; `None` for a document, which no text of rules holds.
    ///
    /// # Errors
    /// What the value is and what is expected.
    pub fn read(&self, value: &str) -> Result<Option<Taken>, String> {
        let wrong = || format!("{}={value} makes no sense: {} is expected", self.code, self.expected());
        let taken = match self.kind {
            Kind::Present(own) => return if value == own { Ok(None) } else { Err(wrong()) },
            Kind::Flag => match value {
                "1" => Some(Taken::Flag(true)),
                "0" => Some(Taken::Flag(false)),
                _ => None,
            },
            Kind::Int(least, most) => plain_int(value).filter(|n| (least..=most).contains(n)).map(Taken::Int),
            Kind::Number => match plain_int(value) {
                Some(n) => Some(n).filter(|n| *n > 0).map(Taken::Int),
                None => value.parse().ok().filter(|x: &f64| x.is_finite() && *x > 0.0 && x.to_string() == value).map(Taken::Number),
            },
            Kind::Text => Some(value).filter(|v| is_plain(v)).map(|v| Taken::Text(v.to_owned())),
            Kind::Words(words) => words.iter().find(|(_, code)| *code == value).map(|(word, _)| Taken::Text((*word).into())),
        };
        taken.map(Some).ok_or_else(wrong)
    }

    /// What a value has to be, for people.
    #[must_use]
    pub fn expected(&self) -> String {
        match self.kind {
            Kind::Flag => "true or false".into(),
            Kind::Int(least, i64::MAX) => format!("a whole number of at least {least}"),
            Kind::Int(least, most) => format!("a whole number between {least} and {most}"),
            Kind::Number => "a number above 0".into(),
            Kind::Text => "a text of letters, digits and _.:+/-".into(),
            Kind::Words(words) => words.iter().map(|(word, _)| format!("`{word}`")).collect::<Vec<_>>().join(" or "),
            Kind::Present(_) => "a document".into(),
        }
    }

    /// The parameter's name for people: the first that sets it, else the rule's own.
    #[must_use]
    pub fn parameter(&self) -> &'static str {
        self.parameters.first().copied().unwrap_or(self.name)
    }
}

/// A whole number as this system writes it: no sign in front but `-`, no leading zeros.
fn plain_int(text: &str) -> Option<i64> {
    text.parse::<i64>().ok().filter(|n| n.to_string() == text)
}

fn is_plain(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "_.:+/-".contains(c))
}

/// The rule of this code.
#[must_use]
pub fn by_code(code: &str) -> Option<&'static Rule> {
    RULES.iter().find(|r| r.code == code)
}

/// The rule that this task parameter sets.
#[must_use]
pub fn by_parameter(key: &str) -> Option<&'static Rule> {
    RULES.iter().find(|r| r.parameters.contains(&key))
}

/// Codes that may be changed on a live task, in order.
pub fn changeable() -> impl Iterator<Item = &'static str> {
    RULES.iter().filter(|r| r.changeable).map(|r| r.code)
}

/// Writes rules with their values as one text, in the order given.
#[must_use]
pub fn text(rules: &[(&Rule, String)]) -> String {
    rules.iter().map(|(rule, value)| format!("{}={value}", rule.code)).collect::<Vec<_>>().join(",")
}

/// Reads a text of rules.
///
/// # Errors
/// The first piece that is no rule: unknown code, a code that stands twice, a value that makes no sense.
pub fn parse(text: &str) -> Result<Vec<(&'static Rule, String)>, String> {
    let mut rules: Vec<(&'static Rule, String)> = Vec::new();
    for piece in text.split(',').filter(|_| !text.is_empty()) {
        let (code, value) = piece.split_once('=').ok_or_else(|| format!("`{piece}` is no split rule; write XX=value"))?;
        let rule = by_code(code).ok_or_else(|| format!("there is no split rule `{code}`"))?;
        if rules.iter().any(|(known, _)| known.code == code) {
            return Err(format!("split rule {code} stands twice"));
        }
        rule.read(value)?;
        rules.push((rule, value.to_owned()));
    }
    Ok(rules)
}

/// The known name that a misspelled one was meant to be: the nearest, when one or two letters were changed, added, left out or swapped
/// (one in short names), or only capitals differ.
#[must_use]
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let mut best: Option<(usize, &'a str)> = None;
    for candidate in known {
        let distance = if candidate.eq_ignore_ascii_case(name) { 0 } else { distance(name, candidate) };
        let most = if candidate.len().min(name.len()) < 6 { 1 } else { 2 };
        if distance <= most && best.is_none_or(|(d, _)| distance < d) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, name)| name)
}

/// Letters to change, add, leave out or swap with their neighbour (optimal string alignment); names are short.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().take(64).collect(), b.chars().take(64).collect());
    let mut before = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let change = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = change.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                let before: &Vec<usize> = &before;
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
