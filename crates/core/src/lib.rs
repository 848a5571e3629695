//! Ids, records, state machines and pure policies of PanDA.
//!
//! This crate owns what a job, a task, a file, a worker and a queue *are*, which state may follow which, and every decision that
//! can be taken without looking at the world: splitting, brokerage, parameters, names, retries, final states.
//!
//! It must not know: HTTP, SQL, JSON, threads, files, the clock, randomness. Time comes in as [`time::Micros`], randomness as
//! [`time::Random`]; so every decision replays from its arguments. `clippy.toml` beside this crate holds that.
//!
//! | module | owns |
//! | --- | --- |
//! | [`id`], [`time`] | numbers and instants |
//! | [`machine`] | the form of transition tables, and who acts |
//! | [`job`], [`task`], [`file`](mod@file), [`worker`], [`queue`] | records, states, transition tables, decisions on one row |
//! | [`policy`] | decisions over many rows: plan, split, parameters, names, broker, priority, retry, share |
//! | [`setting`] | names, defaults and look-up of what a site can change |
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod words;
pub use words::UnknownWord;

pub mod file;
pub mod id;
pub mod job;
pub mod machine;

pub mod policy;
pub mod queue;
pub mod setting;
pub mod task;
pub mod time;
pub mod worker;

#[cfg(test)]
mod tests {
    /// What this crate may lean on at run time: nothing that could read a clock, a file or the network.
    const ALLOWED: &[&str] = &["thiserror"];

    #[test]
    fn dependencies_stay_few() {
        let manifest = include_str!("../Cargo.toml");
        let section = manifest.split("[dependencies]").nth(1).unwrap().split("\n[").next().unwrap();
        let found: Vec<&str> =
            section.lines().filter_map(|line| line.split(['.', ' ', '=']).next()).filter(|name| !name.is_empty()).collect();
        assert_eq!(found, ALLOWED);
    }
}
