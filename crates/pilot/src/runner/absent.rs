//! Runners that need what a plain machine has not: they fail clearly.
//!
//! Owns the sentences of `payload_runners.md` section 7.

use super::fail::{Failure, Number};

/// The failure of a runner that does not exist yet.
pub(crate) fn failure(name: &str) -> Failure {
    let (number, needs) = match name {
        "runHPO" => (Number::Hpo, "event ranges and hyper-parameter points from an optimisation service"),
        "preGoodRunList" => (Number::GoodRunList, "a good-run list service and a metadata catalogue"),
        "preEvtPick" => (Number::Software, "an event index to find the files of picked events"),
        "buildJob" => (Number::Software, "ATLAS software to compile against"),
        _ => (Number::Software, "ATLAS software"),
    };
    Failure::new(number, format!("{name} needs {needs}; this runner does not have it yet"))
}
