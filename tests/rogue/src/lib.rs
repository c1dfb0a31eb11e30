//! A component that misbehaves, a route for each way.

use std::hint::black_box;

use example_http::{Request, answer};
use wasip2::{
    clocks::monotonic_clock,
    http::types::{IncomingRequest, ResponseOutparam},
};

struct Rogue;

wasip2::http::proxy::export!(Rogue);

impl wasip2::exports::http::incoming_handler::Guest for Rogue {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        match Request::new(&request).path() {
            "/trap" => panic!("trapped on purpose"),
            "/spin" => loop {
                black_box(());
            },
            "/sleep" => monotonic_clock::subscribe_duration(3_600_000_000_000).block(),
            "/grow" => {
                let mut hoard: Vec<Vec<u8>> = Vec::new();
                loop {
                    hoard.push(black_box(vec![1; 1 << 20]));
                }
            }
            "/silent" => {}
            _ => answer(out, 200, &[], "well\n"),
        }
    }
}
