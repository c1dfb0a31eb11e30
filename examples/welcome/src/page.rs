//! The page as HTML. It has no scripts and loads nothing; its policy forbids both.

use html_escape::encode_double_quoted_attribute as escape;
use lemon_session::{Error, Value};

/// The `Content-Security-Policy` of every page.
pub const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'self'; base-uri 'none'; \
                          frame-ancestors 'none'";

const DOCS: &str = "https://github.com/lemon-session/lemon-session/blob/main";

/// What the request says of the session.
pub enum Visit {
    First,
    AfterDestroy,
    Return,
}

/// What the page shows.
pub struct Page {
    pub visit: Visit,
    pub notice: Option<String>,
    pub error: Option<String>,
    /// The name and the attributes of the cookie, as `name; Path=/; HttpOnly`; none if another application set it.
    pub cookie: Option<String>,
    pub digest: String,
    pub owner: Option<String>,
    pub variables: Vec<(String, Value)>,
}

impl Page {
    pub fn html(&self) -> String {
        let (happened, cookie, variables, login) = (self.happened(), self.cookie(), self.variables(), self.login());
        layout(&format!("{happened}\n{cookie}\n{variables}\n{login}\n{END}\n{}", links()))
    }

    fn happened(&self) -> String {
        let name = self.cookie.as_deref().and_then(|cookie| cookie.split(';').next()).unwrap_or("of this site");
        let name = escape(name);
        let begun = format!(
            "a session was begun: it was stored under a random id, and this page set the cookie <b>{name}</b> to that id. \
             <a href=\"/\">Reload the page</a>, and the cookie comes back."
        );
        let text = match self.visit {
            Visit::First => {
                format!("This is your first visit. Your browser sent no cookie of a live session, so {begun}")
            }
            Visit::AfterDestroy => format!(
                "Your session was destroyed: its variables were removed from the store, and your browser was told to delete the \
                 cookie. This request is again the first of a visitor, so {begun}"
            ),
            Visit::Return => format!(
                "The cookie <b>{name}</b> came back. Its value is the id of your session, by which the server found your \
                 variables. They never left the server: the cookie holds the id and nothing else."
            ),
        };
        let message = |class: &str, text: &Option<String>| match text {
            Some(text) => format!("<p class=\"{class}\" role=\"status\">{}</p>\n", escape(text)),
            None => String::new(),
        };
        let (notice, error) = (message("notice", &self.notice), message("error", &self.error));
        format!("{notice}{error}<section>\n<h2>What just happened</h2>\n<p>{text}</p>\n</section>")
    }

    fn cookie(&self) -> String {
        let Some(cookie) = &self.cookie else {
            return "<section>\n<h2>The cookie</h2>\n<p>Another application of this site set it.</p>\n</section>"
                .to_owned();
        };
        let (name, attributes) = cookie.split_once(';').unwrap_or((cookie, ""));
        let value = |attribute: &str, absent: &str| {
            let mut pairs = attributes.split(';').map(|pair| pair.split_once('=').unwrap_or((pair, "yes")));
            let found = pairs.find(|(name, _)| name.trim().eq_ignore_ascii_case(attribute));
            found.map_or(absent, |(_, value)| value).to_owned()
        };
        let max_age = value("max-age", "until the browser closes");
        let rows = [
            ("Name", name.to_owned(), "The name of the application, unless configured."),
            ("Path", value("path", "none"), "The part of the site that the cookie is sent to."),
            ("HttpOnly", value("httponly", "no"), "Keeps the cookie from scripts."),
            ("SameSite", value("samesite", "none"), "Lax: forms of other sites are sent without the cookie."),
            ("Secure", value("secure", "no"), "Yes as soon as the page is visited over HTTPS."),
            ("Max-Age", duration(&max_age), "How long the browser keeps the cookie; renewed while you visit."),
        ];
        let row = |(name, value, meaning)| {
            format!("<tr><th scope=\"row\">{name}<td><b>{}</b> <small>{meaning}</small>\n", escape(&value))
        };
        let rows = rows.map(row).concat();
        let digest = escape(&self.digest);
        format!(
            "<section>\n<h2>The cookie</h2>\n<table class=\"attributes\">\n{rows}</table>\n\
             <p><small>The store knows the session by the SHA-256 digest of its id, so that a copy of the store opens no session:\n\
             <code>{digest}</code></small></p>\n</section>"
        )
    }

    fn variables(&self) -> String {
        let rows: String = self.variables.iter().map(|(name, value)| row(name, value)).collect();
        let list = if rows.is_empty() {
            "<p>None yet.</p>".to_owned()
        } else {
            format!("<form method=\"post\" action=\"/delete\">\n<table>\n{rows}</table>\n</form>")
        };
        format!("<section>\n<h2>Your variables</h2>\n{list}\n{FORMS}\n</section>")
    }

    fn login(&self) -> String {
        let form = match &self.owner {
            Some(owner) => format!(
                "<p>Logged in as <b>{}</b>.</p>\n<form method=\"post\" action=\"/logout\"><button>Log out</button></form>",
                escape(owner)
            ),
            None => LOGIN.to_owned(),
        };
        format!("<section>\n<h2>Log in</h2>\n{form}\n</section>")
    }
}

const FORMS: &str = "<form method=\"post\" action=\"/set\">\n\
    <label>Name <input name=\"name\" required maxlength=\"32\" autocapitalize=\"none\"></label>\n\
    <label>Type <select name=\"type\"><option>text<option>integer<option>real<option>boolean<option>JSON</select></label>\n\
    <label>Value <input name=\"value\"></label>\n\
    <button>Set the variable</button>\n\
    </form>\n\
    <form method=\"post\" action=\"/count\"><button>Add 1 to count</button></form>";

const LOGIN: &str = "<p>This is a demonstration, so there is no password. A login calls <code>regenerate-id</code>, which makes an id \
    worthless that was seen or planted before, and <code>set-owner</code>, by which all sessions of a user can be listed and \
    ended.</p>\n\
    <form method=\"post\" action=\"/login\">\n\
    <label>Your name <input name=\"name\" required maxlength=\"255\" autocomplete=\"nickname\"></label>\n\
    <button>Log in</button>\n\
    </form>";

const END: &str = "<section>\n<h2>The end</h2>\n\
    <p><code>destroy</code> removes the session with all its variables, and has the browser delete the cookie.</p>\n\
    <form method=\"post\" action=\"/destroy\"><button class=\"danger\">Destroy the session</button></form>\n</section>";

fn links() -> String {
    let pages = [
        ("README.md#a-complete-application", "A complete application of your own, in two files"),
        ("docs/using-sessions.md", "Using sessions: the full guide"),
        ("docs/languages.md", "Rust, Python, JavaScript, C and other languages"),
        ("docs/security.md", "What is promised against whom"),
        ("examples/welcome/src/lib.rs", "The source of this page"),
    ];
    let link = |(path, text): &(&str, &str)| format!("<li><a href=\"{DOCS}/{path}\">{text}</a>\n");
    format!("<section>\n<h2>Read on</h2>\n<ul>\n{}</ul>\n</section>", pages.iter().map(link).collect::<String>())
}

/// A variable, with a button that deletes it.
fn row(name: &str, value: &Value) -> String {
    let (kind, shown) = match value {
        Value::Null => ("null", "null".to_owned()),
        Value::Boolean(boolean) => ("boolean", boolean.to_string()),
        Value::Integer(integer) => ("integer", integer.to_string()),
        Value::Real(real) => ("real", format!("{real:?}")),
        Value::Text(text) => ("text", text.clone()),
        Value::Bytes(bytes) => ("bytes", bytes.iter().map(|byte| format!("{byte:02x}")).collect()),
        Value::Json(json) => ("JSON", json.clone()),
    };
    let (name, shown) = (escape(name), escape(&shown));
    format!(
        "<tr><th scope=\"row\">{name}<td><div class=\"value\">{shown}</div> <small>{kind}</small>\
         <td><button name=\"name\" value=\"{name}\" aria-label=\"Delete {name}\">Delete</button>\n"
    )
}

/// Seconds for people; any other text as it is.
fn duration(seconds: &str) -> String {
    match seconds.parse::<u32>() {
        Ok(number) if number >= 7200 => format!("{number} seconds, about {} hours", number / 3600),
        Ok(number) if number >= 120 => format!("{number} seconds, about {} minutes", number / 60),
        Ok(number) => format!("{number} seconds"),
        Err(_) => seconds.to_owned(),
    }
}

/// The page of a request that is refused.
pub fn refusal(why: &str) -> String {
    layout(&format!("<p class=\"error\">{}</p>\n<p><a href=\"/\">Back to the page</a></p>", escape(why)))
}

/// An error in words for the visitor.
pub fn explain(error: &Error) -> String {
    match error {
        Error::InvalidName(why) => format!("This name cannot be used: {why}. Nothing was changed."),
        Error::InvalidValue(why) => format!("This value cannot be stored: {why}. Nothing was changed."),
        Error::TooLarge(why) => format!("This is too large: {why}. Nothing was changed."),
        Error::InvalidForm(why) => format!("This form could not be read: {why}. Nothing was changed."),
        Error::CrossSite(_) => {
            "A page of another site sent this request, so it was refused. Nothing was changed.".to_owned()
        }
        Error::Gone => {
            "The session ended in the meantime, as by a logout in another tab. Nothing was changed.".to_owned()
        }
        Error::TooMany(_) => "Your address has begun too many sessions. Try again in a minute.".to_owned(),
        Error::Storage(_) => "The store of the sessions cannot be reached. Try again later.".to_owned(),
        other => format!("The session could not be used: {other}."),
    }
}

fn layout(main: &str) -> String {
    let style = include_str!("style.css");
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>Welcome to lemon:session</title>\n<link rel=\"icon\" href=\"data:,\">\n<style>\n{style}</style>\n\
         <main>\n<h1>Welcome to lemon:session</h1>\n{main}\n</main>\n</html>\n"
    )
}
