//! Seeds of a small world: whatever goes wrong, nothing is lost and nothing doubled, and equal seeds give equal worlds. `panda sim small --seeds 1000`
//! runs many of them.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use panda_sim::{Outcome, Scenario, run_alone};

/// Seeds of each test; the tests run side by side.
const SEEDS: u64 = 12;

fn simulate(seed: u64) -> Outcome {
    let mut scenario = Scenario::parse(Scenario::small()).unwrap();
    scenario.seed = seed;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(run_alone(&scenario, &mut |_| ())).unwrap_or_else(|e| panic!("seed {seed}: {e}"))
}

fn hold(first: u64) {
    for seed in first..first + SEEDS {
        let outcome = simulate(seed);
        assert!(outcome.violations.is_empty(), "`panda sim small --seed {seed}` shows it again\n{outcome}");
        assert!(outcome.counts.ended > 20 && outcome.counts.faults > 0, "{outcome}");
    }
}

#[test]
fn seeds_lose_and_double_nothing_1() {
    hold(1);
}

#[test]
fn seeds_lose_and_double_nothing_2() {
    hold(1_001);
}

#[test]
fn equal_seeds_give_equal_worlds() {
    let (a, b, other) = (simulate(7), simulate(7), simulate(8));
    assert_eq!(serde_json::to_value(&a).unwrap(), serde_json::to_value(&b).unwrap());
    assert_ne!(a.fingerprint, other.fingerprint);
}

/// A queue that fails everything is held; a canary job that ends well there frees it again, so that nothing waits for ever.
#[test]
fn canary_jobs_free_a_queue_that_is_held() {
    let mut text = "hours = 6.0\ndrain_hours = 48.0\ntick_s = 30\n[[queue]]\nslots = 20\nfail_percent = 97.0\n".to_owned();
    for user in ["ann", "ben", "cai", "dan", "eva", "fay"] {
        text += &format!("[[work]]\nuser = \"{user}\"\njobs = 6\nevery_s = 3600.0\nminutes = 5.0\n");
    }
    let scenario = Scenario::parse(&text).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let outcome = runtime.block_on(run_alone(&scenario, &mut |_| ())).unwrap();
    assert!(outcome.counts.canaries > 0, "{outcome}");
    assert!(outcome.violations.is_empty(), "{outcome}");
}

/// A system that loses outputs is found out: the checks can fail.
#[test]
fn what_does_not_hold_is_told() {
    let text = "hours = 1.0\ndrain_hours = 0.01\ntick_s = 60\n[[queue]]\nslots = 1\n[[work]]\njobs = 5\nminutes = 600.0\nspread = 0.0";
    let scenario = Scenario::parse(text).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let outcome = runtime.block_on(run_alone(&scenario, &mut |_| ())).unwrap();
    assert!(outcome.violations.iter().any(|v| v.contains("at the end")), "{outcome}");
}
