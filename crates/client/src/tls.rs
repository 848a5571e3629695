//! Roots of trust and the crypto provider.
//!
//! Owns where certificates come from: the system's store (which honours
//! `SSL_CERT_FILE` and `SSL_CERT_DIR`) and, as grid sites have it,
//! `X509_CERT_DIR`. Must not know any server.

use std::path::Path;
use std::sync::Once;

use reqwest::Certificate;

/// Largest file of a certificate directory that is looked at; a bundle of all
/// public roots has about 220 kB.
const MAX_CERTIFICATE_FILE_BYTES: u64 = 4 << 20;

/// Most files of `X509_CERT_DIR` that are looked at; the grid's has about 1,000
/// with its policy files.
const MAX_CERTIFICATE_FILES: usize = 10_000;

/// Installs ring as the process's provider unless the program chose one.
pub(crate) fn install_provider() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // An error only says that another part of the program was first.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}

/// Certificates below `X509_CERT_DIR`, if that is set.
pub(crate) fn grid_certificates() -> Vec<Certificate> {
    match std::env::var_os("X509_CERT_DIR") {
        Some(dir) => certificates_in(Path::new(&dir)),
        None => Vec::new(),
    }
}

fn certificates_in(dir: &Path) -> Vec<Certificate> {
    let Ok(entries) = std::fs::read_dir(dir) else {
        tracing::warn!(dir = %dir.display(), "X509_CERT_DIR cannot be read; it is ignored");
        return Vec::new();
    };
    let mut found = Vec::new();
    for entry in entries.flatten().take(MAX_CERTIFICATE_FILES) {
        let path = entry.path();
        let wanted = path.extension().and_then(|ext| ext.to_str()).is_some_and(|ext| matches!(ext, "pem" | "crt" | "0"));
        let small = std::fs::metadata(&path).is_ok_and(|meta| meta.is_file() && meta.len() <= MAX_CERTIFICATE_FILE_BYTES);
        if !(wanted && small) {
            continue;
        }
        if let Ok(text) = std::fs::read(&path)
            && let Ok(mut bundle) = Certificate::from_pem_bundle(&text)
        {
            found.append(&mut bundle);
        }
    }
    found
}
