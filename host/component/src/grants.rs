//! What a component may reach: one directory, some addresses, and some environment variables; nothing else.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    sync::Arc,
};

use lemon_session_store::{Error, Result};
use wasmtime::{
    StoreContextMut,
    component::{Linker, Resource, ResourceTable},
};
use wasmtime_wasi::{
    FsPerms, WasiCtx, WasiCtxView, WasiView,
    p2::bindings::sockets::{
        ip_name_lookup::Host as _,
        network::{ErrorCode, Network},
    },
    sockets::{SocketAddrUse, WasiSocketsView as _},
};

use crate::{log::Log, memory::Memory, options::Limits};

/// The name that the granted directory has for the component.
const DIRECTORY: &str = "/sessions";

/// The version that wasmtime-wasi implements. Components built against another 0.2 are linked with it too.
const LOOKUP: &str = "wasi:sockets/ip-name-lookup@0.2.12";

/// The most handles that an instance holds at the same time: open files, connections, and what it waits for.
const HANDLES: usize = 128;

/// What a component is granted.
#[derive(Default)]
pub struct Grants {
    /// A directory, which the component reads and writes as `/sessions`.
    pub directory: Option<PathBuf>,
    /// The addresses that it may connect to.
    pub peers: Vec<Peer>,
    /// Its environment.
    pub environment: Vec<(String, String)>,
}

/// An address that a component may connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    host: Host,
    port: u16,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Host {
    Address(IpAddr),
    Name(String),
}

impl Peer {
    /// Reads `HOST:PORT`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let parsed = text.rsplit_once(':').and_then(|(host, port)| {
            let port = port.parse().ok().filter(|port| *port != 0)?;
            let host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
                Some(address) => Host::Address(IpAddr::V6(address.parse().ok()?)),
                None => match host.parse() {
                    Ok(address) => Host::Address(IpAddr::V4(address)),
                    Err(_) if host.is_empty() || host.contains([':', '/', '@', '*']) => return None,
                    Err(_) => Host::Name(host.to_ascii_lowercase()),
                },
            };
            Some(Self { host, port })
        });
        parsed.ok_or_else(|| format!("connect: {text:?} is not HOST:PORT, such as localhost:6379 or [::1]:6379"))
    }

    /// Whether this is the address of the peer now.
    async fn is_at(&self, address: SocketAddr) -> bool {
        if address.port() != self.port {
            return false;
        }
        let ip = address.ip().to_canonical();
        match &self.host {
            Host::Address(own) => own.to_canonical() == ip,
            Host::Name(name) => match tokio::net::lookup_host((name.as_str(), self.port)).await {
                Ok(mut found) => found.any(|found| found.ip().to_canonical() == ip),
                Err(_) => false,
            },
        }
    }

    fn has_name(&self, name: &str) -> bool {
        matches!(&self.host, Host::Name(own) if own.eq_ignore_ascii_case(name))
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Address(address) => SocketAddr::new(*address, self.port).fmt(f),
            Host::Name(name) => write!(f, "{name}:{}", self.port),
        }
    }
}

impl Grants {
    /// Sets an environment variable that is not set yet.
    pub fn set_default(&mut self, name: &str, value: &str) {
        if !self.environment.iter().any(|(set, _)| set == name) {
            self.environment.push((name.to_owned(), value.to_owned()));
        }
    }

    /// The context of a new instance.
    pub fn context(&self, log: &Log) -> Result<WasiCtx> {
        let mut wasi = WasiCtx::builder();
        let output = log.output();
        wasi.stdout(output.clone()).stderr(output).envs(&self.environment);
        if let Some(directory) = &self.directory {
            // A call has a thread of its own, which may wait for the disk.
            wasi.allow_blocking_current_thread(true);
            let granted = wasi.preopened_dir(directory, DIRECTORY, FsPerms::ReadWrite).map(drop);
            granted.map_err(|error| match directory.try_exists() {
                Ok(false) => Error::missing_tables(format!("there is no directory {}", directory.display())),
                _ => Error::unavailable(format!("cannot open {}: {}", directory.display(), error.root_cause())),
            })?;
        }
        wasi.allow_udp(false).allow_tcp(!self.peers.is_empty());
        wasi.allow_ip_name_lookup(self.peers.iter().any(|peer| matches!(peer.host, Host::Name(_))));
        let peers: Arc<[Peer]> = self.peers.as_slice().into();
        wasi.socket_addr_check(move |address, purpose| {
            let peers = Arc::clone(&peers);
            Box::pin(async move {
                match purpose {
                    SocketAddrUse::TcpConnect => {
                        for peer in &*peers {
                            if peer.is_at(address).await {
                                return true;
                            }
                        }
                        false
                    }
                    // A connection to a peer binds its own end to any port.
                    SocketAddrUse::TcpBind => address.ip().is_unspecified() && address.port() == 0,
                    _ => false,
                }
            })
        });
        Ok(wasi.build())
    }
}

impl fmt::Debug for Grants {
    /// Without the values of the environment, which can contain passwords.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let variables: Vec<_> = self.environment.iter().map(|(name, _)| name).collect();
        f.debug_struct("Grants")
            .field("directory", &self.directory)
            .field("peers", &self.peers)
            .field("environment", &variables)
            .finish()
    }
}

/// The data of one instance.
pub struct State {
    wasi: WasiCtx,
    table: ResourceTable,
    peers: Arc<[Peer]>,
    memory: Memory,
}

impl State {
    /// A store for a new instance.
    pub fn store(
        engine: &wasmtime::Engine,
        grants: &Grants,
        limits: &Limits,
        log: &Log,
    ) -> Result<wasmtime::Store<Self>> {
        let mut table = ResourceTable::new();
        table.set_max_capacity(HANDLES);
        let state = Self {
            wasi: grants.context(log)?,
            table,
            peers: grants.peers.as_slice().into(),
            memory: Memory::new(limits.memory),
        };
        let mut store = wasmtime::Store::new(engine, state);
        store.limiter(|state| &mut state.memory);
        // What one call passes to the host is no more than the instance can hold: a list whose elements are the same
        // bytes many times could be.
        store.set_hostcall_fuel(limits.memory);
        store.set_max_component_handles(2 * HANDLES);
        // At every tick a computing instance yields, which also allows its timeout to stop it.
        store.set_epoch_deadline(1);
        store.epoch_deadline_async_yield_and_update(1);
        Ok(store)
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

/// Everything that a component can import. Whether it may use it is decided by its context.
pub fn linker(engine: &wasmtime::Engine) -> wasmtime::Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    // A lookup of any name would carry data to the name's server.
    linker.allow_shadowing(true);
    linker.instance(LOOKUP)?.func_wrap(
        "resolve-addresses",
        |mut store: StoreContextMut<'_, State>, (network, name): (Resource<Network>, String)| {
            let state = store.data_mut();
            if !state.peers.iter().any(|peer| peer.has_name(&name)) {
                return Ok((Err(ErrorCode::AccessDenied),));
            }
            Ok((match state.sockets().resolve_addresses(network, name) {
                Ok(stream) => Ok(stream),
                Err(error) => Err(error.downcast()?),
            },))
        },
    )?;
    linker.allow_shadowing(false);
    Ok(linker)
}
