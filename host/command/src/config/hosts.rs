//! The hosts that the server accepts requests for.

use std::{fmt, net::Ipv6Addr, str::FromStr};

/// An entry of `[server] hosts`: a host's name or address, or `*.example.org` for all subdomains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPattern {
    /// In lower case, without a trailing dot.
    name: String,
    is_below: bool,
}

impl HostPattern {
    /// Whether it matches a host, which is a name or an address without a port. Case and a trailing dot are ignored.
    pub fn matches(&self, host: &str) -> bool {
        let host = host.strip_suffix('.').unwrap_or(host);
        if !self.is_below {
            // An IPv6 address can be written in several ways.
            return host.eq_ignore_ascii_case(&self.name)
                || ipv6(host).is_some_and(|address| ipv6(&self.name) == Some(address));
        }
        let Some(split) = host.len().checked_sub(self.name.len()).filter(|split| host.is_char_boundary(*split)) else {
            return false;
        };
        let (below, name) = host.split_at(split);
        below.len() > 1 && below.ends_with('.') && name.eq_ignore_ascii_case(&self.name)
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.is_below { "*." } else { "" }, self.name)
    }
}

impl FromStr for HostPattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let below = text.strip_prefix("*.");
        let name = below.unwrap_or(text);
        if host_of(name) != Some(name) || (below.is_some() && name.starts_with('[')) {
            return Err(format!(
                "{text:?} is not a host without a port, such as example.org, *.example.org, 192.0.2.1 or [2001:db8::1]"
            ));
        }
        let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
        Ok(Self { name, is_below: below.is_some() })
    }
}

/// The host in the value of a Host header, or `None` if it is not a host with an optional port (RFC 9110, section 7.2).
/// Names follow RFC 1123, but may also contain underscores, which are common although not allowed.
pub fn host_of(value: &str) -> Option<&str> {
    let end = match value.strip_prefix('[') {
        Some(rest) => rest.find(']')? + 2,
        None => value.find(':').unwrap_or(value.len()),
    };
    let (host, port) = value.split_at(end);
    let is_host = ipv6(host).is_some() || is_name(host);
    let is_port = match port.strip_prefix(':') {
        // `parse` alone would accept a sign.
        Some(digits) => {
            digits.is_empty() || (!digits.starts_with('+') && digits.parse::<u16>().is_ok_and(|port| port > 0))
        }
        None => port.is_empty(),
    };
    (is_host && is_port).then_some(host)
}

fn ipv6(host: &str) -> Option<Ipv6Addr> {
    host.strip_prefix('[')?.strip_suffix(']')?.parse().ok()
}

fn is_name(name: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    name.len() <= 254 && name.strip_suffix('.').unwrap_or(name).split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_of_a_header_is_a_name_or_an_address_with_or_without_a_port() {
        for (value, host) in [
            ("example.org", "example.org"),
            ("Example.ORG.:8080", "Example.ORG."),
            ("a:", "a"),
            ("a:65535", "a"),
            ("my_app:80", "my_app"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
            ("127.0.0.1:8080", "127.0.0.1"),
            ("[2001:db8::1]", "[2001:db8::1]"),
            ("[::1]:443", "[::1]"),
        ] {
            assert_eq!(host_of(value), Some(host), "{value}");
        }
        let long = "a".repeat(64);
        for value in [
            "",
            ".",
            "..",
            "a,b",
            "a, b",
            "user@a",
            "user:pass@a",
            "a:99999",
            "a:0",
            "a:-1",
            "a:+1",
            "a:8a",
            "a:1:2",
            "a b",
            "a/b",
            "a?b",
            "a#b",
            "a\\b",
            "a%41",
            "caf\u{e9}",
            "*.a",
            "a..b",
            ".a",
            "-a",
            "a-",
            "::1",
            "[::1",
            "[::1]a",
            "[::1]80",
            "[a]",
            "[]",
            "[1.2.3.4]",
            "a\"b",
            "<a>",
            &long,
        ] {
            assert_eq!(host_of(value), None, "{value:?}");
        }
    }

    #[test]
    fn a_pattern_stands_for_one_host_or_for_all_below_it() {
        let pattern = |text: &str| text.parse::<HostPattern>().unwrap();
        assert!(pattern("Example.org").matches("eXample.org."));
        assert!(!pattern("example.org").matches("www.example.org"));
        let below = pattern("*.example.org");
        assert_eq!(below.to_string(), "*.example.org");
        assert!(below.matches("www.Example.org") && below.matches("a.b.example.org"));
        for host in ["example.org", ".example.org", "wwwexample.org", "example.org.evil", "org", ""] {
            assert!(!below.matches(host), "{host}");
        }
        assert!(pattern("[2001:DB8::1]").matches("[2001:db8:0::1]"));
        assert!(pattern("192.0.2.1").matches("192.0.2.1"));
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for text in ["*", "*.", "*example.org", "a.*.b", "*.*.a", "a:80", "http://a", "a b", "*.[::1]"] {
            assert!(text.parse::<HostPattern>().is_err(), "{text}");
        }
    }
}
