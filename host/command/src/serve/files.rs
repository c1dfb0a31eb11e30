//! How many files this process may have open: each connection is one.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::config::Server;

/// Files beside the connections: those of stores, and whatever else.
const OTHERS: u64 = 256;

/// Raises the limit to what the settings ask for, as far as the system lets this process.
pub fn raise_limit(settings: &Server) {
    let needed = u64::from(settings.connections) + OTHERS;
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_none_or(|current| current >= needed) {
        return;
    }
    let allowed = maximum.map_or(needed, |maximum| maximum.min(needed));
    let raised = setrlimit(Resource::Nofile, Rlimit { current: Some(allowed), maximum });
    if raised.is_err() || allowed < needed {
        let connections = settings.connections;
        tracing::warn!(
            "[server] connections is {connections}, which takes {needed} open files, but this process may have \
             {allowed}: raise that limit (LimitNOFILE= of systemd, ulimit -n), or have fewer connections"
        );
    }
}
