//! Owns: the official client, the official pilot, an identity provider and a browser, installed below the build folder. Must not know: their use.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::shell::{Outcome, apt_install, fail, on, output, root, target, which};

/// The client that the tests drive; docs/compatibility.md names the same.
const CLIENT: &str = "panda-client==2.2.0";
/// The pilot that the tests drive. Its wheel lacks files that the source archive has.
const PILOT: &str = "panda-pilot==3.7.0.36";
/// Where the identity provider that the tests log in at is pinned, with all that it needs.
const IDP: &str = "crates/panda/tests/peer/idp";
/// The oldest Node.js that it was seen to run on.
const NODE: u32 = 18;

/// Installs the client into a virtual environment and tells its folder.
pub(crate) fn client() -> Outcome<PathBuf> {
    let venv = target().join("peers/venv");
    once(&venv, CLIENT, || {
        let python = python()?;
        if output(Command::new(&python).args(["-m", "venv", "--clear"]).arg(&venv)).is_err() {
            // Debian parts `venv` from its Python
            apt_install(&["python3-venv"], "the official client")?;
            output(Command::new(&python).args(["-m", "venv", "--clear"]).arg(&venv))?;
        }
        eprintln!("installing {CLIENT}");
        // Its build writes the folder of the environment into its scripts: one that pip keeps from another checkout would point there.
        pip(&venv, &["install", "--quiet", "--no-cache-dir", CLIENT])
    })?;
    Ok(venv)
}

/// Unpacks the pilot's source archive and tells the folder that holds `pilot.py`.
pub(crate) fn pilot() -> Outcome<PathBuf> {
    let venv = client()?;
    let folder = target().join("peers/pilot");
    once(&folder, PILOT, || {
        eprintln!("fetching {PILOT}");
        let archives = folder.join("archive");
        fs::create_dir_all(&archives).map_err(on("create", &archives))?;
        let into = archives.display().to_string();
        pip(&venv, &["download", "--quiet", "--no-deps", "--no-binary", ":all:", "--dest", &into, PILOT])?;
        let archive = only_entry(&archives)?;
        output(Command::new("tar").arg("-xzf").arg(archive).args(["--strip-components", "1", "-C"]).arg(&folder)).map(drop)
    })?;
    if folder.join("pilot.py").is_file() { Ok(folder) } else { fail(format!("{PILOT} came without pilot.py")) }
}

/// Installs the identity provider's packages as its lock file has them and tells the folder that holds `node_modules`.
pub(crate) fn identity_provider() -> Outcome<PathBuf> {
    let npm = node()?;
    let folder = target().join("peers/idp");
    let pinned = root().join(IDP);
    let lock = pinned.join("package-lock.json");
    let version = fs::read_to_string(&lock).map_err(on("read", &lock))?;
    once(&folder, &version, || {
        eprintln!("installing the identity provider of {IDP}");
        for name in ["package.json", "package-lock.json"] {
            let from = pinned.join(name);
            fs::copy(&from, folder.join(name)).map_err(on("copy", &from))?;
        }
        output(Command::new(&npm).args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(&folder)).map(drop)
    })?;
    Ok(folder)
}

/// A Node.js that is new enough, there or Debian's; tells its `npm`.
fn node() -> Outcome<PathBuf> {
    if which("node").is_none() || which("npm").is_none() {
        apt_install(&["nodejs", "npm"], "the identity provider of the tests")?;
    }
    let version = output(Command::new("node").arg("--version"))?;
    let major = version.trim().trim_start_matches('v').split('.').next().and_then(|n| n.parse::<u32>().ok());
    if major.is_none_or(|major| major < NODE) {
        let version = version.trim();
        return fail(format!(
            "the identity provider of the tests needs Node.js {NODE} or later, and `node` is {version}; install a later one"
        ));
    }
    which("npm").map_or_else(|| fail("`npm` is not on the path; install it with Node.js"), Ok)
}

/// A Chromium: one that is there, or Debian's.
pub(crate) fn chromium() -> Outcome<PathBuf> {
    let find = || ["chromium", "chromium-browser", "google-chrome"].into_iter().find_map(which);
    if let Some(program) = find() {
        return Ok(program);
    }
    apt_install(&["chromium"], "testing the pages in a browser")?;
    find().map_or_else(|| fail("the package chromium was installed but has no program of that name"), Ok)
}

/// Programs that make certificates and VOMS proxies: those that are there, or Debian's.
pub(crate) fn certificates() -> Outcome {
    for (program, package) in [("openssl", "openssl"), ("voms-proxy-fake", "voms-clients")] {
        if which(program).is_none() {
            apt_install(&[package], "testing client certificates")?;
        }
    }
    Ok(())
}

/// Does the work unless a stamp in the folder says that it was done for the same version; half-done work is thrown away.
fn once(folder: &Path, version: &str, work: impl FnOnce() -> Outcome) -> Outcome {
    let stamp = folder.join(".panda-ready");
    if fs::read_to_string(&stamp).is_ok_and(|done| done == version) {
        return Ok(());
    }
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(on("remove", folder))?;
    }
    fs::create_dir_all(folder).map_err(on("create", folder))?;
    work()?;
    fs::write(&stamp, version).map_err(on("write", &stamp))
}

fn python() -> Outcome<PathBuf> {
    if let Some(python) = which("python3") {
        return Ok(python);
    }
    apt_install(&["python3", "python3-venv"], "the official client and pilot")?;
    which("python3").map_or_else(|| fail("the package python3 was installed but has no program of that name"), Ok)
}

fn pip(venv: &Path, args: &[&str]) -> Outcome {
    output(Command::new(venv.join("bin/python")).args(["-m", "pip", "--disable-pip-version-check"]).args(args)).map(drop)
}

fn only_entry(folder: &Path) -> Outcome<PathBuf> {
    let mut entries = fs::read_dir(folder).map_err(on("read", folder))?.flatten().map(|entry| entry.path());
    match (entries.next(), entries.next()) {
        (Some(entry), None) => Ok(entry),
        _ => fail(format!("`{}` should hold exactly one archive", folder.display())),
    }
}
