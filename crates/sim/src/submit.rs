//! Users who submit: task parameters, people, input data sets.

use std::collections::BTreeMap;

use panda_access::{Principal, Role, Standing};
use panda_ops::{Ops, OpsError, task};
use panda_store::{
    Batch, IdKind,
    query::dataset::{self, DatasetFile, DatasetRow},
};
use rand::RngExt as _;
use serde_json::{Value, json};

use crate::{fate, scenario::Kind, shelf};

/// Attempts of a range of events.
const RANGE_ATTEMPTS: i64 = 5;
/// Rows of one batch of input files.
const FILES_A_BATCH: usize = 400;

/// Who administers the simulated system.
pub(crate) fn operator() -> Principal {
    Principal { standing: Standing { roles: [Role::Operator].into(), ..Standing::default() }, ..person("operator", "sim", false) }
}

/// A person of the simulation.
pub(crate) fn person(name: &str, vo: &str, production: bool) -> Principal {
    Principal {
        issuer: "simulation".into(),
        subject: name.into(),
        name: name.into(),
        nickname: name.into(),
        vo: Some(vo.into()),
        roles: production.then_some(Role::Production).into_iter().collect(),
        groups: vec![vo.into()],
        email: None,
        standing: Standing::default(),
    }
}

/// Who submits tasks of this kind: to name a share or to run production takes the role.
pub(crate) fn owner(kind: &Kind) -> Principal {
    person(&kind.user, &kind.vo, kind.label == "managed" || kind.share.is_some())
}

/// Submits the `n`-th task; the answer is its number. A refusal is the system's decision, such as a limit of active tasks.
pub(crate) async fn submit(ops: &Ops, kind: &Kind, seed: u64, n: usize) -> Result<i64, OpsError> {
    let who = owner(kind);
    let base = format!("user.{}.sim.{n}", kind.user);
    if kind.files > 0 {
        inputs(ops, kind, &base).await?;
    }
    if kind.dag {
        let file =
            ops.blobs.cache_path(&format!("{base}.jsonl")).ok_or_else(|| OpsError::Internal(format!("no name of a file: {base}")))?;
        std::fs::write(file, nodes(kind, seed, n)).map_err(|e| OpsError::Internal(e.to_string()))?;
    }
    let submitted = task::submit::submit(ops, &who, parameters(kind, &base), None).await?;
    Ok(submitted.task_id.0)
}

/// Parameters as a client sends them.
fn parameters(kind: &Kind, base: &str) -> Value {
    let work = if kind.dag { "-p \"work ${NODE}\"" } else { "-p \"work\"" };
    let mut items = vec![json!({"type": "constant", "value": work})];
    if kind.files > 0 {
        items.push(
            json!({"type": "template", "param_type": "input", "value": "-i \"${IN/T}\"", "dataset": format!("{base}.in/"), "expand": true}),
        );
    } else if !kind.dag {
        items.push(json!({"type": "template", "param_type": "pseudo_input", "value": "${SEQNUMBER}", "dataset": "seq_number"}));
    }
    for k in 0..kind.outputs {
        let template = format!("user.{}.$JEDITASKID._${{SN/P}}.out{k}.root", kind.user);
        let set = format!("{base}_out{k}.root/");
        items
            .push(json!({"type": "template", "value": template, "param_type": "output", "dataset": set, "container": set, "hidden": true}));
    }
    let mut params = json!({
        "taskName": format!("{base}/"), "uniqueTaskName": true, "vo": kind.vo, "architecture": null, "transUses": "", "transHome": null,
        "processingType": "simulated", "prodSourceLabel": kind.label, "userName": kind.user, "taskPriority": kind.priority,
        "coreCount": kind.cores, "ramCount": kind.ram_mb / kind.cores, "ramUnit": "MBPerCore", "maxAttempt": kind.attempts,
        "log": {"dataset": format!("{base}.log/"), "container": format!("{base}.log/"), "type": "template", "param_type": "log",
                "value": format!("{base}.log.$JEDITASKID.${{SN}}.log.tgz")},
        "jobParameters": items,
    });
    if kind.dag {
        params["dag"] = json!(format!("{base}.jsonl"));
    } else if kind.files > 0 {
        params["nFilesPerJob"] = json!(kind.files);
    } else {
        params["noInput"] = json!(true);
        params["nEvents"] = json!(kind.jobs);
        params["nEventsPerJob"] = json!(1);
    }
    if kind.range_events > 0 {
        params["nEventsPerWorker"] = json!(kind.range_events);
        params["nEventsPerFile"] = json!(kind.file_events);
        params["maxAttemptES"] = json!(RANGE_ATTEMPTS);
    }
    if !kind.clones.is_empty() {
        params["useJobCloning"] = json!(kind.clones);
    }
    if kind.sharing > 1 {
        params["nEsConsumers"] = json!(kind.sharing);
        params["nSitesPerJob"] = json!(kind.sharing);
    }
    if let Some(share) = &kind.share {
        params["gshare"] = json!(share);
    }
    if !kind.scouts {
        params["skipScout"] = json!(true);
    }
    if kind.merge {
        params["mergeOutput"] = json!(true);
    }
    params
}

/// The DAG of the `n`-th task, one node a line: each depends on up to three before it, now and then on their end or failure.
fn nodes(kind: &Kind, seed: u64, n: usize) -> String {
    let mut rng = fate::chance(seed, 2, i64::try_from(n).unwrap_or(0));
    let mut text = String::new();
    for node in 0..kind.jobs {
        let mut after = BTreeMap::new();
        for _ in 0..rng.random_range(0..=3.min(node)) {
            let on = ["success", "success", "success", "end", "failure"][rng.random_range(0..5)];
            after.insert(format!("n{}", rng.random_range(0..node)), on);
        }
        let after: Vec<Value> = after.into_iter().map(|(node, on)| json!({"node": node, "on": on})).collect();
        text.push_str(&json!({"name": format!("n{node}"), "after": after}).to_string());
        text.push('\n');
    }
    text
}

/// The data set that a task reads.
async fn inputs(ops: &Ops, kind: &Kind, base: &str) -> Result<(), OpsError> {
    let n = kind.jobs as usize * kind.files as usize;
    let store = &ops.store;
    let set = store.id(IdKind::Row).await?;
    let name = format!("{base}.in");
    let mut batch = Batch::new();
    let row = DatasetRow {
        id: set,
        vo: kind.vo.clone(),
        name: name.clone(),
        scope: format!("user.{}", kind.user),
        state: "closed".into(),
        person_id: None,
        n_files: n as i64,
        n_bytes: 0,
        created_us: ops.now().0,
    };
    dataset::add(&mut batch, &row);
    store.apply(batch).await?;
    let names: Vec<String> = (0..n).map(|k| format!("{name}._{k:06}.root")).collect();
    for part in names.chunks(FILES_A_BATCH) {
        let mut batch = Batch::new();
        let ids = store.ids(IdKind::Row, part.len()).await?;
        for (id, lfn) in ids.into_iter().zip(part) {
            let (size, sum) = shelf::facts(lfn);
            let file = DatasetFile {
                id,
                dataset_id: set,
                lfn: lfn.clone(),
                scope: row.scope.clone(),
                fsize: i64::try_from(size).ok(),
                checksum: Some(format!("ad:{sum:08x}")),
                ..DatasetFile::default()
            };
            dataset::add_file(&mut batch, &file);
        }
        store.apply(batch).await?;
    }
    Ok(())
}
