//! Attempts, ends, goals, and whom the task tells.

use panda_wire::TaskParameters;

use super::{Plan, PlanError, not_negative, wrong};

/// How memory grows between attempts (RX, RY, RZ).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RetryRam {
    /// MB at the first retry.
    pub offset_mb: Option<i64>,
    /// MB at each further one.
    pub step_mb: Option<i64>,
    /// Most MB.
    pub max_mb: Option<i64>,
}

/// What the task wants of the engine when things go well or wrong.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Behaviour {
    /// Part of the work that is enough, per mille; none = all of it.
    pub goal_permille: Option<i64>,
    /// Fails below its goal (FG).
    pub fail_below_goal: bool,
    /// May become exhausted (UX).
    pub may_exhaust: bool,
    /// Is not paused by itself (NP).
    pub no_auto_pause: bool,
    /// Is not finished by itself when it takes too long (DF).
    pub no_auto_finish: bool,
    /// Its jobs are not sent elsewhere by themselves (DI).
    pub no_reassign: bool,
    /// Each input is tried once (DR).
    pub no_auto_retry: bool,
    /// A job may finish although some of its inputs failed (AP).
    pub partial_finish: bool,
    /// Scouts were wished for (US; a task skips them with `skipScout`).
    pub scouts: bool,
    /// Scouts obey the task's split rules (RR).
    pub scouts_split: bool,
    /// Scouts that must succeed, per cent (SS).
    pub scout_success: Option<i64>,
    /// Least CPU efficiency of scouts, per cent (MC).
    pub min_cpu_efficiency: Option<i64>,
    /// Growth of memory between attempts.
    pub retry_ram: RetryRam,
    /// Per cent of the work that may fail before the task is stopped.
    pub failure_rate: Option<i64>,
    /// No mail at the end.
    pub no_mail: bool,
    /// Share asked for.
    pub share: Option<String>,
    /// Priority asked for.
    pub priority: Option<i64>,
    /// Priority of the jobs asked for, when it differs.
    pub job_priority: Option<i64>,
}

/// Reads behaviour.
pub(super) fn read(p: &TaskParameters, plan: &mut Plan) -> Result<(), PlanError> {
    let yes = |flag: Option<bool>| flag == Some(true);
    let percent = |key: &str, value: Option<i64>| match value {
        Some(v) if !(0..=100).contains(&v) => Err(wrong(key, format!("is {v}; give per cent, 0 to 100"))),
        other => Ok(other),
    };
    let ram = |key: &str, value: Option<i64>| value.filter(|v| *v != 0).map(|v| not_negative(key, Some(v))).transpose();
    plan.behaviour = Behaviour {
        goal_permille: goal(p.goal)?,
        fail_below_goal: yes(p.fail_goal_unreached),
        may_exhaust: yes(p.use_exhausted),
        no_auto_pause: yes(p.no_auto_pause),
        no_auto_finish: yes(p.disable_auto_finish),
        no_reassign: yes(p.disable_reassign),
        no_auto_retry: p.disable_auto_retry.is_some_and(|v| v != 0),
        partial_finish: yes(p.allow_partial_finish),
        // The nodes of a DAG are different programs: what the first ones need says nothing of the rest.
        scouts: p.skip_scout != Some(true) && plan.dag.is_none(),
        scouts_split: yes(p.respect_split_rule),
        scout_success: percent("scoutSuccessRate", p.scout_success_rate)?,
        min_cpu_efficiency: percent("minCpuEfficiency", p.min_cpu_efficiency)?,
        retry_ram: RetryRam {
            offset_mb: ram("retryRamOffset", p.retry_ram_offset)?,
            step_mb: ram("retryRamStep", p.retry_ram_step)?,
            max_mb: ram("retryRamMax", p.retry_ram_max)?,
        },
        failure_rate: percent("failureRate", p.failure_rate)?,
        no_mail: yes(p.no_email),
        share: p.gshare.clone().filter(|s| !s.is_empty()),
        priority: p.task_priority,
        job_priority: p.current_priority,
    };
    Ok(())
}

/// Per cent as per mille; more than all of it counts as not given (`spec/engine.md` section 5.2).
fn goal(percent: Option<f64>) -> Result<Option<i64>, PlanError> {
    match percent {
        Some(g) if !g.is_finite() || g < 0.0 => Err(wrong("goal", format!("is {g}; give per cent, 0 to 100"))),
        #[expect(clippy::cast_possible_truncation, reason = "at most a thousand")]
        Some(g) if g <= 100.0 => Ok(Some((g * 10.0).round() as i64)),
        _ => Ok(None),
    }
}
