use super::*;

fn headers(values: &[&str]) -> HeaderMap {
    values.iter().map(|value| (header::ACCEPT, HeaderValue::from_bytes(value.as_bytes()).unwrap())).collect()
}

#[test]
fn endpoints_are_below_any_path_and_nothing_else_is_one() {
    for path in ["/.lemon-session/register", "/a/b/.lemon-session/refresh"] {
        assert!(is_endpoint(path), "{path}");
    }
    for path in [
        "",
        "*",
        "/",
        "/register",
        "/.lemon-session",
        "/.lemon-session/",
        "/.lemon-session/other",
        "/x.lemon-session/refresh",
        "/.lemon-session/refresh/",
        "/.lemon-session/refresh/x",
        "/.Lemon-session/refresh",
        "/.lemon-session/%72efresh",
    ] {
        assert!(!is_endpoint(path), "{path}");
    }
}

#[test]
fn a_header_is_a_string_with_or_without_quotation_marks() {
    let read = |values: &[&str]| text(&headers(values), "accept", 8).map(|text| text.map(str::to_owned));
    let ok = |text: &str| Ok(Some(text.to_owned()));
    assert_eq!(read(&[]), Ok(None));
    assert_eq!(read(&["a.b"]), ok("a.b"));
    assert_eq!(read(&["\"a.b\""]), ok("a.b"));
    assert_eq!(read(&["\"a\";p=1"]), ok("a"));
    assert_eq!(read(&["\"\""]), ok(""));
    for wrong in ["\"a", "\"a\"b", "é", "123456789"] {
        assert!(read(&[wrong]).is_err(), "{wrong}");
    }
    assert!(read(&["a", "b"]).is_err());
}

#[test]
fn the_refresh_url_leads_back_to_the_same_session() {
    let place = Place::new("cookie=a%26b%25&storage=big%20one&table=T&x=y").unwrap();
    assert_eq!((&*place.cookie, place.location.storage.as_deref()), ("a&b%", Some("big one")));
    let url = place.refresh_url();
    let again = Place::new(url.strip_prefix("refresh?").unwrap()).unwrap();
    let members = |place: Place| (place.cookie, place.location.storage, place.location.table);
    assert_eq!(members(again), members(place));
    assert!(Place::new("").is_none() && Place::new("cookie=").is_none() && Place::new("storage=x").is_none());
}
