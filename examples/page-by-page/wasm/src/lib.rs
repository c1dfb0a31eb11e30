//! The page in WebAssembly. Its application, cookie and store are those of `lemon.ini`.

#[path = "../../values.rs"]
mod values;

use std::fmt::Write as _;

use example_http::{Request, answer};
use lemon_session::{Headers, Result, Session, Value, check_same_origin};
use wasip2::http::types::{IncomingRequest, ResponseOutparam};

struct Page;

wasip2::http::proxy::export!(Page);

impl wasip2::exports::http::incoming_handler::Guest for Page {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        match respond(&Request::new(&request)) {
            Ok((status, headers, body)) => answer(out, status, &headers, &body),
            Err(error) => answer(out, error.status(), &[], &format!("{error}\n")),
        }
    }
}

/// The status, the headers of the session and the body of the response.
fn respond(request: &Request) -> Result<(u16, Headers, String)> {
    check_same_origin(request)?;
    let session = Session::start(request)?;
    let body = match (request.path(), request.is_post()) {
        ("/", false) => page(&session)?,
        ("/set", true) => {
            let form = request.form();
            session.set(field(&form, "name"), field(&form, "value"))?;
            "set\n".to_owned()
        }
        ("/login", true) => login(&session, field(&request.form(), "user"))?,
        ("/logout", true) => return Ok((200, session.destroy()?, "goodbye\n".to_owned())),
        ("/values", true) => {
            values::values().iter().try_for_each(|(name, value)| session.set_value(name, value))?;
            "set\n".to_owned()
        }
        ("/values", false) => compare_values(&session)?,
        (path, _) => return Ok((404, Headers::default(), format!("there is no page {path} for this method\n"))),
    };
    Ok((200, session.save()?, body))
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

fn field<'a>(form: &'a [(String, String)], name: &str) -> &'a str {
    form.iter().find(|(field, _)| field == name).map_or("", |(_, value)| value)
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
