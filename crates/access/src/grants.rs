//! Owns: roles that were granted here, whoever vouches for their holders. Must not know: where they are stored.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::principal::{Principal, Role};

/// A role that somebody was granted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Grant {
    /// The role.
    pub role: Role,
    /// What it reaches.
    pub reach: Reach,
}

/// What a granted role reaches.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// Everything.
    Everything,
    /// What is of this VO.
    Vo(String),
    /// What is of this site.
    Site(String),
}

/// Who was granted what, by issuer and subject.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grants(HashMap<String, HashMap<String, BTreeSet<Grant>>>);

impl Grants {
    /// Notes a grant.
    pub fn add(&mut self, issuer: &str, subject: &str, grant: Grant) {
        self.0.entry(issuer.to_owned()).or_default().entry(subject.to_owned()).or_default().insert(grant);
    }

    /// What this identity was granted.
    pub fn of(&self, issuer: &str, subject: &str) -> impl Iterator<Item = &Grant> {
        self.0.get(issuer).and_then(|people| people.get(subject)).into_iter().flatten()
    }

    /// Roles in a VO that count as if the issuer had told them.
    pub fn in_vo<'a>(&'a self, issuer: &str, subject: &str, vo: &'a str) -> impl Iterator<Item = &'a Role> {
        self.of(issuer, subject).filter(move |g| matches!(&g.reach, Reach::Vo(of) if of == vo)).map(|g| &g.role)
    }

    /// The caller with what was granted: administrators act in their role always, without asking for it; production, pilots and harvesters of a VO when they ask.
    #[must_use]
    pub fn apply(&self, who: Arc<Principal>, asked: impl Fn(&Role) -> bool) -> Arc<Principal> {
        let Some(held) = self.0.get(&who.issuer).and_then(|people| people.get(&who.subject)) else { return who };
        let mut who = Principal::clone(&who);
        for grant in held {
            match &grant.reach {
                Reach::Everything => drop(who.standing.roles.insert(grant.role.clone())),
                Reach::Site(site) => {
                    who.standing.roles.insert(Role::SiteAdmin);
                    who.standing.sites.insert(site.clone());
                }
                Reach::Vo(vo) if who.vo.as_ref() == Some(vo) && (grant.role == Role::VoAdmin || asked(&grant.role)) => {
                    who.roles.insert(grant.role.clone());
                }
                Reach::Vo(_) => {}
            }
        }
        Arc::new(who)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::principal::Standing;

    fn alice(vo: &str) -> Arc<Principal> {
        Arc::new(Principal {
            issuer: "i".into(),
            subject: "alice".into(),
            name: "Alice".into(),
            nickname: "alice".into(),
            vo: Some(vo.into()),
            roles: BTreeSet::new(),
            groups: Vec::new(),
            email: None,
            standing: Standing::default(),
        })
    }

    #[test]
    fn what_is_granted_reaches_what_it_says() {
        let mut grants = Grants::default();
        let grant = |role: Role, reach: Reach| Grant { role, reach };
        grants.add("i", "alice", grant(Role::VoAdmin, Reach::Vo("amber".into())));
        grants.add("i", "alice", grant(Role::Production, Reach::Vo("amber".into())));
        grants.add("i", "alice", grant(Role::SiteAdmin, Reach::Site("CERN".into())));
        grants.add("other", "alice", grant(Role::Operator, Reach::Everything));
        let who = grants.apply(alice("amber"), |_| false);
        assert_eq!(who.roles, [Role::VoAdmin].into());
        assert_eq!((who.standing.roles.contains(&Role::Operator), who.standing.sites.contains("CERN")), (false, true));
        assert!(grants.apply(alice("amber"), |role| *role == Role::Production).is_production());
        assert_eq!(grants.apply(alice("flint"), |_| true).roles, BTreeSet::new());
        assert_eq!(grants.in_vo("i", "alice", "amber").count(), 2);
        let same = alice("amber");
        assert!(Arc::ptr_eq(&same, &Grants::default().apply(Arc::clone(&same), |_| true)), "nobody pays who was granted nothing");
    }
}
