//! A module built on sessions, beside a page that uses it.

use std::fs;

use lemon_session_tests::{Client, Launch, Reply, Server, build, client};

fn server() -> Server {
    let ini = fs::read_to_string(build::root().join("examples/auth/lemon.ini")).unwrap();
    let module = build::component("auth_module");
    Launch::new("auth_page").ini(&ini).arg("--with").arg(module.to_str().expect("a path of ours is text")).start()
}

fn sign_in(server: &Server, visitor: &Client, user: &str, password: &str) -> Reply {
    visitor.post(&server.url("/sign-in"), &[("user", user), ("password", password)])
}

fn post(server: &Server, visitor: &Client, path: &str) -> String {
    visitor.post(&server.url(path), &[]).body
}

#[test]
fn a_visitor_signs_in_under_a_new_id_and_out_again() {
    let server = server();
    let visitor = Client::new();
    let hello = |visitor: &Client| server.get(visitor, "/").body;
    assert!(hello(&visitor).contains("Visit 1 of somebody."), "{}", server.log());

    for (user, password) in [("ada", "wrong"), ("ada", ""), ("nobody", "analytical engine"), ("", "")] {
        assert!(sign_in(&server, &visitor, user, password).body.contains("That is not right."), "{user}");
    }
    assert!(hello(&visitor).contains("Visit 2 of somebody."));

    let before = visitor.cookie("page").expect("the cookie is kept");
    assert!(sign_in(&server, &visitor, "ada", "analytical engine").body.contains("Welcome, ada."));
    assert_ne!(visitor.cookie("page").expect("the cookie is kept"), before);
    assert!(hello(&visitor).contains("Visit 3 of ada, signed in at "), "the page's own variables stay");
    let stolen = client::get_with_cookie(&server.url("/"), &format!("page={before}"));
    assert!(stolen.body.contains("Visit 1 of somebody."), "the id from before is dead: {stolen:?}");

    assert!(post(&server, &visitor, "/sign-out").contains("Signed out."));
    assert!(hello(&visitor).contains("Visit 4 of somebody."));
}

#[test]
fn sign_out_everywhere_ends_the_other_sessions_of_the_user_alone() {
    let server = server();
    let visitors: Vec<_> = (0..3).map(|_| Client::new()).collect();
    for (visitor, (user, password)) in
        visitors.iter().zip([("ada", "analytical engine"), ("ada", "analytical engine"), ("grace", "first actual bug")])
    {
        assert!(sign_in(&server, visitor, user, password).body.contains(&format!("Welcome, {user}.")));
    }
    assert!(post(&server, &visitors[0], "/sign-out-everywhere").contains("in 1 other places"));
    assert!(server.get(&visitors[0], "/").body.contains("of somebody."));
    assert!(server.get(&visitors[1], "/").body.contains("of somebody."));
    assert!(server.get(&visitors[2], "/").body.contains("of grace, signed in at "));
}

#[test]
fn a_page_cannot_touch_what_the_module_remembers() {
    let server = server();
    let visitor = Client::new();
    let forged = |visitor: &Client| {
        let reply = server.get(visitor, "/forge");
        assert_eq!(reply.status, 403, "{reply:?}");
        assert!(reply.body.contains("the application name 'auth' is reserved"), "{reply:?}");
    };
    forged(&visitor);
    sign_in(&server, &visitor, "grace", "first actual bug");
    forged(&visitor);
    assert!(server.get(&visitor, "/").body.contains("of grace, signed in at "));
}

#[test]
fn a_module_that_the_application_does_not_use_is_refused_by_name() {
    let launch = Launch::new("visits");
    let (visits, module) = (build::component("visits"), build::component("auth_module"));
    let arguments = ["compose", visits.to_str().unwrap(), "--with", module.to_str().unwrap(), "-o", "out.wasm"];
    let output = launch.command(&arguments);
    assert_ne!(output.status, 0);
    assert!(
        output.stderr.contains("imports nothing of what the module exports: example:auth/auth@0.1.0"),
        "{output:?}"
    );
}
