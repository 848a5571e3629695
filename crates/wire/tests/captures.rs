//! Every recorded submission is read completely and goes back as it came.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use panda_wire::task_params::{Gigabytes, JobParameter, TaskParameters};
use serde_json::{Value, json};

fn bodies() -> Vec<(String, Value)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/taskparams");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    let read = |path: &std::path::PathBuf| {
        let body: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        (path.file_stem().unwrap().to_string_lossy().into_owned(), body["task_parameters"].clone())
    };
    files.iter().map(read).collect()
}

#[test]
fn every_capture_is_known_and_round_trips() {
    let bodies = bodies();
    assert!(bodies.len() >= 24);
    for (name, body) in bodies {
        let task = TaskParameters::from_value(body.clone()).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(task.unknown_keys().collect::<Vec<_>>(), Vec::<&str>::new(), "{name}");
        for item in task.job_parameters.iter().flatten().chain(&task.log) {
            assert!(item.item().extra.is_empty(), "{name}: {:?}", item.item().extra);
        }
        assert_eq!(serde_json::to_value(&task).unwrap(), body, "{name}");
    }
}

#[test]
fn pieces_of_the_language() {
    let find = |name: &str| bodies().into_iter().find(|(n, _)| n.contains(name)).unwrap().1;
    let task = TaskParameters::from_value(find("c_prun_inDS")).unwrap();
    let input = task.job_parameters.iter().flatten().find(|i| i.item().param_type.as_deref() == Some("input")).unwrap();
    assert!(matches!(input, JobParameter::Template(_)) && input.item().expand == Some(true));
    assert!(task.datasets_for("IN").is_some());
    let task = TaskParameters::from_value(find("n4_prun_notexpand")).unwrap();
    assert!(matches!(task.n_gb_per_job, Some(Gigabytes::Limit(_))));
    let task = TaskParameters::from_value(find("e_prun_container")).unwrap();
    let steps = task.multi_step_exec.unwrap();
    assert_eq!(steps.preprocess.unwrap().command.as_deref(), Some("${TRF}"));
    assert!(steps.container_options.unwrap().container_image.is_some());
}

#[test]
fn loose_writing_is_read() {
    let task = TaskParameters::from_value(json!({
        "coreCount": "4", "ramCount": 2000.0, "noInput": 1, "skipScout": "True", "excludedSite": "A, B",
        "includedSite": ["C"], "nGBPerJob": "MAX", "goal": "95.5", "nFiles": "", "architecture": {"cpu": 1},
        "unheardOf": {"x": 1}, "log": {"type": "template", "value": 5, "param_type": "log"},
    }))
    .unwrap();
    assert_eq!(task.core_count, Some(4));
    assert_eq!(task.ram_count, Some(2000));
    assert_eq!(task.no_input, Some(true));
    assert_eq!(task.skip_scout, Some(true));
    assert_eq!(task.excluded_site.unwrap().to_vec(), ["A", "B"]);
    assert_eq!(task.n_gb_per_job, Some(Gigabytes::Max));
    assert_eq!(task.goal, Some(95.5));
    assert_eq!(task.n_files, None);
    assert_eq!(task.architecture.unwrap().0, r#"{"cpu":1}"#);
    assert_eq!(task.extra.keys().collect::<Vec<_>>(), ["unheardOf"]);
    assert_eq!(task.log.unwrap().value(), "5");
}

#[test]
fn faults_name_the_key() {
    let fault = |v: Value| TaskParameters::from_value(v).unwrap_err().to_string();
    assert_eq!(fault(json!({"coreCount": "many"})), r#"'coreCount' must be an integer, got the text "many""#);
    assert_eq!(fault(json!({"taskName": ["a"]})), "'taskName' must be a text, got a list");
    assert_eq!(fault(json!({"jobParameters": {}})), "'jobParameters' must be a list, got an object");
    assert_eq!(
        fault(json!({"jobParameters": [{"type": "constant", "value": ""}, {"type": "x", "value": ""}]})),
        r#"'jobParameters[1].type' must be 'constant' or 'template', got the text "x""#
    );
    assert_eq!(fault(json!({"jobParameters": [{"type": "constant"}]})), "'jobParameters[0].value' must be a text, got null");
    assert_eq!(fault(json!({"mergeSpec": {"useLocalIO": {}}})), "'mergeSpec.useLocalIO' must be an integer, got an object");
    assert_eq!(fault(json!([])), "'task_parameters' must be an object, got a list");
}
