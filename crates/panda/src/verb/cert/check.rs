//! `panda cert check`: files of the configuration, or a server as its clients, pilots and browsers see it.
//!
//! Owns what is looked at and in which order. Changes nothing, and sends nothing secret.

use std::path::Path;

use panda_access::x509::cert::Certificate;
use panda_access::x509::chain::Holds;
use panda_access::x509::expiry::WARNING_S;
use panda_access::x509::fault::{Fault, HostName, View, ends_soon, of_client, of_server};
use panda_access::x509::trust::{Trust, TrustStore};
use panda_access::x509::{Certificates, date};
use panda_client::BaseUrl;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Value, json};

use super::remote::{self, Own};
use super::views::{self, Eyes, bytes, chain_of, whole};
use super::{ends, now_s};
use crate::cli::CertCheckArgs;
use crate::config::Config;
use crate::config::keys::HTTPS_PORT;
use crate::context::Context;
use crate::failure::{Failure, exit};
use crate::screen;
use crate::session;
use crate::verb::finding::{self, Finding};

/// Clocks that are farther apart break short-lived certificates and tokens, seconds.
const MAX_SKEW_S: i64 = 60;

/// Looks, shows, and fails when anything is bad.
pub(super) async fn run(context: &Context, args: &CertCheckArgs) -> Result<u8, Failure> {
    let proxy = args.proxy.clone().or_else(views::own_proxy);
    let eyes: Vec<Eyes> = args.viewers.iter().map(|viewer| Eyes::of(*viewer, args.ca_dir.as_deref(), proxy.as_deref())).collect();
    let known = known(context, &eyes);
    let (findings, chain) = match &args.endpoint {
        Some(endpoint) => {
            let (host, port) = parted(endpoint)?;
            let name = args.name.clone().unwrap_or_else(|| host.clone());
            remote(&host, port, &name, proxy.as_deref(), &eyes, &known).await?
        }
        None => local(context, args.name.as_deref(), proxy.as_deref(), &eyes, &known)?,
    };
    if context.json {
        let chain: Vec<Value> = chain.iter().map(|der| described(der)).collect();
        let is_ok = finding::code(&findings) == exit::OK;
        screen::json(&json!({ "endpoint": args.endpoint, "ok": is_ok, "checks": finding::list(&findings), "chain": chain }));
    } else {
        finding::show(context, &findings);
    }
    Ok(finding::code(&findings))
}

/// Host and port of `HOST`, `HOST:PORT`, `[ADDRESS]:PORT` or an address of the web.
fn parted(text: &str) -> Result<(String, u16), Failure> {
    let bad = || Failure::usage(format!("`{text}` is no HOST:PORT"));
    let plain = text.strip_prefix("https://").unwrap_or(text).split('/').next().unwrap_or_default();
    let is_bare_v6 = plain.parse::<std::net::Ipv6Addr>().is_ok();
    let (host, port) = match plain.rsplit_once(':') {
        Some((host, port)) if !is_bare_v6 && !port.ends_with(']') => (host, port.parse().map_err(|_| bad())?),
        _ => (plain, HTTPS_PORT),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if host.is_empty() || port == 0 { Err(bad()) } else { Ok((host.to_owned(), port)) }
}

/// Every certificate that is known here from anywhere.
fn known(context: &Context, eyes: &[Eyes]) -> Trust {
    let mut known = Trust::default();
    eyes.iter().for_each(|eyes| known.merge(&eyes.trust));
    if let Some(store) = ca_dir(&context.config).and_then(|dir| TrustStore::open(dir).ok()) {
        known.merge(&store.current());
    }
    known
}

fn ca_dir(config: &Config) -> Option<&Path> {
    config.x509.places.as_ref().and_then(|places| places.ca_dir.as_deref())
}

type Looked = (Vec<Finding>, Vec<Vec<u8>>);

async fn remote(host: &str, port: u16, name: &str, proxy: Option<&Path>, eyes: &[Eyes], known: &Trust) -> Result<Looked, Failure> {
    let seen = remote::look(host, port, name, None).await;
    let seen = seen.map_err(|why| Failure::new(why).hint("is it the port with TLS, and does the server run?"))?;
    let mut findings = vec![Finding::ok("server", format!("{host}:{port} sends {}", summary(&seen.chain)))];
    if let Some(clock) = seen.clock_s {
        let ahead = clock - now_s();
        findings.push(if ahead.abs() > MAX_SKEW_S {
            let text = format!("the server's clock is {ahead} s ahead of ours: what is valid there may not be here");
            Finding { fault: Some("clock_skew"), ..Finding::bad("clock", text, "set both by NTP") }
        } else {
            Finding::ok("clock", format!("the server's is {ahead} s ahead of ours"))
        });
    }
    findings.extend(eyes.iter().flat_map(|eyes| seen_by(eyes, &seen.chain, Some(name), known)));
    if let Some(path) = proxy {
        findings.extend(own(path, eyes.first(), known));
        findings.push(shown(path, host, port, name).await);
    }
    Ok((findings, seen.chain))
}

fn local(context: &Context, name: Option<&str>, proxy: Option<&Path>, eyes: &[Eyes], known: &Trust) -> Result<Looked, Failure> {
    let config = &context.config;
    let mut findings = Vec::new();
    let mut chain = Vec::new();
    if let Some(tls) = &config.server.tls {
        let shown = tls.files.certificate.display();
        match panda_server::tls::Tls::open(tls.files.clone(), None) {
            Ok(_) => findings.push(Finding::ok("server", format!("`{shown}` and its key fit"))),
            Err(error) => {
                findings.push(Finding::bad("server", whole(&error), "`server.tls_certificate` and `server.tls_key` name the files"))
            }
        }
        if let Ok(found) = chain_of(&tls.files.certificate) {
            let public = config.server.public_url.as_deref().and_then(|url| BaseUrl::parse(url).ok());
            let public = public.and_then(|url| parted(url.root()).ok()).map(|(host, _)| host);
            let name = name.map(str::to_owned).or(public);
            if name.is_none() {
                findings.push(Finding::warning(
                    "server",
                    "nobody says by which name it is reached",
                    "set `server.public_url`, or give `--name HOST`",
                ));
            }
            findings.extend(eyes.iter().flat_map(|eyes| seen_by(eyes, &found, name.as_deref(), known)));
            chain = found;
        }
    }
    if let Some(places) = &config.x509.places {
        let config = config.clone();
        let knows = std::sync::Arc::new(move |vo: &str| config.knows_vo(vo));
        if let Err(error) = Certificates::open(places.clone(), std::sync::Arc::new(session::now_us), knows) {
            findings.push(Finding::bad("x509", whole(&error), "look at `[x509]` of the configuration"));
        }
    }
    findings.extend(ends(config));
    findings.extend(proxy.into_iter().flat_map(|path| own(path, eyes.first(), known)));
    if findings.is_empty() {
        let failure = Failure::usage(
            "there is nothing to look at: neither `server.tls_certificate` nor `[x509]` is configured, and no proxy is here",
        );
        return Err(failure.hint("`panda cert init` makes certificates; `panda cert check HOST:PORT` looks at a server"));
    }
    Ok((findings, chain))
}

/// What one of those who look sees.
fn seen_by(eyes: &Eyes, chain: &[Vec<u8>], name: Option<&str>, known: &Trust) -> Vec<Finding> {
    if let Some(why) = &eyes.blind {
        let hint = "set `X509_CERT_DIR` or `--ca-dir` to a directory of CAs; browsers' are those of the system, or of `SSL_CERT_FILE`";
        return vec![Finding { fault: Some("unknown_ca"), ..Finding::bad(eyes.name, why.clone(), hint) }];
    }
    let view = View { trust: &eyes.trust, place: &eyes.place, known, now_s: now_s() };
    let name = name.map(|name| HostName::new(name, eyes.common_name_counts));
    let (holds, faults) = of_server(chain, view, name.as_ref());
    let mut findings = found(eyes.name, faults);
    if let Some(root) = holds.as_ref().and_then(|holds| holds.chain.last())
        && let Some(file) = eyes.lacks_hash(root)
    {
        let text = format!("the CA {} is in {}, but not as `{file}`, under which OpenSSL looks for it", root.subject.slash(), eyes.place);
        findings.push(Finding { fault: Some("unknown_ca"), ..Finding::bad(eyes.name, text, format!("`openssl rehash {}`", eyes.place)) });
    }
    let is_well = findings.is_empty();
    findings.extend(good(eyes.name, holds, is_well));
    findings
}

fn found(what: &'static str, faults: Vec<Fault>) -> Vec<Finding> {
    faults.into_iter().map(|fault| Finding { fault: Some(fault.kind.as_str()), ..Finding::bad(what, fault.text, fault.hint) }).collect()
}

/// What is said of a chain that holds.
fn good(what: &'static str, holds: Option<Holds>, is_well: bool) -> Option<Finding> {
    let holds = holds?;
    if let Some(text) = ends_soon(&holds.chain, now_s(), WARNING_S).filter(|_| what != "proxy") {
        return Some(Finding::warning(what, text, "renew it"));
    }
    let root = holds.chain.last().map(|root| root.subject.slash()).unwrap_or_default();
    is_well.then(|| Finding::ok(what, format!("trusted by {root}, until {}", date(holds.until))))
}

/// Certificate or proxy of whoever calls, as a server with the CAs of its clients sees it.
fn own(path: &Path, eyes: Option<&Eyes>, known: &Trust) -> Vec<Finding> {
    use std::os::unix::fs::PermissionsExt as _;
    let shown = path.display();
    let chain = match chain_of(path) {
        Ok(chain) => chain,
        Err(why) => return vec![Finding::bad("proxy", why, "make one, or name another with `--proxy FILE`")],
    };
    let mut findings = Vec::new();
    if std::fs::metadata(path).is_ok_and(|meta| meta.permissions().mode() & 0o077 != 0) {
        findings.push(Finding::bad("proxy", format!("others can read `{shown}`"), format!("`chmod 600 {shown}`")));
    }
    let (trust, place) =
        eyes.filter(|eyes| eyes.name != "browser").map_or((known, "this machine"), |eyes| (&eyes.trust, eyes.place.as_str()));
    let (holds, faults) = of_client(&chain, View { trust, place, known, now_s: now_s() });
    findings.extend(found("proxy", faults));
    let is_well = findings.is_empty();
    findings.extend(good("proxy", holds, is_well));
    findings
}

/// What the server makes of it.
async fn shown(path: &Path, host: &str, port: u16, name: &str) -> Finding {
    let own = bytes(path).and_then(|pem| {
        let key = PrivateKeyDer::from_pem_slice(&pem).map_err(|_| format!("`{}` holds no key without passphrase", path.display()))?;
        Ok(Own { chain: views::ders(&pem)?, key })
    });
    let hint = "the server's log says why; `panda cert check` without a server looks at the file";
    match own {
        Err(why) => Finding::bad("proxy", why, "it is to hold certificates and key"),
        Ok(own) => match remote::look(host, port, name, Some(own)).await {
            Ok(seen) => match seen.refused {
                Some(why) => {
                    Finding { fault: Some("refused"), ..Finding::bad("proxy", format!("the server does not take it: {why}"), hint) }
                }
                None => Finding::ok("proxy", "the server takes it, or asks for none"),
            },
            Err(why) => Finding::bad("proxy", why, hint),
        },
    }
}

fn summary(chain: &[Vec<u8>]) -> String {
    let count = if chain.len() == 1 { "1 certificate".to_owned() } else { format!("{} certificates", chain.len()) };
    match chain.first().map(|der| Certificate::read(der)) {
        Some(Ok(own)) => format!("{count}: {} until {}", own.subject.slash(), date(own.not_after)),
        _ => format!("{count}, the first cannot be read"),
    }
}

fn described(der: &[u8]) -> Value {
    match Certificate::read(der) {
        Err(_) => Value::Null,
        Ok(c) => json!({
            "subject": c.subject.slash(), "issuer": c.issuer.slash(), "not_before_s": c.not_before, "not_after_s": c.not_after,
            "dns_names": c.dns_names, "is_proxy": c.proxy.is_some(), "is_ca": c.is_ca(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_parted() {
        for (text, host, port) in [
            ("a.org", "a.org", 25443),
            ("a.org:1", "a.org", 1),
            ("[::1]:2", "::1", 2),
            ("::1", "::1", 25443),
            ("[::1]", "::1", 25443),
            ("https://a.org:3/server/panda", "a.org", 3),
        ] {
            assert_eq!(parted(text).unwrap(), (host.to_owned(), port), "{text}");
        }
        assert!(["", ":1", "a:b", "a:99999", "a:0"].iter().all(|text| parted(text).is_err()));
    }
}
