//! Claims and heartbeats a second of one backend, without HTTP: `dispatch URL [CALLERS [JOBS [QUEUES [SECONDS]]]]`. The database must be empty
//! and is filled with activated jobs, each with a document of 4 kB.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use panda_core::{
    id::{JobId, LaneId, QueueId},
    machine::Actor,
};
use panda_store::{
    Batch, Store,
    driver::{Beat, BeatAnswer, Claim},
    query::job::{JobRow, transition},
    testing::job_row,
};

fn job(id: i64, queues: i64) -> JobRow {
    let queue = 1 + id % queues;
    JobRow {
        task_id: Some(panda_core::id::TaskId(10_000_000 + queue)),
        queue_id: Some(QueueId(queue)),
        lane_id: Some(LaneId(queue)),
        name: Some(format!("job {id}")),
        processing_type: Some("panda-client-1.5.83-jedi-run".into()),
        ram_mb: 2_000,
        disk_mb: 1_000,
        walltime_s: 3_600,
        ..job_row(JobId(id), 1, 1)
    }
}

async fn fill(store: &Store, jobs: i64, queues: i64) {
    let doc = format!("\"jobPars\":\"{}\"", "x".repeat(4_000));
    let next = Arc::new(AtomicU64::new(0));
    let mut callers = vec![];
    for _ in 0..8 {
        let (store, doc, next) = (store.clone(), doc.clone(), Arc::clone(&next));
        callers.push(tokio::spawn(async move {
            loop {
                let from = next.fetch_add(100, Ordering::Relaxed) as i64;
                if from >= jobs {
                    return;
                }
                let mut batch = Batch::new();
                for id in from..(from + 100).min(jobs) {
                    transition::add(&mut batch, &job(1_000_000_000 + id, queues), 0, &doc, Actor::Engine).unwrap();
                }
                store.apply(batch).await.unwrap();
            }
        }));
    }
    for caller in callers {
        caller.await.unwrap();
    }
}

/// Processor time in microseconds of this process, and of the database servers of this machine.
fn cpu() -> (u64, u64) {
    let ticks = |path: String| {
        let stat = std::fs::read_to_string(path).unwrap_or_default();
        let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or("").split(' ').collect();
        // utime and stime, in hundredths of a second.
        (11..13).filter_map(|i| fields.get(i).and_then(|f| f.parse::<u64>().ok())).sum::<u64>() * 10_000
    };
    let mut servers = 0;
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let path = entry.path().display().to_string();
        if ["postgres", "mariadbd", "mysqld"].contains(&std::fs::read_to_string(format!("{path}/comm")).unwrap_or_default().trim()) {
            servers += ticks(format!("{path}/stat"));
        }
    }
    (ticks("/proc/self/stat".to_owned()), servers)
}

/// Runs `unit` from `callers` for `seconds` or until it says that there is no more.
async fn run<F: Future<Output = bool> + Send>(
    name: &str,
    callers: u64,
    seconds: u64,
    unit: impl Fn(u64, u64) -> F + Clone + Send + Sync + 'static,
) {
    let (start, mut tasks, before) = (Instant::now(), vec![], cpu());
    for caller in 0..callers {
        let unit = unit.clone();
        tasks.push(tokio::spawn(async move {
            let mut times = vec![];
            let mut round = 0;
            while start.elapsed() < Duration::from_secs(seconds) {
                let at = Instant::now();
                if !unit(caller, round).await {
                    break;
                }
                times.push(at.elapsed());
                round += 1;
            }
            times
        }));
    }
    let mut times = vec![];
    for task in tasks {
        times.extend(task.await.unwrap());
    }
    let took = start.elapsed().as_secs_f64();
    times.sort_unstable();
    let after = cpu();
    let each = |n: u64| n as f64 / times.len().max(1) as f64;
    let (own, server) = (each(after.0 - before.0), each(after.1.saturating_sub(before.1)));
    let at = |q: f64| {
        times.get(((times.len() as f64 * q) as usize).min(times.len().saturating_sub(1))).copied().unwrap_or_default().as_secs_f64() * 1e3
    };
    println!(
        "{name}: {:.0}/s ({} in {took:.2} s), p50 {:.2} ms, p99 {:.2} ms, longest {:.1} ms, CPU {own:.0} us here, {server:.0} us in the database server",
        times.len() as f64 / took,
        times.len(),
        at(0.5),
        at(0.99),
        at(1.0)
    );
}

#[tokio::main]
async fn main() {
    let args: Vec<String> = std::env::args().collect();
    let number = |i: usize, default: u64| args.get(i).map_or(default, |a| a.parse().unwrap());
    let (callers, jobs, queues, seconds) = (number(2, 32), number(3, 20_000), number(4, 1), number(5, 5));
    let store = Store::open(args.get(1).expect("a database URL"), true).await.unwrap();
    let start = Instant::now();
    fill(&store, jobs as i64, queues as i64).await;
    println!("{:?}: {callers} callers, {jobs} jobs of 4 kB, {queues} queues", store.dialect());
    println!("filled: {:.0} jobs/s", jobs as f64 / start.elapsed().as_secs_f64());
    let s = store.clone();
    run("claims", callers, seconds, move |caller, round| {
        let s = s.clone();
        let lane = LaneId(1 + ((caller + round * 7) % queues) as i64);
        let claim = Claim {
            lanes: vec![lane],
            n: 1,
            max_disk_mb: Some(20_000),
            max_ram_mb: Some(4_000),
            host: Some("node01".into()),
            now_us: 1_700_000_000_000_000,
            ..Claim::default()
        };
        async move { s.claim(claim).await.unwrap().len() == 1 }
    })
    .await;
    let claimed: Vec<i64> = (0..jobs as i64).map(|n| 1_000_000_000 + n).collect();
    let s = store.clone();
    run("heartbeats", callers, seconds, move |caller, round| {
        let s = s.clone();
        let job = claimed[((caller * 997 + round * 31) % (claimed.len() as u64).min(20_000)) as usize];
        let beat = Beat {
            job_id: JobId(job),
            attempt: Some(0),
            state: "sent",
            doc: Some("{\"rss\":123456,\"cpu\":12}".into()),
            now_us: 1_700_000_000_000_000,
        };
        async move { matches!(s.beat(beat).await.unwrap(), BeatAnswer::Recorded { .. } | BeatAnswer::Differs) }
    })
    .await;
    store.close().await;
}
