//! What people and CI run: `cargo xtask <command>`.
//!
//! Owns: preparing what the tests need (databases, the official client and pilot, a browser), the benchmark's launch, the
//! static build and the fuzzer's launch. Must not know: the product. It uses the standard library alone, so it starts at once.

mod bench;
mod databases;
mod dist;
mod fuzz;
mod mysql;
mod peers;
mod shell;
mod test;

use std::process::ExitCode;

use shell::{Failure, Outcome};

const USAGE: &str = "\
usage: cargo xtask <command>

  test [--quick] [--mysql] [--profile NAME] [FILTER...]
                 run the tests of the whole workspace, then the optimised build (`panda demo`, 1,000 seeds and
                 an hour of `panda sim`), or only the tests whose name contains a FILTER
                   --quick    leave out the optimised build and what needs servers, peers or a browser (and print
                              how many that is)
                   --mysql    run the store's tests against a real MySQL, made with debootstrap on first use
                   --profile  the nextest profile of .config/nextest.toml (`ci` reports at the end)
  prepare        make ready what the tests need and print it as shell variables
  bench NAME ...  run a benchmark of the optimised build: `dispatch` (rates per backend), `feed` (inputs to jobs) or
                   `latency` (submit to first line)
  fuzz [TARGET] [--seconds N]
                 fuzz one target, or each in turn (300 seconds each unless told otherwise)
  dist           build the static programs and pack them with checksum into target/dist

What a test needs follows from its name: a test or module that begins with `db_` needs the databases, `peer_` the official
client and pilot, `browser_` a browser.";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Usage(text)) => {
            eprintln!("error: {text}\n\n{USAGE}");
            ExitCode::from(2)
        }
        Err(Failure::Failed(text)) => {
            eprintln!("error: {text}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &[String]) -> Outcome {
    let Some((command, rest)) = args.split_first() else {
        return Err(Failure::Usage("no command given".to_owned()));
    };
    match command.as_str() {
        "test" => test::run(rest),
        "prepare" => test::prepare(rest),
        "bench" => bench::run(rest),
        "fuzz" => fuzz::run(rest),
        "dist" => dist::run(rest),
        "help" | "-h" | "--help" => {
            println!("{USAGE}");
            Ok(())
        }
        other => Err(Failure::Usage(format!("unknown command `{other}`"))),
    }
}
