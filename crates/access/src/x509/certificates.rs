//! The door for callers with certificates.
//!
//! Owns: what is read from directories and files together, that it is read again, and which chains were verified lately. Must not know: handshakes, HTTP.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::RwLock;

use super::Shown;
use super::caller::{self, Facts, acts_fully, from_text, names_of};
use super::chain::{Holds, Purpose, verify};
use super::mapfile::MapFile;
use super::refusal::Refusal;
use super::trust::{Trust, TrustError, TrustStore};
use super::voms::{self, VomsDir};
use crate::cache::{self, Verified};
use crate::dev::{KnownVo, Now};
use crate::identity::{AccessError, Identity, RequestIdentity};
use crate::origin::{MAX_ORIGIN_BYTES, Origin};
use crate::principal::Principal;

/// Largest mapping file.
const MAX_MAP_BYTES: u64 = 64 << 20;
/// A chain counts as verified for this long at most, so that nothing outlives a clock that is set.
const CACHE_S: i64 = 600;

/// Where what is known of certificates stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// The CA directory; without one no chain holds, and callers come by names that a reverse proxy tells.
    pub ca_dir: Option<PathBuf>,
    /// The VOMS directory; without one, attributes of VOMS are not looked at.
    pub voms_dir: Option<PathBuf>,
    /// The mapping file.
    pub map_file: Option<PathBuf>,
}

/// Why certificates cannot be used at all.
#[derive(Debug, thiserror::Error)]
pub enum PlacesError {
    /// The CA directory.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// The VOMS directory.
    #[error("cannot read the VOMS directory `{path}`")]
    Voms {
        /// The directory.
        path: PathBuf,
        /// The reason.
        #[source]
        source: std::io::Error,
    },
    /// The mapping file.
    #[error("the mapping file `{path}` cannot be used: {reason}")]
    Map {
        /// The file.
        path: PathBuf,
        /// The reason.
        reason: String,
    },
}

/// What is said of certificates, as it was last read.
#[derive(Debug, Default)]
struct Said {
    voms: VomsDir,
    map: MapFile,
    /// Why what was read before still counts.
    problems: Vec<String>,
}

/// Callers by certificate.
pub struct Certificates {
    places: Places,
    trust: Option<TrustStore>,
    said: RwLock<Arc<Said>>,
    verified: RwLock<Arc<Verified>>,
    now: Now,
    knows: KnownVo,
}

impl Certificates {
    /// Reads all places.
    ///
    /// # Errors
    /// [`PlacesError`] when one cannot be used.
    pub fn open(places: Places, now: Now, knows: KnownVo) -> Result<Self, PlacesError> {
        let trust = places.ca_dir.as_deref().map(TrustStore::open).transpose()?;
        let said = Said { voms: read_voms(&places)?, map: read_map(&places)?, problems: Vec::new() };
        Ok(Self { places, trust, said: RwLock::new(Arc::new(said)), verified: RwLock::default(), now, knows })
    }

    /// Reads what has changed; true when something has. What cannot be read any more counts as it was, and [`Self::report`] tells.
    pub fn reload(&self) -> bool {
        let mut problems = Vec::new();
        let mut has_changed = self.trust.as_ref().map_or(Ok(false), TrustStore::reload).unwrap_or_else(|error| {
            problems.push(format!("{error}; what was read before counts"));
            false
        });
        let before = self.said.read().clone();
        let mut keep = |error: PlacesError| problems.push(format!("{error}; what was read before counts"));
        let voms = read_voms(&self.places).map_err(&mut keep).ok();
        let map = read_map(&self.places).map_err(&mut keep).ok();
        let is_new = voms.as_ref().is_some_and(|voms| *voms != before.voms) || map.as_ref().is_some_and(|map| *map != before.map);
        if is_new || problems != before.problems {
            let (voms, map) = (voms.unwrap_or_else(|| before.voms.clone()), map.unwrap_or_else(|| before.map.clone()));
            *self.said.write() = Arc::new(Said { voms, map, problems });
            has_changed = true;
        }
        if has_changed {
            *self.verified.write() = Arc::default();
        }
        has_changed
    }

    /// What is wrong or soon will be, a sentence each.
    #[must_use]
    pub fn report(&self) -> Vec<String> {
        let said = self.said.read().clone();
        let mut all = said.problems.clone();
        all.extend(said.voms.report());
        all.extend(self.trust().report(self.now_s()));
        all
    }

    /// What is trusted now.
    #[must_use]
    pub fn trust(&self) -> Arc<Trust> {
        self.trust.as_ref().map(TrustStore::current).unwrap_or_default()
    }

    /// Whether chains can hold at all.
    #[must_use]
    pub fn has_cas(&self) -> bool {
        self.trust.is_some()
    }

    fn now_s(&self) -> i64 {
        (self.now)().div_euclid(1_000_000)
    }

    /// Checks a chain for a handshake: whether it holds, not what it is good for.
    ///
    /// # Errors
    /// [`Refusal`] with the reason.
    pub fn check(&self, shown: &Shown) -> Result<Holds, Refusal> {
        verify(shown.chain(), &self.trust(), self.now_s(), Purpose::Client)
    }

    fn origin(&self, request: &RequestIdentity<'_>) -> Option<Origin> {
        let text = request.origin.filter(|origin| origin.len() <= MAX_ORIGIN_BYTES)?;
        Origin::parse(text, |vo| (self.knows)(vo))
    }

    fn by_chain(&self, shown: &Shown, origin: Option<&Origin>) -> Result<(Principal, i64), AccessError> {
        let refused = |why: String| AccessError::Certificate(why);
        let holds = self.check(shown).map_err(|why| refused(why.to_string()))?;
        acts_fully(&holds).map_err(|why| refused(why.to_string()))?;
        let said = self.said.read().clone();
        let mut facts = Facts::default();
        if self.places.voms_dir.is_some() {
            facts.attributes = voms::attributes(&holds, &said.voms, &self.trust(), self.now_s()).map_err(refused)?;
        }
        let subject = holds.own().subject.slash();
        facts.mapped = said.map.of(&subject).cloned().unwrap_or_default();
        let until = facts.attributes.iter().map(|a| a.until).fold(holds.until, i64::min);
        let principal = caller::principal(&subject, &names_of(&holds.own().subject), &facts, origin, |vo| (self.knows)(vo))?;
        Ok((principal, until))
    }

    /// The caller whose name a trusted reverse proxy tells.
    fn by_name(&self, text: &str, origin: Option<&Origin>) -> Result<Principal, AccessError> {
        let (subject, names) = from_text(text).map_err(|what| AccessError::Certificate(format!("`{text}` is not {what}")))?;
        let mapped = self.said.read().map.of(&subject).cloned().unwrap_or_default();
        caller::principal(&subject, &names, &Facts { mapped, ..Facts::default() }, origin, |vo| (self.knows)(vo))
    }
}

impl Identity for Certificates {
    fn authenticate(&self, request: &RequestIdentity<'_>) -> Result<Option<Arc<Principal>>, AccessError> {
        let origin = self.origin(request);
        let Some(shown) = request.certificate else {
            return request.certificate_name.map(|name| self.by_name(name, origin.as_ref()).map(Arc::new)).transpose();
        };
        let digest = cache::digest(&hex(shown.digest()), request.origin.unwrap_or_default());
        // What was verified by what is replaced meanwhile is put where nobody looks any more.
        let verified = self.verified.read().clone();
        if let Some(principal) = verified.get(&digest, (self.now)()) {
            return Ok(Some(principal));
        }
        let (principal, until) = self.by_chain(shown, origin.as_ref())?;
        let principal = Arc::new(principal);
        let until = until.min(self.now_s().saturating_add(CACHE_S));
        verified.put(digest, until.saturating_mul(1_000_000), principal.clone());
        Ok(Some(principal))
    }
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

fn read_voms(places: &Places) -> Result<VomsDir, PlacesError> {
    let Some(path) = &places.voms_dir else { return Ok(VomsDir::default()) };
    VomsDir::read(path).map_err(|source| PlacesError::Voms { path: path.clone(), source })
}

fn read_map(places: &Places) -> Result<MapFile, PlacesError> {
    let Some(path) = &places.map_file else { return Ok(MapFile::default()) };
    let failed = |reason: String| PlacesError::Map { path: path.clone(), reason };
    let text = read_text(path).map_err(|error| failed(error.to_string()))?;
    MapFile::read(&text).map_err(failed)
}

fn read_text(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    #[allow(clippy::disallowed_methods, reason = "bounded by `take`")]
    std::fs::File::open(path)?.take(MAX_MAP_BYTES).read_to_string(&mut text)?;
    Ok(text)
}
