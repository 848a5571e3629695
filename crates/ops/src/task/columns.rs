//! Columns of a task that only its parameters say, under the original's names and with its defaults (`spec/engine.md` section 5.2).

use panda_core::policy::{resource::Types, rules, scout::measure::cpu_time};
use panda_store::query::task::TaskRow;
use panda_wire::TaskParameters;
use serde_json::{Map, Value};

use super::plan::{Adjust, Measured, Plan, language};

/// Columns that are copied from parameters.
const COPIED: &[(&str, &str)] = &[
    ("architecture", "architecture"),
    ("transUses", "transUses"),
    ("transHome", "transHome"),
    ("transPath", "transPath"),
    ("site", "site"),
    ("cloud", "cloud"),
    ("countryGroup", "countryGroup"),
    ("campaign", "campaign"),
    ("taskType", "taskType"),
    ("walltimeUnit", "walltimeUnit"),
    ("cpuTime", "cpuTime"),
    ("cpuTimeUnit", "cpuTimeUnit"),
    ("outDiskCount", "outDiskCount"),
    ("outDiskUnit", "outDiskUnit"),
    ("workDiskCount", "workDiskCount"),
    ("workDiskUnit", "workDiskUnit"),
    ("ioIntensity", "ioIntensity"),
    ("ioIntensityUnit", "ioIntensityUnit"),
    ("mergeCoreCount", "mergeCoreCount"),
    ("mergeRamCount", "mergeRamCount"),
    ("ticketID", "ticketID"),
    ("ticketSystemType", "ticketSystemType"),
    ("framework", "framework"),
    ("termCondition", "osInfo"),
    ("ttcRequested", "ttcrTimestamp"),
    ("container_name", "container_name"),
    ("task_creation_arguments", "cliParams"),
];

/// Adds them.
pub(super) fn add(m: &mut Map<String, Value>, row: &TaskRow, params: &str, adjust: Option<&str>, types: &Types) {
    let params = match serde_json::from_str(params) {
        Ok(Value::Object(params)) => params,
        _ => Map::new(),
    };
    for (column, parameter) in COPIED {
        m.insert((*column).to_owned(), params.get(*parameter).cloned().unwrap_or_default());
    }
    let typed = TaskParameters::from_value(Value::Object(params.clone())).unwrap_or_default();
    let adjust = Adjust::parse(adjust).unwrap_or_default();
    let split = language::split_rules(&typed, &adjust);
    m.insert("splitRule".into(), Value::Object(language::decoded(&split)));
    m.insert("splitRuleText".into(), rules::text(&split).into());
    m.insert("gshare".into(), row.share_name.clone().or(typed.gshare.clone()).into());
    m.insert("nucleus".into(), row.nucleus.clone().or(typed.nucleus.clone()).into());
    if let Ok(plan) = Plan::of(&typed, &adjust) {
        needs(m, &plan, &typed, types);
    }
    if let Some(measured) = &adjust.measured {
        as_measured(m, measured, typed.walltime.unwrap_or(0));
    }
    m.insert("job_execution_params".into(), execution_params(&params).into());
    m.insert("raw_task_params".into(), Value::Object(params));
}

/// Requirements with the refiner's defaults, as the engine has them now.
fn needs(m: &mut Map<String, Value>, plan: &Plan, typed: &TaskParameters, types: &Types) {
    let ram = &plan.needs.ram;
    let unit = match (ram.per_core, ram.fixed) {
        (true, true) => "MBPerCoreFixed",
        (true, false) => "MBPerCore",
        (false, true) => "MBFixed",
        (false, false) => "MB",
    };
    let numbers = [
        ("coreCount", plan.cores),
        ("ramCount", ram.mb),
        ("baseRamCount", ram.base_mb),
        ("walltime", typed.walltime.unwrap_or(0)),
        ("baseWalltime", plan.estimate.base_walltime_s),
        ("cpuEfficiency", plan.estimate.cpu_efficiency),
        ("eventService", plan.events.as_ref().map_or(0, |e| e.mode.number())),
    ];
    m.extend(numbers.map(|(key, n)| (key.to_owned(), Value::from(n))));
    m.insert("ramUnit".into(), unit.into());
    m.insert("resource_type".into(), types.of(plan.cores, plan.ram_mb).into());
    m.insert("goal".into(), plan.behaviour.goal_permille.into());
}

/// Requirements that were measured go before the ones that were stated (`spec/engine.md` section 7.1).
fn as_measured(m: &mut Map<String, Value>, measured: &Measured, walltime: i64) {
    let mut put = |key: &str, unit_key: &str, n: Option<i64>, unit: &str| {
        if let Some(n) = n {
            m.insert(key.to_owned(), n.into());
            m.insert(unit_key.to_owned(), unit.into());
        }
    };
    let (cpu, unit) = measured.cpu_ms_per_event.map_or((None, ""), |ms| {
        let (n, unit) = cpu_time(ms);
        (Some(n), unit)
    });
    put("cpuTime", "cpuTimeUnit", cpu, unit);
    // Seconds for an MB of input, never below what the task says (upstream calls them so).
    let seconds = measured.walltime_ms.map(|ms| (ms.saturating_add(999) / 1_000).max(walltime.saturating_abs()));
    put("walltime", "walltimeUnit", seconds, "kSI2kseconds");
    put("outDiskCount", "outDiskUnit", measured.out_kb_per_event, "kBPerEvent");
    put("outDiskCount", "outDiskUnit", measured.out_kb_per_mb, "kB");
    put("outDiskCount", "outDiskUnit", measured.out_mb, "MB");
    put("workDiskCount", "workDiskUnit", measured.work_mb, "MB");
    put("ioIntensity", "ioIntensityUnit", measured.io_kb_s, "kBPerS");
    put("diskIO", "diskIOUnit", measured.disk_io_kb_s, "kBPerS");
    put("mergeRamCount", "mergeRamUnit", measured.merge_ram_mb, "MB");
}

/// The command line's template: values of the items that are not hidden.
fn execution_params(params: &Map<String, Value>) -> String {
    let mut text = String::new();
    for item in params.get("jobParameters").and_then(Value::as_array).into_iter().flatten() {
        let hidden = item.get("hidden").and_then(Value::as_bool).unwrap_or(false);
        if let (false, Some(value)) = (hidden, item.get("value").and_then(Value::as_str)) {
            text.push_str(value);
            if item.get("padding").and_then(Value::as_bool).unwrap_or(true) {
                text.push(' ');
            }
        }
    }
    text.trim_end().to_owned()
}
