//! What this installation says of people by itself, over what their identity providers say: granted roles, bans and API tokens.
//!
//! Owns the copy in memory; a change shows at once in this process and others that the database can wake, elsewhere after [`LOOK_EVERY`].
//! Must not decide who is granted or banned: those are operations.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use panda_access::tokens::{self, Tokens};
use panda_access::{AccessError, Grants, Identity, Origin, Principal, RequestIdentity, issuer_of};
use panda_ops::trust::{self, Trust};
use panda_ops::{Ops, OpsError, grant};
use panda_store::Topic;
use parking_lot::RwLock;
use tokio::sync::{Mutex, watch};

use crate::ctx::Bans;

/// How old the copy may be.
pub const LOOK_EVERY: Duration = Duration::from_secs(5);
/// An unknown token makes us look at once, but not again within this time: anybody can show one.
const ASK_EVERY_US: i64 = 1_000_000;

/// Told of the roles that were granted, whenever they change.
pub type Listener = Box<dyn Fn(Arc<Grants>) + Send + Sync>;

/// An identity with the installation's own word over it.
pub struct Trusted {
    ops: Arc<Ops>,
    inner: Arc<dyn Identity>,
    tokens: Tokens,
    known: RwLock<Arc<Trust>>,
    grants: RwLock<Arc<Grants>>,
    listener: Option<Listener>,
    /// When the database was asked last.
    asked: Mutex<i64>,
}

impl Trusted {
    /// Reads what is stored. `listener` learns of granted roles, now and later.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn new(ops: Arc<Ops>, inner: Arc<dyn Identity>, listener: Option<Listener>) -> Result<Self, OpsError> {
        let clock = ops.clone();
        let tokens = Tokens::new(Arc::new(move || clock.now().0));
        let all = Self { ops, inner, tokens, known: RwLock::default(), grants: RwLock::default(), listener, asked: Mutex::default() };
        all.reread().await?;
        Ok(all)
    }

    /// Takes what is stored now; true when it differs from what was known.
    async fn reread(&self) -> Result<bool, OpsError> {
        let trust = trust::read(&self.ops).await?;
        if **self.known.read() == trust {
            return Ok(false);
        }
        self.tokens.set(trust.tokens.clone());
        let grants = Arc::new(trust.grants.clone());
        *self.grants.write() = Arc::clone(&grants);
        if let Some(listener) = &self.listener {
            listener(grants);
        }
        *self.known.write() = Arc::new(trust);
        Ok(true)
    }

    /// Follows the database until `stopped`.
    pub async fn follow(self: Arc<Self>, mut stopped: watch::Receiver<bool>) {
        let mut changed = self.ops.store.wake().subscribe(Topic::Vos);
        loop {
            changed.mark_unchanged();
            if let Err(error) = self.reread().await {
                tracing::warn!(%error, "granted roles, bans and API tokens cannot be read; what was known stays in force");
            }
            tokio::select! {
                _ = stopped.changed() => return,
                _ = changed.changed() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    /// Somebody for whom a role was noted under the short name has come: it is the person's from now on.
    fn welcome(&self, who: &Arc<Principal>) {
        let known = Arc::clone(&self.known.read());
        if known.pending.is_empty() {
            return;
        }
        let is = |issuer: &str| issuer.trim_end_matches('/') == who.issuer.trim_end_matches('/');
        let theirs: Vec<_> = known.pending.iter().filter(|g| g.subject == who.nickname && is(&g.issuer)).cloned().collect();
        if theirs.is_empty() {
            return;
        }
        let (ops, who) = (Arc::clone(&self.ops), Arc::clone(who));
        tokio::spawn(async move {
            if let Err(error) = grant::come(&ops, &who, &theirs).await {
                tracing::warn!(%error, name = who.name, "a role that was noted cannot be granted yet");
            }
        });
    }
}

impl Identity for Trusted {
    fn authenticate(&self, request: &RequestIdentity<'_>) -> Result<Option<Arc<Principal>>, AccessError> {
        // One look-up for most callers; the issuer is read from the token only where nobody knows it.
        let who = match self.tokens.authenticate(request) {
            Ok(Some(who)) => who,
            Ok(None) | Err(AccessError::UnknownToken) => match self.inner.authenticate(request) {
                Ok(None) => return Ok(None),
                Ok(Some(who)) => {
                    self.welcome(&who);
                    who
                }
                Err(_) if issuer_of(request).is_some_and(|iss| iss == tokens::ISSUER) => return Err(AccessError::UnknownToken),
                Err(error) => return Err(error),
            },
            Err(error) => return Err(error),
        };
        let grants = Arc::clone(&self.grants.read());
        let asked = |role: &panda_access::Role| {
            let origin = request.origin.and_then(|text| Origin::parse(text, |vo| who.vo.as_deref() == Some(vo)));
            origin.is_some_and(|o| o.role.as_ref() == Some(role))
        };
        Ok(Some(grants.apply(Arc::clone(&who), asked)))
    }

    fn learn<'a>(&'a self, issuer: &'a str) -> Pin<Box<dyn Future<Output = bool> + Send + 'a>> {
        if issuer != tokens::ISSUER {
            return self.inner.learn(issuer);
        }
        Box::pin(async move {
            let mut asked = self.asked.lock().await;
            let now = self.ops.now().0;
            if (0..ASK_EVERY_US).contains(&(now - *asked)) {
                return false;
            }
            *asked = now;
            self.reread().await.unwrap_or(false)
        })
    }
}

impl Bans for Trusted {
    fn is_banned(&self, principal: &Principal) -> bool {
        self.known.read().bans.has(principal)
    }

    fn names(&self) -> Vec<String> {
        self.known.read().bans.names.iter().cloned().collect()
    }
}
