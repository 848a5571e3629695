//! Every method of the original's API against the live router: a call that it takes, and each failure that its row in the table promises. A method
//! without a case fails.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::support::{Reply, Server, get, post, server};
use panda_access::Ground;
use panda_core::id::{JobId, TaskId};
use panda_server::args::{Default, Kind, Param};
use panda_server::methods::{self, Intake, Method, Space, Unknown, Verb};
use panda_store::{Batch, IdKind, query::job, query::task};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value, json};

/// Method, caller, and arguments as JSON; `$TASK`, `$JOB` and `$REQUEST` are numbers of what was made before, `file` is the name of an upload.
const CASES: &[(&str, &str, &str)] = &[
    ("async_process/submit_grep_request", "op", r#"{"pattern": "x", "log_filename": "panda-a.log", "service_name": "panda"}"#),
    ("async_process/submit_sleep_echo_request", "prod", r#"{"service_name": "panda", "message": "m", "seconds": 0}"#),
    ("async_process/get_result", "prod", r#"{"request_id": "$REQUEST"}"#),
    ("creds/set_user_secrets", "alice", r#"{"key": "k", "value": "v"}"#),
    ("creds/get_user_secrets", "alice", r#"{"keys": ["k"]}"#),
    ("creds/get_key_pair", "pilot", r#"{"public_key_name": "a", "private_key_name": "b"}"#),
    ("creds/get_proxy", "pilot", r#"{"role": "production"}"#),
    ("creds/get_access_token", "pilot", r#"{"client_name": "c"}"#),
    ("creds/get_token_key", "pilot", r#"{"client_name": "c"}"#),
    ("data_carousel/change_staging_destination", "prod", r#"{"request_id": 1}"#),
    ("data_carousel/change_staging_source", "prod", r#"{"dataset": "d", "source_rse": "S1"}"#),
    ("data_carousel/force_to_staging", "prod", r#"{"dataset": "d"}"#),
    ("data_carousel/retire_unused", "prod", "{}"),
    ("event/get_available_event_range_count", "pilot", r#"{"job_id": "$JOB", "jobset_id": 0, "task_id": "$TASK"}"#),
    ("event/get_event_range_statuses", "alice", r#"{"job_task_ids": "[]"}"#),
    ("event/acquire_event_ranges", "pilot", r#"{"job_id": "$JOB", "jobset_id": 0}"#),
    ("event/update_single_event_range", "pilot", r#"{"event_range_id": "1-2-3-4-5", "event_range_status": "finished"}"#),
    ("event/update_event_ranges", "pilot", r#"{"event_ranges": "[]"}"#),
    ("file_server/upload_jedi_log", "pilot", r#"{"file": "jedilog.gz"}"#),
    ("file_server/update_jedi_log", "pilot", r#"{"file": "jedilog.gz"}"#),
    ("file_server/download_jedi_log", "alice", r#"{"log_name": "none.log"}"#),
    ("file_server/upload_cache_file", "alice", r#"{"file": "sources.1.tar.gz"}"#),
    ("file_server/touch_cache_file", "alice", r#"{"file_name": "sources.0.tar.gz"}"#),
    ("file_server/delete_cache_file", "alice", r#"{"file_name": "sources.0.tar.gz"}"#),
    (
        "file_server/register_cache_file",
        "prod",
        r#"{"user_name": "ALICE Example", "file_name": "sources.2.tar.gz", "file_size": 4, "checksum": "1"}"#,
    ),
    ("file_server/validate_cache_file", "alice", r#"{"file_size": 7, "checksum": "1"}"#),
    ("file_server/upload_hpo_checkpoint", "alice", r#"{"file": "$TASK_1"}"#),
    ("file_server/delete_hpo_checkpoint", "alice", r#"{"task_id": "$TASK", "sub_id": "1"}"#),
    ("file_server/upload_file_recovery_request", "alice", r#"{"task_id": "$TASK", "dry_run": true}"#),
    ("file_server/upload_workflow_request", "alice", r#"{"data": "{}"}"#),
    ("file_server/upload_event_picking_request", "alice", r#"{"run_event_list": "1 2"}"#),
    ("harvester/update_workers", "harvester", r#"{"harvester_id": "h", "workers": []}"#),
    ("harvester/update_service_metrics", "harvester", r#"{"harvester_id": "h", "metrics": []}"#),
    ("harvester/add_dialogs", "harvester", r#"{"harvester_id": "h", "dialogs": []}"#),
    ("harvester/heartbeat", "harvester", r#"{"harvester_id": "h", "data": {"sw_version": "1"}}"#),
    ("harvester/get_current_worker_id", "harvester", r#"{"harvester_id": "h"}"#),
    ("harvester/get_worker_statistics", "alice", "{}"),
    ("harvester/report_worker_statistics", "harvester", r#"{"harvester_id": "h", "panda_queue": "Q1", "statistics": "{}"}"#),
    ("harvester/acquire_commands", "harvester", r#"{"harvester_id": "h", "n_commands": 1}"#),
    ("harvester/acknowledge_commands", "harvester", r#"{"command_ids": []}"#),
    ("harvester/add_sweep_command", "op", r#"{"panda_queue": "Q1", "status_list": [], "ce_list": [], "submission_host_list": []}"#),
    ("harvester/add_target_slots", "op", r#"{"panda_queue": "Q1", "slots": 1}"#),
    ("idds/relay_idds_command", "alice", r#"{"command_name": "get_requests"}"#),
    ("idds/execute_idds_workflow_command", "alice", r#"{"command_name": "get_status"}"#),
    ("job/get_status", "bob", r#"{"job_ids": ["$JOB"]}"#),
    ("job/get_description", "bob", r#"{"job_ids": ["$JOB"]}"#),
    ("job/get_description_incl_archive", "bob", r#"{"job_ids": ["$JOB"]}"#),
    ("job/generate_offline_execution_script", "bob", r#"{"job_id": "$JOB"}"#),
    ("job/get_metadata_for_analysis_jobs", "bob", r#"{"task_id": "$TASK"}"#),
    ("job/kill", "alice", r#"{"job_ids": ["$JOB"]}"#),
    ("job/reassign", "alice", r#"{"job_ids": ["$JOB"]}"#),
    ("job/set_command", "prod", r#"{"job_id": "$JOB", "command": "softkill"}"#),
    ("job/set_debug_mode", "alice", r#"{"job_id": "$JOB", "mode": true}"#),
    ("job/submit", "alice", r#"{"jobs": "[]"}"#),
    ("metaconfig/get_banned_users", "alice", "{}"),
    ("metaconfig/get_site_specs", "alice", r#"{"type": "all"}"#),
    ("metaconfig/get_resource_types", "alice", "{}"),
    ("pilot/acquire_jobs", "pilot", r#"{"site_name": "Q1", "prod_source_label": "user"}"#),
    ("pilot/get_job_status", "pilot", r#"{"job_ids": ["$JOB"]}"#),
    ("pilot/update_job", "pilot", r#"{"job_id": "$JOB", "job_status": "running"}"#),
    ("pilot/update_jobs_bulk", "pilot", r#"{"job_list": [{"job_id": "$JOB", "job_status": "running"}]}"#),
    ("pilot/update_worker_status", "pilot", r#"{"worker_id": 1, "harvester_id": "h", "status": "started"}"#),
    ("pilot/update_worker_node", "pilot", r#"{"site": "SITE", "host_name": "n1", "cpu_model": "c"}"#),
    ("pilot/update_worker_node_gpu", "pilot", r#"{"site": "SITE", "host_name": "n1", "vendor": "v", "model": "m", "count": 1}"#),
    ("statistics/job_stats_by_cloud", "alice", r#"{"type": "analysis"}"#),
    ("statistics/production_job_stats_by_cloud_and_processing_type", "alice", "{}"),
    ("statistics/active_job_stats_by_site", "alice", "{}"),
    ("statistics/active_job_detailed_stats_by_site", "alice", "{}"),
    ("statistics/job_stats_by_site_and_resource_type", "alice", r#"{"time_window": 60}"#),
    ("statistics/job_stats_by_site_share_and_resource_type", "alice", "{}"),
    ("system/get_attributes", "alice", r#"{"a": "b"}"#),
    ("system/get_voms_attributes", "alice", "{}"),
    ("system/get_user_attributes", "alice", "{}"),
    ("system/is_alive", "alice", "{}"),
    ("task/retry", "alice", r#"{"task_id": "$TASK"}"#),
    ("task/resume", "alice", r#"{"task_id": "$TASK"}"#),
    ("task/release", "prod", r#"{"task_id": "$TASK"}"#),
    ("task/reassign", "alice", r#"{"task_id": "$TASK", "site": "Q1"}"#),
    ("task/pause", "alice", r#"{"task_id": "$TASK"}"#),
    ("task/kill", "alice", r#"{"task_id": "$TASK"}"#),
    ("task/kill_unfinished_jobs", "alice", r#"{"task_id": "$TASK"}"#),
    ("task/finish", "alice", r#"{"task_id": "$TASK", "soft": true}"#),
    ("task/reactivate", "prod", r#"{"task_id": "$TASK"}"#),
    ("task/avalanche", "prod", r#"{"task_id": "$TASK"}"#),
    ("task/reload_input", "alice", r#"{"task_id": "$TASK"}"#),
    ("task/reassign_global_share", "prod", r#"{"task_id_list": ["$TASK"], "share": "Undefined", "reassign_running_jobs": false}"#),
    ("task/enable_jumbo_jobs", "prod", r#"{"task_id": "$TASK", "jumbo_jobs_total": 0}"#),
    ("task/get_jumbo_job_datasets", "alice", r#"{"from_offset": 1}"#),
    ("task/enable_job_cloning", "prod", r#"{"jedi_task_id": "$TASK"}"#),
    ("task/disable_job_cloning", "prod", r#"{"jedi_task_id": "$TASK"}"#),
    ("task/increase_attempts", "prod", r#"{"task_id": "$TASK", "increase": 1}"#),
    ("task/get_status", "bob", r#"{"task_id": "$TASK"}"#),
    ("task/get_details", "bob", r#"{"task_id": "$TASK", "include_status": true}"#),
    ("task/change_attribute", "prod", r#"{"task_id": "$TASK", "attribute_name": "ramCount", "value": 1000}"#),
    ("task/change_modification_time", "prod", r#"{"task_id": "$TASK", "hour_offset": -1}"#),
    ("task/change_priority", "prod", r#"{"task_id": "$TASK", "priority": 900}"#),
    ("task/change_split_rule", "prod", r#"{"task_id": "$TASK", "attribute_name": "AV", "value": "1"}"#),
    ("task/get_tasks_modified_since", "alice", r#"{"since": "2020-01-01 00:00:00"}"#),
    ("task/get_tasks_detailed_info_since", "alice", r#"{"n_tasks": 1}"#),
    ("task/get_datasets_and_files", "bob", r#"{"task_id": "$TASK"}"#),
    ("task/get_job_ids", "bob", r#"{"task_id": "$TASK"}"#),
    ("task/submit", "alice", r#"{"task_parameters": {"taskName": "user.alice.more/"}}"#),
    ("task/get_task_parameters", "bob", r#"{"task_id": "$TASK"}"#),
    ("task/get_detailed_info", "bob", r#"{"task_id": "$TASK"}"#),
    ("task/get_parent_detailed_info", "bob", r#"{"task_id": "$TASK"}"#),
    ("task/get_job_descriptions", "bob", r#"{"task_id": "$TASK"}"#),
    ("workflow/submit_workflow_raw_request", "alice", r#"{"params": {}}"#),
    ("workflow/submit_workflow", "alice", r#"{"workflow_definition": {}}"#),
];

fn name_of(m: &Method) -> String {
    format!("{}/{}", m.module, m.name)
}

fn v1() -> impl Iterator<Item = &'static Method> {
    methods::all().filter(|m| m.space == Space::V1)
}

/// What the cases are about: a task of alice, a job of hers at `Q1`, an upload.
struct Made {
    s: Server,
    task: i64,
    job: i64,
}

async fn made() -> Made {
    let s = server().await;
    let recorded: Value = serde_json::from_str(include_str!("../fixtures/client_requests.json")).unwrap();
    let submit = |e: &&Value| e["request"]["path"] == "/api/v1/task/submit";
    let body = recorded.as_array().unwrap().iter().find(submit).unwrap()["request"]["params"].clone();
    let task = post("/api/v1/task/submit").by("alice").json(&body).send(&s).await.json()["data"].as_i64().unwrap();
    let ops = &s.state.ops;
    let person = task::list::get(&ops.store, TaskId(task)).await.unwrap().unwrap().person_id;
    let queue = ops.queue("Q1").await.unwrap().unwrap().id;
    let of = panda_ops::queue::LaneOf { queue, vo: "amber", label: "user", share: "Undefined", resource_type: "SCORE", ram_mb: 0 };
    let lane = ops.lane(&of).await.unwrap();
    let id = JobId(ops.store.id(IdKind::Job).await.unwrap());
    let row = job::JobRow { queue_id: Some(queue), lane_id: Some(lane), ..panda_store::testing::job_row(id, person, ops.now().0) };
    let mut batch = Batch::new();
    let doc = r#""transformation":"http://h/trf/user/runGen-00-00-02","jobPars":"-p x""#;
    job::transition::add(&mut batch, &row, 0, doc, panda_core::machine::Actor::Engine).unwrap();
    ops.store.apply(batch).await.unwrap();
    post("/api/v1/file_server/upload_cache_file").by("alice").file("sources.0.tar.gz", b"x").send(&s).await;
    Made { s, task, job: id.0 }
}

impl Made {
    async fn args(&self, text: &str) -> Map<String, Value> {
        let mut text = text.replace("\"$TASK\"", &self.task.to_string()).replace("$TASK", &self.task.to_string());
        text = text.replace("\"$JOB\"", &self.job.to_string());
        if text.contains("$REQUEST") {
            let echo = json!({"service_name": "panda", "message": "m", "seconds": 60});
            let reply = post("/api/v1/async_process/submit_sleep_echo_request").by("prod").json(&echo).send(&self.s).await.json();
            text = text.replace("$REQUEST", reply["data"]["request_id"].as_str().unwrap());
        }
        serde_json::from_str(&text).unwrap()
    }

    async fn ask(&self, m: &Method, by: Option<&str>, args: &Map<String, Value>) -> Reply {
        self.ask_as(m, m.verb == Verb::Get, by, args).await
    }

    async fn ask_as(&self, m: &Method, is_get: bool, by: Option<&str>, args: &Map<String, Value>) -> Reply {
        let path = format!("/api/v1/{}", name_of(m));
        let ask = if is_get {
            let pairs = args.iter().flat_map(|(key, value)| match value {
                Value::Array(items) => items.iter().map(|v| (key.clone(), text(v))).collect(),
                value => vec![(key.clone(), text(value))],
            });
            let encoded = |t: &str| utf8_percent_encode(t, NON_ALPHANUMERIC).to_string();
            let pairs: Vec<String> = pairs.map(|(key, value)| format!("{key}={}", encoded(&value))).collect();
            get(&format!("{path}?{}", pairs.join("&")))
        } else if let Some(Value::String(name)) = args.get("file") {
            post(&path).file(name, b"content")
        } else {
            post(&path).json(&Value::Object(args.clone()))
        };
        match by {
            Some(name) => ask.by(name).send(&self.s).await,
            None => ask.send(&self.s).await,
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Numbers of five digits and more, times and request ids are what they are.
fn redacted(message: &str) -> String {
    let uuid = regex::Regex::new("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}").unwrap();
    let time = regex::Regex::new(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?").unwrap();
    let number = regex::Regex::new(r"\d{5,}").unwrap();
    let message = uuid.replace_all(message, "<uuid>");
    let message = time.replace_all(&message, "<time>");
    number.replace_all(&message, "<n>").replace('\n', "\\n")
}

/// Keys and types of data; of a list its first element.
fn shape(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(_) => "bool".to_owned(),
        Value::Number(n) => if n.is_f64() { "float" } else { "int" }.to_owned(),
        Value::String(_) => "text".to_owned(),
        Value::Array(items) => format!("[{}]", items.first().map(shape).unwrap_or_default()),
        Value::Object(map) => {
            let sorted: BTreeMap<String, String> = map.iter().map(|(k, v)| (redacted(k), shape(v))).collect();
            format!("{{{}}}", sorted.iter().map(|(k, v)| format!("{k}: {v}")).collect::<Vec<_>>().join(", "))
        }
    }
}

fn line(reply: &Reply) -> String {
    match serde_json::from_slice::<Value>(&reply.bytes) {
        Ok(v) if v.get("success").is_some() => {
            format!(
                "{} success={} \"{}\" {}",
                reply.status.as_u16(),
                v["success"],
                redacted(text(&v["message"]).trim_end()),
                shape(&v["data"])
            )
        }
        _ => format!("{} {} {:?}", reply.status.as_u16(), reply.content_type, redacted(reply.text().lines().next().unwrap_or_default())),
    }
}

#[test]
fn every_method_has_a_case() {
    let known = include_str!("../../src/methods/names.txt");
    for m in v1() {
        let n = CASES.iter().filter(|c| c.0 == name_of(m)).count();
        assert_eq!(n, 1, "{} has {n} cases in CASES; give it one", name_of(m));
    }
    for case in CASES {
        assert!(known.lines().any(|l| l == case.0) && methods::find(Space::V1, case.0).is_some(), "{} is no method", case.0);
    }
}

/// A call that each takes, and one about a task or job that there is not.
#[tokio::test]
async fn answers_have_their_shapes() {
    let mut all = String::new();
    for (name, by, args) in CASES {
        let (_, m) = methods::find(Space::V1, name).unwrap();
        let made = made().await;
        let args = made.args(args).await;
        let reply = made.ask(m, Some(by), &args).await;
        writeln!(all, "{name}\n  taken: {}", line(&reply)).unwrap();
        let mut other = args.clone();
        for key in ["task_id", "jedi_task_id", "job_id"].into_iter().filter(|k| args.contains_key(*k)) {
            other.insert(key.to_owned(), if args[key].is_string() { json!("5") } else { json!(5) });
        }
        if other != args {
            // A right that hangs on an owner is nobody's for what does not exist: an operator asks.
            writeln!(all, "  not found: {}", line(&made.ask(m, Some("op"), &other).await)).unwrap();
        }
    }
    insta::assert_snapshot!(all);
}

/// A value of another type, and how the message begins.
fn wrong(p: &Param, is_get: bool) -> Option<Value> {
    match p.kind {
        Kind::Any => None,
        Kind::Int | Kind::Ints | Kind::Float | Kind::Number if is_get => Some(json!("many")),
        _ if is_get => None,
        Kind::Dict | Kind::DictOrText => Some(json!([])),
        _ => Some(json!({"a": 1})),
    }
}

/// What the table promises of each method's failures.
#[tokio::test]
async fn failures_are_those_that_the_table_promises() {
    let made = made().await;
    let mut bad = Vec::new();
    for m in v1() {
        let Some((name, by, args)) = CASES.iter().find(|c| c.0 == name_of(m)) else { continue };
        let args = made.args(args).await;
        let mut check = |what: &str, reply: &Reply, want: String| {
            let said = serde_json::from_slice::<Value>(&reply.bytes).unwrap_or_default();
            let fits = reply.status == 200 && said["success"] == json!(false) && text(&said["message"]).starts_with(&want);
            if !fits {
                bad.push(format!("{name}, {what}: {}, not {want:?}", reply.line()));
            }
        };
        let grounds = m.right.grounds();
        if !grounds.contains(&Ground::Anyone) {
            check("anonymous", &made.ask(m, None, &args).await, "SSL secure connection is required".to_owned());
        }
        if m.verb != Verb::Any {
            let is_get = m.verb != Verb::Get;
            let (want, got) = if is_get { ("POST", "GET") } else { ("GET", "POST") };
            let reply = made.ask_as(m, is_get, Some(by), &Map::new()).await;
            check("another verb", &reply, format!("expecting {want}, received {got}"));
        }
        let is_get = m.verb == Verb::Get;
        for p in m.params.iter().filter(|p| p.default == Default::Required) {
            let mut less = args.clone();
            less.remove(p.name);
            check(
                "without a parameter",
                &made.ask(m, Some(by), &less).await,
                format!("Argument error: missing a required argument: '{}'", p.name),
            );
        }
        if matches!(m.intake, Intake::File(_)) {
            let reply = made.ask(m, Some(by), &Map::new()).await;
            check("without a file", &reply, "Argument error: missing a required argument: 'file'".to_owned());
            continue;
        }
        for p in m.params {
            let Some(value) = wrong(p, is_get) else { continue };
            let mut other = args.clone();
            other.insert(p.name.to_owned(), value);
            let want = if is_get && p.kind == Kind::Ints { "Type error: " } else { &format!("Type error: '{}' ", p.name) };
            check(&format!("{} of another type", p.name), &made.ask(m, Some(by), &other).await, want.to_owned());
        }
        if m.unknown == Unknown::Refused || (m.unknown == Unknown::IgnoredInPost && is_get) {
            let mut more = args.clone();
            more.insert("surplus".to_owned(), json!("1"));
            check(
                "a surplus parameter",
                &made.ask(m, Some(by), &more).await,
                "Argument error: got an unexpected keyword argument 'surplus'".to_owned(),
            );
        }
    }
    assert!(bad.is_empty(), "{}", bad.join("\n"));
}
