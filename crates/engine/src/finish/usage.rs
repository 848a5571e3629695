//! What an ended job has used, written with its end: HEP-score seconds by the power of its machine, and carbon dioxide by the figures of its site
//! (`spec/engine.md` sections 3.6 and 7.1).

use std::collections::{BTreeSet, HashMap};

use panda_core::{
    id::QueueId,
    policy::{
        brake::machine,
        usage::{self, Powers, co2_g, hs06_s},
    },
    setting::{ANY, usage as settings},
};
use panda_ops::Ops;
use panda_store::query::{job::JobRow, worker};
use serde_json::{Map, Value, json};

use crate::EngineError;

/// Powers of the machines that some jobs ran on, and what their queues and the site say.
#[derive(Debug)]
pub struct Meter {
    by_queue: HashMap<QueueId, Figures>,
    /// By site of the queue and machine.
    machines: HashMap<(String, String), i64>,
    co2_g_kwh: Option<f64>,
}

#[derive(Debug, Clone)]
struct Figures {
    site: String,
    power_milli: i64,
    core_watts: f64,
    co2_g_kwh: Option<f64>,
}

impl Meter {
    /// Reads what the ends of these jobs need; machines only when powers of CPUs are given.
    pub async fn of(ops: &Ops, jobs: &[&JobRow]) -> Result<Self, EngineError> {
        let (values, queues) = (ops.settings().await?, ops.queues().await?);
        let watts = values.float(&settings::CORE_WATTS, ANY, ANY);
        #[expect(clippy::cast_precision_loss, reason = "thousandths")]
        let milli = |n: i64| (n > 0).then(|| n as f64 / 1_000.0);
        let mut by_queue = HashMap::new();
        for id in jobs.iter().filter_map(|j| j.queue_id) {
            let Some(row) = queues.by_id.get(&id) else { continue };
            let (own_watts, co2) = queues.fact(id).map_or((0, 0), |q| (q.core_watts_milli, q.co2_mg_kwh));
            let figures = Figures {
                site: row.site.clone(),
                power_milli: queues.power(id),
                core_watts: milli(own_watts).unwrap_or(watts),
                co2_g_kwh: milli(co2),
            };
            by_queue.entry(id).or_insert(figures);
        }
        // What stands in the settings was checked when it was set.
        let powers = usage::powers(values.text(&settings::CPU_POWERS, ANY, ANY)).unwrap_or_default();
        let machines = if powers.is_empty() { HashMap::new() } else { machines(ops, jobs, &by_queue, &powers).await? };
        Ok(Self { by_queue, machines, co2_g_kwh: values.opt_float(&settings::CO2_G_KWH, ANY, ANY) })
    }
    /// What a job that ended has used; nothing when it never ran or its queue is gone.
    pub fn used(&self, j: &JobRow) -> Map<String, Value> {
        let mut m = Map::new();
        let times = j.started_us.zip(j.ended_us).map(|(from, to)| (to - from) / 1_000_000).filter(|s| *s >= 0);
        let (Some(wall_s), Some(f)) = (times, j.queue_id.and_then(|id| self.by_queue.get(&id))) else { return m };
        let at = j.host.as_deref().map_or("", machine);
        let power = self.machines.get(&(f.site.clone(), at.to_owned())).copied().unwrap_or(f.power_milli);
        m.insert("power_milli".into(), power.into());
        m.insert("hs06sec".into(), hs06_s(power, j.core_count, wall_s).into());
        for (key, g_per_kwh) in [("gco2_regional", f.co2_g_kwh), ("gco2_global", self.co2_g_kwh)] {
            if let Some(g) = g_per_kwh {
                m.insert(key.into(), json!(co2_g(f.core_watts, j.core_count, wall_s, g)));
            }
        }
        m
    }
}

/// Powers of the machines whose CPU a pilot has told and whose power is known.
async fn machines(
    ops: &Ops,
    jobs: &[&JobRow],
    queues: &HashMap<QueueId, Figures>,
    powers: &Powers,
) -> Result<HashMap<(String, String), i64>, EngineError> {
    let mut of_sites: HashMap<&str, BTreeSet<String>> = HashMap::new();
    for j in jobs {
        if let (Some(f), Some(host)) = (j.queue_id.and_then(|id| queues.get(&id)), j.host.as_deref()) {
            of_sites.entry(&f.site).or_default().insert(machine(host).to_owned());
        }
    }
    let mut found = HashMap::new();
    for (site, hosts) in of_sites {
        let hosts: Vec<String> = hosts.into_iter().collect();
        for (host, doc) in worker::nodes(&ops.store, site, &hosts).await? {
            let doc: Value = serde_json::from_str(&doc).unwrap_or_default();
            if let Some(power) = doc["cpu_model"].as_str().and_then(|cpu| usage::power_of(powers, cpu)) {
                found.insert((site.to_owned(), host), power);
            }
        }
    }
    Ok(found)
}
