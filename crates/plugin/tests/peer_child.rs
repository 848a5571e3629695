//! The host against real children (`python3`): one that answers, and one that is broken in each way.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use panda_plugin::{DataManagement, Error, File, Kind, Remote, host::Options};

fn options(script: &Path, arg: &Path) -> Options {
    let command = ["python3", &script.to_string_lossy(), &arg.to_string_lossy()].map(str::to_owned).to_vec();
    Options {
        deadline: Duration::from_secs(2),
        max_line: 64 << 10,
        backoff: Duration::from_millis(300),
        ..Options::new(Kind::Data, "keeper", command)
    }
}

fn broken(dir: &tempfile::TempDir, mode: &str) -> (Options, PathBuf) {
    let mode_file = dir.path().join("mode");
    std::fs::write(&mode_file, mode).unwrap();
    (options(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/broken.py"), &mode_file), mode_file)
}

/// Breaks the child in one way, wants the reason, mends it and wants an answer.
async fn breaks_and_mends(mode: &str, want: &str) {
    let dir = tempfile::tempdir().unwrap();
    let (options, mode_file) = broken(&dir, mode);
    let plugin = Remote::new(options);
    let begun = Instant::now();
    let error = plugin.resolve("vo", "a").await.unwrap_err();
    assert!(begun.elapsed() < Duration::from_secs(6), "the deadline counts");
    let Error::Later { reason } = &error else { panic!("{mode}: {error:?}") };
    assert!(reason.contains(want) && reason.contains("`keeper`"), "{mode}: {reason}");
    std::fs::write(&mode_file, "good").unwrap();
    // At once it pauses, with the reason; afterwards it is started again.
    let paused = plugin.resolve("vo", "a").await.unwrap_err().to_string();
    assert!(paused.contains("pauses") && paused.contains(want), "{mode}: {paused}");
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!(plugin.resolve("vo", "a").await.unwrap().name, "a", "{mode}");
}

#[tokio::test]
async fn peer_a_crash_is_told_and_mended() {
    breaks_and_mends("crash", "crashed: its process ended (exit status: 3)").await;
}

#[tokio::test]
async fn peer_a_slow_child_is_told_and_mended() {
    breaks_and_mends("slow", "no answer to data.resolve in time").await;
}

#[tokio::test]
async fn peer_nonsense_is_told_and_mended() {
    breaks_and_mends("nonsense", "nonsense: `Traceback: not JSON` is no answer").await;
}

#[tokio::test]
async fn peer_a_long_line_is_told_and_mended() {
    breaks_and_mends("long", "a line of more than 65536 bytes").await;
}

#[tokio::test]
async fn peer_a_wrong_id_is_told_and_mended() {
    breaks_and_mends("wrong_id", "an answer with id 4711, which no call has").await;
}

#[tokio::test]
async fn peer_wrong_types_are_told_and_mended() {
    breaks_and_mends("wrong_types", "nonsense in answer to data.resolve").await;
}

#[tokio::test]
async fn peer_another_protocol_is_told_and_mended() {
    breaks_and_mends("version", "speaks protocol 9, not 1").await;
}

#[tokio::test]
async fn peer_a_child_that_hangs_ends_with_its_children() {
    let dir = tempfile::tempdir().unwrap();
    let (options, mode_file) = broken(&dir, "hang");
    let plugin = Remote::new(options);
    let error = plugin.resolve("vo", "a").await.unwrap_err().to_string();
    assert!(error.contains("no answer to data.resolve in time"), "{error}");
    let pid = std::fs::read_to_string(mode_file.with_extension("child")).unwrap();
    let gone = || {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // An orphan may stay a zombie where nobody reaps it.
        stat.is_empty() || stat.rsplit(") ").next().is_some_and(|s| s.starts_with('Z'))
    };
    for _ in 0..100 {
        if gone() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("process {pid} of its group still runs");
}

#[tokio::test]
async fn peer_the_circuit_breaker_opens_after_failures_in_a_row() {
    let dir = tempfile::tempdir().unwrap();
    let (options, mode_file) = broken(&dir, "crash");
    let plugin = Remote::new(Options { backoff: Duration::from_millis(1), breaker_after: 2, ..options });
    for _ in 0..2 {
        let error = plugin.resolve("vo", "a").await.unwrap_err().to_string();
        assert!(error.contains("crashed"), "{error}");
        let paused = plugin.resolve("vo", "a").await.unwrap_err().to_string();
        assert!(paused.contains("after a failure"), "{paused}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    std::fs::write(&mode_file, "good").unwrap();
    let begun = Instant::now();
    let error = plugin.resolve("vo", "a").await.unwrap_err().to_string();
    assert!(error.contains("is switched off for 60 more seconds"), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(1), "it fails at once");
}

#[tokio::test]
async fn peer_answers_are_matched_by_id() {
    let dir = tempfile::tempdir().unwrap();
    let (options, _) = broken(&dir, "late_answers");
    let plugin = Remote::new(options);
    let (a, b) = tokio::join!(plugin.resolve("vo", "a"), plugin.resolve("vo", "b"));
    assert_eq!((a.unwrap().name.as_str(), b.unwrap().name.as_str()), ("a", "b"));
}

/// Each answer is in time, all of them together would not be: calls wait for their turn, and the deadline does not count before.
#[tokio::test]
async fn peer_a_child_that_answers_one_by_one_is_not_hurried() {
    let dir = tempfile::tempdir().unwrap();
    let (options, _) = broken(&dir, "one by one");
    let plugin = Remote::new(Options { max_in_flight: 2, ..options });
    let names: Vec<String> = (0..12).map(|n| n.to_string()).collect();
    let answers = futures::future::join_all(names.iter().map(|name| plugin.resolve("vo", name))).await;
    for (name, answer) in names.iter().zip(answers) {
        assert_eq!(answer.unwrap().name, *name);
    }
}

#[tokio::test]
async fn peer_a_program_that_is_not_there_is_told() {
    let plugin = Remote::new(Options::new(Kind::Data, "keeper", vec!["/nowhere/keeper".to_owned()]));
    let error = plugin.resolve("vo", "a").await.unwrap_err().to_string();
    assert!(error.contains("`/nowhere/keeper` cannot be started"), "{error}");
}

#[tokio::test]
async fn peer_the_example_keeps_data_sets() {
    let dir = tempfile::tempdir().unwrap();
    let catalogue = dir.path().join("c.json");
    std::fs::write(
        &catalogue,
        r#"{"datasets": {"s:in": {"files": [{"lfn": "b", "size_bytes": 2}, {"lfn": "a", "size_bytes": 1, "n_events": 5,
        "replicas": [{"rse": "DISK", "pfn": "/data/a"}]}]}}}"#,
    )
    .unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/plugin/data_management.py");
    let plugin = Remote::new(options(&script, &catalogue));
    assert!(!plugin.resolve("vo", "s:in").await.unwrap().open);
    assert!(matches!(plugin.resolve("vo", "s:none").await, Err(Error::Unknown(text)) if text.contains("there is no data set s:none")));
    let first = plugin.files("vo", "s:in", "", 1).await.unwrap();
    assert_eq!((first.files[0].lfn.as_str(), first.files[0].n_events, first.more), ("a", Some(5), true));
    let second = plugin.files("vo", "s:in", "a", 1).await.unwrap();
    assert_eq!((second.files[0].lfn.as_str(), second.files[0].size_bytes, second.more), ("b", 2, false));
    assert!(!plugin.stage("vo", "s:in", "DISK").await.unwrap(), "b is not there");
    let out = File { lfn: "o".into(), scope: "s".into(), size_bytes: 3, checksum: None, guid: None, n_events: None, replicas: Vec::new() };
    for _ in 0..2 {
        plugin.register("vo", "s:out", "job 1 attempt 1", std::slice::from_ref(&out)).await.unwrap();
    }
    assert_eq!(plugin.files("vo", "s:out", "", 10).await.unwrap().files, [out]);
    for _ in 0..2 {
        plugin.delete("vo", "s:out").await.unwrap();
    }
    assert!(matches!(plugin.resolve("vo", "s:out").await, Err(Error::Unknown(_))));
    std::fs::write(&catalogue, "{").unwrap();
    assert!(matches!(plugin.resolve("vo", "s:in").await, Err(Error::Later { .. })));
}
