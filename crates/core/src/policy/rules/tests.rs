#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use proptest::prelude::*;

/// `spec/engine.md` 6.2: codes, in order; those with a star may be changed on a live task.
const SPEC: &str = "AE AI* AN AP AT AV* CC* CV DE DF DI DM DR DY EC* EI EJ ES* FC FG FP FT FU GB HO IA IF IK IL* IM* IN IP IS IT IW LC* LI* LS \
    LX MC MD ME MF* MJ MN MO MS MW MX NC ND NE NF* NG* NI* NJ* NP* NS NT NW OI OL OM OS OT* PC PJ PL PO RC RD RE RL RM RO RP RR RS RX RY RZ SC \
    SE SO SS ST SW TJ TN TW* UB UC UE UF UP US UT UX UZ* WF WH WI XA XF XJ ZE ZF ZG ZM";

#[test]
fn the_table_is_the_specifications() {
    let own: Vec<String> = RULES.iter().map(|r| format!("{}{}", r.code, if r.changeable { "*" } else { "" })).collect();
    assert_eq!(own.join(" "), SPEC.split_whitespace().collect::<Vec<_>>().join(" "));
}

#[test]
fn every_parameter_is_known_once() {
    let rules = RULES.iter().flat_map(|r| r.parameters.iter().copied());
    let mut keys: Vec<&str> = rules.chain(PARAMETERS.iter().map(|p| p.key)).collect();
    let n = keys.len();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), n);
    for rule in RULES {
        if let Here::With(other) = rule.here {
            assert!(by_parameter(other).is_some(), "{}", rule.code);
        }
        assert_eq!(rule.parameters.is_empty(), matches!(rule.here, Here::Internal(_)), "{}", rule.code);
    }
}

#[test]
fn values_both_ways() {
    let value = |code: &str, given| by_code(code).unwrap().value(given);
    let some = |v: &str| Ok(Some(v.to_owned()));
    assert_eq!(value("NF", Given::Int(5)), some("5"));
    assert_eq!(value("NF", Given::Int(0)), Ok(None), "falsy counts as not given");
    assert_eq!(value("NG", Given::Number(2.5)), some("2.5"));
    assert_eq!(value("NG", Given::Text("MAX")), Ok(None));
    assert_eq!(value("LI", Given::Int(1)), some("1"));
    assert_eq!(value("AT", Given::Text("force")), some("3"));
    assert_eq!(value("AN", Given::Text("2,6")), some("2/6"));
    assert_eq!(value("LX", Given::Text("<submission/>")), some("3"));
    assert_eq!(value("AT", Given::Text("maybe")).unwrap_err(), "is `maybe`; `on` or `off` or `force` is expected");
    assert_eq!(value("NF", Given::Int(2_000)).unwrap_err(), "is 2000; a whole number between 1 and 1000 is expected");
    assert_eq!(value("RD", Given::Text("all")).unwrap_err(), "is `all`; a whole number between 1 and 3 is expected");
    assert_eq!(by_code("AT").unwrap().read("2"), Ok(Some(Taken::Text("off".into()))));
    assert_eq!(by_code("NG").unwrap().read("2.5"), Ok(Some(Taken::Number(2.5))));
    assert_eq!(by_code("LC").unwrap().read("0"), Ok(Some(Taken::Flag(false))));
}

#[test]
fn a_text_is_read_strictly() {
    let refused = |text: &str| parse(text).unwrap_err();
    assert_eq!(parse(""), Ok(Vec::new()));
    assert_eq!(refused("NF"), "`NF` is no split rule; write XX=value");
    assert_eq!(refused("NF=2,"), "`` is no split rule; write XX=value");
    assert_eq!(refused("ZZ=2"), "there is no split rule `ZZ`");
    assert_eq!(refused("NF=2,NF=3"), "split rule NF stands twice");
    assert_eq!(refused("NF=02"), "NF=02 makes no sense: a whole number between 1 and 1000 is expected");
    assert_eq!(refused("LC=2"), "LC=2 makes no sense: true or false is expected");
    assert_eq!(refused("AT=4"), "AT=4 makes no sense: `on` or `off` or `force` is expected");
    assert_eq!(refused("DE=a b"), "DE=a b makes no sense: a text of letters, digits and _.:+/- is expected");
}

#[test]
fn a_misspelled_name_is_found() {
    let known = ["nFilesPerJob", "site", "nGBPerJob", "noInput"];
    let near = |name| nearest(name, known);
    assert_eq!(near("nFilePerJob"), Some("nFilesPerJob"));
    assert_eq!(near("nfilesperjob"), Some("nFilesPerJob"));
    assert_eq!(near("nFielsPerJob"), Some("nFilesPerJob"));
    assert_eq!(near("sites"), Some("site"));
    assert_eq!(near("size1"), None);
    assert_eq!(near("somethingElse"), None);
}

fn given() -> impl Strategy<Value = (&'static Rule, String)> {
    (0..RULES.len(), 1_i64..2_000, 0.01_f64..1e6, "[A-Za-z0-9_.:+/-]{1,12}").prop_map(|(n, int, number, text)| {
        let rule = &RULES[n];
        let value = match rule.kind {
            Kind::Flag => (int % 2).to_string(),
            Kind::Int(least, most) => least.saturating_add(int % most.saturating_sub(least).saturating_add(1).max(1)).to_string(),
            Kind::Number if int % 2 == 0 => int.to_string(),
            Kind::Number => number.to_string(),
            Kind::Text => text,
            Kind::Words(words) => words[usize::try_from(int).unwrap() % words.len()].1.to_owned(),
            Kind::Present(value) => value.to_owned(),
        };
        (rule, value)
    })
}

proptest! {
    #[test]
    fn the_text_of_rules_goes_there_and_back(mut rules in prop::collection::vec(given(), 0..30)) {
        rules.sort_by_key(|(rule, _)| rule.code);
        rules.dedup_by_key(|(rule, _)| rule.code);
        let written = text(&rules);
        prop_assert_eq!(parse(&written), Ok(rules.clone()));
        for (rule, value) in &rules {
            // From a value to a parameter and back to the value; no is the same as not given.
            let again = match rule.read(value).unwrap() {
                None | Some(Taken::Flag(true)) => rule.value(Given::Flag(true)),
                Some(Taken::Flag(false)) => Ok(Some("0".to_owned())),
                Some(Taken::Int(0)) => continue,
                Some(Taken::Int(n)) => rule.value(Given::Int(n)),
                Some(Taken::Number(x)) => rule.value(Given::Number(x)),
                Some(Taken::Text(t)) => rule.value(Given::Text(&t)),
            };
            prop_assert_eq!(again, Ok(Some(value.clone())), "{}", rule.code);
        }
    }

    #[test]
    fn any_text_is_read_or_refused(text in "[A-Z]{2}=[0-9A-Za-z,=.]{0,20}") {
        if let Ok(rules) = parse(&text) {
            prop_assert_eq!(super::text(&rules), text);
        }
    }
}
