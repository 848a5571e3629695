//! The queue of the local worker, made at the first start.

use std::collections::BTreeSet;
use std::sync::Arc;

use panda_access::{Principal, Role, Standing};
use panda_ops::{Ops, OpsError, queue};
use serde_json::{Map, Value};

use crate::config::Config;
use crate::failure::Failure;

/// Who makes it: the program itself.
const ISSUER: &str = "panda";

/// Makes the configured queue when there is none of that name: native, online, with the cores and the memory of this machine as its limits, so
/// that what could never run here is held with that reason.
pub(super) async fn ensure(ops: &Arc<Ops>, config: &Config) -> Result<(), Failure> {
    let name = &config.worker.queue;
    let failed = |error: OpsError| Failure::new(format!("the local queue `{name}`: {error}"));
    if ops.queues_changed().await.map_err(failed)?.by_name.contains_key(name) {
        return Ok(());
    }
    let me = Principal {
        issuer: ISSUER.to_owned(),
        subject: ISSUER.to_owned(),
        name: "PanDA".to_owned(),
        nickname: ISSUER.to_owned(),
        vo: None,
        roles: BTreeSet::new(),
        groups: Vec::new(),
        email: None,
        standing: Standing { roles: [Role::Operator].into(), ..Standing::default() },
    };
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let info = rustix::system::sysinfo();
    let memory_mb = info.totalram.saturating_mul(u64::from(info.mem_unit)) >> 20;
    let values: Map<String, Value> =
        [("cores".to_owned(), Value::from(cores)), ("max_ram_mb".to_owned(), Value::from(memory_mb))].into_iter().collect();
    match queue::change::add(ops, &me, name, Some(&config.storage()), &values).await {
        Ok(_) => Ok(()),
        // Another process of the same database was first.
        Err(OpsError::Refused { .. }) if ops.queues_changed().await.map_err(failed)?.by_name.contains_key(name) => Ok(()),
        Err(error) => Err(failed(error)),
    }
}
