//! CA directories that change, are broken, or say who may sign what.

use std::path::Path;

use panda_access::x509::chain::{Purpose, verify};
use panda_access::x509::trust::{TrustError, TrustStore};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};

struct Ca {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

fn ca(name: &str) -> Ca {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let key = KeyPair::generate().unwrap();
    let pem = params.self_signed(&key).unwrap().pem();
    Ca { issuer: Issuer::new(params, key), pem }
}

fn person(ca: &Ca, name: &str) -> Vec<u8> {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, "Amber");
    params.distinguished_name.push(DnType::CommonName, name);
    params.signed_by(&KeyPair::generate().unwrap(), &ca.issuer).unwrap().der().to_vec()
}

fn ask(store: &TrustStore, shown: &[u8]) -> Result<(), String> {
    verify(&[shown.to_vec()], &store.current(), crate::authority::now(), Purpose::Client).map(drop).map_err(|why| why.to_string())
}

/// Writes with a time of its own: tests are faster than some file systems' clocks.
fn write(path: &Path, text: &str, seconds: u64) {
    std::fs::write(path, text).unwrap();
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_700_000_000 + seconds);
    std::fs::File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
}

#[test]
fn cas_come_and_go_and_a_broken_file_counts_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (ca("One"), ca("Two"));
    let (alice, bob) = (person(&one, "Alice"), person(&two, "Bob"));
    assert!(matches!(TrustStore::open(&folder.path().join("none")), Err(TrustError::Read { .. })));
    assert!(matches!(TrustStore::open(folder.path()), Err(TrustError::Empty(_))));
    write(&folder.path().join("one.pem"), &one.pem, 1);
    let store = TrustStore::open(folder.path()).unwrap();
    assert_eq!(ask(&store, &alice), Ok(()));
    assert!(ask(&store, &bob).unwrap_err().contains("is not among the trusted CAs"));
    assert!(!store.reload().unwrap());
    write(&folder.path().join("0123abcd.0"), &two.pem, 2);
    assert!(store.reload().unwrap());
    assert_eq!(ask(&store, &bob), Ok(()));
    write(&folder.path().join("one.pem"), &one.pem[..200], 3);
    assert!(store.reload().unwrap());
    assert_eq!(ask(&store, &alice), Ok(()), "half a file");
    assert!(store.current().problems[0].contains("what stood in it before counts"), "{:?}", store.current().problems);
    std::fs::remove_file(folder.path().join("one.pem")).unwrap();
    assert!(store.reload().unwrap());
    assert!(ask(&store, &alice).is_err(), "a CA that is gone");
    assert!(store.current().problems.is_empty());
}

#[test]
fn signing_policies_count_and_a_broken_one_locks_its_ca() {
    let folder = tempfile::tempdir().unwrap();
    let one = ca("One");
    let alice = person(&one, "Alice");
    write(&folder.path().join("one.pem"), &one.pem, 1);
    let policy = folder.path().join("one.signing_policy");
    let text = |subjects: &str| format!("access_id_CA X509 '/CN=One'\npos_rights globus CA:sign\ncond_subjects globus '{subjects}'\n");
    write(&policy, &text("\"/O=Amber/*\""), 1);
    let store = TrustStore::open(folder.path()).unwrap();
    assert_eq!(ask(&store, &alice), Ok(()));
    write(&policy, &text("\"/O=Flint/*\""), 2);
    assert!(store.reload().unwrap());
    assert_eq!(ask(&store, &alice).unwrap_err(), "/CN=One may not sign /O=Amber/CN=Alice: its signing policy does not allow that name");
    std::fs::remove_file(&policy).unwrap();
    store.reload().unwrap();
    write(&policy, "access_id_CA X509 '/CN=One\n", 3);
    store.reload().unwrap();
    let why = ask(&store, &alice).unwrap_err();
    assert!(why.contains("the signing policy of /CN=One cannot be used: line 1"), "{why}");
    assert!(store.current().report(crate::authority::now()).iter().any(|line| line.contains("nobody with a certificate of it gets in")));
}
