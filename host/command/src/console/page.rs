//! What all pages have in common, and the templates that they are made with.

use std::sync::LazyLock;

use http::{Response, StatusCode};
use minijinja::{Environment, UndefinedBehavior};
use serde::Serialize;

use super::{
    failure::{Failure, Result},
    response::{self, Body},
};

/// Name and text. Whatever they show is escaped, because their names end with `.html`.
const TEMPLATES: [(&str, &str); 10] = [
    ("doctor.html", include_str!("templates/doctor.html")),
    ("ending.html", include_str!("templates/ending.html")),
    ("failure.html", include_str!("templates/failure.html")),
    ("frame.html", include_str!("templates/frame.html")),
    ("now.html", include_str!("templates/now.html")),
    ("overview.html", include_str!("templates/overview.html")),
    ("owners.html", include_str!("templates/owners.html")),
    ("session.html", include_str!("templates/session.html")),
    ("sessions.html", include_str!("templates/sessions.html")),
    ("sign_in.html", include_str!("templates/sign_in.html")),
];

static PAGES: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut pages = Environment::new();
    // A misspelt name is an error and not an empty text.
    pages.set_undefined_behavior(UndefinedBehavior::Strict);
    for (name, text) in TEMPLATES {
        pages.add_template(name, text).expect("a test compiles all templates");
    }
    pages
});

/// Around the content of a page.
#[derive(Serialize)]
pub struct Frame {
    title: String,
    /// The links to the parts of the console: path, name, and whether the page belongs to it. `None` before the sign-in.
    navigation: Option<[(&'static str, &'static str, bool); 4]>,
    /// What the operator has just done.
    message: Option<String>,
}

/// Which part of the console a page belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Overview,
    Sessions,
    Owners,
    Doctor,
    SignIn,
    Other,
}

impl Frame {
    pub fn new(title: impl Into<String>, here: Place, message: Option<String>) -> Self {
        let navigation = [
            ("/console/", "Overview", Place::Overview),
            ("/console/sessions", "Sessions", Place::Sessions),
            ("/console/owners", "Owners", Place::Owners),
            ("/console/doctor", "Doctor", Place::Doctor),
        ];
        let navigation = navigation.map(|(path, name, place)| (path, name, place == here));
        Self { title: title.into(), navigation: (here != Place::SignIn).then_some(navigation), message }
    }
}

/// The text of a template with these values.
pub fn render(template: &str, values: impl Serialize) -> Result<String> {
    let rendered = PAGES.get_template(template).and_then(|page| page.render(values));
    rendered.map_err(|error| Failure::Internal(error.into()))
}

/// The response with a page.
pub fn html(template: &str, values: impl Serialize) -> Result<Response<Body>> {
    Ok(response::of_type(StatusCode::OK, "text/html; charset=utf-8", render(template, values)?))
}

#[cfg(test)]
mod tests {
    use minijinja::context;

    use super::*;

    #[test]
    fn all_templates_compile_and_escape() {
        assert!(TEMPLATES.iter().all(|(name, _)| PAGES.get_template(name).is_ok()));
        let frame = || Frame::new("<b>", Place::Other, Some("a & b".to_owned()));
        let page = render("failure.html", context! { frame => frame(), text => "<script>'\"" }).unwrap();
        assert!(
            page.contains("<h1>&lt;b&gt;</h1>")
                && page.contains("a &amp; b")
                && page.contains("&lt;script&gt;&#x27;&quot;")
        );
        assert!(render("failure.html", context! { frame => frame() }).is_err(), "the text is missing");
    }
}
