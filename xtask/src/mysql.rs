//! Owns: a real MySQL for the store's tests: Debian's stable release has none, so its development release is unpacked into
//! a folder of ours and served on loopback. Must not know: what the tests do with it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::shell::{Outcome, apt_install, fail, is_root, on, output, run, target, which};

/// Away from 3306, where a MariaDB may be.
const PORT: &str = "33306";
/// The server's data, inside the folder; made anew at every start, so no test finds another's rows.
const DATA: &str = "/var/lib/mysql-panda";
const MIRROR: &str = "http://deb.debian.org/debian";
/// How long the server may take until it answers.
const START_LIMIT: Duration = Duration::from_secs(60);

/// A running server; it ends with this value.
pub(crate) struct Server {
    child: Child,
}

impl Server {
    pub(crate) fn variables(&self) -> [(&'static str, String); 1] {
        [("PANDA_TEST_REAL_MYSQL", format!("mysql://root@127.0.0.1:{PORT}/mysql"))]
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // a clean end is worth nothing here: the data is made anew
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn start() -> Outcome<Server> {
    if !is_root() {
        return fail("`--mysql` unpacks a Debian folder and enters it with chroot: run it as root");
    }
    let folder = unpack()?;
    let inside = |program: &str| {
        let mut command = Command::new("chroot");
        command.arg(&folder).arg(program);
        command
    };
    let data = folder.join(DATA.trim_start_matches('/'));
    if data.exists() {
        fs::remove_dir_all(&data).map_err(on("remove", &data))?;
    }
    output(inside("install").args(["-d", "-o", "mysql", "-g", "mysql", DATA, "/run/mysqld"]))?;
    let own = format!("--datadir={DATA}");
    output(inside("mysqld").args(["--no-defaults", "--initialize-insecure", "--user=mysql", &own]))?;
    let log_path = folder.join("mysqld.log");
    let log = File::create(&log_path).map_err(on("create", &log_path))?;
    let errors = log.try_clone().map_err(on("create", &log_path))?;
    let mut serve = inside("mysqld");
    serve.args(["--no-defaults", "--user=mysql", &own, "--bind-address=127.0.0.1", "--mysqlx=OFF"]);
    serve.args([&format!("--port={PORT}"), "--socket=/run/mysqld/panda.sock", "--pid-file=/run/mysqld/panda.pid"]);
    let child = serve.stdin(Stdio::null()).stdout(log).stderr(errors).spawn().map_err(on("start mysqld in", &folder))?;
    wait(Server { child }, &inside, &log_path)
}

fn wait(mut server: Server, inside: &dyn Fn(&str) -> Command, log: &Path) -> Outcome<Server> {
    let end = Instant::now() + START_LIMIT;
    loop {
        let ask = ["--no-defaults", "--protocol=tcp", "--host=127.0.0.1", "--user=root", "--skip-column-names"];
        let port = format!("--port={PORT}");
        let answer = output(inside("mysql").args(ask).args([&port, "--execute", "SELECT version()"]));
        if let Ok(Some(status)) = server.child.try_wait() {
            return fail(format!("mysqld ended with {status}; see `{}`", log.display()));
        }
        match answer {
            Ok(version) => {
                eprintln!("MySQL {} serves on 127.0.0.1:{PORT}", version.trim());
                return Ok(server);
            }
            Err(why) if Instant::now() > end => return Err(why),
            Err(_) => thread::sleep(Duration::from_millis(500)),
        }
    }
}

/// Unpacks into a draft folder and renames it, so that a broken download is never taken for a whole one.
fn unpack() -> Outcome<PathBuf> {
    let folder = target().join("mysql-sid/root");
    if folder.join("usr/sbin/mysqld").is_file() {
        return Ok(folder);
    }
    if which("debootstrap").is_none() {
        apt_install(&["debootstrap"], "unpacking a MySQL server")?;
    }
    let draft = folder.with_extension("draft");
    for old in [&draft, &folder] {
        if old.exists() {
            fs::remove_dir_all(old).map_err(on("remove", old))?;
        }
    }
    fs::create_dir_all(&draft).map_err(on("create", &draft))?;
    eprintln!("unpacking Debian sid's mysql-server (about 2 minutes, once)");
    let log = draft.with_extension("log");
    let told = File::create(&log).map_err(on("create", &log))?;
    let mut command = Command::new("debootstrap");
    command.args(["--variant=minbase", "--include=mysql-server", "sid"]).arg(&draft).arg(MIRROR).stdout(told);
    if let Err(why) = run(&mut command) {
        return fail(format!("{why}; see `{}`", log.display()));
    }
    fs::rename(&draft, &folder).map_err(on("rename", &draft))?;
    Ok(folder)
}
