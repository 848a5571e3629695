//! The job dictionary that a pilot gets, in two parts: what the jobs of one task, kind and queue share, and what is a job's own
//! (`spec/payload_runners.md` section 12.4, `spec/api_v1.md` section 10.1).
//!
//! Not in either part, since they may change until the job is handed out: `StatusCode`, `PandaID`, `attemptNr`, `currentPriority`, `nSent`,
//! `debug`, `secrets`. It must not know rows or where values come from.

use panda_wire::job_dict::{MISSING, join};
use serde_json::{Map, Value};

/// A file of a job, as its dictionary names it. Empty texts count as missing and travel as `NULL`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DictFile<'a> {
    /// Name.
    pub lfn: &'a str,
    /// Scope.
    pub scope: &'a str,
    /// GUID. A log needs one, the pilot does not make it.
    pub guid: Option<&'a str>,
    /// Bytes; inputs only.
    pub fsize: Option<i64>,
    /// `ad:` or `md5:` and hex digits; inputs only.
    pub checksum: Option<&'a str>,
    /// Data set (a container name with its slash is fine).
    pub dataset: &'a str,
    /// `prodDBlockToken` of an input: `local` for libraries and merge inputs, which are never read in place. Destination token of an output.
    pub token: Option<&'a str>,
    /// Storage endpoint.
    pub rse: &'a str,
    /// Whether it is the log archive; at most one output is.
    pub is_log: bool,
    /// Whether the job may end well without it (`allowNoOutput`).
    pub optional: bool,
}

/// Everything that a dictionary is made of. Numbers of 0 mean "not stated", which is what pilots read in 0 as well.
#[derive(Debug, Clone, Default)]
pub struct DictInput<'a> {
    /// The task; None for a job without one.
    pub task_id: Option<i64>,
    /// `jobName`.
    pub name: &'a str,
    /// `prodSourceLabel`.
    pub label: &'a str,
    /// `processingType`.
    pub processing_type: &'a str,
    /// Address of the script that the pilot fetches and runs.
    pub transformation: &'a str,
    /// The command line.
    pub job_pars: &'a str,
    /// Real inputs and the library, never pseudo inputs; a second file of the same name is left out.
    pub inputs: Vec<DictFile<'a>>,
    /// Outputs in order; the log is put last wherever it stands.
    pub outputs: Vec<DictFile<'a>>,
    /// The queue.
    pub queue: &'a str,
    /// Owner's shown name.
    pub owner: &'a str,
    /// Cores; 0 counts as 1.
    pub core_count: i64,
    /// Memory of the whole job, MB.
    pub ram_mb: i64,
    /// Scratch space, MB.
    pub disk_mb: i64,
    /// Wall time, seconds.
    pub walltime_s: i64,
    /// CPU time, seconds (`maxCpuCount`).
    pub cpu_s: i64,
    /// `SCORE`, `MCORE`, ….
    pub resource_type: &'a str,
    /// `jobDefinitionID`.
    pub definition_id: i64,
    /// `jobsetID`; None = the task's number.
    pub jobset_id: Option<i64>,
    /// `reqID`; None = the task's number.
    pub req_id: Option<i64>,
    /// `cloud`.
    pub cloud: &'a str,
    /// `swRelease`.
    pub release: &'a str,
    /// `homepackage`.
    pub homepackage: &'a str,
    /// `cmtConfig`; a non-empty one asks 3.11 for a container.
    pub cmt_config: &'a str,
    /// `transferType`.
    pub transfer_type: &'a str,
    /// `destinationSE`.
    pub destination_se: &'a str,
    /// `container_name`.
    pub container: Option<&'a str>,
    /// The owner's secrets are put in when the job is handed out.
    pub use_secrets: bool,
    /// Whether the pilot looks for payloads that loop; false is told to it.
    pub no_looping_check: bool,
    /// Further keys that all jobs of the task share, e.g. `containerOptions`.
    pub extra_common: Map<String, Value>,
    /// Further keys of this job, e.g. `preprocess`, `postprocess`, `writeToFile`.
    pub extra_own: Map<String, Value>,
}

/// The part that all jobs of one task, kind and queue share, as the members of an object without its braces ([`crate::json::join`]).
#[must_use]
pub fn common_text(d: &DictInput<'_>) -> String {
    let mut m = Members::with_capacity(800);
    common_to(d, &mut m);
    m.text()
}

/// The part that is this job's own, likewise.
#[must_use]
pub fn own_text(d: &DictInput<'_>) -> String {
    // Names stand in the command line and in the lists; the rest is short.
    let files = 200 * (d.inputs.len() + d.outputs.len());
    let mut m = Members::with_capacity(700 + d.job_pars.len() * 5 / 4 + files);
    own_to(d, &mut m);
    m.text()
}

/// [`common_text`] as a map.
#[must_use]
pub fn common(d: &DictInput<'_>) -> Map<String, Value> {
    map(&common_text(d))
}

/// [`own_text`] as a map.
#[must_use]
pub fn own(d: &DictInput<'_>) -> Map<String, Value> {
    map(&own_text(d))
}

fn map(members: &str) -> Map<String, Value> {
    serde_json::from_str(&crate::json::join(&[members])).unwrap_or_default()
}

/// Writes members of an object straight into text: a submission makes thousands of dictionaries, and maps of owned texts cost most of its time.
struct Members(Vec<u8>);

impl Members {
    fn with_capacity(bytes: usize) -> Self {
        Self(Vec::with_capacity(bytes))
    }
    /// `key` must be plain: it is written as it is.
    fn put(&mut self, key: &str, value: &impl serde::Serialize) {
        if !self.0.is_empty() {
            self.0.push(b',');
        }
        self.0.push(b'"');
        self.0.extend_from_slice(key.as_bytes());
        self.0.extend_from_slice(b"\":");
        // Writing into memory and of these types does not fail; were it to, the pilot would see a null.
        let start = self.0.len();
        if serde_json::to_writer(&mut self.0, value).is_err() {
            self.0.truncate(start);
            self.0.extend_from_slice(b"null");
        }
    }
    fn add(&mut self, extra: &Map<String, Value>) {
        for (key, value) in extra {
            let quoted = crate::json::quote(key);
            self.put(quoted.strip_prefix('"').and_then(|q| q.strip_suffix('"')).unwrap_or_default(), value);
        }
    }
    fn text(self) -> String {
        String::from_utf8(self.0).unwrap_or_default()
    }
}

fn common_to(d: &DictInput<'_>, m: &mut Members) {
    m.put("prodSourceLabel", &or_missing(d.label));
    m.put("swRelease", &d.release);
    m.put("homepackage", &or_missing(d.homepackage));
    m.put("transformation", &d.transformation);
    m.put("jobDefinitionID", &d.definition_id);
    m.put("cloud", &or_missing(d.cloud));
    m.put("destinationSE", &or_missing(d.destination_se));
    m.put("prodUserID", &or_missing(d.owner));
    m.put("maxCpuCount", &d.cpu_s);
    m.put("minRamCount", &d.ram_mb);
    m.put("maxDiskCount", &d.disk_mb);
    m.put("cmtConfig", &d.cmt_config);
    m.put("processingType", &or_missing(d.processing_type));
    m.put("transferType", &or_missing(d.transfer_type));
    m.put("sourceSite", &MISSING);
    for (key, given) in [("taskID", d.task_id), ("jobsetID", d.jobset_id.or(d.task_id)), ("reqID", d.req_id.or(d.task_id))] {
        match given {
            Some(n) => m.put(key, &n),
            None => m.put(key, &MISSING),
        }
    }
    m.put("coreCount", &d.core_count.max(1));
    m.put("nucleus", &MISSING);
    m.put("maxWalltime", &d.walltime_s);
    m.put("resource_type", &or_missing(d.resource_type));
    m.put("ioIntensity", &());
    m.put("ioIntensityUnit", &());
    if let Some(image) = d.container.filter(|c| !c.is_empty()) {
        m.put("container_name", &image);
    }
    if d.no_looping_check {
        m.put("loopingCheck", &false);
    }
    if d.use_secrets {
        m.put("useSecrets", &true);
    }
    m.add(&d.extra_common);
}

fn own_to(d: &DictInput<'_>, m: &mut Members) {
    m.put("jobName", &d.name);
    m.put("jobPars", &d.job_pars);
    inputs(m, &unique(&d.inputs));
    outputs(m, &d.outputs, d.queue);
    m.add(&d.extra_own);
}

fn inputs(m: &mut Members, files: &[&DictFile<'_>]) {
    let list = |of: for<'x> fn(&'x DictFile<'_>) -> &'x str| -> String { joined(files.iter().map(|f| of(f))) };
    let sizes: Vec<String> = files.iter().map(|f| f.fsize.map(|n| n.to_string()).unwrap_or_default()).collect();
    m.put("inFiles", &list(|f| f.lfn));
    m.put("scopeIn", &list(|f| f.scope));
    m.put("GUID", &list(|f| f.guid.unwrap_or_default()));
    m.put("fsize", &joined(sizes.iter().map(String::as_str)));
    m.put("checksum", &list(|f| f.checksum.unwrap_or_default()));
    let datasets = list(|f| f.dataset);
    m.put("realDatasetsIn", &datasets);
    m.put("prodDBlocks", &datasets);
    m.put("dispatchDblock", &list(|_| ""));
    m.put("dispatchDBlockToken", &list(|_| ""));
    m.put("prodDBlockToken", &list(|f| f.token.unwrap_or_default()));
    m.put("ddmEndPointIn", &list(|f| f.rse));
}

fn outputs(m: &mut Members, files: &[DictFile<'_>], queue: &str) {
    let log = files.iter().find(|f| f.is_log);
    let all: Vec<&DictFile<'_>> = files.iter().filter(|f| !f.is_log).chain(log).collect();
    let list = |of: for<'x> fn(&'x DictFile<'_>) -> &'x str| -> String { joined(all.iter().map(|f| of(f))) };
    m.put("outFiles", &list(|f| f.lfn));
    let datasets = list(|f| f.dataset);
    m.put("realDatasets", &datasets);
    m.put("destinationDblock", &datasets);
    m.put("ddmEndPointOut", &list(|f| f.rse));
    m.put("destinationDBlockToken", &list(|f| f.token.unwrap_or_default()));
    m.put("dispatchDBlockTokenForOut", &list(|_| ""));
    m.put("fileDestinationSE", &joined(all.iter().map(|_| queue)));
    m.put("scopeOut", &joined(all.iter().filter(|f| !f.is_log).map(|f| f.scope)));
    m.put("scopeLog", &log.map_or("", |f| f.scope));
    m.put("logFile", &log.map_or("", |f| f.lfn));
    m.put("logGUID", &log.and_then(|f| f.guid).unwrap_or_default());
    let optional = all.iter().filter(|f| f.optional && !f.is_log).map(|f| f.lfn);
    let optional = optional.collect::<Vec<_>>().join(",");
    if !optional.is_empty() {
        m.put("allowNoOutput", &optional);
    }
}

/// The first file of each name: pilots drop doubles and would misalign the lists.
fn unique<'f, 'a>(files: &'f [DictFile<'a>]) -> Vec<&'f DictFile<'a>> {
    let mut seen = std::collections::HashSet::with_capacity(files.len());
    files.iter().filter(|f| seen.insert(f.lfn)).collect()
}

fn joined<'a>(values: impl Iterator<Item = &'a str>) -> String {
    join(values.map(Some))
}

fn or_missing(text: &str) -> &str {
    if text.is_empty() { MISSING } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use panda_wire::job_dict::ALWAYS;

    fn input<'a>() -> DictInput<'a> {
        let file = |lfn, scope| DictFile { lfn, scope, rse: "DISK", dataset: "user.bob.in", ..DictFile::default() };
        DictInput {
            task_id: Some(10_000_101),
            name: "user.alice.e2e1/.5001",
            label: "user",
            transformation: "http://h/trf/user/runGen-00-00-02",
            job_pars: "-j \"\" -p x",
            inputs: vec![
                DictFile { guid: Some("g0"), fsize: Some(700), checksum: Some("ad:2c08c351"), ..file("f0", "user.bob") },
                DictFile { token: Some("local"), ..file("l.lib.tgz", "panda") },
                file("f0", "user.bob"),
            ],
            outputs: vec![
                DictFile { guid: Some("G"), is_log: true, optional: true, ..file("log.tgz", "user.alice") },
                DictFile { optional: true, ..file("out.txt", "user.alice") },
            ],
            queue: "LOCAL",
            owner: "Alice",
            ..DictInput::default()
        }
    }

    #[test]
    fn both_parts_hold_every_key_once() {
        let d = input();
        let (common, own) = (common(&d), own(&d));
        assert!(common.keys().all(|k| !own.contains_key(k)));
        for key in ALWAYS {
            let at_dispatch = ["PandaID", "attemptNr", "currentPriority"].contains(&key);
            assert_eq!(common.contains_key(key) || own.contains_key(key), !at_dispatch, "{key}");
        }
        assert_eq!(common["coreCount"], 1);
        assert_eq!(common["jobsetID"], 10_000_101);
    }

    #[test]
    fn lists_are_aligned_and_the_log_is_last() {
        let own = own(&input());
        assert_eq!(own["inFiles"], "f0,l.lib.tgz");
        assert_eq!(own["scopeIn"], "user.bob,panda");
        assert_eq!(own["GUID"], "g0,NULL");
        assert_eq!(own["fsize"], "700,NULL");
        assert_eq!(own["checksum"], "ad:2c08c351,NULL");
        assert_eq!(own["prodDBlockToken"], "NULL,local");
        assert_eq!(own["dispatchDblock"], "NULL,NULL");
        assert_eq!(own["outFiles"], "out.txt,log.tgz");
        assert_eq!(own["scopeOut"], "user.alice");
        assert_eq!(own["fileDestinationSE"], "LOCAL,LOCAL");
        assert_eq!((&own["logFile"], &own["logGUID"], &own["scopeLog"]), (&"log.tgz".into(), &"G".into(), &"user.alice".into()));
        assert_eq!(own["allowNoOutput"], "out.txt");
    }

    #[test]
    fn no_input_no_log() {
        let d = DictInput { inputs: vec![], outputs: vec![], task_id: None, use_secrets: true, ..input() };
        let own = own(&d);
        assert!(["inFiles", "GUID", "fsize", "outFiles", "logFile", "logGUID", "scopeOut"].iter().all(|k| own[*k] == ""));
        let common = common(&d);
        assert_eq!(common["taskID"], "NULL");
        assert!(crate::json::members(&common).contains(crate::pilot::acquire::SECRETS_MARK));
    }
}
