//! What errors of the client and the server mean.

use std::time::Duration;

use lemon_session_store::Error;
use redis::{ErrorKind, RedisError};

use super::options::Address;

/// The reason why a connection failed, and what to check.
pub fn refused(name: &str, address: &Address, error: RedisError) -> Error {
    if let Some(check) = untrusted(address, &error) {
        return Error::unavailable(format!("cannot connect to {name}: {error}; {check}"));
    }
    let code = error.code().unwrap_or_default().to_owned();
    let check = match error.kind() {
        ErrorKind::AuthenticationFailed => "check user and password",
        _ if matches!(code.as_str(), "WRONGPASS" | "NOAUTH" | "NOPERM") => "check user and password",
        ErrorKind::RESP3NotSupported => "Redis 6 or later is needed",
        ErrorKind::Server(_) if address.cluster => "is it a Redis Cluster? For one server the URL begins with redis://",
        _ if address.tls => "check host, port, firewall and certificate, and whether the server speaks TLS there",
        _ => "check host, port and firewall, and whether the server runs there (without TLS)",
    };
    let runtime = match cfg!(target_family = "wasm") && error.is_io_error() {
        true => {
            "; the runtime has to allow connections, and to look up a host's name (`wasmtime -S inherit-network,allow-ip-name-lookup`)"
        }
        false => "",
    };
    Error::unavailable(format!("cannot connect to {name}: {}; {check}{runtime}", reason(&error)))
}

/// What to check if the server's certificate is refused, which only the text of rustls tells.
fn untrusted(address: &Address, error: &RedisError) -> Option<&'static str> {
    let text = error.to_string();
    let (_, reason) = text.split_once("invalid peer certificate: ")?;
    Some(match address.ca {
        None if reason.contains("UnknownIssuer") => "give the certificate of its authority as ca-file",
        Some(_) if reason.contains("UnknownIssuer") => "no certificate in ca-file is that of its authority",
        _ if reason.contains("not valid for name") => "the host in the URL has to be a name in the certificate",
        _ => "check the certificate, and the clock of this machine",
    })
}

pub fn silent(name: &str, timeout: Duration) -> Error {
    Error::unavailable(format!("{name} did not answer within {} seconds", timeout.as_secs()))
}

/// The text of an error. A server's own text may quote a call, and with it a session's data: it is reduced to its code.
pub fn reason(error: &RedisError) -> String {
    match error.kind() {
        ErrorKind::Io | ErrorKind::Client | ErrorKind::ClusterConnectionNotFound | ErrorKind::InvalidClientConfig => {
            error.to_string()
        }
        _ => {
            let Some(code) = error.code() else { return error.category().to_owned() };
            let what = match code {
                "OOM" => "it is out of memory (maxmemory)",
                "READONLY" => "it has become a replica",
                "MASTERDOWN" => "it has become a replica, and does not reach its primary",
                "NOPERM" => "the user may not use the commands or keys that sessions need",
                "MISCONF" => "it cannot write to its disk, and so refuses changes",
                "NOREPLICAS" => "too few replicas are connected",
                _ => return format!("{code} ({})", error.category()),
            };
            format!("{code}: {what}")
        }
    }
}
