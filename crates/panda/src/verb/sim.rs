//! `panda sim`: the engine on a virtual clock.

use std::ops::Range;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use panda_sim::{Outcome, Scenario, SimError};
use serde_json::json;
use tokio::sync::mpsc;

use crate::cli::SimArgs;
use crate::context::Context;
use crate::failure::{Failure, exit, io};
use crate::screen;

/// How often the bar is drawn anew.
const DRAW: Duration = Duration::from_millis(200);
/// Runs that a thread may be ahead of those that are told.
const AHEAD: usize = 64;

/// Runs the scenario once a seed; the exit code says whether all invariants hold.
pub async fn run(context: &Context, args: &SimArgs) -> Result<u8, Failure> {
    screen::start_log(context, "error")?;
    let text = match args.scenario.as_str() {
        "small" => Scenario::small().to_owned(),
        "day" => Scenario::day().to_owned(),
        path => std::fs::read_to_string(path).map_err(|error| {
            Failure::usage(format!("cannot read the scenario `{path}`: {error}"))
                .hint("`panda sim small --show > mine.toml` makes one to begin with")
        })?,
    };
    if args.show {
        screen::raw(text.as_bytes());
        return Ok(exit::OK);
    }
    let mut scenario = Scenario::parse(&text).map_err(usage)?;
    if let Some(path) = &args.tasks {
        scenario.record(&std::fs::read_to_string(path).map_err(io("read", path))?).map_err(usage)?;
    }
    scenario.hours = args.hours.unwrap_or(scenario.hours);
    scenario.seed = args.seed.unwrap_or(scenario.seed);
    if args.seeds > 1 {
        return many(context, args, &scenario).await;
    }
    let begin = Instant::now();
    let outcome = Box::pin(one(context, &scenario)).await?;
    show(context, &outcome, begin.elapsed());
    Ok(if outcome.violations.is_empty() { exit::OK } else { exit::FAILED })
}

fn usage(error: SimError) -> Failure {
    Failure::usage(error.to_string())
}

async fn one(context: &Context, scenario: &Scenario) -> Result<Outcome, Failure> {
    let bar = bar(context);
    let mut drawn = Instant::now();
    let outcome = panda_sim::run_alone(scenario, &mut |progress| {
        if drawn.elapsed() > DRAW {
            drawn = Instant::now();
            bar.set_length(progress.end_s.unsigned_abs());
            bar.set_position(progress.now_s.min(progress.end_s).unsigned_abs());
            let hours = progress.now_s as f64 / 3_600.0;
            bar.set_message(format!("{hours:.1} h, {} jobs handed out, {} running", progress.dispatched, progress.running));
        }
    })
    .await;
    bar.finish_and_clear();
    outcome.map_err(|error| match error {
        SimError::Scenario(_) => usage(error),
        other => Failure::new(other.to_string()).hint(format!("`--seed {}` does it again", scenario.seed)),
    })
}

/// A run of one seed, and how long it took.
type Ran = (Result<Outcome, SimError>, Duration);

/// Runs seeds on threads and tells them in their order. Each thread takes every so many-th seed, so that the next to be told is always of the thread
/// whose turn it is.
async fn many(context: &Context, args: &SimArgs, scenario: &Scenario) -> Result<u8, Failure> {
    let seeds = scenario.seed..scenario.seed.saturating_add(args.seeds);
    let threads = args.threads.min(args.seeds);
    let mut lanes = Vec::new();
    for k in 0..threads {
        let (tx, rx) = mpsc::channel(AHEAD);
        let (scenario, mine) = (scenario.clone(), every(seeds.clone(), k, threads));
        let thread = std::thread::Builder::new().name(format!("sim-{k}"));
        thread.spawn(move || run_each(scenario, mine, &tx)).map_err(|error| Failure::new(format!("cannot start a thread: {error}")))?;
        lanes.push(rx);
    }
    let bar = bar(context);
    bar.set_length(args.seeds);
    let mut holds = 0;
    for (n, seed) in seeds.enumerate() {
        let turn = n % lanes.len();
        let Some((outcome, took)) = lanes[turn].recv().await else {
            return Err(
                Failure::new(format!("the run of seed {seed} ended without a result")).hint(format!("`--seed {seed}` does it again"))
            );
        };
        bar.inc(1);
        bar.suspend(|| match outcome {
            Ok(outcome) => {
                holds += u64::from(outcome.violations.is_empty());
                tell(context, &outcome, took);
            }
            Err(error) if context.json => screen::json(&json!({"seed": seed, "error": error.to_string()})),
            Err(error) => screen::line(format!("seed {seed}: it could not be run to its end: {error}")),
        });
    }
    bar.finish_and_clear();
    let broken = args.seeds.saturating_sub(holds);
    if context.json {
        screen::json(&json!({"seeds": args.seeds, "hold": holds, "broken": broken}));
    } else {
        screen::line(format!("{} seeds: invariants hold for {holds}, not for {broken}", args.seeds));
    }
    Ok(if broken == 0 { exit::OK } else { exit::FAILED })
}

/// Every `of`-th seed from the `k`-th on.
fn every(seeds: Range<u64>, k: u64, of: u64) -> impl Iterator<Item = u64> + Send + 'static {
    seeds.skip(usize::try_from(k).unwrap_or(usize::MAX)).step_by(usize::try_from(of).unwrap_or(usize::MAX).max(1))
}

/// A thread's part: one run after another, until nobody listens any more.
fn run_each(mut scenario: Scenario, seeds: impl Iterator<Item = u64>, out: &mpsc::Sender<Ran>) {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
    for seed in seeds {
        scenario.seed = seed;
        let begin = Instant::now();
        let outcome = runtime.block_on(Box::pin(panda_sim::run_alone(&scenario, &mut |_| ())));
        if out.blocking_send((outcome, begin.elapsed())).is_err() {
            return;
        }
    }
}

fn bar(context: &Context) -> ProgressBar {
    let bar = if context.json { ProgressBar::hidden() } else { ProgressBar::new(1) };
    if let Ok(style) = ProgressStyle::with_template("{wide_bar} {msg}") {
        bar.set_style(style);
    }
    bar
}

/// One seed of many: a line, unless something is broken.
fn tell(context: &Context, outcome: &Outcome, took: Duration) {
    if context.json || !outcome.violations.is_empty() {
        show(context, outcome, took);
    } else {
        screen::line(format!("seed {}: {} jobs, fingerprint {}", outcome.seed, outcome.counts.ended, outcome.fingerprint));
    }
}

fn show(context: &Context, outcome: &Outcome, took: Duration) {
    if context.json {
        let mut value = serde_json::to_value(outcome).unwrap_or_default();
        value["wall_s"] = took.as_secs_f64().into();
        screen::json(&value);
    } else {
        screen::line(format!("{outcome}\ntook           {:.1} s", took.as_secs_f64()));
    }
}
