//! Names of certificates.
//!
//! Owns: the slash form that people and files of the grid write (`/DC=org/CN=Alice`), comparison as OpenSSL compares, and the hash by which files of a CA
//! directory are named. Must not know: whose name it is.

use std::fmt::Write as _;

use ring::digest;

use super::der::{Element, Elements, Malformed, Read, tag};

/// Types of the parts of a name, by the octets of their OID.
const TYPES: &[(&[u8], &str)] = &[
    (&[0x55, 4, 3], "CN"),
    (&[0x55, 4, 4], "SN"),
    (&[0x55, 4, 5], "serialNumber"),
    (&[0x55, 4, 6], "C"),
    (&[0x55, 4, 7], "L"),
    (&[0x55, 4, 8], "ST"),
    (&[0x55, 4, 9], "street"),
    (&[0x55, 4, 10], "O"),
    (&[0x55, 4, 11], "OU"),
    (&[0x55, 4, 12], "title"),
    (&[0x55, 4, 13], "description"),
    (&[0x55, 4, 17], "postalCode"),
    (&[0x55, 4, 41], "name"),
    (&[0x55, 4, 42], "GN"),
    (&[0x55, 4, 43], "initials"),
    (&[0x55, 4, 44], "generationQualifier"),
    (&[0x55, 4, 46], "dnQualifier"),
    (&[0x55, 4, 65], "pseudonym"),
    (&[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 1], "UID"),
    (&[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 25], "DC"),
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 1], "emailAddress"),
];
/// OID of the common name.
const COMMON_NAME: &[u8] = &[0x55, 4, 3];
/// Most parts of a name.
const MAX_PARTS: usize = 64;

/// One type with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Part {
    /// Octets of the type's OID.
    kind: Vec<u8>,
    tag: u8,
    value: Vec<u8>,
    /// Which relative name it stands in; most have one part each.
    set: usize,
}

/// A name, from the root down.
#[derive(Debug, Clone)]
pub struct Name {
    parts: Vec<Part>,
    canonical: Vec<u8>,
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.canonical == other.canonical
    }
}

impl Eq for Name {}

impl Name {
    /// Reads a `Name`.
    ///
    /// # Errors
    /// [`Malformed`] when it is none.
    pub fn read(element: &Element<'_>) -> Read<Self> {
        const WHAT: &str = "a name";
        if element.tag != tag::SEQUENCE {
            return Err(Malformed(WHAT));
        }
        let mut parts = Vec::new();
        let mut sets = element.inner();
        let mut set = 0;
        while !sets.is_empty() {
            let mut pairs = sets.next(tag::SET, WHAT)?.inner();
            while !pairs.is_empty() {
                let mut pair = pairs.sequence(WHAT)?;
                let kind = pair.next(tag::OID, WHAT)?.value.to_vec();
                let value = pair.any(WHAT)?;
                pair.end(WHAT)?;
                parts.push(Part { kind, tag: value.tag, value: value.value.to_vec(), set });
                if parts.len() > MAX_PARTS {
                    return Err(Malformed("a name of no more than 64 parts"));
                }
            }
            set += 1;
        }
        let canonical = canonical(&parts);
        Ok(Self { parts, canonical })
    }

    /// What two names that OpenSSL holds for the same have in common.
    #[must_use]
    pub fn canonical(&self) -> &[u8] {
        &self.canonical
    }

    /// Whether it has no parts.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Whether it is another name with exactly one more part at the end, a common name that stands alone (RFC 3820 section 3.4).
    #[must_use]
    pub fn extends(&self, other: &Self) -> bool {
        let Some((last, rest)) = self.parts.split_last() else { return false };
        let is_alone = rest.last().is_none_or(|before| before.set != last.set);
        rest.len() == other.parts.len() && !rest.is_empty() && is_alone && last.kind == COMMON_NAME && canonical(rest) == other.canonical
    }

    /// Whether it stands below another name, or is it.
    #[must_use]
    pub fn is_within(&self, base: &Self) -> bool {
        self.canonical.starts_with(&base.canonical)
    }

    /// The last common name, as text.
    #[must_use]
    pub fn common_name(&self) -> Option<String> {
        self.parts.iter().rev().find(|part| part.kind == COMMON_NAME).map(Part::text)
    }

    /// Every common name, from the root down.
    pub fn common_names(&self) -> impl Iterator<Item = String> {
        self.parts.iter().filter(|part| part.kind == COMMON_NAME).map(Part::text)
    }

    /// The slash form as OpenSSL writes it on one line: octets that are no printable ASCII as `\xHH`.
    #[must_use]
    pub fn slash(&self) -> String {
        let mut text = String::new();
        let mut before = None;
        for part in &self.parts {
            text.push(if before == Some(part.set) { '+' } else { '/' });
            before = Some(part.set);
            match TYPES.iter().find(|(oid, _)| *oid == part.kind) {
                Some((_, name)) => drop(write!(text, "{name}=")),
                None => match ::der::asn1::ObjectIdentifier::from_bytes(&part.kind) {
                    Ok(oid) => drop(write!(text, "{oid}=")),
                    Err(_) => text.push_str("?="),
                },
            }
            for octet in part.octets() {
                match octet {
                    b' '..=b'~' => text.push(char::from(octet)),
                    other => drop(write!(text, "\\x{other:02X}")),
                }
            }
        }
        text
    }

    /// The number in names of files of a CA directory, `xxxxxxxx.0`: as `openssl rehash` makes it.
    #[must_use]
    pub fn hash(&self) -> u32 {
        let digest = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, &self.canonical);
        digest.as_ref().iter().take(4).rev().fold(0, |sum, octet| sum << 8 | u32::from(*octet))
    }
}

impl Part {
    /// Octets as OpenSSL shows them: two- and four-octet strings without their zero octets.
    fn octets(&self) -> Vec<u8> {
        if self.tag == tag::BMP_STRING { self.value.iter().copied().filter(|octet| *octet != 0).collect() } else { self.value.clone() }
    }

    fn text(&self) -> String {
        match self.tag {
            tag::BMP_STRING => {
                let units: Vec<u16> = self.value.chunks_exact(2).map(|pair| u16::from(pair[0]) << 8 | u16::from(pair[1])).collect();
                String::from_utf16_lossy(&units)
            }
            tag::T61_STRING => self.value.iter().map(|octet| char::from(*octet)).collect(),
            _ => String::from_utf8_lossy(&self.value).into_owned(),
        }
    }
}

/// The form in which OpenSSL compares: texts in UTF-8, in lower case (ASCII), white space collapsed; without the outer SEQUENCE.
fn canonical(parts: &[Part]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut begin = 0;
    while let Some(first) = parts.get(begin) {
        let end = begin + parts[begin..].iter().take_while(|part| part.set == first.set).count();
        let mut pairs: Vec<Vec<u8>> = parts[begin..end].iter().map(canonical_pair).collect();
        pairs.sort();
        out.extend(wrap(tag::SET, &pairs.concat()));
        begin = end;
    }
    out
}

fn canonical_pair(part: &Part) -> Vec<u8> {
    let value = match part.tag {
        tag::UTF8_STRING | tag::PRINTABLE_STRING | tag::T61_STRING | tag::IA5_STRING | tag::VISIBLE_STRING | tag::BMP_STRING => {
            let words: Vec<String> =
                part.text().split(is_space).filter(|word| !word.is_empty()).map(|word| word.to_ascii_lowercase()).collect();
            wrap(tag::UTF8_STRING, words.join(" ").as_bytes())
        }
        other => wrap(other, &part.value),
    };
    wrap(tag::SEQUENCE, &[wrap(tag::OID, &part.kind), value].concat())
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\u{b}' | '\u{c}')
}

/// An element of these octets.
pub(super) fn wrap(tag: u8, value: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    match u8::try_from(value.len()) {
        Ok(short) if short < 0x80 => out.push(short),
        _ => {
            let octets: Vec<u8> = value.len().to_be_bytes().into_iter().skip_while(|octet| *octet == 0).collect();
            out.push(0x80 | u8::try_from(octets.len()).unwrap_or(8));
            out.extend(octets);
        }
    }
    out.extend(value);
    out
}

/// The name in a slash form as files write it, for comparison: `Email`, `E` and `emailAddress` are one type, so are `UID` and `USERID`.
#[must_use]
pub fn tidy(slash: &str) -> String {
    slash.trim().replace("/emailAddress=", "/Email=").replace("/E=", "/Email=").replace("/USERID=", "/UID=").replace("/userId=", "/UID=")
}

/// Reads a name that stands alone.
pub(super) fn name(elements: &mut Elements<'_>, what: &'static str) -> Read<Name> {
    Name::read(&elements.any(what)?)
}
