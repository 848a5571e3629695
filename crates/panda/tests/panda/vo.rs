//! A VO with an identity provider: added while the system runs, its people known by their tokens, its keys changed, its provider gone.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::{SocketAddr, TcpListener},
    sync::{Arc, Mutex},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use serde_json::{Value, json};

use crate::{
    http,
    program::{Program, Up},
};

/// How long anything may take on a slow machine.
const LONG: Duration = Duration::from_secs(90);

/// A key of the provider.
struct Key(EcdsaKeyPair, SystemRandom, &'static str);

impl Key {
    fn new(kid: &'static str) -> Self {
        let random = SystemRandom::new();
        let der = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        Self(EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der.as_ref(), &random).unwrap(), random, kid)
    }
    fn jwks(&self) -> Value {
        let (x, y) = self.0.public_key().as_ref()[1..].split_at(32);
        json!({"keys": [{"kty": "EC", "crv": "P-256", "kid": self.2, "x": B64.encode(x), "y": B64.encode(y)}]})
    }
    /// A token of alice's, good for `lifetime_s`.
    fn token(&self, issuer: &str, groups: &[&str], lifetime_s: i64) -> String {
        let claims = json!({"iss": issuer, "sub": "a-1", "aud": "panda-client", "iat": now_s() - 60, "exp": now_s() + lifetime_s,
            "name": "alice example", "preferred_username": "alice", "groups": groups});
        self.sign(&json!({"alg": "ES256", "kid": self.2}), &claims)
    }
    /// Any header and claims, signed.
    fn sign(&self, header: &Value, claims: &Value) -> String {
        let text = format!("{}.{}", B64.encode(header.to_string()), B64.encode(claims.to_string()));
        let signature = self.0.sign(&self.1, text.as_bytes()).unwrap();
        format!("{text}.{}", B64.encode(signature))
    }
}

fn now_s() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap()
}

/// An identity provider: it answers its discovery document and its keys, or 503 when it is told to be down.
struct Idp {
    issuer: String,
    keys: Arc<Mutex<Option<Value>>>,
}

impl Idp {
    fn start(key: &Key) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let keys = Arc::new(Mutex::new(Some(key.jwks())));
        let (own, told) = (issuer.clone(), keys.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut line = String::new();
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                reader.read_line(&mut line).unwrap();
                // The whole head is taken, so that closing does not reset.
                let mut rest = String::new();
                while reader.read_line(&mut rest).is_ok_and(|n| n > 2) {
                    rest.clear();
                }
                let keys = told.lock().unwrap().clone();
                let body = match keys {
                    Some(_) if line.contains("openid-configuration") => json!({"issuer": own, "jwks_uri": format!("{own}/jwks"),
                        "device_authorization_endpoint": format!("{own}/device"), "token_endpoint": format!("{own}/token")}),
                    Some(keys) => keys,
                    None => json!({}),
                };
                let status = if told.lock().unwrap().is_some() { "200 OK" } else { "503 Gone" };
                let body = body.to_string();
                let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
                let _ = stream.write_all(format!("{head}{body}").as_bytes());
            }
        });
        Self { issuer, keys }
    }
    fn tell(&self, keys: Option<Value>) {
        *self.keys.lock().unwrap() = keys;
    }
}

fn whoami(up: &Up, token: &str, origin: &str) -> http::Answer {
    let to: SocketAddr = up.url.strip_prefix("http://").unwrap().parse().unwrap();
    let bearer = format!("Bearer {token}");
    let headers = [("Authorization", bearer.as_str()), ("Origin", origin)];
    http::try_call(to, "GET", "/api/panda/v1/whoami", &headers, b"").expect("an answer")
}

/// Asks until the answer is what is wanted.
pub fn until(what: &str, mut ask: impl FnMut() -> http::Answer, fits: impl Fn(&http::Answer) -> bool) {
    let since = Instant::now();
    loop {
        let answer = ask();
        if fits(&answer) {
            return;
        }
        assert!(since.elapsed() < LONG, "{what}: {} {}", answer.status, answer.text());
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[test]
fn people_of_a_vo_are_known_by_its_identity_provider() {
    let program = Program::new();
    let config = program.write("panda.toml", "vos = [\"local\"]\n").display().to_string();
    let up = Up::start(&program, &["--config", &config]);
    let first = Key::new("k1");
    let idp = Idp::start(&first);
    let issuer = idp.issuer.clone();
    let token = first.token(&issuer, &["/amber", "/experts"], 3_600);
    assert_eq!(whoami(&up, &token, "amber").status, 403, "nobody trusts the provider yet");

    // Added while all goes on.
    let add = ["vo", "add", "amber", "--idp", &issuer, "--client-id", "panda-client", "--role", "production=experts"];
    assert!(program.ok(&add).contains("added"));
    assert_eq!(program.run(&add).code, 2, "it is there");
    assert!(program.ok(&["vo", "list"]).contains(&issuer));
    until("a token of the VO", || whoami(&up, &token, "Amber"), |a| a.status == 200);
    let who = whoami(&up, &token, "amber").data();
    assert_eq!(
        (&who["name"], &who["vo"], &who["issuer"], &who["roles"]),
        (&json!("Alice Example"), &json!("amber"), &json!(issuer), &json!([]))
    );
    assert_eq!(whoami(&up, &token, "amber:production").data()["roles"], json!(["production"]));
    // What panda-client reads before it logs in, with both spellings of a role.
    let to: SocketAddr = up.url.strip_prefix("http://").unwrap().parse().unwrap();
    for name in ["amber", "amber:production", "amber.production"] {
        let doc = http::try_call(to, "GET", &format!("/auth/{name}_auth_config.json"), &[], b"").unwrap().json();
        assert_eq!((&doc["client_id"], doc["client_secret"].is_null()), (&json!("panda-client"), true), "{doc}");
        assert_eq!(doc["oidc_config_url"], json!(format!("{issuer}/.well-known/openid-configuration")));
    }

    // A task of hers, by the command line with her token.
    let with = |token: &str, words: &[&str]| {
        let mut command = program.command(words);
        command.env("PANDA_AUTH_ID_TOKEN", token).env("PANDA_AUTH_VO", "amber");
        Program::finish(command)
    };
    let done = with(&token, &["run", "--out", "out.txt", "--", "echo hello > out.txt"]);
    assert_eq!(done.code, 0, "{}{}", done.out, done.err);
    let checked = with(&token, &["vo", "check", "amber"]);
    assert!(checked.code == 0 && checked.out.contains("1 keys") && checked.out.contains("Alice Example"), "{}{}", checked.out, checked.err);

    // Who may not, and why.
    let refused = |token: &str, origin: &str| {
        let answer = whoami(&up, token, origin);
        assert_eq!(answer.status, 403, "{}", answer.text());
        answer.text()
    };
    assert!(refused(&first.token(&issuer, &["/amber"], -1), "amber").contains("expired"));
    assert!(refused(&first.token(&issuer, &["/beryl"], 60), "amber").contains("Not a member of the amber group"));
    assert!(refused(&first.token("https://elsewhere.example.org", &["/amber"], 60), "amber").contains("no VO here trusts"));
    let nobody = with(&first.token(&issuer, &["/amber"], 600), &["vo", "set", "amber", "--member", "x"]);
    assert!(nobody.code != 0 && nobody.err.contains("vo-admin"), "{}{}", nobody.out, nobody.err);

    // The provider signs with a new key: known at the first token that bears it.
    let second = Key::new("k2");
    idp.tell(Some(second.jwks()));
    let renewed = second.token(&issuer, &["/amber"], 3_600);
    until("a token of a new key", || whoami(&up, &renewed, "amber"), |a| a.status == 200);

    // The provider is gone, and the server starts anew: nobody with a valid token is locked out.
    idp.tell(None);
    drop(up);
    let up = Up::start(&program, &["--config", &config]);
    assert_eq!(whoami(&up, &renewed, "amber").data()["vo"], json!("amber"));

    assert!(program.ok(&["vo", "remove", "amber"]).contains("removed"));
    until("the VO is gone", || whoami(&up, &renewed, "amber"), |a| a.status == 403);
}

/// Each with a message of its own, over HTTP, while a good one of the same key is taken.
#[test]
fn bad_tokens_are_refused_with_their_reason() {
    let program = Program::new();
    let up = Up::start(&program, &[]);
    let key = Key::new("k1");
    let idp = Idp::start(&key);
    program.ok(&["vo", "add", "amber", "--idp", &idp.issuer, "--client-id", "panda-client"]);
    let good = key.token(&idp.issuer, &["/amber"], 3_600);
    until("a good token", || whoami(&up, &good, "amber"), |a| a.status == 200);

    let header = json!({"alg": "ES256", "kid": "k1"});
    let claims: Value = serde_json::from_slice(&B64.decode(good.split('.').nth(1).unwrap()).unwrap()).unwrap();
    let with = |name: &str, value: Value| {
        let mut claims = claims.clone();
        claims[name] = value;
        key.sign(&header, &claims)
    };
    let unsigned = |header: Value| format!("{}.{}.", B64.encode(header.to_string()), B64.encode(claims.to_string()));
    let forged = Key::new("k1").sign(&header, &claims);
    let cases = [
        ("expired", with("exp", json!(now_s() - 1)), "it has expired"),
        ("another audience", with("aud", json!(["another-client"])), "it is for another audience"),
        ("another issuer", with("iss", json!("https://elsewhere.example.org")), "it is of an issuer that no VO here trusts"),
        ("no signature", unsigned(header.clone()), "its signature does not match"),
        ("alg none", unsigned(json!({"alg": "none"})), "it is not signed with a public key (alg)"),
        ("alg none, signed", key.sign(&json!({"alg": "none", "kid": "k1"}), &claims), "it is not signed with a public key (alg)"),
        ("a shared secret", key.sign(&json!({"alg": "HS256", "kid": "k1"}), &claims), "it is not signed with a public key (alg)"),
        ("forged", forged, "its signature does not match"),
        ("not valid yet", with("nbf", json!(now_s() + 3_600)), "it is not valid yet (nbf)"),
        ("issued in the future", with("iat", json!(now_s() + 3_600)), "it was issued in the future (iat)"),
        ("no end", with("exp", Value::Null), "it names no end (exp)"),
    ];
    for (what, token, why) in &cases {
        let answer = whoami(&up, token, "amber");
        let expected = format!("ERROR : Token authentication failed. Invalid token. {why}");
        assert_eq!((answer.status, answer.text().trim()), (403, expected.as_str()), "{what}");
    }
    assert_eq!(whoami(&up, &good, "amber").status, 200, "the good one still is");
}

#[test]
fn roles_are_granted_robots_get_tokens_and_people_are_banned() {
    let program = Program::new();
    let config = program.write("panda.toml", "vos = [\"local\"]\n").display().to_string();
    let up = Up::start(&program, &["--config", &config]);
    let key = Key::new("k1");
    let idp = Idp::start(&key);
    let token = key.token(&idp.issuer, &["/amber"], 3_600);
    let added = program.ok(&["vo", "add", "amber", "--idp", &idp.issuer, "--client-id", "panda-client", "--admin", "alice"]);
    assert!(added.contains("`alice` administers VO `amber`"), "{added}");
    // Nobody called alice was here before: the first who comes from the VO's provider under this name.
    until("the administrator", || whoami(&up, &token, "amber"), |a| a.status == 200 && a.text().contains("vo-admin"));
    let with = |token: &str, words: &[&str]| {
        let mut command = program.command(words);
        command.env("PANDA_AUTH_ID_TOKEN", token).env("PANDA_AUTH_VO", "amber");
        Program::finish(command)
    };
    let robot = with(
        &token,
        &["token", "create", "factory", "--robot", "factory", "--vo", "amber", "--role", "pilot", "--scope", "pilot", "--scope", "read"],
    );
    assert_eq!(robot.code, 0, "{}{}", robot.out, robot.err);
    let robot = robot.out.trim().to_owned();
    until("the robot", || whoami(&up, &robot, "amber:pilot"), |a| a.status == 200);
    assert_eq!(whoami(&up, &robot, "amber").data()["roles"], json!(["pilot"]));
    let beyond = with(&robot, &["run", "--", "true"]);
    assert!(beyond.code != 0 && beyond.err.contains("not made for `submit`"), "{}{}", beyond.out, beyond.err);
    // Her VO is hers, the system is not.
    let refused = with(&token, &["drain"]);
    assert!(refused.code != 0, "{}", refused.out);
    let refused = with(&token, &["token", "create", "all", "--robot", "all", "--role", "pilot"]);
    assert!(refused.code != 0 && refused.err.contains("vo-admin"), "{}{}", refused.out, refused.err);
    assert!(with(&token, &["user", "list"]).out.contains("vo:amber"));
    assert_eq!(with(&token, &["token", "revoke", "factory"]).code, 0);
    until("the revoked token", || whoami(&up, &robot, "amber"), |a| a.status == 403 && a.text().contains("revoked"));
    // Operators, which those are who read the server's own data folder.
    program.ok(&["user", "ban", "alice", "--issuer", &idp.issuer]);
    until("the ban", || whoami(&up, &token, "amber"), |a| a.status == 403 && a.text().contains("is banned"));
    program.ok(&["user", "unban", "alice", "--issuer", &idp.issuer]);
    until("the end of the ban", || whoami(&up, &token, "amber"), |a| a.status == 200);
    let journal = program.ok(&["journal", "--area", "api"]);
    assert!(["vo/set", "token/create", "token/revoke", "user/grant", "user/ban"].iter().all(|what| journal.contains(what)), "{journal}");
}
