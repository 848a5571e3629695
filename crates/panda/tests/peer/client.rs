//! The unmodified official client against `panda up` on each database: what is submitted, what it prints, what lies on disk at the end.
//!
//! One system a database runs the whole list: everything is submitted first and looked at afterwards, so that tasks run side by side.

use std::time::Duration;

use panda_store::testing::Backend;
use serde_json::Value;

use crate::harness::{Done, Plan, System, files, files_below};
use crate::http;

/// How long a task of a few small jobs may take on a machine that does other things, too.
pub const LIMIT: Duration = Duration::from_secs(120);

#[test]
fn peer_sqlite_client() {
    suite(Backend::Sqlite);
}

#[test]
fn peer_postgres_client() {
    suite(Backend::Postgres);
}

#[test]
fn peer_mariadb_client() {
    suite(Backend::Mysql);
}

/// What is looked at when a task has run.
type Look = Box<dyn FnOnce(&System)>;

fn suite(backend: Backend) {
    let mut system = System::start(backend, Plan { config: "[worker]\nslots = 4\n".to_owned(), ..Plan::default() });
    datasets(&system);
    let looks: Vec<Look> = vec![
        no_build(&system),
        build(&system),
        input(&system),
        few_files(&system),
        several_outputs(&system),
        merged_by_a_script(&system),
        merged_as_archive(&system),
        secondary_input(&system),
        given_paths(&system),
        events(&system),
        bulk(&system),
        container(&system),
        hyper_parameters(&system),
        job_without_task(&system),
    ];
    refusals(&system);
    for look in looks {
        look(&system);
    }
    let settings = system.client_env();
    system.end();
    let args = ["prun", "--exec", "true", "--outDS", "user.alice.nobody", "--noBuild"];
    system.client_with(&settings, &system.dir("work-nobody"), &args).exits(50);
}

/// The id in what a submitting program printed; the message ends with the address of the task's page, which must be there.
#[track_caller]
pub fn submitted(system: &System, done: &Done) -> i64 {
    assert_eq!(done.code, 0, "\n-- stdout\n{}\n-- stderr\n{}", done.out, done.err);
    let after = done.out.split("jediTaskID=").nth(1).unwrap_or_else(|| panic!("no task id in\n{}\n{}", done.out, done.err));
    let id: String = after.chars().take_while(char::is_ascii_digit).collect();
    let message = done.out.lines().find(|line| line.contains("jediTaskID=")).unwrap_or_default();
    assert!(message.starts_with("INFO : succeeded. new jediTaskID="), "{message}");
    let page = message.split_whitespace().last().unwrap_or_default();
    let path = page.strip_prefix(&system.url()).unwrap_or_else(|| panic!("`{page}` is no page of {}", system.url()));
    let shown = http::call(system.address(), "GET", path, &[], b"");
    assert!(shown.status == 200 && shown.text().contains(&id), "{} {path}: {}", shown.status, shown.text());
    id.parse().unwrap()
}

/// Runs `prun` in a new folder with these files.
#[track_caller]
pub fn prun(system: &System, name: &str, sandbox: &[(&str, &str)], args: &[&str]) -> i64 {
    let folder = system.dir(&format!("work-{name}"));
    files(&folder, sandbox);
    let dataset = format!("user.alice.{name}");
    let done = system.client(&folder, &[&["prun", "--outDS", &dataset], args].concat());
    submitted(system, &done)
}

/// Contents of a task's outputs, in the order of names, as texts.
pub fn texts(system: &System, task: i64) -> Vec<String> {
    system.outputs(task).into_iter().map(|(_, bytes)| String::from_utf8(bytes).unwrap()).collect()
}

/// Prints the files of `%IN` one after the other.
const CAT: &str = "#!/bin/sh\nfor file in $(echo \"$1\" | tr , ' '); do cat \"$file\" || exit 9; done > out.txt\n";

fn datasets(system: &System) {
    let folder = system.dir("input");
    for n in 1..=5 {
        files(&folder, &[(&format!("user.bob.f{n}.txt"), &format!("line of file {n}\n"))]);
    }
    system.panda(&["dataset", "add", "user.bob.in", "--dir", folder.to_str().unwrap()]).exits(0).says("5 files");
    let second = system.dir("second");
    files(&second, &[("user.bob.s1.txt", "second 1\n"), ("user.bob.s2.txt", "second 2\n")]);
    system.panda(&["dataset", "add", "user.bob.second", "--dir", second.to_str().unwrap()]).exits(0);
}

fn no_build(system: &System) -> Look {
    let args = ["--exec", "echo hello %RNDM:100 > out.txt", "--nJobs", "3", "--noBuild", "--outputs", "out.txt"];
    let task = prun(system, "nobuild", &[("note.txt", "not needed\n")], &args);
    Box::new(move |system| {
        system.wait(task, &["done"], LIMIT);
        let outputs = system.outputs(task);
        let names: Vec<&str> = outputs.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, (1..=3).map(|n| format!("user.alice.{task}._{n:06}.out.txt")).collect::<Vec<_>>());
        assert_eq!(texts(system, task), ["hello 101\n", "hello 102\n", "hello 103\n"]);
        // what came out goes into the next task under its name
        let args = ["--inDS", "user.alice.nobuild_out.txt/", "--noBuild", "--exec", "./cat.sh %IN", "--outputs", "out.txt"];
        let next = prun(system, "next", &[("cat.sh", CAT)], &args);
        system.wait(next, &["done"], LIMIT);
        assert_eq!(texts(system, next), ["hello 101\nhello 102\nhello 103\n"]);
    })
}

fn build(system: &System) -> Look {
    let make =
        "#!/bin/sh\nmkdir -p bin && printf '#!/bin/sh\\necho built for %s \"$1\"\\n' \"$(cat who)\" > bin/tool && chmod +x bin/tool\n";
    let args = ["--bexec", "./make.sh", "--exec", "bin/tool %RNDM:10 > out.txt", "--nJobs", "2", "--outputs", "out.txt"];
    let task = prun(system, "build", &[("make.sh", make), ("who", "alice")], &args);
    Box::new(move |system| {
        system.wait(task, &["done"], LIMIT);
        assert_eq!(texts(system, task), ["built for alice 11\n", "built for alice 12\n"]);
    })
}

fn input(system: &System) -> Look {
    let args = ["--inDS", "user.bob.in", "--nFilesPerJob", "2", "--noBuild", "--exec", "./cat.sh %IN", "--outputs", "out.txt"];
    let task = prun(system, "input", &[("cat.sh", CAT)], &args);
    Box::new(move |system| {
        system.wait(task, &["done"], LIMIT);
        let expected =
            ["line of file 1\nline of file 2\n", "line of file 3\nline of file 4\n", "line of file 5\n"].map(str::to_owned).to_vec();
        let mut found = texts(system, task);
        found.sort();
        assert_eq!(found, expected);
    })
}

fn few_files(system: &System) -> Look {
    let args =
        ["--inDS", "user.bob.in", "--nFilesPerJob", "1", "--nFiles", "3", "--noBuild", "--exec", "./cat.sh %IN", "--outputs", "out.txt"];
    let task = prun(system, "fewfiles", &[("cat.sh", CAT)], &args);
    Box::new(move |system| {
        system.wait(task, &["done"], LIMIT);
        let mut found = texts(system, task);
        found.sort();
        assert_eq!(found, ["line of file 1\n", "line of file 2\n", "line of file 3\n"]);
    })
}

fn secondary_input(system: &System) -> Look {
    let args = ["--inDS", "user.bob.in", "--nFilesPerJob", "2", "--secondaryDSs", "IN2:1:user.bob.second", "--match", "*.f[1-4].txt"];
    let more = ["--noBuild", "--exec", "./cat.sh %IN,%IN2", "--outputs", "out.txt"];
    let task = prun(system, "secondary", &[("cat.sh", CAT)], &[&args[..], &more[..]].concat());
    Box::new(move |system| {
        system.wait(task, &["done"], LIMIT);
        let lines = |from: u8, second: u8| format!("line of file {from}\nline of file {}\nsecond {second}\n", from + 1);
        let mut found = texts(system, task);
        found.sort();
        assert_eq!(found, [lines(1, 1), lines(3, 2)]);
    })
}

fn given_paths(system: &System) -> Look {
    let input = system.dir("input");
    let list: Vec<String> = [2, 4].iter().map(|n| input.join(format!("user.bob.f{n}.txt")).display().to_string()).collect();
    let args =
        ["--pfnList", "list", "--site", "local", "--nFilesPerJob", "1", "--noBuild", "--exec", "cat %IN > out.txt", "--outputs", "out.txt"];
    let task = prun(system, "paths", &[("list", &list.join("\n"))], &args);
    Box::new(move |system| {
        system.wait(task, &["done"], LIMIT);
        let mut found = texts(system, task);
        found.sort();
        assert_eq!(found, ["line of file 2\n", "line of file 4\n"]);
    })
}

fn events(system: &System) -> Look {
    let args = ["--inDS", "user.bob.in", "--nFiles", "2", "--nEventsPerFile", "20", "--nEventsPerJob", "10", "--noBuild"];
    let more = ["--exec", "echo %IN from %SKIPEVENTS take %MAXEVENTS > out.txt", "--outputs", "out.txt"];
    let task = prun(system, "events", &[], &[&args[..], &more[..]].concat());
    Box::new(move |system| {
        system.wait(task, &["done"], LIMIT);
        let mut found = texts(system, task);
        found.sort();
        let expected = |file: u8, skip: u8| format!("user.bob.f{file}.txt from {skip} take 10\n");
        assert_eq!(found, [expected(1, 0), expected(1, 10), expected(2, 0), expected(2, 10)]);
    })
}

fn bulk(system: &System) -> Look {
    let folder = system.dir("work-bulk");
    let tasks = r#"[{"inDS": "user.bob.in", "outDS": "user.alice.bulk1"}, {"inDS": "user.bob.second", "outDS": "user.alice.bulk2"}]"#;
    files(&folder, &[("io.json", tasks)]);
    let args = ["--inOutDsJson", "io.json", "--noBuild", "--exec", "echo %DATASET_IN %BULKSEQNUMBER > o.txt", "--outputs", "o.txt"];
    let done = system.client(&folder, &[&["prun"], &args[..]].concat()).exits(0);
    let ids: Vec<i64> = done.out.split("new jediTaskID=").skip(1).filter_map(|rest| rest.split_whitespace().next()?.parse().ok()).collect();
    assert_eq!(ids.len(), 2, "{done:?}");
    Box::new(move |system| {
        for (task, dataset) in ids.into_iter().zip(["user.bob.in", "user.bob.second"]) {
            system.wait(task, &["done"], LIMIT);
            assert!(texts(system, task).iter().all(|text| text.starts_with(dataset)), "{:?}", texts(system, task));
        }
    })
}

/// Writes two files and two that match a pattern.
const SEVERAL: &str = "#!/bin/sh\necho \"text $1\" > a.txt\nprintf '\\000\\001\\377' > b.dat\necho one > h1.part\necho two > h2.part\n";

fn several_outputs(system: &System) -> Look {
    let args = ["--exec", "./several.sh %RNDM:0", "--nJobs", "2", "--noBuild", "--outputs", "a.txt,BIN:b.dat,h*.part"];
    let task = prun(system, "several", &[("several.sh", SEVERAL)], &args);
    Box::new(move |system| {
        system.wait(task, &["done"], LIMIT);
        let outputs = system.outputs(task);
        assert_eq!(outputs.len(), 6, "{:?}", outputs.iter().map(|(name, _)| name).collect::<Vec<_>>());
        for n in 1..=2 {
            let of = |end: &str| {
                let name = format!("user.alice.{task}._{n:06}.{end}");
                outputs.iter().find(|(found, _)| *found == name).unwrap_or_else(|| panic!("no {name}")).1.clone()
            };
            assert_eq!(of("a.txt"), format!("text {n}\n").as_bytes());
            assert_eq!(of("b.dat"), [0, 1, 255]);
            let mut parts = members(&of("hXYZ.part.tgz"));
            parts.sort();
            assert_eq!(parts, [("h1.part".to_owned(), "one\n".to_owned()), ("h2.part".to_owned(), "two\n".to_owned())]);
        }
    })
}

fn merged_by_a_script(system: &System) -> Look {
    let join = "#!/bin/sh\n# -o OUT IN IN ...\nout=$2; shift 2; cat \"$@\" > \"$out\"\n";
    let args = ["--exec", "echo part %RNDM:0 > a.txt", "--nJobs", "3", "--noBuild", "--outputs", "a.txt", "--mergeOutput"];
    let args = [&args[..], &["--mergeScript", "./join.sh"]].concat();
    let task = prun(system, "joined", &[("join.sh", join)], &args);
    Box::new(move |system| {
        system.wait(task, &["done"], LIMIT);
        let found = texts(system, task);
        let mut lines: Vec<&str> = found.iter().flat_map(|text| text.lines()).collect();
        lines.sort_unstable();
        assert_eq!((found.len(), lines), (1, vec!["part 1", "part 2", "part 3"]));
    })
}

fn merged_as_archive(system: &System) -> Look {
    let args = ["--exec", "./several.sh %RNDM:0", "--nJobs", "2", "--noBuild", "--outputs", "a.txt,BIN:b.dat", "--mergeOutput"];
    let task = prun(system, "archived", &[("several.sh", SEVERAL)], &args);
    Box::new(move |system| {
        system.wait(task, &["done"], LIMIT);
        let outputs = system.outputs(task);
        assert_eq!(outputs.len(), 2, "{:?}", outputs.iter().map(|(name, _)| name).collect::<Vec<_>>());
        let text = outputs.iter().find(|(name, _)| name.ends_with(".a.txt")).unwrap();
        let mut contents: Vec<String> = members(&text.1).into_iter().map(|(_, text)| text).collect();
        contents.sort();
        assert_eq!(contents, ["text 1\n", "text 2\n"], "text is merged into an archive of the inputs");
    })
}

/// Names and texts in a gzipped tar.
fn members(archive: &[u8]) -> Vec<(String, String)> {
    use std::io::Read as _;
    let mut tar = tar::Archive::new(flate2::read::GzDecoder::new(archive));
    let entries = tar.entries().unwrap().map(Result::unwrap);
    let files = entries.filter(|entry| entry.header().entry_type().is_file());
    files
        .map(|mut entry| {
            let name = entry.path().unwrap().file_name().unwrap().to_string_lossy().into_owned();
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            (name, text)
        })
        .collect()
}

fn container(system: &System) -> Look {
    let folder = system.dir("work-container");
    let args =
        ["--containerImage", "docker://busybox", "--exec", "echo hi > o.txt", "--outDS", "user.alice.container", "--outputs", "o.txt"];
    let done = system.client(&folder, &[&["pcontainer"], &args[..]].concat());
    runs_or_is_refused(system, &done, &["hi\n"])
}

fn hyper_parameters(system: &System) -> Look {
    let folder = system.dir("work-hpo");
    let space = r#"{"x": {"method": "uniform", "dimension": {"low": 0, "high": 1}}}"#;
    files(&folder, &[("eval.py", "print(1)\n"), ("s.json", space)]);
    let args = ["--outDS", "user.alice.hpo", "--evaluationContainer", "docker://busybox", "--evaluationExec", "python eval.py %RNDM:0"];
    let more = ["--steeringExec", "run --rm img gen", "--maxPoints", "4", "--nParallelEvaluation", "2", "--evaluationMetrics", "m.tgz"];
    let last = ["--trainingDS", "user.bob.in", "--searchSpaceFile", "s.json"];
    let done = system.client(&folder, &[&["phpo"], &args[..], &more[..], &last[..]].concat());
    runs_or_is_refused(system, &done, &[])
}

/// A task with a container: where no queue has any, submission says so.
fn runs_or_is_refused(system: &System, done: &Done, outputs: &'static [&'static str]) -> Look {
    // `phpo` ends with 0 all the same.
    if done.out.contains("task submission failed") {
        let why =
            "failed to register task: no queue of 1 can take it: 1 without containers (local); without a container: 1 more queue (local)";
        assert!(done.out.contains(why), "{done:?}");
        return Box::new(|_| ());
    }
    let task = submitted(system, done);
    Box::new(move |system| runs_or_says_why(system, task, outputs))
}

/// A task for which a machine may lack something: it is done with these outputs, or it waits or ended with a reason in words.
fn runs_or_says_why(system: &System, task: i64, outputs: &[&str]) {
    let status = system.wait(task, &["done", "pending", "failed", "exhausted"], LIMIT);
    if status == "done" {
        assert_eq!(texts(system, task), outputs);
        return;
    }
    let why = system.get(&format!("/api/panda/v1/task/why?task_id={task}")).data();
    let reasons: Vec<&str> = why["because"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    eprintln!("task {task} is {status}: {reasons:?}");
    let named = ["contain", "image", "runHPO", "hyper"].iter().any(|word| reasons.iter().any(|reason| reason.contains(word)));
    assert!(named, "task {task} is {status} without a reason that helps: {why}");
}

fn job_without_task(system: &System) -> Look {
    let code = r#"
from pandaclient import Client
from pandaclient.JobSpec import JobSpec
from pandaclient.FileSpec import FileSpec
job = JobSpec()
job.jobDefinitionID = 1
job.jobName = "user.alice.direct"
job.prodSourceLabel = "user"
job.transformation = "SERVER/trf/user/runGen-00-00-02"
job.jobParameters = "-j \"\" -r . -p \"echo%20direct%20%3E%20out.txt\" -o \"{'out.txt': 'user.alice.direct.out.txt'}\""
job.destinationDBlock = "user.alice.direct"
for name, kind in (("user.alice.direct.out.txt", "output"), ("user.alice.direct.log.tgz", "log")):
    file = FileSpec()
    file.lfn, file.type = name, kind
    file.dataset = file.destinationDBlock = "user.alice.direct"
    job.addFile(file)
code, answer = Client.submitJobs([job])
assert code == 0, (code, answer)
print("PandaID", answer[0][0])
code, jobs = Client.getJobStatus([answer[0][0]])
assert code == 0 and jobs[0].PandaID == answer[0][0], (code, jobs)
"#;
    let done = system.python(&system.dir("work-direct"), &code.replace("SERVER", &system.url())).exits(0);
    let id = done.out.split("PandaID ").nth(1).and_then(|rest| rest.trim().parse::<i64>().ok());
    let id = id.unwrap_or_else(|| panic!("{done:?}"));
    Box::new(move |system| job_ran(system, id))
}

fn job_ran(system: &System, id: i64) {
    let end = std::time::Instant::now() + LIMIT;
    loop {
        let job = system.jobs(&[id]).remove(0);
        let status = job["jobStatus"].as_str().unwrap().to_owned();
        match status.as_str() {
            "finished" => break,
            "failed" | "cancelled" | "closed" => panic!("job {id} is {status}: {job}"),
            _ if std::time::Instant::now() > end => panic!("job {id} is {status}: {job}\n{}", system.log()),
            _ => std::thread::sleep(crate::harness::LOOK),
        }
    }
    let stored = files_below(&system.data().join("storage"));
    let named = |name: &str| stored.iter().find(|path| path.ends_with(name)).unwrap_or_else(|| panic!("no {name} among {stored:?}"));
    assert_eq!(std::fs::read_to_string(named("user.alice.direct.out.txt")).unwrap(), "direct\n");
    assert!(named("user.alice.direct.log.tgz").starts_with(system.data().join("storage")));
}

/// What the client tells of refusals: exit codes and texts as recorded.
fn refusals(system: &System) {
    let folder = system.dir("work-refusals");
    let prun = |args: &[&str]| system.client(&folder, &[&["prun"], args].concat());
    prun(&[]).exits(10);
    prun(&["--exec", "true", "--outDS", "user.bob.notmine", "--noBuild"]).exits(10);
    let stranger = format!("{}\nPANDA_AUTH_ID_TOKEN=${{PANDA_AUTH_ID_TOKEN%?????}}AAAAA", system.client_env());
    let args = ["prun", "--exec", "true", "--outDS", "user.alice.stranger", "--noBuild"];
    let refused = system.client_with(&stranger, &folder, &args).exits(50);
    assert!(format!("{}{}", refused.out, refused.err).contains("Token authentication failed"), "{refused:?}");
    let twice = ["--exec", "sleep 600", "--outDS", "user.alice.twice", "--noBuild"];
    let running = submitted(system, &prun(&twice));
    // the same files again: the client finds them on the server and sends nothing
    let sandboxes = || files_below(&system.data().join("cache")).len();
    let before = sandboxes();
    let again = prun(&twice).exits(90);
    let said = format!("{}{}", again.out, again.err);
    assert!(said.contains(&format!("jediTaskID={running} is ")) && said.contains("user.alice.twice"), "{said}");
    assert_eq!(sandboxes(), before, "a sandbox was sent twice");
    let unknown = prun(&["--exec", "true", "--outDS", "user.alice.nosuchinput", "--noBuild", "--inDS", "user.bob.nothing"]);
    let task = submitted(system, &unknown);
    system.wait(task, &["pending"], LIMIT);
    let why = system.get(&format!("/api/panda/v1/task/why?task_id={task}")).text();
    assert!(why.contains("user.bob.nothing"), "{why}");
}
