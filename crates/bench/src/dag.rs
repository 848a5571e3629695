//! A DAG of jobs as its user has it: from the command that submits it to its first jobs and to its last node.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde_json::json;

use crate::{
    cpu,
    database::{self, Backend},
    feed::{activated, ready},
    http::{Connection, Head},
    server::Server,
};

/// Longest wait.
const LIMIT: Duration = Duration::from_secs(900);
/// Pause between two looks: the server counts jobs at most once a second.
const LOOK: Duration = Duration::from_millis(250);

/// What to measure.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    servers: database::Servers,
    /// Databases.
    #[arg(long, value_delimiter = ',', default_values_t = [Backend::Sqlite, Backend::Postgres, Backend::Mariadb], value_enum)]
    backend: Vec<Backend>,
    /// Nodes.
    #[arg(long, default_value_t = 100_000)]
    nodes: usize,
    /// Nodes of a layer: each depends on two of the layer above.
    #[arg(long, default_value_t = 1_000)]
    width: usize,
}

/// Runs it.
pub fn run(args: &Args) -> anyhow::Result<()> {
    println!("machine: {}; client, server and database share it", cpu::machine());
    for backend in &args.backend {
        one(args, *backend)?;
    }
    Ok(())
}

fn one(args: &Args, backend: Backend) -> anyhow::Result<()> {
    let place = database::fresh(&args.servers, backend)?;
    let server = Server::start(Some(&place.url), false)?;
    let head = ready(&server)?;
    let mut c = Connection::open(&server.address)?;
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("nodes.jsonl");
    std::fs::write(&file, lines(args))?;
    println!("\n### {backend}: a DAG of {} nodes in layers of {}", args.nodes, args.width);
    let begin = Instant::now();
    let out = server
        .command(&["submit", "--json", "--sandbox", "none", "--name", "user.alice.bench.dag", "--dag"])?
        .arg(&file)
        .args(["--", "true %NODE %ARGS"])
        .output()?;
    if !out.status.success() {
        bail!("`panda submit`: {}", String::from_utf8_lossy(&out.stderr));
    }
    let answer: serde_json::Value = serde_json::from_slice(&out.stdout)?;
    let task = answer["task_id"].as_i64().with_context(|| format!("`panda submit`: {answer}"))?;
    let accepted = begin.elapsed();
    let first = until(begin, || Ok(activated(&mut c, &head)? > 0))?;
    let listed = until(begin, || listed(&mut c, &head, task, args.nodes))?;
    println!(
        "accepted after {:.1} s, first jobs activated after {:.1} s, all nodes there after {:.1} s; peak memory of the server {} MiB",
        accepted.as_secs_f64(),
        first.as_secs_f64(),
        listed.as_secs_f64(),
        cpu::peak_mib(server.pid())
    );
    Ok(())
}

/// The file: one node a line.
fn lines(args: &Args) -> String {
    let mut text = String::new();
    for n in 0..args.nodes {
        let layer = n / args.width;
        let above = |shift: usize| (layer - 1) * args.width + (n + shift) % args.width;
        let after = if layer == 0 { vec![] } else { vec![format!("node{:07}", above(0)), format!("node{:07}", above(1))] };
        text.push_str(&json!({"name": format!("node{n:07}"), "args": format!("--layer {layer} --number {n}"), "after": after}).to_string());
        text.push('\n');
    }
    text
}

fn until(begin: Instant, mut there: impl FnMut() -> anyhow::Result<bool>) -> anyhow::Result<Duration> {
    while !there()? {
        if begin.elapsed() > LIMIT {
            bail!("nothing after {LIMIT:?}");
        }
        std::thread::sleep(LOOK);
    }
    Ok(begin.elapsed())
}

/// Whether `panda why` tells of so many nodes.
fn listed(c: &mut Connection, head: &Head, task: i64, nodes: usize) -> anyhow::Result<bool> {
    let answer = c.json(&head.get(&format!("/api/panda/v1/task/why?task_id={task}")))?;
    let said = answer["data"]["because"].to_string();
    if said == "null" {
        bail!("why: {answer}");
    }
    Ok(said.contains(&format!("of {nodes} input files are done")))
}
