//! Whether a server is suitable for sessions, by what it says of itself.

use lemon_session_store::{Error, Result};

/// Refuses a node of a cluster and a replica.
pub fn kind(name: &str, is_in_cluster: bool, is_replica: bool) -> Result<()> {
    if is_in_cluster {
        return Err(Error::invalid(format!(
            "{name} is a node of a Redis Cluster: the URL then begins with redis+cluster://"
        )));
    }
    if is_replica {
        return Err(Error::invalid(format!(
            "{name} is a replica, which cannot be written to: give the host and port of the primary"
        )));
    }
    Ok(())
}

/// Refuses a node of a cluster and a replica, and warns of a server that evicts sessions, by the answer to `INFO`.
#[cfg(not(target_family = "wasm"))]
pub fn info(name: &str, info: redis::Value) -> Result<()> {
    use redis::Value;

    let info = match info {
        Value::BulkString(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Value::VerbatimString { text, .. } => text.to_string(),
        _ => return Ok(()),
    };
    let value = |field: &str| info.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    kind(name, value("cluster_enabled") == Some("1"), value("role") == Some("slave"))?;
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
