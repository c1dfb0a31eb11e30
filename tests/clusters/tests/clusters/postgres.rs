//! PostgreSQL: a primary with a synchronous standby, which is promoted.

use std::{
    fs::{self, OpenOptions},
    io::Write,
    sync::Arc,
    thread::sleep,
    time::Duration,
};

use lemon_session_store::Store;
use tempfile::TempDir;
use tokio::runtime::Handle;

use crate::{
    costs::measure,
    faults::{Cluster, Expects, Fault, alone, and_of_disks, create_tables, inject, open, time},
    pair::{NOTICE, Node, Pair, WithStandby, faults},
    process::{Process, assert_off, demoted, find, folder_of, free_port, output, parent, run, wait_until},
    proxy,
};

/// Two servers, one of which is the standby of the other.
pub struct Postgres {
    runtime: Handle,
    pub pair: Pair,
    initdb: String,
    basebackup: String,
    psql: String,
    _folder: TempDir,
}

/// PostgreSQL refuses to run as root.
pub const USER: &str = "postgres";

impl Postgres {
    pub fn start(runtime: &Handle) -> Option<Self> {
        let programs = find(["postgres", "initdb", "pg_basebackup", "psql"], "postgresql")?;
        let [postgres, initdb, basebackup, psql] = programs;
        let parent = parent("lemon-session-postgres-");
        let nodes = ["one", "other"].map(|name| {
            let (port, folder) = (free_port(), folder_of(USER, parent.path(), name));
            let data = folder.join("data").display().to_string();
            let port_option = port.to_string();
            let program = [&postgres, "-D", &data, "-p", &port_option, "-c", "unix_socket_directories="];
            let program = demoted(USER, &program);
            Node::new(runtime, Process::new(port, folder, program))
        });
        let (runtime, pair) = (runtime.clone(), Pair { nodes, primary: 0 });
        let mut cluster = Self { runtime, pair, initdb, basebackup, psql, _folder: parent };
        cluster.create();
        Some(cluster)
    }

    fn create(&mut self) {
        let first = &mut self.pair.nodes[0].server;
        let data = first.folder.join("data");
        run(&demoted(
            USER,
            &[&self.initdb, "-D", &data.display().to_string(), "-U", "owner", "-A", "trust", "-E", "UTF8"],
        ));
        let configuration = OpenOptions::new().append(true).open(data.join("postgresql.conf"));
        let settings = "listen_addresses = '127.0.0.1'\nshared_buffers = 32MB\nmax_connections = 100\nwal_keep_size = 64MB\n\
             wal_retrieve_retry_interval = 200ms\nhot_standby = on\n";
        configuration.expect("initdb has written it").write_all(settings.as_bytes()).expect("it is ours");
        first.start();
        self.wait_for_answer();
        self.follow();
        // Its URL names the standby first.
        create_tables(&self.runtime, &*open(&self.runtime, &self.url(1)));
    }

    /// What the server in this place answers to SQL; none if it does not.
    fn ask(&self, place: usize, sql: &str) -> Option<String> {
        let port = self.pair.nodes[place].server.port.to_string();
        let psql = [&self.psql, "-h", "127.0.0.1", "-p", &port, "-U", "owner", "-d", "postgres", "-Atqc", sql];
        let output = output(&psql);
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    fn tell(&self, place: usize, sql: &str) {
        self.ask(place, sql).unwrap_or_else(|| panic!("the server {place} does as it is told: {sql}"));
    }

    pub fn wait_for_answer(&self) {
        wait_until("the primary answers", || self.ask(self.pair.primary, "SELECT 1").is_some());
    }

    /// Has saves wait for the standby, or no longer.
    fn waits(&self, waits: bool) {
        let names = if waits { "standby" } else { "" };
        self.tell(self.pair.primary, &format!("ALTER SYSTEM SET synchronous_standby_names = '{names}'"));
        self.tell(self.pair.primary, "SELECT pg_reload_conf()");
    }

    /// A standby whose clock is off becomes the primary. Then one whose clock is right takes its place.
    fn has_wrong_clock(&mut self, clock: &'static str) {
        let wrong = self.pair.other();
        self.pair.nodes[wrong].server.set_clock(Some(clock));
        self.pair.nodes[wrong].server.kill();
        self.pair.nodes[wrong].server.start();
        self.is_followed();
        assert_off(clock, self.ask(wrong, "SELECT extract(epoch FROM now())::bigint"));
        for _ in 0..2 {
            sleep(Duration::from_secs(1));
            self.pair.nodes[self.pair.primary].server.kill();
            sleep(NOTICE);
            self.promote();
            sleep(Duration::from_secs(1));
            let old = self.pair.other();
            self.pair.nodes[old].server.set_clock(None);
            self.follow();
        }
    }

    /// All ways to the primary have a fault, for some time.
    fn has_faulty_network(&self, fault: proxy::Fault, time: Duration) {
        sleep(Duration::from_secs(1));
        self.pair.fail(fault);
        sleep(time);
        self.pair.heal();
    }

    fn url(&self, host: usize) -> String {
        let hosts = self.pair.addresses(host);
        format!("postgres://owner@{hosts}/postgres?pool-size=4&timeout=2&connect-timeout=1")
    }
}

impl Cluster for Postgres {
    fn name(&self) -> String {
        "PostgreSQL".to_owned()
    }

    fn stores(&self) -> [Arc<dyn Store>; 2] {
        [0, 1].map(|host| open(&self.runtime, &self.url(host)))
    }
}

impl WithStandby for Postgres {
    fn pair(&mut self) -> &mut Pair {
        &mut self.pair
    }

    fn promote(&mut self) {
        self.pair.primary = self.pair.other();
        self.tell(self.pair.primary, "SELECT pg_promote(true, 30)");
        self.waits(false);
    }

    fn follow(&mut self) {
        let (primary, other) = (self.pair.primary, self.pair.other());
        self.pair.nodes[other].server.kill();
        self.pair.heal();
        let data = self.pair.nodes[other].server.folder.join("data");
        let _ = fs::remove_dir_all(&data);
        let way = self.pair.nodes[primary].standby.port;
        let source = format!("host=127.0.0.1 port={way} user=owner application_name=standby");
        let data = data.display().to_string();
        run(&demoted(USER, &[&self.basebackup, "-d", &source, "-D", &data, "-R", "-X", "stream", "-c", "fast"]));
        self.pair.nodes[other].server.start();
        self.is_followed();
    }

    fn is_followed(&self) {
        let states = "SELECT state FROM pg_stat_replication WHERE application_name = 'standby'";
        wait_until("the standby follows", || self.ask(self.pair.primary, states).as_deref() == Some("streaming"));
        self.waits(true);
        let states = states.replacen("state", "sync_state", 1);
        wait_until("the standby is synchronous", || self.ask(self.pair.primary, &states).as_deref() == Some("sync"));
    }
}

const FAULTS: [Fault<Postgres>; 7] = [
    Fault {
        name: "primary suspended, standby promoted, primary resumed",
        happens: |cluster| {
            sleep(Duration::from_secs(1));
            let old = cluster.pair.primary;
            cluster.pair.nodes[old].server.suspend();
            sleep(NOTICE);
            cluster.promote();
            sleep(Duration::from_secs(4));
            cluster.pair.nodes[old].server.resume();
            sleep(Duration::from_secs(2));
            cluster.follow();
        },
        expects: Expects::Losses,
        short: false,
    },
    Fault {
        name: "answers of the primary do not arrive for 3 s",
        happens: |cluster| {
            sleep(Duration::from_secs(1));
            cluster.pair.primary().hosts.iter().for_each(|way| way.fail(proxy::Fault::MUTE));
            sleep(Duration::from_secs(3));
            cluster.pair.heal();
        },
        expects: Expects::Nothing,
        short: false,
    },
    Fault {
        name: "packets are late by 100 ms for 3 s",
        happens: |cluster| {
            let late = proxy::Fault { delay: Duration::from_millis(100), ..proxy::Fault::default() };
            cluster.has_faulty_network(late, Duration::from_secs(3));
        },
        expects: Expects::Nothing,
        short: false,
    },
    Fault {
        name: "one packet in ten is lost for 5 s",
        happens: |cluster| {
            let lossy = proxy::Fault { loss: 0.1, ..proxy::Fault::default() };
            cluster.has_faulty_network(lossy, Duration::from_secs(5));
        },
        expects: Expects::Nothing,
        short: false,
    },
    Fault {
        name: "failover and back",
        happens: |cluster| {
            for _ in 0..2 {
                sleep(Duration::from_secs(1));
                cluster.pair.primary().server.kill();
                cluster.promote();
                cluster.follow();
            }
        },
        expects: Expects::Nothing,
        short: false,
    },
    Fault {
        name: "standby, two minutes ahead, promoted, and replaced",
        happens: |cluster| cluster.has_wrong_clock("+120s"),
        expects: Expects::Nothing,
        short: false,
    },
    Fault {
        name: "standby, two minutes behind, promoted, and replaced",
        happens: |cluster| cluster.has_wrong_clock("-120s"),
        expects: Expects::Nothing,
        short: false,
    },
];

const FAULTS_OF_DISKS: [Fault<Postgres>; 3] = [
    Fault {
        name: "disk of the primary is late by 300 ms for 3 s",
        happens: |cluster| {
            sleep(Duration::from_secs(1));
            let disk = cluster.pair.primary().server.slow_disk(Duration::from_millis(300));
            sleep(Duration::from_secs(3));
            disk.end();
        },
        expects: Expects::Nothing,
        short: true,
    },
    Fault {
        // Hosts give up first, and what they asked for happens later.
        name: "disk of the primary is late by 3 s for 7 s",
        happens: |cluster| {
            sleep(Duration::from_secs(1));
            let disk = cluster.pair.primary().server.slow_disk(Duration::from_secs(3));
            sleep(Duration::from_secs(7));
            disk.end();
        },
        expects: Expects::Nothing,
        short: false,
    },
    Fault {
        name: "disk of the primary is late by 3 s, primary killed, standby promoted",
        happens: |cluster| {
            sleep(Duration::from_secs(1));
            let disk = cluster.pair.primary().server.slow_disk(Duration::from_secs(3));
            sleep(Duration::from_secs(4));
            cluster.pair.primary().server.kill();
            disk.end();
            sleep(NOTICE);
            cluster.promote();
            sleep(Duration::from_secs(1));
            cluster.follow();
        },
        expects: Expects::Nothing,
        short: false,
    },
];

#[test]
fn postgres_with_a_synchronous_standby_keeps_what_was_acknowledged() {
    alone(|runtime| {
        if let Some(mut cluster) = Postgres::start(runtime) {
            let faults: Vec<_> = faults(Expects::Nothing).into_iter().chain(FAULTS).collect();
            let faults = and_of_disks(&cluster.pair.nodes[0].server, faults, FAULTS_OF_DISKS);
            inject(runtime, &mut cluster, &faults);
            if time().is_some() {
                measure(runtime, "PostgreSQL, synchronous_standby_names", |waits| {
                    cluster.waits(waits);
                    open(runtime, &cluster.url(0))
                });
            }
        }
    });
}
