//! A provider that misbehaves: the application's name says how, and the variable's with what.

#![cfg(target_family = "wasm")]

use std::{
    cell::Cell,
    env, fs,
    hint::black_box,
    io::Write as _,
    mem::ManuallyDrop,
    net::{TcpListener, TcpStream, ToSocketAddrs as _, UdpSocket},
    thread,
    time::Duration,
};

mod bindings {
    wit_bindgen::generate!({ world: "storage-provider", path: "wit" });
}

use bindings::{
    exports::lemon::session::storage::{
        Change, CreateOutcome, DestroyCondition, Failure, Guest, Listed, LoadOutcome, Loaded, SessionRecord, Stored,
        UpdateOutcome, Variable, Write,
    },
    lemon::session::types::Location,
};

struct Rogue;

bindings::export!(Rogue with_types_in bindings);

thread_local! {
    /// The calls of this instance so far.
    static CALLS: Cell<u64> = const { Cell::new(0) };
}

fn record(expires: u64) -> SessionRecord {
    let (created, owner) = (expires.saturating_sub(9), Some("Ada".to_owned()));
    SessionRecord {
        created,
        accessed: created,
        expires,
        absolute_expiry: None,
        rotated: created,
        owner,
        version: 1,
        size: 99,
    }
}

fn refused(why: impl ToString) -> Failure {
    Failure::Unavailable(why.to_string())
}

fn pause(millis: &str) {
    thread::sleep(Duration::from_millis(millis.parse().unwrap_or(0)));
}

/// A list whose elements are all the same bytes.
fn amplified() -> Vec<Variable> {
    let mut bytes = ManuallyDrop::new(vec![b'x'; 1 << 20]);
    let (start, length) = (bytes.as_mut_ptr(), bytes.len());
    // SAFETY: there is none, as each of them would free the bytes; the instance ends before.
    let same = || unsafe { String::from_raw_parts(start, length, length) };
    (0..100_000).map(|_| Variable { name: same(), value: Stored::Large(1) }).collect()
}

impl Guest for Rogue {
    fn load(_: Location, _: Vec<u8>, app: String, now: u64, _: u32) -> Result<LoadOutcome, Failure> {
        let mut loaded = Loaded { record: record(now + 9), details: Vec::new(), variables: Vec::new(), renewal: None };
        let variable = |name: &str| Variable { name: name.to_owned(), value: Stored::Inline(vec![1]) };
        match app.as_str() {
            "spin" => loop {
                black_box(now);
            },
            "grow" => loop {
                black_box(vec![1_u8; 1 << 20].leak());
            },
            "recurse" => return Ok(recurse(now)),
            "trap" => panic!("as it was told"),
            "exit" => std::process::exit(0),
            "unversioned" => loaded.record.version = 0,
            "unsorted" => loaded.variables = vec![variable("b"), variable("a")],
            "amplified" => loaded.variables = amplified(),
            "prints" => {
                for number in 0..10_000 {
                    println!("line {number}");
                }
                println!("{}", "long ".repeat(100_000));
            }
            "hoards" => {
                let files: Vec<_> = (0..10_000).map(|number| fs::File::create(format!("/sessions/{number}"))).collect();
                let open = files.iter().filter(|file| file.is_ok()).count();
                return Err(refused(format!("{open} files are open")));
            }
            "secrets" => return Err(refused("two\nlines, \u{1b}[31m and so on ".repeat(1_000))),
            _ => return Ok(LoadOutcome::Absent),
        }
        Ok(LoadOutcome::Found(loaded))
    }

    fn fetch(_: Location, _: Vec<u8>, app: String, name: String, _: u64) -> Result<Option<Vec<u8>>, Failure> {
        let calls = CALLS.get() + 1;
        CALLS.set(calls);
        match app.as_str() {
            "calls" => pause(&name),
            "read" => return fs::read(name).map(Some).map_err(refused),
            "write" => return fs::write(name, "written").map(|()| None).map_err(refused),
            "connect" => {
                let sent = TcpStream::connect(name).and_then(|mut stream| stream.write_all(b"hello"));
                return sent.map(|()| None).map_err(refused);
            }
            "resolve" => {
                let found = (name.as_str(), 1).to_socket_addrs().map_err(refused)?;
                return Ok(Some(found.map(|address| address.to_string()).collect::<Vec<_>>().join(" ").into()));
            }
            "listen" => return TcpListener::bind(name).map(|_| None).map_err(refused),
            "udp" => return UdpSocket::bind(name).map(|_| None).map_err(refused),
            "environment" => {
                let mut variables: Vec<_> = env::vars().map(|(name, value)| format!("{name}={value}")).collect();
                variables.extend(env::args());
                variables.extend(std::io::stdin().lines().map_while(Result::ok));
                return Ok(Some(variables.join("\n").into()));
            }
            _ => return Ok(None),
        }
        Ok(Some(calls.to_string().into()))
    }

    fn create(_: Location, _: Vec<u8>, _: SessionRecord, _: Vec<Write>) -> Result<CreateOutcome, Failure> {
        Ok(CreateOutcome::Exists)
    }

    fn update(_: Location, _: Vec<u8>, _: Change, _: Option<u64>, _: u64) -> Result<UpdateOutcome, Failure> {
        Ok(UpdateOutcome::Conflict(7))
    }

    fn destroy(_: Location, _: Vec<u8>, _: DestroyCondition, _: u64, _: u32) -> Result<bool, Failure> {
        Ok(false)
    }

    fn destroy_owned(_: Location, owner: String, _: Option<Vec<u8>>, _: u64, _: u32) -> Result<u64, Failure> {
        pause(&owner);
        Ok(0)
    }

    fn cleanup(_: Location, _: u64, _: u32) -> Result<u32, Failure> {
        Ok(u32::MAX)
    }

    fn cleanup_later(_: Location, _: u64) {}

    fn count(location: Location, _: u64) -> Result<u64, Failure> {
        Err(Failure::UnknownLocation(format!("{:?} {:?}", location.storage, location.table)))
    }

    fn list(_: Location, now: u64, owner: Option<String>, _: Option<Vec<u8>>, _: u32) -> Result<Vec<Listed>, Failure> {
        let digest = vec![7; owner.map_or(32, |owner| owner.len())];
        Ok(vec![Listed { digest: digest.clone(), record: record(now + 9) }, Listed { digest, record: record(now + 9) }])
    }

    fn create_tables(_: Location) -> Result<(), Failure> {
        Err(Failure::MissingTables("there never are any".to_owned()))
    }

    fn drop_tables(_: Location) -> Result<(), Failure> {
        Err(Failure::TooMany("of them".to_owned()))
    }

    fn tables_exist(_: Location) -> Result<bool, Failure> {
        Ok(true)
    }
}

#[expect(unconditional_recursion, reason = "that is the point")]
fn recurse(now: u64) -> LoadOutcome {
    let deeper = black_box(recurse(black_box(now)));
    black_box(deeper)
}
