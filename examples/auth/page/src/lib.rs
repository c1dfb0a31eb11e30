//! A page whose visitors sign in, as "ada" with "analytical engine" or as "grace" with "first actual bug".
//!
//! Who they are is the business of the module beside it; that module's variables are out of this page's reach.

wit_bindgen::generate!({
    path: "../wit",
    world: "example:auth/page",
    with: {
        "lemon:session/types@0.1.0": lemon_session::bindings::lemon::session::types,
        "lemon:session/sessions@0.1.0": lemon_session::bindings::lemon::session::sessions,
        "lemon:session/manager@0.1.0": lemon_session::bindings::lemon::session::manager,
    },
});

use example::auth::auth;
use example_http::{Request, answer, header};
use html_escape::encode_text;
use lemon_session::{Headers, Options, Result, Session};
use wasip2::http::types::{IncomingRequest, ResponseOutparam};

struct Page;

wasip2::http::proxy::export!(Page);

impl wasip2::exports::http::incoming_handler::Guest for Page {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        match respond(&Request::new(&request)) {
            Ok((headers, html)) => {
                let html = format!("<!DOCTYPE html>\n<title>Who are you?</title>\n{html}\n");
                answer(out, 200, headers.iter().chain([&header("content-type", "text/html; charset=utf-8")]), &html);
            }
            Err(error) => answer(out, error.status(), &[], &format!("{error}\n")),
        }
    }
}

/// The users and what is kept of their passwords: made by the module's `hash`.
const ACCOUNTS: &str = include_str!("../accounts.txt");

const SIGN_IN: &str = "<form method=\"post\" action=\"/sign-in\">\n\
     <p><input name=\"user\" placeholder=\"Name\"> <input name=\"password\" type=\"password\" placeholder=\"Password\">\n\
     <button>Sign in</button></p>\n\
     </form>";

const SIGN_OUT: &str = "<form method=\"post\">\n\
     <p><button formaction=\"/sign-out\">Sign out</button>\n\
     <button formaction=\"/sign-out-everywhere\">Sign out everywhere</button></p>\n\
     </form>";

fn respond(request: &Request) -> Result<(Headers, String)> {
    let session = Options::new().app("page").start(request)?;
    let html = match (request.is_post(), request.path()) {
        (true, "/sign-in") => sign_in(&session, request)?,
        (true, "/sign-out") => {
            auth::sign_out(session.as_ref())?;
            format!("<p>Signed out.</p>\n{SIGN_IN}")
        }
        (true, "/sign-out-everywhere") => {
            let others = auth::sign_out_everywhere(session.as_ref())?;
            format!("<p>Signed out, and in {others} other places.</p>\n{SIGN_IN}")
        }
        // What a page gets that tries to make itself somebody.
        (_, "/forge") => {
            session.application("auth")?.set("user", "ada")?;
            "<p>Forged.</p>".to_owned()
        }
        _ => hello(&session)?,
    };
    Ok((session.save()?, html))
}

fn hello(session: &Session) -> Result<String> {
    let visits = session.add("visits", 1)?;
    Ok(match auth::who(session.as_ref())? {
        None => format!("<p>Visit {visits} of somebody.</p>\n{SIGN_IN}"),
        Some(visitor) => format!(
            "<p>Visit {visits} of {}, signed in at {}, last seen at {}.</p>\n{SIGN_OUT}",
            encode_text(&visitor.user),
            visitor.signed_in,
            visitor.last_seen
        ),
    })
}

fn sign_in(session: &Session, request: &Request) -> Result<String> {
    let form = request.form();
    let field = |name: &str| form.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value);
    let (user, password) = (field("user"), field("password"));
    let hash = ACCOUNTS.lines().filter_map(|line| line.split_once(':')).find(|(name, _)| *name == user);
    if auth::sign_in(session.as_ref(), user, password, hash.map(|(_, hash)| hash))? {
        Ok(format!("<p>Welcome, {}.</p>\n{SIGN_OUT}", encode_text(user)))
    } else {
        Ok(format!("<p>That is not right.</p>\n{SIGN_IN}"))
    }
}
