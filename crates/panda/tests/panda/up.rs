//! A whole system: tasks to their outputs, and the end.

use crate::program::{Program, Up};
use serde_json::Value;

#[test]
fn a_task_runs_to_its_outputs() {
    let program = Program::new();
    let up = Up::start(&program, &[]);
    program.write("my.sh", "#!/bin/sh\necho hello $1\necho result $1 > out.txt\n");
    let done = program.run(&["run", "--out", "out.txt", "--jobs", "2", "--to", "results", "--", "./my.sh %RNDM:10"]);
    assert_eq!(done.code, 0, "{}{}", done.out, done.err);
    assert!(done.out.contains("hello 11") && done.out.contains("hello 12"), "{}", done.out);
    let mut results: Vec<String> = std::fs::read_dir(program.home.path().join("here/results"))
        .unwrap()
        .map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap())
        .collect();
    results.sort();
    assert_eq!(results, ["result 11\n", "result 12\n"]);
    let tasks: Value = serde_json::from_str(&program.ok(&["--json", "tasks"])).unwrap();
    assert_eq!(tasks[0]["status"], "done");
    let id = tasks[0]["jediTaskID"].to_string();
    assert!(program.ok(&["jobs", &id]).contains("finished"));
    assert!(program.ok(&["status", &id]).contains("2 of 2 done"));
    assert!(program.ok(&["why", &id]).contains("done"));
    assert!(program.ok(&["logs", &id, "--tail", "1"]).contains("hello"));
    assert_eq!(program.ok(&["outputs", &id]).lines().filter(|line| line.contains(".out.txt")).count(), 2);
    up.stop();
    assert!(!program.data().join("server.url").exists());
}

#[test]
fn exit_codes_tell_the_truth() {
    let program = Program::new();
    let _up = Up::start(&program, &[]);
    let done = program.run(&["run", "--attempts", "1", "--", "exit 3"]);
    assert_eq!(done.code, 4, "{}{}", done.out, done.err);
    let done = program.run(&["run", "--timeout", "1s", "--", "sleep 60"]);
    assert_eq!(done.code, 5, "{}{}", done.out, done.err);
    let id: String = done.err.split("task/").nth(1).unwrap().chars().take_while(char::is_ascii_digit).collect();
    assert_eq!(program.run(&["status", &id]).code, 5);
    program.ok(&["kill", &id]);
    let ended = program.run(&["status", &id, "--wait", "--timeout", "30s"]);
    assert_eq!(ended.code, 4, "{}{}", ended.out, ended.err);
}

#[test]
fn local_files_become_a_data_set() {
    let program = Program::new();
    let _up = Up::start(&program, &[]);
    for name in ["a", "b", "c"] {
        program.write(&format!("data/{name}.txt"), &format!("{name}\n"));
    }
    let line = ["run", "--in", "data", "--files-per-job", "2", "--name", "join", "--out", "all.txt", "--to", "results", "--"];
    let done = program.run(&[&line[..], &["cat $(echo %IN | tr , ' ') > all.txt"]].concat());
    assert_eq!(done.code, 0, "{}{}", done.out, done.err);
    let mut results: Vec<String> = std::fs::read_dir(program.home.path().join("here/results"))
        .unwrap()
        .map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap())
        .collect();
    results.sort();
    assert_eq!(results, ["a\nb\n", "c\n"]);
    assert!(program.ok(&["dataset", "list"]).contains("user.jane.join.in"));
    assert!(program.ok(&["dataset", "show", "user.jane.join.in"]).contains("b.txt"));
}

#[test]
fn a_port_or_folder_that_is_taken_is_told() {
    let program = Program::new();
    let up = Up::start(&program, &["--no-worker"]);
    let other = Program::new();
    let address = up.url.strip_prefix("http://").unwrap();
    let done = other.run(&["up", "--listen", address]);
    assert_eq!(done.code, 1);
    assert!(done.err.contains("cannot listen on") && done.err.contains("hint:"), "{}", done.err);
    let done = program.run(&["up", "--listen", "127.0.0.1:0"]);
    assert_eq!(done.code, 1);
    assert!(done.err.contains("in use by process"), "{}", done.err);
    let done = other.run(&["up", "--listen", "0.0.0.0:0"]);
    assert_eq!(done.code, 2);
    assert!(done.err.contains("loopback only"), "{}", done.err);
}

#[test]
fn doctor_queue_and_selftest() {
    let program = Program::new();
    let _up = Up::start(&program, &[]);
    let doctor = program.run(&["doctor"]);
    assert_eq!(doctor.code, 0, "{}{}", doctor.out, doctor.err);
    assert!(program.ok(&["queue", "list"]).contains("local"));
    assert!(program.ok(&["queue", "test", "local"]).contains("works"));
    let report = program.home.path().join("junit.xml");
    let selftest = program.run(&["selftest", "--junit", report.to_str().unwrap()]);
    assert_eq!(selftest.code, 0, "{}{}", selftest.out, selftest.err);
    assert!(std::fs::read_to_string(report).unwrap().contains("failures=\"0\""));
    assert!(program.ok(&["whoami"]).contains("jane"));
}

#[test]
fn storage_is_changed_from_the_command_line() {
    let program = Program::new();
    let _up = Up::start(&program, &["--no-worker"]);
    let root = program.home.path().join("here/far");
    assert_eq!(program.ok(&["storage", "add", "FAR", "far", "is_tape=true"]), "storage `FAR` added\n");
    assert!(root.is_dir(), "a directory is meant from where one stands");
    let list: Value = serde_json::from_str(&program.ok(&["--json", "storage", "list"])).unwrap();
    let home = list["endpoints"].as_array().unwrap().iter().find(|e| e["name"] != "FAR").unwrap()["name"].as_str().unwrap().to_owned();
    program.ok(&["storage", "set", "FAR", "state=offline", "space_free_gb=7", "is_tape="]);
    program.ok(&["storage", "link", "FAR", &home, "3", "--mbps", "100"]);
    let shown: Value = serde_json::from_str(&program.ok(&["--json", "storage", "show", "FAR"])).unwrap();
    assert_eq!((&shown["state"], shown["space_free_gb"].as_i64(), shown["is_tape"].as_bool()), (&"offline".into(), Some(7), Some(false)));
    let text = program.ok(&["storage", "list"]);
    assert!(text.lines().any(|l| l.starts_with("FAR") && l.contains("offline") && l.contains("read,write")), "{text}");
    assert!(text.lines().any(|l| l.split_whitespace().collect::<Vec<_>>() == ["FAR", home.as_str(), "3", "100", "0"]), "{text}");
    assert!(program.ok(&["storage", "show", &home]).contains("local"), "the queue that uses it");
    for (line, said) in [
        (&["storage", "remove", "FAR"][..], "panda storage unlink FAR"),
        (&["storage", "remove", &home], "in use: queue local"),
        (&["storage", "add", "FAR", "elsewhere"], "panda storage set FAR"),
        (&["storage", "set", "FAR", "state=gone"], "neither active nor offline"),
        (&["storage", "show", "NONE"], "panda storage list"),
    ] {
        let done = program.run(line);
        assert_eq!(done.code, 1, "{line:?}: {}{}", done.out, done.err);
        assert!(done.err.contains(said), "{line:?}: {}", done.err);
    }
    assert_eq!(program.run(&["storage", "set", "FAR", "state"]).code, 2);
    program.ok(&["storage", "unlink", "FAR", &home]);
    assert_eq!(program.ok(&["storage", "remove", "FAR"]), "storage `FAR` removed; its directory stays\n");
    assert!(root.is_dir() && !program.ok(&["storage", "list"]).contains("FAR"));
}

#[test]
fn the_demo_ends_with_verified_outputs() {
    let program = Program::new();
    let mut command = program.command(&["--json", "demo", "--listen", "127.0.0.1:0"]);
    command.env_remove("PANDA_DATA");
    let done = Program::finish(command);
    assert_eq!(done.code, 0, "{}{}", done.out, done.err);
    let shown: Value = serde_json::from_str(&done.out).unwrap();
    assert_eq!((shown["verified"].as_bool(), shown["days"].as_u64()), (Some(true), Some(1461)));
    assert!(shown["peak_memory_mb"].as_u64().unwrap() < 100, "{shown}");
}

/// A DAG as its user has it: nodes pass their work on, a failed one is told, and a retry takes up where it stood.
#[test]
fn a_dag_runs_in_its_order() {
    let program = Program::new();
    let _up = Up::start(&program, &[]);
    let board = program.home.path().join("board");
    std::fs::create_dir(&board).unwrap();
    let nodes = [
        r#"{"name": "sum", "args": "a b", "after": ["a", "b"]}"#,
        r#"{"name": "a", "args": "'one  two' 50%"}"#,
        r#"{"name": "b"}"#,
        r#"{"name": "tidy", "after": [{"node": "sum", "on": "end"}]}"#,
        r#"{"name": "alarm", "after": [{"node": "sum", "on": "failure"}]}"#,
    ];
    program.write("nodes.jsonl", &nodes.join("\n"));
    let step = format!(
        "set -- %NODE %ARGS; cd {}; case $1 in sum) cat a b > sum && test -e may ;; *) printf '%s|' \"$@\" > $1 ;; esac",
        board.display()
    );
    let ended = program.run(&["run", "--dag", "nodes.jsonl", "--sandbox", "none", "--attempts", "1", "--name", "board", "--", &step]);
    assert_eq!(ended.code, 3, "{}{}", ended.out, ended.err);
    assert!(ended.err.contains("sent a DAG of 5 nodes"), "{}", ended.err);
    let read = |name: &str| std::fs::read_to_string(board.join(name)).unwrap_or_else(|_| "nothing".into());
    assert_eq!((read("a").as_str(), read("sum").as_str()), ("a|one  two|50%|", "a|one  two|50%|b|"));
    assert_eq!((read("tidy").as_str(), read("alarm").as_str()), ("tidy|", "alarm|"));
    // What it waited for is there now.
    std::fs::write(board.join("may"), "").unwrap();
    let tasks: Value = serde_json::from_str(&program.ok(&["--json", "tasks"])).unwrap();
    let id = tasks[0]["jediTaskID"].to_string();
    program.ok(&["retry", &id]);
    assert_eq!(program.run(&["status", &id, "--wait", "--timeout", "60s"]).code, 0);
    let refused = program.run(&["run", "--dag", "nodes.jsonl", "--", "true"]);
    assert_eq!((refused.code, refused.err.contains("all nodes would do the same")), (2, true), "{}", refused.err);
}
