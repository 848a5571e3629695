//! Retry rules at run time: the shipped ones and what a site added or changed, read through a cache; listed, changed, tried on a job.

pub mod change;
pub mod show;
pub mod trial;

use std::{collections::BTreeMap, sync::Arc};

use panda_core::policy::retry::{
    rule::{Error, Rule},
    shipped,
};
use panda_store::query::retry_rule as rows;
use regex::Regex;
use serde_json::Value;

use crate::{Ops, OpsError, held::Held};

/// Memory that a compiled expression may take.
const MAX_REGEX_BYTES: usize = 1 << 20;

/// All rules, in order of their numbers, with their expressions compiled.
#[derive(Debug, Default)]
pub struct Rules {
    /// The rules.
    pub all: Vec<Rule>,
    /// Expressions by the number of their rule.
    regexes: BTreeMap<i64, Regex>,
    /// Numbers of the rules that a site added or changed.
    own: Vec<i64>,
}

impl Rules {
    /// Shipped rules with what a site stored over them. A stored rule that does not fit is left out and told in the second part.
    fn of(stored: Vec<rows::Stored>) -> (Self, Vec<String>) {
        let mut problems = Vec::new();
        let mut all: BTreeMap<i64, Rule> = shipped::rules().into_iter().map(|r| (r.id, r)).collect();
        let mut rules = Self::default();
        for row in stored {
            let id = row.rule.id;
            rules.own.push(id);
            match show::params(&row.params) {
                Ok(params) => drop(all.insert(id, Rule { params, ..row.rule })),
                Err(e) => problems.push(format!("rule {id}: {e}")),
            }
        }
        for rule in all.values() {
            if let Some(pattern) = &rule.message {
                match compile(pattern) {
                    Ok(regex) => drop(rules.regexes.insert(rule.id, regex)),
                    Err(e) => problems.push(format!("rule {}: {e}", rule.id)),
                }
            }
        }
        rules.all = all.into_values().collect();
        (rules, problems)
    }
    /// Whether a rule's expression matches a text; one that cannot be read matches nothing.
    #[must_use]
    pub fn matches(&self, rule: &Rule, text: &str) -> bool {
        self.regexes.get(&rule.id).is_some_and(|r| r.is_match(text))
    }
    /// The rules that could match one of these errors, whatever else is known of the job.
    #[must_use]
    pub fn about(&self, errors: &[Error<'_>]) -> Vec<Rule> {
        self.all.iter().filter(|r| errors.iter().any(|e| r.is_about(e))).cloned().collect()
    }
    /// Whether a site added or changed it.
    #[must_use]
    pub fn is_own(&self, id: i64) -> bool {
        self.own.contains(&id)
    }
}

/// An expression that matches from the beginning of a text, with dots that match line ends (`spec/engine.md` section 11).
pub(crate) fn compile(pattern: &str) -> Result<Regex, String> {
    regex::RegexBuilder::new(&format!("^(?:{pattern})"))
        .dot_matches_new_line(true)
        .size_limit(MAX_REGEX_BYTES)
        .build()
        .map_err(|e| format!("`{pattern}` is no regular expression: {e}"))
}

/// The cache.
pub type Cache = Held<Rules>;

impl Ops {
    /// The retry rules, at most a second old.
    pub async fn retry_rules(&self) -> Result<Arc<Rules>, OpsError> {
        match self.rules.fresh(self.now().0) {
            Some(held) => Ok(held),
            None => self.reread_retry_rules().await,
        }
    }
    pub(crate) async fn reread_retry_rules(&self) -> Result<Arc<Rules>, OpsError> {
        let now = self.now().0;
        let (rules, problems) = Rules::of(rows::list(&self.store).await?);
        for problem in problems {
            tracing::warn!("retry rule left out: {problem}; `panda retry-rule set` mends it");
        }
        Ok(self.rules.keep(now, rules))
    }
}

/// An empty text is none.
fn given(value: &Value) -> Option<String> {
    value.as_str().map(str::trim).filter(|t| !t.is_empty()).map(str::to_owned)
}
