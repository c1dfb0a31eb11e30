//! Ways in which a guest makes the host use much memory at little cost for itself, without freeing any before the
//! request ends.

use wasip2::{
    clocks::monotonic_clock,
    http::types::{Fields, Method, OutgoingBody, OutgoingRequest, OutgoingResponse},
    sockets::{network::IpAddressFamily, tcp_create_socket::create_tcp_socket, udp_create_socket::create_udp_socket},
};

/// As much as one `fields` may hold, roughly.
const LARGE: usize = 120_000;
/// More than any table of handles should have room for.
const MANY: usize = 9000;

/// Hoards in one of many ways; returns how many of it the host let it have.
pub fn hoard(way: &str) -> usize {
    match way {
        "fields" => fill(|| fields(LARGE)),
        "lists" => fill(|| Fields::from_list(&[("x-hoard".to_owned(), vec![b'x'; LARGE])]).expect("it is a list")),
        "lines" => fill(|| {
            let fields = Fields::new();
            let values = vec![Vec::new(); LARGE / 50];
            fields.set("x", &values).expect("they are values");
            fields
        }),
        "clones" => {
            let first = fields(LARGE);
            // A clone is one only once it is changed.
            fill(|| {
                let clone = first.clone();
                clone.append("x", b"y").expect("it is a value");
                clone
            })
        }
        "bodies" => fill(|| {
            let response = OutgoingResponse::new(Fields::new());
            let body = response.body().expect("the body is taken once");
            let stream = body.write().expect("the stream is taken once");
            while let Ok(room @ 1..) = stream.check_write() {
                stream.write(&vec![b'x'; room as usize]).expect("there is room");
            }
            stream.flush().expect("the client reads");
            (stream, body, response)
        }),
        "trailers" => fill(|| {
            let response = OutgoingResponse::new(Fields::new());
            let body = response.body().expect("the body is taken once");
            OutgoingBody::finish(body, Some(fields(LARGE))).expect("there is no length to be missed");
            response
        }),
        "requests" => {
            let method = Method::Other("x".repeat(1 << 20));
            fill(|| {
                let request = OutgoingRequest::new(Fields::new());
                request.set_method(&method).expect("it is a token");
                request
            })
        }
        "timers" => fill(|| monotonic_clock::subscribe_duration(u64::MAX)),
        "sockets" => {
            let tcp: Vec<_> = (0..MANY).filter_map(|_| create_tcp_socket(IpAddressFamily::Ipv4).ok()).collect();
            let udp: Vec<_> = (0..MANY).filter_map(|_| create_udp_socket(IpAddressFamily::Ipv4).ok()).collect();
            tcp.len() + udp.len()
        }
        // Not held at all: what is given back does not count.
        "nothing" => {
            let fields = fields(LARGE);
            (0..MANY).filter(|_| fields.set("x-hoard", &[vec![b'x'; LARGE]]).is_ok()).count()
        }
        _ => 0,
    }
}

fn fields(bytes: usize) -> Fields {
    let fields = Fields::new();
    fields.set("x-hoard", &[vec![b'x'; bytes]]).expect("it is a value");
    fields
}

/// Holds many of something at the same time.
fn fill<T>(make: impl FnMut() -> T) -> usize {
    std::iter::repeat_with(make).take(MANY).collect::<Vec<_>>().len()
}
