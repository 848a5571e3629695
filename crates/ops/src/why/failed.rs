//! What went wrong with a job that ended badly, what ran out or which file is to blame, whether it is tried again, and what its owner can change.

use std::{collections::BTreeMap, time::Duration};

use panda_access::Principal;
use panda_core::{
    file::FileState,
    job::{
        error::{Advice, Known, Source, class_of, known, telling},
        record::JobKind,
        state::JobState,
    },
};
use panda_store::query::{archive, decision::Decision, job::JobRow, task::file::TaskFile};
use panda_wire::job_dict;
use serde_json::{Map, Value, json};

use crate::{
    Ops, OpsError,
    job::{
        judge,
        log::{self, Stream, Which},
    },
    rule::trial,
};

/// Bytes of an output stream that are looked at for its last lines.
const TAIL: i64 = 4_000;
/// Lines of it shown.
const LINES: usize = 5;
/// Most characters of a line shown.
const LINE: usize = 300;
/// Files named at most.
const FILES: usize = 5;

/// What is said of a job that ended badly.
#[derive(Debug, Default)]
pub(super) struct Said {
    pub because: Vec<String>,
    pub frees: Vec<String>,
    /// `{"source", "code", "name", "class", "text", "message", "limit", "files", "stream", "lines", "rules", "dry"}`
    pub error: Value,
    /// `{"text", "inputs", "given_up", "attempt", "max_attempt", "file", "job", "state"}`; null when nothing is known.
    pub again: Value,
}

/// Reads what there is to say.
pub(super) async fn of(ops: &Ops, who: &Principal, j: &JobRow, records: &[Decision]) -> Result<Said, OpsError> {
    let mut said = Said::default();
    let texts = trial::said(ops, j.id).await?;
    let codes = j.codes();
    let first = telling(&codes);
    let mut e = Map::new();
    let mut advice = None;
    if let Some((source, code)) = first {
        let k = known(source, code);
        advice = k.map(|k| k.advice).or((source == Source::Trans || source == Source::Exe).then_some(Advice::Payload));
        let message = texts.get(&source).cloned().or_else(|| j.diag.clone());
        said.because.push(sentence(source, code, k));
        e.insert("source".into(), source.as_str().into());
        e.insert("code".into(), code.into());
        e.insert("name".into(), k.map(|k| k.name).into());
        e.insert("class".into(), class_of(source, code).map(|c| c.as_str()).into());
        e.insert("text".into(), k.map(|k| k.text).into());
        e.insert("message".into(), message.into());
    }
    said.because.extend(codes.iter().filter(|c| Some(**c) != first).map(|(s, c)| format!("also: {}", sentence(*s, *c, known(*s, *c)))));
    // What the sources said, once each.
    for text in texts.values().chain(j.diag.iter()) {
        if !said.because.iter().any(|b| b.contains(text.as_str())) {
            said.because.push(text.clone());
        }
    }
    if let Some(limit) = advice.and_then(|a| limit(a, j)) {
        said.because.push(limit.clone());
        e.insert("limit".into(), limit.into());
    }
    let record =
        records.iter().find(|d| d.stage == judge::STAGE).and_then(|d| serde_json::from_str::<Value>(&d.doc).ok()).unwrap_or_default();
    let files = guilty(ops, j, advice, &texts, &record).await?;
    if !files.is_empty() {
        said.because.push(format!("it is about {}", files.join(", ")));
        e.insert("files".into(), files.into());
    }
    if let Some((stream, lines)) = last_lines(ops, who, j).await? {
        said.because.push(format!("the last of its {stream}: {}", lines.join(" | ")));
        e.insert("stream".into(), stream.into());
        e.insert("lines".into(), lines.into());
        said.frees.push(format!("`panda logs job/{}` shows what it wrote", j.id));
    }
    for key in ["rules", "dry"] {
        e.insert(key.into(), record.get(key).cloned().unwrap_or_default());
    }
    if let Some(advice) = advice.filter(|a| *a != Advice::Wait) {
        said.frees.insert(0, advice.text().to_owned());
    }
    again(ops, j, &record, &mut said).await?;
    if said.frees.is_empty() && advice == Some(Advice::Wait) {
        said.frees.push(Advice::Wait.text().to_owned());
    }
    said.error = if first.is_some() { Value::Object(e) } else { Value::Null };
    Ok(said)
}

/// One sentence about a code.
fn sentence(source: Source, code: i64, k: Option<&Known>) -> String {
    match (k, source) {
        (Some(k), _) => format!("{} ({source} code {code}, {})", k.text, k.name),
        (None, Source::Trans) => format!("the payload ended with the exit status {code} ({source} code {code})"),
        (None, Source::Exe) => format!("the payload reported the error {code} of its own ({source} code {code})"),
        (None, _) => format!("{source} code {code}, which this system has no sentence for"),
    }
}

/// The limit that an error is about, as this job had it.
fn limit(advice: Advice, j: &JobRow) -> Option<String> {
    match advice {
        Advice::Memory if j.ram_mb > 0 => Some(format!("it was given {} MB of memory on {} cores", j.ram_mb, j.core_count)),
        Advice::Time if j.walltime_s > 0 => Some(format!("it was given {} s", j.walltime_s)),
        Advice::Disk if j.disk_mb > 0 => Some(format!("it was given {} MB of scratch space", j.disk_mb)),
        _ => None,
    }
}

/// The files that the sources name, else the only one that can be meant.
async fn guilty(
    ops: &Ops,
    j: &JobRow,
    advice: Option<Advice>,
    texts: &BTreeMap<Source, String>,
    record: &Value,
) -> Result<Vec<String>, OpsError> {
    let made = archive::job::files_of(&ops.store, &[j.id]).await?;
    let outputs: Vec<String> = made.iter().filter(|f| f.role.is_output()).map(|f| f.lfn.clone()).collect();
    let mut inputs: Vec<String> = made.iter().filter(|f| !f.role.is_output()).map(|f| f.lfn.clone()).collect();
    if let Some((own, _)) = archive::job::doc(&ops.store, j.id).await? {
        let own: Value = serde_json::from_str(&format!("{{{own}}}")).unwrap_or_default();
        let names = job_dict::split(own["inFiles"].as_str().unwrap_or_default());
        inputs.extend(names.flatten().map(str::to_owned));
    }
    inputs.extend(record["inputs"]["file"].as_str().map(str::to_owned));
    inputs.sort_unstable();
    inputs.dedup();
    let said = |name: &&String| texts.values().chain(j.diag.iter()).any(|text| text.contains(name.as_str()));
    let mut named: Vec<String> = outputs.iter().chain(&inputs).filter(said).cloned().collect();
    named.sort_unstable();
    named.dedup();
    if named.is_empty() {
        named = match advice {
            Some(Advice::Inputs) if inputs.len() == 1 => inputs,
            Some(Advice::Outputs) if outputs.len() == 1 => outputs,
            _ => named,
        };
    }
    named.truncate(FILES);
    Ok(named)
}

/// The last lines of the error stream of the last attempt, else of the output stream.
async fn last_lines(ops: &Ops, who: &Principal, j: &JobRow) -> Result<Option<(&'static str, Vec<String>)>, OpsError> {
    for (name, stream) in [("stderr", Stream::Stderr), ("stdout", Stream::Stdout)] {
        let which = Which { job: j.id, attempt: None, stream };
        let piece = log::read(ops, who, which, -TAIL, None, Duration::ZERO).await?;
        let lines = tail(&piece.data);
        if !lines.is_empty() {
            return Ok(Some((name, lines)));
        }
    }
    Ok(None)
}

/// The last lines that are not empty; a first one may be a part.
fn tail(data: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(data);
    let all: Vec<&str> = text.lines().map(str::trim_end).filter(|l| !l.is_empty()).collect();
    all[all.len().saturating_sub(LINES)..].iter().map(|l| l.chars().take(LINE).collect()).collect()
}

/// Whether its work is tried again, and by which job.
async fn again(ops: &Ops, j: &JobRow, record: &Value, said: &mut Said) -> Result<(), OpsError> {
    let Some(task) = j.task_id else {
        if j.kind == JobKind::Standalone {
            let text = "it belongs to no task: it is not tried again by itself; submit it again";
            said.because.push(text.to_owned());
            said.again = json!({"text": text});
        }
        return Ok(());
    };
    let inputs = &record["inputs"];
    let count = |key: &str| inputs[key].as_i64().unwrap_or(0);
    let (more, lost) = (count("again"), count("given_up"));
    let (attempt, most) = (count("attempt"), count("max_attempt"));
    let mut a = json!({
        "inputs": more, "given_up": lost, "attempt": attempt, "max_attempt": most, "file": inputs["file"],
    });
    let mut text = Vec::new();
    if more > 0 {
        let file = row(ops, inputs).await?;
        let what = if more == 1 { "its input is tried again".to_owned() } else { format!("its {more} inputs are tried again") };
        let now = match &file {
            Some(TaskFile { job_id: Some(next), state, .. }) if *next != j.id => {
                let state = match archive::job::find(&ops.store, *next).await? {
                    Some(next) => next.state.as_str().to_owned(),
                    None => state.as_str().to_owned(),
                };
                a["job"] = json!(format!("job/{next}"));
                a["state"] = json!(state);
                format!("job/{next} has it now and is {state}")
            }
            Some(f) if f.state == FileState::Ready => {
                said.frees.push(format!("`panda why task/{task}` tells what holds back its next job, if anything does"));
                format!("it waits for the next job of task/{task}, which is made at once when the task gets jobs")
            }
            Some(f) => format!("it is {} meanwhile", f.state),
            None => format!("task/{task} does not have it any more"),
        };
        text.push(format!("{what} (attempt {} of {most}): {now}", attempt + 1));
    }
    if lost > 0 {
        let what = if lost == 1 { "its input is not tried again".to_owned() } else { format!("{lost} inputs are not tried again") };
        let why = match count("max_failure") {
            n if n > 0 && count("failed") >= n => format!("{n} failures were allowed"),
            _ if attempt >= most => format!("attempt {attempt} of {most} was the last"),
            _ => "its task takes no more".to_owned(),
        };
        text.push(format!("{what}: {why}"));
        said.frees.push(format!("`panda retry task/{task}` gives what failed more attempts, when the task is at its end"));
    }
    if text.is_empty() {
        return Ok(());
    }
    a["text"] = json!(text.join("; "));
    said.because.extend(text);
    said.again = a;
    Ok(())
}

/// The row of the input that the record names.
async fn row(ops: &Ops, inputs: &Value) -> Result<Option<TaskFile>, OpsError> {
    let (Some(dataset), Some(seq)) = (inputs["dataset"].as_i64(), inputs["seq"].as_i64()) else { return Ok(None) };
    Ok(archive::task::files(&ops.store, dataset, seq - 1, 1).await?.pop().filter(|f| f.seq == seq))
}

/// Whether there is something to say in this way.
pub(super) const fn is_bad(state: JobState) -> bool {
    matches!(state, JobState::Failed | JobState::Cancelled | JobState::Closed)
}
