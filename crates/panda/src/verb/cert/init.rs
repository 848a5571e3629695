//! `panda cert init`: a CA of one's own, a certificate of it for this host, and the directory in which clients look for CAs.
//!
//! Owns the files and what they say. Must not know who uses them.

use std::io::{Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use panda_access::x509::cert::Certificate;
use panda_access::x509::date;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use serde_json::json;

use super::{now_s, views};
use crate::cli::CertInitArgs;
use crate::config::keys::HTTPS_PORT;
use crate::context::Context;
use crate::failure::{Failure, exit, io};
use crate::screen;
use crate::submit::quoted;

/// How long the CA is good for, days: whoever trusts it is not to be bothered every year.
const CA_DAYS: u32 = 3_650;
/// Clocks of others may be behind by so much, seconds.
const BACKDATED_S: i64 = 3_600;
/// The part of names that is the CA's own; its signing policy allows names below it.
const ORGANIZATION: &str = "PanDA local CA";
/// Largest file that is read back.
const MAX_FILE_BYTES: u64 = 64 << 10;

/// Where everything stands.
struct Files {
    ca: PathBuf,
    ca_key: PathBuf,
    certificate: PathBuf,
    key: PathBuf,
    ca_dir: PathBuf,
}

/// Makes what is missing.
pub(super) fn run(context: &Context, args: &CertInitArgs) -> Result<u8, Failure> {
    let dir = args.dir.clone().unwrap_or_else(|| context.config.data.join("tls"));
    let dir = std::path::absolute(&dir).map_err(io("find", &dir))?;
    let at = |name: &str| dir.join(name);
    let files = Files {
        ca: at("ca.pem"),
        ca_key: at("ca.key"),
        certificate: at("hostcert.pem"),
        key: at("hostkey.pem"),
        ca_dir: at("certificates"),
    };
    if let Some(there) = [&files.certificate, &files.key].into_iter().find(|path| path.exists() && !args.force) {
        let failure = Failure::new(format!("`{}` is there already", there.display()));
        return Err(failure.hint("`--force` makes a new certificate and key of the host; `--dir` names another place"));
    }
    let hosts = if args.hosts.is_empty() { own_names() } else { args.hosts.clone() };
    if let Some(bad) = hosts.iter().find(|host| !is_host(host)) {
        return Err(Failure::usage(format!("`{bad}` is neither the name of a machine nor an address")));
    }
    std::fs::DirBuilder::new().recursive(true).mode(0o755).create(&files.ca_dir).map_err(io("make", &files.ca_dir))?;
    let (issuer, ca_pem) = match authority(&files, args.new_ca)? {
        Some(known) => known,
        None => new_authority(&files, &hosts[0])?,
    };
    let (pem, key_pem) = host(&issuer, &hosts, args.days)?;
    write(&files.key, &key_pem, 0o600)?;
    write(&files.certificate, &pem, 0o644)?;
    let ca = read(&ca_pem, &files.ca)?;
    trust(&files, &ca, &ca_pem)?;
    show(context, &files, &hosts, &ca, &read(&pem, &files.certificate)?);
    Ok(exit::OK)
}

/// The names that everybody on this machine can use, and the one that it has.
fn own_names() -> Vec<String> {
    let own = rustix::system::uname().nodename().to_string_lossy().to_ascii_lowercase();
    let mut all: Vec<String> = Some(own).filter(|own| is_host(own) && own != "localhost").into_iter().collect();
    all.extend(["localhost", "127.0.0.1", "::1"].map(str::to_owned));
    all
}

/// An address, or labels of letters, digits and hyphens; the first may be a star.
fn is_host(text: &str) -> bool {
    let is_label = |label: &str| {
        let is_plain = label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
        (1..=63).contains(&label.len()) && is_plain && !label.starts_with('-') && !label.ends_with('-')
    };
    let rest = text.strip_prefix("*.").unwrap_or(text);
    text.parse::<std::net::IpAddr>().is_ok() || (text.len() <= 253 && rest.split('.').all(is_label))
}

fn failed(what: &str) -> impl Fn(rcgen::Error) -> Failure + '_ {
    move |error| Failure::new(format!("cannot make {what}: {error}"))
}

/// The CA that is there; None when there is none, or another one is wanted. Half of one is an error: nothing is replaced unasked.
fn authority(files: &Files, is_new_wanted: bool) -> Result<Option<(Issuer<'static, KeyPair>, String)>, Failure> {
    let there = (files.ca.exists(), files.ca_key.exists());
    if is_new_wanted || there == (false, false) {
        return Ok(None);
    }
    let hint = "`--force --new-ca` makes a new CA, which everybody must then be given";
    let (pem, key_pem) = (text(&files.ca).map_err(|f| f.hint(hint))?, text(&files.ca_key).map_err(|f| f.hint(hint))?);
    let unfit = |why: String| Failure::new(format!("the CA in `{}` cannot be used: {why}", files.ca.display())).hint(hint);
    let ca = read(&pem, &files.ca)?;
    if ca.not_after <= now_s() {
        return Err(unfit(format!("it expired on {}", date(ca.not_after))));
    }
    let key = KeyPair::from_pem(&key_pem).map_err(|error| unfit(error.to_string()))?;
    if key.public_key_raw() != ca.key.as_slice() {
        return Err(unfit(format!("`{}` is not its key", files.ca_key.display())));
    }
    let params = authority_params(&ca.subject.common_name().unwrap_or_default());
    // What is signed names the CA as `params` does: that must be its name.
    let (subject, wanted) = (ca.subject.slash(), format!("/O={ORGANIZATION}/CN={}", ca.subject.common_name().unwrap_or_default()));
    if subject != wanted {
        return Err(unfit(format!("{subject} was not made by `panda cert init`")));
    }
    Ok(Some((Issuer::new(params, key), pem)))
}

fn authority_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, ORGANIZATION);
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn lasts(params: &mut CertificateParams, days: u32) {
    let seconds = |s: i64| Duration::from_secs(u64::try_from(s).unwrap_or_default());
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    params.not_before = epoch + seconds(now_s() - BACKDATED_S);
    params.not_after = epoch + seconds(now_s() + i64::from(days) * 86_400);
}

/// A new CA, written at once.
fn new_authority(files: &Files, host: &str) -> Result<(Issuer<'static, KeyPair>, String), Failure> {
    let failed = failed("the CA");
    let key = KeyPair::generate().map_err(&failed)?;
    // Two CAs of one name would be told from each other by nobody.
    let number: String = uuid::Uuid::new_v4().simple().to_string().chars().take(8).collect();
    let host: String = host.chars().take(40).collect();
    let mut params = authority_params(&format!("{host} {number}"));
    lasts(&mut params, CA_DAYS);
    let pem = params.self_signed(&key).map_err(&failed)?.pem();
    write(&files.ca_key, &key.serialize_pem(), 0o600)?;
    write(&files.ca, &pem, 0o644)?;
    Ok((Issuer::new(params, key), pem))
}

/// Certificate and key of the host.
fn host(issuer: &Issuer<'static, KeyPair>, hosts: &[String], days: u32) -> Result<(String, String), Failure> {
    let failed = failed("the certificate of the host");
    let mut params = CertificateParams::new(hosts.to_vec()).map_err(&failed)?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, ORGANIZATION);
    // A common name has 64 characters at most; who looks at names reads the alternative ones.
    params.distinguished_name.push(DnType::CommonName, hosts[0].chars().take(64).collect::<String>());
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    lasts(&mut params, days);
    let key = KeyPair::generate().map_err(&failed)?;
    let pem = params.signed_by(&key, issuer).map_err(&failed)?.pem();
    Ok((pem, key.serialize_pem()))
}

/// Puts the CA into the directory in the form that OpenSSL looks it up in; older ones of ours leave.
fn trust(files: &Files, ca: &Certificate, pem: &str) -> Result<(), Failure> {
    let hash = format!("{:08x}", ca.subject.hash());
    write(&files.ca_dir.join(format!("{hash}.0")), pem, 0o644)?;
    let policy = format!(
        "# names that this CA may sign\naccess_id_CA   X509    '{}'\npos_rights     globus  CA:sign\ncond_subjects  globus  '\"/O={ORGANIZATION}/*\"'\n",
        ca.subject.slash()
    );
    write(&files.ca_dir.join(format!("{hash}.signing_policy")), &policy, 0o644)
}

/// Writes beside and moves into place, so that nobody ever reads half of it or a key that others may read.
fn write(path: &Path, text: &str, mode: u32) -> Result<(), Failure> {
    let beside = path.with_extension("new");
    let failed = || io("write", path);
    // One that a run left when it was ended; it must not lend its mode.
    match std::fs::remove_file(&beside) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed()(error)),
        _ => {}
    }
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&beside).map_err(failed())?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed())?;
    std::fs::rename(&beside, path).map_err(failed())
}

fn text(path: &Path) -> Result<String, Failure> {
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(io("read", path))?;
    #[allow(clippy::disallowed_methods, reason = "bounded by `take`")]
    file.take(MAX_FILE_BYTES).read_to_string(&mut text).map_err(io("read", path))?;
    Ok(text)
}

fn read(pem: &str, path: &Path) -> Result<Certificate, Failure> {
    let ders = views::ders(pem.as_bytes()).map_err(|why| Failure::new(format!("`{}`: {why}", path.display())))?;
    let unreadable = || Failure::new(format!("`{}` holds no certificate that can be read", path.display()));
    ders.first().and_then(|der| Certificate::read(der).ok()).ok_or_else(unreadable)
}

/// The address by which callers reach the host.
fn url(hosts: &[String]) -> String {
    let host = hosts.iter().find(|host| !host.starts_with('*')).map_or("localhost", String::as_str);
    if host.contains(':') { format!("https://[{host}]:{HTTPS_PORT}") } else { format!("https://{host}:{HTTPS_PORT}") }
}

fn show(context: &Context, files: &Files, hosts: &[String], ca: &Certificate, own: &Certificate) {
    let shown = |path: &Path| path.display().to_string();
    let toml = |path: &Path| toml::Value::from(shown(path)).to_string();
    let url = url(hosts);
    let settings = format!(
        "[server]\ntls_listen = \"0.0.0.0:{HTTPS_PORT}\"\ntls_certificate = {}\ntls_key = {}\npublic_url = \"{url}\"",
        toml(&files.certificate),
        toml(&files.key)
    );
    let panda = format!("{url}/server/panda");
    let environment = [
        ("X509_CERT_DIR", shown(&files.ca_dir)),
        ("PANDA_URL", panda.clone()),
        ("PANDA_URL_SSL", panda.clone()),
        ("PANDACACHE_URL", panda),
        ("PANDA_BEHIND_REAL_LB", "1".to_owned()),
    ];
    let curl = format!("curl --cacert {} {url}/api/v1/system/is_alive", quoted(&shown(&files.ca)));
    if context.json {
        let environment: serde_json::Map<_, _> = environment.into_iter().map(|(name, value)| (name.to_owned(), json!(value))).collect();
        return screen::json(&json!({
            "ca": files.ca, "ca_key": files.ca_key, "certificate": files.certificate, "key": files.key, "ca_dir": files.ca_dir,
            "ca_subject": ca.subject.slash(), "ca_until_s": ca.not_after, "hosts": hosts, "until_s": own.not_after,
            "settings": settings, "environment": environment, "curl": curl,
        }));
    }
    screen::note(format!(
        "certificate for {} until {}, of the CA {} (until {})",
        hosts.join(", "),
        date(own.not_after),
        ca.subject.slash(),
        date(ca.not_after)
    ));
    screen::line(format!("# into panda.toml\n{settings}\n"));
    screen::line("# clients: panda-client and panda; the pilot takes the directory with `--capath`; copy it to their machines");
    for (name, value) in environment {
        screen::line(format!("export {name}={}", quoted(&value)));
    }
    screen::line(format!("# try it\n{curl}\n# browsers: import {}", shown(&files.ca)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_names_and_addresses() {
        for good in ["panda.example.org", "localhost", "127.0.0.1", "::1", "*.example.org", "a_b-c"] {
            assert!(is_host(good), "{good}");
        }
        for bad in ["", "a b", "http://a", "a:1", "-a", "a..b", "é.org", "*", "a\n"] {
            assert!(!is_host(bad), "{bad}");
        }
        assert_eq!(url(&["*.a.org".to_owned(), "::1".to_owned()]), "https://[::1]:25443");
    }
}
