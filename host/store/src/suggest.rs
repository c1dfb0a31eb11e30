//! What someone probably meant who misspelt a name.

/// The end of an error about an unknown name: the known one that is most like it, or all of them.
///
/// ```
/// use lemon_session_store::suggest::did_you_mean;
///
/// assert_eq!(did_you_mean("expiers", ["app", "expires"]), "; did you mean expires?");
/// assert_eq!(did_you_mean("colour", ["app", "expires"]), "; the choices are app, expires");
/// ```
pub fn did_you_mean<'a>(name: &str, known: impl IntoIterator<Item = &'a str, IntoIter: Clone>) -> String {
    let known = known.into_iter();
    match closest(name, known.clone()) {
        Some(known) => format!("; did you mean {known}?"),
        None => format!("; the choices are {}", known.collect::<Vec<_>>().join(", ")),
    }
}

/// The known name that is most like another one, if one is like it. Case does not matter.
pub fn closest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let likeness = |known: &str| strsim::jaro_winkler(&name.to_lowercase(), &known.to_lowercase());
    let alike = known.into_iter().map(|known| (likeness(known), known)).filter(|(likeness, _)| *likeness > 0.8);
    alike.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, known)| known)
}
