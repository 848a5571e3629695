//! What ends when: certificates of this host, trusted CAs, revocation lists.
//!
//! Owns: one shape for all of them. Must not know: who is told.

use super::cert::Certificate;
use super::trust::Trust;

/// From so long before its end a credential is told of as a fault: a week is time enough to get another one.
pub const WARNING_S: i64 = 7 * 86_400;

/// A credential with its end.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Expiry {
    /// What it is: `host_certificate`, `ca`, `revocation_list`, …
    pub kind: &'static str,
    /// Whose it is, as people write it.
    pub name: String,
    /// Its end, seconds UTC since 1970.
    pub until_s: i64,
}

impl Expiry {
    /// That of a certificate.
    #[must_use]
    pub fn of(kind: &'static str, certificate: &Certificate) -> Self {
        Self { kind, name: certificate.subject.slash(), until_s: certificate.not_after }
    }

    /// Seconds until the end; below zero after it.
    #[must_use]
    pub fn left_s(&self, now_s: i64) -> i64 {
        self.until_s.saturating_sub(now_s)
    }
}

impl Trust {
    /// Every trusted CA, and the list of each that has one with an end. Of several under one name the one that ends first counts.
    #[must_use]
    pub fn expiries(&self) -> Vec<Expiry> {
        let mut all = Vec::new();
        for authority in self.authorities() {
            all.push(Expiry::of("ca", &authority.certificate));
            if let Some(Ok(list)) = &authority.list
                && let Some(due) = list.next_update
            {
                all.push(Expiry { kind: "revocation_list", name: authority.certificate.subject.slash(), until_s: due });
            }
        }
        first_ends(all)
    }
}

/// One for each kind and name: the one that ends first.
#[must_use]
pub fn first_ends(mut all: Vec<Expiry>) -> Vec<Expiry> {
    all.sort();
    all.dedup_by(|later, first| later.kind == first.kind && later.name == first.name);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_one_name_the_first_end_counts() {
        let of = |kind, name: &str, until_s| Expiry { kind, name: name.to_owned(), until_s };
        let all = first_ends(vec![of("ca", "/CN=b", 9), of("ca", "/CN=a", 7), of("ca", "/CN=b", 3), of("revocation_list", "/CN=b", 5)]);
        assert_eq!(all, [of("ca", "/CN=a", 7), of("ca", "/CN=b", 3), of("revocation_list", "/CN=b", 5)]);
        assert_eq!((all[0].left_s(2), all[0].left_s(10)), (5, -3));
    }
}
