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

use example::auth::auth::{self, Outcome};
use example_http::{Request, answer, header};
use html_escape::encode_text;
use lemon_session::{Headers, Options, Result, Session, check_same_origin};
use wasip2::http::types::{IncomingRequest, ResponseOutparam};

struct Site;

wasip2::http::proxy::export!(Site);

impl wasip2::exports::http::incoming_handler::Guest for Site {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        match respond(&Request::new(&request)) {
            Ok(Page { status, headers, html }) => {
                let title = "<title>Who are you?</title>\n<link rel=icon href=data:,>";
                let html = format!("<!DOCTYPE html>\n{title}\n{html}\n");
                let html_type = header("content-type", "text/html; charset=utf-8");
                answer(out, status, headers.iter().chain([&html_type]), &html);
            }
            Err(error) => answer(out, error.status(), &[header("content-type", "text/plain")], &format!("{error}\n")),
        }
    }
}

struct Page {
    status: u16,
    headers: Vec<(String, String)>,
    html: String,
}

impl Page {
    fn new(headers: Headers, html: String) -> Self {
        Self { status: 200, headers: headers.into_iter().collect(), html }
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

fn respond(request: &Request) -> Result<Page> {
    // A form on another site could sign the visitor in as an attacker's account, which then gets the visitor's data.
    check_same_origin(request)?;
    let session = start(request)?;
    match (request.is_post(), request.path()) {
        (true, "/sign-in") => sign_in(session, request),
        (true, "/sign-out") => Ok(Page::new(session.destroy()?, format!("<p>Signed out.</p>\n{SIGN_IN}"))),
        (true, "/sign-out-everywhere") => {
            let others = if session.owner()?.is_some() { session.destroy_others()? } else { 0 };
            let html = format!("<p>Signed out, and in {others} other places.</p>\n{SIGN_IN}");
            Ok(Page::new(session.destroy()?, html))
        }
        // What a page gets that tries to sign a visitor in by itself.
        (_, "/forge") => {
            session.application("auth")?.set("user", "ada")?;
            Ok(Page::new(session.save()?, "<p>Forged.</p>".to_owned()))
        }
        _ => hello(&session),
    }
}

fn start(request: &Request) -> Result<Session> {
    Options::new().app("page").start(request)
}

fn hello(session: &Session) -> Result<Page> {
    let visits = session.add("visits", 1)?;
    let html = match auth::who(session.as_ref())? {
        None => format!("<p>Visit {visits} of an unknown visitor.</p>\n{SIGN_IN}"),
        Some(visitor) => format!(
            "<p>Visit {visits} of {}, signed in at {}, last seen at {}.</p>\n{SIGN_OUT}",
            encode_text(&visitor.user),
            visitor.signed_in,
            visitor.last_seen
        ),
    };
    Ok(Page::new(session.save()?, html))
}

fn sign_in(mut session: Session, request: &Request) -> Result<Page> {
    let form = request.form();
    let field = |name: &str| form.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value);
    let (user, password) = (field("user"), field("password"));
    let account = ACCOUNTS.lines().filter_map(|line| line.split_once(':')).find(|(name, _)| *name == user);
    let hash = account.map(|(_, hash)| hash);
    let mut outcome = auth::sign_in(session.as_ref(), user, password, hash)?;
    if matches!(outcome, Outcome::AnotherUser) {
        // Nothing that one user stored is left for the next one.
        let _ = session.destroy()?;
        session = start(request)?;
        outcome = auth::sign_in(session.as_ref(), user, password, hash)?;
    }
    match outcome {
        Outcome::SignedIn => {
            Ok(Page::new(session.save()?, format!("<p>Welcome, {}.</p>\n{SIGN_OUT}", encode_text(user))))
        }
        Outcome::Early(seconds) => Ok(Page {
            status: 429,
            headers: vec![header("retry-after", &seconds.to_string())],
            html: format!("<p>Too many attempts failed. Try again in {seconds} seconds.</p>\n{SIGN_IN}"),
        }),
        Outcome::Wrong | Outcome::AnotherUser => {
            Ok(Page::new(session.save()?, format!("<p>That is not right.</p>\n{SIGN_IN}")))
        }
    }
}
