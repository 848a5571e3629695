//! Where those who look at a server's certificate find the CAs that they trust.
//!
//! Owns the places of each. Must not know what is looked at.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use panda_access::x509::cert::Certificate;
use panda_access::x509::trust::{Trust, TrustStore};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use crate::cli::Viewer;

/// Where grid clients look when nobody says otherwise.
const GRID_DIR: &str = "/etc/grid-security/certificates";
/// Where systems have the CAs that browsers trust, too; the first that is there counts.
const BUNDLES: [&str; 4] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem"];
/// Largest file of a chain with its key.
const MAX_FILE_BYTES: u64 = 1 << 20;
/// Most CAs of one hash that OpenSSL goes through here.
const MAX_TWINS: u32 = 10;

/// One who looks.
pub(super) struct Eyes {
    pub name: &'static str,
    pub trust: Trust,
    /// Where the CAs are.
    pub place: String,
    /// The directory, where CAs are looked up by their hash.
    hashed: Option<PathBuf>,
    /// Whether the common name counts where there is no alternative name.
    pub common_name_counts: bool,
    /// Why nothing can be trusted.
    pub blind: Option<String>,
}

impl Eyes {
    /// Of this viewer. The pilot also trusts CAs that stand in its proxy's file.
    pub fn of(viewer: Viewer, ca_dir: Option<&Path>, proxy: Option<&Path>) -> Self {
        let dir = ca_dir.map_or_else(grid_dir, Path::to_owned);
        match viewer {
            Viewer::Client => Self::directory("client", dir),
            Viewer::Pilot => {
                let mut eyes = if dir.is_dir() { Self::directory("pilot", dir) } else { Self::bundle("pilot", true) };
                for der in proxy.and_then(|path| chain_of(path).ok()).unwrap_or_default() {
                    eyes.trust.add(proxy.unwrap_or(Path::new("")), &der);
                }
                eyes
            }
            Viewer::Browser => Self::bundle("browser", false),
        }
    }

    fn directory(name: &'static str, dir: PathBuf) -> Self {
        let place = dir.display().to_string();
        let (trust, blind) = match TrustStore::open(&dir) {
            Ok(store) => {
                let mut trust = Trust::default();
                trust.merge(&store.current());
                (trust, None)
            }
            Err(error) => (Trust::default(), Some(whole(&error))),
        };
        Self { name, trust, place, hashed: Some(dir), common_name_counts: true, blind }
    }

    fn bundle(name: &'static str, common_name_counts: bool) -> Self {
        let named = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from);
        let file = named.or_else(|| BUNDLES.iter().map(PathBuf::from).find(|file| file.is_file()));
        let Some(file) = file else {
            let blind = Some(format!("the CAs of this system are not to be found ({} are not there)", BUNDLES.join(", ")));
            return Self { name, trust: Trust::default(), place: "this system".to_owned(), hashed: None, common_name_counts, blind };
        };
        let place = file.display().to_string();
        let trust = Trust::of_files(&[file]);
        let blind = trust.is_empty().then(|| trust.problems.first().cloned().unwrap_or_else(|| format!("`{place}` holds no CA")));
        Self { name, trust, place, hashed: None, common_name_counts, blind }
    }

    /// Whether OpenSSL finds the root by its hash; tells the name of the file that is missing.
    pub fn lacks_hash(&self, root: &Certificate) -> Option<String> {
        let dir = self.hashed.as_ref()?;
        let hash = format!("{:08x}", root.subject.hash());
        let authority = self.trust.exact(root)?;
        // One of the proxy's file is not looked up.
        if authority.file.parent() != Some(dir) {
            return None;
        }
        let is_there = |n: u32| {
            let ders = chain_of(&dir.join(format!("{hash}.{n}"))).unwrap_or_default();
            ders.iter().any(|der| der.as_slice() == root.raw.as_ref())
        };
        (!(0..MAX_TWINS).any(is_there)).then(|| format!("{hash}.0"))
    }
}

/// Where grid clients look.
pub(super) fn grid_dir() -> PathBuf {
    std::env::var_os("X509_CERT_DIR").filter(|dir| !dir.is_empty()).map_or_else(|| PathBuf::from(GRID_DIR), PathBuf::from)
}

/// The certificate or proxy of whoever calls: the variable's, or the file where grid tools put it.
pub(super) fn own_proxy() -> Option<PathBuf> {
    if let Some(file) = std::env::var_os("X509_USER_PROXY").filter(|file| !file.is_empty()) {
        return Some(PathBuf::from(file));
    }
    let usual = std::env::temp_dir().join(format!("x509up_u{}", rustix::process::getuid().as_raw()));
    usual.is_file().then_some(usual)
}

/// The certificates in a file in PEM form, or why there are none.
pub(super) fn chain_of(path: &Path) -> Result<Vec<Vec<u8>>, String> {
    let bytes = bytes(path)?;
    ders(&bytes).map_err(|why| format!("`{}` {why}", path.display()))
}

/// The octets of a file of certificates or keys.
pub(super) fn bytes(path: &Path) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(|error| format!("`{}` cannot be read: {error}", path.display()))?;
    #[allow(clippy::disallowed_methods, reason = "bounded by `take`")]
    file.take(MAX_FILE_BYTES).read_to_end(&mut bytes).map_err(|error| format!("`{}` cannot be read: {error}", path.display()))?;
    Ok(bytes)
}

/// The certificates in a text in PEM form.
pub(super) fn ders(pem: &[u8]) -> Result<Vec<Vec<u8>>, String> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).map(|der| der.map(|der| der.to_vec())).collect();
    match all {
        Ok(all) if !all.is_empty() => Ok(all),
        Ok(_) => Err("holds no certificate in PEM form".to_owned()),
        Err(_) => Err("holds damaged PEM".to_owned()),
    }
}

/// An error with its sources.
pub(super) fn whole(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text.push_str(&format!(": {inner}"));
        source = inner.source();
    }
    text
}
