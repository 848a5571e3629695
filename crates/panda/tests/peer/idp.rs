//! People of a VO with a real identity provider, the npm package `oidc-provider`: the unmodified client logs in there by device flow, a person signs in at
//! the address that it prints, and the client's tools work against `panda up` with the token that they got.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Instant;
use std::{fs, thread};

use panda_store::testing::Backend;
use serde_json::{Value, json};

use crate::client::{LIMIT, submitted};
use crate::harness::{Done, LOOK, Plan, System, VO, client_venv, idp_packages, run};
use crate::http;

/// The provider, until it is dropped.
struct Idp {
    child: Child,
    /// It ends with this, also when the test is killed.
    _alive: ChildStdin,
    /// Open, so that what it tells later does no harm; it tells a few lines.
    _told: BufReader<ChildStdout>,
    issuer: String,
}

impl Idp {
    fn start() -> Self {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peer/idp/provider.mjs");
        let mut command = Command::new("node");
        command.arg("--no-deprecation").arg(program).env("IDP_PACKAGES", idp_packages());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().expect("`node` starts");
        let alive = child.stdin.take().unwrap();
        let mut told = BufReader::new(child.stdout.take().unwrap());
        let said = told.by_ref().lines().map_while(Result::ok).find(|line| line.starts_with("http://127.0.0.1:"));
        Self { issuer: said.expect("the provider says its issuer"), child, _alive: alive, _told: told }
    }
}

impl Drop for Idp {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn python() -> String {
    client_venv().join("bin/python").display().to_string()
}

/// Somebody opens the address and signs in, by the forms of the provider's own pages.
#[track_caller]
fn signs_in(address: &str, name: &str) {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peer/idp/person.py");
    run(Command::new(python()).arg(program).args([address, name])).exits(0).says("successful");
}

/// Settings of the client with nothing that stands for a token.
fn without_token(system: &System) -> String {
    let settings = system.client_env();
    let kept: Vec<&str> = settings.lines().filter(|line| !line.contains("PANDA_AUTH_ID_TOKEN")).collect();
    assert!(kept.len() + 1 == settings.lines().count(), "{settings}");
    format!("{}\nexport PANDA_CONFIG_ROOT=$PWD/config PYTHONUNBUFFERED=1", kept.join("\n"))
}

/// Runs a program of the client that has no token yet: when it prints an address, `name` signs in there and tells it so.
fn logs_in(system: &System, folder: &Path, name: &str, program: &[&str]) -> Done {
    let mut command = system.client_command(&without_token(system), folder, program);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut answers = child.stdin.take().unwrap();
    let errors = child.stderr.take().unwrap();
    let reader = |mut from: Box<dyn std::io::Read + Send>| {
        thread::spawn(move || {
            let mut text = String::new();
            from.read_to_string(&mut text).unwrap();
            text
        })
    };
    let err = reader(Box::new(errors));
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let mut out = String::new();
    let address = loop {
        let mut line = String::new();
        if lines.read_line(&mut line).unwrap() == 0 {
            break None;
        }
        out.push_str(&line);
        if let Some(rest) = line.split("Please go to ").nth(1) {
            break rest.split_whitespace().next().map(str::to_owned);
        }
    };
    if let Some(address) = address {
        signs_in(&address, name);
        answers.write_all(b"y\n").unwrap();
    }
    drop(answers);
    lines.read_to_string(&mut out).unwrap();
    Done { code: child.wait().unwrap().code().unwrap_or(-1), out, err: err.join().unwrap() }
}

/// What the client keeps of a log-in.
fn kept(folder: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(folder.join("config/.token")).unwrap()).unwrap()
}

fn whoami(system: &System, token: &str) -> http::Answer {
    let bearer = format!("Bearer {token}");
    http::call(system.address(), "GET", "/api/panda/v1/whoami", &[("Authorization", bearer.as_str()), ("Origin", VO)], b"")
}

#[test]
fn peer_idp_device_flow() {
    let idp = Idp::start();
    let config = "[worker]\nslots = 2\n".to_owned();
    let system = System::start(Backend::Sqlite, Plan { config, ..Plan::default() });
    system.panda(&["vo", "add", VO, "--idp", &idp.issuer, "--client-id", "panda-client"]).exits(0).says("added");
    let end = Instant::now() + LIMIT;
    let config = format!("/auth/{VO}_auth_config.json");
    while http::call(system.address(), "GET", &config, &[], b"").json()["client_id"] != "panda-client" {
        assert!(Instant::now() < end, "the VO is not known\n{}", system.log());
        thread::sleep(LOOK);
    }

    // The first command logs in and submits; those after it use what is kept.
    let folder = system.dir("work-alice");
    let prun = ["prun", "--exec", "echo hello > out.txt", "--outputs", "out.txt", "--outDS", "user.alice.device", "--noBuild", "--vo", VO];
    let done = logs_in(&system, &folder, "alice", &prun);
    assert!(done.out.contains("All set"), "\n-- stdout\n{}\n-- stderr\n{}", done.out, done.err);
    let task = submitted(&system, &done);
    let token = kept(&folder)["id_token"].as_str().unwrap().to_owned();
    let who = whoami(&system, &token).data();
    assert_eq!((&who["name"], &who["vo"], &who["issuer"]), (&json!("Alice Example"), &json!(VO), &json!(idp.issuer)));
    let settings = without_token(&system);
    let end = Instant::now() + LIMIT;
    loop {
        let shown = system.client_with(&settings, &folder, &["pbook", "show", &task.to_string(), "--format", "plain"]).exits(0);
        assert!(!shown.out.contains("Please go to"), "it is asked anew: {}", shown.out);
        if shown.out.contains("done") {
            assert!(shown.out.contains("user.alice.device/"), "{}", shown.out);
            break;
        }
        assert!(Instant::now() < end, "{}\n{}\n{}", shown.out, shown.err, system.log());
        thread::sleep(LOOK);
    }

    // A person of the provider who is not of the VO gets a token, and is refused with the group that is missing.
    let folder = system.dir("work-mallory");
    let refused = logs_in(&system, &folder, "mallory", &prun);
    let said = format!("{}{}", refused.out, refused.err);
    assert!(refused.code != 0 && said.contains("All set"), "{said}");
    let answer = whoami(&system, kept(&folder)["id_token"].as_str().unwrap());
    assert!(answer.status == 403 && answer.text().contains("Not a member of the amber group"), "{}", answer.text());

    // What the provider gives out that is no token of identity is refused, too.
    let access = kept(&folder)["access_token"].as_str().unwrap().to_owned();
    assert_eq!(whoami(&system, &access).status, 403);
    // A good one that was changed on its way.
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let other = if signature.starts_with('A') { 'B' } else { 'A' };
    let answer = whoami(&system, &format!("{signed}.{other}{}", &signature[1..]));
    assert!(answer.status == 403 && answer.text().contains("signature does not match"), "{}", answer.text());
}
