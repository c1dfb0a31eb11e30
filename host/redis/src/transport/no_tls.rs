//! Stands in for `tls` where the crate is built without it.

use std::{io, net::TcpStream};

use lemon_session_store::{Error, Result};

use super::stream::Stream;
use crate::options::Address;

/// TLS, which does not exist here.
pub enum Tls {}

impl Tls {
    pub fn new(address: &Address) -> Result<Self> {
        Err(Error::invalid(format!("{address}: this driver is built without TLS; its feature `tls` adds it")))
    }

    pub fn wrap(&self, _stream: TcpStream) -> io::Result<Box<dyn Stream>> {
        match *self {}
    }
}
