//! Verbs that need no server, and how mistakes are told.

use crate::program::Program;
use serde_json::{Value, json};

#[test]
fn help() {
    let program = Program::new();
    insta::assert_snapshot!("help", program.stable(&program.ok(&["--help"])));
    insta::assert_snapshot!("help_run", program.stable(&program.ok(&["run", "--help"])));
    insta::assert_snapshot!("help_storage", program.stable(&program.ok(&["storage", "--help"])));
    insta::assert_snapshot!("help_sim", program.stable(&program.ok(&["sim", "--help"])));
}

#[test]
fn every_verb_has_help_and_the_pages_are_made() {
    let program = Program::new();
    let folder = program.home.path().join("man");
    program.ok(&["man", "--to", folder.to_str().unwrap()]);
    let pages: Vec<String> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    for verb in ["panda.1", "panda-run.1", "panda-queue-add.1", "panda-db-migrate.1"] {
        assert!(pages.contains(&verb.to_owned()), "{verb} is missing: {pages:?}");
    }
    for shell in ["bash", "zsh", "fish"] {
        assert!(program.ok(&["completions", shell]).contains("selftest"));
    }
}

#[test]
fn mistakes_have_code_two() {
    let program = Program::new();
    let lines: [&[&str]; 13] = [
        &[],
        &["nothing"],
        &["run"],
        &["submit", "--files-per-job", "0", "--", "x"],
        &["status", "1"],
        &["kill", "job/10000001"],
        &["retry", "1000000001"],
        &["serve", "--role", "cook"],
        &["dataset", "add", "x"],
        &["token", "--role", "king"],
        &["token", "--user", "a/b"],
        &["token", "--lifetime", "soon"],
        &["sim", "small", "--threads", "0"],
    ];
    for line in lines {
        let done = program.run(line);
        assert_eq!((done.code, done.out.as_str()), (2, ""), "{line:?}: {}", done.err);
        assert!(!done.err.is_empty(), "{line:?}");
    }
}

#[test]
fn nobody_there() {
    let program = Program::new();
    program.ok(&["token"]);
    let done = program.run(&["--server", "http://127.0.0.1:9", "tasks"]);
    assert_eq!(done.code, 1);
    insta::assert_snapshot!(done.err, @r"
    error: cannot reach the server at http://127.0.0.1:9/api/v1/task/get_tasks_detailed_info_since: Connection refused (os error 111); is it running, and is the address right?
    hint: start a server with `panda up`, or name another with `--server URL` or `PANDA_URL_SSL`
    ");
    let done = program.run(&["--json", "--server", "http://127.0.0.1:9", "tasks"]);
    let error: Value = serde_json::from_str(&done.err).unwrap();
    assert_eq!((&error["error"]["exit_code"], done.out.as_str()), (&json!(1), ""));
    assert_eq!(program.run(&["--server", "nonsense", "tasks"]).code, 2);
}

/// Seeds are told in their order, whichever thread is quicker, and one that does not hold makes the exit code.
#[test]
fn simulated_seeds_are_told_in_order() {
    let program = Program::new();
    let text = "hours = 1.0\ntick_s = 60\n[[queue]]\nslots = 4\n[[work]]\njobs = 5\nminutes = 10.0\n";
    let holds = program.write("holds.toml", text);
    let line = ["sim", holds.to_str().unwrap(), "--seed", "7", "--seeds", "4"];
    let alone = program.ok(&line);
    assert_eq!(program.ok(&[&line[..], &["--threads", "2"]].concat()), alone);
    let told: Vec<&str> = alone.lines().collect();
    assert_eq!((told.len(), told.last().copied()), (5, Some("4 seeds: invariants hold for 4, not for 0")));
    assert!(
        told.iter().zip(7..11).all(|(line, seed)| line.starts_with(&format!("seed {seed}: ")) && line.contains(" jobs, fingerprint ")),
        "{alone}"
    );
    // Nothing can be at its end so soon.
    let broken = program.write("broken.toml", &text.replace("hours = 1.0", "hours = 0.02\ndrain_hours = 0.01"));
    let done = program.run(&["sim", broken.to_str().unwrap(), "--seeds", "3", "--threads", "2"]);
    assert_eq!((done.code, done.out.lines().last()), (1, Some("3 seeds: invariants hold for 0, not for 3")), "{}", done.out);
    let done = program.run(&["--json", "sim", broken.to_str().unwrap(), "--seeds", "2", "--threads", "9"]);
    let documents: Vec<Value> = serde_json::Deserializer::from_str(&done.out).into_iter().map(Result::unwrap).collect();
    assert_eq!(documents.last(), Some(&json!({"seeds": 2, "hold": 0, "broken": 2})));
    assert_eq!((documents.len(), &documents[0]["seed"], &documents[1]["seed"]), (3, &json!(1), &json!(2)));
}

#[test]
fn tokens_are_raw() {
    let program = Program::new();
    let token = program.ok(&["token", "--user", "alice", "--vo", "amber", "--role", "production"]);
    assert_eq!(token.split('.').count(), 3);
    assert!(!token.ends_with('\n'));
    use base64::Engine as _;
    let payload = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    let claims: Value = serde_json::from_slice(&payload).unwrap();
    assert_eq!((&claims["name"], &claims["preferred_username"]), (&json!("alice"), &json!("alice")));
    assert_eq!(claims["groups"], json!(["amber", "amber/production"]));
    let path = program.write("panda.toml", "vos = [\"amber\"]\n");
    let done = program.run(&["--config", path.to_str().unwrap(), "token", "--vo", "bronze"]);
    assert_eq!(done.code, 2);
    insta::assert_snapshot!(done.err, @r"
    error: the VO `bronze` is not configured here
    hint: configured here: amber
    ");
}

#[test]
fn env_is_what_the_official_client_reads() {
    let program = Program::new();
    let text = program.ok(&["env", "--vo", "amber"]);
    let (rest, token) = text.trim_end().rsplit_once('\n').unwrap();
    insta::assert_snapshot!(rest, @r"
    export PANDA_URL=http://127.0.0.1:25080/server/panda
    export PANDA_URL_SSL=http://127.0.0.1:25080/server/panda
    export PANDACACHE_URL=http://127.0.0.1:25080/server/panda
    export PANDA_BEHIND_REAL_LB=1
    export PANDA_AUTH=oidc
    export PANDA_AUTH_VO=amber
    ");
    assert!(token.starts_with("export PANDA_AUTH_ID_TOKEN=ey"), "{token}");
}

#[test]
fn a_dry_run_sends_nothing() {
    let program = Program::new();
    program.ok(&["token"]);
    program.write("run.sh", "#!/bin/sh\n");
    program.write(".secret", "x");
    program.write("data/a.csv", "1");
    program.write("data/b.csv", "2");
    let line = [
        "submit",
        "--dry-run",
        "--name",
        "fit",
        "--in",
        "data/a.csv",
        "data/b.csv",
        "--files-per-job",
        "1",
        "--out",
        "o.txt",
        "--env",
        "A=b",
        "--",
    ];
    let shown: Value = serde_json::from_str(&program.ok(&[&line[..], &["./run.sh", "%IN", "a b"]].concat())).unwrap();
    assert_eq!(shown["sandbox"]["files"], json!(["run.sh"]));
    let work = std::fs::canonicalize(program.home.path().join("here")).unwrap();
    assert_eq!(shown["dataset"], json!({ "name": "user.jane.fit.in", "files": [work.join("data/a.csv"), work.join("data/b.csv")] }));
    let params = &shown["task_parameters"];
    assert_eq!((&params["taskName"], &params["vo"]), (&json!("user.jane.fit/"), &json!("local")));
    let items = params["jobParameters"].to_string();
    assert!(items.contains("export%20A%3Db%3B%20./run.sh%20%25IN%20%27a%20b%27"), "{items}");
    // prun's spellings mean the same
    let line = [
        "submit",
        "--dry-run",
        "--outDS",
        "user.jane.fit",
        "--exec",
        "./run.sh %IN",
        "--inDS",
        "user.bob.x/",
        "--nFilesPerJob",
        "2",
        "--nCore",
        "4",
    ];
    let rest = [
        "--site",
        "Q",
        "--excludedSite",
        "R,S",
        "--outputs",
        "a.txt,B:b*.txt",
        "--containerImage",
        "docker://busybox",
        "--maxWalltime",
        "3",
        "--sandbox",
        "none",
    ];
    let shown: Value = serde_json::from_str(&program.ok(&[&line[..], &rest[..]].concat())).unwrap();
    let params = &shown["task_parameters"];
    assert_eq!((&params["dsForIN"], &params["nFilesPerJob"], &params["coreCount"]), (&json!("user.bob.x/"), &json!(2), &json!(4)));
    assert_eq!((&params["site"], &params["excludedSite"], &params["maxWalltime"]), (&json!("Q"), &json!(["R", "S"]), &json!(3)));
    assert_eq!((&params["container_name"], &shown["sandbox"]), (&json!("docker://busybox"), &Value::Null));
}

#[test]
fn the_database_is_migrated_by_hand() {
    let program = Program::new();
    assert!(program.ok(&["db", "migrate", "--dry-run"]).contains("CREATE TABLE"));
    let first = program.run(&["db", "status"]);
    assert_ne!(first.code, 0, "{}", first.out);
    assert!(program.ok(&["db", "migrate"]).contains("up to date"));
    assert!(program.ok(&["db", "status"]).starts_with("sqlite: answers"));
    let done = program.run(&["db", "status", "--db", "oracle://x"]);
    assert_eq!(done.code, 2);
    assert!(done.err.contains("`oracle` is not a backend"), "{}", done.err);
    let done = program.run(&["db", "status", "--db", "postgres://panda:geheim@127.0.0.1:9/panda"]);
    assert_eq!(done.code, 1);
    assert!(done.err.contains("cannot be reached") && !done.err.contains("geheim"), "{}", done.err);
}

#[test]
fn doctor_looks_before_there_is_anything() {
    let program = Program::new();
    let done = program.run(&["--json", "doctor"]);
    let findings: Value = serde_json::from_str(&done.out).unwrap();
    let checks: Vec<&str> = findings.as_array().unwrap().iter().map(|finding| finding["check"].as_str().unwrap()).collect();
    assert_eq!(checks, ["data", "identity", "space", "programs", "database", "server", "port"]);
}
