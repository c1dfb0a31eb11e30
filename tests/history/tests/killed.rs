//! Host processes that are killed in the middle of requests. A request without an answer may have taken effect or not, and the history
//! is still one that the contract allows.

mod servers;

use std::{
    cell::RefCell,
    env,
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    process::{self, Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicI64, AtomicU16, AtomicUsize, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant, SystemTime},
};

use bincode::{Decode, Encode, config::standard};
use lemon_session_history::{
    Action, Bounds, Change, Changes, Direct, Failovers, Host, Id, NewId, Operation, Recorder, Request, Task, check,
    visit,
};
use lemon_session_rules::Settings;
use lemon_session_store::Store;
use servers::{Place, RUNTIME, places, wait_for};
use tempfile::TempDir;

/// The host processes that share a store.
const HOSTS: usize = 2;
/// The clients of each of them.
const CLIENTS: usize = 3;
/// The visitors, whose sessions all clients share.
const VISITORS: usize = 3;
/// How often a host process is killed.
const KILLS: usize = 14;
/// The failed requests after which a visitor goes on with a new session: the checker tries each of them both ways.
const FAILURES: u32 = 3;

/// What a host process answers to a request: the id that the client has afterwards, and what was asked and told.
#[derive(Encode, Decode)]
struct Answer {
    id: Option<Id>,
    operations: Vec<Operation>,
}

fn send(mut connection: &TcpStream, message: &impl Encode) -> io::Result<()> {
    let bytes = bincode::encode_to_vec(message, standard()).expect("a message is encoded");
    let length = u32::try_from(bytes.len()).expect("a message is short");
    connection.write_all(&[&length.to_be_bytes()[..], &bytes].concat())
}

fn receive<T: Decode<()>>(mut connection: &TcpStream) -> io::Result<T> {
    let mut length = [0; 4];
    connection.read_exact(&mut length)?;
    let mut bytes = vec![0; u32::from_be_bytes(length) as usize];
    connection.read_exact(&mut bytes)?;
    Ok(bincode::decode_from_slice(&bytes, standard()).expect("a message is whole").0)
}

fn settings() -> Settings {
    Settings { max_lifetime: 0, cleanup: 0.0, ..Settings::default() }
}

fn direct(store: &Arc<dyn Store>, begun: Instant) -> Direct {
    let random = RefCell::new(fastrand::Rng::new());
    Direct { store: Arc::clone(store), runtime: RUNTIME.handle().clone(), begun, settings: settings(), random }
}

#[test]
#[ignore = "the process that other tests start"]
fn host_process() {
    let variable = |name: &str| env::var(name).expect("a test starts it");
    let store = Place { url: variable("HOST_URL"), table: variable("HOST_TABLE") }.open().expect("the store opens");
    // Its test may be killed too.
    thread::spawn(|| {
        let _ = io::stdin().read_to_end(&mut Vec::new());
        process::exit(1);
    });
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    println!("port {}", listener.local_addr().expect("an address").port());
    for connection in listener.incoming() {
        let (connection, store) = (connection.expect("a client"), Arc::clone(&store));
        connection.set_nodelay(true).expect("a socket");
        thread::spawn(move || {
            let (host, recorder) = (Host::new(direct(&store, Instant::now()), 0, 0), Recorder::default());
            while let Ok(request) = receive(&connection) {
                let id = visit(&host, &recorder, &request);
                send(&connection, &Answer { id, operations: recorder.take() }).expect("the client waits");
            }
        });
    }
}

/// A host process, which is killed when this is dropped.
struct HostProcess {
    child: Child,
    port: u16,
}

impl HostProcess {
    fn start(place: &Place) -> Self {
        let mut child = Command::new(env::current_exe().expect("this program"))
            .args(["--ignored", "--exact", "host_process", "--nocapture"])
            .envs([("HOST_URL", &place.url), ("HOST_TABLE", &place.table)])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this program starts again");
        let lines = BufReader::new(child.stdout.take().expect("its output")).lines().map_while(Result::ok);
        let port = lines.filter_map(|line| line.split("port ").nth(1)?.parse().ok()).next();
        Self { child, port: port.expect("it tells its port") }
    }
}

impl Drop for HostProcess {
    fn drop(&mut self) {
        self.child.kill().expect("SIGKILL");
        self.child.wait().expect("it is dead");
    }
}

/// What a visitor's browser has.
#[derive(Default)]
struct Visitor {
    cookie: Option<Id>,
    failures: u32,
}

/// What all clients share.
struct Site {
    begun: Instant,
    recorder: Recorder,
    visitors: Vec<Mutex<Visitor>>,
    /// The last value that was set.
    value: AtomicI64,
    /// The saves and logouts that were not answered.
    unanswered: AtomicUsize,
}

impl Site {
    /// Does requests on a host process, on one after the other if it is killed.
    fn client(&self, client: usize, port: &AtomicU16, stopped: &AtomicBool) {
        let mut connection = None;
        while !stopped.load(Relaxed) {
            connection = connection.or_else(|| TcpStream::connect(("127.0.0.1", port.load(Relaxed))).ok());
            match &connection {
                None => thread::sleep(Duration::from_millis(5)),
                Some(open) => {
                    if self.ask(client, open).is_err() {
                        connection = None;
                    }
                }
            }
        }
    }

    /// Does a request, and notes what came of it. The error is that no answer came.
    fn ask(&self, client: usize, connection: &TcpStream) -> io::Result<()> {
        let visitor = &self.visitors[fastrand::usize(..VISITORS)];
        let id = visitor.lock().expect("no client panics").cookie.clone();
        let request = Request { id: id.clone(), strict: fastrand::u32(..10) == 0, cleanup: 0.0, task: self.task() };
        let (number, invoked) = (self.recorder.number(), self.now());
        connection.set_nodelay(true)?;
        let answer = send(connection, &request).and_then(|()| receive::<Answer>(connection));
        let completed = self.now();
        let mut visitor = visitor.lock().expect("no client panics");
        match answer {
            Ok(Answer { id: after, operations }) => {
                for operation in operations {
                    self.recorder.note(Operation { client, request: number, invoked, completed, ..operation });
                }
                if after != id && visitor.cookie == id {
                    visitor.cookie = after;
                }
                Ok(())
            }
            Err(error) => {
                if let Some(action) = unanswered(&request) {
                    self.unanswered.fetch_add(1, Relaxed);
                    let clock = seconds();
                    let clock = clock - 60..=clock + 60;
                    let operation = Operation { client, host: 0, request: number, invoked, completed, clock, action };
                    self.recorder.note(operation);
                }
                visitor.failures += 1;
                if visitor.failures > FAILURES {
                    *visitor = Visitor::default();
                }
                Err(error)
            }
        }
    }

    fn now(&self) -> u64 {
        self.begun.elapsed().as_micros() as u64
    }

    fn task(&self) -> Task {
        let mut changes = Changes::default();
        let mut set = |name: &str| _ = changes.sets.insert(name.into(), 1 + self.value.fetch_add(1, Relaxed));
        match fastrand::u32(..100) {
            0..2 => return Task::Destroy,
            2..6 => return Task::Read,
            6..50 => _ = changes.adds.insert("sum".into(), 1),
            50..80 => ["x", "y"].into_iter().for_each(set),
            80..95 => set(["a", "b", "c"][fastrand::usize(..3)]),
            _ => {
                set("x");
                changes.regenerate = true;
            }
        }
        Task::Save(changes)
    }
}

/// What a request without an answer may have done. A session that it began is not known to any client.
fn unanswered(request: &Request) -> Option<Action> {
    let id = request.id.clone()?;
    match &request.task {
        Task::Save(Changes { sets, adds, regenerate, .. }) => {
            let expires = Bounds { least: 0, most: u64::MAX };
            let rotation = regenerate.then_some(NewId::Lost);
            let change = Change { sets: sets.clone(), adds: adds.clone(), rotation, expires, ..Change::default() };
            Some(Action::Save { id, creates: false, change, answer: None })
        }
        Task::Destroy => Some(Action::Destroy { id, answer: None }),
        Task::Read | Task::DestroyOwned(_) | Task::DestroyOthers => None,
    }
}

fn seconds() -> u64 {
    SystemTime::UNIX_EPOCH.elapsed().expect("it is after 1970").as_secs()
}

/// Kills host processes at random while clients use them, and checks what the clients saw.
fn kill_hosts(place: &Place, store: &Arc<dyn Store>) {
    let site = Site {
        begun: Instant::now(),
        recorder: Recorder::default(),
        visitors: (0..VISITORS).map(|_| Mutex::default()).collect(),
        value: AtomicI64::new(0),
        unanswered: AtomicUsize::new(0),
    };
    let mut hosts: Vec<HostProcess> = (0..HOSTS).map(|_| HostProcess::start(place)).collect();
    let ports: Vec<AtomicU16> = hosts.iter().map(|host| AtomicU16::new(host.port)).collect();
    let stopped = AtomicBool::new(false);
    thread::scope(|scope| {
        for client in 0..HOSTS * CLIENTS {
            let (site, port, stopped) = (&site, &ports[client % HOSTS], &stopped);
            scope.spawn(move || site.client(client, port, stopped));
        }
        for kill in 0..KILLS {
            thread::sleep(Duration::from_millis(fastrand::u64(30..150)));
            let host = kill % HOSTS;
            drop(hosts.remove(host));
            hosts.insert(host, HostProcess::start(place));
            ports[host].store(hosts[host].port, Relaxed);
        }
        stopped.store(true, Relaxed);
    });
    let host = Host::new(direct(store, site.begun), HOSTS * CLIENTS, HOSTS);
    for id in site.recorder.ids() {
        visit(&host, &site.recorder, &Request { id: Some(id), strict: false, cleanup: 0.0, task: Task::Read });
    }
    let history = site.recorder.take();
    let sessions = check(&history, Failovers::KeepEverything).assert_allowed();
    let unanswered = site.unanswered.into_inner();
    println!("{}: {} operations, {unanswered} without an answer, {sessions} sessions", place.url, history.len());
    assert!(unanswered >= KILLS / 2 && sessions > 1, "the hosts were killed when they did nothing");
}

#[test]
fn killed_hosts_leave_what_the_contract_allows_on_servers() {
    for (place, store) in places() {
        kill_hosts(&place, &store);
        wait_for(store.try_schema().expect("schema").drop_tables()).expect("drop_tables");
    }
}

#[test]
fn killed_hosts_leave_what_the_contract_allows_in_sqlite() {
    let folder = TempDir::with_prefix("lemon-session-history-").expect("a folder");
    let url = format!("sqlite:{}", folder.path().join("sessions.db").display());
    let place = Place { url, table: "Session".to_owned() };
    let store = place.open().expect("the file opens");
    wait_for(store.set_up()).expect("tables");
    kill_hosts(&place, &store);
    wait_for(store.close()).expect("close");
}
