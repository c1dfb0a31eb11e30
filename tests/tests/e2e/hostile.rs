//! Malicious requests: each gets a first visit or a refusal, never a crash, and never an id that it chose.

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpStream},
    sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

use lemon_session_tests::{Client, Launch, Server, raw};

const FIRST: &str = "This is your first visit";

/// What a first visit or a refusal is; and that the id is not the one that was asked for.
#[track_caller]
fn assert_not_adopted(answer: &str, chosen: &str) {
    let status = raw::status(answer);
    if (400..500).contains(&status) {
        return;
    }
    assert_eq!(status, 200, "{answer}");
    assert!(answer.contains(FIRST), "{answer}");
    let cookie = answer.lines().find_map(|line| line.strip_prefix("set-cookie: visits=")).expect("a new cookie");
    assert!(chosen.is_empty() || !cookie.starts_with(&format!("{chosen};")), "{chosen} was adopted: {answer}");
}

#[test]
fn made_up_ids_are_never_adopted() {
    let server = Server::start("visits");
    let made_up = "A".repeat(43);
    let short = "A".repeat(42);
    let long = "A".repeat(44);
    let huge = "A".repeat(4000);
    let ids = [
        made_up.as_str(),
        &short,
        &long,
        &huge,
        "",
        "x",
        "'; DROP TABLE Session; --",
        "../../etc/passwd",
        "%00%0d%0aset-cookie:%20evil=1",
        "\"quoted\"",
        "=",
        "$Path=/",
    ];
    for id in ids {
        let answer = raw::get(server.address, "/", format!("visits={id}").as_bytes());
        assert_not_adopted(&answer, id);
        assert!(!answer.contains("evil=1"), "{answer}");
    }
    // The tables are where they were.
    let visitor = Client::new();
    server.get(&visitor, "/");
    assert!(server.get(&visitor, "/").body.contains("Welcome back"));
}

#[test]
fn a_cookie_header_of_64_kilobytes_does_no_harm() {
    let server = Server::start("visits");
    for size in [1 << 14, 1 << 15, 1 << 16, 1 << 17, 1 << 20] {
        let answer = raw::get(server.address, "/", format!("visits={}", "A".repeat(size)).as_bytes());
        assert_not_adopted(&answer, "");
    }
    let many = vec!["a=b"; 20_000].join("; ");
    assert_not_adopted(&raw::get(server.address, "/", many.as_bytes()), "");
    assert!(server.get(&Client::new(), "/").body.contains(FIRST));
}

#[test]
fn bytes_that_are_not_utf_8_do_no_harm() {
    let server = Server::start("visits");
    let cookies: [&[u8]; 4] =
        [b"visits=\xff\xfe\xfd", b"\xff=\xff", b"visits=caf\xe9; visits=\xc3\x28", b"visits=\x80AAAAAAAAAAAAAAAA"];
    for cookie in cookies {
        assert_not_adopted(&raw::get(server.address, "/", cookie), "");
    }
}

#[test]
fn of_two_cookies_of_one_name_a_made_up_one_wins_nothing() {
    let server = Server::start("visits");
    let made_up = "A".repeat(43);
    let other = "B".repeat(43);

    let both = raw::get(server.address, "/", format!("visits={made_up}; visits={other}").as_bytes());
    assert_not_adopted(&both, &made_up);
    assert_not_adopted(&both, &other);

    // Somebody who can set cookies of a parent domain puts one before or behind the visitor's: he must not be put into
    // the attacker's session, which is not there, nor lose more than his own.
    let visitor = Client::new();
    let own = server.get(&visitor, "/").set_cookie().value;
    for cookie in [format!("visits={made_up}; visits={own}"), format!("visits={own}; visits={made_up}")] {
        let answer = raw::get(server.address, "/", cookie.as_bytes());
        assert_eq!(raw::status(&answer), 200, "{answer}");
        assert!(!answer.contains(&made_up), "{answer}");
    }
}

#[test]
fn malformed_requests_get_4xx_and_the_server_goes_on() {
    let server = Server::start("visits");
    let requests: [&[u8]; 14] = [
        b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n",
        b"GET / HTTP/1.1\r\nConnection: close\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nConnection: close\r\nHost: caf\xe9\r\n\r\n",
        b"GET / HTTP/1.1\r\nConnection: close\r\nHost: a b\r\n\r\n",
        b"GET / HTTP/1.1\r\nConnection: close\r\nHost: a,b\r\n\r\n",
        b"GET / HTTP/1.1\r\nConnection: close\r\nHost: user@a\r\n\r\n",
        b"GET / HTTP/1.1\r\nConnection: close\r\nHost: a:99999\r\n\r\n",
        b"GET http://a,b/ HTTP/1.1\r\nConnection: close\r\nHost: a\r\n\r\n",
        b"GET http://user@a/ HTTP/1.1\r\nConnection: close\r\nHost: a\r\n\r\n",
        b"NONSENSE\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 a TLS greeting\r\n\r\n",
    ];
    for request in requests {
        let answer = raw::send(server.address, request);
        let shown = String::from_utf8_lossy(request);
        assert!((400..500).contains(&raw::status(&answer)), "{shown:?}: {answer:?}");
    }
    let many: String = (0..200).map(|i| format!("X-{i}: 1\r\n")).collect();
    let answer = raw::send(server.address, format!("GET / HTTP/1.1\r\nHost: a\r\n{many}\r\n").as_bytes());
    assert_eq!(raw::status(&answer), 431);

    assert!(server.get(&Client::new(), "/").body.contains(FIRST));
}

#[test]
fn connect_runs_no_application() {
    let server = Launch::new("counter").admin().start();
    for target in ["example.org:443", "/set?key=a&value=b", "http://a/set?key=a&value=b"] {
        let request = format!("CONNECT {target} HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
        let answer = raw::send(server.address, request.as_bytes());
        let status = raw::status(&answer);
        assert!(matches!(status, 400 | 501), "{target}: {answer}");
        assert!(status == 400 || answer.contains("connection: close\r\n"), "{target}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "what follows is not the next request: {answer}");
    }
    assert_eq!(server.metric("sessions_started_total"), 0.0);
}

#[test]
fn a_request_without_a_host_is_fine_before_http_1_1() {
    let server = Server::start("visits");
    let answer = raw::send(server.address, b"GET / HTTP/1.0\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.0 200"), "{answer}");
    assert!(answer.contains(FIRST), "{answer}");
}

#[test]
fn a_thousand_hostile_requests_leave_the_server_as_it_was() {
    let server =
        Launch::new("visits").ini("[server]\nheader-time = 2s\nbody-time = 2s\nrequest-time = 10s\n").admin().start();
    assert_eq!(server.get(&Client::new(), "/").status, 200);
    let memory = server.memory();

    let (served, refused) = (AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        for part in 0..8 {
            let (address, served, refused) = (server.address, &served, &refused);
            scope.spawn(move || {
                // The same ones in every run.
                let mut dice = Dice(part);
                for n in 0..125 {
                    let request = hostile_request(&mut dice);
                    let answer = send_and_leave(address, &request, &mut dice);
                    match check_answer(&request, &answer, part, n) {
                        Some(200..300) => served.fetch_add(1, Relaxed),
                        Some(_) => refused.fetch_add(1, Relaxed),
                        None => 0,
                    };
                }
            });
        }
    });
    let (served, refused) = (served.into_inner(), refused.into_inner());
    assert!(served > 50 && refused > 200, "{served} were served, {refused} refused: that is not much of a test");

    assert!(server.get(&Client::new(), "/").body.contains(FIRST));
    for gauge in ["http_requests_in_flight", "guests", "http_connections"] {
        // One connection is that of the visitor before.
        let until = Instant::now() + Duration::from_secs(60);
        while server.metric(gauge) > 1.0 {
            assert!(Instant::now() < until, "{gauge} stays at {}", server.metric(gauge));
            thread::sleep(Duration::from_millis(20));
        }
    }
    let log = server.log();
    assert!(!log.contains("panicked") && !log.contains("ERROR"), "{log}");
    let grown = server.memory().saturating_sub(memory);
    assert!(grown < 64 << 20, "{grown} bytes of memory more than before");
}

/// The most memory that a server has in use while something goes on, beyond what it had before.
fn peak_of(server: &Server, run: impl FnOnce()) -> u64 {
    let before = server.memory();
    let (peak, is_over) = (AtomicU64::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Relaxed) {
                peak.fetch_max(server.memory(), Relaxed);
                thread::sleep(Duration::from_millis(1));
            }
        });
        let _over = Over(&is_over);
        run();
    });
    peak.into_inner().saturating_sub(before)
}

/// The same, while a visitor beside is answered.
fn peak_beside_a_visitor(server: &Server, run: impl FnOnce()) -> u64 {
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let visitor = Client::new();
            loop {
                assert_eq!(server.get(&visitor, "/").body, "well\n");
                if is_over.load(Relaxed) {
                    break;
                }
            }
        });
        let _over = Over(&is_over);
        peak_of(server, run)
    })
}

/// Tells those who watch that it is over, also when it fails.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

/// Waits until a server has no more memory in use than this.
#[track_caller]
fn assert_falls(server: &Server, bytes: u64) {
    let until = Instant::now() + Duration::from_secs(30);
    while server.memory() > bytes {
        assert!(Instant::now() < until, "{} bytes stay in use, more than {bytes}", server.memory());
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn what_a_guest_has_the_server_keep_is_limited_and_is_given_back() {
    const AT_A_TIME: usize = 5;
    let server = Launch::new("rogue").ini("[server]\nrequest-memory = 16M\n").start();
    assert_eq!(server.get(&Client::new(), "/").body, "well\n");
    let before = server.memory();
    for way in ["fields", "lists", "lines", "clones", "bodies", "trailers", "requests", "timers"] {
        let grown = peak_beside_a_visitor(&server, || {
            thread::scope(|scope| {
                for _ in 0..AT_A_TIME {
                    scope.spawn(|| {
                        let reply = server.get(&Client::new(), &format!("/hoard/{way}"));
                        assert_eq!(reply.status, 500, "{way}: {reply:?}");
                    });
                }
            });
        });
        // Beside the budget: the guest's own memory, and what one call copies.
        assert!(grown < AT_A_TIME as u64 * (24 << 20), "{way}: {grown} bytes of memory");
    }
    let log = server.log();
    assert_eq!(log.matches("[server] request-memory").count(), 8 * AT_A_TIME, "{log}");

    let reply = server.get(&Client::new(), "/hoard/nothing");
    assert_eq!((reply.status, reply.body.as_str()), (200, "9000 are held\n"), "a gigabyte, but a line at a time");
    assert_eq!(server.get(&Client::new(), "/hoard/sockets").body, "0 are held\n");
    assert_falls(&server, before + (32 << 20));
}

#[test]
fn what_is_printed_and_not_read_waits_in_the_guest() {
    let server = Launch::new("rogue-cgi").ini("[server]\nrequest-time = 2s\n").start();
    assert_eq!(server.get(&Client::new(), "/").body, "well\n");
    let grown = peak_beside_a_visitor(&server, || {
        let deaf: Vec<_> = (0..32)
            .map(|_| {
                let mut stream = TcpStream::connect(server.address).unwrap();
                stream.write_all(b"GET /endless-body HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
                stream
            })
            .collect();
        thread::sleep(Duration::from_millis(1000));
        drop(deaf);
    });
    assert!(grown < 32 * (2 << 20), "{grown} bytes of memory");
}

#[test]
fn memory_falls_after_a_peak_of_large_sessions() {
    const VISITORS: u64 = 40;
    let server = Launch::new("counter").ini("[storage]\nurl = sqlite:sessions.db\n").start();
    assert_eq!(server.get(&Client::new(), "/set?key=k&value=v").status, 200);
    let before = server.memory();
    let grown = peak_of(&server, || {
        thread::scope(|scope| {
            for _ in 0..VISITORS {
                scope.spawn(|| {
                    let reply = server.get(&Client::new(), "/slow-set?key=k&bytes=1000000&ms=500");
                    assert_eq!(reply.body, "set\n");
                });
            }
        });
    });
    assert!(grown > 64 << 20, "{grown} bytes are no peak");
    assert_falls(&server, before + (32 << 20));
    assert_eq!(server.get(&Client::new(), "/set?key=k&value=v").status, 200);
}

/// Sends a request, in one piece or two, and reads what comes back, or does not wait for it.
fn send_and_leave(address: SocketAddr, request: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).expect("the server listens");
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let (first, second) = request.split_at(dice.below(request.len() + 1));
    // A server that refuses the head of a request need not read the rest.
    let _ = stream.write_all(first).and_then(|()| stream.write_all(second));
    let mut answer = Vec::new();
    match dice.below(4) {
        0 => {}
        1 => {
            let _ = stream.shutdown(Shutdown::Write);
            let _ = stream.read_to_end(&mut answer);
        }
        // The server waits for the rest, and lets go.
        2 if dice.below(8) == 0 => {
            let _ = stream.read_to_end(&mut answer);
        }
        _ => {
            let mut some = [0; 4096];
            stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
            if let Ok(length) = stream.read(&mut some) {
                answer.extend_from_slice(&some[..length]);
            }
        }
    }
    answer
}

#[track_caller]
fn check_answer(request: &[u8], answer: &[u8], part: u64, n: usize) -> Option<u16> {
    if answer.is_empty() {
        return None;
    }
    let shown = format!("request {n} of {part}: {:?}", String::from_utf8_lossy(&request[..request.len().min(500)]));
    let answer = String::from_utf8_lossy(answer);
    let version = answer.get(..7).unwrap_or_default();
    assert!(version == "HTTP/1.", "{shown}: {answer:?}");
    let status: u16 = answer[9..12].parse().unwrap();
    assert!((200..500).contains(&status), "{shown}: {answer:?}");
    let head = answer.split("\r\n\r\n").next().unwrap_or_default().to_lowercase();
    assert!(!head.lines().any(|line| line.starts_with("evil")), "{shown}: {answer:?}");
    Some(status)
}

/// A request that is wrong in one of many ways.
fn hostile_request(dice: &mut Dice) -> Vec<u8> {
    let evil = dice.pick(&[
        "\r\nEvil: 1",
        "\nEvil: 1",
        "\rEvil: 1",
        "%0d%0aEvil:%201",
        "\u{a0}\r\n\r\nEvil",
        "\0",
        "\r\n Evil",
    ]);
    let wild = dice.wild();
    let host = "Host: a\r\n";
    let text = match dice.below(24) {
        0 => format!("{wild} / HTTP/1.1\r\n{host}\r\n"),
        1 => format!("GET {wild} HTTP/1.1\r\n{host}\r\n"),
        2 => format!("GET / {wild}\r\n{host}\r\n"),
        3 => format!("GET / HTTP/{}.{}\r\n{host}\r\n", dice.below(12), dice.below(12)),
        4 => format!("GET /{evil} HTTP/1.1\r\n{host}\r\n"),
        5 => format!("GET /?a=b{evil} HTTP/1.1\r\n{host}\r\n"),
        6 => format!("GET / HTTP/1.1\r\n{host}Cookie: visits={evil}\r\n\r\n"),
        7 => format!("GET / HTTP/1.1\r\n{host}{evil}: value\r\n\r\n"),
        8 => format!("GET / HTTP/1.1\r\n{host}{wild}\r\n\r\n"),
        9 => format!("GET / HTTP/1.1\r\n{host}Name : value\r\n folded: {wild}\r\n\r\n"),
        10 => format!("GET / HTTP/1.1\r\nHost: {wild}\r\n\r\n"),
        11 => format!("GET http://{wild}/ HTTP/1.1\r\n{host}X-Forwarded-Proto: {evil}\r\nForwarded: {wild}\r\n\r\n"),
        // Longer and shorter than announced, and announced twice or as nonsense.
        12 => format!("POST / HTTP/1.1\r\n{host}Content-Length: {}\r\n\r\n{wild}", dice.below(100_000)),
        13 => format!("POST / HTTP/1.1\r\n{host}Content-Length: 3\r\n\r\nabcGET / HTTP/1.1\r\n{wild}"),
        14 => {
            let length = dice.pick(&[
                "-1",
                "+1",
                "0x10",
                "1,1",
                "1, 2",
                "99999999999999999999999",
                "",
                " ",
                "1e3",
                "4294967296",
            ]);
            format!("POST / HTTP/1.1\r\n{host}Content-Length: {length}\r\n\r\n{wild}")
        }
        15 => format!("POST / HTTP/1.1\r\n{host}Content-Length: 1\r\nContent-Length: {}\r\n\r\na", dice.below(3)),
        16 => {
            format!("POST / HTTP/1.1\r\n{host}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{wild}")
        }
        17 => {
            let size =
                dice.pick(&["-1", "g", "", "ffffffffffffffffff", "5;a=b", "5 ", "0x5", "\r\n", "7fffffffffffffff"]);
            format!("POST / HTTP/1.1\r\n{host}Transfer-Encoding: chunked\r\n\r\n{size}\r\nhello\r\n0\r\n\r\n")
        }
        18 => format!("POST / HTTP/1.1\r\n{host}Transfer-Encoding: chunked\r\n\r\n5\r\nhello{wild}"),
        19 => format!("POST / HTTP/1.1\r\n{host}Transfer-Encoding: chunked\r\n\r\n0\r\nEvil: 1{evil}\r\n\r\n"),
        20 => format!(
            "POST / HTTP/1.1\r\n{host}Transfer-Encoding: {}\r\n\r\n",
            dice.pick(&["gzip", "chunked, gzip", "identity", " "])
        ),
        21 => format!(
            "GET / HTTP/1.1\r\n{host}Expect: {}\r\nUpgrade: h2c\r\nConnection: {wild}\r\n\r\n",
            dice.pick(&["100-continue", "42"])
        ),
        22 => "GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(1 + dice.below(50)),
        _ => format!("GET / HTTP/1.1\r\n{host}{}\r\n", format!("X: {wild}\r\n").repeat(dice.below(200))),
    };
    let mut bytes = text.into_bytes();
    match dice.below(4) {
        // Dropped half-way.
        0 => bytes.truncate(dice.below(bytes.len() + 1)),
        // Some bytes of it are others.
        1 => {
            for _ in 0..=dice.below(4) {
                let place = dice.below(bytes.len());
                bytes[place] = dice.next() as u8;
            }
        }
        _ => {}
    }
    bytes
}

/// Numbers that look random, the same ones from the same seed: SplitMix64.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    fn pick(&mut self, from: &[&'static str]) -> &'static str {
        from[self.below(from.len())]
    }

    /// Any text: short mostly, now and then longer than is allowed.
    fn wild(&mut self) -> String {
        let length = match self.below(10) {
            0 => 0,
            1 => 70_000,
            2 => 5_000,
            _ => self.below(40),
        };
        let alphabet: Vec<char> = "aZ09/:;,=?&%\\\"'<>(){}[] \t\r\n\0\u{7f}\u{e9}\u{1f34b}.-_".chars().collect();
        (0..length).map(|_| alphabet[self.below(alphabet.len())]).collect()
    }
}
