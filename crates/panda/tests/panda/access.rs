//! Who may read the pages, and what a browser may be made to send: `monitor.access`, with tokens and with certificates that a proxy tells.

use std::net::SocketAddr;

use serde_json::json;

use crate::http::{self, Answer};
use crate::program::{Program, Up};
use crate::vo::until;

const ALICE: &str = "/DC=org/CN=Alice";
const OLAF: &str = "/DC=org/CN=Olaf";
/// Every page, those that lead elsewhere and those of things that are not there.
const PAGES: [&str; 21] = [
    "/",
    "/tasks/",
    "/task/1/",
    "/jobs/",
    "/job/1/",
    "/job/1/log",
    "/queues/",
    "/queue/LOCAL/",
    "/shares/",
    "/holds/",
    "/retention/",
    "/search?q=1",
    "/tasks",
    "/task?jeditaskid=1",
    "/job?pandaid=1",
    "/globalshares/",
    "/sites/",
    "/site/LOCAL/",
    "/queue/LOCAL",
    "/task/",
    "/retention?json",
];

struct Bench {
    to: SocketAddr,
    program: Program,
    _up: Up,
}

impl Bench {
    /// A system that lets these in; a proxy on this machine tells who showed a certificate.
    fn new(access: &str) -> Self {
        let program = Program::new();
        let map = program.write("mapfile", &format!("\"{ALICE}\" alice amber\n\"{OLAF}\" olaf amber\n"));
        let config = format!(
            "[monitor]\naccess = \"{access}\"\n[x509]\ntrusted_proxies = [\"127.0.0.1\"]\nname_header = \"SSL_CLIENT_S_DN\"\nmap_file = {:?}\n",
            map.display().to_string()
        );
        let config = program.write("panda.toml", &config).display().to_string();
        let up = Up::start(&program, &["--config", &config]);
        let to = up.url.strip_prefix("http://").unwrap().parse().unwrap();
        Self { to, program, _up: up }
    }
    fn ask(&self, verb: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
        http::try_call(self.to, verb, path, headers, b"").expect("an answer")
    }
    /// As somebody who showed this certificate.
    fn shown(&self, name: &str, verb: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.ask(verb, path, &[&[("SSL_CLIENT_S_DN", name)], headers].concat())
    }
    fn token(&self, args: &[&str]) -> String {
        format!("Bearer {}", self.program.ok(&[&["token", "--vo", "amber"], args].concat()).trim())
    }
}

#[test]
fn pages_for_members_are_read_by_people_who_are_known() {
    let bench = Bench::new("members");
    let alice = bench.token(&["--user", "alice"]);
    let pilot = bench.token(&["--user", "robot", "--role", "pilot"]);
    for path in PAGES {
        let anonymous = bench.ask("GET", path, &[("Accept", "text/html")]);
        assert_eq!(anonymous.status, 401, "{path}");
        if !path.ends_with("json") {
            assert!(
                anonymous.text().contains("<!doctype html>") && anonymous.text().contains("client certificate"),
                "{}",
                anonymous.text()
            );
        }
        let json = bench.ask("GET", path, &[("Accept", "application/json")]);
        assert_eq!((json.status, json.json()["error"].is_string()), (401, true), "{path}");
        for (who, known) in [
            ("token", bench.ask("GET", path, &[("Authorization", &alice)])),
            ("certificate", bench.shown(ALICE, "GET", path, &[])),
            // A link on another site leads to a page as any link does.
            ("link", bench.shown(ALICE, "GET", path, &[("Sec-Fetch-Site", "cross-site")])),
        ] {
            assert!(![401, 403].contains(&known.status), "{path} by {who}: {} {}", known.status, known.text());
        }
        let worker = bench.ask("GET", path, &[("Authorization", &pilot), ("Origin", "amber:pilot")]);
        assert!(worker.status == 403 && worker.text().contains("for people"), "{path}: {}", worker.text());
        assert_eq!(bench.ask("GET", path, &[("Authorization", "Bearer a.b.c")]).status, 403, "{path}");
    }
    let page = bench.ask("GET", "/", &[("Authorization", &alice)]).text();
    let style = page.split('"').find(|piece| piece.starts_with("/static/") && piece.contains(".css")).expect("a stylesheet").to_owned();
    assert_eq!(bench.ask("GET", &style, &[]).status, 200, "what the page of a refusal needs");
    assert_eq!(bench.ask("GET", "/api/v1/system/is_alive", &[]).status, 200, "the API has its own rights");
    // She is noted by what she does; nobody is banned who was never here.
    let stored = bench.shown(ALICE, "POST", "/api/v1/creds/set_user_secrets?key=a&value=b", &[]);
    assert_eq!(stored.json()["success"], json!(true), "{}", stored.text());
    bench.program.ok(&["user", "ban", "alice", "--issuer", "x509"]);
    until("a ban", || bench.shown(ALICE, "GET", "/tasks/", &[]), |a| a.status == 403 && a.text().contains("banned"));
}

#[test]
fn pages_for_operators_are_read_by_operators() {
    let bench = Bench::new("operators");
    for path in PAGES {
        let refused = bench.shown(ALICE, "GET", path, &[]);
        assert!(refused.status == 403 && refused.text().contains("for operators"), "{path}: {}", refused.text());
    }
    assert_eq!(bench.shown(OLAF, "GET", "/tasks/", &[]).status, 403);
    bench.program.ok(&["user", "grant", "olaf", "operator", "--issuer", "x509"]);
    until("a role that was granted", || bench.shown(OLAF, "GET", "/tasks/", &[]), |a| a.status == 200);
    assert_eq!(bench.shown(ALICE, "GET", "/tasks/", &[]).status, 403);
}

#[test]
fn another_sites_page_makes_no_browser_act_with_its_certificate() {
    let bench = Bench::new("public");
    assert_eq!(bench.ask("GET", "/tasks/", &[]).status, 200, "as shipped");
    let kill = |headers: &[(&str, &str)]| bench.shown(ALICE, "POST", "/api/v1/task/kill?task_id=1", headers);
    for site in ["cross-site", "same-site", "surely-not"] {
        let answer = kill(&[("Sec-Fetch-Site", site)]);
        assert!(answer.status == 403 && answer.text().contains("a page of another site"), "{site}: {}", answer.text());
        let old = bench.shown(ALICE, "POST", "/server/panda/killTask?jediTaskID=1", &[("Sec-Fetch-Site", site)]);
        assert_eq!(old.status, 403, "{site}, the old wire: {}", old.text());
    }
    for headers in [&[][..], &[("Sec-Fetch-Site", "same-origin")], &[("Sec-Fetch-Site", "none")]] {
        assert_eq!(kill(headers).json()["success"], json!(false), "programs and pages of ours are heard: there is no such task");
    }
    let token = bench.token(&["--user", "alice"]);
    let with_token = bench.ask("POST", "/api/v1/task/kill?task_id=1", &[("Sec-Fetch-Site", "cross-site"), ("Authorization", &token)]);
    assert_eq!(with_token.status, 200, "a page that has a token was given it: {}", with_token.text());
    assert_eq!(bench.ask("GET", "/api/v1/system/is_alive", &[("Sec-Fetch-Site", "cross-site")]).status, 200);
}
