//! Owns: a PostgreSQL and a MariaDB that the tests may use. Must not know: what is in them.
//!
//! Each is looked for where its variable says (or at the default address), then started if Debian's package is there, then
//! installed when we are root. On a server of ours an own account `panda_test` is made if the default one may not log in;
//! existing accounts are never changed.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use crate::shell::{Outcome, apt_install, fail, is_root, output, which};

/// How long a started server may take until it answers: recovery after a kill takes seconds on a slow disk.
const START_LIMIT: Duration = Duration::from_secs(60);

/// One kind of database server.
struct Kind {
    name: &'static str,
    variable: &'static str,
    /// Tried in this order; the second is the account that we make.
    urls: [&'static str; 2],
    /// The database that every server of this kind has.
    database: &'static str,
    packages: [&'static str; 1],
    client: &'static str,
    start: fn() -> Outcome,
    /// Makes the second account, over the local socket as the server's own administrator.
    make_account: fn() -> Outcome,
    answers: fn(&str) -> Outcome,
    by_hand: &'static str,
}

const POSTGRES: Kind = Kind {
    name: "PostgreSQL",
    variable: "PANDA_TEST_POSTGRES",
    urls: ["postgres://postgres@127.0.0.1:5432", "postgres://panda_test:panda_test@127.0.0.1:5432"],
    database: "postgres",
    packages: ["postgresql"],
    client: "psql",
    start: start_postgres,
    make_account: || {
        let sql = "CREATE ROLE panda_test LOGIN CREATEDB PASSWORD 'panda_test'";
        let shell = format!("psql --no-psqlrc --quiet --dbname postgres --command \"{sql}\"");
        output(Command::new("su").current_dir("/").args(["postgres", "-s", "/bin/sh", "-c", &shell])).map(drop)
    },
    answers: |url| {
        let ask = ["--no-psqlrc", "--no-password", "--tuples-only", "--command", "SELECT 1"];
        let url = with_database(url.to_owned(), "postgres");
        output(Command::new("psql").env("PGCONNECT_TIMEOUT", "5").arg(url).args(ask)).map(drop)
    },
    by_hand: "pg_ctlcluster VERSION main start",
};

const MARIADB: Kind = Kind {
    name: "MariaDB",
    variable: "PANDA_TEST_MYSQL",
    urls: ["mysql://root@127.0.0.1:3306", "mysql://panda_test:panda_test@127.0.0.1:3306"],
    database: "mysql",
    packages: ["mariadb-server"],
    client: "mariadb",
    start: start_mariadb,
    make_account: || {
        let sql = "CREATE USER IF NOT EXISTS panda_test@'localhost' IDENTIFIED BY 'panda_test', panda_test@'127.0.0.1' \
                   IDENTIFIED BY 'panda_test'; GRANT ALL ON *.* TO panda_test@'localhost', panda_test@'127.0.0.1'";
        output(Command::new("mariadb").args(["--execute", sql])).map(drop)
    },
    answers: mariadb_answers,
    by_hand: "start-stop-daemon --start --oknodo --background --exec /usr/sbin/mariadbd -- --user=mysql",
};

/// Makes both servers ready and tells their addresses as (variable, URL). Each URL names the server's own database: tests make
/// theirs beside it.
pub(crate) fn ensure() -> Outcome<Vec<(&'static str, String)>> {
    [&POSTGRES, &MARIADB].into_iter().map(|kind| Ok((kind.variable, with_database(kind.ensure()?, kind.database)))).collect()
}

/// A URL without the name of a database: `scheme://login@host:port`.
pub(crate) fn server_of(url: &str) -> &str {
    let place = url.find("://").map_or(0, |at| at + 3);
    url[place..].find(['/', '?']).map_or(url, |at| &url[..place + at])
}

fn with_database(url: String, database: &str) -> String {
    if server_of(&url) == url { format!("{url}/{database}") } else { url }
}

impl Kind {
    fn ensure(&self) -> Outcome<String> {
        if let Some(url) = env::var(self.variable).ok().filter(|url| !url.is_empty()) {
            return match (self.answers)(&url) {
                Ok(()) => Ok(url),
                Err(why) => fail(format!("{}, as {} says, does not answer: {why}", self.name, self.variable)),
            };
        }
        if which(self.client).is_none() {
            apt_install(&self.packages, &format!("testing on {}", self.name))?;
        }
        if let Some(url) = self.working_url() {
            return Ok(url);
        }
        if !is_root() {
            return fail(format!(
                "{} does not answer at {}; start it as root with `{}`, or set {} to the URL of another",
                self.name, self.urls[0], self.by_hand, self.variable
            ));
        }
        eprintln!("starting {}", self.name);
        if (self.start)().is_err() {
            // the client was there without its server
            apt_install(&self.packages, &format!("testing on {}", self.name))?;
            (self.start)()?;
        }
        self.wait()
    }

    fn working_url(&self) -> Option<String> {
        self.urls.iter().find(|url| (self.answers)(url).is_ok()).map(|url| (*url).to_owned())
    }

    /// Waits for the started server, making our account once it is up but refuses the default one.
    fn wait(&self) -> Outcome<String> {
        let end = Instant::now() + START_LIMIT;
        loop {
            if let Some(url) = self.working_url() {
                return Ok(url);
            }
            let made = (self.make_account)();
            if let Some(url) = self.working_url() {
                return Ok(url);
            }
            if Instant::now() > end {
                let why = made.err().map(|why| format!("{why}")).unwrap_or_default();
                return fail(format!("{} was started but does not answer at {}: {why}", self.name, self.urls.join(" or ")));
            }
            thread::sleep(Duration::from_millis(500));
        }
    }
}

fn start_postgres() -> Outcome {
    let clusters = Path::new("/etc/postgresql");
    let versions = fs::read_dir(clusters).map(|entries| entries.flatten().map(|entry| entry.file_name()).max());
    let Ok(Some(version)) = versions else { return fail("no PostgreSQL cluster stands in /etc/postgresql") };
    let started = output(Command::new("pg_ctlcluster").arg("--skip-systemctl-redirect").arg(version).args(["main", "start"]));
    match started {
        // a cluster that is starting or running already is what we want; `wait` finds out whether it answers
        Err(why) if !format!("{why}").contains("already running") => Err(why),
        _ => Ok(()),
    }
}

fn start_mariadb() -> Outcome {
    let server = Path::new("/usr/sbin/mariadbd");
    if !server.is_file() {
        return fail("/usr/sbin/mariadbd is not there");
    }
    // what the service manager would have made
    output(Command::new("install").args(["-d", "-o", "mysql", "-g", "mysql", "/run/mysqld"]))?;
    let mut start = Command::new("start-stop-daemon");
    start.args(["--start", "--oknodo", "--background", "--exec"]).arg(server);
    output(start.args(["--", "--user=mysql"])).map(drop)
}

/// `mysql://user[:password]@host[:port][/...]` as the client's options.
fn mariadb_answers(url: &str) -> Outcome {
    let rest = url.strip_prefix("mysql://").unwrap_or(url);
    let rest = rest.split(['/', '?']).next().unwrap_or(rest);
    let (login, place) = rest.rsplit_once('@').unwrap_or(("root", rest));
    let (user, password) = login.split_once(':').unwrap_or((login, ""));
    let (host, port) = place.rsplit_once(':').unwrap_or((place, "3306"));
    let mut ask = Command::new("mariadb");
    ask.env("MYSQL_PWD", password).args(["--no-defaults", "--protocol=tcp", "--connect-timeout=5"]);
    output(ask.args(["--user", user, "--host", host, "--port", port, "--execute", "SELECT 1"])).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_a_database() {
        let with = |url: &str| with_database(url.to_owned(), "d");
        assert_eq!(with("mysql://u:p@h:1"), "mysql://u:p@h:1/d");
        assert_eq!(with("mysql://u:p@h:1/own?x=y"), "mysql://u:p@h:1/own?x=y");
        assert_eq!(server_of("postgres://u@h:1/own?x=y"), "postgres://u@h:1");
        assert_eq!(server_of("postgres://u@h:1"), "postgres://u@h:1");
    }
}
