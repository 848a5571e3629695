//! `panda sim`: the engine on a virtual clock.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use panda_sim::{Outcome, Scenario, SimError};

use crate::cli::SimArgs;
use crate::context::Context;
use crate::failure::{Failure, exit, io};
use crate::screen;

/// How often the bar is drawn anew.
const DRAW: Duration = Duration::from_millis(200);

/// Runs the scenario once a seed; fails when an invariant does not hold.
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
    let first = args.seed.unwrap_or(scenario.seed);
    let mut broken = 0;
    for seed in first..first.saturating_add(args.seeds.max(1)) {
        scenario.seed = seed;
        let begin = Instant::now();
        let outcome = Box::pin(one(context, &scenario)).await?;
        broken += usize::from(!outcome.violations.is_empty());
        show(context, args, &outcome, begin.elapsed());
    }
    Ok(if broken == 0 { exit::OK } else { exit::FAILED })
}

fn usage(error: SimError) -> Failure {
    Failure::usage(error.to_string())
}

async fn one(context: &Context, scenario: &Scenario) -> Result<Outcome, Failure> {
    let bar = if context.json { ProgressBar::hidden() } else { ProgressBar::new(1) };
    if let Ok(style) = ProgressStyle::with_template("{wide_bar} {msg}") {
        bar.set_style(style);
    }
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

fn show(context: &Context, args: &SimArgs, outcome: &Outcome, took: Duration) {
    if context.json {
        let mut value = serde_json::to_value(outcome).unwrap_or_default();
        value["wall_s"] = took.as_secs_f64().into();
        screen::json(&value);
    } else if args.seeds > 1 && outcome.violations.is_empty() {
        screen::line(format!("seed {}: {} jobs, fingerprint {}", outcome.seed, outcome.counts.ended, outcome.fingerprint));
    } else {
        screen::line(format!("{outcome}\ntook           {:.1} s", took.as_secs_f64()));
    }
}
