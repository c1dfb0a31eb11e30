//! Routes of examples/counter as a CGI program. What they share with it, they do alike: `/set`, `/slow-set`, `/get`, `/keys`,
//! `/add` and `/destroy`.

use std::{borrow::Cow, env, thread::sleep, time::Duration};

use lemon_session::{Cgi, Error, Headers, Options, Result, Session};

fn main() {
    match respond() {
        Ok((status, headers, body)) => print!("Status: {status}\r\nContent-Type: text/plain\r\n{headers}\r\n{body}\n"),
        Err(error) => print!("Status: {}\r\nContent-Type: text/plain\r\n\r\n{error}\n", error.status()),
    }
}

fn respond() -> Result<(u16, Headers, String)> {
    let query = env::var("QUERY_STRING").unwrap_or_default();
    let session = Options::new().app("counter").start(&Cgi)?;
    let key = || parameter(&query, "key");
    let body = match env::var("PATH_INFO").unwrap_or_default().as_str() {
        "/set" => set(&session, &query)?,
        "/slow-set" => {
            if let Ok(begun) = parameter(&query, "begun") {
                session.set(&begun, "true")?;
                // Who watches for it has the cookie already.
                let _ = session.save()?;
            }
            sleep(Duration::from_millis(number(&query, "ms")?));
            set(&session, &query)?
        }
        "/get" => match session.get(&key()?)? {
            Some(text) => text,
            None => return Ok((404, session.save()?, "no such variable".to_owned())),
        },
        "/keys" => session.keys()?.join("\n"),
        "/add" => session.add(&key()?, number(&query, "delta")?)?.to_string(),
        "/destroy" => return Ok((200, session.destroy()?, "destroyed".to_owned())),
        path => return Ok((404, Headers::default(), format!("there is no route {path}"))),
    };
    Ok((200, session.save()?, body))
}

fn set(session: &Session, query: &str) -> Result<String> {
    session.set(&parameter(query, "key")?, &*parameter(query, "value")?)?;
    Ok("set".to_owned())
}

fn parameter<'a>(query: &'a str, name: &str) -> Result<Cow<'a, str>> {
    let value = form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name);
    value.map(|(_, value)| value).ok_or_else(|| Error::InvalidOption(format!("the parameter {name} is missing")))
}

fn number<T: std::str::FromStr>(query: &str, name: &str) -> Result<T> {
    parameter(query, name)?.parse().map_err(|_| Error::InvalidValue(format!("{name} is no number")))
}
