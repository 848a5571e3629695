#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::os::unix::fs::PermissionsExt as _;
use std::sync::atomic::{AtomicI64, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;

use super::*;

const START: i64 = 1_700_000_000_000_000;

struct Bench {
    _folder: tempfile::TempDir,
    issuer: Arc<Issuer>,
    identity: DevIdentity,
    clock: Arc<AtomicI64>,
}

fn known() -> KnownVo {
    Arc::new(|vo: &str| matches!(vo, "amber" | "beryl"))
}

fn bench() -> Bench {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(AtomicI64::new(START));
    let now = {
        let clock = Arc::clone(&clock);
        Arc::new(move || clock.load(Ordering::SeqCst))
    };
    let issuer = Arc::new(Issuer::open(folder.path(), now, known()).unwrap());
    let identity = issuer.for_listener("127.0.0.1:0".parse().unwrap()).unwrap();
    Bench { _folder: folder, issuer, identity, clock }
}

fn alice() -> TokenRequest {
    TokenRequest { user: "alice".into(), vo: "amber".into(), name: Some("alice example".into()), ..Default::default() }
}

impl Bench {
    fn ask(&self, token: &str, origin: Option<&str>) -> Result<Arc<Principal>, AccessError> {
        let authorization = format!("Bearer {token}");
        let request = RequestIdentity { authorization: Some(&authorization), origin, peer_is_loopback: true, ..RequestIdentity::default() };
        self.identity.authenticate(&request).map(|p| p.expect("a token never means anonymous"))
    }

    fn claims(&self) -> Claims {
        self.issuer.verify(&self.issuer.sign(&alice()).unwrap()).unwrap()
    }

    fn signed(&self, change: impl FnOnce(&mut Claims)) -> String {
        let mut claims = self.claims();
        change(&mut claims);
        self.issuer.sign_claims(&claims).unwrap()
    }
}

fn reason(result: Result<Arc<Principal>, AccessError>) -> String {
    result.expect_err("must be refused").to_string()
}

#[test]
fn a_signed_token_identifies_its_user() {
    let bench = bench();
    let token = bench.issuer.sign(&TokenRequest { email: Some("a@b.c".into()), ..alice() }).unwrap();
    assert!(!token.contains(char::is_whitespace));
    let who = bench.ask(&token, Some("AMBER")).unwrap();
    assert_eq!(who.owner(), (ISSUER, "alice"));
    assert_eq!((who.name.as_str(), who.nickname.as_str()), ("Alice Example", "alice"));
    assert_eq!(who.dn_raw(), "Alice Example/CN=nickname:alice");
    assert_eq!((who.vo.as_deref(), who.email.as_deref()), (Some("amber"), Some("a@b.c")));
    assert_eq!((who.fqans(), who.is_production(), who.acts(&Role::Pilot, None)), (vec![], false, false));
    // without Origin the token's VO counts; the second time it comes from the cache
    for _ in 0..2 {
        assert_eq!(bench.ask(&token, None).unwrap().vo.as_deref(), Some("amber"));
    }
    assert_eq!(bench.identity.verified.len(), 2);
}

#[test]
fn what_the_client_reads_is_in_the_claims() {
    let bench = bench();
    let token = bench.issuer.sign(&TokenRequest { role: Some(Role::Production), ..alice() }).unwrap();
    let payload = B64.decode(token.split('.').nth(1).unwrap()).unwrap();
    let claims: serde_json::Value = serde_json::from_slice(&payload).unwrap();
    assert_eq!(claims["preferred_username"], "alice");
    assert_eq!(claims["name"], "alice example");
    assert_eq!(claims["groups"], serde_json::json!(["amber", "amber/production"]));
    assert_eq!(claims["exp"].as_i64(), Some(START / 1_000_000 + DEFAULT_LIFETIME_S));
}

#[test]
fn roles_come_from_token_or_origin_and_need_their_group() {
    let bench = bench();
    let plain = bench.issuer.sign(&alice()).unwrap();
    let prod = bench.issuer.sign(&TokenRequest { role: Some(Role::Production), ..alice() }).unwrap();
    let pilot = bench.issuer.sign(&TokenRequest { role: Some(Role::Pilot), ..alice() }).unwrap();
    assert!(bench.ask(&prod, None).unwrap().is_production());
    assert_eq!(bench.ask(&prod, Some("amber")).unwrap().fqans(), ["/amber/Role=production"]);
    assert!(bench.ask(&pilot, Some("amber.pilot")).unwrap().acts(&Role::Pilot, None));
    assert!(bench.ask(&pilot, Some("amber:pilot")).unwrap().acts(&Role::Pilot, None));
    assert_eq!(reason(bench.ask(&plain, Some("amber:production"))), "Not a member of the amber/production group");
    assert_eq!(reason(bench.ask(&pilot, Some("amber.production"))), "Not a member of the amber/production group");
    // a claimed role without its group is not honoured
    let forged = bench.signed(|c| c.vo = Some("amber:production".into()));
    assert_eq!(reason(bench.ask(&forged, None)), "Not a member of the amber/production group");
    // a role of another VO does not carry over
    let other = bench.signed(|c| c.groups = vec!["amber".into(), "beryl/production".into()]);
    assert_eq!(reason(bench.ask(&other, Some("amber:production"))), "Not a member of the amber/production group");
    let slashed = bench.signed(|c| c.groups = vec!["/Amber".into(), "/amber/production".into()]);
    assert!(bench.ask(&slashed, Some("amber:production")).unwrap().is_production());
}

#[test]
fn the_vo_must_be_configured_and_the_callers() {
    let bench = bench();
    let bare = bench.signed(|c| c.vo = None);
    assert_eq!(bench.ask(&bare, Some("amber")).unwrap().vo.as_deref(), Some("amber"));
    assert_eq!(bench.ask(&bare, None).unwrap().vo, None);
    assert_eq!(bench.ask(&bare, Some("http://127.0.0.1:25080")).unwrap().vo, None);
    assert_eq!(reason(bench.ask(&bare, Some("atlas"))), "Unknown vo : atlas");
    assert_eq!(reason(bench.ask(&bare, Some("beryl"))), "Not a member of the beryl group");
    // the token's VO wins over the header's
    let token = bench.issuer.sign(&alice()).unwrap();
    assert_eq!(bench.ask(&token, Some("atlas")).unwrap().vo.as_deref(), Some("amber"));
    assert!(bench.issuer.sign(&TokenRequest { vo: "atlas".into(), ..alice() }).is_err());
}

#[test]
fn expiry_holds_for_cached_tokens_too() {
    let bench = bench();
    let token = bench.issuer.sign(&TokenRequest { lifetime_s: Some(10), ..alice() }).unwrap();
    assert!(bench.ask(&token, None).is_ok());
    bench.clock.store(START + 9_999_999, Ordering::SeqCst);
    assert!(bench.ask(&token, None).is_ok());
    bench.clock.store(START + 10_000_000, Ordering::SeqCst);
    assert_eq!(reason(bench.ask(&token, None)), "Invalid token. it has expired; get a new one with `panda token`");
    let early = bench.signed(|c| c.nbf = Some(c.exp - 1));
    assert_eq!(reason(bench.ask(&early, None)), "Invalid token. it is not valid yet");
    let far = bench.signed(|c| c.exp = i64::MAX);
    assert!(bench.ask(&far, None).is_ok());
}

#[test]
fn forged_tokens_are_refused() {
    let bench = bench();
    let token = bench.issuer.sign(&alice()).unwrap();
    let [header, payload, signature]: [&str; 3] = token.split('.').collect::<Vec<_>>().try_into().unwrap();
    let header_of = |json: &str| B64.encode(json);
    let kid = bench.issuer.key.id();
    let mut flipped = B64.decode(payload).unwrap();
    flipped[20] ^= 1;
    let mut signed = B64.decode(signature).unwrap();
    signed[5] ^= 1;
    let cases = [
        (format!("{header}.{}.{signature}", B64.encode(flipped)), "signature does not match"),
        (format!("{header}.{payload}.{}", B64.encode(&signed)), "signature does not match"),
        (format!("{header}.{payload}."), "signature does not match"),
        (format!("{}.{payload}.", header_of(&format!(r#"{{"alg":"none","kid":"{kid}"}}"#))), "not signed with ES256"),
        (format!("{}.{payload}.{signature}", header_of(r#"{"alg":"HS256"}"#)), "not signed with ES256"),
        (format!("{}.{payload}.{signature}", header_of(r#"{"alg":"ES256","kid":"x"}"#)), "another key"),
        (format!("{}.{payload}.{signature}", header_of(r#"{"alg":"ES256"}"#)), "another key"),
        (
            format!("{}.{payload}.{signature}", header_of(&format!(r#"{{"alg":"ES256","kid":"{kid}","crit":["b64"]}}"#))),
            "demands an extension",
        ),
        (format!("{}.{payload}.{signature}", header_of("[]")), "not JSON"),
        (format!("{token}.x"), "three base64url parts"),
        (format!("{header}.{payload}"), "three base64url parts"),
        ("x".into(), "three base64url parts"),
        ("..".into(), "not JSON"),
        (bench.signed(|c| c.iss = "https://elsewhere".into()), "another issuer"),
        (bench.signed(|c| c.aud = claims::Audience::Many(vec!["a".into()])), "another audience"),
        (bench.signed(|c| c.sub = String::new()), "no subject"),
        (jws::sign(&bench.issuer.key, b"{}").unwrap(), "claims are not those"),
    ];
    for (token, want) in cases {
        let got = reason(bench.ask(&token, None));
        assert!(got.starts_with("Invalid token. ") && got.contains(want), "{got:?} should tell {want:?}");
    }
    assert_eq!(bench.identity.verified.len(), 0, "only what verifies is remembered");
    assert!(bench.ask(&token, None).is_ok());
}

#[test]
fn another_installations_token_is_refused() {
    let (ours, theirs) = (bench(), bench());
    let token = theirs.issuer.sign(&alice()).unwrap();
    assert!(reason(ours.ask(&token, None)).contains("another key"));
}

#[test]
fn oversize_headers_are_refused_and_long_origins_ignored() {
    let bench = bench();
    assert_eq!(bench.ask(&"x".repeat(crate::MAX_AUTHORIZATION_BYTES), None), Err(AccessError::TooLong));
    let token = bench.issuer.sign(&alice()).unwrap();
    assert!(bench.ask(&token, Some(&"x".repeat(100_000))).is_ok());
    assert!(bench.issuer.sign(&TokenRequest { user: "x".repeat(MAX_TEXT_BYTES + 1), ..alice() }).is_err());
    assert!(bench.issuer.sign(&TokenRequest { user: "a b".into(), ..alice() }).is_err());
    assert!(bench.issuer.sign(&TokenRequest { user: String::new(), ..alice() }).is_err());
    assert!(bench.issuer.sign(&TokenRequest { lifetime_s: Some(0), ..alice() }).is_err());
    assert!(bench.issuer.sign(&TokenRequest { lifetime_s: Some(MAX_LIFETIME_S + 1), ..alice() }).is_err());
}

#[test]
fn it_stays_on_loopback() {
    let bench = bench();
    for address in ["127.0.0.1:25080", "127.8.0.1:1", "[::1]:25080", "[::ffff:127.0.0.1]:1"] {
        assert!(bench.issuer.for_listener(address.parse().unwrap()).is_ok(), "{address}");
    }
    for address in ["0.0.0.0:25080", "[::]:25080", "192.0.2.1:25080", "[::ffff:192.0.2.1]:1"] {
        let error = bench.issuer.for_listener(address.parse().unwrap()).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains("listen on 127.0.0.1"), "{error}");
    }
    let token = format!("Bearer {}", bench.issuer.sign(&alice()).unwrap());
    let request = RequestIdentity { authorization: Some(&token), origin: None, peer_is_loopback: false, ..RequestIdentity::default() };
    assert_eq!(bench.identity.authenticate(&request), Err(AccessError::NotLoopback));
    let anonymous = RequestIdentity { authorization: Some("Bearer"), ..request };
    assert_eq!(bench.identity.authenticate(&anonymous), Ok(None));
}

#[test]
fn the_key_file_is_private_kept_and_checked() {
    let folder = tempfile::tempdir().unwrap();
    let open = || Issuer::open(folder.path(), Arc::new(|| START), known());
    let first = open().unwrap().key.id().to_owned();
    assert_eq!(open().unwrap().key.id(), first);
    let files: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().path()).collect();
    assert_eq!(files.len(), 1, "no draft is left: {files:?}");
    let mode = |mode| std::fs::set_permissions(&files[0], std::fs::Permissions::from_mode(mode)).unwrap();
    assert_eq!(std::fs::metadata(&files[0]).unwrap().permissions().mode() & 0o777, 0o600);
    mode(0o640);
    assert!(matches!(open(), Err(IssuerError::Exposed(_))));
    mode(0o600);
    std::fs::write(&files[0], b"no key").unwrap();
    assert!(matches!(open(), Err(IssuerError::Damaged(_))));
}

#[test]
fn processes_that_start_together_share_one_key() {
    let folder = tempfile::tempdir().unwrap();
    let ids: Vec<String> = std::thread::scope(|scope| {
        let open = || Issuer::open(folder.path(), Arc::new(|| START), known()).unwrap().key.id().to_owned();
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(open)).collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    });
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
}

#[test]
fn the_documents_have_what_the_client_reads() {
    let bench = bench();
    let base = "http://127.0.0.1:25080/";
    let config = bench.issuer.auth_config(base, "amber:production").unwrap();
    assert_eq!(config["vo"], "amber.production");
    assert!(config.as_object().unwrap().contains_key("client_secret"));
    assert_eq!(config["oidc_config_url"], "http://127.0.0.1:25080/auth/.well-known/openid-configuration");
    assert_eq!(bench.issuer.auth_config(base, "AMBER.production").unwrap()["vo"], "amber.production");
    assert_eq!(bench.issuer.auth_config(base, "atlas"), None);
    assert_eq!(bench.issuer.discovery(base)["jwks_uri"], "http://127.0.0.1:25080/auth/jwks.json");
    let jwks = bench.issuer.jwks();
    let key = &jwks["keys"][0];
    assert_eq!(key["kid"], bench.issuer.key.id());
    for part in ["x", "y"] {
        assert_eq!(B64.decode(key[part].as_str().unwrap()).unwrap().len(), 32);
    }
}
