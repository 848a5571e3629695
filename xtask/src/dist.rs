//! Owns: the static programs as a tarball with checksum. Must not know: what they do.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::shell::{Failure, Outcome, cargo, fail, on, output, root, run as execute, target};

/// The one target that is built: the C library is linked in, so the host's version does not matter.
const TARGET: &str = "x86_64-unknown-linux-gnu";
const PROGRAMS: [&str; 2] = ["panda", "panda-pilot"];
/// Files that go along.
const PAPERS: [&str; 3] = ["README.md", "LICENSE", "CHANGELOG.md"];
/// A program header of this type names a dynamic loader (ELF specification, `PT_INTERP`).
const PT_INTERP: u32 = 3;

pub(crate) fn run(args: &[String]) -> Outcome {
    if let Some(arg) = args.first() {
        return Err(Failure::Usage(format!("`dist` takes no `{arg}`")));
    }
    let mut build = cargo();
    build.env("RUSTFLAGS", "-C target-feature=+crt-static").args(["build", "--locked", "--profile", "dist", "--target", TARGET]);
    // A static program has no resolver of the C library to ask.
    build.args(["--features", "panda-client/pure-dns"]);
    execute(build.args(PROGRAMS.iter().flat_map(|program| ["--package", program, "--bin", program])))?;
    let built = target().join(TARGET).join("dist");
    let version = version(&built.join("panda"))?;
    let name = format!("panda-{version}-linux-x86_64");
    let folder = target().join("dist").join(&name);
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(on("remove", &folder))?;
    }
    fs::create_dir_all(&folder).map_err(on("create", &folder))?;
    for program in PROGRAMS {
        let from = built.join(program);
        check_static(&from)?;
        fs::copy(&from, folder.join(program)).map_err(on("copy", &from))?;
    }
    for paper in PAPERS {
        let from = root().join(paper);
        fs::copy(&from, folder.join(paper)).map_err(on("copy", &from))?;
    }
    let archive = pack(&folder, &name)?;
    let size = fs::metadata(&archive).map_err(on("read", &archive))?.len();
    println!("{} ({:.1} MB), checksum beside it", archive.display(), size as f64 / 1e6);
    Ok(())
}

/// Runs the program that was built: one that does not start is not packed.
fn version(program: &Path) -> Outcome<String> {
    let told = output(Command::new(program).arg("--version"))?;
    match told.split_whitespace().nth(1) {
        Some(version) => Ok(version.to_owned()),
        None => fail(format!("`{} --version` printed no version: {told:?}", program.display())),
    }
}

/// The same files give the same archive: sorted, owned by nobody, dated by the commit.
fn pack(folder: &Path, name: &str) -> Outcome<PathBuf> {
    let dist = folder.parent().unwrap_or(folder);
    let archive = format!("{name}.tar.gz");
    let date = output(Command::new("git").current_dir(root()).args(["log", "-1", "--format=%cI"]))
        .map_or_else(|_| "1970-01-01T00:00:00Z".to_owned(), |date| date.trim().to_owned());
    let mut tar = Command::new("tar");
    tar.current_dir(dist).env("GZIP", "-n9").args(["--sort=name", "--owner=0", "--group=0", "--numeric-owner"]);
    output(tar.args([&format!("--mtime={date}"), "-czf", &archive, name]))?;
    let sum = output(Command::new("sha256sum").current_dir(dist).arg(&archive))?;
    let beside = dist.join(format!("{archive}.sha256"));
    fs::write(&beside, sum).map_err(on("write", &beside))?;
    Ok(dist.join(archive))
}

fn check_static(program: &Path) -> Outcome {
    let bytes = fs::read(program).map_err(on("read", program))?;
    match names_a_loader(&bytes) {
        Some(false) => Ok(()),
        Some(true) => fail(format!("`{}` is not static: it asks for a dynamic loader", program.display())),
        None => fail(format!("`{}` is no 64-bit little-endian ELF program", program.display())),
    }
}

/// Whether an ELF program asks for a dynamic loader; None if it is no ELF-64 little-endian program.
fn names_a_loader(elf: &[u8]) -> Option<bool> {
    let field = |at: usize, len: usize| -> Option<u64> {
        let bytes = elf.get(at..at.checked_add(len)?)?;
        Some(bytes.iter().rev().fold(0, |value, byte| (value << 8) | u64::from(*byte)))
    };
    if elf.get(..6)? != b"\x7fELF\x02\x01" {
        return None;
    }
    // e_phoff, e_phentsize, e_phnum
    let (offset, size, count) = (field(32, 8)? as usize, field(54, 2)? as usize, field(56, 2)? as usize);
    for index in 0..count {
        if field(offset.checked_add(index * size)?, 4)? == u64::from(PT_INTERP) {
            return Some(true);
        }
    }
    Some(false)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_dynamic_program_is_told_from_others() {
        // the test binary itself is linked against the system's C library
        let own = fs::read(std::env::current_exe().unwrap()).unwrap();
        assert_eq!(names_a_loader(&own), Some(!cfg!(target_feature = "crt-static")));
        assert_eq!(names_a_loader(b"#!/bin/sh\n"), None);
        assert_eq!(names_a_loader(&own[..40]), None);
    }
}
