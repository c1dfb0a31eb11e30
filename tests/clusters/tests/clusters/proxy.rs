//! A proxy in front of a server, with the faults of a network.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    runtime::Handle,
    sync::watch,
};

/// After this time, Linux sends a packet again that was not acknowledged, at the earliest.
const RETRANSMISSION: Duration = Duration::from_millis(200);

/// What is wrong with the network.
#[derive(Clone, Copy, Default)]
pub struct Fault {
    /// Nothing arrives at the server. What is sent meanwhile arrives later, as after a retransmission.
    pub to_server: bool,
    /// Nothing arrives at the client.
    pub to_client: bool,
    /// Each packet is late by this much, in both directions.
    pub delay: Duration,
    /// The share of packets that are lost in both directions. Each of them arrives when it was sent again, as TCP has it.
    pub loss: f64,
    /// Whom it concerns.
    pub who: Who,
}

/// The clients that a fault concerns, by the address that they connect from.
#[derive(Clone, Copy, Default)]
pub enum Who {
    #[default]
    All,
    Only(Ipv4Addr),
    AllBut(Ipv4Addr),
}

impl Fault {
    pub const CUT: Self = Self { to_server: true, to_client: true, delay: Duration::ZERO, loss: 0.0, who: Who::All };
    /// Requests arrive, answers do not.
    pub const MUTE: Self = Self { to_server: false, ..Self::CUT };

    pub const fn of(self, who: Who) -> Self {
        Self { who, ..self }
    }

    /// By how much the next packet is late.
    fn delays(&self) -> Duration {
        if fastrand::f64() < self.loss { self.delay + RETRANSMISSION } else { self.delay }
    }

    fn concerns(&self, client: IpAddr) -> bool {
        match self.who {
            Who::All => true,
            Who::Only(only) => client == only,
            Who::AllBut(spared) => client != spared,
        }
    }
}

/// Leads to a port of this machine, until it is dropped.
pub struct Proxy {
    pub port: u16,
    faults: watch::Sender<Vec<Fault>>,
    accepting: tokio::task::JoinHandle<()>,
}

impl Proxy {
    pub fn to(runtime: &Handle, server: u16) -> Self {
        Self::at(runtime, 0, server)
    }

    /// At this port; any free one if it is 0.
    pub fn at(runtime: &Handle, port: u16, server: u16) -> Self {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let listener = runtime.block_on(TcpListener::bind(address)).expect("the port is free");
        let port = listener.local_addr().expect("an address").port();
        let (faults, watched) = watch::channel(Vec::new());
        let accepting = runtime.spawn(async move {
            while let Ok((client, from)) = listener.accept().await {
                tokio::spawn(relay(client, from.ip(), server, watched.clone()));
            }
        });
        Self { port, faults, accepting }
    }

    /// Adds a fault.
    pub fn fail(&self, fault: Fault) {
        self.faults.send_modify(|faults| faults.push(fault));
    }

    /// The network works again.
    pub fn heal(&self) {
        self.faults.send_modify(Vec::clear);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn relay(client: TcpStream, from: IpAddr, server: u16, faults: watch::Receiver<Vec<Fault>>) {
    let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, server)).await else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let requests = copy(from_client, to_server, from, faults.clone(), |fault| fault.to_server);
    let answers = copy(from_server, to_client, from, faults, |fault| fault.to_client);
    // If one side is gone, so is the other.
    tokio::select! { () = requests => {} () = answers => {} }
}

async fn copy(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    client: IpAddr,
    mut faults: watch::Receiver<Vec<Fault>>,
    is_cut: fn(&Fault) -> bool,
) {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let count = from.read(&mut buffer).await.unwrap_or_default();
        let passes = |faults: &Vec<Fault>| !faults.iter().any(|fault| is_cut(fault) && fault.concerns(client));
        // The end of a connection is a packet too. A proxy that is dropped cuts nothing.
        let _ = faults.wait_for(passes).await;
        let delay = faults.borrow().iter().filter(|fault| fault.concerns(client)).map(Fault::delays).max();
        tokio::time::sleep(delay.unwrap_or_default()).await;
        if count == 0 || to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}
