//! Runs the program with a home of its own and nothing of ours in its environment.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// A home folder and the program.
pub struct Program {
    pub home: tempfile::TempDir,
}

/// What a run left.
pub struct Done {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Program {
    pub fn new() -> Self {
        Self { home: tempfile::tempdir().unwrap() }
    }

    pub fn data(&self) -> PathBuf {
        self.home.path().join("data")
    }

    /// A command that is not run yet; it stands in `work` below the home folder.
    pub fn command(&self, args: &[&str]) -> Command {
        let work = self.home.path().join("here");
        std::fs::create_dir_all(&work).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_panda"));
        command.args(args).current_dir(work).env_clear().stdin(Stdio::null());
        command
            .env("HOME", self.home.path())
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("USER", "jane")
            .env("PANDA_DATA", self.data());
        command
    }

    pub fn run(&self, args: &[&str]) -> Done {
        Self::finish(self.command(args))
    }

    pub fn finish(mut command: Command) -> Done {
        let Output { status, stdout, stderr } = command.output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Done { code: status.code().unwrap_or(-1), out: text(stdout), err: text(stderr) }
    }

    /// Runs and expects success; the answer is standard output.
    pub fn ok(&self, args: &[&str]) -> String {
        let done = self.run(args);
        assert_eq!(done.code, 0, "{args:?}: {}{}", done.out, done.err);
        done.out
    }

    /// Writes a file of the user's folder.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.home.path().join("here").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    /// The text with what differs from run to run replaced.
    pub fn stable(&self, text: &str) -> String {
        text.replace(&self.home.path().display().to_string(), "HOME").replace(env!("CARGO_PKG_VERSION"), "VERSION")
    }
}

/// A system that runs until it is dropped.
pub struct Up {
    child: Child,
    pub url: String,
}

impl Up {
    pub fn start(program: &Program, args: &[&str]) -> Self {
        let log = program.home.path().join("up.log");
        let mut words = vec!["up", "--listen", "127.0.0.1:0"];
        words.extend(args);
        let errors = std::fs::File::create(&log).unwrap();
        let mut child = program.command(&words).stdout(Stdio::null()).stderr(errors).spawn().unwrap();
        let started = Instant::now();
        loop {
            if let Ok(url) = std::fs::read_to_string(program.data().join("server.url")) {
                return Self { child, url: url.trim().to_owned() };
            }
            if let Some(status) = child.try_wait().unwrap() {
                panic!("`up` ended with {status}: {}", read(&log));
            }
            assert!(started.elapsed() < Duration::from_secs(60), "`up` is not ready: {}", read(&log));
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Ends it with SIGTERM; it must end with 0.
    pub fn stop(mut self) {
        self.terminate();
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{status}");
    }

    fn terminate(&self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|status| status.is_none()) {
            self.terminate();
            let started = Instant::now();
            while started.elapsed() < Duration::from_secs(15) && self.child.try_wait().is_ok_and(|status| status.is_none()) {
                std::thread::sleep(Duration::from_millis(20));
            }
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}
