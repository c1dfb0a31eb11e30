//! What is kept of a client.

use alloc::{format, string::String};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::settings::{Client, ClientAddress, Settings};

/// The most characters of a `User-Agent` that the settings can keep.
pub(crate) const MAX_USER_AGENT: u32 = 1024;

/// What the settings say is kept of a client, which is asked for only if that is anything.
pub(crate) fn kept(settings: &Settings, client: impl FnOnce() -> Client) -> Client {
    let Settings { client_address, client_user_agent, .. } = *settings;
    if client_address == ClientAddress::None && client_user_agent == 0 {
        return Client::default();
    }
    let Client { address, user_agent } = client();
    Client {
        address: address.and_then(|address| kept_address(&address, client_address)),
        user_agent: user_agent.map(|agent| kept_agent(&agent, client_user_agent)).filter(|agent| !agent.is_empty()),
    }
}

/// `None` also for what is no IP address: a host may pass on what a client made up.
fn kept_address(address: &str, kept: ClientAddress) -> Option<String> {
    let address: IpAddr = address.parse().ok()?;
    match (kept, address.to_canonical()) {
        (ClientAddress::None, _) => None,
        (ClientAddress::Full, address) => Some(format!("{address}")),
        (ClientAddress::Network, IpAddr::V4(address)) => {
            Some(format!("{}/24", Ipv4Addr::from_bits(address.to_bits() & !0 << 8)))
        }
        (ClientAddress::Network, IpAddr::V6(address)) => {
            Some(format!("{}/48", Ipv6Addr::from_bits(address.to_bits() & !0 << 80)))
        }
    }
}

fn kept_agent(agent: &str, characters: u32) -> String {
    agent.chars().filter(|character| !character.is_control()).take(characters.min(MAX_USER_AGENT) as usize).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept_of(address: &str, client_address: ClientAddress, client_user_agent: u32) -> Client {
        let settings = Settings { client_address, client_user_agent, ..Settings::default() };
        kept(&settings, || Client { address: Some(address.into()), user_agent: Some("Müller/1.0\n(X11)".into()) })
    }

    fn address(of: &str, kept: ClientAddress) -> Option<String> {
        kept_of(of, kept, 0).address
    }

    #[test]
    fn nothing_is_asked_for_or_kept_by_default() {
        let settings = Settings::default();
        assert_eq!(kept(&settings, || unreachable!("the host is not asked")), Client::default());
    }

    #[test]
    fn an_address_is_kept_whole_or_as_its_network() {
        use ClientAddress::{Full, Network, None as Nothing};
        assert_eq!(address("192.0.2.77", Full).as_deref(), Some("192.0.2.77"));
        assert_eq!(address("192.0.2.77", Network).as_deref(), Some("192.0.2.0/24"));
        assert_eq!(address("::ffff:192.0.2.77", Network).as_deref(), Some("192.0.2.0/24"));
        assert_eq!(address("2001:db8:1:2:3:4:5:6", Full).as_deref(), Some("2001:db8:1:2:3:4:5:6"));
        assert_eq!(address("2001:db8:1:2:3:4:5:6", Network).as_deref(), Some("2001:db8:1::/48"));
        assert_eq!(kept_of("192.0.2.77", Nothing, 10).address, None);
    }

    #[test]
    fn what_is_no_address_is_not_kept() {
        for made_up in ["", "unknown", "192.0.2.77, 198.51.100.1", "192.0.2.77:80", "<script>"] {
            assert_eq!(address(made_up, ClientAddress::Full), None, "{made_up}");
        }
    }

    #[test]
    fn a_user_agent_is_cut_to_its_first_characters_without_control_characters() {
        let agent = |characters| kept_of("192.0.2.77", ClientAddress::Full, characters).user_agent;
        assert_eq!(agent(0), None);
        assert_eq!(agent(6).as_deref(), Some("Müller"));
        assert_eq!(agent(100).as_deref(), Some("Müller/1.0(X11)"));
    }
}
