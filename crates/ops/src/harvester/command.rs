//! Commands to instances (`spec/harvester.md` section 6): an instance fetches its own, and acknowledges those that ask for it.

use std::collections::BTreeSet;

use panda_access::{Principal, Right, table};
use panda_core::worker::WorkerState;
use panda_store::{
    Batch, IdKind,
    query::harvester::{self as rows, CommandRow},
};
use serde_json::{Value, json};

use super::{admitted, commanded, serving};
use crate::{MAX_CONFLICTS, Ops, OpsError};

/// Most commands of one call.
pub const MAX_COMMANDS: i64 = 1_000;
/// A command that was fetched, and not acknowledged though asked for, is handed out again after this time, microseconds: a Harvester acknowledges in
/// its next cycle, seconds later, so the answer was lost or the instance restarted.
const AGAIN_US: i64 = 600 * 1_000_000;

/// A command to be sent.
#[derive(Debug, Clone)]
pub struct Order<'a> {
    /// Its name: `KILL_WORKERS`, `SET_N_WORKERS_JOBTYPE:<queue>`, ….
    pub name: &'a str,
    /// Its parameters.
    pub params: Value,
    /// Whether an acknowledgement is asked for: then it is handed out until one comes.
    pub ack: bool,
    /// Whether it takes the place of one of the same name that nobody has fetched.
    pub replaces: bool,
}

/// Adds a command for an instance to a batch.
pub(super) async fn send(ops: &Ops, batch: &mut Batch, harvester: &str, order: &Order<'_>) -> Result<(), OpsError> {
    let row = CommandRow {
        id: ops.store.id(IdKind::Row).await?,
        name: order.name.to_owned(),
        params: (!order.params.is_null()).then(|| order.params.to_string()),
        ack: order.ack,
        created_us: ops.now().0,
        state: "new".to_owned(),
    };
    rows::command(batch, harvester, &row, order.replaces);
    Ok(())
}

/// `harvester/acquire_commands`: the oldest commands of an instance, which become `retrieved`.
pub async fn acquire(ops: &Ops, who: &Principal, harvester: &str, n: i64) -> Result<Vec<CommandRow>, OpsError> {
    admitted(ops, who, harvester).await?;
    let n = n.clamp(0, MAX_COMMANDS);
    for _ in 0..MAX_CONFLICTS {
        let now = ops.now().0;
        let mut commands = rows::next_commands(&ops.store, harvester, n).await?;
        let room = n - i64::try_from(commands.len()).unwrap_or(n);
        if room > 0 {
            commands.extend(rows::unacknowledged(&ops.store, harvester, now - AGAIN_US, room).await?);
        }
        if commands.is_empty() {
            return Ok(commands);
        }
        let mut batch = Batch::new();
        rows::fetched(&mut batch, &commands.iter().map(|c| c.id).collect::<Vec<_>>(), now);
        match ops.store.apply(batch).await {
            Ok(()) => return Ok(commands),
            Err(e) if e.is_conflict() => {}
            Err(e) => return Err(e.into()),
        }
    }
    Err(OpsError::refused("the commands change all the time; ask again"))
}

/// `harvester/acknowledge_commands`: they are not handed out again.
pub async fn acknowledge(ops: &Ops, who: &Principal, ids: &[i64]) -> Result<(), OpsError> {
    table::allowed(Right::Harvester, Some(who), None)?;
    let now = ops.now().0;
    for part in ids.chunks(500) {
        if ops.only_vo(who).await?.is_some() {
            let instances: BTreeSet<String> = rows::addressees(&ops.store, part).await?.into_iter().map(|(_, name)| name).collect();
            for name in &instances {
                admitted(ops, who, name).await?;
            }
        }
        let mut batch = Batch::new();
        rows::acknowledged(&mut batch, part, now);
        ops.store.apply(batch).await?;
    }
    Ok(())
}

/// What a sweep is about; an empty list stands for all, but for states, where it stands for `submitted`.
#[derive(Debug, Clone, Default)]
pub struct Sweep {
    /// States of the workers.
    pub states: Vec<String>,
    /// Their computing elements.
    pub endpoints: Vec<String>,
    /// Hosts that they were submitted from.
    pub hosts: Vec<String>,
}

fn all_or(list: &[String]) -> Value {
    if list.is_empty() || list.iter().any(|t| t == "ALL") { "ALL".into() } else { json!(list) }
}

/// `harvester/add_sweep_command`: every instance that serves the queue is told to kill such workers there. The answer names the instances.
pub async fn sweep(ops: &Ops, who: &Principal, name: &str, sweep: &Sweep) -> Result<Vec<String>, OpsError> {
    let queue = commanded(ops, who, name).await?;
    for state in sweep.states.iter().filter(|s| *s != "ALL") {
        let known = WorkerState::parse(state).map_err(|e| OpsError::refused(format!("status_list: {e}, or ALL")))?;
        if known.is_final() {
            return Err(OpsError::refused(format!("status_list: workers that are {known} have ended; sweep those that have not")));
        }
    }
    let states = if sweep.states.is_empty() { json!([WorkerState::Submitted.as_str()]) } else { all_or(&sweep.states) };
    let params = json!({
        "status": states, "computingSite": [queue.name], "computingElement": all_or(&sweep.endpoints), "submissionHost": all_or(&sweep.hosts),
    });
    let instances = serving(ops, &queue).await?;
    let mut batch = Batch::new();
    for harvester in &instances {
        send(ops, &mut batch, harvester, &Order { name: "KILL_WORKERS", params: params.clone(), ack: true, replaces: false }).await?;
    }
    ops.store.apply(batch).await?;
    Ok(instances)
}
