//! Owns: whom a VO's identity provider may vouch for, and what its claims mean to the VO. Must not know: signatures.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::principal::Role;

/// The identity provider of one VO and the VO's reading of its claims (`spec/engine.md` section 14.2, `spec/client.md` section 8.4).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    /// The `iss` of its tokens; where discovery begins.
    pub issuer: String,
    /// Other spellings of the issuer in tokens that still count.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub legacy_issuers: Vec<String>,
    /// The client that people's programs log in with.
    pub client_id: String,
    /// Its secret; none for a public client.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<String>,
    /// Accepted values of `aud` beside the client's id.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub audiences: Vec<String>,
    /// Where the groups stand: names of nested claims parted by slashes (`cern_roles`, `resource_access/panda/roles`); the name as a whole is tried first.
    #[serde(default = "groups_claim")]
    pub groups_claim: String,
    /// Groups of which a caller must be in one; empty = the group with the VO's name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<String>,
    /// The group of each role; a role that is not listed has the group `<vo>/<role>`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub roles: BTreeMap<String, String>,
    /// Roles that callers act in without asking when they are in the group, the first that fits.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub auto_roles: Vec<String>,
    /// Clients that stand for no person, and the role of each.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub robots: BTreeMap<String, String>,
    /// Whether the provider follows the WLCG profile: groups in `wlcg.groups`, and the client asks for those scopes.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub wlcg: bool,
}

fn groups_claim() -> String {
    "groups".to_owned()
}

/// Two spellings of an issuer differ by a slash at the end at most.
pub(super) fn same_issuer(a: &str, b: &str) -> bool {
    a.trim_end_matches('/') == b.trim_end_matches('/')
}

impl Rules {
    /// Rules of a provider with nothing but what must be told.
    #[must_use]
    pub fn new(issuer: &str, client_id: &str) -> Self {
        Self {
            issuer: issuer.to_owned(),
            legacy_issuers: Vec::new(),
            client_id: client_id.to_owned(),
            client_secret: None,
            audiences: Vec::new(),
            groups_claim: groups_claim(),
            members: Vec::new(),
            roles: BTreeMap::new(),
            auto_roles: Vec::new(),
            robots: BTreeMap::new(),
            wlcg: false,
        }
    }

    /// Whether tokens of this `iss` are the provider's.
    pub(super) fn is_issuer(&self, iss: &str) -> bool {
        same_issuer(&self.issuer, iss) || self.legacy_issuers.iter().any(|i| same_issuer(i, iss))
    }

    /// Whether a token is for us: one of `aud`, or the client that asked for it where `aud` names none of ours.
    pub(super) fn is_audience(&self, claims: &Map<String, Value>) -> bool {
        let known = |text: &str| text == self.client_id || self.audiences.iter().any(|a| a == text) || self.robots.contains_key(text);
        match claims.get("aud") {
            Some(Value::String(aud)) => known(aud),
            Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).any(known),
            _ => client(claims).is_some_and(known),
        }
    }

    /// The role of a robot.
    pub(super) fn robot(&self, claims: &Map<String, Value>) -> Option<Role> {
        client(claims).and_then(|c| self.robots.get(c)).map(|role| Role::from_name(role))
    }

    /// The groups, without slash at the beginning, in lower case.
    pub(super) fn groups(&self, claims: &Map<String, Value>) -> Vec<String> {
        let name = if self.wlcg && self.groups_claim == "groups" { "wlcg.groups" } else { &self.groups_claim };
        let found = claims.get(name).or_else(|| {
            let mut parts = name.split('/');
            let first = claims.get(parts.next()?)?;
            parts.try_fold(first, |value, part| value.get(part))
        });
        let tidy = |g: &str| g.trim_start_matches('/').to_ascii_lowercase();
        match found {
            Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).map(tidy).collect(),
            // eduPerson-like claims are one text
            Some(Value::String(text)) => text.split([' ', ',', ';']).filter(|g| !g.is_empty()).map(tidy).collect(),
            _ => Vec::new(),
        }
    }

    /// The group that a role asks for.
    pub(super) fn group_of(&self, vo: &str, role: &Role) -> String {
        let own = self.roles.iter().find(|(name, _)| name.eq_ignore_ascii_case(role.as_str()));
        own.map_or_else(|| format!("{vo}/{role}"), |(_, group)| group.trim_start_matches('/').to_ascii_lowercase())
    }

    /// The groups of which one makes a member.
    pub(super) fn member_groups(&self, vo: &str) -> Vec<String> {
        if self.members.is_empty() {
            return vec![vo.to_owned()];
        }
        self.members.iter().map(|g| g.trim_start_matches('/').to_ascii_lowercase()).collect()
    }
}

/// The client that asked for a token.
fn client(claims: &Map<String, Value>) -> Option<&str> {
    ["client_id", "azp"].into_iter().find_map(|name| claims.get(name).and_then(Value::as_str))
}
