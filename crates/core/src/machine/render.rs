//! The transition tables as a page for people: `docs/state-machines.md`. The page is made from the tables and a test compares the two, so that
//! it cannot say anything else than what the program does.

use super::{Actor, Rule, Start, State};
use crate::{file::FileState, job::state::JobState, task::state::TaskState, worker::WorkerState};
use std::fmt::Write as _;

/// Rules with more starting states than this are left out of the graph, which would be black otherwise; the table below it has them.
const WIDE: usize = 6;

const HEAD: &str = "# States of tasks, jobs, files and workers\n\n\
    Made from the transition tables of `crates/core` by `cargo run -p panda-core --example state_machines > docs/state-machines.md`; a test\n\
    compares the two. What no line allows is refused, staying in the same state included. *by* says who may do it: `client` submits, `engine`\n\
    is a loop that makes and moves work, `pilot` reports about its own job, `finisher` settles reports and closes tasks, `watcher` is a time\n\
    limit, `user` a person's command. Numbers are sections of the functional specification. `-` is where a row begins.\n";

/// The whole page.
#[must_use]
pub fn page() -> String {
    let mut out = HEAD.to_owned();
    section(&mut out, "Task", TaskState::ALL, TaskState::is_final, TaskState::TABLE);
    section(&mut out, "Job", JobState::ALL, JobState::is_final, JobState::TABLE);
    section(&mut out, "File", FileState::ALL, FileState::is_settled, FileState::TABLE);
    section(&mut out, "Worker", WorkerState::ALL, WorkerState::is_final, WorkerState::TABLE);
    out
}

fn section<S: State>(out: &mut String, title: &str, states: &[S], is_final: fn(S) -> bool, table: &[Rule<S>]) {
    let ends: Vec<String> = states.iter().filter(|s| is_final(**s)).map(|s| format!("`{s}`")).collect();
    let _ = writeln!(out, "\n## {title}\n\n{} states; those that rest by themselves: {}.\n", states.len(), ends.join(", "));
    graph(out, table);
    out.push_str("\n| from | to | by | why |\n| --- | --- | --- | --- |\n");
    for rule in table {
        let _ = writeln!(out, "| {} | {} | {} | {} |", from(rule, states), names(rule.to, states), actors(rule.actors), rule.why);
    }
}

fn graph<S: State>(out: &mut String, table: &[Rule<S>]) {
    out.push_str("```mermaid\nstateDiagram-v2\n");
    for rule in table {
        let starts: Vec<String> = match rule.from {
            Start::Nothing => vec!["[*]".to_owned()],
            Start::In(from) if from.len() <= WIDE => from.iter().map(ToString::to_string).collect(),
            Start::In(_) => continue,
        };
        if rule.to.len() > WIDE {
            continue;
        }
        for start in &starts {
            for to in rule.to.iter().map(ToString::to_string).filter(|to| to != start) {
                let _ = writeln!(out, "    {start} --> {to}: {}", actors(rule.actors));
            }
        }
    }
    out.push_str("```\n");
}

fn from<S: State>(rule: &Rule<S>, all: &[S]) -> String {
    match rule.from {
        Start::Nothing => "-".to_owned(),
        Start::In(states) => names(states, all),
    }
}

fn names<S: State>(states: &[S], all: &[S]) -> String {
    if all.iter().all(|s| states.contains(s)) {
        return "any".to_owned();
    }
    states.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn actors(list: &[Actor]) -> String {
    list.iter().map(|a| a.as_str()).collect::<Vec<_>>().join(", ")
}
