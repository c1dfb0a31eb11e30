//! Several hosts in one URL: which of them a connection is made to.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use super::server::Host;

/// The host that a connection was made to last, by its place among all.
#[derive(Default)]
pub struct Reached(AtomicUsize);

impl Reached {
    /// The hosts in the order in which they are tried: the one that was reached last is the first.
    pub fn order<'a>(&self, hosts: &'a [Host]) -> impl Iterator<Item = (usize, &'a Host)> + use<'a> {
        let first = self.0.load(Relaxed);
        (0..hosts.len()).map(move |at| (first + at) % hosts.len()).map(|place| (place, &hosts[place]))
    }

    /// Notes that a connection was made to this host.
    pub fn note(&self, place: usize) {
        self.0.store(place, Relaxed);
    }
}

#[cfg(not(target_family = "wasm"))]
mod connecting {
    use std::future;

    use futures::future::BoxFuture;

    use super::Reached;
    use crate::server::Server;

    impl Reached {
        /// Connects to the first host that lets it. Each has `connect-timeout`.
        ///
        /// # Errors
        ///
        /// Fails as the last host that answered did. If none answers, this waits: [`Server::longest_connect`] is over then.
        pub async fn connect<'a, T, E>(
            &self,
            server: &Server,
            connect: impl Fn(usize) -> BoxFuture<'a, Result<T, E>>,
        ) -> Result<T, E> {
            let mut failed = None;
            for (place, _) in self.order(&server.hosts) {
                match tokio::time::timeout(server.connect_timeout, connect(place)).await {
                    Ok(Ok(connection)) => {
                        self.note(place);
                        return Ok(connection);
                    }
                    Ok(Err(error)) => failed = Some(error),
                    Err(_) => {}
                }
            }
            match failed {
                Some(error) => Err(error),
                None => future::pending().await,
            }
        }
    }
}
