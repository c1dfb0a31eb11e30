//! One session, shared by pages in Rust, Python, JavaScript and Go.

use lemon_session::Value::{self, Boolean, Bytes, Integer, Json, Null, Real, Text};
use std::{fs, process::Command};

use lemon_session_tests::{Client, Launch, Server, build, proxy::is_there};

/// A variable set by Rust, as each language reads it, and as the others read it after JavaScript has changed it.
struct Row {
    name: &'static str,
    set: Value,
    python: &'static str,
    javascript: &'static str,
    go: &'static str,
    changed: Value,
    python_after: &'static str,
}

fn text(text: &str) -> Value {
    Text(text.to_owned())
}

fn json(text: &str) -> Value {
    Json(text.to_owned())
}

#[rustfmt::skip]
fn rows() -> [Row; 14] {
    [
        Row { name: "boolean", set: Boolean(true), python: "bool True", javascript: "boolean true", go: "bool true", changed: Boolean(false), python_after: "bool False" },
        Row { name: "bytes", set: Bytes(vec![0, 255, 128]), python: r"bytes b'\x00\xff\x80'", javascript: "Uint8Array 0,255,128", go: "[]uint8 []byte{0x0, 0xff, 0x80}", changed: Bytes(vec![128, 255, 0]), python_after: r"bytes b'\x80\xff\x00'" },
        Row {
            name: "dictionary",
            set: json(r#"{"whole":1,"large":-9007199254740993,"fraction":2.5,"none":null,"names":["é","__proto__"],"inner":{"__proto__":[true,false]}}"#),
            python: "dict {'whole': 1, 'large': -9007199254740993, 'fraction': 2.5, 'none': None, 'names': ['é', '__proto__'], 'inner': {'__proto__': [True, False]}}",
            javascript: r#"Object {"whole":1,"large":"-9007199254740993n","fraction":2.5,"none":null,"names":["é","__proto__"],"inner":{"__proto__":[true,false]}}"#,
            go: r#"map[string]interface {} map[string]interface {}{"fraction":2.5, "inner":map[string]interface {}{"__proto__":[]interface {}{true, false}}, "large":-9007199254740993, "names":[]interface {}{"é", "__proto__"}, "none":interface {}(nil), "whole":1}"#,
            changed: json(r#"{"whole":1,"large":-9007199254740993,"fraction":2.5,"none":null,"names":["é","__proto__"],"inner":{"__proto__":[true,false]},"added":{"by":"JavaScript"}}"#),
            python_after: "dict {'whole': 1, 'large': -9007199254740993, 'fraction': 2.5, 'none': None, 'names': ['é', '__proto__'], 'inner': {'__proto__': [True, False]}, 'added': {'by': 'JavaScript'}}",
        },
        Row { name: "fraction", set: Real(1.5), python: "float 1.5", javascript: "number 1.5", go: "float64 1.5", changed: Real(2.25), python_after: "float 2.25" },
        Row { name: "infinity", set: Real(f64::INFINITY), python: "float inf", javascript: "number Infinity", go: "float64 +Inf", changed: Real(f64::NEG_INFINITY), python_after: "float -inf" },
        Row { name: "integer", set: Integer(1), python: "int 1", javascript: "number 1", go: "int64 1", changed: Integer(2), python_after: "int 2" },
        Row { name: "large", set: Integer(9_007_199_254_740_993), python: "int 9007199254740993", javascript: r#"bigint "9007199254740993n""#, go: "int64 9007199254740993", changed: Integer(9_007_199_254_740_994), python_after: "int 9007199254740994" },
        Row {
            name: "list",
            set: json(r#"[1,0.30000000000000004,"a",null,[[false]]]"#),
            python: "list [1, 0.30000000000000004, 'a', None, [[False]]]",
            javascript: r#"Array [1,0.30000000000000004,"a",null,[[false]]]"#,
            go: r#"[]interface {} []interface {}{1, 0.30000000000000004, "a", interface {}(nil), []interface {}{[]interface {}{false}}}"#,
            changed: json(r#"[1,0.30000000000000004,"a",null,[[false]],3.0,4611686018427387904,-0.0]"#),
            python_after: "list [1, 0.30000000000000004, 'a', None, [[False]], 3.0, 4611686018427387904, -0.0]",
        },
        Row { name: "minus-zero", set: Real(-0.0), python: "float -0.0", javascript: "number -0", go: "float64 -0", changed: Real(-0.0), python_after: "float -0.0" },
        Row { name: "nan", set: Real(f64::NAN), python: "float nan", javascript: "number NaN", go: "float64 NaN", changed: Real(f64::NAN), python_after: "float nan" },
        Row { name: "null", set: Null, python: "NoneType None", javascript: "null null", go: "<nil> <nil>", changed: Null, python_after: "NoneType None" },
        Row { name: "real", set: Real(1.0), python: "float 1.0", javascript: "number 1", go: "float64 1", changed: Real(2.0), python_after: "float 2.0" },
        Row { name: "smallest", set: Integer(i64::MIN), python: "int -9223372036854775808", javascript: r#"bigint "-9223372036854775808n""#, go: "int64 -9223372036854775808", changed: Integer(i64::MIN), python_after: "int -9223372036854775808" },
        Row { name: "text", set: text("€ \u{1f600} \0 \""), python: "str '€ \u{1f600} \\x00 \"'", javascript: "string \"€ \u{1f600} \\u0000 \\\"\"", go: "string \"€ \u{1f600} \\x00 \\\"\"", changed: text("€ \u{1f600} \0 \"!"), python_after: "str '€ \u{1f600} \\x00 \"!'" },
    ]
}

#[track_caller]
fn lines(visitor: &Client, server: &Server, path: &str) -> Vec<String> {
    let reply = server.get(visitor, path);
    assert_eq!(reply.status, 200, "{reply:?} {}", server.log());
    reply.body.lines().map(str::to_owned).collect()
}

fn expected(of: impl Fn(Row) -> String) -> Vec<String> {
    rows().into_iter().map(|row| (row.name, of(row))).map(|(name, value)| format!("{name}: {value}")).collect()
}

#[test]
fn every_kind_of_value_travels_from_rust_to_python_to_go_to_javascript_and_back() {
    let launch = Launch::new("values").ini("[session.cookie]\nname = site\n");
    let python = launch.beside("values-python").start();
    let go = launch.beside("values-go").start();
    let javascript = launch.beside("values-js").start();
    let rust = launch.start();
    let visitor = Client::new();

    lines(&visitor, &rust, "/set");
    assert_eq!(lines(&visitor, &rust, "/read"), expected(|row| format!("{:?}", row.set)));
    assert_eq!(lines(&visitor, &python, "/read"), expected(|row| row.python.to_owned()));
    assert_eq!(lines(&visitor, &python, "/write"), ["written"]);
    assert_eq!(lines(&visitor, &rust, "/read"), expected(|row| format!("{:?}", row.set)), "Python sets what it reads");
    assert_eq!(lines(&visitor, &go, "/read"), expected(|row| row.go.to_owned()));
    assert_eq!(lines(&visitor, &go, "/write"), ["written"]);
    assert_eq!(
        lines(&visitor, &rust, "/read"),
        expected(|row| format!("{:?}", sorted(row.set))),
        "Go sets what it reads"
    );
    lines(&visitor, &rust, "/set");
    assert_eq!(lines(&visitor, &javascript, "/read"), expected(|row| row.javascript.to_owned()));
    assert_eq!(lines(&visitor, &javascript, "/change"), ["changed"]);
    assert_eq!(lines(&visitor, &rust, "/read"), expected(|row| format!("{:?}", row.changed)));
    assert_eq!(lines(&visitor, &python, "/read"), expected(|row| row.python_after.to_owned()));
    assert_eq!(lines(&visitor, &go, "/write"), ["written"]);
    assert_eq!(lines(&visitor, &rust, "/read"), expected(|row| format!("{:?}", sorted(row.changed))));
}

/// A value as Go sets it, whose maps are in no order: it sorts the keys.
fn sorted(value: Value) -> Value {
    match value {
        Json(text) => json(&serde_json::from_str::<serde_json::Value>(&text).unwrap().to_string()),
        value => value,
    }
}

#[test]
fn python_refuses_what_would_not_come_back_as_it_is() {
    let server = Server::start("values-python");
    let plain = "cannot be stored: a variable must be None, a bool, int, float, str, bytes, list or dict";
    let integer = "int out of range: it must be from -2**63 to 2**63-1; store larger numbers as str";
    let bytes = "JSON cannot express bytes inside a list or dict; store them in a separate variable";
    let nan = "a float inside a list or dict is infinite or NaN, which JSON cannot express";
    let surrogate = "a str contains half of a surrogate pair, which UTF-8 cannot encode";
    let deep = "lists and dicts are nested deeper than 127 levels, or contain themselves";
    let refused: [(&str, &str); 18] = [
        ("tuple", &format!("tuple {plain}")),
        ("set", &format!("set {plain}")),
        ("object", &format!("object {plain}")),
        ("bytearray", &format!("bytearray {plain}")),
        ("true-int", &format!("Number {plain}")),
        ("large", integer),
        ("small", integer),
        ("surrogate", surrogate),
        ("nested-tuple", &format!("tuple {plain}")),
        ("nested-bytes", bytes),
        ("nested-nan", nan),
        ("nested-infinity", nan),
        ("nested-large", integer),
        ("nested-surrogate", surrogate),
        ("surrogate-key", surrogate),
        ("int-key", "keys must be str, not int"),
        ("itself", deep),
        ("deep", deep),
    ];
    let mut expected: Vec<_> = refused.iter().map(|(key, why)| format!("InvalidValue: {key}: {why}")).collect();
    expected.extend(
        [
            "InvalidName: a variable's name contains half of a surrogate pair, which UTF-8 cannot encode",
            "InvalidName: a variable's name contains half of a surrogate pair, which UTF-8 cannot encode",
            "InvalidName: a variable's name must be a str, not int",
            "InvalidName: a variable's name must be a str, not int",
            "InvalidName: the variable's name has 33 characters; the limit is 32",
            "InvalidValue: a: delta must be an int, not float",
            "InvalidValue: a: int out of range: it must be from -2**63 to 2**63-1; store larger numbers as str",
            "InvalidOption: expires must be an int from 0 to 2**32-1, not -1",
            "InvalidOption: expires must be an int, not str",
            "InvalidOption: cleanup must be a float, not str",
            "InvalidOption: app contains half of a surrogate pair, which UTF-8 cannot encode",
            "InvalidOption: app must be a str, not int",
            "InvalidName: an owner must be a str, not int",
            "stored: ['deep-enough']",
        ]
        .map(str::to_owned),
    );
    assert_eq!(lines(&Client::new(), &server, "/refuse"), expected);
}

#[test]
fn javascript_refuses_what_would_not_come_back_as_it_is() {
    let server = Server::start("values-js");
    let plain =
        "cannot be stored: a variable is null, a boolean, number, BigInt, string, Uint8Array, array or plain object";
    let undefined = &format!("undefined {plain}; delete() removes a variable");
    let integer = "a BigInt must be from -2^63 to 2^63-1; store larger numbers as a string";
    let bytes = "JSON cannot express bytes inside an array or object; store them in a separate variable";
    let nan = "a number inside an array or object is infinite or NaN, which JSON cannot express";
    let surrogate = "a string contains half of a surrogate pair, which UTF-8 cannot encode";
    let deep = "arrays and objects are nested deeper than 127 levels, or contain themselves";
    let refused: [(&str, &str); 21] = [
        ("undefined", undefined),
        ("function", &format!("a Function {plain}")),
        ("symbol", &format!("a Symbol {plain}")),
        ("date", &format!("a Date {plain}")),
        ("map", &format!("a Map {plain}")),
        ("instance", &format!("a Cart {plain}")),
        ("words", &format!("a Uint16Array {plain}")),
        ("large", integer),
        ("small", integer),
        ("surrogate", surrogate),
        ("nested-undefined", undefined),
        ("hole", undefined),
        ("nested-bytes", bytes),
        ("nested-nan", nan),
        ("nested-infinity", nan),
        ("nested-large", integer),
        ("nested-surrogate", surrogate),
        ("surrogate-key", surrogate),
        ("symbol-key", "the keys of an object must be strings, not symbols"),
        ("itself", deep),
        ("deep", deep),
    ];
    let mut expected: Vec<_> = refused.iter().map(|(key, why)| format!("invalid-value: {key}: {why}")).collect();
    expected.extend(
        [
            "invalid-name: a variable's name must be a string, not number",
            "invalid-name: a variable's name contains half of a surrogate pair, which UTF-8 cannot encode",
            "invalid-name: the variable's name has 33 characters; the limit is 32",
            "invalid-value: a: only an integer can be added, not real",
            "invalid-option: start has no option expire; its options are app, sessionId, storage, table, expires, cookie, \
             seed, cleanup, strict, cacheLimiter",
            "invalid-option: expires must be a whole number of seconds from 0 to 2 ** 32 - 1",
            "invalid-option: app must be a string, not number",
            "invalid-option: httpOnly must be a boolean, not string",
            "invalid-value: real() takes a number, not a string",
            "stored: deep-enough",
        ]
        .map(str::to_owned),
    );
    assert_eq!(lines(&Client::new(), &server, "/refuse"), expected);
}

#[test]
fn typescript_knows_what_can_be_stored() {
    build::made("target/languages/types");
}

#[test]
fn a_session_is_a_dictionary_in_python() {
    let server = Server::start("values-python");
    let expected = [
        "created True, app dictionary, 64 digits",
        "in True, False, False; len 2; ['a', 'b']",
        "get [1, {'c': None}], None, none",
        "add 42, 1",
        "take [1, {'c': None}], taken, pop 42, left {}",
        "KeyError 'x'",
        "KeyError 'x'",
        "KeyError 'x'",
        "Reserved",
        "released [('secret', True)]",
        "owner me",
        "managed [True]",
        "ended 0 others, False",
        "Denied manager.count is refused: this application's grant is 'owners' (the setting manager of [session] and the section \
         [session.manager] in lemon.ini)",
        "kept 1",
        "ended 1",
        "Gone The session has ended: it was destroyed, has expired, or its id was rotated by a login. Nothing was saved.",
        "InvalidOption same_site of a cookie must be one of 'strict', 'lax', 'none', not 'never'",
        "InvalidOption a cookie has no attribute 'color'; its attributes are name, path, domain, secure, http_only, \
         same_site, partitioned, lifetime, comment",
    ];
    let reply = server.get(&Client::new(), "/dictionary");
    assert_eq!(reply.body.lines().collect::<Vec<_>>(), expected, "{}", server.log());
    let cookie = reply.set_cookie();
    assert_eq!(cookie.name, "dictionary");
    assert_eq!(cookie.attribute("samesite"), Some("Strict"));
}

#[test]
fn the_page_in_python_for_wasi_0_3_is_served() {
    let server = Launch::new("visits-async-python").ini("[server]\nconcurrency = 16\n").start();
    let visitor = Client::new();
    let page = || server.get(&visitor, "/").body;
    assert!(page().contains("This is your first visit"), "{}", server.log());
    let back = page();
    assert!(back.contains("Welcome back") && back.contains("variable1: Python Rules!"), "{back}");
    assert!(server.post(&visitor, "/", &[]).body.contains("Session Deleted"));
    assert!(page().contains("This is your first visit"));
}

#[test]
fn a_session_is_a_map_in_javascript() {
    let server = Server::start("values-js");
    let expected = [
        "created true, app map, 64 digits",
        "has true, false; size 2; a,b",
        "get [1,{\"c\":null}], undefined",
        "add 42, 1, true, false",
        "take [1,{\"c\":null}], undefined",
        "left [[\"a\",42]]",
        "reserved: the application name 'held' is reserved",
        "released [[\"secret\",true]]",
        "owner me, expires true",
        "managed true",
        "ended 0 others, false",
        "denied: manager.count is refused: this application's grant is 'owners' (the setting manager of [session] and the section \
         [session.manager] in lemon.ini)",
        "same true",
        "ended 1",
        "gone: the session has ended",
    ];
    let reply = server.get(&Client::new(), "/map");
    assert_eq!(reply.body.lines().collect::<Vec<_>>(), expected, "{}", server.log());
    let cookie = reply.set_cookie();
    assert_eq!(cookie.name, "map");
    assert_eq!(cookie.attribute("samesite"), Some("Strict"));
}

#[test]
fn go_refuses_what_would_not_come_back_as_it_is() {
    let server = Server::start("values-go");
    let integer = "an integer must be from -2^63 to 2^63-1; store larger numbers as a string";
    let bytes = "JSON cannot express bytes inside a slice, map or struct; store them in a separate variable";
    let nan = "a float inside a slice, map or struct is infinite or NaN, which JSON cannot express";
    let expected: [&str; 26] = [
        "invalid-value: channel: cannot marshal from Go chan int",
        "invalid-value: function: cannot marshal from Go func()",
        "invalid-value: complex: cannot marshal from Go complex128",
        &format!("invalid-value: large: {integer}"),
        "invalid-value: utf-8: invalid UTF-8",
        "invalid-value: nested-channel: cannot marshal from Go chan int within \"/a\"",
        &format!("invalid-value: nested-bytes: {bytes}"),
        &format!("invalid-value: field-bytes: {bytes}"),
        &format!("invalid-value: array-bytes: {bytes}"),
        &format!("invalid-value: nested-nan: {nan}"),
        &format!("invalid-value: nested-inf: {nan}"),
        &format!("invalid-value: nested-large: {integer}"),
        "invalid-value: nested-utf-8: invalid UTF-8 within \"/0\" after offset 1",
        "invalid-value: key-utf-8: invalid UTF-8 after offset 1",
        "invalid-value: itself: encountered a cycle",
        "invalid-value: deep: slices, maps and structs are nested deeper than 127 levels",
        "invalid-name: a variable's name is not valid UTF-8",
        "invalid-name: a variable's name is not valid UTF-8",
        "invalid-name: the variable's name has 33 characters; the limit is 32",
        "invalid-name: an owner is not valid UTF-8",
        "invalid-option: Expires must be a whole number of seconds from 0 to 2^32-1, not 1.5s",
        "invalid-option: Cookie.Lifetime must be a whole number of seconds from 0 to 2^32-1, not -1s",
        "invalid-option: App is not valid UTF-8",
        "invalid-option: Cookie.Secure has the unknown value \"maybe\"",
        "invalid-option: cleanup: 2 is not a probability: 1 means always, 0 never, 0.01 one start in a hundred",
        "stored: [deep-enough]",
    ];
    // encoding/json/v2 says either at random, so that nothing depends on its words.
    let refused = lines(&Client::new(), &server, "/refuse").into_iter().map(|line| line.replace("unable to", "cannot"));
    assert_eq!(refused.collect::<Vec<_>>(), expected);
}

#[test]
fn go_reads_variables_as_values_of_its_types() {
    let server = Server::start("values-go");
    let expected = [
        "cart: main.cart {[{lemon 3}] map[gross:1 net:1] 2026-01-02 03:04:05 +0000 UTC 2}",
        "cart: map[string]interface {} map[items:[map[Name:lemon Number:3]] price:2 since:2026-01-02T03:04:05Z \
             weights:map[gross:1 net:1]]",
        "pointer: main.item {lime 1}",
        "absent: *main.item <nil>",
        "user: main.userID 7",
        "user: float64 7",
        "time: time.Time 2026-01-02 03:04:05 +0000 UTC",
        "time: string 2026-01-02T03:04:05Z",
        "float: float32 0.5",
        "address: net.IP 127.0.0.1",
        "array: [2]bool [true false]",
        "absent: int 0",
        "nil: int 0",
        "wrong-type: text cannot be read as int: cannot unmarshal JSON string into Go int",
        "wrong-type: text cannot be read as []uint8: it is a string",
        "wrong-type: large cannot be read as int8: value out of range",
        "wrong-type: large cannot be read as float64: the integer 9007199254740993 has more digits than the type",
        "wrong-type: float cannot be read as int: it is a floating-point number",
        "wrong-type: cart cannot be read as bool: cannot unmarshal JSON object into Go bool",
    ];
    // encoding/json/v2 chooses between these words anew in each process.
    let read = lines(&Client::new(), &server, "/types").into_iter().map(|line| line.replace("unable to", "cannot"));
    assert_eq!(read.collect::<Vec<_>>(), expected);
}

#[test]
fn a_session_has_all_methods_in_go() {
    let server = Server::start("values-go");
    let expected = [
        "created true, app session, 64 digits",
        "has true, false; [a b]",
        "get [1 map[c:<nil>]], <nil>",
        "add 42, 1",
        "delete true, false",
        "take [1 map[c:<nil>]], <nil>",
        "left map[a:42]",
        "true, reserved: the application name 'held' is reserved",
        "released map[secret:true]",
        "owner me, expires in 1h3m0s",
        "managed true, <nil>",
        "ended 0 others, false",
        "true, denied: manager.count is refused: this application's grant is 'owners' (the setting manager of [session] and the \
         section [session.manager] in lemon.ini)",
        "true",
        "true, 403",
        "same true",
        "ended 1",
        "true, gone: the session has ended",
        "gone 409",
    ];
    let reply = server.get(&Client::new(), "/session");
    assert_eq!(reply.body.lines().collect::<Vec<_>>(), expected, "{}", server.log());
    let cookie = reply.set_cookie();
    assert_eq!(cookie.name, "session");
    assert_eq!((cookie.attribute("samesite"), cookie.attribute("httponly")), (Some("Strict"), None));
}

#[test]
fn a_handler_of_go_gets_the_request_and_gives_the_response() {
    let server = Launch::new("values-go").arg("--reuse=100").start();
    let visitor = Client::new();
    let long = "é".repeat(50_000);
    let url = server.url("/echo?a=1&b");
    // The same instance answers all of them, and its collector runs more than once.
    for _ in 0..60 {
        let reply =
            visitor.post_with(&url, &[("long", &long)], &[("x-two", "a"), ("x-two", "b"), ("host", "example.org")]);
        let length = "long=".len() + long.len() * 3;
        let (first, rest) = reply.body.split_once('\n').unwrap();
        assert_eq!(first, format!("POST /echo?a=1&b {length} [\"a\" \"b\"] \"example.org\""));
        assert_eq!(rest, format!("long={}", "%C3%A9".repeat(50_000)));
        assert_eq!(reply.headers("content-type"), ["text/plain; charset=utf-8"], "as net/http detects it");
    }
    let reply = server.get(&visitor, "/headers");
    assert_eq!(reply.status, 418, "the first status counts");
    assert_eq!(reply.headers("vary"), ["Accept, cookie"]);
    assert_eq!(reply.headers("cache-control"), ["no-store"], "the response sets a cookie");
    assert_eq!(server.get(&visitor, "/headers").headers("cache-control"), ["max-age=60"]);
    assert!(reply.headers("connection").is_empty(), "the connection is the host's");
}

/// What the pages in all languages say of defaults, flash messages, changes and another session of the owner.
const HANDY: [&str; 8] = [
    "false false",
    "default 1 1",
    "keys 1, true true",
    "saved false",
    "flashes saved error, then 0",
    "of the other 1",
    "of none 0",
    "InvalidName",
];

#[test]
fn defaults_flash_messages_and_other_sessions_are_the_same_in_all_languages() {
    for page in ["values", "values-python", "values-go", "values-js"] {
        let server = Server::start(page);
        assert_eq!(lines(&Client::new(), &server, "/handy"), HANDY, "{page}");
    }
}

#[test]
fn a_form_needs_a_token_where_the_request_does_not_tell_its_origin_in_all_languages() {
    for page in ["values", "values-python", "values-go", "values-js"] {
        let server = Server::start(page);
        let visitor = Client::new();
        let token = server.get(&visitor, "/form").body.trim().to_owned();
        let post = |visitor: &Client, fields: &[(&str, &str)]| {
            let reply = visitor.post_with(&server.url("/form"), &[], fields);
            (reply.status, reply.body)
        };
        let accepted = (200, "accepted\n".to_owned());
        assert_eq!(post(&visitor, &[("x-token", &token)]), accepted, "{page}");
        assert_eq!(post(&visitor, &[("sec-fetch-site", "same-origin")]), accepted, "{page}");
        for (visitor, fields) in [
            (&visitor, &[("x-token", "")][..]),
            (&visitor, &[]),
            (&Client::new(), &[("x-token", &token)]),
            (&visitor, &[("x-token", &token), ("sec-fetch-site", "cross-site")]),
            (&visitor, &[("x-token", &token), ("origin", "https://evil.example")]),
        ] {
            let (status, body) = post(visitor, fields);
            assert_eq!(status, 403, "{page}: {fields:?}");
            assert!(body.contains("cross-site: the request"), "{page}: {body}");
        }
        // What a client can send is no error of the page.
        assert_eq!(post(&visitor, &[("x-token", "\u{e9}".repeat(43).as_str())]).0, 403, "{page}");
    }
}

#[test]
fn a_variable_that_an_older_version_set_is_completed() {
    // encoding/json/v2 says either at random.
    let cannot = |line: String| line.replace("unable to", "cannot");
    let evolved =
        |page| -> Vec<_> { lines(&Client::new(), &Server::start(page), "/evolve").into_iter().map(cannot).collect() };
    assert_eq!(
        evolved("values-python"),
        [
            "Cart(items=['tea'], total=2, currency='EUR')",
            "{'items': ['tea'], 'total': 2, 'currency': 'EUR'}",
            "Cart.__init__() missing 1 required positional argument: 'total'",
        ]
    );
    let completed = r#"{"items":["tea"],"total":2,"currency":"EUR"}"#;
    assert_eq!(evolved("values-js"), [completed, completed]);
    assert_eq!(
        evolved("values-go"),
        [
            "{Items:[tea] Total:2 Currency:EUR}",
            "map[currency:EUR items:[tea] total:2]",
            "wrong-type: cart cannot be read as main.Cart: cannot unmarshal JSON string into Go int within \"/total\"",
        ]
    );
}

/// The header fields of a POST, and the status of the response. `HERE` stands for the server's address.
#[rustfmt::skip]
const SENT: [(&[(&str, &str)], u16); 24] = [
    // Not by a browser.
    (&[], 200),
    (&[("referer", "https://evil.example/")], 200),
    // Sec-Fetch-Site decides alone.
    (&[("sec-fetch-site", "same-origin")], 200),
    (&[("sec-fetch-site", "same-origin"), ("origin", "https://evil.example")], 200),
    (&[("sec-fetch-site", "none")], 200),
    (&[("sec-fetch-site", "cross-site")], 403),
    (&[("sec-fetch-site", "same-site"), ("origin", "http://HERE")], 403),
    (&[("sec-fetch-site", "")], 403),
    // Without it, Origin does.
    (&[("origin", "http://HERE")], 200),
    (&[("origin", "http://127.0.0.1")], 403),
    (&[("origin", "https://evil.example")], 403),
    (&[("origin", "null")], 403),
    (&[("origin", "")], 403),
    (&[("host", "example.org"), ("origin", "http://example.org")], 200),
    (&[("host", "example.org:80"), ("origin", "http://EXAMPLE.org")], 200),
    (&[("host", "example.org:8080"), ("origin", "http://example.org:8080")], 200),
    (&[("host", "example.org:8080"), ("origin", "http://example.org:8081")], 403),
    (&[("host", "example.org:8080"), ("origin", "http://example.org")], 403),
    (&[("host", "example.org"), ("origin", "http://example.org:8080")], 403),
    (&[("host", "example.org"), ("origin", "http://shop.example.org")], 403),
    (&[("host", "example.org"), ("origin", "http://example.org.evil.example")], 403),
    (&[("host", "example.org"), ("origin", "https://example.org"), ("x-forwarded-proto", "https")], 200),
    (&[("host", "example.org:8443"), ("origin", "https://example.org:8443"), ("x-forwarded-proto", "https")], 200),
    (&[("host", "example.org"), ("origin", "http://example.org"), ("x-forwarded-proto", "https")], 403),
];

#[test]
fn every_language_refuses_what_another_site_had_the_browser_send() {
    let launch = Launch::new("values").ini("[server]\ntrusted-proxies = 127.0.0.1\n");
    for page in ["values", "values-python", "values-js", "values-go"] {
        let server = launch.beside(page).start();
        let (visitor, url, here) = (Client::new(), server.url("/same-origin"), server.address.to_string());
        for (fields, status) in SENT {
            let values: Vec<_> = fields.iter().map(|(name, value)| (*name, value.replace("HERE", &here))).collect();
            let fields: Vec<_> = values.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let why = match fields.first() {
                Some(("sec-fetch-site", _)) => "Sec-Fetch-Site says so",
                _ => "its Origin does not match its Host, which a proxy must pass on",
            };
            let body = match status {
                200 => "from here\n".to_owned(),
                _ => format!("cross-site: the request comes from another origin: {why}\n"),
            };
            let reply = visitor.post_with(&url, &[], &fields);
            assert_eq!((reply.status, reply.body), (status, body), "{page}: {fields:?}");
            let read = visitor.get_with(&url, &fields);
            assert_eq!(read.status, 200, "a GET changes nothing: {page}: {fields:?}");
        }
    }
}

#[test]
fn c_refuses_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let (source, program, sdk) =
        (folder.path().join("main.c"), folder.path().join("main"), build::root().join("sdk/c"));
    fs::write(&source, "#include \"lemon_session.h\"\nint main(void) { return !session_is_same_origin(); }\n").unwrap();
    let mut cc = Command::new("cc");
    // Without the functions that use the bindings, which only a component can call.
    cc.args(["-std=c11", "-D_GNU_SOURCE", "-ffunction-sections", "-Wl,--gc-sections", "-I"]).arg(&sdk).arg(&source);
    assert!(cc.arg(sdk.join("lemon_session.c")).arg("-o").arg(&program).status().unwrap().success());
    for (fields, status) in SENT {
        let passes = |method: &str| {
            let mut request = Command::new(&program);
            request.env_clear().env("REQUEST_METHOD", method).env("HTTP_HOST", "127.0.0.1:8080");
            for (name, value) in fields {
                let variable = format!("HTTP_{}", name.to_ascii_uppercase().replace('-', "_"));
                request.env(variable, value.replace("HERE", "127.0.0.1:8080"));
            }
            request.status().unwrap().success()
        };
        assert_eq!(passes("POST"), status == 200, "{fields:?}");
        assert!(passes("GET"), "a GET changes nothing: {fields:?}");
    }
}

#[test]
fn the_page_of_the_guide_counts_in_every_language() {
    let launch = Launch::new("values");
    let pages = ["values-python", "values-js", "values-go"];
    let mut servers: Vec<_> = pages.iter().map(|page| launch.beside(page).start()).collect();
    servers.push(launch.start());
    let visitor = Client::new();
    for visit in 1..=8 {
        let body = servers[visit % servers.len()].get(&visitor, "/page").body;
        assert_eq!(body, format!("This is your visit no. {visit}\n"));
    }
}

#[test]
fn the_page_of_visits_is_the_same_in_every_language() {
    for page in ["visits", "visits-python", "visits-js", "visits-ts", "visits-go"] {
        let server = Server::start(page);
        let visitor = Client::new();
        let visit = |path: &str| server.get(&visitor, path).body;
        assert!(
            visit("/").contains("<h1>This is your first visit</h1>\n<p>Setting variable1 to 'Python Rules!'</p>"),
            "{page}"
        );
        assert!(visit("/").contains("<h1>Welcome back</h1>\n<p>variable1: Python Rules!</p>"), "{page}");
        let id = visitor.cookie("visits").expect("the cookie is kept");
        assert!(visit("/?destroy=True").contains("<h1>Welcome back</h1>"), "a GET ends nothing: {page}");
        let cross_site = visitor.post_with(&server.url("/"), &[], &[("sec-fetch-site", "cross-site")]);
        assert_eq!(cross_site.status, 403, "{page}: {cross_site:?}");
        assert!(visit("/").contains("<form method=\"post\"><button>Destroy session</button></form>"), "{page}");
        assert!(server.post(&visitor, "/", &[]).body.contains("<h1>Session Deleted</h1>"), "{page}");
        assert_eq!(visitor.cookie("visits"), None, "{page}");
        assert!(visit("/").contains("<h1>This is your first visit</h1>"), "{page}");
        assert_ne!(visitor.cookie("visits"), Some(id), "{page}");

        let https = Client::new().get_with(&server.url("/"), &[("x-forwarded-proto", "https")]).set_cookie();
        assert_eq!(https.attribute("secure"), None, "no proxy is trusted: {page}");
        let server = server.kill().ini("[server]\ntrusted-proxies = 127.0.0.1\n").start();
        let https = Client::new().get_with(&server.url("/"), &[("x-forwarded-proto", "https")]).set_cookie();
        assert!(https.attribute("secure").is_some(), "{page}");
    }
}

/// Runs the Python module with a stub of the session component that records the options.
const PYTHON: &str = r"
import sys
from unittest.mock import MagicMock

imports = MagicMock()
types = MagicMock(Err=type('Err', (Exception,), {}))
sys.modules.update({'componentize_py_types': types, 'wit_world': MagicMock(imports=imports), 'wit_world.imports': imports})
sys.path.insert(0, sys.argv[1])
import lemon_session

class Http:
    pass

def https(values):
    request = MagicMock()
    request.scheme.return_value = Http()
    request.headers().get = lambda name: [value.encode() for value in values] if name == 'x-forwarded-proto' else []
    lemon_session.start(request)
    of_request = imports.sessions.Options.call_args.kwargs['https']
    lemon_session.start({'HTTP_X_FORWARDED_PROTO': ', '.join(values)})
    return of_request, imports.sessions.Options.call_args.kwargs['https']

for values in sys.argv[2:]:
    print(*(str(https).lower() for https in https([value for value in values.split(';') if value])))
";

/// Does the same with the JavaScript module.
const JAVASCRIPT: &str = r"
const [, file, ...rows] = process.argv;
const { readFileSync } = await import('node:fs');
const imports = /^import .* from 'lemon:.*';$/mg;
const stub = 'let given; const manager = {}; const sessions = { start: function (options) { given = options; } };';
const source = readFileSync(file, 'utf8').replace(imports, '').replace(/^/, stub) + '; export const options = () => given;';
const { start, options } = await import('data:text/javascript,' + encodeURIComponent(source));
for (const row of rows) {
    const values = row.split(';').filter(value => value);
    const get = name => name === 'x-forwarded-proto' ? values.map(value => new TextEncoder().encode(value)) : [];
    start({ headers: () => ({ get }), scheme: () => ({ tag: 'HTTP' }) });
    const ofRequest = options().https;
    start(new Request('http://localhost/', { headers: values.map(value => ['x-forwarded-proto', value]) }));
    console.log(ofRequest, options().https);
}
";

#[test]
fn of_several_proxies_the_nearest_tells_whether_a_visitor_came_over_https() {
    // The cases of the Rust crate's test: `;` separates the values of several fields.
    let rows = ["https", "http;https", "http, https", "HTTPS", "", "http", "https;http", "https,http", "https, http"];
    let expected = [true, true, true, true, false, false, false, false, false];
    let expected: String = expected.map(|https| format!("{https} {https}\n")).concat();
    let languages = build::root().join("sdk");
    let python = (languages.join("python"), ["-c", PYTHON], "python3");
    let javascript = (languages.join("js/lemon-session.js"), ["--input-type=module", "--eval"], "node");
    for (module, flags, program) in [python, javascript] {
        if !is_there(program, &["--version"]) {
            continue;
        }
        let mut command = Command::new(program);
        command.args(flags);
        if program == "node" {
            command.args([JAVASCRIPT, "--"]);
        }
        let output = command.arg(module).args(rows).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), expected, "{program}: {output:?}");
    }
}

/// The entries about failures, in JSON.
fn failures(server: &Server) -> Vec<serde_json::Value> {
    let log = server.log();
    let entries = log.lines().map(|line| serde_json::from_str(line).expect("the log is JSON"));
    let of_guests = entries.filter(|entry: &serde_json::Value| entry["application"].is_string());
    of_guests.collect()
}

#[test]
fn an_exception_that_is_not_caught_is_one_entry_of_the_log() {
    for (language, cause) in
        [("python", "KeyError: '/nowhere' (File \""), ("js", "TypeError: "), ("go", "panic: nobody is here (")]
    {
        let server = Launch::new(&format!("values-{language}")).arg("--log-format=json").start();
        assert_eq!(server.get(&Client::new(), "/nowhere").status, 500);
        let [entry] = &failures(&server)[..] else { panic!("{}", server.log()) };
        assert_eq!((&entry["level"], &entry["method"]), (&"ERROR".into(), &"GET".into()), "{entry}");
        assert!(entry["request"].is_string() && entry["message"].as_str().unwrap().contains(cause), "{entry}");
    }
}

#[test]
fn an_exception_in_javascript_is_on_the_page_of_development_mode() {
    let server = Launch::new("values-js").arg("--dev").start();
    let failed = |accept| Client::new().get_with(&server.url("/nowhere"), &[("accept", accept)]);
    let page = failed("text/html");
    assert_eq!(page.status, 500);
    assert!(page.body.contains("answered 500 without a page") && page.body.contains("TypeError: "), "{}", page.body);
    assert!(failed("application/json").body.contains("no fetch-event handler"), "what the runtime answers");
}
