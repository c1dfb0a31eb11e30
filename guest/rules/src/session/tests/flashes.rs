use super::*;
use crate::session::MAX_FLASHES;

fn text(text: &str) -> Value {
    Value::Text(text.into())
}

#[test]
fn two_pages_that_flash_at_once_both_keep_their_messages() {
    let outside = plain();
    let id = outside.visited();
    let pages = ["a", "b"].map(|message| {
        let page = outside.resume(&id).unwrap();
        page.flash(&text(message)).unwrap();
        page
    });
    for page in pages {
        page.save().unwrap();
    }
    let session = outside.resume(&id).unwrap();
    assert_eq!(session.flashes().unwrap(), [text("a"), text("b")]);
    assert_eq!(session.flashes().unwrap(), []);
    session.save().unwrap();
    assert_eq!(outside.resume(&id).unwrap().flashes().unwrap(), [], "each is shown once");
}

#[test]
fn a_message_that_comes_while_others_are_taken_waits_for_the_next_page() {
    let outside = plain();
    let id = outside.visited();
    let [taking, leaving] = [(); 2].map(|()| outside.resume(&id).unwrap());
    taking.flash(&text("a")).unwrap();
    assert_eq!(taking.flashes().unwrap(), [text("a")], "also in the request that left it");
    leaving.flash(&text("b")).unwrap();
    leaving.save().unwrap();
    taking.save().unwrap();
    assert_eq!(outside.resume(&id).unwrap().flashes().unwrap(), [text("b")]);
}

#[test]
fn messages_are_in_the_order_in_which_they_were_left_whatever_the_clock_says() {
    let outside = plain();
    let session = outside.resume(&outside.visited()).unwrap();
    for message in ["a", "b"] {
        session.flash(&text(message)).unwrap();
    }
    outside.wait_for(Duration::from_nanos(1));
    session.flash(&text("c")).unwrap();
    session.save().unwrap();

    // Another host, whose clock is behind.
    let behind = outside.resume(&session.id()).unwrap();
    outside.wait(5);
    behind.flash(&text("d")).unwrap();
    outside.turn_back(10);
    behind.flash(&text("e")).unwrap();
    behind.save().unwrap();
    let messages = ["a", "b", "c", "d", "e"].map(text);
    assert_eq!(outside.resume(&session.id()).unwrap().flashes().unwrap(), messages);
}

#[test]
fn messages_are_of_any_kind_and_size_and_of_their_application() {
    let outside = plain();
    let session = outside.start(options()).unwrap();
    let other = session.application_named("other").unwrap();
    let messages = [Value::Json("{\"level\":\"error\"}".into()), Value::Null, Value::Bytes(vec![7; 20_000])];
    for message in &messages {
        session.flash(message).unwrap();
    }
    other.flash(&one()).unwrap();
    session.save().unwrap();
    let session = outside.resume(&session.id()).unwrap();
    assert_eq!(session.flashes().unwrap(), messages);
    assert_eq!(session.application_named("other").unwrap().flashes().unwrap(), [one()]);
    assert!(matches!(session.flash(&Value::Json("{".into())), Err(Error::InvalidValue(_))));
}

#[test]
fn no_other_function_shows_messages() {
    let outside = plain();
    let session = outside.resume(&outside.visited()).unwrap();
    session.flash(&one()).unwrap();
    session.save().unwrap();
    let session = outside.resume(&session.id()).unwrap();
    assert_eq!(session.keys().unwrap(), ["a"]);
    assert_eq!(session.entries().unwrap().len(), 1);
    for (_, name) in outside.variables().into_iter().filter(|(_, name)| name != "a") {
        assert!(name.starts_with(crate::name::HIDDEN) && name.chars().count() <= 32, "{name:?}");
        assert!(matches!(session.get(&name), Err(Error::InvalidName(_))));
        assert!(matches!(session.has_key(&name), Err(Error::InvalidName(_))));
        assert!(matches!(session.delete(&name), Err(Error::InvalidName(_))));
    }
}

#[test]
fn clear_removes_messages() {
    let outside = plain();
    let session = outside.resume(&outside.visited()).unwrap();
    session.flash(&one()).unwrap();
    session.save().unwrap();
    let session = outside.resume(&session.id()).unwrap();
    session.clear().unwrap();
    session.flash(&text("signed out")).unwrap();
    session.save().unwrap();
    assert_eq!(outside.resume(&session.id()).unwrap().flashes().unwrap(), [text("signed out")]);
}

#[test]
fn of_too_many_messages_the_oldest_make_room() {
    let outside = plain();
    let session = outside.start(options()).unwrap();
    for number in 0..MAX_FLASHES as i64 + 2 {
        session.flash(&Value::Integer(number)).unwrap();
    }
    session.save().unwrap();
    let messages = outside.resume(&session.id()).unwrap().flashes().unwrap();
    assert_eq!((messages.len(), messages[0].clone()), (MAX_FLASHES, Value::Integer(2)));
}

#[test]
fn messages_count_for_the_limits() {
    let outside = Outside::new(|settings| {
        settings.limits.variables = 2;
        settings.limits.value_bytes = 64;
    });
    let session = outside.resume(&outside.visited()).unwrap();
    session.flash(&one()).unwrap();
    assert!(matches!(session.flash(&one()), Err(Error::TooLarge(text)) if text.contains("limit variables")));
    assert!(matches!(session.set("b", &one()), Err(Error::TooLarge(text)) if text.contains("limit variables")));
    let long = text(&"x".repeat(65));
    assert!(matches!(session.flash(&long), Err(Error::TooLarge(text)) if text.contains("value of 'flash'")));
}

#[test]
fn a_message_of_another_format_stays_and_holds_no_other_up() {
    let outside = plain();
    let session = outside.resume(&outside.visited()).unwrap();
    for message in ["a", "b"] {
        session.flash(&text(message)).unwrap();
    }
    session.save().unwrap();
    let first = outside.variables().into_iter().map(|(_, name)| name).find(|name| name != "a").unwrap();
    outside.corrupt("session", &first, &[9, 0]);
    let session = outside.resume(&session.id()).unwrap();
    assert_eq!(session.flashes().unwrap(), [text("b")]);
    session.save().unwrap();
    assert!(outside.variables().iter().any(|(_, name)| *name == first));
}

#[test]
fn a_lazy_session_with_a_message_alone_is_stored() {
    let outside = Outside::new(|settings| settings.lazy = true);
    let session = outside.start(options()).unwrap();
    session.flash(&one()).unwrap();
    session.save().unwrap();
    assert_eq!(outside.resume(&session.id()).unwrap().flashes().unwrap(), [one()]);
}
