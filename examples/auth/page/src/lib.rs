//! A page whose visitors sign in, as "ada" with "analytical engine" or as "grace" with "first actual bug", and see on which devices
//! they are signed in.
//!
//! Who they are is the business of the module beside it; that module's variables are out of this page's reach. Every change is a
//! POST that is answered with a redirect, so that a reload repeats nothing.

mod html;

wit_bindgen::generate!({
    path: "../wit",
    world: "example:auth/page",
    with: {
        "lemon:session/types@0.1.0": lemon_session::bindings::lemon::session::types,
        "lemon:session/sessions@0.1.0": lemon_session::bindings::lemon::session::sessions,
        "lemon:session/manager@0.1.0": lemon_session::bindings::lemon::session::manager,
    },
});

use example::auth::auth::{self, Outcome, Visitor};
use lemon_session::{
    Headers, Location, Options, Result, Session, check_same_origin, manager,
    wasi_http::{Form, Request, Response},
};
use wasip2::http::types::{IncomingRequest, ResponseOutparam};

/// The users and what is kept of their passwords: made by the module's `hash`.
const ACCOUNTS: &str = include_str!("../accounts.txt");
/// How long a visitor who wants to be remembered stays signed in without a visit: 30 days.
const REMEMBERED: u32 = 30 * 24 * 60 * 60;
/// How many seconds after a sign-in other devices can be signed out without the password.
const FRESH: u32 = 10 * 60;

struct Site;

wasip2::http::proxy::export!(Site);

impl wasip2::exports::http::incoming_handler::Guest for Site {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        respond(&Request::new(&request)).unwrap_or_else(Response::from).send(out);
    }
}

fn respond(request: &Request) -> Result<Response> {
    // A form on another site could sign the visitor in as an attacker's account, which then gets the visitor's data.
    check_same_origin(request)?;
    let session = start(request)?;
    if !request.is_post() {
        return match request.path() {
            "/devices" => devices(&session),
            // What a page gets that tries to sign a visitor in by itself.
            "/forge" => session.application("auth")?.set("user", "ada").map(|()| Response::text("Forged.")),
            _ => home(&session),
        };
    }
    let form = request.form()?;
    match (request.path(), auth::who(session.as_ref())?) {
        ("/sign-in", _) => sign_in(session, request, &form),
        ("/sign-out", _) => redirect("/", session.destroy()?),
        ("/devices/label", Some(_)) => label(&session, &form),
        ("/devices/end" | "/devices/end-others", Some(_)) if !session.fresh_within(FRESH)? => {
            page(&session, "Enter your password again", html::sign_in(session.owner()?.as_deref()))
        }
        ("/devices/end", Some(visitor)) => end(&session, &visitor, &form),
        ("/devices/end-others", Some(_)) => {
            let others = session.destroy_others()?;
            session.flash(&format!("Signed out on {others} other devices."))?;
            redirect("/devices", session.save()?)
        }
        _ => redirect("/", session.save()?),
    }
}

fn start(request: &Request) -> Result<Session> {
    Options::new().app("page").start(request)
}

fn home(session: &Session) -> Result<Response> {
    let visits = session.add("visits", 1)?;
    let body = match auth::who(session.as_ref())? {
        None => format!("<p>Visit {visits} of an unknown visitor.</p>\n{}", html::sign_in(None)),
        Some(visitor) => html::home(visits, &visitor),
    };
    page(session, "Who are you?", body)
}

fn devices(session: &Session) -> Result<Response> {
    let Some(visitor) = auth::who(session.as_ref())? else { return redirect("/", session.save()?) };
    let list = manager::list(&Location::default(), Some(&visitor.user), None, 100)?;
    page(session, "Your devices", html::devices(&list.entries, &session.digest()))
}

fn label(session: &Session, form: &Form) -> Result<Response> {
    let label: String =
        form.get("label").unwrap_or_default().chars().filter(|char| !char.is_control()).take(60).collect();
    session.set_label(Some(label.trim()).filter(|label| !label.is_empty()))?;
    redirect("/devices", session.save()?)
}

fn end(session: &Session, visitor: &Visitor, form: &Form) -> Result<Response> {
    let digest = form.get("digest").unwrap_or_default();
    let is_one = digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit());
    let has_ended = is_one && manager::destroy(&Location::default(), digest, Some(&visitor.user))?;
    session.flash(if has_ended { "That device is signed out." } else { "That device was signed out already." })?;
    redirect("/devices", session.save()?)
}

fn sign_in(mut session: Session, request: &Request, form: &Form) -> Result<Response> {
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
    match outcome {
        Outcome::SignedIn => {
            if !field("remember").is_empty() {
                session.remember(REMEMBERED)?;
            }
            session.flash(&format!("Welcome, {user}."))?;
            redirect("/", session.save()?)
        }
        Outcome::Early(seconds) => {
            let body =
                format!("<p>Too many attempts failed. Try again in {seconds} seconds.</p>\n{}", html::sign_in(None));
            Ok(Response::html(html::page("Who are you?", &[], &body))
                .status(429)
                .header("retry-after", seconds.to_string()))
        }
        Outcome::Wrong | Outcome::AnotherUser => {
            page(&session, "Who are you?", format!("<p>That is not right.</p>\n{}", html::sign_in(None)))
        }
    }
}

/// A page, with the messages that wait for the visitor.
fn page(session: &Session, title: &str, body: String) -> Result<Response> {
    let messages = session.flashes()?;
    Ok(Response::html(html::page(title, &messages, &body)).headers(session.save()?))
}

fn redirect(to: &str, headers: Headers) -> Result<Response> {
    Ok(Response::text("").status(303).header("location", to).headers(headers))
}
