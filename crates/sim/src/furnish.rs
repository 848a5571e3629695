//! What an operator sets up before the simulation begins.

use panda_core::setting::ANY;
use panda_ops::{Ops, queue, setting, share};
use panda_store::Topic;
use serde_json::{Map, json};

use crate::{SimError, scenario::Scenario, site::Site, submit};

/// Settings, shares and queues of a scenario.
pub(crate) async fn furnish(ops: &Ops, scenario: &Scenario) -> Result<Vec<Site>, SimError> {
    let operator = submit::operator();
    for (name, value) in &scenario.settings {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        setting::set(ops, &operator, name, ANY, ANY, &text).await?;
    }
    for s in &scenario.shares {
        let mut values = Map::new();
        values.insert("value".into(), json!(s.value));
        if let Some(parent) = &s.parent {
            values.insert("parent".into(), json!(parent));
        }
        share::change::set(ops, &operator, &s.name, &values).await?;
    }
    let mut sites = Vec::new();
    for (group, q) in scenario.queues.iter().enumerate() {
        for n in 0..q.count {
            let name = if q.count == 1 { q.name.clone() } else { format!("{}_{:03}", q.name, n + 1) };
            let mut values = Map::new();
            values.insert("cores".into(), json!(q.cores));
            values.insert("max_ram_mb".into(), json!(q.ram_mb));
            let row = queue::change::add(ops, &operator, &name, None, &values).await?;
            let ready = ops.store.wake().subscribe(Topic::Ready(row.id));
            sites.push(Site { name, group, busy: 0, poll_us: ops.now().0, ready, used_us: 0 });
        }
    }
    Ok(sites)
}
