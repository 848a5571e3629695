//! How fast inputs become activated jobs: one very large task, and a backlog of small ones.

use std::{
    cmp::Ordering,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use panda_store::{
    Batch, IdKind, Store,
    query::dataset::{self, DatasetFile, DatasetRow},
};
use serde_json::json;

use crate::{
    cpu,
    database::{self, Backend},
    http::{Connection, Head},
    jobs,
    server::{Server, VO},
};

/// Files registered by one batch.
const ROWS: usize = 480;
/// Batches under way at the same time.
const AT_ONCE: usize = 4;
/// Longest wait for the jobs.
const LIMIT: Duration = Duration::from_secs(900);
/// Pause between two counts of jobs: the server counts at most once a second.
const COUNT: Duration = Duration::from_millis(1_050);
/// Callers that submit the backlog.
const CALLERS: usize = 8;
/// The data set.
const DATASET: &str = "user.alice.bench.feed";

/// What to measure.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    servers: database::Servers,
    /// Databases.
    #[arg(long, value_delimiter = ',', default_values_t = [Backend::Sqlite, Backend::Postgres], value_enum)]
    backend: Vec<Backend>,
    /// Input files of the large task; 0 = leave it out.
    #[arg(long, default_value_t = 1_000_000)]
    files: usize,
    /// Files of each of its jobs.
    #[arg(long, default_value_t = 10)]
    each: usize,
    /// Small tasks of the backlog; 0 = leave it out.
    #[arg(long, default_value_t = 6_000)]
    tasks: usize,
    /// Jobs of each of them.
    #[arg(long, default_value_t = 4)]
    jobs: usize,
}

/// Runs it.
pub fn run(args: &Args) -> anyhow::Result<()> {
    println!("machine: {}; generator, server and database share it", cpu::machine());
    for backend in &args.backend {
        if args.files > 0 {
            large(args, *backend)?;
        }
        if args.tasks > 0 {
            backlog(args, *backend)?;
        }
    }
    Ok(())
}

/// What a measurement cost, from its begin on.
struct Meter {
    pid: u32,
    database: Option<&'static str>,
    begin: Instant,
    before: (f64, f64),
}

impl Meter {
    fn start(pid: u32, backend: Backend) -> Self {
        let mut meter = Self { pid, database: backend.process(), begin: Instant::now(), before: (0.0, 0.0) };
        meter.before = meter.cpu();
        meter
    }
    fn cpu(&self) -> (f64, f64) {
        (cpu::of(self.pid), self.database.map_or(0.0, cpu::of_all))
    }
    fn line(&self, what: &str, n: usize) -> String {
        let (s, now) = (self.begin.elapsed().as_secs_f64(), self.cpu());
        let rate = n as f64 / s;
        let (server, database) = (now.0 - self.before.0, now.1 - self.before.1);
        let peak = cpu::peak_mib(self.pid);
        format!(
            "{what}: {s:.1} s, {rate:.0} a second; CPU of the server {server:.1} s, of the database {database:.1} s; peak memory of the server {peak} MiB"
        )
    }
}

fn large(args: &Args, backend: Backend) -> anyhow::Result<()> {
    let place = database::fresh(&args.servers, backend)?;
    tokio::runtime::Runtime::new()?.block_on(register(&place.url, args.files))?;
    let server = Server::start(Some(&place.url), false)?;
    let head = ready(&server)?;
    let mut c = Connection::open(&server.address)?;
    println!("\n### {backend}: one task of {} files, {} of each job", args.files, args.each);
    let want = args.files.div_ceil(args.each);
    let meter = Meter::start(server.pid(), backend);
    let body = jobs::input_task_body("user.alice.bench.large", DATASET, args.each);
    let answer = c.json(&head.post("/api/v1/task/submit", &body))?;
    if answer["success"] != json!(true) {
        bail!("task/submit: {answer}");
    }
    until(&mut c, &head, &meter, want)?;
    println!("{}", meter.line(&format!("submission to {want} activated jobs (looked at every {COUNT:?})"), want));
    Ok(())
}

/// Waits until so many jobs are activated; what was seen on the way.
fn until(c: &mut Connection, head: &Head, meter: &Meter, want: usize) -> anyhow::Result<Vec<(Duration, usize)>> {
    let mut samples = Vec::new();
    loop {
        let n = activated(c, head)?;
        samples.push((meter.begin.elapsed(), n));
        match n.cmp(&want) {
            Ordering::Equal => return Ok(samples),
            Ordering::Greater => bail!("{n} jobs are activated, and {want} were asked for"),
            Ordering::Less if meter.begin.elapsed() > LIMIT => bail!("{n} of {want} jobs after {LIMIT:?}"),
            Ordering::Less => std::thread::sleep(COUNT),
        }
    }
}

fn backlog(args: &Args, backend: Backend) -> anyhow::Result<()> {
    let place = database::fresh(&args.servers, backend)?;
    println!("\n### {backend}: a backlog of {} tasks of {} jobs", args.tasks, args.jobs);
    let server = Server::start(Some(&place.url), false)?;
    ready(&server)?;
    let server = server.again(&place.url, false)?;
    let head = server.head("alice", None)?;
    std::thread::scope(|scope| {
        let callers: Vec<_> = (0..CALLERS)
            .map(|caller| {
                let (server, head) = (&server, &head);
                scope.spawn(move || -> anyhow::Result<()> {
                    let mut c = Connection::open(&server.address)?;
                    for n in (caller..args.tasks).step_by(CALLERS) {
                        let body = jobs::task_body(&format!("user.alice.backlog.{n}"), args.jobs);
                        let answer = c.json(&head.post("/api/v1/task/submit", &body))?;
                        if answer["success"] != json!(true) {
                            bail!("task/submit: {answer}");
                        }
                    }
                    Ok(())
                })
            })
            .collect();
        callers.into_iter().try_for_each(|c| c.join().map_err(|_| anyhow::anyhow!("a caller panicked"))?)
    })?;
    let server = server.again(&place.url, true)?;
    let head = server.head("alice", None)?;
    let meter = Meter::start(server.pid(), backend);
    let mut c = Connection::open(&server.address)?;
    let want = args.tasks * args.jobs;
    let samples = until(&mut c, &head, &meter, want)?;
    println!("{}", meter.line(&format!("start of the engine to {want} activated jobs (looked at every {COUNT:?})"), want));
    // The last sample may be up to a look late.
    let inner = &samples[..samples.len() - 1];
    if let (Some(a), Some(b)) = (inner.first(), inner.last().filter(|b| b.1 > inner[0].1)) {
        println!("between {} and {} of them: {:.0} a second", a.1, b.1, (b.1 - a.1) as f64 / (b.0 - a.0).as_secs_f64());
    }
    Ok(())
}

/// Activated jobs of all queues; the server counts at most once a second.
pub fn activated(c: &mut Connection, head: &Head) -> anyhow::Result<usize> {
    let answer = c.json(&head.get("/api/v1/statistics/active_job_stats_by_site"))?;
    let sites = answer["data"].as_object().with_context(|| format!("active_job_stats_by_site: {answer}"))?;
    Ok(sites.values().filter_map(|s| s["activated"].as_u64()).sum::<u64>() as usize)
}

/// A queue for the jobs, and what requests of the user bear.
pub fn ready(server: &Server) -> anyhow::Result<Head> {
    let mut c = Connection::open(&server.address)?;
    let answer = c.json(
        &server
            .head("robot", Some("production"))?
            .post("/api/panda/v1/queue/add", &json!({"name": "BENCH", "config": {"cores": 1}}).to_string()),
    )?;
    if answer["success"] != json!(true) {
        bail!("queue/add: {answer}");
    }
    server.head("alice", None)
}

/// Fills the catalogue before the server starts: linking so many files into a storage would take longer than what is measured.
async fn register(url: &str, files: usize) -> anyhow::Result<()> {
    let store = Store::open(url, true).await?;
    let id = store.id(IdKind::Row).await?;
    let mut batch = Batch::new();
    let row = DatasetRow {
        id,
        vo: VO.into(),
        name: DATASET.into(),
        scope: "user.alice".into(),
        state: "closed".into(),
        person_id: None,
        n_files: i64::try_from(files)?,
        n_bytes: 0,
        created_us: 0,
    };
    dataset::add(&mut batch, &row);
    store.apply(batch).await?;
    let numbers: Vec<usize> = (0..files).collect();
    for group in numbers.chunks(ROWS * AT_ONCE) {
        let mut sent = Vec::new();
        for part in group.chunks(ROWS) {
            let ids = store.ids(IdKind::Row, part.len()).await?;
            let mut batch = Batch::new();
            for (n, row) in part.iter().zip(ids) {
                let file = DatasetFile {
                    id: row,
                    dataset_id: id,
                    lfn: format!("user.alice.bench.{n:07}.root"),
                    scope: "user.alice".into(),
                    guid: Some(format!("00000000-0000-4000-8000-{n:012x}")),
                    fsize: Some(100_000_000),
                    checksum: Some("ad:00000001".into()),
                    ..DatasetFile::default()
                };
                dataset::add_file(&mut batch, &file);
            }
            let store = store.clone();
            sent.push(tokio::spawn(async move { store.apply(batch).await }));
        }
        for one in sent {
            one.await??;
        }
    }
    store.close().await;
    Ok(())
}
