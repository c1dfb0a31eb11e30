//! Several applications in one `lemon-session serve`.

use std::fs;

use lemon_session_tests::{Client, Launch, Server, build, cgi::print};

fn shop_and_blog(ini: &str) -> Server {
    Launch::mounted().ini(ini).mount("/shop", "visits-cgi").mount("/blog", "visits").start()
}

#[test]
fn mounts_share_one_session_when_lemon_ini_says_so() {
    let server = Launch::mounted()
        .ini("[session.cookie]\nname = site\n")
        .mount("/shop", "visits-cgi")
        .mount("/blog", "visits")
        .start();
    let visitor = Client::new();
    let first = server.get(&visitor, "/shop/");
    assert!(first.body.contains("This is your first visit"), "{first:?}");
    let cookie = first.set_cookie();
    assert_eq!(cookie.name, "site");
    let blog = server.get(&visitor, "/blog/");
    assert!(blog.body.contains("variable1: Python Rules!"), "the same application's variables: {blog:?}");
    assert!(server.post(&visitor, "/blog/", &[]).body.contains("Session Deleted"));
    assert!(server.get(&visitor, "/shop/").body.contains("This is your first visit"), "they end together");

    // Of another application's variables there are none, in the same session.
    let counter = Launch::mounted()
        .ini("[session.cookie]\nname = site\n")
        .mount("/", "counter")
        .mount("/shop", "visits-cgi")
        .start();
    let visitor = Client::new();
    let id = counter.get(&visitor, "/set?key=variable1&value=counted").set_cookie().value;
    assert!(counter.get(&visitor, "/shop").body.contains("variable1: not set"));
    assert_eq!(visitor.cookie("site"), Some(id));
    assert_eq!(counter.get(&visitor, "/get?key=variable1").body, "counted\n");
}

#[test]
fn mounts_have_sessions_of_their_own_when_their_names_differ() {
    let server = Launch::mounted().mount("/", "counter").mount("/shop", "visits-cgi").start();
    let visitor = Client::new();
    server.get(&visitor, "/");
    server.get(&visitor, "/shop");
    assert!(visitor.cookie("counter").is_some() && visitor.cookie("visits").is_some());
    assert_ne!(visitor.cookie("counter"), visitor.cookie("visits"));
}

#[test]
fn the_longest_path_wins_and_the_rest_is_path_info() {
    let server = Launch::mounted().mount("/", "visits").mount("/a", "rogue-cgi").mount("/a/b", "rogue").start();
    let reply = server.get(&Client::new(), "/a/environment");
    assert!(reply.body.contains("SCRIPT_NAME=/a\n") && reply.body.contains("PATH_INFO=/environment\n"), "{reply:?}");
    assert!(server.get(&Client::new(), "/ab").body.contains("first visit"), "a part of a name is another path");
    assert_eq!(server.get(&Client::new(), "/a").body, "well\n");
    // A component of wasi:http sees the whole path: /a/b/trap, of which it knows nothing.
    assert_eq!(server.get(&Client::new(), "/a/b/trap").body, "well\n");
}

#[test]
fn where_nothing_is_mounted_nothing_is_found() {
    let server = shop_and_blog("");
    for path in ["/", "/shopping", "/other"] {
        let reply = server.get(&Client::new(), path);
        assert_eq!(reply.status, 404, "{path}: {reply:?}");
    }
}

#[test]
fn local_redirects_lead_from_one_mount_to_another() {
    let server = Launch::mounted().mount("/a", "rogue-cgi").mount("/b", "visits").start();
    let reply = server.get(&Client::new(), &format!("/a{}", print("Location: /b/\n\n")));
    assert!(reply.body.contains("This is your first visit"), "{reply:?}");
    assert_eq!(reply.set_cookie().name, "visits");
    assert_eq!(server.get(&Client::new(), &format!("/a{}", print("Location: /c\n\n"))).status, 404);
}

#[test]
fn the_greeting_names_what_is_mounted_where() {
    let server = shop_and_blog("");
    assert!(server.greeting.starts_with("Serving /shop="), "{}", server.greeting);
    assert!(server.greeting.contains(", /blog="), "{}", server.greeting);
}

#[test]
fn a_module_is_joined_with_those_that_import_it() {
    let ini = fs::read_to_string(build::root().join("examples/auth/lemon.ini")).unwrap();
    let with = format!("--with={}", build::component("auth_module").display());
    let server = Launch::mounted().ini(&ini).arg(&with).mount("/", "auth_page").mount("/shop", "visits-cgi").start();
    assert!(server.get(&Client::new(), "/").body.contains("Visit 1 of an unknown visitor."));
    assert!(server.get(&Client::new(), "/shop").body.contains("This is your first visit"));

    let launch = Launch::new("visits");
    let visits = build::component("visits");
    let output = launch.command(&["serve", visits.to_str().unwrap(), &with, "--addr", "127.0.0.1:0"]);
    assert_eq!(output.status, 1, "{output:?}");
    assert!(output.stderr.contains("imports none of the interfaces that the module exports"), "{output:?}");
}

#[test]
fn impossible_mounts_are_refused_with_2_and_named() {
    let launch = Launch::new("visits");
    fs::copy(build::component("visits"), launch.folder().join("v.wasm")).unwrap();
    for (arguments, named) in [
        (&["--mount", "/a=v.wasm", "--mount", "/a/=w.wasm"][..], &["/a=v.wasm", "/a=w.wasm"][..]),
        (&["v.wasm", "--mount", "/=w.wasm"], &["/=v.wasm", "/=w.wasm"]),
        (&["--mount", "a=v.wasm"], &["/shop=shop.wasm"]),
        (&["--mount", "/../a=v.wasm"], &[".."]),
        (&[], &["APP.wasm"]),
    ] {
        let output = launch.command(&[&["serve", "--addr", "127.0.0.1:0"], arguments].concat());
        assert_eq!(output.status, 2, "{output:?}");
        for name in named {
            assert!(output.stderr.contains(name), "{name}: {output:?}");
        }
    }
    assert!(!launch.folder().join("sessions.db").exists(), "nothing was begun");
}

#[test]
fn what_exports_nothing_to_serve_is_refused() {
    let launch = Launch::new("visits");
    fs::write(launch.folder().join("nothing.wasm"), b"\0asm\x0d\0\x01\0").unwrap();
    let output = launch.command(&["serve", "nothing.wasm", "--addr", "127.0.0.1:0"]);
    assert_eq!(output.status, 1, "{output:?}");
    assert!(output.stderr.contains("wasi:http/incoming-handler"), "{output:?}");
}
