//! Settles final reports: reads them in bulk, checks the outputs on the storage, moves each job from holding to where it belongs.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use panda_core::{
    file::{
        FileRole, FileState,
        account::{JobResult, Said, output},
    },
    id::JobId,
    job::{
        error::{BAD_REPORT, CLONED, Source, WORKER_LOST},
        record::JobKind,
        state::JobState,
    },
    machine::Actor,
    time::Micros,
};
use panda_ops::{
    Ops, event,
    job::{
        account::{self, End},
        ending::Ending,
        judge,
    },
    storage::{self, Look},
};
use panda_store::{
    Batch, IdKind,
    query::{
        dataset::{self, DatasetFile},
        job::{
            self, JobRow,
            file::JobFile,
            report::{self, Report},
        },
        task::file::TaskFile,
    },
};

use crate::{
    EngineError,
    finish::{
        report::{Final, Matched, Measured, Stored, decode, match_files},
        usage::Meter,
        verify::{self, Endpoint, lies_at, problem},
    },
};

/// Reports of one step.
const REPORTS_A_STEP: i64 = 200;
/// Pages of one step, when reports wait for a plug-in.
const PAGES_A_STEP: usize = 50;
/// Jobs of one batch: about ten statements each, so that a batch stays near its bound.
const JOBS_A_BATCH: usize = 40;

/// One step.
pub(super) async fn step(ops: &Ops, now: Micros) -> Result<crate::Report, EngineError> {
    let (mut after, mut done) = (JobId(0), 0);
    for _ in 0..PAGES_A_STEP {
        let reports = report::next(&ops.store, after, REPORTS_A_STEP).await?;
        let Some(last) = reports.last() else { break };
        after = last.job_id;
        let full = reports.len() as i64 == REPORTS_A_STEP;
        let (settled, waiting) = page(ops, reports, now).await?;
        done += settled;
        // What waits for a plug-in does not keep others behind it.
        if !full || waiting == 0 {
            return Ok(crate::Report { done, more: full && settled > 0 });
        }
    }
    Ok(crate::Report { done, more: false })
}

/// Settles a page of reports: how many, and how many wait for a plug-in.
async fn page(ops: &Ops, reports: Vec<Report>, now: Micros) -> Result<(usize, usize), EngineError> {
    let mut cases = verify(ops.disk.clone(), load(ops, reports).await?).await?;
    for case in cases.iter_mut().filter(|c| c.job.as_ref().is_some_and(|j| j.kind == JobKind::Clone)) {
        Box::pin(claim(ops, case)).await?;
    }
    let meter = Meter::of(ops, &cases.iter().filter_map(|c| c.job.as_ref()).collect::<Vec<_>>()).await?;
    let (mut done, mut waiting) = (0, 0);
    for group in cases.chunks(JOBS_A_BATCH) {
        match settle(ops, &meter, group, now).await {
            Ok(()) => done += group.len(),
            Err(e) if e.is_conflict() || e.waits().is_some() => {
                // Somebody (a kill, a retry) was first with one of them, or a plug-in has not decided on one: settle them one by one, the others next
                // time.
                for case in group {
                    match settle(ops, &meter, std::slice::from_ref(case), now).await {
                        Ok(()) => done += 1,
                        Err(e) if e.is_conflict() => tracing::debug!(job = %case.report.job_id, "report: {e}; again"),
                        Err(e) => {
                            let Some(reason) = e.waits() else { return Err(e) };
                            judge::waits(ops, case.report.job_id, reason).await?;
                            waiting += 1;
                        }
                    }
                }
            }
            Err(e) => return Err(e),
        }
    }
    Ok((done, waiting))
}

/// A clone that ended well counts only when no other does (`spec/engine.md` section 12.1).
async fn claim(ops: &Ops, case: &mut Case) -> Result<(), EngineError> {
    let Some(job) = case.job.as_ref().filter(|j| j.state == JobState::Holding) else { return Ok(()) };
    let ok = case.final_report.finished && case.matched.problem.is_none();
    if ok && event::claim(ops, job.id, false).await? == event::Claim::Taken {
        case.beaten = true;
        case.matched.problem = Some("another clone of it counts".into());
    }
    Ok(())
}

/// A report with all that belongs to it.
struct Case {
    /// It is a clone, and another one counts.
    beaten: bool,
    report: Report,
    final_report: Final,
    job: Option<JobRow>,
    files: Vec<JobFile>,
    inputs: Vec<TaskFile>,
    /// Where its queue's jobs write to, the queue's own storage first.
    endpoints: Vec<Endpoint>,
    /// Names of outputs that lie at another endpoint than the queue's own.
    away: HashMap<String, String>,
    matched: Matched,
    said: BTreeMap<i64, Said>,
}

async fn load(ops: &Ops, reports: Vec<Report>) -> Result<Vec<Case>, EngineError> {
    let ids: Vec<JobId> = reports.iter().map(|r| r.job_id).collect();
    let mut jobs: HashMap<JobId, JobRow> = job::list::many(&ops.store, &ids).await?.into_iter().map(|j| (j.id, j)).collect();
    let (mut files, mut inputs) = account::files_of(ops, &ids).await?;
    let queues = ops.queues().await?;
    let mut cases = Vec::with_capacity(reports.len());
    for report in reports {
        let job = jobs.remove(&report.job_id);
        let queue = job.as_ref().and_then(|j| j.queue_id).and_then(|q| queues.by_id.get(&q));
        let endpoints = queue.map(|q| verify::written_to(&queues, q)).unwrap_or_default();
        cases.push(Case {
            beaten: false,
            final_report: decode(&report.doc),
            files: files.remove(&report.job_id).unwrap_or_default(),
            inputs: inputs.remove(&report.job_id).unwrap_or_default(),
            report,
            job,
            endpoints,
            away: HashMap::new(),
            matched: Matched::default(),
            said: BTreeMap::new(),
        });
    }
    Ok(cases)
}

/// Matches reports with what was expected and looks at the storage; file I/O happens here, before any batch.
async fn verify(look: Arc<dyn Look>, mut cases: Vec<Case>) -> Result<Vec<Case>, EngineError> {
    tokio::task::spawn_blocking(move || {
        for case in &mut cases {
            check(look.as_ref(), case);
        }
        cases
    })
    .await
    .map_err(|e| EngineError::Internal(format!("checking outputs: {e}")))
}

/// Inputs that the report names were not read; a run job of a task must still have some in its hands (`spec/engine.md` section 12.1).
fn check_inputs(case: &mut Case) {
    let inputs: BTreeSet<&str> = case.inputs.iter().map(|f| f.lfn.as_str()).collect();
    let inputs = inputs.into_iter().chain(case.files.iter().filter(|f| !f.role.is_output()).map(|f| f.lfn.as_str())).collect();
    let named = case.final_report.take_inputs(&inputs);
    let Some(job) = &case.job else { return };
    let said = Said::named(&job.label);
    case.said = case.inputs.iter().filter(|f| named.contains(&f.lfn)).map(|f| (f.id, said)).collect();
    let has_none = !case.inputs.iter().any(|f| f.state == FileState::Running);
    if matches!(job.kind, JobKind::Run | JobKind::Fine | JobKind::EsMerge)
        && job.task_id.is_some()
        && job.state == JobState::Holding
        && has_none
    {
        case.final_report.problem.get_or_insert_with(|| "inconsistent file status: its inputs are in other hands".into());
    }
}

/// A report without addresses, as Harvester sends it, means the places that names have at the queue's own endpoint.
fn usual_places(stored: &mut [Stored], outputs: &[JobFile], endpoints: &[Endpoint]) {
    let Some(own) = endpoints.first() else { return };
    for file in stored.iter_mut().filter(|s| s.surl.is_none()) {
        let scope = outputs.iter().find(|o| o.lfn == file.lfn).and_then(|o| o.scope.as_deref());
        file.surl = scope.map(|scope| storage::surl(&storage::path(&own.root, scope, &file.lfn)));
    }
}

fn check(look: &dyn Look, case: &mut Case) {
    check_inputs(case);
    let outputs: Vec<JobFile> = case.files.iter().filter(|f| f.role.is_output()).cloned().collect();
    usual_places(&mut case.final_report.stored, &outputs, &case.endpoints);
    if case.final_report.finished {
        case.matched = match_files(&outputs, &case.final_report);
    } else {
        // Of a failed job only the log counts.
        let logs: Vec<JobFile> = outputs.into_iter().filter(|f| f.role.is_log()).map(|f| JobFile { optional: true, ..f }).collect();
        let only_logs = Final {
            stored: case.final_report.stored.iter().filter(|s| logs.iter().any(|l| l.lfn == s.lfn)).cloned().collect(),
            ..Final::default()
        };
        case.matched = match_files(&logs, &only_logs);
        case.matched.absent.clear();
    }
    if case.endpoints.is_empty() {
        if case.final_report.finished {
            case.matched.problem.get_or_insert_with(|| "the job's queue has no storage endpoint".into());
        }
        return;
    }
    let endpoints = &case.endpoints;
    let stored = case.matched.stored.iter().chain(&case.matched.further);
    case.away = stored.clone().filter_map(|(_, s)| Some((s.lfn.clone(), lies_at(endpoints, s)?))).collect();
    let found = stored.filter_map(|(f, s)| problem(look, endpoints, s).map(|p| (f.role.is_log(), p))).collect::<Vec<_>>();
    if case.final_report.finished {
        if let Some((_, p)) = found.into_iter().next() {
            case.matched.problem.get_or_insert(p);
        }
    } else if !found.is_empty() {
        case.matched.stored.clear();
    }
}

/// Files and bytes that data sets of the catalogue get in a batch.
type Registered = BTreeMap<i64, (i64, i64)>;

async fn settle(ops: &Ops, meter: &Meter, cases: &[Case], now: Micros) -> Result<(), EngineError> {
    let mut ending = Ending::asking(ops, now.0).await?;
    let (mut builds, mut registered) = (Vec::new(), Registered::new());
    for case in cases {
        report::delete(&mut ending.batch, case.report.job_id, case.report.attempt);
        let Some(job) = &case.job else { continue };
        if job.state != JobState::Holding || job.attempt != case.report.attempt {
            continue; // Killed or retried meanwhile: the report has no more to say.
        }
        one(ops, meter, &mut ending, job, case, &mut registered, now).await?;
        if job.kind == JobKind::Build {
            builds.push(job.id);
        }
    }
    // One growth for a data set, however many of the jobs write to it.
    for (dataset, (files, bytes)) in registered {
        dataset::grow(&mut ending.batch, dataset, files, bytes);
    }
    ops.store.apply(ending.finish()).await?;
    for build in builds {
        Box::pin(crate::finish::release::waiting(ops, build, now)).await?;
    }
    Ok(())
}

async fn one(
    ops: &Ops,
    meter: &Meter,
    ending: &mut Ending<'_>,
    job: &JobRow,
    case: &Case,
    registered: &mut Registered,
    now: Micros,
) -> Result<(), EngineError> {
    let report = &case.final_report;
    let mut after = job.clone();
    after.sub_state.clone_from(&report.sub_state);
    after.ended_us = after.ended_us.or(Some(now.0));
    let ok = report.finished && case.matched.problem.is_none();
    let killed = job.command.as_deref().is_some_and(|c| c.contains("tobekilled"));
    let outputs: Vec<&JobFile> = case.files.iter().filter(|f| f.role.is_output()).collect();
    after.state = match (ok, killed) {
        _ if case.beaten => JobState::Closed,
        (true, _) if account::waits_for_merge(job, &outputs) => JobState::Merging,
        (true, _) => JobState::Finished,
        (false, true) => JobState::Cancelled,
        (false, false) => JobState::Failed,
    };
    errors(&mut after, report, case.matched.problem.as_deref());
    if case.beaten {
        (after.server_error_code, after.diag) = (Some(CLONED), case.matched.problem.clone());
    }
    let settled = store_files(ops, ending, &after, case, registered).await?;
    let mut end = End::new(job, after, &case.inputs, &[], Actor::Finisher);
    end.open_outputs = outputs.into_iter().filter(|f| !settled.contains(&f.id)).collect();
    end.said.clone_from(&case.said);
    if end.after.state == JobState::Failed {
        end.texts = Source::ALL.iter().filter_map(|s| Some((*s, report.diag(*s)?.to_owned()))).collect();
        end.cpu_s = report.number("cpu_consumption_time");
    }
    let used = meter.used(&end.after);
    ending.end(end).await?;
    let doc = serde_json::json!({"errors": report.errors, "metrics": report.metrics, "usage": used});
    report::set_end(&mut ending.batch, job.id, Some(&doc.to_string()), report.meta.as_deref());
    Ok(())
}

/// Codes and diagnosis of a job as its report has them. A killed job keeps what its killer said (`spec/engine.md` section 12.1: the codes of a
/// cancelled job are zero); one that ended well has none.
fn errors(after: &mut JobRow, report: &Final, problem: Option<&str>) {
    match after.state {
        JobState::Cancelled => return,
        JobState::Failed => {}
        _ => {
            after.trans_exit_code = report.code(Source::Trans);
            (after.server_error_code, after.sup_error_code, after.diag) = (None, None, None);
            return;
        }
    }
    after.trans_exit_code = report.code(Source::Trans);
    after.pilot_error_code = report.code(Source::Pilot);
    after.exe_error_code = report.code(Source::Exe);
    after.ddm_error_code = report.code(Source::Ddm);
    after.sup_error_code = report.code(Source::Sup).or(after.sup_error_code);
    after.diag = report.first_diag().or_else(|| after.diag.take());
    if after.sub_state.as_deref() == Some(account::LOST_WORKER) {
        after.sup_error_code = after.sup_error_code.or(Some(WORKER_LOST));
        after.diag.get_or_insert_with(|| "its worker was lost".to_owned());
    }
    if let (true, Some(problem)) = (report.finished, problem) {
        after.ddm_error_code = Some(BAD_REPORT);
        after.diag = Some(problem.to_owned());
    }
}

/// Settles stored outputs and registers them; the answer lists the rows that are settled. `job` is the job as it becomes.
async fn store_files(
    ops: &Ops,
    ending: &mut Ending<'_>,
    job: &JobRow,
    case: &Case,
    registered: &mut Registered,
) -> Result<Vec<i64>, EngineError> {
    let (batch, deltas) = (&mut ending.batch, &mut ending.deltas);
    let mut settled = Vec::new();
    let measured = &case.final_report.measured;
    let Some(result) = JobResult::of(job.state, job.sub_state.as_deref()) else { return Ok(settled) };
    if !case.final_report.finished || case.matched.problem.is_some() {
        // The log of a failed job is kept for people to read, its row says where; it is not registered.
        for (file, stored) in case.matched.stored.iter().filter(|(f, _)| f.role.is_log()) {
            if let Some(o) = output(&account::output_use(file, true, false), result) {
                job::file::settle(batch, file.state, &written(file, stored, None, o.state));
                settled.push(file.id);
                deltas.add(file.dataset_id, &o.deltas);
            }
        }
        return Ok(settled);
    }
    for (file, stored) in &case.matched.stored {
        let mut row = written(file, stored, measured.get(&stored.lfn), file.state);
        let Some(o) = output(&account::output_use(&row, true, false), result) else { continue };
        row.state = o.state;
        job::file::settle(batch, file.state, &row);
        settled.push(file.id);
        if job.task_id.is_some() {
            deltas.add(file.dataset_id, &o.deltas);
        }
        if o.state == FileState::Finished {
            register(ops, batch, job, &row, case.away.get(&row.lfn), registered).await?;
        }
    }
    // Absent ones, and patterns and split outputs in whose place further files come.
    for file in case.matched.absent.iter().chain(&case.matched.patterns) {
        if let Some(o) = output(&account::output_use(file, false, false), result) {
            job::file::move_all(batch, &[file.id], file.state, o.state);
            settled.push(file.id);
            deltas.add(file.dataset_id.filter(|_| job.task_id.is_some()), &o.deltas);
        }
    }
    for (n, (pattern, stored)) in case.matched.further.iter().enumerate() {
        let row = JobFile {
            id: ops.store.id(IdKind::Row).await?,
            lfn: stored.lfn.clone(),
            seq: pattern.seq + 1_000 + i64::try_from(n).unwrap_or(0),
            ..written(pattern, stored, measured.get(&stored.lfn), FileState::Running)
        };
        let Some(o) = output(&account::output_use(&row, true, false), result) else { continue };
        let row = JobFile { state: o.state, ..row };
        job::file::add(batch, &row);
        if let Some(dataset) = row.dataset_id.filter(|_| job.task_id.is_some()) {
            deltas.of(dataset).files += 1;
            deltas.add(Some(dataset), &o.deltas);
        }
        if o.state == FileState::Finished {
            register(ops, batch, job, &row, case.away.get(&row.lfn), registered).await?;
        }
    }
    Ok(settled)
}

/// An output as the report and the payload's metadata describe it.
fn written(file: &JobFile, stored: &Stored, measured: Option<&Measured>, state: FileState) -> JobFile {
    let guid = stored.guid.clone().or_else(|| measured.and_then(|m| m.guid.clone()));
    JobFile {
        state,
        guid: Some(guid.unwrap_or_else(|| uuid::Uuid::new_v4().to_string())),
        n_events: measured.and_then(|m| m.events).or(file.n_events),
        fsize: Some(stored.size),
        checksum: Some(stored.checksum.clone()),
        surl: stored.surl.clone(),
        ..file.clone()
    }
}

/// Puts a finished output into the catalogue's data set.
async fn register(
    ops: &Ops,
    batch: &mut Batch,
    job: &JobRow,
    file: &JobFile,
    away: Option<&String>,
    registered: &mut Registered,
) -> Result<(), EngineError> {
    if !matches!(file.role, FileRole::Output | FileRole::Log) {
        return Ok(());
    }
    let Some(id) = file.dataset_id else { return Ok(()) };
    let Some(target) = crate::finish::catalogue::of_output(ops, job, id).await? else { return Ok(()) };
    let row = DatasetFile {
        id: ops.store.id(IdKind::Row).await?,
        dataset_id: target,
        lfn: file.lfn.clone(),
        scope: file.scope.clone().unwrap_or_else(|| "panda".into()),
        guid: file.guid.clone(),
        fsize: file.fsize,
        checksum: file.checksum.clone(),
        n_events: file.n_events,
        surl: file.surl.clone(),
        rse: away.cloned(),
        lumiblock: None,
        boundary: None,
        lost: false,
    };
    dataset::add_file(batch, &row);
    let line = registered.entry(target).or_default();
    line.0 += 1;
    line.1 += file.fsize.unwrap_or(0);
    Ok(())
}
