//! Redis Cluster: three masters, each with a replica.

use std::{net::Ipv4Addr, sync::Arc, thread::sleep, time::Duration};

use lemon_session_store::Store;
use tempfile::TempDir;
use tokio::runtime::Handle;

use crate::{
    costs::measure,
    faults::{Cluster, Expects, Fault, alone, create_tables, inject, open, time},
    process::{Process, ask_redis, find, folder, free_port, wait_until, words},
    proxy::{self, Proxy, Who},
};

const NODES: usize = 6;
/// How long nodes wait for the answer of another one.
const NODE_TIMEOUT: &str = "1500";

struct RedisCluster {
    runtime: Handle,
    nodes: Vec<Node>,
    replicas: u32,
    cli: String,
    _folder: TempDir,
}

struct Node {
    server: Process,
    /// The way of hosts and of replicas.
    way: Proxy,
    /// The way of the other nodes.
    bus: Proxy,
    /// Where it connects from.
    from: Ipv4Addr,
}

impl RedisCluster {
    fn start(runtime: &Handle, replicas: u32) -> Option<Self> {
        let [redis, cli] = find(["redis-server", "redis-cli"], "redis-server")?;
        let parent = TempDir::with_prefix("lemon-session-cluster-").expect("a folder");
        let nodes = (1..=NODES).map(|number| {
            let (port, folder) = (free_port(), folder(parent.path(), &format!("node{number}")));
            let (way, bus) = (Proxy::to(runtime, port), Proxy::to(runtime, port + 10_000));
            let from = Ipv4Addr::new(127, 0, 1, number as u8);
            let program = words(&format!(
                "{redis} --port {port} --bind 127.0.0.1 --bind-source-addr {from} --dir {} --save  --cluster-enabled yes \
                 --cluster-node-timeout {NODE_TIMEOUT} --cluster-announce-ip 127.0.0.1 --cluster-announce-port {} \
                 --cluster-announce-bus-port {} --repl-diskless-sync-delay 0 --repl-ping-replica-period 1",
                folder.display(),
                way.port,
                bus.port
            ));
            Node { server: Process::new(port, folder, program), way, bus, from }
        });
        let nodes = nodes.collect();
        let mut cluster = Self { runtime: runtime.clone(), nodes, replicas, cli, _folder: parent };
        cluster.create();
        Some(cluster)
    }

    fn create(&mut self) {
        self.nodes.iter_mut().for_each(|node| node.server.start());
        // redis-cli would have the nodes meet at the ports of their buses, 10,000 above those of the servers.
        let first = &self.nodes[0].server;
        for node in &self.nodes[1..] {
            self.ask(first.port, &format!("cluster meet 127.0.0.1 {} {}", node.way.port, node.bus.port));
        }
        let slots = ["0 5461", "5462 10922", "10923 16383"];
        for (node, slots) in self.nodes.iter().zip(slots) {
            self.ask(node.server.port, &format!("cluster addslotsrange {slots}"));
        }
        for (place, node) in self.nodes.iter().enumerate() {
            self.ask(node.server.port, &format!("cluster set-config-epoch {}", place + 1));
        }
        wait_until("all nodes know each other", || {
            self.nodes.iter().all(|node| {
                self.ask(node.server.port, "cluster info").contains(&format!("cluster_known_nodes:{NODES}"))
            })
        });
        for place in 3..NODES {
            let master = self.ask(self.nodes[place - 3].server.port, "cluster myid");
            let said = || self.ask(self.nodes[place].server.port, &format!("cluster replicate {}", master.trim()));
            wait_until("the replica knows its master", || said().starts_with("OK"));
        }
        self.is_whole();
        create_tables(&self.runtime, &*self.store());
    }

    fn ask(&self, port: u16, command: &str) -> String {
        ask_redis(&self.cli, port, command)
    }

    /// Waits until all slots are served, and every master has a replica that follows it.
    fn is_whole(&self) {
        wait_until("the cluster is whole", || {
            let is_ok = |node: &Node| self.ask(node.server.port, "cluster info").contains("cluster_state:ok");
            let followed = |node: &&Node| {
                let info = self.ask(node.server.port, "info replication");
                info.contains("role:master") && info.contains("state=online")
            };
            self.nodes.iter().all(is_ok) && self.nodes.iter().filter(followed).count() == 3
        });
    }

    /// The place of a master.
    fn master(&self) -> usize {
        let is_master = |node: &Node| self.ask(node.server.port, "role").starts_with("master");
        self.nodes.iter().position(is_master).expect("a master")
    }

    /// Waits until another node has taken over.
    fn wait_for_failover(&self, old: usize) {
        wait_until("a replica has taken over", || {
            let others = self.nodes.iter().enumerate().filter(|(place, _)| *place != old);
            let roles = others.map(|(_, node)| self.ask(node.server.port, "role"));
            roles.filter(|role| role.starts_with("master")).count() == 3
        });
    }

    /// Cuts a node off from the other nodes, and them from it; hosts still reach it.
    fn isolate(&self, place: usize) {
        let Node { way, bus, from, .. } = &self.nodes[place];
        way.fail(proxy::Fault::CUT.of(Who::AllBut(Ipv4Addr::LOCALHOST)));
        bus.fail(proxy::Fault::CUT);
        for (other, node) in self.nodes.iter().enumerate() {
            if other != place {
                [&node.way, &node.bus].into_iter().for_each(|way| way.fail(proxy::Fault::CUT.of(Who::Only(*from))));
            }
        }
    }

    fn heal(&self) {
        self.nodes.iter().for_each(|node| [&node.way, &node.bus].into_iter().for_each(Proxy::heal));
    }

    fn store(&self) -> Arc<dyn Store> {
        let nodes: Vec<String> = self.nodes.iter().map(|node| format!("127.0.0.1:{}", node.way.port)).collect();
        open(&self.runtime, &format!("redis+cluster://{}?timeout=1&replicas={}", nodes.join(","), self.replicas))
    }
}

impl Cluster for RedisCluster {
    fn name(&self) -> String {
        format!("Redis Cluster, replicas = {}", self.replicas)
    }

    fn stores(&self) -> [Arc<dyn Store>; 2] {
        [self.store(), self.store()]
    }
}

fn faults(replicas: u32) -> [Fault<RedisCluster>; 4] {
    let expects = if replicas == 0 { Expects::Losses } else { Expects::Nothing };
    [
        Fault {
            name: "master killed",
            happens: |cluster| {
                sleep(Duration::from_secs(1));
                let old = cluster.master();
                cluster.nodes[old].server.kill();
                cluster.wait_for_failover(old);
                sleep(Duration::from_secs(1));
                cluster.nodes[old].server.start();
                cluster.is_whole();
            },
            expects,
            short: true,
        },
        Fault {
            name: "master suspended, replica promoted, master resumed",
            happens: |cluster| {
                sleep(Duration::from_secs(1));
                let old = cluster.master();
                cluster.nodes[old].server.suspend();
                cluster.wait_for_failover(old);
                sleep(Duration::from_secs(2));
                cluster.nodes[old].server.resume();
                cluster.is_whole();
            },
            // When it is resumed, it answers until another node tells it that it was replaced.
            expects: Expects::Losses,
            short: false,
        },
        Fault {
            name: "master cut off from the other nodes, not from the hosts",
            happens: |cluster| {
                sleep(Duration::from_secs(1));
                let old = cluster.master();
                cluster.isolate(old);
                cluster.wait_for_failover(old);
                sleep(Duration::from_secs(2));
                cluster.heal();
                cluster.is_whole();
            },
            // Until it notices, the old master answers what no other node has.
            expects: Expects::Losses,
            short: false,
        },
        Fault {
            name: "one packet in ten is lost for 5 s",
            happens: |cluster| {
                sleep(Duration::from_secs(1));
                let lossy = proxy::Fault { loss: 0.1, ..proxy::Fault::default() };
                cluster.nodes.iter().flat_map(|node| [&node.way, &node.bus]).for_each(|way| way.fail(lossy));
                sleep(Duration::from_secs(5));
                cluster.heal();
                cluster.is_whole();
            },
            expects,
            short: false,
        },
    ]
}

#[test]
fn redis_cluster_keeps_what_replicas_have_acknowledged() {
    alone(|runtime| {
        if let Some(mut cluster) = RedisCluster::start(runtime, 1) {
            inject(runtime, &mut cluster, &faults(1));
            if time().is_some() {
                measure(runtime, "Redis Cluster, replicas = 1", |waits| {
                    cluster.replicas = waits.into();
                    cluster.store()
                });
            }
        }
    });
}

/// A short run has only the faults that lose nothing.
#[test]
fn redis_cluster_saves_again_after_a_failover() {
    if time().is_none() {
        return;
    }
    alone(|runtime| {
        if let Some(mut cluster) = RedisCluster::start(runtime, 0) {
            inject(runtime, &mut cluster, &faults(0));
        }
    });
}
