//! The failures of a call, and whether it is attempted again.

use lemon_session_store::{Error, Result};

use super::server::Server;

/// Why a call failed.
pub enum Failure {
    /// The server has refused the call, or the connection. An established connection can be used again.
    Refused(Error),
    /// The server accepts no writes. It may have become a replica; a new connection may lead to the new primary.
    ReadOnly(String),
    /// The server has rolled the call back because of concurrent ones. It can be repeated.
    Undone(String),
    /// The connection is broken. The call may have taken effect.
    Broken(String),
}

impl Failure {
    /// Whether the connection can be used again.
    pub fn spares_the_connection(&self) -> bool {
        matches!(self, Self::Refused(_) | Self::Undone(_))
    }

    /// The error, if this failed while connecting.
    pub fn of_connecting(self, server: &Server) -> Error {
        match self {
            Self::Refused(error) => error,
            Self::ReadOnly(why) | Self::Undone(why) | Self::Broken(why) => server.unreachable(why),
        }
    }
}

/// Whether a call may be repeated after its connection broke.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    /// It only reads.
    Safe,
    /// It may have written.
    Never,
}

/// How often a call is attempted that the server rolls back.
const ATTEMPTS: u32 = 8;

/// The attempts at one call.
pub struct Attempts {
    repeat: Repeat,
    undone: u32,
    renewed: bool,
}

impl Attempts {
    pub fn new(repeat: Repeat) -> Self {
        Self { repeat, undone: 0, renewed: false }
    }

    /// Returns if the call is to be attempted again. It then takes another connection, unless the failure spares the one
    /// that it had.
    ///
    /// # Errors
    ///
    /// Fails with the error of the call if this attempt was its last one.
    pub fn again(&mut self, failure: Failure, server: &Server) -> Result<()> {
        let (may_repeat, what) = match failure {
            Failure::Refused(error) => return Err(error),
            Failure::Undone(what) => {
                self.undone += 1;
                (self.undone < ATTEMPTS, what)
            }
            // The call had no effect, so it may be repeated even if it writes.
            Failure::ReadOnly(what) => (!std::mem::replace(&mut self.renewed, true), what),
            Failure::Broken(what) => (!std::mem::replace(&mut self.renewed, true) && self.repeat == Repeat::Safe, what),
        };
        if may_repeat { Ok(()) } else { Err(server.error(what)) }
    }
}
