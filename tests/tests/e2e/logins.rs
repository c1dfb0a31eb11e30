//! A maximum of sessions for an owner, with logins at the same moment on two hosts.

use std::{
    sync::{Arc, Barrier},
    thread,
    time::SystemTime,
};

use lemon_session_tests::{Client, Launch, Server, Storage, storage::KINDS};

const MOST: usize = 3;
const CLIENTS: usize = 12;
const LOGIN: &str = "/login?user=ann&method=password";

fn serve(storage: &Storage, reached: &str) -> Server {
    let ini = format!("[session]\nmax-sessions = {MOST}\nmax-sessions-reached = {reached}\n");
    Launch::new("counter").admin().ini(&ini).storage(storage).start()
}

/// How many live sessions the owner has in the store.
fn owned(storage: &Storage) -> usize {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let store = storage.open().await;
        let now = SystemTime::UNIX_EPOCH.elapsed().expect("a clock").as_secs();
        let listed = store.inspect().expect("it lists").list(now, Some("ann"), None, 100).await.expect("list");
        store.close().await.expect("close");
        listed.len()
    })
}

/// Has all clients log in at the same moment, on one of the hosts each. Returns the status of each answer.
fn log_in(hosts: &[Server; 2], clients: &Arc<Vec<Client>>) -> Vec<u16> {
    let start = Arc::new(Barrier::new(clients.len()));
    let logins: Vec<_> = (0..clients.len())
        .map(|number| {
            let (start, clients, url) = (Arc::clone(&start), Arc::clone(clients), hosts[number % 2].url(LOGIN));
            thread::spawn(move || {
                start.wait();
                clients[number].get(&url).status
            })
        })
        .collect();
    logins.into_iter().map(|login| login.join().expect("no panic")).collect()
}

#[test]
fn logins_at_the_same_moment_leave_as_many_sessions_as_are_allowed() {
    for kind in KINDS {
        for (reached, succeed) in [("end-oldest", CLIENTS), ("refuse", MOST)] {
            let Some(storage) = Storage::new(kind) else { continue };
            let hosts = [serve(&storage, reached), serve(&storage, reached)];
            let clients = Arc::new((0..CLIENTS).map(|_| Client::new()).collect::<Vec<_>>());
            // Half of them have a session before.
            for client in &clients[..CLIENTS / 2] {
                assert_eq!(hosts[0].get(client, "/set?key=a&value=1").status, 200);
            }
            let answers = log_in(&hosts, &clients);
            let logged_in = answers.iter().filter(|status| **status == 200).count();
            assert_eq!(logged_in, succeed, "{kind}, {reached}: {answers:?}");
            let refused = answers.iter().filter(|status| **status == 429).count();
            assert_eq!(refused, CLIENTS - succeed, "{kind}, {reached}: {answers:?}");
            assert_eq!(owned(&storage), MOST, "{kind}, {reached}");
            if reached == "refuse" {
                for (client, status) in clients[..CLIENTS / 2].iter().zip(answers) {
                    assert_eq!(hosts[0].get(client, "/get?key=a").body, "1\n", "{kind}: {status}, the session goes on");
                }
                let counted = hosts.iter().map(|host| host.metric("saves_total{outcome=\"too_many_owned\"}"));
                assert_eq!(counted.sum::<f64>() as usize, CLIENTS - MOST, "{kind}");
            }
            // Whoever has logged in last has a session.
            let last = Client::new();
            let status = hosts[1].get(&last, LOGIN).status;
            assert_eq!(status, if reached == "refuse" { 429 } else { 200 }, "{kind}");
            assert_eq!(owned(&storage), MOST, "{kind}, {reached}");
        }
    }
}
