use super::*;

#[test]
fn set_default_sets_what_is_not_there_and_leaves_what_is() {
    let outside = plain();
    let session = outside.resume(&outside.visited()).unwrap();
    let two = Value::Integer(2);
    assert_eq!(session.set_default("a", &two).unwrap(), one());
    assert!(!session.modified());
    assert_eq!(session.set_default("b", &two).unwrap(), two);
    assert!(session.modified());
    session.save().unwrap();
    let session = outside.resume(&session.id()).unwrap();
    assert_eq!((session.get("a").unwrap(), session.get("b").unwrap()), (Some(one()), Some(two.clone())));
    session.set("null", &Value::Null).unwrap();
    assert_eq!(session.set_default("null", &two).unwrap(), Value::Null, "null is a value");
    assert!(matches!(session.set_default("", &two), Err(Error::InvalidName(_))));
    assert!(matches!(session.set_default("c", &Value::Json("{".into())), Err(Error::InvalidValue(_))));
}

#[test]
fn modified_is_whether_a_save_would_write_what_an_application_changed() {
    let outside = plain();
    let id = outside.visited();
    type Change = fn(&Session<Outside>);
    let changes: [Change; 8] = [
        |session| session.set("b", &one()).unwrap(),
        |session| _ = session.delete("a").unwrap(),
        |session| _ = session.add("a", 1).unwrap(),
        |session| session.flash(&one()).unwrap(),
        |session| session.application_named("other").unwrap().clear().unwrap(),
        |session| session.set_owner(Some("ann".into())).unwrap(),
        |session| session.regenerate_id().unwrap(),
        |session| session.set_lifetime(&crate::types::Lifetime::default()).unwrap(),
    ];
    for change in changes {
        let session = outside.resume(&id).unwrap();
        assert!(!session.modified());
        change(&session);
        assert!(session.modified());
    }
    let none: [Change; 6] = [
        |session| drop(session.get("a").unwrap()),
        |session| session.set("a", &one()).unwrap(),
        |session| _ = session.add("a", 0).unwrap(),
        |session| drop(session.flashes().unwrap()),
        |session| session.set_owner(None).unwrap(),
        |session| drop(session.csrf_token().unwrap()),
    ];
    for change in none {
        let session = outside.resume(&id).unwrap();
        change(&session);
        assert!(!session.modified());
    }
    let session = outside.resume(&id).unwrap();
    session.set("b", &one()).unwrap();
    session.save().unwrap();
    assert!(!session.modified(), "it is saved");
    session.set("b", &Value::Null).unwrap();
    session.destroy().unwrap();
    assert!(!session.modified());
    assert!(!outside.start(options()).unwrap().modified(), "a new session alone is no change");
}

#[test]
fn accessed_is_whether_any_handle_read_or_changed_what_the_visitor_has() {
    let outside = plain();
    let id = outside.visited();
    type Access = fn(&Session<Outside>);
    let accesses: [Access; 9] = [
        |session| drop(session.get("b").unwrap()),
        |session| session.set("a", &one()).unwrap(),
        |session| _ = session.has_key("a").unwrap(),
        |session| drop(session.keys().unwrap()),
        |session| drop(session.flashes().unwrap()),
        |session| drop(session.owner().unwrap()),
        |session| drop(session.csrf_token().unwrap()),
        |session| _ = session.check_csrf("").unwrap(),
        |session| drop(session.application_named("other").unwrap().get("a").unwrap()),
    ];
    for access in accesses {
        let session = outside.resume(&id).unwrap();
        assert!(!session.accessed());
        access(&session);
        assert!(session.accessed());
    }
    let session = outside.resume(&id).unwrap();
    drop(session.application_named("other").unwrap());
    session.save().unwrap();
    assert!(!session.accessed(), "{:?}", (session.id(), session.app(), session.created()));
}
