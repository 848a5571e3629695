//! Time from submission to the payload's first line and to the end of the task, on an idle machine.

use std::time::{Duration, Instant};

use anyhow::bail;
use serde_json::Value;

use crate::{cpu, http::Connection, jobs, server::Server, stats::Figure};

/// Longest time a task may take here.
const LIMIT: Duration = Duration::from_secs(60);

/// What to measure.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Tasks, one after the other.
    #[arg(long, default_value_t = 20)]
    tasks: usize,
    /// Jobs of each task.
    #[arg(long, default_value_t = 1)]
    jobs: usize,
}

/// Runs it.
pub fn run(args: &Args) -> anyhow::Result<()> {
    println!("machine: {}; embedded database, local worker, {} jobs a task", cpu::machine(), args.jobs);
    let server = Server::start(None, true)?;
    let head = server.head("alice", None)?;
    let mut c = Connection::open(&server.address)?;
    let (mut first, mut done) = (Vec::new(), Vec::new());
    for n in 0..args.tasks {
        let begin = Instant::now();
        let body = jobs::task_body(&format!("user.alice.latency.{n}"), args.jobs).replace("\"true\"", "\"echo%20first%20line\"");
        let answer = c.json(&head.post("/api/v1/task/submit", &body))?;
        let Some(task) = answer["data"].as_i64() else { bail!("task/submit: {answer}") };
        first.push(wait(begin, || line(&mut c, &head, task))?);
        done.push(wait(begin, || {
            let status = c.json(&head.get(&format!("/api/v1/task/get_status?task_id={task}")))?;
            Ok(status["data"] == "done")
        })?);
    }
    for (what, mut latencies) in [("submission to first line", first), ("submission to done", done)] {
        latencies.sort_unstable();
        let f = Figure { done: latencies.len(), other: 0, wall: LIMIT, latencies, server_cpu: 0.0, database_cpu: 0.0 };
        println!(
            "{what}: p50 {:.0} ms, p99 {:.0} ms over {} tasks",
            f.quantile(0.5).as_secs_f64() * 1e3,
            f.quantile(0.99).as_secs_f64() * 1e3,
            f.done
        );
    }
    println!("peak memory of the server: {} MiB", cpu::peak_mib(server.pid()));
    Ok(())
}

fn wait(begin: Instant, mut ready: impl FnMut() -> anyhow::Result<bool>) -> anyhow::Result<Duration> {
    while !ready()? {
        if begin.elapsed() > LIMIT {
            bail!("nothing after {LIMIT:?}");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(begin.elapsed())
}

/// Whether the live log of the task's job has a line.
fn line(c: &mut Connection, head: &crate::http::Head, task: i64) -> anyhow::Result<bool> {
    let jobs = c.json(&head.get(&format!("/api/v1/task/get_job_ids?task_id={task}")))?;
    let Some(job) = jobs["data"].as_array().and_then(|a| a.first()).and_then(Value::as_i64) else { return Ok(false) };
    let log = c.json(&head.get(&format!("/api/panda/v1/job/log?job_id={job}&stream=stdout")))?;
    Ok(log.to_string().contains("first line"))
}
