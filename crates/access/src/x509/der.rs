//! Walking over DER.
//!
//! Owns: one element after another, and the few primitive types that certificates are made of. Must not know: certificates.

use der::asn1::{GeneralizedTime, ObjectIdentifier, UtcTime};
use der::{Decode as _, Header, Reader as _, SliceReader};

/// What was read is not what it should be; tells what was being read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed(pub &'static str);

/// Result of reading.
pub type Read<T> = Result<T, Malformed>;

/// Tags as their octets: class, form and number.
pub mod tag {
    #![allow(missing_docs, reason = "the names are ASN.1's")]
    pub const BOOLEAN: u8 = 1;
    pub const INTEGER: u8 = 2;
    pub const BIT_STRING: u8 = 3;
    pub const OCTET_STRING: u8 = 4;
    pub const OID: u8 = 6;
    pub const UTF8_STRING: u8 = 12;
    pub const PRINTABLE_STRING: u8 = 19;
    pub const T61_STRING: u8 = 20;
    pub const IA5_STRING: u8 = 22;
    pub const UTC_TIME: u8 = 23;
    pub const GENERALIZED_TIME: u8 = 24;
    pub const VISIBLE_STRING: u8 = 26;
    pub const BMP_STRING: u8 = 30;
    pub const SEQUENCE: u8 = 0x30;
    pub const SET: u8 = 0x31;
    /// Context-specific, primitive.
    pub const fn context(n: u8) -> u8 {
        0x80 | n
    }
    /// Context-specific, constructed.
    pub const fn constructed(n: u8) -> u8 {
        0xa0 | n
    }
}

/// One element.
#[derive(Debug, Clone, Copy)]
pub struct Element<'a> {
    /// The octet of its tag.
    pub tag: u8,
    /// What is in it.
    pub value: &'a [u8],
    /// All of it, with tag and length.
    pub raw: &'a [u8],
}

/// Elements that stand side by side.
#[derive(Debug, Clone)]
pub struct Elements<'a> {
    rest: &'a [u8],
}

/// An extension of a certificate, a revocation list or an attribute certificate.
#[derive(Debug, Clone, Copy)]
pub struct Extension<'a> {
    /// Its type.
    pub oid: &'a [u8],
    /// Whether who does not know it must refuse.
    pub is_critical: bool,
    /// What it says.
    pub value: &'a [u8],
}

impl<'a> Elements<'a> {
    /// Those in these bytes.
    #[must_use]
    pub fn of(rest: &'a [u8]) -> Self {
        Self { rest }
    }

    /// Whether there is no more.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The tag of the next one.
    #[must_use]
    pub fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// The next one as an extension (RFC 5280 section 4.1).
    ///
    /// # Errors
    /// [`Malformed`] when it is none.
    pub fn extension(&mut self) -> Read<Extension<'a>> {
        const WHAT: &str = "an extension";
        let mut parts = self.sequence(WHAT)?;
        let oid = parts.next(tag::OID, WHAT)?.value;
        let is_critical = parts.optional(tag::BOOLEAN, WHAT)?.map_or(Ok(false), |flag| flag.flag(WHAT))?;
        Ok(Extension { oid, is_critical, value: parts.next(tag::OCTET_STRING, WHAT)?.value })
    }

    /// The next one, whatever it is.
    ///
    /// # Errors
    /// [`Malformed`] when there is none or its length is beyond the end.
    pub fn any(&mut self, what: &'static str) -> Read<Element<'a>> {
        let bad = Malformed(what);
        let tag = self.peek().ok_or(bad)?;
        let mut reader = SliceReader::new(self.rest).map_err(|_| bad)?;
        let raw = reader.tlv_bytes().map_err(|_| bad)?;
        let header = Header::decode(&mut SliceReader::new(raw).map_err(|_| bad)?).map_err(|_| bad)?;
        let length = usize::try_from(header.length()).map_err(|_| bad)?;
        let value = raw.len().checked_sub(length).and_then(|start| raw.get(start..)).ok_or(bad)?;
        self.rest = self.rest.get(raw.len()..).ok_or(bad)?;
        Ok(Element { tag, value, raw })
    }

    /// The next one, of this tag.
    ///
    /// # Errors
    /// [`Malformed`] when there is none or it has another tag.
    pub fn next(&mut self, tag: u8, what: &'static str) -> Read<Element<'a>> {
        if self.peek() != Some(tag) {
            return Err(Malformed(what));
        }
        self.any(what)
    }

    /// The next one, if it has this tag.
    ///
    /// # Errors
    /// [`Malformed`] when it has the tag and cannot be read.
    pub fn optional(&mut self, tag: u8, what: &'static str) -> Read<Option<Element<'a>>> {
        if self.peek() == Some(tag) { self.any(what).map(Some) } else { Ok(None) }
    }

    /// What is in the next one, which is a SEQUENCE.
    ///
    /// # Errors
    /// [`Malformed`] when it is something else.
    pub fn sequence(&mut self, what: &'static str) -> Read<Elements<'a>> {
        self.next(tag::SEQUENCE, what).map(|e| Elements::of(e.value))
    }

    /// Holds that there is no more.
    ///
    /// # Errors
    /// [`Malformed`] when there is.
    pub fn end(&self, what: &'static str) -> Read<()> {
        if self.is_empty() { Ok(()) } else { Err(Malformed(what)) }
    }

    /// An object identifier.
    ///
    /// # Errors
    /// [`Malformed`] when it is something else.
    pub fn oid(&mut self, what: &'static str) -> Read<ObjectIdentifier> {
        let element = self.next(tag::OID, what)?;
        ObjectIdentifier::from_bytes(element.value).map_err(|_| Malformed(what))
    }
}

impl<'a> Element<'a> {
    /// What is in it.
    #[must_use]
    pub fn inner(&self) -> Elements<'a> {
        Elements::of(self.value)
    }

    /// Bits in whole octets.
    ///
    /// # Errors
    /// [`Malformed`] when octets are cut.
    pub fn octets(&self, what: &'static str) -> Read<&'a [u8]> {
        match self.value.split_first() {
            Some((0, octets)) if self.tag == tag::BIT_STRING => Ok(octets),
            _ => Err(Malformed(what)),
        }
    }

    /// Named bits: bit n of the mask is bit n of the string.
    ///
    /// # Errors
    /// [`Malformed`] for another type.
    pub fn named_bits(&self, what: &'static str) -> Read<u16> {
        let (unused, octets) = self.value.split_first().ok_or(Malformed(what))?;
        if self.tag != tag::BIT_STRING || *unused > 7 {
            return Err(Malformed(what));
        }
        let bits = octets.iter().take(2).enumerate();
        Ok(bits.fold(0, |mask, (n, octet)| mask | u16::from(octet.reverse_bits()) << (8 * n)))
    }

    /// A number that is not negative; what is larger than fits counts as the largest.
    ///
    /// # Errors
    /// [`Malformed`] for another type or a negative one.
    pub fn number(&self, what: &'static str) -> Read<u64> {
        match self.value.first() {
            Some(first) if self.tag == tag::INTEGER && *first < 0x80 => {}
            _ => return Err(Malformed(what)),
        }
        let digits: Vec<u8> = self.value.iter().copied().skip_while(|digit| *digit == 0).collect();
        Ok(if digits.len() > 8 { u64::MAX } else { digits.iter().fold(0, |n, digit| n << 8 | u64::from(*digit)) })
    }

    /// True or false. DER writes true as 255; older tools wrote 1.
    ///
    /// # Errors
    /// [`Malformed`] for another type.
    pub fn flag(&self, what: &'static str) -> Read<bool> {
        match self.value {
            [flag] if self.tag == tag::BOOLEAN => Ok(*flag != 0),
            _ => Err(Malformed(what)),
        }
    }

    /// A time, seconds UTC since 1970.
    ///
    /// # Errors
    /// [`Malformed`] for another type, no date, or one before 1970.
    pub fn time(&self, what: &'static str) -> Read<i64> {
        let since = match self.tag {
            tag::UTC_TIME => UtcTime::from_der(self.raw).map(|t| t.to_unix_duration()),
            tag::GENERALIZED_TIME => GeneralizedTime::from_der(self.raw).map(|t| t.to_unix_duration()),
            _ => return Err(Malformed(what)),
        };
        since.ok().and_then(|since| i64::try_from(since.as_secs()).ok()).ok_or(Malformed(what))
    }
}
