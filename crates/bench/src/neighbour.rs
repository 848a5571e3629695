//! What a VO waits for beside another one with very many jobs: from submission to the first dispatch of its job, and how long the end of the
//! large task takes.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::{Duration, Instant},
};

use anyhow::bail;
use serde_json::json;

use crate::{
    cpu,
    database::{self, Backend},
    http::{Connection, Head},
    jobs,
    server::{Server, VO},
};

/// The VO that has little.
const OTHER_VO: &str = "little";
/// Jobs of one large task: what a server makes of one at most.
const JOBS_A_TASK: usize = 200_000;
/// Longest wait for the jobs of the large tasks.
const LIMIT: Duration = Duration::from_secs(3_600);
/// Longest wait for the first job of a small one.
const WAIT: Duration = Duration::from_secs(120);
/// Pause between two counts of jobs: the server counts at most once a second.
const COUNT: Duration = Duration::from_millis(1_050);

/// What to measure.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    servers: database::Servers,
    /// Databases.
    #[arg(long, value_delimiter = ',', default_values_t = [Backend::Sqlite], value_enum)]
    backend: Vec<Backend>,
    /// Jobs of the large tasks.
    #[arg(long, default_value_t = 1_000_000)]
    jobs: usize,
    /// Small tasks of the other VO, one after the other, while the large ones get their jobs and again when they have them.
    #[arg(long, default_value_t = 20)]
    tasks: usize,
    /// Slots that come free in a second; each takes one job and keeps it.
    #[arg(long, default_value_t = 50)]
    slots: u64,
}

/// Runs it.
pub fn run(args: &Args) -> anyhow::Result<()> {
    println!("machine: {}; generator, server and database share it", cpu::machine());
    args.backend.iter().try_for_each(|backend| one(args, *backend))
}

fn one(args: &Args, backend: Backend) -> anyhow::Result<()> {
    let place = database::fresh(&args.servers, backend)?;
    let server = Server::start(Some(&place.url), false)?;
    let pilot = server.head("robot", Some("production"))?;
    let (large, little) = (server.head("alice", None)?, server.head_of("bob", OTHER_VO, None)?);
    let mut c = Connection::open(&server.address)?;
    // Whoever waits can only go to the queue of the slots.
    let queues =
        [("add", json!({"name": "BENCH", "config": {"cores": 1}})), ("set", json!({"name": "local", "values": {"state": "offline"}}))];
    for (method, body) in queues {
        let answer = c.json(&pilot.post(&format!("/api/panda/v1/queue/{method}"), &body.to_string()))?;
        if answer["success"] != json!(true) {
            bail!("queue/{method}: {answer}");
        }
    }
    println!(
        "\n### {backend}: {} jobs of VO {VO}, then tasks of one job of VO {OTHER_VO}; {} slots come free in a second",
        args.jobs, args.slots
    );
    let sizes = (0..args.jobs).step_by(JOBS_A_TASK).map(|from| JOBS_A_TASK.min(args.jobs - from));
    let tasks = sizes
        .enumerate()
        .map(|(n, size)| submit(&mut c, &large, VO, &format!("user.alice.large.{n}"), size))
        .collect::<Result<Vec<_>, _>>()?;
    let pilots = Pilots::default();
    std::thread::scope(|scope| {
        let slots = scope.spawn(|| pilots.run(&server.address, &pilot, args.slots));
        let done = measure(args, &mut c, &large, &little, &tasks, &pilots);
        pilots.stop.store(true, Ordering::Relaxed);
        slots.join().map_err(|_| anyhow::anyhow!("the slots panicked"))??;
        done
    })?;
    println!("peak memory of the server: {} MiB", cpu::peak_mib(server.pid()));
    Ok(())
}

fn measure(args: &Args, c: &mut Connection, large: &Head, little: &Head, tasks: &[i64], pilots: &Pilots) -> anyhow::Result<()> {
    let begin = Instant::now();
    while waiting(c, large)? == 0 {
        if begin.elapsed() > LIMIT {
            bail!("no job of the large tasks after {LIMIT:?}");
        }
        std::thread::sleep(COUNT);
    }
    firsts(args, c, little, pilots, "made", "while the large tasks get their jobs")?;
    // What is with pilots is not waiting any more.
    let all = |n: u64| n + pilots.taken.load(Ordering::Relaxed) >= args.jobs as u64;
    while !all(waiting(c, large)?) {
        if begin.elapsed() > LIMIT {
            bail!("{} of {} jobs after {LIMIT:?}", waiting(c, large)?, args.jobs);
        }
        std::thread::sleep(COUNT);
    }
    println!("all jobs of the large tasks are made after {:.1} s", begin.elapsed().as_secs_f64());
    firsts(args, c, little, pilots, "wait", "beside the waiting jobs of the large tasks")?;
    let begin = Instant::now();
    for task in tasks {
        let answer = c.json(&large.post("/api/v1/task/kill", &json!({"task_id": task}).to_string()))?;
        if answer["success"] != json!(true) {
            bail!("task/kill: {answer}");
        }
    }
    while waiting(c, large)? > 0 {
        if begin.elapsed() > LIMIT {
            bail!("{} jobs are left {LIMIT:?} after the kill", waiting(c, large)?);
        }
        std::thread::sleep(COUNT);
    }
    println!("no job of the large tasks waits {:.1} s after their kill", begin.elapsed().as_secs_f64());
    Ok(())
}

fn submit(c: &mut Connection, head: &Head, vo: &str, name: &str, n: usize) -> anyhow::Result<i64> {
    let body = jobs::task_body(name, n).replace(&format!("\"vo\":\"{VO}\""), &format!("\"vo\":\"{vo}\""));
    let answer = c.json(&head.post("/api/v1/task/submit", &body))?;
    answer["data"].as_i64().filter(|_| answer["success"] == json!(true)).ok_or_else(|| anyhow::anyhow!("task/submit: {answer}"))
}

/// Times from submission of small tasks to the dispatch of their job.
fn firsts(args: &Args, c: &mut Connection, little: &Head, pilots: &Pilots, round: &str, what: &str) -> anyhow::Result<()> {
    let mut times = Vec::new();
    for n in 0..args.tasks {
        let begin = Instant::now();
        let task = submit(c, little, OTHER_VO, &format!("user.bob.{round}.{n}"), 1)?;
        while !pilots.has(task) {
            if begin.elapsed() > WAIT {
                bail!("task {task} has no job with a pilot {WAIT:?} after submission");
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        times.push(begin.elapsed());
    }
    times.sort_unstable();
    let ms = |at: usize| times.get(at).map_or(0.0, |d| d.as_secs_f64() * 1e3);
    println!("first start of {} tasks {what}: p50 {:.0} ms, longest {:.0} ms", times.len(), ms(times.len() / 2), ms(times.len() - 1));
    Ok(())
}

/// Jobs of the caller's VO that wait for a slot.
fn waiting(c: &mut Connection, head: &Head) -> anyhow::Result<u64> {
    let answer = c.json(&head.get("/api/v1/statistics/active_job_stats_by_site"))?;
    let Some(sites) = answer["data"].as_object() else { bail!("active_job_stats_by_site: {answer}") };
    Ok(sites.values().filter_map(|s| s["activated"].as_u64()).sum())
}

/// Slots that come free, one after the other.
#[derive(Debug, Default)]
struct Pilots {
    stop: AtomicBool,
    taken: AtomicU64,
    tasks: std::sync::Mutex<std::collections::BTreeSet<i64>>,
}

impl Pilots {
    /// Takes a job whenever a slot is due, and never ends it.
    fn run(&self, address: &str, head: &Head, slots: u64) -> anyhow::Result<()> {
        let body = json!({"site_name": "BENCH", "prod_source_label": "user", "memory": 4000, "disk_space": 10000, "node": "bench", "computing_element": "BENCH"});
        let request = head.post("/api/v1/pilot/acquire_jobs", &body.to_string());
        let pause = Duration::from_micros(1_000_000 / slots.max(1));
        let mut c = Connection::open(address)?;
        let mut due = Instant::now();
        while !self.stop.load(Ordering::Relaxed) {
            due += pause;
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            let answer = c.json(&request)?;
            let Some(task) = answer["data"]["jobs"][0]["taskID"].as_i64() else { continue };
            self.taken.fetch_add(1, Ordering::Relaxed);
            if let Ok(mut tasks) = self.tasks.lock() {
                tasks.insert(task);
            }
        }
        Ok(())
    }
    /// Whether a slot took a job of this task.
    fn has(&self, task: i64) -> bool {
        self.tasks.lock().is_ok_and(|tasks| tasks.contains(&task))
    }
}
