//! Whether every placeholder of the command lines means something.

use panda_core::policy::text;

use super::{Plan, PlanError, wrong};

/// Words that are known in every command line.
const WORDS: &[&str] =
    &["SN", "SURL", "MAXEVENTS", "SKIPEVENTS", "FIRSTEVENT", "ATTEMPTNR", "MIDDLENAME", "SEGMENT_ID", "SEGMENT_NAME", "TRF", "TRF_ARGS"];

/// Words that are known in the command line of a merge.
const MERGE_WORDS: &[&str] = &["SURL", "LIB", "TRN_OUTPUT:OUTPUT", "TRN_LOG:LOG", "TRN_LOG_MERGE:LOG_MERGE"];

pub(super) fn check(plan: &Plan) -> Result<(), PlanError> {
    let mut streams: Vec<&str> =
        plan.inputs.iter().map(|i| i.stream.as_str()).chain(plan.outputs.iter().map(|o| o.stream.as_str())).collect();
    let mut words = WORDS.to_vec();
    if plan.sequence.is_some() {
        words.push("SEQNUMBER");
    }
    if plan.random_seed.is_some() {
        words.push("RNDMSEED");
    }
    if plan.build.is_some() {
        words.push("LIB");
    }
    if plan.dag.is_some() {
        words.extend(["NODE", "NODE/U", "ARGS", "ARGS/U"]);
    }
    if !plan.pfns.is_empty() {
        streams.push("IN");
    }
    text::check(&plan.template, &streams, &words).map_err(|e| wrong("jobParameters", e.to_string()))?;
    if let Some(build) = &plan.build {
        text::check(&build.text, &[], &["IN", "OUT", "SURL"]).map_err(|e| wrong("buildSpec", e.to_string()))?;
    }
    if let Some(merge) = &plan.merge {
        text::check(&merge.text, &[], MERGE_WORDS).map_err(|e| wrong("mergeSpec", e.to_string()))?;
    }
    Ok(())
}
