//! A service of WASI 0.3 with the synchronous interface of sessions: an instance answers one request at a time.
//!
//! | route | what it does |
//! | --- | --- |
//! | `/` | says "well" |
//! | `/instance` | how many requests this instance has begun, this one included |
//! | `/at-once?ms=N` | waits, then tells how many requests the instance was answering, at most |
//! | `/later?ms=N` | answers, then saves a session in the background |
//! | `/count` | adds one to `count` of its session |
//! | `/manager` | counts all sessions |

#[path = "../../service/src/http.rs"]
mod http;

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use http::{Answer, Headers, Target};
use wasip3::{clocks::monotonic_clock::wait_for, http::types::Request};

wit_bindgen::generate!({
    path: "../../wit",
    world: "application",
    generate_all,
});

use lemon::session::{
    manager,
    sessions::{self, Options},
    types::{Error, Location},
};

struct Service;

wasip3::http::service::export!(Service);

static BEGUN: AtomicU64 = AtomicU64::new(0);
static AT_ONCE: AtomicU64 = AtomicU64::new(0);

impl wasip3::exports::http::handler::Guest for Service {
    async fn handle(request: Request) -> Answer {
        BEGUN.fetch_add(1, Relaxed);
        println!("begun");
        let target = Target::of(&request);
        let none = Headers::new();
        match target.path.as_str() {
            "/" => http::text(200, &none, "well\n"),
            "/instance" => http::text(200, &none, &format!("{}\n", BEGUN.load(Relaxed))),
            "/at-once" => {
                let at_once = AT_ONCE.fetch_add(1, Relaxed) + 1;
                wait_for(target.number("ms") * 1_000_000).await;
                AT_ONCE.fetch_sub(1, Relaxed);
                http::text(200, &none, &format!("{at_once}\n"))
            }
            "/later" => {
                let (cookies, ms) = (http::cookies(&request), target.number("ms"));
                AT_ONCE.fetch_add(1, Relaxed);
                wasip3::spawn_local(async move {
                    wait_for(ms * 1_000_000).await;
                    let saved = count(cookies).is_ok();
                    AT_ONCE.fetch_sub(1, Relaxed);
                    println!("saved later: {saved}");
                });
                http::text(200, &none, "well\n")
            }
            "/count" => answer(count(http::cookies(&request))),
            "/manager" => {
                let location = Location { storage: None, table: None };
                answer(manager::count(&location).map(|count| (none, format!("{count}\n"))))
            }
            path => http::text(404, &none, &format!("there is no route {path}\n")),
        }
    }
}

fn answer(result: Result<(Headers, String), Error>) -> Answer {
    match result {
        Ok((headers, body)) => http::text(200, &headers, &body),
        Err(error) => http::text(500, &Headers::new(), &format!("{error:?}\n")),
    }
}

fn count(cookies: Vec<Vec<u8>>) -> Result<(Headers, String), Error> {
    let session = sessions::start(&Options {
        app: Some("service".to_owned()),
        cookies,
        https: false,
        session_id: None,
        location: Location { storage: None, table: None },
        expires: None,
        cookie: None,
        seed: None,
        cleanup: None,
        strict: None,
        cache_limiter: None,
    })?;
    let count = session.add("count", 1)?;
    Ok((session.save()?, format!("{count}\n")))
}
