//! A proxy between a driver and its server, which counts round trips and cuts connections.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

#[derive(Default)]
struct State {
    trips: AtomicUsize,
    cuts: AtomicBool,
    holds: AtomicBool,
    refuses: AtomicBool,
}

pub struct Proxy {
    pub port: u16,
    state: Arc<State>,
}

impl Proxy {
    pub async fn to(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(relay(client, server.clone(), Arc::clone(&shared)));
            }
        });
        Self { port, state }
    }

    /// The number of round trips since the last call: how often a client sent something after an answer of the server.
    pub fn trips(&self) -> usize {
        self.state.trips.swap(0, Ordering::SeqCst)
    }

    /// Holds back all answers, or no longer. A connection that has missed an answer is cut afterwards.
    pub fn hold_answers(&self, hold: bool) {
        self.state.holds.store(hold, Ordering::SeqCst);
    }

    /// Behaves as a server that is down: cuts connections when they are used, and accepts no new ones.
    pub fn refuse(&self) {
        self.state.refuses.store(true, Ordering::SeqCst);
    }

    /// Passes the next request on, and cuts its connection instead of returning the answer.
    pub fn cut_next_answer(&self) {
        self.state.cuts.store(true, Ordering::SeqCst);
    }
}

async fn relay(mut client: TcpStream, server: String, state: Arc<State>) {
    if state.refuses.load(Ordering::SeqCst) {
        return;
    }
    let Ok(mut server) = TcpStream::connect(server).await else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (mut asked, mut answered) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    let (mut server_spoke_last, mut cuts, mut missed) = (true, false, false);
    loop {
        tokio::select! {
            read = client.read(&mut asked) => {
                let Ok(length @ 1..) = read else { return };
                if state.refuses.load(Ordering::SeqCst) {
                    return;
                }
                if std::mem::take(&mut server_spoke_last) {
                    state.trips.fetch_add(1, Ordering::SeqCst);
                }
                if missed && !state.holds.load(Ordering::SeqCst) {
                    return;
                }
                cuts |= state.cuts.swap(false, Ordering::SeqCst);
                if server.write_all(&asked[..length]).await.is_err() {
                    return;
                }
            }
            read = server.read(&mut answered) => {
                let Ok(length @ 1..) = read else { return };
                server_spoke_last = true;
                if state.holds.load(Ordering::SeqCst) {
                    missed = true;
                    continue;
                }
                if cuts || client.write_all(&answered[..length]).await.is_err() {
                    return;
                }
            }
        }
    }
}
