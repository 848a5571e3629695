//! How many requests an identity may send.
//!
//! Owns one bucket for each identity, in memory of this process. Workers (roles pilot and harvester) share one identity for thousands of machines and
//! are not counted. Must not know what is asked.

use std::collections::HashMap;
use std::time::Instant;

use panda_access::{Principal, Role};
use parking_lot::Mutex;

/// Buckets kept; when there are more, those that are full again go.
const MAX_BUCKETS: usize = 50_000;
/// So long a bucket takes to fill: what was not used may be used at once.
const BURST_S: f64 = 10.0;

struct Bucket {
    left: f64,
    at: Instant,
}

/// The buckets.
pub struct Limits {
    per_s: f64,
    buckets: Mutex<HashMap<(String, String), Bucket>>,
}

impl Limits {
    /// At most so many requests a minute of one identity, with a burst of ten seconds' worth; 0 = no limit.
    #[must_use]
    pub fn new(per_minute: i64) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "a setting of at most some millions")]
        let per_s = per_minute.max(0) as f64 / 60.0;
        Self { per_s, buckets: Mutex::default() }
    }

    /// Counts a request.
    ///
    /// # Errors
    /// The seconds after which the next one will be answered.
    pub fn take(&self, who: &Principal, now: Instant) -> Result<(), u64> {
        let works = [Role::Pilot, Role::Harvester].iter().any(|role| who.acts(role, None));
        if self.per_s <= 0.0 || works {
            return Ok(());
        }
        let most = (self.per_s * BURST_S).max(1.0);
        let mut buckets = self.buckets.lock();
        if buckets.len() >= MAX_BUCKETS {
            buckets.retain(|_, b| b.left + now.saturating_duration_since(b.at).as_secs_f64() * self.per_s < most);
        }
        if buckets.len() >= MAX_BUCKETS {
            // So many at a time are not one identity that asks too much.
            return Ok(());
        }
        let bucket = buckets.entry((who.issuer.clone(), who.subject.clone())).or_insert(Bucket { left: most, at: now });
        bucket.left = (bucket.left + now.saturating_duration_since(bucket.at).as_secs_f64() * self.per_s).min(most);
        bucket.at = now;
        if bucket.left >= 1.0 {
            bucket.left -= 1.0;
            return Ok(());
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "seconds of a bucket, bounded")]
        let wait = ((1.0 - bucket.left) / self.per_s).ceil().max(1.0) as u64;
        Err(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use panda_access::Standing;
    use std::time::Duration;

    fn who(subject: &str, roles: &[Role]) -> Principal {
        Principal {
            issuer: "i".into(),
            subject: subject.into(),
            name: subject.into(),
            nickname: subject.into(),
            vo: Some("amber".into()),
            roles: roles.iter().cloned().collect(),
            groups: Vec::new(),
            email: None,
            standing: Standing::default(),
        }
    }

    #[test]
    fn who_asks_too_much_waits_and_nobody_else() {
        let (limits, now) = (Limits::new(60), Instant::now());
        let (alice, bob) = (who("alice", &[]), who("bob", &[]));
        let answered = (0..100).filter(|_| limits.take(&alice, now).is_ok()).count();
        assert_eq!(answered, 10, "ten seconds' worth at once");
        assert_eq!(limits.take(&alice, now), Err(1));
        assert_eq!(limits.take(&bob, now), Ok(()));
        assert_eq!(limits.take(&alice, now + Duration::from_secs(1)), Ok(()));
        assert_eq!(limits.take(&alice, now + Duration::from_secs(1)), Err(1));
        let slow = Limits::new(1);
        assert_eq!(slow.take(&alice, now), Ok(()));
        assert_eq!(slow.take(&alice, now), Err(60));
        let pilot = who("pilot", &[Role::Pilot]);
        assert!((0..1_000).all(|_| limits.take(&pilot, now).is_ok()));
        assert!((0..1_000).all(|_| Limits::new(0).take(&alice, now).is_ok()));
    }
}
