//! A TCP balancer, as operators have for clients of Redis that cannot ask sentinels.

use std::{net::Ipv4Addr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
    runtime::Handle,
    sync::watch,
    task::JoinHandle,
    time::{sleep, timeout},
};

/// How often it asks the server that it leads to whether it is the primary.
const INTERVAL: Duration = Duration::from_millis(200);
/// How long that server may take.
const PATIENCE: Duration = Duration::from_millis(500);

/// Leads to the server that says that it is the primary, as HAProxy with a check for `role:master` does. It stays with it as long
/// as it says so. When it goes to another one, it ends the connections to the last.
pub struct Balancer {
    pub port: u16,
    tasks: [JoinHandle<()>; 2],
}

impl Balancer {
    pub fn to(runtime: &Handle, servers: Vec<u16>) -> Self {
        let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).expect("a port is free");
        let port = listener.local_addr().expect("an address").port();
        let (place, watched) = watch::channel(servers[0]);
        let checking = runtime.spawn(async move {
            loop {
                let current = *place.borrow();
                if !is_primary(current).await {
                    for &server in servers.iter().filter(|&&server| server != current) {
                        if is_primary(server).await {
                            place.send_replace(server);
                            break;
                        }
                    }
                }
                sleep(INTERVAL).await;
            }
        });
        let accepting = runtime.spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(relay(client, watched.clone()));
            }
        });
        Self { port, tasks: [checking, accepting] }
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

async fn relay(mut client: TcpStream, mut place: watch::Receiver<u16>) {
    let target = *place.borrow_and_update();
    let Ok(mut server) = TcpStream::connect((Ipv4Addr::LOCALHOST, target)).await else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    tokio::select! { _ = copy_bidirectional(&mut client, &mut server) => {} _ = place.changed() => {} }
}

async fn is_primary(server: u16) -> bool {
    timeout(PATIENCE, role(server)).await.is_ok_and(|role| role.is_ok_and(|role| role.contains("role:master")))
}

async fn role(server: u16) -> std::io::Result<String> {
    let mut connection = TcpStream::connect((Ipv4Addr::LOCALHOST, server)).await?;
    connection.write_all(b"INFO replication\r\n").await?;
    let mut answer = Vec::new();
    // The second line is the role.
    while answer.iter().filter(|byte| **byte == b'\n').count() < 3 {
        if connection.read_buf(&mut answer).await? == 0 {
            break;
        }
    }
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
