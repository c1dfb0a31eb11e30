use super::*;

/// A session of an owner who has logged in; its id.
fn logged_in(outside: &Outside, owner: &str) -> String {
    let session = outside.start(options()).unwrap();
    session.authenticate(owner, "password").unwrap();
    session.save().unwrap();
    session.id()
}

#[test]
fn a_login_sets_the_owner_and_notes_when_and_how_under_a_new_id_in_one_save() {
    let outside = plain();
    let old = outside.visited();
    outside.wait(10);
    let session = outside.resume(&old).unwrap();
    session.authenticate("ann", "passkey").unwrap();
    outside.calls();
    let new = sent_id(&session.save().unwrap()).expect("a cookie");
    assert_eq!(outside.calls(), ["update"]);
    assert_ne!(new, old);
    assert!(outside.resume(&old).unwrap().created(), "the old id is dead");
    outside.wait(10);
    let session = outside.resume(&new).unwrap();
    assert_eq!(session.owner().unwrap().as_deref(), Some("ann"));
    assert_eq!(session.get("a").unwrap(), Some(Value::Integer(1)), "its variables stay");
    let metadata = session.metadata().unwrap();
    assert_eq!((metadata.authenticated_at, metadata.method.as_deref()), (Some(NOW + 10), Some("passkey")));
    assert_eq!((metadata.created, metadata.accessed), (NOW, NOW + 10));
}

#[test]
fn a_login_is_fresh_for_so_many_seconds_and_again_after_the_next() {
    let outside = plain();
    let session = outside.start(options()).unwrap();
    assert!(!session.fresh_within(u32::MAX).unwrap(), "nobody has logged in");
    session.authenticate("ann", "password").unwrap();
    assert!(session.fresh_within(0).unwrap(), "also before it is saved");
    session.save().unwrap();
    let id = session.id();
    outside.wait(300);
    let session = outside.resume(&id).unwrap();
    assert!(session.fresh_within(300).unwrap());
    assert!(!session.fresh_within(299).unwrap());
    session.authenticate("ann", "password").unwrap();
    assert!(session.fresh_within(0).unwrap());
    let new = sent_id(&session.save().unwrap()).expect("a new id");
    assert_ne!(new, id);
    assert!(outside.resume(&new).unwrap().fresh_within(0).unwrap());
}

#[test]
fn another_owner_has_not_logged_in() {
    let outside = plain();
    for owner in [None, Some("bob".to_owned())] {
        let session = outside.resume(&logged_in(&outside, "ann")).unwrap();
        session.set_owner(Some("ann".into())).unwrap();
        assert!(session.fresh_within(0).unwrap(), "it is the same one");
        session.set_owner(owner).unwrap();
        assert!(!session.fresh_within(u32::MAX).unwrap());
        session.save().unwrap();
        let metadata = outside.resume(&session.id()).unwrap().metadata().unwrap();
        assert_eq!((metadata.authenticated_at, metadata.method), (None, None));
    }
}

#[test]
fn a_label_stays_until_it_is_removed() {
    let outside = plain();
    let id = outside.visited();
    for label in [Some("Ann’s phone".to_owned()), None] {
        let session = outside.resume(&id).unwrap();
        session.set_label(label.clone()).unwrap();
        session.save().unwrap();
        assert_eq!(outside.resume(&id).unwrap().metadata().unwrap().label, label);
    }
}

#[test]
fn owners_methods_and_labels_have_the_rules_of_names() {
    let session = plain().start(options()).unwrap();
    let long = |length: usize| "x".repeat(length);
    for refused in [
        session.authenticate("", "password"),
        session.authenticate("ann", ""),
        session.authenticate("ann", &long(65)),
        session.authenticate("ann", "a\nb"),
        session.set_label(Some(String::new())),
        session.set_label(Some(long(256))),
    ] {
        assert!(matches!(refused, Err(Error::InvalidName(_))), "{refused:?}");
    }
    assert_eq!(session.owner().unwrap(), None, "a login that is refused changes nothing");
    session.authenticate("ann", &long(64)).unwrap();
    session.set_label(Some(long(255))).unwrap();
}

#[test]
fn no_application_reads_or_changes_what_the_component_keeps() {
    let outside = plain();
    let id = logged_in(&outside, "ann");
    let invalid = |outcome: Result<Session<Outside>>| assert!(matches!(outcome.err(), Some(Error::InvalidName(_))));
    invalid(outside.start(Options { app: Some(String::new()), ..carrying(&id) }));
    let session = outside.resume(&id).unwrap();
    invalid(session.application_named(""));
    invalid(session.reserve("", None));
    session.clear().unwrap();
    session.save().unwrap();
    assert!(outside.resume(&id).unwrap().fresh_within(0).unwrap(), "a clear is of one application");
}

#[test]
fn an_owner_is_told_of_each_session_and_of_no_other_owners() {
    let outside = plain();
    let ids = ["ann", "ann", "bob"].map(|owner| logged_in(&outside, owner));
    let labelled = outside.resume(&ids[0]).unwrap();
    labelled.set_label(Some("phone".into())).unwrap();
    labelled.save().unwrap();
    let digests = ids.map(|id| id::to_hex(&id::digest(&id)));
    let (world, location) = (outside.instance(), options().location);
    outside.call_as(1, Grant::Owners);

    let page = manager::list(&world, &location, Some("ann"), None, 1000).unwrap();
    assert_eq!(page.entries.len(), 2);
    let entry = page.entries.iter().find(|entry| entry.digest == digests[0]).expect("it is listed");
    assert_eq!((entry.label.as_deref(), entry.method.as_deref()), (Some("phone"), Some("password")));
    assert_eq!(entry.authenticated_at, Some(NOW));
    assert_eq!(manager::get(&world, &location, &digests[0], Some("ann")).unwrap().as_ref(), Some(entry));

    outside.calls();
    assert_eq!(manager::get(&world, &location, &digests[2], Some("ann")).unwrap(), None, "it is bob's");
    let ended = outside.resume(&logged_in(&outside, "ann")).unwrap();
    let digest = ended.digest();
    ended.destroy().unwrap();
    outside.calls();
    assert_eq!(manager::get(&world, &location, &digest, Some("ann")).unwrap(), None, "it has ended");
    assert_eq!(outside.calls(), ["list"], "a load would count as a use of the ended id");
    let denied = manager::get(&world, &location, &digests[0], None);
    assert!(matches!(denied, Err(Error::Denied(_))), "{denied:?}");
    outside.call_as(2, Grant::None);
    let denied = manager::get(&world, &location, &digests[0], Some("ann"));
    assert!(matches!(denied, Err(Error::Denied(_))), "{denied:?}");
    outside.call_as(3, Grant::All);
    assert_eq!(manager::get(&world, &location, &digests[2], None).unwrap().unwrap().owner.as_deref(), Some("bob"));
    assert!(manager::get(&world, &location, "no digest", None).is_err());
}

#[test]
fn a_page_of_an_owners_list_is_limited_and_goes_on() {
    let outside = plain();
    for _ in 0..120 {
        logged_in(&outside, "ann");
    }
    let (world, location) = (outside.instance(), options().location);
    let first = manager::list(&world, &location, Some("ann"), None, 1000).unwrap();
    let next = first.next.clone().expect("there are more");
    let rest = manager::list(&world, &location, Some("ann"), Some(&next), 1000).unwrap();
    assert_eq!((first.entries.len(), rest.entries.len(), rest.next), (100, 20, None));
}

/// The address and user agent that the user of a session is told of.
fn client_of(session: &Session<Outside>) -> (Option<String>, Option<String>) {
    let metadata = session.metadata().unwrap();
    (metadata.address, metadata.user_agent)
}

#[test]
fn where_a_session_began_and_where_its_owner_logged_in_is_kept_if_the_site_wants_it() {
    let outside = Outside::new(|settings| {
        (settings.client_address, settings.client_user_agent) = (ClientAddress::Network, 6);
    });
    outside.call_from("192.0.2.77", "lynx/2.9");
    let id = outside.visited();
    let lynx = (Some("192.0.2.0/24".to_owned()), Some("lynx/2".to_owned()));
    outside.call_from("2001:db8::77", "w3m");
    let session = outside.resume(&id).unwrap();
    assert_eq!(client_of(&session), lynx, "a use of the session changes nothing");
    session.authenticate("ann", "password").unwrap();
    session.save().unwrap();
    let w3m = (Some("2001:db8::/48".to_owned()), Some("w3m".to_owned()));
    assert_eq!(client_of(&outside.resume(&session.id()).unwrap()), w3m);
    let page = manager::list(&outside.instance(), &options().location, Some("ann"), None, 10).unwrap();
    let [entry] = &page.entries[..] else { panic!("{page:?}") };
    assert_eq!((entry.address.clone(), entry.user_agent.clone()), w3m);

    // The site no longer wants it: the next login removes what there is.
    outside.set(|settings| (settings.client_address, settings.client_user_agent) = (ClientAddress::None, 0));
    let session = outside.resume(&session.id()).unwrap();
    session.authenticate("ann", "password").unwrap();
    session.save().unwrap();
    assert_eq!(client_of(&outside.resume(&session.id()).unwrap()), (None, None));
}

#[test]
fn nothing_of_a_client_is_kept_by_default() {
    let outside = plain();
    outside.call_from("192.0.2.77", "lynx/2.9");
    let id = logged_in(&outside, "ann");
    assert_eq!(client_of(&outside.resume(&id).unwrap()), (None, None));
}

#[test]
fn what_is_kept_of_a_client_does_not_make_a_lazy_session_worth_storing() {
    let outside = Outside::new(|settings| {
        (settings.lazy, settings.client_address) = (true, ClientAddress::Full);
    });
    outside.call_from("192.0.2.77", "lynx/2.9");
    let session = outside.start(options()).unwrap();
    assert_eq!(sent_id(&session.save().unwrap()), None);
    assert!(!outside.calls().contains(&"create"));
    session.set("a", &Value::Null).unwrap();
    session.save().unwrap();
    assert_eq!(client_of(&outside.resume(&session.id()).unwrap()).0.as_deref(), Some("192.0.2.77"));
}
