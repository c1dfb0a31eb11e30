use super::*;
use crate::{codec, seal, storage::DETAILS};

fn sealing() -> Outside {
    Outside::new(|settings| settings.seal = true)
}

fn text(text: &str) -> Value {
    Value::Text(text.into())
}

/// The stored bytes of an application's variable.
fn row(outside: &Outside, app: &str, name: &str) -> Vec<u8> {
    let is_it = |place: &(String, String)| place == &(app.to_owned(), name.to_owned());
    outside.rows().into_iter().find(|(place, _)| is_it(place)).expect("it is stored").1
}

/// No stored value contains this text.
fn assert_nowhere(outside: &Outside, secret: &str) {
    for (place, bytes) in outside.rows() {
        assert!(!bytes.windows(secret.len()).any(|part| part == secret.as_bytes()), "{place:?}");
    }
}

#[test]
fn the_store_has_names_and_no_value() {
    let outside = sealing();
    let session = outside.start(options()).unwrap();
    session.set("card", &text("4711-0815")).unwrap();
    session.application_named("shop").unwrap().set("cart", &text("4711-0815")).unwrap();
    let id = sent_id(&session.save().unwrap()).unwrap();
    assert_nowhere(&outside, "4711-0815");
    assert_eq!(
        row(&outside, "session", "card").len(),
        codec::encode(&text("4711-0815")).unwrap().len() + seal::OVERHEAD
    );
    assert_ne!(row(&outside, "session", "card")[25..], row(&outside, "shop", "cart")[25..]);

    let session = outside.resume(&id).unwrap();
    assert_eq!(session.get("card").unwrap(), Some(text("4711-0815")));
    assert_eq!(session.application_named("shop").unwrap().entries().unwrap(), [("cart".into(), text("4711-0815"))]);
    assert_eq!(session.keys().unwrap(), ["card"]);
}

#[test]
fn a_value_is_sealed_anew_each_time_and_setting_what_is_stored_is_no_change() {
    let outside = sealing();
    let id = outside.visited();
    let before = row(&outside, "session", "a");
    let session = outside.resume(&id).unwrap();
    session.set("a", &one()).unwrap();
    outside.calls();
    session.save().unwrap();
    assert_eq!(outside.calls(), [""; 0]);
    session.set("a", &Value::Integer(2)).unwrap();
    session.save().unwrap();
    session.set("a", &one()).unwrap();
    session.save().unwrap();
    let after = row(&outside, "session", "a");
    assert!(before.len() == after.len() && before != after);
}

#[test]
fn a_value_too_large_to_be_loaded_is_opened_when_it_is_read_and_additions_add() {
    let outside = sealing();
    let session = outside.start(options()).unwrap();
    let large = text(&"secret ".repeat(10_000));
    session.set("large", &large).unwrap();
    session.add("sum", 40).unwrap();
    let id = sent_id(&session.save().unwrap()).unwrap();
    assert_nowhere(&outside, "secret");
    let session = outside.resume(&id).unwrap();
    assert_eq!(session.get("large").unwrap(), Some(large.clone()));
    assert_eq!(session.add("sum", 2).unwrap(), 42);
    outside.overtake(3);
    session.save().unwrap();
    let session = outside.resume(&id).unwrap();
    assert!(matches!(session.take("sum").unwrap(), Some(Value::Integer(42..))));
    session.save().unwrap();
    assert!(!outside.resume(&id).unwrap().has_key("sum").unwrap());

    let session = outside.resume(&id).unwrap();
    session.set("large", &large).unwrap();
    outside.calls();
    session.save().unwrap();
    assert_eq!(outside.calls(), [""; 0], "it is what is stored");
}

#[test]
fn a_login_wraps_the_key_for_the_new_id_and_leaves_the_values_as_they_are() {
    let outside = sealing();
    let old = outside.visited();
    let (value, key) = (row(&outside, "session", "a"), row(&outside, DETAILS, "seal"));
    let session = outside.resume(&old).unwrap();
    session.regenerate_id().unwrap();
    outside.calls();
    let new = sent_id(&session.save().unwrap()).unwrap();
    assert_eq!(outside.calls(), ["update"], "one transaction");
    assert_eq!(row(&outside, "session", "a"), value);
    assert_ne!(row(&outside, DETAILS, "seal"), key);
    assert_eq!(outside.resume(&new).unwrap().get("a").unwrap(), Some(one()));
}

#[test]
fn requests_with_the_old_id_read_and_write_during_the_grace_of_a_renewal() {
    let outside = sealing();
    outside.set(|settings| settings.renew_after = 600);
    let old = outside.visited();
    outside.wait(600);
    let (first, second) = (outside.resume(&old).unwrap(), outside.resume(&old).unwrap());
    let new = sent_id(&first.save().unwrap()).unwrap();
    second.set("b", &text("second")).unwrap();
    second.save().unwrap();
    let late = outside.resume(&old).unwrap();
    assert_eq!((late.get("a").unwrap(), late.get("b").unwrap()), (Some(one()), Some(text("second"))));
    late.set("c", &one()).unwrap();
    late.save().unwrap();
    assert_eq!(outside.resume(&new).unwrap().keys().unwrap(), ["a", "b", "c"]);
    assert_eq!(outside.resume(&new).unwrap().get("c").unwrap(), Some(one()));
}

#[test]
fn a_store_is_switched_over_while_it_is_in_use_and_back() {
    let outside = plain();
    let id = outside.visited();
    outside.set(|settings| settings.seal = true);
    let session = outside.resume(&id).unwrap();
    assert_eq!(session.get("a").unwrap(), Some(one()), "what was stored before is read");
    assert!(!seal::is_sealed(&row(&outside, "session", "a")));
    session.set("b", &text("secret")).unwrap();
    session.save().unwrap();
    assert_nowhere(&outside, "secret");
    outside.set(|settings| settings.seal = false);
    let session = outside.resume(&id).unwrap();
    assert_eq!(session.get("b").unwrap(), Some(text("secret")), "what is sealed is read");
    session.regenerate_id().unwrap();
    session.set("c", &text("public")).unwrap();
    let id = sent_id(&session.save().unwrap()).unwrap();
    assert!(!seal::is_sealed(&row(&outside, "session", "c")));
    assert_eq!(outside.resume(&id).unwrap().get("b").unwrap(), Some(text("secret")), "the key was wrapped again");
}

#[test]
fn a_value_that_does_not_open_is_unreadable_and_the_others_are_read() {
    let outside = sealing();
    let id = outside.visited();
    let session = outside.resume(&id).unwrap();
    session.set("b", &text("secret")).unwrap();
    session.save().unwrap();
    let moved = row(&outside, "session", "b");
    outside.corrupt("session", "c", &moved);
    outside.corrupt("session", "b", &moved[..moved.len() - 1]);
    let session = outside.resume(&id).unwrap();
    for name in ["b", "c"] {
        assert!(matches!(session.get(name), Err(Error::Unreadable(why)) if why.contains("sealed")), "{name}");
    }
    assert_eq!(session.get("a").unwrap(), Some(one()));
}

#[test]
fn a_session_without_values_has_no_key() {
    let outside = sealing();
    let session = owned(&outside, "ann");
    assert_eq!(outside.rows(), []);
    session.set("a", &one()).unwrap();
    session.delete("a").unwrap();
    session.save().unwrap();
    assert_eq!(outside.rows(), []);
}

#[test]
fn what_another_session_has_sealed_is_not_read_by_a_login() {
    let outside = sealing();
    let older = owned(&outside, "ann");
    older.set("cart", &one()).unwrap();
    older.save().unwrap();
    let session = owned(&outside, "ann");
    assert!(matches!(session.entries_of(&older.digest()), Err(Error::Unreadable(_))));
}
