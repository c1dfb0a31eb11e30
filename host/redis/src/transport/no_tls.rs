//! Stands in for `tls` where the crate is built without it.

use std::{io, net::TcpStream};

use lemon_session_store::{Error, Result};

use super::stream::Stream;
use crate::options::Address;

/// TLS, which does not exist here.
pub enum Tls {}

impl Tls {
    pub fn new(address: &Address) -> Result<Self> {
        let with_tls = match cfg!(target_family = "wasm") {
            true => {
                "this provider is built without TLS; in a checkout of lemon:session, `make dist/redis_tls.wasm` builds one \
                 with TLS, and `lemon-session compose APP.wasm --provider dist/redis_tls.wasm` joins with it"
            }
            false => "this driver is built without TLS; its feature `tls` adds it",
        };
        Err(Error::invalid(format!("{address}: {with_tls}")))
    }

    pub fn wrap(&self, _stream: TcpStream) -> io::Result<Box<dyn Stream>> {
        match *self {}
    }
}
