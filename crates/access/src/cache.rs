//! Owns: which tokens were verified lately. Must not know: how.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::RwLock;
use ring::digest::{Context, SHA256};

use crate::principal::Principal;

/// Entries of one generation. A token is one user or pilot; two generations of 4,096 are a few megabytes at most.
const GENERATION: usize = 4096;

/// SHA-256 of token and `Origin`.
pub(crate) type Digest = [u8; 32];

pub(crate) fn digest(token: &str, origin: &str) -> Digest {
    let mut context = Context::new(&SHA256);
    context.update(token.as_bytes());
    // no token holds this byte, so (token, origin) cannot be cut in two ways
    context.update(&[0]);
    context.update(origin.as_bytes());
    let mut out = [0; 32];
    out.copy_from_slice(context.finish().as_ref());
    out
}

struct Entry {
    until: i64,
    principal: Arc<Principal>,
}

#[derive(Default)]
struct Generations {
    young: HashMap<Digest, Entry>,
    old: HashMap<Digest, Entry>,
}

/// Verified tokens in two generations: when the young one is full it becomes the old one, and the old one goes. So the bound
/// holds without bookkeeping on the hot path, which is one look-up under a shared lock. What is used again after a change of
/// generation is verified again: a signature check every few thousand other callers.
#[derive(Default)]
pub(crate) struct Verified(RwLock<Generations>);

impl Verified {
    /// The principal of a token verified before and not yet expired at `now` (microseconds).
    pub(crate) fn get(&self, digest: &Digest, now: i64) -> Option<Arc<Principal>> {
        let generations = self.0.read();
        let entry = generations.young.get(digest).or_else(|| generations.old.get(digest))?;
        (now < entry.until).then(|| Arc::clone(&entry.principal))
    }

    /// Remembers a verified token until `until` (microseconds).
    pub(crate) fn put(&self, digest: Digest, until: i64, principal: Arc<Principal>) {
        let mut generations = self.0.write();
        if generations.young.len() >= GENERATION {
            generations.old = std::mem::take(&mut generations.young);
        }
        generations.young.insert(digest, Entry { until, principal });
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        let generations = self.0.read();
        generations.young.len() + generations.old.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn somebody() -> Arc<Principal> {
        Arc::new(Principal {
            issuer: String::new(),
            subject: String::new(),
            name: String::new(),
            nickname: String::new(),
            vo: None,
            roles: std::collections::BTreeSet::new(),
            groups: Vec::new(),
            email: None,
            standing: crate::Standing::default(),
        })
    }

    #[test]
    fn it_is_bounded_and_honours_the_end() {
        let cache = Verified::default();
        for n in 0..5 * GENERATION {
            cache.put(digest(&n.to_string(), ""), 100, somebody());
            assert!(cache.len() <= 2 * GENERATION);
        }
        let last = digest(&(5 * GENERATION - 1).to_string(), "");
        assert!(cache.get(&last, 99).is_some());
        assert!(cache.get(&last, 100).is_none());
        assert!(cache.get(&digest("0", ""), 0).is_none());
    }

    #[test]
    fn origin_is_part_of_the_key() {
        assert_ne!(digest("ab", "c"), digest("a", "bc"));
    }
}
