//! Proxies that Debian's VOMS tools make.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use crate::authority::{Authority, CA, USER, Wanted, now, run};
use panda_access::x509::{Certificates, Places, Shown};
use panda_access::{AccessError, Identity, Principal, RequestIdentity, Role};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

const ALICE: &str = "/DC=org/DC=amber/CN=Alice Example";
const SERVER: &str = "/DC=org/DC=amber/CN=voms.example.org";
const ROOT: &str = "/DC=org/DC=amber/CN=Amber CA";

/// CA, person and VOMS server; RSA, since the tools know nothing else.
fn site() -> Authority {
    let a = Authority::new();
    a.make(&Wanted { key: "RSA 2048", ..Wanted::new("root", ROOT, "root", CA) });
    a.trust("root");
    a.make(&Wanted { key: "RSA 2048", ..Wanted::new("alice", ALICE, "root", USER) });
    a.make(&Wanted { key: "RSA 2048", ..Wanted::new("bob", "/DC=org/DC=amber/CN=Bob Example", "root", USER) });
    a.make(&Wanted { key: "RSA 2048", ..Wanted::new("voms", SERVER, "root", "keyUsage=critical,digitalSignature\n") });
    a.make(&Wanted {
        key: "RSA 2048",
        ..Wanted::new("forger", "/DC=org/DC=amber/CN=forger", "root", "keyUsage=critical,digitalSignature\n")
    });
    std::fs::create_dir_all(a.path("vomsdir/amber")).unwrap();
    lsc(&a, "amber", SERVER, ROOT);
    a
}

fn lsc(a: &Authority, vo: &str, server: &str, ca: &str) {
    std::fs::create_dir_all(a.path(&format!("vomsdir/{vo}"))).unwrap();
    std::fs::write(a.path(&format!("vomsdir/{vo}/voms.example.org.lsc")), format!("{server}\n{ca}\n")).unwrap();
}

/// Makes a proxy with attributes and reads it.
fn proxy(a: &Authority, by: &str, server: &str, vo: &str, more: &[&str]) -> Shown {
    let mut command = Command::new("voms-proxy-fake");
    command.current_dir(a.folder()).env("HOME", a.folder()).args(["-rfc", "-newformat", "-quiet", "-hours", "24", "-bits", "2048"]);
    command.args(["-cert", &format!("{by}.pem"), "-key", &format!("{by}.key"), "-certdir", "certificates"]);
    command.args(["-hostcert", &format!("{server}.pem"), "-hostkey", &format!("{server}.key")]);
    command.args(["-voms", vo, "-uri", "voms.example.org:15000", "-out", "proxy.pem"]).args(more);
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(a.path(&format!("{by}.key")), std::fs::Permissions::from_mode(0o600)).unwrap();
    run(&mut command);
    shown(&a.path("proxy.pem"))
}

fn shown(path: &Path) -> Shown {
    let pem = std::fs::read(path).unwrap();
    Shown::new(CertificateDer::pem_slice_iter(&pem).map(|c| c.unwrap().to_vec())).unwrap()
}

fn certificates(a: &Authority, at: i64) -> Certificates {
    std::fs::write(a.path("map"), format!("\"{ALICE}\" al\n")).unwrap();
    let places = Places { ca_dir: Some(a.dir()), voms_dir: Some(a.path("vomsdir")), map_file: None };
    Certificates::open(places, Arc::new(move || at * 1_000_000), Arc::new(|vo: &str| vo == "amber")).unwrap()
}

fn ask(certificates: &Certificates, shown: &Shown, origin: Option<&str>) -> Result<Arc<Principal>, AccessError> {
    certificates.authenticate(&RequestIdentity { certificate: Some(shown), origin, ..RequestIdentity::default() }).map(Option::unwrap)
}

#[test]
fn peer_attributes_of_a_vo_are_roles_and_groups() {
    let a = site();
    let fqans = ["-fqan", "/amber/Role=production", "-fqan", "/amber", "-fqan", "/amber/higgs", "-ga", "nickname=ali"];
    let proxy = proxy(&a, "alice", "voms", "amber", &fqans);
    let c = certificates(&a, now());
    let who = ask(&c, &proxy, None).unwrap();
    assert_eq!((who.issuer.as_str(), who.subject.as_str(), who.name.as_str()), ("x509", ALICE, "Alice Example"));
    assert_eq!((who.vo.as_deref(), who.nickname.as_str()), (Some("amber"), "ali"));
    assert!(who.roles.contains(&Role::Production) && who.roles.len() == 1);
    assert_eq!(who.groups, ["amber", "amber/production", "amber/higgs"]);
    assert_eq!(ask(&c, &proxy, Some("amber:pilot")), Err(AccessError::NotMember("amber/pilot".to_owned())));
    // Once more, out of what was verified.
    assert_eq!(ask(&c, &proxy, None).unwrap(), who);
    // What the server says may be taken back.
    std::fs::remove_file(a.path("vomsdir/amber/voms.example.org.lsc")).unwrap();
    assert!(c.reload());
    assert!(ask(&c, &proxy, None).unwrap_err().to_string().contains("no server voms.example.org is known here for the VO amber"));
}

#[test]
fn peer_attributes_that_do_not_hold_are_refused_with_the_reason() {
    let a = site();
    let production = ["-fqan", "/amber/Role=production"];
    let refused = |shown: &Shown, at: i64| ask(&certificates(&a, at), shown, None).unwrap_err().to_string();
    let forged = proxy(&a, "alice", "forger", "amber", &production);
    assert!(refused(&forged, now()).contains("names another certificate than /DC=org/DC=amber/CN=forger"), "{}", refused(&forged, now()));
    let stray = proxy(&a, "alice", "voms", "amber", &["-fqan", "/granite/Role=production"]);
    assert!(refused(&stray, now()).contains("`/granite/Role=production` is none of its groups"), "{}", refused(&stray, now()));
    let unknown = proxy(&a, "alice", "voms", "granite", &["-fqan", "/granite"]);
    assert!(refused(&unknown, now()).contains("no server voms.example.org is known here for the VO granite"));
    lsc(&a, "granite", SERVER, ROOT);
    assert_eq!(ask(&certificates(&a, now()), &unknown, None), Err(AccessError::UnknownVo("granite".to_owned())));
    let brief = proxy(&a, "alice", "voms", "amber", &["-fqan", "/amber", "-vomslife", "1"]);
    assert!(ask(&certificates(&a, now()), &brief, None).is_ok());
    assert!(refused(&brief, now() + 2 * 3_600).contains("they expired on"), "{}", refused(&brief, now() + 2 * 3_600));
    let limited = proxy(&a, "alice", "voms", "amber", &["-fqan", "/amber", "-limited"]);
    assert!(refused(&limited, now()).contains("is a limited proxy"), "{}", refused(&limited, now()));
}

#[test]
fn peer_attributes_of_somebody_else_are_refused() {
    let a = site();
    // Bob puts what was said of Alice into a proxy of his own.
    let of_alice = {
        let alice = proxy(&a, "alice", "voms", "amber", &["-fqan", "/amber/Role=production"]);
        panda_access::x509::cert::Certificate::read(&alice.chain()[0]).unwrap().voms[0].clone()
    };
    let hex: String = wrap(&wrap(&of_alice)).iter().map(|octet| format!("{octet:02x}")).collect();
    let extensions = format!("{}1.3.6.1.4.1.8005.100.100.5=DER:{hex}\n", crate::authority::PROXY);
    a.make(&Wanted::new("stolen", "/DC=org/DC=amber/CN=Bob Example/CN=1", "bob", &extensions));
    let stolen = Shown::new([a.der("stolen"), a.der("bob")].into_iter()).unwrap();
    let why = ask(&certificates(&a, now()), &stolen, None).unwrap_err().to_string();
    assert!(why.contains("they are of somebody else than /DC=org/DC=amber/CN=Bob Example"), "{why}");
}

/// A SEQUENCE of these octets.
fn wrap(octets: &[u8]) -> Vec<u8> {
    let length = u16::try_from(octets.len()).unwrap().to_be_bytes();
    [&[0x30, 0x82], &length[..], octets].concat()
}

#[test]
fn peer_files_map_names() {
    let a = site();
    let c = |map: &str| {
        std::fs::write(a.path("map"), map).unwrap();
        let places = Places { ca_dir: Some(a.dir()), voms_dir: None, map_file: Some(a.path("map")) };
        Certificates::open(places, Arc::new(|| now() * 1_000_000), Arc::new(|vo: &str| vo == "amber")).unwrap()
    };
    let plain = Shown::new([a.der("alice")].into_iter()).unwrap();
    let mapped = c(&format!("\"{ALICE}\" al amber:pilot\n"));
    let who = ask(&mapped, &plain, None).unwrap();
    assert_eq!((who.vo.as_deref(), who.nickname.as_str(), who.acts(&Role::Pilot, None)), (Some("amber"), "al", true));
    // Attributes are not looked at without a VOMS directory.
    let proxy = proxy(&a, "alice", "voms", "amber", &["-fqan", "/amber/Role=production"]);
    assert!(!ask(&mapped, &proxy, None).unwrap().is_production());
    // A file that is broken counts as it was, and that is told.
    std::fs::write(a.path("map"), "Alice\n").unwrap();
    assert!(mapped.reload());
    assert!(ask(&mapped, &plain, None).unwrap().acts(&Role::Pilot, None));
    assert!(mapped.report()[0].contains("line 1: a name in quotation marks"), "{:?}", mapped.report());
    std::fs::write(a.path("map"), "").unwrap();
    assert!(mapped.reload());
    let who = ask(&mapped, &plain, None).unwrap();
    assert_eq!((who.vo.as_deref(), who.nickname.as_str(), who.roles.len()), (None, "aliceexample", 0));
    assert!(mapped.report().is_empty());
}
