//! Many seeds of a small world: whatever goes wrong, nothing is lost and nothing doubled, and equal seeds give equal worlds.

use panda_sim::{Outcome, Scenario, run_alone};

fn simulate(seed: u64) -> Outcome {
    let text = std::env::var("SCENARIO").map_or_else(|_| Scenario::small().to_owned(), |p| std::fs::read_to_string(p).unwrap());
    let mut scenario = Scenario::parse(&text).unwrap();
    scenario.seed = seed;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(run_alone(&scenario, &mut |_| ())).unwrap_or_else(|e| panic!("seed {seed}: {e}"))
}

#[test]
fn one() {
    let outcome = simulate(std::env::var("SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(1));
    println!("{outcome}");
}
