//! A page with a login, a form, and messages that are shown once.
//!
//! Every change is a POST that is answered with a redirect to the page, so that a reload repeats nothing.

mod page;

use std::collections::HashMap;

use http::request::Parts;
use lemon_session::{Headers, Result, Session, check_same_origin};
use wstd::http::{Body, Error, HeaderValue, Method, Request, Response, StatusCode};

const LONGEST_NAME: usize = 100;
const LONGEST_NOTE: usize = 200;
const MOST_NOTES: usize = 20;

type Form = HashMap<String, String>;

#[wstd::http_server]
async fn main(request: Request<Body>) -> Result<Response<Body>, Error> {
    let (request, mut body) = request.into_parts();
    let form = form_urlencoded::parse(body.contents().await?).into_owned().collect();
    Ok(respond(&request, &form).unwrap_or_else(|error| {
        eprintln!("{error}");
        html(error.status(), page::error(&error.to_string()))
    }))
}

fn respond(request: &Parts, form: &Form) -> Result<Response<Body>> {
    // A form on another site could log the visitor in under a name that is not the visitor's own.
    check_same_origin(request)?;
    match (request.method.clone(), request.uri.path()) {
        (Method::GET | Method::HEAD, "/") => show(&Session::start(request)?),
        (Method::POST, "/login") => login(&Session::start(request)?, &field(form, "name")),
        (Method::POST, "/notes") => note(&Session::start(request)?, &field(form, "note")),
        (Method::POST, "/logout") => redirect(Session::start(request)?.destroy()?),
        _ => Ok(html(404, page::error("There is no such page."))),
    }
}

fn show(session: &Session) -> Result<Response<Body>> {
    let user: Option<String> = session.get("user")?;
    let notes: Vec<String> = session.get("notes")?.unwrap_or_default();
    let messages: Vec<String> = session.flashes()?;
    let mut response = html(200, page::page(user.as_deref(), &notes, &messages));
    session.save()?.append_to_map(response.headers_mut())?;
    Ok(response)
}

fn login(session: &Session, name: &str) -> Result<Response<Body>> {
    if name.is_empty() || name.chars().count() > LONGEST_NAME {
        session.flash(&format!("Enter a name of 1 to {LONGEST_NAME} characters."))?;
    } else {
        // Any name is accepted here: check a password before this.
        session.authenticate(name, "name")?;
        session.set("user", name)?;
        session.flash(&format!("Welcome, {name}."))?;
    }
    redirect(session.save()?)
}

fn note(session: &Session, note: &str) -> Result<Response<Body>> {
    if !session.has_key("user")? {
        session.flash("Log in first.")?;
    } else if note.is_empty() || note.chars().count() > LONGEST_NOTE {
        session.flash(&format!("Enter a note of 1 to {LONGEST_NOTE} characters."))?;
    } else {
        let mut notes: Vec<String> = session.get("notes")?.unwrap_or_default();
        notes.push(note.to_owned());
        notes.drain(..notes.len().saturating_sub(MOST_NOTES));
        session.set("notes", &notes)?;
        session.flash("Your note is saved.")?;
    }
    redirect(session.save()?)
}

/// A field of the form without control characters, which no name may contain; empty if the form does not have it.
fn field(form: &Form, name: &str) -> String {
    form.get(name).map_or_else(String::new, |value| value.replace(char::is_control, " ").trim().to_owned())
}

fn html(status: u16, html: String) -> Response<Body> {
    let mut response = Response::new(html.into());
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert("content-type", HeaderValue::from_static("text/html; charset=utf-8"));
    response
}

fn redirect(headers: Headers) -> Result<Response<Body>> {
    let mut response = Response::new(().into());
    *response.status_mut() = StatusCode::SEE_OTHER;
    response.headers_mut().insert("location", HeaderValue::from_static("/"));
    headers.append_to_map(response.headers_mut())?;
    Ok(response)
}
