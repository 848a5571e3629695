//! The library of a task on a queue: found, being built, or to be built.

use panda_core::{
    file::{FileRole, FileState},
    id::JobId,
    job::record::JobKind,
    machine::Actor,
    policy::text::{self, Values},
};
use panda_ops::{Ops, task::plan::Build};
use panda_store::{
    Batch, IdKind,
    query::{
        job::{self, file::JobFile},
        task::dataset::{self, TaskDataset},
    },
};

use super::job::{Reads, Setting, output_row};
use crate::EngineError;

/// A library: what run jobs read, and the build job to wait for when it is not there yet.
#[derive(Debug, Clone)]
pub struct Library {
    /// The file.
    pub reads: Reads,
    /// The build job, when it has not ended.
    pub wait_for: Option<JobId>,
}

/// Finds the library, or adds a build job to the batch.
pub async fn library(ops: &Ops, batch: &mut Batch, setting: &Setting<'_>, build: &Build) -> Result<Library, EngineError> {
    let of_queue = setting.datasets.iter().find(|d| d.role == FileRole::Lib && d.pattern.as_deref() == Some(&setting.queue.name));
    if let Some(d) = of_queue {
        let usable = [FileState::Finished, FileState::Running];
        if let Some(file) = job::file::of_dataset(&ops.store, d.id, &usable, 0, 1_000).await?.into_iter().next_back() {
            let wait_for = (file.state == FileState::Running).then_some(file.job_id);
            return Ok(Library { reads: reads(&file, &d.name), wait_for });
        }
    }
    make(ops, batch, setting, build, of_queue).await
}

fn reads(file: &JobFile, dataset: &str) -> Reads {
    Reads {
        stream: String::new(),
        lfn: file.lfn.clone(),
        scope: file.scope.clone().unwrap_or_else(|| "panda".into()),
        guid: file.guid.clone(),
        fsize: file.fsize,
        checksum: file.checksum.clone(),
        dataset: dataset.to_owned(),
        local: true,
    }
}

async fn make(
    ops: &Ops,
    batch: &mut Batch,
    setting: &Setting<'_>,
    build: &Build,
    known: Option<&TaskDataset>,
) -> Result<Library, EngineError> {
    let ids = ops.store.ids(IdKind::Row, 4).await?;
    let id = JobId(ops.store.id(IdKind::Job).await?);
    let task = setting.task.id;
    let base = format!("panda.{task}.{id}");
    let lib_dataset = match known {
        Some(d) => d.clone(),
        None => {
            let d = TaskDataset {
                id: ids[0],
                pattern: Some(setting.queue.name.clone()),
                seq: 500,
                ..TaskDataset::new(task, FileRole::Lib, format!("{base}.lib"), "LIB")
            };
            dataset::add(batch, &d);
            d
        }
    };
    let lib =
        output_row(ids[1], id, setting, Some(lib_dataset.id), FileRole::Lib, 0, format!("{base}.lib._{task}.{}.lib.tgz", ids[1]), false);
    let log = output_row(ids[2], id, setting, None, FileRole::Log, 1, format!("{base}.log.tgz"), true);
    let mut words = Values::default();
    words.words.insert("IN".into(), build.archive.clone());
    words.words.insert("OUT".into(), lib.lfn.clone());
    words.words.insert("SURL".into(), setting.source_url());
    let job_pars = text::fill(&build.text, &words).map_err(|e| EngineError::Internal(format!("task {task}: {e}")))?;
    let lane = setting.lane(ops, &build.label, 1, panda_ops::task::plan::RAM_MB).await?;
    let row = setting.row(id, JobKind::Build, lane, setting.priority(JobKind::Build, 0));
    let made = setting.documents(row, &build.runner, &job_pars, &[], vec![lib.clone(), log]);
    let common_id = ids[3];
    job::transition::add_common(batch, common_id, Some(task), &made.common);
    job::transition::add(batch, &made.row, common_id, &made.doc, Actor::Engine)?;
    for file in &made.files {
        job::file::add(batch, file);
    }
    dataset::count(batch, lib_dataset.id, dataset::Delta { files: 1, ..dataset::Delta::default() });
    Ok(Library { reads: reads(&lib, &lib_dataset.name), wait_for: Some(id) })
}
