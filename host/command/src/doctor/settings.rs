//! The settings: whether they can be read, and what is possible in them but unwise.

use std::{fs, os::unix::fs::MetadataExt as _, path::Path};

use anyhow::Result;
use lemon_session_host::{
    settings::{SameSite, Secure, Settings},
    stores::Storage,
};

use super::Report;
use crate::{
    config::{self, Config, Server},
    storage,
};

/// The settings, unless there are mistakes in them.
pub fn read(args: &storage::Args, report: &mut Report) -> Result<Option<Config>> {
    let file = args.file();
    match args.config() {
        Ok(config) => {
            match file {
                Some(file) => {
                    report.ok("settings", &format!("{} is in order", file.display()))?;
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

/// Who can read the passwords in it, and who can change it.
fn check_file(file: &Path, config: &Config, report: &mut Report) -> Result<()> {
    let Ok(metadata) = fs::metadata(file) else { return Ok(()) };
    let file = file.display();
    let has_password = |storage: &Storage| {
        let url = url::Url::parse(&storage.options.url);
        url.is_ok_and(|url| url.password().is_some()) || storage.options.options.contains_key("password")
    };
    let has_password = has_password(&config.storage) || config.storages.values().any(has_password);
    if metadata.mode() & 0o004 != 0 && has_password {
        let found = format!("everybody on this machine can read {file}, and there is a password in it");
        report.warning("settings", &found, &format!("chmod o= {file}"))?;
    }
    if metadata.mode() & 0o002 != 0 {
        let found = format!("everybody on this machine can change {file}");
        report.warning("settings", &found, &format!("chmod o= {file}"))?;
    }
    Ok(())
}

/// What is unwise.
pub fn check(config: &Config, report: &mut Report) -> Result<()> {
    let storages = std::iter::once(&config.storage).chain(config.storages.values());
    let unwise =
        [cookie(&config.settings, &config.server), sessions(&config.settings, storages), server(&config.server)];
    for (found, advice) in unwise.into_iter().flatten() {
        report.warning("settings", &found, &advice)?;
    }
    Ok(())
}

/// What is unwise, and what would be wiser.
type Unwise = Vec<(String, String)>;

/// Adds what is unwise if it is the case.
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
            "[session.cookie] secure = off: the cookie also travels over plain HTTP, where others can read it",
            "auto follows the visitor's request";
        cookie.secure == Secure::Auto && server.trusted_proxies.is_empty() =>
            "[session.cookie] secure = auto: `serve` speaks plain HTTP and trusts no proxy, so that it is never on",
            "name the HTTPS proxy in front in [server] trusted-proxies";
        !cookie.http_only =>
            "[session.cookie] http-only = false: any script that gets into a page can take the session with it",
            "leave it true unless a script has to read the cookie";
        cookie.same_site == SameSite::None =>
            "[session.cookie] same-site = none: other sites can have a visitor's browser act in the session",
            "lax, unless the pages are shown inside other sites";
        lifetime > 0 && lifetime < settings.expires =>
            format!(
                "[session.cookie] lifetime = {lifetime}: the browser drops the cookie while its session lasts {} seconds",
                settings.expires
            ),
            "leave it empty, and it follows the session";
    }
}

fn sessions<'a>(settings: &Settings, mut storages: impl Iterator<Item = &'a Storage> + Clone) -> Unwise {
    let in_memory = storages.clone().any(|storage| storage.options.url.starts_with("memory:"));
    // Redis expires sessions by itself.
    let needs_cleanup = storages.any(|storage| !storage.options.url.starts_with("redis"));
    unwise! {
        settings.max_lifetime == 0 =>
            "[session] max-lifetime = 0: a session that is stolen lasts for as long as the thief uses it",
            "30d ends each session after a month";
        settings.renew_after > 0 && settings.renew_grace == 0 =>
            "[session] renew-grace = 0: of several requests of one page, those after a renewal lose their session",
            "a minute is enough";
        settings.remember_ended == 0 =>
            "[session] remember-ended = 0: the use of an id whose session has ended goes unnoticed",
            "24h has `lemon-session stats` count it";
        settings.cleanup == 0.0 && needs_cleanup =>
            "[session] cleanup = 0: expired sessions stay in the store",
            "set it to 0.01, or run `lemon-session cleanup` every hour";
        in_memory =>
            "the storage memory: forgets all sessions when the server stops, and is shared with no other process",
            "sqlite:sessions.db keeps them";
    }
}

fn server(server: &Server) -> Unwise {
    let everybody = server.trusted_proxies.iter().find(|network| network.prefix_len() == 0);
    let public = server.admin_addr.filter(|addr| !addr.ip().is_loopback());
    unwise! {
        everybody.is_some() =>
            "[server] trusted-proxies: every client is believed when it says which address it has and that it came over HTTPS",
            "name the addresses of the proxies alone";
        public.is_some() =>
            format!(
                "[server] admin-addr = {}: everyone who can reach it can read the metrics",
                public.map(|addr| addr.to_string()).unwrap_or_default()
            ),
            "listen on 127.0.0.1 or on a private network";
        server.body_rate == 0 =>
            "[server] body-rate = 0: a client may send the body of a request as slowly as it likes",
            "500 bytes a second are slow enough for every honest client";
        server.share_of_an_address() >= server.connections && server.trusted_proxies.is_empty() =>
            "[server] connections-per-address: one client can have all connections",
            "leave it empty, which is a quarter of them";
        server.shutdown_time < server.request_time =>
            format!(
                "[server] shutdown-time = {}: requests may take {} seconds, and are cut off when the server is stopped",
                server.shutdown_time.as_secs(),
                server.request_time.as_secs()
            ),
            "make it as long as request-time";
    }
}
