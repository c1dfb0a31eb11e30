use super::*;

#[test]
fn a_change_of_password_ends_all_sessions_of_the_owner_but_the_callers() {
    let ends: [fn(&Outside, &Session<Outside>) -> u64; 2] = [
        |outside, session| {
            let (world, location) = (outside.instance(), options().location);
            manager::destroy_owned(&world, &location, "ann", Some(&session.digest())).unwrap()
        },
        |_, session| session.destroy_others().unwrap(),
    ];
    for end in ends {
        let outside = plain();
        let (elsewhere, bob) = (owned(&outside, "ann"), owned(&outside, "bob"));
        let session = outside.resume(&owned(&outside, "ann").id()).unwrap();
        session.regenerate_id().unwrap();
        assert_eq!(end(&outside, &session), 1);
        let sent = sent_id(&session.save().unwrap()).unwrap();
        assert!(!outside.resume(&sent).unwrap().created(), "the caller's own session goes on");
        assert!(outside.resume(&elsewhere.id()).unwrap().created());
        assert!(!outside.resume(&bob.id()).unwrap().created());
    }
}

#[test]
fn destroy_others_goes_by_the_owner_that_is_to_be_saved_and_needs_one() {
    let outside = plain();
    let (ann, bob) = (owned(&outside, "ann"), owned(&outside, "bob"));
    let session = outside.start(options()).unwrap();
    assert!(matches!(session.destroy_others(), Err(Error::InvalidOption(text)) if text.contains("owner")));
    session.set_owner(Some("ann".into())).unwrap();
    assert_eq!(session.destroy_others().unwrap(), 1);
    assert!(outside.resume(&ann.id()).unwrap().created());
    session.save().unwrap();
    session.set_owner(Some("bob".into())).unwrap();
    assert_eq!(session.destroy_others().unwrap(), 1);
    assert!(outside.resume(&bob.id()).unwrap().created());
    session.set_owner(None).unwrap();
    assert!(session.destroy_others().is_err());
    session.destroy().unwrap();
    assert_eq!(session.destroy_others(), Err(Error::Gone));
}

#[test]
fn destroy_others_spares_a_session_that_another_request_renewed() {
    let outside = renewing();
    let here = owned(&outside, "ann").id();
    let elsewhere = owned(&outside, "ann").id();
    outside.wait(600);
    let slow = outside.resume(&here).unwrap();
    let rotated = sent_id(&outside.resume(&here).unwrap().save().unwrap()).unwrap();
    assert_eq!(slow.destroy_others().unwrap(), 1);
    assert!(!outside.resume(&rotated).unwrap().created());
    assert!(outside.resume(&elsewhere).unwrap().created());
}

#[test]
fn owners_are_checked() {
    let session = plain().start(options()).unwrap();
    for owner in [String::new(), "a\n".into(), "a".repeat(256)] {
        assert!(matches!(session.set_owner(Some(owner)), Err(Error::InvalidName(_))));
    }
    session.set_owner(Some("ann".into())).unwrap();
    session.set_owner(None).unwrap();
    assert_eq!(session.owner().unwrap(), None);
}
