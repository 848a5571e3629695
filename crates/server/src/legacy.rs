//! The old pilot wire, `/server/panda/<method>`: pilots of 2023 to 2026 speak it.
//!
//! Owns the old names and the shape of the old answers (pilot sheet section 4).
//! Must not do anything itself: each method is translated onto the handler of
//! its v1 sibling. Every value may be a text, whatever the encoding. An answer is
//! an object whose first byte is `{` and whose last is `}`, except where a client
//! of the old wire wants something else.

mod answers;

use crate::answer::{Answer, Refusal};
use crate::args::{self, Given};
use crate::audit;
use crate::ctx::Ctx;
use crate::methods::{self, Intake, Space};
use crate::upload::Upload;
use panda_wire::pilot::{GET_JOB_NAMES, UPDATE_JOB_NAMES, WORKER_STATUS_NAMES, rename};
use serde_json::{Map, Value};

/// Most bytes of a file of this name.
pub type Cap = fn(&str) -> u64;

/// One method of the old wire.
pub struct Old {
    /// Its name.
    pub name: &'static str,
    /// What it is called in v1, `module/name`; empty when it is answered here.
    target: &'static str,
    /// Old names of parameters, with the new ones.
    names: &'static [(&'static str, &'static str)],
    /// Makes the old answer.
    answer: fn(Result<Answer, Refusal>, &Map<String, Value>) -> Answer,
}

/// Every method of the old wire that is served.
const METHODS: &[Old] = &[
    Old { name: "isAlive", target: "", names: &[], answer: |_, _| Answer::Text("alive=yes".to_owned()) },
    Old { name: "getJob", target: "pilot/acquire_jobs", names: GET_JOB_NAMES, answer: answers::get_job },
    Old { name: "updateJob", target: "pilot/update_job", names: UPDATE_JOB_NAMES, answer: answers::update_job },
    Old {
        name: "updateJobsInBulk",
        target: "pilot/update_jobs_bulk",
        names: &[("jobList", "job_list"), ("harvester_id", "harvester_id")],
        answer: answers::update_jobs,
    },
    Old {
        name: "getStatus",
        target: "pilot/get_job_status",
        names: &[("ids", "job_ids"), ("timeout", "timeout")],
        answer: answers::status,
    },
    Old {
        name: "updateWorkerPilotStatus",
        target: "pilot/update_worker_status",
        names: WORKER_STATUS_NAMES,
        answer: |outcome, _| answers::plain(outcome),
    },
    Old { name: "getResourceTypes", target: "metaconfig/get_resource_types", names: &[], answer: answers::resource_types },
    Old { name: "getProxy", target: "creds/get_proxy", names: &[("role", "role"), ("dn", "dn")], answer: answers::proxy },
    Old {
        name: "getKeyPair",
        target: "creds/get_key_pair",
        names: &[("publicKeyName", "public_key_name"), ("privateKeyName", "private_key_name")],
        answer: answers::key_pair,
    },
    Old {
        name: "get_access_token",
        target: "creds/get_access_token",
        names: &[("client_name", "client_name"), ("token_key", "token_key")],
        answer: answers::proxy,
    },
    Old { name: "get_user_secrets", target: "creds/get_user_secrets", names: &[("keys", "keys")], answer: answers::secrets },
    Old {
        name: "getEventRanges",
        target: "event/acquire_event_ranges",
        names: &[("pandaID", "job_id"), ("jobsetID", "jobset_id"), ("taskID", "task_id"), ("nRanges", "n_ranges")],
        answer: |outcome, _| answers::event_ranges(outcome),
    },
    Old {
        name: "updateEventRanges",
        target: "event/update_event_ranges",
        names: &[("eventRanges", "event_ranges"), ("version", "version")],
        answer: |outcome, _| answers::event_ranges(outcome),
    },
    Old {
        name: "setDebugMode",
        target: "job/set_debug_mode",
        names: &[("pandaID", "job_id"), ("modeOn", "mode")],
        answer: |outcome, _| answers::plain(outcome),
    },
    Old {
        name: "relay_idds_command",
        target: "idds/relay_idds_command",
        names: &[
            ("command_name", "command_name"),
            ("args", "args"),
            ("kwargs", "kwargs"),
            ("manager", "manager"),
            ("json_outputs", "json_outputs"),
        ],
        answer: |outcome, _| answers::pair(outcome),
    },
    Old {
        name: "execute_idds_workflow_command",
        target: "idds/execute_idds_workflow_command",
        names: &[("command_name", "command_name"), ("kwargs", "kwargs"), ("json_outputs", "json_outputs")],
        answer: |outcome, _| answers::pair(outcome),
    },
    Old {
        name: "putEventPickingRequest",
        target: "file_server/upload_event_picking_request",
        names: EVENT_PICKING_NAMES,
        answer: |outcome, _| answers::said(outcome),
    },
    Old {
        name: "put_checkpoint",
        target: "file_server/upload_hpo_checkpoint",
        names: &[],
        answer: |outcome, _| answers::status_message(outcome),
    },
    Old {
        name: "delete_checkpoint",
        target: "file_server/delete_hpo_checkpoint",
        names: &[("task_id", "task_id"), ("sub_id", "sub_id")],
        answer: |outcome, _| answers::status_message(outcome),
    },
    Old {
        name: "put_file_recovery_request",
        target: "file_server/upload_file_recovery_request",
        names: &[("jediTaskID", "task_id"), ("dryRun", "dry_run")],
        answer: |outcome, _| answers::pair(outcome),
    },
    Old {
        name: "put_workflow_request",
        target: "file_server/upload_workflow_request",
        names: &[("data", "data"), ("check", "dry_run"), ("sync", "sync")],
        answer: |outcome, _| answers::pair(outcome),
    },
];

/// Names of a request for events.
const EVENT_PICKING_NAMES: &[(&str, &str)] = &[
    ("runEventList", "run_event_list"),
    ("eventPickDataType", "data_type"),
    ("eventPickStreamName", "stream_name"),
    ("eventPickDS", "dataset_name"),
    ("eventPickAmiTag", "ami_tag"),
    ("userDatasetName", "user_dataset_name"),
    ("lockedBy", "locked_by"),
    ("params", "parameters"),
    ("inputFileList", "input_file_list"),
    ("eventPickNumSites", "n_sites"),
    ("userTaskName", "user_task_name"),
    ("ei_api", "ei_api"),
    ("giveGUID", "include_guids"),
];

/// Finds a method of the old wire.
#[must_use]
pub fn find(name: &str) -> Option<&'static Old> {
    METHODS.iter().find(|m| m.name == name)
}

impl Old {
    /// The cap of the file that it takes, if it takes one, and the right that is needed.
    #[must_use]
    pub fn takes_file(&self) -> Option<(Cap, panda_access::Right)> {
        let (_, method) = methods::find(Space::V1, self.target)?;
        match method.intake {
            Intake::File(cap) => Some((cap, method.right)),
            _ => None,
        }
    }
}

/// Calls the sibling and translates its answer.
pub async fn answer(old: &'static Old, ctx: Ctx, given: Given, upload: Option<Upload>) -> Answer {
    let mut request = values(given);
    // Lists arrive as texts of this wire's own kinds.
    match old.name {
        "updateJobsInBulk" => rename_each(&mut request),
        "getStatus" => split_ids(&mut request),
        "get_user_secrets" => split_keys(&mut request),
        _ => {}
    }
    let outcome = call(old, ctx, request.clone(), upload).await;
    (old.answer)(outcome, &request)
}

async fn call(old: &'static Old, ctx: Ctx, request: Map<String, Value>, upload: Option<Upload>) -> Result<Answer, Refusal> {
    let Some((_, method)) = methods::find(Space::V1, old.target) else {
        // Answered here; only an identity is asked for, as the siblings do.
        return match old.name {
            "isAlive" => Ok(Answer::nothing()),
            _ => ctx.caller().map(|_| Answer::nothing()).map_err(Refusal::from),
        };
    };
    panda_access::table::admit(method.right, ctx.principal.as_deref())?;
    let args = args::bind_leniently(method, rename(request, old.names)).map_err(Refusal::new)?;
    audit::run(method, ctx, args.with_upload(upload)).await
}

/// Text values of a form or query; of a repeated key the last counts.
fn values(given: Given) -> Map<String, Value> {
    match given {
        Given::Object(map) => map,
        Given::Pairs(pairs) => pairs.into_iter().map(|(key, value)| (key, Value::String(value))).collect(),
    }
}

/// `jobList` is the JSON text of a list of `updateJob` requests.
fn rename_each(request: &mut Map<String, Value>) {
    let list = match request.get("jobList") {
        Some(Value::String(text)) => serde_json::from_str(text).unwrap_or_default(),
        Some(other) => other.clone(),
        None => Value::Null,
    };
    if let Value::Array(jobs) = list {
        let jobs = jobs.into_iter().map(|job| match job {
            Value::Object(map) => Value::Object(rename(map, UPDATE_JOB_NAMES)),
            other => other,
        });
        request.insert("jobList".to_owned(), jobs.collect());
    }
}

/// `ids` is one number or several with commas.
fn split_ids(request: &mut Map<String, Value>) {
    if let Some(Value::String(text)) = request.get("ids") {
        let ids = text.split(',').map(|id| Value::String(id.trim().to_owned()));
        let ids = ids.collect();
        request.insert("ids".to_owned(), ids);
    }
}

/// `keys` is a comma list.
fn split_keys(request: &mut Map<String, Value>) {
    if let Some(Value::String(text)) = request.get("keys") {
        let keys = text.split(',').map(|key| Value::String(key.trim().to_owned()));
        let keys = keys.collect();
        request.insert("keys".to_owned(), keys);
    }
}
