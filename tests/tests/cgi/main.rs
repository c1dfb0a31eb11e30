//! CGI programs: run by `lemon-session cgi`, by real web servers through it, and by `lemon-session serve`.

mod caching;
mod command;
mod mounts;
mod serve;
mod web_servers;
