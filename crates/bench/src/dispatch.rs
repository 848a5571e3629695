//! Rates of the hot operations.

use std::{
    sync::{
        Arc, Barrier, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::bail;
use serde_json::json;

use crate::{
    cpu,
    database::{self, Backend},
    http::{Connection, Head, find},
    jobs,
    server::Server,
    stats::{Figure, HEAD},
};

/// Jobs of one `job/submit` call.
const JOBS_A_CALL: usize = 100;

/// What to measure.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Databases.
    #[arg(long, value_delimiter = ',', default_values_t = [Backend::Sqlite, Backend::Postgres, Backend::Mariadb], value_enum)]
    backend: Vec<Backend>,
    /// Callers at a time.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 8, 32])]
    callers: Vec<usize>,
    /// Queued jobs before each measurement of `acquire_jobs`.
    #[arg(long, default_value_t = 20_000)]
    queued: usize,
    /// Queues over which they are spread.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 50])]
    queues: Vec<usize>,
    /// Shares over which they are spread, by processing type; 0 = none is made.
    #[arg(long, default_value_t = 0)]
    shares: usize,
    /// Most claims of each measurement of `acquire_jobs`; three quarters of what is queued when that is less.
    #[arg(long, default_value_t = 15_000)]
    claims: usize,
    /// Seconds of each measurement that is not bounded by its jobs.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    #[command(flatten)]
    servers: database::Servers,
}

/// Runs it and prints a table a backend.
pub fn run(args: &Args) -> anyhow::Result<()> {
    println!("machine: {}; generator, server and database share it", cpu::machine());
    for backend in &args.backend {
        for queues in &args.queues {
            one(args, *backend, *queues)?;
        }
    }
    Ok(())
}

struct Bench {
    server: Server,
    pilot: Head,
    user: Head,
    database: Option<&'static str>,
    queues: Vec<String>,
    shares: usize,
}

fn one(args: &Args, backend: Backend, n_queues: usize) -> anyhow::Result<()> {
    let place = database::fresh(&args.servers, backend)?;
    let server = Server::start(Some(&place.url), false)?;
    let bench = Bench {
        pilot: server.head("robot", Some("production"))?,
        user: server.head("alice", None)?,
        database: backend.process(),
        queues: (0..n_queues).map(|i| format!("BENCH_{i}")).collect(),
        shares: args.shares,
        server,
    };
    let mut c = Connection::open(&bench.server.address)?;
    for queue in &bench.queues {
        let body = json!({"name": queue, "config": {"cores": 1}}).to_string();
        let answer = c.json(&bench.pilot.post("/api/panda/v1/queue/add", &body))?;
        if answer["success"] != json!(true) {
            bail!("queue/add: {answer}");
        }
    }
    // Targets differ, from one part to twenty.
    let parts: usize = (0..args.shares).map(|i| 1 + i % 20).sum();
    for i in 0..args.shares {
        let value = 99.0 * (1 + i % 20) as f64 / parts as f64;
        let body =
            json!({"name": format!("Share{i}"), "values": {"value": format!("{value:.3}"), "processing_type": jobs::processing_type(i)}});
        let answer = c.json(&bench.pilot.post("/api/panda/v1/share/set", &body.to_string()))?;
        if answer["success"] != json!(true) {
            bail!("share/set: {answer}");
        }
    }
    println!(
        "\n### {backend}, {n_queues} queue(s), {} share(s), documents of about 4 kB, {} queued, bearer tokens\n\n{HEAD}",
        args.shares.max(1),
        args.queued
    );
    for &callers in &args.callers {
        let submit = bench.submit(args.queued, callers)?;
        println!("{}", submit.row("job/submit (jobs, 100 a call)", callers));
        let (claim, claimed) = bench.acquire((args.queued * 3 / 4).min(args.claims), callers)?;
        println!("{}", claim.row("acquire_jobs", callers));
        let beat = bench.heartbeat(&claimed, callers, Duration::from_secs(args.seconds))?;
        println!("{}", beat.row("update_job (heartbeat)", callers));
    }
    for &callers in &args.callers {
        let (figure, tasks) = bench.task_submit(callers, Duration::from_secs(args.seconds))?;
        println!("{}", figure.row("task/submit", callers));
        let figure = bench.details(&tasks, callers, Duration::from_secs(args.seconds))?;
        println!("{}", figure.row("task/get_details", callers));
    }
    println!("\npeak memory of the server: {} MiB", cpu::peak_mib(bench.server.pid()));
    Ok(())
}

/// One caller's work: called again and again with its number and a counter; the answer is how many operations were done (None = stop).
type Work<'a> = dyn Fn(usize, usize, &mut Connection) -> anyhow::Result<Option<usize>> + Sync + 'a;

impl Bench {
    fn measure(&self, callers: usize, other: &AtomicUsize, work: &Work<'_>) -> anyhow::Result<Figure> {
        let before = (cpu::of(self.server.pid()), self.database.map_or(0.0, cpu::of_all));
        let barrier = Arc::new(Barrier::new(callers));
        let all = Mutex::new((Vec::new(), 0_usize, None));
        let started = Instant::now();
        std::thread::scope(|scope| {
            for caller in 0..callers {
                let (barrier, all) = (barrier.clone(), &all);
                scope.spawn(move || {
                    let mut latencies = Vec::with_capacity(1 << 14);
                    let mut done = 0;
                    let result = (|| -> anyhow::Result<()> {
                        let mut c = Connection::open(&self.server.address)?;
                        barrier.wait();
                        for n in 0.. {
                            let begin = Instant::now();
                            match work(caller, n, &mut c)? {
                                Some(k) => {
                                    latencies.push(begin.elapsed());
                                    done += k;
                                }
                                None => break,
                            }
                        }
                        Ok(())
                    })();
                    if let Ok(mut all) = all.lock() {
                        all.0.extend(latencies);
                        all.1 += done;
                        if let Err(e) = result {
                            all.2.get_or_insert(e);
                        }
                    }
                });
            }
        });
        let wall = started.elapsed();
        let (mut latencies, done, error) = all.into_inner().map_err(|_| anyhow::anyhow!("a caller panicked"))?;
        if let Some(e) = error {
            return Err(e);
        }
        latencies.sort_unstable();
        Ok(Figure {
            done,
            other: other.load(Ordering::Relaxed),
            wall,
            latencies,
            server_cpu: cpu::of(self.server.pid()) - before.0,
            database_cpu: self.database.map_or(0.0, |d| cpu::of_all(d) - before.1),
        })
    }

    fn submit(&self, jobs: usize, callers: usize) -> anyhow::Result<Figure> {
        let calls = jobs.div_ceil(JOBS_A_CALL);
        let body = |i: usize| jobs::submit_body(&self.queues[i % self.queues.len()], JOBS_A_CALL, 0, i / self.queues.len());
        let n = self.queues.len() * self.shares.max(1);
        let requests: Vec<Vec<u8>> = (0..n).map(|i| self.user.post("/api/v1/job/submit", &body(i))).collect();
        let next = AtomicUsize::new(0);
        self.measure(callers, &AtomicUsize::new(0), &|_, _, c| {
            let n = next.fetch_add(1, Ordering::Relaxed);
            if n >= calls {
                return Ok(None);
            }
            let body = c.call(&requests[n % requests.len()])?;
            if find(&body[..body.len().min(60)], b"true").is_none() {
                bail!("job/submit: {}", String::from_utf8_lossy(&body[..body.len().min(300)]));
            }
            Ok(Some(JOBS_A_CALL))
        })
    }

    fn acquire(&self, jobs: usize, callers: usize) -> anyhow::Result<(Figure, Vec<i64>)> {
        let requests: Vec<Vec<u8>> = self
            .queues
            .iter()
            .map(|q| {
                let body = json!({"site_name": q, "prod_source_label": "user", "memory": 4000, "disk_space": 10000, "node": "bench", "computing_element": q});
                self.pilot.post("/api/v1/pilot/acquire_jobs", &body.to_string())
            })
            .collect();
        let (next, other) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let claimed = Mutex::new(Vec::with_capacity(jobs));
        let figure = self.measure(callers, &other, &|_, _, c| {
            let n = next.fetch_add(1, Ordering::Relaxed);
            if n >= jobs {
                return Ok(None);
            }
            let body = c.call(&requests[n % requests.len()])?;
            let Some(at) = find(&body[..body.len().min(300)], b"\"PandaID\":") else {
                other.fetch_add(1, Ordering::Relaxed);
                return Ok(Some(0));
            };
            let digits: i64 = body[at + 10..].iter().take_while(|b| b.is_ascii_digit()).fold(0, |n, b| n * 10 + i64::from(b - b'0'));
            claimed.lock().map_err(|_| anyhow::anyhow!("poisoned"))?.push(digits);
            Ok(Some(1))
        })?;
        let mut claimed = claimed.into_inner().map_err(|_| anyhow::anyhow!("poisoned"))?;
        let n = claimed.len();
        claimed.sort_unstable();
        claimed.dedup();
        if claimed.len() != n {
            bail!("{} jobs were handed out twice", n - claimed.len());
        }
        Ok((figure, claimed))
    }

    fn heartbeat(&self, claimed: &[i64], callers: usize, time: Duration) -> anyhow::Result<Figure> {
        let mine = &claimed[..claimed.len().min(5_000)];
        let body = |id: i64| {
            json!({"job_id": id, "job_status": "running", "attempt_nr": 0, "node": "bench", "site_name": "BENCH", "core_count": 1, "max_rss": 123_456}).to_string()
        };
        let requests: Vec<Vec<u8>> = mine.iter().map(|id| self.pilot.post("/api/v1/pilot/update_job", &body(*id))).collect();
        // The first update of each is a transition: not measured.
        let next = AtomicUsize::new(0);
        self.measure(callers, &AtomicUsize::new(0), &|_, _, c| {
            let n = next.fetch_add(1, Ordering::Relaxed);
            let Some(request) = requests.get(n) else { return Ok(None) };
            c.call(request)?;
            Ok(Some(1))
        })?;
        let until = Instant::now() + time;
        self.measure(callers, &AtomicUsize::new(0), &|caller, n, c| {
            if Instant::now() > until {
                return Ok(None);
            }
            let body = c.call(&requests[(caller * 157 + n) % requests.len()])?;
            if find(body, b"\"NULL\"").is_none() {
                bail!("update_job: {}", String::from_utf8_lossy(body));
            }
            Ok(Some(1))
        })
    }

    fn task_submit(&self, callers: usize, time: Duration) -> anyhow::Result<(Figure, Vec<i64>)> {
        let until = Instant::now() + time;
        let tasks = Mutex::new(Vec::new());
        let figure = self.measure(callers, &AtomicUsize::new(0), &|caller, n, c| {
            if Instant::now() > until {
                return Ok(None);
            }
            let request = self.user.post("/api/v1/task/submit", &jobs::task_body(&format!("user.alice.bench.{callers}.{caller}.{n}"), 1));
            let body = c.call(&request)?;
            let Some(at) = find(body, b"jediTaskID=") else { bail!("task/submit: {}", String::from_utf8_lossy(body)) };
            let id: i64 = body[at + 11..].iter().take_while(|b| b.is_ascii_digit()).fold(0, |n, b| n * 10 + i64::from(b - b'0'));
            tasks.lock().map_err(|_| anyhow::anyhow!("poisoned"))?.push(id);
            Ok(Some(1))
        })?;
        Ok((figure, tasks.into_inner().map_err(|_| anyhow::anyhow!("poisoned"))?))
    }

    fn details(&self, tasks: &[i64], callers: usize, time: Duration) -> anyhow::Result<Figure> {
        let until = Instant::now() + time;
        let requests: Vec<Vec<u8>> =
            tasks.iter().take(1_000).map(|id| self.user.get(&format!("/api/v1/task/get_details?task_id={id}"))).collect();
        self.measure(callers, &AtomicUsize::new(0), &|caller, n, c| {
            if Instant::now() > until {
                return Ok(None);
            }
            c.call(&requests[(caller * 31 + n) % requests.len()])?;
            Ok(Some(1))
        })
    }
}
