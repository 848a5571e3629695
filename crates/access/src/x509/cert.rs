//! One certificate, read.
//!
//! Owns: what of a certificate decides (RFC 5280 section 4, RFC 3820 section 3.8). Must not know: whether it is trusted.

use std::sync::Arc;

use super::der::{Elements, Extension, Malformed, Read, tag};
use super::name::{self, Name};
use super::oid;

/// Extensions that may be critical: whoever checks a chain here does what they say, or they only say what we do not ask.
const UNDERSTOOD: &[&[u8]] = &[
    oid::KEY_USAGE,
    oid::SUBJECT_ALT_NAME,
    oid::BASIC_CONSTRAINTS,
    oid::NAME_CONSTRAINTS,
    oid::CRL_POINTS,
    oid::POLICIES,
    oid::POLICY_MAPPINGS,
    oid::POLICY_CONSTRAINTS,
    oid::EXTENDED_KEY_USAGE,
    oid::INHIBIT_ANY_POLICY,
    oid::NETSCAPE_TYPE,
    oid::PROXY_INFO,
];
/// Most extensions of a certificate.
const MAX_EXTENSIONS: usize = 64;

/// Bits of key usage.
pub mod usage {
    #![allow(missing_docs, reason = "the names are RFC 5280's")]
    pub const DIGITAL_SIGNATURE: u16 = 1;
    pub const KEY_AGREEMENT: u16 = 1 << 4;
    pub const KEY_CERT_SIGN: u16 = 1 << 5;
    pub const CRL_SIGN: u16 = 1 << 6;
}

/// What a proxy hands on of its issuer's rights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Delegation {
    /// All of them.
    Full,
    /// All, but not the right to start jobs: Globus' limited proxy.
    Limited,
    /// None: it stands for itself.
    Independent,
    /// Those that a text in a language says which we do not read.
    Restricted,
}

/// `proxyCertInfo`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proxy {
    /// How many proxies may follow; None = no bound of its own.
    pub path_length: Option<u64>,
    /// What it hands on.
    pub delegation: Delegation,
}

/// Extended key usage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Purposes {
    /// For TLS clients.
    pub client: bool,
    /// For TLS servers.
    pub server: bool,
}

/// Where a CA's names must be, and must not be.
#[derive(Debug, Clone, Default)]
pub struct NameConstraints {
    /// Subjects must stand below one of these, if there is any.
    pub permitted: Vec<Name>,
    /// And below none of these.
    pub excluded: Vec<Name>,
    /// Whether names of another kind are constrained, too: those of machines, mail and so on.
    pub others: bool,
}

/// A certificate.
#[derive(Debug, Clone)]
pub struct Certificate {
    /// All of it, DER.
    pub raw: Arc<[u8]>,
    /// Where in it the signed part stands.
    signed: std::ops::Range<usize>,
    /// Octets of the serial number.
    pub serial: Vec<u8>,
    /// Whose it is.
    pub subject: Name,
    /// Who signed it.
    pub issuer: Name,
    /// Start, seconds UTC since 1970.
    pub not_before: i64,
    /// End, seconds UTC since 1970.
    pub not_after: i64,
    /// `SubjectPublicKeyInfo`, DER.
    pub key_info: Vec<u8>,
    /// Algorithm of the key, without the SEQUENCE's header.
    pub key_algorithm: Vec<u8>,
    /// The key.
    pub key: Vec<u8>,
    /// Algorithm of the signature, without the SEQUENCE's header.
    pub signature_algorithm: Vec<u8>,
    /// The signature.
    pub signature: Vec<u8>,
    /// Version, 1 to 3.
    pub version: u64,
    /// CA or not, where it says so.
    pub is_ca: Option<bool>,
    /// How many CAs may follow.
    pub path_length: Option<u64>,
    /// Key usage, where it says so.
    pub key_usage: Option<u16>,
    /// Extended key usage, where it says so.
    pub purposes: Option<Purposes>,
    /// Identifier of its key.
    pub subject_key_id: Option<Vec<u8>>,
    /// Identifier of its issuer's key.
    pub authority_key_id: Option<Vec<u8>>,
    /// Names of machines that it is for.
    pub dns_names: Vec<String>,
    /// Addresses of machines that it is for, 4 or 16 octets each.
    pub addresses: Vec<Vec<u8>>,
    /// Whether it has names besides the subject: of machines, mail and so on.
    pub has_alternative_names: bool,
    /// Whether its issuer has.
    has_issuer_alternative_names: bool,
    /// What makes it a proxy.
    pub proxy: Option<Proxy>,
    /// Whether it is a proxy in the form before RFC 3820.
    pub is_old_proxy: bool,
    /// Where its CA's names must be.
    pub constraints: Option<NameConstraints>,
    /// Where its issuer's certificate can be fetched.
    pub issuer_addresses: Vec<String>,
    /// VOMS attribute certificates, DER.
    pub voms: Vec<Vec<u8>>,
    /// A critical extension that nobody here understands.
    pub unknown_critical: Option<String>,
}

impl Certificate {
    /// Reads a certificate.
    ///
    /// # Errors
    /// [`Malformed`] with what could not be read.
    pub fn read(der: &[u8]) -> Read<Self> {
        let mut outer = Elements::of(der);
        let whole = outer.next(tag::SEQUENCE, "a certificate")?;
        outer.end("nothing behind the certificate")?;
        let mut parts = whole.inner();
        let tbs = parts.next(tag::SEQUENCE, "the signed part")?;
        let signature_algorithm = parts.next(tag::SEQUENCE, "the signature algorithm")?.value.to_vec();
        let signature = parts.next(tag::BIT_STRING, "the signature")?.octets("the signature")?.to_vec();
        parts.end("nothing behind the signature")?;
        let head = whole.raw.len() - whole.value.len();
        let mut e = tbs.inner();
        let version = match e.optional(tag::constructed(0), "the version")? {
            Some(version) => version.inner().next(tag::INTEGER, "the version")?.number("the version")?.saturating_add(1),
            None => 1,
        };
        let serial = e.next(tag::INTEGER, "the serial number")?.value.to_vec();
        let inner_algorithm = e.next(tag::SEQUENCE, "the signature algorithm")?;
        if inner_algorithm.value != signature_algorithm {
            return Err(Malformed("one signature algorithm in both places"));
        }
        let issuer = name::name(&mut e, "the issuer")?;
        let mut validity = e.sequence("the validity")?;
        let not_before = validity.any("the start of validity")?.time("the start of validity")?;
        let not_after = validity.any("the end of validity")?.time("the end of validity")?;
        let subject = name::name(&mut e, "the subject")?;
        let key_info = e.next(tag::SEQUENCE, "the public key")?;
        let mut key_parts = key_info.inner();
        let key_algorithm = key_parts.next(tag::SEQUENCE, "the key algorithm")?.value.to_vec();
        let key = key_parts.next(tag::BIT_STRING, "the public key")?.octets("the public key")?.to_vec();
        let mut certificate = Self {
            raw: der.into(),
            signed: head..head + tbs.raw.len(),
            serial,
            subject,
            issuer,
            not_before,
            not_after,
            key_info: key_info.raw.to_vec(),
            key_algorithm,
            key,
            signature_algorithm,
            signature,
            version,
            is_ca: None,
            path_length: None,
            key_usage: None,
            purposes: None,
            subject_key_id: None,
            authority_key_id: None,
            dns_names: Vec::new(),
            addresses: Vec::new(),
            has_alternative_names: false,
            has_issuer_alternative_names: false,
            proxy: None,
            is_old_proxy: false,
            constraints: None,
            issuer_addresses: Vec::new(),
            voms: Vec::new(),
            unknown_critical: None,
        };
        e.optional(tag::context(1), "the issuer's identifier")?;
        e.optional(tag::context(2), "the subject's identifier")?;
        if let Some(extensions) = e.optional(tag::constructed(3), "the extensions")? {
            certificate.extensions(extensions.inner().sequence("the extensions")?)?;
        }
        e.end("nothing behind the extensions")?;
        certificate.check_proxy()?;
        Ok(certificate)
    }

    fn extensions(&mut self, mut list: Elements<'_>) -> Read<()> {
        let mut seen: Vec<&[u8]> = Vec::new();
        while !list.is_empty() {
            let Extension { oid, is_critical, value } = list.extension()?;
            if seen.contains(&oid) || seen.len() >= MAX_EXTENSIONS {
                return Err(Malformed("each extension once, 64 at most"));
            }
            seen.push(oid);
            if is_critical && !UNDERSTOOD.contains(&oid) && oid != oid::GLOBUS_PROXY_INFO {
                let shown = ::der::asn1::ObjectIdentifier::from_bytes(oid).map_or_else(|_| "?".to_owned(), |oid| oid.to_string());
                self.unknown_critical = Some(shown);
            }
            self.extension(oid, value)?;
        }
        Ok(())
    }

    fn extension(&mut self, oid: &[u8], value: &[u8]) -> Read<()> {
        let mut e = Elements::of(value);
        match oid {
            oid::BASIC_CONSTRAINTS => {
                const WHAT: &str = "the basic constraints";
                let mut inner = e.sequence(WHAT)?;
                self.is_ca = Some(inner.optional(tag::BOOLEAN, WHAT)?.map_or(Ok(false), |flag| flag.flag(WHAT))?);
                self.path_length = inner.optional(tag::INTEGER, WHAT)?.map(|number| number.number(WHAT)).transpose()?;
            }
            oid::KEY_USAGE => self.key_usage = Some(e.any("the key usage")?.named_bits("the key usage")?),
            oid::EXTENDED_KEY_USAGE => {
                const WHAT: &str = "the extended key usage";
                let mut purposes = Purposes { client: false, server: false };
                let mut inner = e.sequence(WHAT)?;
                while !inner.is_empty() {
                    match inner.next(tag::OID, WHAT)?.value {
                        oid::CLIENT_AUTH => purposes.client = true,
                        oid::SERVER_AUTH => purposes.server = true,
                        _ => {}
                    }
                }
                self.purposes = Some(purposes);
            }
            oid::SUBJECT_KEY_ID => self.subject_key_id = Some(e.next(tag::OCTET_STRING, "the key's identifier")?.value.to_vec()),
            oid::AUTHORITY_KEY_ID => {
                const WHAT: &str = "the issuer's key identifier";
                self.authority_key_id = e.sequence(WHAT)?.optional(tag::context(0), WHAT)?.map(|id| id.value.to_vec());
            }
            oid::SUBJECT_ALT_NAME => self.alternative_names(e.sequence("the alternative names")?)?,
            oid::ISSUER_ALT_NAME => self.has_issuer_alternative_names = true,
            oid::NAME_CONSTRAINTS => self.constraints = Some(constraints(e.sequence("the name constraints")?)?),
            oid::PROXY_INFO => self.proxy = Some(proxy(e.sequence("the proxy's information")?)?),
            oid::GLOBUS_PROXY_INFO => self.is_old_proxy = true,
            // Only a hint for people: what of it cannot be read decides nothing.
            oid::AUTHORITY_ACCESS => self.issuer_addresses = addresses(e).unwrap_or_default(),
            oid::VOMS => {
                let mut lists = e.sequence("the VOMS attributes")?;
                while !lists.is_empty() {
                    let mut list = lists.sequence("the VOMS attributes")?;
                    while !list.is_empty() {
                        self.voms.push(list.any("the VOMS attributes")?.raw.to_vec());
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn alternative_names(&mut self, mut names: Elements<'_>) -> Read<()> {
        self.has_alternative_names = true;
        while !names.is_empty() {
            let name = names.any("an alternative name")?;
            if name.tag == tag::context(2) {
                self.dns_names.extend(std::str::from_utf8(name.value).map(str::to_ascii_lowercase));
            } else if name.tag == tag::context(7) {
                self.addresses.push(name.value.to_vec());
            }
        }
        Ok(())
    }

    /// A proxy has no names of its own and is no CA; one that is older than RFC 3820 shows by its name only.
    fn check_proxy(&mut self) -> Read<()> {
        if self.proxy.is_some() && (self.is_ca == Some(true) || self.has_alternative_names || self.has_issuer_alternative_names) {
            return Err(Malformed("a proxy that is no CA and has no alternative names"));
        }
        let cn = self.subject.common_name();
        let is_named_so = cn.is_some_and(|cn| matches!(cn.as_str(), "proxy" | "limited proxy"));
        self.is_old_proxy |= self.proxy.is_none() && is_named_so && self.subject.extends(&self.issuer);
        Ok(())
    }

    /// The part that is signed.
    #[must_use]
    pub fn signed(&self) -> &[u8] {
        self.raw.get(self.signed.clone()).unwrap_or_default()
    }

    /// Whether subject and issuer are the same.
    #[must_use]
    pub fn is_self_issued(&self) -> bool {
        self.subject == self.issuer
    }

    /// Whether it may do this with its key; without a word about it, it may.
    #[must_use]
    pub fn may(&self, usage: u16) -> bool {
        self.key_usage.is_none_or(|allowed| allowed & usage != 0)
    }

    /// Whether it is a CA's: it says so, or is of the age before certificates could and vouches for itself, or may sign certificates.
    #[must_use]
    pub fn is_ca(&self) -> bool {
        match (self.is_ca, self.key_usage) {
            (_, Some(_)) if !self.may(usage::KEY_CERT_SIGN) => false,
            (Some(is_ca), _) => is_ca,
            (None, _) if self.version == 1 && self.is_self_issued() => true,
            (None, key_usage) => key_usage.is_some(),
        }
    }
}

fn proxy(mut e: Elements<'_>) -> Read<Proxy> {
    const WHAT: &str = "the proxy's information";
    let path_length = e.optional(tag::INTEGER, WHAT)?.map(|number| number.number(WHAT)).transpose()?;
    let mut policy = e.sequence(WHAT)?;
    let delegation = match policy.next(tag::OID, WHAT)?.value {
        oid::INHERIT_ALL => Delegation::Full,
        oid::LIMITED => Delegation::Limited,
        oid::INDEPENDENT => Delegation::Independent,
        _ => Delegation::Restricted,
    };
    Ok(Proxy { path_length, delegation })
}

/// Addresses of the issuer's certificate; other things that can be asked for there are passed over.
fn addresses(mut value: Elements<'_>) -> Read<Vec<String>> {
    const WHAT: &str = "the authority's access";
    let mut list = value.sequence(WHAT)?;
    let mut found = Vec::new();
    while !list.is_empty() {
        let mut entry = list.sequence(WHAT)?;
        let is_issuer = entry.next(tag::OID, WHAT)?.value == oid::CA_ISSUERS;
        let place = entry.any(WHAT)?;
        if is_issuer && place.tag == tag::context(6) {
            found.extend(std::str::from_utf8(place.value).map(str::to_owned));
        }
    }
    Ok(found)
}

fn constraints(mut e: Elements<'_>) -> Read<NameConstraints> {
    const WHAT: &str = "the name constraints";
    let mut all = NameConstraints::default();
    for (number, permitted) in [(0, true), (1, false)] {
        let Some(list) = e.optional(tag::constructed(number), WHAT)? else { continue };
        let mut trees = list.inner();
        while !trees.is_empty() {
            let base = trees.sequence(WHAT)?.any(WHAT)?;
            if base.tag != tag::constructed(4) {
                all.others = true;
                continue;
            }
            let name = name::name(&mut base.inner(), WHAT)?;
            if permitted { all.permitted.push(name) } else { all.excluded.push(name) }
        }
    }
    Ok(all)
}
