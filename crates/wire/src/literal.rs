//! The subset of Python literals that clients put into query strings, task
//! parameters and pilot messages.
//!
//! Owns the parser, the `repr` writer and the conversion from and to JSON.
//! Must not know what the values mean. No expression is evaluated: names other
//! than `None`, `True`, `False`, `inf` and `nan` are errors.

mod parse;
mod repr;

/// How deep lists, tuples and dictionaries may nest: deeper input is refused so
/// that a request cannot exhaust the stack.
pub const MAX_DEPTH: usize = 64;

/// How many values one literal may hold: a bound on the memory that one
/// parameter can take (the request body is bounded too).
pub const MAX_VALUES: usize = 1_000_000;

/// A Python value that can be written as a literal.
#[derive(Debug, Clone, PartialEq)]
pub enum Literal {
    /// `None`
    None,
    /// `True` or `False`
    Bool(bool),
    /// An integer that fits 64 bits; larger ones become [`Literal::Float`].
    Int(i64),
    /// A floating-point number.
    Float(f64),
    /// A text (byte strings are read as text too).
    Str(String),
    /// `[..]`
    List(Vec<Literal>),
    /// `(..)`
    Tuple(Vec<Literal>),
    /// `{k: v}` in the order written; a set `{a, b}` is read as a [`Literal::List`].
    Dict(Vec<(Literal, Literal)>),
}

/// Why a text is not a literal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a python literal at byte {at}: {reason}")]
pub struct LiteralError {
    /// Offset in bytes of the place where reading stopped.
    pub at: usize,
    /// What was wrong there.
    pub reason: &'static str,
}

/// Reads one literal that fills the whole text (white space around it is allowed).
///
/// # Errors
/// [`LiteralError`] with the byte offset when the text is no literal, nests
/// deeper than [`MAX_DEPTH`], holds more than [`MAX_VALUES`] values or has a tail.
pub fn parse(text: &str) -> Result<Literal, LiteralError> {
    parse::whole(text)
}

impl Literal {
    /// The JSON form: tuples become arrays, dictionary keys become texts the way
    /// Python's JSON writer does (`True` is `true`, numbers are their digits),
    /// infinities and not-a-number become null.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        use serde_json::Value;
        match self {
            Literal::None => Value::Null,
            Literal::Bool(b) => Value::Bool(*b),
            Literal::Int(i) => Value::from(*i),
            Literal::Float(f) => serde_json::Number::from_f64(*f).map_or(Value::Null, Value::Number),
            Literal::Str(s) => Value::String(s.clone()),
            Literal::List(items) | Literal::Tuple(items) => Value::Array(items.iter().map(Literal::to_json).collect()),
            Literal::Dict(items) => Value::Object(items.iter().map(|(k, v)| (k.json_key(), v.to_json())).collect()),
        }
    }

    /// The literal that Python would print for a JSON value.
    #[must_use]
    pub fn from_json(value: &serde_json::Value) -> Self {
        use serde_json::Value;
        match value {
            Value::Null => Literal::None,
            Value::Bool(b) => Literal::Bool(*b),
            Value::Number(n) => n.as_i64().map_or_else(|| Literal::Float(n.as_f64().unwrap_or(f64::NAN)), Literal::Int),
            Value::String(s) => Literal::Str(s.clone()),
            Value::Array(items) => Literal::List(items.iter().map(Literal::from_json).collect()),
            Value::Object(map) => Literal::Dict(map.iter().map(|(k, v)| (Literal::Str(k.clone()), Literal::from_json(v))).collect()),
        }
    }

    /// The text that Python's `repr()` gives.
    #[must_use]
    pub fn repr(&self) -> String {
        let mut out = String::new();
        self.write_repr(&mut out);
        out
    }

    /// The text inside a [`Literal::Str`].
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Literal::Str(s) => Some(s),
            _ => None,
        }
    }

    fn json_key(&self) -> String {
        match self {
            Literal::Str(s) => s.clone(),
            Literal::None => "null".to_owned(),
            Literal::Bool(true) => "true".to_owned(),
            Literal::Bool(false) => "false".to_owned(),
            other => other.repr(),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    fn json(text: &str) -> serde_json::Value {
        parse(text).unwrap().to_json()
    }

    #[test]
    fn scalars() {
        assert_eq!(parse("None"), Ok(Literal::None));
        assert_eq!(parse(" True "), Ok(Literal::Bool(true)));
        assert_eq!(parse("-12"), Ok(Literal::Int(-12)));
        assert_eq!(parse("12L"), Ok(Literal::Int(12)));
        assert_eq!(parse("0x1f"), Ok(Literal::Int(31)));
        assert_eq!(parse("1_000"), Ok(Literal::Int(1000)));
        assert_eq!(parse("1.5e3"), Ok(Literal::Float(1500.0)));
        assert_eq!(parse("-inf"), Ok(Literal::Float(f64::NEG_INFINITY)));
        assert_eq!(parse("99999999999999999999"), Ok(Literal::Float(1e20)));
        assert_eq!(parse("u'a' b\"b\""), Ok(Literal::Str("ab".into())));
        assert_eq!(parse(r#"'\x41\u00e9\n\'"\101'"#), Ok(Literal::Str("Aé\n'\"A".into())));
        assert_eq!(parse("r'a\\n'"), Ok(Literal::Str("a\\n".into())));
        assert_eq!(parse("'''a\n'b'''"), Ok(Literal::Str("a\n'b".into())));
        assert_eq!(parse(r"'\ud83d\ude00'"), Ok(Literal::Str("😀".into())));
    }

    #[test]
    fn containers() {
        assert_eq!(json("{'a': [1, 2.5, None], 'b': (1,), 3: {}}"), serde_json::json!({"a":[1,2.5,null],"b":[1],"3":{}}));
        assert_eq!(json("(1)"), serde_json::json!(1));
        assert_eq!(json("{1, 2}"), serde_json::json!([1, 2]));
        assert_eq!(json("{}"), serde_json::json!({}));
        assert_eq!(json("[1,]"), serde_json::json!([1]));
    }

    #[test]
    fn repr_is_pythons() {
        for text in [
            "{'IN': ['a', 'b'], 'IN2': (1,), 'x': None, 'y': True}",
            "[1.0, 1e+16, 1e-05, 0.0001, 1.5e+300, -3]",
            r#"["it's", 'a"b', 'both \' "', '\\n\n\x07']"#,
            "()",
            "(1, 2)",
        ] {
            assert_eq!(parse(text).unwrap().repr(), text);
        }
    }

    #[test]
    fn refused() {
        for text in [
            "",
            "abc",
            "__import__('os')",
            "[1",
            "[1 2]",
            "[,]",
            "{1:2, 3}",
            "{1, 2:3}",
            "'a",
            "'a\nb'",
            "1 2",
            "--1",
            "1x",
            "f'x'",
            "'\\x4'",
            ".",
            "+",
            "0x",
            "1e",
            "é",
        ] {
            assert!(parse(text).is_err(), "{text:?} was read");
        }
        assert!(parse(&"[".repeat(100_000)).is_err());
        assert!(parse(&format!("{}{}", "[".repeat(MAX_DEPTH), "]".repeat(MAX_DEPTH))).is_ok());
    }
}
