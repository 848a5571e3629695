//! The task language against the tables of `core`: what each given parameter does here, what is misspelled, and the split rules that the
//! parameters come to (`spec/engine.md` sections 5.2 and 6.2).

use panda_core::policy::{
    rules::{self, Given, Here, Kind, PARAMETERS, RULES, Rule, Taken},
    scout::exhaust::WIDE_FILES,
};
use panda_wire::TaskParameters;
use serde_json::{Map, Value};

use super::{Adjust, Plan, PlanError, wrong};

/// Parameters that can become jobs, and what is worth telling the submitter.
#[derive(Debug, Clone, PartialEq)]
pub struct Accepted {
    /// What they come to.
    pub plan: Plan,
    /// Sentences.
    pub notes: Vec<String>,
}

impl Plan {
    /// Refines parameters that somebody gives now, with what holds for the task ([`Adjust`]): besides what makes no sense it refuses misspelled names and what would have no effect.
    ///
    /// # Errors
    /// The first parameter that is refused, with what to do.
    pub fn accept(p: &TaskParameters, adjust: &Adjust) -> Result<Accepted, PlanError> {
        let object = p.to_object();
        let given = |key: &str| object.get(key).is_some_and(|v| !is_nothing(v));
        for rule in RULES {
            if let Some((key, value)) = rule.parameters.iter().find_map(|k| object.get(*k).map(|v| (*k, v))) {
                let value = rule.value(given_of(rule.kind, value)).map_err(|e| wrong(key, e))?;
                let word = value.as_deref().map_or("", |v| word_of(rule, v));
                verdict(key, rule.here, value.is_some(), word, given).map_err(|e| coded(e, rule.code))?;
            }
        }
        for parameter in PARAMETERS.iter().filter(|p| given(p.key)) {
            verdict(parameter.key, parameter.here, true, "", given)?;
        }
        let notes = unknown(p)?;
        Ok(Accepted { plan: Self::of(p, adjust)?, notes })
    }
}

/// Whether a value asks for nothing.
fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Bool(true) => false,
        Value::Number(n) => n.as_f64() == Some(0.0),
        // Clients write Python's words.
        Value::String(s) => matches!(s.as_str(), "" | "0" | "False" | "None"),
        Value::Array(a) => a.is_empty(),
        Value::Object(m) => m.is_empty(),
    }
}

fn given_of(kind: Kind, value: &Value) -> Given<'_> {
    match value {
        v if is_nothing(v) => Given::Flag(false),
        _ if matches!(kind, Kind::Present(_)) => Given::Document,
        Value::Bool(b) => Given::Flag(*b),
        Value::Number(n) => n.as_i64().map_or(Given::Number(n.as_f64().unwrap_or(0.0)), Given::Int),
        Value::String(s) => Given::Text(s),
        _ => Given::Document,
    }
}

/// The word that a user writes for a value of a rule with words.
fn word_of<'a>(rule: &Rule, value: &'a str) -> &'a str {
    match rule.kind {
        Kind::Words(words) => words.iter().find(|(_, code)| *code == value).map_or(value, |(word, _)| word),
        _ => value,
    }
}

fn coded(e: PlanError, code: &str) -> PlanError {
    PlanError { what: format!("(split rule {code}) {}", e.what), ..e }
}

/// Whether what is given may be.
fn verdict(key: &str, here: Here, is_given: bool, word: &str, given: impl Fn(&str) -> bool) -> Result<(), PlanError> {
    if !is_given {
        return Ok(());
    }
    match here {
        Here::No(why) => Err(wrong(key, format!("has no effect here: {why}"))),
        Here::HarmlessAs(values, why) if !values.contains(&word) => Err(wrong(key, format!("as `{word}` has no effect here yet: {why}"))),
        Here::With(other) if !given(other) => Err(wrong(key, format!("counts only together with `{other}`; leave it out"))),
        _ => Ok(()),
    }
}

/// Refuses names that are nearly known; tells of the rest, which is kept and does nothing.
fn unknown(p: &TaskParameters) -> Result<Vec<String>, PlanError> {
    let mut strange = Vec::new();
    for key in p.unknown_keys() {
        if let Some(meant) = rules::nearest(key, TaskParameters::KEYS.iter().copied()) {
            return Err(wrong(key, format!("is not known; did you mean `{meant}`?")));
        }
        strange.push(format!("`{key}`"));
    }
    if strange.is_empty() {
        return Ok(Vec::new());
    }
    let (noun, verb) = if strange.len() == 1 { ("parameter", "is") } else { ("parameters", "are") };
    Ok(vec![format!("{noun} {} {verb} not known here and {verb} kept without effect", strange.join(", "))])
}

/// The split rules of a task: what its parameters say, and what the engine changed since.
#[must_use]
pub fn split_rules(p: &TaskParameters, adjust: &Adjust) -> Vec<(&'static Rule, String)> {
    let object = p.to_object();
    let mut rules: Vec<(&'static Rule, String)> = Vec::new();
    for rule in RULES {
        let value = rule.parameters.iter().find_map(|k| object.get(*k)).and_then(|v| rule.value(given_of(rule.kind, v)).ok().flatten());
        let value = match rule.code {
            "LS" => site_lists(p).or(value),
            // A list of jobs maps each to a boundary of its own (6.2: LX comes with GB).
            "GB" if value.is_none() && p.load_xml.as_deref().is_some_and(|x| !x.is_empty()) => Some("4".into()),
            "NF" if adjust.wide => None,
            "NG" if adjust.wide && adjust.max_bytes.is_none() => None,
            "MF" if adjust.wide && adjust.max_files.is_none() => Some(WIDE_FILES.to_string()),
            "MF" => adjust.max_files.map(|n| n.to_string()).or(value),
            #[expect(clippy::cast_precision_loss, reason = "a size for people")]
            "NG" => adjust
                .max_bytes
                .or_else(|| adjust.measured.as_ref().and_then(|m| m.max_bytes))
                .map(|b| (b as f64 / 1e9).to_string())
                .or(value),
            "RM" => adjust.first_files.map(|n| format!("{n}:{}", adjust.first_bytes.unwrap_or(0))),
            _ => value,
        };
        rules.extend(value.map(|v| (rule, v)));
    }
    rules
}

/// 1 with a list of queues to use, 2 with one of queues not to use, 3 with both.
fn site_lists(p: &TaskParameters) -> Option<String> {
    let some = |list: &Option<panda_wire::lenient::TextList>| i64::from(list.as_ref().is_some_and(|l| !l.is_empty()));
    let kind = some(&p.included_site) + 2 * some(&p.excluded_site);
    (kind > 0).then(|| kind.to_string())
}

/// The rules by the names of their parameters, with values as parameters have them.
#[must_use]
pub fn decoded(rules: &[(&'static Rule, String)]) -> Map<String, Value> {
    let value = |rule: &Rule, text: &str| match rule.read(text) {
        Ok(Some(taken)) => json(taken),
        _ => Value::Bool(true),
    };
    rules.iter().map(|(rule, text)| (rule.parameter().to_owned(), value(rule, text))).collect()
}

/// A value as it goes into the parameters.
#[must_use]
pub fn json(taken: Taken) -> Value {
    match taken {
        Taken::Flag(b) => b.into(),
        Taken::Int(n) => n.into(),
        Taken::Number(x) => x.into(),
        Taken::Text(t) => t.into(),
    }
}
