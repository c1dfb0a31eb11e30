//! Has the host keep something for each call, without end.

use futures::{FutureExt as _, future::select_all};
use wasip3::{
    clocks::monotonic_clock::wait_for,
    http::types::{Fields, Request, Response},
    wit_future, wit_stream,
};

use super::{
    http::{self, Answer, Headers},
    lemon::session::{sessions_async, types::Value},
    options,
};

/// More than any limit.
const MOST: usize = 1_000_000;

pub async fn hoard(what: &str) -> Answer {
    match what {
        "fields" => keep(|n| {
            let fields = Fields::new();
            for line in 0..100 {
                fields.append(&format!("x-{line}"), &[b'x'; 1000]).expect("a field");
            }
            assert!(n < MOST);
            fields
        }),
        "lists" => keep(|_| {
            let lines: Vec<_> = (0..100).map(|line| (format!("x-{line}"), vec![b'x'; 1000])).collect();
            Fields::from_list(&lines).expect("fields")
        }),
        "responses" => keep(|_| {
            let (writer, reader) = wit_stream::new::<u8>();
            let (trailers, end) = wit_future::new(|| Ok(None));
            (writer, trailers, Response::new(Fields::new(), Some(reader), end))
        }),
        "requests" => keep(|_| {
            let (trailers, end) = wit_future::new(|| Ok(None));
            let (request, sent) = Request::new(Fields::new(), None, end, None);
            let _ = request.set_path_with_query(Some(&format!("/{}", "x".repeat(60_000))));
            (trailers, request, sent)
        }),
        "streams" => keep(|_| wit_stream::new::<u8>()),
        "timers" => {
            let mut timers = Vec::new();
            for _ in 0..MOST {
                let mut timer = Box::pin(wait_for(1_000_000_000_000));
                let _ = timer.as_mut().now_or_never();
                timers.push(timer);
            }
            select_all(timers).await;
        }
        "calls" => {
            let session = sessions_async::start(options(Vec::new(), None)).await.expect("a session");
            let mut calls = Vec::new();
            for n in 0..MOST {
                let mut call = Box::pin(session.set(format!("k{n}"), Value::Bytes(vec![1; 500_000])));
                let _ = call.as_mut().now_or_never();
                calls.push(call);
            }
            select_all(calls).await.0.expect("it is set");
        }
        _ => return http::text(404, &Headers::new(), "there is nothing like that to hoard\n"),
    }
    http::text(200, &Headers::new(), "the host keeps it all\n")
}

fn keep<T>(mut make: impl FnMut(usize) -> T) {
    let mut kept = Vec::new();
    for n in 0..MOST {
        kept.push(make(n));
    }
}
