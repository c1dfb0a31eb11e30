//! Whether a server is suitable for sessions, by its answer to `INFO`.

use lemon_session_store::{Error, Result};
use redis::Value;

/// Refuses a node of a cluster and a replica, and warns of a server that evicts sessions.
pub fn check(name: &str, info: Value) -> Result<()> {
    let info = match info {
        Value::BulkString(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Value::VerbatimString { text, .. } => text.to_string(),
        _ => return Ok(()),
    };
    let value = |field: &str| info.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    if value("cluster_enabled") == Some("1") {
        return Err(Error::invalid(format!(
            "{name} is a node of a Redis Cluster: the URL then begins with redis+cluster://"
        )));
    }
    if value("role") == Some("slave") {
        return Err(Error::invalid(format!(
            "{name} is a replica, which cannot be written to: give the host and port of the primary"
        )));
    }
    let policy = value("maxmemory_policy").unwrap_or("noeviction");
    // Without a memory limit nothing is evicted.
    let is_limited = value("maxmemory").is_some_and(|bytes| bytes != "0");
    if is_limited && policy != "noeviction" {
        tracing::warn!(
            "{name} has the maxmemory-policy {policy}: when it runs out of memory, it drops live sessions; noeviction refuses new ones"
        );
    }
    Ok(())
}
