//! VOMS: which groups and roles a VO's server says that somebody has.
//!
//! Owns: attribute certificates in proxies (RFC 5755 and the VOMS attribute certificate profile, OGF GFD.182), and the directory that says which server may
//! speak for a VO (`<vo>/<host>.lsc`). Must not know: what groups and roles mean here.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::cert::Certificate;
use super::chain::{Holds, Purpose, verify};
use super::der::{Element, Elements, Extension, Malformed, Read, tag};
use super::name::{self, Name, tidy};
use super::refusal::date;
use super::sign;
use super::trust::Trust;

/// Octets of OIDs: the arc of VOMS and one more each.
const FQANS: &[u8] = &[0x2b, 6, 1, 4, 1, 0xbe, 0x45, 100, 100, 4];
const CERTIFICATES: &[u8] = &[0x2b, 6, 1, 4, 1, 0xbe, 0x45, 100, 100, 10];
const TAGS: &[u8] = &[0x2b, 6, 1, 4, 1, 0xbe, 0x45, 100, 100, 11];
const NO_REVOCATION: &[u8] = &[0x55, 0x1d, 56];
const AUTHORITY_KEY_ID: &[u8] = &[0x55, 0x1d, 35];
const TARGETS: &[u8] = &[0x55, 0x1d, 55];

/// Most FQANs of one attribute certificate that count; large VOs have some ten groups a person.
const MAX_FQANS: usize = 200;
/// Most files of the directory, and largest of them.
const MAX_FILES: usize = 10_000;
const MAX_FILE_BYTES: u64 = 64 << 10;
/// How far clocks of VOMS servers may be from ours, seconds.
const SKEW_S: i64 = 300;

/// What a VO says of somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attributes {
    /// The VO, as its server spells it.
    pub vo: String,
    /// Groups and roles, the first is the one that was asked for first: `/amber/higgs/Role=production`.
    pub fqans: Vec<String>,
    /// The attribute `nickname`.
    pub nickname: Option<String>,
    /// Until when, seconds UTC since 1970.
    pub until: i64,
}

/// Chains of names that may speak for a VO, from one file.
type Chains = Vec<Vec<String>>;

/// The servers that may speak for VOs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VomsDir {
    /// By VO and host, lower case.
    files: BTreeMap<(String, String), Result<Chains, String>>,
    stamps: Vec<(PathBuf, Option<SystemTime>, u64)>,
}

impl VomsDir {
    /// Reads the directory.
    ///
    /// # Errors
    /// When it cannot be read. A file that cannot be is told when its server speaks.
    pub fn read(dir: &Path) -> std::io::Result<Self> {
        let mut all = Self::default();
        for vo in std::fs::read_dir(dir)? {
            let vo = vo?.path();
            let Some(name) = vo.file_name().and_then(|name| name.to_str()).filter(|_| vo.is_dir()) else { continue };
            for file in std::fs::read_dir(&vo)? {
                let path = file?.path();
                let Some(host) = path.file_name().and_then(|name| name.to_str()?.strip_suffix(".lsc")) else { continue };
                if all.stamps.len() >= MAX_FILES {
                    break;
                }
                let meta = std::fs::metadata(&path)?;
                all.stamps.push((path.clone(), meta.modified().ok(), meta.len()));
                all.files.insert((name.to_ascii_lowercase(), host.to_ascii_lowercase()), read_lsc(&path));
            }
        }
        all.stamps.sort();
        Ok(all)
    }

    /// Files that cannot be used, a sentence each.
    #[must_use]
    pub fn report(&self) -> Vec<String> {
        self.files
            .iter()
            .filter_map(|((vo, host), chains)| chains.as_ref().err().map(|why| format!("`{vo}/{host}.lsc` cannot be used: {why}")))
            .collect()
    }

    /// Holds that these certificates may speak for the VO.
    fn admit(&self, vo: &str, host: &str, certificates: &[Certificate]) -> Result<(), String> {
        let chains = match self.files.get(&(vo.to_ascii_lowercase(), host.to_ascii_lowercase())) {
            None => {
                return Err(format!(
                    "no server {host} is known here for the VO {vo} (there is no `{vo}/{host}.lsc` in the VOMS directory)"
                ));
            }
            Some(Err(why)) => return Err(format!("`{vo}/{host}.lsc` cannot be used: {why}")),
            Some(Ok(chains)) => chains,
        };
        let fits = |names: &Vec<String>| {
            names.len() > certificates.len()
                && certificates
                    .iter()
                    .zip(names.windows(2))
                    .all(|(c, pair)| tidy(&c.subject.slash()) == pair[0] && tidy(&c.issuer.slash()) == pair[1])
        };
        if chains.iter().any(fits) {
            return Ok(());
        }
        let found = certificates.first().map(|c| c.subject.slash()).unwrap_or_default();
        Err(format!("`{vo}/{host}.lsc` names another certificate than {found} or another CA of it"))
    }
}

fn read_lsc(path: &Path) -> Result<Chains, String> {
    use std::io::Read as _;
    let mut text = String::new();
    #[allow(clippy::disallowed_methods, reason = "bounded by `take`")]
    std::fs::File::open(path).and_then(|file| file.take(MAX_FILE_BYTES).read_to_string(&mut text)).map_err(|error| error.to_string())?;
    let mut chains = vec![Vec::new()];
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        match chains.last_mut() {
            Some(chain) if line.starts_with('/') => chain.push(tidy(line)),
            _ if line.starts_with("---") => chains.push(Vec::new()),
            _ => return Err(format!("`{line}` is no name in slash form")),
        }
    }
    chains.retain(|chain| !chain.is_empty());
    if chains.is_empty() || chains.iter().any(|chain| chain.len() < 2) {
        return Err("a name and the name of its CA are wanted, a line each".to_owned());
    }
    Ok(chains)
}

/// An attribute certificate, read.
#[derive(Debug)]
struct AttributeCertificate {
    /// Issuer and serial number of the certificate that it is about.
    holder: (Name, Vec<u8>),
    not_before: i64,
    not_after: i64,
    /// VO and host: `amber://voms.example.org:15000`.
    authority: String,
    fqans: Vec<String>,
    nickname: Option<String>,
    /// Of the server, then those that vouch for it.
    certificates: Vec<Certificate>,
    /// What makes it unusable.
    refused: Option<&'static str>,
    signed: Vec<u8>,
    signature_algorithm: Vec<u8>,
    signature: Vec<u8>,
}

/// What the attribute certificates nearest to the end of the chain say; empty when there are none.
///
/// # Errors
/// A sentence, when one of them does not hold.
pub fn attributes(holds: &Holds, dir: &VomsDir, trust: &Trust, now: i64) -> Result<Vec<Attributes>, String> {
    let Some(bearing) = holds.chain[..=holds.holder].iter().find(|certificate| !certificate.voms.is_empty()) else { return Ok(Vec::new()) };
    bearing.voms.iter().map(|der| one(der, holds.own(), dir, trust, now)).collect()
}

fn one(der: &[u8], own: &Certificate, dir: &VomsDir, trust: &Trust, now: i64) -> Result<Attributes, String> {
    let ac = AttributeCertificate::read(der).map_err(|m| format!("its VOMS attributes cannot be read: {} was expected there", m.0))?;
    let (vo, rest) = ac.authority.split_once("://").ok_or("its VOMS attributes do not say of which VO they are")?;
    let host = rest.rsplit_once(':').map_or(rest, |(host, _)| host);
    if vo.is_empty() || host.is_empty() {
        return Err("its VOMS attributes do not say of which VO they are".to_owned());
    }
    let bad = |why: String| Err(format!("its attributes of the VO {vo} do not hold: {why}"));
    if let Some(why) = ac.refused {
        return bad(why.to_owned());
    }
    if ac.holder.0 != own.issuer || ac.holder.1 != own.serial {
        return bad(format!("they are of somebody else than {}", own.subject.slash()));
    }
    if now >= ac.not_after {
        return bad(format!("they expired on {}: make a new proxy", date(ac.not_after)));
    }
    if now < ac.not_before.saturating_sub(SKEW_S) {
        return bad(format!("they are not valid before {}: is a clock wrong?", date(ac.not_before)));
    }
    let Some(server) = ac.certificates.first() else {
        return bad("the certificate of the VOMS server is not with them".to_owned());
    };
    if let Err(why) = dir.admit(vo, host, &ac.certificates) {
        return bad(why);
    }
    let shown: Vec<Vec<u8>> = ac.certificates.iter().map(|c| c.raw.to_vec()).collect();
    let signer = match verify(&shown, trust, now, Purpose::Signature) {
        Ok(signer) => signer,
        Err(why) => return bad(format!("the certificate of the VOMS server: {why}")),
    };
    if let Err(why) = sign::verify(&ac.signature_algorithm, &ac.signed, &ac.signature, server, "what the VOMS server said") {
        return bad(why.to_string());
    }
    let is_of_vo =
        |fqan: &String| fqan.strip_prefix('/').and_then(|f| f.strip_prefix(vo)).is_some_and(|f| f.is_empty() || f.starts_with('/'));
    if let Some(stray) = ac.fqans.iter().find(|fqan| !is_of_vo(fqan)) {
        return bad(format!("`{stray}` is none of its groups"));
    }
    Ok(Attributes { vo: vo.to_owned(), fqans: ac.fqans, nickname: ac.nickname, until: ac.not_after.min(signer.until) })
}

impl AttributeCertificate {
    fn read(der: &[u8]) -> Read<Self> {
        let mut outer = Elements::of(der);
        let mut parts = outer.sequence("an attribute certificate")?;
        outer.end("nothing behind it")?;
        let info = parts.next(tag::SEQUENCE, "the signed part")?;
        let signature_algorithm = parts.next(tag::SEQUENCE, "the signature algorithm")?.value.to_vec();
        let signature = parts.next(tag::BIT_STRING, "the signature")?.octets("the signature")?.to_vec();
        let mut e = info.inner();
        if e.next(tag::INTEGER, "the version")?.number("the version")? != 1 {
            return Err(Malformed("an attribute certificate of version 2"));
        }
        let holder = holder(e.sequence("the holder")?)?;
        // The issuer is known by its certificate, which comes along.
        e.next(tag::constructed(0), "the issuer")?;
        e.next(tag::SEQUENCE, "the signature algorithm")?;
        e.next(tag::INTEGER, "the serial number")?;
        let mut validity = e.sequence("the validity")?;
        let not_before = validity.any("the start of validity")?.time("the start of validity")?;
        let not_after = validity.any("the end of validity")?.time("the end of validity")?;
        let attributes = e.sequence("the attributes")?;
        let mut ac = Self {
            holder,
            not_before,
            not_after,
            authority: String::new(),
            fqans: Vec::new(),
            nickname: None,
            certificates: Vec::new(),
            refused: None,
            signed: info.raw.to_vec(),
            signature_algorithm,
            signature,
        };
        ac.attributes(attributes)?;
        e.optional(tag::BIT_STRING, "the issuer's identifier")?;
        if let Some(extensions) = e.optional(tag::SEQUENCE, "the extensions")? {
            ac.extensions(extensions.inner())?;
        }
        e.end("nothing behind the extensions")?;
        Ok(ac)
    }

    fn attributes(&mut self, mut list: Elements<'_>) -> Read<()> {
        const WHAT: &str = "an attribute";
        while !list.is_empty() {
            let mut attribute = list.sequence(WHAT)?;
            if attribute.next(tag::OID, WHAT)?.value != FQANS {
                continue;
            }
            let mut values = attribute.next(tag::SET, WHAT)?.inner();
            while !values.is_empty() {
                let mut syntax = values.sequence(WHAT)?;
                let authority = syntax.next(tag::constructed(0), WHAT)?.inner().next(tag::context(6), WHAT)?;
                self.authority = text(&authority)?;
                let mut fqans = syntax.sequence(WHAT)?;
                while !fqans.is_empty() {
                    let fqan = text(&fqans.next(tag::OCTET_STRING, WHAT)?)?;
                    if self.fqans.len() >= MAX_FQANS {
                        return Err(Malformed("no more than 200 groups and roles"));
                    }
                    self.fqans.push(fqan);
                }
            }
        }
        Ok(())
    }

    fn extensions(&mut self, mut list: Elements<'_>) -> Read<()> {
        const WHAT: &str = "an extension";
        while !list.is_empty() {
            let Extension { oid, is_critical, value } = list.extension()?;
            match oid {
                CERTIFICATES => {
                    let mut certificates = Elements::of(value).sequence(WHAT)?.sequence(WHAT)?;
                    while !certificates.is_empty() && self.certificates.len() < super::MAX_CHAIN {
                        self.certificates.push(Certificate::read(certificates.any(WHAT)?.raw)?);
                    }
                }
                TAGS => self.nickname = nickname(Elements::of(value).sequence(WHAT)?)?,
                TARGETS => self.refused = Some("they are for certain machines only, which is not supported"),
                NO_REVOCATION | AUTHORITY_KEY_ID => {}
                _ if is_critical => self.refused = Some("they have a critical extension that nobody here understands"),
                _ => {}
            }
        }
        Ok(())
    }
}

/// Issuer and serial number of the certificate that is spoken about.
fn holder(mut e: Elements<'_>) -> Read<(Name, Vec<u8>)> {
    const WHAT: &str = "the holder's issuer and serial number";
    let mut base = e.next(tag::constructed(0), WHAT)?.inner();
    let mut names = base.sequence(WHAT)?;
    let issuer = name::name(&mut names.next(tag::constructed(4), WHAT)?.inner(), WHAT)?;
    let serial = base.next(tag::INTEGER, WHAT)?.value.to_vec();
    Ok((issuer, serial))
}

/// The attribute `nickname` among generic ones.
fn nickname(mut holders: Elements<'_>) -> Read<Option<String>> {
    const WHAT: &str = "a generic attribute";
    let mut found = None;
    while !holders.is_empty() {
        let mut lists = holders.sequence(WHAT)?;
        while !lists.is_empty() {
            let mut list = lists.sequence(WHAT)?;
            list.any(WHAT)?;
            let mut pairs = list.sequence(WHAT)?;
            while !pairs.is_empty() {
                let mut pair = pairs.sequence(WHAT)?;
                let (key, value) = (text(&pair.next(tag::OCTET_STRING, WHAT)?)?, text(&pair.next(tag::OCTET_STRING, WHAT)?)?);
                if key == "nickname" && !value.is_empty() {
                    found.get_or_insert(value);
                }
            }
        }
    }
    Ok(found)
}

/// Short printable text.
fn text(element: &Element<'_>) -> Read<String> {
    let text = std::str::from_utf8(element.value).ok().filter(|text| text.len() <= 1024 && !text.chars().any(char::is_control));
    text.map(str::to_owned).ok_or(Malformed("short text without control characters"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_servers_are_read() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("amber")).unwrap();
        let file = |name: &str, text: &str| std::fs::write(folder.path().join("amber").join(name), text).unwrap();
        file(
            "voms.example.org.lsc",
            "# of old\n/CN=voms.example.org\n/CN=CA\n------ NEXT CHAIN ------\n/DC=x/CN=voms\n/DC=x/CN=CA/E=a@b\n",
        );
        file("short.example.org.lsc", "/CN=only\n");
        file("odd.example.org.lsc", "CN=voms,O=x\n/CN=CA\n");
        file("README", "none of ours");
        let dir = VomsDir::read(folder.path()).unwrap();
        let of = |host: &str| dir.files[&("amber".to_owned(), host.to_owned())].clone();
        let want = [["/CN=voms.example.org", "/CN=CA"], ["/DC=x/CN=voms", "/DC=x/CN=CA/Email=a@b"]];
        assert_eq!(of("voms.example.org").unwrap(), want.map(|chain| chain.map(str::to_owned).to_vec()));
        assert_eq!(dir.report().len(), 2, "{:?}", dir.report());
        assert_eq!(dir.files.len(), 3);
        assert!(VomsDir::read(&folder.path().join("none")).is_err());
    }
}
