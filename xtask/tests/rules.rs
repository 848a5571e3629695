//! Invariants of ARCHITECTURE.md that are about the source itself: who may name whom, and where what may stand.
//!
//! Read as text on purpose: the rules must hold for code that no test builds. A line that breaks one is named in the failure.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs;
use std::path::{Path, PathBuf};

/// Rooms of ours that a room may name (the tests' own dependencies aside).
const DOORS: [(&str, &[&str]); 13] = [
    ("core", &[]),
    ("wire", &[]),
    ("access", &[]),
    ("store", &["core"]),
    ("ops", &["access", "core", "plugin", "store", "wire"]),
    ("notify", &[]),
    ("plugin", &[]),
    ("engine", &["core", "notify", "ops", "plugin", "store", "wire"]),
    ("server", &["access", "core", "ops", "store", "wire"]),
    ("monitor", &["access", "core", "ops", "store", "wire"]),
    ("sim", &["access", "core", "engine", "ops", "store"]),
    ("client", &["wire"]),
    ("pilot", &["client", "wire"]),
];
/// `core` decides and nothing else: each crate that it may use, with the reason in its Cargo.toml.
const CORE_MAY_USE: [&str; 1] = ["thiserror"];
const DRIVERS: [&str; 4] = ["rusqlite", "tokio_postgres", "deadpool_postgres", "mysql_async"];
/// Experiments: nothing is decided by their names.
const EXPERIMENTS: [&str; 8] = ["atlas", "lsst", "rubin", "epic", "eic", "belle", "sphenix", "cms"];

fn crates() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("crates")
}

/// Names in the `[dependencies]` table of a room.
fn dependencies(room: &str) -> Vec<String> {
    let manifest = fs::read_to_string(crates().join(room).join("Cargo.toml")).unwrap();
    let table = manifest.lines().skip_while(|line| line.trim() != "[dependencies]").skip(1);
    let entries = table.take_while(|line| !line.starts_with('[')).filter(|line| !line.starts_with('#'));
    entries.filter_map(|line| Some(line.split_once(['.', '=', ' '])?.0.trim().to_owned())).filter(|name| !name.is_empty()).collect()
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for path in entries.map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            found.push(path);
        }
    }
}

/// Every line of product code: (place, line). Comments and test modules (which stand last in a file) are left out.
fn lines(is_ours: impl Fn(&str) -> bool) -> Vec<(String, String)> {
    let mut files = Vec::new();
    for room in fs::read_dir(crates()).unwrap().map(|entry| entry.unwrap().path()) {
        sources(&room.join("src"), &mut files);
    }
    let mut out = Vec::new();
    for file in files {
        let place = file.strip_prefix(crates()).unwrap().display().to_string();
        if !is_ours(&place) || place.ends_with("tests.rs") || place.contains("/tests/") {
            continue;
        }
        let text = fs::read_to_string(&file).unwrap();
        let product = text.lines().take_while(|line| line.trim() != "#[cfg(test)]");
        let product = product.enumerate().filter(|(_, line)| !line.trim_start().starts_with("//"));
        out.extend(product.map(|(number, line)| (format!("{place}:{}", number + 1), line.to_owned())));
    }
    assert!(!out.is_empty(), "no source found; did the folders move?");
    out
}

fn none_of(what: &str, found: Vec<(String, String)>) {
    let shown: Vec<String> = found.iter().map(|(place, line)| format!("  {place}: {}", line.trim())).collect();
    assert!(found.is_empty(), "{what}:\n{}", shown.join("\n"));
}

#[test]
fn rooms_name_only_the_rooms_they_may_know() {
    for (room, may) in DOORS {
        for name in dependencies(room) {
            let Some(other) = name.strip_prefix("panda-") else { continue };
            assert!(may.contains(&other), "`{room}` must not depend on `{other}` (ARCHITECTURE.md, the rooms)");
        }
    }
}

#[test]
fn core_uses_next_to_nothing() {
    for name in dependencies("core") {
        assert!(CORE_MAY_USE.contains(&name.as_str()), "`core` must not depend on `{name}`: it does no I/O and knows no format");
    }
}

#[test]
fn drivers_are_named_in_the_stores_driver_folder_only() {
    let outside = lines(|place| !place.starts_with("store/src/driver"));
    let names_one = |line: &str| DRIVERS.iter().any(|driver| line.contains(&format!("{driver}::")));
    none_of("a database driver is named outside store/src/driver", outside.into_iter().filter(|(_, line)| names_one(line)).collect());
}

#[test]
fn sql_stands_in_the_store_only() {
    let verbs = ["SELECT ", "INSERT INTO ", "UPDATE ", "DELETE FROM ", "CREATE TABLE ", "ALTER TABLE "];
    let is_sql = |line: &str| verbs.iter().any(|verb| line.contains(&format!("\"{verb}")));
    let outside = lines(|place| !place.starts_with("store/src"));
    none_of("SQL text outside the store", outside.into_iter().filter(|(_, line)| is_sql(line)).collect());
}

/// Moves of tasks in the engine go through `ops.move_task`, which also queues mail and webhooks.
#[test]
fn tasks_are_moved_by_operations_that_tell_of_it() {
    let others = lines(|place| place.starts_with("engine/src"));
    let moves = |line: &str| line.contains("transition::move_to") && !line.contains("job::transition::move_to");
    let imports = |line: &str| line.contains("task::transition::{") && line.contains("move_to");
    none_of(
        "a task is moved beside `ops.move_task`, so that nobody is told",
        others.into_iter().filter(|(_, line)| moves(line) || imports(line)).collect(),
    );
}

#[test]
fn nothing_is_decided_by_an_experiments_name() {
    let decides = |line: &str| {
        let code = line.to_ascii_lowercase();
        let compares = ["==", "!=", "=>", "eq_ignore_ascii_case", "starts_with", "contains("].iter().any(|op| code.contains(op));
        compares && EXPERIMENTS.iter().any(|name| code.contains(&format!("\"{name}\"")) || code.contains(&format!("\"{name}.")))
    };
    none_of("an experiment's name decides something", lines(|_| true).into_iter().filter(|(_, line)| decides(line)).collect());
}

/// Every row of `docs/compatibility.md` about the engine names the test that holds it, and that test is there.
#[test]
fn the_compatibility_table_names_tests_that_exist() {
    let docs = crates().parent().unwrap().join("docs/compatibility.md");
    let text = fs::read_to_string(docs).unwrap();
    let engine = text.split("## The engine, section by section").nth(1).unwrap();
    let mut files = Vec::new();
    sources(&crates(), &mut files);
    let code: String = files.iter().map(|file| fs::read_to_string(file).unwrap()).collect();
    let mut wrong = Vec::new();
    let rows = engine.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| §") && !line.starts_with("| ---"));
    for row in rows {
        let cells: Vec<&str> = row.trim().trim_matches('|').split(" | ").map(str::trim).collect();
        let [_, what, here, tests] = cells[..] else {
            wrong.push(format!("not four cells: {row}"));
            continue;
        };
        let excused = ["second half", "not:", "with Harvester"].iter().any(|word| here.contains(word));
        if tests == "-" && !excused {
            wrong.push(format!("no test, and no reason: {what}"));
        }
        for test in tests.split([',', ' ']).map(|t| t.trim_matches('`')).filter(|t| !t.is_empty() && *t != "-") {
            if !code.contains(&format!("fn {test}(")) && !code.contains(&format!("fn {test}<")) {
                wrong.push(format!("there is no test `{test}` ({what})"));
            }
        }
    }
    assert!(wrong.is_empty(), "docs/compatibility.md:\n{}", wrong.join("\n"));
}
