//! Whether the visitor came over HTTPS, as a proxy in front of this server says.
//!
//! Guests go by `x-forwarded-proto`, so it has to be true: it is believed from trusted proxies alone, and always set.

use std::net::IpAddr;

use http::{HeaderMap, HeaderName, HeaderValue, header};
use ipnet::IpNet;

static X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Replaces what the request says of its protocol by what is known of it.
pub fn normalise(headers: &mut HeaderMap, peer: IpAddr, trusted: &[IpNet]) {
    let peer = peer.to_canonical();
    let trusted = trusted.iter().any(|network| network.contains(&peer));
    let https = trusted && https(headers);
    if !trusted {
        headers.remove(header::FORWARDED);
    }
    set_https(headers, https);
}

/// Says whether the visitor came over HTTPS.
pub fn set_https(headers: &mut HeaderMap, https: bool) {
    let proto = HeaderValue::from_static(if https { "https" } else { "http" });
    headers.insert(X_FORWARDED_PROTO.clone(), proto);
}

/// Whether the visitor came over HTTPS, of headers that were normalised.
pub fn is_https(headers: &HeaderMap) -> bool {
    headers.get(&X_FORWARDED_PROTO).is_some_and(|proto| proto == "https")
}

/// What the nearest proxy said, which is the last of several.
fn https(headers: &HeaderMap) -> bool {
    let last = |name: &HeaderName| {
        let value = headers.get_all(name).iter().next_back()?.to_str().ok()?;
        Some(value.rsplit(',').next().unwrap_or(value).trim())
    };
    if let Some(forwarded) = last(&header::FORWARDED) {
        // RFC 7239: for=192.0.2.1;proto=https;by=203.0.113.43
        let proto = forwarded.split(';').find_map(|pair| {
            let (name, value) = pair.split_once('=')?;
            name.trim().eq_ignore_ascii_case("proto").then_some(value)
        });
        if let Some(proto) = proto {
            return proto.trim().trim_matches('"').eq_ignore_ascii_case("https");
        }
    }
    last(&X_FORWARDED_PROTO).is_some_and(|proto| proto.eq_ignore_ascii_case("https"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROXY: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const STRANGER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 9));

    fn proto(peer: IpAddr, sent: &[(&'static str, &'static str)]) -> String {
        let mut headers = HeaderMap::new();
        for (name, value) in sent {
            headers.append(*name, HeaderValue::from_static(value));
        }
        normalise(&mut headers, peer, &["192.0.2.0/29".parse().unwrap()]);
        let values: Vec<_> = headers.get_all(&X_FORWARDED_PROTO).iter().collect();
        assert_eq!(values.len(), 1);
        values[0].to_str().unwrap().to_owned()
    }

    #[test]
    fn a_trusted_proxy_is_believed() {
        assert_eq!(proto(PROXY, &[("x-forwarded-proto", "https")]), "https");
        assert_eq!(proto(PROXY, &[("x-forwarded-proto", "http")]), "http");
        assert_eq!(proto(PROXY, &[("forwarded", "for=192.0.2.60;Proto=\"https\";by=203.0.113.43")]), "https");
        assert_eq!(proto(PROXY, &[]), "http");
    }

    #[test]
    fn a_stranger_is_not_believed() {
        assert_eq!(proto(STRANGER, &[("x-forwarded-proto", "https")]), "http");
        assert_eq!(proto(STRANGER, &[("forwarded", "proto=https")]), "http");
    }

    #[test]
    fn of_several_values_the_nearest_proxy_s_counts() {
        assert_eq!(proto(PROXY, &[("x-forwarded-proto", "https, http")]), "http");
        assert_eq!(proto(PROXY, &[("x-forwarded-proto", "https"), ("x-forwarded-proto", "http")]), "http");
        assert_eq!(proto(PROXY, &[("forwarded", "proto=https, proto=http")]), "http");
    }

    #[test]
    fn an_ipv4_proxy_is_known_on_an_ipv6_socket() {
        assert_eq!(proto("::ffff:192.0.2.1".parse().unwrap(), &[("x-forwarded-proto", "https")]), "https");
    }
}
