//! Certificates that a reverse proxy passes on in a header.
//!
//! Owns: the forms in which proxies write them, and whose word counts. Must not know: whether they hold.

use std::net::IpAddr;

use base64::Engine as _;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use super::{MAX_CHAIN, Shown};

/// Longest header that is decoded: a chain with VOMS attributes has some 20 kB.
const MAX_BYTES: usize = 64 << 10;

/// A network: address and how many of its bits count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u32,
}

impl Network {
    /// Reads `10.0.0.1`, `10.0.0.0/8`, `2001:db8::/32`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address: IpAddr = address.trim().parse().ok()?;
        let all = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Some(all), |bits| bits.trim().parse().ok().filter(|bits| *bits <= all))?;
        Some(Self { address, bits })
    }

    /// Whether an address is in it.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let same = |a: u128, b: u128, all: u32| self.bits == 0 || (a ^ b) >> (all - self.bits) == 0;
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(a), IpAddr::V4(b)) => same(u32::from(a).into(), u32::from(b).into(), 32),
            (IpAddr::V6(a), IpAddr::V6(b)) => same(a.into(), b.into(), 128),
            _ => false,
        }
    }
}

/// The certificates in a header: PEM as it is, with spaces or tabs for line ends (Apache), or percent-encoded (nginx); DER in base64, also between colons
/// (RFC 9440, HAProxy). Several stand one behind the other, or are parted by commas.
///
/// # Errors
/// A sentence.
pub fn decode(text: &str) -> Result<Shown, String> {
    if text.len() > MAX_BYTES {
        return Err(format!("it is longer than {MAX_BYTES} bytes"));
    }
    let text = percent(text);
    let chain = if text.contains("-----BEGIN") { pem(&text) } else { base64(&text) }?;
    Shown::new(chain.into_iter()).ok_or_else(|| "there is no certificate in it".to_owned())
}

fn pem(text: &str) -> Result<Vec<Vec<u8>>, String> {
    const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
    const END: &str = "-----END CERTIFICATE-----";
    let mut chain = Vec::new();
    for block in text.split(BEGIN).skip(1).take(MAX_CHAIN) {
        let body = block.split_once(END).ok_or("its PEM is cut")?.0;
        let lines: Vec<&str> = body.split_whitespace().collect();
        let block = format!("{BEGIN}\n{}\n{END}\n", lines.join("\n"));
        chain.push(CertificateDer::from_pem_slice(block.as_bytes()).map_err(|_| "its PEM is damaged")?.to_vec());
    }
    Ok(chain)
}

fn base64(text: &str) -> Result<Vec<Vec<u8>>, String> {
    let engine = base64::engine::general_purpose::STANDARD;
    let one = |piece: &str| engine.decode(piece.trim().trim_matches(':')).map_err(|_| "it is neither PEM nor base64".to_owned());
    text.split(',').filter(|piece| !piece.trim().is_empty()).take(MAX_CHAIN).map(one).collect()
}

/// Resolves `%0A` and its kin; what is no escape stays.
fn percent(text: &str) -> String {
    let digit = |octet: Option<&u8>| octet.and_then(|octet| char::from(*octet).to_digit(16));
    let (bytes, mut out) = (text.as_bytes(), Vec::with_capacity(text.len()));
    let mut at = 0;
    while let Some(octet) = bytes.get(at) {
        match (octet, digit(bytes.get(at + 1)), digit(bytes.get(at + 2))) {
            (b'%', Some(high), Some(low)) => {
                out.push(u8::try_from(high << 4 | low).unwrap_or_default());
                at += 3;
            }
            _ => {
                out.push(*octet);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks() {
        let holds = |network: &str, address: &str| Network::parse(network).unwrap().contains(address.parse().unwrap());
        assert!(holds("10.0.0.1", "10.0.0.1") && holds("10.0.0.1", "::ffff:10.0.0.1") && !holds("10.0.0.1", "10.0.0.2"));
        assert!(holds("10.0.0.0/8", "10.9.9.9") && !holds("10.0.0.0/8", "11.0.0.0") && holds("0.0.0.0/0", "1.2.3.4"));
        assert!(holds("2001:db8::/32", "2001:db8:1::2") && !holds("2001:db8::/32", "2001:db9::1") && !holds("::/0", "1.2.3.4"));
        for bad in ["", "10.0.0.0/33", "host.example.org", "10.0.0.0/x"] {
            assert_eq!(Network::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn forms_of_headers() {
        let engine = base64::engine::general_purpose::STANDARD;
        let (a, b) = (engine.encode([1, 2, 3]), engine.encode([9; 60]));
        let block = |body: &str, end: &str| format!("-----BEGIN CERTIFICATE-----{end}{body}{end}-----END CERTIFICATE-----{end}");
        let want = Shown::new([vec![1, 2, 3], vec![9; 60]].into_iter()).unwrap();
        for text in [
            block(&a, "\n") + &block(&b, "\n"),
            block(&a, " ") + &block(&b, " "),
            (block(&a, "\n") + &block(&b, "\n")).replace('\n', "%0A").replace('+', "%2B").replace('=', "%3D"),
            format!(":{a}:, :{b}:"),
            format!("{a},{b}"),
        ] {
            assert_eq!(decode(&text).unwrap(), want, "{text}");
        }
        for bad in ["", "(null)", "-----BEGIN CERTIFICATE-----\nAQID", "-----BEGIN CERTIFICATE----- ! -----END CERTIFICATE-----", "%%%"] {
            assert!(decode(bad).is_err(), "{bad}");
        }
    }
}
