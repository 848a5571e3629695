//! Why a task is where it is.

use std::collections::BTreeMap;

use panda_access::Principal;
use panda_core::id::TaskId;
use panda_store::query::{archive, decision, job};
use serde_json::{Value, json};

use super::states;
use crate::{Ops, OpsError, clock};

/// Diagnoses shown, the most frequent first.
const DIAGS: usize = 5;

/// The answer for a task, in the shape of [`super`].
pub async fn why(ops: &Ops, who: &Principal, id: TaskId) -> Result<Value, OpsError> {
    let t = crate::task::read::row(ops, who, id).await?;
    let datasets = archive::task::datasets(&ops.store, id).await?;
    let counts = archive::job::count_task(&ops.store, id).await?;
    let records = decision::list(&ops.store, id.0).await?;
    let events = archive::task::events(&ops.store, id).await?;
    let (mut because, mut frees) = states::by_state(&t, &datasets, &counts, &*ops.settings().await?);
    because.extend(super::dag::sentences(ops, &datasets).await?);
    because.extend(super::events::of_task(ops, id).await?);
    because.extend(records.iter().filter_map(super::sentence));
    if !t.state.is_final() {
        for (queue, n) in job::list::count_queues(&ops.store, id).await? {
            let (reason, free) = super::queue(ops, queue).await?;
            because.push(format!("{n} jobs wait for a pilot: {reason}"));
            if !free.is_empty() && !frees.contains(&free) {
                frees.push(free);
            }
        }
    }
    because.extend(diagnoses(ops, id).await?);
    because.extend(crate::effect::sentences(ops, id.0).await?);
    Ok(json!({
        "id": format!("task/{id}"), "name": t.name, "state": t.state.as_str(), "since": clock::text(t.state_us), "reason": t.reason,
        "command": t.command, "because": because, "frees": frees,
        "jobs": counts.into_iter().map(|(state, n)| (state, n.into())).collect::<serde_json::Map<String, Value>>(),
        "decisions": super::decisions(&records), "history": super::history(&events),
    }))
}

/// The most frequent diagnoses of jobs that ended badly.
async fn diagnoses(ops: &Ops, id: TaskId) -> Result<Vec<String>, OpsError> {
    let mut counts: BTreeMap<String, (usize, i64)> = BTreeMap::new();
    for (job, _, diag) in archive::job::diags(&ops.store, id).await? {
        let entry = counts.entry(diag).or_insert((0, job.0));
        entry.0 += 1;
    }
    let mut counts: Vec<(String, (usize, i64))> = counts.into_iter().collect();
    counts.sort_by(|a, b| b.1.0.cmp(&a.1.0).then_with(|| a.0.cmp(&b.0)));
    let line = |(diag, (n, job)): (String, (usize, i64))| format!("{n} jobs ended badly with: {diag} (latest: job/{job})");
    Ok(counts.into_iter().take(DIAGS).map(line).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{World, alice, bob};
    use panda_core::{
        file::{FileRole, FileState},
        job::state::JobState,
        task::state::TaskState,
    };

    #[tokio::test]
    async fn a_task_whose_jobs_wait_says_for_what() {
        let w = World::new().await;
        let q = w.queue("LOCAL").await;
        let id = w.task(&alice(), TaskState::Running, "{}").await;
        w.dataset(id, FileRole::Input, 0, &[("a", FileState::Running), ("b", FileState::Ready)]).await;
        w.job(&alice(), Some(id), q, JobState::Activated).await;
        let mut batch = panda_store::Batch::new();
        decision::set(&mut batch, id.0, "broker", 1, r#"{"reason":"one queue fits","kept":1}"#);
        w.ops.store.apply(batch).await.unwrap();
        let got = why(&w.ops, &bob(), id).await.unwrap();
        let want = json!([
            "0 of 2 input files are done, 0 failed for good, 1 wait for a job",
            "broker: one queue fits",
            "1 jobs wait for a pilot: no pilot of queue LOCAL was seen yet"
        ]);
        assert_eq!(got["because"], want);
        assert_eq!(got["frees"], json!(["a pilot of queue LOCAL; `panda up` brings its own"]));
        assert_eq!(got["jobs"], json!({"activated": 1}));
        assert_eq!(got["decisions"][0]["doc"]["kept"], 1);
        crate::pilot::seen::note(&w.ops, q).await.unwrap();
        assert_eq!(why(&w.ops, &bob(), id).await.unwrap()["frees"], json!(["a free slot"]));
        w.pass(3_600);
        let late = why(&w.ops, &bob(), id).await.unwrap();
        assert_eq!(late["because"][2], "1 jobs wait for a pilot: the last pilot of queue LOCAL was seen at 2026-01-02 03:04:05");
    }

    #[tokio::test]
    async fn an_ended_task_says_what_failed() {
        let w = World::new().await;
        let q = w.queue("LOCAL").await;
        let id = w.task(&alice(), TaskState::Failed, "{}").await;
        w.dataset(id, FileRole::Input, 0, &[("a", FileState::Failed)]).await;
        let j = w.job(&alice(), Some(id), q, JobState::Activated).await;
        crate::job::kill::kill(&w.ops, &alice(), &[j], None, crate::job::kill::Options::default()).await.unwrap();
        let got = why(&w.ops, &bob(), id).await.unwrap();
        let want = [
            "no input file ended well, 1 of 1 failed for good".to_owned(),
            format!("1 jobs ended badly with: killed by alice (latest: job/{j})"),
        ];
        assert_eq!(got["because"], json!(want));
        assert_eq!(got["frees"], json!([format!("`panda retry task/{id}` tries the 1 failed files again")]));
        assert_eq!(got["history"].as_array().unwrap().last().unwrap()["to"], "failed");
        assert_eq!(why(&w.ops, &bob(), TaskId(1)).await.unwrap_err().to_string(), "Task not found");
    }
}
