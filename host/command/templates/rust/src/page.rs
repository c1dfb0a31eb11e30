//! How the page looks.

use html_escape::encode_text;

const STYLE: &str = "\
:root { color-scheme: light dark; }
* { box-sizing: border-box; }
body { margin: 0; font: 1.0625rem/1.5 system-ui, sans-serif; }
main { max-width: 36rem; margin: 0 auto; padding: 1rem; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; padding-left: .7rem; border-left: .4rem solid #f2c800; }
input, button, .flash { font: inherit; padding: .5rem .75rem; border: 1px solid #8888; border-radius: .4rem; }
input { display: block; width: 100%; margin: .25rem 0 .75rem; }
button { color: #222; background: #f2c800; }
.flash { border-left: .4rem solid #f2c800; }";

/// The page: for a visitor who is not logged in, with the login.
pub fn page(user: Option<&str>, notes: &[String], messages: &[String]) -> String {
    let message = |text: &String| format!("<p class=\"flash\">{}</p>\n", encode_text(text));
    let messages: String = messages.iter().map(message).collect();
    let Some(user) = user else {
        return document(&format!(
            "{messages}<p>Log in to keep notes. Any name is accepted.</p>
<form method=\"post\" action=\"/login\">
<label>Your name <input name=\"name\" autocomplete=\"username\" maxlength=\"100\" required></label>
<button>Log in</button>
</form>"
        ));
    };
    let notes: String = notes.iter().map(|note| format!("<li>{}</li>\n", encode_text(note))).collect();
    document(&format!(
        "{messages}<p>You are logged in as {user}.</p>
<form method=\"post\" action=\"/notes\">
<label>A note <input name=\"note\" autocomplete=\"off\" maxlength=\"200\" required></label>
<button>Save</button>
</form>
<ul>
{notes}</ul>
<form method=\"post\" action=\"/logout\">
<button>Log out</button>
</form>",
        user = encode_text(user),
    ))
}

/// What a visitor sees of an error.
pub fn error(text: &str) -> String {
    document(&format!("<p>{}</p>\n<p><a href=\"/\">Back to the page</a></p>", encode_text(text)))
}

fn document(main: &str) -> String {
    format!(
        "<!DOCTYPE html>
<html lang=\"en\">
<meta charset=\"utf-8\">
<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">
<title>lemon-page</title>
<link rel=\"icon\" href=\"data:,\">
<style>
{STYLE}
</style>
<main>
<h1>lemon-page</h1>
{main}
</main>
</html>
"
    )
}
