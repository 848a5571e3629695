//! Every command of `pbook` but those of workflows, on SQLite: what it prints, and what happens to tasks, jobs and secrets.

use std::fs;

use std::time::{Duration, Instant};

use panda_store::testing::Backend;
use serde_json::Value;

use crate::client::{LIMIT, prun, texts};
use crate::harness::{Done, LOOK, Plan, System, files};

/// Runs `pbook` in its folder.
#[track_caller]
fn pbook(system: &System, args: &[&str]) -> Done {
    let folder = system.dir("work-pbook");
    let done = system.client(&folder, &[&["pbook"], args].concat());
    assert!(!done.err.contains("Traceback"), "{args:?}\n{}\n{}", done.out, done.err);
    done
}

fn start() -> System {
    System::start(Backend::Sqlite, Plan { config: "[worker]\nslots = 4\n".to_owned(), ..Plan::default() })
}

/// Waits until a job of a task runs and tells its id.
fn running_job(system: &System, task: i64) -> i64 {
    let end = Instant::now() + LIMIT;
    loop {
        let jobs = system.jobs(&system.job_ids(task));
        if let Some(job) = jobs.iter().find(|job| job["jobStatus"] == "running") {
            return job["PandaID"].as_i64().unwrap();
        }
        assert!(Instant::now() < end, "no job of {task} runs: {jobs:?}\n{}", system.log());
        std::thread::sleep(LOOK);
    }
}

#[test]
fn peer_pbook_shows() {
    let system = start();
    let done = prun(&system, "shown", &[], &["--exec", "echo %RNDM:0", "--nJobs", "2", "--noBuild"]);
    let other = prun(&system, "sleeps", &[], &["--exec", "sleep 600", "--noBuild"]);
    system.wait(done, &["done"], LIMIT);
    running_job(&system, other);
    let (done, other) = (done.to_string(), other.to_string());
    let shown = pbook(&system, &["show"]).exits(0).says("PBook user: Alice").says(&done).says(&other).says("100%");
    assert!(shown.err.contains("Showing only max 1000 tasks"), "{}", shown.err);
    let line = |out: &str, id: &str| out.lines().find(|line| line.contains(id)).unwrap_or_default().to_owned();
    assert!(line(&shown.out, &done).contains("done") && line(&shown.out, &done).contains("user.alice.shown/"), "{}", shown.out);
    let one = pbook(&system, &["show", &done]).exits(0).says(&done);
    assert!(!one.out.contains(&other), "{}", one.out);
    let run = pbook(&system, &["show", "run"]).exits(0).says(&other);
    assert!(!run.out.contains(&done), "{}", run.out);
    let fin = pbook(&system, &["show", "fin"]).exits(0).says(&done);
    assert!(!fin.out.contains(&other), "{}", fin.out);
    pbook(&system, &["show", "--status", "done|failed", "--taskname", "user.alice.shown/"]).exits(0).says(&done);
    pbook(&system, &["show", "--format", "long", "--days", "30", "--limit", "5"]).exits(0).says(&done).says("2|0|2");
    pbook(&system, &["showl"]).exits(0).says(&done).says(&other);
    pbook(&system, &["show", &done, "--format", "plain"]).exits(0).says("jeditaskid").says("user.alice.shown/");
    pbook(&system, &["-c", &format!("show({done}, format=\"json\")")]).exits(0);
    pbook(&system, &["help"]).exits(0).says("recover_lost_files");
    pbook(&system, &["generate_credential"]).exits(0);
    pbook(&system, &["kill", &other]).exits(0).says("will be killed within the next 30 min");
    system.wait(other.parse().unwrap(), &["aborted"], LIMIT);
}

#[test]
fn peer_pbook_ends_tasks() {
    let system = start();
    let sleeps = ["--exec", "sleep 600", "--noBuild"];
    let (one, two, three) = (prun(&system, "one", &[], &sleeps), prun(&system, "two", &[], &sleeps), prun(&system, "three", &[], &sleeps));
    // Two jobs: the first is quick, the other takes so long that only an order ends it.
    let half = "[ %RNDM:0 = 1 ] && echo quick > out.txt || { sleep 600; echo slow > out.txt; }";
    let finish = prun(&system, "finish", &[], &["--exec", half, "--nJobs", "2", "--noBuild", "--outputs", "out.txt"]);
    running_job(&system, one);
    let done = pbook(&system, &["kill", &one.to_string()]).exits(0);
    assert!(done.out.contains(&format!("Done, jediTaskID={one} will be killed")) && done.out.contains("Sending killTask"), "{}", done.out);
    system.wait(one, &["aborted"], LIMIT);
    pbook(&system, &["kill", &format!("{two},{three}")]).exits(0).says(&two.to_string()).says(&three.to_string());
    system.wait(two, &["aborted"], LIMIT);
    system.wait(three, &["aborted"], LIMIT);

    let end = Instant::now() + LIMIT;
    while system.jobs(&system.job_ids(finish)).iter().filter(|job| job["jobStatus"] == "finished").count() < 1 {
        assert!(Instant::now() < end, "{}", system.log());
        std::thread::sleep(LOOK);
    }
    pbook(&system, &["finish", &finish.to_string()]).exits(0).says(&format!("jediTaskID={finish} will be finished soon"));
    system.wait(finish, &["finished"], LIMIT);
    assert_eq!(texts(&system, finish), ["quick\n"]);

    let all = prun(&system, "all", &[], &sleeps);
    running_job(&system, all);
    pbook(&system, &["kill", "all"]).exits(0).says(&all.to_string());
    system.wait(all, &["aborted"], LIMIT);
    // refusals: the text of the server, exit code 0 as ever
    pbook(&system, &["kill", &all.to_string()]).exits(0);
    let unknown = pbook(&system, &["kill", "99999999"]).exits(0);
    assert!(format!("{}{}", unknown.out, unknown.err).contains("ERROR"), "{unknown:?}");
    let none = pbook(&system, &["pause", &all.to_string()]).exits(2);
    assert!(none.err.contains("No such command"), "{}", none.err);
}

#[test]
fn peer_pbook_finishes_softly() {
    let system = start();
    // The soft way lets running jobs end: ten jobs on four slots, of which the later ones never start.
    let task = prun(&system, "soft", &[], &["--exec", "sleep 4; echo ok > out.txt", "--nJobs", "40", "--noBuild", "--outputs", "out.txt"]);
    running_job(&system, task);
    pbook(&system, &["finish", &task.to_string(), "--soft"]).exits(0).says("will be finished soon");
    system.wait(task, &["finished"], LIMIT);
    let jobs = system.jobs(&system.job_ids(task));
    let of = |status: &str| jobs.iter().filter(|job| job["jobStatus"] == status).count();
    assert!(of("finished") >= 1 && of("finished") < 40, "{jobs:?}");
    assert_eq!(texts(&system, task).len(), of("finished"));
}

#[test]
fn peer_pbook_retries() {
    let system = start();
    let switch = system.dir("switch").join("on");
    let command = format!("test -f {} || exit 3; echo again > out.txt", switch.display());
    let submit = |name: &str| {
        let args = ["--exec", &command, "--nJobs", "2", "--noBuild", "--outputs", "out.txt", "--maxAttempt", "1"];
        prun(&system, name, &[], &args)
    };
    let (plain, options) = (submit("plain"), submit("options"));
    system.wait(plain, &["failed"], LIMIT);
    system.wait(options, &["failed"], LIMIT);
    for job in system.jobs(&system.job_ids(plain)) {
        assert_eq!((&job["jobStatus"], job["transExitCode"].to_string().trim_matches('"')), (&Value::from("failed"), "3"), "{job}");
    }
    fs::write(&switch, "").unwrap();
    let said = format!("command=retry is registered for task ID {plain}. will be executed in a few minutes");
    pbook(&system, &["retry", &plain.to_string()]).exits(0).says(&said);
    system.wait(plain, &["done"], LIMIT);
    assert_eq!(texts(&system, plain), ["again\n", "again\n"]);
    let retried = pbook(&system, &["retry", &options.to_string(), "--memory", "1500", "--no-loopingCheck"]).exits(0);
    assert!(retried.out.contains("reactivation accepted") && retried.out.contains(&format!("jediTaskID={options}")), "{}", retried.out);
    system.wait(options, &["done"], LIMIT);
    assert_eq!(texts(&system, options), ["again\n", "again\n"]);
    let newest = system.jobs(&system.job_ids(options)).into_iter().max_by_key(|job| job["PandaID"].as_i64()).unwrap();
    assert_eq!(newest["minRamCount"].to_string().trim_matches('"'), "1500", "{newest}");
    // a task that is done has nothing to retry; the client shows what the server says
    let idle = pbook(&system, &["retry", &plain.to_string()]).exits(0);
    assert!(idle.out.contains("ERROR") || idle.err.contains("ERROR") || idle.out.contains("INFO"), "{idle:?}");
}

#[test]
fn peer_pbook_jobs_and_inputs() {
    let system = start();
    let folder = system.dir("growing");
    files(&folder, &[("user.bob.g1.txt", "one\n")]);
    system.panda(&["dataset", "add", "user.bob.growing", "--dir", folder.to_str().unwrap()]).exits(0);
    let sleeps = prun(&system, "debugged", &[], &["--exec", "sleep 600", "--noBuild"]);
    let note = "echo '{\"answer\": 42}' > userJobMetadata.json";
    let meta = prun(&system, "metadata", &[], &["--exec", note, "--noBuild"]);
    let args = ["--inDS", "user.bob.growing", "--nFilesPerJob", "1", "--noBuild", "--exec", "cat %IN > out.txt", "--outputs", "out.txt"];
    let grows = prun(&system, "grows", &[], &args);

    let job = running_job(&system, sleeps);
    pbook(&system, &["debug", &job.to_string(), "True"]).exits(0).says("INFO : ");
    assert_eq!(debug_flag(&system, job), "debug");
    pbook(&system, &["debug", &job.to_string(), "False"]).exits(0);
    pbook(&system, &["kill", &sleeps.to_string()]).exits(0);

    system.wait(meta, &["done"], LIMIT);
    pbook(&system, &["get_user_job_metadata", &meta.to_string(), "m.json"]).exits(0).says("dumped to m.json");
    let dumped: Value = serde_json::from_slice(&fs::read(system.dir("work-pbook").join("m.json")).unwrap()).unwrap();
    let job = system.job_ids(meta)[0];
    assert_eq!(dumped[job.to_string()]["user_job_metadata"]["answer"], 42, "{dumped}");

    system.wait(grows, &["done"], LIMIT);
    files(&folder, &[("user.bob.g2.txt", "two\n")]);
    system.panda(&["dataset", "add", "user.bob.growing", "--dir", folder.to_str().unwrap()]).exits(0);
    let said = format!("command is registered for task {grows} and will be executed in a few minutes");
    pbook(&system, &["reload_input", &grows.to_string()]).exits(0).says(&said);
    let end = Instant::now() + LIMIT;
    while texts(&system, grows).len() < 2 {
        assert!(Instant::now() < end, "{} {}", system.status(grows), system.log());
        std::thread::sleep(Duration::from_millis(500));
    }
    let mut found = texts(&system, grows);
    found.sort();
    assert_eq!(found, ["one\n", "two\n"]);
    system.wait(grows, &["done"], LIMIT);

    let recovered = pbook(&system, &["recover_lost_files", &grows.to_string(), "--test_mode"]).exits(0);
    assert!(recovered.out.contains("Sending recovery request") && !recovered.out.contains("ERROR"), "{recovered:?}");
}

/// What a job's description says of debug mode.
fn debug_flag(system: &System, job: i64) -> String {
    let description = system.jobs(&[job]).remove(0);
    let special = description["specialHandling"].as_str().unwrap_or_default().to_owned();
    if special.split(',').any(|word| word == "debug") { "debug".to_owned() } else { format!("{description}") }
}

#[test]
fn peer_pbook_keeps_secrets() {
    let system = start();
    let folder = system.dir("work-pbook");
    files(&folder, &[("cert.pem", "not a certificate\n")]);
    pbook(&system, &["list_secrets"]).exits(0).says("No secrets");
    pbook(&system, &["set_secret", "mykey", "myvalue"]).exits(0).says("INFO : ");
    pbook(&system, &["set_secret", "cert", "cert.pem", "--is_file"]).exits(0);
    pbook(&system, &["list_secrets"]).exits(0).says("mykey").says("myvalue").says("cert");
    used_by_a_job(&system);
    pbook(&system, &["delete_secret", "mykey"]).exits(0);
    let left = pbook(&system, &["list_secrets"]).exits(0).says("cert");
    assert!(!left.out.contains("mykey"), "{}", left.out);
    pbook(&system, &["delete_all_secrets"]).exits(0);
    pbook(&system, &["list_secrets"]).exits(0).says("No secrets");
}

/// Secrets reach the payload: a variable and a file.
fn used_by_a_job(system: &System) {
    let args = ["--exec", "echo $mykey > out.txt; cat cert >> out.txt", "--noBuild", "--outputs", "out.txt", "--useSecrets"];
    let task = prun(system, "secrets", &[], &args);
    system.wait(task, &["done"], LIMIT);
    assert_eq!(texts(system, task), ["myvalue\nnot a certificate\n"]);
}
