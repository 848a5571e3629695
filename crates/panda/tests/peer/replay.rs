//! The old pilot wire as pilots 3.7 and 3.11 were recorded to speak it: the same bodies, byte forms and orders, against our server.
//!
//! `fixtures/pilot.jsonl` holds one recorded request a line (form, path, body); names of jobs, queues and files are put in as the server gave them,
//! as a pilot does. What a pilot relies on in an answer is checked, no more.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use panda_store::testing::Backend;
use serde_json::{Map, Value, json};

use crate::harness::{Plan, System, VO};
use crate::http::{self, Answer};

const FIXTURES: &str = include_str!("../fixtures/pilot.jsonl");
const QUEUE: &str = "OFFICIAL";
const LIMIT: Duration = Duration::from_secs(60);
/// Where pilots of the generic user fetch runners.
const SCRIPTS: &str = "http://pandaserver-doma.cern.ch:25080/trf/user";

/// One recorded request of a run.
fn recorded(run: &str, name: &str) -> Value {
    let lines = FIXTURES.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let mut found = lines.filter(|line| line["run"] == run && line["name"] == name);
    found.next().unwrap_or_else(|| panic!("no {name} of {run}"))
}

struct Pilot<'a> {
    system: &'a System,
    run: &'static str,
    token: String,
}

impl<'a> Pilot<'a> {
    fn new(system: &'a System, run: &'static str) -> Self {
        Self { system, run, token: system.token_of("pilot", Some("pilot")) }
    }

    /// Sends a recorded request with these values in place of the recorded ones.
    fn send(&self, name: &str, values: &[(&str, Value)]) -> Answer {
        let request = recorded(self.run, name);
        let mut body = request["body"].as_object().cloned().unwrap_or_default();
        for (key, value) in values {
            assert!(body.contains_key(*key), "{name} of {} has no {key}", self.run);
            let text = request["form"] == "urlencoded" && !value.is_string();
            body.insert((*key).to_owned(), if text { json!(value.to_string()) } else { value.clone() });
        }
        let bearer = format!("Bearer {}", self.token);
        let origin = format!("{VO}.pilot");
        let mut headers = vec![("Authorization", bearer.as_str()), ("Origin", origin.as_str())];
        let bytes = match request["form"].as_str().unwrap() {
            // 3.11 compresses and does not say so
            "gzip" => {
                headers.push(("Content-Type", "application/json"));
                gzip(&Value::Object(body))
            }
            "gzip, said" => {
                headers.extend([("Content-Type", "application/json"), ("Content-Encoding", "gzip"), ("Accept", "application/json")]);
                gzip(&Value::Object(body))
            }
            "urlencoded" => {
                headers.extend([("Content-Type", "application/x-www-form-urlencoded"), ("Accept", "application/json")]);
                form(&body).into_bytes()
            }
            other => panic!("{other}"),
        };
        http::call(self.system.address(), "POST", request["path"].as_str().unwrap(), &headers, &bytes)
    }

    /// A call whose answer a pilot must be able to read: first byte `{`, last byte `}`, `StatusCode`, never null where text is expected.
    #[track_caller]
    fn legacy(&self, name: &str, values: &[(&str, Value)]) -> Value {
        let answer = self.send(name, values);
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert!(answer.body.starts_with(b"{") && answer.body.ends_with(b"}"), "{:?}", answer.text());
        let json = answer.json();
        assert!(!json["StatusCode"].is_null(), "{json}");
        json
    }

    fn get_job(&self, name: &str) -> Value {
        self.legacy(name, &[("siteName", json!(QUEUE)), ("computingElement", json!(QUEUE))])
    }

    #[track_caller]
    fn update(&self, name: &str, job: &Value, xml: Option<&Value>) -> String {
        let mut values =
            vec![("jobId", json!(job["PandaID"].to_string())), ("siteName", json!(QUEUE)), ("attemptNr", job["attemptNr"].clone())];
        values.extend(xml.map(|xml| ("xml", json!(xml.to_string()))));
        let answer = self.legacy(name, &values);
        assert!(answer["StatusCode"] == 0 || answer["StatusCode"] == "0", "{answer}");
        answer["command"].as_str().unwrap_or_else(|| panic!("`command` must be text: {answer}")).to_owned()
    }
}

fn gzip(body: &Value) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    out.write_all(body.to_string().as_bytes()).unwrap();
    out.finish().unwrap()
}

fn form(body: &Map<String, Value>) -> String {
    let quote = |text: &str| percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string();
    let pairs =
        body.iter().map(|(key, value)| format!("{key}={}", quote(&value.as_str().map_or_else(|| value.to_string(), str::to_owned))));
    pairs.collect::<Vec<_>>().join("&")
}

/// A system whose queue is left to pilots, with a task of two jobs on it.
fn start(name: &str) -> (System, i64) {
    let system = System::start(Backend::Sqlite, Plan { options: vec!["--no-worker".to_owned()], ..Plan::default() });
    let scripts = format!("script_base={SCRIPTS}");
    let storage = system.dir("se");
    let add = ["queue", "add", QUEUE, "--pilot", "official-generic", "--storage", storage.to_str().unwrap(), "timefloor=10", &scripts];
    system.panda(&add).exits(0);
    let submit = ["submit", "--json", "--sandbox", "none", "--queue", QUEUE, "--jobs", "2", "--out", "out.txt", "--name", name];
    let done = system.panda(&[&submit[..], &["--attempts", "2", "--", "echo x > out.txt"]].concat()).exits(0);
    let task = serde_json::from_str::<Value>(&done.out).unwrap()["task_id"].as_i64().unwrap();
    system.wait(task, &["running", "scouting"], LIMIT);
    (system, task)
}

/// Puts a file of a job where a pilot puts it; the answer is its size and its checksum.
pub fn stage_out_at(storage: &Path, job: &Value, lfn: &str) -> (usize, String) {
    let bytes = format!("content of {lfn}\n").into_bytes();
    fs::write(stored_at(storage, job, lfn), &bytes).unwrap();
    (bytes.len(), format!("{:08x}", adler32(&bytes)))
}

/// Where a pilot puts a file of a job; its folder is made.
fn stored_at(storage: &Path, job: &Value, lfn: &str) -> PathBuf {
    let text = |key: &str| job[key].as_str().unwrap_or_default().to_owned();
    let scope = if lfn == text("logFile") { text("scopeLog") } else { text("scopeOut").split(',').next().unwrap_or_default().to_owned() };
    let digest = md5_hex(&format!("{scope}:{lfn}"));
    let folder = storage.join(scope.replace('.', "/")).join(&digest[0..2]).join(&digest[2..4]);
    fs::create_dir_all(&folder).unwrap();
    folder.join(lfn)
}

/// The entry of a stored file in a report, in the recorded form; the file is put where a pilot puts it.
fn stage_out(storage: &Path, job: &Value, lfn: &str, recorded: &Value) -> Value {
    let text = |key: &str| job[key].as_str().unwrap_or_default().to_owned();
    let (size, adler) = stage_out_at(storage, job, lfn);
    let mut entry = recorded.clone();
    entry["fsize"] = json!(size);
    entry["adler32"] = json!(adler);
    entry["surl"] = json!(format!("file://localhost{}", stored_at(storage, job, lfn).display()));
    if entry.get("endpoint").is_some() {
        entry["endpoint"] = json!(text("ddmEndPointOut").split(',').next().unwrap_or_default());
    }
    entry
}

/// The `xml` of a final report: every file, or only the log.
fn report(system: &System, run: &str, name: &str, job: &Value, outputs: bool) -> Value {
    let recorded: Value = serde_json::from_str(recorded(run, name)["body"]["xml"].as_str().unwrap()).unwrap();
    let entry = recorded.as_object().unwrap().values().next().unwrap();
    let log = job["logFile"].as_str().unwrap();
    let lfns = job["outFiles"].as_str().unwrap().split(',').filter(|lfn| outputs || *lfn == log);
    let storage = system.dir("se");
    Value::Object(lfns.map(|lfn| (lfn.to_owned(), stage_out(&storage, job, lfn, entry))).collect())
}

fn adler32(bytes: &[u8]) -> u32 {
    let (a, b) = bytes.iter().fold((1_u32, 0_u32), |(a, b), byte| {
        let a = (a + u32::from(*byte)) % 65_521;
        (a, (b + a) % 65_521)
    });
    b << 16 | a
}

/// By the tool of the system: a test needs no crate of its own for it.
fn md5_hex(text: &str) -> String {
    let mut child = std::process::Command::new("md5sum");
    let mut child = child.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    String::from_utf8(output.stdout).unwrap().split_whitespace().next().unwrap().to_owned()
}

/// The keys without which a pilot gives a job back, and what it does with them.
#[track_caller]
fn is_a_job(job: &Value) {
    assert!(job["StatusCode"] == 0, "{job}");
    assert!(job["PandaID"].as_i64().is_some_and(|id| id >= 1_000_000_000), "{job}");
    let text = |key: &str| job[key].as_str().unwrap_or_else(|| panic!("{key} must be text: {job}")).to_owned();
    assert!(text("transformation").starts_with(&format!("{SCRIPTS}/runGen-")), "{job}");
    assert!(text("jobPars").contains("-p "), "{job}");
    let files = text("outFiles");
    let lfns: Vec<&str> = files.split(',').collect();
    assert!(lfns.len() == 2 && lfns.contains(&text("logFile").as_str()), "{job}");
    for aligned in ["realDatasets", "ddmEndPointOut", "destinationDblock"] {
        assert_eq!(text(aligned).split(',').count(), lfns.len(), "{aligned}: {job}");
    }
    assert_eq!(text("scopeOut").split(',').count(), lfns.len() - 1, "one scope an output, the log aside: {job}");
    assert!(!text("scopeLog").is_empty() && text("logGUID").len() == 36, "{job}");
    assert!(job["attemptNr"].is_i64() && !job["taskID"].is_null(), "{job}");
    for list in ["inFiles", "scopeIn", "GUID", "fsize", "checksum"] {
        assert!(job[list].is_string(), "{list} must be text, empty or not: {job}");
    }
}

#[test]
fn replay_of_a_pilot_with_two_jobs() {
    let (system, task) = start("two");
    let pilot = Pilot::new(&system, "3.11");
    let first = pilot.get_job("getJob");
    is_a_job(&first);
    assert_eq!(first["taskID"].to_string().trim_matches('"'), task.to_string());
    for name in ["starting", "running", "running"] {
        assert_eq!(pilot.update(name, &first, None), "NULL");
    }
    let xml = report(&system, "3.11", "finished", &first, true);
    pilot.update("finished", &first, Some(&xml));
    // a report whose answer was lost comes again
    pilot.update("finished", &first, Some(&xml));
    // the second request of a pilot is pinned to the task, as text
    let pinned = [("siteName", json!(QUEUE)), ("computingElement", json!(QUEUE)), ("taskID", json!(task.to_string()))];
    let second = pilot.legacy("getJob again", &pinned);
    is_a_job(&second);
    assert_ne!(first["PandaID"], second["PandaID"]);
    pilot.update("starting", &second, None);
    pilot.update("running", &second, None);
    pilot.update("finished", &second, Some(&report(&system, "3.11", "finished", &second, true)));
    system.wait(task, &["done"], LIMIT);
    let none = pilot.get_job("getJob");
    assert!(none["StatusCode"] == 20 || none["StatusCode"] == "20", "{none}");
    assert_eq!(system.outputs(task).len(), 2);
}

#[test]
fn replay_of_a_form_encoding_pilot() {
    let (system, task) = start("forms");
    let pilot = Pilot::new(&system, "3.7");
    for _ in 0..2 {
        let job = pilot.get_job("getJob");
        is_a_job(&job);
        pilot.update("starting", &job, None);
        pilot.update("running", &job, None);
        pilot.update("finished", &job, Some(&report(&system, "3.7", "finished", &job, true)));
    }
    system.wait(task, &["done"], LIMIT);
}

#[test]
fn replay_of_failures_and_kills() {
    let (system, task) = start("fails");
    let pilot = Pilot::new(&system, "3.11");
    let failing = pilot.get_job("getJob");
    pilot.update("starting", &failing, None);
    pilot.update("running", &failing, None);
    pilot.update("failed", &failing, Some(&report(&system, "3.11", "failed", &failing, false)));
    let id = failing["PandaID"].as_i64().unwrap();
    let end = std::time::Instant::now() + LIMIT;
    let failed = loop {
        let job = system.jobs(&[id]).remove(0);
        if job["jobStatus"] == "failed" {
            break job;
        }
        assert!(std::time::Instant::now() < end, "{job}");
        std::thread::sleep(crate::harness::LOOK);
    };
    // exit 3, as 3.11 tells it
    assert_eq!((failed["pilotErrorCode"].as_i64(), failed["transExitCode"].to_string().trim_matches('"')), (Some(1368), "3"), "{failed}");

    let running = pilot.get_job("getJob");
    is_a_job(&running);
    pilot.update("starting", &running, None);
    assert_eq!(pilot.update("running", &running, None), "NULL");
    let path = "/api/v1/task/kill";
    system.post(path, &json!({ "task_id": task })).data();
    let command = loop {
        let command = pilot.update("running", &running, None);
        if command != "NULL" || std::time::Instant::now() > end {
            break command;
        }
        std::thread::sleep(crate::harness::LOOK);
    };
    assert_eq!(command, "tobekilled");
    // killed by the server: no log, code 1144
    pilot.update("killed", &running, None);
    system.wait(task, &["aborted"], LIMIT);
}

#[test]
fn replay_of_what_pilots_tell_besides() {
    let (system, _) = start("besides");
    let pilot = Pilot::new(&system, "3.11");
    for name in ["worker started", "worker finished"] {
        let answer = pilot.legacy(name, &[("site", json!(QUEUE))]);
        assert!(answer["StatusCode"] == 0 || answer["StatusCode"] == "0", "{answer}");
    }
    let job = pilot.legacy("getJob of a worker", &[("siteName", json!(QUEUE)), ("computingElement", json!(QUEUE))]);
    is_a_job(&job);
    let node = pilot.send("worker node", &[("panda_queue", json!(QUEUE)), ("site", json!(QUEUE))]);
    assert_eq!((node.status, node.json()["success"].as_bool()), (200, Some(true)), "{}", node.text());
    let types = pilot.legacy("getResourceTypes", &[]);
    // a plain list is ignored by 3.11: text, or an object that holds the list
    assert!(
        types["ResourceTypes"].is_string() || types["ResourceTypes"]["ResourceTypes"].is_array() || types["ResourceTypes"].is_array(),
        "{types}"
    );
    let bearer = format!("Bearer {}", pilot.token);
    let headers = [("Authorization", bearer.as_str()), ("Origin", "amber.pilot")];
    let path = "/server/panda/get_access_token?client_name=pilot_server&token_key=keykey123";
    let token = http::call(system.address(), "GET", path, &headers, b"");
    // read as a Python literal: neither null nor true may stand there
    assert!(token.status == 200 && !token.text().contains("null") && !token.text().contains("true"), "{} {}", token.status, token.text());
    for path in ["/cache/schedconfig/OFFICIAL.all.json", "/cache/schedconfig/panda_queues.json", "/cache/ddmendpoints.json"] {
        let answer = http::call(system.address(), "GET", path, &[], b"");
        assert!(answer.status == 200 && answer.json().is_object(), "{path}: {}", answer.text());
    }
    for path in ["/trf/user/nosuch", "/trf/nosuch"] {
        let script = http::call(system.address(), "GET", path, &[], b"");
        // 3.7 runs whatever comes, also the body of a 404
        assert!(script.body.starts_with(b"#!/bin/sh") && script.text().contains("exit 127"), "{path}: {}", script.text());
    }
    let refused = http::call(system.address(), "POST", "/server/panda/getJob", &[], b"siteName=OFFICIAL");
    assert_eq!(refused.json()["StatusCode"], 60, "without identity: {}", refused.text());
}
