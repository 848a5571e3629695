//! Payloads that fail, need too much memory or take too long, as real processes: what is tried again, with what, and what `panda why` says of it.

use serde_json::{Value, json};

use crate::{
    http,
    program::{Program, Up},
};

/// MB that the task asks for; a job may use twice as much.
const ASKED_MB: &str = "200";
/// Longest time of a job, s; what is slow takes minutes, the others a fraction.
const WALLTIME_S: u64 = 15;
/// By name of the input. What is hungry holds 460 MB (the text and a copy) until it has been looked at several times.
const PAYLOAD: &str = r#"f=%IN
case $f in
  bad*) echo "cannot read the calibration" >&2; exit 3 ;;
  hungry*) perl -e '$x = "x" x 230_000_000; sleep 4' ;;
  slow*) sleep 300 ;;
esac
echo "$f done" > out.txt"#;

/// Submits what the command line makes of the words, with a wall time in seconds; the task's number.
fn submit(program: &Program, up: &Up, words: &[&str]) -> String {
    let shown: Value = serde_json::from_str(&program.ok(words)).unwrap();
    let mut body = json!({"task_parameters": shown["task_parameters"]});
    body["task_parameters"]["walltime"] = WALLTIME_S.into();
    let token = format!("Bearer {}", program.ok(&["token"]).trim());
    let to = up.url.strip_prefix("http://").unwrap().parse().unwrap();
    let headers = [("Authorization", token.as_str()), ("Content-Type", "application/json")];
    let answer = http::try_call(to, "POST", "/api/v1/task/submit", &headers, body.to_string().as_bytes()).unwrap();
    answer.data().to_string()
}

#[test]
fn payloads_that_fail_are_tried_again_and_explained() {
    let program = Program::new();
    let up = Up::start(&program, &[]);
    for name in ["bad", "good", "hungry", "slow"] {
        program.write(&format!("data/{name}.txt"), "x\n");
    }
    let data = program.home.path().join("here/data");
    program.ok(&["dataset", "add", "user.jane.mixed", "--dir", data.to_str().unwrap()]);
    let words = ["run", "--dry-run", "--in", "user.jane.mixed", "--files-per-job", "1", "--attempts", "2", "--memory", ASKED_MB];
    let id = submit(&program, &up, &[&words[..], &["--sandbox", "none", "--out", "out.txt", "--", PAYLOAD]].concat());
    let ended = program.run(&["status", &id, "--wait", "--timeout", "300s"]);
    assert_eq!(ended.code, 3, "{}{}", ended.out, ended.err);
    explained(
        &program,
        &format!("task/{id}"),
        &[
            "state: finished",
            "2 of 4 input files ended well, 2 failed for good",
            "2 jobs ended badly with: payload exited with status 3",
            "Payload exceeded maximum allowed memory",
            "`panda retry task/",
        ],
    );
    let text = program.ok(&["--json", "jobs", &id]);
    let jobs: Vec<Value> = serde_json::from_str(&text).unwrap();
    let of = |status: &str, code: i64, ram: i64| -> Vec<String> {
        let fits = |j: &&Value| j["jobStatus"] == status && j["pilotErrorCode"] == code && j["minRamCount"] == ram;
        jobs.iter().filter(fits).map(|j| format!("job/{}", j["PandaID"])).collect()
    };
    let (failing, hungry, slow) = (of("failed", 1305, 200), of("failed", 1235, 200), of("failed", 1213, 200));
    assert_eq!((failing.len(), hungry.len(), slow.len(), jobs.len()), (2, 1, 2, 7), "{text}");
    assert_eq!((of("finished", 0, 200).len(), of("finished", 0, 1_000).len()), (1, 1), "{text}");
    explained(&program, &failing[0], &["cannot read the calibration", "its input is tried again (attempt 2 of 2)", "`panda logs job/"]);
    explained(&program, &failing[1], &["the payload ended with the exit status 3", "2 of 2"]);
    explained(
        &program,
        &hungry[0],
        &[
            "the payload used more memory than it was granted (pilot code 1235, PAYLOADEXCEEDMAXMEM)",
            "the job asked for 200 MB and may use 2 times as much",
            "the next attempt gets 1000 MB for each core instead of 200",
            "ask for more memory",
        ],
    );
    explained(
        &program,
        &slow[0],
        &[
            "the job ran longer than it may (pilot code 1213, REACHEDMAXTIME)",
            "the job may run 15 s",
            "jobs of the task get 22 s instead of 15",
        ],
    );
    explained(&program, &slow[1], &["the job may run 22 s", "2 of 2"]);
}

/// `panda why` says all of these.
fn explained(program: &Program, id: &str, sentences: &[&str]) {
    let why = program.ok(&["why", id]);
    for sentence in sentences {
        assert!(why.contains(sentence), "{id} does not say {sentence:?}: {why}");
    }
}
