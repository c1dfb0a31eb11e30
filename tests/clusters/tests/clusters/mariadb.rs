//! MariaDB: a primary with a replica, which is promoted. Replication is asynchronous, or waits for the replica (semi-synchronous).

use std::{fs, path::PathBuf, sync::Arc, thread::sleep, time::Duration};

use lemon_session_store::Store;
use tempfile::TempDir;
use tokio::runtime::Handle;

use crate::{
    costs::measure,
    faults::{Cluster, Expects, Fault, alone, create_tables, inject, open, time},
    process::{Process, demoted, find, folder_of, free_port, output, parent, run, wait_until},
    proxy::{self, Proxy},
};

/// As which user the servers run, as their packages have it.
const USER: &str = "mysql";
/// How long a monitor of the servers takes to notice a fault.
const NOTICE: Duration = Duration::from_millis(700);
/// Runs whenever a server starts.
const SETUP: &str = "SET sql_log_bin = 0;\nCREATE DATABASE IF NOT EXISTS sessions;\n\
    CREATE USER IF NOT EXISTS owner@'127.0.0.1' IDENTIFIED BY 'password';\nGRANT ALL ON sessions.* TO owner@'127.0.0.1';\n";

/// Two servers, one of which is the replica of the other.
struct MariaDb {
    runtime: Handle,
    nodes: [Node; 2],
    /// The place of the primary.
    primary: usize,
    /// Whether a save waits until the replica has received it.
    waits: bool,
    /// The data of a new server.
    empty: PathBuf,
    client: String,
    dump: String,
    _folder: TempDir,
}

struct Node {
    server: Process,
    /// The way of each host to this server.
    hosts: [Proxy; 2],
    /// The way of the replica.
    replica: Proxy,
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
            let hosts = [0, 1].map(|_| Proxy::to(runtime, port));
            Node { server: Process::new(port, folder, program), hosts, replica: Proxy::to(runtime, port) }
        });
        let runtime = runtime.clone();
        let mut cluster = Self { runtime, nodes, primary: 0, waits, empty, client, dump, _folder: parent };
        cluster.start_empty(0);
        cluster.tell(0, "SET GLOBAL read_only = 0");
        cluster.follow();
        // Its URL names the replica first.
        create_tables(&cluster.runtime, &*open(&cluster.runtime, &cluster.url(1)));
        Some(cluster)
    }

    /// Starts a server that has no data.
    fn start_empty(&mut self, place: usize) {
        let server = &mut self.nodes[place].server;
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
        let mut client = Self::connected(&self.client, self.nodes[place].server.port);
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

    fn other(&self) -> usize {
        1 - self.primary
    }

    /// Makes the other server a replica, with a copy of the primary's data, whatever it was before.
    fn follow(&mut self) {
        let (primary, other) = (self.primary, self.other());
        self.nodes[other].server.kill();
        self.heal();
        self.start_empty(other);
        let mut dump = Self::connected(&self.dump, self.nodes[primary].server.port);
        dump.extend(
            "--single-transaction --gtid --master-data=1 --routines --databases sessions".split(' ').map(str::to_owned),
        );
        let mut load = Self::connected(&self.client, self.nodes[other].server.port);
        load.push("--init-command='SET sql_log_bin = 0'".to_owned());
        let script = format!("set -o pipefail; {} | {}", dump.join(" "), load.join(" "));
        run(&["bash", "-c", &script]);
        if self.waits {
            // A replica that connects before this does not acknowledge what it receives.
            self.tell(primary, "SET GLOBAL rpl_semi_sync_master_enabled = ON");
        }
        let way = self.nodes[primary].replica.port;
        let source = format!(
            "CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT={way}, MASTER_USER='root', MASTER_USE_GTID=slave_pos, \
             MASTER_CONNECT_RETRY=1; START SLAVE"
        );
        self.tell(other, &source);
        self.is_followed();
    }

    /// Waits until the replica follows, and acknowledges what it receives if saves are to wait for that.
    fn is_followed(&self) {
        let runs = |field| self.replica_status(self.other(), field) == "Yes";
        wait_until("the replica follows", || runs("Slave_IO_Running") && runs("Slave_SQL_Running"));
        if self.waits {
            let status = "SHOW STATUS LIKE 'Rpl_semi_sync_master_clients'";
            wait_until("saves wait for the replica", || {
                self.ask(self.primary, status).is_some_and(|status| status.ends_with('1'))
            });
        }
    }

    /// Makes the replica the primary, with all that it has received. It has no replica yet, so its saves wait for none.
    fn promote(&mut self) {
        self.primary = self.other();
        self.tell(self.primary, "STOP SLAVE IO_THREAD");
        let received = self.replica_status(self.primary, "Gtid_IO_Pos");
        let applied = self.ask(self.primary, &format!("SELECT MASTER_GTID_WAIT('{received}', 30)"));
        assert_eq!(applied.as_deref(), Some("0"), "the replica applies what it has received");
        self.tell(self.primary, "STOP SLAVE; RESET SLAVE ALL; SET GLOBAL read_only = 0");
    }

    fn heal(&self) {
        for node in &self.nodes {
            node.hosts.iter().chain([&node.replica]).for_each(Proxy::heal);
        }
    }

    /// Each host begins at another server.
    fn url(&self, host: usize) -> String {
        let hosts = [host, 1 - host].map(|place| format!("127.0.0.1:{}", self.nodes[place].hosts[host].port));
        let options = "pool-size=4&timeout=2&connect-timeout=1&sslmode=disable";
        format!("mysql://owner:password@{}/sessions?{options}", hosts.join(","))
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

fn faults(waits: bool) -> [Fault<MariaDb>; 6] {
    // An asynchronous replica lacks what it has not received.
    let expects = if waits { Expects::Nothing } else { Expects::Losses };
    [
        Fault {
            name: "primary killed, replica promoted",
            happens: |cluster| {
                sleep(Duration::from_secs(1));
                cluster.nodes[cluster.primary].server.kill();
                sleep(NOTICE);
                cluster.promote();
                sleep(Duration::from_secs(1));
                cluster.follow();
            },
            expects,
            short: true,
        },
        Fault {
            name: "replica is late by 300 ms, primary killed, replica promoted",
            happens: |cluster| {
                let late = proxy::Fault { delay: Duration::from_millis(300), ..proxy::Fault::default() };
                cluster.nodes[cluster.primary].replica.fail(late);
                sleep(Duration::from_secs(2));
                cluster.nodes[cluster.primary].server.kill();
                sleep(NOTICE);
                cluster.promote();
                sleep(Duration::from_secs(1));
                cluster.follow();
            },
            expects,
            short: true,
        },
        Fault {
            name: "primary suspended, killed, replica promoted",
            happens: |cluster| {
                sleep(Duration::from_secs(1));
                let old = cluster.primary;
                cluster.nodes[old].server.suspend();
                sleep(NOTICE);
                cluster.nodes[old].server.kill();
                cluster.promote();
                sleep(Duration::from_secs(1));
                cluster.follow();
            },
            expects,
            short: false,
        },
        Fault {
            name: "primary cut off from all, replica promoted",
            happens: |cluster| {
                sleep(Duration::from_secs(1));
                let node = &cluster.nodes[cluster.primary];
                node.hosts.iter().chain([&node.replica]).for_each(|way| way.fail(proxy::Fault::CUT));
                sleep(NOTICE);
                cluster.promote();
                sleep(Duration::from_secs(4));
                cluster.follow();
            },
            expects,
            short: false,
        },
        Fault {
            name: "primary and one host cut off, replica promoted",
            happens: |cluster| {
                sleep(Duration::from_secs(1));
                let (old, new) = (cluster.primary, cluster.other());
                // Host 0 stays with the old primary, host 1 goes to the new one.
                cluster.nodes[old].hosts[1].fail(proxy::Fault::CUT);
                cluster.nodes[old].replica.fail(proxy::Fault::CUT);
                cluster.nodes[new].hosts[0].fail(proxy::Fault::CUT);
                sleep(NOTICE);
                cluster.promote();
                sleep(Duration::from_secs(4));
                cluster.follow();
            },
            // The old primary answers loads, as nothing stops it.
            expects: Expects::Losses,
            short: false,
        },
        Fault {
            name: "replica killed and started again",
            happens: |cluster| {
                sleep(Duration::from_secs(1));
                let replica = cluster.other();
                cluster.nodes[replica].server.kill();
                sleep(Duration::from_secs(2));
                cluster.nodes[replica].server.start();
                cluster.is_followed();
            },
            expects: Expects::Nothing,
            short: false,
        },
    ]
}

#[test]
fn mariadb_with_a_semi_synchronous_replica_keeps_what_was_acknowledged() {
    alone(|runtime| {
        if let Some(mut cluster) = MariaDb::start(runtime, true) {
            inject(runtime, &mut cluster, &faults(true));
            if time().is_some() {
                measure(runtime, "MariaDB, rpl_semi_sync_master_enabled", |waits| {
                    let set = format!("SET GLOBAL rpl_semi_sync_master_enabled = {}", u8::from(waits));
                    cluster.tell(cluster.primary, &set);
                    // A replica that was connected before this does not acknowledge what it receives.
                    cluster.tell(cluster.other(), "STOP SLAVE IO_THREAD; START SLAVE IO_THREAD");
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
            inject(runtime, &mut cluster, &faults(false));
        }
    });
}
