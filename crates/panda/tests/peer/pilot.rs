//! The unmodified official pilot 3.7.0.36 on jobs of the official client.
//!
//! The pilot ends foreign processes of its user and calls hosts by name, so it only ever runs shut in: the test starts itself again in a network
//! of its own (loopback and nothing else), and each pilot in process numbers of its own with its own clean-up switched off.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use panda_store::testing::Backend;
use serde_json::Value;

use crate::client::{prun, texts};
use crate::harness::{LOOK, Plan, System, VO, files, pilot_dir, run};
use crate::http;

/// Tells the inner run from the outer.
const INSIDE: &str = "PANDA_TEST_INSIDE";
/// The name of the test itself.
const NAME: &str = "pilot::peer_pilot_runs_tasks";
/// A pilot takes a minute for two jobs and two to three minutes to tell of a failure, twice.
const LIMIT: Duration = Duration::from_secs(420);
/// The host from which the pilot of this release fetches scripts: it is in its source. `curl` is told to ask ours instead.
const SCRIPT_HOST: &str = "pandaserver-doma.cern.ch:25080";

#[test]
fn peer_pilot_runs_tasks() {
    if env::var_os(INSIDE).is_some() {
        return inside();
    }
    let mut command = Command::new("unshare");
    if !rustix::process::geteuid().is_root() {
        command.arg("--map-root-user");
    }
    command.args(["--net", "--pid", "--fork", "--mount-proc", "--kill-child"]).arg(env::current_exe().unwrap());
    let done = run(command.args(["--exact", NAME, "--nocapture"]).env(INSIDE, "1"));
    eprint!("{}", done.err);
    print!("{}", done.out);
    done.exits(0).says("1 passed");
}

/// A new network has its loopback down.
fn raise_loopback() {
    let code = "import fcntl, socket, struct\n\
                fcntl.ioctl(socket.socket(), 0x8914, struct.pack('16sh22x', b'lo', 0x41))";
    run(Command::new("python3").args(["-c", code])).exits(0);
}

fn inside() {
    raise_loopback();
    let system = System::start(Backend::Sqlite, Plan { options: vec!["--no-worker".to_owned()], ..Plan::default() });
    let storage = system.dir("se");
    for queue in ["GOOD", "BAD", "BUILD"] {
        let scripts = format!("script_base=http://{SCRIPT_HOST}/trf/user");
        let add = ["queue", "add", queue, "--pilot", "official-generic", "--storage", storage.to_str().unwrap(), "timefloor=10", &scripts];
        system.panda(&add).exits(0);
    }
    let input = system.dir("input");
    files(&input, &[("user.bob.p1.txt", "first\n"), ("user.bob.p2.txt", "second\n")]);
    system.panda(&["dataset", "add", "user.bob.pilot", "--dir", input.to_str().unwrap(), "--queue", "GOOD"]).exits(0);
    let args = ["--inDS", "user.bob.pilot", "--nFilesPerJob", "1", "--noBuild", "--site", "GOOD", "--outputs", "out.txt"];
    let good = prun(&system, "good", &[], &[&args[..], &["--exec", "cat %IN > out.txt; echo read >> out.txt"]].concat());
    let bad = prun(&system, "bad", &[], &["--exec", "exit 3", "--noBuild", "--site", "BAD", "--maxAttempt", "2"]);
    let built = built_and_merged(&system);
    let sites = Sites::new(&system);
    let begin = Instant::now();
    let (_first, mut failing) = (sites.pilot("GOOD", 1), vec![sites.pilot("BAD", 1)]);
    let mut building = (1, sites.pilot("BUILD", 1));
    system.wait(good, &["done"], LIMIT);
    eprintln!("two jobs took {:?}", begin.elapsed());
    let mut found = texts(&system, good);
    found.sort();
    assert_eq!(found, ["first\nread\n", "second\nread\n"]);
    outputs_came_from_pilots(&system, good);

    while system.status(bad) != "failed" || system.status(built) != "done" {
        // The pilot of a failed job ends itself slowly; the next attempt gets its own as soon as it is there.
        if failing.len() < 2 && system.job_ids(bad).len() == 2 {
            failing.push(sites.pilot("BAD", 2));
        }
        // A pilot that finds no job gives up, and a merge comes only when all its inputs are registered.
        if building.1.has_ended() && system.status(built) != "done" {
            building = (building.0 + 1, sites.pilot("BUILD", building.0 + 1));
        }
        assert!(begin.elapsed() < LIMIT, "{}\n{}\n{}", system.log(), sites.log("BAD", 1), sites.log("BUILD", building.0));
        thread::sleep(LOOK * 5);
    }
    eprintln!("two failures, and a build with a merge by {} pilots, took {:?}", building.0, begin.elapsed());
    let mut lines: Vec<String> =
        texts(&system, built).iter().flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()).collect();
    lines.sort();
    assert_eq!(lines, ["built 1", "built 2"]);
    failed_as_it_should(&system, bad);
}

/// A build, two jobs with its library, and a merge by the user's own script.
fn built_and_merged(system: &System) -> i64 {
    let sandbox = [
        ("make.sh", "#!/bin/sh\nprintf '#!/bin/sh\\necho built $1\\n' > tool && chmod +x tool\n"),
        ("join.sh", "#!/bin/sh\nout=$2; shift 2; cat \"$@\" > \"$out\"\n"),
    ];
    let args = ["--bexec", "./make.sh", "--exec", "./tool %RNDM:0 > out.txt", "--nJobs", "2", "--outputs", "out.txt", "--site", "BUILD"];
    prun(system, "built", &sandbox, &[&args[..], &["--mergeOutput", "--mergeScript", "./join.sh"]].concat())
}

fn failed_as_it_should(system: &System, task: i64) {
    let jobs = system.jobs(&system.job_ids(task));
    assert_eq!(jobs.len(), 2, "an attempt too many: {jobs:?}");
    for job in &jobs {
        let number = |key: &str| job[key].to_string().trim_matches('"').to_owned();
        assert_eq!((&job["jobStatus"], number("pilotErrorCode")), (&Value::from("failed"), "1305".to_owned()), "{job}");
        assert_eq!(number("transExitCode"), "3", "{job}");
        assert!(job["pilotErrorDiag"].as_str().is_some_and(|diag| diag.contains("status 3")), "{job}");
    }
}

/// Both jobs were reported by the pilot, and their logs lie in the storage.
fn outputs_came_from_pilots(system: &System, task: i64) {
    let jobs = system.jobs(&system.job_ids(task));
    assert_eq!(jobs.len(), 2, "{jobs:?}");
    for job in &jobs {
        assert!(job["jobStatus"] == "finished" && job["pilotID"].as_str().is_some_and(|id| id.ends_with("|3.7.0.36")), "{job}");
        let log = job["Files"].as_array().unwrap().iter().find(|file| file["type"] == "log").unwrap();
        assert!(log["status"] == "finished" && log["fsize"].as_i64().is_some_and(|size| size > 0), "{job}");
    }
}

/// What pilots of a system need.
struct Sites<'a> {
    system: &'a System,
    settings: PathBuf,
}

/// A pilot with its process numbers; it ends with the value.
struct Pilot(Child);

impl Pilot {
    fn has_ended(&mut self) -> bool {
        self.0.try_wait().unwrap().is_some()
    }
}

impl Drop for Pilot {
    fn drop(&mut self) {
        // The child of `unshare` is told to die with it.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl<'a> Sites<'a> {
    fn new(system: &'a System) -> Self {
        let settings = system.dir("pilot-settings");
        fs::write(settings.join("token"), system.token_of("pilot", Some("pilot"))).unwrap();
        let queues = http::call(system.address(), "GET", "/cache/schedconfig/panda_queues.json", &[], b"");
        fs::write(settings.join("queues.json"), queues.body).unwrap();
        let curl =
            format!("connect-to = \"{SCRIPT_HOST}:{}\"\nconnect-to = \"storage.googleapis.com:443:127.0.0.1:1\"\n", system.address());
        fs::write(settings.join(".curlrc"), curl).unwrap();
        Self { system, settings }
    }

    fn work(&self, queue: &str, number: u32) -> PathBuf {
        self.system.dir(&format!("pilot-{queue}-{number}"))
    }

    fn log(&self, queue: &str, number: u32) -> String {
        let log = fs::read_to_string(self.work(queue, number).join("pilot.log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(80)..].join("\n")
    }

    /// The recipe that works with an unmodified 3.7.0.36: token mode, files moved to their final place, no calls elsewhere.
    fn pilot(&self, queue: &str, number: u32) -> Pilot {
        let work = self.work(queue, number);
        let port = self.system.address().port();
        let log = fs::File::create(work.join("pilot.log")).unwrap();
        let mut command = Command::new("unshare");
        command.args(["--pid", "--fork", "--mount-proc", "--kill-child", "python3", "pilot.py"]);
        command.args(["-q", queue, "-j", "user", "-i", "PR", "-w", "generic", "--pilot-user", "generic", "-t", "--cleanup", "False"]);
        command.args(["--url", "http://localhost", "-p", &port.to_string(), "--use-rucio-traces", "False"]).arg("-a").arg(&work);
        command.arg("--queuedata-url").arg(format!("http://localhost:{port}/cache/schedconfig/{{pandaqueue}}.all.json"));
        command.arg("--storagedata-url").arg(format!("http://localhost:{port}/cache/ddmendpoints.json"));
        command.arg("--input-destination-dir").arg(self.system.dir("se"));
        command.env_clear().env("PATH", env::var_os("PATH").unwrap_or_default()).env("HOME", &work).env("PILOT_NOKILL", "1");
        command.env("LOCAL_AGIS_SCHEDCONF", self.settings.join("queues.json")).env("CURL_HOME", &self.settings);
        command.env("PANDA_AUTH_TOKEN", "token").env("PANDA_AUTH_DIR", format!("{}/", self.settings.display()));
        command.env("PANDA_AUTH_ORIGIN", format!("{VO}.pilot"));
        command.current_dir(pilot_dir()).stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        Pilot(command.spawn().unwrap())
    }
}
