//! Lists of revoked certificates.
//!
//! Owns: reading them (RFC 5280 section 5), and which kinds count. Must not know: whose certificate is looked at.

use std::collections::HashMap;

use super::cert::Certificate;
use super::der::{Elements, Extension, Malformed, Read, tag};
use super::name::{self, Name};
use super::refusal::Refusal;
use super::sign;

/// Octets of OIDs.
const ISSUING_POINT: &[u8] = &[0x55, 0x1d, 28];
const DELTA: &[u8] = &[0x55, 0x1d, 27];

/// A list.
#[derive(Debug, Clone)]
pub struct RevocationList {
    /// The CA whose list it is.
    pub issuer: Name,
    /// When it was made, seconds UTC since 1970.
    pub this_update: i64,
    /// When the next one is due, seconds UTC since 1970; absent where the CA promises nothing.
    pub next_update: Option<i64>,
    /// Serial numbers, and since when, seconds UTC since 1970.
    pub revoked: HashMap<Vec<u8>, i64>,
    /// Why it cannot be used as a whole list.
    pub partial: Option<&'static str>,
    signed: Vec<u8>,
    signature_algorithm: Vec<u8>,
    signature: Vec<u8>,
}

impl RevocationList {
    /// Reads a list.
    ///
    /// # Errors
    /// [`Malformed`] with what could not be read.
    pub fn read(der: &[u8]) -> Read<Self> {
        let mut outer = Elements::of(der);
        let mut parts = outer.sequence("a revocation list")?;
        outer.end("nothing behind the list")?;
        let tbs = parts.next(tag::SEQUENCE, "the signed part")?;
        let signature_algorithm = parts.next(tag::SEQUENCE, "the signature algorithm")?.value.to_vec();
        let signature = parts.next(tag::BIT_STRING, "the signature")?.octets("the signature")?.to_vec();
        let mut e = tbs.inner();
        e.optional(tag::INTEGER, "the version")?;
        e.next(tag::SEQUENCE, "the signature algorithm")?;
        let issuer = name::name(&mut e, "the issuer")?;
        let this_update = e.any("the date")?.time("the date")?;
        let next_update = match e.peek() {
            Some(tag::UTC_TIME | tag::GENERALIZED_TIME) => Some(e.any("the next date")?.time("the next date")?),
            _ => None,
        };
        let mut list = Self {
            issuer,
            this_update,
            next_update,
            revoked: HashMap::new(),
            partial: None,
            signed: tbs.raw.to_vec(),
            signature_algorithm,
            signature,
        };
        if let Some(entries) = e.optional(tag::SEQUENCE, "the entries")? {
            list.entries(entries.inner())?;
        }
        if let Some(extensions) = e.optional(tag::constructed(0), "the extensions")? {
            list.extensions(extensions.inner().sequence("the extensions")?)?;
        }
        e.end("nothing behind the extensions")?;
        Ok(list)
    }

    fn entries(&mut self, mut entries: Elements<'_>) -> Read<()> {
        const WHAT: &str = "an entry";
        while !entries.is_empty() {
            let mut entry = entries.sequence(WHAT)?;
            let serial = entry.next(tag::INTEGER, WHAT)?.value.to_vec();
            let since = entry.any(WHAT)?.time(WHAT)?;
            let mut extensions = entry.optional(tag::SEQUENCE, WHAT)?.map(|e| e.inner()).unwrap_or_else(|| Elements::of(&[]));
            while !extensions.is_empty() {
                let mut extension = extensions.sequence(WHAT)?;
                extension.next(tag::OID, WHAT)?;
                if extension.optional(tag::BOOLEAN, WHAT)?.is_some_and(|flag| flag.flag(WHAT) != Ok(false)) {
                    // Such as an entry of another CA.
                    self.partial = Some("an entry has a critical extension");
                }
            }
            self.revoked.insert(serial, since);
        }
        Ok(())
    }

    fn extensions(&mut self, mut list: Elements<'_>) -> Read<()> {
        const WHAT: &str = "an extension";
        while !list.is_empty() {
            let Extension { oid, is_critical, value } = list.extension()?;
            match oid {
                ISSUING_POINT => {
                    let mut scope = Elements::of(value).sequence(WHAT)?;
                    scope.optional(tag::constructed(0), WHAT)?;
                    // What follows narrows the list to some certificates or reasons.
                    if !scope.is_empty() {
                        self.partial = Some("it is not of all certificates of its CA");
                    }
                }
                DELTA => self.partial = Some("it tells only what has changed since another list"),
                _ if is_critical => self.partial = Some("it has a critical extension that nobody here understands"),
                _ => {}
            }
        }
        Ok(())
    }

    /// Holds that the CA signed it.
    ///
    /// # Errors
    /// [`Refusal`] when not.
    pub fn verify(&self, ca: &Certificate) -> Result<(), Refusal> {
        let what = format!("the revocation list of {}", self.issuer.slash());
        if !ca.may(super::cert::usage::CRL_SIGN) {
            return Err(Refusal::BrokenList { ca: ca.subject.slash(), why: "the CA may not sign such lists (key usage)".to_owned() });
        }
        sign::verify(&self.signature_algorithm, &self.signed, &self.signature, ca, &what)
    }
}

impl From<Malformed> for String {
    fn from(malformed: Malformed) -> Self {
        format!("{} was expected there", malformed.0)
    }
}
