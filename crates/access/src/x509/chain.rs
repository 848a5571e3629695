//! Whether a chain of certificates holds.
//!
//! Owns: the way from a certificate up to a trusted CA, and what each certificate on it must be: RFC 5280 section 6, RFC 3820 section 4, in the reading of
//! OpenSSL with proxies allowed. Must not know: what its holder may do.

use std::sync::Arc;

use super::cert::{Certificate, Delegation, usage};
use super::refusal::{Refusal, date};
use super::trust::{LIST_GRACE_S, Trust};
use super::{MAX_CHAIN, sign};

/// Most signatures that are looked at for one chain: those of a good one, and wrong candidates of the same name.
const MAX_TRIES: usize = 64;
/// How far the clock of a CA may be ahead of ours, seconds.
const SKEW_S: i64 = 300;

/// What a certificate is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// By a TLS client; proxies may stand in front of the holder's own certificate.
    Client,
    /// By a TLS server.
    Server,
    /// For signing something else, such as a VOMS attribute certificate.
    Signature,
}

/// A chain that holds.
#[derive(Debug, Clone)]
pub struct Holds {
    /// From what was shown up to the trusted root.
    pub chain: Vec<Arc<Certificate>>,
    /// Where in it the holder's own certificate stands; before it are proxies.
    pub holder: usize,
    /// What the proxies hand on together.
    pub delegation: Delegation,
    /// Until when it holds if nothing is revoked, seconds UTC since 1970.
    pub until: i64,
}

impl Holds {
    /// The holder's own certificate.
    #[must_use]
    pub fn own(&self) -> &Certificate {
        &self.chain[self.holder]
    }

    /// The names of its CA.
    #[must_use]
    pub fn issuer(&self) -> String {
        self.own().issuer.slash()
    }
}

/// Checks what was shown, the first certificate by the others, at a time in seconds.
///
/// # Errors
/// [`Refusal`] with the reason.
pub fn verify(shown: &[Vec<u8>], trust: &Trust, now: i64, purpose: Purpose) -> Result<Holds, Refusal> {
    let mut sent = Vec::new();
    for (number, der) in shown.iter().take(MAX_CHAIN).enumerate() {
        let name = if number == 0 { "the certificate" } else { "a certificate that was sent along" };
        sent.push(Arc::new(Certificate::read(der).map_err(|malformed| Refusal::malformed(name, malformed))?));
    }
    let Some(leaf) = sent.first().cloned() else { return Err(Refusal::TooLong("nothing".to_owned())) };
    let mut search = Search { sent: &sent, trust, tries: 0, why: None };
    let mut chain = vec![leaf.clone()];
    if !search.climb(&mut chain) {
        return Err(search.why.unwrap_or_else(|| Refusal::UnknownIssuer { subject: leaf.subject.slash(), issuer: leaf.issuer.slash() }));
    }
    let holder = chain.iter().position(|certificate| certificate.proxy.is_none()).unwrap_or_default();
    each(&chain, purpose)?;
    dates(&chain, now)?;
    names(&chain)?;
    let mut until = chain.iter().map(|certificate| certificate.not_after).min().unwrap_or_default();
    for pair in chain[holder..].windows(2) {
        until = until.min(by_its_ca(&pair[0], &pair[1], trust, now)?);
    }
    let delegation = chain[..holder].iter().filter_map(|c| c.proxy.map(|proxy| proxy.delegation)).max().unwrap_or(Delegation::Full);
    Ok(Holds { chain, holder, delegation, until })
}

struct Search<'a> {
    sent: &'a [Arc<Certificate>],
    trust: &'a Trust,
    tries: usize,
    /// Why the first way that was tried leads nowhere.
    why: Option<Refusal>,
}

impl Search<'_> {
    /// Goes on from the last certificate until a trusted root; false when no way leads there.
    fn climb(&mut self, chain: &mut Vec<Arc<Certificate>>) -> bool {
        let Some(top) = chain.last().cloned() else { return false };
        let subject = top.subject.slash();
        if top.is_self_issued() && sign::verify(&top.signature_algorithm, top.signed(), &top.signature, &top, "").is_ok_or_weak() {
            let is_trusted = self.trust.exact(&top).is_some();
            if !is_trusted {
                self.fail(Refusal::SelfSigned(subject));
            }
            return is_trusted;
        }
        if top.is_old_proxy {
            self.fail(Refusal::OldProxy(subject));
            return false;
        }
        if chain.len() > MAX_CHAIN {
            self.fail(Refusal::TooLong(subject));
            return false;
        }
        let trusted = self.trust.named(top.issuer.canonical()).iter().map(|authority| authority.certificate.clone());
        let sent = self.sent.iter().filter(|certificate| certificate.subject == top.issuer).cloned();
        let candidates: Vec<_> = trusted.chain(sent).collect();
        if candidates.is_empty() {
            self.fail(Refusal::UnknownIssuer { subject, issuer: top.issuer.slash() });
            return false;
        }
        for issuer in candidates {
            if chain.iter().any(|before| before.raw == issuer.raw) {
                continue;
            }
            self.tries += 1;
            if self.tries > MAX_TRIES {
                self.fail(Refusal::TooLong(subject));
                return false;
            }
            if let Err(why) = issued(&top, &issuer) {
                self.fail(why);
                continue;
            }
            chain.push(issuer);
            if self.climb(chain) {
                return true;
            }
            chain.pop();
        }
        self.fail(Refusal::UnknownIssuer { subject, issuer: top.issuer.slash() });
        false
    }

    fn fail(&mut self, why: Refusal) {
        self.why.get_or_insert(why);
    }
}

/// Whether a signature is one, however weak: that of a root says nothing anyway.
trait OkOrWeak {
    fn is_ok_or_weak(&self) -> bool;
}

impl OkOrWeak for Result<(), Refusal> {
    fn is_ok_or_weak(&self) -> bool {
        matches!(self, Ok(()) | Err(Refusal::Weak { .. } | Refusal::Algorithm(_)))
    }
}

/// Whether one certificate was signed by the holder of another, who may do that.
fn issued(subject: &Certificate, issuer: &Certificate) -> Result<(), Refusal> {
    let name = subject.subject.slash();
    if let (Some(wanted), Some(found)) = (&subject.authority_key_id, &issuer.subject_key_id)
        && wanted != found
    {
        return Err(Refusal::Signature(name));
    }
    if subject.proxy.is_some() && !issuer.may(usage::DIGITAL_SIGNATURE) {
        return Err(Refusal::NoProxies(issuer.subject.slash()));
    }
    if subject.proxy.is_none() && !issuer.may(usage::KEY_CERT_SIGN) {
        return Err(Refusal::NotCa(issuer.subject.slash()));
    }
    sign::verify(&subject.signature_algorithm, subject.signed(), &subject.signature, issuer, &name)
}

/// What each certificate must be at its place.
fn each(chain: &[Arc<Certificate>], purpose: Purpose) -> Result<(), Refusal> {
    // None: either will do; that is the first one's case.
    let mut wants_ca: Option<bool> = None;
    let (mut below, mut proxies): (u64, u64) = (0, 0);
    for (place, c) in chain.iter().enumerate() {
        let name = || c.subject.slash();
        if let Some(oid) = &c.unknown_critical {
            return Err(Refusal::Critical { subject: name(), oid: oid.clone() });
        }
        match wants_ca {
            Some(false) if c.is_ca() => return Err(Refusal::IsCa(name())),
            Some(true) if !c.is_ca() => return Err(Refusal::NotCa(name())),
            _ => {}
        }
        sign::strong_key(c)?;
        if !fits(c, purpose, wants_ca == Some(true)) {
            return Err(Refusal::Purpose(name()));
        }
        if place > 1 && c.path_length.is_some_and(|most| below > most.saturating_add(proxies)) {
            return Err(Refusal::PathLength(name()));
        }
        below += u64::from(place > 0 && !c.is_self_issued());
        match c.proxy {
            Some(_) if purpose != Purpose::Client => return Err(Refusal::Purpose(name())),
            Some(proxy) => {
                if let Some(most) = proxy.path_length {
                    if proxies > most {
                        return Err(Refusal::ProxyPathLength(name()));
                    }
                    proxies = most;
                }
                proxies = proxies.saturating_add(1);
                wants_ca = Some(false);
            }
            None => wants_ca = Some(true),
        }
    }
    Ok(())
}

/// Whether key usages allow the purpose.
fn fits(c: &Certificate, purpose: Purpose, is_ca: bool) -> bool {
    let purposes = c.purposes;
    let named = match purpose {
        Purpose::Client => purposes.is_none_or(|p| p.client),
        Purpose::Server => purposes.is_none_or(|p| p.server),
        Purpose::Signature => true,
    };
    // Key encipherment, bit 2, is what RSA key exchange needed; servers may have nothing else.
    let key = match purpose {
        Purpose::Client => usage::DIGITAL_SIGNATURE | usage::KEY_AGREEMENT,
        Purpose::Server => usage::DIGITAL_SIGNATURE | usage::KEY_AGREEMENT | 1 << 2,
        Purpose::Signature => u16::MAX,
    };
    named && (is_ca || c.may(key))
}

fn dates(chain: &[Arc<Certificate>], now: i64) -> Result<(), Refusal> {
    for c in chain {
        if now < c.not_before {
            return Err(Refusal::NotYet { subject: c.subject.slash(), date: date(c.not_before) });
        }
        if now >= c.not_after {
            return Err(Refusal::Expired { subject: c.subject.slash(), date: date(c.not_after) });
        }
    }
    Ok(())
}

/// Names of proxies, and where CAs may sign.
fn names(chain: &[Arc<Certificate>]) -> Result<(), Refusal> {
    for (place, c) in chain.iter().enumerate() {
        if c.proxy.is_some() && !c.subject.extends(&c.issuer) {
            return Err(Refusal::ProxyName { subject: c.subject.slash(), issuer: c.issuer.slash() });
        }
        if place > 0 && c.is_self_issued() {
            continue;
        }
        for ca in &chain[place + 1..] {
            let Some(constraints) = &ca.constraints else { continue };
            let stands = |base: &super::name::Name| c.subject.is_within(base);
            let is_outside = !constraints.permitted.is_empty() && !constraints.permitted.iter().any(stands);
            let is_other = constraints.others && (c.has_alternative_names || c.subject.slash().contains("/emailAddress="));
            if !c.subject.is_empty() && (is_outside || constraints.excluded.iter().any(stands)) || is_other {
                return Err(Refusal::Constraint { subject: c.subject.slash(), ca: ca.subject.slash() });
            }
        }
    }
    Ok(())
}

/// Signing policy and revocation list of the CA; tells until when the list counts.
fn by_its_ca(c: &Certificate, ca: &Certificate, trust: &Trust, now: i64) -> Result<i64, Refusal> {
    let (subject, ca_name) = (c.subject.slash(), || ca.subject.slash());
    match trust.policy(ca) {
        Some(Err(why)) => return Err(Refusal::BrokenPolicy { ca: ca_name(), why }),
        Some(Ok(policies)) if !policies.iter().any(|policy| policy.allows(&subject)) => {
            return Err(Refusal::SigningPolicy { ca: ca_name(), subject });
        }
        _ => {}
    }
    let list = match trust.list(ca) {
        None => return Ok(i64::MAX),
        Some(Err(why)) => return Err(Refusal::BrokenList { ca: ca_name(), why }),
        Some(Ok(list)) => list,
    };
    if let Some(since) = list.revoked.get(&c.serial) {
        return Err(Refusal::Revoked { subject, date: date(*since) });
    }
    if list.this_update > now.saturating_add(SKEW_S) {
        return Err(Refusal::BrokenList {
            ca: ca_name(),
            why: format!("it is of the future ({}): a clock is wrong", date(list.this_update)),
        });
    }
    let end = list.next_update.map_or(i64::MAX, |due| due.saturating_add(LIST_GRACE_S));
    if now > end {
        return Err(Refusal::StaleList { ca: ca_name(), date: date(list.next_update.unwrap_or_default()) });
    }
    Ok(end)
}
