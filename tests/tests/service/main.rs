//! Applications of WASI 0.3: in a host of lemon-session-host, and under the built command.

mod cgi;
mod disconnects;
mod host;
mod limits;
mod serving;
mod sharing;
mod slow;
