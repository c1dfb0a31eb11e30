//! Redis: a primary with two replicas, watched by three sentinels.

use std::{net::Ipv4Addr, sync::Arc, thread::sleep, time::Duration};

use lemon_session_store::Store;
use tempfile::TempDir;
use tokio::runtime::Handle;

use crate::{
    costs::measure,
    faults::{Cluster, Expects, Fault, alone, and_of_disks, create_tables, inject, open, time},
    process::{Process, ask_redis, assert_off, find, folder, free_port, wait_until, words},
    proxy::{self, Proxy, Who},
};

/// Where hosts connect from. The servers connect to each other from addresses of their own.
const HOSTS: Ipv4Addr = Ipv4Addr::LOCALHOST;

/// Three servers and three sentinels. They know each other, and hosts know them, by the ports of the proxies.
pub struct Sentinels {
    runtime: Handle,
    servers: [Node; 3],
    sentinels: Vec<Process>,
    /// The option `replicas`.
    replicas: u32,
    cli: String,
    _folder: TempDir,
}

struct Node {
    server: Process,
    way: Proxy,
}

impl Sentinels {
    pub fn start(runtime: &Handle, replicas: u32) -> Option<Self> {
        let [redis, sentinel, cli] = find(["redis-server", "redis-sentinel", "redis-cli"], "redis-sentinel")?;
        let parent = TempDir::with_prefix("lemon-session-sentinel-").expect("a folder");
        let mut first = None;
        let servers = [1, 2, 3].map(|number: u16| {
            let (port, folder) = (free_port(), folder(parent.path(), &format!("server{number}")));
            let way = Proxy::to(runtime, port);
            let primary = *first.get_or_insert(way.port);
            let mut program = words(&format!(
                "{redis} --port {port} --bind 127.0.0.1 --bind-source-addr 127.0.1.{number} --dir {} --save  \
                 --replica-announce-ip 127.0.0.1 --replica-announce-port {} --repl-diskless-sync-delay 0 \
                 --repl-ping-replica-period 1 --repl-timeout 5",
                folder.display(),
                way.port
            ));
            if number > 1 {
                program.extend(words(&format!("--replicaof 127.0.0.1 {primary}")));
            }
            Node { server: Process::new(port, folder, program), way }
        });
        let first = servers[0].way.port;
        let sentinels = (1..=3).map(|number| {
            let (port, folder) = (free_port(), folder(parent.path(), &format!("sentinel{number}")));
            let configuration = folder.join("sentinel.conf");
            let text = format!(
                "port {port}\nbind 127.0.0.1\nbind-source-addr 127.0.2.{number}\ndir {}\n\
                 sentinel announce-ip 127.0.0.1\nsentinel monitor main 127.0.0.1 {first} 2\nsentinel down-after-milliseconds main 1000\n\
                 sentinel failover-timeout main 3000\n",
                folder.display()
            );
            std::fs::write(&configuration, text).expect("the folder is ours");
            Process::new(port, folder, vec![sentinel.clone(), configuration.display().to_string()])
        });
        let sentinels = sentinels.collect();
        let mut cluster = Self { runtime: runtime.clone(), servers, sentinels, replicas, cli, _folder: parent };
        cluster.servers.iter_mut().for_each(|node| node.server.start());
        cluster.wait_for_replicas();
        cluster.sentinels.iter_mut().for_each(Process::start);
        cluster.is_whole();
        create_tables(runtime, &*cluster.store());
        Some(cluster)
    }

    fn ask(&self, port: u16, command: &str) -> String {
        ask_redis(&self.cli, port, command)
    }

    /// The place of the primary, as a sentinel knows it.
    fn primary(&self) -> usize {
        let known = self.ask(self.sentinels[0].port, "sentinel get-master-addr-by-name main");
        let port = known.lines().nth(1).and_then(|port| port.parse().ok());
        self.servers.iter().position(|node| Some(node.way.port) == port).expect("the sentinel knows a primary")
    }

    fn info(&self, place: usize) -> String {
        self.ask(self.servers[place].server.port, "info replication")
    }

    fn wait_for_replicas(&self) {
        wait_until("both replicas follow the primary", || {
            (0..3).any(|place| self.info(place).matches("state=online").count() == 2)
        });
    }

    /// Waits until the sentinels know each other and all servers, and the replicas follow the primary that they know.
    fn is_whole(&self) {
        for sentinel in &self.sentinels {
            wait_until("the sentinels know each other", || {
                let known = self.ask(sentinel.port, "sentinel master main");
                let lines: Vec<&str> = known.lines().collect();
                let is = |name, value| lines.windows(2).any(|pair| pair[0] == name && pair[1] == value);
                is("num-other-sentinels", "2") && is("num-slaves", "2") && is("flags", "master")
            });
        }
        wait_until("both replicas follow the primary", || {
            self.info(self.primary()).matches("state=online").count() == 2
        });
    }

    /// The clocks of the replicas are off, and one of them becomes the primary. Then one whose clock is right takes its place.
    fn has_wrong_clock(&mut self, clock: &'static str) {
        let first = self.primary();
        for place in (0..3).filter(|place| *place != first) {
            self.restart(place, Some(clock));
        }
        sleep(Duration::from_secs(1));
        self.servers[first].server.kill();
        self.wait_for_failover(first);
        // Hosts find the new primary without a word from the old one.
        sleep(Duration::from_secs(4));
        self.servers[first].server.start();
        self.is_whole();
        let wrong = self.primary();
        let other = 3 - first - wrong;
        self.restart(other, None);
        sleep(Duration::from_secs(1));
        self.servers[wrong].server.kill();
        self.wait_for_failover(wrong);
        sleep(Duration::from_secs(4));
        self.servers[wrong].server.set_clock(None);
        self.servers[wrong].server.start();
        self.is_whole();
    }

    /// Starts a replica again, with a clock that is off by so much.
    fn restart(&mut self, place: usize, clock: Option<&'static str>) {
        let server = &mut self.servers[place].server;
        server.kill();
        server.set_clock(clock);
        server.start();
        let port = server.port;
        if let Some(clock) = clock {
            assert_off(clock, self.ask(port, "time").lines().next().map(str::to_owned));
        }
        self.is_whole();
    }

    /// Waits for the sentinels to make another server the primary.
    fn wait_for_failover(&self, old: usize) {
        wait_until("the sentinels have made another server the primary", || self.primary() != old);
    }

    fn store(&self) -> Arc<dyn Store> {
        self.store_with(self.replicas)
    }

    /// A store with this option `replicas`.
    pub fn store_with(&self, replicas: u32) -> Arc<dyn Store> {
        let sentinels: Vec<String> = self.sentinels.iter().map(|node| format!("127.0.0.1:{}", node.port)).collect();
        let url = format!("redis+sentinel://{}/main?timeout=1&replicas={replicas}", sentinels.join(","));
        open(&self.runtime, &url)
    }

    /// The ports of the sentinels.
    pub fn sentinel_ports(&self) -> Vec<u16> {
        self.sentinels.iter().map(|sentinel| sentinel.port).collect()
    }

    /// The ports of the ways to the servers, that to the primary first.
    pub fn server_ports(&self) -> Vec<u16> {
        let primary = self.primary();
        (0..3).map(|place| self.servers[(primary + place) % 3].way.port).collect()
    }
}

impl Cluster for Sentinels {
    fn name(&self) -> String {
        format!("Redis with Sentinel, replicas = {}", self.replicas)
    }

    fn stores(&self) -> [Arc<dyn Store>; 2] {
        [self.store(), self.store()]
    }
}

pub fn faults(replicas: u32) -> [Fault<Sentinels>; 8] {
    // Without `replicas`, a save counts as made as soon as the primary has it.
    let expects = if replicas == 0 { Expects::Losses } else { Expects::Nothing };
    [
        Fault {
            name: "primary killed",
            happens: |cluster| {
                sleep(Duration::from_secs(1));
                let old = cluster.primary();
                cluster.servers[old].server.kill();
                cluster.wait_for_failover(old);
                // Hosts find the new primary without a word from the old one.
                sleep(Duration::from_secs(6));
                cluster.servers[old].server.start();
                cluster.is_whole();
            },
            expects,
            short: true,
        },
        Fault {
            name: "primary suspended for 6 s",
            happens: |cluster| {
                sleep(Duration::from_secs(1));
                let old = cluster.primary();
                cluster.servers[old].server.suspend();
                cluster.wait_for_failover(old);
                sleep(Duration::from_secs(3));
                cluster.servers[old].server.resume();
                cluster.is_whole();
            },
            expects,
            short: false,
        },
        Fault {
            name: "primary cut off from all",
            happens: |cluster| {
                sleep(Duration::from_secs(1));
                let old = cluster.primary();
                cluster.servers[old].way.fail(proxy::Fault::CUT);
                cluster.wait_for_failover(old);
                sleep(Duration::from_secs(3));
                cluster.servers[old].way.heal();
                cluster.is_whole();
            },
            expects,
            short: true,
        },
        Fault {
            name: "primary and the hosts cut off from replicas and sentinels",
            happens: |cluster| {
                sleep(Duration::from_secs(1));
                let old = cluster.primary();
                cluster.servers[old].way.fail(proxy::Fault::CUT.of(Who::AllBut(HOSTS)));
                cluster.wait_for_failover(old);
                sleep(Duration::from_secs(3));
                cluster.servers[old].way.heal();
                cluster.is_whole();
            },
            // Hosts read from the old primary what no other server has.
            expects: Expects::Losses,
            short: false,
        },
        Fault {
            name: "answers of the primary do not arrive for 500 ms",
            happens: |cluster| {
                sleep(Duration::from_secs(1));
                let way = &cluster.servers[cluster.primary()].way;
                way.fail(proxy::Fault::MUTE);
                sleep(Duration::from_millis(500));
                way.heal();
                sleep(Duration::from_secs(2));
                cluster.is_whole();
            },
            expects,
            short: false,
        },
        Fault {
            name: "one packet in ten is lost for 5 s",
            happens: |cluster| {
                sleep(Duration::from_secs(1));
                let lossy = proxy::Fault { loss: 0.1, ..proxy::Fault::default() };
                cluster.servers.iter().for_each(|node| node.way.fail(lossy));
                sleep(Duration::from_secs(5));
                cluster.servers.iter().for_each(|node| node.way.heal());
                cluster.is_whole();
            },
            expects,
            short: false,
        },
        Fault {
            name: "replicas two minutes ahead, one promoted, and replaced",
            happens: |cluster| cluster.has_wrong_clock("+120s"),
            expects,
            short: false,
        },
        Fault {
            name: "replicas two minutes behind, one promoted, and replaced",
            happens: |cluster| cluster.has_wrong_clock("-120s"),
            expects,
            short: false,
        },
    ]
}

/// A primary that has every change on its disk before it answers.
fn faults_of_disks(replicas: u32) -> [Fault<Sentinels>; 1] {
    [Fault {
        name: "disk of the primary, appendfsync always, is late by 200 ms for 3 s",
        happens: |cluster| {
            let primary = &cluster.servers[cluster.primary()].server;
            let set = |name: &str, value: &str| {
                let answer = cluster.ask(primary.port, &format!("config set {name} {value}"));
                assert_eq!(answer.trim(), "OK", "{name} {value}");
            };
            set("appendfsync", "always");
            set("appendonly", "yes");
            wait_until("the primary has written its file", || {
                let state = cluster.ask(primary.port, "info persistence");
                ["aof_enabled:1", "aof_rewrite_in_progress:0", "aof_rewrite_scheduled:0"]
                    .iter()
                    .all(|is| state.contains(is))
            });
            let disk = primary.slow_disk(Duration::from_millis(200));
            sleep(Duration::from_secs(3));
            disk.end();
            set("appendonly", "no");
            cluster.is_whole();
        },
        // If the sentinels replace it meanwhile, what no replica has is lost.
        expects: if replicas == 0 { Expects::Losses } else { Expects::Nothing },
        short: true,
    }]
}

#[test]
fn redis_with_sentinels_keeps_what_replicas_have_acknowledged() {
    alone(|runtime| {
        if let Some(mut cluster) = Sentinels::start(runtime, 1) {
            let faults = and_of_disks(&cluster.servers[0].server, faults(1), faults_of_disks(1));
            inject(runtime, &mut cluster, &faults);
            if time().is_some() {
                measure(runtime, "Redis with Sentinel, replicas = 1", |waits| cluster.store_with(waits.into()));
            }
        }
    });
}

/// A short run has only the faults that lose nothing.
#[test]
fn redis_with_sentinels_saves_again_after_a_failover() {
    if time().is_none() {
        return;
    }
    alone(|runtime| {
        if let Some(mut cluster) = Sentinels::start(runtime, 0) {
            let faults = and_of_disks(&cluster.servers[0].server, faults(0), faults_of_disks(0));
            inject(runtime, &mut cluster, &faults);
        }
    });
}
