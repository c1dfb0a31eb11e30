//! A service of WASI 0.3 with the asynchronous interface of sessions. Its instances answer several requests at once.
//!
//! | route | what it does |
//! | --- | --- |
//! | `/` | says "well" |
//! | `/instance` | how many requests this instance has begun, this one included |
//! | `/fields` | the request's fields, scheme and authority |
//! | `/body` | the length of the request's body |
//! | `/wait?ms=N` | waits, then says "well" |
//! | `/trap`, `/trap?ms=N` | panics, after a while |
//! | `/trap?half=1` | panics in the middle of its response |
//! | `/spin` | computes for ever |
//! | `/silent` | answers after an hour |
//! | `/allocate?bytes=N` | takes memory |
//! | `/stream?pieces=N&ms=M` | sends a piece every M milliseconds |
//! | `/endless` | sends for ever |
//! | `/later?ms=N` | answers, then waits in the background, then prints "done" |
//! | `/hoard/WHAT` | has the host keep as much as it takes |
//! | `/count` | adds one to `count` of its session |
//! | `/count?ms=N` | the same, and waits before it saves |
//! | `/twice` | starts the session twice and compares the ids |
//! | `/many?n=N` | starts N sessions of different visitors and saves them at once |
//! | `/cancel?n=N` | starts N saves, and drops each before it is done |
//! | `/order` | makes twenty calls on one session without waiting for any, and saves |
//! | `/cut` | cancels a save, and shows what the session answers then |
//! | `/open?ms=N` | opens a session, and waits with it in its hands |
//! | `/manager` | counts all sessions |

mod hoard;
#[path = "http.rs"]
mod http;

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use futures::{future::join_all, join, task::noop_waker_ref};
use http::{Answer, Headers, Target};
use wasip3::{
    clocks::monotonic_clock::wait_for,
    http::types::{Request, Response},
};

wit_bindgen::generate!({
    path: "../../wit",
    world: "application-async",
    generate_all,
});

use lemon::session::{
    manager_async,
    sessions::Options,
    sessions_async,
    types::{Error, Location, Value},
};

struct Service;

wasip3::http::service::export!(Service);

static BEGUN: AtomicU64 = AtomicU64::new(0);

impl wasip3::exports::http::handler::Guest for Service {
    async fn handle(request: Request) -> Answer {
        BEGUN.fetch_add(1, Relaxed);
        println!("begun");
        let target = Target::of(&request);
        let none = Headers::new();
        match target.path.as_str() {
            "/" => http::text(200, &none, "well\n"),
            "/instance" => http::text(200, &none, &format!("{}\n", BEGUN.load(Relaxed))),
            "/fields" => http::text(200, &none, &fields(&request)),
            "/body" => http::text(200, &none, &format!("{}\n", length(request).await)),
            "/wait" => {
                wait(target.number("ms")).await;
                http::text(200, &none, "well\n")
            }
            "/trap" => {
                wait(target.number("ms")).await;
                if target.number("half") == 0 {
                    panic!("stopped on purpose");
                }
                Ok(http::respond(&none, async |mut body| {
                    body.write_all(b"the first half, and".to_vec()).await;
                    panic!("stopped on purpose");
                }))
            }
            "/spin" => loop {
                std::hint::spin_loop();
            },
            "/silent" => {
                wait(3_600_000).await;
                http::text(200, &none, "well\n")
            }
            "/allocate" => {
                let bytes = vec![1_u8; usize::try_from(target.number("bytes")).expect("it fits")];
                http::text(200, &none, &format!("{}\n", bytes.iter().map(|byte| u64::from(*byte)).sum::<u64>()))
            }
            "/stream" => Ok(stream(&target)),
            "/endless" => {
                Ok(http::respond(&none, async |mut body| while body.write_all(vec![b'x'; 1 << 16]).await.is_empty() {}))
            }
            "/later" => {
                let ms = target.number("ms");
                wasip3::spawn_local(async move {
                    wait(ms).await;
                    println!("done");
                });
                http::text(200, &none, "well\n")
            }
            path if path.starts_with("/hoard/") => hoard::hoard(&path["/hoard/".len()..]).await,
            "/count" | "/handy" | "/twice" | "/many" | "/order" | "/cancel" | "/cut" | "/open" | "/manager" => {
                match with_sessions(&request, &target).await {
                    Ok((headers, body)) => http::text(200, &headers, &body),
                    Err(error) => http::text(500, &none, &format!("{error:?}\n")),
                }
            }
            path => http::text(404, &none, &format!("there is no route {path}\n")),
        }
    }
}

async fn wait(milliseconds: u64) {
    if milliseconds > 0 {
        wait_for(milliseconds * 1_000_000).await;
    }
}

fn fields(request: &Request) -> String {
    let mut lines: Vec<_> = request
        .get_headers()
        .copy_all()
        .iter()
        .map(|(name, value)| format!("{name}: {}\n", String::from_utf8_lossy(value)))
        .collect();
    lines.sort();
    lines.push(format!("scheme {:?}\n", request.get_scheme()));
    lines.push(format!("authority {:?}\n", request.get_authority()));
    lines.concat()
}

async fn length(request: Request) -> usize {
    let (result, end) = wasip3::wit_future::new(|| Ok(()));
    drop(result);
    let (mut body, _trailers) = Request::consume_body(request, end);
    let mut length = 0;
    loop {
        let (status, bytes) = body.read(Vec::with_capacity(1 << 16)).await;
        length += bytes.len();
        if status == wasip3::wit_bindgen::StreamResult::Dropped {
            return length;
        }
    }
}

fn stream(target: &Target) -> Response {
    let (pieces, ms) = (target.number("pieces"), target.number("ms"));
    http::respond(&Headers::new(), async move |mut body| {
        for n in 0..pieces {
            if !body.write_all(format!("piece {n}\n").into_bytes()).await.is_empty() {
                return;
            }
            wait(ms).await;
        }
    })
}

async fn with_sessions(request: &Request, target: &Target) -> Result<(Headers, String), Error> {
    let cookies = http::cookies(request);
    match target.path.as_str() {
        "/count" => {
            let session = sessions_async::start(options(cookies, None)).await?;
            let count = session.add("count".to_owned(), 1).await?;
            wait(target.number("ms")).await;
            Ok((session.save().await?, format!("{count}\n")))
        }
        "/handy" => {
            let session = sessions_async::start(options(cookies, None)).await?;
            let untouched = (session.modified(), session.accessed());
            session.set_default("a".to_owned(), Value::Integer(1)).await?;
            let kept = session.set_default("a".to_owned(), Value::Integer(2)).await?;
            session.flash(Value::Text("saved".to_owned())).await?;
            session.set_owner(Some("me".to_owned())).await?;
            let headers = session.save().await?;
            let messages = session.flashes().await?;
            let token = session.csrf_token().await?;
            let checked = (session.check_csrf(token).await?, session.check_csrf("x".to_owned()).await?);
            let entries = session.entries_of(session.digest()).await?;
            let touched = (session.modified(), session.accessed());
            Ok((headers, format!("{untouched:?} {kept:?} {messages:?} {checked:?} {entries:?} {touched:?}\n")))
        }
        "/twice" => {
            let first = sessions_async::start(options(cookies.clone(), None)).await?;
            let second = sessions_async::start(options(cookies, None)).await?;
            let is_one = first.id() == second.id();
            Ok((first.save().await?, format!("{is_one}\n")))
        }
        "/many" => {
            let visitor = async |n: u64| {
                // An unknown id: a new session, without a cookie.
                let session = sessions_async::start(options(Vec::new(), Some(String::new()))).await?;
                let value = i64::try_from(n).expect("it fits");
                session.set("n".to_owned(), Value::Integer(value)).await?;
                session.save().await?;
                match session.get("n".to_owned()).await? {
                    Some(Value::Integer(kept)) if kept == value => Ok(1),
                    _ => Ok(0),
                }
            };
            let kept: Result<Vec<u64>, Error> =
                join_all((0..target.number("n")).map(visitor)).await.into_iter().collect();
            Ok((Headers::new(), format!("{}\n", kept?.into_iter().sum::<u64>())))
        }
        "/order" => {
            let session = sessions_async::start(options(cookies, None)).await?;
            let key = || "n".to_owned();
            let call = async |n: i64| {
                let (set, added) = join!(session.set(key(), Value::Integer(n)), session.add(key(), 10));
                set.and(added)
            };
            let sums: Result<Vec<_>, _> = join_all((0..10).map(call)).await.into_iter().collect();
            Ok((session.save().await?, format!("{:?}\n", sums?)))
        }
        "/cut" => {
            let session = sessions_async::start(options(Vec::new(), Some(String::new()))).await?;
            session.set("n".to_owned(), Value::Integer(1)).await?;
            drop_begun(session.save());
            Ok((Headers::new(), format!("{} {:?}\n", session.id(), session.get("n".to_owned()).await)))
        }
        "/cancel" => {
            for n in 0..target.number("n") {
                let session = sessions_async::start(options(Vec::new(), Some(String::new()))).await?;
                session.set("n".to_owned(), Value::Integer(1)).await?;
                drop_begun(session.save());
                drop_begun(sessions_async::start(options(Vec::new(), Some(n.to_string()))));
            }
            Ok((Headers::new(), "cancelled\n".to_owned()))
        }
        "/open" => {
            let session = sessions_async::start(options(cookies, None)).await?;
            session.add("count".to_owned(), 1).await?;
            wait(target.number("ms")).await;
            Ok((session.save().await?, "well\n".to_owned()))
        }
        _ => {
            let location = Location { storage: None, table: None };
            Ok((Headers::new(), format!("{}\n", manager_async::count(location).await?)))
        }
    }
}

/// Begins a call, and cancels it unless it is done at once.
fn drop_begun<T>(call: impl Future<Output = T>) {
    let mut call = std::pin::pin!(call);
    let _ = call.as_mut().poll(&mut std::task::Context::from_waker(noop_waker_ref()));
}

fn options(cookies: Vec<Vec<u8>>, session_id: Option<String>) -> Options {
    Options {
        app: Some("service".to_owned()),
        cookies,
        https: false,
        session_id,
        location: Location { storage: None, table: None },
        expires: None,
        cookie: None,
        seed: None,
        cleanup: None,
        strict: None,
        cache_limiter: None,
    }
}
