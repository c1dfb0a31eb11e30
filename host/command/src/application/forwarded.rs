//! The client's address, and whether the client used HTTPS, as reported by trusted proxies.
//!
//! Guests rely on `x-forwarded-for` and `x-forwarded-proto`, so the server replaces both by a single value that it has
//! verified.
//!
//! A proxy appends its own element to the end of a list. The elements before it came with the request, so they are only
//! used if the proxy received them from another trusted proxy.

use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::config::Server;

static X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
static X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
static X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");

/// Replaces the fields about the client by verified values. Returns the client's address, if there is one: Unix sockets
/// have none.
pub fn normalise(headers: &mut HeaderMap, peer: Option<IpAddr>, settings: &Server) -> Option<IpAddr> {
    let peer = peer.map(|peer| peer.to_canonical());
    let is_trusted = peer.is_some_and(|peer| settings.trusts(peer));
    let said = Said::by(headers);
    let https = is_trusted && said.https();
    let client = peer.map(|peer| said.client(peer, settings));

    headers.remove(header::FORWARDED);
    headers.remove(&X_REAL_IP);
    if !is_trusted {
        let claims = headers.keys().filter(|name| name.as_str().starts_with("x-forwarded-"));
        for claim in claims.cloned().collect::<Vec<_>>() {
            headers.remove(claim);
        }
    }
    let address = client.and_then(|client| HeaderValue::try_from(client.to_string()).ok());
    match address {
        Some(address) => drop(headers.insert(X_FORWARDED_FOR.clone(), address)),
        None => drop(headers.remove(&X_FORWARDED_FOR)),
    }
    set_https(headers, https);
    client
}

/// Sets the field that states whether the client used HTTPS.
pub fn set_https(headers: &mut HeaderMap, https: bool) {
    let proto = HeaderValue::from_static(if https { "https" } else { "http" });
    headers.insert(X_FORWARDED_PROTO.clone(), proto);
}

/// Whether the client used HTTPS, according to headers that were normalised.
pub fn is_https(headers: &HeaderMap) -> bool {
    headers.get(&X_FORWARDED_PROTO).is_some_and(|proto| proto == "https")
}

/// The fields about the client. Proxies set one kind or the other.
enum Said {
    /// `X-Forwarded-For` and `X-Forwarded-Proto`, each a list.
    Separately { addresses: Vec<String>, protos: Vec<String> },
    /// `Forwarded` of RFC 7239: `for=192.0.2.1;proto=https;by=203.0.113.43, …`
    Together(Vec<String>),
}

impl Said {
    /// `Forwarded` is only used without the other two, because most proxies pass it on as the client sent it.
    fn by(headers: &HeaderMap) -> Self {
        let addresses = elements(headers, &X_FORWARDED_FOR);
        let protos = elements(headers, &X_FORWARDED_PROTO);
        if addresses.is_empty() && protos.is_empty() {
            return Self::Together(elements(headers, &header::FORWARDED));
        }
        Self::Separately { addresses, protos }
    }

    /// Whether the nearest proxy received the request over HTTPS.
    fn https(&self) -> bool {
        let proto = match self {
            Self::Separately { protos, .. } => protos.last().map(String::as_str),
            Self::Together(elements) => elements.last().and_then(|element| parameter(element, "proto")),
        };
        proto.is_some_and(|proto| proto.eq_ignore_ascii_case("https"))
    }

    /// The nearest address that is not a trusted proxy's. If a proxy names no address, it is the proxy's own.
    fn client(&self, peer: IpAddr, settings: &Server) -> IpAddr {
        let (Self::Separately { addresses: elements, .. } | Self::Together(elements)) = self;
        let mut client = peer;
        for element in elements.iter().rev() {
            if !settings.trusts(client) {
                break;
            }
            let said = match self {
                Self::Separately { .. } => Some(element.as_str()),
                Self::Together(_) => parameter(element, "for"),
            };
            match said.and_then(address) {
                Some(address) => client = address,
                None => break,
            }
        }
        client
    }
}

/// The elements of a list, which can be split into several fields (RFC 9110, section 5.3).
fn elements(headers: &HeaderMap, name: &HeaderName) -> Vec<String> {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let values = headers.get_all(name).iter().map(text);
    values.flat_map(|value| value.split(',').map(|element| element.trim().to_owned()).collect::<Vec<_>>()).collect()
}

/// A parameter of an element of `Forwarded`.
fn parameter<'a>(element: &'a str, name: &str) -> Option<&'a str> {
    element.split(';').find_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        key.trim().eq_ignore_ascii_case(name).then_some(value.trim().trim_matches('"'))
    })
}

/// Parses an address with or without a port. IPv6 addresses can be in brackets.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()));
    address.map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROXY: &str = "192.0.2.1";
    const STRANGER: &str = "192.0.2.9";

    fn normalised(peer: &str, sent: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in sent {
            headers.append(*name, HeaderValue::from_static(value));
        }
        let settings = Server {
            trusted_proxies: vec!["192.0.2.0/29".parse().unwrap(), "2001:db8::/64".parse().unwrap()],
            ..Server::default()
        };
        let client = normalise(&mut headers, Some(peer.parse().unwrap()), &settings);
        let said: Vec<_> = headers.get_all(&X_FORWARDED_FOR).iter().collect();
        assert_eq!(said, [&client.unwrap().to_string()], "the guest and the host get the same address");
        headers
    }

    fn proto(peer: &str, sent: &[(&'static str, &'static str)]) -> String {
        let headers = normalised(peer, sent);
        let values: Vec<_> = headers.get_all(&X_FORWARDED_PROTO).iter().collect();
        assert_eq!(values.len(), 1);
        values[0].to_str().unwrap().to_owned()
    }

    fn client(peer: &str, sent: &[(&'static str, &'static str)]) -> String {
        normalised(peer, sent)[&X_FORWARDED_FOR].to_str().unwrap().to_owned()
    }

    #[test]
    fn a_trusted_proxy_is_believed() {
        assert_eq!(proto(PROXY, &[("x-forwarded-proto", "https")]), "https");
        assert_eq!(proto(PROXY, &[("x-forwarded-proto", "http")]), "http");
        assert_eq!(proto(PROXY, &[("forwarded", "for=192.0.2.60;Proto=\"https\";by=203.0.113.43")]), "https");
        assert_eq!(proto(PROXY, &[]), "http");
        assert_eq!(client(PROXY, &[("x-forwarded-for", "203.0.113.7")]), "203.0.113.7");
        assert_eq!(client(PROXY, &[("forwarded", "For=\"[2001:db8:1::7]:4711\";proto=https")]), "2001:db8:1::7");
        assert_eq!(client(PROXY, &[]), PROXY);
    }

    #[test]
    fn a_stranger_is_not_believed() {
        assert_eq!(proto(STRANGER, &[("x-forwarded-proto", "https")]), "http");
        assert_eq!(proto(STRANGER, &[("forwarded", "proto=https")]), "http");
        assert_eq!(client(STRANGER, &[("x-forwarded-for", "203.0.113.7")]), STRANGER);
        assert_eq!(client(STRANGER, &[("forwarded", "for=203.0.113.7")]), STRANGER);
    }

    #[test]
    fn of_several_values_the_nearest_proxy_s_counts() {
        assert_eq!(proto(PROXY, &[("x-forwarded-proto", "https, http")]), "http");
        assert_eq!(proto(PROXY, &[("x-forwarded-proto", "https"), ("x-forwarded-proto", "http")]), "http");
        assert_eq!(proto(PROXY, &[("forwarded", "proto=https, proto=http")]), "http");
    }

    #[test]
    fn what_a_client_put_before_the_proxy_s_own_word_counts_for_nothing() {
        for (sent, expected) in [
            ("203.0.113.7, 203.0.113.8", "203.0.113.8"),
            ("192.0.2.2, 203.0.113.8", "203.0.113.8"),
            ("203.0.113.8, 192.0.2.2", "203.0.113.8"),
            ("6.6.6.6, 203.0.113.8, 192.0.2.2, 2001:db8::5", "203.0.113.8"),
            ("203.0.113.8:4711", "203.0.113.8"),
            ("::ffff:203.0.113.8", "203.0.113.8"),
            ("6.6.6.6, unknown", PROXY),
            ("6.6.6.6, 192.0.2.2, ", PROXY),
            ("6.6.6.6, evil, 192.0.2.2", "192.0.2.2"),
        ] {
            assert_eq!(client(PROXY, &[("x-forwarded-for", sent)]), expected, "{sent}");
        }
        let fields = [("x-forwarded-for", "6.6.6.6"), ("x-forwarded-for", "203.0.113.8")];
        assert_eq!(client(PROXY, &fields), "203.0.113.8");
        for sent in ["for=6.6.6.6, for=203.0.113.8", "for=\"6.6.6.6, for=203.0.113.8;proto=https", ";=,for=203.0.113.8"]
        {
            assert_eq!(client(PROXY, &[("forwarded", sent)]), "203.0.113.8", "{sent}");
        }
    }

    #[test]
    fn the_other_kind_of_field_does_not_contradict_a_proxy() {
        let sent = [("forwarded", "for=6.6.6.6;proto=https"), ("x-forwarded-proto", "http")];
        assert_eq!((proto(PROXY, &sent).as_str(), client(PROXY, &sent).as_str()), ("http", PROXY));
        let sent = [("forwarded", "for=6.6.6.6;proto=https"), ("x-forwarded-for", "203.0.113.8")];
        assert_eq!((proto(PROXY, &sent).as_str(), client(PROXY, &sent).as_str()), ("http", "203.0.113.8"));
    }

    #[test]
    fn no_other_field_says_who_a_visitor_is() {
        let sent = [
            ("forwarded", "for=6.6.6.6"),
            ("x-real-ip", "6.6.6.6"),
            ("x-forwarded-for", "203.0.113.8"),
            ("x-forwarded-host", "example.org"),
            ("accept", "text/html"),
        ];
        let names = |peer| {
            let headers = normalised(peer, &sent);
            let mut names: Vec<_> = headers.keys().map(HeaderName::as_str).map(str::to_owned).collect();
            names.sort();
            names
        };
        assert_eq!(names(STRANGER), ["accept", "x-forwarded-for", "x-forwarded-proto"]);
        assert_eq!(names(PROXY), ["accept", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"]);
    }

    #[test]
    fn an_ipv4_proxy_is_known_on_an_ipv6_socket() {
        assert_eq!(proto("::ffff:192.0.2.1", &[("x-forwarded-proto", "https")]), "https");
        assert_eq!(client("::ffff:192.0.2.9", &[]), STRANGER);
    }

    #[test]
    fn without_an_address_nothing_is_believed_and_none_is_told() {
        let mut headers = HeaderMap::new();
        headers.insert(&X_FORWARDED_FOR, HeaderValue::from_static("203.0.113.7"));
        headers.insert(&X_FORWARDED_PROTO, HeaderValue::from_static("https"));
        let settings = Server { trusted_proxies: vec!["0.0.0.0/0".parse().unwrap()], ..Server::default() };
        assert_eq!(normalise(&mut headers, None, &settings), None);
        assert!(!headers.contains_key(&X_FORWARDED_FOR) && !is_https(&headers));
    }
}
