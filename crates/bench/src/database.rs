//! A fresh database for one run.

use std::process::Command;

use anyhow::{Context, bail};
use clap::ValueEnum;

/// A database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Backend {
    /// Embedded.
    Sqlite,
    /// PostgreSQL on loopback.
    Postgres,
    /// MariaDB on loopback.
    Mariadb,
}

impl std::fmt::Display for Backend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
            Self::Mariadb => "mariadb",
        })
    }
}

impl Backend {
    /// Name of the processes that work for it, when it has some of its own.
    #[must_use]
    pub fn process(self) -> Option<&'static str> {
        match self {
            Self::Sqlite => None,
            Self::Postgres => Some("postgres"),
            Self::Mariadb => Some("mariadbd"),
        }
    }
}

/// Where the servers are.
#[derive(Debug, clap::Args)]
pub struct Servers {
    /// PostgreSQL server.
    #[arg(long, env = "PANDA_TEST_POSTGRES", default_value = "postgres://postgres@127.0.0.1:5432")]
    postgres: String,
    /// MariaDB server.
    #[arg(long, env = "PANDA_TEST_MYSQL", default_value = "mysql://root@127.0.0.1:3306")]
    mysql: String,
}

/// A database that is there as long as this is.
#[derive(Debug)]
pub struct Place {
    /// Its URL.
    pub url: String,
    /// Folder of an embedded one.
    _dir: Option<tempfile::TempDir>,
    /// How to remove it.
    remove: Option<(&'static str, Vec<String>)>,
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some((program, arguments)) = &self.remove {
            let _ = sql(program, arguments);
        }
    }
}

fn sql(program: &str, arguments: &[String]) -> anyhow::Result<()> {
    let out = Command::new(program).args(arguments).output().with_context(|| format!("running {program}"))?;
    if out.status.success() { Ok(()) } else { bail!("{program}: {}", String::from_utf8_lossy(&out.stderr)) }
}

/// The server's URL without a database.
fn base(url: &str) -> &str {
    let url = url.trim_end_matches('/');
    if url.matches('/').count() > 2 { url.rsplit_once('/').map_or(url, |(b, _)| b) } else { url }
}

/// Makes an empty database.
pub fn fresh(servers: &Servers, backend: Backend) -> anyhow::Result<Place> {
    let name = format!("panda_bench_{}", std::process::id());
    let drop = format!("DROP DATABASE IF EXISTS {name}");
    let create = format!("CREATE DATABASE {name}");
    match backend {
        Backend::Sqlite => {
            let dir = tempfile::Builder::new().prefix("panda-bench-db").tempdir()?;
            Ok(Place { url: format!("sqlite:{}", dir.path().join("panda.db").display()), _dir: Some(dir), remove: None })
        }
        Backend::Postgres => {
            let base = base(&servers.postgres);
            let run = |commands: &[&str]| -> Vec<String> {
                let head = ["-q".to_owned(), format!("{base}/postgres")];
                head.into_iter().chain(commands.iter().flat_map(|c| ["-c".to_owned(), (*c).to_owned()])).collect()
            };
            sql("psql", &run(&[&drop, &create]))?;
            Ok(Place { url: format!("{base}/{name}"), _dir: None, remove: Some(("psql", run(&[&drop]))) })
        }
        Backend::Mariadb => {
            let base = base(&servers.mysql);
            let host = base.rsplit_once('@').map_or("127.0.0.1:3306", |(_, h)| h);
            let (host, port) = host.split_once(':').unwrap_or((host, "3306"));
            let run = |text: String| ["-h", host, "-P", port, "-u", "root", "-e", &text].map(str::to_owned).to_vec();
            sql("mariadb", &run(format!("{drop}; {create}")))?;
            Ok(Place { url: format!("{base}/{name}"), _dir: None, remove: Some(("mariadb", run(drop))) })
        }
    }
}
