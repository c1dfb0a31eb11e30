use std::{
    net::{IpAddr, SocketAddr},
    ops::RangeInclusive,
    time::Duration,
};

use http::uri::Authority;
use ipnet::IpNet;
use lemon_session_rules::{path::Paths, settings::Keys as _};

use super::{
    Section,
    hosts::{HostPattern, host_of},
    parse::{boolean, bytes, number, optional, seconds},
};

/// The section `[server]`: addresses of `lemon-session serve`, and the limits of clients and applications. Those that
/// concern a single request also apply to `lemon-session cgi`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Server {
    /// The address to listen on.
    pub addr: SocketAddr,
    /// The maximum number of open connections. A further one replaces the one that has been idle for longest; if none
    /// is idle, it waits.
    pub connections: u32,
    /// The maximum number of connections of one address or one /64 network of IPv6; `None` stands for a quarter of
    /// `connections`. Trusted proxies may use all connections.
    pub connections_per_address: Option<u32>,
    /// The maximum number of requests in flight; others wait up to `queue_time`.
    pub in_flight: u32,
    /// How long a request waits for its turn before it is refused.
    pub queue_time: Duration,
    /// The time limit of the application for one request.
    pub request_time: Duration,
    /// How many requests an instance of an application of WASI 0.3 answers at the same time.
    pub concurrency: u32,
    /// The time limit for the head of a request, and for an idle connection between two requests.
    pub header_time: Duration,
    /// How long the server waits for a client that does not read its response.
    pub write_time: Duration,
    /// The maximum size of the head of a request, and of the header block of a CGI program, in bytes.
    pub header_bytes: u32,
    /// The maximum size of the body of a request, in bytes.
    pub body_bytes: u32,
    /// Bytes of a body to read before its request counts as in flight.
    pub body_buffer: u32,
    /// The minimum rate of a body while the server waits for it, in bytes per second, averaged over `body_time`; 0
    /// means none.
    pub body_rate: u32,
    /// The time over which `body_rate` is averaged.
    pub body_time: Duration,
    /// The maximum size of all memories and tables of an instance of the application, in bytes.
    pub memory: u32,
    /// The maximum memory of the server for a request in addition to `memory`, in bytes: header fields, bodies, handles
    /// and buffers.
    pub request_memory: u32,
    /// The time limit of requests in flight after the server is told to stop.
    pub shutdown_time: Duration,
    /// The hosts to accept requests for; empty means any.
    pub hosts: Vec<HostPattern>,
    /// Whether to refuse requests that another site made the visitor's browser send.
    pub same_origin: bool,
    /// The paths that take such requests nevertheless.
    pub cross_site: Paths,
    /// The proxies whose statements about a visitor's address and HTTPS are trusted.
    pub trusted_proxies: Vec<IpNet>,
    /// The address that serves health and metrics, if any.
    pub admin_addr: Option<SocketAddr>,
    /// Whether it serves the console too.
    pub console: bool,
    /// The admin addresses of the other servers that the console shows.
    pub console_peers: Vec<Authority>,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            addr: SocketAddr::from(([127, 0, 0, 1], 8080)),
            connections: 10_000,
            connections_per_address: None,
            in_flight: 256,
            queue_time: Duration::from_secs(5),
            request_time: Duration::from_secs(30),
            concurrency: 1,
            header_time: Duration::from_secs(30),
            write_time: Duration::from_secs(30),
            header_bytes: 64 * 1024,
            body_bytes: 32 * 1024 * 1024,
            body_buffer: 64 * 1024,
            body_rate: 500,
            body_time: Duration::from_secs(10),
            memory: 128 * 1024 * 1024,
            request_memory: 64 * 1024 * 1024,
            shutdown_time: Duration::from_secs(30),
            hosts: Vec::new(),
            same_origin: false,
            cross_site: Paths::default(),
            trusted_proxies: Vec::new(),
            admin_addr: None,
            console: false,
            console_peers: Vec::new(),
        }
    }
}

impl Server {
    /// The maximum number of connections of one address.
    pub fn share_of_an_address(&self) -> u32 {
        self.connections_per_address.unwrap_or((self.connections / 4).max(1))
    }

    /// Whether an address is that of a trusted proxy.
    pub fn trusts(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.trusted_proxies.iter().any(|network| network.contains(&address))
    }

    /// Whether to accept requests for this host, which is a name or an address without a port.
    pub fn answers_for(&self, host: &str) -> bool {
        self.hosts.is_empty() || self.hosts.iter().any(|pattern| pattern.matches(host))
    }

    pub(super) fn read(&mut self, section: &mut Section<'_>) {
        section.read("addr", &mut self.addr, address);
        let connections = 1..=1_000_000;
        section.read("connections", &mut self.connections, within(number, connections.clone()));
        let per_address = optional(within(number, connections));
        section.read("connections-per-address", &mut self.connections_per_address, per_address);
        section.read("in-flight", &mut self.in_flight, within(number, 1..=10_000));
        section.read("queue-time", &mut self.queue_time, time);
        section.read("request-time", &mut self.request_time, time);
        section.read("concurrency", &mut self.concurrency, within(number, 1..=1000));
        section.read("header-time", &mut self.header_time, time);
        section.read("write-time", &mut self.write_time, time);
        // The smallest buffer of hyper.
        section.read("header-bytes", &mut self.header_bytes, sized(8192..=16 << 20));
        section.read("body-bytes", &mut self.body_bytes, bytes);
        section.read("body-buffer", &mut self.body_buffer, bytes);
        section.read("body-rate", &mut self.body_rate, bytes);
        section.read("body-time", &mut self.body_time, time);
        section.read("memory", &mut self.memory, sized(1 << 20..=u32::MAX));
        // Every response takes a megabyte, regardless of its size.
        section.read("request-memory", &mut self.request_memory, sized(4 << 20..=u32::MAX));
        section.read("shutdown-time", &mut self.shutdown_time, time);
        section.read("hosts", &mut self.hosts, hosts);
        section.read("same-origin", &mut self.same_origin, boolean);
        section.read("cross-site", &mut self.cross_site, Paths::parse);
        section.read("trusted-proxies", &mut self.trusted_proxies, networks);
        section.read("admin-addr", &mut self.admin_addr, optional(address));
        section.read("console", &mut self.console, boolean);
        section.read("console-peers", &mut self.console_peers, peers);
    }
}

fn within(
    parse: impl FnOnce(&str) -> Result<u32, String>,
    range: RangeInclusive<u32>,
) -> impl FnOnce(&str) -> Result<u32, String> {
    between(parse, range, |number| number.to_string())
}

/// As `within`, for sizes.
fn sized(range: RangeInclusive<u32>) -> impl FnOnce(&str) -> Result<u32, String> {
    between(bytes, range, |bytes| match bytes {
        u32::MAX => "4095M".to_owned(),
        bytes if bytes % (1 << 20) == 0 => format!("{}M", bytes >> 20),
        bytes => format!("{}K", bytes >> 10),
    })
}

fn between(
    parse: impl FnOnce(&str) -> Result<u32, String>,
    range: RangeInclusive<u32>,
    show: impl Fn(u32) -> String,
) -> impl FnOnce(&str) -> Result<u32, String> {
    move |value| match parse(value)? {
        number if range.contains(&number) => Ok(number),
        _ => Err(format!("{value} is not between {} and {}", show(*range.start()), show(*range.end()))),
    }
}

fn time(value: &str) -> Result<Duration, String> {
    const LONGEST: u32 = 7 * 24 * 60 * 60;
    match seconds(value)? {
        seconds @ 1..=LONGEST => Ok(Duration::from_secs(seconds.into())),
        _ => Err(format!("{value} is not between 1s and 7d")),
    }
}

fn hosts(value: &str) -> Result<Vec<HostPattern>, String> {
    let names = value.split(',').map(str::trim).filter(|name| !name.is_empty());
    names.map(str::parse).collect()
}

fn networks(value: &str) -> Result<Vec<IpNet>, String> {
    let names = value.split(',').map(str::trim).filter(|name| !name.is_empty());
    names.map(network).collect()
}

fn network(name: &str) -> Result<IpNet, String> {
    name.parse().or_else(|_| name.parse::<IpAddr>().map(IpNet::from)).map_err(|_| {
        format!("{name:?} is not an address or a network, such as 192.0.2.1 or 10.0.0.0/8; names cannot be trusted")
    })
}

fn peers(value: &str) -> Result<Vec<Authority>, String> {
    let peers = value.split(',').map(str::trim).filter(|peer| !peer.is_empty());
    peers.map(peer).collect()
}

fn peer(text: &str) -> Result<Authority, String> {
    let peer = text.parse::<Authority>().ok();
    // An authority may have a user name and need no port.
    peer.filter(|peer| host_of(peer.as_str()).is_some() && peer.port_u16().is_some())
        .ok_or_else(|| format!("{text:?} is not a host with a port, such as 10.0.0.2:9090 or web2.internal:9090"))
}

/// An address with a port.
pub fn address(value: &str) -> Result<SocketAddr, String> {
    value.parse().map_err(|_| format!("{value:?} is not an address with a port, such as 127.0.0.1:9090"))
}

#[cfg(test)]
mod tests {
    use super::{super::Config, *};

    /// The section with these lines, or `None` if they are invalid.
    fn server(lines: &str) -> Option<Server> {
        Config::parse(&format!("[server]\n{lines}\n"), "lemon.ini").ok().map(|config| config.server)
    }

    fn ip(address: &str) -> IpAddr {
        address.parse().unwrap()
    }

    #[test]
    fn an_address_has_a_quarter_of_the_connections_unless_something_else_is_said() {
        let share = |lines| server(lines).unwrap().share_of_an_address();
        assert_eq!(share("connections = 100"), 25);
        assert_eq!(share("connections = 3"), 1, "at least one");
        assert_eq!(share("connections = 100\nconnections-per-address = 7"), 7);
    }

    #[test]
    fn proxies_are_trusted_by_address_or_network() {
        let server = |proxies: &str| server(&format!("trusted-proxies = {proxies}"));
        let trusting = server("192.0.2.1, 10.0.0.0/8, 2001:db8::/32,").unwrap();
        for address in ["192.0.2.1", "10.1.2.3", "::ffff:10.1.2.3", "2001:db8::1"] {
            assert!(trusting.trusts(ip(address)), "{address}");
        }
        for address in ["192.0.2.2", "11.0.0.1", "2001:db9::1", "::1"] {
            assert!(!trusting.trusts(ip(address)), "{address}");
        }
        assert_eq!(trusting.trusted_proxies.len(), 3);
        assert!(!server("").unwrap().trusts(ip("127.0.0.1")));
        assert!(server("proxy.example.org").is_none());
    }

    #[test]
    fn a_site_without_hosts_answers_for_any_and_others_for_theirs() {
        assert!(server("").unwrap().answers_for("example.com"));
        let named = server("hosts = example.org, *.example.net,").unwrap();
        assert!(named.answers_for("example.org") && named.answers_for("www.example.net"));
        assert!(!named.answers_for("example.com"));
        assert_eq!(named.hosts.len(), 2);
        assert!(server("hosts = http://example.org").is_none());
    }

    #[test]
    fn numbers_sizes_and_times_are_within_their_bounds() {
        for (key, least, below) in [
            ("connections", "1", "0"),
            ("connections-per-address", "1", "0"),
            ("in-flight", "1", "0"),
            ("concurrency", "1", "0"),
            ("header-bytes", "8K", "8191"),
            ("memory", "1M", "1023K"),
            ("request-memory", "4M", "4095K"),
            ("queue-time", "1s", "0"),
        ] {
            assert!(server(&format!("{key} = {least}")).is_some(), "{key} = {least}");
            assert!(server(&format!("{key} = {below}")).is_none(), "{key} = {below}");
        }
        for (key, most, above) in [
            ("connections", "1000000", "1000001"),
            ("connections-per-address", "1000000", "1000001"),
            ("in-flight", "10000", "10001"),
            ("concurrency", "1000", "1001"),
            ("header-bytes", "16M", "16777217"),
            ("shutdown-time", "7d", "604801"),
        ] {
            assert!(server(&format!("{key} = {most}")).is_some(), "{key} = {most}");
            assert!(server(&format!("{key} = {above}")).is_none(), "{key} = {above}");
        }
        assert_eq!(server("request-time = 2m").unwrap().request_time, Duration::from_secs(120));
    }

    #[test]
    fn the_address_of_the_state_has_a_port() {
        let address = |value: &str| server(&format!("admin-addr = {value}")).map(|server| server.admin_addr);
        assert_eq!(address("127.0.0.1:9090"), Some(Some(([127, 0, 0, 1], 9090).into())));
        assert_eq!(address(""), Some(None));
        assert_eq!(address("127.0.0.1"), None);
    }

    #[test]
    fn peers_of_the_console_are_hosts_with_ports() {
        let peers = |value: &str| server(&format!("console-peers = {value}")).map(|server| server.console_peers.len());
        assert_eq!(peers(""), Some(0));
        assert_eq!(peers("10.0.0.2:9090, web2.internal:9090, [2001:db8::1]:9090,"), Some(3));
        for wrong in ["10.0.0.2", "http://10.0.0.2:9090", "a@10.0.0.2:9090", "web2.internal:", ":9090", "web2:99999"] {
            assert_eq!(peers(wrong), None, "{wrong}");
        }
    }
}
