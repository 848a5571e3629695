//! Filters of task lists: a JSON object of attribute and value, the value being a text or a regular expression for the whole of it.

use regex::{Regex, RegexBuilder};
use serde_json::{Map, Value};

use crate::OpsError;

/// Most filters of one call.
const MAX_FILTERS: usize = 50;
/// Largest compiled expression, bytes: expressions come from callers.
const MAX_COMPILED: usize = 1 << 16;
/// Most task numbers that one filter names.
const MAX_IDS: usize = 1_000;

/// Decoded filters.
#[derive(Debug, Default)]
pub struct Filters(Vec<Filter>);

#[derive(Debug)]
struct Filter {
    attribute: String,
    text: String,
    pattern: Option<Regex>,
}

impl Filters {
    /// Reads the `filters` parameter.
    pub fn parse(text: Option<&str>) -> Result<Self, OpsError> {
        let Some(text) = text.map(str::trim).filter(|t| !t.is_empty() && *t != "null") else { return Ok(Self::default()) };
        let value: Value = serde_json::from_str(text).map_err(|e| OpsError::refused(format!("filters is not valid JSON: {e}")))?;
        let Value::Object(map) = value else { return Err(OpsError::refused("filters must be a JSON object")) };
        if map.len() > MAX_FILTERS {
            return Err(OpsError::refused(format!("filters: {} attributes; give at most {MAX_FILTERS}", map.len())));
        }
        let filters = map.into_iter().map(|(attribute, value)| {
            let text = shown(&value);
            // An invalid expression can still be a plain value, e.g. a name with a bracket.
            let pattern = RegexBuilder::new(&format!("^(?:{text})$")).size_limit(MAX_COMPILED).build().ok();
            Filter { attribute, text, pattern }
        });
        Ok(Self(filters.collect()))
    }
    /// The owner asked for.
    #[must_use]
    pub fn user_name(&self) -> Option<&str> {
        self.get("userName").map(|f| f.text.as_str())
    }
    /// Task numbers, when the filters name them (`jediTaskID` or `reqID`, the same here).
    #[must_use]
    pub fn task_ids(&self) -> Option<Vec<i64>> {
        let filter = self.get("jediTaskID").or_else(|| self.get("reqID"))?;
        filter.text.split('|').take(MAX_IDS).map(|id| id.trim().parse().ok()).collect()
    }
    /// Whether those attributes that `known` has match.
    #[must_use]
    pub fn may_match(&self, known: &Map<String, Value>) -> bool {
        self.0.iter().all(|f| find(known, &f.attribute).is_none_or(|v| f.holds(v)))
    }
    /// Whether every filter matches; an attribute that is not there does not.
    #[must_use]
    pub fn matches(&self, info: &Map<String, Value>) -> bool {
        self.0.iter().all(|f| find(info, &f.attribute).is_some_and(|v| f.holds(v)))
    }
    fn get(&self, attribute: &str) -> Option<&Filter> {
        self.0.iter().find(|f| f.attribute.eq_ignore_ascii_case(attribute))
    }
}

impl Filter {
    fn holds(&self, value: &Value) -> bool {
        let value = shown(value);
        // `userName` has chosen the people already, under either form of their name.
        self.attribute.eq_ignore_ascii_case("userName") || value == self.text || self.pattern.as_ref().is_some_and(|p| p.is_match(&value))
    }
}

fn find<'m>(map: &'m Map<String, Value>, key: &str) -> Option<&'m Value> {
    map.get(key).or_else(|| map.iter().find(|(k, _)| k.eq_ignore_ascii_case(key)).map(|(_, v)| v))
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(s) => s.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_and_expressions() {
        let task = json!({"status": "running", "taskName": "user.alice.demo/", "nFiles": 3});
        let task = task.as_object().unwrap();
        for (text, want) in [
            (r#"{"status": "running"}"#, true),
            (r#"{"STATUS": "done|running"}"#, true),
            (r#"{"status": "run"}"#, false),
            (r#"{"taskName": "user.alice.*", "nFiles": "3"}"#, true),
            (r#"{"nFiles": 3}"#, true),
            (r#"{"taskName": "["}"#, false),
            (r#"{"colour": "red"}"#, false),
            ("", true),
        ] {
            let filters = Filters::parse(Some(text)).unwrap();
            assert_eq!(filters.matches(task), want, "{text}");
            assert!(!want || filters.may_match(task));
        }
        assert_eq!(Filters::parse(Some("[1]")).unwrap_err().to_string(), "filters must be a JSON object");
        assert!(Filters::parse(Some("{")).unwrap_err().to_string().starts_with("filters is not valid JSON"));
        let huge = json!({"status": "(a{1000}){1000}"}).to_string();
        assert!(!Filters::parse(Some(&huge)).unwrap().matches(task));
    }

    #[test]
    fn task_numbers() {
        let of = |t| Filters::parse(Some(t)).unwrap().task_ids();
        assert_eq!(of(r#"{"jediTaskID": "12|13"}"#), Some(vec![12, 13]));
        assert_eq!(of(r#"{"reqID": 77}"#), Some(vec![77]));
        assert_eq!(of(r#"{"reqID": "7."}"#), None);
    }
}
