//! MariaDB: a primary with a replica, which is promoted. Replication is asynchronous, or waits for the replica (semi-synchronous).

use std::{fs, path::PathBuf, sync::Arc, thread::sleep, time::Duration};

use lemon_session_store::Store;
use tempfile::TempDir;
use tokio::runtime::Handle;

use crate::{
    costs::measure,
    faults::{Cluster, Expects, Fault, alone, create_tables, inject, open, time},
    pair::{NOTICE, Node, Pair, WithStandby, faults, replace},
    process::{Process, demoted, find, folder_of, free_port, output, parent, run, wait_until},
    proxy,
};

/// As which user the servers run, as their packages have it.
const USER: &str = "mysql";
/// Runs whenever a server starts.
const SETUP: &str = "SET sql_log_bin = 0;\nCREATE DATABASE IF NOT EXISTS sessions;\n\
    CREATE USER IF NOT EXISTS owner@'127.0.0.1' IDENTIFIED BY 'password';\nGRANT ALL ON sessions.* TO owner@'127.0.0.1';\n";

/// Two servers, one of which is the replica of the other.
struct MariaDb {
    runtime: Handle,
    pair: Pair,
    /// Whether a save waits until the replica has received it.
    waits: bool,
    /// The data of a new server.
    empty: PathBuf,
    client: String,
    dump: String,
    _folder: TempDir,
}

impl MariaDb {
    fn start(runtime: &Handle, waits: bool) -> Option<Self> {
        let programs = find(["mariadbd", "mariadb-install-db", "mariadb", "mariadb-dump"], "mariadb-server")?;
        let [daemon, install, client, dump] = programs;
        let parent = parent("lemon-session-mariadb-");
        let empty = folder_of(USER, parent.path(), "empty").join("data");
        let data = format!("--datadir={}", empty.display());
        let method = "--auth-root-authentication-method=normal";
        run(&demoted(USER, &[&install, "--no-defaults", "--skip-test-db", &data, method]));
        let setup = parent.path().join("setup.sql");
        fs::write(&setup, SETUP).expect("the folder is ours");
        let nodes = [1, 2].map(|number| {
            let (port, folder) = (free_port(), folder_of(USER, parent.path(), &format!("server{number}")));
            let path = |name: &str| folder.join(name).display().to_string();
            let mut program = demoted(USER, &[&daemon, "--no-defaults"]);
            program.extend([
                format!("--datadir={}", path("data")),
                format!("--port={port}"),
                format!("--socket={}", path("socket")),
                format!("--pid-file={}", path("pid")),
                format!("--tmpdir={}", folder.display()),
                format!("--init-file={}", setup.display()),
                format!("--server-id={number}"),
            ]);
            let settings = "--bind-address=127.0.0.1 --skip-name-resolve --innodb-buffer-pool-size=32M --innodb-log-file-size=16M \
                 --log-bin=binlog --log-slave-updates --gtid-strict-mode=ON --binlog-format=ROW --sync-binlog=1 --read-only \
                 --rpl-semi-sync-slave-enabled=ON --rpl-semi-sync-master-wait-point=AFTER_SYNC";
            program.extend(settings.split(' ').map(str::to_owned));
            // An hour: a save that no replica has received is never acknowledged.
            program.push("--rpl-semi-sync-master-timeout=3600000".to_owned());
            Node::new(runtime, Process::new(port, folder, program))
        });
        let (runtime, pair) = (runtime.clone(), Pair { nodes, primary: 0 });
        let mut cluster = Self { runtime, pair, waits, empty, client, dump, _folder: parent };
        cluster.start_empty(0);
        cluster.tell(0, "SET GLOBAL read_only = 0");
        cluster.follow();
        // Its URL names the replica first.
        create_tables(&cluster.runtime, &*open(&cluster.runtime, &cluster.url(1)));
        Some(cluster)
    }

    /// Starts a server that has no data.
    fn start_empty(&mut self, place: usize) {
        let server = &mut self.pair.nodes[place].server;
        server.kill();
        let data = server.folder.join("data");
        let _ = fs::remove_dir_all(&data);
        run(&["cp", "-a", &self.empty.display().to_string(), &data.display().to_string()]);
        server.start();
        wait_until("the server answers", || self.ask(place, "SELECT 1").is_some());
    }

    /// A program of MariaDB that talks to a server.
    fn connected(program: &str, port: u16) -> Vec<String> {
        let port = port.to_string();
        [program, "--no-defaults", "-h", "127.0.0.1", "-P", &port, "-u", "root"].map(str::to_owned).to_vec()
    }

    /// What a server answers to SQL; none if it does not.
    fn ask(&self, place: usize, sql: &str) -> Option<String> {
        self.ask_with(place, "--skip-column-names", sql)
    }

    fn ask_with(&self, place: usize, option: &str, sql: &str) -> Option<String> {
        let mut client = Self::connected(&self.client, self.pair.nodes[place].server.port);
        client.extend([option, "-e", sql].map(str::to_owned));
        let output = output(&client);
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    fn tell(&self, place: usize, sql: &str) {
        self.ask(place, sql).unwrap_or_else(|| panic!("the server {place} does as it is told: {sql}"));
    }

    /// A field of what a replica tells of itself.
    fn replica_status(&self, place: usize, field: &str) -> String {
        let status = self.ask_with(place, "--vertical", "SHOW SLAVE STATUS").unwrap_or_default();
        let field = format!("{field}: ");
        status.lines().find_map(|line| line.trim().strip_prefix(&field)).unwrap_or_default().to_owned()
    }

    fn url(&self, host: usize) -> String {
        let hosts = self.pair.addresses(host);
        let options = "pool-size=4&timeout=2&connect-timeout=1&sslmode=disable";
        format!("mysql://owner:password@{hosts}/sessions?{options}")
    }
}

impl Cluster for MariaDb {
    fn name(&self) -> String {
        format!("MariaDB, {} replica", if self.waits { "semi-synchronous" } else { "asynchronous" })
    }

    fn stores(&self) -> [Arc<dyn Store>; 2] {
        [0, 1].map(|host| open(&self.runtime, &self.url(host)))
    }
}

impl WithStandby for MariaDb {
    fn pair(&mut self) -> &mut Pair {
        &mut self.pair
    }

    fn follow(&mut self) {
        let (primary, other) = (self.pair.primary, self.pair.other());
        self.pair.nodes[other].server.kill();
        self.pair.heal();
        self.start_empty(other);
        let mut dump = Self::connected(&self.dump, self.pair.nodes[primary].server.port);
        dump.extend(
            "--single-transaction --gtid --master-data=1 --routines --databases sessions".split(' ').map(str::to_owned),
        );
        let mut load = Self::connected(&self.client, self.pair.nodes[other].server.port);
        load.push("--init-command='SET sql_log_bin = 0'".to_owned());
        let script = format!("set -o pipefail; {} | {}", dump.join(" "), load.join(" "));
        run(&["bash", "-c", &script]);
        if self.waits {
            // A replica that connects before this does not acknowledge what it receives.
            self.tell(primary, "SET GLOBAL rpl_semi_sync_master_enabled = ON");
        }
        let way = self.pair.nodes[primary].standby.port;
        let source = format!(
            "CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT={way}, MASTER_USER='root', MASTER_USE_GTID=slave_pos, \
             MASTER_CONNECT_RETRY=1; START SLAVE"
        );
        self.tell(other, &source);
        self.is_followed();
    }

    fn is_followed(&self) {
        let runs = |field| self.replica_status(self.pair.other(), field) == "Yes";
        wait_until("the replica follows", || runs("Slave_IO_Running") && runs("Slave_SQL_Running"));
        if self.waits {
            let status = "SHOW STATUS LIKE 'Rpl_semi_sync_master_clients'";
            wait_until("saves wait for the replica", || {
                self.ask(self.pair.primary, status).is_some_and(|status| status.ends_with('1'))
            });
        }
    }

    fn promote(&mut self) {
        self.pair.primary = self.pair.other();
        self.tell(self.pair.primary, "STOP SLAVE IO_THREAD");
        let received = self.replica_status(self.pair.primary, "Gtid_IO_Pos");
        let applied = self.ask(self.pair.primary, &format!("SELECT MASTER_GTID_WAIT('{received}', 30)"));
        assert_eq!(applied.as_deref(), Some("0"), "the replica applies what it has received");
        self.tell(self.pair.primary, "STOP SLAVE; RESET SLAVE ALL; SET GLOBAL read_only = 0");
    }
}

/// The faults, with what those may do that lose nothing if saves wait for the replica.
fn all_faults(expects: Expects) -> Vec<Fault<MariaDb>> {
    let late = Fault {
        name: "standby is late by 300 ms, primary killed, standby promoted",
        happens: |cluster: &mut MariaDb| {
            let late = proxy::Fault { delay: Duration::from_millis(300), ..proxy::Fault::default() };
            cluster.pair.primary().standby.fail(late);
            sleep(Duration::from_secs(2));
            cluster.pair.primary().server.kill();
            sleep(NOTICE);
            replace(cluster, Duration::from_secs(1));
        },
        expects,
        short: true,
    };
    faults(expects).into_iter().chain([late]).collect()
}

#[test]
fn mariadb_with_a_semi_synchronous_replica_keeps_what_was_acknowledged() {
    alone(|runtime| {
        if let Some(mut cluster) = MariaDb::start(runtime, true) {
            inject(runtime, &mut cluster, &all_faults(Expects::Nothing));
            if time().is_some() {
                measure(runtime, "MariaDB, rpl_semi_sync_master_enabled", |waits| {
                    let set = format!("SET GLOBAL rpl_semi_sync_master_enabled = {}", u8::from(waits));
                    cluster.tell(cluster.pair.primary, &set);
                    // A replica that was connected before this does not acknowledge what it receives.
                    cluster.tell(cluster.pair.other(), "STOP SLAVE IO_THREAD; START SLAVE IO_THREAD");
                    cluster.waits = waits;
                    cluster.is_followed();
                    open(runtime, &cluster.url(0))
                });
            }
        }
    });
}

/// A short run has only the faults that lose nothing.
#[test]
fn mariadb_with_an_asynchronous_replica_saves_again_after_a_failover() {
    if time().is_none() {
        return;
    }
    alone(|runtime| {
        if let Some(mut cluster) = MariaDb::start(runtime, false) {
            // An asynchronous replica lacks what it has not received.
            inject(runtime, &mut cluster, &all_faults(Expects::Losses));
        }
    });
}
