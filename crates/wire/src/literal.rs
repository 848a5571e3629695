//! The subset of Python literals that clients put into query strings, task
//! parameters and pilot messages.
//!
//! Owns the parser, the `repr` writer and the conversion from and to JSON.
//! Must not know what the values mean. No expression is evaluated: names other
//! than `None`, `True`, `False`, `inf` and `nan` are errors.

use std::fmt::Write as _;

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
    let mut parser = Parser { text, bytes: text.as_bytes(), at: 0, values: 0 };
    let value = parser.value(0)?;
    parser.space();
    if parser.at < parser.bytes.len() {
        return Err(parser.error("unexpected text after the value"));
    }
    Ok(value)
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

    fn write_repr(&self, out: &mut String) {
        match self {
            Literal::None => out.push_str("None"),
            Literal::Bool(true) => out.push_str("True"),
            Literal::Bool(false) => out.push_str("False"),
            Literal::Int(i) => {
                let _ = write!(out, "{i}");
            }
            Literal::Float(f) => write_float(out, *f),
            Literal::Str(s) => write_str(out, s),
            Literal::List(items) => write_items(out, '[', items, ']'),
            Literal::Tuple(items) => {
                write_items(out, '(', items, ')');
                if items.len() == 1 {
                    out.truncate(out.len() - 1);
                    out.push_str(",)");
                }
            }
            Literal::Dict(items) => {
                out.push('{');
                for (i, (k, v)) in items.iter().enumerate() {
                    if i > 0 {
                        out.push_str(", ");
                    }
                    k.write_repr(out);
                    out.push_str(": ");
                    v.write_repr(out);
                }
                out.push('}');
            }
        }
    }
}

fn write_items(out: &mut String, open: char, items: &[Literal], close: char) {
    out.push(open);
    for (i, item) in items.iter().enumerate() {
        if i > 0 {
            out.push_str(", ");
        }
        item.write_repr(out);
    }
    out.push(close);
}

/// Python writes at least one digit after the point and an exponent of two digits.
fn write_float(out: &mut String, f: f64) {
    if f.is_nan() {
        out.push_str("nan");
    } else if f.is_infinite() {
        out.push_str(if f > 0.0 { "inf" } else { "-inf" });
    } else if f != 0.0 && !(1e-4..1e16).contains(&f.abs()) {
        let text = format!("{f:e}");
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, digits) = exponent.strip_prefix('-').map_or(('+', exponent), |d| ('-', d));
        let _ = write!(out, "{mantissa}e{sign}{digits:0>2}");
    } else {
        let _ = write!(out, "{f:?}");
    }
}

/// Single quotes unless the text holds a single and no double quote, as Python does.
fn write_str(out: &mut String, s: &str) {
    let quote = if s.contains('\'') && !s.contains('"') { '"' } else { '\'' };
    out.push(quote);
    for c in s.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c == quote => {
                out.push('\\');
                out.push(c);
            }
            c if (c as u32) < 0x20 || ((c as u32) >= 0x7f && (c as u32) < 0xa0) => {
                let _ = write!(out, "\\x{:02x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push(quote);
}

struct Parser<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    values: usize,
}

impl Parser<'_> {
    fn error(&self, reason: &'static str) -> LiteralError {
        LiteralError { at: self.at, reason }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        if found {
            self.at += 1;
        }
        found
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    fn value(&mut self, depth: usize) -> Result<Literal, LiteralError> {
        if depth > MAX_DEPTH {
            return Err(self.error("nested too deeply"));
        }
        self.values += 1;
        if self.values > MAX_VALUES {
            return Err(self.error("too many values"));
        }
        self.space();
        match self.peek() {
            None => Err(self.error("a value is missing")),
            Some(b'[') => {
                self.at += 1;
                Ok(Literal::List(self.items(b']', depth)?.0))
            }
            Some(b'(') => {
                self.at += 1;
                let (mut items, comma) = self.items(b')', depth)?;
                // `(x)` is x in brackets; only a comma makes a tuple.
                if items.len() == 1 && !comma {
                    return items.pop().ok_or_else(|| self.error("a value is missing"));
                }
                Ok(Literal::Tuple(items))
            }
            Some(b'{') => {
                self.at += 1;
                self.braces(depth)
            }
            Some(b'\'' | b'"') => self.strings(),
            Some(b'b' | b'u' | b'r' | b'B' | b'U' | b'R') if self.prefixed() => self.strings(),
            Some(b'0'..=b'9' | b'+' | b'-' | b'.') => self.number(),
            Some(_) => self.name(),
        }
    }

    fn items(&mut self, close: u8, depth: usize) -> Result<(Vec<Literal>, bool), LiteralError> {
        let mut items = Vec::new();
        let mut comma = false;
        loop {
            self.space();
            if self.eat(close) {
                return Ok((items, comma));
            }
            if !items.is_empty() && !comma {
                return Err(self.error("a comma or the closing bracket is missing"));
            }
            items.push(self.value(depth + 1)?);
            self.space();
            comma = self.eat(b',');
        }
    }

    fn braces(&mut self, depth: usize) -> Result<Literal, LiteralError> {
        let mut pairs = Vec::new();
        let mut set = Vec::new();
        let mut comma = true;
        loop {
            self.space();
            if self.eat(b'}') {
                return Ok(if set.is_empty() { Literal::Dict(pairs) } else { Literal::List(set) });
            }
            if !comma {
                return Err(self.error("a comma or the closing brace is missing"));
            }
            let key = self.value(depth + 1)?;
            self.space();
            if self.eat(b':') {
                if !set.is_empty() {
                    return Err(self.error("a set and a dictionary are mixed"));
                }
                pairs.push((key, self.value(depth + 1)?));
            } else if pairs.is_empty() {
                set.push(key);
            } else {
                return Err(self.error("a colon is missing after the key"));
            }
            self.space();
            comma = self.eat(b',');
        }
    }

    /// Whether a string prefix (`b`, `u`, `r`, `rb`, ...) stands here.
    fn prefixed(&self) -> bool {
        let rest = &self.bytes[self.at..];
        let letters = rest.iter().take_while(|b| b.is_ascii_alphabetic()).count();
        letters <= 2 && matches!(rest.get(letters), Some(b'\'' | b'"')) && rest[..letters].iter().all(|b| b"bBuUrR".contains(b))
    }

    /// One string or several beside each other, which Python joins.
    fn strings(&mut self) -> Result<Literal, LiteralError> {
        let mut out = String::new();
        loop {
            self.string(&mut out)?;
            let end = self.at;
            self.space();
            if !(matches!(self.peek(), Some(b'\'' | b'"')) || (self.at < self.bytes.len() && self.prefixed())) {
                self.at = end;
                return Ok(Literal::Str(out));
            }
        }
    }

    fn string(&mut self, out: &mut String) -> Result<(), LiteralError> {
        let mut raw = false;
        while let Some(b) = self.peek().filter(u8::is_ascii_alphabetic) {
            raw |= b == b'r' || b == b'R';
            self.at += 1;
        }
        let quote = self.peek().ok_or_else(|| self.error("a quote is missing"))?;
        let triple = self.bytes[self.at..].starts_with(&[quote, quote, quote]);
        self.at += if triple { 3 } else { 1 };
        loop {
            let start = self.at;
            while self.peek().is_some_and(|b| b != quote && b != b'\\' && (triple || b != b'\n')) {
                self.at += 1;
            }
            out.push_str(&self.text[start..self.at]);
            match self.peek() {
                None => return Err(self.error("the string is not closed")),
                Some(b'\\') => self.escape(raw, out)?,
                Some(b'\n') => return Err(self.error("the string is not closed on its line")),
                Some(_) if !triple => {
                    self.at += 1;
                    return Ok(());
                }
                Some(_) if self.bytes[self.at..].starts_with(&[quote, quote, quote]) => {
                    self.at += 3;
                    return Ok(());
                }
                Some(b) => {
                    out.push(b as char);
                    self.at += 1;
                }
            }
        }
    }

    fn escape(&mut self, raw: bool, out: &mut String) -> Result<(), LiteralError> {
        self.at += 1;
        let next = self.text[self.at..].chars().next().ok_or_else(|| self.error("the string is not closed"))?;
        self.at += next.len_utf8();
        if raw {
            out.push('\\');
            out.push(next);
            return Ok(());
        }
        match next {
            '\n' => {}
            '\\' | '\'' | '"' => out.push(next),
            'n' => out.push('\n'),
            't' => out.push('\t'),
            'r' => out.push('\r'),
            'a' => out.push('\x07'),
            'b' => out.push('\x08'),
            'f' => out.push('\x0c'),
            'v' => out.push('\x0b'),
            'x' => self.hex(2, out)?,
            'u' => self.hex(4, out)?,
            'U' => self.hex(8, out)?,
            '0'..='7' => {
                let mut code = next as u32 - '0' as u32;
                for _ in 0..2 {
                    match self.peek() {
                        Some(d @ b'0'..=b'7') => {
                            code = code * 8 + u32::from(d - b'0');
                            self.at += 1;
                        }
                        _ => break,
                    }
                }
                out.push(char::from_u32(code).unwrap_or('\u{fffd}'));
            }
            other => {
                out.push('\\');
                out.push(other);
            }
        }
        Ok(())
    }

    fn hex(&mut self, digits: usize, out: &mut String) -> Result<(), LiteralError> {
        let code = self.hex_digits(digits)?;
        // JSON-minded writers send surrogate pairs; join them.
        if (0xd800..0xdc00).contains(&code) && self.bytes[self.at..].starts_with(b"\\u") {
            let back = self.at;
            self.at += 2;
            let low = self.hex_digits(4)?;
            if (0xdc00..0xe000).contains(&low) {
                let joined = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
                out.push(char::from_u32(joined).unwrap_or('\u{fffd}'));
                return Ok(());
            }
            self.at = back;
        }
        out.push(char::from_u32(code).unwrap_or('\u{fffd}'));
        Ok(())
    }

    fn hex_digits(&mut self, digits: usize) -> Result<u32, LiteralError> {
        let part = self.bytes.get(self.at..self.at + digits);
        let code = part
            .filter(|p| p.iter().all(u8::is_ascii_hexdigit))
            .and_then(|p| std::str::from_utf8(p).ok())
            .and_then(|p| u32::from_str_radix(p, 16).ok())
            .ok_or_else(|| self.error("hexadecimal digits are missing"))?;
        self.at += digits;
        Ok(code)
    }

    fn number(&mut self) -> Result<Literal, LiteralError> {
        let start = self.at;
        while matches!(self.peek(), Some(b'+' | b'-')) {
            // One sign is enough for a literal; `--1` is an expression.
            if self.at > start {
                return Err(self.error("more than one sign"));
            }
            self.at += 1;
            self.space();
        }
        let negative = self.bytes.get(start) == Some(&b'-');
        if self.text[self.at..].starts_with("inf") {
            self.at += 3;
            return Ok(Literal::Float(if negative { f64::NEG_INFINITY } else { f64::INFINITY }));
        }
        let digits = self.at;
        if let Some(value) = self.radix(negative)? {
            return Ok(value);
        }
        let mut float = false;
        while let Some(b) = self.peek() {
            match b {
                b'0'..=b'9' | b'_' => {}
                b'.' => float = true,
                b'e' | b'E' => {
                    float = true;
                    if matches!(self.bytes.get(self.at + 1), Some(b'+' | b'-')) {
                        self.at += 1;
                    }
                }
                _ => break,
            }
            self.at += 1;
        }
        // Python 2 wrote long integers with a trailing L.
        let end = self.at;
        if !float {
            let _ = self.eat(b'L');
        }
        if self.peek().is_some_and(|b| b.is_ascii_alphanumeric()) {
            return Err(self.error("a letter follows the number"));
        }
        let text: String = self.text[digits..end].chars().filter(|c| *c != '_').collect();
        let sign = if negative { "-" } else { "" };
        if !float && let Ok(i) = format!("{sign}{text}").parse::<i64>() {
            return Ok(Literal::Int(i));
        }
        match text.parse::<f64>() {
            Ok(f) => Ok(Literal::Float(if negative { -f } else { f })),
            Err(_) => Err(LiteralError { at: start, reason: "the number cannot be read" }),
        }
    }

    fn radix(&mut self, negative: bool) -> Result<Option<Literal>, LiteralError> {
        let rest = &self.text[self.at..];
        let radix = match rest.as_bytes() {
            [b'0', b'x' | b'X', ..] => 16,
            [b'0', b'o' | b'O', ..] => 8,
            [b'0', b'b' | b'B', ..] => 2,
            _ => return Ok(None),
        };
        let len = rest[2..].bytes().take_while(u8::is_ascii_alphanumeric).count();
        let value = i64::from_str_radix(&rest[2..2 + len], radix).map_err(|_| self.error("the number cannot be read"))?;
        self.at += 2 + len;
        Ok(Some(Literal::Int(if negative { -value } else { value })))
    }

    fn name(&mut self) -> Result<Literal, LiteralError> {
        let start = self.at;
        while self.peek().is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_') {
            self.at += 1;
        }
        let value = match &self.text[start..self.at] {
            "None" | "null" => Literal::None,
            "True" | "true" => Literal::Bool(true),
            "False" | "false" => Literal::Bool(false),
            "nan" | "NaN" => Literal::Float(f64::NAN),
            "inf" | "Infinity" => Literal::Float(f64::INFINITY),
            _ => {
                return Err(LiteralError { at: start, reason: "a name is not a literal" });
            }
        };
        Ok(value)
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
