//! What a queue's row and document say of it, in one place: keys of the documents that queues are described by (schedconfig) become
//! [`Queue`]. A value of a kind that means nothing is told as a problem and counts as not stated.

use panda_core::{
    id::QueueId,
    queue::{
        Capability, PilotFamily, Queue, QueueKind, QueueState,
        hardware::{Cpus, Gpus},
    },
};
use panda_store::query::queue::QueueRow;
use panda_wire::lenient;
use serde_json::{Map, Value};

/// The document of a queue being read.
struct Doc {
    map: Map<String, Value>,
    problems: Vec<String>,
}

impl Doc {
    fn problem(&mut self, key: &str, what: &str) {
        let value = self.map.get(key).map(ToString::to_string).unwrap_or_default();
        self.problems.push(format!("{key}: {value} is {what}"));
    }
    /// The first of these keys that has a value.
    fn key<'k>(&self, keys: &[&'k str]) -> Option<(&'k str, &Value)> {
        keys.iter().find_map(|k| Some((*k, self.map.get(*k).filter(|v| !v.is_null() && v.as_str() != Some(""))?)))
    }
    fn int(&mut self, keys: &[&str]) -> i64 {
        let Some((key, value)) = self.key(keys) else { return 0 };
        match lenient::int(value).filter(|n| *n >= 0) {
            Some(n) => n,
            None => {
                self.problem(key, "no number of at least 0");
                0
            }
        }
    }
    fn flag(&mut self, keys: &[&str]) -> bool {
        let Some((key, value)) = self.key(keys) else { return false };
        match lenient::boolean(value) {
            Some(b) => b,
            None => {
                self.problem(key, "neither true nor false");
                false
            }
        }
    }
    fn text(&mut self, keys: &[&str]) -> Option<String> {
        let (key, value) = self.key(keys)?;
        let text = value.as_str().map(|t| t.trim().to_owned());
        if text.is_none() {
            self.problem(key, "no text");
        }
        text.filter(|t| !t.is_empty())
    }
    /// A list of texts, or one text with commas.
    fn list(&mut self, keys: &[&str]) -> Vec<String> {
        let Some((key, value)) = self.key(keys) else { return Vec::new() };
        let texts = match value {
            Value::String(text) => Some(text.split(',').map(str::to_owned).collect::<Vec<_>>()),
            Value::Array(items) => items.iter().map(|i| i.as_str().map(str::to_owned)).collect(),
            _ => None,
        };
        match texts {
            Some(texts) => texts.iter().map(|t| t.trim().to_owned()).filter(|t| !t.is_empty()).collect(),
            None => {
                self.problem(key, "no list of texts");
                Vec::new()
            }
        }
    }
    fn word<T>(&mut self, key: &str, parse: impl Fn(&str) -> Option<T>, usual: T) -> T {
        match self.text(&[key]) {
            None => usual,
            Some(text) => match parse(&text) {
                Some(v) => v,
                None => {
                    self.problem(key, "unknown");
                    usual
                }
            },
        }
    }
}

/// What the broker works with, and what of the document could not be read. `storage` is the name of the queue's endpoint.
#[must_use]
pub fn read(row: &QueueRow, storage: Option<&str>) -> (Queue, Vec<String>) {
    let map = match serde_json::from_str(&row.doc) {
        Ok(Value::Object(map)) => map,
        _ => Map::new(),
    };
    let mut d = Doc { map, problems: Vec::new() };
    let options = d.list(&["catchall"]);
    let (connectivity, ip_versions) = reach(&mut d);
    let (cpus, gpus) = hardware(&mut d);
    let queue = Queue {
        site: row.site.clone(),
        state: QueueState::parse(&row.state).unwrap_or(QueueState::Offline),
        cloud: d.text(&["cloud"]),
        kind: d.word("type", |w| QueueKind::parse(w).ok(), QueueKind::Unified),
        vos: d.list(&["vos", "vo_name"]),
        family: PilotFamily::parse(&row.pilot_family).unwrap_or(PilotFamily::Native),
        has_container: d.text(&["container_type"]).is_some(),
        core_count: row.core_count,
        capability: d.word("capability", |w| Capability::parse(w).ok(), Capability::Any),
        core_power_milli: milli(&mut d, "corepower", "no power of a core"),
        core_watts_milli: milli(&mut d, "core_watts", "no number of watts"),
        co2_mg_kwh: milli(&mut d, "co2_g_kwh", "no number of grams"),
        max_rss_mb: row.max_ram_mb,
        min_rss_mb: d.int(&["minrss"]),
        max_time_s: row.max_walltime_s,
        min_time_s: d.int(&["mintime"]),
        max_workdir_mb: row.max_disk_mb,
        gpus,
        cpus,
        platforms: d.list(&["cmtconfigs", "platforms"]),
        systems: d.list(&["systems", "os"]),
        releases: d.list(&["releases"]),
        image_tags: d.list(&["image_tags"]),
        connectivity,
        ip_versions,
        is_virtual: d.flag(&["is_virtual"]),
        direct_io: d.flag(&["direct_access_lan"]),
        max_io_kb_s: d.int(&["maxdiskio"]),
        allowed_processing: d.list(&["allowed_processing"]),
        excluded_processing: d.list(&["excluded_processing"]),
        zero_shares: d.list(&["fairsharepolicy"]).iter().filter_map(|item| zero(item)).collect(),
        allow_no_pilot: options.iter().any(|o| o == "allow_no_pilot") || d.flag(&["allow_no_pilot"]),
        transferring_limit: d.int(&["transferringlimit"]),
        max_queued: d.int(&["maxqueued"]),
        storage: storage.map(str::to_owned),
        reads: storages(&d, &["read_lan"]),
        writes: storages(&d, &["write_lan", "pw"]).into_iter().filter(|e| Some(e.as_str()) != storage).collect(),
        hold: None,
        ..Queue::new(QueueId(row.id.0), row.name.clone())
    };
    grace(&mut d);
    (queue, d.problems)
}

/// Most that the native worker takes for `pilot_rss_grace`, percent: ten times the memory that a job asked for.
const MAX_GRACE_PERCENT: f64 = 900.0;

/// `pilot_rss_grace` of `params`: only pilots read it, but a wrong one is refused where it is set.
fn grace(d: &mut Doc) {
    let Some(value) = d.map.get("params").and_then(|p| p.get("pilot_rss_grace")).filter(|v| !v.is_null()) else { return };
    let number = value.as_f64().or_else(|| value.as_str()?.trim().parse().ok());
    if !number.is_some_and(|p| (0.0..=MAX_GRACE_PERCENT).contains(&p)) {
        let problem = format!("params: pilot_rss_grace {value} is no percentage from 0 to {MAX_GRACE_PERCENT}");
        d.problems.push(problem);
    }
}

/// A number of at least 0 (`what` in a problem), thousandths.
fn milli(d: &mut Doc, key: &'static str, what: &str) -> i64 {
    let Some((key, value)) = d.key(&[key]) else { return 0 };
    let number = value.as_f64().or_else(|| value.as_str()?.parse().ok()).filter(|p| (0.0..1e6).contains(p));
    match number {
        #[expect(clippy::cast_possible_truncation, reason = "below 10^9")]
        Some(p) => (p * 1_000.0).round() as i64,
        None => {
            d.problem(key, what);
            0
        }
    }
}

/// `wnconnectivity`: `full#IPv4`, `http`, `full#dual`, ….
fn reach(d: &mut Doc) -> (Option<String>, Vec<i64>) {
    let Some(text) = d.text(&["wnconnectivity"]) else { return (None, Vec::new()) };
    let (reach, stack) = text.split_once('#').map_or((text.as_str(), None), |(a, b)| (a, Some(b.to_lowercase())));
    let versions = match stack.as_deref() {
        None => Vec::new(),
        Some("ipv4") => vec![4],
        Some("ipv6") => vec![6],
        Some("dual" | "ipv4v6") => vec![4, 6],
        Some(_) => {
            d.problem("wnconnectivity", "of an unknown IP version");
            Vec::new()
        }
    };
    (Some(reach.to_lowercase()), versions)
}

/// An item of `fairsharepolicy` with a target of zero: `share=NAME:0%`, `group=NAME:0%`, `type=NAME:0%`.
fn zero(item: &str) -> Option<String> {
    let (what, target) = item.split_once(':')?;
    let name = ["share=", "gshare=", "group=", "type="].iter().find_map(|p| what.trim().strip_prefix(p))?;
    (target.trim().trim_end_matches('%').parse::<f64>() == Ok(0.0)).then(|| name.to_owned())
}

/// `astorages`: endpoints of these activities: `read_lan` is where jobs read from, `write_lan` and `pw` where they write to.
fn storages(d: &Doc, activities: &[&str]) -> Vec<String> {
    let Some(Value::Object(all)) = d.map.get("astorages") else { return Vec::new() };
    let mut out: Vec<String> = Vec::new();
    for name in activities.iter().filter_map(|a| all.get(*a)?.as_array()).flatten().filter_map(Value::as_str) {
        if !out.iter().any(|known| known == name) {
            out.push(name.to_owned());
        }
    }
    out
}

/// `architectures`: a list of `{"type": "cpu", "arch": […], "vendor": […], "instr": […]}` and `{"type": "gpu", "vendor", "model", "count",
/// "memory", "frameworks": {"cuda": "12.2"}}`.
fn hardware(d: &mut Doc) -> (Cpus, Gpus) {
    let (mut cpus, mut gpus) = (Cpus::default(), Gpus::default());
    let list = match d.map.get("architectures") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(list)) => list.clone(),
        Some(_) => {
            d.problem("architectures", "no list of objects");
            Vec::new()
        }
    };
    for item in &list {
        let texts = |key: &str| -> Vec<String> {
            match item.get(key) {
                Some(Value::String(text)) => vec![text.clone()],
                Some(Value::Array(items)) => items.iter().filter_map(|i| i.as_str().map(str::to_owned)).collect(),
                _ => Vec::new(),
            }
        };
        match item.get("type").and_then(Value::as_str) {
            Some("cpu") => {
                cpus.archs.extend(texts("arch"));
                cpus.vendors.extend(texts("vendor"));
                cpus.instrs.extend(texts("instr"));
            }
            Some("gpu") => {
                gpus.count = item.get("count").and_then(lenient_int).unwrap_or(1).max(1);
                gpus.vendors.extend(texts("vendor"));
                gpus.models.extend(texts("model"));
                gpus.memory_mb = item.get("memory").and_then(lenient_int).unwrap_or(0);
                for (name, version) in item.get("frameworks").and_then(Value::as_object).into_iter().flatten() {
                    gpus.frameworks.push((name.to_lowercase(), version.as_str().unwrap_or_default().to_owned()));
                }
            }
            _ => d.problem("architectures", "a list with an item whose `type` is neither cpu nor gpu"),
        }
    }
    let count = d.int(&["gpus"]);
    if count > 0 {
        gpus.count = count;
    }
    (cpus, gpus)
}

fn lenient_int(value: &Value) -> Option<i64> {
    lenient::int(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn row(doc: &Value) -> QueueRow {
        QueueRow {
            id: QueueId(3),
            name: "A".into(),
            site: "S".into(),
            state: "online".into(),
            pilot_family: "native".into(),
            rse_id: 1,
            script_base: None,
            core_count: 8,
            max_ram_mb: 16_000,
            max_disk_mb: 1_000,
            max_walltime_s: 3_600,
            doc: doc.to_string(),
            rev: 0,
        }
    }

    #[test]
    fn documents_become_facts() {
        let doc = json!({
            "cloud": "X", "type": "production", "vo_name": "amber", "container_type": "apptainer:pilot", "capability": "ucore",
            "corepower": "12.5", "core_watts": 7.5, "co2_g_kwh": "56", "minrss": 500, "mintime": "60", "cmtconfigs": ["x86_64-el9-gcc13-opt"], "os": "el9, el8",
            "releases": ["R-1"], "image_tags": ["docker://*"], "wnconnectivity": "full#dual", "is_virtual": false,
            "direct_access_lan": true, "maxdiskio": 900, "allowed_processing": "run,evgen", "excluded_processing": ["pile"],
            "fairsharepolicy": "share=slow:0%,type=evgen:30%,group=soft:0", "catchall": "allow_no_pilot,other=1", "transferringlimit": 200,
            "maxqueued": 5, "astorages": {"read_lan": ["S1", "S2"], "write_lan": ["S1", "N"], "pw": ["N", "M"]},
            "architectures": [
                {"type": "cpu", "arch": ["x86_64"], "vendor": ["amd"], "instr": ["x86-64-v3"]},
                {"type": "gpu", "vendor": "nvidia", "model": ["A100"], "count": 2, "memory": 40000, "frameworks": {"CUDA": "12.2"}}
            ],
        });
        let (q, problems) = read(&row(&doc), Some("S1"));
        assert_eq!(problems, Vec::<String>::new());
        assert_eq!(
            (q.cloud.as_deref(), q.kind, q.capability, q.vos.as_slice()),
            (Some("X"), QueueKind::Production, Capability::Ucore, ["amber".to_owned()].as_slice())
        );
        assert_eq!((q.core_watts_milli, q.co2_mg_kwh), (7_500, 56_000));
        assert_eq!((q.core_power_milli, q.min_rss_mb, q.min_time_s, q.core_count, q.max_rss_mb), (12_500, 500, 60, 8, 16_000));
        assert_eq!((q.systems.len(), q.releases.len(), q.platforms.len(), q.ip_versions.as_slice()), (2, 1, 1, [4, 6].as_slice()));
        assert_eq!((q.zero_shares.as_slice(), q.allow_no_pilot), (["slow".to_owned(), "soft".to_owned()].as_slice(), true));
        assert_eq!((q.gpus.count, q.gpus.memory_mb, q.gpus.frameworks[0].0.as_str()), (2, 40_000, "cuda"));
        assert_eq!((q.cpus.instrs.as_slice(), q.storage.as_deref(), q.reads.len()), (["x86-64-v3".to_owned()].as_slice(), Some("S1"), 2));
        assert_eq!((q.direct_io, q.has_container, q.max_io_kb_s, q.transferring_limit, q.max_queued), (true, true, 900, 200, 5));
        assert_eq!(q.connectivity.as_deref(), Some("full"));
        assert_eq!(q.writes, ["N", "M"], "beside its own");
    }

    #[test]
    fn what_means_nothing_is_told() {
        for (doc, want) in [
            (json!({"minrss": "many"}), "minrss: \"many\" is no number of at least 0"),
            (json!({"type": "special"}), "type: \"special\" is unknown"),
            (json!({"capability": 7}), "capability: 7 is no text"),
            (json!({"corepower": -1}), "corepower: -1 is no power of a core"),
            (json!({"co2_g_kwh": "little"}), "co2_g_kwh: \"little\" is no number of grams"),
            (json!({"releases": {"a": 1}}), "releases: {\"a\":1} is no list of texts"),
            (json!({"is_virtual": "maybe"}), "is_virtual: \"maybe\" is neither true nor false"),
            (json!({"wnconnectivity": "full#x"}), "wnconnectivity: \"full#x\" is of an unknown IP version"),
            (
                json!({"architectures": [{"arch": "x"}]}),
                "architectures: [{\"arch\":\"x\"}] is a list with an item whose `type` is neither cpu nor gpu",
            ),
        ] {
            assert_eq!(read(&row(&doc), None).1, [want]);
        }
        let (q, problems) = read(&row(&json!({"unknown": 1, "minrss": null, "os": ""})), None);
        assert!(problems.is_empty() && q.min_rss_mb == 0 && q.systems.is_empty());
    }

    #[test]
    fn memory_beyond_what_was_asked_for_is_a_percentage() {
        for (value, ok) in [
            (json!(50), true),
            (json!("0"), true),
            (json!(900), true),
            (json!(null), true),
            (json!(-1), false),
            (json!(901), false),
            (json!("much"), false),
            (json!({}), false),
        ] {
            let problems = read(&row(&json!({"params": {"pilot_rss_grace": value}})), None).1;
            assert_eq!(problems.is_empty(), ok, "{value}: {problems:?}");
        }
    }
}
