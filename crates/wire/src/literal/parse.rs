//! The parser of literals: one pass, no expression is evaluated, bounded depth and number.

use super::{Literal, LiteralError, MAX_DEPTH, MAX_VALUES};

/// Reads a text that is one literal.
pub(super) fn whole(text: &str) -> Result<Literal, LiteralError> {
    let mut parser = Parser { text, bytes: text.as_bytes(), at: 0, values: 0 };
    let value = parser.value(0)?;
    parser.space();
    if parser.at < parser.bytes.len() {
        return Err(parser.error("unexpected text after the value"));
    }
    Ok(value)
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
