//! The pages of the schedule: peers over HTTP, and ours by the rules of sessions.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    fs,
    io::{self, Read, Write},
    net::TcpStream,
    path::Path,
    rc::Rc,
    sync::Arc,
    thread::sleep,
    time::{Duration, Instant},
};

use lemon_session_history::{Direct, Host};
use lemon_session_rules::{Error, Settings, Value, World, at_once, options::Options, start};
use lemon_session_store::Store;
use tempfile::TempDir;
use tokio::runtime::Handle;

use crate::process::{Process, find_from, folder, free_port, run};

/// What installs the peers.
const SETUP: &str = "tests/clusters/peers/setup.sh installs it";
/// How long a browser waits for an answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a page is asked to do with the session.
#[derive(Clone, Copy, Debug)]
pub enum Ask {
    /// Sets `user`.
    Login,
    /// Increases `count`, and answers with all variables.
    Add,
    /// Sets a variable, and answers with the variables that it found.
    Set(&'static str, i64),
    /// Answers with all variables.
    Read,
    /// Ends the session.
    Logout,
}

pub type Variables = BTreeMap<String, i64>;

/// A site that clients can use all at once.
pub trait Site: Sync {
    fn browser(&self) -> Box<dyn Browser + '_>;
}

/// A client of a site.
pub trait Browser {
    /// Asks, and has the page work so long between the start of the session and its save. None if it was not acknowledged.
    fn ask(&mut self, ask: Ask, work: Duration) -> Option<Variables>;

    /// What the browser sends.
    fn cookie(&mut self) -> &mut Option<String>;
}

/// A peer: a server over HTTP.
pub struct Peer {
    server: Process,
    _behind: Option<Process>,
    _folder: TempDir,
}

impl Peer {
    /// A server with the port as its first argument, and these further ones.
    fn start(program: impl FnOnce(u16) -> Vec<String>) -> Self {
        let parent = TempDir::with_prefix("lemon-session-peer-").expect("a folder");
        let port = free_port();
        let mut server = Process::new(port, folder(parent.path(), "server"), program(port));
        server.start();
        Self { server, _behind: None, _folder: parent }
    }

    /// PHP-FPM with phpredis, behind nginx. `locks` turns on its lock of sessions. It reaches Redis at this port.
    pub fn php(redis: u16, locks: bool) -> Option<Self> {
        let [fpm, nginx] = find_from(["php-fpm8.2", "nginx"], SETUP)?;
        let parent = TempDir::with_prefix("lemon-session-peer-").expect("a folder");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/php");
        let [port, fpm_port] = [free_port(), free_port()];
        let is = |option: &str| run(&["id", option]).trim().to_owned();
        let [own, user, group] = [parent.path().display().to_string(), is("-un"), is("-gn")];
        let values = [
            ("$FOLDER", own),
            ("$USER", user),
            ("$GROUP", group),
            ("$PORT", port.to_string()),
            ("$FPM", fpm_port.to_string()),
            ("$REDIS", redis.to_string()),
            ("$LOCKS", u8::from(locks).to_string()),
            ("$PAGE", source.join("index.php").display().to_string()),
        ];
        let configuration = |name: &str| {
            let text = fs::read_to_string(source.join(name)).expect("the configuration");
            let text = values.iter().fold(text, |text, (name, value)| text.replace(name, value));
            let file = parent.path().join(name);
            fs::write(&file, text).expect("the folder is ours");
            file.display().to_string()
        };
        let mut php = Process::new(
            fpm_port,
            folder(parent.path(), "fpm"),
            vec![fpm, "-R".to_owned(), "-y".to_owned(), configuration("fpm.conf")],
        );
        php.start();
        let mut server = Process::new(
            port,
            folder(parent.path(), "nginx"),
            vec![nginx, "-c".to_owned(), configuration("nginx.conf")],
        );
        server.start();
        Some(Self { server, _behind: Some(php), _folder: parent })
    }

    /// express-session with connect-redis.
    pub fn express(sentinels: &[u16]) -> Option<Self> {
        let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/express");
        let [node, _] =
            find_from(["node", &page.join("node_modules/redis/package.json").display().to_string()], SETUP)?;
        let ports = sentinels.iter().map(u16::to_string);
        Some(Self::start(|port| {
            [node, page.join("server.js").display().to_string(), port.to_string()].into_iter().chain(ports).collect()
        }))
    }

    /// tower-sessions with its store in Redis.
    pub fn tower(sentinels: &[u16]) -> Option<Self> {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/target/debug/cluster-peer");
        let [program] = find_from([&program.display().to_string()], SETUP)?;
        let ports = sentinels.iter().map(u16::to_string);
        Some(Self::start(|port| [program, port.to_string()].into_iter().chain(ports).collect()))
    }
}

impl Site for Peer {
    fn browser(&self) -> Box<dyn Browser + '_> {
        Box::new(Http { port: self.server.port, cookie: None })
    }
}

struct Http {
    port: u16,
    cookie: Option<String>,
}

impl Http {
    /// The status, the cookie that is set and the body.
    fn get(&self, path: &str) -> io::Result<(bool, Option<String>, String)> {
        let mut connection = TcpStream::connect(("127.0.0.1", self.port))?;
        connection.set_read_timeout(Some(PATIENCE))?;
        let cookie = self.cookie.as_ref().map(|cookie| format!("Cookie: {cookie}\r\n")).unwrap_or_default();
        let request = format!("GET {path} HTTP/1.0\r\nHost: 127.0.0.1\r\n{cookie}\r\n");
        connection.write_all(request.as_bytes())?;
        let mut answer = String::new();
        connection.read_to_string(&mut answer)?;
        let (head, body) = answer.split_once("\r\n\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
        let is_well = head.split(' ').nth(1) == Some("200");
        if !is_well && std::env::var_os("LEMON_TEST_ERRORS").is_some() {
            println!("{path}: {head}\n{body}");
        }
        let headers = head.lines().filter_map(|line| line.split_once(": "));
        let cookie = headers
            .filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie"))
            .filter_map(|(_, value)| value.split(';').next())
            .rfind(|cookie| !cookie.ends_with('='));
        Ok((is_well, cookie.map(str::to_owned), body.to_owned()))
    }
}

impl Browser for Http {
    fn ask(&mut self, ask: Ask, work: Duration) -> Option<Variables> {
        let work = work.as_millis();
        let path = match ask {
            Ask::Login => "/login".to_owned(),
            Ask::Add => format!("/add?wait={work}"),
            Ask::Set(name, value) => format!("/set?name={name}&value={value}&wait={work}"),
            Ask::Read => "/read".to_owned(),
            Ask::Logout => "/logout".to_owned(),
        };
        let (is_well, cookie, body) = self.get(&path).ok()?;
        if !is_well {
            return None;
        }
        self.cookie = cookie.or(self.cookie.take());
        let variable = |line: &str| {
            let (name, value) = line.split_once('=').expect("a page answers with variables");
            (name.to_owned(), value.parse().expect("a variable is a number"))
        };
        Some(body.lines().map(variable).collect())
    }

    fn cookie(&mut self) -> &mut Option<String> {
        &mut self.cookie
    }
}

/// Ours: the rules of sessions over the driver, without a server.
pub struct Ours {
    pub store: Arc<dyn Store>,
    pub runtime: Handle,
}

impl Site for Ours {
    fn browser(&self) -> Box<dyn Browser + '_> {
        let settings = Settings { cleanup: 0.0, ..Settings::default() };
        let (store, runtime) = (Arc::clone(&self.store), self.runtime.clone());
        let random = RefCell::new(fastrand::Rng::new());
        let direct = Direct { store, runtime, begun: Instant::now(), settings, random };
        Box::new(Native { host: Host::new(direct, 0, 0), cookie: None })
    }
}

const APP: &str = "session";

struct Native {
    host: Host<Direct>,
    cookie: Option<String>,
}

impl Native {
    fn request(&mut self, ask: Ask, work: Duration) -> Result<Variables, Error> {
        let world = Rc::new(World::new(self.host.clone()));
        let options = Options {
            app: Some(APP.to_owned()),
            cookies: self.cookie.iter().map(|id| format!("{APP}={id}").into_bytes()).collect(),
            ..Options::default()
        };
        let session = at_once(start(&world, options))?;
        let variables = || -> Result<Variables, Error> {
            let integer = |(name, value)| match value {
                Value::Integer(value) => (name, value),
                other => panic!("{name} is {other:?}"),
            };
            Ok(at_once(session.entries())?.into_iter().map(integer).collect())
        };
        let found = variables()?;
        let answer = match ask {
            Ask::Read => return Ok(found),
            Ask::Logout => {
                at_once(session.destroy())?;
                return Ok(Variables::new());
            }
            Ask::Login => {
                at_once(session.set("user", &Value::Integer(1)))?;
                variables()?
            }
            Ask::Add => {
                sleep(work);
                session.add("count", 1)?;
                variables()?
            }
            Ask::Set(name, value) => {
                sleep(work);
                at_once(session.set(name, &Value::Integer(value)))?;
                found
            }
        };
        at_once(session.save())?;
        self.cookie = Some(session.id());
        Ok(answer)
    }
}

impl Browser for Native {
    fn ask(&mut self, ask: Ask, work: Duration) -> Option<Variables> {
        self.request(ask, work).ok()
    }

    fn cookie(&mut self) -> &mut Option<String> {
        &mut self.cookie
    }
}
