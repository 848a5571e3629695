//! A set of names in bounded memory: 128 bits of each, so that two names of a data set are taken for one about once in 10^26 files.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hasher},
};

/// The bits that stand for a name.
pub type Key = u128;

/// The bits of a name.
#[must_use]
pub fn key(name: &str) -> Key {
    let half = |salt: u8| {
        let mut h = DefaultHasher::new();
        h.write_u8(salt);
        h.write(name.as_bytes());
        h.finish()
    };
    u128::from(half(1)) << 64 | u128::from(half(2))
}

/// The bits of a range of events of a file.
#[must_use]
pub fn range_key(lfn: &str, first: i64, last: i64) -> Key {
    key(&format!("{lfn}.{first}.{last}"))
}

/// Names, each with whether it was seen in the catalogue.
#[derive(Debug, Default)]
pub struct Known(HashMap<Key, bool>);

/// What a name is to a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Met {
    /// It was not there; now it is.
    New,
    /// It was there.
    Known,
}

impl Known {
    /// Adds a name that has a row.
    pub fn add(&mut self, key: Key) {
        self.0.entry(key).or_insert(false);
    }
    /// Meets a name of the catalogue.
    pub fn meet(&mut self, key: Key) -> Met {
        match self.0.insert(key, true) {
            Some(_) => Met::Known,
            None => Met::New,
        }
    }
    /// Whether it holds a name.
    #[must_use]
    pub fn has(&self, key: Key) -> bool {
        self.0.contains_key(&key)
    }
    /// Whether a name was met in the catalogue.
    #[must_use]
    pub fn was_met(&self, key: Key) -> bool {
        self.0.get(&key).copied().unwrap_or(false)
    }
    /// Names in it.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }
    /// Whether it is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_met_once() {
        let mut known = Known::default();
        known.add(key("a"));
        assert_eq!((known.meet(key("a")), known.meet(key("b")), known.meet(key("b"))), (Met::Known, Met::New, Met::Known));
        assert!(known.was_met(key("a")) && !known.has(key("c")) && known.len() == 2);
        assert_ne!(key("a.1.2"), key("a.1.3"));
        assert_eq!(range_key("a", 1, 2), key("a.1.2"));
    }
}
