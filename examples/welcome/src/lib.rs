//! The page that `make run` serves: it explains sessions to a newcomer, and lets the visitor try them.
//!
//! GET shows the page. Every change is a POST, which is answered with a redirect to the page, so that a reload repeats nothing.

mod page;

use lemon_session::{
    Error, Headers, Options, Result, Session, Value, check_same_origin,
    wasi_http::{Form, Request, Response},
};
use page::{Page, Visit, explain};
use wasip2::http::types::{IncomingRequest, ResponseOutparam};

/// The application under whose name the page keeps what it has to say next: the variables of `welcome` are the visitor's alone.
const NOTES: &str = "welcome-notes";

struct Welcome;

wasip2::http::proxy::export!(Welcome);

impl wasip2::exports::http::incoming_handler::Guest for Welcome {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let refuse = |error: Error| html(page::refusal(&explain(&error))).status(error.status());
        respond(&Request::new(&request)).unwrap_or_else(refuse).send(out);
    }
}

fn html(html: String) -> Response {
    Response::html(html).header("content-security-policy", page::POLICY)
}

fn redirect(headers: Headers, to: &str) -> Response {
    Response::text("").status(303).header("location", to).headers(headers)
}

fn respond(request: &Request) -> Result<Response> {
    check_same_origin(request)?;
    match (request.is_post(), request.path()) {
        (true, "/destroy") => Ok(redirect(start(request)?.destroy()?, "/?destroyed")),
        (true, "/set" | "/delete" | "/count" | "/login" | "/logout") => change(request),
        (false, "/") => show(request),
        _ => Ok(html(page::refusal("There is no such page.")).status(404)),
    }
}

fn start(request: &Request) -> Result<Session> {
    Options::new().app("welcome").start(request)
}

fn show(request: &Request) -> Result<Response> {
    let session = start(request)?;
    let notes = session.application(NOTES)?;
    let (notice, error) = (notes.take("notice")?, notes.take("error")?);
    let headers = save(&session)?;
    let visit = match (session.created(), request.parameter("destroyed")) {
        (true, Some(_)) => Visit::AfterDestroy,
        (true, None) => Visit::First,
        (false, _) => Visit::Return,
    };
    let page = Page {
        visit,
        notice,
        error,
        cookie: notes.get("cookie")?,
        digest: session.digest(),
        owner: session.owner()?,
        variables: session.entries()?,
    };
    Ok(html(page.html()).headers(headers))
}

/// Does what a form asks for. What the visitor has to correct is a notice too: a save that was refused changes nothing.
fn change(request: &Request) -> Result<Response> {
    let session = start(request)?;
    let form = request.form()?;
    let notes = session.application(NOTES)?;
    match act(&session, request.path(), &form) {
        Ok(notice) => notes.set("notice", &notice)?,
        Err(error @ (Error::InvalidName(_) | Error::InvalidValue(_) | Error::TooLarge(_))) => {
            notes.set("error", &explain(&error))?;
        }
        Err(error) => return Err(error),
    }
    Ok(redirect(save(&session)?, "/"))
}

/// Changes the session, or fails before any change; returns what to tell the visitor.
fn act(session: &Session, action: &str, form: &Form) -> Result<String> {
    let field = |name: &str| form.get(name).unwrap_or_default();
    let name = field("name");
    Ok(match action {
        "/set" => {
            session.set_value(name, &value(field("type"), field("value"))?)?;
            format!("The variable {name} is set. It was stored before this page was sent.")
        }
        "/delete" => {
            session.delete(name)?;
            format!("The variable {name} is deleted.")
        }
        "/count" => {
            let count = session.add("count", 1)?;
            format!("The variable count is {count} now. Concurrent requests lose none of its additions.")
        }
        "/login" => {
            session.set_owner(Some(name))?;
            session.regenerate_id()?;
            format!(
                "You are logged in as {name}. set-owner recorded whose session this is. regenerate-id gave it a new id, and the \
                 cookie was sent again: a copy of the old id is worthless now. Your variables stayed."
            )
        }
        _ => {
            session.set_owner(None)?;
            session.regenerate_id()?;
            "You are logged out: the session has no owner and a new id again. Most sites destroy the session instead."
                .to_owned()
        }
    })
}

/// The value that a form stands for.
fn value(kind: &str, text: &str) -> Result<Value> {
    let refuse = || Error::InvalidValue(format!("it does not have the type {kind}"));
    Ok(match kind {
        "integer" => Value::Integer(text.parse().map_err(|_| refuse())?),
        "real" => Value::Real(text.parse().map_err(|_| refuse())?),
        "boolean" => Value::Boolean(text.parse().map_err(|_| refuse())?),
        "JSON" => Value::Json(text.to_owned()),
        _ => Value::Text(text.to_owned()),
    })
}

/// Saves, and keeps the attributes of a cookie that is sent so that later pages can show them: browsers return a cookie's name
/// and value alone. The value, which is the session's id, is not kept.
fn save(session: &Session) -> Result<Headers> {
    let headers = session.save()?;
    if let Some((_, cookie)) = headers.iter().find(|(name, _)| name == "set-cookie") {
        let (name, rest) = cookie.split_once('=').unwrap_or((cookie, ""));
        let attributes = rest.split_once(';').map_or("", |(_, attributes)| attributes);
        session.application(NOTES)?.set("cookie", &format!("{name};{attributes}"))?;
        // All headers are those that the first save returned.
        let _ = session.save()?;
    }
    Ok(headers)
}
