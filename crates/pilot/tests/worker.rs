//! The worker against a small server, with real payload processes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod fake;

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use fake::{Site, job};
use serde_json::{Value, json};

/// Names in the log archive, and the text of one member.
#[allow(clippy::disallowed_methods)] // our own small file
fn log_member(archive: &[u8], member: &str) -> (Vec<String>, String) {
    let mut tar = tar::Archive::new(flate2::read::GzDecoder::new(archive));
    let (mut names, mut text) = (Vec::new(), String::new());
    for entry in tar.entries().unwrap() {
        let mut entry = entry.unwrap();
        let name = entry.path().unwrap().display().to_string();
        if name.ends_with(member) {
            entry.read_to_string(&mut text).unwrap();
        }
        names.push(name);
    }
    (names, text)
}

fn report_files(report: &Value) -> Value {
    serde_json::from_str(report["job_output_report"].as_str().unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_from_inputs_to_outputs() {
    let site = Site::new().await;
    let input_dir = site.root.path().join("se/user/bob");
    // The place of user.bob:in.txt by the layout's rule.
    let digest = "user.bob:in.txt";
    let path = hashed(&input_dir, digest, "in.txt");
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, "Wikipedia").unwrap();
    let (stop, worker) = site.start(site.options());
    site.fake.submit(job(
        5001,
        r#"-j "" -r . -i "['in.txt']" -o "{'o.txt': 'U.o.txt', 'e': 'U.empty', 'n': 'U.none', 'regex|x.*': 'regex|x.*'}" --allowNoOutput=U.none -p "cat%20%25IN%20%3E%20o.txt%3B%20touch%20e%20x1%3B%20echo%20%24PANDAID%20%24ATHENA_CORE_NUMBER%20%24PANDA_AUTH_ID_TOKEN%3B%20echo%20err%20%3E%262%3B%20echo%20%27%7B%22a%22%3A1%7D%27%20%3E%20userJobMetadata.json""#,
        json!({
            "inFiles": "in.txt", "scopeIn": "user.bob", "fsize": "9", "checksum": "ad:11e60398",
            "outFiles": "U.o.txt,U.empty,U.none,regex|x.*,L5001.log.tgz", "scopeOut": "user.alice,user.alice,user.alice,user.alice",
            "allowNoOutput": "U.none", "ddmEndPointOut": "RSE,RSE,RSE,RSE,RSE",
        }),
    ));
    let report = site.fake.final_report(5001).await;
    assert_eq!(report["job_status"], "finished", "{report}");
    assert_eq!(site.stored(&report, "U.o.txt"), b"Wikipedia");
    assert_eq!(site.stored(&report, "U.empty"), b"");
    assert_eq!(site.stored(&report, "x1"), b"");
    let files = report_files(&report);
    assert!(files.get("U.none").is_none());
    assert_eq!(files["L5001.log.tgz"]["guid"], "LOG-GUID");
    assert_eq!(files["U.o.txt"]["guid"].as_str().unwrap().len(), 36);
    assert!(path.symlink_metadata().unwrap().is_file(), "the input stays");
    let (names, stdout) = log_member(&site.stored(&report, "L5001.log.tgz"), "payload.stdout");
    assert_eq!(stdout, "5001 2\nn was not produced, which is allowed\n");
    assert_eq!(names, ["", "/jobReport.json", "/payload.stderr", "/payload.stdout"].map(|n| format!("tarball_PandaJob_5001_Q{n}")));
    assert_eq!(site.fake.log(5001, "stdout"), stdout);
    assert_eq!(site.fake.log(5001, "stderr"), "err\n");
    assert_eq!(report["meta_data"], r#"{"user_job_metadata":{"a":1},"reportVersion":"1.0.0"}"#);
    for (key, value) in [
        ("attempt_nr", json!(1)),
        ("site_name", json!("Q")),
        ("trans_exit_code", json!(0)),
        ("pilot_error_code", json!(0)),
        ("core_count", json!(2)),
    ] {
        assert_eq!(report[key], value, "{key}");
    }
    assert!(report["pilot_id"].as_str().unwrap().starts_with("native|"));
    assert_eq!(site.fake.states(5001)[..2], ["starting", "running"]);
    stop.send_replace(true);
    worker.await.unwrap();
    assert!(!site.work_dir().join("scratch/0/PanDA_Pilot-5001").exists());
    assert_eq!(fs::read_dir(site.work_dir().join("slots")).unwrap().count(), 0);
}

/// `<dir>/<md5 1-2>/<3-4>/<lfn>`, by another implementation of md5.
fn hashed(dir: &Path, name: &str, lfn: &str) -> std::path::PathBuf {
    let output = Command::new("/bin/sh").args(["-c", "printf %s \"$1\" | md5sum", "x", name]).output().unwrap();
    let hex = String::from_utf8(output.stdout).unwrap();
    dir.join(&hex[0..2]).join(&hex[2..4]).join(lfn)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_line_is_seen_at_once() {
    let site = Site::new().await;
    let (stop, worker) = site.start(site.options());
    tokio::time::sleep(Duration::from_millis(200)).await;
    site.fake.submit(job(1, r#"-p "echo%20first%3B%20sleep%201%3B%20echo%20second%3B%20exit%203""#, json!({})));
    let report = site.fake.final_report(1).await;
    assert!(site.fake.first_log_after() < Duration::from_millis(700), "{:?}", site.fake.first_log_after());
    assert_eq!(site.fake.log(1, "stdout"), "first\nsecond\n");
    assert_eq!(report["job_status"], "failed");
    assert_eq!(report["pilot_error_code"], 1305);
    assert_eq!(report["trans_exit_code"], 3);
    assert_eq!(report["exe_error_code"], 5318);
    assert_eq!(report["pilot_error_diag"], "Failed to execute payload:payload exited with status 3");
    // The log of a failed job is stored, nothing else.
    assert_eq!(site.storage_names(), ["L1.log.tgz"]);
    stop.send_replace(true);
    worker.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_slots_cost_one_waiting_call() {
    let site = Site::new().await;
    let mut options = site.options();
    options.slots = 4;
    let (stop, worker) = site.start(options);
    tokio::time::sleep(Duration::from_millis(700)).await;
    {
        let inner = site.fake.inner.lock().unwrap();
        assert_eq!((inner.acquires, inner.waits), (1, 1));
    }
    // Four jobs run side by side.
    let begin = Instant::now();
    for id in 1..=4 {
        site.fake.submit(job(id, r#"-p "sleep%201""#, json!({})));
    }
    for id in 1..=4 {
        assert_eq!(site.fake.final_report(id).await["job_status"], "finished");
    }
    assert!(begin.elapsed() < Duration::from_millis(3500), "{:?}", begin.elapsed());
    let begin = Instant::now();
    stop.send_replace(true);
    worker.await.unwrap();
    assert!(begin.elapsed() < Duration::from_secs(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_have_their_codes() {
    let site = Site::new().await;
    let (stop, worker) = site.start(site.options());
    let path = hashed(&site.root.path().join("se/s"), "s:i", "i");
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, "abc").unwrap();
    let input = |size: &str, checksum: &str| json!({"inFiles": "i", "scopeIn": "s", "fsize": size, "checksum": checksum});
    let trf = |name: &str| json!({"transformation": format!("{}/trf/user/{name}", site.url)});
    let cases = [
        (r#"-p "true""#, json!({"inFiles": "gone", "scopeIn": "s"}), 1099, "gone"),
        (r#"-p "true""#, input("4", ""), 1099, "3 bytes instead of 4"),
        (r#"-p "true""#, input("3", "ad:00000001"), 1171, "checksum"),
        (r#"-p "true""#, input("3", "md5:00"), 1145, "checksum"),
        (r#"-p "true""#, json!({"outFiles": "U.o,L.log", "scopeOut": "s", "logFile": "L.log"}), 1165, "U.o"),
        (r#"-p "open"#, json!({}), 1302, "not closed"),
        ("", trf("empty.sh"), 1149, "empty"),
        ("", json!({"transformation": "echo"}), 1149, "address"),
        (r#"--nonsense"#, json!({}), 1305, "--nonsense"),
        (r#"-p "sleep%2060""#, json!({"maxWalltime": 1}), 1213, "1 s"),
    ];
    for (at, (pars, extra, code, diag)) in cases.into_iter().enumerate() {
        let id = 100 + i64::try_from(at).unwrap();
        site.fake.submit(job(id, pars, extra));
        let report = site.fake.final_report(id).await;
        assert_eq!(report["job_status"], "failed");
        assert_eq!(report["pilot_error_code"], code, "{report}");
        assert!(report["pilot_error_diag"].as_str().unwrap().contains(diag), "{report}");
    }
    site.fake.submit(job(1, r#"a "b c" $HOME"#, trf("any.sh")));
    assert_eq!(site.fake.final_report(1).await["job_status"], "finished");
    assert_eq!(site.fake.log(1, "stdout"), "script a b c $HOME\n");
    stop.send_replace(true);
    worker.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_ends_the_whole_payload() {
    let site = Site::new().await;
    let (stop, worker) = site.start(site.options());
    // One process ignores TERM, one leaves the group.
    let pars = r#"-p "trap%20%27%27%20TERM%3B%20setsid%20sleep%2077%20%26%20sleep%2078""#;
    site.fake.submit(job(7, pars, json!({})));
    site.fake.reached(7, "running").await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(sleepers("77").len() + sleepers("78").len(), 2);
    site.fake.command(7, "tobekilled");
    let report = site.fake.final_report(7).await;
    assert_eq!((&report["job_status"], &report["pilot_error_code"]), (&json!("failed"), &json!(1144)));
    assert!(sleepers("77").is_empty() && sleepers("78").is_empty());
    stop.send_replace(true);
    worker.await.unwrap();
}

/// Processes `sleep <arg>`.
fn sleepers(arg: &str) -> Vec<u32> {
    fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid: &u32| fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line == format!("sleep\0{arg}\0").as_bytes()))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_final_report_is_delivered_in_the_end() {
    let site = Site::new().await;
    site.fake.inner.lock().unwrap().broken_finals = 2;
    let (stop, worker) = site.start(site.options());
    site.fake.submit(job(8, r#"-p "true""#, json!({})));
    assert_eq!(site.fake.final_report(8).await["job_status"], "finished");
    stop.send_replace(true);
    worker.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_worker_gives_its_job_back() {
    let site = Site::new().await;
    let (stop, worker) = site.start(site.options());
    site.fake.submit(job(9, r#"-p "sleep%2079""#, json!({})));
    site.fake.reached(9, "running").await;
    stop.send_replace(true);
    worker.await.unwrap();
    let report = site.fake.final_report(9).await;
    assert_eq!(report["job_sub_status"], "lost_worker");
    assert_eq!(report["pilot_error_code"], 1201);
    assert!(sleepers("79").is_empty());
}

/// The worker as a program, to be killed.
fn start_program(site: &Site) -> std::process::Child {
    let token = site.root.path().join("token");
    fs::write(&token, "token\n").unwrap();
    Command::new(env!("CARGO_BIN_EXE_panda-pilot"))
        .args(["pilot", "--server", &site.url, "--queue", "Q", "--slots", "1", "--token-file"])
        .arg(&token)
        .arg("--work-dir")
        .arg(site.work_dir())
        .spawn()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_worker_cleans_up_at_its_next_start() {
    let site = Site::new().await;
    let mut program = start_program(&site);
    let extra = json!({"outFiles": "U.o,L10.log.tgz", "scopeOut": "s"});
    site.fake.submit(job(10, r#"-p "sleep%2080""#, extra));
    site.fake.reached(10, "running").await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    program.kill().unwrap();
    program.wait().unwrap();
    assert_eq!(sleepers("80").len(), 1, "the payload outlives its worker");
    // As if the worker had died while it stored the output.
    let stray = hashed(&site.root.path().join("se/s"), "s:U.o", "U.o");
    fs::create_dir_all(stray.parent().unwrap()).unwrap();
    fs::write(&stray, "half").unwrap();
    fs::write(stray.with_file_name("U.o.part"), "half").unwrap();
    let (stop, worker) = site.start(site.options());
    let report = site.fake.final_report(10).await;
    assert_eq!(report["job_sub_status"], "lost_worker");
    assert_eq!(report["pilot_error_diag"], "worker was killed and restarted");
    assert!(sleepers("80").is_empty());
    assert!(site.storage_names().is_empty(), "{:?}", site.storage_names());
    assert!(!site.work_dir().join("scratch").exists());
    // And it works on.
    site.fake.submit(job(11, r#"-p "true""#, json!({})));
    assert_eq!(site.fake.final_report(11).await["job_status"], "finished");
    stop.send_replace(true);
    worker.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_waiting_report_is_delivered_at_the_next_start() {
    let site = Site::new().await;
    let mut program = start_program(&site);
    site.fake.inner.lock().unwrap().broken_finals = 1_000;
    site.fake.submit(job(12, r#"-p "true""#, json!({})));
    let spool = site.work_dir().join("slots/0.report.json");
    while !spool.exists() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    program.kill().unwrap();
    program.wait().unwrap();
    site.fake.inner.lock().unwrap().broken_finals = 0;
    let (stop, worker) = site.start(site.options());
    let report = site.fake.final_report(12).await;
    assert_eq!(report["job_status"], "finished");
    assert_eq!(site.storage_names(), ["L12.log.tgz"]);
    stop.send_replace(true);
    worker.await.unwrap();
    assert!(!spool.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_that_came_too_late_leaves_no_files() {
    let site = Site::new().await;
    let (stop, worker) = site.start(site.options());
    {
        let mut inner = site.fake.inner.lock().unwrap();
        inner.statuses.insert(13, ("failed".to_owned(), 1));
        inner.statuses.insert(14, ("finished".to_owned(), 1));
    }
    for id in [13, 14] {
        let pars = r#"-o "{'o': 'U.o'}" -p "touch%20o""#.replace("U.o", &format!("U.o{id}"));
        site.fake.submit(job(id, &pars, json!({"outFiles": format!("U.o{id},L{id}.log.tgz"), "scopeOut": "s"})));
        site.fake.final_command(id, "tobekilled");
        assert_eq!(site.fake.final_report(id).await["job_status"], "finished");
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(site.storage_names(), ["L14.log.tgz", "U.o14"]);
    stop.send_replace(true);
    worker.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn steps_around_a_container() {
    let site = Site::new().await;
    let (stop, worker) = site.start(site.options());
    let step = |option: &str| {
        json!({"command": "http://unreachable.invalid/trf/user/runGen-00-00-02",
               "args": format!(r#"{option} -o "{{'o': 'U.o'}}" -p "echo%20inside%20%3E%20o""#)})
    };
    site.fake.submit(job(
        15,
        "",
        json!({"preprocess": step("--preprocess"), "postprocess": step("--postprocess"), "outFiles": "U.o,L15.log.tgz", "scopeOut": "s",
               "containerOptions": {"containerExec": "/bin/sh __run_main_exec.sh", "containerImage": "/no/such/image"}}),
    ));
    let report = site.fake.final_report(15).await;
    // Whatever engine this machine has, the command never runs outside.
    assert_eq!(report["job_status"], "failed");
    assert!(report_files(&report).get("U.o").is_none());
    stop.send_replace(true);
    worker.await.unwrap();
}

/// What it holds, MB, until its input ends: more than it asked for and less than twice as much.
const HUNGRY: &str = r#"-p "%28head%20-c%2060000000%20%2Fdev%2Fzero%3B%20sleep%203%29%20%7C%20tail%20-c%2060000000%20%3E%20%2Fdev%2Fnull""#;

#[tokio::test(flavor = "multi_thread")]
async fn the_queue_says_how_much_memory_a_payload_may_use() {
    for (params, ends) in [
        (json!({}), "finished"),
        (json!({"pilot_rss_grace": 0}), "it used"),
        (json!({"pilot_rss_grace": "25"}), "the job asked for 40 MB and may use 1.25 times as much"),
    ] {
        let site = Site::new().await;
        site.fake.inner.lock().unwrap().params = params.clone();
        let (stop, worker) = site.start(site.options());
        site.fake.submit(job(7, HUNGRY, json!({"minRamCount": 40})));
        let report = site.fake.final_report(7).await;
        if ends == "finished" {
            assert_eq!(report["job_status"], ends, "{params}: {report}");
        } else {
            assert_eq!((&report["job_status"], &report["pilot_error_code"]), (&json!("failed"), &json!(1235)), "{params}: {report}");
            assert!(report["pilot_error_diag"].as_str().unwrap().contains(ends), "{params}: {report}");
        }
        stop.send_replace(true);
        worker.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_has_one_worker() {
    let site = Site::new().await;
    let (stop, worker) = site.start(site.options());
    tokio::time::sleep(Duration::from_millis(100)).await;
    let (_other, stopped) = tokio::sync::watch::channel(false);
    let error = panda_pilot::worker::run(site.options(), stopped).await.unwrap_err();
    assert!(error.to_string().contains("another worker"), "{error}");
    stop.send_replace(true);
    worker.await.unwrap();
}
