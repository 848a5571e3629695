//! The lock that keeps a second process off the file. It is the operating system's lock on a small file beside the database, so that one
//! left behind by a killed process does not block; the process id in it is only for people.

use std::{
    fs::{File, OpenOptions},
    io::{Read, Seek, Write},
    path::Path,
    time::{Duration, Instant},
};

use crate::error::OpenError;

/// How long a holder that is just ending is waited for.
const PATIENCE: Duration = Duration::from_millis(300);

/// Takes the lock beside `path`; it is held until the file is dropped.
pub(super) fn take(url: &str, path: &Path) -> Result<File, OpenError> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !folder.is_dir() {
        return Err(OpenError::Unreachable {
            url: url.to_owned(),
            problem: format!("the folder `{}` does not exist; make it first", folder.display()),
        });
    }
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let right = |e: std::io::Error| OpenError::Right {
        url: url.to_owned(),
        right: format!("write `{}` ({e})", name.display()),
        hint: format!("chown -R $USER {}", folder.display()),
    };
    let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&name).map_err(right)?;
    let since = Instant::now();
    while let Err(e) = file.try_lock() {
        if let std::fs::TryLockError::Error(e) = e {
            return Err(right(e));
        }
        if since.elapsed() > PATIENCE {
            // The text is only shown; a number of 20 digits is the most that stands there.
            let mut held = [0; 20];
            let n = file.read(&mut held).unwrap_or(0);
            let pid = String::from_utf8_lossy(&held[..n]).trim().to_owned();
            let pid = if pid.is_empty() { "(unknown)".to_owned() } else { pid };
            return Err(OpenError::Locked { url: url.to_owned(), pid });
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    file.set_len(0)
        .and_then(|()| file.rewind())
        .and_then(|()| write!(file, "{}", std::process::id()))
        .and_then(|()| file.flush())
        .map_err(right)?;
    Ok(file)
}
