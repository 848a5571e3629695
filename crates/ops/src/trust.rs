//! Whom this installation trusts by itself: granted roles, bans and API tokens, as they are stored.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use panda_access::{
    Grant, Grants, Principal, Reach, Role, Scope, Standing,
    tokens::{ApiToken, ISSUER},
};
use panda_store::query::{
    grant::{self, GrantRow},
    token::{self, TokenRow},
};
use serde::{Deserialize, Serialize};

use crate::{Ops, OpsError};

/// The word that stands for a ban in place of a role.
pub const BANNED: &str = "banned";

/// All of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trust {
    /// Roles.
    pub grants: Grants,
    /// Grants of people who have not come yet.
    pub pending: Vec<GrantRow>,
    /// Who is locked out.
    pub bans: Bans,
    /// API tokens that hold, by the SHA-256 of their texts.
    pub tokens: HashMap<String, ApiToken>,
}

/// Who is locked out, everywhere or of a VO.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bans {
    /// By issuer and subject; None = everywhere.
    by_key: HashMap<(String, String), BTreeSet<Option<String>>>,
    /// Names to show.
    pub names: BTreeSet<String>,
}

impl Bans {
    /// Whether requests of this caller are refused.
    #[must_use]
    pub fn has(&self, who: &Principal) -> bool {
        if self.by_key.is_empty() {
            return false;
        }
        let held = self.by_key.get(&(who.issuer.clone(), who.subject.clone()));
        held.is_some_and(|of| of.contains(&None) || (who.vo.is_some() && of.contains(&who.vo)))
    }
}

/// What a token says of itself and may.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenDoc {
    /// What its maker calls it.
    pub name: String,
    /// VO.
    pub vo: Option<String>,
    /// Roles in the VO.
    #[serde(default)]
    pub roles: BTreeSet<String>,
    /// Roles that reach every VO.
    #[serde(default)]
    pub everywhere: BTreeSet<String>,
    /// Scopes; None = all.
    pub scopes: Option<BTreeSet<String>>,
    /// Short name of the holder.
    pub nickname: String,
    /// Groups of the holder when it was made.
    #[serde(default)]
    pub groups: Vec<String>,
    /// Who made it.
    pub by: String,
}

/// A reach as stored.
#[must_use]
pub fn reach(text: &str) -> Option<Reach> {
    match text.split_once(':') {
        None if text == "*" => Some(Reach::Everything),
        Some(("vo", vo)) => Some(Reach::Vo(vo.to_owned())),
        Some(("site", site)) => Some(Reach::Site(site.to_owned())),
        _ => None,
    }
}

/// What is stored now.
pub async fn read(ops: &Ops) -> Result<Trust, OpsError> {
    let now = ops.now().0;
    let mut trust = Trust::default();
    for g in grant::list(&ops.store).await? {
        if g.until_us.is_some_and(|until| until <= now) {
            continue;
        }
        match reach(&g.reach) {
            Some(Reach::Vo(vo)) if g.role == BANNED => ban(&mut trust.bans, g, Some(vo)),
            Some(_) if g.role == BANNED => ban(&mut trust.bans, g, None),
            Some(_) if g.pending => trust.pending.push(g),
            Some(reach) => trust.grants.add(&g.issuer, &g.subject, Grant { role: Role::from_name(&g.role), reach }),
            None => tracing::error!("a grant of {} reaches `{}`, which is not known; it does not count", g.shown, g.reach),
        }
    }
    for t in token::list(&ops.store).await? {
        if t.revoked_us.is_none() && t.until_us > now {
            match principal(&t) {
                Ok(principal) => drop(trust.tokens.insert(t.hash, ApiToken { principal: Arc::new(principal), until_us: t.until_us })),
                Err(e) => tracing::error!("API token {} cannot be read and does not count: {e}", t.id),
            }
        }
    }
    Ok(trust)
}

fn ban(bans: &mut Bans, g: GrantRow, vo: Option<String>) {
    bans.names.insert(g.shown);
    bans.by_key.entry((g.issuer, g.subject)).or_default().insert(vo);
}

/// Who shows a token.
pub fn principal(t: &TokenRow) -> Result<Principal, serde_json::Error> {
    let doc: TokenDoc = serde_json::from_str(&t.doc)?;
    let roles = |names: &BTreeSet<String>| names.iter().map(|r| Role::from_name(r)).collect();
    let scopes = doc.scopes.as_ref().map(|names| names.iter().filter_map(|s| Scope::from_name(s)).collect());
    Ok(Principal {
        issuer: t.issuer.clone(),
        subject: t.subject.clone(),
        name: t.shown.clone(),
        nickname: doc.nickname,
        vo: doc.vo,
        roles: roles(&doc.roles),
        groups: doc.groups,
        email: None,
        standing: Standing { roles: roles(&doc.everywhere), scopes, ..Standing::default() },
    })
}

/// Whether a token is of a robot, not of a person.
#[must_use]
pub fn is_robot(t: &TokenRow) -> bool {
    t.issuer == ISSUER
}
