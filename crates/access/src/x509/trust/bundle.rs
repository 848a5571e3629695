//! What is trusted without a directory of the grid's form: bundles, as systems and people have them.
//!
//! Owns: putting such a set together. Must not know: revocation lists and signing policies, which bundles do not have.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use super::{Authority, MAX_FILE_BYTES, Trust};
use crate::x509::cert::Certificate;

impl Trust {
    /// These files alone, each with any number of certificates in PEM form. What cannot be read in them is passed over, and told in [`Self::problems`].
    #[must_use]
    pub fn of_files(files: &[PathBuf]) -> Self {
        let mut trust = Self::default();
        for file in files {
            match read(file) {
                Ok(ders) => ders.iter().for_each(|der| trust.add(file, der)),
                Err(why) => trust.problems.push(format!("`{}` cannot be used: {why}", file.display())),
            }
        }
        trust
    }

    /// Trusts one more certificate of a file, if it is a CA's.
    pub fn add(&mut self, file: &Path, der: &[u8]) {
        match Certificate::read(der) {
            Ok(certificate) if certificate.is_ca() => {
                self.put(Arc::new(Authority { certificate: Arc::new(certificate), file: file.to_owned(), policy: None, list: None }));
            }
            Ok(_) => {}
            Err(malformed) => {
                self.problems.push(format!("a certificate in `{}` cannot be read: {} was expected there", file.display(), malformed.0));
            }
        }
    }

    /// Trusts everything that another one trusts, too.
    pub fn merge(&mut self, other: &Self) {
        other.authorities().into_iter().for_each(|authority| self.put(authority.clone()));
    }

    fn put(&mut self, authority: Arc<Authority>) {
        let named = self.authorities.entry(authority.certificate.subject.canonical().to_vec()).or_default();
        if named.iter().all(|known| known.certificate.raw != authority.certificate.raw) {
            named.push(authority);
        }
    }
}

fn read(path: &Path) -> Result<Vec<Vec<u8>>, String> {
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
    #[allow(clippy::disallowed_methods, reason = "bounded by `take`")]
    file.take(MAX_FILE_BYTES).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    super::blocks(&bytes, |pem| CertificateDer::pem_slice_iter(pem).map(|c| c.map(|c| c.to_vec())).collect())
}
