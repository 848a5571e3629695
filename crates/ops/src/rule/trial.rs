//! What the present rules would say of a job: for people who write rules.

use std::collections::BTreeMap;

use panda_access::{Principal, Right, table};
use panda_core::{
    id::JobId,
    job::error::{Class, Source, known},
    policy::retry::{
        Again,
        rule::{About, Error, Rule, pick, verdict},
    },
};
use panda_store::query::archive;
use serde_json::{Value, json};

use super::{Rules, show};
use crate::{
    Ops, OpsError,
    job::{self, ending::about, judge::Tasks},
};

/// An error that nobody had yet, and whose job it would be.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// Who says it.
    pub source: &'a str,
    /// The code.
    pub code: i64,
    /// The text.
    pub message: &'a str,
    /// What else rules may ask of a job.
    pub job: About<'a>,
}

/// `{"job", "state", "errors": [{"source", "code", "name", "text", "message"}], "class", "counted", "again", "rules": [rule], "dry": [rule]}`: the
/// errors of an ended job, the rules that count, those that would if they were active, and what follows for its inputs.
pub async fn trial(ops: &Ops, who: &Principal, id: JobId) -> Result<Value, OpsError> {
    let j = job::read::row(ops, who, id).await?;
    let said = said(ops, id).await?;
    let own = j.diag.clone().unwrap_or_default();
    let codes = j.codes();
    let text = |s: Source| said.get(&s).unwrap_or(&own).as_str();
    let errors: Vec<Error<'_>> =
        codes.iter().map(|(source, code)| Error { source: *source, code: *code, message: text(*source) }).collect();
    let rules = ops.reread_retry_rules().await?;
    let facts = about(ops, &mut Tasks::default(), &j, &rules.about(&errors)).await?;
    let mut answer = judged(ops, &rules, &errors, &facts.view(&j));
    answer["job"] = json!(id.0);
    answer["state"] = json!(j.state.as_str());
    Ok(answer)
}

/// The same without a job and its state: what would follow for a job with this error.
pub async fn on(ops: &Ops, who: &Principal, ask: &Ask<'_>) -> Result<Value, OpsError> {
    table::allowed(Right::Read, Some(who), None)?;
    let source = Source::parse(ask.source).map_err(|e| OpsError::refused(e.to_string()))?;
    if ask.code == 0 {
        return Err(OpsError::refused("the code 0 means that nothing went wrong"));
    }
    let rules = ops.reread_retry_rules().await?;
    Ok(judged(ops, &rules, &[Error { source, code: ask.code, message: ask.message }], &ask.job))
}

/// What the sources of an ended job said of their errors.
pub(crate) async fn said(ops: &Ops, id: JobId) -> Result<BTreeMap<Source, String>, OpsError> {
    let end = archive::job::end(&ops.store, id).await?.and_then(|(doc, _)| doc).unwrap_or_default();
    let end: Value = serde_json::from_str(&end).unwrap_or_default();
    let text = |s: &Source| end["errors"][s.diag_key()].as_str().filter(|t| !t.is_empty()).map(|t| (*s, t.to_owned()));
    Ok(Source::ALL.iter().filter_map(text).collect())
}

fn judged(ops: &Ops, rules: &Rules, errors: &[Error<'_>], job: &About<'_>) -> Value {
    let candidates = rules.about(errors);
    let picked = pick(&candidates, errors, job, ops.now(), &|rule, text| rules.matches(rule, text));
    let (said, class) = verdict(&picked, errors);
    let shown = |list: &[&Rule]| list.iter().map(|r| show::rule(rules, r)).collect::<Value>();
    let one = |e: &Error<'_>| {
        let k = known(e.source, e.code);
        json!({"source": e.source.as_str(), "code": e.code, "name": k.map(|k| k.name), "text": k.map(|k| k.text), "message": e.message})
    };
    json!({
        "errors": errors.iter().map(one).collect::<Value>(), "class": class.map(Class::as_str),
        "counted": !said.not_counted, "again": again(said.again), "rules": shown(&picked.rules), "dry": shown(&picked.dry),
    })
}

/// A sentence about further attempts.
#[must_use]
pub fn again(again: Again) -> String {
    match again {
        Again::Usual => "as often as the task allows".into(),
        Again::Never => "not again".into(),
        Again::AtMost(n) => format!("at most {n} attempts"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        rule::change::set,
        testing::{World, alice, operator},
    };
    use panda_core::job::state::JobState;
    use panda_store::{Batch, query::job};

    #[tokio::test]
    async fn a_rule_is_tried_on_a_job_before_it_counts() {
        let w = World::new().await;
        let q = w.queue("LOCAL").await;
        let id = w.job(&alice(), None, q, JobState::Running).await;
        let before = w.job_row(id).await;
        let after = job::JobRow {
            state: JobState::Failed,
            trans_exit_code: Some(3),
            pilot_error_code: Some(1305),
            diag: Some("no disk".into()),
            ..before.clone()
        };
        let mut batch = Batch::new();
        job::transition::move_to(&mut batch, &before, &after, panda_core::machine::Actor::Watcher, 1, None).unwrap();
        let end = r#"{"errors":{"pilot_error_diag":"Failed to execute payload:\nno disk left on vol7"}}"#;
        job::report::set_end(&mut batch, id, Some(end), None);
        w.ops.store.apply(batch).await.unwrap();
        let got = trial(&w.ops, &alice(), id).await.unwrap();
        assert_eq!((&got["again"], &got["class"], &got["rules"]), (&json!("as often as the task allows"), &json!("user"), &json!([])));
        let rule = json!({"source": "pilot", "message": ".*no disk left on vol[0-9]", "action": "no_retry", "active": false});
        let number = set(&w.ops, &operator(), rule.as_object().unwrap()).await.unwrap();
        let got = trial(&w.ops, &alice(), id).await.unwrap();
        assert_eq!((&got["again"], &got["dry"][0]["id"]), (&json!("as often as the task allows"), &json!(number)));
        set(&w.ops, &operator(), json!({"id": number, "active": true}).as_object().unwrap()).await.unwrap();
        let got = trial(&w.ops, &alice(), id).await.unwrap();
        assert_eq!((&got["again"], &got["rules"][0]["id"], &got["counted"]), (&json!("not again"), &json!(number), &json!(true)));
        assert_eq!(got["errors"][1]["name"], json!("PAYLOADEXECUTIONFAILURE"));
        let job = About { vo: "amber", ..About::default() };
        let ask = Ask { source: "pilot", code: 1305, message: "no disk left on vol1", job };
        let got = on(&w.ops, &alice(), &ask).await.unwrap();
        assert_eq!((&got["again"], &got["rules"][0]["id"], &got["job"]), (&json!("not again"), &json!(number), &json!(null)));
        let got = on(&w.ops, &alice(), &Ask { message: "all well", ..ask }).await.unwrap();
        assert_eq!((&got["again"], &got["rules"]), (&json!("as often as the task allows"), &json!([])));
        assert!(on(&w.ops, &alice(), &Ask { source: "moon", ..ask }).await.unwrap_err().to_string().contains("unknown error source"));
        assert!(matches!(trial(&w.ops, &alice(), JobId(3)).await, Err(OpsError::NotFound(_))));
    }
}
