//! Owns: which tests run, and what is made ready for them. Must not know: what they test.

use std::process::Command;
use std::time::Instant;

use crate::shell::{Failure, Outcome, cargo, fail, output, run as execute, which};
use crate::{databases, mysql, peers};

/// What a test needs, by the first word of its name or its module's. (Not its binary's: nextest refuses a filter by binary
/// that matches none, and a filter must hold before the first such binary is there.)
const GROUPS: [&str; 3] = ["db_", "peer_", "browser_"];

/// Tests of a real MySQL, which few machines have: they run with `--mysql` only.
const MYSQL: &str = "db_mysql";

/// What the program does of itself as part of the tests, when no filter chooses among them: the first command of the README, seeds of the small
/// simulated world, and an hour of a whole experiment.
const SIMULATIONS: [&[&str]; 3] = [&["demo"], &["sim", "small", "--seeds", "1000", "--threads", "2"], &["sim", "day", "--hours", "1"]];

#[derive(Default)]
struct Options {
    quick: bool,
    mysql: bool,
    profile: Option<String>,
    filters: Vec<String>,
}

fn parse(args: &[String]) -> Outcome<Options> {
    let mut options = Options::default();
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--quick" => options.quick = true,
            "--mysql" => options.mysql = true,
            "--profile" => match args.next() {
                Some(name) => options.profile = Some(name.clone()),
                None => return Err(Failure::Usage("`--profile` needs a name".to_owned())),
            },
            flag if flag.starts_with('-') => return Err(Failure::Usage(format!("`test` knows no `{flag}`"))),
            filter => options.filters.push(filter.to_owned()),
        }
    }
    if options.quick && options.mysql {
        return Err(Failure::Usage("`--quick` leaves out what `--mysql` asks for".to_owned()));
    }
    Ok(options)
}

pub(crate) fn run(args: &[String]) -> Outcome {
    let options = parse(args)?;
    if which("cargo-nextest").is_none() {
        return with_cargo_test(&options);
    }
    if options.quick {
        return quick(&options);
    }
    if options.mysql {
        let server = mysql::start()?;
        let mut command = nextest(&options, "run", &["--package", "panda-store", "--no-fail-fast", "-E", &any_of(&["db_"])]);
        return execute(command.envs(databases::ensure()?).envs(server.variables()));
    }
    let all = list(&options, None)?;
    let wanted = groups_of(&all);
    let mut command = nextest(&options, "run", &["--workspace", "-E", &format!("not ({})", any_of(&[MYSQL]))]);
    command.envs(ready(|group| wanted.contains(&group))?);
    execute(&mut command)?;
    let left_out = all.iter().filter(|name| is_of(name, MYSQL)).count();
    if left_out > 0 {
        println!("left out without --mysql: {left_out} tests ({MYSQL}*)");
    }
    if options.filters.is_empty() { simulations() } else { Ok(()) }
}

/// Runs the optimised build through [`SIMULATIONS`].
fn simulations() -> Outcome {
    for words in SIMULATIONS {
        let begin = Instant::now();
        println!("== panda {}", words.join(" "));
        execute(cargo().args(["run", "--release", "--package", "panda", "--"]).args(words))?;
        println!("== panda {} took {:.0} s", words.join(" "), begin.elapsed().as_secs_f64());
    }
    Ok(())
}

/// `prepare`: everything, printed as variables that a shell can take.
pub(crate) fn prepare(args: &[String]) -> Outcome {
    if let Some(arg) = args.first() {
        return Err(Failure::Usage(format!("`prepare` takes no `{arg}`")));
    }
    for (name, value) in ready(|_| true)? {
        println!("export {name}='{value}'");
    }
    Ok(())
}

fn quick(options: &Options) -> Outcome {
    let needy = any_of(&GROUPS);
    let left_out = list(options, Some(&needy))?;
    execute(nextest(options, "run", &["--workspace", "-E", &format!("not ({needy})")]).env("PANDA_TEST_QUICK", "1"))?;
    let count = |group| left_out.iter().filter(|name| is_of(name, group)).count();
    let counts = GROUPS.map(|group| format!("{} {group}*", count(group)));
    println!("left out by --quick: {} tests ({})", left_out.len(), counts.join(", "));
    Ok(())
}

/// Without nextest everything runs, one binary after another; only `--quick` and `--mysql` need its filters.
fn with_cargo_test(options: &Options) -> Outcome {
    if options.quick || options.mysql {
        return fail("choosing tests needs cargo-nextest; run `cargo install --locked cargo-nextest`");
    }
    let mut command = cargo();
    command.args(["test", "--workspace", "--no-fail-fast"]).envs(ready(|_| true)?);
    execute(command.arg("--").args(&options.filters))?;
    if options.filters.is_empty() { simulations() } else { Ok(()) }
}

fn nextest(options: &Options, verb: &str, args: &[&str]) -> Command {
    let mut command = cargo();
    command.args(["nextest", verb]).args(args);
    if let Some(profile) = &options.profile {
        command.args(["--profile", profile]);
    }
    // a filter that matches nothing is a typing error, and nextest says so by its exit code
    command.args(&options.filters);
    command
}

/// A filter expression for the tests of these groups.
fn any_of(groups: &[&str]) -> String {
    let names = groups.join("|");
    format!("test(/(^|::)({names})/)")
}

/// The names of the tests that would run, as `binary test`.
fn list(options: &Options, expression: Option<&str>) -> Outcome<Vec<String>> {
    let mut args = vec!["--workspace", "--message-format", "oneline"];
    if let Some(expression) = expression {
        args.extend(["-E", expression]);
    }
    // build with our terminal first: the listing itself is taken silently
    execute(&mut nextest(options, "run", &["--workspace", "--no-run"]))?;
    let listing = output(&mut nextest(options, "list", &args))?;
    Ok(listing.lines().map(str::to_owned).filter(|line| line.contains(' ')).collect())
}

/// `line` is `binary test::name`; the binary's name does not count.
fn is_of(line: &str, group: &str) -> bool {
    line.split_once(' ').is_some_and(|(_, test)| test.split("::").any(|word| word.starts_with(group)))
}

fn groups_of(tests: &[String]) -> Vec<&'static str> {
    GROUPS.into_iter().filter(|group| tests.iter().any(|name| is_of(name, group))).collect()
}

/// Makes ready what the groups need and tells it as variables for the tests.
fn ready(needs: impl Fn(&str) -> bool) -> Outcome<Vec<(&'static str, String)>> {
    let mut variables = Vec::new();
    if needs("db_") || needs("peer_") {
        variables.extend(databases::ensure()?);
    }
    if needs("peer_") {
        peers::certificates()?;
        variables.push(("PANDA_TEST_CLIENT_VENV", peers::client()?.display().to_string()));
        variables.push(("PANDA_TEST_PILOT_DIR", peers::pilot()?.display().to_string()));
        variables.push(("PANDA_TEST_IDP_DIR", peers::identity_provider()?.display().to_string()));
    }
    if needs("browser_") {
        variables.push(("PANDA_TEST_CHROMIUM", peers::chromium()?.display().to_string()));
    }
    Ok(variables)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_belongs_to_the_group_of_its_module_or_name() {
        assert!(!is_of("panda-store::db_conformance claim::works", "db_"));
        assert!(is_of("panda-store conformance::db_claim::works", "db_"));
        assert!(is_of("panda peer_prun_runs", "peer_"));
        assert!(!is_of("panda-store query::find_db_names", "db_"));
    }

    #[test]
    fn options_are_checked() {
        let parsed = |args: &[&str]| parse(&args.iter().map(|a| (*a).to_owned()).collect::<Vec<_>>());
        assert!(parsed(&["--quick", "claim"]).is_ok_and(|o| o.quick && o.filters == ["claim"]));
        assert!(parsed(&["--quick", "--mysql"]).is_err());
        assert!(parsed(&["--profile"]).is_err());
        assert!(parsed(&["--slow"]).is_err());
    }
}
