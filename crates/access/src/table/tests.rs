#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use std::collections::HashSet;

use super::*;
use crate::principal::Standing;

fn who(subject: &str, vo: &str, roles: &[Role]) -> Principal {
    Principal {
        issuer: "i".into(),
        subject: subject.into(),
        name: subject.into(),
        nickname: subject.into(),
        vo: Some(vo.into()),
        roles: roles.iter().cloned().collect(),
        groups: vec![vo.into()],
        email: None,
        standing: Standing::default(),
    }
}

fn everywhere(subject: &str, role: Role) -> Principal {
    Principal { standing: Standing { roles: [role].into(), ..Standing::default() }, ..who(subject, "amber", &[]) }
}

/// Who is asked about, each with the name under which the matrix shows it.
fn people() -> Vec<(&'static str, Option<Principal>)> {
    let site = Principal {
        standing: Standing { roles: [Role::SiteAdmin].into(), sites: ["CERN".to_owned()].into(), scopes: None },
        ..who("sam", "amber", &[])
    };
    vec![
        ("anonymous", None),
        ("owner", Some(who("alice", "amber", &[]))),
        ("user of the VO", Some(who("bob", "amber", &[]))),
        ("user of another VO", Some(who("eve", "flint", &[]))),
        ("production", Some(who("prod", "amber", &[Role::Production]))),
        ("production of another VO", Some(who("prod", "flint", &[Role::Production]))),
        ("pilot", Some(who("pilot", "amber", &[Role::Pilot]))),
        ("pilot of another VO", Some(who("pilot", "flint", &[Role::Pilot]))),
        ("pilot of the site", Some(everywhere("pilot", Role::Pilot))),
        ("harvester", Some(who("h", "amber", &[Role::Harvester]))),
        ("vo-admin", Some(who("vera", "amber", &[Role::VoAdmin]))),
        ("vo-admin of another VO", Some(who("vera", "flint", &[Role::VoAdmin]))),
        ("site-admin", Some(site)),
        ("operator", Some(everywhere("op", Role::Operator))),
        ("another role", Some(who("odd", "amber", &[Role::Named("analysis".into())]))),
    ]
}

/// Every right for everybody, on a task of alice in amber at a queue of the site CERN: a change of who may do what shows here.
#[test]
fn the_matrix() {
    let object = Object { owner: Some(("i", "alice")), vo: Some("amber"), site: Some("CERN") };
    let mut lines = Vec::new();
    for right in Right::ALL {
        let may = |(name, who): &(&'static str, Option<Principal>)| allowed(*right, who.as_ref(), Some(object)).is_ok().then_some(*name);
        lines.push(format!("{}: {}", right.name(), people().iter().filter_map(may).collect::<Vec<_>>().join(", ")));
    }
    insta::assert_snapshot!(lines.join("\n"));
}

/// Whoever may do it passes the first check too, and whoever fails that one may do it to nothing.
#[test]
fn what_is_told_early_holds_later() {
    let objects = [
        Object::default(),
        Object::of_vo("amber"),
        Object::of_vo("flint"),
        Object::owned(Some(("i", "alice")), "amber"),
        Object::owned(Some(("i", "eve")), "flint"),
        Object::of_site("CERN"),
        Object::of_site("NIKHEF"),
    ];
    for right in Right::ALL {
        for (name, who) in people() {
            let may = objects.iter().any(|o| allowed(*right, who.as_ref(), Some(*o)).is_ok());
            let first = admit(*right, who.as_ref());
            assert!(!may || first.is_ok(), "{right:?} of {name}: {first:?}");
        }
    }
}

#[test]
fn no_role_reaches_another_vo_or_site() {
    let of_flint = Object::owned(Some(("i", "eve")), "flint");
    for right in Right::ALL.iter().filter(|r| !r.grounds().iter().any(|g| matches!(g, Ground::Anyone | Ground::Identity))) {
        for role in Role::KNOWN.iter().filter(|r| r.is_of_a_vo()) {
            let stranger = who("x", "amber", std::slice::from_ref(role));
            assert!(allowed(*right, Some(&stranger), Some(of_flint)).is_err(), "{right:?} with {role} of amber");
        }
    }
    let sam = people().into_iter().find(|p| p.0 == "site-admin").unwrap().1.unwrap();
    assert_eq!(allowed(Right::QueueChange, Some(&sam), Some(Object::of_site("CERN"))), Ok(()));
    assert_eq!(allowed(Right::QueueChange, Some(&sam), Some(Object::of_site("NIKHEF"))), Err(Denied::NotSiteAdmin));
    assert_eq!(allowed(Right::QueueChange, Some(&sam), None), Err(Denied::NotSiteAdmin));
}

#[test]
fn what_nobody_owns_needs_production_and_the_issuer_counts() {
    let alice = who("alice", "amber", &[]);
    assert_eq!(allowed(Right::TaskKill, Some(&alice), None), Err(Denied::NotOwner));
    let elsewhere = Object::owned(Some(("elsewhere", "alice")), "amber");
    assert_eq!(allowed(Right::TaskKill, Some(&alice), Some(elsewhere)), Err(Denied::NotOwner));
    assert_eq!(allowed(Right::TaskKill, Some(&who("p", "amber", &[Role::Production])), None), Ok(()));
    // Whose task was moved to another VO still owns it.
    assert_eq!(allowed(Right::TaskKill, Some(&alice), Some(Object::owned(Some(("i", "alice")), "flint"))), Ok(()));
}

#[test]
fn a_token_reaches_no_further_than_what_it_was_made_for() {
    let mut prod = who("prod", "amber", &[Role::Production]);
    prod.standing.scopes = Some([Scope::Read, Scope::Submit].into());
    let object = Some(Object::of_vo("amber"));
    assert_eq!(allowed(Right::TaskSubmit, Some(&prod), None), Ok(()));
    assert_eq!(allowed(Right::Read, Some(&prod), object), Ok(()));
    assert_eq!(allowed(Right::TaskKill, Some(&prod), object), Err(Denied::Scope("control")));
    assert_eq!(admit(Right::TaskKill, Some(&prod)), Err(Denied::Scope("control")));
    assert_eq!(admit(Right::ReadOpen, Some(&prod)), Ok(()));
}

#[test]
fn every_right_stands_once_and_says_what_it_is() {
    let names: HashSet<_> = Right::ALL.iter().map(|r| r.name()).collect();
    assert_eq!(names.len(), Right::ALL.len());
    for right in Right::ALL {
        assert!(right.about().trim().ends_with('.') && !right.grounds().is_empty(), "{right:?}");
    }
}

#[test]
fn messages_are_upstreams() {
    assert_eq!(Denied::NoIdentity.to_string(), "SSL secure connection is required");
    assert_eq!(Denied::NoRole.to_string(), "production or pilot role required");
    assert_eq!(Denied::NotOwner.to_string(), "not the task owner or no production role");
    let alice = who("alice", "amber", &[]);
    assert_eq!(admit(Right::TaskSteer, Some(&alice)), Err(Denied::NoRole));
    assert_eq!(admit(Right::PilotReport, Some(&alice)), Err(Denied::NoRole));
    assert_eq!(admit(Right::PilotAcquire, Some(&alice)), Err(Denied::NotPilot));
    assert_eq!(admit(Right::QueueChange, Some(&alice)), Err(Denied::NotSiteAdmin));
    assert_eq!(admit(Right::VoChange, Some(&alice)), Err(Denied::NotVoAdmin));
    assert_eq!(admit(Right::SystemChange, Some(&alice)), Err(Denied::NotOperator));
    assert_eq!(
        allowed(Right::TaskSteer, Some(&who("p", "flint", &[Role::Production])), Some(Object::of_vo("amber"))),
        Err(Denied::OtherVo)
    );
}
