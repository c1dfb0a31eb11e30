use std::{fmt, slice, vec};

/// The headers to send with the response, as pairs of a lower-case name and a value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use = "without these headers the visitor's browser does not keep the session"]
pub struct Headers(pub(crate) Vec<(String, String)>);

impl Headers {
    /// Iterates over the headers.
    pub fn iter(&self) -> slice::Iter<'_, (String, String)> {
        self.0.iter()
    }

    /// Whether there are no headers, for example because the visitor's cookie does not need to be renewed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Appends them to the fields of a response of wasi:http, 0.2 or 0.3. Call it after setting all other fields, and
    /// before creating the response from them.
    ///
    /// An existing `cache-control` takes precedence, unless a cookie is set, as no cache may store that response.
    /// `vary` is merged with an existing one.
    ///
    /// # Errors
    ///
    /// [`InvalidOption`](crate::Error::InvalidOption) for immutable fields, such as those of a request.
    #[cfg(any(feature = "wasi-http", feature = "async"))]
    pub fn append_to(&self, fields: &impl crate::Fields) -> crate::Result<()> {
        for (name, value) in self {
            let added = match self.joined(name, value, &fields.get(name)) {
                Joined::Kept => Ok(()),
                Joined::Appended => fields.append(name, value.as_bytes()),
                Joined::Replaced(value) => fields.set(name, value),
            };
            added.map_err(|error| {
                crate::Error::InvalidOption(format!("the header {name} cannot be added to these fields: {error}"))
            })?;
        }
        Ok(())
    }

    /// Appends them to a header map of the crate `http`, as [`append_to`](Self::append_to) does to fields.
    ///
    /// # Errors
    ///
    /// [`InvalidOption`](crate::Error::InvalidOption) when the map is full.
    #[cfg(feature = "http")]
    pub fn append_to_map(&self, map: &mut http::HeaderMap) -> crate::Result<()> {
        for (name, value) in self {
            let refuse = |error: &dyn fmt::Display| {
                crate::Error::InvalidOption(format!("the header {name} cannot be added to this map: {error}"))
            };
            let field = http::HeaderName::try_from(name).map_err(|error| refuse(&error))?;
            let there: Vec<_> = map.get_all(&field).iter().map(|value| value.as_bytes().to_vec()).collect();
            match self.joined(name, value, &there) {
                Joined::Kept => {}
                Joined::Appended => {
                    let content = http::HeaderValue::try_from(value).map_err(|error| refuse(&error))?;
                    map.try_append(field, content).map_err(|error| refuse(&error))?;
                }
                Joined::Replaced(value) => {
                    let content = http::HeaderValue::try_from(value).map_err(|error| refuse(&error))?;
                    map.try_insert(field, content).map_err(|error| refuse(&error))?;
                }
            }
        }
        Ok(())
    }

    /// Appends them to pairs of a lower-case name and a value, as [`append_to`](Self::append_to) does to fields.
    #[cfg(feature = "wasi-http")]
    pub(crate) fn append_to_list(&self, list: &mut Vec<(String, Vec<u8>)>) {
        for (name, value) in self {
            let there: Vec<_> =
                list.iter().filter(|(other, _)| other == name).map(|(_, value)| value.clone()).collect();
            match self.joined(name, value, &there) {
                Joined::Kept => {}
                Joined::Appended => list.push((name.clone(), value.clone().into_bytes())),
                Joined::Replaced(value) => {
                    list.retain(|(other, _)| other != name);
                    list.push((name.clone(), value));
                }
            }
        }
    }

    /// How to merge a header with the existing ones of the same name.
    #[cfg(any(feature = "wasi-http", feature = "async", feature = "http"))]
    fn joined(&self, name: &str, value: &str, there: &[Vec<u8>]) -> Joined {
        if there.is_empty() {
            return Joined::Appended;
        }
        match name {
            "cache-control" if self.iter().any(|(name, _)| name == "set-cookie") => Joined::Replaced(value.into()),
            "cache-control" => Joined::Kept,
            "vary" => {
                let fields = there.join(&b", "[..]);
                let mut names = fields.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
                let is_there = names.any(|name| name == b"*" || name.eq_ignore_ascii_case(value.as_bytes()));
                if is_there { Joined::Kept } else { Joined::Replaced([&fields, &b", "[..], value.as_bytes()].concat()) }
            }
            // Two starts in one request can both return the same cookie.
            _ if there.iter().any(|there| there == value.as_bytes()) => Joined::Kept,
            _ => Joined::Appended,
        }
    }
}

/// How a header is merged with the existing ones of the same name.
#[cfg(any(feature = "wasi-http", feature = "async", feature = "http"))]
enum Joined {
    /// The existing ones stay unchanged.
    Kept,
    Appended,
    Replaced(Vec<u8>),
}

/// Writes the headers as lines of a CGI response, each ended by a line break. A program that prints `Cache-Control` or
/// `Vary` itself should start its session with [`CacheLimiter::None`](crate::CacheLimiter::None).
impl fmt::Display for Headers {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.iter().try_for_each(|(name, value)| write!(formatter, "{name}: {value}\r\n"))
    }
}

/// For code between the application and the client, which may drop headers that the application's own replace.
impl FromIterator<(String, String)> for Headers {
    fn from_iter<T: IntoIterator<Item = (String, String)>>(headers: T) -> Self {
        Self(headers.into_iter().collect())
    }
}

impl IntoIterator for Headers {
    type Item = (String, String);
    type IntoIter = vec::IntoIter<(String, String)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> IntoIterator for &'a Headers {
    type Item = &'a (String, String);
    type IntoIter = slice::Iter<'a, (String, String)>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers() -> Headers {
        Headers(vec![
            ("set-cookie".to_owned(), "a=b; Path=/".to_owned()),
            ("cache-control".to_owned(), "no-store".to_owned()),
        ])
    }

    #[test]
    fn a_cgi_program_prints_a_line_each() {
        assert_eq!(headers().to_string(), "set-cookie: a=b; Path=/\r\ncache-control: no-store\r\n");
        assert_eq!(Headers::default().to_string(), "");
    }

    #[cfg(feature = "http")]
    #[test]
    fn a_header_map_keeps_what_it_has() {
        let mut map = http::HeaderMap::new();
        map.insert("set-cookie", http::HeaderValue::from_static("c=d"));
        headers().append_to_map(&mut map).unwrap();
        let cookies: Vec<_> = map.get_all("set-cookie").iter().collect();
        assert_eq!(cookies, ["c=d", "a=b; Path=/"]);
        assert_eq!(map["cache-control"], "no-store");
    }

    #[cfg(feature = "http")]
    fn joined(own: &[(&'static str, &'static str)], ours: &[(&str, &str)]) -> Vec<(String, String)> {
        let mut map = http::HeaderMap::new();
        for (name, value) in own {
            map.append(*name, http::HeaderValue::from_static(value));
        }
        let headers = Headers(ours.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect());
        headers.append_to_map(&mut map).unwrap();
        headers.append_to_map(&mut map).unwrap();
        map.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect()
    }

    #[cfg(feature = "http")]
    #[test]
    fn an_applications_own_cache_control_takes_precedence_unless_a_cookie_is_set() {
        let own = [("cache-control", "public, max-age=60"), ("vary", "Accept-Encoding")];
        let ours = [("cache-control", "no-store"), ("vary", "Cookie")];
        let pairs = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        assert_eq!(joined(&[], &ours), pairs(&ours));
        assert_eq!(joined(&own, &ours), pairs(&[own[0], ("vary", "Accept-Encoding, Cookie")]));
        let setting = [("set-cookie", "a=b"), ours[0], ours[1]];
        let expected =
            pairs(&[("cache-control", "no-store"), ("vary", "Accept-Encoding, Cookie"), ("set-cookie", "a=b")]);
        assert_eq!(joined(&own, &setting), expected);
        for vary in ["cookie", "Accept, COOKIE", "*"] {
            assert_eq!(joined(&[("vary", vary)], &ours[1..]), pairs(&[("vary", vary)]));
        }
    }
}
