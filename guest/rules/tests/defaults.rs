//! docs/defaults.json: the defaults of all settings for hosts in other languages, as `settings.get-defaults` returns them. Fields
//! and cases have their names of the WIT; null stands for `none`.

use std::{env, fs, path::Path};

use lemon_session_rules::settings::{
    CacheLimiter, ClientAddress, CookieSettings, Limits, MaxSessionsReached, Reservation, SameSite, Secure, Settings,
};
use serde::{Deserialize, Serialize};

#[derive(Deserialize, Serialize)]
struct Data(#[serde(with = "Defaults")] Settings);

/// Fields are read as well as written, so that one which is missing here does not compile.
#[derive(Deserialize, Serialize)]
#[serde(remote = "Settings", rename_all = "kebab-case", deny_unknown_fields)]
struct Defaults {
    app: String,
    expires: u32,
    max_lifetime: u32,
    max_expires: u32,
    login_lifetime: u32,
    max_sessions: u32,
    #[serde(with = "MaxSessionsReachedCase")]
    max_sessions_reached: MaxSessionsReached,
    rolling: bool,
    touch_after: Option<u32>,
    renew_after: u32,
    renew_grace: u32,
    remember_ended: u32,
    lazy: bool,
    strict: bool,
    seal: bool,
    #[serde(with = "ClientAddressCase")]
    client_address: ClientAddress,
    client_user_agent: u32,
    device_bound: u32,
    cleanup: f64,
    seed: String,
    #[serde(with = "CacheLimiterCase")]
    cache_limiter: CacheLimiter,
    cache_expire: u32,
    #[serde(with = "CookieFields")]
    cookie: CookieSettings,
    #[serde(with = "LimitFields")]
    limits: Limits,
    #[serde(with = "no_reservations")]
    reserved: Vec<Reservation>,
}

#[derive(Deserialize, Serialize)]
#[serde(remote = "CookieSettings", rename_all = "kebab-case", deny_unknown_fields)]
struct CookieFields {
    name: Option<String>,
    path: String,
    domain: String,
    #[serde(with = "SecureCase")]
    secure: Secure,
    http_only: bool,
    #[serde(with = "SameSiteCase")]
    same_site: SameSite,
    partitioned: bool,
    lifetime: Option<u32>,
    comment: String,
}

#[derive(Deserialize, Serialize)]
#[serde(remote = "Limits", rename_all = "kebab-case", deny_unknown_fields)]
struct LimitFields {
    key_length: u32,
    app_length: u32,
    variables: u32,
    value_bytes: u32,
    session_bytes: u32,
    header_bytes: u32,
}

#[derive(Deserialize, Serialize)]
#[serde(remote = "Secure", rename_all = "kebab-case")]
enum SecureCase {
    Auto,
    On,
    Off,
}

#[derive(Deserialize, Serialize)]
#[serde(remote = "ClientAddress", rename_all = "kebab-case")]
enum ClientAddressCase {
    None,
    Network,
    Full,
}

#[derive(Deserialize, Serialize)]
#[serde(remote = "SameSite", rename_all = "kebab-case")]
enum SameSiteCase {
    Strict,
    Lax,
    None,
}

#[derive(Deserialize, Serialize)]
#[serde(remote = "MaxSessionsReached", rename_all = "kebab-case")]
enum MaxSessionsReachedCase {
    EndOldest,
    Refuse,
}

#[derive(Deserialize, Serialize)]
#[serde(remote = "CacheLimiter", rename_all = "kebab-case")]
enum CacheLimiterCase {
    Nocache,
    Private,
    Public,
    None,
}

/// The default is none.
mod no_reservations {
    use super::*;

    pub fn serialize<S: serde::Serializer>(reserved: &[Reservation], serializer: S) -> Result<S::Ok, S::Error> {
        assert!(reserved.is_empty(), "no name is reserved by default");
        <[(); 0]>::serialize(&[], serializer)
    }

    pub fn deserialize<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<Reservation>, D::Error> {
        <[(); 0]>::deserialize(deserializer).map(|[]| Vec::new())
    }
}

#[test]
fn defaults_as_data_are_those_of_the_settings() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/defaults.json");
    let json = serde_json::to_string_pretty(&Data(Settings::default())).expect("settings are JSON") + "\n";
    if env::var_os("LEMON_SESSION_WRITE_DEFAULTS").is_some() {
        fs::write(&file, &json).expect("docs/defaults.json can be written");
    }
    let written = fs::read_to_string(&file).expect("docs/defaults.json can be read");
    assert_eq!(written, json, "update docs/defaults.json with `make defaults`");
    let Data(read) = serde_json::from_str(&written).expect("the JSON of settings");
    assert_eq!(read, Settings::default());
}
