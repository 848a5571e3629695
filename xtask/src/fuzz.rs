//! Owns: launching the fuzzer on our targets. Must not know: what they decode.

use std::fs;
use std::path::{Path, PathBuf};

use crate::shell::{Failure, Outcome, cargo, fail, on, root, run as execute, which};

/// Long enough to get past the shallow paths of a decoder, short enough to run before a commit.
const SECONDS: u32 = 300;

pub(crate) fn run(args: &[String]) -> Outcome {
    let mut seconds = SECONDS;
    let mut wanted = None;
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--seconds" => match args.next().and_then(|text| text.parse().ok()) {
                Some(number) => seconds = number,
                None => return Err(Failure::Usage("`--seconds` needs a number".to_owned())),
            },
            flag if flag.starts_with('-') => return Err(Failure::Usage(format!("`fuzz` knows no `{flag}`"))),
            target => wanted = Some(target),
        }
    }
    if which("cargo-fuzz").is_none() {
        eprintln!("installing cargo-fuzz");
        execute(cargo().args(["install", "--locked", "cargo-fuzz"]))?;
    }
    let folder = root().join("fuzz");
    let targets = targets(&folder)?;
    if let Some(wanted) = wanted.filter(|wanted| !targets.iter().any(|target| target == wanted)) {
        return Err(Failure::Usage(format!("no fuzz target `{wanted}`; there are: {}", targets.join(", "))));
    }
    for target in targets.iter().filter(|target| wanted.is_none_or(|wanted| wanted == *target)) {
        println!("fuzzing {target} for {seconds} seconds");
        let mut fuzz = cargo();
        // the sanitizer is an unstable flag; the stable compiler takes it when told to behave as a nightly one
        fuzz.env("RUSTC_BOOTSTRAP", "1").args(["fuzz", "run", target, "--"]);
        execute(fuzz.args([&format!("-max_total_time={seconds}"), "-rss_limit_mb=2048", "-timeout=10", "-print_final_stats=1"]))?;
    }
    println!("{} targets without a finding", if wanted.is_some() { 1 } else { targets.len() });
    Ok(())
}

fn targets(folder: &Path) -> Outcome<Vec<String>> {
    let sources: PathBuf = folder.join("fuzz_targets");
    let entries = fs::read_dir(&sources).map_err(on("read", &sources))?;
    let mut names: Vec<String> =
        entries.flatten().filter_map(|entry| Some(entry.file_name().to_str()?.strip_suffix(".rs")?.to_owned())).collect();
    names.sort();
    if names.is_empty() { fail(format!("no fuzz target in `{}`", sources.display())) } else { Ok(names) }
}
