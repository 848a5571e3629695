//! Why a certificate does not hold, each in one sentence.
//!
//! Owns: the sentences. Must not know: how they come about.

use super::der::Malformed;

/// Why a chain of certificates does not hold, or gives nobody a right here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the sentences say what the fields are")]
pub enum Refusal {
    #[error("{subject} cannot be read: {part} was expected there")]
    Malformed { subject: String, part: &'static str },
    #[error("{subject} expired on {date}: get a new one")]
    Expired { subject: String, date: String },
    #[error("{subject} is not valid before {date}: is the clock of the machine that made it, or of this one, wrong?")]
    NotYet { subject: String, date: String },
    #[error("{subject} was issued by {issuer}, which is not among the trusted CAs and was not sent along")]
    UnknownIssuer { subject: String, issuer: String },
    #[error("{0} vouches for itself and is not among the trusted CAs")]
    SelfSigned(String),
    #[error("{0} was not signed by the CA that it names: a CA of the same name has another key")]
    Signature(String),
    #[error("{what} is too weak: {why}")]
    Weak { what: String, why: String },
    #[error(
        "{0} is signed in a way, or with a key, that is not supported here (RSA from 2048 bits, ECDSA with P-256 and P-384, Ed25519 are)"
    )]
    Algorithm(String),
    #[error("{subject} was revoked by its CA on {date}")]
    Revoked { subject: String, date: String },
    #[error("the revocation list of {ca} ended on {date} and its grace is over: update it (fetch-crl)")]
    StaleList { ca: String, date: String },
    #[error("the revocation list of {ca} cannot be used: {why}")]
    BrokenList { ca: String, why: String },
    #[error("{ca} may not sign {subject}: its signing policy does not allow that name")]
    SigningPolicy { ca: String, subject: String },
    #[error("the signing policy of {ca} cannot be used: {why}")]
    BrokenPolicy { ca: String, why: String },
    #[error("{0} signed a certificate but is no CA")]
    NotCa(String),
    #[error("{0} may not make proxies (key usage)")]
    NoProxies(String),
    #[error("{0} is a CA where a person's or machine's own certificate is wanted")]
    IsCa(String),
    #[error("{0} may not be used by TLS clients (key usage)")]
    Purpose(String),
    #[error("{subject} has a critical extension that nobody here understands ({oid})")]
    Critical { subject: String, oid: String },
    #[error("{0} allows fewer certificates below it than there are (path length)")]
    PathLength(String),
    #[error("{0} allows fewer proxies below it than there are (proxy path length)")]
    ProxyPathLength(String),
    #[error("the name of the proxy {subject} is not the name of its issuer {issuer} and one CN more")]
    ProxyName { subject: String, issuer: String },
    #[error("{0} is a proxy in the form before RFC 3820: make one with `voms-proxy-init -rfc`, or a newer tool")]
    OldProxy(String),
    #[error("{subject} stands where {ca} may not sign (name constraints)")]
    Constraint { subject: String, ca: String },
    #[error("the chain of {0} has too many certificates")]
    TooLong(String),
    #[error("{0} is a limited proxy, which may move files but not act here: make a full one")]
    Limited(String),
    #[error("{0} is an independent proxy, which has no rights of its issuer")]
    Independent(String),
    #[error("{0} is a proxy with a policy of its own, which is not read here: make one that hands on all rights")]
    Restricted(String),
}

impl Refusal {
    pub(super) fn malformed(subject: &str, malformed: Malformed) -> Self {
        Self::Malformed { subject: subject.to_owned(), part: malformed.0 }
    }
}

/// A time for people, UTC.
#[must_use]
pub fn date(seconds: i64) -> String {
    // Civil date of a day number, after Howard Hinnant's `civil_from_days`; times here are after 1970.
    let (days, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let (day, month) = (day_of_year - (153 * shifted + 2) / 5 + 1, if shifted < 10 { shifted + 3 } else { shifted - 9 });
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02} UTC", rest / 3_600, rest / 60 % 60)
}

#[cfg(test)]
mod tests {
    use super::date;

    #[test]
    fn dates_are_of_the_calendar() {
        for (seconds, text) in [
            (0, "1970-01-01 00:00 UTC"),
            (951_782_399, "2000-02-28 23:59 UTC"),
            (951_782_400, "2000-02-29 00:00 UTC"),
            (1_796_000_000, "2026-11-30 00:53 UTC"),
            (4_107_542_400, "2100-03-01 00:00 UTC"),
        ] {
            assert_eq!(date(seconds), text);
        }
    }
}
