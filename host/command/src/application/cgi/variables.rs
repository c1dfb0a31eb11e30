//! The meta-variables of a request (RFC 3875, section 4.1), which a program gets as its environment.

use std::{collections::BTreeMap, ffi::OsString, net::IpAddr};

use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, Version, header,
    request::Parts,
    uri::{Authority, PathAndQuery},
};
use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, utf8_percent_encode};

use super::{super::forwarded, Failure};

/// The meta-variables of one request.
pub struct Variables(BTreeMap<String, String>);

/// The variables that are not header fields. PATH_TRANSLATED is missing, because programs have no access to files.
const KNOWN: [&str; 17] = [
    "AUTH_TYPE",
    "CONTENT_LENGTH",
    "CONTENT_TYPE",
    "GATEWAY_INTERFACE",
    "HTTPS",
    "PATH_INFO",
    "QUERY_STRING",
    "REMOTE_ADDR",
    "REMOTE_HOST",
    "REMOTE_IDENT",
    "REMOTE_USER",
    "REQUEST_METHOD",
    "SCRIPT_NAME",
    "SERVER_NAME",
    "SERVER_PORT",
    "SERVER_PROTOCOL",
    "SERVER_SOFTWARE",
];

/// Header fields that are not passed to programs: those about authentication and the connection, which the server
/// handles (section 4.1.18), and Proxy, because HTTP clients take the variable HTTP_PROXY for a setting
/// (CVE-2016-5385).
const WITHHELD: [&str; 13] = [
    "HTTP_AUTHORIZATION",
    "HTTP_CONNECTION",
    "HTTP_CONTENT_LENGTH",
    "HTTP_CONTENT_TYPE",
    "HTTP_EXPECT",
    "HTTP_KEEP_ALIVE",
    "HTTP_PROXY",
    "HTTP_PROXY_AUTHORIZATION",
    "HTTP_PROXY_CONNECTION",
    "HTTP_TE",
    "HTTP_TRAILER",
    "HTTP_TRANSFER_ENCODING",
    "HTTP_UPGRADE",
];

/// The client of a request, and the part of the site that answers it.
pub struct Place<'a> {
    /// The client's address.
    pub client: IpAddr,
    /// The path up to the program.
    pub script_name: &'a str,
    /// The rest of the path, decoded.
    pub path_info: Vec<u8>,
}

impl Variables {
    /// The variables of a request that this server received.
    pub fn of_request(parts: &Parts, place: Place<'_>) -> Result<Self, Failure> {
        let mut variables = Self(BTreeMap::new());
        variables.set_fields(&parts.headers);
        let https = forwarded::is_https(&parts.headers);
        let authority = authority(parts);
        let port = authority.as_ref().and_then(Authority::port_u16).unwrap_or(if https { 443 } else { 80 });
        let path_info = String::from_utf8(place.path_info).ok().filter(|path| !path.contains('\0'));
        let path_info = path_info.ok_or(Failure::BadRequest("The path is not UTF-8."))?;
        let client = place.client.to_canonical().to_string();
        for (name, value) in [
            ("GATEWAY_INTERFACE", "CGI/1.1"),
            ("PATH_INFO", &path_info),
            ("QUERY_STRING", parts.uri.query().unwrap_or_default()),
            ("REMOTE_ADDR", &client),
            // The server does not look up names.
            ("REMOTE_HOST", &client),
            ("REQUEST_METHOD", parts.method.as_str()),
            ("SCRIPT_NAME", place.script_name),
            ("SERVER_NAME", authority.as_ref().map_or("localhost", Authority::host)),
            ("SERVER_PORT", &port.to_string()),
            ("SERVER_PROTOCOL", if parts.version == Version::HTTP_10 { "HTTP/1.0" } else { "HTTP/1.1" }),
            ("SERVER_SOFTWARE", concat!("lemon-session/", env!("CARGO_PKG_VERSION"))),
        ] {
            variables.set(name, value);
        }
        if https {
            variables.set("HTTPS", "on");
        }
        Ok(variables)
    }

    /// The variables that a web server passes to this CGI program. The rest of the environment is ignored.
    pub fn of_environment(environment: impl Iterator<Item = (OsString, OsString)>) -> Self {
        let text = |text: OsString| String::from_utf8_lossy(text.as_encoded_bytes()).into_owned();
        let pairs = environment.map(|(name, value)| (text(name), text(value)));
        // Some servers set missing variables to an empty value.
        let known = |name: &str, value: &str| KNOWN.contains(&name) && !value.is_empty();
        let mut variables: BTreeMap<_, _> =
            pairs.filter(|(name, value)| known(name, value) || is_of_field(name)).collect();
        // Without authentication REMOTE_USER is not verified (section 4.1.11): nginx sets it to the name that the
        // client claims.
        if !variables.contains_key("AUTH_TYPE") {
            variables.remove("REMOTE_USER");
        }
        Self(variables)
    }

    /// Adds required variables that the web server did not set, and replaces a proxy's address by the client's.
    /// `headers` are the normalised ones of the request.
    pub fn complete(&mut self, headers: &HeaderMap, client: Option<IpAddr>) {
        self.set_fields(headers);
        let peer = self.get("REMOTE_ADDR").and_then(|peer| peer.parse().ok()).map(|peer: IpAddr| peer.to_canonical());
        if let Some(client) = client.filter(|client| Some(*client) != peer) {
            self.set("REMOTE_ADDR", &client.to_string());
            for of_proxy in ["REMOTE_HOST", "REMOTE_IDENT"] {
                self.0.remove(of_proxy);
            }
        }
        let peer = self.get("REMOTE_ADDR").unwrap_or_default().to_owned();
        let host = host(headers);
        for (name, value) in [
            ("GATEWAY_INTERFACE", "CGI/1.1"),
            ("PATH_INFO", ""),
            ("QUERY_STRING", ""),
            ("REMOTE_HOST", &peer),
            ("SCRIPT_NAME", ""),
            ("SERVER_NAME", host.as_ref().map_or("localhost", Authority::host)),
        ] {
            self.0.entry(name.to_owned()).or_insert_with(|| value.to_owned());
        }
        match forwarded::is_https(headers) {
            true => self.set("HTTPS", "on"),
            false => drop(self.0.remove("HTTPS")),
        }
    }

    /// Whether the web server received the request over HTTPS. As PHP's manual says, any non-empty value means HTTPS,
    /// except `off`, which IIS sets.
    pub fn https(&self) -> bool {
        self.get("HTTPS").is_some_and(|https| !https.eq_ignore_ascii_case("off"))
    }

    /// The length of the body in bytes; 0 without a body.
    pub fn content_length(&self) -> Result<u64, Failure> {
        let length = self.get("CONTENT_LENGTH").unwrap_or("0");
        let digits = Some(length).filter(|length| length.bytes().all(|byte| byte.is_ascii_digit()));
        let length = digits.and_then(|digits| digits.parse().ok());
        length.ok_or(Failure::BadRequest("CONTENT_LENGTH is not a number."))
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    fn set(&mut self, name: &str, value: &str) {
        self.0.insert(name.to_owned(), value.to_owned());
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Replaces the variables of header fields.
    fn set_fields(&mut self, headers: &HeaderMap) {
        self.0.retain(|name, _| !is_of_field(name));
        for name in headers.keys() {
            let Some(variable) = variable(name) else { continue };
            // RFC 9110, section 5.3; RFC 6265, section 5.4, for cookies.
            let separator = if name == header::COOKIE { "; " } else { ", " };
            let values = headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()));
            self.0.insert(variable, values.collect::<Vec<_>>().join(separator));
        }
    }

    /// Converts the variables to a request, for an application that is not a CGI program.
    pub fn to_request<B>(&self, body: B) -> Result<Request<B>, Failure> {
        let mut request = Request::new(body);
        let method = self.get("REQUEST_METHOD").and_then(|method| Method::from_bytes(method.as_bytes()).ok());
        *request.method_mut() = method.ok_or(Failure::BadRequest("The request has no valid method."))?;
        *request.uri_mut() = Uri::from(self.path().ok_or(Failure::BadRequest("The request has no valid path."))?);
        for (name, value) in self.iter() {
            let Some(field) = field(name) else { continue };
            let entry = HeaderName::try_from(field).ok().zip(HeaderValue::try_from(value).ok());
            let (name, value) = entry.ok_or(Failure::BadRequest("The request has an invalid header."))?;
            request.headers_mut().insert(name, value);
        }
        if !request.headers().contains_key(header::HOST) {
            let host = self.get("SERVER_NAME").and_then(|name| HeaderValue::try_from(name).ok());
            request.headers_mut().insert(header::HOST, host.unwrap_or(HeaderValue::from_static("localhost")));
        }
        Ok(request)
    }

    /// The path of the Script-URI (section 3.3).
    fn path(&self) -> Option<PathAndQuery> {
        /// The characters to encode in a path (RFC 3986, section 3.3).
        const IN_PATH: &AsciiSet = &NON_ALPHANUMERIC
            .remove(b'/')
            .remove(b'-')
            .remove(b'.')
            .remove(b'_')
            .remove(b'~')
            .remove(b'!')
            .remove(b'$')
            .remove(b'&')
            .remove(b'\'')
            .remove(b'(')
            .remove(b')')
            .remove(b'*')
            .remove(b'+')
            .remove(b',')
            .remove(b';')
            .remove(b'=')
            .remove(b':')
            .remove(b'@');
        /// The characters that clients should have encoded in a query. The query is already encoded otherwise.
        const NOT_IN_QUERY: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'<').add(b'>');
        let part = |name| utf8_percent_encode(self.get(name).unwrap_or_default(), IN_PATH).to_string();
        let mut path = part("SCRIPT_NAME") + &part("PATH_INFO");
        if path.is_empty() {
            path.push('/');
        }
        if let Some(query) = self.get("QUERY_STRING").filter(|query| !query.is_empty()) {
            path = format!("{path}?{}", utf8_percent_encode(query, NOT_IN_QUERY));
        }
        path.parse().ok()
    }
}

/// The host of a request. Its target takes precedence over the Host header (RFC 9112, section 3.2.2).
fn authority(parts: &Parts) -> Option<Authority> {
    parts.uri.authority().cloned().or_else(|| host(&parts.headers))
}

fn host(headers: &HeaderMap) -> Option<Authority> {
    headers.get(header::HOST)?.to_str().ok()?.parse().ok()
}

/// The variable of a header field. Ambiguous names, such as those with an underscore, have none.
fn variable(name: &HeaderName) -> Option<String> {
    let name = name.as_str();
    if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        return None;
    }
    match name {
        "content-type" => return Some("CONTENT_TYPE".to_owned()),
        "content-length" => return Some("CONTENT_LENGTH".to_owned()),
        _ => {}
    }
    let variable = format!("HTTP_{}", name.to_ascii_uppercase().replace('-', "_"));
    is_of_field(&variable).then_some(variable)
}

/// The header field of a variable.
fn field(variable: &str) -> Option<String> {
    match variable {
        "CONTENT_TYPE" => Some("content-type".to_owned()),
        "CONTENT_LENGTH" => Some("content-length".to_owned()),
        _ if is_of_field(variable) => Some(variable["HTTP_".len()..].to_ascii_lowercase().replace('_', "-")),
        _ => None,
    }
}

fn is_of_field(variable: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    let name = variable.strip_prefix("HTTP_").filter(|name| !name.is_empty() && name.bytes().all(plain));
    name.is_some() && !WITHHELD.contains(&variable)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(request: http::request::Builder) -> Variables {
        let place =
            Place { client: "::ffff:192.0.2.7".parse().unwrap(), script_name: "/shop", path_info: b"/a b".to_vec() };
        Variables::of_request(&request.body(()).unwrap().into_parts().0, place).unwrap()
    }

    #[test]
    fn every_variable_that_rfc_3875_demands_is_set() {
        let variables = of(Request::post("/shop/a%20b?q=1&r")
            .header("host", "example.com:8080")
            .header("content-type", "text/plain")
            .header("content-length", "3"));
        let expected = [
            ("CONTENT_LENGTH", "3"),
            ("CONTENT_TYPE", "text/plain"),
            ("GATEWAY_INTERFACE", "CGI/1.1"),
            ("HTTP_HOST", "example.com:8080"),
            ("PATH_INFO", "/a b"),
            ("QUERY_STRING", "q=1&r"),
            ("REMOTE_ADDR", "192.0.2.7"),
            ("REMOTE_HOST", "192.0.2.7"),
            ("REQUEST_METHOD", "POST"),
            ("SCRIPT_NAME", "/shop"),
            ("SERVER_NAME", "example.com"),
            ("SERVER_PORT", "8080"),
            ("SERVER_PROTOCOL", "HTTP/1.1"),
            ("SERVER_SOFTWARE", concat!("lemon-session/", env!("CARGO_PKG_VERSION"))),
        ];
        assert_eq!(variables.iter().collect::<Vec<_>>(), expected);
        assert_eq!(of(Request::get("/shop")).get("QUERY_STRING"), Some(""), "also where there is none");
        assert_eq!(of(Request::get("/shop")).get("CONTENT_LENGTH"), None, "there is no body");
    }

    #[test]
    fn https_is_told_by_the_header_that_was_checked() {
        let variables = of(Request::get("/shop").header("host", "example.com").header("x-forwarded-proto", "https"));
        assert_eq!((variables.get("HTTPS"), variables.get("SERVER_PORT")), (Some("on"), Some("443")));
        let variables = of(Request::get("/shop").header("host", "example.com").header("x-forwarded-proto", "http"));
        assert_eq!((variables.get("HTTPS"), variables.get("SERVER_PORT")), (None, Some("80")));
    }

    #[test]
    fn repeated_headers_are_merged() {
        let request = Request::get("/").header("accept", "a").header("cookie", "b=c").header("accept", "d");
        let variables = of(request.header("cookie", "e=f"));
        assert_eq!(variables.get("HTTP_ACCEPT"), Some("a, d"));
        assert_eq!(variables.get("HTTP_COOKIE"), Some("b=c; e=f"));
    }

    #[test]
    fn what_is_the_server_s_business_is_withheld() {
        let mut request = Request::get("/");
        for name in ["authorization", "proxy-authorization", "proxy", "connection", "te", "transfer-encoding"] {
            request = request.header(name, "secret");
        }
        let variables = of(request);
        assert!(variables.iter().all(|(_, value)| value != "secret"), "{:?}", variables.0);
        let environment =
            ["HTTP_AUTHORIZATION", "HTTP_PROXY", "HOME", "LD_PRELOAD", "REDIRECT_HTTP_A", "http_a", "HTTP_", "HTTP_a"];
        let variables = Variables::of_environment(environment.map(|name| (name.into(), "secret".into())).into_iter());
        assert!(variables.0.is_empty(), "{:?}", variables.0);
    }

    #[test]
    fn a_name_that_could_stand_for_another_one_s_is_ignored() {
        let variables =
            of(Request::get("/").header("x_forwarded_proto", "https").header("x.y", "1").header("x-y", "2"));
        assert_eq!(
            variables.iter().filter(|(name, _)| name.starts_with("HTTP_")).collect::<Vec<_>>(),
            [("HTTP_X_Y", "2")]
        );
    }

    #[test]
    fn a_user_counts_where_the_server_has_checked_it() {
        let user = |environment: &[(&str, &str)]| {
            let environment = environment.iter().map(|(name, value)| (name.into(), value.into()));
            Variables::of_environment(environment).get("REMOTE_USER").map(str::to_owned)
        };
        assert_eq!(user(&[("REMOTE_USER", "alice")]), None);
        assert_eq!(user(&[("REMOTE_USER", "alice"), ("AUTH_TYPE", "")]), None);
        assert_eq!(user(&[("REMOTE_USER", "alice"), ("AUTH_TYPE", "Basic")]).as_deref(), Some("alice"));
    }

    #[test]
    fn what_a_web_server_leaves_out_is_added() {
        let mut variables = Variables::of_environment([("REMOTE_ADDR".into(), "192.0.2.7".into())].into_iter());
        let mut headers = HeaderMap::new();
        headers.insert("host", HeaderValue::from_static("[2001:db8::1]:8080"));
        variables.complete(&headers, None);
        let expected = [
            ("GATEWAY_INTERFACE", "CGI/1.1"),
            ("HTTP_HOST", "[2001:db8::1]:8080"),
            ("PATH_INFO", ""),
            ("QUERY_STRING", ""),
            ("REMOTE_ADDR", "192.0.2.7"),
            ("REMOTE_HOST", "192.0.2.7"),
            ("SCRIPT_NAME", ""),
            ("SERVER_NAME", "[2001:db8::1]"),
        ];
        assert_eq!(variables.iter().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_request_is_what_its_variables_were() {
        let environment = [
            ("REQUEST_METHOD", "PUT"),
            ("SCRIPT_NAME", "/cgi bin/shop"),
            ("PATH_INFO", "/caf\u{e9}?"),
            ("QUERY_STRING", "a=%20&\"<caf\u{e9}"),
            ("CONTENT_TYPE", "text/plain"),
            ("HTTP_X_Y", "1"),
            ("SERVER_NAME", "example.com"),
        ];
        let variables =
            Variables::of_environment(environment.map(|(name, value)| (name.into(), value.into())).into_iter());
        let request = variables.to_request(()).unwrap();
        assert_eq!(request.method(), "PUT");
        assert_eq!(request.uri(), "/cgi%20bin/shop/caf%C3%A9%3F?a=%20&%22%3Ccaf%C3%A9");
        assert_eq!(request.headers()["content-type"], "text/plain");
        assert_eq!(request.headers()["x-y"], "1");
        assert_eq!(request.headers()["host"], "example.com");
    }
}
