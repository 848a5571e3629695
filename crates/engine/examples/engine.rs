//! The engine alone as a process: the loops on a database that is there, until the process is ended. `engine URL FOLDER NAME`.

use std::{path::PathBuf, process::ExitCode, sync::Arc};

use panda_engine::{Engine, EngineOptions};
use panda_ops::{Ops, Options, clock::SystemClock};
use panda_store::Store;

#[tokio::main]
async fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let (Some(url), Some(folder), Some(name)) = (args.next(), args.next(), args.next()) else {
        eprintln!("engine URL FOLDER NAME");
        return ExitCode::FAILURE;
    };
    let store = match Store::open(&url, false).await {
        Ok(store) => store,
        Err(e) => {
            eprintln!("{url}: {e}");
            return ExitCode::FAILURE;
        }
    };
    let ops = Ops::new(store, Arc::new(SystemClock), Options::new("http://127.0.0.1:25080", PathBuf::from(folder)));
    let _engine = Engine::start(Arc::new(ops), EngineOptions::new(name));
    std::future::pending().await
}
