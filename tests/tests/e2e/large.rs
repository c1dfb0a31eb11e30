//! Values beyond what is allowed are refused with an error, and the application goes on.

use lemon_session_tests::{Client, Launch, Reply, Server};

const MEGABYTE: usize = 1 << 20;

/// With a pooled session component, and with a composed one.
const WAYS: [&str; 2] = ["--reuse=1", "--reuse=2"];

fn set(server: &Server, visitor: &Client, bytes: usize) -> Reply {
    server.get(visitor, &format!("/set?key=k&bytes={bytes}"))
}

/// The length of the value that is stored.
fn stored(server: &Server, visitor: &Client) -> usize {
    let reply = server.get(visitor, "/get?key=k");
    assert_eq!(reply.status, 200, "{}", server.log());
    reply.body.trim_end().len()
}

#[track_caller]
fn assert_too_large(server: &Server, visitor: &Client, bytes: usize, limit: usize) {
    let reply = set(server, visitor, bytes);
    let why = format!("too large: the value of 'k' has {bytes} bytes; the limit value-bytes is {limit}\n");
    assert_eq!((reply.status, reply.body), (413, why), "{}", server.log());
}

#[test]
fn a_value_beyond_the_limit_is_too_large_and_stops_nobody() {
    for way in WAYS {
        let server = Launch::new("counter").arg(way).start();
        let visitor = Client::new();
        assert_eq!(set(&server, &visitor, 1_000_000).status, 200);
        for bytes in [MEGABYTE + 1, 16 * MEGABYTE, 32 * MEGABYTE] {
            assert_too_large(&server, &visitor, bytes, MEGABYTE);
            assert_eq!(stored(&server, &visitor), 1_000_000, "{way}");
        }
        assert!(!server.log().contains("ERROR"), "{}", server.log());
    }
}

#[test]
fn a_value_of_16_megabytes_is_stored_where_that_is_allowed() {
    for way in WAYS {
        let ini = "[session.limits]\nvalue-bytes = 16M\nsession-bytes = 32M\n[server]\nmemory = 256M\n";
        let server = Launch::new("counter").ini(ini).arg(way).start();
        let visitor = Client::new();
        // Beside the value, its format and its length are stored.
        let most = 16 * MEGABYTE - 8;
        assert_eq!(set(&server, &visitor, most).status, 200, "{}", server.log());
        assert_eq!(stored(&server, &visitor), most, "{way}");
        for bytes in [16 * MEGABYTE + 1, 32 * MEGABYTE] {
            assert_too_large(&server, &visitor, bytes, 16 * MEGABYTE);
        }
        assert_eq!(stored(&server, &visitor), most, "{way}");
    }
}

#[test]
fn a_value_of_100_megabytes_is_stored_where_that_is_allowed() {
    let ini = "[session.limits]\nvalue-bytes = 128M\nsession-bytes = 128M\n[server]\nmemory = 512M\n";
    let server = Launch::new("counter").ini(ini).start();
    let visitor = Client::new();
    assert_eq!(set(&server, &visitor, 100 * MEGABYTE).status, 200, "{}", server.log());
    assert_eq!(stored(&server, &visitor), 100 * MEGABYTE);
    assert_too_large(&server, &visitor, 128 * MEGABYTE + 1, 128 * MEGABYTE);
}

#[test]
fn a_value_that_the_server_has_no_room_for_fails_its_request_alone() {
    let ini = "[server]\nrequest-memory = 8M\n";
    let server = Launch::new("counter").ini(ini).start();
    let visitor = Client::new();
    assert_eq!(set(&server, &visitor, 1000).status, 200);
    // What one call hands over: `session-bytes` and `request-memory` together, of which the name takes a byte.
    let most = 12 * MEGABYTE - 1;
    assert_too_large(&server, &visitor, most, MEGABYTE);
    assert!(!server.log().contains("ERROR"), "{}", server.log());
    assert_eq!(set(&server, &visitor, most + 1).status, 500);
    assert!(server.log().contains("[server] request-memory"), "{}", server.log());
    assert_eq!(stored(&server, &visitor), 1000);
}
