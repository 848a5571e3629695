//! Who callers are: people whom a VO's identity provider vouches for, and those of the development issuer on this machine.
//!
//! Owns when keys of issuers are fetched, and for how long the last ones hold while an issuer does not answer. Must not know what makes a token good.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use panda_access::dev::{self, DevIdentity, Issuer};
use panda_access::oidc::{KeySet, Oidc, Rules};
use panda_access::x509::Certificates;
use panda_access::{AccessError, Grants, Identity, Origin, Principal, RequestIdentity, bearer, issuer_of};
use panda_client::idp;
use panda_ops::{Ops, OpsError};
use panda_server::ctx::AuthDocuments;
use panda_store::{Batch, Topic, query::snapshot};
use serde_json::{Value, json};
use tokio::sync::{Mutex, watch};

/// Keys are fetched again after this time: new ones are mostly published long before they sign.
const FETCH_EVERY_US: i64 = 15 * 60 * 1_000_000;
/// A key that nobody knows makes us ask its issuer at once, but not again within this time: anybody can name any key.
const ASK_EVERY_US: i64 = 10_000_000;
/// So long the last keys of an issuer that does not answer hold: nobody with a valid token is locked out by it.
const KEEP_US: i64 = 7 * 86_400 * 1_000_000;
/// Longest time between two looks at the VOs.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// Every provider of this server.
pub(super) struct Providers {
    ops: Arc<Ops>,
    issuer: Arc<Issuer>,
    /// On loopback listeners only.
    dev: Option<DevIdentity>,
    oidc: Oidc,
    /// Callers by certificate.
    certificates: Option<Arc<Certificates>>,
    /// When each issuer was asked last, and when it answered last; held while it is asked, so that one that is slow keeps nobody else waiting.
    asked: Mutex<BTreeMap<String, Arc<Mutex<Asked>>>>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Asked {
    tried_us: i64,
    got_us: i64,
}

impl Providers {
    /// Reads the VOs and the keys that were learned before; asks no one.
    pub async fn new(
        ops: Arc<Ops>,
        issuer: Arc<Issuer>,
        dev: Option<DevIdentity>,
        certificates: Option<Arc<Certificates>>,
    ) -> Result<Self, OpsError> {
        let clock = ops.clone();
        let oidc = Oidc::new(Arc::new(move || clock.now().0));
        let all = Self { ops, issuer, dev, oidc, certificates, asked: Mutex::default() };
        let rules = all.ops.reread_vos().await?.rules();
        all.take(rules).await;
        Ok(all)
    }

    /// Roles that were granted here count as if the providers had told them.
    pub fn set_grants(&self, grants: Arc<Grants>) {
        self.oidc.set_grants(grants);
    }

    /// Whether anybody could be identified by a listener that others reach.
    pub fn is_empty(&self) -> bool {
        self.oidc.issuers().is_empty() && self.certificates.is_none()
    }

    /// Takes new rules, and the stored keys of issuers that come with them.
    async fn take(&self, rules: BTreeMap<String, Rules>) {
        let before = self.oidc.issuers();
        self.oidc.set_rules(rules);
        for issuer in self.oidc.issuers().difference(&before) {
            match snapshot::get(&self.ops.store, &name(issuer)).await {
                Ok(Some((at, doc))) if self.ops.now().0 - at < KEEP_US => {
                    let known = serde_json::from_str::<Value>(&doc).map_err(|e| e.to_string()).and_then(|jwks| KeySet::read(&jwks));
                    match known {
                        Ok(keys) => {
                            self.oidc.set_keys(issuer, keys);
                            self.of(issuer).await.lock().await.got_us = at;
                        }
                        Err(e) => tracing::warn!(issuer, "stored keys cannot be read and are fetched anew: {e}"),
                    }
                }
                Ok(_) => {}
                Err(e) => tracing::warn!(issuer, "stored keys cannot be read and are fetched anew: {e}"),
            }
        }
    }

    /// Follows the VOs and keeps their issuers' keys fresh until `stopped`.
    pub async fn follow(self: Arc<Self>, mut stopped: watch::Receiver<bool>) {
        let mut changed = self.ops.store.wake().subscribe(Topic::Vos);
        let mut known = self.ops.vos().await.map(|vos| vos.rules()).unwrap_or_default();
        loop {
            changed.mark_unchanged();
            match self.ops.reread_vos().await.map(|vos| vos.rules()) {
                Ok(rules) if rules != known => {
                    known.clone_from(&rules);
                    self.take(rules).await;
                }
                Ok(_) => {}
                Err(e) => tracing::warn!("the VOs cannot be read, what was known holds: {e}"),
            }
            for issuer in self.due().await {
                self.fetch(&issuer).await;
            }
            tokio::select! {
                _ = stopped.changed() => return,
                _ = changed.changed() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    async fn of(&self, issuer: &str) -> Arc<Mutex<Asked>> {
        self.asked.lock().await.entry(issuer.to_owned()).or_default().clone()
    }

    /// Issuers whose keys are old; those that did not answer are asked at each look.
    async fn due(&self) -> Vec<String> {
        let (mut due, now) = (Vec::new(), self.ops.now().0);
        for issuer in self.oidc.issuers() {
            let asked = self.of(&issuer).await;
            let is_fresh = asked.try_lock().is_ok_and(|a| (0..FETCH_EVERY_US).contains(&(now - a.got_us)));
            if !is_fresh {
                due.push(issuer);
            }
        }
        due
    }

    /// Asks an issuer for its keys, unless that was done just now. True when there are new ones.
    async fn fetch(&self, issuer: &str) -> bool {
        // One at a time: who waits here finds that it was done.
        let asked = self.of(issuer).await;
        let mut last = asked.lock().await;
        let now = self.ops.now().0;
        if (0..ASK_EVERY_US).contains(&(now - last.tried_us)) {
            return last.got_us >= last.tried_us;
        }
        last.tried_us = now;
        let found = match idp::fetch(issuer).await {
            Ok(found) => KeySet::read(&found.jwks).map(|keys| (keys, found.jwks)),
            Err(e) => Err(e),
        };
        match found {
            Ok((keys, jwks)) => {
                tracing::debug!(issuer, keys = keys.len(), "keys of an identity provider");
                self.oidc.set_keys(issuer, keys);
                last.got_us = now;
                let mut batch = Batch::new();
                snapshot::set(&mut batch, &name(issuer), now, &jwks.to_string());
                if let Err(e) = self.ops.store.apply(batch).await {
                    tracing::warn!(issuer, "the keys cannot be stored; they hold until the server stops: {e}");
                }
                true
            }
            Err(e) => {
                tracing::warn!(issuer, "an identity provider tells no keys: {e}");
                if last.got_us != 0 && now - last.got_us >= KEEP_US {
                    tracing::error!(issuer, "its last keys are older than {} days and do not hold any more", KEEP_US / 86_400_000_000);
                    self.oidc.forget_keys(issuer);
                    last.got_us = 0;
                }
                false
            }
        }
    }
}

/// Name under which the keys of an issuer are stored; an address may be longer than a name can be.
fn name(issuer: &str) -> String {
    format!("jwks:{:032x}", panda_access::oidc::fingerprint(issuer))
}

impl Identity for Providers {
    fn authenticate(&self, request: &RequestIdentity<'_>) -> Result<Option<Arc<Principal>>, AccessError> {
        // A token wins: who shows one says as whom he acts, while programs show certificates to everybody.
        if let Some(certificates) = &self.certificates
            && bearer(request.authorization)?.is_none()
        {
            return certificates.authenticate(request);
        }
        match &self.dev {
            Some(dev) if self.oidc.issuers().is_empty() || issuer_of(request).is_none_or(|iss| iss == dev::ISSUER) => {
                dev.authenticate(request)
            }
            _ => self.oidc.authenticate(request),
        }
    }

    fn learn<'a>(&'a self, issuer: &'a str) -> Pin<Box<dyn Future<Output = bool> + Send + 'a>> {
        Box::pin(self.fetch(issuer))
    }
}

impl AuthDocuments for Providers {
    fn document(&self, path: &str, base: &str) -> Option<Value> {
        let own = || AuthDocuments::document(&*self.issuer, path, base);
        let Some(vo) = path.strip_suffix("_auth_config.json") else { return own() };
        let Some(origin) = Origin::parse(vo, |vo| self.oidc.rules(vo).is_some()) else { return own() };
        let Some(rules) = self.oidc.rules(&origin.vo) else { return own() };
        let mut doc = json!({
            "audience": rules.audiences.first().unwrap_or(&rules.client_id),
            "client_id": rules.client_id,
            // There though null: the client fails on a missing key (`spec/client.md` section 8.3).
            "client_secret": rules.client_secret,
            "oidc_config_url": idp::discovery_url(&rules.issuer),
            "vo": origin.role.map_or_else(|| origin.vo.clone(), |role| format!("{}.{role}", origin.vo)),
        });
        if rules.wlcg {
            doc["jwt_profile"] = json!("wlcg");
        }
        Some(doc)
    }
}
