//! The limit of open files: each connection needs one.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::config::Server;

/// Open files in addition to the connections, such as those of stores.
const OTHERS: u64 = 256;

/// Raises the limit to the number that the settings need, as far as the system allows.
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
            "[server] connections = {connections} needs {needed} open files, but this process is limited to {allowed}: \
             raise the limit (LimitNOFILE= of systemd, ulimit -n), or lower connections"
        );
    }
}
