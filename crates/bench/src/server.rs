//! A `panda` of this build, started for one run and ended with it.

use std::{
    net::TcpListener,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, bail};

use crate::http::{Connection, Head};

/// Longest time until the server answers.
const START: Duration = Duration::from_secs(60);
/// VO of the users of a [`Server`], unless it is said.
pub const VO: &str = "bench";

/// A running server.
#[derive(Debug)]
pub struct Server {
    child: Child,
    dir: tempfile::TempDir,
    /// `HOST:PORT`.
    pub address: String,
}

/// The program `panda` beside this one.
pub fn program() -> anyhow::Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name("panda");
    if !path.exists() {
        bail!("{} is missing; run `cargo xtask bench`, which builds it first", path.display());
    }
    Ok(path)
}

impl Server {
    /// Starts `panda up` over the database at `url` (None = a file in its directory).
    pub fn start(url: Option<&str>, worker: bool) -> anyhow::Result<Self> {
        let dir = tempfile::Builder::new().prefix("panda-bench").tempdir()?;
        let mut arguments = vec!["up"];
        if !worker {
            arguments.push("--no-worker");
        }
        Self::run(dir, url, &arguments)
    }
    /// Ends it and starts another over the same directory: one that takes calls and leaves the rest alone, or a whole one.
    pub fn again(mut self, url: &str, engine: bool) -> anyhow::Result<Self> {
        let dir = std::mem::replace(&mut self.dir, tempfile::tempdir()?);
        drop(self);
        Self::run(dir, Some(url), if engine { &["up", "--no-worker"] } else { &["serve", "--role", "server"] })
    }
    fn run(dir: tempfile::TempDir, url: Option<&str>, arguments: &[&str]) -> anyhow::Result<Self> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let address = format!("127.0.0.1:{port}");
        let settings = dir.path().join("panda.toml");
        // A load generator submits more than a person may.
        std::fs::write(&settings, "[limits]\nactive_tasks = 10000000\nrequests_per_minute = 0\n").context("writing panda.toml")?;
        let mut command = Command::new(program()?);
        command.args(arguments).args(["--listen", &address, "--config"]).arg(settings).arg("--data").arg(dir.path());
        if let Some(url) = url {
            command.args(["--db", url]);
        }
        let log = std::fs::File::create(dir.path().join("up.log"))?;
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().context("starting `panda`")?;
        let mut server = Self { child, dir, address };
        let started = Instant::now();
        loop {
            let alive = Connection::open(&server.address).and_then(|mut c| {
                c.json(
                    format!("GET /api/v1/system/is_alive HTTP/1.1\r\nHost: {}\r\nAccept: application/json\r\n\r\n", server.address)
                        .as_bytes(),
                )
            });
            if alive.is_ok() {
                return Ok(server);
            }
            if started.elapsed() > START || server.child.try_wait()?.is_some() {
                bail!("`panda` did not answer: {}", std::fs::read_to_string(server.dir.path().join("up.log")).unwrap_or_default());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    /// Its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
    /// A command of a user beside it.
    pub fn command(&self, words: &[&str]) -> anyhow::Result<Command> {
        let mut command = Command::new(program()?);
        command.args(words.iter().take(1)).arg("--data").arg(self.dir.path()).args(words.iter().skip(1));
        Ok(command)
    }
    /// What every request to it bears: a token of this user and role.
    pub fn head(&self, user: &str, role: Option<&str>) -> anyhow::Result<Head> {
        self.head_of(user, VO, role)
    }
    /// The same for a user of some VO.
    pub fn head_of(&self, user: &str, vo: &str, role: Option<&str>) -> anyhow::Result<Head> {
        let mut command = Command::new(program()?);
        command.args(["token", "--user", user, "--vo", vo, "--data"]).arg(self.dir.path());
        if let Some(role) = role {
            command.args(["--role", role]);
        }
        let out = command.output()?;
        if !out.status.success() {
            bail!("`panda token`: {}", String::from_utf8_lossy(&out.stderr));
        }
        Ok(Head { address: self.address.clone(), token: String::from_utf8(out.stdout)?.trim().to_owned() })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(10) {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
