//! Limits the rate at which one client creates sessions.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use ipnet::IpNet;

const MINUTE: Duration = Duration::from_secs(60);

/// The network whose addresses count as one client: a single address for IPv4, a /64 for IPv6, which is the least that
/// a provider assigns to a customer.
pub fn network_of(address: IpAddr) -> IpNet {
    let address = address.to_canonical();
    let bits = if address.is_ipv4() { 32 } else { 64 };
    IpNet::new_assert(address, bits).trunc()
}

/// The maximum number of clients in memory: about 4 MB.
const CLIENTS: usize = 1 << 16;

/// The clients that created sessions recently, and the limit for each.
///
/// This is the generic cell rate algorithm: each session uses up a fraction of a minute, an entry is the time at which
/// all of that will have been refilled, and no entry may be more than a minute ahead.
#[derive(Clone, Default)]
pub(crate) struct NewSessions {
    /// Sessions a minute; 0 means no limit.
    limit: u32,
    clients: Arc<Mutex<HashMap<IpNet, Instant>>>,
}

impl NewSessions {
    /// The same clients with another limit.
    pub(crate) fn with_limit(&self, limit: u32) -> Self {
        Self { limit, ..self.clone() }
    }

    /// The number of sessions that a client may create in a minute; 0 means no limit.
    pub(crate) fn limit(&self) -> u32 {
        self.limit
    }

    /// Whether a client may create a session now. If so, counts it.
    pub(crate) fn begin(&self, client: Option<IpAddr>, now: Instant) -> bool {
        let (Some(client), 1..) = (client, self.limit) else { return true };
        let network = network_of(client);
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let used_up = clients.get(&network).map_or(now, |used_up| now.max(*used_up)) + MINUTE / self.limit;
        if used_up > now + MINUTE {
            return false;
        }
        if clients.len() >= CLIENTS && !clients.contains_key(&network) {
            forget(&mut clients, now);
        }
        clients.insert(network, used_up);
        true
    }
}

/// Removes the clients whose allowance is full again. If that frees less than half of the entries, keeps the half that
/// has used up most.
fn forget(clients: &mut HashMap<IpNet, Instant>, now: Instant) {
    clients.retain(|_, used_up| *used_up > now);
    if clients.len() > CLIENTS / 2 {
        let mut all: Vec<_> = clients.values().copied().collect();
        let middle = *all.select_nth_unstable(CLIENTS / 2).1;
        clients.retain(|_, used_up| *used_up > middle);
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    fn client(last: u32) -> IpAddr {
        Ipv4Addr::from_bits(0x0a00_0000 | last).into()
    }

    fn after(begun: Instant, seconds: u64) -> Instant {
        begun + Duration::from_secs(seconds)
    }

    fn limited(limit: u32) -> NewSessions {
        NewSessions::default().with_limit(limit)
    }

    #[test]
    fn a_client_begins_so_many_sessions_a_minute() {
        let (sessions, now) = (limited(6), Instant::now());
        let begin = |last, seconds| sessions.begin(Some(client(last)), after(now, seconds));
        assert_eq!((0..10).filter(|_| begin(1, 0)).count(), 6);
        assert!(begin(2, 0), "another client has its own allowance");
        assert!(!begin(1, 9));
        assert!(begin(1, 10) && !begin(1, 10), "a sixth of a minute is one session");
        assert_eq!((0..10).filter(|_| begin(1, 600)).count(), 6, "the allowance never exceeds one minute's");
        // Sessions that were counted before count under another limit too.
        assert!(!sessions.with_limit(3).begin(Some(client(1)), after(now, 600)));
    }

    #[test]
    fn without_a_limit_or_an_address_any_number_may_be_begun() {
        let now = Instant::now();
        for (sessions, client) in
            [(limited(0), Some(client(1))), (limited(1), None), (limited(u32::MAX), Some(client(1)))]
        {
            assert!((0..1000).all(|_| sessions.begin(client, now)));
        }
    }

    #[test]
    fn a_network_of_ipv6_is_one_client() {
        let (sessions, now) = (limited(2), Instant::now());
        let begin = |network: u128, host: u128| {
            let address = Ipv6Addr::from_bits((0x2001_0db8 << 96) | (network << 64) | host);
            sessions.begin(Some(address.into()), now)
        };
        assert!(begin(1, 1) && begin(1, 2) && !begin(1, 3) && begin(2, 1));
    }

    #[test]
    fn no_more_clients_are_remembered_than_there_is_room_for() {
        let (sessions, now) = (limited(5), Instant::now());
        let remembered = || sessions.clients.lock().unwrap().len();
        for _ in 0..5 {
            assert!(sessions.begin(Some(client(0)), now));
        }
        let many = 2 * CLIENTS as u32;
        for last in 1..=many {
            assert!(sessions.begin(Some(client(last)), now));
            assert!(remembered() <= CLIENTS);
        }
        assert!(!sessions.begin(Some(client(0)), now), "the client that has begun most is remembered for longest");
        assert!(sessions.begin(Some(client(1)), after(now, 61)) && remembered() <= CLIENTS);
    }

    #[test]
    fn a_client_is_an_address_of_ipv4_or_a_network_of_64_bits_of_ipv6() {
        for (address, network) in [
            ("192.0.2.1", "192.0.2.1/32"),
            ("::ffff:192.0.2.1", "192.0.2.1/32"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ] {
            assert_eq!(network_of(address.parse().expect("an address")).to_string(), network);
        }
    }
}
