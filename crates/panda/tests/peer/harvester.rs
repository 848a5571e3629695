//! Harvester 0.7: the official program against `panda up`, and the cycles that were recorded of it.
//!
//! `HARVESTER_SRC` names a checkout of the official program, `HARVESTER_PYTHON` a Python that has what it needs (default: `python3`); without the
//! first only the recorded cycles are replayed, which always are. What the batch system of the official one would do is done here: its dummy back
//! end reads the state of a worker from a file in the worker's folder, and the payload's files lie beside it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use panda_store::testing::Backend;
use serde_json::{Value, json};

use crate::harness::{LOOK, Plan, System, VO};
use crate::http::{self, Answer};
use crate::replay::stage_out_at;

/// Name of the instance, as it was recorded.
const INSTANCE: &str = "dev-harvester";
const LIMIT: Duration = Duration::from_secs(150);
const SITE: &str = include_str!("harvester_site.py");
const RECORDED: &str = include_str!("../../../server/tests/fixtures/harvester.jsonl");

/// A system whose queues are left to Harvester.
struct Bench {
    system: System,
    pilot: String,
    production: String,
}

impl Bench {
    fn new(queues: &[(&str, &str, &str)]) -> Self {
        let system = System::start(Backend::Sqlite, Plan { options: vec!["--no-worker".to_owned()], ..Plan::default() });
        let storage = system.dir("se");
        for (name, workflow, capability) in queues {
            let own = [format!("workflow={workflow}"), format!("capability={capability}"), format!("harvester={INSTANCE}")];
            let mut add = vec!["queue", "add", name, "--pilot", "official-generic", "--storage", storage.to_str().unwrap()];
            add.extend(["pilot_manager=Harvester", "catchall=", "type=unified"]);
            add.extend(own.iter().map(String::as_str));
            system.panda(&add).exits(0);
        }
        let (pilot, production) = (system.token_of("pilot", Some("pilot")), system.token_of("prod", Some("production")));
        Self { pilot: pilot.trim().to_owned(), production: production.trim().to_owned(), system }
    }

    fn call(&self, verb: &str, path: &str, body: &Value) -> Answer {
        let bearer = format!("Bearer {}", self.pilot);
        let origin = format!("{VO}.pilot");
        let mut headers = vec![("Authorization", bearer.as_str()), ("Origin", origin.as_str()), ("Accept", "application/json")];
        let bytes = if verb == "GET" { Vec::new() } else { body.to_string().into_bytes() };
        if verb == "POST" {
            headers.push(("Content-Type", "application/json"));
        }
        http::call(self.system.address(), verb, path, &headers, &bytes)
    }

    /// In the production role, as an operator.
    fn operate(&self, path: &str, body: &Value) -> Answer {
        let bearer = format!("Bearer {}", self.production);
        let origin = format!("{VO}.production");
        let headers = [("Authorization", bearer.as_str()), ("Origin", origin.as_str()), ("Content-Type", "application/json")];
        http::call(self.system.address(), "POST", path, &headers, body.to_string().as_bytes())
    }

    fn submit(&self, queue: &str, jobs: usize) -> i64 {
        let (name, jobs) = (format!("hv-{queue}-{jobs}"), jobs.to_string());
        let args = ["submit", "--json", "--sandbox", "none", "--queue", queue, "--jobs", &jobs, "--out", "out.txt", "--name", &name];
        let done = self.system.panda(&[&args[..], &["--attempts", "1", "--", "echo x > out.txt"]].concat()).exits(0);
        let task = serde_json::from_str::<Value>(&done.out).unwrap()["task_id"].as_i64().unwrap();
        self.system.wait(task, &["running", "scouting"], LIMIT);
        task
    }

    fn job(&self, id: i64) -> Value {
        self.system.jobs(&[id]).remove(0)
    }

    /// What the server knows of the instance's workers, by number.
    fn workers(&self) -> BTreeMap<i64, Value> {
        let shown = self.system.get(&format!("/api/panda/v1/harvester/show?name={INSTANCE}")).data();
        shown["workers"].as_array().unwrap().iter().map(|w| (w["number"].as_i64().unwrap(), w.clone())).collect()
    }

    #[track_caller]
    fn until<T>(&self, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
        let end = Instant::now() + LIMIT;
        loop {
            if let Some(found) = look() {
                return found;
            }
            assert!(Instant::now() < end, "{what} did not come:\n{}", self.system.log());
            thread::sleep(LOOK);
        }
    }
}

/// The official program, started in a folder of the test's own.
struct Official {
    child: Child,
    folder: PathBuf,
}

impl Official {
    fn start(bench: &Bench, source: &Path, queues: &[(&str, Value)]) -> Self {
        let folder = bench.system.dir("harvester");
        for sub in ["etc/panda", "log", "ap", "site"] {
            fs::create_dir_all(folder.join(sub)).unwrap();
        }
        let etc = folder.join("etc/panda");
        fs::write(folder.join("token"), &bench.pilot).unwrap();
        fs::write(folder.join("secret"), "s").unwrap();
        fs::write(folder.join("site/harvester_site.py"), SITE).unwrap();
        fs::write(etc.join("panda_queueconfig.json"), queue_config(&folder, queues).to_string()).unwrap();
        fs::write(etc.join("panda_common.cfg"), common(&folder)).unwrap();
        let template = fs::read_to_string(source.join("templates/panda/panda_harvester.cfg.rpmnew.template")).unwrap();
        let names: Vec<&str> = queues.iter().map(|(name, _)| *name).collect();
        fs::write(etc.join("panda_harvester.cfg"), configuration(&template, bench, &folder, &names)).unwrap();
        let python = env::var("HARVESTER_PYTHON").unwrap_or_else(|_| "python3".to_owned());
        let found =
            Command::new(&python).args(["-c", "import pandacommon, os; print(os.path.dirname(pandacommon.__file__))"]).output().unwrap();
        assert!(found.status.success(), "{python} has no panda-common: {}", String::from_utf8_lossy(&found.stderr));
        let common = String::from_utf8_lossy(&found.stdout).trim().to_owned();
        let path = format!("{common}:{}:{}", source.display(), folder.join("site").display());
        let log = fs::File::create(folder.join("stderr.log")).unwrap();
        let mut command = Command::new(&python);
        command.arg(source.join("pandaharvester/harvesterbody/master.py")).args(["--foreground", "--pid"]).arg(folder.join("pid"));
        command
            .env("PANDA_HOME", &folder)
            .env("PYTHONPATH", path)
            .env("TZ", "UTC")
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .current_dir(&folder);
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        Self { child: command.spawn().unwrap(), folder }
    }

    /// The folder of a worker.
    fn access_point(&self, number: i64) -> PathBuf {
        self.folder.join("ap").join(number.to_string())
    }

    /// Workers that have a state, by number.
    fn states(&self) -> BTreeMap<i64, String> {
        let mut out = BTreeMap::new();
        for entry in fs::read_dir(self.folder.join("ap")).unwrap().flatten() {
            let state = fs::read_to_string(entry.path().join("status.txt"));
            if let (Ok(number), Ok(state)) = (entry.file_name().to_string_lossy().parse(), state) {
                out.insert(number, state.trim().to_owned());
            }
        }
        out
    }

    fn set(&self, number: i64, state: &str) {
        fs::write(self.access_point(number).join("status.txt"), state).unwrap();
    }

    /// Jobs of a worker, as the payload reads them.
    fn jobs(&self, number: i64) -> Vec<Value> {
        let text = fs::read_to_string(self.access_point(number).join("HPCJobs.json")).unwrap_or_default();
        let jobs: Value = serde_json::from_str(&text).unwrap_or_default();
        jobs.as_object().into_iter().flat_map(|jobs| jobs.values().cloned()).collect()
    }

    /// A payload that does its work: files on the storage and in the worker's folder, and what it says of them.
    fn work(&self, number: i64, storage: &Path) {
        let folder = self.access_point(number);
        let mut dump = serde_json::Map::new();
        for job in self.jobs(number) {
            let mut files = Vec::new();
            for lfn in job["outFiles"].as_str().unwrap().split(',') {
                let (size, adler) = stage_out_at(storage, &job, lfn);
                fs::write(folder.join(lfn), format!("content of {lfn}\n")).unwrap();
                let kind = if job["logFile"] == lfn { "log" } else { "output" };
                files.push(json!({"path": folder.join(lfn), "type": kind, "fsize": size, "chksum": adler, "guid": job["logGUID"]}));
            }
            dump.insert(job["PandaID"].to_string(), files.into());
        }
        fs::write(folder.join("jobReport.json"), r#"{"exitCode": 0}"#).unwrap();
        fs::write(folder.join("event_status.dump.json"), Value::Object(dump).to_string()).unwrap();
    }

    fn said(&self) -> String {
        fs::read_to_string(self.folder.join("stderr.log")).unwrap_or_default()
    }
}

impl Drop for Official {
    fn drop(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::USR2);
        for _ in 0..100 {
            if self.child.try_wait().is_ok_and(|ended| ended.is_some()) {
                return;
            }
            thread::sleep(LOOK);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn queue_config(folder: &Path, queues: &[(&str, Value)]) -> Value {
    let plugin = |name: &str, module: &str| json!({"name": name, "module": format!("pandaharvester.{module}")});
    let mut messenger = plugin("SharedFileMessenger", "harvestermessenger.shared_file_messenger");
    messenger["accessPoint"] = json!(format!("{}/ap/${{workerID}}", folder.display()));
    let mut all = serde_json::Map::new();
    for (name, own) in queues {
        let mut queue = json!({
            "prodSourceLabel": "user", "maxWorkers": 10, "nQueueLimitWorker": 5, "maxNewWorkersPerCycle": 5, "nQueueLimitJob": 5,
            "maxSubmissionAttempts": 3, "messenger": messenger,
            "preparator": plugin("DummyPreparator", "harvesterpreparator.dummy_preparator"),
            "workerMaker": plugin("SimpleWorkerMaker", "harvesterworkermaker.simple_worker_maker"),
            "stager": plugin("DummyStager", "harvesterstager.dummy_stager"),
            "submitter": plugin("DummySubmitter", "harvestersubmitter.dummy_submitter"),
            "monitor": plugin("DummyMonitor", "harvestermonitor.dummy_monitor"),
            "sweeper": {"name": "Sweeper", "module": "harvester_site"},
        });
        for (key, value) in own.as_object().unwrap() {
            queue[key.as_str()] = value.clone();
        }
        all.insert((*name).to_owned(), queue);
    }
    Value::Object(all)
}

fn common(folder: &Path) -> String {
    format!(
        "[logger]\nloghost=localhost\nloghost_new=localhost\nmonport-apache=80\nmonport-apache_new=8081\nmethod=GET\nmethod_new=POST\n\
         encoding=url\nencoding_new=json\nmonurlprefix=/x\nlogdir={}\nnemitters=1\nmigrated=True\nlog_level=DEBUG\nrotating_policy=none\n",
        folder.join("log").display()
    )
}

/// The shipped template with what a site must change, and short cycles.
fn configuration(template: &str, bench: &Bench, folder: &Path, queues: &[&str]) -> String {
    let user = String::from_utf8(Command::new("id").arg("-un").output().unwrap().stdout).unwrap().trim().to_owned();
    let group = String::from_utf8(Command::new("id").arg("-gn").output().unwrap().stdout).unwrap().trim().to_owned();
    let (url, at) = (bench.system.url(), |name: &str| folder.join(name).display().to_string());
    let api = format!("{url}/api/v1");
    let list = |items: &[&str]| format!("\n {}", items.join("\n "));
    let documents = ["panda_queues.json", "ddmendpoints.json", "queues_config.json"].map(|name| format!("{url}/cache/schedconfig/{name}"));
    let data = format!(
        "\n panda_queues.json||{}\n agis_ddmendpoints.json||{}\n queues_config_file||{}\n resource_types.json||panda_server:get_resource_types\n \
         job_statistics.json||panda_server:get_job_stats\n job_statistics_new.json||panda_server:get_job_stats_new\n \
         worker_statistics.json||panda_server:get_worker_stats_from_panda",
        documents[0], documents[1], documents[2]
    );
    let dummy = list(&["pandaharvester.harvestercredmanager.dummy_cred_manager"; 2]);
    let mut values: BTreeMap<(&str, &str), String> = BTreeMap::new();
    let mut set = |section, key, value: &str| drop(values.insert((section, key), value.to_owned()));
    for (section, key, value) in [
        ("master", "uname", user.as_str()),
        ("master", "gname", &group),
        ("master", "harvester_id", INSTANCE),
        ("db", "database_filename", &at("harvester.db")),
        ("db", "syncMaxWorkerID", "True"),
        ("fifo", "database_filename", &at("$(TITLE)_fifo.db")),
        ("pandacon", "timeout", "30"),
        ("pandacon", "auth_type", "oidc"),
        ("pandacon", "ca_cert", "False"),
        ("pandacon", "cert_file", &at("none")),
        ("pandacon", "key_file", &at("none")),
        ("pandacon", "auth_token", &format!("file:{}", at("token"))),
        ("pandacon", "auth_origin", &format!("{VO}.pilot")),
        ("pandacon", "pandaURL", &format!("{url}/server/panda")),
        ("pandacon", "pandaURLSSL", &format!("{url}/server/panda")),
        ("pandacon", "pandaCacheURL_W", &format!("{url}/server/panda")),
        ("pandacon", "pandaCacheURL_R", &format!("{url}/cache")),
        ("pandacon", "server_api_url", &api),
        ("pandacon", "server_api_url_ssl", &api),
        ("pandacon", "cache_api_url_ssl", &api),
        ("pandacon", "verbose", "True"),
        ("qconf", "queueList", &list(queues)),
        ("qconf", "updateInterval", "10"),
        ("commandmanager", "sleepTime", "1"),
        ("propagator", "updateInterval", "5"),
        ("propagator", "minMessageLevel", "INFO"),
        ("credmanager", "moduleName", &dummy),
        ("credmanager", "className", &list(&["DummyCredManager"; 2])),
        ("credmanager", "inCertFile", &list(&[at("none").as_str(); 2])),
        ("credmanager", "outCertFile", &list(&[at("p1").as_str(), at("p2").as_str()])),
        ("credmanager", "voms", &list(&["dummy"; 2])),
        ("cacher", "data", &data),
        ("cacher", "refreshInterval", "1"),
        ("cacher", "sleepTime", "5"),
        ("frontend", "secretFile", &at("secret")),
        ("apfmon", "active", "False"),
        ("service_monitor", "disk_volumes", "tmp"),
        ("service_monitor", "pidfile", &at("pid")),
    ] {
        set(section, key, value);
    }
    for section in ["jobfetcher", "propagator", "preparator", "submitter", "monitor", "stager", "eventfeeder", "sweeper"] {
        set(section, "nThreads", "1");
        set(section, "sleepTime", "1");
    }
    for (section, keys) in [
        ("jobfetcher", &["lookupTime"][..]),
        ("submitter", &["lookupTime", "checkInterval"]),
        ("preparator", &["checkInterval", "triggerInterval"]),
        ("stager", &["checkInterval", "triggerInterval", "zipInterval"]),
        ("monitor", &["checkInterval"]),
        ("sweeper", &["checkInterval"]),
        ("zipper", &["zipInterval"]),
    ] {
        keys.iter().for_each(|key| set(section, key, "1"));
    }
    changed(template, &values)
}

/// An ini file with other values; every one of them must stand in it.
fn changed(template: &str, values: &BTreeMap<(&str, &str), String>) -> String {
    let (mut out, mut section, mut skips, mut done) = (String::new(), String::new(), false, 0);
    for line in template.lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
            section = name.to_owned();
        }
        let continues = line.starts_with([' ', '\t']) || line.starts_with('#');
        if skips && continues {
            continue;
        }
        skips = false;
        let key = line.split_once('=').map(|(key, _)| key.trim()).filter(|key| !key.starts_with('#'));
        match key.and_then(|key| values.get_key_value(&(section.as_str(), key))) {
            Some(((_, key), value)) => {
                out.push_str(&format!("{key} = {value}\n"));
                (skips, done) = (true, done + 1);
            }
            None => out.push_str(&format!("{line}\n")),
        }
    }
    assert_eq!(done, values.len(), "a value has no place in the template");
    out
}

/// Jobs that are pushed, a job that is killed, workers that are asked for, and workers that are swept, with the official program.
fn official(source: &Path) {
    let bench = Bench::new(&[("PUSH", "push", "score"), ("PULL", "pull", "score"), ("DRIVEN", "pull_ups", "ucore")]);
    let storage = bench.system.dir("se");
    let pushed = bench.submit("PUSH", 2);
    let pulled = bench.submit("DRIVEN", 1);
    let push = json!({"mapType": "OneToOne"});
    let pull = json!({"mapType": "NoJob", "truePilot": true, "nQueueLimitWorker": 2, "maxWorkers": 2});
    let driven = json!({"mapType": "NoJob", "runMode": "slave", "truePilot": true});
    let h = Official::start(&bench, source, &[("PUSH", push), ("PULL", pull), ("DRIVEN", driven)]);

    // Push: each worker brings its job; the payload does its work.
    let worker = |job: i64| h.states().into_keys().find(|n| h.jobs(*n).iter().any(|j| j["PandaID"] == job));
    for job in bench.system.job_ids(pushed) {
        let number = bench.until(&format!("a worker of job {job}, Harvester says {}", h.said()), || worker(job));
        h.set(number, "running");
        bench.until("the running job", || (bench.job(job)["jobStatus"] == "running").then_some(()));
        h.work(number, &storage);
        h.set(number, "finished");
    }
    bench.system.wait(pushed, &["done"], LIMIT);
    assert_eq!(bench.system.outputs(pushed).len(), 2);

    // A job that is killed: its worker is ended, and Harvester says so.
    let killed = bench.submit("PUSH", 1);
    let job = bench.system.job_ids(killed)[0];
    let number = bench.until("a worker of the job that is killed", || worker(job));
    h.set(number, "running");
    bench.until("the running job", || (bench.job(job)["jobStatus"] == "running").then_some(()));
    bench.system.panda(&["kill", &killed.to_string()]).exits(0);
    bench.until("the end of its worker", || (h.states().get(&number)? == "cancelled").then_some(()));
    bench.system.wait(killed, &["aborted"], LIMIT);

    // Pull, asked for by the server: the worker's pilot takes the job itself, by the name of its worker.
    let of = |queue: &str, state: &str| {
        let workers = bench.workers();
        workers.into_iter().find(|(_, w)| w["queue"] == queue && w["state"] == state).map(|(number, _)| number)
    };
    let number = bench.until("a worker that was asked for", || of("DRIVEN", "submitted"));
    h.set(number, "running");
    let ask = json!({"site_name": "DRIVEN", "prod_source_label": "user", "node": "n1", "computing_element": "CE", "harvester_id": INSTANCE, "worker_id": number});
    let taken = bench.call("POST", "/api/v1/pilot/acquire_jobs", &ask).data();
    let id = taken["jobs"][0]["PandaID"].as_i64().unwrap();
    assert_eq!(vec![id], bench.system.job_ids(pulled));
    let word = |status: &str| json!({"worker_id": number, "harvester_id": INSTANCE, "status": status});
    bench.call("POST", "/api/v1/pilot/update_worker_status", &word("started")).data();
    let report = json!({"job_id": id, "job_status": "running", "attempt_nr": taken["jobs"][0]["attemptNr"], "node": "n1"});
    bench.call("POST", "/api/v1/pilot/update_job", &report).data();

    // Swept while its job runs: the end of the worker is the end of the job.
    bench.until("the running worker", || of("DRIVEN", "running"));
    let sweep = json!({"panda_queue": "DRIVEN", "status_list": ["running"], "ce_list": [], "submission_host_list": []});
    let said = bench.operate("/api/v1/harvester/add_sweep_command", &sweep).json();
    assert!(said["success"] == true && said["message"].as_str().unwrap().contains(INSTANCE), "{said}");
    bench.until("the swept worker", || of("DRIVEN", "cancelled"));
    let job = bench.until("the end of its job", || Some(bench.job(id)).filter(|j| j["jobStatus"] == "failed"));
    assert_eq!(job["supErrorCode"], 300, "{job}");

    // Pull, driven by itself: one worker finds out whether an idle queue works; the log of a batch job is one that the server serves.
    let number = bench.until("a worker of an idle queue", || of("PULL", "submitted"));
    assert_eq!(bench.workers()[&number]["endpoint"], "CE_name");
    let shown = bench.system.get(&format!("/api/panda/v1/harvester/show?name={INSTANCE}")).data();
    assert_eq!(shown["version"], "0.7.5");
    assert!(!shown["dialogs"].as_array().unwrap().is_empty() && shown["commands"].as_array().unwrap().len() >= 2, "{shown}");
    // What only stderr tells: a thread of it that has died.
    let said = h.said();
    assert!(!said.contains("Exception in thread") && !said.contains("KeyError"), "{said}");
}

#[test]
fn harvester_pushes_pulls_and_obeys() {
    match env::var_os("HARVESTER_SRC") {
        Some(source) => official(Path::new(&source)),
        None => replay(),
    }
}

/// What was recorded of one run, in order.
fn recorded(run: &str) -> Vec<Value> {
    RECORDED.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).filter(|line| line["run"] == run).collect()
}

/// The recorded push, pull and commanded cycles with jobs of ours in place of the recorded ones.
fn replay() {
    let queues = [("DUMMY_PUSH", "push", "score"), ("SLURM_PUSH", "push", "score"), ("SLURM_PULL", "pull_ups", "ucore")];
    let bench = Bench::new(&queues);
    let tasks = [bench.submit("DUMMY_PUSH", 3), bench.submit("SLURM_PUSH", 3)];
    let storage = bench.system.dir("se");
    let mut jobs: BTreeMap<i64, Value> = BTreeMap::new();
    let mut commands = Vec::new();
    for line in recorded("push_oidc") {
        let (path, mut body) = (line["path"].as_str().unwrap(), line["body"].clone());
        if path.ends_with("acquire_jobs") {
            body["prod_source_label"] = json!("user");
        }
        for report in body["job_list"].as_array_mut().into_iter().flatten() {
            with_our_job(report, &jobs, &storage);
        }
        for worker in body["workers"].as_array_mut().into_iter().flatten() {
            for id in worker["pandaid_list"].as_array_mut().into_iter().flatten() {
                *id = jobs.get(&id.as_i64().unwrap()).map_or(json!(0), |job| job["PandaID"].clone());
            }
        }
        if path.ends_with("acknowledge_commands") {
            body["command_ids"] = json!(commands);
        }
        if line["at_s"] == 71.711 {
            let sweep =
                json!({"panda_queue": "SLURM_PULL", "status_list": ["submitted", "running"], "ce_list": [], "submission_host_list": []});
            assert_eq!(bench.operate("/api/v1/harvester/add_sweep_command", &sweep).json()["success"], true);
        }
        if line["at_s"] == 107.86 {
            let id = jobs[&5003]["PandaID"].clone();
            assert_eq!(bench.system.post("/api/v1/job/kill", &json!({"job_ids": [id]})).data(), json!([true]));
        }
        let answer = bench.call(line["method"].as_str().unwrap(), path, &body);
        let (got, want) = (answer.json(), &line["reply"]);
        assert_eq!(answer.status, 200, "{path}: {got}");
        assert!(got["success"].is_boolean() && got["message"].is_string() && got.get("data").is_some(), "{path}: {got}");
        assert_eq!(got["success"], want["success"], "{path} at {}: {got}", line["at_s"]);
        match path.rsplit('/').next().unwrap() {
            "acquire_jobs" if want["success"] == true => {
                for (ours, theirs) in got["data"]["jobs"].as_array().unwrap().iter().zip(want["data"]["jobs"].as_array().unwrap()) {
                    check_job(ours);
                    jobs.insert(theirs["PandaID"].as_i64().unwrap(), ours.clone());
                }
            }
            "acquire_commands" => {
                commands = got["data"].as_array().unwrap().iter().map(|c| c["command_id"].clone()).collect();
                for command in got["data"].as_array().unwrap() {
                    let keys = ["command_id", "command", "params", "ack_requested"];
                    assert!(keys.iter().all(|key| command.get(*key).is_some()), "{command}");
                }
                if line["at_s"] == 71.711 {
                    let kill = got["data"].as_array().unwrap().iter().find(|c| c["command"] == "KILL_WORKERS").unwrap();
                    assert_eq!(kill["params"]["computingSite"], json!(["SLURM_PULL"]));
                }
            }
            "update_jobs_bulk" => {
                let (ours, theirs) = (got["data"].as_array().unwrap(), want["data"].as_array().unwrap());
                assert_eq!(ours.len(), theirs.len());
                for ((ours, theirs), report) in ours.iter().zip(theirs).zip(body["job_list"].as_array().unwrap()) {
                    assert_eq!(ours["data"]["StatusCode"], 0, "{report}: {ours}");
                    // The kill is told as long as the job is not over.
                    if theirs["data"]["command"] == "tobekilled" && report["job_status"] != "failed" {
                        assert_eq!(ours["data"]["command"], "tobekilled", "{report}");
                    }
                }
            }
            "update_workers" => assert_eq!(got["data"], want["data"], "one answer a worker"),
            _ => {}
        }
    }
    // Two jobs of three were done well at one queue, all at the other.
    for (recorded, state) in [(5001, "finished"), (5002, "failed"), (5004, "finished"), (5005, "finished"), (5006, "finished")] {
        let id = jobs[&recorded]["PandaID"].as_i64().unwrap();
        bench.until(&format!("{state} of job {recorded}"), || (bench.job(id)["jobStatus"] == state).then_some(()));
    }
    bench.system.wait(tasks[1], &["done"], LIMIT);
    let workers = bench.workers();
    assert_eq!(workers[&5]["state"], "finished");
    assert_eq!(workers[&3]["state"], "failed");
    assert_eq!(workers[&2]["queue"], "DUMMY_PUSH");
    let stats = bench.call("GET", "/api/v1/harvester/get_worker_statistics", &Value::Null).data();
    assert!(stats["SLURM_PULL"][INSTANCE]["managed"]["SCORE"].is_object(), "{stats}");
}

/// Keys that a Harvester cannot do without, as texts where it splits them.
fn check_job(ours: &Value) {
    for key in ["PandaID", "taskID", "attemptNr", "jobsetID", "currentPriority"] {
        assert!(ours.get(key).is_some(), "{key} is missing in {ours}");
    }
    let texts = "inFiles GUID fsize checksum scopeIn realDatasetsIn ddmEndPointIn outFiles scopeOut scopeLog logFile logGUID realDatasets ddmEndPointOut";
    for key in texts.split(' ') {
        assert!(ours[key].is_string(), "{key} is no text in {ours}");
    }
}

/// The report of a recorded job about one of ours; files are put where a site would.
fn with_our_job(report: &mut Value, jobs: &BTreeMap<i64, Value>, storage: &Path) {
    let Some(job) = report["job_id"].as_i64().and_then(|id| jobs.get(&id)) else { return };
    report["job_id"] = job["PandaID"].clone();
    report["attempt_nr"] = job["attemptNr"].clone();
    if report["job_status"] == "finished" {
        let mut files = serde_json::Map::new();
        for lfn in job["outFiles"].as_str().unwrap().split(',') {
            let (size, adler) = stage_out_at(storage, job, lfn);
            files.insert(lfn.to_owned(), json!({"guid": job["logGUID"], "fsize": size, "adler32": adler}));
        }
        report["job_output_report"] = json!(Value::Object(files).to_string());
    }
}
