//! The layout of a storage endpoint that is a directory tree, as pilots compute it: `<root>/<scope, dots as slashes>/<2 hex>/<2 hex>/<lfn>`,
//! the hex digits being the start of the MD5 of `scope:lfn`.

use std::{
    io::Read,
    path::{Path, PathBuf},
};

use md5::{Digest, Md5};

/// How stored files are looked at. The disk, unless the system is a simulated one.
pub trait Look: Send + Sync {
    /// Size and checksum of a file: `ad:` and eight hex digits of its Adler-32, or `md5:` and 32 of its MD5. Blocking.
    ///
    /// # Errors
    /// The file is not there or cannot be read.
    fn measure(&self, path: &Path, md5: bool) -> std::io::Result<(u64, String)>;
}

/// Files of this machine.
#[derive(Debug, Clone, Copy)]
pub struct Disk;

impl Look for Disk {
    fn measure(&self, path: &Path, md5: bool) -> std::io::Result<(u64, String)> {
        let (size, sum) = measure(path)?;
        Ok((size, if md5 { format!("md5:{}", md5_hex(path)?) } else { format!("ad:{sum:08x}") }))
    }
}

/// What lies in front of a path in an address of a local file.
pub const LOCAL: &str = "file://localhost";

/// Bytes read at a time while a checksum is computed.
const CHUNK: usize = 1 << 16;

/// The place of a file below `root`.
#[must_use]
pub fn path(root: &Path, scope: &str, lfn: &str) -> PathBuf {
    let digest = Md5::digest(format!("{scope}:{lfn}").as_bytes());
    let (a, b) = (format!("{:02x}", digest[0]), format!("{:02x}", digest[1]));
    root.join(scope.replace('.', "/")).join(a).join(b).join(lfn)
}
/// The address of a local path.
#[must_use]
pub fn surl(path: &Path) -> String {
    format!("{LOCAL}{}", path.display())
}
/// The local path of an address, if it is one: `file://localhost/…`, `file:///…` or a plain absolute path.
#[must_use]
pub fn local_path(surl: &str) -> Option<PathBuf> {
    let path = surl.strip_prefix(LOCAL).or_else(|| surl.strip_prefix("file://")).unwrap_or(surl);
    path.starts_with('/').then(|| PathBuf::from(path))
}
/// Size and Adler-32 of a file, in one pass; blocking.
pub fn measure(path: &Path) -> std::io::Result<(u64, u32)> {
    let mut file = std::fs::File::open(path)?;
    let mut sum = adler2::Adler32::new();
    let mut buffer = vec![0; CHUNK];
    let mut size = 0;
    loop {
        let n = file.read(&mut buffer)?;
        if n == 0 {
            return Ok((size, sum.checksum()));
        }
        sum.write_slice(&buffer[..n]);
        size += n as u64;
    }
}
/// MD5 of a file in hex; blocking. For pilots that report no Adler-32.
pub fn md5_hex(path: &Path) -> std::io::Result<String> {
    let mut file = std::fs::File::open(path)?;
    let mut sum = Md5::new();
    let mut buffer = vec![0; CHUNK];
    loop {
        let n = file.read(&mut buffer)?;
        if n == 0 {
            return Ok(sum.finalize().iter().map(|b| format!("{b:02x}")).collect());
        }
        sum.update(&buffer[..n]);
    }
}
