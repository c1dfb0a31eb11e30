use std::{fmt, slice, vec};

/// The headers to send with the response: names in lower case, and values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use = "without these headers the visitor's browser does not keep the session"]
pub struct Headers(pub(crate) Vec<(String, String)>);

impl Headers {
    /// The headers.
    pub fn iter(&self) -> slice::Iter<'_, (String, String)> {
        self.0.iter()
    }

    /// Whether there is none, as when the visitor's cookie need not be renewed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Appends them to the fields of a response of wasi:http, before the response is made of them.
    ///
    /// # Errors
    ///
    /// [`InvalidOption`](crate::Error::InvalidOption) for fields that cannot be changed, as those of a request.
    #[cfg(feature = "wasi-http")]
    pub fn append_to(&self, fields: &wasip2::http::types::Fields) -> crate::Result<()> {
        for (name, value) in self {
            fields.append(name, value.as_bytes()).map_err(|error| {
                crate::Error::InvalidOption(format!("the header {name} cannot be added to these fields: {error}"))
            })?;
        }
        Ok(())
    }

    /// Appends them to a header map of the crate `http`.
    ///
    /// # Errors
    ///
    /// [`InvalidOption`](crate::Error::InvalidOption) when the map does not take them.
    #[cfg(feature = "http")]
    pub fn append_to_map(&self, map: &mut http::HeaderMap) -> crate::Result<()> {
        for (name, value) in self {
            let refuse = |error: &dyn fmt::Display| {
                crate::Error::InvalidOption(format!("the header {name} cannot be added to this map: {error}"))
            };
            let field = http::HeaderName::try_from(name).map_err(|error| refuse(&error))?;
            let content = http::HeaderValue::try_from(value).map_err(|error| refuse(&error))?;
            map.try_append(field, content).map_err(|error| refuse(&error))?;
        }
        Ok(())
    }
}

/// As lines of a CGI response, each with the line break at its end.
impl fmt::Display for Headers {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.iter().try_for_each(|(name, value)| write!(formatter, "{name}: {value}\r\n"))
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
}
