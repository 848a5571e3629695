#![allow(clippy::unwrap_used)]
//! Our parameters against those that panda-client 2.2.0 sent for the same wishes (`spec/client.md` section 7.5).

use super::*;
use std::path::PathBuf;

const NAME: &str = "user.alice.test";

fn capture(text: &str) -> Value {
    serde_json::from_str::<Value>(text).unwrap()["task_parameters"].take()
}

struct Wish {
    args: SubmitArgs,
    inputs: Inputs,
    command: &'static str,
    archive: Option<String>,
}

/// The same wish as our options; the archive's name is taken from the capture.
fn make_like(capture: &Value, wish: &Wish) -> Value {
    let parts = Parts {
        args: &wish.args,
        name: NAME,
        vo: capture["vo"].as_str().unwrap(),
        command: wish.command,
        inputs: &wish.inputs,
        dataset: None,
        dag: None,
        archive: wish.archive.as_deref(),
        line: capture["cliParams"].as_str().unwrap(),
    };
    make(&parts).unwrap()
}

fn archive(capture: &Value) -> Option<String> {
    let text = capture.to_string();
    let start = text.find("jobO.").or_else(|| text.find("sources."))?;
    Some(text[start..].split_inclusive(".gz").next().unwrap().to_owned())
}

/// Equal but for what says who sent it and from where.
fn assert_same(mut ours: Value, mut theirs: Value) {
    for own in ["processingType", "osInfo", "sourceURL"] {
        ours.as_object_mut().unwrap().remove(own);
        theirs.as_object_mut().unwrap().remove(own);
    }
    let keys = |value: &Value| {
        let mut keys: Vec<String> = value.as_object().unwrap().keys().cloned().collect();
        keys.sort();
        keys
    };
    assert_eq!(keys(&ours), keys(&theirs));
    for (key, value) in theirs.as_object().unwrap() {
        assert_eq!(&ours[key], value, "{key}");
    }
}

macro_rules! fixture {
    ($name:literal) => {
        capture(include_str!(concat!("../../../../wire/tests/fixtures/taskparams/", $name)))
    };
}

fn args(set: impl FnOnce(&mut SubmitArgs)) -> SubmitArgs {
    let mut args = SubmitArgs { sandbox: ".".into(), ..SubmitArgs::default() };
    set(&mut args);
    args
}

#[test]
fn without_build() {
    let theirs = fixture!("taskparams_a_prun_nobuild_oidc.json");
    let wish =
        Wish { args: args(|a| a.jobs = Some(3)), inputs: Inputs::Nothing, command: "echo hello %RNDM:100", archive: archive(&theirs) };
    assert_same(make_like(&theirs, &wish), theirs);
}

#[test]
fn with_build() {
    let theirs = fixture!("taskparams_b_prun_build.json");
    let set = |a: &mut SubmitArgs| (a.jobs, a.build) = (Some(2), Some("make".into()));
    let wish = Wish { args: args(set), inputs: Inputs::Nothing, command: "./run.sh %RNDM:10", archive: archive(&theirs) };
    assert_same(make_like(&theirs, &wish), theirs);
}

#[test]
fn with_input() {
    let theirs = fixture!("taskparams_c_prun_inDS.json");
    let set = |a: &mut SubmitArgs| (a.files, a.files_per_job, a.outputs) = (Some(20), Some(5), vec!["out.root".into()]);
    let inputs = Inputs::Datasets(vec!["user.bob:user.bob.in/".into()]);
    let wish = Wish { args: args(set), inputs, command: "./run.sh %IN", archive: archive(&theirs) };
    assert_same(make_like(&theirs, &wish), theirs);
}

#[test]
fn with_outputs_and_merge() {
    let mut theirs = fixture!("taskparams_d_prun_outputs.json");
    // We have no option for outputs that may be missing.
    let items = theirs["jobParameters"].as_array_mut().unwrap();
    items.retain(|item| !item["value"].as_str().unwrap().starts_with("--allowNoOutput"));
    for item in items.iter_mut() {
        item.as_object_mut().unwrap().remove("allowNoOutput");
        // Theirs counts patterns without suffix, ours counts all outputs.
        *item = serde_json::from_str(&item.to_string().replace("test_0/", "test_2/")).unwrap();
    }
    let set = |a: &mut SubmitArgs| {
        a.jobs = Some(2);
        a.merge = true;
        a.outputs = ["out.root", "AAA:hist*.root", r"regex|^x.*\.dat$"].map(str::to_owned).to_vec();
    };
    let wish = Wish { args: args(set), inputs: Inputs::Nothing, command: "./run.sh", archive: archive(&theirs) };
    assert_same(make_like(&theirs, &wish), theirs);
}

#[test]
fn in_a_container() {
    let mut theirs = fixture!("taskparams_e_prun_container.json");
    theirs["multiStepExec"]["containerOptions"]["containerExec"] = json!(CONTAINER_COMMAND);
    let set = |a: &mut SubmitArgs| (a.container, a.outputs) = (Some("docker://busybox".into()), vec!["o.txt".into()]);
    let wish = Wish { args: args(set), inputs: Inputs::Nothing, command: "echo hi > o.txt", archive: archive(&theirs) };
    assert_same(make_like(&theirs, &wish), theirs);
}

#[test]
fn with_needs() {
    let mut theirs = fixture!("taskparams_i_prun_vo.json");
    for unknown in ["noEmail", "workingGroup", "useSecrets"] {
        theirs.as_object_mut().unwrap().remove(unknown);
    }
    let set = |a: &mut SubmitArgs| {
        (a.cores, a.attempts) = (Some(8), Some(5));
        (a.memory, a.queue) = (Some("2GB".into()), Some("Q1".into()));
    };
    let wish = Wish { args: args(set), inputs: Inputs::Nothing, command: "echo", archive: archive(&theirs) };
    assert_same(make_like(&theirs, &wish), theirs);
}

#[test]
fn with_addresses() {
    let theirs = fixture!("taskparams_k_prun_pfnlist.json");
    let inputs = Inputs::Urls(vec!["root://a//b/c".into(), "root://a//b/d".into()]);
    let wish = Wish { args: args(|a| a.queue = Some("Q1".into())), inputs, command: "./run.sh %IN", archive: archive(&theirs) };
    assert_same(make_like(&theirs, &wish), theirs);
}

#[test]
fn local_files_are_a_data_set() {
    let args = args(|a| a.jobs = Some(2));
    let inputs = Inputs::Files(["/d/a", "/d/b", "/d/c"].map(PathBuf::from).to_vec());
    let parts = Parts {
        args: &args,
        name: NAME,
        vo: "v",
        command: "cat %IN",
        inputs: &inputs,
        dataset: Some("user.alice.test.in"),
        dag: None,
        archive: None,
        line: "",
    };
    let set = make(&parts).unwrap();
    assert_eq!((&set["dsForIN"], &set["nFilesPerJob"], &set["pfnList"]), (&json!("user.alice.test.in"), &json!(2), &Value::Null));
    assert!(set["jobParameters"].to_string().contains("user.alice.test.in"));
}

#[test]
fn merge_commands_keep_their_placeholders() {
    assert_eq!(merge_command(r#"awk "$x" %IN > %OUT %41"#), "awk %22%24x%22 %IN > %OUT %2541");
    let args = args(|a| (a.merge, a.merge_command, a.build) = (true, Some("sh m.sh %OUT %IN".into()), Some("make".into())));
    let parts = Parts {
        args: &args,
        name: NAME,
        vo: "v",
        command: "x",
        inputs: &Inputs::Nothing,
        dataset: None,
        dag: None,
        archive: Some("sources.x.tar.gz"),
        line: "",
    };
    let params = make(&parts).unwrap();
    assert_eq!(params["mergeSpec"]["jobParameters"], "-r . -j \"sh m.sh %OUT %IN\" -l ${LIB} ${TRN_OUTPUT:OUTPUT} ${TRN_LOG:LOG}");
}

#[test]
fn what_needs_input_says_so() {
    for set in [|a: &mut SubmitArgs| a.files_per_job = Some(1), |a: &mut SubmitArgs| a.files = Some(1)] {
        let args = args(set);
        let parts = Parts {
            args: &args,
            name: NAME,
            vo: "v",
            command: "x",
            inputs: &Inputs::Nothing,
            dataset: None,
            dag: None,
            archive: None,
            line: "",
        };
        assert_eq!(make(&parts).unwrap_err().code, 2);
    }
}
