//! Jobs to dispatch: positional arrays as the official client sends them to `job/submit`, with a document of about 4 kB.

use panda_wire::job_spec::{FILE_ATTRIBUTES, JOB_ATTRIBUTES};
use serde_json::{Value, json};

fn array(names: &[&str], set: &[(&str, Value)]) -> Vec<Value> {
    names.iter().map(|n| set.iter().find(|(k, _)| k == n).map_or_else(|| json!("NULL"), |(_, v)| v.clone())).collect()
}

/// The processing type of the jobs of a share.
#[must_use]
pub fn processing_type(share: usize) -> String {
    format!("bench{share}")
}

/// The body of a `job/submit` call with `n` jobs for `queue`, of the processing type of a share.
#[must_use]
pub fn submit_body(queue: &str, n: usize, seed: usize, share: usize) -> String {
    let padding = "x".repeat(2_500);
    let jobs: Vec<Value> = (0..n)
        .map(|i| {
            let name = format!("user.bench.{seed}.{i}");
            let mut job = array(
                &JOB_ATTRIBUTES,
                &[
                    ("jobName", json!(name)),
                    ("prodSourceLabel", json!("user")),
                    ("computingSite", json!(queue)),
                    ("transformation", json!("http://127.0.0.1/trf/user/runGen-00-00-02")),
                    ("jobParameters", json!(format!("-j \"\" -r . -p \"echo%20{padding}\""))),
                    ("destinationDBlock", json!("user.bench.out")),
                    ("processingType", json!(processing_type(share))),
                    ("currentPriority", json!(1_000)),
                    ("coreCount", json!(1)),
                    ("minRamCount", json!(2_000)),
                ],
            );
            let file = |lfn: String, kind: &str| {
                array(
                    &FILE_ATTRIBUTES,
                    &[
                        ("lfn", json!(lfn)),
                        ("type", json!(kind)),
                        ("dataset", json!("user.bench.out")),
                        ("destinationDBlock", json!("user.bench.out")),
                    ],
                )
            };
            job.push(json!([file(format!("{name}.out"), "output"), file(format!("{name}.log.tgz"), "log")]));
            json!(job)
        })
        .collect();
    json!({ "jobs": serde_json::to_string(&jobs).unwrap_or_default() }).to_string()
}

/// The body of a `task/submit` call: so many jobs without input.
#[must_use]
pub fn task_body(name: &str, jobs: usize) -> String {
    let log = json!({"dataset": format!("{name}.log/"), "container": format!("{name}.log/"), "type": "template", "param_type": "log",
        "value": format!("{name}.log.$JEDITASKID.${{SN}}.log.tgz")});
    json!({"task_parameters": {
        "taskName": format!("{name}/"), "uniqueTaskName": true, "vo": "bench", "architecture": null, "transUses": "", "transHome": null,
        "processingType": "panda-client-2.2.0-jedi-run", "prodSourceLabel": "user", "site": null, "excludedSite": [], "includedSite": null,
        "nEvents": jobs, "nEventsPerJob": 1, "cliParams": "prun", "osInfo": "Linux", "nMaxFilesPerJob": 200, "respectSplitRule": true, "skipScout": true,
        "sourceURL": "http://127.0.0.1:1", "log": log, "noInput": true,
        "jobParameters": [
            {"type": "constant", "value": "-j \"\" --sourceURL ${SURL}"}, {"type": "constant", "value": "-r ."},
            {"type": "constant", "value": "__delimiter__", "hidden": true}, {"type": "constant", "value": "-p \"", "padding": false},
            {"type": "constant", "value": "true", "padding": false}, {"type": "constant", "value": "\""}]}, "parent_tid": null})
    .to_string()
}

/// The body of a `task/submit` call: jobs of so many files each of a data set, with one output.
#[must_use]
pub fn input_task_body(name: &str, dataset: &str, each: usize) -> String {
    let mut body: Value = serde_json::from_str(&task_body(name, 1)).unwrap_or_default();
    let params = &mut body["task_parameters"];
    if let Some(map) = params.as_object_mut() {
        for key in ["noInput", "nEvents", "nEventsPerJob"] {
            map.remove(key);
        }
        map.insert("nFilesPerJob".into(), json!(each));
        map.insert("dsForIN".into(), json!(dataset));
    }
    let template = "user.alice.$JEDITASKID._${SN/P}.out.root";
    if let Some(items) = params["jobParameters"].as_array_mut() {
        items.push(json!({"type": "template", "param_type": "input", "value": "-i \"${IN/T}\"", "dataset": dataset, "expand": true}));
        items.push(json!({"type": "template", "param_type": "output", "value": template, "dataset": format!("{name}_out/"), "container": format!("{name}_out/"), "hidden": true}));
        items.push(json!({"type": "constant", "value": format!("-o \"{{'out.root': '{template}'}}\"")}));
    }
    body.to_string()
}
