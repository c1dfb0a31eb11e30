use super::*;

#[test]
fn a_first_visit_begins_a_session_and_a_second_resumes_it() {
    let outside = plain();
    let first = outside.start(options()).unwrap();
    assert!(first.created());
    first.set("variable1", &Value::Text("Python Rules!".into())).unwrap();
    let id = sent_id(&first.save().unwrap()).unwrap();
    assert_eq!(id, first.id());

    let second = outside.resume(&id).unwrap();
    assert!(!second.created());
    assert_eq!(second.id(), id);
    assert_eq!(second.get("variable1").unwrap(), Some(Value::Text("Python Rules!".into())));
}

#[test]
fn an_id_that_is_unknown_is_never_adopted() {
    let outside = plain();
    let made_up = id::new([7; 32], "");
    let session = outside.resume(&made_up).unwrap();
    assert!(session.created());
    assert_ne!(session.id(), made_up);
    session.save().unwrap();
    assert!(outside.resume(&made_up).unwrap().created());
}

#[test]
fn the_id_of_an_ended_session_is_never_adopted() {
    let outside = plain();
    let id = outside.visited();
    outside.resume(&id).unwrap().destroy().unwrap();
    let session = outside.resume(&id).unwrap();
    assert!(session.created());
    assert_ne!(session.id(), id);
}

#[test]
fn of_several_cookies_the_one_live_session_is_used() {
    let outside = plain();
    let id = outside.visited();
    let field = format!("session={}; session={id}; session=x", id::new([7; 32], ""));
    let session = outside.start(Options { cookies: vec![field.into()], ..options() }).unwrap();
    assert_eq!(session.id(), id);
}

#[test]
fn of_two_live_sessions_neither_is_used() {
    let outside = plain();
    let field = format!("session={}; session={}", outside.visited(), outside.visited());
    assert!(outside.start(Options { cookies: vec![field.into()], ..options() }).unwrap().created());
}

#[test]
fn a_seed_changes_ids_and_leaves_them_well_formed() {
    let id = |seed: &str| {
        let session = plain().start(Options { seed: Some(seed.into()), ..options() }).unwrap();
        session.id()
    };
    assert_ne!(id("a"), id("b"));
    assert_eq!(id("a"), id("a"), "the randomness of this test repeats itself");
    assert!(id::is_well_formed(id("a").as_bytes()));
}

#[test]
fn with_a_session_id_no_cookie_is_read_and_none_is_sent() {
    let outside = plain();
    let id = outside.visited();
    let other = outside.visited();
    let options = Options { session_id: Some(id.clone()), ..carrying(&other) };
    let session = outside.start(options).unwrap();
    assert_eq!(session.id(), id);
    outside.wait(1000);
    assert_eq!(sent_id(&session.save().unwrap()), None);
    assert!(session.destroy().unwrap().is_empty());
}

#[test]
fn a_session_id_that_is_unknown_begins_a_session_of_another_id() {
    let outside = plain();
    let unknown = id::new([7; 32], "");
    let session = outside.start(Options { session_id: Some(unknown.clone()), ..options() }).unwrap();
    assert!(session.created());
    assert_ne!(session.id(), unknown);
    assert_eq!(sent_id(&session.save().unwrap()), None);
    let again = outside.start(Options { session_id: Some(session.id()), ..options() }).unwrap();
    assert!(!again.created());
}

#[test]
fn a_session_id_that_is_malformed_or_empty_begins_a_session() {
    let outside = plain();
    for given in ["", "abc", "'; DROP TABLE Session; --", &"A".repeat(1_000_000)] {
        let session = outside.start(Options { session_id: Some(given.into()), ..options() }).unwrap();
        assert!(session.created());
        assert!(id::is_well_formed(session.id().as_bytes()));
    }
    assert!(outside.calls().is_empty(), "the store is not asked for what no id is");
}

#[test]
fn a_cookies_value_can_be_given_as_the_session_id() {
    let outside = Outside::new(|settings| settings.cookie.lifetime = Some(0));
    let session = outside.start(options()).unwrap();
    let value = sent_value(&session.save().unwrap()).unwrap();
    assert_ne!(value, session.id());
    let again = outside.start(Options { session_id: Some(value), ..options() }).unwrap();
    assert_eq!(again.id(), session.id());
}

fn refused(change: impl FnOnce(&mut Options)) -> Error {
    let outside = Outside::new(|settings| settings.max_lifetime = 10_000);
    let mut options = options();
    change(&mut options);
    outside.start(options).err().expect("refused")
}

#[test]
fn impossible_parameters_are_refused() {
    assert!(matches!(refused(|options| options.app = Some("".into())), Error::InvalidName(_)));
    assert!(matches!(refused(|options| options.app = Some("a".repeat(256))), Error::InvalidName(_)));
    assert!(matches!(refused(|options| options.app = Some("a b".into())), Error::InvalidOption(_)));
    assert!(matches!(refused(|options| options.expires = Some(0)), Error::InvalidOption(_)));
    assert!(matches!(refused(|options| options.expires = Some(10_001)), Error::InvalidOption(_)));
    for cleanup in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
        assert!(matches!(refused(|options| options.cleanup = Some(cleanup)), Error::InvalidOption(_)), "{cleanup}");
    }
    let none = Cookie { same_site: Some(SameSite::None), ..cookie() };
    assert!(matches!(refused(|options| options.cookie = Some(none)), Error::InvalidOption(_)));
    assert!(matches!(refused(|options| options.cookies = vec![vec![b'a'; 16385]]), Error::TooLarge(_)));
    let outside = Outside::new(|settings| settings.max_lifetime = 10_000);
    assert!(outside.start(Options { expires: Some(10_000), ..options() }).is_ok());
}
