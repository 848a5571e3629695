//! The runners as real processes: the rules of `payload_runners.md` sections 1
//! to 9, above all the differences of 9.2.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A job directory, with a storage directory beside it.
struct Job {
    root: tempfile::TempDir,
    variables: Vec<(&'static str, String)>,
}

impl Job {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        for dir in ["job", "store", "bin"] {
            fs::create_dir(root.path().join(dir)).unwrap();
        }
        Self { root, variables: Vec::new() }
    }

    fn dir(&self) -> PathBuf {
        self.root.path().join("job")
    }

    fn store(&self) -> PathBuf {
        self.root.path().join("store")
    }

    /// An input as the mv copy tool leaves it: a link into the storage.
    fn input(&self, name: &str, text: impl AsRef<[u8]>) {
        fs::write(self.store().join(name), text).unwrap();
        symlink(self.store().join(name), self.dir().join(name)).unwrap();
    }

    fn stored(&self, name: &str) -> String {
        let path = self.store().join(name);
        assert!(path.symlink_metadata().unwrap().is_file());
        fs::read_to_string(path).unwrap()
    }

    /// Starts the program under a script name, as a pilot does.
    fn run(&self, name: &str, args: &[&str]) -> Output {
        let program = self.root.path().join("bin").join(name);
        if !program.exists() {
            symlink(env!("CARGO_BIN_EXE_panda-pilot"), &program).unwrap();
        }
        let mut command = Command::new(program);
        command.args(args).current_dir(self.dir()).env_remove("PANDA_SERVER_URL").env_remove("PAYLOAD_INPUT_DIR");
        for (name, value) in &self.variables {
            command.env(name, value);
        }
        command.output().unwrap()
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.dir().join(name)).unwrap()
    }

    fn names(&self) -> BTreeSet<String> {
        fs::read_dir(self.dir()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    /// Report code and diagnosis.
    fn report(&self) -> (i64, String) {
        let report: serde_json::Value = serde_json::from_str(&self.read("payload_error_report.json")).unwrap();
        (report["error_code"].as_i64().unwrap(), report["error_diag"].as_str().unwrap().to_owned())
    }
}

/// Copies a program by a process of its own: a descriptor of this one, open for
/// writing, could be inherited by a child of another test and make the program
/// "busy".
fn place_program(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg("-p").arg(from).arg(to).status().unwrap().success());
    fs::set_permissions(to, PermissionsExt::from_mode(0o755)).unwrap();
}

/// Writes a small program.
fn write_program(path: &Path, text: &str) {
    let source = path.with_extension("source");
    fs::write(&source, text).unwrap();
    place_program(&source, path);
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A gzipped tar of `(name, text)`.
fn archive(files: &[(&str, &str)]) -> Vec<u8> {
    let gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    let mut tar = tar::Builder::new(gz);
    for (name, text) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        tar.append_data(&mut header, name, text.as_bytes()).unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap()
}

fn members(path: &Path) -> BTreeSet<String> {
    let file = flate2::read::GzDecoder::new(fs::File::open(path).unwrap());
    tar::Archive::new(file).entries().unwrap().map(|entry| entry.unwrap().path().unwrap().display().to_string()).collect()
}

/// Serves one body under every path.
fn serve(body: Vec<u8>, status: &'static str) -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).unwrap();
            let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            stream.write_all(head.as_bytes()).unwrap();
            stream.write_all(&body).unwrap();
        }
    });
    url
}

const GEN: &str = "runGen-00-00-02";

#[test]
fn the_recorded_no_build_job_runs() {
    let job = Job::new();
    let url = serve(archive(&[("run.sh", "echo from the sandbox > o.txt")]), "200 OK");
    let args = [
        "-j",
        "",
        "--sourceURL",
        &url,
        "-r",
        ".",
        "-a",
        "jobO.1.tar.gz",
        "-o",
        "{'o.txt': 'user.a.1._000001.o.txt'}",
        "-p",
        "sh%20run.sh%3B%20echo%20hello%20101",
    ];
    let output = job.run(GEN, &args);
    assert_eq!((code(&output), stdout(&output).as_str(), stderr(&output).as_str()), (0, "hello 101\n", ""));
    assert_eq!(job.read("user.a.1._000001.o.txt"), "from the sandbox\n");
    // Nothing but the job's own files stays.
    assert_eq!(job.names(), BTreeSet::from(["user.a.1._000001.o.txt".to_owned()]));
}

#[test]
fn the_payload_status_passes_through() {
    for (command, status, diag) in [
        ("exit%203", 3, "payload exited with status 3"),
        ("exit%20255", 254, "payload exited with status 254"),
        ("kill%20-9%20%24%24", 137, "payload exited with status 137 (signal 9)"),
    ] {
        let job = Job::new();
        let output = job.run(GEN, &["-j", "", "-r", ".", "-p", command]);
        assert_eq!(code(&output), status);
        assert_eq!(stderr(&output), format!("ERROR : {diag}\n"));
        assert_eq!(job.report(), (5318, diag.to_owned()));
        assert_eq!(job.names(), BTreeSet::from(["payload_error_report.json".to_owned()]));
    }
}

#[test]
fn output_streams_stay_apart_and_quotes_are_harmless() {
    let job = Job::new();
    let output = job.run(GEN, &["-j", "", "-r", ".", "-p", "echo%20%22out%22%3B%20echo%20err%20%3E%262%3B%20echo%20%22end%22"]);
    assert_eq!(stdout(&output), "out\nend\n");
    assert_eq!(stderr(&output), "err\n");
}

#[test]
fn arguments_are_judged() {
    for (args, diag) in [
        (vec!["-j", "", "-r", "."], "the command (-p) is missing"),
        (vec!["-p", "true", "--nonsense"], "option --nonsense is not known"),
        (vec!["-p", "true", "-o", "output.json"], "the value of -o cannot be read"),
        (vec!["-p", "true", "-r", "../x"], "must lie below the work directory"),
        (vec!["-p", "true", "word"], "the plain word `word`"),
        (vec!["-p", "true", "--preprocess", "--postprocess"], "exclude each other"),
    ] {
        let job = Job::new();
        let output = job.run(GEN, &args);
        assert_eq!(code(&output), 201, "{args:?}");
        assert!(job.report().1.contains(diag), "{:?}", job.report());
        assert_eq!(job.report().0, 5301);
        assert_eq!(stderr(&output).lines().count(), 1);
    }
    let job = Job::new();
    let output = job.run(
        GEN,
        &["-p", "true", "--oldPrefix", "x", "--useMana", "--allowNoOutput=a,b", "--noExpandDBR", "--noTarballDownload", "--mergeOutput"],
    );
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert_eq!(stdout(&output), "runGen: without effect here: --oldPrefix --useMana --mergeOutput\n");
}

#[test]
fn inputs_are_one_word_with_commas() {
    let job = Job::new();
    for name in ["m1", "s1", "s2"] {
        job.input(name, name);
    }
    let args = [
        "-j",
        "",
        "-r",
        "sub",
        "-i",
        "['m1']",
        "--inMap",
        "{'IN': ['m1'], 'IN2': ['s1', 's2']}",
        "--writeInputToTxt",
        "IN2:l.txt",
        "-p",
        "echo%20%25IN%20%25IN2%20%28%25IN%29%20%25CORE_NUMBER%3B%20cat%20m1%20s2%20l.txt",
    ];
    let args: Vec<String> = args.iter().map(|a| a.replace("%28", "%5C%28").replace("%29", "%5C%29")).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let output = job.run(GEN, &args);
    assert_eq!(stdout(&output), "m1 s1,s2 (m1) 1\nm1s2s1,s2", "{}", stderr(&output));
    assert_eq!(job.stored("s2"), "s2");
    assert_eq!(job.names().len(), 3);
}

#[test]
fn core_numbers_come_from_the_environment() {
    let mut job = Job::new();
    job.variables.push(("ATHENA_CORE_NUMBER", "8".to_owned()));
    let output = job.run(GEN, &["-p", "echo%20%25CORE_NUMBER%20%25PROC_NUMBER"]);
    assert_eq!(stdout(&output), "8 1\n");
}

#[test]
fn missing_and_dangling_inputs_stop_the_job() {
    let job = Job::new();
    job.input("a", "a");
    symlink("/nonexistent/b", job.dir().join("b")).unwrap();
    let output = job.run(GEN, &["-i", "['a', 'b', 'c']", "-p", "touch%20ran"]);
    assert_eq!(code(&output), 208);
    assert_eq!(job.report(), (5308, "missing or unreadable input: b, c".to_owned()));
    let output = job.run(GEN, &["-i", "['a']", "--skipInputByRetry", "a", "-p", "true"]);
    assert_eq!(code(&output), 207);
    let output = job.run(GEN, &["-i", "['root://a//b']", "--givenPFN", "-p", "echo%20%25IN"]);
    assert_eq!(stdout(&output), "root://a//b\n");
}

#[test]
fn outputs_are_renamed_packed_and_searched() {
    let job = Job::new();
    job.input("xin.dat", "in");
    let map = r"{'out.root': 'L.out.root', 'h*.root': 'L.hXYZ.root.tgz', 'regex|^x.*\\.dat$': 'regex|^x.*\\.dat$'}";
    let command = "touch%20out.root%20h1.root%20h2.root%20x1.dat%20y.dat";
    let output = job.run(GEN, &["-r", ".", "-i", "['xin.dat']", "-o", map, "-p", command]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let expected = ["L.hXYZ.root.tgz", "L.out.root", "x1.dat", "xin.dat"];
    assert_eq!(job.names(), expected.map(str::to_owned).into());
    assert_eq!(members(&job.dir().join("L.hXYZ.root.tgz")).len(), 2);
}

#[test]
fn missing_outputs_and_patterns_without_a_match() {
    let job = Job::new();
    let map = "{'a': 'L.a', 'b*': 'L.b.tgz', 'c': 'L.c'}";
    let output = job.run(GEN, &["-o", map, "-p", "touch%20c"]);
    assert_eq!(code(&output), 216);
    assert_eq!(job.report(), (5316, "the command did not produce a, b*".to_owned()));
    assert!(job.names().contains("L.c") && !job.names().contains("L.b.tgz"));
    let job = Job::new();
    let output = job.run(GEN, &["-o", map, "--allowNoOutput=L.a,L.b.tgz", "-p", "touch%20c"]);
    assert_eq!(code(&output), 0);
    // Outputs are also moved when the command failed.
    let job = Job::new();
    let output = job.run(GEN, &["-o", map, "-p", "touch%20c%3B%20exit%204"]);
    assert_eq!(code(&output), 4);
    assert!(job.names().contains("L.c"));
}

#[test]
fn real_file_names_need_no_renaming() {
    let job = Job::new();
    let output = job.run(GEN, &["--execWithRealFileNames", "-o", "{'o.txt': 'L.o.txt'}", "-p", "echo%20x%20%3E%20o.txt"]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert_eq!(job.read("L.o.txt"), "x\n");
}

#[test]
fn sandboxes_that_cannot_be_had() {
    let job = Job::new();
    let url = serve(b"gone".to_vec(), "404 Not Found");
    let output = job.run(GEN, &["--sourceURL", &url, "-a", "jobO.1.tar.gz", "-p", "touch%20ran"]);
    assert_eq!((code(&output), job.report().0), (203, 5303));
    assert!(stdout(&output).contains("ERROR: unable to fetch source tarball from web\n"));
    assert!(stderr(&output).starts_with("ERROR : unable to fetch the sandbox jobO.1.tar.gz: "));
    let url = serve(b"no archive".to_vec(), "200 OK");
    let output = job.run(GEN, &["--sourceURL", &url, "-a", "jobO.1.tar.gz", "-p", "touch%20ran"]);
    assert_eq!((code(&output), job.report().0), (209, 5309));
    let output = job.run(GEN, &["-a", "../x.tgz", "--sourceURL", &url, "-p", "true"]);
    assert_eq!(code(&output), 201);
    assert_eq!(job.names().len(), 1);
}

#[test]
fn a_sandbox_in_the_job_directory_is_not_fetched() {
    let mut job = Job::new();
    job.input("jobO.1.tar.gz", archive(&[("f", "x")]));
    let output = job.run(GEN, &["--noTarballDownload", "-a", "jobO.1.tar.gz", "-p", "cat%20f"]);
    assert_eq!(stdout(&output), "x", "{}", stderr(&output));
    let elsewhere = job.root.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    fs::write(elsewhere.join("jobO.2.tar.gz"), archive(&[("f", "y")])).unwrap();
    job.variables.push(("PAYLOAD_INPUT_DIR", elsewhere.display().to_string()));
    let output = job.run(GEN, &["-a", "jobO.2.tar.gz", "-p", "cat%20f"]);
    assert_eq!(stdout(&output), "y");
}

#[test]
fn secrets_are_variables_and_leave_no_trace() {
    let job = Job::new();
    fs::write(job.dir().join("panda_secrets.json"), r#"{"TOKEN": "a b", "___file___:k": "aGk="}"#).unwrap();
    let output = job.run(GEN, &["-p", "echo%20%24TOKEN%3B%20cat%20k%3B%20ls%20.."]);
    assert_eq!(stdout(&output), "a b\nhiworkDir\n");
    assert!(job.names().is_empty());
}

#[test]
fn user_metadata_becomes_the_report() {
    let job = Job::new();
    let command = "echo%20%27%7B%22a%22%3A%201%7D%27%20%3E%20userJobMetadata.json";
    assert_eq!(code(&job.run(GEN, &["-p", command])), 0);
    assert_eq!(job.read("jobReport.json"), r#"{"user_job_metadata":{"a":1},"reportVersion":"1.0.0"}"#);
}

#[test]
fn software_set_ups_are_refused_clearly() {
    for (args, status) in [(vec!["--rootVer", "6.30"], 204), (vec!["--useCMake"], 202), (vec!["--dbrFile", "DBRelease.tgz"], 210)] {
        let job = Job::new();
        let mut all = vec!["-p", "touch%20ran"];
        all.extend(args);
        let output = job.run(GEN, &all);
        assert_eq!(code(&output), status);
        assert!(job.report().1.contains("need"), "{:?}", job.report());
    }
    let job = Job::new();
    job.input("DBRelease.tgz", "db");
    let output = job.run(GEN, &["-p", "cat%20DBRelease.tgz", "--dbrFile=DBRelease.tgz", "--noExpandDBR"]);
    assert_eq!(stdout(&output), "db");
    for name in ["runHPO-00-00-01", "runAthena-00-00-12", "preGoodRunList-00-00-01", "preEvtPick-00-00-01", "buildJob-00-00-03"] {
        let job = Job::new();
        let output = job.run(name, &["--anything", "at all"]);
        assert!(code(&output) > 200 && job.report().1.contains(" needs "), "{:?}", job.report());
    }
}

#[test]
fn container_mode_in_three_steps() {
    let job = Job::new();
    job.input("a", "input");
    fs::write(job.dir().join("panda_secrets.json"), r#"{"TOKEN": "hidden"}"#).unwrap();
    let common = [
        "-j",
        "",
        "-r",
        "sub",
        "-i",
        "['a']",
        "-o",
        "{'o': 'L.o'}",
        "--ctrImage=busybox",
        "-p",
        "cat%20%25IN%20%3E%20o%3B%20echo%20%24TOKEN",
    ];
    let with = |option| [&[option], &common[..]].concat();
    assert_eq!(code(&job.run(GEN, &with("--preprocess"))), 0);
    let script = job.read("__run_main_exec.sh");
    assert!(!script.contains("hidden") && script.contains("cat a > o"), "{script}");
    assert_eq!(fs::read_link(job.dir().join("workDir/sub/a")).unwrap(), Path::new("../../a"));
    let output = Command::new("/bin/sh").arg("__run_main_exec.sh").current_dir(job.dir()).output().unwrap();
    assert_eq!(stdout(&output), "hidden\n", "{}", stderr(&output));
    assert_eq!(code(&job.run(GEN, &with("--postprocess"))), 0);
    assert_eq!(job.read("L.o"), "input");
    assert_eq!(job.names(), BTreeSet::from(["L.o".to_owned(), "a".to_owned()]));
}

#[test]
fn an_image_is_used_or_the_job_fails() {
    let mut job = Job::new();
    job.variables.push(("PATH", "/nonexistent".to_owned()));
    let output = job.run(GEN, &["--ctrImage=docker://busybox", "-p", "touch%20ran"]);
    assert_eq!((code(&output), job.report().0), (230, 5330));
    assert!(job.report().1.contains("needs apptainer, singularity, podman or docker"));
    // A stand-in engine that tells its arguments and runs the rest.
    let engine = job.root.path().join("bin/apptainer");
    write_program(
        &engine,
        "#!/bin/sh\necho \"$@\"\nexport INSIDE=yes\nwhile [ \"$1\" != docker://busybox ]; do shift; done\nshift\nexec \"$@\"\n",
    );
    job.variables = vec![("PATH", format!("{}:/usr/bin:/bin", job.root.path().join("bin").display()))];
    job.input("a", "input");
    let args = ["--ctrImage=busybox", "-i", "['a']", "-o", "{'o': 'L.o'}", "-p", "cat%20a%3B%20echo%20%24INSIDE%20%3E%20o%3B%20exit%206"];
    let output = job.run(GEN, &args);
    assert_eq!(code(&output), 6, "{}", stderr(&output));
    assert!(stdout(&output).contains("store:ro --pwd"), "{}", stdout(&output));
    assert_eq!(job.read("L.o"), "yes\n");
    let output = job.run(
        "runcontainer",
        &[
            "-j",
            "",
            "-r",
            ".",
            "--strange",
            "-o",
            "{'o.txt': 'L.o.txt'}",
            "-p",
            "mkdir%20d%3B%20echo%20hi%20%3E%20d%2Fo.txt",
            "--containerImage",
            "docker://busybox",
        ],
    );
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert_eq!(job.read("L.o.txt"), "hi\n");
    assert!(stdout(&output).contains("without effect here: --strange"));
}

#[test]
fn a_build_makes_the_library_or_fails() {
    let job = Job::new();
    let url = serve(archive(&[("src/main.c", "c"), ("make.sh", "echo built > src/prog; touch .hidden")]), "200 OK");
    let args = ["-i", "sources.1.tar.gz", "-o", "p.lib._1.lib.tgz", "--sourceURL", &url, "-r", "src"];
    let build = |bexec: &str| {
        let mut all = args.to_vec();
        all.extend(["--bexec", bexec]);
        job.run("buildGen-00-00-01", &all)
    };
    let output = build("exit%202");
    assert_eq!((code(&output), job.report()), (2, (5218, "payload exited with status 2".to_owned())));
    assert!(!job.names().contains("p.lib._1.lib.tgz"));
    let output = build("cd%20..%3B%20sh%20make.sh");
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let names = members(&job.dir().join("p.lib._1.lib.tgz"));
    assert!(names.contains("src/prog") && names.contains("make.sh") && !names.contains(".hidden"));
    // The library feeds a job.
    let output = job.run(GEN, &["-j", "", "-r", "src", "-l", "p.lib._1.lib.tgz", "-p", "cat%20prog"]);
    assert_eq!(stdout(&output), "built\n");
    let output = job.run(GEN, &["-l", "none.lib.tgz", "-p", "true"]);
    assert_eq!(code(&output), 208);
    // Without a command the sandbox is repacked; without names it is a fault.
    let job = Job::new();
    assert_eq!(code(&job.run("buildGen-00-00-01", &args)), 0);
    assert_eq!(code(&job.run("buildGen-00-00-01", &["-i", "x"])), 201);
}

const MERGE: &str = "runMerge-00-00-02";

#[test]
fn a_single_file_is_copied_and_stays_in_the_storage() {
    let job = Job::new();
    job.input("um.1.root", "data");
    job.input("um.1.log.tgz", archive(&[("x", "y")]));
    let output = job.run(MERGE, &["-r", ".", "um.1.root:final.root", "um.1.log.tgz:final.log.tgz"]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert_eq!(job.read("final.root"), "data");
    assert_eq!(job.stored("um.1.root"), "data");
    // The log must not share its file with the storage: pilots write over it.
    fs::write(job.dir().join("final.log.tgz"), "pilot").unwrap();
    assert_eq!(members(&job.store().join("um.1.log.tgz")).len(), 1);
}

#[test]
fn texts_and_logs_are_merged_into_an_archive() {
    let job = Job::new();
    for serial in ["000001", "000002"] {
        job.input(&format!("panda.um.user.a.10000012._{serial}.h.tgz"), archive(&[("h.txt", serial), ("d/x", "x")]));
    }
    job.input("t1.txt", "1");
    let output = job.run(
        MERGE,
        &["-r", ".", "stray", "panda.um.user.a.10000012._000001.h.tgz,panda.um.user.a.10000012._000002.h.tgz,t1.txt:final.h.tgz"],
    );
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert!(stdout(&output).contains("`stray` is not INPUTS:OUTPUT"));
    let names = members(&job.dir().join("final.h.tgz"));
    for name in ["h.10000012._000001.txt", "h.10000012._000002.txt", "t1.txt", "d/x"] {
        assert!(names.contains(name), "{names:?}");
    }
}

#[test]
fn root_files_need_hadd_and_users_bring_scripts() {
    let mut job = Job::new();
    for name in ["a.root", "b.root"] {
        job.input(name, name);
    }
    let output = job.run(MERGE, &["-j", "cat a.root b.root >", "a.root,b.root:o.root"]);
    assert_eq!(code(&output), 2, "sh refuses a redirection to nothing");
    let output = job.run(MERGE, &["-j", "cat a.root b.root > %OUT; echo %IN", "a.root,b.root:o.root"]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert_eq!(job.read("o.root"), "a.rootb.root");
    assert!(stdout(&output).contains("a.root,b.root\n"));
    let output = job.run(MERGE, &["-j", "./m.sh", "a.root,b.root:p.root"]);
    assert_eq!((code(&output), job.report().0), (217, 5617));
    job.variables.push(("PATH", job.root.path().join("bin").display().to_string()));
    let output = job.run(MERGE, &["a.root,b.root:q.root"]);
    assert_eq!((code(&output), job.report().0), (204, 5604));
    let hadd = job.root.path().join("bin/hadd");
    write_program(&hadd, "#!/bin/sh\necho \"$@\" > \"$4\"\n");
    let output = job.run(MERGE, &["a.root,b.root:q.root"]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert_eq!(job.read("q.root"), "-f -n 5 q.root a.root b.root\n");
}

#[test]
fn merge_faults() {
    let job = Job::new();
    job.input("a", "a");
    for (args, status) in [(vec!["-r", "."], 201), (vec!["--nope"], 201), (vec!["a,gone:o"], 208), (vec!["x.pool.root,y.pool.root:o"], 208)]
    {
        let output = job.run(MERGE, &args);
        assert_eq!(code(&output), status, "{args:?}");
    }
    assert_eq!(job.stored("a"), "a");
}

#[test]
fn the_program_also_takes_the_name_as_its_first_word() {
    let job = Job::new();
    let output = job.run("panda-pilot", &["runGen", "-p", "echo%20hi"]);
    assert_eq!(stdout(&output), "hi\n");
    assert_eq!(code(&job.run("panda-pilot", &["nonsense"])), 2);
}

#[test]
fn a_fetched_copy_does_not_end_up_in_the_log() {
    let job = Job::new();
    let copy = job.dir().join(GEN);
    let start = |args: &[&str], pilot: bool| {
        place_program(Path::new(env!("CARGO_BIN_EXE_panda-pilot")), &copy);
        let mut command = Command::new(format!("./{GEN}"));
        command.args(args).current_dir(job.dir()).env_remove("PANDAID");
        if pilot {
            command.env("PANDAID", "1");
        }
        assert!(command.status().unwrap().success());
        copy.exists()
    };
    assert!(!start(&["-p", "true"], true));
    assert!(start(&["-p", "true"], false), "a copy of a person stays");
    assert!(start(&["-p", "true", "--preprocess"], true), "the second step needs it");
    assert!(!start(&["-p", "true", "--postprocess"], true));
}
