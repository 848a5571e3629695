//! Which rules count (`spec/engine.md` section 11).

use super::*;

const JOB: About<'static> = About { vo: "amber", label: "user", architecture: "x86_64-el9", release: "1.2", share: "Users" };
const NOW: Micros = Micros(1_000);

fn rule(id: i64, source: Source, code: impl Into<Option<i64>>, action: Action) -> Rule {
    Rule {
        id,
        source,
        code: code.into(),
        message: None,
        vo: None,
        label: None,
        architecture: None,
        release: None,
        share: None,
        action,
        params: Params::default(),
        active: true,
        expires: None,
        note: String::new(),
    }
}
fn limit(id: i64, most: i64) -> Rule {
    Rule { params: Params { max_attempt: Some(most), ..Params::default() }, ..rule(id, Source::Pilot, 1305, Action::LimitRetry) }
}
const PAYLOAD: Error<'static> = Error { source: Source::Pilot, code: 1305, message: "it broke\nat line 7" };

/// Regular expressions stand for themselves here: the text contains the pattern.
fn contains(rule: &Rule, text: &str) -> bool {
    rule.message.as_deref().is_some_and(|m| text.contains(m))
}
fn ids(rules: &[Rule], errors: &[Error<'_>]) -> (Vec<i64>, Vec<i64>) {
    let picked = pick(rules, errors, &JOB, NOW, &contains);
    let ids = |rules: Vec<&Rule>| rules.into_iter().map(|r| r.id).collect();
    (ids(picked.rules), ids(picked.dry))
}

#[test]
fn every_condition_must_fit() {
    let plain = rule(1, Source::Pilot, 1305, Action::NoRetry);
    let yes = |change: fn(&mut Rule)| {
        let mut r = plain.clone();
        change(&mut r);
        !ids(&[r], &[PAYLOAD]).0.is_empty()
    };
    type Change = fn(&mut Rule);
    let table: &[(Change, bool)] = &[
        (|_| {}, true),
        (|r| r.source = Source::Exe, false),
        (|r| r.code = Some(1306), false),
        (|r| r.code = None, true),
        (|r| r.message = Some("line 7".into()), true),
        (|r| r.message = Some("line 8".into()), false),
        (|r| r.vo = Some("amber".into()), true),
        (|r| r.vo = Some("flint".into()), false),
        (|r| r.label = Some("managed".into()), false),
        (|r| r.architecture = Some("x86_64-el9".into()), true),
        (|r| r.architecture = Some("aarch64".into()), false),
        (|r| r.release = Some("1.3".into()), false),
        (|r| r.share = Some("Users".into()), true),
        (|r| r.share = Some("Production".into()), false),
        (|r| r.expires = Some(Micros(1_001)), true),
        (|r| r.expires = Some(Micros(1_000)), false),
    ];
    for (at, (change, want)) in table.iter().enumerate() {
        assert_eq!(yes(*change), *want, "row {at}");
    }
}

#[test]
fn one_of_each_kind_and_the_most_specific_counts() {
    let of_vo = Rule { vo: Some("amber".into()), ..limit(3, 9) };
    assert_eq!(ids(&[limit(1, 5), limit(2, 4)], &[PAYLOAD]).0, [2], "the fewest attempts of two that are as specific");
    assert_eq!(ids(&[limit(1, 5), of_vo.clone()], &[PAYLOAD]).0, [3], "the more specific one");
    let never = rule(4, Source::Pilot, 1305, Action::NoRetry);
    assert_eq!(ids(&[limit(1, 5), never.clone()], &[PAYLOAD]).0, [4], "no retry is the fewest");
    assert_eq!(ids(&[of_vo, never], &[PAYLOAD]).0, [3], "but not when the limit is more specific");
    let others: Vec<Rule> = [Action::IncreaseMemory, Action::IncreaseMemoryXtimes, Action::IncreaseCputime, Action::ReduceInput]
        .into_iter()
        .flat_map(|a| [rule(10, Source::Pilot, 1305, a), rule(11, Source::Pilot, None, a)])
        .collect();
    assert_eq!(ids(&others, &[PAYLOAD]).0, [10, 10, 10, 10]);
}

#[test]
fn the_first_error_that_a_rule_matches_wins() {
    let exe = Error { source: Source::Exe, code: 65, message: "" };
    let trans = Error { source: Source::Trans, code: 3, message: "" };
    let server = Error { source: Source::Server, code: 102, message: "" };
    let rules = [
        rule(1, Source::Trans, 3, Action::NoRetry),
        rule(2, Source::Exe, 65, Action::IncreaseMemory),
        rule(3, Source::Server, 102, Action::IncreaseCputime),
    ];
    assert_eq!(ids(&rules, &[trans, exe, PAYLOAD]).0, [2], "executor before transformation; the pilot's error has no rule");
    assert_eq!(ids(&rules, &[trans, server]).0, [1, 3], "the server's own error is looked at apart");
    assert_eq!(ids(&rules, &[PAYLOAD]).0, [0; 0]);
}

#[test]
fn rules_that_are_not_active_are_only_recorded() {
    let dry = Rule { active: false, ..rule(7, Source::Pilot, 1305, Action::NoRetry) };
    assert_eq!(ids(&[dry, limit(1, 5)], &[PAYLOAD]), (vec![1], vec![7]));
}

#[test]
fn classes_come_from_rules_and_else_from_the_dictionary() {
    let lost = Error { source: Source::Dispatcher, code: crate::job::error::LOST_HEARTBEAT, message: "" };
    let of = |rules: &[Rule], error: Error<'_>| {
        let picked = pick(rules, &[error], &JOB, NOW, &contains);
        verdict(&picked, &[error])
    };
    assert_eq!(of(&[], lost), (Verdict { again: Again::Usual, not_counted: true }, Some(Class::System)));
    assert_eq!(of(&[], PAYLOAD), (Verdict::USUAL, Some(Class::User)));
    assert_eq!(of(&[], Error { code: 7, ..PAYLOAD }), (Verdict::USUAL, None));
    let system =
        Rule { params: Params { class: Some(Class::System), ..Params::default() }, ..rule(1, Source::Pilot, 1305, Action::Classify) };
    assert_eq!(of(&[system, limit(2, 4)], PAYLOAD), (Verdict { again: Again::AtMost(4), not_counted: true }, Some(Class::System)));
    let user =
        Rule { params: Params { class: Some(Class::User), ..Params::default() }, ..rule(1, Source::Dispatcher, None, Action::Classify) };
    assert!(!of(&[user], lost).0.not_counted);
}
