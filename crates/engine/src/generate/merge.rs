//! Writes one merge job: takes in the files of whole pre-merge jobs (`spec/engine.md` section 6.3, `spec/payload_runners.md` section 10.4).

use std::collections::BTreeMap;

use panda_core::{
    file::{FileRole, account::MERGE_ATTEMPTS},
    id::JobId,
    job::record::JobKind,
    machine::Actor,
    policy::{
        names,
        params::{self, PreMerged},
        text::{self, Values},
    },
};
use panda_ops::{Ops, task::plan::Merge};
use panda_store::{
    Batch, IdKind, Topic,
    query::{
        job::{self, file::JobFile},
        task::{
            self,
            dataset::{Delta, TaskDataset},
        },
    },
};

use super::{
    build,
    job::{Reads, Setting, output_row},
    naming::{Names, Output},
};
use crate::EngineError;

/// Serial numbers taken by a task's merge jobs since its data sets were read.
pub type Taken = BTreeMap<i64, i64>;

/// Writes a merge job over these pre-merge files, which all lie at the setting's queue.
pub async fn merge(ops: &Ops, s: &Setting<'_>, merge: &Merge, all: &[&JobFile], taken: &mut Taken) -> Result<(), EngineError> {
    let t = s.task;
    let id = JobId(ops.store.id(IdKind::Job).await?);
    let mut batch = Batch::new();
    let (files, mut words) = outputs(ops, s, id, all, &mut batch, taken).await?;
    let mut reads: Vec<Reads> = all.iter().map(|f| reads_of(f, s.datasets)).collect();
    if let Some(b) = s.plan.build.as_ref().filter(|_| merge.text.contains("${LIB}")) {
        let missing = || EngineError::Internal(format!("task {} has no library on queue {}", t.id, s.queue.name));
        let lib = build::find(ops, s, b).await?.filter(|l| l.wait_for.is_none()).ok_or_else(missing)?;
        words.words.insert("LIB".into(), lib.reads.lfn.clone());
        reads.push(lib.reads);
    }
    let text = text::fill(&merge.text, &words).map_err(|e| EngineError::Internal(format!("merge of task {}: {e}", t.id)))?;
    let job_pars = names::lfn(&text, t.id.0, id.0, 0);
    let lane = s.lane(ops, &t.label, merge.cores, merge.ram_mb).await?;
    let mut row = s.row(id, JobKind::Merge, lane, s.priority(JobKind::Merge, 0));
    (row.core_count, row.ram_mb, row.resource_type) = (merge.cores, merge.ram_mb, s.types.of(merge.cores, merge.ram_mb).to_owned());
    row.max_attempt = MERGE_ATTEMPTS;
    let common_id = ops.store.id(IdKind::Row).await?;
    job::transition::add_common(&mut batch, common_id, Some(t.id), &s.common(&row, &merge.runner));
    job::transition::add(&mut batch, &row, common_id, &s.own(&row, &job_pars, &reads, &files), Actor::Engine)?;
    for f in &files {
        job::file::add(&mut batch, f);
    }
    let used: Vec<i64> = all.iter().map(|f| f.id).collect();
    for ids in used.chunks(panda_store::MAX_IN_LIST) {
        job::file::use_by(&mut batch, ids, id);
    }
    task::transition::guard(&mut batch, t, s.now_us);
    batch.wake(Topic::Ready(s.queue.id));
    Ok(ops.store.apply(batch).await?)
}

/// The files that it makes, and the words that name them with what goes into each. A stream without pre-merge files disappears together with its
/// output.
async fn outputs(
    ops: &Ops,
    s: &Setting<'_>,
    id: JobId,
    all: &[&JobFile],
    batch: &mut Batch,
    taken: &mut Taken,
) -> Result<(Vec<JobFile>, Values), EngineError> {
    let mut rows = ops.store.ids(IdKind::Row, s.plan.outputs.len()).await?.into_iter();
    let (mut files, mut streams, mut logs) = (Vec::new(), Vec::new(), Vec::new());
    let mut out_names = Names::of(ops, s.task).await?;
    if let Some(reason) = out_names.prepare(ops, s.task, &wanted(s, taken), Topic::Ended).await? {
        return Err(panda_ops::OpsError::Waits(reason).into());
    }
    for (seq, o) in s.plan.outputs.iter().enumerate() {
        let (role, pre) = if o.is_log { (FileRole::Log, FileRole::TrnLog) } else { (FileRole::Output, FileRole::TrnOutput) };
        let find = |r| s.datasets.iter().find(|d| d.role == r && d.stream.as_deref() == Some(&o.stream));
        let (Some(target), Some(source)) = (find(role), find(pre)) else { continue };
        let inputs: Vec<PreMerged> = all
            .iter()
            .filter(|f| f.dataset_id == Some(source.id))
            .map(|f| PreMerged { lfn: f.lfn.clone(), bytes: f.fsize.unwrap_or(0) })
            .collect();
        let before = taken.entry(target.id).or_default();
        let serial = target.next_serial + *before;
        let shaped = names::with_middle(&o.template, "");
        let (_, lfn) = out_names.output(s.task, id, &Output { serial: o.offset + serial, template: &o.template, shaped: shaped.into() })?;
        let Some(word) = params::merge_word(&inputs, &lfn) else { continue };
        if o.is_log {
            logs.push(word)
        } else {
            streams.push(word)
        }
        *before += 1;
        task::dataset::take_serials(batch, target.id, serial, 1);
        task::dataset::count(batch, target.id, Delta { files: 1, ..Delta::default() });
        let row = rows.next().unwrap_or_default();
        files.push(output_row(row, id, s, Some(target.id), role, i64::try_from(seq).unwrap_or(0), lfn, false));
    }
    let mut words = Values::default();
    words.words.insert("SURL".into(), s.source_url());
    words.words.insert("TRN_OUTPUT:OUTPUT".into(), streams.join(" "));
    words.words.insert("TRN_LOG:LOG".into(), logs.join(" "));
    words.words.insert("TRN_LOG_MERGE:LOG_MERGE".into(), String::new());
    Ok((files, words))
}

/// Outputs that a merge job may make now.
fn wanted<'s>(s: &'s Setting<'_>, taken: &Taken) -> Vec<Output<'s>> {
    let of = |o: &'s panda_ops::task::plan::Output| {
        let role = if o.is_log { FileRole::Log } else { FileRole::Output };
        let target = s.datasets.iter().find(|d| d.role == role && d.stream.as_deref() == Some(&o.stream))?;
        let serial = o.offset + target.next_serial + taken.get(&target.id).copied().unwrap_or(0);
        Some(Output { serial, template: &o.template, shaped: names::with_middle(&o.template, "").into() })
    };
    s.plan.outputs.iter().filter_map(of).collect()
}

fn reads_of(f: &JobFile, datasets: &[TaskDataset]) -> Reads {
    Reads {
        stream: String::new(),
        lfn: f.lfn.clone(),
        scope: f.scope.clone().unwrap_or_else(|| "panda".into()),
        guid: f.guid.clone(),
        fsize: f.fsize,
        checksum: f.checksum.clone(),
        dataset: datasets.iter().find(|d| Some(d.id) == f.dataset_id).map_or(String::new(), |d| d.name.clone()),
        local: true,
        ..Reads::default()
    }
}
