//! Keys of a job's dictionary that only some tasks ask for.

use panda_core::job::record::JobKind;
use panda_ops::task::plan::Mode;
use panda_store::query::job::file::JobFile;
use serde_json::{Map, Value, json};

use super::{
    events,
    job::{Reads, Setting},
};

/// The word by which clients know a scout (`spec/engine.md` section 6.3).
const SCOUT: &str = "sj";
/// Yes, as pilots read it.
const TRUE: &str = "True";

impl Setting<'_> {
    /// Keys that the jobs of a kind share, and those of one job: steps around the payload, its container, how outputs are stored, the list of
    /// inputs as a file.
    pub(super) fn extras(
        &self,
        kind: JobKind,
        job_pars: &str,
        reads: &[Reads],
        files: &[JobFile],
    ) -> (Map<String, Value>, Map<String, Value>) {
        let (mut common, mut own) = (Map::new(), Map::new());
        if kind == JobKind::EsMerge {
            let outputs: Vec<&str> = files.iter().filter(|f| !f.role.is_log()).map(|f| f.lfn.as_str()).collect();
            common.insert("eventServiceMerge".into(), TRUE.into());
            own.insert("writeToFile".into(), events::input_for(reads, &outputs).into());
        }
        if !kind.is_run() {
            return (common, own);
        }
        self.event_words(kind, &mut common);
        if self.scouts {
            own.insert("specialHandling".into(), SCOUT.into());
        }
        if let Some(word) = self.params.alt_stage_out.as_deref().filter(|w| !w.is_empty()) {
            common.insert("altStageOut".into(), word.into());
        }
        if self.params.no_exec_str_cnv == Some(true) {
            common.insert("noExecStrCnv".into(), TRUE.into());
        }
        if self.params.write_input_to_file == Some(true) {
            own.insert("writeToFile".into(), self.input_lists(reads).into());
        }
        let Some(steps) = &self.params.multi_step_exec else { return (common, own) };
        let fill = |t: &str| t.replace("${TRF_ARGS}", job_pars).replace("${TRF}", &self.transformation(&self.plan.runner));
        for (key, step) in [("preprocess", &steps.preprocess), ("postprocess", &steps.postprocess), ("coprocess", &steps.coprocess)] {
            if let Some(step) = step {
                let text = |t: &Option<String>| Value::String(fill(t.as_deref().unwrap_or_default()));
                own.insert(key.into(), json!({"command": text(&step.command), "args": text(&step.args)}));
            }
        }
        if let Some(options) = &steps.container_options {
            common.insert("containerOptions".into(), Value::Object(options.to_object()));
        }
        (common, own)
    }

    /// How a pilot knows that its job has event ranges, or is one of several.
    fn event_words(&self, kind: JobKind, common: &mut Map<String, Value>) {
        match (kind, self.plan.events.as_ref().map(|e| e.mode)) {
            (JobKind::Consumer | JobKind::Jumbo, _) => {
                common.insert("eventService".into(), TRUE.into());
                if self.params.use_prefetcher == Some(true) {
                    common.insert("usePrefetcher".into(), TRUE.into());
                }
            }
            (JobKind::Clone, Some(Mode::Clones { run_once })) => {
                common.insert("cloneJob".into(), if run_once { "runonce" } else { "storeonce" }.into());
            }
            _ => {}
        }
    }
    /// `direct` when the task wants its inputs read in place (and does not want them copied).
    pub(super) fn transfer_type(&self, kind: JobKind) -> &str {
        let wanted = self.params.transfer_type.as_deref().unwrap_or_default();
        if kind.is_run() && !self.plan.needs.copies_input { wanted } else { "" }
    }

    /// `tmpin_<dataset>:<lfn>,<lfn>^…` (`spec/api_v1.md` section 10.1), under the names that `${IN/F}` gives.
    fn input_lists(&self, reads: &[Reads]) -> String {
        let list = |input: &panda_ops::task::plan::Input| {
            let mut names: Vec<&str> = reads.iter().filter(|r| r.stream == input.stream).map(|r| r.lfn.as_str()).collect();
            names.sort_unstable();
            let dataset = input.datasets.first().map(String::as_str).unwrap_or_default();
            (!names.is_empty()).then(|| format!("tmpin_{dataset}:{}", names.join(",")))
        };
        self.plan.inputs.iter().filter_map(list).collect::<Vec<_>>().join("^")
    }
}
