//! Errors that name the server, and what to check.

use std::fmt;

use lemon_session_store::Error;

use super::server::Server;

impl Server {
    pub fn missing_tables(&self) -> Error {
        Error::missing_tables(format!(
            "the tables of {} do not exist, or are older than this program: `lemon-session tables create` creates or \
             upgrades them",
            self.summary()
        ))
    }

    /// Any other error.
    pub fn error(&self, what: impl fmt::Display) -> Error {
        Error::unavailable(format!("{} at {}: {what}", self.product, self.address()))
    }

    pub fn unreachable(&self, why: impl fmt::Display) -> Error {
        let check = match cfg!(target_family = "wasm") {
            true => {
                "Is the server running there, and does the runtime allow to connect to it, and to look up its name \
                 (`wasmtime -S inherit-network,allow-ip-name-lookup`)?"
            }
            false => "Is the server running there, and can this machine reach it? Check host, port and firewall",
        };
        Error::unavailable(format!("cannot connect to {} at {}: {why}. {check}", self.product, self.address()))
    }

    /// A connection was not made in time.
    pub fn silent(&self) -> Error {
        self.unreachable(format_args!("no answer within {:?} (connect-timeout)", self.connect_timeout))
    }

    pub fn too_late(&self) -> Error {
        self.error(format_args!("no answer within {:?} (timeout)", self.timeout))
    }

    pub fn refused(&self, why: impl fmt::Display) -> Error {
        Error::invalid(format!(
            "{} at {} refuses the user {:?}: {why}. Check the user and the password (in the storage URL, password-file or \
             password-env), and from which hosts the server accepts that user",
            self.product,
            self.address(),
            self.user
        ))
    }

    pub fn missing_database(&self) -> Error {
        Error::invalid(format!(
            "{} at {} has no database {:?}, or the user {:?} may not use it. Check the storage URL, or create it: CREATE \
             DATABASE {}",
            self.product,
            self.address(),
            self.database,
            self.user,
            self.database
        ))
    }
}
