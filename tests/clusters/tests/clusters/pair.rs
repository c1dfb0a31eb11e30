//! A primary with a standby that is promoted, and the faults of any such pair of servers.

use std::{thread::sleep, time::Duration};

use tokio::runtime::Handle;

use crate::{
    faults::{Cluster, Expects, Fault},
    process::Process,
    proxy::{self, Proxy},
};

/// How long a monitor of the servers takes to notice a fault.
pub const NOTICE: Duration = Duration::from_millis(700);

/// Two servers, one of which is the standby of the other.
pub struct Pair {
    pub nodes: [Node; 2],
    /// The place of the primary.
    pub primary: usize,
}

pub struct Node {
    pub server: Process,
    /// The way of each host to this server.
    pub hosts: [Proxy; 2],
    /// The way of the standby.
    pub standby: Proxy,
}

impl Node {
    pub fn new(runtime: &Handle, server: Process) -> Self {
        let way = || Proxy::to(runtime, server.port);
        let (hosts, standby) = ([way(), way()], way());
        Self { server, hosts, standby }
    }

    fn ways(&self) -> impl Iterator<Item = &Proxy> {
        self.hosts.iter().chain([&self.standby])
    }
}

impl Pair {
    /// The place of the server that is not the primary.
    pub fn other(&self) -> usize {
        1 - self.primary
    }

    pub fn primary(&mut self) -> &mut Node {
        &mut self.nodes[self.primary]
    }

    pub fn heal(&self) {
        self.nodes.iter().flat_map(Node::ways).for_each(Proxy::heal);
    }

    /// All ways to the primary have a fault, until they are healed.
    pub fn fail(&self, fault: proxy::Fault) {
        self.nodes[self.primary].ways().for_each(|way| way.fail(fault));
    }

    /// The addresses of both servers for a URL. Each host begins at another one.
    pub fn addresses(&self, host: usize) -> String {
        let hosts = [host, 1 - host].map(|place| format!("127.0.0.1:{}", self.nodes[place].hosts[host].port));
        hosts.join(",")
    }
}

/// A cluster that is such a pair.
pub trait WithStandby: Cluster {
    fn pair(&mut self) -> &mut Pair;

    /// Makes the standby the primary. It has no standby yet, so its saves wait for none.
    fn promote(&mut self);

    /// Makes the other server a standby, with a copy of the primary's data, whatever it was before.
    fn follow(&mut self);

    /// Waits until the standby follows, and has saves wait for it, if they are to.
    fn is_followed(&self);
}

/// The faults, with what those may do that a standby which has everything survives.
pub fn faults<C: WithStandby>(expects: Expects) -> [Fault<C>; 5] {
    [
        Fault {
            name: "primary killed, standby promoted",
            happens: |cluster| {
                sleep(Duration::from_secs(1));
                cluster.pair().primary().server.kill();
                sleep(NOTICE);
                replace(cluster, Duration::from_secs(1));
            },
            expects,
            short: true,
        },
        Fault {
            name: "primary suspended, killed, standby promoted",
            happens: |cluster| {
                sleep(Duration::from_secs(1));
                cluster.pair().primary().server.suspend();
                sleep(NOTICE);
                cluster.pair().primary().server.kill();
                replace(cluster, Duration::from_secs(1));
            },
            expects,
            short: false,
        },
        Fault {
            name: "primary cut off from all, standby promoted",
            happens: |cluster| {
                sleep(Duration::from_secs(1));
                cluster.pair().fail(proxy::Fault::CUT);
                sleep(NOTICE);
                replace(cluster, Duration::from_secs(4));
            },
            expects,
            short: true,
        },
        Fault {
            name: "primary and one host cut off, standby promoted",
            happens: |cluster| {
                sleep(Duration::from_secs(1));
                let pair = cluster.pair();
                // Host 0 stays with the old primary, host 1 goes to the new one.
                let (old, new) = (&pair.nodes[pair.primary], &pair.nodes[pair.other()]);
                [&old.hosts[1], &old.standby, &new.hosts[0]].into_iter().for_each(|way| way.fail(proxy::Fault::CUT));
                sleep(NOTICE);
                replace(cluster, Duration::from_secs(4));
            },
            // The old primary answers loads, as nothing stops it.
            expects: Expects::Losses,
            short: false,
        },
        Fault {
            name: "standby killed and started again",
            happens: |cluster| {
                sleep(Duration::from_secs(1));
                let pair = cluster.pair();
                let standby = pair.other();
                pair.nodes[standby].server.kill();
                sleep(Duration::from_secs(3));
                cluster.pair().nodes[standby].server.start();
                cluster.is_followed();
            },
            expects: Expects::Nothing,
            short: false,
        },
    ]
}

/// Promotes the standby. The old primary becomes its standby after some time.
pub fn replace<C: WithStandby>(cluster: &mut C, later: Duration) {
    cluster.promote();
    sleep(later);
    cluster.follow();
}
