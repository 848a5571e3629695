//! `panda cert`: certificates that it makes, and every fault that it tells, over real sockets.

use crate::program::{Program, Up};
use panda_access::x509::{Certificates, Places};
use panda_server::tls::verifier::Clients;
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use serde_json::Value;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const DAY: i64 = 86_400;

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().try_into().unwrap()
}

/// A certificate with what it takes to sign with it.
struct Made {
    der: CertificateDer<'static>,
    pem: String,
    key: KeyPair,
    params: CertificateParams,
}

impl Made {
    fn issuer(&self) -> Issuer<'_, &KeyPair> {
        Issuer::from_params(&self.params, &self.key)
    }

    fn file(&self, dir: &Path, name: &str) -> PathBuf {
        std::fs::create_dir_all(dir).unwrap();
        std::fs::write(dir.join(name), &self.pem).unwrap();
        dir.join(name)
    }

    /// The name under which OpenSSL looks for it.
    fn hash(&self) -> String {
        format!("{:08x}.0", panda_access::x509::cert::Certificate::read(&self.der).unwrap().subject.hash())
    }
}

/// Names from the root down, what else is wanted, from when to when (days from now), and the issuer.
fn make(names: &[&str], by: Option<&Made>, days: (i64, i64), change: impl FnOnce(&mut CertificateParams)) -> Made {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, names[0]);
    for (number, name) in names[1..].iter().enumerate() {
        // rcgen keeps one part of each type: proxies need further common names.
        let kind = if number == 0 { DnType::CommonName } else { DnType::CustomDnType(vec![2, 5, 4, 3]) };
        params.distinguished_name.push(kind, *name);
    }
    let at = |days: i64| rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(u64::try_from(now() + days * DAY).unwrap());
    (params.not_before, params.not_after) = (at(days.0), at(days.1));
    change(&mut params);
    let key = KeyPair::generate().unwrap();
    let cert = match by {
        Some(by) => params.signed_by(&key, &by.issuer()).unwrap(),
        None => params.self_signed(&key).unwrap(),
    };
    Made { der: cert.der().clone(), pem: cert.pem(), key, params }
}

fn ca(name: &str, by: Option<&Made>) -> Made {
    make(&["Amber", name], by, (-1, 1_000), |params| {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    })
}

fn host(by: &Made, days: (i64, i64), names: &[&str]) -> Made {
    make(&["Amber", "localhost"], Some(by), days, |params| {
        params.subject_alt_names = names.iter().map(|name| rcgen::SanType::DnsName((*name).try_into().unwrap())).collect();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    })
}

fn person(by: &Made) -> Made {
    make(&["Amber", "Alice"], Some(by), (-1, 300), |params| params.key_usages = vec![KeyUsagePurpose::DigitalSignature])
}

/// A proxy; `length` is how many may follow.
fn proxy(names: &[&str], by: &Made, days: (i64, i64), length: Option<u8>) -> Made {
    make(names, Some(by), days, |params| {
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        // id-ppl-inheritAll, with the path length before it.
        let policy = [0x30, 0x0a, 0x06, 0x08, 0x2b, 6, 1, 5, 5, 7, 21, 1];
        let inner: Vec<u8> = length.map(|n| vec![2, 1, n]).unwrap_or_default().into_iter().chain(policy).collect();
        let content = [&[0x30, u8::try_from(inner.len()).unwrap()], &inner[..]].concat();
        let mut info = CustomExtension::from_oid_content(&[1, 3, 6, 1, 5, 5, 7, 1, 14], content);
        info.set_criticality(true);
        params.custom_extensions.push(info);
    })
}

/// Serves TLS with this chain until the process ends; `ahead_s` is how far its clock is ahead; clients of `cas` may show certificates.
fn serve(chain: &[&Made], ahead_s: i64, cas: Option<&Path>) -> String {
    let ders = chain.iter().map(|made| made.der.clone()).collect();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(chain[0].key.serialize_der()));
    let verifier = match cas {
        None => WebPkiClientVerifier::no_client_auth(),
        Some(dir) => {
            let places = Places { ca_dir: Some(dir.to_owned()), voms_dir: None, map_file: None };
            let known = Certificates::open(places, Arc::new(|| now() * 1_000_000), Arc::new(|_: &str| true)).unwrap();
            Arc::new(Clients::new(Arc::new(known)))
        }
    };
    let config = rustls::ServerConfig::builder_with_provider(panda_server::tls::provider()).with_safe_default_protocol_versions().unwrap();
    let config = Arc::new(config.with_client_cert_verifier(verifier).with_single_cert(ders, key).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let connection = rustls::ServerConnection::new(config.clone()).unwrap();
            let mut stream = rustls::StreamOwned::new(connection, stream.unwrap());
            let mut request = [0; 1_024];
            if stream.read(&mut request).is_ok() {
                let date = jiff::Timestamp::from_second(now() + ahead_s).unwrap().strftime("%a, %d %b %Y %H:%M:%S GMT");
                let _ = write!(stream, "HTTP/1.1 200 OK\r\nDate: {date}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
                stream.conn.send_close_notify();
                let _ = stream.flush();
            }
        }
    });
    endpoint
}

struct Site {
    program: Program,
    dir: PathBuf,
    root: Made,
}

impl Site {
    /// A root that clients trust by its hash.
    fn new() -> Self {
        let program = Program::new();
        let dir = program.home.path().join("certificates");
        let root = ca("Root", None);
        root.file(&dir, &root.hash());
        Self { program, dir, root }
    }

    /// The faults that are told (who, which), sorted; the exit code must fit.
    fn faults(&self, words: &[&str]) -> (Vec<(String, String)>, String) {
        let mut command = self.program.command(&[&["--json", "cert", "check", "--ca-dir", self.dir.to_str().unwrap()], words].concat());
        command.env("SSL_CERT_FILE", self.dir.join(self.root.hash())).env("TMPDIR", self.program.home.path());
        let done = Program::finish(command);
        let answer: Value = serde_json::from_str(&done.out).unwrap_or_else(|error| panic!("{error}: {}{}", done.out, done.err));
        let checks = answer["checks"].as_array().unwrap();
        let bad: Vec<&Value> = checks.iter().filter(|check| check["verdict"] == "bad").collect();
        assert_eq!((done.code, answer["ok"].as_bool()), (i32::from(!bad.is_empty()), Some(bad.is_empty())), "{}", done.out);
        assert!(bad.iter().all(|check| check["hint"].as_str().is_some_and(|hint| !hint.is_empty())), "{}", done.out);
        let text = |check: &Value, key: &str| check[key].as_str().unwrap_or("?").to_owned();
        (bad.iter().map(|check| (text(check, "check"), text(check, "fault"))).collect(), done.out)
    }

    /// What all three tell of a chain.
    fn all(&self, chain: &[&Made]) -> (Vec<(String, String)>, String) {
        self.faults(&[&serve(chain, 0, None), "--name", "localhost"])
    }
}

fn by_all(fault: &str) -> Vec<(String, String)> {
    ["client", "pilot", "browser"].map(|who| (who.to_owned(), fault.to_owned())).to_vec()
}

#[test]
fn faults_of_servers_are_told_by_their_kind() {
    let site = Site::new();
    let between = ca("Between", Some(&site.root));
    let good = (-1, 300);
    assert_eq!(site.all(&[&host(&between, good, &["localhost"]), &between]).0, []);
    let told = site.all(&[&host(&site.root, (-9, -1), &["localhost"])]);
    assert!(told.0 == by_all("expired") && told.1.contains("/O=Amber/CN=localhost expired on "), "{}", told.1);
    let told = site.all(&[&host(&site.root, (1, 9), &["localhost"])]);
    assert!(told.0 == by_all("not_yet_valid") && told.1.contains("is not valid before "), "{}", told.1);
    let told = site.all(&[&host(&site.root, good, &["other.example.org"])]);
    assert!(told.0 == by_all("wrong_name") && told.1.contains("is for other.example.org, not for localhost"), "{}", told.1);
    // A common name is enough for some, not for browsers.
    assert_eq!(site.all(&[&host(&site.root, good, &[])]).0, [("browser".to_owned(), "wrong_name".to_owned())]);
    let stranger = ca("Stranger", None);
    let told = site.all(&[&host(&stranger, good, &["localhost"])]);
    assert!(told.0 == by_all("unknown_ca") && told.1.contains(&format!("as `{}`", stranger.hash())), "{}", told.1);
    let told = site.all(&[&stranger]);
    assert!(told.0[0].1 == "unknown_ca" && told.1.contains("vouches for itself"), "{}", told.1);
    // Two things at once are told both.
    let told = site.all(&[&host(&stranger, good, &["other.example.org"])]);
    assert_eq!(told.0.iter().filter(|(_, fault)| fault == "wrong_name").count(), 3, "{}", told.1);
}

#[test]
fn a_missing_intermediate_is_not_an_unknown_ca() {
    let site = Site::new();
    let between = ca("Between", Some(&site.root));
    let lower = ca("Lower", Some(&between));
    // The CA above the gap was sent.
    let told = site.all(&[&host(&lower, (-1, 300), &["localhost"]), &between]);
    assert!(told.0 == by_all("missing_intermediate") && told.1.contains("which is not sent along, though CAs above it are"), "{}", told.1);
    // The certificate says where its issuer's is.
    let told_where = make(&["Amber", "localhost"], Some(&between), (-1, 300), |params| {
        params.subject_alt_names = vec![rcgen::SanType::DnsName("localhost".try_into().unwrap())];
        let address = b"http://ca.example.org/between.crt";
        let length = u8::try_from(address.len()).unwrap();
        let way = [0x06, 8, 0x2b, 6, 1, 5, 5, 7, 48, 2, 0x86, length];
        let entry = [&[0x30, length + 12], &way[..], address].concat();
        let content = [&[0x30, length + 14], &entry[..]].concat();
        params.custom_extensions.push(CustomExtension::from_oid_content(&[1, 3, 6, 1, 5, 5, 7, 1, 1], content));
    });
    let told = site.all(&[&told_where]);
    assert!(told.0 == by_all("missing_intermediate") && told.1.contains("fetch it from http://ca.example.org/between.crt"), "{}", told.1);
    // Who has it all the same sees nothing wrong, the others do.
    between.file(&site.dir, &between.hash());
    let told = site.all(&[&host(&between, (-1, 300), &["localhost"])]);
    assert_eq!(told.0, [("browser".to_owned(), "missing_intermediate".to_owned())], "{}", told.1);
}

#[test]
fn clocks_and_directories_are_told() {
    let site = Site::new();
    let own = host(&site.root, (-1, 300), &["localhost"]);
    let told = site.faults(&[&serve(&[&own], 3_600, None), "--name", "localhost"]);
    assert!(told.0 == [("clock".to_owned(), "clock_skew".to_owned())] && told.1.contains("s ahead of ours"), "{}", told.1);
    // The CA is there under a name for people only.
    let named = Site { dir: site.program.home.path().join("named"), ..Site::new() };
    named.root.file(&named.dir, "root.pem");
    let own = host(&named.root, (-1, 300), &["localhost"]);
    let told = named.faults(&[&serve(&[&own], 0, None), "--name", "localhost", "--as", "client"]);
    assert!(told.0 == [("client".to_owned(), "unknown_ca".to_owned())] && told.1.contains("openssl rehash"), "{}", told.1);
    let none = Site { dir: site.program.home.path().join("none"), ..Site::new() };
    assert_eq!(none.faults(&[&serve(&[&own], 0, None), "--as", "client", "--name", "localhost"]).0[0].1, "unknown_ca");
    let silent = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let done = site.program.run(&["cert", "check", &silent]);
    assert!(done.code == 1 && done.err.contains("cannot connect to"), "{}", done.err);
    assert_eq!(site.program.run(&["cert", "check", "a:b"]).code, 2);
}

#[test]
fn proxies_that_are_too_long_are_told_and_refused() {
    let site = Site::new();
    let own = host(&site.root, (-1, 300), &["localhost"]);
    let endpoint = serve(&[&own], 0, Some(&site.dir));
    let alice = person(&site.root);
    let first = proxy(&["Amber", "Alice", "1"], &alice, (-1, 5), Some(0));
    let second = proxy(&["Amber", "Alice", "1", "2"], &first, (-1, 1), None);
    let told = |name: &str, chain: &[&Made]| {
        let text: String =
            [chain[0].pem.clone(), chain[0].key.serialize_pem()].into_iter().chain(chain[1..].iter().map(|c| c.pem.clone())).collect();
        let path = site.program.write(name, &text);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        let told = site.faults(&[&endpoint, "--name", "localhost", "--proxy", path.to_str().unwrap()]);
        (told.0.into_iter().map(|(who, fault)| format!("{who} {fault}")).collect::<Vec<_>>(), told.1)
    };
    let said = told("good", &[&first, &alice]);
    assert!(said.0.is_empty() && said.1.contains("the server takes it"), "{}", said.1);
    let said = told("deep", &[&second, &first, &alice]);
    assert!(said.0 == ["proxy proxy_too_long", "proxy refused"] && said.1.contains("(proxy path length)"), "{}", said.1);
    let said = told("long", &[&proxy(&["Amber", "Alice", "3"], &alice, (-1, 30), None), &alice]);
    assert!(said.0 == ["proxy proxy_too_long"] && said.1.contains("lives for 31 days"), "{}", said.1);
    let said = told("longer", &[&proxy(&["Amber", "Alice", "3"], &alice, (-1, 400), None), &alice]);
    assert!(said.0 == ["proxy proxy_too_long"] && said.1.contains("but what it was made of ends on"), "{}", said.1);
    let said = told("over", &[&proxy(&["Amber", "Alice", "4"], &alice, (-3, -1), None), &alice]);
    assert_eq!(said.0, ["proxy expired", "proxy refused"], "{}", said.1);
    // The same without a server.
    let path = site.program.home.path().join("here/deep");
    let said = site.faults(&["--proxy", path.to_str().unwrap()]);
    assert_eq!(said.0, [("proxy".to_owned(), "proxy_too_long".to_owned())], "{}", said.1);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(site.faults(&["--proxy", path.to_str().unwrap()]).1.contains("others can read"));
}

#[test]
fn what_init_makes_is_served_and_trusted() {
    let program = Program::new();
    let dir = program.home.path().join("tls");
    let init =
        |more: &[&str]| program.run(&[&["--json", "cert", "init", "--host", "localhost", "--dir", dir.to_str().unwrap()], more].concat());
    let made: Value = serde_json::from_str(&init(&[]).out).unwrap();
    for (name, mode) in [("ca.key", 0o600), ("hostkey.pem", 0o600), ("hostcert.pem", 0o644), ("ca.pem", 0o644)] {
        assert_eq!(std::fs::metadata(dir.join(name)).unwrap().permissions().mode() & 0o777, mode, "{name}");
    }
    let read = |name: &str| std::fs::read_to_string(dir.join(name)).unwrap();
    let before = (read("ca.pem"), read("hostcert.pem"), read("hostkey.pem"));
    let refused = init(&[]);
    assert!(refused.code == 1 && refused.err.contains("is there already"), "{}", refused.err);
    assert_eq!((read("ca.pem"), read("hostcert.pem"), read("hostkey.pem")), before, "nothing is overwritten unasked");
    assert_eq!(init(&["--force"]).code, 0);
    assert!(read("ca.pem") == before.0 && read("hostcert.pem") != before.1 && read("hostkey.pem") != before.2);
    std::fs::write(dir.join("ca.key"), &before.2).unwrap();
    let refused = init(&["--force"]);
    assert!(refused.code == 1 && refused.err.contains("is not its key"), "{}", refused.err);
    assert_eq!(init(&["--force", "--new-ca", "--days", "3"]).code, 0);
    assert_ne!(read("ca.pem"), before.0);
    assert_eq!(program.run(&["cert", "init", "--host", "a b"]).code, 2);
    // The settings as printed, on a port of ours.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let settings = made["settings"].as_str().unwrap().replace("0.0.0.0:25443", &format!("127.0.0.1:{port}"));
    let config = program.write("panda.toml", &settings);
    let config = config.to_str().unwrap();
    let up = Up::start(&program, &["--no-worker", "--config", config]);
    let mut check = program.command(&["cert", "check", &format!("localhost:{port}"), "--as", "client,pilot"]);
    check.env("X509_CERT_DIR", dir.join("certificates"));
    let done = Program::finish(check);
    assert!(done.code == 0 && done.out.contains("ends on"), "{}{}", done.out, done.err);
    // Three days are fewer than seven.
    let doctor = program.run(&["--config", config, "doctor"]);
    assert!(doctor.code == 1 && doctor.out.contains("host certificate /O=PanDA local CA/CN=localhost ends on"), "{}", doctor.out);
    up.stop();
    assert_eq!(init(&["--force"]).code, 0);
    let doctor = program.run(&["--config", config, "doctor"]);
    assert!(doctor.code == 0 && doctor.out.contains("1 in use, the first to end is"), "{}", doctor.out);
}
