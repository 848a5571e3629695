//! What the present rules would say of a job: for people who write rules.

use panda_access::{Principal, Right, table};
use panda_core::{
    id::JobId,
    job::error::{Class, Source, known},
    policy::retry::{
        Again,
        rule::{Error, Rule, pick, verdict},
    },
};
use panda_store::query::archive;
use serde_json::{Map, Value, json};

use super::show;
use crate::{
    Ops, OpsError,
    job::{ending::about, judge::Tasks},
};

/// `{"job", "errors": [{"source", "code", "name", "text", "message"}], "class", "again", "rules": [rule], "dry": [rule]}`: the errors of an ended job,
/// the rules that count, those that would if they were active, and what follows for its inputs.
pub async fn trial(ops: &Ops, who: &Principal, id: JobId) -> Result<Value, OpsError> {
    table::allowed(Right::Read, Some(who), None)?;
    let j = archive::job::find(&ops.store, id).await?.ok_or_else(|| OpsError::NotFound(format!("job {id} not found")))?;
    let end = archive::job::end(&ops.store, id).await?.and_then(|(doc, _)| doc).unwrap_or_default();
    let end: Map<String, Value> = serde_json::from_str(&end).unwrap_or_default();
    let said = end.get("errors").and_then(Value::as_object).cloned().unwrap_or_default();
    let own = j.diag.clone().unwrap_or_default();
    let text = |s: Source| said.get(s.diag_key()).and_then(Value::as_str).filter(|t| !t.is_empty()).unwrap_or(&own);
    let codes = j.codes();
    let errors: Vec<Error<'_>> =
        codes.iter().map(|(source, code)| Error { source: *source, code: *code, message: text(*source) }).collect();
    let rules = ops.reread_retry_rules().await?;
    let candidates = rules.about(&errors);
    let facts = about(ops, &mut Tasks::default(), &j, &candidates).await?;
    let picked = pick(&candidates, &errors, &facts.view(&j), ops.now(), &|rule, text| rules.matches(rule, text));
    let (said, class) = verdict(&picked, &errors);
    let shown = |list: &[&Rule]| list.iter().map(|r| show::rule(&rules, r)).collect::<Value>();
    let one = |e: &Error<'_>| {
        let k = known(e.source, e.code);
        json!({"source": e.source.as_str(), "code": e.code, "name": k.map(|k| k.name), "text": k.map(|k| k.text), "message": e.message})
    };
    Ok(json!({
        "job": id.0, "state": j.state.as_str(), "errors": errors.iter().map(one).collect::<Value>(), "class": class.map(Class::as_str),
        "counted": !said.not_counted, "again": again(said.again), "rules": shown(&picked.rules), "dry": shown(&picked.dry),
    }))
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
        testing::{World, alice, prod},
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
        let number = set(&w.ops, &prod(), rule.as_object().unwrap()).await.unwrap();
        let got = trial(&w.ops, &alice(), id).await.unwrap();
        assert_eq!((&got["again"], &got["dry"][0]["id"]), (&json!("as often as the task allows"), &json!(number)));
        set(&w.ops, &prod(), json!({"id": number, "active": true}).as_object().unwrap()).await.unwrap();
        let got = trial(&w.ops, &alice(), id).await.unwrap();
        assert_eq!((&got["again"], &got["rules"][0]["id"], &got["counted"]), (&json!("not again"), &json!(number), &json!(true)));
        assert_eq!(got["errors"][1]["name"], json!("PAYLOADEXECUTIONFAILURE"));
        assert!(matches!(trial(&w.ops, &alice(), JobId(3)).await, Err(OpsError::NotFound(_))));
    }
}
