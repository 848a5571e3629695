//! Multipart bodies, streamed to a temporary file.
//!
//! Owns the running size and checksums, the cap while bytes still come in, and
//! what counts as a file name. Must not know where a file ends up.

use crate::answer::Rejection;
use crate::body::{self, CHUNK_TIMEOUT};
use axum::body::Body;
use multer::{Constraints, Multipart, SizeLimit};
use panda_ops::blob::is_safe_name;
use std::path::Path;
use tempfile::TempPath;
use tokio::io::AsyncWriteExt;

/// Longest text field beside a file.
const FIELD_LIMIT: u64 = 1 << 20;

/// Header and trailer of an empty gzip file, bytes.
const SHORTEST_GZIP: u64 = 18;

/// A received file. The temporary file goes when this is dropped.
#[derive(Debug)]
pub struct Upload {
    /// Its name: the last component of what the client sent, made of safe characters.
    pub name: String,
    /// Where it lies until it is taken over.
    pub path: TempPath,
    /// Bytes.
    pub size: u64,
    /// Adler-32 of the bytes.
    pub adler32: u32,
    /// CRC-32 of the bytes.
    pub crc32: u32,
    /// First two and last eight bytes, for [`Upload::sandbox_checksum`].
    ends: Ends,
}

#[derive(Debug, Clone, Copy, Default)]
struct Ends {
    head: [u8; 2],
    tail: [u8; 8],
    seen: u64,
}

impl Ends {
    fn add(&mut self, chunk: &[u8]) {
        for (at, byte) in chunk.iter().take(2).enumerate() {
            // The first chunk may be a single byte.
            if let Some(slot) = usize::try_from(self.seen).ok().and_then(|seen| self.head.get_mut(seen + at)) {
                *slot = *byte;
            }
        }
        self.seen += chunk.len() as u64;
        let keep = chunk.len().min(8);
        self.tail.rotate_left(keep);
        self.tail[8 - keep..].copy_from_slice(&chunk[chunk.len() - keep..]);
    }
}

impl Upload {
    /// The number that clients compare a sandbox by: the CRC of what a gzip file
    /// holds, from its trailer; Adler-32 for other files (client sheet 4.1).
    #[must_use]
    pub fn sandbox_checksum(&self) -> u32 {
        let tail = self.ends.tail;
        if self.is_gzip() { u32::from_le_bytes([tail[0], tail[1], tail[2], tail[3]]) } else { self.adler32 }
    }

    /// Whether it starts as gzip does and is long enough to be one.
    #[must_use]
    pub fn is_gzip(&self) -> bool {
        self.ends.head == [0x1f, 0x8b] && self.ends.seen >= SHORTEST_GZIP
    }
}

/// The last component of a path that a client sent as file name, if it is one
/// that the server keeps files under ([`is_safe_name`]).
#[must_use]
pub fn safe_name(sent: &str) -> Option<&str> {
    sent.rsplit(['/', '\\']).next().filter(|name| is_safe_name(name))
}

/// A multipart body in pieces.
#[derive(Debug, Default)]
pub struct Parts {
    /// Text fields.
    pub fields: Vec<(String, String)>,
    /// The first part that has a file name.
    pub file: Option<Upload>,
}

/// How files of a request are taken.
#[derive(Debug, Clone, Copy)]
pub struct Intake<'a> {
    /// Folder of temporary files, on the file system where uploads end up.
    pub folder: &'a Path,
    /// Most bytes of a file of this name.
    pub cap: fn(&str) -> u64,
}

/// Reads a multipart body; without an intake, file parts are read as text fields.
///
/// # Errors
/// 400 for a broken body, 413 over a cap, 500 when the disk refuses.
pub async fn receive(body: Body, content_type: &str, intake: Option<Intake<'_>>) -> Result<Parts, Rejection> {
    let boundary = multer::parse_boundary(content_type)
        .map_err(|_| Rejection::unreadable("the multipart body names no boundary in its Content-Type"))?;
    let total = intake.map_or(body::JSON_LIMIT, |_| u64::MAX);
    let limits = SizeLimit::new().whole_stream(total);
    let stream = body.into_data_stream();
    let mut multipart = Multipart::with_constraints(stream, boundary, Constraints::new().size_limit(limits));
    let mut parts = Parts::default();
    while let Some(mut field) = timed(multipart.next_field()).await? {
        let key = field.name().unwrap_or_default().to_owned();
        match (field.file_name().map(str::to_owned), intake) {
            (Some(sent), Some(intake)) if parts.file.is_none() => parts.file = Some(store(&mut field, &sent, intake).await?),
            (Some(_), Some(_)) => return Err(Rejection::unreadable("one file at a time; the body holds several")),
            _ => {
                let mut text = Vec::new();
                while let Some(chunk) = timed(field.chunk()).await? {
                    if (text.len() + chunk.len()) as u64 > FIELD_LIMIT {
                        return Err(Rejection::too_large(format!("the form field '{key}' has more than {FIELD_LIMIT} bytes")));
                    }
                    text.extend_from_slice(&chunk);
                }
                if parts.fields.len() >= crate::args::MAX_NAMES {
                    return Err(Rejection::too_large(format!("more than {} form fields", crate::args::MAX_NAMES)));
                }
                parts.fields.push((key, String::from_utf8_lossy(&text).into_owned()));
            }
        }
    }
    Ok(parts)
}

async fn store(field: &mut multer::Field<'_>, sent: &str, intake: Intake<'_>) -> Result<Upload, Rejection> {
    let name = safe_name(sent)
        .ok_or_else(|| Rejection::unreadable("the file name is not allowed; use letters, digits and . _ - + : without a leading dot"))?;
    let cap = (intake.cap)(name);
    let disk = |error: std::io::Error| {
        tracing::error!(%error, folder = %intake.folder.display(), "cannot store an upload");
        Rejection::internal("the server cannot store the file now")
    };
    let (file, path) = tempfile::Builder::new().prefix(".upload-").tempfile_in(intake.folder).map_err(disk)?.into_parts();
    let mut file = tokio::fs::File::from_std(file);
    let mut upload = Upload { name: name.to_owned(), path, size: 0, adler32: 0, crc32: 0, ends: Ends::default() };
    let mut crc = crc32fast::Hasher::new();
    let mut adler = adler2::Adler32::new();
    while let Some(chunk) = timed(field.chunk()).await? {
        upload.size += chunk.len() as u64;
        if upload.size > cap {
            return Err(Rejection::too_large(format!(
                "the file {name} has more than {} MB, which is the limit for such a name",
                cap >> 20
            )));
        }
        crc.update(&chunk);
        adler.write_slice(&chunk);
        upload.ends.add(&chunk);
        file.write_all(&chunk).await.map_err(disk)?;
    }
    file.flush().await.map_err(disk)?;
    file.sync_all().await.map_err(disk)?;
    upload.crc32 = crc.finalize();
    upload.adler32 = adler.checksum();
    Ok(upload)
}

async fn timed<T>(step: impl Future<Output = multer::Result<T>>) -> Result<T, Rejection> {
    match tokio::time::timeout(CHUNK_TIMEOUT, step).await {
        Err(_) => Err(body::stalled()),
        Ok(Ok(value)) => Ok(value),
        Ok(Err(multer::Error::StreamSizeExceeded { limit })) => Err(Rejection::too_large(format!("the form has more than {limit} bytes"))),
        Ok(Err(error)) => Err(Rejection::unreadable(format!("the multipart body is broken: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        assert_eq!(safe_name("jobO.1-2.tar.gz"), Some("jobO.1-2.tar.gz"));
        assert_eq!(safe_name("/home/alice/pre_1.dat.gz"), Some("pre_1.dat.gz"));
        assert_eq!(safe_name("C:\\x\\a.gz"), Some("a.gz"));
        let long = "a".repeat(256);
        for bad in ["", "..", ".", "a/..", "a/", ".hidden", "a b", "a\0", "é", "a%2f", "tmp", "a~", long.as_str()] {
            assert_eq!(safe_name(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn ends_are_kept_over_chunks() {
        let bytes: Vec<u8> = (0..30).collect();
        for size in 1..31 {
            let mut ends = Ends::default();
            for chunk in bytes.chunks(size) {
                ends.add(chunk);
            }
            assert_eq!((ends.head, ends.tail, ends.seen), ([0, 1], [22, 23, 24, 25, 26, 27, 28, 29], 30), "chunks of {size}");
        }
    }
}
