//! Owns: launching the benchmark program. Must not know: what it measures.

use crate::databases;
use crate::shell::{Failure, Outcome, cargo, run as execute};

const NAMES: [&str; 5] = ["dag", "dispatch", "feed", "latency", "neighbour"];

pub(crate) fn run(args: &[String]) -> Outcome {
    let Some(name) = args.first().filter(|name| NAMES.contains(&name.as_str())) else {
        return Err(Failure::Usage(format!("`bench` needs the name of a benchmark: {}", NAMES.join(" or "))));
    };
    // only `latency` does without the servers; the others make databases of their own there
    let servers = if name != "latency" { databases::ensure()? } else { Vec::new() };
    let servers = servers.iter().map(|(variable, url)| (variable, databases::server_of(url)));
    eprintln!("benchmark {name}: building the optimised programs first");
    execute(cargo().args(["build", "--release", "--quiet", "--package", "panda"]))?;
    execute(cargo().args(["run", "--release", "--quiet", "--package", "panda-bench", "--"]).args(args).envs(servers))
}
