//! Serves the pages over a small made-up world, to look at them: `cargo run -p panda-monitor --example preview [PORT]`.
//!
//! The world lies in a temporary directory and goes with the program. One job writes a line a second, so that the live log can be seen.

#[path = "../tests/support/mod.rs"]
mod support;

use std::{sync::Arc, time::Duration};

use panda_monitor::{MonitorState, fallback, router};
use panda_ops::{clock::SystemClock, job::log};
use support::World;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let port: u16 = std::env::args().nth(1).map_or(Ok(0), |p| p.parse())?;
    let world = World::new(Arc::new(SystemClock)).await;
    let ids = world.fill().await;
    world.fill_shares().await;
    world.fill_holds(ids.job_running).await;
    world.fill_retention().await;
    let now = world.now;
    let engine_status = move || {
        serde_json::json!([
            {"loop": "refine", "last_us": now - 2_000_000, "steps": 1204, "done": 41, "last_error": null},
            {"loop": "generate", "last_us": now - 1_000_000, "steps": 2210, "done": 1893, "last_error": null},
            {"loop": "finish", "last_us": now, "steps": 5021, "done": 1820, "last_error": "the database is busy: try again"},
        ])
    };
    let state =
        MonitorState { ops: world.ops.clone(), engine_status: Some(Arc::new(engine_status)), title: "PanDA preview".into(), door: None };
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    println!("http://{}/  (task {}, job {})", listener.local_addr()?, ids.running, ids.job_running);
    tokio::spawn(async move {
        let mut offset = world.log(ids.job_running, log::Stream::Stdout, 0, "", false).await;
        for n in 2.. {
            tokio::time::sleep(Duration::from_secs(1)).await;
            offset =
                world.log(ids.job_running, log::Stream::Stdout, offset, &format!("fit {n} of 40: chi2 = 1.0{}\n", n % 10), false).await;
        }
    });
    axum::serve(listener, fallback(router(state.clone()), state)).await?;
    Ok(())
}
