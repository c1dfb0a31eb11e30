//! Sites with sessions on runtimes of other projects: `wasmtime serve`, `wasmtime run` as CGI, `wash dev` and `jco serve`. A site
//! is an application that `lemon-session compose` joined with the session component and a provider; the runtime knows
//! nothing of sessions.
//!
//! tests/runtimes pins the versions of the runtimes, which `make` installs into target/runtimes.

mod asynchronous;
mod cgi;
mod guard;
mod jco;
mod running;
mod shared;
mod site;
mod store;
mod tls;
mod walks;
mod wash;
mod wasi_0_3;
mod wasmtime;
