//! Checks of the settings: mistakes, and valid settings that are not recommended.

use std::{fs, os::unix::fs::MetadataExt as _, path::Path};

use anyhow::Result;
use lemon_session_host::{
    settings::{SameSite, Secure, Settings},
    stores::Storage,
};

use super::Report;
use crate::{
    config::{self, Config, Server},
    output, storage,
};

/// Reads the settings. Returns `None` if they contain mistakes.
pub fn read(args: &storage::Args, report: &mut Report) -> Result<Option<Config>> {
    let file = args.file();
    match args.config() {
        Ok(config) => {
            match file {
                Some(file) => {
                    report.ok("settings", &format!("{} has no mistakes", file.display()))?;
                    check_file(file, &config, report)?;
                }
                None => {
                    report.ok("settings", "there is no lemon.ini in this folder: all settings have their defaults")?
                }
            }
            Ok(Some(config))
        }
        Err(error) => {
            for mistake in error.downcast::<config::Error>()?.to_string().lines() {
                report.fail("settings", mistake, None)?;
            }
            Ok(None)
        }
    }
}

/// Checks that other users can neither change the file nor read passwords in it.
fn check_file(file: &Path, config: &Config, report: &mut Report) -> Result<()> {
    let Ok(metadata) = fs::metadata(file) else { return Ok(()) };
    let (file, advice) = (file.display(), format!("run `chmod o= {}`", output::quoted(&file.to_string_lossy())));
    let has_password = |storage: &Storage| {
        let url = url::Url::parse(&storage.options.url);
        url.is_ok_and(|url| url.password().is_some()) || storage.options.options.contains_key("password")
    };
    let has_password = has_password(&config.storage) || config.storages.values().any(has_password);
    if metadata.mode() & 0o004 != 0 && has_password {
        let found = format!("all users of this machine can read {file}, which contains a password");
        report.warning("settings", &found, &advice)?;
    }
    if metadata.mode() & 0o002 != 0 {
        let found = format!("all users of this machine can change {file}");
        report.warning("settings", &found, &advice)?;
    }
    Ok(())
}

/// Warns about settings that are not recommended.
pub fn check(config: &Config, report: &mut Report) -> Result<()> {
    let storages = std::iter::once(&config.storage).chain(config.storages.values());
    let unwise =
        [cookie(&config.settings, &config.server), sessions(&config.settings, storages), server(&config.server)];
    for (found, advice) in unwise.into_iter().flatten() {
        report.warning("settings", &found, &advice)?;
    }
    Ok(())
}

/// Pairs of a finding and advice.
type Unwise = Vec<(String, String)>;

/// Collects the findings whose condition is true.
macro_rules! unwise {
    ($($case:expr => $found:expr, $advice:expr;)+) => {{
        let mut unwise = Unwise::new();
        $(if $case {
            unwise.push(($found.to_owned(), $advice.to_owned()));
        })+
        unwise
    }};
}

fn cookie(settings: &Settings, server: &Server) -> Unwise {
    let cookie = &settings.cookie;
    let lifetime = cookie.lifetime.unwrap_or(0);
    unwise! {
        cookie.secure == Secure::Off =>
            "[session.cookie] secure = off: the cookie is also sent over plain HTTP, where others can read it",
            "set it to on, or to auto, which follows the visitor's request";
        cookie.secure == Secure::Auto && server.trusted_proxies.is_empty() =>
            "[session.cookie] secure = auto: `serve` uses plain HTTP and trusts no proxy, so the cookie is never Secure",
            "add the HTTPS proxy in front of it to [server] trusted-proxies";
        !cookie.http_only =>
            "[session.cookie] http-only = false: a script injected into a page can steal the session",
            "set it to true unless a script must read the cookie";
        cookie.same_site == SameSite::None =>
            "[session.cookie] same-site = none: other sites can make a visitor's browser send requests with the session",
            "set it to lax, unless the pages are embedded in other sites";
        lifetime > 0 && lifetime < settings.expires =>
            format!(
                "[session.cookie] lifetime = {lifetime}: the browser deletes the cookie, although its session lasts {} seconds",
                settings.expires
            ),
            "leave it empty, so that it follows the session";
    }
}

fn sessions<'a>(settings: &Settings, mut storages: impl Iterator<Item = &'a Storage> + Clone) -> Unwise {
    let in_memory = storages.clone().any(|storage| storage.options.url.starts_with("memory:"));
    // Redis expires sessions by itself.
    let needs_cleanup = storages.any(|storage| !storage.options.url.starts_with("redis"));
    unwise! {
        settings.max_lifetime == 0 =>
            "[session] max-lifetime = 0: a stolen session lasts for as long as the thief uses it",
            "set it to 30d, which ends each session after a month";
        settings.renew_after > 0 && settings.renew_grace == 0 =>
            "[session] renew-grace = 0: requests that a page sends at the same time lose the session when its id is rotated",
            format!("set it to {}s", settings.renew_after.min(60));
        settings.remember_ended == 0 =>
            "[session] remember-ended = 0: the use of an id whose session has ended goes unnoticed",
            "set it to 24h, and `lemon-session stats` counts such uses";
        settings.cleanup == 0.0 && needs_cleanup =>
            "[session] cleanup = 0: expired sessions stay in the store",
            "set it to 0.01, or run `lemon-session cleanup` every hour";
        in_memory =>
            "the store memory: loses all sessions when the server stops, and other processes have no access to it",
            "use sqlite:sessions.db, which keeps them";
    }
}

fn server(server: &Server) -> Unwise {
    let everybody = server.trusted_proxies.iter().find(|network| network.prefix_len() == 0);
    let public = server.admin_addr.filter(|addr| !addr.ip().is_loopback());
    unwise! {
        everybody.is_some() =>
            "[server] trusted-proxies: every client can claim any address, and that it used HTTPS",
            "list only the addresses of the proxies";
        public.is_some() =>
            format!(
                "[server] admin-addr = {}: everyone who can reach it can read the metrics{}",
                public.map(|addr| addr.to_string()).unwrap_or_default(),
                if server.console { " and see the console's traffic, with its token" } else { "" }
            ),
            "listen on 127.0.0.1 or on a private network";
        server.body_rate == 0 =>
            "[server] body-rate = 0: a client may send the body of a request as slowly as it likes",
            "set it to 500, which every honest client reaches";
        server.connections_per_address.is_some_and(|share| share >= server.connections) && server.trusted_proxies.is_empty() =>
            "[server] connections-per-address: one client can have all connections",
            "leave it empty, which limits a client to a quarter of them";
        server.shutdown_time < server.request_time =>
            format!(
                "[server] shutdown-time = {}: requests can take {} seconds, and are cut off when the server stops",
                server.shutdown_time.as_secs(),
                server.request_time.as_secs()
            ),
            "make it as long as request-time";
    }
}
