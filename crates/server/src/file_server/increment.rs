//! Pieces of logs: Harvester sends the new bytes of a log, compressed with zlib (`spec/harvester.md` section 9).

use super::log_cap;
use crate::answer::{Refusal, Rejection};
use crate::upload::Upload;
use std::io::Read;

/// Reads an upload; compressed ones are decompressed, up to the cap of a log.
///
/// # Errors
/// 413 over the cap; 500 when the file cannot be read.
pub(super) async fn text(upload: &Upload) -> Result<Option<Vec<u8>>, Refusal> {
    let failed = |error: std::io::Error| {
        tracing::error!(%error, "an upload cannot be read back");
        Refusal::from(Rejection::internal("the server cannot read the file now"))
    };
    let bytes = tokio::fs::read(&upload.path).await.map_err(failed)?;
    if !is_zlib(&bytes) {
        return Ok(None);
    }
    let cap = log_cap(&upload.name);
    let inflated = tokio::task::spawn_blocking(move || inflate(&bytes, cap)).await.map_err(|e| failed(std::io::Error::other(e)))?;
    match inflated {
        Some(text) if text.len() as u64 > cap => {
            Err(Rejection::too_large(format!("the log has more than {} MB after decompression", cap >> 20)).into())
        }
        other => Ok(other),
    }
}

/// Whether bytes begin as zlib does (RFC 1950 section 2.2).
fn is_zlib(bytes: &[u8]) -> bool {
    matches!(bytes, [first @ 0x78, second, ..] if (u16::from(*first) << 8 | u16::from(*second)) % 31 == 0)
}

/// None when it is no zlib after all: a text may begin as one.
fn inflate(bytes: &[u8], cap: u64) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let reader = flate2::read::ZlibDecoder::new(bytes);
    std::io::copy(&mut reader.take(cap + 1), &mut out).ok().map(|_| out)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn zlib_is_told_from_text() {
        let mut writer = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
        writer.write_all(b"line").unwrap();
        let bytes = writer.finish().unwrap();
        assert!(is_zlib(&bytes));
        assert_eq!(inflate(&bytes, 4).unwrap(), b"line");
        assert_eq!(inflate(&bytes, 2).unwrap().len(), 3, "one byte above the cap tells");
        assert!(!is_zlib(b"xyz") && !is_zlib(b"") && !is_zlib(b"x"));
        assert_eq!(inflate(b"x^ is how this text begins", 100), None);
    }
}
