//! Plug-ins as child processes (`python3`): a real task over data that only one knows, what becomes of tasks and of the API when it breaks in every
//! way, and the other kinds.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    http,
    program::{Program, Up},
};

/// How long anything may take on a slow machine.
const LONG: Duration = Duration::from_secs(120);

/// A system whose data is kept by a child that does as it is told.
struct World {
    program: Program,
    up: Up,
    rse: String,
}

impl World {
    fn new() -> Self {
        let program = Program::new();
        let at = |path: &str| Path::new(env!("CARGO_MANIFEST_DIR")).join(path).display().to_string();
        let home = |name: &str| program.home.path().join(name).display().to_string();
        std::fs::write(home("mode"), "good").unwrap();
        std::fs::write(home("catalogue.json"), "{}").unwrap();
        let args = [
            at("tests/panda/wayward.py"),
            home("mode"),
            home("pid"),
            at("../../examples/plugin/data_management.py"),
            home("catalogue.json"),
        ];
        let text = format!(
            "[engine]\nperiod_s = 1\n[plugin.keeper]\nkind = \"data\"\ncommand = \"python3\"\nargs = {}\ndeadline_s = 3\n",
            json!(args)
        );
        let config = program.write("panda.toml", &text).display().to_string();
        let up = Up::start(&program, &["--config", &config]);
        let list: Value = serde_json::from_str(&program.ok(&["--json", "storage", "list"])).unwrap();
        let rse = list["endpoints"][0]["name"].as_str().unwrap().to_owned();
        program.ok(&["setting", "set", "plugin.data", "keeper"]);
        program.ok(&["setting", "set", "plugin.retry_s", "1"]);
        program.ok(&["setting", "set", "plugin.retry_most_s", "2"]);
        let doctor = program.run(&["--config", &config, "doctor"]);
        assert!(doctor.code == 0 && doctor.out.contains("data plug-in `keeper` starts and answers"), "{}{}", doctor.out, doctor.err);
        Self { program, up, rse }
    }
    fn catalogue(&self) -> Value {
        serde_json::from_str(&std::fs::read_to_string(self.file("catalogue.json")).unwrap()).unwrap()
    }
    fn file(&self, name: &str) -> PathBuf {
        self.program.home.path().join(name)
    }
    fn mode(&self, mode: &str) {
        std::fs::write(self.file("mode.part"), mode).unwrap();
        std::fs::rename(self.file("mode.part"), self.file("mode")).unwrap();
    }
    /// A data set that only the child knows, of two files of this machine.
    fn dataset(&self, name: &str) {
        let files: Vec<Value> = ["a", "b"]
            .into_iter()
            .map(|lfn| {
                let lfn = format!("{name}.{lfn}.txt");
                let path = self.program.write(&format!("far/{lfn}"), &format!("{lfn}\n"));
                json!({"lfn": lfn, "size_bytes": lfn.len() + 1, "replicas": [{"rse": self.rse, "pfn": path}]})
            })
            .collect();
        let mut all = self.catalogue();
        all["datasets"][format!("exp:{name}")] = json!({"files": files});
        std::fs::write(self.file("catalogue.part"), all.to_string()).unwrap();
        std::fs::rename(self.file("catalogue.part"), self.file("catalogue.json")).unwrap();
    }
    /// Submits a task that joins the files of a data set.
    fn submit(&self, dataset: &str, name: &str) -> String {
        let input = format!("exp:{dataset}");
        let line = ["--json", "submit", "--in", &input, "--files-per-job", "2", "--name", name, "--out", "all.txt", "--"];
        let said = self.program.ok(&[&line[..], &["cat $(echo %IN | tr , ' ') > all.txt"]].concat());
        said.split(|c: char| !c.is_ascii_digit()).find(|word| word.len() >= 8).unwrap_or_else(|| panic!("{said}")).to_owned()
    }
    fn why(&self, id: &str) -> String {
        self.program.ok(&["why", id])
    }
    /// Waits until `why` has these words; every command answers meanwhile.
    fn until(&self, id: &str, words: &str) -> String {
        let begun = Instant::now();
        loop {
            let said = self.why(id);
            if said.contains(words) {
                return said;
            }
            self.program.ok(&["tasks"]);
            self.program.ok(&["queue", "list"]);
            assert!(begun.elapsed() < LONG, "no `{words}` in: {said}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }
    fn done(&self, id: &str) {
        let done = self.program.run(&["status", id, "--wait", "--timeout", "120s"]);
        assert_eq!(done.code, 0, "{}{}{}", done.out, done.err, self.why(id));
    }
    /// Ends the child that runs now with SIGKILL.
    fn kill(&self) {
        let pid = std::fs::read_to_string(self.file("pid")).unwrap().parse().unwrap();
        rustix::process::kill_process(rustix::process::Pid::from_raw(pid).unwrap(), rustix::process::Signal::KILL).unwrap();
    }
}

/// Calls the API all the time; each call must be answered.
struct Caller {
    stop: Arc<AtomicBool>,
    calls: Arc<AtomicUsize>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Caller {
    fn start(url: &str) -> Self {
        let to: SocketAddr = url.strip_prefix("http://").unwrap().parse().unwrap();
        let (stop, calls) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (stopped, count) = (stop.clone(), calls.clone());
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::SeqCst) {
                let answer = http::call(to, "GET", "/api/v1/system/is_alive", &[], b"");
                assert_eq!(answer.json()["success"], true);
                count.fetch_add(1, Ordering::SeqCst);
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        Self { stop, calls, thread: Some(thread) }
    }
    fn end(mut self) -> usize {
        self.stop.store(true, Ordering::SeqCst);
        self.thread.take().unwrap().join().expect("every call is answered");
        self.calls.load(Ordering::SeqCst)
    }
}

#[test]
fn a_task_runs_on_data_that_only_a_plug_in_knows() {
    let w = World::new();
    w.dataset("raw");
    let id = w.submit("raw", "user.jane.first");
    w.done(&id);
    w.program.ok(&["download", &id, "--to", "results"]);
    let results: Vec<_> = std::fs::read_dir(w.file("here/results")).unwrap().map(|e| e.unwrap().path()).collect();
    let texts: Vec<String> = results.iter().map(|path| std::fs::read_to_string(path).unwrap()).collect();
    assert!(texts.contains(&"raw.a.txt\nraw.b.txt\n".to_owned()), "{texts:?}");
    // The output is registered with the plug-in, where it lies.
    let said = w.until(&id, "with data plug-in `keeper` was done at");
    assert!(said.contains("the registration of output data set user.jane:user.jane.first"), "{said}");
    let all = w.catalogue();
    let (_, output) = all["datasets"].as_object().unwrap().iter().find(|(name, _)| name.ends_with("_all.txt")).unwrap();
    let file = &output["files"][0];
    assert_eq!((file["size_bytes"].as_u64(), file["replicas"][0]["rse"].as_str()), (Some(20), Some(w.rse.as_str())));
    let path = file["replicas"][0]["pfn"].as_str().unwrap().strip_prefix("file://localhost").unwrap();
    assert_eq!(std::fs::read_to_string(path).unwrap(), "raw.a.txt\nraw.b.txt\n");
    // What nobody knows is told by name.
    let none = w.submit("nothing", "user.jane.none");
    w.until(&none, "data plug-in `keeper` says: there is no data set exp:nothing");
    w.program.ok(&["kill", &none]);
    w.up.stop();
}

#[test]
fn a_plug_in_that_breaks_in_every_way_holds_its_tasks_and_nothing_else() {
    let w = World::new();
    let caller = Caller::start(&w.up.url);
    // It runs.
    w.dataset("whole");
    let id = w.submit("whole", "user.jane.whole");
    w.done(&id);
    for (n, (mode, words)) in [
        ("exit at start", "crashed: its process ended (exit status: 7)"),
        ("exit in the middle", "crashed: its process ended (exit status: 3)"),
        ("hang", "no answer to data.resolve in time"),
        ("nonsense", "nonsense: `Traceback (most recent call last):` is no answer"),
        ("wrong id", "nonsense: an answer with id 4711, which no call has"),
        ("huge line", "nonsense: a line of more than 4194304 bytes"),
        ("hang for a kill", "crashed: its process ended (signal: 9 (SIGKILL))"),
    ]
    .into_iter()
    .enumerate()
    {
        let dataset = format!("raw{n}");
        w.dataset(&dataset);
        w.mode(mode);
        if mode == "exit at start" {
            w.kill();
        }
        let id = w.submit(&dataset, &format!("user.jane.t{n}"));
        if mode == "hang for a kill" {
            w.until(&id, "data plug-in `keeper` is asked for data set exp:raw6");
            w.kill();
        }
        let said = w.until(&id, words);
        assert!(said.contains("data plug-in `keeper`") && said.contains("pending"), "{mode}: {said}");
        w.mode("good");
        w.done(&id);
    }
    // It breaks when outputs are to be registered: the task is done, and what is left to do is told until it is done.
    w.mode("exit in the middle");
    let id = w.submit("whole", "user.jane.again");
    w.done(&id);
    w.until(&id, "is tried again at");
    w.mode("good");
    w.until(&id, "with data plug-in `keeper` was done at");
    assert!(caller.end() > 0);
    // The system ends, and the child with it, whatever the child does.
    w.dataset("last");
    w.mode("hang");
    let id = w.submit("last", "user.jane.last");
    w.until(&id, "data plug-in `keeper` is asked for data set exp:last");
    let pid = std::fs::read_to_string(w.file("pid")).unwrap();
    w.up.stop();
    let gone = || {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // An orphan may stay a zombie where nobody reaps it.
        stat.is_empty() || stat.rsplit(") ").next().is_some_and(|s| s.starts_with('Z'))
    };
    let begun = Instant::now();
    while !gone() {
        assert!(begun.elapsed() < LONG, "process {pid} still runs");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Brokerage, retry and notification by the other example.
#[test]
fn other_plug_ins_decide_as_children() {
    let program = Program::new();
    let home = |name: &str| program.home.path().join(name).display().to_string();
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/plugin/decisions.py");
    let rules = |rules: Value| {
        std::fs::write(home("rules.part"), rules.to_string()).unwrap();
        std::fs::rename(home("rules.part"), home("rules.json")).unwrap();
    };
    let table = |name: &str, kind: &str| {
        let args = json!([example, home("rules.json")]);
        format!("[plugin.{name}]\nkind = \"{kind}\"\ncommand = \"python3\"\nargs = {args}\n")
    };
    let text = [("chooser", "brokerage"), ("judge", "retry"), ("clerk", "naming"), ("crier", "notify")]
        .map(|(name, kind)| table(name, kind))
        .concat();
    let config = program.write("panda.toml", &format!("[engine]\nperiod_s = 1\n{text}")).display().to_string();
    rules(json!({"closed": {"local": "stocktaking"}, "hopeless": [["trans", 65]], "news": home("news.txt")}));
    let up = Up::start(&program, &["--config", &config]);
    for (setting, value) in
        [("plugin.brokerage", "chooser"), ("plugin.retry", "judge"), ("plugin.naming", "clerk"), ("plugin.notify", "crier")]
    {
        program.ok(&["setting", "set", setting, value]);
    }
    let until = |id: &str, words: &str| {
        let begun = Instant::now();
        loop {
            let said = program.ok(&["why", id]);
            if said.contains(words) {
                return said;
            }
            assert!(begun.elapsed() < LONG, "no `{words}` in: {said}");
            std::thread::sleep(Duration::from_millis(100));
        }
    };
    let submit = |name: &str, command: &str| {
        let said = program.ok(&["--json", "submit", "--name", name, "--attempts", "3", "--", command]);
        serde_json::from_str::<Value>(&said).unwrap()["task_id"].to_string()
    };
    let id = submit("user.jane.waits", "exit 65");
    until(&id, "ruled out by brokerage plug-in `chooser`: stocktaking");
    program.ok(&["kill", &id]);
    rules(json!({"hopeless": [["trans", 65]], "prefix": "exp", "news": home("news.txt")}));
    let id = submit("user.jane.bad", "exit 65");
    assert_eq!(program.run(&["status", &id, "--wait", "--timeout", "120s"]).code, 4);
    let jobs: Value = serde_json::from_str(&program.ok(&["--json", "jobs", &id])).unwrap();
    assert_eq!(jobs.as_array().unwrap().len(), 1, "one attempt of three: {jobs}");
    let said = until(&jobs[0]["PandaID"].to_string(), "retry plug-in `judge` says that its inputs are not tried again");
    assert!(said.contains("trans error 65 is hopeless"), "{said}");
    // Outputs, of which the log is one, have the names of the plug-in.
    let id = submit("user.jane.good", "true");
    assert_eq!(program.run(&["status", &id, "--wait", "--timeout", "120s"]).code, 0);
    let outputs = program.ok(&["--json", "outputs", &id]);
    assert!(outputs.contains("\"exp.user.jane.good"), "{outputs}");
    let begun = Instant::now();
    while !std::fs::read_to_string(home("news.txt")).unwrap_or_default().contains("\"to\": \"failed\"") {
        assert!(begun.elapsed() < LONG, "no news");
        std::thread::sleep(Duration::from_millis(100));
    }
    up.stop();
}
