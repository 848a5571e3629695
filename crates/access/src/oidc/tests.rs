#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::atomic::{AtomicI64, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};
use serde_json::json;

use super::*;

const NOW_S: i64 = 1_700_000_000;
const IDP: &str = "https://idp.example.org";

struct Signer(EcdsaKeyPair, SystemRandom, &'static str);

impl Signer {
    fn new(kid: &'static str) -> Self {
        let random = SystemRandom::new();
        let key = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        Self(EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, key.as_ref(), &random).unwrap(), random, kid)
    }
    fn jwk(&self) -> Value {
        let (x, y) = self.0.public_key().as_ref()[1..].split_at(32);
        json!({"kty": "EC", "crv": "P-256", "kid": self.2, "use": "sig", "x": B64.encode(x), "y": B64.encode(y)})
    }
    fn sign(&self, claims: &Value) -> String {
        let text = format!("{}.{}", B64.encode(json!({"alg": "ES256", "kid": self.2}).to_string()), B64.encode(claims.to_string()));
        let signature = self.0.sign(&self.1, text.as_bytes()).unwrap();
        format!("{text}.{}", B64.encode(signature))
    }
}

struct Bench {
    oidc: Oidc,
    signer: Signer,
    clock: Arc<AtomicI64>,
}

fn rules() -> Rules {
    Rules::new(IDP, "panda-client")
}

fn bench(vos: &[(&str, Rules)]) -> Bench {
    let clock = Arc::new(AtomicI64::new(NOW_S * 1_000_000));
    let hand = clock.clone();
    let oidc = Oidc::new(Arc::new(move || hand.load(Ordering::SeqCst)));
    oidc.set_rules(vos.iter().map(|(vo, r)| ((*vo).to_owned(), r.clone())).collect());
    let signer = Signer::new("k1");
    oidc.set_keys(IDP, KeySet::read(&json!({"keys": [signer.jwk()]})).unwrap());
    Bench { oidc, signer, clock }
}

fn amber() -> Bench {
    bench(&[("Amber", rules())])
}

fn alice() -> Value {
    json!({"iss": format!("{IDP}/"), "sub": "a-1", "aud": "panda-client", "exp": NOW_S + 600, "iat": NOW_S, "name": "alice example",
        "preferred_username": "alice", "email": "alice@example.org", "groups": ["/amber", "/amber/Production"]})
}

impl Bench {
    fn ask(&self, token: &str, origin: Option<&str>) -> Result<Arc<Principal>, String> {
        let authorization = format!("Bearer {token}");
        let request =
            RequestIdentity { authorization: Some(&authorization), origin, peer_is_loopback: false, ..RequestIdentity::default() };
        self.oidc.authenticate(&request).map(|p| p.expect("a token never means anonymous")).map_err(|e| e.to_string())
    }
    fn with(&self, origin: Option<&str>, change: impl FnOnce(&mut Value)) -> Result<Arc<Principal>, String> {
        let mut claims = alice();
        change(&mut claims);
        self.ask(&self.signer.sign(&claims), origin)
    }
}

#[test]
fn a_member_is_known_by_what_the_token_says() {
    let b = amber();
    let who = b.with(Some("amber"), |_| ()).unwrap();
    assert_eq!((who.name.as_str(), who.nickname.as_str(), who.subject.as_str()), ("Alice Example", "alice", "a-1"));
    assert_eq!((who.vo.as_deref(), who.email.as_deref()), (Some("amber"), Some("alice@example.org")));
    assert!(who.roles.is_empty(), "a role is for those who ask");
    for origin in ["amber:production", "AMBER.production"] {
        assert!(b.with(Some(origin), |_| ()).unwrap().is_production(), "of {origin}");
    }
    assert!(b.with(None, |c| c["vo"] = json!("amber:production")).unwrap().is_production());
    assert_eq!(b.with(None, |_| ()).unwrap().vo.as_deref(), Some("amber"), "one VO only trusts the issuer");
    assert_eq!(b.with(Some("http://127.0.0.1"), |_| ()).unwrap().vo.as_deref(), Some("amber"), "a browser's header names no VO");
}

#[test]
fn each_refusal_says_why() {
    let b = amber();
    let mut seen = BTreeSet::new();
    let mut refused = |what: &str, got: Result<Arc<Principal>, String>| {
        let why = got.expect_err(what);
        assert!(seen.insert(why.clone()), "{what} is told as another one: {why}");
        format!("{what}: {why}")
    };
    let forge =
        |header: Value, signature: &str| format!("{}.{}.{signature}", B64.encode(header.to_string()), B64.encode(alice().to_string()));
    let good = b.signer.sign(&alice());
    let (signed, _) = good.rsplit_once('.').unwrap();
    let stranger = Signer::new("k1");
    let all = [
        refused("no token", b.ask("abc", None)),
        refused("alg none", b.ask(&forge(json!({"alg": "none"}), ""), None)),
        refused("unsigned", b.ask(&format!("{signed}."), None)),
        refused("another key id", b.ask(&Signer::new("k2").sign(&alice()), None)),
        refused("demands an extension", b.ask(&forge(json!({"alg": "ES256", "crit": ["b64"]}), "AAAA"), None)),
        refused("expired", b.with(None, |c| c["exp"] = json!(NOW_S))),
        refused("no end", b.with(None, |c| c["exp"] = Value::Null)),
        refused("not valid yet", b.with(None, |c| c["nbf"] = json!(NOW_S + 61))),
        refused("from the future", b.with(None, |c| c["iat"] = json!(NOW_S + 61))),
        refused("another issuer", b.with(None, |c| c["iss"] = json!("https://elsewhere.example.org"))),
        refused("no issuer", b.with(None, |c| c["iss"] = Value::Null)),
        refused("another audience", b.with(Some("amber"), |c| c["aud"] = json!(["x", "y"]))),
        refused("no subject", b.with(None, |c| c["sub"] = json!(" "))),
        refused("unknown VO", b.with(Some("beryl"), |_| ())),
        refused("not a member", b.with(Some("amber"), |c| c["groups"] = json!(["/other"]))),
        refused("not in the role's group", b.with(Some("amber:pilot"), |_| ())),
    ];
    insta::assert_snapshot!(all.join("\n"));
    assert!(b.ask(&forge(json!({"alg": "HS256", "kid": "k1"}), "AAAA"), None).unwrap_err().contains("not signed with a public key"));
    assert!(b.ask(&stranger.sign(&alice()), None).unwrap_err().contains("signature does not match"), "a forged key id");
    assert!(b.with(None, |c| c["nbf"] = json!(NOW_S + 59)).is_ok(), "clocks differ");
}

#[test]
fn vos_read_the_same_provider_in_their_own_way() {
    let beryl = Rules {
        groups_claim: "resource_access/panda/roles".into(),
        members: vec!["users".into(), "guests".into()],
        roles: [("production".to_owned(), "experts".to_owned())].into(),
        auto_roles: vec!["pilot".into(), "production".into()],
        audiences: vec!["https://wlcg.cern.ch/jwt/v1/any".into()],
        ..rules()
    };
    let wlcg = Rules { wlcg: true, ..rules() };
    let b = bench(&[("amber", rules()), ("beryl", beryl), ("lsst.org", wlcg)]);
    let of = |c: &mut Value, groups: Value| c["resource_access"] = json!({"panda": {"roles": groups}});
    let guest = b.with(Some("beryl"), |c| of(c, json!(["guests"]))).unwrap();
    assert!(guest.roles.is_empty());
    let expert = b.with(Some("beryl"), |c| of(c, json!(["guests", "experts"]))).unwrap();
    assert!(expert.is_production(), "a role that comes by itself");
    assert!(b.with(Some("beryl:production"), |c| of(c, json!(["guests"]))).unwrap_err().contains("experts"));
    assert!(b.with(Some("beryl"), |_| ()).unwrap_err().contains("users or guests"));
    let any = |c: &mut Value| {
        c["aud"] = json!(["https://wlcg.cern.ch/jwt/v1/any"]);
        of(c, json!(["users"]));
    };
    assert!(b.with(Some("beryl"), any).is_ok());
    assert!(b.with(Some("amber"), any).unwrap_err().contains("another audience"));
    assert!(b.with(None, |_| ()).unwrap_err().contains("name one in the header"));
    let who = b.with(Some("lsst.org.pilot"), |c| c["wlcg.groups"] = json!(["/lsst.org/pilot"])).unwrap();
    assert!(who.acts(&Role::Pilot, None));
}

#[test]
fn robots_stand_for_no_person() {
    let b = bench(&[("amber", Rules { robots: [("harvester-1".to_owned(), "pilot".to_owned())].into(), ..rules() })]);
    let robot = json!({"iss": IDP, "sub": "c-9", "client_id": "harvester-1", "exp": NOW_S + 60});
    let who = b.ask(&b.signer.sign(&robot), Some("amber")).unwrap();
    assert_eq!((who.name.as_str(), who.acts(&Role::Pilot, None)), ("robot pilot", true));
    let mut other = robot;
    other["client_id"] = json!("harvester-2");
    assert!(b.ask(&b.signer.sign(&other), Some("amber")).is_err());
}

#[test]
fn keys_come_and_go() {
    let b = amber();
    let token = b.signer.sign(&alice());
    assert!(b.ask(&token, None).is_ok());
    let second = Signer::new("k2");
    let new = second.sign(&alice());
    let request = |t: &str| format!("Bearer {t}");
    let ask = |t: &str| b.oidc.authenticate(&RequestIdentity { authorization: Some(&request(t)), ..RequestIdentity::default() });
    assert_eq!(ask(&new), Err(AccessError::UnknownKey(IDP.into())));
    b.oidc.set_keys(IDP, KeySet::read(&json!({"keys": [second.jwk()]})).unwrap());
    assert!(ask(&new).is_ok());
    assert_eq!(ask(&token), Err(AccessError::UnknownKey(IDP.into())), "what was verified by a key that is gone does not count");
    b.oidc.set_rules(BTreeMap::new());
    assert!(ask(&new).is_err(), "nor by rules that are gone");
    b.oidc.set_rules([("amber".to_owned(), Rules::new("https://other.example.org", "panda-client"))].into());
    assert_eq!(b.oidc.issuers().into_iter().collect::<Vec<_>>(), ["https://other.example.org"]);
    b.clock.fetch_add(601_000_000, Ordering::SeqCst);
    assert!(b.ask(&new, None).is_err());
}

#[test]
fn a_verified_token_ends_with_its_time() {
    let b = amber();
    let token = b.signer.sign(&alice());
    assert!(b.ask(&token, None).is_ok());
    b.clock.store((NOW_S + 600) * 1_000_000, Ordering::SeqCst);
    assert!(b.ask(&token, None).unwrap_err().contains("expired"));
}

#[test]
fn key_sets_are_read_with_care() {
    let bad = |v: Value| KeySet::read(&v).err().unwrap();
    assert!(bad(json!([])).contains("no list"));
    assert!(bad(json!({"keys": [{"kty": "oct", "k": "AAAA"}]})).contains("no key for signatures"));
    let rsa = json!({"kty": "RSA", "kid": "r", "alg": "RS256", "n": "AQAB", "e": "AQAB"});
    let short = json!({"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"});
    let other = json!({"kty": "RSA", "use": "enc", "n": "AQAB", "e": "AQAB"});
    assert_eq!(KeySet::read(&json!({"keys": [rsa, short, other, 7]})).unwrap().len(), 1);
}

#[test]
fn other_kinds_of_keys() {
    let b = amber();
    let key = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
    let key = Ed25519KeyPair::from_pkcs8(key.as_ref()).unwrap();
    let jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": B64.encode(key.public_key().as_ref())});
    b.oidc.set_keys(IDP, KeySet::read(&json!({"keys": [b.signer.jwk(), jwk]})).unwrap());
    let text = format!("{}.{}", B64.encode(json!({"alg": "EdDSA"}).to_string()), B64.encode(alice().to_string()));
    let token = format!("{text}.{}", B64.encode(key.sign(text.as_bytes())));
    assert!(b.ask(&token, None).is_ok(), "without key id, each key of the kind is tried");
    // An RSA token (RFC 7515, appendix A.2 has this key): PKCS#1 v1.5 with SHA-256.
    let n = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ";
    let keys = KeySet::read(&json!({"keys": [{"kty": "RSA", "n": n, "e": "AQAB"}]})).unwrap();
    let token = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
    assert_eq!(keys.verify(&Jws::parse(token).unwrap()), Verdict::Genuine);
    let forged = token.replace(".cC4", ".dC4");
    assert_eq!(keys.verify(&Jws::parse(&forged).unwrap()), Verdict::Forged);
}

/// The rules of one VO, which its administrators write, make nobody a person of another provider, and lock none out.
#[test]
fn a_vo_that_claims_anothers_issuer_gets_nobody_of_it() {
    let greedy =
        Rules { legacy_issuers: vec![IDP.to_owned(), "x509".to_owned()], ..Rules::new("https://greedy.example.org", "panda-client") };
    let b = bench(&[("amber", rules()), ("aaa", greedy)]);
    let own = Signer::new("k9");
    b.oidc.set_keys("https://greedy.example.org", KeySet::read(&json!({"keys": [own.jwk()]})).unwrap());
    let forged = |iss: &str, vo: &str| {
        let mut claims = alice();
        (claims["iss"], claims["groups"]) = (json!(iss), json!(["amber", "aaa"]));
        b.ask(&own.sign(&claims), Some(vo))
    };
    assert!(forged(IDP, "amber").is_err() && forged("x509", "amber").is_err());
    assert!(forged(IDP, "aaa").is_err(), "the provider whose name it bears did not sign it");
    assert_eq!(forged("x509", "aaa").unwrap().issuer, "https://greedy.example.org", "a person of the provider that signed");
    assert_eq!(b.with(Some("amber"), |_| ()).unwrap().issuer, IDP, "whoever is of the real one still comes in");
}
