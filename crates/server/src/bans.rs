//! Who is locked out: people whose row says so, read from time to time.
//!
//! Owns the copy in memory; a ban shows after [`MAX_AGE`]. Must not decide who is
//! banned: that is an operation on people.

use crate::ctx::Bans;
use panda_access::Principal;
use panda_ops::Ops;
use panda_store::query::person;
use parking_lot::RwLock;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How old the copy may be.
pub const MAX_AGE: Duration = Duration::from_secs(30);

/// Bans by the rows of people. Needs a running tokio.
#[must_use]
pub fn of(ops: &Arc<Ops>) -> Arc<dyn Bans> {
    let bans = Rows { ops: ops.clone(), held: Arc::default(), is_reading: Arc::default() };
    bans.reread();
    Arc::new(bans)
}

#[derive(Default)]
struct Held {
    read: Option<Instant>,
    keys: HashSet<(String, String)>,
    names: Vec<String>,
}

struct Rows {
    ops: Arc<Ops>,
    held: Arc<RwLock<Held>>,
    is_reading: Arc<AtomicBool>,
}

impl Rows {
    /// Rereads beside the request: nobody waits for it, and one reads at a time.
    fn reread(&self) {
        if self.is_reading.swap(true, Ordering::AcqRel) {
            return;
        }
        let (ops, held, is_reading) = (self.ops.clone(), self.held.clone(), self.is_reading.clone());
        tokio::spawn(async move {
            match person::banned(&ops.store).await {
                Ok(people) => {
                    let keys = people.iter().map(|p| (p.issuer.clone(), p.subject.clone())).collect();
                    let names = people.into_iter().map(|p| p.name).collect();
                    *held.write() = Held { read: Some(Instant::now()), keys, names };
                }
                Err(error) => {
                    tracing::warn!(%error, "the list of banned people cannot be read; the last one stays in force");
                    held.write().read = Some(Instant::now());
                }
            }
            is_reading.store(false, Ordering::Release);
        });
    }
}

impl Bans for Rows {
    fn is_banned(&self, principal: &Principal) -> bool {
        let held = self.held.read();
        let is_old = held.read.is_none_or(|read| read.elapsed() > MAX_AGE);
        // Mostly there is nobody, and no key need be made.
        let is_banned = !held.keys.is_empty() && held.keys.contains(&(principal.issuer.clone(), principal.subject.clone()));
        drop(held);
        if is_old {
            self.reread();
        }
        is_banned
    }

    fn names(&self) -> Vec<String> {
        self.held.read().names.clone()
    }
}
