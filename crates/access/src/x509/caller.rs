//! Who the holder of a certificate is here.
//!
//! Owns: subject, shown name, short name, VO, groups and roles of a [`Principal`] that comes by certificate. Must not know: whether the chain holds.

use std::collections::BTreeSet;

use super::cert::Delegation;
use super::chain::Holds;
use super::mapfile::Mapped;
use super::name::Name;
use super::refusal::Refusal;
use super::voms::Attributes;
use crate::identity::AccessError;
use crate::origin::Origin;
use crate::principal::{Principal, Role, Standing, tidy_name};

/// The issuer of every caller by certificate. A constant, not the CA: whoever gets his certificate renewed by another CA under the same name is the same
/// person, as it always was on the grid; signing policies keep CAs out of each other's names.
pub const ISSUER: &str = "x509";

/// Holds that the proxies hand on all rights.
///
/// # Errors
/// [`Refusal`] for the kind of proxy.
pub fn acts_fully(holds: &Holds) -> Result<(), Refusal> {
    let proxy = || holds.chain.first().map(|certificate| certificate.subject.slash()).unwrap_or_default();
    match holds.delegation {
        Delegation::Full => Ok(()),
        Delegation::Limited => Err(Refusal::Limited(proxy())),
        Delegation::Independent => Err(Refusal::Independent(proxy())),
        Delegation::Restricted => Err(Refusal::Restricted(proxy())),
    }
}

/// What is known of a caller besides the name.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// What VOs say.
    pub attributes: Vec<Attributes>,
    /// What the mapping file says.
    pub mapped: Mapped,
}

/// The caller with this subject, acting as `Origin` and the attributes ask.
///
/// # Errors
/// [`AccessError::UnknownVo`] for a VO that is not configured, [`AccessError::NotMember`] for one, or a role, that nothing backs.
pub fn principal(
    subject: &str,
    names: &[String],
    facts: &Facts,
    origin: Option<&Origin>,
    knows: impl Fn(&str) -> bool,
) -> Result<Principal, AccessError> {
    let mut groups: Vec<String> = Vec::new();
    let mut add = |group: String| {
        if !groups.contains(&group) {
            groups.push(group);
        }
    };
    // VOs in the order in which they were asked for, and the roles to act in of each.
    let mut vos: Vec<String> = Vec::new();
    let mut acts: Vec<(String, Role)> = Vec::new();
    for fqan in facts.attributes.iter().flat_map(|a| &a.fqans) {
        let (group, role) = fqan_parts(fqan);
        let vo = group.split('/').next().unwrap_or_default().to_owned();
        add(vo.clone());
        add(group.clone());
        if let Some(role) = role {
            add(format!("{group}/{role}"));
            // A role of a group within the VO is not one of the VO.
            if group == vo {
                acts.push((vo.clone(), role));
            }
        }
        vos.push(vo);
    }
    for (vo, role) in &facts.mapped.grants {
        add(vo.clone());
        if let Some(role) = role.as_deref().map(Role::from_name) {
            add(format!("{vo}/{role}"));
            acts.push((vo.clone(), role));
        }
        vos.push(vo.clone());
    }
    let vo = origin.map(|origin| origin.vo.clone()).or_else(|| vos.first().cloned());
    let mut roles = BTreeSet::new();
    if let Some(vo) = &vo {
        if !knows(vo) {
            return Err(AccessError::UnknownVo(vo.clone()));
        }
        if !groups.contains(vo) {
            return Err(AccessError::NotMember(vo.clone()));
        }
        if let Some(role) = origin.and_then(|origin| origin.role.clone()) {
            let group = format!("{vo}/{role}");
            if !role.is_of_a_vo() {
                return Err(AccessError::NotOfAVo(role.to_string()));
            }
            if !groups.contains(&group) {
                return Err(AccessError::NotMember(group));
            }
            roles.insert(role);
        }
        roles.extend(acts.into_iter().filter(|(of, _)| of == vo).map(|(_, role)| role).filter(Role::is_of_a_vo));
    }
    let (name, own_nickname) = person(names, subject);
    let said = facts.attributes.iter().find_map(|a| a.nickname.clone());
    let nickname = facts.mapped.nickname.clone().or(said).or(own_nickname).unwrap_or_else(|| short(&name));
    Ok(Principal {
        issuer: ISSUER.to_owned(),
        subject: subject.to_owned(),
        name,
        nickname,
        vo,
        roles,
        groups,
        email: None,
        standing: Standing::default(),
    })
}

/// Group without slash at the beginning and role of `/amber/higgs/Role=production/Capability=NULL`, lower case; `NULL` is none.
fn fqan_parts(fqan: &str) -> (String, Option<Role>) {
    let lower = fqan.to_ascii_lowercase();
    let (group, rest) = lower.split_once("/role=").unwrap_or((lower.as_str(), ""));
    let group = group.split("/capability=").next().unwrap_or_default().trim_matches('/').to_owned();
    let role = rest.split('/').next().unwrap_or_default();
    (group, (!role.is_empty() && role != "null").then(|| Role::from_name(role)))
}

/// Shown name and nickname that common names tell, as upstream cleans them (`spec/engine.md` section 14.3): numbers, words of proxies and nicknames are no
/// names, and of several the last counts.
fn person(names: &[String], subject: &str) -> (String, Option<String>) {
    let mut nickname = None;
    let mut shown = None;
    for name in names {
        let is_number = !name.is_empty() && name.bytes().all(|octet| octet.is_ascii_digit());
        if let Some(nick) = name.strip_prefix("nickname:") {
            nickname = Some(nick.trim().to_owned()).filter(|nick| !nick.is_empty());
        } else if !is_number && !matches!(name.as_str(), "proxy" | "limited proxy") {
            shown = Some(name);
        }
    }
    let text = shown.map_or(subject, |name| name.strip_prefix("Robot:").unwrap_or(name));
    (tidy_name(text, str::to_owned), nickname)
}

/// A short name out of a shown one: its letters and digits, lower case.
fn short(name: &str) -> String {
    let short: String = name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    if short.is_empty() { "x509".to_owned() } else { short }
}

/// Common names of a certificate's subject.
#[must_use]
pub fn names_of(name: &Name) -> Vec<String> {
    name.common_names().collect()
}

/// Subject and common names out of a name that a reverse proxy wrote, in slash form or as `CN=Alice,O=Amber` (RFC 4514, the end of the tree first); what
/// proxies have put behind the holder's name is cut off.
///
/// # Errors
/// When it is neither.
pub fn from_text(text: &str) -> Result<(String, Vec<String>), &'static str> {
    let text = text.trim();
    let mut parts: Vec<(String, String)> = Vec::new();
    if let Some(rest) = text.strip_prefix('/') {
        for piece in rest.split('/') {
            match (piece.split_once('='), parts.last_mut()) {
                (Some((kind, value)), _) if !kind.is_empty() && kind.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.') => {
                    parts.push((kind.to_owned(), value.to_owned()));
                }
                // A slash within a value.
                (_, Some((_, value))) => {
                    value.push('/');
                    value.push_str(piece);
                }
                (_, None) => return Err("a name in slash form, or parted by commas"),
            }
        }
    } else {
        for piece in commas(text) {
            let (kind, value) = piece.split_once('=').ok_or("a name in slash form, or parted by commas")?;
            parts.push((kind.trim().to_owned(), value.trim().to_owned()));
        }
        parts.reverse();
    }
    let is_proxy = |(kind, value): &(String, String)| {
        kind == "CN"
            && (matches!(value.as_str(), "proxy" | "limited proxy") || (!value.is_empty() && value.bytes().all(|b| b.is_ascii_digit())))
    };
    while parts.len() > 1 && parts.last().is_some_and(is_proxy) {
        parts.pop();
    }
    if parts.is_empty() || parts.iter().any(|(_, value)| value.is_empty()) {
        return Err("a name with a value in each part");
    }
    let subject = parts.iter().map(|(kind, value)| format!("/{kind}={value}")).collect();
    Ok((subject, parts.into_iter().filter(|(kind, _)| kind == "CN").map(|(_, value)| value).collect()))
}

/// Pieces parted by commas that are not escaped; escapes are resolved.
fn commas(text: &str) -> Vec<String> {
    let mut pieces = vec![String::new()];
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            ',' => pieces.push(String::new()),
            '\\' => pieces.last_mut().into_iter().for_each(|piece| piece.extend(chars.next())),
            c => pieces.last_mut().into_iter().for_each(|piece| piece.push(c)),
        }
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    fn voms(vo: &str, fqans: &[&str]) -> Attributes {
        Attributes { vo: vo.to_owned(), fqans: fqans.iter().map(|f| (*f).to_owned()).collect(), nickname: Some("ali".to_owned()), until: 1 }
    }

    fn ask(facts: &Facts, origin: Option<&str>) -> Result<Principal, AccessError> {
        let origin = origin.and_then(|text| Origin::parse(text, |vo| vo == "amber"));
        principal("/DC=org/CN=Alice Example", &["Alice Example".to_owned()], facts, origin.as_ref(), |vo| matches!(vo, "amber" | "flint"))
    }

    #[test]
    fn attributes_make_groups_and_roles() {
        let fqans = ["/amber/Role=production/Capability=NULL", "/amber/higgs/Role=NULL", "/amber/higgs/Role=Production"];
        let facts = Facts { attributes: vec![voms("amber", &fqans)], ..Facts::default() };
        let p = ask(&facts, None).unwrap();
        assert_eq!(p.groups, ["amber", "amber/production", "amber/higgs", "amber/higgs/production"]);
        assert_eq!((p.vo.as_deref(), p.nickname.as_str(), p.name.as_str()), (Some("amber"), "ali", "Alice Example"));
        assert_eq!(p.roles, BTreeSet::from([Role::Production]));
        assert_eq!(p.production_groups().collect::<Vec<_>>(), ["higgs"]);
        assert_eq!(ask(&facts, Some("amber:pilot")), Err(AccessError::NotMember("amber/pilot".to_owned())));
        assert_eq!(ask(&facts, Some("flint")), Err(AccessError::NotMember("flint".to_owned())));
        let stranger = Facts { attributes: vec![voms("granite", &["/granite"])], ..Facts::default() };
        assert_eq!(ask(&stranger, None), Err(AccessError::UnknownVo("granite".to_owned())));
        let worker = Facts { attributes: vec![voms("amber", &["/amber/higgs/Role=production"])], ..Facts::default() };
        assert!(ask(&worker, None).unwrap().roles.is_empty(), "a role of a group is none of the VO");
    }

    #[test]
    fn a_plain_certificate_is_somebody_without_vo_and_the_map_grants() {
        let p = ask(&Facts::default(), None).unwrap();
        assert_eq!((p.vo, p.nickname.as_str(), p.issuer.as_str()), (None, "aliceexample", ISSUER));
        assert_eq!(ask(&Facts::default(), Some("amber")), Err(AccessError::NotMember("amber".to_owned())));
        let mapped = Mapped { nickname: Some("al".to_owned()), grants: vec![("amber".to_owned(), Some("pilot".to_owned()))] };
        let facts = Facts { mapped, ..Facts::default() };
        let p = ask(&facts, Some("amber")).unwrap();
        assert_eq!((p.vo.as_deref(), p.nickname.as_str()), (Some("amber"), "al"));
        assert!(p.acts(&Role::Pilot, None) && !p.is_production());
    }

    #[test]
    fn names_are_cleaned_as_upstream_does() {
        let of = |names: &[&str]| person(&names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>(), "/DC=org");
        for (names, want) in [
            (&["Alice van Example"][..], "Alice van Example"),
            (&["aexample", "123456", "Alice Example"], "Alice Example"),
            (&["Alice Example", "123456789"], "Alice Example"),
            (&["Alice Example 42"], "Alice Example"),
            (&["Robot:Pilots (amber)"], "Pilots amber"),
            (&["Alice O'Example", "proxy"], "Alice OExample"),
        ] {
            assert_eq!(of(names), (want.to_owned(), None), "{names:?}");
        }
        assert_eq!(of(&["Alice", "nickname:ali"]), ("Alice".to_owned(), Some("ali".to_owned())));
    }

    #[test]
    fn names_that_a_reverse_proxy_wrote() {
        let want = |subject: &str, names: &[&str]| Ok((subject.to_owned(), names.iter().map(|n| (*n).to_owned()).collect()));
        assert_eq!(
            from_text("/DC=org/CN=host/a.example.org/CN=123/CN=proxy"),
            want("/DC=org/CN=host/a.example.org", &["host/a.example.org"])
        );
        assert_eq!(from_text("CN=Alice\\, Example, O=Amber,C=CH"), want("/C=CH/O=Amber/CN=Alice, Example", &["Alice, Example"]));
        assert!(from_text("").is_err() && from_text("alice").is_err() && from_text("/").is_err() && from_text("CN=").is_err());
    }
}
