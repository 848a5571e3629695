//! The command line of a run job: what its placeholders mean.

use panda_core::{
    id::JobId,
    policy::{
        feed::{Cut, Order},
        names, params,
        text::{self, Values},
    },
};
use panda_store::query::task::file::TaskFile;

use super::job::{Reads, Setting};
use crate::EngineError;

/// Numbers and texts of one run job.
#[derive(Debug, Clone, Copy)]
pub struct JobValues<'a> {
    /// Serial number, offset included.
    pub serial: i64,
    /// What sequence numbers and random seeds count from.
    pub number: i64,
    /// `${MIDDLENAME}`.
    pub middle: &'a str,
    /// `${NODE}` and `${ARGS}`, of a node of a DAG.
    pub node: Option<(&'a str, &'a str)>,
    /// Library, if it has one.
    pub library: Option<&'a str>,
}

/// The values that replace the placeholders of a run job.
#[must_use]
pub fn values(setting: &Setting<'_>, master: &[TaskFile], reads: &[Reads], outputs: &[(&str, String)], job: &JobValues<'_>) -> Values {
    let plan = setting.plan;
    let mut v = Values::default();
    for input in &plan.inputs {
        v.streams.insert(input.stream.clone(), Vec::new());
        v.datasets.insert(input.stream.clone(), input.datasets.first().cloned().unwrap_or_default());
    }
    for r in reads.iter().filter(|r| !r.stream.is_empty()) {
        match v.streams.get_mut(&r.stream) {
            Some(names) => names.push(r.lfn.clone()),
            None => drop(v.streams.insert(r.stream.clone(), vec![r.lfn.clone()])),
        }
    }
    // Each once and sorted by name, as upstream hands them over, unless the task orders its input.
    for (stream, names) in &mut v.streams {
        let ordered = plan.inputs.iter().any(|i| i.stream == *stream && (i.random || (i.master && plan.feed.order != Order::Name)));
        if ordered {
            let mut seen = std::collections::BTreeSet::new();
            names.retain(|n| seen.insert(n.clone()));
        } else {
            *names = params::ordered(std::mem::take(names));
        }
    }
    for (stream, lfn) in outputs {
        v.streams.insert((*stream).to_owned(), vec![lfn.clone()]);
    }
    let mut word = |k: &str, text: String| v.words.insert(k.to_owned(), text);
    word("SN", job.serial.to_string());
    word("SURL", setting.source_url());
    word("MIDDLENAME", job.middle.to_owned());
    if let Some((name, args)) = job.node {
        // Clients write commands encoded: into such a text the words come encoded, too.
        word("NODE", name.to_owned());
        word("NODE/U", text::percent_encoded(name));
        word("ARGS", args.to_owned());
        word("ARGS/U", text::percent_encoded(args));
    }
    if let Some(lib) = job.library {
        word("LIB", lib.to_owned());
    }
    for (key, offset) in [("SEQNUMBER", plan.sequence), ("RNDMSEED", plan.random_seed)] {
        if let Some(offset) = offset {
            word(key, (offset + job.number).to_string());
        }
    }
    let first = master.first();
    let events: Option<i64> = master.iter().map(|f| f.n_events).sum();
    let skip = first.and_then(|f| f.first_event).unwrap_or(0);
    word("MAXEVENTS", if plan.cut != Cut::No { events.unwrap_or(-1).to_string() } else { "-1".into() });
    word("SKIPEVENTS", skip.to_string());
    // Numbered over the whole input where the task says where to begin and the events are known (5.3), else within the file.
    let before = match (plan.split.first_event, first.and_then(|f| f.event_no)) {
        (Some(_), Some(before)) => before,
        _ => skip,
    };
    word("FIRSTEVENT", (plan.split.first_event.unwrap_or(0) + before).to_string());
    word("ATTEMPTNR", first.map_or(0, |f| f.attempt).to_string());
    for k in ["SEGMENT_ID", "SEGMENT_NAME"] {
        word(k, String::new());
    }
    v
}

/// The finished command line: placeholders, then the numbers of task and job, then pre-merge names when outputs are merged later.
pub fn command_line(setting: &Setting<'_>, template: &str, v: &Values, job: JobId, pre_merge: &[String]) -> Result<String, EngineError> {
    let text = text::fill(template, v).map_err(|e| EngineError::Internal(format!("task {}: {e}", setting.task.id)))?;
    let text = names::lfn(&text, setting.task.id.0, job.0, 0);
    let finals: Vec<&str> = pre_merge.iter().map(String::as_str).collect();
    Ok(params::pre_merge_text(&text, &finals))
}
