//! The CAs that are trusted: a directory as the grid has it, with revocation lists and signing policies.
//!
//! Owns: reading the directory, and again what has changed in it. A file that was good and is not any more (half written, say) counts as it was, and that
//! is told. Must not know: chains.

mod bundle;

use std::collections::{BTreeMap, HashMap};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use parking_lot::{Mutex, RwLock};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer};

use super::cert::Certificate;
use super::crl::RevocationList;
use super::name::tidy;
use super::policy::SigningPolicy;
use super::refusal::date;

/// Most files of a directory; the grid's has about 1,000.
const MAX_FILES: usize = 20_000;
/// Largest file; the largest revocation lists have a few megabytes.
const MAX_FILE_BYTES: u64 = 64 << 20;
/// So long after its `nextUpdate` a revocation list still counts. It is reported from [`LIST_WARNING_S`] before that time on, so that a list that nobody
/// fetches locks people out ten days after the first word of it.
pub const LIST_GRACE_S: i64 = 7 * 86_400;
/// From so long before its `nextUpdate` a list is reported.
pub const LIST_WARNING_S: i64 = 3 * 86_400;

/// The directory cannot be used at all.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// It cannot be read.
    #[error("cannot read the CA directory `{path}`")]
    Read {
        /// The directory.
        path: PathBuf,
        /// The reason.
        #[source]
        source: std::io::Error,
    },
    /// It holds no CA.
    #[error("the CA directory `{0}` holds no CA certificate (files `xxxxxxxx.0` or `*.pem`)")]
    Empty(PathBuf),
}

/// A trusted CA.
#[derive(Debug)]
pub struct Authority {
    /// Its certificate.
    pub certificate: Arc<Certificate>,
    /// Where it was found.
    pub file: PathBuf,
    /// What it may sign; None = no policy, so anything. Err tells why a policy that is there cannot be used.
    pub policy: Option<Result<Vec<SigningPolicy>, String>>,
    /// What it has revoked; None = no list. Err tells why a list that is there cannot be used.
    pub list: Option<Result<Arc<RevocationList>, String>>,
}

/// What is trusted at one moment.
#[derive(Debug, Default)]
pub struct Trust {
    /// By canonical subject.
    authorities: HashMap<Vec<u8>, Vec<Arc<Authority>>>,
    /// All lists by canonical issuer: CAs that are sent along have theirs here, too.
    lists: HashMap<Vec<u8>, Vec<Arc<RevocationList>>>,
    /// All policies by the name of the CA.
    policies: HashMap<String, Vec<SigningPolicy>>,
    /// Files that cannot be used, a sentence each.
    pub problems: Vec<String>,
    /// Another number whenever something changed.
    pub generation: u64,
}

impl Trust {
    /// Trusted CAs with this canonical name.
    #[must_use]
    pub fn named(&self, canonical: &[u8]) -> &[Arc<Authority>] {
        self.authorities.get(canonical).map(Vec::as_slice).unwrap_or_default()
    }

    /// The trusted CA with exactly this certificate.
    #[must_use]
    pub fn exact(&self, certificate: &Certificate) -> Option<&Arc<Authority>> {
        self.named(certificate.subject.canonical()).iter().find(|authority| authority.certificate.raw == certificate.raw)
    }

    /// Whether nothing is trusted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.authorities.is_empty()
    }

    /// Every trusted CA, by name.
    #[must_use]
    pub fn authorities(&self) -> Vec<&Arc<Authority>> {
        let mut all: Vec<_> = self.authorities.values().flatten().collect();
        all.sort_by_key(|authority| authority.certificate.subject.slash());
        all
    }

    /// What a CA may sign.
    pub(super) fn policy(&self, ca: &Certificate) -> Option<Result<Vec<SigningPolicy>, String>> {
        match self.exact(ca) {
            Some(authority) => authority.policy.clone(),
            None => self.policies.get(&tidy(&ca.subject.slash())).map(|policies| Ok(policies.clone())),
        }
    }

    /// What a CA has revoked.
    pub(super) fn list(&self, ca: &Certificate) -> Option<Result<Arc<RevocationList>, String>> {
        match self.exact(ca) {
            Some(authority) => authority.list.clone(),
            None => choose(self.lists.get(ca.subject.canonical())?, ca),
        }
    }

    /// What is wrong or soon will be, a sentence each; `now` in seconds.
    #[must_use]
    pub fn report(&self, now: i64) -> Vec<String> {
        let mut all = self.problems.clone();
        for authority in self.authorities() {
            let ca = authority.certificate.subject.slash();
            if authority.certificate.not_after < now {
                all.push(format!(
                    "the CA {ca} expired on {}: nobody with a certificate of it gets in",
                    date(authority.certificate.not_after)
                ));
            }
            match (&authority.list, &authority.policy) {
                (Some(Err(why)), _) => {
                    all.push(format!("the revocation list of {ca} cannot be used, so nobody with a certificate of it gets in: {why}"))
                }
                (_, Some(Err(why))) => {
                    all.push(format!("the signing policy of {ca} cannot be used, so nobody with a certificate of it gets in: {why}"))
                }
                (Some(Ok(list)), _) => all.extend(list_report(&ca, list, now)),
                (None, _) => {}
            }
        }
        all
    }
}

fn list_report(ca: &str, list: &RevocationList, now: i64) -> Option<String> {
    let due = list.next_update?;
    let end = due.saturating_add(LIST_GRACE_S);
    if now > end {
        return Some(format!(
            "the revocation list of {ca} ended on {}: nobody with a certificate of it gets in; update it (fetch-crl)",
            date(due)
        ));
    }
    if now > due {
        return Some(format!("the revocation list of {ca} ended on {}: it counts until {}; update it (fetch-crl)", date(due), date(end)));
    }
    (now > due - LIST_WARNING_S).then(|| format!("the revocation list of {ca} ends on {}: update it (fetch-crl)", date(due)))
}

/// The newest list that the CA has signed, or why there is none.
fn choose(lists: &[Arc<RevocationList>], ca: &Certificate) -> Option<Result<Arc<RevocationList>, String>> {
    let (good, bad): (Vec<_>, Vec<_>) = lists.iter().map(|list| (list, list.verify(ca))).partition(|(_, verdict)| verdict.is_ok());
    let newest = good.into_iter().map(|(list, _)| list).max_by_key(|list| list.this_update);
    match newest {
        Some(list) => Some(list.partial.map_or_else(|| Ok(Arc::clone(list)), |why| Err(why.to_owned()))),
        None => bad.into_iter().find_map(|(_, verdict)| verdict.err()).map(|why| Err(why.to_string())),
    }
}

/// What a file holds.
#[derive(Debug, Clone)]
enum Held {
    Certificates(Vec<Arc<Certificate>>),
    Lists(Vec<Arc<RevocationList>>),
    Policies(Vec<SigningPolicy>),
    Broken(String),
}

#[derive(Debug, Clone)]
struct Known {
    stamp: (Option<SystemTime>, u64),
    held: Held,
    /// Why what is held is of an earlier state of the file.
    problem: Option<String>,
}

/// A CA directory that is followed.
#[derive(Debug)]
pub struct TrustStore {
    dir: PathBuf,
    files: Mutex<BTreeMap<PathBuf, Known>>,
    current: RwLock<Arc<Trust>>,
}

impl TrustStore {
    /// Reads the directory.
    ///
    /// # Errors
    /// [`TrustError`] when it cannot be read or holds no CA.
    pub fn open(dir: &Path) -> Result<Self, TrustError> {
        let store = Self { dir: dir.to_owned(), files: Mutex::default(), current: RwLock::default() };
        store.reload()?;
        if store.current().authorities.is_empty() {
            return Err(TrustError::Empty(dir.to_owned()));
        }
        Ok(store)
    }

    /// What is trusted now.
    #[must_use]
    pub fn current(&self) -> Arc<Trust> {
        self.current.read().clone()
    }

    /// The directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Reads what has changed; true when something has.
    ///
    /// # Errors
    /// [`TrustError::Read`] when the directory cannot be read: what was known stays.
    pub fn reload(&self) -> Result<bool, TrustError> {
        let failed = |source| TrustError::Read { path: self.dir.clone(), source };
        let mut files = self.files.lock();
        let mut found = BTreeMap::new();
        let mut has_changed = false;
        for entry in std::fs::read_dir(&self.dir).map_err(failed)?.take(MAX_FILES) {
            let path = entry.map_err(failed)?.path();
            let (Some(kind), Ok(meta)) = (kind(&path), std::fs::metadata(&path)) else { continue };
            if !meta.is_file() {
                continue;
            }
            let stamp = (meta.modified().ok(), meta.len());
            let known = match files.get(&path) {
                Some(known) if known.stamp == stamp => known.clone(),
                before => {
                    has_changed = true;
                    renewed(before, read(&path, kind), stamp)
                }
            };
            found.insert(path, known);
        }
        has_changed |= found.len() != files.len();
        *files = found;
        if has_changed {
            let mut trust = assemble(&files);
            trust.generation = self.current().generation + 1;
            *self.current.write() = Arc::new(trust);
        }
        Ok(has_changed)
    }
}

/// A file that was good and is broken now counts as it was.
fn renewed(before: Option<&Known>, held: Held, stamp: (Option<SystemTime>, u64)) -> Known {
    match (held, before.map(|known| &known.held)) {
        (Held::Broken(why), Some(good)) if !matches!(good, Held::Broken(_)) => Known { stamp, held: good.clone(), problem: Some(why) },
        (held, _) => Known { stamp, held, problem: None },
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FileKind {
    Certificate,
    List,
    Policy,
}

/// What a file is, by its name.
fn kind(path: &Path) -> Option<FileKind> {
    let end = path.extension()?.to_str()?;
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit());
    match end {
        "pem" | "crt" | "cer" => Some(FileKind::Certificate),
        "crl" => Some(FileKind::List),
        "signing_policy" => Some(FileKind::Policy),
        _ if is_number(end) => Some(FileKind::Certificate),
        _ if end.strip_prefix('r').is_some_and(is_number) => Some(FileKind::List),
        _ => None,
    }
}

fn read(path: &Path, kind: FileKind) -> Held {
    let mut bytes = Vec::new();
    let opened = std::fs::File::open(path);
    #[allow(clippy::disallowed_methods, reason = "bounded by `take`")]
    let read = opened.and_then(|file| file.take(MAX_FILE_BYTES).read_to_end(&mut bytes));
    if let Err(error) = read {
        return Held::Broken(error.to_string());
    }
    let parsed = match kind {
        FileKind::Certificate => blocks(&bytes, |pem| CertificateDer::pem_slice_iter(pem).map(|c| c.map(|c| c.to_vec())).collect())
            .and_then(|all| all.iter().map(|der| Certificate::read(der).map(Arc::new).map_err(String::from)).collect())
            .map(Held::Certificates),
        FileKind::List => {
            blocks(&bytes, |pem| CertificateRevocationListDer::pem_slice_iter(pem).map(|c| c.map(|c| c.as_ref().to_vec())).collect())
                .and_then(|all| all.iter().map(|der| RevocationList::read(der).map(Arc::new).map_err(String::from)).collect())
                .map(Held::Lists)
        }
        FileKind::Policy => SigningPolicy::read(&String::from_utf8_lossy(&bytes)).map(Held::Policies),
    };
    parsed.unwrap_or_else(Held::Broken)
}

/// What stands in PEM blocks; a file without any is DER itself.
fn blocks<E>(bytes: &[u8], pem: impl Fn(&[u8]) -> Result<Vec<Vec<u8>>, E>) -> Result<Vec<Vec<u8>>, String> {
    if bytes.first() == Some(&0x30) {
        return Ok(vec![bytes.to_vec()]);
    }
    let found = pem(bytes).map_err(|_| "its PEM is damaged".to_owned())?;
    if found.is_empty() { Err("it holds nothing of what its name promises".to_owned()) } else { Ok(found) }
}

fn assemble(files: &BTreeMap<PathBuf, Known>) -> Trust {
    let mut trust = Trust::default();
    let mut broken_policies: HashMap<PathBuf, String> = HashMap::new();
    for (path, known) in files {
        if let Some(why) = &known.problem {
            trust.problems.push(format!("`{}` cannot be used, what stood in it before counts: {why}", path.display()));
        }
        match &known.held {
            Held::Lists(lists) => {
                for list in lists {
                    trust.lists.entry(list.issuer.canonical().to_vec()).or_default().push(list.clone());
                }
            }
            Held::Policies(policies) => {
                for policy in policies {
                    trust.policies.entry(policy.ca.clone()).or_default().push(policy.clone());
                }
            }
            Held::Broken(why) => {
                trust.problems.push(format!("`{}` cannot be used: {why}", path.display()));
                if kind(path) == Some(FileKind::Policy) {
                    broken_policies.insert(path.with_extension(""), why.clone());
                }
            }
            Held::Certificates(_) => {}
        }
    }
    for (path, known) in files {
        let Held::Certificates(certificates) = &known.held else { continue };
        for certificate in certificates.iter().filter(|certificate| certificate.is_ca()) {
            let policy = match broken_policies.get(&path.with_extension("")) {
                Some(why) => Some(Err(why.clone())),
                None => trust.policies.get(&tidy(&certificate.subject.slash())).map(|policies| Ok(policies.clone())),
            };
            let named = trust.authorities.entry(certificate.subject.canonical().to_vec()).or_default();
            // The same certificate stands there under two names: that of its hash and one for people.
            match named.iter_mut().find(|authority| authority.certificate.raw == certificate.raw) {
                Some(twin) if matches!(policy, Some(Err(_))) => {
                    *twin = Arc::new(Authority { certificate: certificate.clone(), file: path.clone(), policy, list: twin.list.clone() });
                }
                Some(_) => {}
                None => {
                    let list = trust.lists.get(certificate.subject.canonical()).and_then(|lists| choose(lists, certificate));
                    named.push(Arc::new(Authority { certificate: certificate.clone(), file: path.clone(), policy, list }));
                }
            }
        }
    }
    trust
}
