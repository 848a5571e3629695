//! Transition tables as data: who may move a row from which state to which, and why. Jobs, tasks, files and workers share this form.
//!
//! It must not know any particular state, nor how a change is stored.

pub mod render;

use crate::words::word_enum;
use std::fmt;

word_enum! {
    /// Who moves a row. Stored with every event, so that people see who did it.
    Actor, "actor" {
        /// A program that submits: the official client, a web form, another system.
        Client = "client",
        /// A loop of the engine: refine, feed, broker, generate, prepare.
        Engine = "engine",
        /// A pilot or a worker's agent that reports about its own job.
        Pilot = "pilot",
        /// The loop that settles reports and closes tasks.
        Finisher = "finisher",
        /// A time limit: lost heartbeats, expiry, timed rules of tasks.
        Watcher = "watcher",
        /// A person's command: kill, retry, pause, ...
        User = "user",
    }
}

/// Where a rule starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start<S: 'static> {
    /// The row is being made.
    Nothing,
    /// The row is in one of these states.
    In(&'static [S]),
}

/// One line of a transition table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule<S: 'static> {
    /// Where it starts.
    pub from: Start<S>,
    /// Where it may lead.
    pub to: &'static [S],
    /// Who may do it.
    pub actors: &'static [Actor],
    /// Why, with the section of the specification.
    pub why: &'static str,
}

/// A state that has a place in a transition table.
pub trait State: Copy + PartialEq + fmt::Display + 'static {
    /// What is in this state, for messages: `job`, `task`, ...
    const NOUN: &'static str;
    /// The whole table.
    const TABLE: &'static [Rule<Self>];
}

/// A change of state that the table does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IllegalTransition {
    /// Nobody may make this change.
    #[error("a {noun} cannot go from {from} to {to}: read it again and decide on its present state")]
    NoSuchWay {
        /// `job`, `task`, ...
        noun: &'static str,
        /// The present state, or `nothing`.
        from: String,
        /// The wanted state.
        to: String,
    },
    /// Others may make this change.
    #[error("a {noun} goes from {from} to {to} by {allowed} only, not by {actor}")]
    NotYours {
        /// `job`, `task`, ...
        noun: &'static str,
        /// The present state, or `nothing`.
        from: String,
        /// The wanted state.
        to: String,
        /// Who may do it, comma separated.
        allowed: String,
        /// Who tried.
        actor: Actor,
    },
}

/// Looks the change up in the table; `from` is `None` when the row is being made. Answers why the change is allowed.
///
/// # Errors
/// [`IllegalTransition`] when no rule holds it, staying in the same state included: that is not a transition.
pub fn check<S: State>(from: Option<S>, to: S, actor: Actor) -> Result<&'static str, IllegalTransition> {
    let mut allowed: Vec<&'static str> = Vec::new();
    for rule in matching(from, to) {
        if rule.actors.contains(&actor) {
            return Ok(rule.why);
        }
        for other in rule.actors {
            if !allowed.contains(&other.as_str()) {
                allowed.push(other.as_str());
            }
        }
    }
    let from = from.map_or_else(|| "nothing".to_owned(), |state| state.to_string());
    let (noun, to) = (S::NOUN, to.to_string());
    if allowed.is_empty() {
        Err(IllegalTransition::NoSuchWay { noun, from, to })
    } else {
        Err(IllegalTransition::NotYours { noun, from, to, allowed: allowed.join(", "), actor })
    }
}

/// The states that can follow, each with who may go there; in table order, without doubles.
#[must_use]
pub fn exits<S: State>(from: Option<S>) -> Vec<(S, &'static [Actor])> {
    let mut found: Vec<(S, &'static [Actor])> = Vec::new();
    for rule in S::TABLE.iter().filter(|rule| starts(rule, from)) {
        for to in rule.to.iter().copied().filter(|to| Some(*to) != from) {
            if !found.iter().any(|(state, actors)| *state == to && *actors == rule.actors) {
                found.push((to, rule.actors));
            }
        }
    }
    found
}

fn starts<S: State>(rule: &Rule<S>, from: Option<S>) -> bool {
    match (rule.from, from) {
        (Start::Nothing, None) => true,
        (Start::In(states), Some(state)) => states.contains(&state),
        _ => false,
    }
}

fn matching<S: State>(from: Option<S>, to: S) -> impl Iterator<Item = &'static Rule<S>> {
    let moves = from != Some(to);
    S::TABLE.iter().filter(move |rule| moves && starts(rule, from) && rule.to.contains(&to))
}

#[cfg(test)]
#[path = "machine_tests.rs"]
mod tests;
