//! The library of a task on a queue: found, being built, or to be built.

use panda_core::{
    file::{FileRole, FileState},
    id::JobId,
    job::record::JobKind,
    machine::Actor,
    policy::{
        names,
        text::{self, Values},
    },
    setting::feed::LIBRARY_DAYS,
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

/// Microseconds of a day.
const DAY_US: i64 = 86_400_000_000;

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
    match find(ops, setting, build).await? {
        Some(found) => Ok(found),
        None => make(ops, batch, setting, build, own_set(setting)).await,
    }
}

/// The task's own data set of libraries of the queue.
fn own_set<'s>(setting: &'s Setting<'_>) -> Option<&'s TaskDataset> {
    setting.datasets.iter().find(|d| d.role == FileRole::Lib && d.pattern.as_deref() == Some(&setting.queue.name))
}

/// The library of the task on the setting's queue, finished or being built; else a finished one that another task of the owner built there of the
/// same sources in the last days (`spec/engine.md` sections 5.5 and 6.3).
pub async fn find(ops: &Ops, setting: &Setting<'_>, build: &Build) -> Result<Option<Library>, EngineError> {
    if let Some(d) = own_set(setting) {
        let usable = [FileState::Finished, FileState::Running];
        if let Some(file) = job::file::of_dataset(&ops.store, d.id, &usable, 0, 1_000).await?.into_iter().next_back() {
            let wait_for = (file.state == FileState::Running).then_some(file.job_id);
            return Ok(Some(Library { reads: reads(&file, &d.name), wait_for }));
        }
        // Its own build failed; that of another task may have been made of something else by now.
        return Ok(None);
    }
    let days = ops.settings().await?.int(&LIBRARY_DAYS, &setting.task.vo, &setting.task.label);
    let since = setting.now_us - days.saturating_mul(DAY_US);
    let Some((file, made_us)) = job::library::get(&ops.store, &made_of(setting, build), setting.queue.id).await? else { return Ok(None) };
    if made_us <= since {
        return Ok(None);
    }
    let Some(file) = job::file::get(&ops.store, file).await?.filter(|f| f.state == FileState::Finished) else { return Ok(None) };
    let sets = match file.task_id {
        Some(task) => dataset::of_task(&ops.store, task).await?,
        None => Vec::new(),
    };
    let name = sets.into_iter().find(|d| Some(d.id) == file.dataset_id).map(|d| d.name);
    Ok(name.map(|name| Library { reads: reads(&file, &name), wait_for: None }))
}

/// What a library is made of, as a digest: two builds that agree in it make the same.
fn made_of(setting: &Setting<'_>, build: &Build) -> String {
    let p = setting.params;
    let image = setting.plan.container.as_deref().unwrap_or_default();
    let platform = p.architecture.as_ref().map(|a| format!("{a:?}")).unwrap_or_default();
    let release = p.trans_uses.as_deref().unwrap_or_default();
    let source = setting.source_url();
    let of = [&build.archive, &build.text, &build.runner, image, &platform, release, &source];
    let mut text = setting.task.person_id.to_string();
    for part in of {
        text.push('\n');
        text.push_str(part);
    }
    format!("{:032x}", crate::feed::known::key(&text))
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
        ..Reads::default()
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
    let lib_dataset = match known {
        Some(d) => d.clone(),
        None => {
            let d = TaskDataset {
                id: ids[0],
                pattern: Some(setting.queue.name.clone()),
                seq: 500,
                ..TaskDataset::new(task, FileRole::Lib, names::library_dataset(task.0, id.0), "LIB")
            };
            dataset::add(batch, &d);
            d
        }
    };
    let lib = output_row(ids[1], id, setting, Some(lib_dataset.id), FileRole::Lib, 0, names::library(task.0, id.0, ids[1]), false);
    let log = output_row(ids[2], id, setting, None, FileRole::Log, 1, names::build_log(task.0, id.0), true);
    let mut words = Values::default();
    words.words.insert("IN".into(), build.archive.clone());
    words.words.insert("OUT".into(), lib.lfn.clone());
    words.words.insert("SURL".into(), setting.source_url());
    let job_pars = text::fill(&build.text, &words).map_err(|e| EngineError::Internal(format!("task {task}: {e}")))?;
    let lane = setting.lane(ops, &build.label, 1, panda_ops::task::plan::RAM_MB).await?;
    let row = setting.row(id, JobKind::Build, lane, setting.priority(JobKind::Build, 0));
    let files = [lib.clone(), log];
    let common_id = ids[3];
    job::transition::add_common(batch, common_id, Some(task), &setting.common(&row, &build.runner));
    job::transition::add(batch, &row, common_id, &setting.own(&row, &job_pars, &[], &files), Actor::Engine)?;
    for file in &files {
        job::file::add(batch, file);
    }
    job::library::set(batch, &made_of(setting, build), setting.queue.id, lib.id, setting.now_us);
    dataset::count(batch, lib_dataset.id, dataset::Delta { files: 1, ..dataset::Delta::default() });
    Ok(Library { reads: reads(&lib, &lib_dataset.name), wait_for: Some(id) })
}
