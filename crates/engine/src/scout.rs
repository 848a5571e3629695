//! Scouts of tasks: who makes which jobs while they run, their assessment, and measurements of tasks that run (`spec/engine.md` sections 4.2 and 7).

use std::collections::BTreeSet;

use panda_core::{
    file::FileRole,
    id::TaskId,
    job::record::JobKind,
    machine::Actor,
    policy::{
        broker::CORE_POWER_MILLI,
        scout::{
            self, Count, Part, Stand, Success,
            exhaust::{self, Outcome},
            measure::{self, Asked, Job, Margins},
        },
        split::limits::{Cpu, Disk, Rules, Site, walltime as walltime_of},
    },
    setting::{Values, scout as settings},
    task::state::TaskState,
    time::Micros,
};
use panda_ops::{
    Ops,
    job::account,
    task::plan::{Adjust, Measured, Plan},
};
use panda_store::{
    Batch, Topic,
    query::{
        decision,
        job::past,
        task::{self, TaskRow, dataset::TaskDataset},
    },
};
use serde_json::{Value, json};

use crate::{
    EngineError, Report,
    finish::report::{Final, decode},
    plan::{self, Refined},
};

/// Stage of the decision record.
pub const STAGE: &str = "scouts";
/// Tasks of one page.
const PAGE: i64 = 100;

fn masters(datasets: &[TaskDataset]) -> impl Iterator<Item = &TaskDataset> {
    datasets.iter().filter(|d| d.is_master)
}
fn sum(datasets: &[TaskDataset], of: fn(&TaskDataset) -> i64) -> i64 {
    masters(datasets).map(of).sum()
}

/// What a turn of a task may make.
pub fn part(values: &Values, t: &TaskRow, refined: &Refined, datasets: &[TaskDataset]) -> Part {
    let a = &refined.adjust;
    Part::of(&Stand {
        wanted: refined.plan.behaviour.scouts && values.int(&settings::JOBS, &t.vo, &t.label) > 0,
        over: a.scouted || a.avalanche,
        scouts: a.scouts,
        used: sum(datasets, |d| d.n_used),
    })
}

/// Leaves the inputs of a task alone until one of its jobs ends.
pub fn rest(batch: &mut Batch, datasets: &[TaskDataset]) {
    for d in masters(datasets) {
        task::dataset::rest(batch, d);
    }
}
/// The inputs of a task are for jobs again.
pub fn again(batch: &mut Batch, datasets: &[TaskDataset]) {
    for d in masters(datasets) {
        task::dataset::again(batch, d.id);
    }
    batch.wake(Topic::Files);
}

/// Assesses the tasks whose scouts are due.
pub async fn step(ops: &Ops, now: Micros) -> Result<Report, EngineError> {
    let mut report = Report::default();
    let mut after = TaskId(0);
    loop {
        let percent = ops.settings().await?.least_int(&settings::EARLY_PERCENT).max(1);
        let ids = task::list::scouted(&ops.store, after, percent, PAGE).await?;
        let Some(last) = ids.last() else { return Ok(report) };
        after = *last;
        for t in task::list::many(&ops.store, &ids).await?.iter().filter(|t| t.state == TaskState::Scouting) {
            match assess(ops, t, now).await {
                Ok(moved) => report.done += usize::from(moved),
                Err(e) if e.is_conflict() => report.more = true,
                Err(e) => tracing::error!(task = %t.id, "scouts: {e}"),
            }
        }
    }
}

/// Decides on one task: it goes on, stops or is broken; false when its scouts are waited for.
async fn assess(ops: &Ops, t: &TaskRow, now: Micros) -> Result<bool, EngineError> {
    let values = ops.settings().await?;
    let refined = plan::of(ops, t).await?;
    let datasets = task::dataset::of_task(&ops.store, t.id).await?;
    let (finished, failed) = (sum(&datasets, |d| d.n_finished), sum(&datasets, |d| d.n_failed));
    let scouts = refined.adjust.scouts.unwrap_or_else(|| sum(&datasets, |d| d.n_used));
    let count = Count { scouts, finished, failed };
    let over = refined.adjust.scouted || refined.adjust.avalanche;
    if !over && !scout::is_due(&count, values.int(&settings::EARLY_PERCENT, &t.vo, &t.label)) {
        return Ok(false);
    }
    let behaviour = &refined.plan.behaviour;
    let success = scout::success(&count, behaviour.scout_success, values.opt_float(&settings::MIN_OK_PERCENT, &t.vo, &t.label));
    let all_ended = finished + failed >= scouts;
    // Those that still run may make it enough.
    if !over && success != Success::Enough && !all_ended {
        return Ok(false);
    }
    let found = measured(ops, t, &refined, &values).await?;
    let outcome = match success {
        _ if over => Outcome::Go,
        Success::None => return broken(ops, t, "no scout jobs succeeded", now).await,
        Success::TooFew(rate) => return broken(ops, t, &too_few(rate, behaviour.scout_success), now).await,
        Success::Poor(rate) if !behaviour.may_exhaust => return broken(ops, t, &too_few(rate, behaviour.scout_success), now).await,
        Success::Enough if !behaviour.may_exhaust => Outcome::Go,
        Success::Poor(_) | Success::Enough => judge(t, &refined, &datasets, &found, success, &values),
    };
    if let (Success::Poor(rate), Outcome::Go | Outcome::Widen(_)) = (success, &outcome)
        && !over
    {
        return broken(ops, t, &too_few(rate, behaviour.scout_success), now).await;
    }
    go_on(ops, t, &refined, &datasets, &found, &count, outcome, now).await
}

fn too_few(rate: f64, ss: Option<i64>) -> String {
    let wanted = scout::required_percent(ss).unwrap_or(0);
    format!("not enough scout jobs succeeded: {rate:.0}% of their files, it wants {wanted}%")
}

async fn broken(ops: &Ops, t: &TaskRow, reason: &str, now: Micros) -> Result<bool, EngineError> {
    crate::feed::broken(ops, t, reason, now).await?;
    Ok(true)
}

/// What jobs tell.
struct Found {
    jobs: Vec<Job>,
    measured: measure::Measured,
    merges: (Option<measure::By>, Option<measure::By>),
}

async fn measured(ops: &Ops, t: &TaskRow, refined: &Refined, values: &Values) -> Result<Found, EngineError> {
    let margins = Margins::of(values, &t.vo, &t.label);
    let most = values.int(&settings::SAMPLE_JOBS, &t.vo, &t.label);
    let jobs = jobs(ops, t, JobKind::Run, most).await?;
    let lib_bytes = if refined.plan.build.is_some() { past::library(&ops.store, t.id).await? } else { 0 };
    let measured = measure::measure(&jobs, &asked(refined, lib_bytes), &margins);
    let merges = if refined.plan.merge.is_some() {
        measure::merges(&self::jobs(ops, t, JobKind::Merge, most).await?, &margins)
    } else {
        (None, None)
    };
    Ok(Found { jobs, measured, merges })
}

/// What the task itself says, without what was measured before.
fn asked(refined: &Refined, lib_bytes: i64) -> Asked {
    let (plan, params) = (&refined.plan, &refined.params);
    let unit = |unit: &Option<String>| unit.clone().unwrap_or_default();
    Asked {
        ram: plan.needs.ram,
        cpu_fixed: unit(&params.cpu_time_unit).ends_with("Fixed"),
        base_walltime_s: plan.estimate.base_walltime_s,
        cpu_efficiency: plan.estimate.cpu_efficiency,
        pseudo: plan.pseudo.is_some() || !plan.pfns.is_empty(),
        out_per_event: unit(&params.out_disk_unit).contains("PerEvent"),
        target_gb: params.tgt_max_output_for_ng.filter(|gb| *gb > 0),
        lib_bytes,
    }
}

/// Jobs of a task that ended well, with their files.
async fn jobs(ops: &Ops, t: &TaskRow, kind: JobKind, most: i64) -> Result<Vec<Job>, EngineError> {
    let rows = past::measured(&ops.store, t.id, kind, most).await?;
    let ids: Vec<_> = rows.iter().map(|r| r.id).collect();
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let (files, inputs) = account::files_of(ops, &ids).await?;
    let queues = ops.queues().await?;
    let one = |r: past::Measured| {
        let report = decode(&r.doc);
        let reads = inputs.get(&r.id).map_or(&[][..], Vec::as_slice);
        // The parts of a file that is cut are one file to read.
        let whole: BTreeSet<(&str, i64)> = reads.iter().map(|f| (f.lfn.as_str(), f.fsize.unwrap_or(0))).collect();
        let made = files.get(&r.id).map_or(&[][..], Vec::as_slice);
        let sizes = made.iter().filter(|f| matches!(f.role, FileRole::Output | FileRole::TrnOutput)).filter_map(|f| f.fsize);
        let events: i64 = reads.iter().filter_map(|f| f.n_events).sum();
        Job {
            id: r.id.0,
            cores: r.cores,
            power_milli: if report.power_milli > 0 { report.power_milli } else { r.queue_id.map_or(0, |id| queues.power(id)) },
            wall_s: ((r.ended_us - r.started_us) / 1_000_000).max(0),
            events: if events > 0 { events } else { report.number("n_events") },
            in_bytes: whole.iter().fold(0, |sum: i64, (_, bytes)| sum.saturating_add(*bytes)),
            out_bytes: sizes.clone().fold(0, i64::saturating_add),
            biggest_bytes: sizes.max().unwrap_or(0),
            ..of_report(&report)
        }
    };
    Ok(rows.into_iter().map(one).collect())
}

/// What the report of a job says: the last heartbeat's metrics. Pilots without a memory monitor report `max_rss` alone, which is no less.
fn of_report(r: &Final) -> Job {
    let metrics = r.metrics.get("job_metrics").and_then(Value::as_str).unwrap_or_default();
    let word = |key: &str| -> Option<f64> {
        let value = metrics.split_whitespace().find_map(|w| w.strip_prefix(key)?.strip_prefix('='))?;
        value.parse().ok().filter(|x: &f64| x.is_finite())
    };
    let pss = r.number("max_pss");
    let traffic = ["tot_rbytes", "tot_wbytes"].map(|key| r.metrics.contains_key(key).then(|| r.number(key)));
    #[expect(clippy::cast_possible_truncation, reason = "a size in bytes")]
    let work_bytes = word("workDirSize").unwrap_or(0.0).max(0.0) as i64;
    Job {
        cpu_s: r.number("cpu_consumption_time"),
        pss_kb: if pss > 0 { pss } else { r.number("max_rss") },
        disk_bytes: traffic.into_iter().flatten().reduce(i64::saturating_add),
        work_bytes,
        leak: word("leak").map(|leak| (leak, word("chi2").unwrap_or(0.0))),
        ..Job::default()
    }
}

fn judge(t: &TaskRow, refined: &Refined, datasets: &[TaskDataset], found: &Found, success: Success, values: &Values) -> Outcome {
    let plan = &refined.plan;
    let files = sum(datasets, |d| d.n_files - d.n_missing);
    let n = i64::try_from(found.jobs.len()).unwrap_or(i64::MAX);
    let finished = sum(datasets, |d| d.n_finished);
    let limits = &plan.limits;
    let ruled = limits.files.is_some() || limits.bytes.is_some() || limits.events.is_some() || plan.pseudo.is_some();
    let input = found.jobs.iter().fold(0_i64, |sum, j| sum.saturating_add(j.in_bytes)) / n.max(1);
    let hs06 = refined.params.cpu_time_unit.as_deref().is_some_and(|u| u.contains("HS06"));
    let view = exhaust::View {
        jobs: &found.jobs,
        measured: &found.measured,
        cpu_ms: if let (Cpu::PerEvent(ms), true) = (plan.estimate.cpu, hs06) { Some(ms) } else { None },
        ram: plan.needs.ram,
        split: *limits,
        copies_input: plan.needs.copies_input,
        min_efficiency: plan.behaviour.min_cpu_efficiency,
        expected_jobs: scout::expected_jobs(files, n, finished, (!ruled).then_some(input)),
        alike_jobs: scout::expected_jobs(files, n, finished, None),
        success,
    };
    exhaust::judge(&view, &exhaust::Limits::of(values, &t.vo, &t.label))
}

/// Stores what was found, and moves the task on or stops it.
#[expect(clippy::too_many_arguments, reason = "all that the decision rests on, and the decision")]
async fn go_on(
    ops: &Ops,
    t: &TaskRow,
    refined: &Refined,
    datasets: &[TaskDataset],
    found: &Found,
    count: &Count,
    outcome: Outcome,
    now: Micros,
) -> Result<bool, EngineError> {
    let mut batch = Batch::new();
    let known = refined.adjust.measured.clone().unwrap_or_default();
    let measured = refined.adjust.keeping_stated(known.then(count.finished, &found.measured, found.merges));
    let wide = refined.adjust.wide || matches!(outcome, Outcome::Widen(_));
    let adjust = Adjust { scouted: true, wide, measured: Some(measured.clone()), ..refined.adjust.clone() };
    let (reason, word) = match &outcome {
        Outcome::Go => (format!("{} of its {} scouts' files are finished", count.finished, count.scouts), "go"),
        Outcome::Widen(why) => (why.clone(), "widen"),
        Outcome::Exhaust(_, why) => (why.clone(), "exhaust"),
    };
    decision::set(&mut batch, t.id.0, STAGE, now.0, &record(&reason, word, &measured, found).to_string());
    if let Outcome::Exhaust(code, why) = &outcome {
        let text = format!("{why} (#KV action=set_exhausted reason={code})");
        let after = TaskRow { state: TaskState::Exhausted, prev_state: None, reason: Some(text.clone()), ..t.clone() };
        ops.move_task(&mut batch, t, &after, Actor::Engine, now.0, Some(&text)).await?;
    } else {
        let after = TaskRow { state: TaskState::Scouted, reason: None, ..t.clone() };
        ops.move_task(&mut batch, t, &after, Actor::Engine, now.0, Some(&reason)).await?;
        let scouted = TaskRow { rev: t.rev + 1, ..after };
        let after = TaskRow { state: TaskState::Running, ..scouted.clone() };
        ops.move_task(&mut batch, &scouted, &after, Actor::Engine, now.0, None).await?;
        again(&mut batch, datasets);
    }
    task::transition::set_adjust(&mut batch, t.id, &adjust.to_text());
    batch.wake(Topic::Ended);
    ops.store.apply(batch).await?;
    Ok(true)
}

/// The record that people read: what was found, and which job each value is of.
fn record(reason: &str, outcome: &str, now: &Measured, found: &Found) -> Value {
    let m = &found.measured;
    let by = |found: Option<measure::By>| found.map(|b| json!({"value": b.n, "job": b.job}));
    json!({
        "reason": reason,
        "outcome": outcome,
        "jobs": m.jobs,
        "measured": {
            "cpu_ms_per_event": by(m.cpu_ms_per_event), "ram_mb": by(m.ram_mb), "out_kb_per_event": by(m.out_kb_per_event),
            "out_kb_per_mb": by(m.out_kb_per_mb), "out_mb": by(m.out_mb), "walltime_ms": by(m.walltime_ms), "work_mb": by(m.work_mb),
            "io_kb_s": by(m.io_kb_s), "disk_io_kb_s": m.disk_io_kb_s, "leak": m.leak.map(|l| l.0), "leak_chi2": m.leak.map(|l| l.1),
            "cpu_efficiency": m.cpu_efficiency, "gb_per_job": m.gb_per_job, "merge_ram_mb": by(found.merges.0),
            "merge_walltime_s": by(found.merges.1),
        },
        "holds_now": now,
    })
}

/// Measures a running task (again) at its marks; requirements are refreshed, the task never stops for it. True when it was measured.
pub async fn refresh(ops: &Ops, t: &TaskRow, now: Micros) -> Result<bool, EngineError> {
    let values = ops.settings().await?;
    let refined = plan::of(ops, t).await?;
    let wanted = refined.plan.behaviour.scouts && values.int(&settings::JOBS, &t.vo, &t.label) > 0;
    if t.state != TaskState::Running || !wanted {
        return Ok(false);
    }
    let datasets = task::dataset::of_task(&ops.store, t.id).await?;
    let finished = sum(&datasets, |d| d.n_finished);
    let known = refined.adjust.measured.clone().unwrap_or_default();
    let marks = [&settings::FIRST_MARK, &settings::SECOND_MARK].map(|s| values.int(s, &t.vo, &t.label));
    if !scout::is_marked(finished, known.at_files, marks) {
        return Ok(false);
    }
    let found = measured(ops, t, &refined, &values).await?;
    let measured = refined.adjust.keeping_stated(known.then(finished, &found.measured, found.merges));
    let mut batch = Batch::new();
    let reason = format!("measured again at {finished} finished files");
    decision::set(&mut batch, t.id.0, STAGE, now.0, &record(&reason, "refresh", &measured, &found).to_string());
    let adjust = Adjust { measured: Some(measured), ..refined.adjust.clone() };
    // Somebody else may change the same document: the revision guards it.
    task::transition::set(&mut batch, t, t, now.0);
    task::transition::set_adjust(&mut batch, t.id, &adjust.to_text());
    ops.store.apply(batch).await?;
    Ok(true)
}

/// Jobs that a first turn makes, and the jobs for one queue before the next is drawn.
pub fn first(values: &Values, t: &TaskRow) -> (usize, usize) {
    let of = |s| usize::try_from(values.int(s, &t.vo, &t.label)).unwrap_or(1).max(1);
    (of(&settings::JOBS), of(&settings::JOBS_A_DRAW))
}

/// The wall time that jobs of so many events and bytes get at a queue, where it was measured; never less than the task's.
pub fn walltime(plan: &Plan, site: &Site, events: i64, bytes: i64) -> i64 {
    if !plan.measured_time {
        return plan.walltime_s;
    }
    let most = [plan.split.max_walltime_s.unwrap_or(0), site.max_time_s].into_iter().filter(|s| *s > 0).min().unwrap_or(i64::MAX);
    // As for the measurement itself: a queue that states no power has the usual one.
    let power = if site.core_power_milli > 0 { site.core_power_milli } else { CORE_POWER_MILLI };
    let site = Site { core_power_milli: power, ..*site };
    let found = walltime_of(&plan.estimate, &site, most).map_or(0, |w| w.of(events, bytes));
    plan.walltime_s.max(found.min(most))
}

/// The scratch space of a job of so many events and bytes at a queue, MB: work files, input that is copied, and output that grows with either; no
/// more than the queue has, since what is only estimated must not keep a job from running there at all.
pub fn disk(plan: &Plan, site: &Site, events: i64, bytes: i64) -> i64 {
    let rules = Rules { out_kb_per_event: plan.estimate.out_kb_per_event, out_kb_per_mb: plan.estimate.out_kb_per_mb, ..Rules::default() };
    let own = Disk { work_mb: plan.disk_mb, copies_input: !site.direct_io, max_mb: site.max_workdir_mb };
    let mb = own.of(bytes, rules.output_of(events, bytes));
    if own.max_mb > 0 { mb.min(own.max_mb).max(plan.disk_mb) } else { mb }
}
