//! Reading values that peers write in more than one way: numbers as texts,
//! floats or booleans, lists as comma-separated texts, nulls as `"NULL"`.
//!
//! Owns the coercions and the error that names key and expected type. Must not
//! know any particular record.

use serde_json::{Map, Value};
use std::fmt::Write as _;

/// A value that cannot be read as its key wants it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{key}' must be {expected}, got {got}")]
pub struct FieldError {
    /// The key, with its path from the top (`mergeSpec.useLocalIO`, `jobParameters[3].value`).
    pub key: String,
    /// What is read there, in words (`an integer`).
    pub expected: &'static str,
    /// What was there, shortened.
    pub got: String,
}

impl FieldError {
    /// An error about the value itself; the caller adds the key with [`FieldError::under`].
    #[must_use]
    pub fn new(expected: &'static str, got: &Value) -> Self {
        FieldError { key: String::new(), expected, got: shorten(got) }
    }

    /// The same error seen from one level up.
    #[must_use]
    pub fn under(mut self, key: &str) -> Self {
        self.key = match self.key.as_bytes().first() {
            None => key.to_owned(),
            Some(b'[') => format!("{key}{}", self.key),
            Some(_) => format!("{key}.{}", self.key),
        };
        self
    }
}

/// Longest piece of a wrong value that an error repeats, in characters.
const SHOWN: usize = 60;

fn shorten(value: &Value) -> String {
    let kind = match value {
        Value::Null => return "null".to_owned(),
        Value::Object(_) => "an object",
        Value::Array(_) => "a list",
        Value::String(_) => "the text",
        Value::Bool(_) | Value::Number(_) => "",
    };
    let text = match value {
        Value::Object(_) | Value::Array(_) => String::new(),
        other => other.to_string(),
    };
    let mut out = kind.to_owned();
    if !text.is_empty() {
        if !out.is_empty() {
            out.push(' ');
        }
        let cut: String = text.chars().take(SHOWN).collect();
        let _ = write!(out, "{cut}{}", if cut.len() < text.len() { "..." } else { "" });
    }
    out
}

/// A type that can be read leniently and written back.
pub trait Lenient: Sized {
    /// Reads a value; `None` when it says "not given" (null, `""` or `"NULL"` for numbers).
    ///
    /// # Errors
    /// [`FieldError`] when the value means something else.
    fn read(value: Value) -> Result<Option<Self>, FieldError>;

    /// The JSON form.
    fn write(&self) -> Value;
}

/// Whether a text stands for "not given" where a number or a time is wanted.
fn absent(text: &str) -> bool {
    matches!(text, "" | "NULL" | "None" | "null")
}

/// A number from any shape that can mean one: `3`, `3.0`, `"3"`, `"3e2"`, `true`.
/// Fractions are cut, as the original does for query strings.
#[must_use]
pub fn int(value: &Value) -> Option<i64> {
    match value {
        Value::Number(n) => n.as_i64().or_else(|| n.as_f64().and_then(whole)),
        Value::Bool(b) => Some(i64::from(*b)),
        Value::String(s) => {
            let s = s.trim();
            s.parse().ok().or_else(|| s.parse::<f64>().ok().and_then(whole))
        }
        _ => None,
    }
}

fn whole(f: f64) -> Option<i64> {
    // 2^63 itself does not fit, hence the half-open range.
    if (-9.223_372_036_854_776e18..9.223_372_036_854_776e18).contains(&f) {
        #[allow(clippy::cast_possible_truncation)]
        Some(f.trunc() as i64)
    } else {
        None
    }
}

/// A float from a number, a text or a boolean; infinities and not-a-number do not count.
#[must_use]
pub fn float(value: &Value) -> Option<f64> {
    match value {
        Value::Number(n) => n.as_f64(),
        Value::Bool(b) => Some(f64::from(u8::from(*b))),
        Value::String(s) => s.trim().parse::<f64>().ok(),
        _ => None,
    }
    .filter(|f| f.is_finite())
}

/// A boolean from itself, a number (zero is false) or a word.
#[must_use]
pub fn boolean(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(b) => Some(*b),
        Value::Number(n) => n.as_f64().map(|f| f != 0.0),
        Value::String(s) => match s.trim().to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Some(true),
            "false" | "0" | "no" | "off" | "" | "none" | "null" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

/// Numbers and booleans as Python would print them; texts as they are.
#[must_use]
pub fn text(value: Value) -> Option<String> {
    match value {
        Value::String(s) => Some(s),
        Value::Number(n) => Some(n.to_string()),
        Value::Bool(true) => Some("True".to_owned()),
        Value::Bool(false) => Some("False".to_owned()),
        _ => None,
    }
}

impl Lenient for i64 {
    fn read(value: Value) -> Result<Option<Self>, FieldError> {
        match &value {
            Value::Null => Ok(None),
            Value::String(s) if absent(s.trim()) => Ok(None),
            other => int(other).map(Some).ok_or_else(|| FieldError::new("an integer", other)),
        }
    }

    fn write(&self) -> Value {
        Value::from(*self)
    }
}

impl Lenient for f64 {
    fn read(value: Value) -> Result<Option<Self>, FieldError> {
        match &value {
            Value::Null => Ok(None),
            Value::String(s) if absent(s.trim()) => Ok(None),
            other => float(other).map(Some).ok_or_else(|| FieldError::new("a number", other)),
        }
    }

    fn write(&self) -> Value {
        // An integer that was read as a float goes back as an integer.
        match whole(*self) {
            #[allow(clippy::cast_precision_loss, clippy::float_cmp)]
            Some(i) if i as f64 == *self && self.abs() < 9e15 => Value::from(i),
            _ => Value::from(*self),
        }
    }
}

impl Lenient for bool {
    fn read(value: Value) -> Result<Option<Self>, FieldError> {
        match &value {
            Value::Null => Ok(None),
            other => boolean(other).map(Some).ok_or_else(|| FieldError::new("true or false", other)),
        }
    }

    fn write(&self) -> Value {
        Value::Bool(*self)
    }
}

impl Lenient for String {
    fn read(value: Value) -> Result<Option<Self>, FieldError> {
        match value {
            Value::Null => Ok(None),
            Value::Object(_) | Value::Array(_) => Err(FieldError::new("a text", &value)),
            other => Ok(text(other)),
        }
    }

    fn write(&self) -> Value {
        Value::String(self.clone())
    }
}

impl Lenient for Value {
    fn read(value: Value) -> Result<Option<Self>, FieldError> {
        Ok(Some(value).filter(|v| !v.is_null()))
    }

    fn write(&self) -> Value {
        self.clone()
    }
}

impl Lenient for Map<String, Value> {
    fn read(value: Value) -> Result<Option<Self>, FieldError> {
        match value {
            Value::Null => Ok(None),
            Value::Object(map) => Ok(Some(map)),
            Value::String(s) if absent(s.trim()) => Ok(None),
            Value::String(s) => match serde_json::from_str(&s) {
                Ok(Value::Object(map)) => Ok(Some(map)),
                _ => Err(FieldError::new("an object", &Value::String(s))),
            },
            other => Err(FieldError::new("an object", &other)),
        }
    }

    fn write(&self) -> Value {
        Value::Object(self.clone())
    }
}

impl<T: Lenient> Lenient for Vec<T> {
    fn read(value: Value) -> Result<Option<Self>, FieldError> {
        match value {
            Value::Null => Ok(None),
            Value::Array(items) => {
                let mut out = Vec::with_capacity(items.len());
                for (i, item) in items.into_iter().enumerate() {
                    if let Some(item) = T::read(item).map_err(|e| e.under(&format!("[{i}]")))? {
                        out.push(item);
                    }
                }
                Ok(Some(out))
            }
            other => Err(FieldError::new("a list", &other)),
        }
    }

    fn write(&self) -> Value {
        Value::Array(self.iter().map(Lenient::write).collect())
    }
}

/// A text, or an object or list that is kept as its JSON text (`architecture`).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct JsonText(
    /// The text; JSON when an object or a list came.
    pub String,
);

impl Lenient for JsonText {
    fn read(value: Value) -> Result<Option<Self>, FieldError> {
        match value {
            Value::Null => Ok(None),
            Value::Object(_) | Value::Array(_) => Ok(Some(JsonText(value.to_string()))),
            other => Ok(text(other).map(JsonText)),
        }
    }

    fn write(&self) -> Value {
        Value::String(self.0.clone())
    }
}

/// A list of texts that may come as a list or as one comma-separated text. It
/// goes back in the shape it came in; empty pieces of a text do not count.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TextList {
    items: Vec<String>,
    source: Option<String>,
}

impl TextList {
    /// The texts.
    #[must_use]
    pub fn items(&self) -> &[String] {
        &self.items
    }

    /// Splits a comma-separated text.
    #[must_use]
    pub fn split(text: &str) -> Self {
        TextList {
            items: text.split(',').map(str::trim).filter(|s| !s.is_empty()).map(str::to_owned).collect(),
            source: Some(text.to_owned()),
        }
    }
}

impl From<Vec<String>> for TextList {
    fn from(items: Vec<String>) -> Self {
        TextList { items, source: None }
    }
}

impl std::ops::Deref for TextList {
    type Target = [String];

    fn deref(&self) -> &[String] {
        &self.items
    }
}

impl Lenient for TextList {
    fn read(value: Value) -> Result<Option<Self>, FieldError> {
        match value {
            Value::Array(_) => Ok(<Vec<String> as Lenient>::read(value)?.map(TextList::from)),
            Value::Null => Ok(None),
            Value::Object(_) => Err(FieldError::new("a list of texts or a comma-separated text", &value)),
            other => Ok(text(other).map(|s| TextList::split(&s))),
        }
    }

    fn write(&self) -> Value {
        match &self.source {
            Some(text) => Value::String(text.clone()),
            None => self.items.write(),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::record::record;
    use serde_json::json;

    record! {
        /// A record for the tests.
        Probe {
            /// Number.
            n: i64 = "n",
            /// Switch.
            b: bool = "b",
            /// List.
            l: TextList = "l",
            /// Inner record.
            inner: Vec<Map<String, Value>> = "inner",
        }
    }

    fn probe(v: Value) -> Result<Probe, String> {
        serde_json::from_value(v).map_err(|e: serde_json::Error| e.to_string())
    }

    #[test]
    fn numbers_in_every_shape() {
        assert_eq!(Probe::KEYS.len(), 4);
        for v in [json!(3), json!(3.0), json!("3"), json!(" 3 "), json!("3.7"), json!("3e0")] {
            assert_eq!(probe(json!({"n": v})).unwrap().n, Some(3));
        }
        assert_eq!(probe(json!({"n": true})).unwrap().n, Some(1));
        for v in [json!(null), json!(""), json!("NULL")] {
            assert_eq!(probe(json!({"n": v})).unwrap().n, None);
        }
        for v in [json!("1e30"), json!(1e30), json!("nan"), json!("x")] {
            assert!(probe(json!({"n": v})).is_err(), "{v}");
        }
    }

    #[test]
    fn errors_name_key_and_type() {
        assert_eq!(probe(json!({"n": "many"})).unwrap_err(), r#"'n' must be an integer, got the text "many""#);
        assert_eq!(probe(json!({"b": [1]})).unwrap_err(), "'b' must be true or false, got a list");
        assert_eq!(probe(json!({"inner": [{}, 5]})).unwrap_err(), "'inner[1]' must be an object, got 5");
        assert!(probe(json!([])).is_err());
    }

    #[test]
    fn goes_back_as_it_came() {
        for v in [json!({"l": "a, b", "x": {"y": [1]}, "n": null}), json!({"l": ["a", "b"], "b": false})] {
            assert_eq!(serde_json::to_value(probe(v.clone()).unwrap()).unwrap(), v);
        }
        assert_eq!(probe(json!({"l": "a, b,"})).unwrap().l.unwrap().to_vec(), ["a", "b"]);
    }
}
