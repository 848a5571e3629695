//! `panda cert init|check`, and what `panda doctor` says of certificates.
//!
//! Owns which files of the configuration hold what. Must not know how certificates are made ([`init`]) or looked at ([`check`]).

mod check;
mod init;
mod remote;
mod views;

use panda_access::x509::expiry::{self, Expiry, WARNING_S};
use panda_access::x509::trust::TrustStore;
use panda_access::x509::{cert::Certificate, date};

use super::finding::Finding;
use crate::cli::CertVerb;
use crate::config::Config;
use crate::context::Context;
use crate::failure::Failure;
use crate::session;

/// Runs the sub-verb.
pub async fn run(context: &Context, verb: &CertVerb) -> Result<u8, Failure> {
    match verb {
        CertVerb::Init(args) => init::run(context, args),
        CertVerb::Check(args) => check::run(context, args).await,
    }
}

/// Now, seconds UTC since 1970.
fn now_s() -> i64 {
    session::now_us().div_euclid(1_000_000)
}

/// What of the configured certificates ends within a week or is broken; one finding that all is well, when it is.
pub(super) fn ends(config: &Config) -> Vec<Finding> {
    let now = now_s();
    let mut all: Vec<Expiry> = Vec::new();
    let mut findings = Vec::new();
    if let Some(tls) = &config.server.tls {
        match views::chain_of(&tls.files.certificate) {
            Ok(chain) => all.extend(chain.iter().filter_map(|der| Some(Expiry::of("host_certificate", &Certificate::read(der).ok()?)))),
            Err(why) => findings.push(Finding::bad("credential", why, "`panda cert check` tells more")),
        }
    }
    if let Some(dir) = config.x509.places.as_ref().and_then(|places| places.ca_dir.as_deref()) {
        match TrustStore::open(dir) {
            Ok(store) => {
                let trust = store.current();
                // Lists are renewed all the time and reported by their own measure.
                all.extend(trust.expiries().into_iter().filter(|expiry| expiry.kind != "revocation_list"));
                let hint = "docs/tls.md says what counts how long";
                findings.extend(trust.report(now).into_iter().map(|line| Finding::bad("credential", line, hint)));
            }
            Err(error) => findings.push(Finding::bad("credential", views::whole(&error), "look at `x509.ca_dir`")),
        }
    }
    let all = expiry::first_ends(all);
    for expiry in all.iter().filter(|expiry| expiry.left_s(now) < WARNING_S) {
        let verb = if expiry.left_s(now) <= 0 { "ended" } else { "ends" };
        let text = format!("{} {} {verb} on {}", expiry.kind.replace('_', " "), expiry.name, date(expiry.until_s));
        findings.push(Finding::bad("credential", text, hint(expiry.kind)));
    }
    if findings.is_empty()
        && let Some(first) = all.iter().min_by_key(|expiry| expiry.until_s)
    {
        findings.push(Finding::ok(
            "credential",
            format!("{} in use, the first to end is {} on {}", all.len(), first.name, date(first.until_s)),
        ));
    }
    findings
}

fn hint(kind: &str) -> &'static str {
    if kind == "ca" {
        "take its successor into `x509.ca_dir`; until then remove it there if nobody needs it"
    } else {
        "renew it: the server takes the new file within five seconds; `panda cert init --force` renews one of your own CA"
    }
}
