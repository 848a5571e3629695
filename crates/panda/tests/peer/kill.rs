//! kill -9 of `up` at any moment: a task of a thousand jobs still ends, every output once, and nothing stray in the storage.
//!
//! The moments are random, from a fixed seed (`PANDA_TEST_SEED` sets another), and spread over the task's life by what is done so far, so that a slow machine tests the same.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use panda_core::file::{FileRole, FileState};
use panda_core::id::{JobId, TaskId};
use panda_core::job::state::JobState;
use panda_store::Store;
use panda_store::query::{dataset, job, task};
use panda_store::testing::Backend;

use crate::harness::{LOOK, Plan, System, VO, block_on, files_below};
use crate::http;

/// Jobs and kills; a quick run takes a sample of both.
fn size() -> (usize, usize) {
    if std::env::var_os("PANDA_TEST_QUICK").is_some() { (100, 4) } else { (1_000, 20) }
}

/// How long it may stand still before the test gives up.
const STALL_LIMIT: Duration = Duration::from_secs(90);

/// A generator of the xorshift family; the seed is the test's.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

#[test]
fn kill_9_at_random_moments_loses_and_doubles_nothing() {
    let (jobs, kills) = size();
    // A payload ends within milliseconds: more slots than cores keep both busy while others are between two steps.
    let mut system = System::start(Backend::Sqlite, Plan { config: "[worker]\nslots = 6\n".to_owned(), ..Plan::default() });
    let args = ["submit", "--json", "--sandbox", "none", "--jobs", &jobs.to_string(), "--out", "out.txt", "--name", "kill"];
    // One in four is still at work when the others are long done, so that some outlive the server.
    let command = "[ $((%RNDM:0 % 4)) = 0 ] && sleep 0.4; echo %RNDM:0 > out.txt";
    let submitted = system.panda(&[&args[..], &["--", command]].concat()).exits(0);
    let answer: serde_json::Value = serde_json::from_str(&submitted.out).unwrap_or_else(|error| panic!("{error}: {submitted:?}"));
    let task = answer["task_id"].as_i64().unwrap_or_else(|| panic!("{answer}"));

    let seed = std::env::var("PANDA_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let mut random = Random(seed.unwrap_or(0x5eed_0f9a_11d4_77c3));
    for kill in 0..kills {
        // The first kills come while the task is read and its jobs are made, the others as its jobs end.
        wait_for(&system, task, jobs * kill.saturating_sub(1) / kills);
        std::thread::sleep(Duration::from_millis(random.below(400)));
        system.kill();
        // Payloads that outlive the server get a moment to do harm.
        std::thread::sleep(Duration::from_millis(random.below(100)));
        system.up();
        if kill % 3 == 2 {
            // Also while it starts.
            std::thread::sleep(Duration::from_millis(random.below(600)));
        } else {
            system.wait_until_alive();
        }
    }
    system.wait_until_alive();
    wait_for(&system, task, jobs);
    system.wait(task, &["done"], STALL_LIMIT);
    system.end();
    block_on(check(&system, TaskId(task), jobs));
}

/// Waits until so many jobs are finished.
fn wait_for(system: &System, task: i64, wanted: usize) {
    let (mut best, mut moved) = (0, Instant::now());
    while best < wanted {
        let found = finished(system, task).unwrap_or(best);
        if found > best {
            (best, moved) = (found, Instant::now());
        }
        let stalls = || {
            let why = system.get(&format!("/api/panda/v1/task/why?task_id={task}")).text();
            format!("{best} of {wanted} jobs are done and nothing moves: {why}\n{}", system.log())
        };
        assert!(moved.elapsed() < STALL_LIMIT, "{}", stalls());
        std::thread::sleep(LOOK / 2);
    }
}

/// Finished files of the task's output, if the server is there and says so.
fn finished(system: &System, task: i64) -> Option<usize> {
    let token = format!("Bearer {}", system.token());
    let path = format!("/api/panda/v1/task/why?task_id={task}");
    let answer = http::try_call(system.address(), "GET", &path, &[("Authorization", &token), ("Origin", VO)], b"")?;
    if answer.status != 200 {
        return None;
    }
    let json: serde_json::Value = serde_json::from_slice(&answer.body).ok()?;
    let done = json["data"]["jobs"]["finished"].as_i64().unwrap_or(0);
    usize::try_from(done).ok()
}

/// Rows against rows against files.
async fn check(system: &System, id: TaskId, jobs: usize) {
    let store = Store::open(system.database(), false).await.unwrap();
    let mut registered = BTreeSet::new();
    let mut values = BTreeSet::new();
    for set in task::dataset::of_task(&store, id).await.unwrap() {
        let (mut after, mut files) = (0, Vec::new());
        loop {
            let page = job::file::of_dataset(&store, set.id, FileState::ALL, after, 500).await.unwrap();
            let Some(last) = page.last() else { break };
            after = last.id;
            files.extend(page);
        }
        match set.role {
            FileRole::Output | FileRole::Log => {}
            _ => {
                inputs(&store, set.id, set.is_master, jobs).await;
                continue;
            }
        }
        let there: Vec<_> = files.iter().filter(|file| file.state == FileState::Finished).collect();
        let of_jobs: BTreeSet<JobId> = there.iter().map(|file| file.job_id).collect();
        assert_eq!(of_jobs.len(), there.len(), "a job has two files in {}", set.name);
        assert_eq!(set.n_finished, i64::try_from(there.len()).unwrap(), "{} counts wrongly", set.name);
        if set.role == FileRole::Output {
            assert_eq!(there.len(), jobs, "outputs of {}", set.name);
        }
        let (mut listed, bytes) = catalogued(&store, &set.name).await;
        let mut lfns: Vec<&str> = there.iter().map(|file| file.lfn.as_str()).collect();
        lfns.sort_unstable();
        listed.sort();
        assert!(listed == lfns, "the catalogue of {} differs from what was registered", set.name);
        assert_eq!(bytes, there.iter().filter_map(|file| file.fsize).sum::<i64>(), "{}", set.name);
        for file in there {
            let path = PathBuf::from(file.surl.as_deref().unwrap().strip_prefix("file://localhost").unwrap());
            let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{} is registered and {error}", path.display()));
            assert_eq!(Some(i64::try_from(bytes.len()).unwrap()), file.fsize, "{}", path.display());
            if set.role == FileRole::Output {
                assert_eq!(job::list::get(&store, file.job_id).await.unwrap().unwrap().state, JobState::Finished);
                assert!(values.insert(String::from_utf8(bytes).unwrap()), "{} doubles another output", path.display());
            }
            assert!(registered.insert(path), "{} is registered twice", file.lfn);
        }
    }
    let expected: BTreeSet<String> = (1..=jobs).map(|n| format!("{n}\n")).collect();
    assert!(values == expected, "missing: {:?}", expected.difference(&values).take(10).collect::<Vec<_>>());
    let stored: BTreeSet<PathBuf> = files_below(&system.data().join("storage")).into_iter().collect();
    let stray: Vec<_> = stored.difference(&registered).collect();
    assert!(stray.is_empty(), "{} stray files, as {:?}", stray.len(), &stray[..stray.len().min(10)]);
    store.close().await;
}

/// Names of the files that the catalogue has in a data set, and its count of bytes; its count of files must be theirs.
async fn catalogued(store: &Store, name: &str) -> (Vec<String>, i64) {
    let found = dataset::by_name(store, VO, name.trim_end_matches('/')).await.unwrap();
    let row = found.unwrap_or_else(|| panic!("{name} is not in the catalogue"));
    let mut names: Vec<String> = Vec::new();
    loop {
        let page = dataset::files(store, row.id, names.last().map_or("", String::as_str), 500).await.unwrap();
        if page.is_empty() {
            break;
        }
        names.extend(page.into_iter().map(|file| file.lfn));
    }
    assert_eq!(row.n_files, i64::try_from(names.len()).unwrap(), "{name} counts wrongly");
    (names, row.n_bytes)
}

/// Every input file was used to its end, once.
async fn inputs(store: &Store, dataset: i64, is_master: bool, jobs: usize) {
    let (mut after, mut n) = (0, 0);
    loop {
        let page = task::file::page(store, dataset, after, 500).await.unwrap();
        let Some(last) = page.last() else { break };
        after = last.seq;
        for file in &page {
            assert_eq!((file.state, file.failed), (FileState::Finished, 0), "input {} after attempt {}", file.lfn, file.attempt);
        }
        n += page.len();
    }
    assert!(!is_master || n == jobs, "{n} inputs");
}
