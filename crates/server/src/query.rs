//! Query strings and urlencoded forms.
//!
//! Owns splitting and decoding them. Must not know parameters.

/// Most pairs that one text may hold: a bound on memory; no method has more names.
pub const MAX_PAIRS: usize = 10_000;

/// Splits `a=1&b=two+words&b=%33`; order and repeated keys are kept, as are empty
/// values. Bytes that are no UTF-8 become U+FFFD.
#[must_use]
pub fn pairs(text: &[u8]) -> Vec<(String, String)> {
    let mut out = Vec::new();
    for piece in text.split(|b| *b == b'&').filter(|p| !p.is_empty()).take(MAX_PAIRS) {
        let (key, value) = match piece.iter().position(|b| *b == b'=') {
            Some(at) => (&piece[..at], &piece[at + 1..]),
            None => (piece, &piece[piece.len()..]),
        };
        out.push((decode(key), decode(value)));
    }
    out
}

fn decode(text: &[u8]) -> String {
    if !text.iter().any(|b| matches!(b, b'+' | b'%')) {
        return String::from_utf8_lossy(text).into_owned();
    }
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        match byte {
            b'+' => out.push(b' '),
            b'%' => match (hex(text.get(at + 1)), hex(text.get(at + 2))) {
                (Some(high), Some(low)) => {
                    out.push(high * 16 + low);
                    at += 2;
                }
                _ => out.push(b'%'),
            },
            other => out.push(*other),
        }
        at += 1;
    }
    match String::from_utf8(out) {
        Ok(text) => text,
        Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
    }
}

fn hex(byte: Option<&u8>) -> Option<u8> {
    match byte? {
        b @ b'0'..=b'9' => Some(b - b'0'),
        b @ b'a'..=b'f' => Some(b - b'a' + 10),
        b @ b'A'..=b'F' => Some(b - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_and_decodes() {
        let got = pairs(b"a=1&b=two+words&b=%33%zz&c&=x&&d=a%3Db=c&e=%c3%a9&f=%ff");
        let want = [("a", "1"), ("b", "two words"), ("b", "3%zz"), ("c", ""), ("", "x"), ("d", "a=b=c"), ("e", "é"), ("f", "\u{fffd}")];
        assert_eq!(got.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect::<Vec<_>>(), want);
        assert!(pairs(b"").is_empty());
        assert_eq!(pairs(b"%"), [("%".to_owned(), String::new())]);
    }
}
