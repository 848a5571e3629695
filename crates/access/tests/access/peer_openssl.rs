//! Chains of every kind: accepted or refused as OpenSSL does with proxies allowed, at security level 2.

use crate::authority::{Authority, CA, PROXY, USER, Wanted, now};
use panda_access::x509::caller::acts_fully;
use panda_access::x509::cert::Certificate;
use panda_access::x509::chain::{Purpose, verify};

const ROOT: &str = "/DC=org/DC=amber/CN=Amber CA";
const ALICE: &str = "/DC=org/DC=amber/OU=people/CN=Alice Example";

fn proxy(policy: &str) -> String {
    format!("keyUsage=critical,digitalSignature\nproxyCertInfo=critical,{policy}\n")
}

/// Makes everything that the table names.
#[allow(clippy::too_many_lines, reason = "a list")]
fn made() -> Authority {
    let a = Authority::new();
    let make = |name: &str, subject: &str, issuer: &str, extensions: &str| a.make(&Wanted::new(name, subject, issuer, extensions));
    make("root", ROOT, "root", CA);
    a.trust("root");
    make("alice", ALICE, "root", USER);
    // Proxies.
    let below = |cn: &str| format!("{ALICE}/CN={cn}");
    make("p1", &below("1"), "alice", PROXY);
    make("p2", &below("1/CN=2"), "p1", PROXY);
    make("p3", &below("1/CN=2/CN=3"), "p2", PROXY);
    make("zero", &below("5"), "alice", &proxy("language:id-ppl-inheritAll,pathlen:0"));
    make("below-zero", &below("5/CN=6"), "zero", PROXY);
    make("one", &below("7"), "alice", &proxy("language:id-ppl-inheritAll,pathlen:1"));
    make("one-zero", &below("7/CN=8"), "one", &proxy("language:id-ppl-inheritAll,pathlen:0"));
    make("one-five", &below("7/CN=9"), "one", &proxy("language:id-ppl-inheritAll,pathlen:5"));
    make("one-p-p", &below("7/CN=8/CN=1"), "one-zero", PROXY);
    make("renamed", "/DC=org/DC=amber/OU=people/CN=Mallory/CN=1", "alice", PROXY);
    make("two-more", &below("1/CN=2"), "alice", PROXY);
    make("none-more", ALICE, "alice", PROXY);
    make("ou-last", &format!("{ALICE}/OU=1"), "alice", PROXY);
    make("multi", &format!("{ALICE}/CN=1+OU=x"), "alice", PROXY);
    make("no-proxy", &below("1"), "alice", USER);
    make("old", &below("proxy"), "alice", "keyUsage=critical,digitalSignature\n");
    make("of-ca", &format!("{ROOT}/CN=1"), "root", PROXY);
    make("ca-proxy", &below("11"), "alice", &format!("basicConstraints=critical,CA:TRUE\n{PROXY}"));
    make("san-proxy", &below("12"), "alice", &format!("subjectAltName=DNS:x.example.org\n{PROXY}"));
    make("mute-proxy", &below("13"), "alice", "keyUsage=critical,keyEncipherment\nproxyCertInfo=critical,language:id-ppl-inheritAll\n");
    make("server-proxy", &below("14"), "alice", &format!("extendedKeyUsage=serverAuth\n{PROXY}"));
    make("limited", &below("15"), "alice", &proxy("language:1.3.6.1.4.1.3536.1.1.1.9"));
    make("full-of-limited", &below("15/CN=1"), "limited", PROXY);
    make("independent", &below("16"), "alice", &proxy("language:id-ppl-independent"));
    make("soft", &below("17"), "alice", "keyUsage=critical,digitalSignature\nproxyCertInfo=language:id-ppl-inheritAll\n");
    make("odd-proxy", &below("18"), "alice", &format!("1.2.3.4=critical,ASN1:UTF8String:x\n{PROXY}"));
    a.make(&Wanted { days: 10, ..Wanted::new("short", &below("19"), "alice", PROXY) });
    // Persons.
    let person = |name: &str, extensions: &str| make(name, &format!("/DC=org/DC=amber/OU=people/CN={name}"), "root", extensions);
    a.make(&Wanted { days: 10, ..Wanted::new("brief", "/DC=org/DC=amber/CN=brief", "root", USER) });
    make("of-brief", "/DC=org/DC=amber/CN=brief/CN=1", "brief", PROXY);
    person("bare", "");
    person("encipher", "keyUsage=critical,keyEncipherment\n");
    person("agree", "keyUsage=critical,keyAgreement\n");
    make("of-agree", "/DC=org/DC=amber/OU=people/CN=agree/CN=1", "agree", PROXY);
    person("server", "keyUsage=critical,digitalSignature\nextendedKeyUsage=serverAuth\n");
    person("any", "keyUsage=critical,digitalSignature\nextendedKeyUsage=anyExtendedKeyUsage\n");
    person("both", "keyUsage=critical,digitalSignature\nextendedKeyUsage=clientAuth,serverAuth\n");
    person("odd", &format!("1.2.3.4=critical,ASN1:UTF8String:x\n{USER}"));
    person("odd-but-quiet", &format!("1.2.3.4=ASN1:UTF8String:x\n{USER}"));
    person("policies", &format!("certificatePolicies=critical,1.2.3.4\n{USER}"));
    make("uml\u{e4}ut", "/DC=org/DC=amber/CN=J\u{f6}rg", "root", USER);
    for (name, key, digest) in [
        ("rsa1024", "RSA 1024", "sha256"),
        ("rsa2048", "RSA 2048", "sha256"),
        ("p384", "EC384", "sha384"),
        ("ed25519", "ED25519", "sha256"),
        ("sha1", "EC", "sha1"),
    ] {
        a.make(&Wanted { key, digest, ..Wanted::new(name, &format!("/DC=org/DC=amber/CN={name}"), "root", USER) });
    }
    make("rsa-proxy", "/DC=org/DC=amber/CN=rsa2048/CN=1", "rsa2048", PROXY);
    a.make(&Wanted { key: "RSA 1024", ..Wanted::new("weak-proxy", &below("21"), "alice", PROXY) });
    a.make(&Wanted { digest: "sha1", ..Wanted::new("sha1-proxy", &below("22"), "alice", PROXY) });
    // Other CAs.
    make("other", "/DC=org/DC=flint/CN=Flint CA", "other", CA);
    make("of-other", "/DC=org/DC=flint/CN=Bob", "other", USER);
    make("p-of-other", "/DC=org/DC=flint/CN=Bob/CN=1", "of-other", PROXY);
    make("twin", ROOT, "twin", CA);
    make("of-twin", ALICE, "twin", &USER.replace("authorityKeyIdentifier=keyid\n", ""));
    make("self", "/DC=org/DC=amber/CN=self", "self", USER);
    make("sub", "/DC=org/DC=amber/CN=Sub CA", "root", &CA.replace("CA:TRUE", "CA:TRUE,pathlen:0"));
    make("of-sub", "/DC=org/DC=amber/CN=Carol", "sub", USER);
    make("p-of-sub", "/DC=org/DC=amber/CN=Carol/CN=1", "of-sub", PROXY);
    make("p-p-of-sub", "/DC=org/DC=amber/CN=Carol/CN=1/CN=2", "p-of-sub", PROXY);
    make("subsub", "/DC=org/DC=amber/CN=Sub Sub CA", "sub", CA);
    make("of-subsub", "/DC=org/DC=amber/CN=Dave", "subsub", USER);
    make("p-of-subsub", "/DC=org/DC=amber/CN=Dave/CN=1", "of-subsub", PROXY);
    make("no-ca", "/DC=org/DC=amber/CN=No CA", "root", "basicConstraints=critical,CA:FALSE\nkeyUsage=critical,keyCertSign\n");
    make("of-no-ca", "/DC=org/DC=amber/CN=Erin", "no-ca", USER);
    make("no-sign", "/DC=org/DC=amber/CN=No Sign", "root", "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,cRLSign\n");
    make("of-no-sign", "/DC=org/DC=amber/CN=Fred", "no-sign", USER);
    make("server-ca", "/DC=org/DC=amber/CN=Server CA", "root", &format!("extendedKeyUsage=serverAuth\n{CA}"));
    make("of-server-ca", "/DC=org/DC=amber/CN=Gina", "server-ca", USER);
    let tree = "[t]\n1.DC=org\n2.DC=amber\n3.OU=people\n";
    make("fenced", "/DC=org/DC=amber/CN=Fenced CA", "root", &format!("nameConstraints=critical,permitted;dirName:t\n{CA}{tree}"));
    make("inside", "/DC=org/DC=amber/OU=people/CN=In", "fenced", USER);
    make("p-inside", "/DC=org/DC=amber/OU=people/CN=In/CN=1", "inside", PROXY);
    make("outside", "/DC=org/DC=amber/OU=robots/CN=Out", "fenced", USER);
    make("banned", "/DC=org/DC=amber/CN=Banning CA", "root", &format!("nameConstraints=critical,excluded;dirName:t\n{CA}{tree}"));
    make("in-banned", "/DC=org/DC=amber/OU=people/CN=In", "banned", USER);
    make("off-banned", "/DC=org/DC=amber/OU=robots/CN=Off", "banned", USER);
    a
}

/// Days from now at which a chain is looked at.
const TABLE: &[(&[&str], i64)] = &[
    (&["alice"], 0),
    (&["alice", "root"], 0),
    (&["p1", "alice"], 0),
    (&["p1", "root", "alice"], 0),
    (&["p2", "p1", "alice"], 0),
    (&["p2", "alice", "p1"], 0),
    (&["p2", "alice"], 0),
    (&["p3", "p2", "p1", "alice"], 0),
    (&["p1"], 0),
    (&["zero", "alice"], 0),
    (&["below-zero", "zero", "alice"], 0),
    (&["one", "alice"], 0),
    (&["one-zero", "one", "alice"], 0),
    (&["one-five", "one", "alice"], 0),
    (&["one-p-p", "one-zero", "one", "alice"], 0),
    (&["renamed", "alice"], 0),
    (&["two-more", "alice"], 0),
    (&["none-more", "alice"], 0),
    (&["ou-last", "alice"], 0),
    (&["multi", "alice"], 0),
    (&["no-proxy", "alice"], 0),
    (&["old", "alice"], 0),
    (&["of-ca"], 0),
    (&["ca-proxy", "alice"], 0),
    (&["san-proxy", "alice"], 0),
    (&["mute-proxy", "alice"], 0),
    (&["server-proxy", "alice"], 0),
    (&["limited", "alice"], 0),
    (&["full-of-limited", "limited", "alice"], 0),
    (&["independent", "alice"], 0),
    (&["soft", "alice"], 0),
    (&["odd-proxy", "alice"], 0),
    (&["short", "alice"], 0),
    (&["short", "alice"], 11),
    (&["brief"], 0),
    (&["brief"], 11),
    (&["of-brief", "brief"], 9),
    (&["of-brief", "brief"], 11),
    (&["alice"], -1),
    (&["alice"], 1_001),
    (&["bare"], 0),
    (&["encipher"], 0),
    (&["agree"], 0),
    (&["of-agree", "agree"], 0),
    (&["server"], 0),
    (&["any"], 0),
    (&["both"], 0),
    (&["odd"], 0),
    (&["odd-but-quiet"], 0),
    (&["policies"], 0),
    (&["uml\u{e4}ut"], 0),
    (&["rsa1024"], 0),
    (&["rsa2048"], 0),
    (&["rsa-proxy", "rsa2048"], 0),
    (&["p384"], 0),
    (&["ed25519"], 0),
    (&["sha1"], 0),
    (&["weak-proxy", "alice"], 0),
    (&["sha1-proxy", "alice"], 0),
    (&["of-other"], 0),
    (&["of-other", "other"], 0),
    (&["p-of-other", "of-other", "other"], 0),
    (&["of-twin"], 0),
    (&["of-twin", "twin"], 0),
    (&["self"], 0),
    (&["root"], 0),
    (&["of-sub", "sub"], 0),
    (&["of-sub"], 0),
    (&["p-of-sub", "of-sub", "sub"], 0),
    (&["p-p-of-sub", "p-of-sub", "of-sub", "sub"], 0),
    (&["of-subsub", "subsub", "sub"], 0),
    (&["p-of-subsub", "of-subsub", "subsub", "sub"], 0),
    (&["of-no-ca", "no-ca"], 0),
    (&["of-no-sign", "no-sign"], 0),
    (&["of-server-ca", "server-ca"], 0),
    (&["inside", "fenced"], 0),
    (&["p-inside", "inside", "fenced"], 0),
    (&["outside", "fenced"], 0),
    (&["in-banned", "banned"], 0),
    (&["off-banned", "banned"], 0),
];

/// Compares every row; prints what both say.
fn compare(a: &Authority, table: &[(&[&str], i64)], with_lists: bool) -> (usize, usize) {
    let trust = a.store().current();
    let (mut accepted, mut differ) = (0, Vec::new());
    for (chain, days) in table {
        let at = now() + days * 86_400;
        let shown: Vec<Vec<u8>> = chain.iter().map(|name| a.der(name)).collect();
        let ours = verify(&shown, &trust, at, Purpose::Client).map(drop).map_err(|why| why.to_string());
        let theirs = a.openssl_says(chain, at, with_lists);
        println!("{:<48} {ours:?}", format!("{chain:?} {days:+}"));
        accepted += usize::from(ours.is_ok());
        if ours.is_ok() != theirs.is_ok() {
            differ.push(format!("{chain:?} {days:+}: ours {ours:?}, OpenSSL's {theirs:?}"));
        }
    }
    assert!(differ.is_empty(), "{}", differ.join("\n"));
    (accepted, table.len())
}

#[test]
fn peer_chains_are_taken_as_openssl_takes_them() {
    let a = made();
    let (accepted, all) = compare(&a, TABLE, false);
    assert!(accepted > 25 && all - accepted > 30, "{accepted} of {all}");
    // With lists of both CAs that can have revoked something.
    a.trust("sub");
    a.revoke("root", &["brief", "no-ca"], 30);
    a.revoke("sub", &["of-sub"], 30);
    let lists: &[(&[&str], i64)] = &[
        (&["alice"], 0),
        (&["p1", "alice"], 0),
        (&["brief"], 0),
        (&["of-brief", "brief"], 0),
        (&["of-sub"], 0),
        (&["of-sub", "sub"], 0),
        (&["p-of-sub", "of-sub", "sub"], 0),
    ];
    assert_eq!(compare(&a, lists, true), (2, 7));
    a.revoke("root", &["sub"], 30);
    a.revoke("sub", &[], 30);
    assert_eq!(compare(&a, &[(&["of-sub", "sub"], 0), (&["brief"], 0)], true), (1, 2));
}

#[test]
fn peer_a_list_of_the_past_counts_a_week_longer_and_is_told() {
    let a = Authority::new();
    a.make(&Wanted::new("root", ROOT, "root", CA));
    a.make(&Wanted::new("alice", ALICE, "root", USER));
    a.make(&Wanted::new("brief", "/DC=org/DC=amber/CN=brief", "root", USER));
    a.trust("root");
    a.revoke("root", &["brief"], 30);
    let trust = a.store().current();
    let ask = |name: &str, days: i64| verify(&[a.der(name)], &trust, now() + days * 86_400, Purpose::Client).map(|holds| holds.until);
    let told = |days: i64| trust.report(now() + days * 86_400);
    assert!(ask("alice", 0).is_ok() && told(0).is_empty() && told(26).is_empty());
    assert!(told(28)[0].contains("ends on") && ask("alice", 28).is_ok());
    assert!(told(31)[0].contains("it counts until") && ask("alice", 31).is_ok(), "the grace");
    assert!(ask("brief", 31).unwrap_err().to_string().contains("was revoked"));
    assert!(told(38)[0].contains("nobody with a certificate of it gets in"));
    assert!(ask("alice", 38).unwrap_err().to_string().contains("its grace is over"));
    assert!((ask("alice", 0).unwrap() - now() - 37 * 86_400).abs() < 60, "what holds now does not hold beyond the list");
}

#[test]
fn peer_what_proxies_hand_on() {
    let a = Authority::new();
    a.make(&Wanted::new("root", ROOT, "root", CA));
    a.make(&Wanted::new("alice", ALICE, "root", USER));
    a.trust("root");
    let trust = a.store().current();
    for (name, language, want) in [
        ("full", "id-ppl-inheritAll", None),
        ("limited", "1.3.6.1.4.1.3536.1.1.1.9", Some("is a limited proxy")),
        ("independent", "id-ppl-independent", Some("is an independent proxy")),
        ("own", "1.2.3.4,policy:text:AB", Some("with a policy of its own")),
    ] {
        let subject = format!("{ALICE}/CN=1");
        a.make(&Wanted::new(name, &subject, "alice", &proxy(&format!("language:{language}"))));
        a.make(&Wanted::new("last", &format!("{subject}/CN=2"), name, PROXY));
        let holds = verify(&[a.der("last"), a.der(name), a.der("alice")], &trust, now(), Purpose::Client).unwrap();
        assert_eq!(holds.own().subject.slash(), ALICE);
        let got = acts_fully(&holds).map_err(|why| why.to_string());
        match want {
            None => assert_eq!(got, Ok(())),
            Some(part) => assert!(got.clone().unwrap_err().contains(part), "{got:?}"),
        }
    }
}

#[test]
fn peer_names_and_hashes_are_openssls() {
    let a = Authority::new();
    let subjects = [
        ROOT,
        "/C=CH/O=Amber  Lab /OU= people/CN=J\u{f6}rg  M\u{fc}ller/emailAddress=j@example.org",
        "/C=CH/serialNumber=12/UID=x/title=Dr/GN=A/SN=B/initials=AB/L=here/ST=there/street=1/postalCode=9/CN=a+OU=b",
    ];
    for (n, subject) in subjects.iter().enumerate() {
        let name = format!("n{n}");
        a.make(&Wanted::new(&name, subject, &name, CA));
        let certificate = Certificate::read(&a.der(&name)).unwrap();
        let pem = a.path(&format!("{name}.pem"));
        let ask = |args: &[&str]| {
            let out = crate::authority::run(std::process::Command::new("openssl").args(["x509", "-noout", "-in"]).arg(&pem).args(args));
            out.trim().trim_start_matches("subject=").trim().to_owned()
        };
        assert_eq!(certificate.subject.slash(), ask(&["-subject", "-nameopt", "compat"]));
        assert_eq!(format!("{:08x}", certificate.subject.hash()), ask(&["-subject_hash"]), "{subject}");
    }
}

#[test]
fn peer_no_changed_octet_of_a_chain_is_accepted() {
    let a = Authority::new();
    a.make(&Wanted::new("root", ROOT, "root", CA));
    a.make(&Wanted::new("alice", ALICE, "root", USER));
    a.make(&Wanted::new("p1", &format!("{ALICE}/CN=1"), "alice", PROXY));
    a.trust("root");
    let trust = a.store().current();
    let good = [a.der("p1"), a.der("alice")];
    verify(&good, &trust, now(), Purpose::Client).unwrap();
    for which in 0..2 {
        for at in 0..good[which].len() {
            for change in [1, 0x80] {
                let mut bad = good.clone();
                bad[which][at] ^= change;
                assert!(verify(&bad, &trust, now(), Purpose::Client).is_err(), "octet {at} of {which}");
            }
        }
    }
}
