//! Callers whom identity providers vouch for: OpenID Connect and OAuth2 tokens that are JSON Web Tokens.
//!
//! Owns: which VO trusts which issuer ([`Rules`]), the issuers' keys as they were last learned ([`KeySet`]), and what makes a token good. Must not know:
//! HTTP; whoever holds an [`Oidc`] fetches keys and hands them over.

mod keys;
mod rules;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use parking_lot::RwLock;
use serde_json::{Map, Value};

use crate::cache::{self, Verified};
use crate::dev::Now;
use crate::grants::Grants;
use crate::identity::{AccessError, Identity, RequestIdentity, bearer};
use crate::jws::Jws;
use crate::origin::{MAX_ORIGIN_BYTES, Origin};
use crate::principal::{Principal, Role, Standing, clean_name};
pub use keys::KeySet;
use keys::Verdict;
pub use rules::Rules;

/// How far clocks of issuers may be from ours, seconds.
const SKEW_S: i64 = 60;

/// What is known of VOs and issuers; replaced as a whole.
#[derive(Default)]
struct Known {
    /// By VO, lower case.
    vos: BTreeMap<String, Rules>,
    /// By issuer as the rules spell it.
    keys: BTreeMap<String, Arc<KeySet>>,
}

/// The identity providers of all VOs.
pub struct Oidc {
    known: RwLock<Arc<Known>>,
    verified: RwLock<Arc<Verified>>,
    grants: RwLock<Arc<Grants>>,
    now: Now,
}

impl Oidc {
    /// Knows no VO yet.
    #[must_use]
    pub fn new(now: Now) -> Self {
        Self { known: RwLock::default(), verified: RwLock::default(), grants: RwLock::default(), now }
    }

    /// From now on these are the VOs with a provider, by name; keys that were learned stay. Every token is looked at anew.
    pub fn set_rules(&self, vos: BTreeMap<String, Rules>) {
        let vos: BTreeMap<String, Rules> = vos.into_iter().map(|(vo, r)| (vo.to_ascii_lowercase(), r)).collect();
        let mut known = self.known.write();
        let keys = known.keys.iter().filter(|(issuer, _)| vos.values().any(|r| r.issuer == **issuer));
        let keys = keys.map(|(issuer, set)| (issuer.clone(), Arc::clone(set))).collect();
        *known = Arc::new(Known { vos, keys });
        *self.verified.write() = Arc::default();
    }

    /// From now on these are the keys of an issuer. When they differ, every token is looked at anew.
    pub fn set_keys(&self, issuer: &str, keys: KeySet) {
        let mut known = self.known.write();
        if known.keys.get(issuer).is_some_and(|before| **before == keys) {
            return;
        }
        let mut all = known.keys.clone();
        all.insert(issuer.to_owned(), Arc::new(keys));
        *known = Arc::new(Known { vos: known.vos.clone(), keys: all });
        *self.verified.write() = Arc::default();
    }

    /// The keys of an issuer hold no more.
    pub fn forget_keys(&self, issuer: &str) {
        let mut known = self.known.write();
        let mut all = known.keys.clone();
        all.remove(issuer);
        *known = Arc::new(Known { vos: known.vos.clone(), keys: all });
        *self.verified.write() = Arc::default();
    }

    /// From now on these are the roles that were granted here. When they differ, every token is looked at anew.
    pub fn set_grants(&self, grants: Arc<Grants>) {
        if **self.grants.read() != *grants {
            *self.grants.write() = grants;
            *self.verified.write() = Arc::default();
        }
    }

    /// The issuers whose keys are wanted.
    #[must_use]
    pub fn issuers(&self) -> BTreeSet<String> {
        self.known.read().vos.values().map(|r| r.issuer.clone()).collect()
    }

    /// The rules of a VO.
    #[must_use]
    pub fn rules(&self, vo: &str) -> Option<Rules> {
        self.known.read().vos.get(&vo.to_ascii_lowercase()).cloned()
    }

    /// Checks a token and says who the caller is.
    fn check(&self, token: &str, origin: Option<&str>) -> Result<(Principal, i64), AccessError> {
        let jws = Jws::parse(token)?;
        let iss = jws.issuer().ok_or(AccessError::InvalidToken("it names no issuer"))?;
        let known = Arc::clone(&self.known.read());
        // Who bears the name comes before those who say that it is another one of theirs.
        let own = known.vos.values().find(|r| rules::same_issuer(&r.issuer, &iss));
        let issuer = own.or_else(|| known.vos.values().find(|r| r.is_issuer(&iss))).map(|r| r.issuer.clone());
        let issuer = issuer.ok_or(AccessError::InvalidToken("it is of an issuer that no VO here trusts"))?;
        let keys = known.keys.get(&issuer).ok_or_else(|| AccessError::NoKeys(issuer.clone()))?;
        match keys.verify(&jws) {
            Verdict::Genuine => {}
            Verdict::NoAlgorithm => return Err(AccessError::InvalidToken("it is not signed with a public key (alg)")),
            Verdict::UnknownKey => return Err(AccessError::UnknownKey(issuer)),
            Verdict::Forged => return Err(AccessError::InvalidToken("its signature does not match")),
        }
        let claims: Map<String, Value> =
            serde_json::from_slice(&jws.payload).map_err(|_| AccessError::InvalidToken("its claims are no JSON object"))?;
        let until = self.check_dates(&claims)?;
        let is_known = |vo: &str| known.vos.contains_key(vo);
        let parse = |text: Option<&str>| text.and_then(|text| Origin::parse(text, is_known));
        let claimed = parse(claims.get("vo").and_then(Value::as_str));
        let asked = parse(origin);
        let vo = match claimed.as_ref().or(asked.as_ref()) {
            Some(origin) => origin.vo.clone(),
            None => only_vo(&known, &iss, &claims)?,
        };
        let rules = known.vos.get(&vo).ok_or_else(|| AccessError::UnknownVo(vo.clone()))?;
        // Its own provider signed it: another VO's rules cannot make people of this one.
        if !rules.is_issuer(&iss) || !rules::same_issuer(&rules.issuer, &issuer) {
            return Err(AccessError::InvalidToken("it is of an issuer that this VO does not trust"));
        }
        if !rules.is_audience(&claims) {
            return Err(AccessError::InvalidToken("it is for another audience"));
        }
        let wanted = [claimed, asked].into_iter().flatten().filter(|o| o.vo == vo).filter_map(|o| o.role).collect();
        let grants = Arc::clone(&self.grants.read());
        // Whoever comes under another spelling of the issuer is the same person, and nobody of another issuer.
        Ok((principal(rules, &grants, &vo, wanted, rules.issuer.clone(), &claims)?, until))
    }

    /// The end of a token, seconds, when it is valid now.
    fn check_dates(&self, claims: &Map<String, Value>) -> Result<i64, AccessError> {
        // Some issuers write dates with a fraction.
        #[expect(clippy::cast_possible_truncation, reason = "seconds since 1970; what does not fit saturates")]
        let date = |name: &str| claims.get(name).and_then(|v| v.as_i64().or_else(|| v.as_f64().map(|f| f as i64)));
        let now = (self.now)().div_euclid(1_000_000);
        let exp = date("exp").ok_or(AccessError::InvalidToken("it names no end (exp)"))?;
        if now >= exp {
            return Err(AccessError::InvalidToken("it has expired"));
        }
        if date("nbf").is_some_and(|nbf| nbf > now.saturating_add(SKEW_S)) {
            return Err(AccessError::InvalidToken("it is not valid yet (nbf)"));
        }
        if date("iat").is_some_and(|iat| iat > now.saturating_add(SKEW_S)) {
            return Err(AccessError::InvalidToken("it was issued in the future (iat)"));
        }
        Ok(exp)
    }
}

/// A number for a text such as an issuer's address, always the same.
#[must_use]
pub fn fingerprint(text: &str) -> u128 {
    cache::digest(text, "").iter().take(16).fold(0, |sum, byte| sum << 8 | u128::from(*byte))
}

/// The VO of a caller who names none: the one that trusts the issuer and the audience, when there is but one.
fn only_vo(known: &Known, iss: &str, claims: &Map<String, Value>) -> Result<String, AccessError> {
    let mut fitting = known.vos.iter().filter(|(_, r)| r.is_issuer(iss) && r.is_audience(claims)).map(|(vo, _)| vo);
    match (fitting.next(), fitting.next()) {
        (Some(vo), None) => Ok(vo.clone()),
        (None, _) => Err(AccessError::InvalidToken("it is for another audience")),
        (Some(_), Some(_)) => Err(AccessError::InvalidToken("several VOs trust its issuer: name one in the header `Origin`")),
    }
}

/// Who the claims say it is, in the VO.
fn principal(
    rules: &Rules,
    grants: &Grants,
    vo: &str,
    wanted: Vec<Role>,
    iss: String,
    claims: &Map<String, Value>,
) -> Result<Principal, AccessError> {
    let text = |name: &str| claims.get(name).and_then(Value::as_str).map(str::trim).filter(|t| !t.is_empty());
    let subject = text("sub").ok_or(AccessError::InvalidToken("it names no subject"))?.to_owned();
    let email = text("email").map(str::to_owned);
    if let Some(role) = rules.robot(claims).filter(Role::is_of_a_vo) {
        let name = format!("robot {role}");
        let groups = vec![vo.to_owned(), rules.group_of(vo, &role)];
        let roles = BTreeSet::from([role]);
        let standing = Standing::default();
        return Ok(Principal {
            issuer: iss,
            subject,
            nickname: name.clone(),
            name,
            vo: Some(vo.to_owned()),
            roles,
            groups,
            email,
            standing,
        });
    }
    let mut groups = rules.groups(claims);
    // What was granted here counts as if the provider had told it, and makes a member.
    let granted: Vec<String> = grants.in_vo(&iss, &subject, vo).map(|role| rules.group_of(vo, role)).collect();
    if !granted.is_empty() {
        groups.extend(rules.member_groups(vo).into_iter().take(1).chain(granted));
    }
    let is_in = |group: &str| groups.iter().any(|g| g == group);
    let mut roles = BTreeSet::new();
    for role in wanted {
        if !role.is_of_a_vo() {
            return Err(AccessError::NotOfAVo(role.to_string()));
        }
        let group = rules.group_of(vo, &role);
        if !is_in(&group) {
            return Err(AccessError::NotMember(group));
        }
        roles.insert(role);
    }
    if roles.is_empty() {
        let members = rules.member_groups(vo);
        if !members.iter().any(|g| is_in(g)) {
            return Err(AccessError::NotMember(members.join(" or ")));
        }
        let auto =
            rules.auto_roles.iter().map(|r| Role::from_name(r)).filter(Role::is_of_a_vo).find(|role| is_in(&rules.group_of(vo, role)));
        roles.extend(auto);
    }
    let nickname = text("preferred_username").unwrap_or(&subject).to_owned();
    let name = clean_name(text("name").unwrap_or(&nickname));
    Ok(Principal { name, issuer: iss, subject, nickname, vo: Some(vo.to_owned()), roles, groups, email, standing: Standing::default() })
}

impl Identity for Oidc {
    fn authenticate(&self, request: &RequestIdentity<'_>) -> Result<Option<Arc<Principal>>, AccessError> {
        let Some(token) = bearer(request.authorization)? else { return Ok(None) };
        let origin = request.origin.filter(|origin| origin.len() <= MAX_ORIGIN_BYTES);
        let digest = cache::digest(token, origin.unwrap_or_default());
        // What was verified by rules or keys that are replaced meanwhile is put where nobody looks any more.
        let verified = Arc::clone(&self.verified.read());
        if let Some(principal) = verified.get(&digest, (self.now)()) {
            return Ok(Some(principal));
        }
        let (principal, until) = self.check(token, origin)?;
        let principal = Arc::new(principal);
        verified.put(digest, until.saturating_mul(1_000_000), Arc::clone(&principal));
        Ok(Some(principal))
    }
}
