//! Limits the number of open connections, and selects the one to close in favour of another one.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use lemon_session_host::network_of;

use futures::task::AtomicWaker;
use ipnet::IpNet;
use tokio::sync::Notify;

use crate::config::Server;

/// The connections of a listener, with limits in total and for each address. A connection beyond a limit replaces the
/// one that has been idle for longest.
pub struct Connections {
    limit: usize,
    /// The limit for one address.
    share: usize,
    /// The networks to which only the total limit applies.
    exempt: Vec<IpNet>,
    state: Mutex<State>,
    /// Notifies connections that wait for a place.
    changed: Notify,
}

#[derive(Default)]
struct State {
    open: usize,
    open_of: HashMap<IpNet, usize>,
    /// The idle connections, by the time at which they became idle.
    idle: BTreeMap<u64, Idle>,
    idle_of: BTreeSet<(IpNet, u64)>,
    /// Counts the connections that arrived or became idle, to order them.
    clock: u64,
}

struct Idle {
    network: Option<IpNet>,
    call: Arc<Call>,
}

/// Asks a connection to give up its permit.
#[derive(Default)]
struct Call {
    is_pending: AtomicBool,
    waker: AtomicWaker,
}

impl Connections {
    /// Connections within the limits of the settings.
    pub fn new(settings: &Server) -> Arc<Self> {
        let share = settings.share_of_an_address() as usize;
        Self::with(settings.connections as usize, share, settings.trusted_proxies.clone())
    }

    /// At most `limit` connections, without a limit for one address.
    pub fn of_anybody(limit: usize) -> Arc<Self> {
        Self::with(limit, limit, Vec::new())
    }

    fn with(limit: usize, share: usize, exempt: Vec<IpNet>) -> Arc<Self> {
        Arc::new(Self { limit, share, exempt, state: Mutex::default(), changed: Notify::new() })
    }

    /// Waits for a place for a connection of this address. Returns `None` when the address is at its limit and none of
    /// its connections is idle.
    pub async fn permit(self: &Arc<Self>, address: IpAddr) -> Option<Permit> {
        let network = self.counted(address);
        let mut called: Option<Arc<Call>> = None;
        loop {
            // Before reading the state, so that no change after it is missed.
            let changed = self.changed.notified();
            {
                let mut state = self.state();
                let is_over_share = network.is_some_and(|network| state.open_of(network) >= self.share);
                if !is_over_share && state.open < self.limit {
                    return Some(self.take(&mut state, network));
                }
                if !called.as_ref().is_some_and(|call| call.is_pending.load(Ordering::Acquire)) {
                    called = state.call_longest_idle(network.filter(|_| is_over_share));
                }
                if called.is_none() && is_over_share {
                    return None;
                }
            }
            changed.await;
        }
    }

    /// A place for a connection, if there is one now.
    pub fn try_permit(self: &Arc<Self>, address: IpAddr) -> Option<Permit> {
        let network = self.counted(address);
        let mut state = self.state();
        let is_over_share = network.is_some_and(|network| state.open_of(network) >= self.share);
        (!is_over_share && state.open < self.limit).then(|| self.take(&mut state, network))
    }

    /// A place for a connection, regardless of the limits.
    pub fn extra_permit(self: &Arc<Self>, address: IpAddr) -> Permit {
        self.take(&mut self.state(), self.counted(address))
    }

    /// The limit for one address.
    pub fn share(&self) -> usize {
        self.share
    }

    /// Waits until no connection is open.
    pub async fn none(&self) {
        loop {
            let changed = self.changed.notified();
            if self.state().open == 0 {
                return;
            }
            changed.await;
        }
    }

    /// The network whose connections count together with those of an address; `None` if only the total limit applies.
    fn counted(&self, address: IpAddr) -> Option<IpNet> {
        let address = address.to_canonical();
        let is_exempt = self.exempt.iter().any(|network| network.contains(&address));
        (!is_exempt).then(|| network_of(address))
    }

    fn take(self: &Arc<Self>, state: &mut State, network: Option<IpNet>) -> Permit {
        state.open += 1;
        state.clock += 1;
        if let Some(network) = network {
            *state.open_of.entry(network).or_default() += 1;
        }
        let came = state.clock;
        Permit { connections: self.clone(), network, call: Arc::default(), came, idle_since: None, served: 0 }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn open_of(&self, network: IpNet) -> usize {
        self.open_of.get(&network).copied().unwrap_or_default()
    }

    /// Asks the connection that has been idle for longest, of all or of one network, to give up its place. Returns
    /// `None` when none is idle.
    fn call_longest_idle(&mut self, network: Option<IpNet>) -> Option<Arc<Call>> {
        let since = match network {
            None => *self.idle.first_key_value()?.0,
            Some(network) => self.idle_of.range((network, 0)..=(network, u64::MAX)).next()?.1,
        };
        let call = self.remove_idle(since)?.call;
        call.is_pending.store(true, Ordering::Release);
        call.waker.wake();
        Some(call)
    }

    fn remove_idle(&mut self, since: u64) -> Option<Idle> {
        let idle = self.idle.remove(&since)?;
        if let Some(network) = idle.network {
            self.idle_of.remove(&(network, since));
        }
        Some(idle)
    }
}

/// The place of an open connection. The connection reports when it becomes idle and when it is no longer idle.
pub struct Permit {
    connections: Arc<Connections>,
    network: Option<IpNet>,
    call: Arc<Call>,
    /// The time of the connection's arrival.
    came: u64,
    /// Its key among the idle connections.
    idle_since: Option<u64>,
    /// The number of requests it had served when it became idle.
    served: u64,
}

impl Permit {
    /// Reports that the connection waits for its client, after `served` requests.
    pub fn idle(&mut self, served: u64) {
        if self.idle_since.is_some() && self.served == served {
            return;
        }
        self.busy();
        let mut state = self.connections.state();
        state.clock += 1;
        // Before its first request, a connection is idle since its arrival, regardless of the order in which tasks
        // start.
        let since = if served == 0 { self.came } else { state.clock };
        state.idle.insert(since, Idle { network: self.network, call: self.call.clone() });
        if let Some(network) = self.network {
            state.idle_of.insert((network, since));
        }
        drop(state);
        (self.idle_since, self.served) = (Some(since), served);
        self.connections.changed.notify_one();
    }

    /// Reports that the client waits for the connection.
    pub fn busy(&mut self) {
        let Some(since) = self.idle_since.take() else { return };
        let mut state = self.connections.state();
        if state.remove_idle(since).is_none() {
            // It was asked to give up its place, but a request arrived first. Another connection can be asked now.
            self.call.is_pending.store(false, Ordering::Release);
            self.connections.changed.notify_one();
        }
    }

    /// Ready when it is idle and another connection needs its place.
    pub fn poll_needed(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.call.waker.register(context.waker());
        if self.call.is_pending.load(Ordering::Acquire) { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut state = self.connections.state();
        if let Some(since) = self.idle_since {
            state.remove_idle(since);
        }
        state.open -= 1;
        if let Some(network) = self.network
            && let Some(open) = state.open_of.get_mut(&network)
        {
            *open -= 1;
            if *open == 0 {
                state.open_of.remove(&network);
            }
        }
        self.call.is_pending.store(false, Ordering::Release);
        self.connections.changed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn connections(limit: usize, share: usize) -> Arc<Connections> {
        Connections::with(limit, share, vec!["192.0.2.1/32".parse().unwrap()])
    }

    /// A place, without waiting.
    fn now(connections: &Arc<Connections>, from: &str) -> Option<Option<Permit>> {
        connections.permit(address(from)).now_or_never()
    }

    #[track_caller]
    fn taken(connections: &Arc<Connections>, from: &str) -> Permit {
        now(connections, from).expect("there is a place").expect("there is a share")
    }

    fn is_needed(permit: &mut Permit) -> bool {
        permit.poll_needed(&mut Context::from_waker(futures::task::noop_waker_ref())).is_ready()
    }

    #[test]
    fn the_one_that_has_been_idle_for_longest_is_asked_for_its_place() {
        let connections = connections(3, 3);
        let mut permits = ["192.0.2.2", "192.0.2.3", "192.0.2.4"].map(|from| taken(&connections, from));
        for permit in permits.iter_mut().rev() {
            permit.idle(0);
        }
        // The first one has served a request since, so the second one is idle for longest. Reporting it twice changes
        // nothing.
        permits[0].idle(1);
        permits[1].idle(0);
        let mut waiting = Box::pin(connections.permit(address("192.0.2.5")));
        assert!(waiting.as_mut().now_or_never().is_none());
        assert!(waiting.as_mut().now_or_never().is_none(), "only one connection is asked");
        assert_eq!(permits.each_mut().map(is_needed), [false, true, false]);
        let [first, second, third] = permits;
        drop(second);
        assert!(waiting.now_or_never().flatten().is_some());
        drop((first, third));
        assert!(connections.none().now_or_never().is_some());
    }

    #[test]
    fn one_that_is_asked_and_gets_a_request_first_stays() {
        let connections = connections(2, 2);
        let mut first = taken(&connections, "192.0.2.2");
        let mut second = taken(&connections, "192.0.2.3");
        first.idle(0);
        second.idle(0);
        let mut waiting = Box::pin(connections.permit(address("192.0.2.4")));
        assert!(waiting.as_mut().now_or_never().is_none());
        assert!(is_needed(&mut first));
        // The request was answered before the connection checked whether its place is needed.
        first.idle(1);
        assert!(!is_needed(&mut first) && !is_needed(&mut second));
        assert!(waiting.as_mut().now_or_never().is_none());
        assert!(!is_needed(&mut first) && is_needed(&mut second));
        second.busy();
        assert!(!is_needed(&mut second));
        assert!(waiting.as_mut().now_or_never().is_none());
        assert!(is_needed(&mut first));
    }

    #[test]
    fn without_an_idle_one_a_connection_waits_for_a_place() {
        let connections = connections(1, 1);
        let mut only = taken(&connections, "192.0.2.2");
        let mut waiting = Box::pin(connections.permit(address("192.0.2.3")));
        assert!(waiting.as_mut().now_or_never().is_none());
        assert!(connections.try_permit(address("192.0.2.3")).is_none());
        only.idle(1);
        assert!(waiting.as_mut().now_or_never().is_none());
        assert!(is_needed(&mut only), "it became idle while the other one waited");
        drop(only);
        assert!(waiting.now_or_never().flatten().is_some());
    }

    #[test]
    fn an_address_has_its_share_and_trusted_proxies_have_all() {
        let connections = connections(100, 2);
        let mut first = taken(&connections, "192.0.2.2");
        let _second = taken(&connections, "::ffff:192.0.2.2");
        assert!(now(&connections, "192.0.2.2").unwrap().is_none(), "none of its connections is idle");
        assert!(connections.try_permit(address("192.0.2.2")).is_none());
        let mut other = taken(&connections, "192.0.2.3");
        other.idle(0);
        assert!(now(&connections, "192.0.2.2").unwrap().is_none(), "no connection of another address is closed for it");
        first.idle(1);
        assert!(now(&connections, "192.0.2.2").is_none());
        assert!(is_needed(&mut first) && !is_needed(&mut other));
        drop(first);
        assert!(now(&connections, "192.0.2.2").unwrap().is_some());
        let proxy: Vec<_> = (0..50).map(|_| taken(&connections, "192.0.2.1")).collect();
        assert_eq!(proxy.len(), 50);
    }

    #[test]
    fn one_network_of_ipv6_is_one_address() {
        let connections = connections(100, 2);
        let _places = ["2001:db8::1", "2001:db8::ffff:1"].map(|from| taken(&connections, from));
        assert!(now(&connections, "2001:db8::2").unwrap().is_none());
        assert!(now(&connections, "2001:db8:0:1::2").unwrap().is_some());
    }

    #[test]
    fn what_is_counted_by_address_is_forgotten_with_its_last_connection() {
        let connections = connections(10, 10);
        drop(taken(&connections, "192.0.2.2"));
        let state = connections.state();
        assert!(state.open_of.is_empty() && state.idle.is_empty() && state.idle_of.is_empty() && state.open == 0);
    }
}
