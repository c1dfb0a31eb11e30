//! A login that takes over what an older session of its user has.

use super::*;

/// A session of ann on another device, with its digest.
fn older(outside: &Outside) -> Session<Outside> {
    let older = owned(outside, "ann");
    older.set("cart", &Value::Json("[\"tea\"]".into())).unwrap();
    older.set("large", &Value::Bytes(vec![7; 20_000])).unwrap();
    older.application_named("other").unwrap().set("b", &one()).unwrap();
    older.flash(&one()).unwrap();
    older.save().unwrap();
    older
}

#[test]
fn a_login_reads_what_its_application_has_in_another_session_of_the_owner() {
    let outside = plain();
    let older = older(&outside);
    let guest = outside.resume(&outside.visited()).unwrap();
    guest.regenerate_id().unwrap();
    guest.set_owner(Some("ann".into())).unwrap();
    let entries = guest.entries_of(&older.digest()).unwrap();
    let expected = [("cart", Value::Json("[\"tea\"]".into())), ("large", Value::Bytes(vec![7; 20_000]))];
    assert_eq!(entries, expected.map(|(name, value)| (name.to_owned(), value)));
    for (name, value) in &entries {
        guest.set_default(name, value).unwrap();
    }
    guest.save().unwrap();
    let ann = outside.resume(&guest.id()).unwrap();
    assert_eq!(ann.keys().unwrap(), ["a", "cart", "large"]);
    assert_eq!(outside.resume(&older.id()).unwrap().keys().unwrap(), ["cart", "large"], "it is only read");
}

#[test]
fn sessions_of_others_and_ended_ones_have_nothing() {
    let outside = plain();
    let older = older(&outside);
    let bob = owned(&outside, "bob");
    assert_eq!(bob.entries_of(&older.digest()).unwrap(), []);
    let digest = outside.resume(&outside.visited()).unwrap().digest();
    assert_eq!(bob.entries_of(&digest).unwrap(), [], "one without an owner");
    assert_eq!(bob.entries_of(&"0".repeat(64)).unwrap(), []);
    let ann = owned(&outside, "ann");
    older.destroy().unwrap();
    assert_eq!(ann.entries_of(&older.digest()).unwrap(), []);
}

#[test]
fn it_takes_an_owner_and_a_digest() {
    let outside = plain();
    let guest = outside.resume(&outside.visited()).unwrap();
    assert!(matches!(guest.entries_of(&"0".repeat(64)), Err(Error::InvalidOption(why)) if why.contains("set-owner")));
    let ann = owned(&outside, "ann");
    for text in ["", "ann", &ann.id()] {
        assert!(matches!(ann.entries_of(text), Err(Error::InvalidName(why)) if why.contains("digest")), "{text}");
    }
}

#[test]
fn a_reserved_application_stays_closed() {
    let outside = plain();
    let older = older(&outside);
    let ann = owned(&outside, "ann");
    let other = ann.application_named("other").unwrap();
    let module = ann.reserve("other", None).unwrap();
    assert!(matches!(other.entries_of(&older.digest()), Err(Error::Reserved(_))));
    assert_eq!(module.entries_of(&older.digest()).unwrap(), [("b".to_owned(), one())]);
}

#[test]
fn a_session_that_has_expired_by_its_own_idle_time_has_nothing() {
    let outside = plain();
    let older = older(&outside);
    outside.wait(1000);
    let late = outside.resume(&older.id()).unwrap();
    let short = outside.resume(&older.id()).unwrap();
    short.remember(60).unwrap();
    short.save().unwrap();
    // Pushes the stored expiry by the idle time that it knows.
    late.save().unwrap();
    let ann = owned(&outside, "ann");
    assert_eq!(ann.entries_of(&older.digest()).unwrap().len(), 2);
    outside.wait(100);
    assert_eq!(ann.entries_of(&older.digest()).unwrap(), []);
}
