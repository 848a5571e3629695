//! Owns: the identified caller and how upstream would spell its name. Must not know: where the identity came from.

use std::collections::BTreeSet;
use std::fmt;

use crate::table::Scope;

/// A role that a caller acts in; the [`table`](crate::table) says which door each opens. Any other name is carried along so that it can be shown and sent.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Acts on everything of the VO (`/<vo>/Role=production`).
    Production,
    /// Takes and reports jobs (`/<vo>/Role=pilot`).
    Pilot,
    /// Submits and watches workers, and does what pilots do.
    Harvester,
    /// Administers a VO: its people, its settings, its identity provider.
    VoAdmin,
    /// Administers the queues of the sites that are named with the role.
    SiteAdmin,
    /// Administers the whole system.
    Operator,
    /// A role of the experiment's own that this system gives no right to.
    Named(String),
}

impl Role {
    /// The roles that open doors.
    pub const KNOWN: [Self; 6] = [Self::Production, Self::Pilot, Self::Harvester, Self::VoAdmin, Self::SiteAdmin, Self::Operator];

    /// The role of this name; names are compared without case, as in `Origin`.
    #[must_use]
    pub fn from_name(name: &str) -> Self {
        let name = name.to_ascii_lowercase();
        Self::KNOWN.into_iter().find(|role| role.as_str() == name).unwrap_or(Self::Named(name))
    }

    /// The lower-case name as it stands in group names and FQANs.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Production => "production",
            Self::Pilot => "pilot",
            Self::Harvester => "harvester",
            Self::VoAdmin => "vo-admin",
            Self::SiteAdmin => "site-admin",
            Self::Operator => "operator",
            Self::Named(name) => name,
        }
    }

    /// Whether a VO may say by itself who has it: those that reach no further than the VO.
    #[must_use]
    pub const fn is_of_a_vo(&self) -> bool {
        !matches!(self, Self::SiteAdmin | Self::Operator)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a caller holds beside the roles in a VO.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// Roles that reach every VO: of operators, and of pilots and agents that serve a whole site.
    pub roles: BTreeSet<Role>,
    /// Sites that the caller administers.
    pub sites: BTreeSet<String>,
    /// What the token was made for; None = everything that its holder may do.
    pub scopes: Option<BTreeSet<Scope>>,
}

/// An identified caller. Ownership is keyed on ([`issuer`](Self::issuer), [`subject`](Self::subject)); every other text is
/// for people and for the wire, and may collide between two callers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// Who vouches for the subject (`iss` of a token).
    pub issuer: String,
    /// The subject, unique and never reused within the issuer (`sub` of a token).
    pub subject: String,
    /// Display name, cleaned and capitalised as upstream stores user names (`spec/engine.md` section 14.3).
    pub name: String,
    /// Short name (`preferred_username`): the `user.<nickname>.` prefix of data set names.
    pub nickname: String,
    /// The VO the caller acts for, lower case; None when neither `Origin` nor token names one.
    pub vo: Option<String>,
    /// Roles the caller acts in: asked for (in `Origin` or token) *and* backed by a group.
    pub roles: BTreeSet<Role>,
    /// Groups as the issuer lists them, without leading slash: `vo`, `vo/role`.
    pub groups: Vec<String>,
    /// Mail address, if the issuer tells one.
    pub email: Option<String>,
    /// What is held beside the roles in the VO.
    pub standing: Standing,
}

impl Principal {
    /// True in the production role of its VO.
    #[must_use]
    pub fn is_production(&self) -> bool {
        self.roles.contains(&Role::Production)
    }

    /// Whether the caller has a role for things of this VO; None = for things of no VO in particular.
    #[must_use]
    pub fn acts(&self, role: &Role, vo: Option<&str>) -> bool {
        self.standing.roles.contains(role) || (self.roles.contains(role) && self.is_of(vo))
    }

    /// Whether something of this VO is of the caller's own, or of no VO.
    #[must_use]
    pub fn is_of(&self, vo: Option<&str>) -> bool {
        vo.is_none_or(|vo| self.vo.as_deref() == Some(vo))
    }

    /// The one VO whose jobs a worker in this identity may have; None = all.
    #[must_use]
    pub fn worker_vo(&self) -> Option<&str> {
        let reaches_all = [Role::Pilot, Role::Harvester, Role::Operator].iter().any(|role| self.standing.roles.contains(role));
        if reaches_all { None } else { self.vo.as_deref() }
    }

    /// Working groups that the caller may produce for: `wg` of the groups `vo/wg/production` (`spec/engine.md` section 14.4).
    pub fn production_groups(&self) -> impl Iterator<Item = &str> {
        let vo = self.vo.as_deref().unwrap_or_default();
        self.groups.iter().filter_map(move |g| match g.split('/').collect::<Vec<_>>()[..] {
            [v, wg, "production"] if v == vo => Some(wg),
            _ => None,
        })
    }

    /// Name in the form of a certificate subject: `<Name>/CN=nickname:<preferred_username>` (`spec/client.md` section 8.4).
    #[must_use]
    pub fn dn_raw(&self) -> String {
        format!("{}/CN=nickname:{}", self.name, self.nickname)
    }

    /// Roles in the form of VOMS attributes: `/<vo>/Role=<role>`; empty without VO or role.
    #[must_use]
    pub fn fqans(&self) -> Vec<String> {
        let Some(vo) = &self.vo else { return Vec::new() };
        self.roles.iter().map(|role| format!("/{vo}/Role={role}")).collect()
    }

    /// The key of ownership: (issuer, subject).
    #[must_use]
    pub fn owner(&self) -> (&str, &str) {
        (&self.issuer, &self.subject)
    }

    /// True if this caller is the owner of that key.
    #[must_use]
    pub fn owns(&self, owner: (&str, &str)) -> bool {
        self.owner() == owner
    }
}

/// The display name that upstream makes of a token's `name`: each word capitalised, then what is not part of a person's
/// name dropped (parentheses, apostrophes, a mail address at the end, numbers at the end). Falls back to the text itself
/// when nothing would be left.
#[must_use]
pub fn clean_name(raw: &str) -> String {
    tidy_name(raw, capitalise)
}

/// The same with each word as `spell` has it: names of certificates keep their letters.
pub(crate) fn tidy_name(raw: &str, spell: impl FnMut(&str) -> String) -> String {
    let base = raw.split("/CN=").next().unwrap_or(raw);
    let kept: String = base.chars().filter(|c| !matches!(c, '(' | ')' | '\'' | '/') && !c.is_control()).collect();
    let mut words: Vec<String> = kept.split_whitespace().map(spell).collect();
    while words.len() > 1 {
        let is_tail = words.last().is_some_and(|w| w.contains('@') || w.bytes().all(|b| b.is_ascii_digit()));
        if !is_tail {
            break;
        }
        words.pop();
    }
    if let Some(last) = words.last_mut()
        && let Some((front, digits)) = last.rsplit_once('_')
        && !front.is_empty()
        && !digits.is_empty()
        && digits.bytes().all(|b| b.is_ascii_digit())
    {
        *last = front.to_owned();
    }
    if words.is_empty() { raw.trim().to_owned() } else { words.join(" ") }
}

fn capitalise(word: &str) -> String {
    let mut chars = word.chars();
    match chars.next() {
        Some(first) => first.to_uppercase().chain(chars.flat_map(char::to_lowercase)).collect(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn working_groups_with_the_production_role() {
        let groups = ["amber", "amber/production", "amber/higgs/production", "amber/top/pilot", "flint/top/production"];
        let p = Principal {
            issuer: "i".into(),
            subject: "s".into(),
            name: "n".into(),
            nickname: "n".into(),
            vo: Some("amber".into()),
            roles: BTreeSet::new(),
            groups: groups.map(str::to_owned).to_vec(),
            email: None,
            standing: Standing::default(),
        };
        assert_eq!(p.production_groups().collect::<Vec<_>>(), ["higgs"]);
    }

    #[test]
    fn names_are_cleaned_as_upstream_does() {
        for (raw, want) in [
            ("alice example", "Alice Example"),
            ("ALICE  EXAMPLE 12", "Alice Example"),
            ("alice example_2", "Alice Example"),
            ("alice o'brien (cern)", "Alice Obrien Cern"),
            ("alice example alice@example.org", "Alice Example"),
            ("alice example/CN=nickname:alice", "Alice Example"),
            ("user1", "User1"),
            ("42", "42"),
            ("alice@example.org", "Alice@example.org"),
            ("()", "()"),
        ] {
            assert_eq!(clean_name(raw), want, "of {raw:?}");
        }
    }

    #[test]
    fn roles_know_their_names() {
        assert_eq!(Role::from_name("PRODUCTION"), Role::Production);
        assert_eq!(Role::from_name("pilot"), Role::Pilot);
        assert_eq!(Role::from_name("Analysis").as_str(), "analysis");
        for role in Role::KNOWN {
            assert_eq!(Role::from_name(role.as_str()), role);
        }
    }
}
