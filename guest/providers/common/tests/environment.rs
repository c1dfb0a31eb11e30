//! The settings in the environment.

use lemon_session_provider::environment::{Config, names, variable};
use lemon_session_rules::{
    Settings,
    settings::{CacheLimiter, Grant, SameSite, Secure},
};

const HASH: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

fn variables(text: &str) -> impl Iterator<Item = (String, String)> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.map(|line| line.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned())).expect("NAME=VALUE"))
}

fn read(text: &str) -> Config {
    Config::read(variables(text), Some("memory:")).expect("the settings are right")
}

fn mistakes(text: &str) -> Vec<String> {
    Config::read(variables(text), Some("memory:")).err().map_or_else(Vec::new, |mistakes| mistakes.0)
}

#[test]
fn empty_environment_is_the_defaults() {
    let config = read("PATH=/bin\nHOME=/root\nLEMON=1");
    assert_eq!(config.settings, Settings::default());
    assert_eq!((config.manager, config.storage.url.as_str()), (Grant::Owners, "memory:"));
    assert!(config.storage.options.is_empty() && config.tables.is_empty() && config.create_tables);
}

#[test]
fn variables_are_the_keys_of_lemon_ini() {
    let config = read(&format!(
        "LEMON_SESSION_APP=shop
        LEMON_SESSION_EXPIRES=30m
        LEMON_SESSION_ROLLING=no
        LEMON_SESSION_TOUCH_AFTER=60
        LEMON_SESSION_CLEANUP=0
        LEMON_SESSION_CACHE_LIMITER=private
        LEMON_SESSION_MANAGER=all
        LEMON_SESSION_COOKIE_NAME=__Host-sid
        LEMON_SESSION_COOKIE_SECURE=ON
        LEMON_SESSION_COOKIE_SAME_SITE=Strict
        LEMON_SESSION_COOKIE_LIFETIME=0
        LEMON_SESSION_LIMITS_SESSION_BYTES=1M
        LEMON_SESSION_LIMITS_VALUE_BYTES=64K
        LEMON_SESSION_RESERVED=auth={HASH}, a=b={HASH}
        LEMON_SESSION_STORAGE=redis://:pa55word@db/1
        LEMON_SESSION_STORAGE_TABLE=Shop
        LEMON_SESSION_STORAGE_TABLES=Basket, Forum
        LEMON_SESSION_STORAGE_BUSY_TIMEOUT=5s
        LEMON_SESSION_CREATE_TABLES=off"
    ));
    let settings = &config.settings;
    assert_eq!((settings.app.as_str(), settings.expires, settings.rolling), ("shop", 1800, false));
    assert_eq!((settings.touch_after, settings.cleanup), (Some(60), 0.0));
    assert_eq!((settings.cache_limiter, config.manager), (CacheLimiter::Private, Grant::All));
    assert_eq!(settings.cookie.name.as_deref(), Some("__Host-sid"));
    assert_eq!((settings.cookie.secure, settings.cookie.same_site), (Secure::On, SameSite::Strict));
    assert_eq!(settings.cookie.lifetime, Some(0));
    assert_eq!((settings.limits.session_bytes, settings.limits.value_bytes), (1 << 20, 1 << 16));
    let reserved: Vec<_> = settings.reserved.iter().map(|reserved| reserved.name.as_str()).collect();
    assert_eq!(reserved, ["auth", "a=b"]);
    assert_eq!(config.storage.url, "redis://:pa55word@db/1");
    assert_eq!(config.storage.table.as_str(), "Shop");
    assert_eq!(config.tables.iter().map(|table| table.as_str()).collect::<Vec<_>>(), ["Basket", "Forum"]);
    assert_eq!(config.storage.options, [("busy-timeout".to_owned(), "5s".to_owned())].into());
    assert!(!config.create_tables);
    assert!(!format!("{config:?}").contains("pa55word"), "no debug output holds a password");
}

#[test]
fn every_variable_is_read() {
    // A value that is wrong for its key shows that the key is read.
    let always_right = ["APP", "SEED", "STORAGE", "COOKIE_COMMENT"];
    let mut all = names();
    all.retain(|name| !always_right.contains(&name.trim_start_matches("LEMON_SESSION_")));
    assert!(all.len() >= 30, "{all:?}");
    for name in all {
        let wrong = mistakes(&format!("{name}=\u{1f}é;"));
        assert!(wrong.iter().any(|mistake| mistake.starts_with(&format!("{name}: "))), "{name}: {wrong:?}");
    }
}

#[test]
fn wrong_value_is_a_mistake_that_names_the_variable_and_what_would_be_right() {
    for (text, right) in [
        ("LEMON_SESSION_EXPIRES=soon", "LEMON_SESSION_EXPIRES: \"soon\" is not a time: seconds, or a number with ms"),
        ("LEMON_SESSION_EXPIRES=0", "LEMON_SESSION_EXPIRES: a session lasts at least 1 second"),
        ("LEMON_SESSION_COOKIE_SECURE=maybe", "LEMON_SESSION_COOKIE_SECURE: \"maybe\" is not one of auto, on, off"),
        ("LEMON_SESSION_COOKIE_PATH=shop", "LEMON_SESSION_COOKIE_PATH: 'shop' is not a path"),
        ("LEMON_SESSION_LIMITS_KEY_LENGTH=0", "LEMON_SESSION_LIMITS_KEY_LENGTH: 0 is not between 1 and 255"),
        ("LEMON_SESSION_MANAGER=some", "LEMON_SESSION_MANAGER: \"some\" is not one of none, owners, all"),
        ("LEMON_SESSION_RESERVED=auth", "LEMON_SESSION_RESERVED: \"auth\" is not NAME=HASH"),
        ("LEMON_SESSION_RESERVED=auth=secret", "LEMON_SESSION_RESERVED: auth: not the SHA-256 hash of a secret"),
        ("LEMON_SESSION_STORAGE_TABLE=1x", "LEMON_SESSION_STORAGE_TABLE: \"1x\" is not a table name"),
        ("LEMON_SESSION_STORAGE=", "LEMON_SESSION_STORAGE: not set: the URL of the store"),
    ] {
        let all = mistakes(text);
        assert!(all.len() == 1 && all[0].starts_with(right), "{text}: {all:?}");
    }
}

#[test]
fn all_mistakes_are_told_at_once() {
    let all =
        mistakes("LEMON_SESSION_EXPIRES=0\nLEMON_SESSION_CLEANUP=2\nLEMON_SESSION_COOKIE_PATH=x\nLEMON_SESSION_X=1");
    assert_eq!(all.len(), 4, "{all:?}");
}

#[test]
fn store_without_a_default_has_to_be_named() {
    let all = Config::read([], None).expect_err("no URL").0;
    assert_eq!(all, ["LEMON_SESSION_STORAGE: not set: the URL of the store"]);
}

#[test]
fn misspelt_variable_is_a_mistake_with_the_right_name() {
    assert_eq!(
        mistakes("LEMON_SESSION_EXPIERS=60"),
        ["LEMON_SESSION_EXPIERS: there is no such setting; did you mean LEMON_SESSION_EXPIRES?"]
    );
    assert_eq!(
        mistakes("LEMON_SESSION_COOKIE_SAMESITE=lax"),
        ["LEMON_SESSION_COOKIE_SAMESITE: there is no such setting; did you mean LEMON_SESSION_COOKIE_SAME_SITE?"]
    );
    let other = mistakes("LEMON_SESSION_COLOUR=red");
    assert!(other[0].contains("the choices after LEMON_SESSION_ are APP, EXPIRES, "), "{other:?}");
}

#[test]
fn limit_of_new_sessions_is_refused_with_the_reason() {
    let all = mistakes("LEMON_SESSION_LIMITS_NEW_SESSIONS=5");
    assert!(all.len() == 1 && all[0].contains("does not know the address of a client"), "{all:?}");
}

#[test]
fn names_are_those_of_lemon_ini() {
    assert_eq!(variable("session", "touch-after"), "LEMON_SESSION_TOUCH_AFTER");
    assert_eq!(variable("session.cookie", "http-only"), "LEMON_SESSION_COOKIE_HTTP_ONLY");
    assert_eq!(variable("session.limits", "value-bytes"), "LEMON_SESSION_LIMITS_VALUE_BYTES");
    assert_eq!(variable("storage", "busy-timeout"), "LEMON_SESSION_STORAGE_BUSY_TIMEOUT");
}

/// The rows of the table in the guide: the variable and its default.
fn guide() -> Vec<(String, String)> {
    let guide = include_str!("../../../../docs/providers.md");
    let rows = guide.lines().filter(|line| line.starts_with("| `LEMON_SESSION_"));
    let word = |cell: &str| cell.trim().trim_matches('`').to_owned();
    rows.map(|row| {
        let cells: Vec<_> = row.trim_matches('|').split('|').collect();
        (word(cells[0]), word(cells[2]))
    })
    .filter(|(name, _)| !name.ends_with('…'))
    .collect()
}

#[test]
fn guide_names_every_variable_with_its_default() {
    let mut in_guide: Vec<_> = guide().into_iter().map(|(name, _)| name).collect();
    let mut read = names();
    in_guide.sort();
    read.sort();
    assert_eq!(in_guide, read);

    let defaults = guide().into_iter().filter(|(name, value)| name != "LEMON_SESSION_STORAGE" && !value.is_empty());
    let config = Config::read(defaults, Some("memory:")).expect("the defaults are right");
    assert_eq!(config.settings, Settings::default());
    assert_eq!((config.manager, config.storage.table.as_str()), (Grant::Owners, "Session"));
}
