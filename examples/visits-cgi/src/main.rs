//! A page that remembers its visitor, as a CGI program: the pages of examples/visits.

use lemon_session::{Cgi, Headers, Options, Request as _, Result, check_same_origin};

fn main() {
    match page() {
        Ok((headers, html)) => print!(
            "Content-Type: text/html; charset=utf-8\r\n{headers}\r\n\
             <!DOCTYPE html>\n<title>Visits</title>\n<link rel=icon href=data:,>\n{html}\n"
        ),
        Err(error) => print!("Status: {}\r\nContent-Type: text/plain\r\n\r\n{error}\n", error.status()),
    }
}

fn page() -> Result<(Headers, String)> {
    check_same_origin(&Cgi)?;
    let session = Options::new().app("visits").start(&Cgi)?;

    let html = if session.created() {
        session.set("variable1", "Python Rules!")?;
        "<h1>This is your first visit</h1>\n\
         <p>Setting variable1 to 'Python Rules!'</p>\n\
         <p>Refresh this page…</p>"
            .to_owned()
    } else if Cgi.method() == "POST" {
        return Ok((session.destroy()?, "<h1>Session Deleted</h1>".to_owned()));
    } else {
        let variable1 = session.get("variable1")?.unwrap_or("not set".to_owned());
        format!(
            "<h1>Welcome back</h1>\n\
             <p>variable1: {}</p>\n\
             <form method=\"post\"><button>Destroy session</button></form>",
            html_escape::encode_text(&variable1)
        )
    };
    Ok((session.save()?, html))
}
