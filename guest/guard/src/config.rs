//! The settings of the guard.

use std::fmt;

use lemon_session_rules::{
    Settings,
    path::{Paths, Readings},
    settings::{
        CookieSettings, Keys as _, Secure,
        parse::{number, optional, seconds, text},
    },
};

use crate::{environment::Environment, owner::OwnerHeader, rate::Rate};

/// The settings of the guard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// `LEMON_GUARD_COOKIE`: the name of the session's cookie. Without one, that of `LEMON_SESSION_COOKIE_NAME`; one of the two
    /// has to be set.
    pub cookie: String,
    /// `LEMON_GUARD_STORAGE`: the store that the sessions are in, if it is not the host's default.
    pub storage: Option<String>,
    /// `LEMON_GUARD_TABLE`: the table that the sessions are in, if it is not the host's default.
    pub table: Option<String>,
    /// `LEMON_GUARD_PROTECT`: the paths for which a session needs an owner.
    pub protect: Paths,
    /// `LEMON_GUARD_PUBLIC`: paths below the protected ones that are not protected.
    pub public: Paths,
    /// `LEMON_GUARD_LOGIN`: where a visitor without an owner is sent from a protected path; without it, the answer is 401.
    pub login: Option<String>,
    /// `LEMON_GUARD_CROSS_SITE`: the paths that take requests of other sites.
    pub cross_site: Paths,
    /// `LEMON_GUARD_REQUESTS` in `LEMON_GUARD_WINDOW`: how many requests a session may make; without it, any number.
    pub rate: Option<Rate>,
    /// `LEMON_GUARD_OWNER_HEADER`: the header of a request that tells the application the owner.
    pub owner_header: OwnerHeader,
}

impl Config {
    /// Reads the variables of an environment.
    ///
    /// # Errors
    ///
    /// Fails with all mistakes: each names the variable, and what would be right.
    pub fn read(variables: impl IntoIterator<Item = (String, String)>) -> Result<Self, Mistakes> {
        let variables: Vec<_> = variables.into_iter().collect();
        let of_all = variables.iter().find(|(name, _)| name == "LEMON_SESSION_COOKIE_NAME");
        let mut config = Self {
            cookie: of_all.map(|(_, name)| name.clone()).unwrap_or_default(),
            storage: None,
            table: None,
            protect: Paths::default(),
            public: Paths::default(),
            login: None,
            cross_site: Paths::default(),
            rate: None,
            owner_header: OwnerHeader::default(),
        };
        let mut environment = Environment::new(variables);
        config.read_from(&mut environment);
        let mistakes = environment.into_mistakes();
        if mistakes.is_empty() { Ok(config) } else { Err(Mistakes(mistakes)) }
    }

    fn read_from(&mut self, environment: &mut Environment) {
        environment.read("cookie", &mut self.cookie, text);
        environment.read("storage", &mut self.storage, optional(text));
        environment.read("table", &mut self.table, optional(text));
        environment.read("protect", &mut self.protect, Paths::parse);
        environment.read("public", &mut self.public, Paths::parse);
        environment.read("login", &mut self.login, optional(location));
        environment.read("cross-site", &mut self.cross_site, Paths::parse);
        let (mut requests, mut window) = (0, 60);
        environment.read("requests", &mut requests, number);
        environment.read("window", &mut window, seconds);
        environment.read("owner-header", &mut self.owner_header, OwnerHeader::parse);

        if let Err(why) = check_cookie(&self.cookie) {
            environment.mistake("cookie", &why);
        }
        if window == 0 {
            environment.mistake("window", "0 seconds; requests are counted for 1 second at least");
        } else if requests > 0 {
            self.rate = Some(Rate::new(requests, window));
        }
        if let Some(path) = self.public.first_in(&self.protect) {
            environment.mistake("public", &format!("{path} is in LEMON_GUARD_PROTECT too; it can be in one of them"));
        }
        let login = self.login.as_deref().filter(|login| login.starts_with('/'));
        if let Some(login) = login.filter(|login| Readings::of(login).are_protected(&self.protect, &self.public)) {
            environment.mistake(
                "login",
                &format!("{login} is protected itself, so that no one could log in; add it to LEMON_GUARD_PUBLIC"),
            );
        }
    }
}

/// A path of the site, or the URL of a page.
fn location(value: &str) -> Result<String, String> {
    let is_path = value.starts_with('/') && !value.starts_with("//");
    let is_url = value.starts_with("https://") || value.starts_with("http://");
    if (is_path || is_url) && value.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\') {
        Ok(value.to_owned())
    } else {
        Err(format!(
            "{value:?} is not where a visitor logs in: a path such as /login, or a URL that begins with https://"
        ))
    }
}

fn check_cookie(name: &str) -> Result<(), String> {
    if name.is_empty() {
        return Err(
            "not set: the name of the session's cookie. It is the name of the application that begins the sessions, \
                    unless the host's settings or LEMON_SESSION_COOKIE_NAME have another"
                .to_owned(),
        );
    }
    // With attributes that every prefix of a name allows: those that count are the host's.
    let cookie = CookieSettings { name: Some(name.to_owned()), secure: Secure::On, ..CookieSettings::default() };
    let checked = Settings { cookie, ..Settings::default() }.validate();
    checked
        .map_err(|invalid| invalid.problems.into_iter().map(|problem| problem.message).collect::<Vec<_>>().join(", "))
}

/// All mistakes in the environment; at least one where it is an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistakes(pub Vec<String>);

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("; "))
    }
}

impl std::error::Error for Mistakes {}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Config, Mistakes> {
        Config::read(variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
    }

    #[track_caller]
    fn is_refused(variables: &[(&str, &str)], why: &str) {
        let variables = [&[("LEMON_GUARD_COOKIE", "shop")], variables].concat();
        let Mistakes(mistakes) = read(&variables).expect_err("a mistake");
        assert_eq!(mistakes.len(), 1, "{mistakes:?}");
        assert!(mistakes[0].contains(why), "{mistakes:?}");
    }

    #[test]
    fn every_setting_is_read() {
        let config = read(&[
            ("LEMON_GUARD_COOKIE", "__Host-shop"),
            ("LEMON_GUARD_STORAGE", "fast"),
            ("LEMON_GUARD_TABLE", "Shop"),
            ("LEMON_GUARD_PROTECT", "/account, /admin"),
            ("LEMON_GUARD_PUBLIC", "/account/new"),
            ("LEMON_GUARD_LOGIN", "/account/new?from=guard"),
            ("LEMON_GUARD_CROSS_SITE", "/hooks"),
            ("LEMON_GUARD_REQUESTS", "600"),
            ("LEMON_GUARD_WINDOW", "1m"),
            ("LEMON_GUARD_OWNER_HEADER", "Remote-User"),
            ("LEMON_SESSION_EXPIRES", "not of the guard"),
            ("PATH", "/bin"),
        ]);
        let expected = Config {
            cookie: "__Host-shop".to_owned(),
            storage: Some("fast".to_owned()),
            table: Some("Shop".to_owned()),
            protect: Paths::parse("/account,/admin").unwrap(),
            public: Paths::parse("/account/new").unwrap(),
            login: Some("/account/new?from=guard".to_owned()),
            cross_site: Paths::parse("/hooks").unwrap(),
            rate: Some(Rate::new(600, 60)),
            owner_header: OwnerHeader::parse("remote-user").unwrap(),
        };
        assert_eq!(config, Ok(expected));
    }

    #[test]
    fn the_cookie_is_that_of_all_applications_unless_the_guard_has_its_own() {
        let of_all = ("LEMON_SESSION_COOKIE_NAME", "sid");
        assert_eq!(read(&[of_all]).unwrap().cookie, "sid");
        assert_eq!(read(&[of_all, ("LEMON_GUARD_COOKIE", "shop")]).unwrap().cookie, "shop");
        let Mistakes(mistakes) = read(&[]).unwrap_err();
        assert!(mistakes[0].starts_with("LEMON_GUARD_COOKIE: not set"), "{mistakes:?}");
    }

    #[test]
    fn a_mistake_names_its_variable_and_what_would_be_right() {
        is_refused(&[("LEMON_GUARD_COOKIE", "a b")], "LEMON_GUARD_COOKIE: ");
        is_refused(&[("LEMON_GUARD_PROTECT", "account")], "LEMON_GUARD_PROTECT: \"account\" is not a path");
        is_refused(&[("LEMON_GUARD_LOGIN", "login")], "LEMON_GUARD_LOGIN: \"login\" is not where");
        is_refused(&[("LEMON_GUARD_LOGIN", "//evil.example")], "LEMON_GUARD_LOGIN");
        is_refused(&[("LEMON_GUARD_LOGIN", "/log\r\nin")], "LEMON_GUARD_LOGIN");
        is_refused(&[("LEMON_GUARD_REQUESTS", "many")], "LEMON_GUARD_REQUESTS: \"many\" is not a whole number");
        is_refused(&[("LEMON_GUARD_WINDOW", "0")], "LEMON_GUARD_WINDOW: 0 seconds");
        is_refused(&[("LEMON_GUARD_OWNER_HEADER", "cookie")], "LEMON_GUARD_OWNER_HEADER");
        is_refused(
            &[("LEMON_GUARD_REQUEST", "1")],
            "LEMON_GUARD_REQUEST: there is no such setting; did you mean LEMON_GUARD_REQUESTS?",
        );
        is_refused(&[("LEMON_GUARD_XYZ", "1")], "the settings are LEMON_GUARD_COOKIE, ");
    }

    #[test]
    fn all_mistakes_are_told_at_once() {
        let Mistakes(mistakes) = read(&[("LEMON_GUARD_WINDOW", "0"), ("LEMON_GUARD_LOGIN", "")]).unwrap_err();
        assert_eq!(mistakes.len(), 2, "{mistakes:?}");
    }

    #[test]
    fn a_login_page_that_is_protected_is_a_mistake() {
        is_refused(&[("LEMON_GUARD_PROTECT", "/"), ("LEMON_GUARD_LOGIN", "/login")], "add it to LEMON_GUARD_PUBLIC");
        let public = [("LEMON_GUARD_PROTECT", "/"), ("LEMON_GUARD_LOGIN", "/login"), ("LEMON_GUARD_PUBLIC", "/login")];
        assert!(read(&[&public[..], &[("LEMON_GUARD_COOKIE", "shop")]].concat()).is_ok());
        is_refused(
            &[("LEMON_GUARD_PROTECT", "/a,/b"), ("LEMON_GUARD_PUBLIC", "/b")],
            "/b is in LEMON_GUARD_PROTECT too",
        );
    }
}
