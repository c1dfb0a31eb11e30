//! A client that keeps cookies.

use std::time::Duration;

use ureq::{Agent, http::Response};

/// A visitor.
pub struct Client {
    agent: Agent,
}

/// An answer.
#[derive(Debug)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// The headers, with lower-case names.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

impl Default for Client {
    fn default() -> Self {
        Self::new()
    }
}

impl Client {
    /// A visitor without cookies.
    pub fn new() -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_global(Some(Duration::from_secs(120)))
            .build();
        Self { agent: config.into() }
    }

    /// Visits a page.
    pub fn get(&self, url: &str) -> Reply {
        self.get_with(url, &[])
    }

    /// Visits a page with more request headers.
    pub fn get_with(&self, url: &str, headers: &[(&str, &str)]) -> Reply {
        self.try_get_with(url, headers).expect("the server answers")
    }

    fn try_get_with(&self, url: &str, headers: &[(&str, &str)]) -> Result<Reply, ureq::Error> {
        let mut request = self.agent.get(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Reply::new(request.call()?)
    }

    /// Sends a form.
    pub fn post(&self, url: &str, form: &[(&str, &str)]) -> Reply {
        self.post_with(url, form, &[])
    }

    /// Sends a form with more request headers.
    pub fn post_with(&self, url: &str, form: &[(&str, &str)], headers: &[(&str, &str)]) -> Reply {
        let mut request = self.agent.post(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send_form(form.iter().copied()).and_then(Reply::new).expect("the server answers")
    }

    /// The value of a cookie that is kept.
    pub fn cookie(&self, name: &str) -> Option<String> {
        self.agent.cookie_jar_lock().iter().find(|cookie| cookie.name() == name).map(|cookie| cookie.value().to_owned())
    }
}

/// One request without any cookie but those in `cookie`, the value of its Cookie header.
pub fn get_with_cookie(url: &str, cookie: &str) -> Reply {
    Client::new().get_with(url, &[("cookie", cookie)])
}

/// The same for a server that may be killed meanwhile. Returns `None` if the response is incomplete.
pub fn try_get_with_cookie(url: &str, cookie: &str) -> Option<Reply> {
    Client::new().try_get_with(url, &[("cookie", cookie)]).ok()
}

impl Reply {
    fn new(mut response: Response<ureq::Body>) -> Result<Self, ureq::Error> {
        let headers = response
            .headers()
            .iter()
            .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
            .collect();
        let status = response.status().as_u16();
        let body = response.body_mut().with_config().limit(u64::MAX).read_to_string()?;
        Ok(Self { status, headers, body })
    }

    /// The values of a header.
    pub fn headers(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(header, _)| header == name).map(|(_, value)| value.as_str()).collect()
    }

    /// The one `Set-Cookie` value.
    #[track_caller]
    pub fn set_cookie_line(&self) -> &str {
        match self.headers("set-cookie")[..] {
            [one] => one,
            ref several => panic!("one Set-Cookie expected, not {several:?}: {self:?}"),
        }
    }

    /// The one cookie that is set.
    #[track_caller]
    pub fn set_cookie(&self) -> SetCookie {
        SetCookie::parse(self.set_cookie_line())
    }
}

/// A Set-Cookie header.
#[derive(Debug)]
pub struct SetCookie {
    /// The cookie's name.
    pub name: String,
    /// The cookie's value.
    pub value: String,
    /// Its attributes, with lower-case names.
    pub attributes: Vec<(String, String)>,
}

impl SetCookie {
    #[track_caller]
    fn parse(header: &str) -> Self {
        let mut pairs = header.split(';').map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (name.trim().to_owned(), value.trim().to_owned())
        });
        let (name, value) = pairs.next().expect("split yields something");
        let attributes = pairs.map(|(name, value)| (name.to_lowercase(), value)).collect();
        Self { name, value, attributes }
    }

    /// An attribute's value; empty when it has none.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(attribute, _)| attribute == name).map(|(_, value)| value.as_str())
    }
}
