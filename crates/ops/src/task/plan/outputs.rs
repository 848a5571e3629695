//! Outputs and logs.

use panda_core::policy::names;
use panda_wire::task_params::JobParameter;

use super::{PlanError, wrong};

/// An output or log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Output {
    /// `OUTPUT0`, `LOG0`, ….
    pub stream: String,
    /// Data set or container name.
    pub dataset: String,
    /// File name template.
    pub template: String,
    /// Whether it is the log.
    pub is_log: bool,
    /// Whether a job may end well without it.
    pub optional: bool,
    /// Serial numbers start behind this one.
    pub offset: i64,
    /// Storage that it is wanted on.
    pub destination: Option<String>,
    /// Storage token.
    pub token: Option<String>,
}

pub(super) fn read_item(parameter: &JobParameter, is_log: bool, n: usize) -> Result<Output, PlanError> {
    let item = parameter.item();
    let key = if is_log { "log" } else { "jobParameters" };
    // The file name is what stands behind the last `=`, without quotes; a pattern output is kept whole.
    let value = parameter.value();
    let template = if value.starts_with("regex|") { value } else { value.rsplit('=').next().unwrap_or(value).trim_matches('\'') };
    let dataset = item.dataset.as_ref().and_then(|d| d.first().cloned()).or_else(|| item.container.clone()).unwrap_or_default();
    if dataset.is_empty() {
        return Err(wrong(key, format!("the {} `{value}` names no dataset", if is_log { "log" } else { "output" })));
    }
    if !template.starts_with("regex|") {
        let sample = names::lfn(template, 10_000_000, 1_000_000_000, 1);
        let sample = sample.replace("${MIDDLENAME}", "x").replace("${SEGMENT_ID}", "1").replace("${SEGMENT_NAME}", "x");
        if let Some(problem) = names::problem(&sample) {
            return Err(wrong(key, problem));
        }
        if !template.contains("${SN") && !template.contains("$PANDAID") {
            return Err(wrong(key, format!("the file name `{template}` is the same for every job; put `${{SN}}` into it")));
        }
    }
    let given = |text: &Option<String>| text.clone().filter(|t| !t.is_empty());
    Ok(Output {
        stream: format!("{}{n}", if is_log { "LOG" } else { "OUTPUT" }),
        dataset,
        template: template.to_owned(),
        is_log,
        optional: item.allow_no_output == Some(true),
        offset: item.offset.unwrap_or(0),
        destination: given(&item.destination),
        token: given(&item.token).or_else(|| given(&item.spacetoken)),
    })
}
