//! A folder in which `openssl` makes certificates.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use panda_access::x509::trust::TrustStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

/// Extensions of a CA.
pub const CA: &str = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n";
/// Extensions of a person's certificate.
pub const USER: &str = "basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature,keyEncipherment\nextendedKeyUsage=clientAuth\n\
    subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n";
/// Extensions of a proxy that hands everything on.
pub const PROXY: &str = "keyUsage=critical,digitalSignature\nproxyCertInfo=critical,language:id-ppl-inheritAll\n";

/// Seconds since 1970.
pub fn now() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap()
}

/// Runs a program to its end and tells its output; it must succeed.
pub fn run(command: &mut Command) -> String {
    let done = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(done.status.success(), "{command:?}: {}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    String::from_utf8_lossy(&done.stdout).into_owned()
}

/// What a certificate is made of.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    pub name: &'a str,
    pub subject: &'a str,
    /// Name of the issuer's; its own when it vouches for itself.
    pub issuer: &'a str,
    pub extensions: &'a str,
    pub days: u32,
    /// `EC`, `RSA` with bits, `ED25519`.
    pub key: &'a str,
    /// `sha256`, `sha1`, …
    pub digest: &'a str,
}

impl<'a> Wanted<'a> {
    pub fn new(name: &'a str, subject: &'a str, issuer: &'a str, extensions: &'a str) -> Self {
        Self { name, subject, issuer, extensions, days: 1_000, key: "EC", digest: "sha256" }
    }
}

/// The folder.
pub struct Authority {
    folder: tempfile::TempDir,
}

impl Authority {
    pub fn new() -> Self {
        let authority = Self { folder: tempfile::tempdir().unwrap() };
        std::fs::create_dir(authority.path("certificates")).unwrap();
        authority
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The CA directory.
    pub fn dir(&self) -> PathBuf {
        self.path("certificates")
    }

    fn openssl(&self, args: &[&str]) -> String {
        run(Command::new("openssl").current_dir(self.folder.path()).args(args))
    }

    /// Makes a key and a certificate, `NAME.key` and `NAME.pem`.
    pub fn make(&self, wanted: &Wanted<'_>) {
        let Wanted { name, subject, issuer, .. } = *wanted;
        let (key, request, out) = (format!("{name}.key"), format!("{name}.csr"), format!("{name}.pem"));
        let algorithm: Vec<&str> = match wanted.key.split_once(' ') {
            Some((_, bits)) => vec!["-algorithm", "RSA", "-pkeyopt", Box::leak(format!("rsa_keygen_bits:{bits}").into_boxed_str())],
            None if wanted.key == "EC" => vec!["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
            None if wanted.key == "EC384" => vec!["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"],
            None => vec!["-algorithm", wanted.key],
        };
        self.openssl(&[&["genpkey", "-out", &key], &algorithm[..]].concat());
        self.openssl(&["req", "-new", "-utf8", "-key", &key, "-subj", subject, "-out", &request]);
        std::fs::write(self.path("extensions"), wanted.extensions).unwrap();
        let serial =
            format!("0x{:x}{:08x}", std::process::id(), name.bytes().fold(7u32, |sum, b| sum.wrapping_mul(31).wrapping_add(b.into())));
        let days = wanted.days.to_string();
        let digest = format!("-{}", wanted.digest);
        let common =
            ["x509", "-req", "-in", &request, "-days", &days, "-extfile", "extensions", "-out", &out, "-set_serial", &serial, &digest];
        let (issuer_pem, issuer_key) = (format!("{issuer}.pem"), format!("{issuer}.key"));
        let by: &[&str] = if issuer == name { &["-signkey", &key] } else { &["-CA", &issuer_pem, "-CAkey", &issuer_key] };
        self.openssl(&[&common[..], by].concat());
    }

    /// A certificate, DER.
    pub fn der(&self, name: &str) -> Vec<u8> {
        CertificateDer::from_pem_slice(&std::fs::read(self.path(&format!("{name}.pem"))).unwrap()).unwrap().to_vec()
    }

    /// A CA becomes trusted; tells its hash.
    pub fn trust(&self, name: &str) -> String {
        let pem = format!("{name}.pem");
        let hash = self.openssl(&["x509", "-in", &pem, "-noout", "-subject_hash"]).trim().to_owned();
        let place = (0..).map(|n| self.dir().join(format!("{hash}.{n}"))).find(|place| !place.exists()).unwrap();
        std::fs::copy(self.path(&pem), place).unwrap();
        hash
    }

    /// Makes the revocation list of a CA, with these certificates in it, and puts it into the CA directory.
    pub fn revoke(&self, ca: &str, revoked: &[&str], days: u32) {
        let mut index = String::new();
        for name in revoked {
            let pem = format!("{name}.pem");
            let serial = self.openssl(&["x509", "-in", &pem, "-noout", "-serial"]);
            let serial = serial.trim().trim_start_matches("serial=").to_owned();
            writeln!(index, "R\t400101000000Z\t250101000000Z\t{serial}\tunknown\t/CN=revoked").unwrap();
        }
        std::fs::write(self.path("index.txt"), index).unwrap();
        std::fs::write(self.path("ca.conf"), "[ca]\ndefault_ca=c\n[c]\ndatabase=index.txt\ndefault_md=sha256\n").unwrap();
        let (pem, key, days) = (format!("{ca}.pem"), format!("{ca}.key"), days.to_string());
        let out = format!("{ca}.crl");
        self.openssl(&["ca", "-config", "ca.conf", "-gencrl", "-cert", &pem, "-keyfile", &key, "-crldays", &days, "-out", &out]);
        let hash = self.openssl(&["x509", "-in", &pem, "-noout", "-subject_hash"]).trim().to_owned();
        std::fs::copy(self.path(&out), self.dir().join(format!("{hash}.r0"))).unwrap();
    }

    /// What OpenSSL says of a chain: nothing, or why not.
    pub fn openssl_says(&self, chain: &[&str], at: i64, with_lists: bool) -> Result<(), String> {
        let sent: String = chain[1..].iter().map(|name| std::fs::read_to_string(self.path(&format!("{name}.pem"))).unwrap()).collect();
        std::fs::write(self.path("sent.pem"), sent).unwrap();
        let mut command = Command::new("openssl");
        command.current_dir(self.folder.path()).args(["verify", "-allow_proxy_certs", "-purpose", "sslclient", "-auth_level", "2"]);
        command.args(["-no-CAfile", "-no-CAstore", "-CApath", "certificates", "-attime", &at.to_string()]);
        if chain.len() > 1 {
            command.args(["-untrusted", "sent.pem"]);
        }
        if with_lists {
            command.arg("-crl_check_all");
        }
        let done = command.arg(format!("{}.pem", chain[0])).output().unwrap();
        if done.status.success() {
            return Ok(());
        }
        let why = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(why.contains("verification failed"), "{chain:?}: {why}");
        Err(why)
    }

    /// The trusted CAs.
    pub fn store(&self) -> TrustStore {
        TrustStore::open(&self.dir()).unwrap()
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}
