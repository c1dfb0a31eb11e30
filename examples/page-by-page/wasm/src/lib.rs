//! The page in WebAssembly. Its application, cookie and store are those of `lemon.ini`.

#[path = "../../values.rs"]
mod values;

use std::fmt::Write as _;

use lemon_session::{
    Result, Session, Value, check_same_origin,
    wasi_http::{Form, Request, Response},
};
use wasip2::http::types::{IncomingRequest, ResponseOutparam};

struct Page;

wasip2::http::proxy::export!(Page);

impl wasip2::exports::http::incoming_handler::Guest for Page {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        respond(&Request::new(&request)).unwrap_or_else(Response::from).send(out);
    }
}

fn respond(request: &Request) -> Result<Response> {
    check_same_origin(request)?;
    let session = Session::start(request)?;
    let body = match (request.path(), request.is_post()) {
        ("/", false) => page(&session)?,
        ("/set", true) => {
            let form = request.form()?;
            session.set(field(&form, "name"), field(&form, "value"))?;
            "set\n".to_owned()
        }
        ("/login", true) => login(&session, field(&request.form()?, "user"))?,
        ("/logout", true) => return Ok(Response::text("goodbye\n").headers(session.destroy()?)),
        ("/values", true) => {
            values::values().iter().try_for_each(|(name, value)| session.set_value(name, value))?;
            "set\n".to_owned()
        }
        ("/values", false) => compare_values(&session)?,
        (path, _) => return Ok(Response::text(format!("there is no page {path} for this method\n")).status(404)),
    };
    Ok(Response::text(body).headers(session.save()?))
}

fn page(session: &Session) -> Result<String> {
    if session.created() {
        return Ok("no session\n".to_owned());
    }
    let mut lines = String::new();
    for (name, value) in session.entries()? {
        let _ = match value {
            Value::Text(text) => writeln!(lines, "{name}: {text}"),
            other => writeln!(lines, "{name}: {other:?}"),
        };
    }
    Ok(lines)
}

fn field<'a>(form: &'a Form, name: &str) -> &'a str {
    form.get(name).unwrap_or_default()
}

fn login(session: &Session, user: &str) -> Result<String> {
    session.regenerate_id()?;
    session.set_owner(Some(user))?;
    session.set("user", user)?;
    Ok(format!("welcome, {user}\n"))
}

fn compare_values(session: &Session) -> Result<String> {
    let mut different = Vec::new();
    for (name, value) in values::values() {
        if session.get_value(name)? != Some(value) {
            different.push(name);
        }
    }
    Ok(format!("different: {}\n", if different.is_empty() { "none".to_owned() } else { different.join(" ") }))
}
