//! What is wrong with a chain, for people: which kind of fault, in one sentence, and what to do.
//!
//! Owns: how a chain looks to one who has a certain set of CAs, and names of machines (RFC 6125 section 6). Must not know: where chains and CAs come from.

use std::net::IpAddr;
use std::sync::Arc;

use super::MAX_CHAIN;
use super::caller::acts_fully;
use super::cert::Certificate;
use super::chain::{Holds, Purpose, verify};
use super::refusal::{Refusal, date};
use super::trust::Trust;

/// Longest lifetime of a proxy that relying parties of the grid agreed on, seconds.
pub const MAX_PROXY_LIFE_S: i64 = 1_000_000;

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A certificate of the chain is over.
    Expired,
    /// A certificate of the chain is not valid yet; mostly a clock is wrong.
    NotYetValid,
    /// It is for other machines.
    WrongName,
    /// A CA between the certificate and the root was not sent along.
    MissingIntermediate,
    /// The root is not trusted.
    UnknownCa,
    /// Too many proxies, or one that lives too long.
    ProxyTooLong,
    /// The CA has taken it back.
    Revoked,
    /// Anything else.
    Unfit,
}

impl Kind {
    /// The word for programs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::WrongName => "wrong_name",
            Self::MissingIntermediate => "missing_intermediate",
            Self::UnknownCa => "unknown_ca",
            Self::ProxyTooLong => "proxy_too_long",
            Self::Revoked => "revoked",
            Self::Unfit => "unfit",
        }
    }
}

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Which kind.
    pub kind: Kind,
    /// What is wrong, one sentence.
    pub text: String,
    /// What to do.
    pub hint: String,
}

impl Fault {
    fn new(kind: Kind, text: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { kind, text: text.into(), hint: hint.into() }
    }
}

/// One who looks at a chain.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// The CAs that count.
    pub trust: &'a Trust,
    /// Where they are, for hints.
    pub place: &'a str,
    /// Certificates that are known from anywhere, to tell a CA that was not sent from one that nobody knows.
    pub known: &'a Trust,
    /// Seconds UTC since 1970.
    pub now_s: i64,
}

/// Everything that is wrong with the chain of a server; with what it was verified by, when it holds.
#[must_use]
pub fn of_server(chain: &[Vec<u8>], view: View<'_>, name: Option<&HostName>) -> (Option<Holds>, Vec<Fault>) {
    let (holds, mut faults) = match verify(chain, view.trust, view.now_s, Purpose::Server) {
        Ok(holds) => (Some(holds), Vec::new()),
        Err(why) => (None, vec![explain(&why, chain, view)]),
    };
    if let (Some(name), Some(Ok(own))) = (name, chain.first().map(|der| Certificate::read(der)))
        && !name.is_of(&own)
    {
        faults.push(Fault::new(
            Kind::WrongName,
            format!("the certificate is for {}, not for {name}", names(&own)),
            "use a name that it is for, or get one with this name among its alternative names",
        ));
    }
    (holds, faults)
}

/// Everything that is wrong with the chain of a client: a person's certificate or proxies of it.
#[must_use]
pub fn of_client(chain: &[Vec<u8>], view: View<'_>) -> (Option<Holds>, Vec<Fault>) {
    let holds = match verify(chain, view.trust, view.now_s, Purpose::Client) {
        Ok(holds) => holds,
        Err(why) => return (None, vec![explain(&why, chain, view)]),
    };
    let mut faults = Vec::new();
    if let Err(why) = acts_fully(&holds) {
        faults.push(explain(&why, chain, view));
    }
    faults.extend(holds.chain[..holds.holder].iter().zip(&holds.chain[1..]).find_map(|(proxy, issuer)| too_long(proxy, issuer)));
    (Some(holds), faults)
}

/// A proxy that says to live longer than its issuer does, or than anybody should trust one.
fn too_long(proxy: &Certificate, issuer: &Certificate) -> Option<Fault> {
    let name = proxy.subject.slash();
    if proxy.not_after > issuer.not_after {
        return Some(Fault::new(
            Kind::ProxyTooLong,
            format!(
                "the proxy {name} says that it lives until {}, but what it was made of ends on {}",
                date(proxy.not_after),
                date(issuer.not_after)
            ),
            "renew the certificate or proxy that it was made of, then make a new one",
        ));
    }
    let life = proxy.not_after.saturating_sub(proxy.not_before);
    (life > MAX_PROXY_LIFE_S).then(|| {
        Fault::new(
            Kind::ProxyTooLong,
            format!("the proxy {name} lives for {} days, 11 are the most that grid sites take", life / 86_400),
            "make one that lives shorter: `voms-proxy-init -rfc -valid 96:00`",
        )
    })
}

fn explain(why: &Refusal, chain: &[Vec<u8>], view: View<'_>) -> Fault {
    let (kind, hint): (Kind, String) = match why {
        Refusal::UnknownIssuer { .. } | Refusal::SelfSigned(_) => return unknown(why, chain, view),
        Refusal::Expired { .. } => (Kind::Expired, "renew it, and check that the clock of this machine is right".to_owned()),
        Refusal::NotYet { .. } => {
            (Kind::NotYetValid, "compare `date -u` here and there; set clocks by NTP, or wait until it is valid".to_owned())
        }
        Refusal::ProxyPathLength(_) => {
            (Kind::ProxyTooLong, "make the proxy of one with fewer before it, or make that one without a path length".to_owned())
        }
        Refusal::TooLong(_) => {
            (Kind::ProxyTooLong, format!("{MAX_CHAIN} certificates are the most: make the proxy of one with fewer before it"))
        }
        Refusal::Revoked { .. } => (Kind::Revoked, "ask the CA for a new one".to_owned()),
        Refusal::StaleList { .. } | Refusal::BrokenList { .. } => (Kind::Unfit, format!("fetch the list anew into {}", view.place)),
        Refusal::BrokenPolicy { .. } | Refusal::SigningPolicy { .. } => {
            (Kind::Unfit, format!("look at the CA's `.signing_policy` in {}", view.place))
        }
        Refusal::Signature(_) => {
            (Kind::Unfit, "look whether the CA was renewed, and whether the chain is that of this certificate".to_owned())
        }
        Refusal::Limited(_) | Refusal::Independent(_) | Refusal::Restricted(_) | Refusal::OldProxy(_) => {
            (Kind::Unfit, "make a proxy that hands on all rights: `voms-proxy-init -rfc`".to_owned())
        }
        _ => (Kind::Unfit, "get a certificate that fits this use".to_owned()),
    };
    Fault::new(kind, why.to_string(), hint)
}

/// No way leads to a trusted CA: something in between was not sent, or the root is not trusted.
fn unknown(why: &Refusal, chain: &[Vec<u8>], view: View<'_>) -> Fault {
    let sent: Vec<Certificate> = chain.iter().take(MAX_CHAIN).filter_map(|der| Certificate::read(der).ok()).collect();
    let Some(top) = top(&sent) else { return Fault::new(Kind::Unfit, why.to_string(), "look at the file of the chain") };
    let (subject, issuer, file) = (top.subject.slash(), top.issuer.slash(), format!("{:08x}.0", top.issuer.hash()));
    let place = view.place;
    if top.is_self_issued() {
        return Fault::new(
            Kind::UnknownCa,
            format!("{subject} vouches for itself and is not among the CAs of {place}"),
            format!("if it is to be trusted, put it into {place} as `{file}`; else get a certificate of a CA that is there"),
        );
    }
    let missing = |text: String, hint: String| Fault::new(Kind::MissingIntermediate, text, hint);
    let beyond = view.known.named(top.issuer.canonical()).iter().find(|a| !a.certificate.is_self_issued());
    if let Some(authority) = beyond {
        return missing(
            format!(
                "{subject} was issued by {issuer}, which is not sent along: who does not happen to have it finds no way to a trusted CA"
            ),
            format!(
                "put the certificate of {issuer}, which is in `{}`, behind the own one in the file of the chain",
                authority.file.display()
            ),
        );
    }
    // Somebody meant to send a chain: what is above the gap is there.
    let is_gap = sent.iter().any(|c| c.is_ca() && c.raw != top.raw && !vouches(&sent, c));
    if is_gap {
        return missing(
            format!("{subject} was issued by {issuer}, which is not sent along, though CAs above it are"),
            format!("put the certificate of {issuer} into the file of the chain, right behind what it issued"),
        );
    }
    if let Some(address) = top.issuer_addresses.first() {
        return missing(
            format!("{subject} was issued by {issuer}, which is neither sent along nor among the CAs of {place}"),
            format!("fetch it from {address} and put it behind the own certificate in the file of the chain"),
        );
    }
    Fault::new(
        Kind::UnknownCa,
        format!("{subject} was issued by {issuer}, which is not among the CAs of {place}"),
        format!("if it is to be trusted, put it into {place} as `{file}`; if it is itself issued by another CA, send it along"),
    )
}

/// How far what was sent leads up from the first.
fn top(sent: &[Certificate]) -> Option<&Certificate> {
    let mut top = sent.first()?;
    for _ in 0..sent.len() {
        if top.is_self_issued() {
            break;
        }
        match sent.iter().find(|c| c.subject == top.issuer) {
            Some(issuer) => top = issuer,
            None => break,
        }
    }
    Some(top)
}

/// Whether a certificate is on the way up from the first one.
fn vouches(sent: &[Certificate], wanted: &Certificate) -> bool {
    let mut at = sent.first();
    for _ in 0..=sent.len() {
        match at {
            Some(c) if c.raw == wanted.raw => return true,
            Some(c) if !c.is_self_issued() => at = sent.iter().find(|next| next.subject == c.issuer),
            _ => return false,
        }
    }
    false
}

/// The machines that a certificate is for.
fn names(own: &Certificate) -> String {
    let addresses = own.addresses.iter().filter_map(|octets| address(octets)).map(|address| address.to_string());
    let all: Vec<String> = own.dns_names.iter().cloned().chain(addresses).collect();
    match (all.is_empty(), own.subject.common_name()) {
        (false, _) => all.join(", "),
        (true, Some(name)) => format!("{name} by its common name only"),
        (true, None) => "no machine".to_owned(),
    }
}

fn address(octets: &[u8]) -> Option<IpAddr> {
    let four = <[u8; 4]>::try_from(octets).map(IpAddr::from);
    four.or_else(|_| <[u8; 16]>::try_from(octets).map(IpAddr::from)).ok()
}

/// The name of a machine that somebody wants to reach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostName {
    text: String,
    address: Option<IpAddr>,
    common_name_counts: bool,
}

impl std::fmt::Display for HostName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

impl HostName {
    /// A name or address; `common_name_counts` for those who look at the common name of a certificate without alternative names (OpenSSL does, browsers
    /// and newer libraries do not).
    #[must_use]
    pub fn new(text: &str, common_name_counts: bool) -> Self {
        let text = text.trim_start_matches('[').trim_end_matches(']').trim_end_matches('.').to_ascii_lowercase();
        Self { address: text.parse().ok(), text, common_name_counts }
    }

    /// Whether a certificate is for it.
    #[must_use]
    pub fn is_of(&self, certificate: &Certificate) -> bool {
        if let Some(wanted) = self.address {
            return certificate.addresses.iter().any(|octets| address(octets) == Some(wanted));
        }
        if certificate.dns_names.is_empty() && self.common_name_counts {
            return certificate.subject.common_name().is_some_and(|name| self.fits(&name.to_ascii_lowercase()));
        }
        certificate.dns_names.iter().any(|name| self.fits(name))
    }

    /// A star stands for one whole label, the first.
    fn fits(&self, pattern: &str) -> bool {
        match (pattern.strip_prefix("*."), self.text.split_once('.')) {
            (Some(domain), Some((first, rest))) => !first.is_empty() && domain == rest && domain.contains('.'),
            (Some(_), None) => false,
            (None, _) => pattern.trim_end_matches('.') == self.text,
        }
    }
}

/// The certificates of a chain that end within a time, for people; expired ones are faults already.
#[must_use]
pub fn ends_soon(chain: &[Arc<Certificate>], now_s: i64, within_s: i64) -> Option<String> {
    let first = chain.iter().min_by_key(|c| c.not_after)?;
    let left = first.not_after.saturating_sub(now_s);
    (0..within_s).contains(&left).then(|| format!("{} ends on {}", first.subject.slash(), date(first.not_after)))
}
