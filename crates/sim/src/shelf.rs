//! The simulated storage: every file is there with what its name says, but for those that were lost.

use std::{collections::HashSet, io, path::Path};

use panda_ops::storage::Look;
use parking_lot::Mutex;

/// Files that are not there although a pilot says so.
#[derive(Debug, Default)]
pub(crate) struct Shelf {
    lost: Mutex<HashSet<String>>,
}

impl Shelf {
    /// Loses a file.
    pub fn lose(&self, lfn: &str) {
        self.lost.lock().insert(lfn.to_owned());
    }
    /// A file that was lost is written again.
    pub fn put(&self, lfn: &str) {
        self.lost.lock().remove(lfn);
    }
}

/// Size of a file, bytes, and its Adler-32.
pub(crate) fn facts(lfn: &str) -> (u64, u32) {
    (1_000 * lfn.len() as u64, adler2::adler32_slice(lfn.as_bytes()))
}

impl Look for Shelf {
    fn measure(&self, path: &Path, md5: bool) -> io::Result<(u64, String)> {
        let lfn = path.file_name().and_then(|n| n.to_str()).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        if self.lost.lock().contains(lfn) {
            return Err(io::Error::from(io::ErrorKind::NotFound));
        }
        if md5 {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "simulated files have no MD5"));
        }
        let (size, sum) = facts(lfn);
        Ok((size, format!("ad:{sum:08x}")))
    }
}
