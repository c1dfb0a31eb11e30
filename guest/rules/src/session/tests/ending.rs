use super::*;

#[test]
fn destroy_ends_the_session_at_once_and_deletes_the_cookie() {
    let outside = plain();
    let id = outside.visited();
    let session = outside.resume(&id).unwrap();
    let other = session.application_named("other").unwrap();
    session.set("b", &one()).unwrap();
    let headers = session.destroy().unwrap();
    assert_eq!(headers[0].1, "session=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0");
    assert_eq!(caching(&headers), [Some("no-store"), Some("Cookie")]);
    assert_eq!(outside.stored(), 0);
    for outcome in [session.get("a").err(), session.save().err(), session.destroy().err(), other.get("a").err()] {
        assert_eq!(outcome, Some(Error::Gone));
    }
    assert!(outside.resume(&id).unwrap().created());
}

#[test]
fn a_session_that_has_ended_meanwhile_can_be_destroyed() {
    let outside = plain();
    let id = outside.visited();
    let late = outside.resume(&id).unwrap();
    outside.resume(&id).unwrap().destroy().unwrap();
    outside.calls();
    late.destroy().unwrap();
    assert_eq!(outside.calls(), ["destroy"], "without renewals there is no new id to look for");
}

#[test]
fn a_session_that_was_never_saved_can_be_destroyed() {
    let outside = plain();
    let headers = outside.start(options()).unwrap().destroy().unwrap();
    assert!(outside.calls().is_empty());
    assert_eq!(sent_value(&headers), None, "the visitor has no cookie to delete");
}
