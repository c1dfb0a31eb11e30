//! MariaDB with Galera: three nodes that all take writes.

use std::{sync::Arc, thread::sleep, time::Duration};

use lemon_session_store::Store;
use tempfile::TempDir;
use tokio::runtime::Handle;

use crate::{
    faults::{Cluster, Expects, Fault, alone, and_of_disks, create_tables, inject, open},
    logins,
    process::{Process, assert_off, demoted, find, folder_of, free_port, output, parent, run, wait_until},
    proxy::{self, Proxy},
};

const PROVIDER: &str = "/usr/lib/galera/libgalera_smm.so";

/// As root, the state transfer by rsync does not work.
const USER: &str = "mysql";

struct Galera {
    runtime: Handle,
    nodes: Vec<Node>,
    client: String,
    _folder: TempDir,
}

struct Node {
    server: Process,
    /// The way of each host to this node.
    hosts: [Proxy; 2],
}

impl Galera {
    fn start(runtime: &Handle) -> Option<Self> {
        let [daemon, install, client, provider] =
            find(["mariadbd", "mariadb-install-db", "mariadb", PROVIDER], "galera-4")?;
        let parent = parent("lemon-session-galera-");
        let ports: Vec<[u16; 3]> = (0..3).map(|_| [free_port(), free_port(), free_port()]).collect();
        let group: Vec<String> = ports.iter().map(|[_, group, _]| format!("127.0.0.1:{group}")).collect();
        let group = group.join(",");
        let mut nodes = Vec::new();
        for (number, [port, own, transfer]) in ports.into_iter().enumerate() {
            let folder = folder_of(USER, parent.path(), &format!("node{number}"));
            let data = format!("--datadir={}", folder.join("data").display());
            if number == 0 {
                let method = "--auth-root-authentication-method=normal";
                run(&demoted(USER, &[&install, "--no-defaults", "--skip-test-db", &data, method]));
            } else {
                run(&demoted(USER, &["mkdir", &folder.join("data").display().to_string()]));
            }
            let path = |name: &str| folder.join(name).display().to_string();
            let mut program = demoted(USER, &[&daemon, "--no-defaults", &data]);
            program.extend([
                format!("--port={port}"),
                format!("--socket={}", path("socket")),
                format!("--pid-file={}", path("pid")),
                format!("--tmpdir={}", folder.display()),
                "--bind-address=127.0.0.1".to_owned(),
                "--skip-name-resolve".to_owned(),
                "--innodb-buffer-pool-size=32M".to_owned(),
                "--innodb-log-file-size=16M".to_owned(),
                "--innodb-autoinc-lock-mode=2".to_owned(),
                "--binlog-format=ROW".to_owned(),
                "--wsrep-on=ON".to_owned(),
                format!("--wsrep-provider={provider}"),
                format!("--wsrep-cluster-address=gcomm://{group}"),
                format!("--wsrep-node-name=node{number}"),
                format!("--wsrep-node-address=127.0.0.1:{own}"),
                "--wsrep-sst-method=rsync".to_owned(),
                format!("--wsrep-sst-receive-address=127.0.0.1:{transfer}"),
                // A node that does not answer is left out after two seconds, instead of five.
                format!(
                    "--wsrep-provider-options=gmcast.listen_addr=tcp://127.0.0.1:{own};ist.recv_addr=127.0.0.1:{};\
                     gcache.size=64M;evs.suspect_timeout=PT2S;evs.inactive_timeout=PT4S;evs.keepalive_period=PT0.5S",
                    own + 10_000,
                ),
            ]);
            let hosts = [0, 1].map(|_| Proxy::to(runtime, port));
            nodes.push(Node { server: Process::new(port, folder, program), hosts });
        }
        let mut cluster = Self { runtime: runtime.clone(), nodes, client, _folder: parent };
        cluster.create();
        Some(cluster)
    }

    /// Starts the first node, and then the others, which get its data.
    fn create(&mut self) {
        let first = &mut self.nodes[0].server;
        first.start_with(&["--wsrep-new-cluster"]);
        wait_until("the first node is ready", || self.is_ready(0));
        let setup = "CREATE DATABASE sessions; CREATE USER owner@'127.0.0.1' IDENTIFIED BY 'password';
            GRANT ALL ON sessions.* TO owner@'127.0.0.1'";
        self.ask(0, setup).expect("the first node is ready");
        for place in 1..3 {
            self.nodes[place].server.start();
            wait_until("the node has joined", || self.is_ready(place));
        }
        create_tables(&self.runtime, &*open(&self.runtime, &self.url(0)));
    }

    /// What a node answers to SQL; none if it does not.
    fn ask(&self, place: usize, sql: &str) -> Option<String> {
        let port = self.nodes[place].server.port.to_string();
        let client = [&self.client, "--no-defaults", "-h", "127.0.0.1", "-P", &port, "-u", "root", "-N", "-e", sql];
        let output = output(&client);
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn is_ready(&self, place: usize) -> bool {
        self.ask(place, "SHOW STATUS LIKE 'wsrep_local_state_comment'").is_some_and(|state| state.contains("Synced"))
    }

    /// Waits until all nodes are connected and have all data.
    fn is_whole(&self) {
        wait_until("all nodes are ready", || {
            let size = |place| self.ask(place, "SHOW STATUS LIKE 'wsrep_cluster_size'");
            (0..3).all(|place| size(place).is_some_and(|size| size.contains('3')) && self.is_ready(place))
        });
    }

    fn heal(&self) {
        self.nodes.iter().flat_map(|node| &node.hosts).for_each(Proxy::heal);
    }

    /// Cuts a node off from the other two, or no longer.
    fn isolate(&self, place: usize, is_cut: bool) {
        let set = format!("SET GLOBAL wsrep_provider_options = 'gmcast.isolate={}'", u8::from(is_cut));
        self.ask(place, &set).expect("the node answers");
    }

    /// The clock of one node is off, and another node is killed. Then the node is started again with a clock that is right.
    fn has_wrong_clock(&mut self, clock: &'static str) {
        for (place, clock) in [(0, Some(clock)), (1, None), (0, None)] {
            sleep(Duration::from_secs(1));
            let server = &mut self.nodes[place].server;
            server.kill();
            server.set_clock(clock);
            sleep(Duration::from_secs(4));
            self.nodes[place].server.start();
            self.is_whole();
            if let Some(clock) = clock {
                assert_off(clock, self.ask(place, "SELECT UNIX_TIMESTAMP()"));
            }
        }
    }

    /// What one node waits for its disk for takes so much longer, for some time.
    fn has_slow_disk(&self, late: Duration, time: Duration) {
        sleep(Duration::from_secs(1));
        let disk = self.nodes[0].server.slow_disk(late);
        sleep(time);
        disk.end();
        self.is_whole();
    }

    /// Each host begins at another node.
    fn url(&self, host: usize) -> String {
        let nodes: Vec<String> =
            (0..3).map(|place| format!("127.0.0.1:{}", self.nodes[(host + place) % 3].hosts[host].port)).collect();
        let options = "pool-size=4&timeout=3&connect-timeout=1&sslmode=disable";
        format!("mysql://owner:password@{}/sessions?{options}", nodes.join(","))
    }
}

impl Cluster for Galera {
    fn name(&self) -> String {
        "MariaDB Galera".to_owned()
    }

    fn stores(&self) -> [Arc<dyn Store>; 2] {
        [0, 1].map(|host| open(&self.runtime, &self.url(host)))
    }
}

const FAULTS: [Fault<Galera>; 8] = [
    Fault {
        name: "node killed",
        happens: |cluster| {
            sleep(Duration::from_secs(1));
            cluster.nodes[0].server.kill();
            sleep(Duration::from_secs(5));
            cluster.nodes[0].server.start();
            cluster.is_whole();
        },
        expects: Expects::Nothing,
        short: true,
    },
    Fault {
        name: "node suspended for 6 s",
        happens: |cluster| {
            sleep(Duration::from_secs(1));
            cluster.nodes[0].server.suspend();
            sleep(Duration::from_secs(6));
            cluster.nodes[0].server.resume();
            cluster.is_whole();
        },
        expects: Expects::Nothing,
        short: false,
    },
    Fault {
        name: "node cut off from the others, not from the hosts",
        happens: |cluster| {
            sleep(Duration::from_secs(1));
            cluster.isolate(0, true);
            sleep(Duration::from_secs(5));
            cluster.isolate(0, false);
            cluster.is_whole();
        },
        expects: Expects::Nothing,
        short: true,
    },
    Fault {
        name: "node cut off from the hosts for 4 s",
        happens: |cluster| {
            sleep(Duration::from_secs(1));
            cluster.nodes[0].hosts.iter().for_each(|way| way.fail(proxy::Fault::CUT));
            sleep(Duration::from_secs(4));
            cluster.heal();
        },
        expects: Expects::Nothing,
        short: false,
    },
    Fault {
        name: "one packet in ten between hosts and nodes is lost for 5 s",
        happens: |cluster| {
            sleep(Duration::from_secs(1));
            let lossy = proxy::Fault { loss: 0.1, ..proxy::Fault::default() };
            cluster.nodes.iter().flat_map(|node| &node.hosts).for_each(|way| way.fail(lossy));
            sleep(Duration::from_secs(5));
            cluster.heal();
        },
        expects: Expects::Nothing,
        short: false,
    },
    Fault {
        name: "node is late by 1 s in applying what others save",
        happens: |cluster| {
            for _ in 0..2 {
                sleep(Duration::from_millis(500));
                cluster.ask(1, "FLUSH TABLES WITH READ LOCK; SELECT SLEEP(1)").expect("the node answers");
            }
        },
        expects: Expects::Nothing,
        short: true,
    },
    Fault {
        name: "node two minutes ahead, another one killed",
        happens: |cluster| cluster.has_wrong_clock("+120s"),
        expects: Expects::Nothing,
        short: false,
    },
    Fault {
        name: "node two minutes behind, another one killed",
        happens: |cluster| cluster.has_wrong_clock("-120s"),
        expects: Expects::Nothing,
        short: false,
    },
];

const FAULTS_OF_DISKS: [Fault<Galera>; 2] = [
    Fault {
        name: "disk of a node is late by 300 ms for 3 s",
        happens: |cluster| cluster.has_slow_disk(Duration::from_millis(300), Duration::from_secs(3)),
        expects: Expects::Nothing,
        short: true,
    },
    Fault {
        // Hosts give up first.
        name: "disk of a node is late by 4 s for 9 s",
        happens: |cluster| cluster.has_slow_disk(Duration::from_secs(4), Duration::from_secs(9)),
        expects: Expects::Nothing,
        short: false,
    },
];

#[test]
fn galera_keeps_what_was_acknowledged() {
    alone(|runtime| {
        if let Some(mut cluster) = Galera::start(runtime) {
            logins::meet(runtime, &cluster.stores());
            let faults = and_of_disks(&cluster.nodes[0].server, FAULTS, FAULTS_OF_DISKS);
            inject(runtime, &mut cluster, &faults);
        }
    });
}
