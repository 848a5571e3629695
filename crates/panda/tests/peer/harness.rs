//! A running `panda up` with a database of its own, and the official client beside it.
//!
//! Owns starting, waiting and ending. The client gets what `panda env` prints and nothing else of ours. Knows nothing of any test.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use std::{env, fs, thread};

use panda_store::Store;
use panda_store::testing::{Backend, TestDb, broken_histories};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::http::{self, Answer};

/// The program under test.
pub const PANDA: &str = env!("CARGO_BIN_EXE_panda");
/// The VO of all tests: one that no experiment has.
pub const VO: &str = "amber";
/// The user of all tests.
pub const USER: &str = "alice";
/// How long `up` may take until it answers: an unoptimised build migrates a database on a busy machine.
const START_LIMIT: Duration = Duration::from_secs(60);
/// How long `up` may take to end after SIGTERM.
const END_LIMIT: Duration = Duration::from_secs(30);
/// How often something is looked at.
pub const LOOK: Duration = Duration::from_millis(100);

/// How a program ended and what it wrote.
#[derive(Debug)]
pub struct Done {
    /// Exit code; a signal is 128 and more.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Done {
    /// Asserts the exit code.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "\n-- stdout\n{}\n-- stderr\n{}", self.out, self.err);
        self
    }

    /// Asserts that standard output has this text.
    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        assert!(self.out.contains(text), "`{text}` is not in\n-- stdout\n{}\n-- stderr\n{}", self.out, self.err);
        self
    }
}

/// Runs a program to its end.
pub fn run(command: &mut Command) -> Done {
    let output = command.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let code = output.status.code().unwrap_or_else(|| {
        use std::os::unix::process::ExitStatusExt as _;
        128 + output.status.signal().unwrap_or_default()
    });
    Done { code, out: text(&output.stdout), err: text(&output.stderr) }
}

/// Runs a future to its end.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// A variable that `cargo xtask test` sets, or what stands in its place.
fn peer(variable: &str, place: &str) -> PathBuf {
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/peers").join(place);
    let path = env::var_os(variable).map_or(target, PathBuf::from);
    assert!(path.is_dir(), "{} is not there; run `cargo xtask test`, or `eval \"$(cargo xtask prepare)\"` first", path.display());
    path
}

/// The virtual environment with the official client.
pub fn client_venv() -> PathBuf {
    peer("PANDA_TEST_CLIENT_VENV", "venv")
}

/// The folder of the official pilot's sources.
pub fn pilot_dir() -> PathBuf {
    peer("PANDA_TEST_PILOT_DIR", "pilot")
}

/// The folder with the packages of the identity provider.
pub fn idp_packages() -> PathBuf {
    peer("PANDA_TEST_IDP_DIR", "idp")
}

/// A port that is free now and not in the range from which the system takes ports for outgoing connections. Tests run side by side, so two should
/// not try the same ones in the same order.
fn free_port() -> u16 {
    loop {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().subsec_nanos();
        let port = 20_000 + u16::try_from((now / 64 + std::process::id() * 7_919) % 10_000).unwrap();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// What a system is to be.
#[derive(Debug, Default)]
pub struct Plan {
    /// A configuration file's text.
    pub config: String,
    /// Further options of `up`.
    pub options: Vec<String>,
}

/// A running system. Its end is SIGTERM; its folders and database go with it.
#[derive(Debug)]
pub struct System {
    child: Option<Child>,
    plan: Plan,
    address: SocketAddr,
    folder: TempDir,
    database_url: String,
    token: String,
    /// A database on a server; it is dropped by name. SQLite's lies in the data folder, as everywhere.
    _database: Option<TestDb>,
}

impl System {
    /// Brings one up on a backend.
    pub fn start(backend: Backend, plan: Plan) -> Self {
        let database = (backend != Backend::Sqlite).then(|| block_on(TestDb::fresh(backend)));
        let folder = tempfile::Builder::new().prefix("panda-whole-").tempdir().unwrap();
        fs::create_dir(folder.path().join("home")).unwrap();
        fs::write(folder.path().join("panda.toml"), &plan.config).unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let embedded = || format!("sqlite:{}", folder.path().join("data/panda.db").display());
        let database_url = database.as_ref().map_or_else(embedded, |database| database.url().to_owned());
        let mut system = Self { child: None, plan, address, folder, database_url, token: String::new(), _database: database };
        system.up();
        while !system.answers() && system.log().contains("Address already in use") {
            // Another test was faster.
            system.kill();
            system.address.set_port(free_port());
            fs::remove_file(system.log_file()).unwrap();
            system.up();
        }
        system.wait_until_alive();
        system.token = system.token_of(USER, None);
        system
    }

    /// Starts `up`.
    pub fn up(&mut self) {
        assert!(self.child.is_none(), "it runs already");
        let log = fs::File::options().create(true).append(true).open(self.log_file()).unwrap();
        let mut command = self.command();
        command.args(["up", "--listen", &self.address.to_string(), "--db", &self.database_url]).args(&self.plan.options);
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        self.child = Some(command.spawn().unwrap());
    }

    /// Waits until `up` answers.
    pub fn wait_until_alive(&mut self) {
        assert!(self.answers(), "`up` does not answer:\n{}", self.log());
    }

    /// Waits until `up` answers; false when it has ended or takes too long.
    fn answers(&mut self) -> bool {
        let end = Instant::now() + START_LIMIT;
        // What the data folder says tells it from a stranger on the same port.
        let (said, url, address) = (self.data().join("server.url"), self.url(), self.address);
        let is_ours = || fs::read_to_string(&said).is_ok_and(|said| said.trim() == url);
        let is_alive = || http::try_call(address, "GET", "/api/v1/system/is_alive", &[], b"").is_some_and(|answer| answer.status == 200);
        while !(is_ours() && is_alive()) {
            let has_ended = self.child.as_mut().is_none_or(|child| child.try_wait().unwrap().is_some());
            if has_ended || Instant::now() > end {
                return false;
            }
            thread::sleep(LOOK / 4);
        }
        self.child.as_mut().is_some_and(|child| child.try_wait().unwrap().is_none())
    }

    /// kill -9.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// SIGTERM, and waits for the end.
    pub fn end(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        let pid = rustix::process::Pid::from_child(&child);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let limit = Instant::now() + END_LIMIT;
        loop {
            match child.try_wait().unwrap() {
                Some(status) if status.success() || thread::panicking() => return,
                Some(status) => panic!("`up` ended with {status}:\n{}", self.log()),
                None if Instant::now() < limit => thread::sleep(LOOK),
                None => break,
            }
        }
        let _ = child.kill();
        let _ = child.wait();
        assert!(thread::panicking(), "`up` did not end within {END_LIMIT:?} of SIGTERM:\n{}", self.log());
    }

    /// The base address.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Address and port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The database's URL.
    pub fn database(&self) -> &str {
        &self.database_url
    }

    /// A folder below the test's own, made when it is new.
    pub fn dir(&self, name: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::create_dir_all(&path).unwrap();
        path
    }

    /// The data folder.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join("up.log")
    }

    /// The end of what `up` logged.
    pub fn log(&self) -> String {
        let log = fs::read_to_string(self.log_file()).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(60)..].join("\n")
    }

    /// `panda` with this system's folders and no other settings.
    fn command(&self) -> Command {
        let mut command = Command::new(PANDA);
        command
            .env_clear()
            .env("PATH", env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.folder.path().join("home"))
            .env("USER", USER);
        command.arg("--data").arg(self.data()).arg("--config").arg(self.folder.path().join("panda.toml"));
        command.current_dir(self.folder.path());
        command
    }

    /// Runs `panda ...`.
    pub fn panda(&self, args: &[&str]) -> Done {
        run(self.command().env("PANDA_AUTH_VO", VO).args(args))
    }

    /// A token.
    pub fn token_of(&self, user: &str, role: Option<&str>) -> String {
        let mut args = vec!["token", "--user", user, "--vo", VO];
        args.extend(role.iter().flat_map(|role| ["--role", *role]));
        self.panda(&args).exits(0).out
    }

    /// What `panda env` prints.
    pub fn client_env(&self) -> String {
        self.panda(&["env", "--vo", VO, "--user", USER]).exits(0).out
    }

    /// Runs a program of the official client in a folder, as the documentation says: its set-up script, what `panda env` prints, no more.
    pub fn client(&self, folder: &Path, program: &[&str]) -> Done {
        self.client_with(&self.client_env(), folder, program)
    }

    /// The same with other settings than `panda env` prints.
    pub fn client_with(&self, settings: &str, folder: &Path, program: &[&str]) -> Done {
        run(&mut self.client_command(settings, folder, program))
    }

    /// The same, not started yet.
    pub fn client_command(&self, settings: &str, folder: &Path, program: &[&str]) -> Command {
        let script = format!(". \"$VIRTUAL_ENV/etc/panda/panda_setup.sh\"\n{settings}\nexec \"$@\"\n");
        let mut command = Command::new("bash");
        command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").env("HOME", self.folder.path().join("home"));
        command.env("VIRTUAL_ENV", client_venv()).current_dir(folder).args(["-c", &script, "client"]).args(program);
        command
    }

    /// Runs Python code with the official client's modules.
    pub fn python(&self, folder: &Path, code: &str) -> Done {
        let python = client_venv().join("bin/python");
        self.client(folder, &[python.to_str().unwrap(), "-W", "ignore", "-c", code])
    }

    /// The user's token.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Calls a method with the user's token.
    pub fn get(&self, path: &str) -> Answer {
        let bearer = format!("Bearer {}", self.token);
        http::call(self.address, "GET", path, &[("Authorization", &bearer), ("Origin", VO)], b"")
    }

    /// Calls a method with the user's token and a JSON body.
    pub fn post(&self, path: &str, body: &Value) -> Answer {
        let bearer = format!("Bearer {}", self.token);
        let headers = [("Authorization", bearer.as_str()), ("Origin", VO), ("Content-Type", "application/json")];
        http::call(self.address, "POST", path, &headers, body.to_string().as_bytes())
    }

    /// The status of a task.
    pub fn status(&self, task: i64) -> String {
        let data = self.get(&format!("/api/v1/task/get_status?task_id={task}")).data();
        data.as_str().map_or_else(|| panic!("no status: {data}"), str::to_owned)
    }

    /// Waits until a task is in one of these states and tells which.
    #[track_caller]
    pub fn wait(&self, task: i64, states: &[&str], limit: Duration) -> String {
        let end = Instant::now() + limit;
        loop {
            let status = self.status(task);
            if states.contains(&status.as_str()) {
                return status;
            }
            let over = ["done", "finished", "failed", "aborted", "broken", "exhausted"].contains(&status.as_str());
            if over || Instant::now() > end {
                let why = self.get(&format!("/api/panda/v1/task/why?task_id={task}")).text();
                panic!("task {task} is {status}, not {}: {why}\n{}\n{}", states.join(" or "), self.jobs_of(task), self.log());
            }
            thread::sleep(LOOK);
        }
    }

    /// The jobs of a task, for messages and for ids.
    pub fn job_ids(&self, task: i64) -> Vec<i64> {
        let data = self.get(&format!("/api/v1/task/get_job_ids?task_id={task}")).data();
        data.as_array().unwrap().iter().filter_map(Value::as_i64).collect()
    }

    /// Descriptions of jobs.
    pub fn jobs(&self, ids: &[i64]) -> Vec<Value> {
        let data = self.post("/api/v1/job/get_description_incl_archive", &json!({ "job_ids": ids })).data();
        data.as_array().unwrap().clone()
    }

    fn jobs_of(&self, task: i64) -> String {
        let ids = self.job_ids(task);
        let brief = |job: &Value| {
            let keys = ["PandaID", "jobStatus", "pilotErrorCode", "pilotErrorDiag", "taskBufferErrorDiag", "exeErrorDiag", "transExitCode"];
            let texts: Vec<String> = keys.iter().map(|key| format!("{key}={}", job[*key])).collect();
            texts.join(" ")
        };
        self.jobs(&ids[..ids.len().min(20)]).iter().map(brief).collect::<Vec<_>>().join("\n")
    }

    /// Fetches a task's outputs by `panda download` and tells names and contents, in the order of names.
    pub fn outputs(&self, task: i64) -> Vec<(String, Vec<u8>)> {
        let to = self.dir(&format!("fetched-{task}"));
        self.panda(&["download", &task.to_string(), "--to", to.to_str().unwrap()]).exits(0);
        let mut files: Vec<(String, Vec<u8>)> = fs::read_dir(&to)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read(&path).unwrap()))
            .collect();
        files.sort();
        files
    }
}

impl Drop for System {
    fn drop(&mut self) {
        self.end();
        if !thread::panicking() {
            let wrong = block_on(async {
                let store = Store::open(&self.database_url, false).await.unwrap();
                let wrong = broken_histories(&store).await.unwrap();
                store.close().await;
                wrong
            });
            assert!(wrong.is_empty(), "{wrong:?}");
        }
        if thread::panicking() && env::var_os("PANDA_TEST_KEEP").is_some() {
            let kept = self.folder.path().with_extension("kept");
            let _ = fs::rename(self.folder.path(), &kept);
            eprintln!("kept in {}", kept.display());
        }
    }
}

/// Writes files below a folder; what begins with `#!` is made executable.
pub fn files(folder: &Path, files: &[(&str, &str)]) {
    use std::os::unix::fs::PermissionsExt as _;
    for (name, text) in files {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        if text.starts_with("#!") {
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
    }
}

/// Every regular file below a folder, in order.
pub fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for path in entries.map(|entry| entry.unwrap().path()) {
            if path.is_dir() && !path.is_symlink() {
                folders.push(path);
            } else {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}
