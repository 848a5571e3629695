//! The end of jobs in one batch: the retry rules are asked, files and counters accounted, what a merge had taken in settled. Whoever ends jobs
//! (finisher, watcher, kills, failed builds) does it here.

use std::{collections::BTreeSet, sync::Arc};

use panda_core::{
    file::{
        FileState,
        account::{JobResult, MergeEnd, is_lost},
    },
    id::JobId,
    policy::retry::rule::{About, Error, Picked, Rule, pick, verdict},
    time::Micros,
};
use panda_store::{
    Batch,
    query::{decision, job::JobRow},
};
use serde_json::{Map, Value, json};

use super::{
    account::{self, Deltas, End},
    judge::{STAGE, Tasks},
    policy,
};
use crate::{Ops, OpsError, event, rule::Rules};

/// A batch of ends.
#[derive(Debug)]
pub struct Ending<'o> {
    ops: &'o Ops,
    rules: Arc<Rules>,
    tasks: Tasks,
    /// Jobs of this batch that may share files with others.
    ended: BTreeSet<JobId>,
    now_us: i64,
    /// Whether the retry plug-in of a job's VO and label is asked.
    asks: bool,
    /// What is written; others may add to it.
    pub batch: Batch,
    /// Counters of the batch; others may add to them.
    pub deltas: Deltas,
}

impl<'o> Ending<'o> {
    /// An empty batch.
    pub async fn new(ops: &'o Ops, now_us: i64) -> Result<Self, OpsError> {
        let rules = ops.retry_rules().await?;
        Ok(Self {
            ops,
            rules,
            tasks: Tasks::default(),
            ended: BTreeSet::new(),
            now_us,
            asks: false,
            batch: Batch::new(),
            deltas: Deltas::default(),
        })
    }
    /// The same for a loop, which can come back: jobs that failed are asked of their VO's retry plug-in, too. [`OpsError::Waits`] of [`Self::end`] says
    /// that one has not decided; the batch must not be applied then.
    pub async fn asking(ops: &'o Ops, now_us: i64) -> Result<Self, OpsError> {
        Ok(Self { asks: true, ..Self::new(ops, now_us).await? })
    }
    /// Adds everything that the end of a job means.
    pub async fn end(&mut self, e: End<'_>) -> Result<(), OpsError> {
        self.end_as(e, None).await
    }
    /// As [`Self::end`]; `merge`: what the end means for what a merge job had taken in, when it is known.
    pub async fn end_as(&mut self, mut e: End<'_>, merge: Option<MergeEnd>) -> Result<(), OpsError> {
        let result = JobResult::of(e.after.state, e.after.sub_state.as_deref());
        if e.before.kind.has_events() {
            Box::pin(self.events(&mut e)).await?;
        }
        let said = if self.asks && result == Some(JobResult::Failed) { policy::ask(self.ops, &e).await? } else { None };
        let mut record = match result {
            Some(JobResult::Failed | JobResult::Cancelled | JobResult::Closed) => self.ask_rules(&mut e).await?,
            _ => Map::new(),
        };
        if let Some((plugin, said)) = said {
            let sentence = policy::follow(&mut e, &plugin, &said);
            let rules = record.get("reason").and_then(Value::as_str).map(|r| format!("{r}; {sentence}"));
            record.insert("reason".into(), rules.unwrap_or(sentence).into());
        }
        if let Some(result) = result.filter(|r| !matches!(r, JobResult::Finished | JobResult::Merging)) {
            let fate = fate(&e, result);
            // A killed job whose inputs nobody takes up is no decision.
            record.extend(fate.filter(|f| result != JobResult::Cancelled || f["again"] != 0).map(|f| ("inputs".to_owned(), f)));
        }
        if !record.is_empty() {
            decision::set(&mut self.batch, e.before.id.0, STAGE, self.now_us, &Value::Object(record).to_string());
        }
        account::end(&mut self.batch, &mut self.deltas, &e, self.now_us)?;
        match merge {
            Some(merge) => account::merge_as(self.ops, &mut self.batch, &mut self.deltas, &e.after, merge, self.now_us).await,
            None => account::merge_end(self.ops, &mut self.batch, &mut self.deltas, &e.after, &e.verdict, self.now_us).await,
        }
    }
    /// The batch with its counters, to be applied.
    #[must_use]
    pub fn finish(mut self) -> Batch {
        self.tasks.flush(&mut self.batch, self.now_us);
        self.deltas.flush(&mut self.batch);
        self.batch
    }

    /// What the end means for the events of its files and for others that share them.
    async fn events(&mut self, e: &mut End<'_>) -> Result<(), OpsError> {
        let Some(task) = self.tasks.of(self.ops, e.before).await? else { return Ok(()) };
        // What others of its set are is read from the database: two of them do not end in one batch.
        let others = event::others(self.ops, e.before).await?;
        if others.iter().any(|o| self.ended.contains(&o.id)) {
            return Err(panda_store::Error::Conflict("two jobs of the same files end together").into());
        }
        self.ended.insert(e.before.id);
        event::settle(self.ops, (&mut self.batch, &mut self.deltas), task.plan(), &others, e, self.now_us).await
    }
    async fn ask_rules(&mut self, e: &mut End<'_>) -> Result<Map<String, Value>, OpsError> {
        let errors = errors(e);
        let candidates = self.rules.about(&errors);
        if candidates.is_empty() {
            e.verdict = verdict(&Picked::default(), &errors).0;
            return Ok(Map::new());
        }
        let facts = about(self.ops, &mut self.tasks, &e.after, &candidates).await?;
        let picked = pick(&candidates, &errors, &facts.view(&e.after), Micros(self.now_us), &|rule, text| self.rules.matches(rule, text));
        let (said, class) = verdict(&picked, &errors);
        e.verdict = said;
        self.tasks.carry_out(self.ops, &mut self.batch, e, &picked, class).await
    }
}

/// What becomes of a job's inputs, for its record: how many are tried again and how many are given up, and one of them with its attempts.
fn fate(e: &End<'_>, result: JobResult) -> Option<Value> {
    let (mut again, mut given_up, mut shown) = (0, 0, None);
    for (f, outcome) in account::fates(e, result) {
        if outcome.state == FileState::Ready {
            again += 1;
        } else if is_lost(outcome.state) {
            given_up += 1;
        } else {
            continue;
        }
        // One that is tried again says more.
        if shown.is_none() || (again == 1 && outcome.state == FileState::Ready) {
            shown = Some((f, outcome.attempts));
        }
    }
    let (f, a) = shown?;
    Some(json!({
        "again": again, "given_up": given_up, "dataset": f.dataset_id, "seq": f.seq, "file": f.lfn, "attempt": a.attempt,
        "max_attempt": a.max_attempt, "failed": a.failed, "max_failure": a.max_failure,
    }))
}

/// The errors of a job as rules see them: its codes, each with what its source said, else with the job's own diagnosis.
fn errors<'e>(e: &'e End<'_>) -> Vec<Error<'e>> {
    let own = e.after.diag.as_deref().unwrap_or_default();
    let text = |source| e.texts.get(&source).map_or(own, String::as_str);
    e.after.codes().into_iter().map(|(source, code)| Error { source, code, message: text(source) }).collect()
}

/// What rules ask of a job beside its row.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    architecture: String,
    release: String,
    share: String,
}

impl Facts {
    pub(crate) fn view<'f>(&'f self, j: &'f JobRow) -> About<'f> {
        About { vo: &j.vo, label: &j.label, architecture: &self.architecture, release: &self.release, share: &self.share }
    }
}

/// Reads what these rules ask of a job; its task is read only when one of them asks for something of it.
pub(crate) async fn about(ops: &Ops, tasks: &mut Tasks, j: &JobRow, rules: &[Rule]) -> Result<Facts, OpsError> {
    let mut facts = Facts::default();
    if rules.iter().any(|r| r.share.is_some())
        && let Some(lane) = j.lane_id
    {
        facts.share = ops.queues().await?.lane(lane).map(|l| l.share.clone()).unwrap_or_default();
    }
    if rules.iter().any(|r| r.architecture.is_some() || r.release.is_some())
        && let Some(task) = tasks.of(ops, j).await?
    {
        (facts.architecture, facts.release) = (task.architecture.clone(), task.release());
    }
    Ok(facts)
}
