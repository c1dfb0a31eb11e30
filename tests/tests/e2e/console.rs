//! The console at the admin address: who gets in, what it shows, and what it ends.

use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    thread,
    time::{Duration, Instant},
};

use lemon_session_tests::{Client, Launch, Reply, Server, Storage, client::SetCookie};

use crate::proxy::Proxy;

/// Somebody who is signed in to the console of a server.
pub struct Operator {
    root: String,
    cookie: String,
}

impl Operator {
    pub fn of(server: &Server) -> Self {
        let root = format!("http://{}/console", server.admin.expect("the server has a console"));
        let reply = sign_in(&root, server.token.as_deref().expect("the server printed a token"));
        assert_eq!((reply.status, reply.headers("location")), (303, vec!["/console/?welcome=1"]), "{reply:?}");
        let SetCookie { name, value, .. } = reply.set_cookie();
        Self { root, cookie: format!("{name}={value}") }
    }

    /// A page, such as `/sessions`.
    pub fn get(&self, path: &str) -> Reply {
        let reply = Client::new().get_with(&format!("{}{path}", self.root), &[("cookie", &self.cookie)]);
        // The templates escape more than they have to.
        Reply { body: reply.body.replace("&#x2f;", "/"), ..reply }
    }

    pub fn post(&self, path: &str) -> Reply {
        self.post_with(path, &[])
    }

    fn post_with(&self, path: &str, headers: &[(&str, &str)]) -> Reply {
        let headers = [&[("cookie", &*self.cookie)], headers].concat();
        Client::new().post_with(&format!("{}{path}", self.root), &[], &headers)
    }

    /// Waits until a page contains a text.
    #[track_caller]
    fn await_text(&self, path: &str, text: &str) -> String {
        let until = Instant::now() + Duration::from_secs(60);
        loop {
            let page = self.get(path).body;
            if page.contains(text) {
                return page;
            }
            assert!(Instant::now() < until, "no {text:?} in {page}");
            thread::sleep(Duration::from_millis(50));
        }
    }
}

fn sign_in(root: &str, token: &str) -> Reply {
    Client::new().post(&format!("{root}/sign-in"), &[("token", token)])
}

fn server() -> Server {
    Launch::new("counter").console().start()
}

/// A visitor who is logged in as a user, with a secret variable.
fn visitor(server: &Server, user: &str) -> Client {
    let visitor = Client::new();
    server.get(&visitor, &format!("/login?user={user}"));
    assert_eq!(server.get(&visitor, "/set?key=colour&value=a-secret-value&also=shop").status, 200);
    visitor
}

#[test]
fn it_is_off_unless_it_is_enabled_and_has_an_address() {
    let server = Launch::new("counter").admin().start();
    for path in ["/console", "/console/", "/console/sign-in", "/console/assets/style.css"] {
        assert_eq!(server.ask(path).status, 404, "{path}");
    }
    let alone = server.launch.command(&["serve", "counter.wasm", "--console"]);
    assert_eq!(alone.status, 2);
    assert!(alone.stderr.contains("pass --admin-addr 127.0.0.1:9090"), "{alone:?}");

    let ini = "[server]\nadmin-addr = 0.0.0.0:0\nconsole = true\n";
    let server = Launch::new("counter").ini(ini).start();
    assert!(server.log().contains("can read the metrics and see the console's traffic"), "{}", server.log());
    let doctor = server.launch.command(&["doctor"]).stdout;
    assert!(doctor.contains("can read the metrics and see the console's traffic"), "{doctor}");
}

#[test]
fn only_who_knows_the_token_gets_in() {
    let server = server();
    let root = format!("http://{}/console", server.admin.unwrap());
    let anybody = Client::new();
    let pages =
        ["/", "/sessions", "/sessions?owner=alice", "/owners", "/owners/end?owner=alice", "/doctor", "/nothing"];
    for page in pages {
        let reply = anybody.get(&format!("{root}{page}"));
        assert_eq!((reply.status, reply.headers("location")), (303, vec!["/console/sign-in"]), "{page}");
        let made_up = format!("__Host-lemon-console-{}={}", server.admin.unwrap().port(), "A".repeat(43));
        let reply = anybody.get_with(&format!("{root}{page}"), &[("cookie", &made_up)]);
        assert_eq!((reply.status, reply.headers("location")), (303, vec!["/console/sign-in"]), "{page}");
    }
    assert_eq!(anybody.get(&format!("{root}/events")).status, 401);
    assert_eq!(anybody.post(&format!("{root}/owners/end?owner=alice"), &[]).headers("location"), ["/console/sign-in"]);
    let form = anybody.get(&format!("{root}/sign-in"));
    assert!(form.status == 200 && form.body.contains("<label for=\"token\">") && form.headers("set-cookie").is_empty());

    let token = server.token.clone().unwrap();
    for wrong in ["", "wrong", &token[1..], &format!("{token}0")] {
        let reply = sign_in(&root, wrong);
        assert_eq!((reply.status, reply.headers("set-cookie").len()), (403, 0), "{wrong}");
        assert!(reply.body.contains("This is not the token."));
    }
    let cookie = sign_in(&root, &token).set_cookie();
    assert_eq!(cookie.name, format!("__Host-lemon-console-{}", server.admin.unwrap().port()));
    for (attribute, value) in [("secure", ""), ("httponly", ""), ("samesite", "Strict"), ("path", "/")] {
        assert_eq!(cookie.attribute(attribute), Some(value), "{attribute}");
    }
    assert_eq!((cookie.attribute("domain"), cookie.attribute("max-age")), (None, None));

    let operator = Operator::of(&server);
    let page = operator.get("/");
    assert_eq!(page.status, 200);
    assert_eq!(page.headers("cache-control"), ["no-store"]);
    assert!(page.headers("content-security-policy")[0].starts_with("default-src 'none'; script-src 'self';"));
    assert!(page.headers("content-security-policy")[0].ends_with("frame-ancestors 'none'"));
    assert!(!server.log().contains(&token), "the log has no token");
    assert!(server.log().contains("a wrong token for the console"), "{}", server.log());
}

#[test]
fn signing_out_ends_the_session() {
    let server = server();
    let (operator, other) = (Operator::of(&server), Operator::of(&server));
    let out = operator.post("/sign-out");
    assert_eq!((out.status, out.set_cookie().attribute("max-age")), (303, Some("0")));
    assert_eq!(operator.get("/").status, 303);
    assert_eq!(other.get("/").status, 200);
}

#[test]
fn signing_in_again_gives_a_new_id() {
    let server = server();
    let operator = Operator::of(&server);
    let url = format!("{}/sign-in", operator.root);
    let token = server.token.clone().unwrap();
    let reply = Client::new().post_with(&url, &[("token", &token)], &[("cookie", &operator.cookie)]);
    let SetCookie { name, value, .. } = reply.set_cookie();
    assert_ne!(operator.cookie, format!("{name}={value}"));
    assert_eq!(operator.get("/").status, 303, "the id from before the login is worth nothing");
}

#[test]
fn tokens_cannot_be_guessed_for_long() {
    let server = server();
    let operator = Operator::of(&server);
    let wrong = (0..12).map(|_| sign_in(&operator.root, "guess").status);
    let wrong: Vec<_> = wrong.collect();
    assert_eq!((&wrong[..10], &wrong[10..]), (&[403; 10][..], &[429; 2][..]));
    let right = sign_in(&operator.root, server.token.as_deref().unwrap());
    assert_eq!((right.status, right.headers("retry-after")), (429, vec!["60"]));
    assert_eq!(operator.get("/").status, 200, "who is signed in goes on");
}

#[test]
fn a_token_of_the_environment_is_not_printed() {
    let launch = Launch::new("counter").env("LEMON_SESSION_CONSOLE_TOKEN", "of-the-operators-choice").console();
    let server = launch.start();
    assert_eq!(server.token.as_deref(), Some("LEMON_SESSION_CONSOLE_TOKEN"));
    let root = format!("http://{}/console", server.admin.unwrap());
    assert_eq!(sign_in(&root, "of-the-operators-choice").status, 303);
    assert_eq!(sign_in(&root, "LEMON_SESSION_CONSOLE_TOKEN").status, 403);
}

#[test]
fn other_sites_cannot_use_it() {
    let server = server();
    let visitor = visitor(&server, "alice");
    let operator = Operator::of(&server);
    for headers in [
        &[("sec-fetch-site", "cross-site")][..],
        &[("sec-fetch-site", "same-site")],
        &[("origin", "http://evil.example")],
        &[("origin", "null")],
    ] {
        for path in ["/owners/end?owner=alice", "/sign-out", "/doctor", "/sign-in"] {
            assert_eq!(operator.post_with(path, headers).status, 403, "{path} {headers:?}");
        }
    }
    // GET ends nothing.
    for path in ["/owners/end?owner=alice", "/sign-out"] {
        operator.get(path);
    }
    assert_eq!(operator.get("/").status, 200);
    assert_eq!(server.get(&visitor, "/get?key=colour").body, "a-secret-value\n");
    // A browser without Sec-Fetch-Site sends the origin.
    let own = format!("http://{}", server.admin.unwrap());
    assert_eq!(operator.post_with("/owners/end?owner=alice", &[("origin", &own)]).status, 303);
    assert_eq!(server.get(&visitor, "/get?key=colour").status, 404);
}

/// The digests of the sessions on a page.
fn digests(page: &str) -> Vec<String> {
    let links = page.split("href=\"/console/sessions/").skip(1);
    links.map(|link| link[..64].to_owned()).collect()
}

#[test]
fn sessions_are_found_by_owner_application_and_digest_and_no_value_is_shown() {
    let server = server();
    let visitors = ["alice", "alice", "bob"].map(|user| visitor(&server, user));
    let anonymous = Client::new();
    server.get(&anonymous, "/");
    server.get(&anonymous, "/set?key=%3Cscript%3Ealert(1)%3C/script%3E&value=1");
    let operator = Operator::of(&server);

    let all = operator.get("/sessions").body;
    assert_eq!(digests(&all).len(), 4, "{all}");
    assert!(all.contains("<bdi>alice</bdi>") && all.contains("<bdi>shop</bdi>") && all.contains("minutes</td>"));
    assert_eq!(digests(&operator.get("/sessions?owner=alice").body).len(), 2);
    assert_eq!(digests(&operator.get("/sessions?owner=nobody").body).len(), 0);
    assert_eq!(digests(&operator.get("/sessions?app=shop").body).len(), 3);
    assert_eq!(digests(&operator.get("/sessions?app=shop&owner=bob").body).len(), 1);
    assert_eq!(digests(&operator.get("/sessions?app=other").body).len(), 0);

    let digest = &digests(&operator.get("/sessions?owner=bob").body)[0];
    for part in [&digest[..], &digest[..8], &digest[..30].to_uppercase()] {
        let found = operator.get(&format!("/sessions?digest={part}"));
        assert_eq!((found.status, found.headers("location")[0]), (303, &*format!("/console/sessions/{digest}")));
    }
    let unknown = operator.get("/sessions?digest=00000000");
    assert!(unknown.status == 404 && unknown.body.contains("No live session has a digest that begins with 00000000."));
    let short = operator.get("/sessions?digest=abc");
    assert!(short.status == 400 && short.body.contains("at least the first 8 are required"), "{}", short.body);

    let session = operator.get(&format!("/sessions/{digest}")).body;
    for part in ["<bdi>bob</bdi>", "<bdi>colour</bdi>", "<bdi>shop</bdi>", "<bdi>counter</bdi>", " B</td>", digest] {
        assert!(session.contains(part), "no {part} in {session}");
    }
    assert_eq!(operator.get(&format!("/sessions/{}", "0".repeat(64))).status, 404);
    assert_eq!(operator.get("/sessions/0123").status, 404);

    let owners = operator.get("/owners").body;
    assert!(
        owners.contains("4 sessions in all")
            && owners.contains("<bdi>alice</bdi>")
            && owners.contains("<bdi>shop</bdi>")
    );

    let ids = visitors.iter().chain([&anonymous]).map(|visitor| visitor.cookie("counter").unwrap());
    let ids: Vec<_> = ids.collect();
    let mut pages = vec![operator.get("/").body, all, owners];
    pages.extend(digests(&pages[1]).iter().map(|digest| operator.get(&format!("/sessions/{digest}")).body));
    for page in pages {
        assert!(!page.contains("a-secret-value"), "{page}");
        assert!(ids.iter().all(|id| !page.contains(id.as_str())), "{page}");
        assert!(!page.contains("<script>"), "names are escaped: {page}");
    }
}

#[test]
fn one_session_or_all_of_an_owner_are_ended_after_a_confirmation_that_states_how_many() {
    let server = server();
    let visitors = ["alice", "alice", "alice", "bob"].map(|user| visitor(&server, user));
    let operator = Operator::of(&server);
    let is_live = |visitor: &Client| server.get(visitor, "/get?key=colour").status == 200;

    let digest = digests(&operator.get("/sessions?owner=bob").body).remove(0);
    let asked = operator.get(&format!("/sessions/{digest}/end")).body;
    assert!(asked.contains("End <strong>1 session</strong> of <strong><bdi>bob</bdi></strong>?"), "{asked}");
    assert!(is_live(&visitors[3]), "asking ends nothing");
    assert_eq!(operator.post(&format!("/sessions/{digest}/end")).status, 303);
    assert!(!is_live(&visitors[3]));
    let message = format!("The session {} has ended.", &digest[..16]);
    assert!(operator.get("/sessions").body.contains(&message));
    assert!(!operator.get("/sessions").body.contains(&message), "a message is shown once");
    operator.post(&format!("/sessions/{digest}/end"));
    assert!(operator.get("/").body.contains("had ended already."));

    let asked = operator.get("/owners/end?owner=alice").body;
    assert!(asked.contains("End <strong>3 sessions</strong> of <strong><bdi>alice</bdi></strong>?"), "{asked}");
    assert!(asked.contains("<button class=\"danger\">End 3 sessions</button>"), "{asked}");
    assert!(visitors[..3].iter().all(is_live));
    assert_eq!(operator.post("/owners/end?owner=alice").status, 303);
    assert!(!visitors.iter().any(is_live));
    assert!(operator.get("/sessions").body.contains("Ended 3 sessions of alice."));
    assert!(operator.get("/owners/end?owner=alice").body.contains("has no live sessions"));
    assert_eq!(operator.post("/owners/end").status, 400);
}

#[test]
fn a_long_list_comes_in_pages() {
    let server = server();
    for _ in 0..60 {
        server.get(&Client::new(), "/");
    }
    let operator = Operator::of(&server);
    let first = operator.get("/sessions").body;
    let next = first.split("href=\"/console").find_map(|link| {
        let link = link.split('"').next()?;
        link.contains("after=").then(|| link.replace("&amp;", "&"))
    });
    let second = operator.get(&next.expect("there is a next page")).body;
    assert_eq!((digests(&first).len(), digests(&second).len()), (50, 10));
    assert!(!second.contains("after="));
    assert!(digests(&first).iter().max() < digests(&second).iter().min());
}

#[test]
fn a_store_without_tables_is_a_page_that_says_so() {
    let server = server();
    let operator = Operator::of(&server);
    server.launch.command(&["tables", "drop", "--yes"]).ok();
    for page in
        ["/sessions", "/sessions?owner=alice", "/sessions?digest=01234567", "/owners/end?owner=alice", "/owners"]
    {
        let reply = operator.get(page);
        assert_eq!(reply.status, 503, "{page}");
        assert!(reply.body.contains("The session store failed") && reply.body.contains("<nav"), "{}", reply.body);
    }
    assert_eq!(operator.post("/owners/end?owner=alice").status, 503);
    operator.await_text("/", "the tables of the sessions are missing");
    operator.post("/doctor");
    assert!(operator.get("/doctor").body.contains("does not have the tables of Session"));

    server.launch.command(&["tables", "create"]).ok();
    assert_eq!(operator.get("/sessions").status, 200);
}

#[test]
fn a_store_that_hangs_costs_a_page_a_few_seconds() {
    let Some(storage) = Storage::new("postgres") else { return };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let authority = storage.url.split('/').nth(2).expect("a URL with a host");
    let address = authority.rsplit('@').next().unwrap_or(authority);
    let proxy = runtime.block_on(Proxy::to(address.to_owned()));
    let url = storage.url.replacen(address, &format!("127.0.0.1:{}", proxy.port), 1);
    let server = Launch::new("counter").arg("--storage").arg(&url).arg("--table").arg(&storage.table).console().start();
    let operator = Operator::of(&server);
    visitor(&server, "alice");
    assert_eq!(digests(&operator.get("/sessions").body).len(), 1);

    proxy.hold_answers(true);
    for page in ["/sessions", "/sessions?digest=01234567", "/owners", "/owners/end?owner=alice"] {
        let begun = Instant::now();
        let reply = operator.get(page);
        assert_eq!(reply.status, 503, "{page}");
        assert!(reply.body.contains("It does not answer within 3 seconds."), "{}", reply.body);
        assert!(begun.elapsed() < Duration::from_secs(8), "{page}: {:?}", begun.elapsed());
    }
    operator.await_text("/", "the session store does not respond");
    proxy.hold_answers(false);
    let until = Instant::now() + Duration::from_secs(30);
    while operator.get("/sessions").status != 200 {
        assert!(Instant::now() < until, "it recovers by itself");
    }
}

#[test]
fn servers_that_share_a_store_are_on_one_page() {
    let storage = Storage::new("sqlite").expect("it needs no server");
    let first = Launch::new("counter").storage(&storage).admin().start();
    let first_admin = first.admin.unwrap();
    // Accepts connections and answers nothing; one that answers something else; and one that is not there.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent_address = silent.local_addr().unwrap();
    let absent = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let own = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let ini = format!(
        "[server]\nadmin-addr = {own}\nconsole-peers = {own}, {first_admin}, {}, {silent_address}, {absent}\n",
        first.address
    );
    let second = Launch::new("counter").storage(&storage).ini(&ini).console_as_configured().start();
    let operator = Operator::of(&second);
    let page = operator.await_text("/", &format!("<th scope=\"row\">{absent}</th>"));
    let rows: Vec<_> = page.split("<th scope=\"row\">").skip(1).map(|row| row.split("</tr>").next().unwrap()).collect();
    assert_eq!(rows.len(), 5, "its own address in the list is left out: {rows:#?}");
    for (row, state) in rows.iter().zip([
        "<span class=\"good\">OK</span>",
        "<span class=\"good\">OK</span>",
        "<span class=\"bad\">Down</span> cannot be reached: ",
        "<span class=\"bad\">Down</span> cannot be reached: it does not answer",
        "<span class=\"bad\">Down</span> cannot be reached: ",
    ]) {
        assert!(row.contains(state), "no {state} in {row}");
    }
    assert!(rows[0].starts_with(&format!("{own} (this server)")) && rows[1].contains(env!("CARGO_PKG_VERSION")));

    // The requests of the other server count.
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        for _ in 0..20 {
            first.get(&Client::new(), "/");
        }
        let page = operator.get("/").body;
        let row = page.split(&format!("<th scope=\"row\">{first_admin}</th>")).nth(1).unwrap().to_owned();
        let requests = row.split("data-label=\"Requests / s\" class=\"number\">").nth(1).unwrap();
        if requests.starts_with(|first: char| first.is_ascii_digit() && first != '0') {
            break;
        }
        assert!(Instant::now() < until, "{row}");
    }
    drop(silent);
}

/// Reads a stream of events until it contains a text. `false` if it ends before.
fn read_until(stream: &mut TcpStream, text: &str, read: &mut String) -> bool {
    let mut buffer = [0; 65536];
    let until = Instant::now() + Duration::from_secs(60);
    while !read.contains(text) {
        assert!(Instant::now() < until, "no {text:?}, and no end of {read}");
        match stream.read(&mut buffer) {
            Ok(0) => return false,
            Ok(length) => read.push_str(&String::from_utf8_lossy(&buffer[..length])),
            Err(error) => panic!("{error} after {read}"),
        }
    }
    true
}

fn follow(server: &Server, operator: &Operator) -> TcpStream {
    let mut stream = TcpStream::connect(server.admin.unwrap()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let head = format!(
        "GET /console/events HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nCookie: {}\r\n\r\n",
        operator.cookie
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream
}

#[test]
fn events_follow_until_the_operator_signs_out_and_are_for_a_limited_number() {
    let server = server();
    let operator = Operator::of(&server);
    let mut first = follow(&server, &operator);
    let mut read = String::new();
    assert!(read_until(&mut first, "event: now\n", &mut read));
    assert!(read.contains("content-type: text/event-stream") && read.contains("event: history\ndata: ["), "{read}");
    assert!(read.contains("event: point\ndata: {") && read.contains("\"committed\":"), "{read}");
    assert!(read.contains("data: <dl class=\"figures\">"), "{read}");

    let mut others: Vec<_> = (1..16).map(|_| follow(&server, &operator)).collect();
    for other in &mut others {
        assert!(read_until(other, "event: history\n", &mut String::new()));
    }
    assert_eq!(operator.get("/events").status, 503);
    assert_eq!(server.ask("/healthz").status, 200);
    drop(others);

    operator.post("/sign-out");
    assert!(!read_until(&mut first, "never", &mut read), "the stream has ended");
    assert_eq!(operator.get("/events").status, 401);
}

#[test]
fn a_server_stops_although_somebody_follows_it() {
    let server = server();
    let operator = Operator::of(&server);
    let mut stream = follow(&server, &operator);
    assert!(read_until(&mut stream, "event: history\n", &mut String::new()));
    let begun = Instant::now();
    server.terminate();
    assert!(server.wait().success());
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}

#[test]
fn the_doctor_tells_its_findings() {
    let server = server();
    let operator = Operator::of(&server);
    assert!(!operator.get("/doctor").body.contains("<ul class=\"findings\">"));
    let run = operator.post("/doctor");
    assert_eq!((run.status, run.headers("location")), (303, vec!["/console/doctor"]), "{run:?}");
    let page = operator.get("/doctor").body;
    for finding in
        ["<span class=\"good\">OK</span> <b>storage</b>", "stores sessions, and a load takes", "<b>component</b>"]
    {
        assert!(page.contains(finding), "no {finding} in {page}");
    }
    assert!(page.contains("<span class=\"warning\">Warning</span> <b>settings</b>"), "{page}");
}
