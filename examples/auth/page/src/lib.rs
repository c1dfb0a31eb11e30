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
use html_escape::encode_text;
use lemon_session::{
    Options, Result, Session, check_same_origin,
    wasi_http::{Request, Response},
};
use wasip2::http::types::{IncomingRequest, ResponseOutparam};

struct Site;

wasip2::http::proxy::export!(Site);

impl wasip2::exports::http::incoming_handler::Guest for Site {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        respond(&Request::new(&request)).unwrap_or_else(Response::from).send(out);
    }
}

fn page(html: String) -> Response {
    let title = "<title>Who are you?</title>\n<link rel=icon href=data:,>";
    Response::html(format!("<!DOCTYPE html>\n{title}\n{html}\n"))
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

fn respond(request: &Request) -> Result<Response> {
    // A form on another site could sign the visitor in as an attacker's account, which then gets the visitor's data.
    check_same_origin(request)?;
    let session = start(request)?;
    match (request.is_post(), request.path()) {
        (true, "/sign-in") => sign_in(session, request),
        (true, "/sign-out") => Ok(page(format!("<p>Signed out.</p>\n{SIGN_IN}")).headers(session.destroy()?)),
        (true, "/sign-out-everywhere") => {
            let others = if session.owner()?.is_some() { session.destroy_others()? } else { 0 };
            let html = format!("<p>Signed out, and in {others} other places.</p>\n{SIGN_IN}");
            Ok(page(html).headers(session.destroy()?))
        }
        // What a page gets that tries to sign a visitor in by itself.
        (_, "/forge") => {
            session.application("auth")?.set("user", "ada")?;
            Ok(page("<p>Forged.</p>".to_owned()).headers(session.save()?))
        }
        _ => hello(&session),
    }
}

fn start(request: &Request) -> Result<Session> {
    Options::new().app("page").start(request)
}

fn hello(session: &Session) -> Result<Response> {
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
    Ok(page(html).headers(session.save()?))
}

fn sign_in(mut session: Session, request: &Request) -> Result<Response> {
    let form = request.form()?;
    let field = |name: &str| form.get(name).unwrap_or_default();
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
    let html = match outcome {
        Outcome::SignedIn => format!("<p>Welcome, {}.</p>\n{SIGN_OUT}", encode_text(user)),
        Outcome::Early(seconds) => {
            let html = format!("<p>Too many attempts failed. Try again in {seconds} seconds.</p>\n{SIGN_IN}");
            return Ok(page(html).status(429).header("retry-after", seconds.to_string()));
        }
        Outcome::Wrong | Outcome::AnotherUser => format!("<p>That is not right.</p>\n{SIGN_IN}"),
    };
    Ok(page(html).headers(session.save()?))
}
