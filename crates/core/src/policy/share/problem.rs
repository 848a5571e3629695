//! What is wrong with a tree of shares, in sentences for people.

use std::collections::BTreeMap;

use super::{MAX_DEPTH, MAX_NAME, MAX_SHARES, Rules, Share, UNDEFINED};

/// Rounding that a sum of percentages may show.
const SLACK: f64 = 1e-6;

/// Something wrong with configured shares.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Problem {
    /// Too many.
    #[error("there are {0} shares; at most {MAX_SHARES} are possible")]
    Many(usize),
    /// A name that cannot be.
    #[error("share `{0}`: a name has 1 to {MAX_NAME} printable characters")]
    Name(String),
    /// Two of one name.
    #[error("share `{0}` is there twice; names are unique in the whole tree")]
    Twice(String),
    /// A percentage out of range.
    #[error("share `{name}`: value must be a percentage from 0 to 100, got {value}")]
    Value {
        /// The share.
        name: String,
        /// What was given.
        value: f64,
    },
    /// A parent that is not there.
    #[error("share `{name}`: its parent `{parent}` does not exist; create it first, or leave the parent away for the top level")]
    Parent {
        /// The share.
        name: String,
        /// What was given.
        parent: String,
    },
    /// A share below itself.
    #[error("share `{0}` is its own parent; give it another one, or none")]
    Itself(String),
    /// A circle of parents.
    #[error("shares {} are each other's parents; give one of them a parent outside of these", quoted(.0))]
    Circle(Vec<String>),
    /// Too many levels.
    #[error("share `{0}` stands below {MAX_DEPTH} others; a tree has at most {MAX_DEPTH} levels")]
    Deep(String),
    /// Siblings of more than 100 %.
    #[error("the shares {} sum up to {sum} %; lower one of {} so that they make 100 % at most", place(.parent.as_deref()), quoted(.names))]
    Sum {
        /// Whose parts they are.
        parent: Option<String>,
        /// Their sum.
        sum: f64,
        /// Their names.
        names: Vec<String>,
    },
    /// Siblings of 0 %.
    #[error("the shares {} are all 0 %, so none of them would ever have a target; raise one of {}", place(.parent.as_deref()), quoted(.names))]
    Nothing {
        /// Whose parts they are.
        parent: Option<String>,
        /// Their names.
        names: Vec<String>,
    },
    /// Leaves that cannot be told apart.
    #[error("shares `{0}` and `{1}` match the same tasks at the same position; change the rules or the position of one")]
    Same(String, String),
    /// Parts of [`UNDEFINED`].
    #[error("share `{UNDEFINED}` takes what matches nothing and cannot have parts; `{0}` must stand elsewhere")]
    BelowUndefined(String),
}

fn quoted(names: &[String]) -> String {
    names.iter().map(|n| format!("`{n}`")).collect::<Vec<_>>().join(", ")
}
fn place(parent: Option<&str>) -> String {
    parent.map_or_else(|| "at the top level".to_owned(), |p| format!("below `{p}`"))
}

/// Everything that is wrong.
pub(super) fn of(shares: &[Share]) -> Vec<Problem> {
    let mut out = Vec::new();
    if shares.len() > MAX_SHARES {
        out.push(Problem::Many(shares.len()));
        return out;
    }
    let mut by_name: BTreeMap<&str, &Share> = BTreeMap::new();
    for s in shares {
        let length = s.name.chars().count();
        if length == 0 || length > MAX_NAME || s.name.trim() != s.name || s.name.chars().any(char::is_control) {
            out.push(Problem::Name(s.name.clone()));
        }
        if by_name.insert(&s.name, s).is_some() {
            out.push(Problem::Twice(s.name.clone()));
        }
        if !s.value.is_finite() || !(0.0..=100.0).contains(&s.value) {
            out.push(Problem::Value { name: s.name.clone(), value: s.value });
        }
    }
    if !out.is_empty() {
        return out;
    }
    parents(shares, &by_name, &mut out);
    if out.is_empty() {
        sums(shares, &mut out);
        leaves(shares, &by_name, &mut out);
    }
    out
}

fn parents(shares: &[Share], by_name: &BTreeMap<&str, &Share>, out: &mut Vec<Problem>) {
    let mut circle: Vec<String> = Vec::new();
    for s in shares {
        let Some(parent) = s.parent.as_deref() else { continue };
        if parent == s.name {
            out.push(Problem::Itself(s.name.clone()));
            continue;
        }
        if parent == UNDEFINED {
            out.push(Problem::BelowUndefined(s.name.clone()));
            continue;
        }
        if !by_name.contains_key(parent) {
            out.push(Problem::Parent { name: s.name.clone(), parent: parent.to_owned() });
            continue;
        }
        let mut above = 0;
        let mut at = Some(parent);
        while let Some(name) = at {
            above += 1;
            if name == s.name {
                circle.push(s.name.clone());
                break;
            }
            if above > MAX_SHARES {
                break;
            }
            at = by_name.get(name).and_then(|p| p.parent.as_deref()).filter(|p| *p != name);
        }
        if at.is_none() && above == MAX_DEPTH {
            out.push(Problem::Deep(s.name.clone()));
        }
    }
    if !circle.is_empty() {
        circle.sort();
        out.push(Problem::Circle(circle));
    }
}

fn sums(shares: &[Share], out: &mut Vec<Problem>) {
    let mut levels: BTreeMap<Option<&str>, Vec<&Share>> = BTreeMap::new();
    for s in shares {
        levels.entry(s.parent.as_deref()).or_default().push(s);
    }
    for (parent, mine) in levels {
        let sum: f64 = mine.iter().map(|s| s.value).sum();
        let parent = parent.map(str::to_owned);
        let names = || mine.iter().map(|s| s.name.clone()).collect();
        if sum > 100.0 + SLACK {
            out.push(Problem::Sum { parent, sum, names: names() });
        } else if sum <= 0.0 {
            out.push(Problem::Nothing { parent, names: names() });
        }
    }
}

fn leaves(shares: &[Share], by_name: &BTreeMap<&str, &Share>, out: &mut Vec<Problem>) {
    let way = |s: &Share| {
        let mut rules: Vec<Rules> = Vec::new();
        let mut at = Some(s);
        while let Some(share) = at {
            if share.rules.count() > 0 {
                rules.push(share.rules.clone());
            }
            at = share.parent.as_deref().and_then(|p| by_name.get(p).copied());
        }
        rules
    };
    let found: Vec<(&Share, Vec<Rules>)> = shares
        .iter()
        .filter(|s| !shares.iter().any(|c| c.parent.as_deref() == Some(s.name.as_str())))
        .map(|s| (s, way(s)))
        .filter(|(_, rules)| !rules.is_empty())
        .collect();
    for (i, (a, rules)) in found.iter().enumerate() {
        for (b, _) in found[i + 1..].iter().filter(|(b, other)| b.position == a.position && other == rules) {
            out.push(Problem::Same(a.name.clone(), b.name.clone()));
        }
    }
}
