//! The retry plug-in of a VO and label: asked of each job of a task that failed, beside whoever ends it.

use panda_core::{policy::retry::Again, setting::plugin::RETRY};
use panda_plugin::{Error, JobError, Judgement, Kind, RetryAsk, Tried};
use panda_store::Topic;

use super::account::End;
use crate::{
    Ops, OpsError,
    plugin::{Asked, Desk, named, ring},
};

/// Questions under way of one process.
type Judgements = Desk<Result<Judgement, Error>>;

/// Input files told of.
const MAX_INPUTS: usize = 100;

/// What the plug-in says of a failed job; none when VO and label have none. [`OpsError::Waits`] as long as it has not answered.
pub(super) async fn ask(ops: &Ops, e: &End<'_>) -> Result<Option<(String, Judgement)>, OpsError> {
    let j = &e.after;
    let values = ops.settings().await?;
    let plugin = values.text(&RETRY, &j.vo, &j.label);
    let (false, Some(task)) = (plugin.is_empty(), j.task_id) else { return Ok(None) };
    let policy = ops.plugins.retry(plugin).map_err(|e| OpsError::Waits(e.to_string()))?;
    let queue = match j.queue_id {
        Some(id) => ops.queues().await?.by_id.get(&id).map(|q| q.name.clone()),
        None => None,
    };
    let own = j.diag.as_deref().unwrap_or_default();
    let error = |(source, code): (panda_core::job::error::Source, i64)| JobError {
        source: source.as_str().to_owned(),
        code,
        message: e.texts.get(&source).map_or(own, String::as_str).to_owned(),
    };
    let tried =
        |f: &panda_store::query::task::file::TaskFile| Tried { lfn: f.lfn.clone(), attempt: f.attempt + 1, max_attempt: f.max_attempt };
    let ask = RetryAsk {
        vo: j.vo.clone(),
        label: j.label.clone(),
        task_id: task.0,
        job_id: j.id.0,
        queue: queue.unwrap_or_default(),
        errors: j.codes().into_iter().map(error).collect(),
        inputs: e.inputs.iter().take(MAX_INPUTS).map(tried).collect(),
    };
    // One attempt of a job fails once: its answer is good as long as it is kept, a failure of the plug-in only for a while.
    let key = format!("{plugin}/{}/{}", j.id, j.attempt);
    let age_us = values.int(&panda_core::setting::plugin::RETRY_S, &j.vo, &j.label).saturating_mul(500_000);
    let ring = ring(ops.store.clone(), Topic::Reports);
    let call = async move { policy.judge(&ask).await };
    match ops.live.of::<Judgements>().ask(&key, ops.now().0, age_us, call, ring).await {
        Asked::UnderWay => Err(OpsError::Waits(format!("retry plug-in `{plugin}` is asked whether it is tried again"))),
        Asked::Answer(Err(e)) => Err(OpsError::Waits(named(Kind::Retry, plugin, e.to_string()))),
        Asked::Answer(Ok(said)) => Ok(Some((plugin.to_owned(), said))),
    }
}

/// Does what the plug-in says; the answer is one sentence for the job's record.
pub(super) fn follow(e: &mut End<'_>, plugin: &str, said: &Judgement) -> String {
    let most = said.max_attempt.filter(|n| *n >= 0);
    e.verdict.again = match (said.retry, most, e.verdict.again) {
        (false, ..) => Again::Never,
        (true, Some(most), _) => Again::AtMost(most),
        (true, None, Again::Never) => Again::Usual,
        (true, None, rules) => rules,
    };
    let what = match (said.retry, most) {
        (false, _) => "its inputs are not tried again".to_owned(),
        (true, Some(most)) => format!("its inputs are tried at most {most} times"),
        (true, None) => "its inputs are tried again as its task allows".to_owned(),
    };
    let why = if said.reason.is_empty() { String::new() } else { format!(": {}", said.reason) };
    format!("retry plug-in `{plugin}` says that {what}{why}")
}
