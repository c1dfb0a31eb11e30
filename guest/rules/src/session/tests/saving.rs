use super::*;

#[test]
fn an_early_return_writes_nothing() {
    let outside = plain();
    let session = outside.start(options()).unwrap();
    session.set("a", &one()).unwrap();
    drop(session);
    assert!(outside.calls().is_empty());
    assert_eq!(outside.stored(), 0);
}

#[test]
fn changes_that_are_lost_are_told_to_the_host() {
    let outside = plain();
    let id = outside.visited();
    let told = |use_it: &dyn Fn(&Session<Outside>)| {
        use_it(&outside.resume(&id).unwrap());
        outside.notices()
    };
    let unsaved = [Notice::Unsaved("session".into())];
    let after = [Notice::ChangedAfterSave("session".into())];
    assert_eq!(told(&|session| session.set("b", &one()).unwrap()), unsaved);
    assert_eq!(told(&|session| session.clear().unwrap()), unsaved);
    assert_eq!(told(&|session| session.set_owner(Some("ann".into())).unwrap()), unsaved);
    assert_eq!(told(&|session| session.regenerate_id().unwrap()), unsaved);
    let of_shop = |session: &Session<Outside>| {
        session.application_named("shop").unwrap().set("b", &one()).unwrap();
    };
    assert_eq!(told(&of_shop), [Notice::Unsaved("shop".into())]);
    let changed_after_save = |session: &Session<Outside>| {
        session.set("b", &one()).unwrap();
        session.save().unwrap();
        assert!(session.delete("b").unwrap());
    };
    assert_eq!(told(&changed_after_save), after);

    assert_eq!(told(&|session| assert!(session.get("b").unwrap().is_some())), [], "nothing was changed");
    assert_eq!(told(&|session| _ = session.save().unwrap()), []);
    let fails = |session: &Session<Outside>| {
        session.set("b", &Value::Integer(2)).unwrap();
        outside.fail(true);
        session.save().unwrap_err();
        outside.fail(false);
    };
    assert_eq!(told(&fails), [], "the application was told");
    let destroyed = |session: &Session<Outside>| {
        session.set("b", &Value::Integer(3)).unwrap();
        session.destroy().unwrap();
    };
    assert_eq!(told(&destroyed), [], "the changes were to be discarded");
}

#[test]
fn lazy_stores_nothing_until_there_is_a_variable_or_an_owner() {
    let outside = Outside::new(|settings| settings.lazy = true);
    let session = outside.start(options()).unwrap();
    assert_eq!(sent_id(&session.save().unwrap()), None);
    assert_eq!(outside.stored(), 0);
    session.set("a", &one()).unwrap();
    assert!(sent_id(&session.save().unwrap()).is_some());
    assert_eq!(outside.stored(), 1);

    let owned = outside.start(options()).unwrap();
    owned.set_owner(Some("ann".into())).unwrap();
    assert!(sent_id(&owned.save().unwrap()).is_some());
}

#[test]
fn a_session_counts_its_times_from_its_first_save() {
    let outside = renewing();
    let session = outside.start(Options { strict: Some(true), ..options() }).unwrap();
    outside.wait(100);
    session.set("a", &one()).unwrap();
    session.save().unwrap();
    let stored = manager::list(&outside.instance(), &options().location, None, None, 1).unwrap().entries;
    assert_eq!((stored[0].created, stored[0].accessed), (NOW, NOW + 100));
    assert_eq!((stored[0].expires, session.expires_at()), (NOW + 1612, NOW + 1612));
    session.set("a", &Value::Integer(2)).unwrap();
    session.save().expect("it knows the version that it has stored");
    let id = session.id();
    for (seconds, is_renewed) in [(599, false), (1, true)] {
        outside.wait(seconds);
        let session = outside.resume(&id).unwrap();
        session.save().unwrap();
        assert_eq!(session.id() != id, is_renewed);
    }
}

#[test]
fn a_session_without_variables_is_stored_unless_lazy() {
    let outside = plain();
    outside.start(options()).unwrap().save().unwrap();
    assert_eq!(outside.stored(), 1);
}

#[test]
fn a_session_past_its_limit_is_not_saved_and_can_be_mended() {
    let outside = Outside::new(|settings| settings.limits.session_bytes = 100);
    let id = outside.visited();
    let session = outside.resume(&id).unwrap();
    session.set("b", &Value::Bytes(vec![0; 100])).unwrap();
    assert!(matches!(session.save(), Err(Error::TooLarge(text)) if text.contains("session-bytes")));
    assert_eq!(outside.resume(&id).unwrap().keys().unwrap(), ["a"]);
    session.set("b", &Value::Bytes(vec![0; 10])).unwrap();
    session.save().unwrap();
    assert_eq!(outside.resume(&id).unwrap().keys().unwrap(), ["a", "b"]);

    // A byte of name and three that say what the value is.
    let new = outside.start(options()).unwrap();
    new.set("b", &Value::Bytes(vec![0; 97])).unwrap();
    assert!(matches!(new.save(), Err(Error::TooLarge(text)) if text.contains("101 bytes")));
    assert_eq!(outside.stored(), 1);
    new.set("b", &Value::Bytes(vec![0; 96])).unwrap();
    new.save().unwrap();
    assert_eq!(outside.stored(), 2);
}

#[test]
fn to_set_what_is_stored_is_no_write() {
    let outside = plain();
    let large = |byte| Value::Bytes(vec![byte; 100_000]);
    let session = outside.start(options()).unwrap();
    session.set("a", &one()).unwrap();
    session.set("large", &large(1)).unwrap();
    session.set_owner(Some("ann".into())).unwrap();
    session.save().unwrap();
    let id = session.id();
    let unchanged: [fn(&Session<Outside>); 9] = [
        |session| session.set("a", &Value::Integer(1)).unwrap(),
        |session| assert_eq!(session.add("a", 0).unwrap(), 1),
        |session| {
            session.add("a", 5).unwrap();
            assert_eq!(session.add("a", -5).unwrap(), 1);
        },
        |session| {
            session.set("a", &Value::Integer(2)).unwrap();
            session.set("a", &Value::Integer(1)).unwrap();
        },
        |session| {
            session.delete("a").unwrap();
            assert_eq!(session.add("a", 1).unwrap(), 1);
        },
        |session| {
            session.take("a").unwrap();
            session.set("a", &Value::Integer(1)).unwrap();
        },
        |session| session.set("large", &Value::Bytes(vec![1; 100_000])).unwrap(),
        |session| session.set_owner(Some("ann".into())).unwrap(),
        |session| {
            session.set_owner(None).unwrap();
            session.set_owner(Some("ann".into())).unwrap();
        },
    ];
    for (n, change) in unchanged.into_iter().enumerate() {
        let strict = outside.start(Options { strict: Some(true), ..carrying(&id) }).unwrap();
        let session = outside.resume(&id).unwrap();
        change(&session);
        outside.calls();
        session.save().unwrap();
        assert!(outside.calls().is_empty(), "{n}: nothing is written");
        strict.set("strict", &Value::Integer(n as i64)).unwrap();
        strict.save().unwrap_or_else(|error| panic!("{n}: no conflict, not {error:?}"));
    }
    let changes: [fn(&Session<Outside>); 6] = [
        |session| session.set("a", &Value::Real(1.0)).unwrap(),
        |session| assert_eq!(session.add("new", 0).unwrap(), 0),
        |session| session.set("large", &Value::Bytes(vec![2; 100_000])).unwrap(),
        |session| session.set("large", &Value::Bytes(vec![2; 99_999])).unwrap(),
        |session| session.set_owner(None).unwrap(),
        |session| {
            session.clear().unwrap();
            session.set("a", &Value::Real(1.0)).unwrap();
        },
    ];
    for (n, change) in changes.into_iter().enumerate() {
        let session = outside.resume(&id).unwrap();
        change(&session);
        outside.calls();
        session.save().unwrap();
        assert_eq!(outside.calls(), ["update"], "{n}: it is written");
    }
    let session = outside.resume(&id).unwrap();
    assert_eq!(session.entries().unwrap(), [("a".into(), Value::Real(1.0))]);
    assert_eq!(session.owner().unwrap(), None);
}

#[test]
fn a_save_never_brings_a_session_back() {
    for end in [
        (|outside, id| outside.resume(id).unwrap().destroy().map(drop)) as fn(&Outside, &str) -> Result<()>,
        |outside, _| {
            outside.wait(10_000);
            Ok(())
        },
        |outside, id| {
            let login = outside.resume(id)?;
            login.regenerate_id()?;
            login.save().map(drop)
        },
    ] {
        let outside = plain();
        let id = outside.visited();
        let slow = outside.resume(&id).unwrap();
        slow.set("late", &one()).unwrap();
        end(&outside, &id).unwrap();
        let stored = outside.stored();
        outside.calls();
        assert_eq!(slow.save(), Err(Error::Gone));
        assert_eq!(outside.calls(), ["update"], "without renewals there is no new id to look for");
        assert_eq!(slow.get("late"), Err(Error::Gone));
        assert_eq!(outside.stored(), stored);
        assert!(outside.resume(&id).unwrap().created());
    }
}

#[test]
fn a_failure_of_the_store_reaches_the_application_without_its_details() {
    let outside = plain();
    let id = outside.visited();
    let session = outside.resume(&id).unwrap();
    session.set("a", &Value::Integer(2)).unwrap();
    outside.fail(true);
    let errors = [
        session.save().unwrap_err(),
        session.destroy().unwrap_err(),
        session.application_named("other").err().unwrap(),
        outside.resume(&id).err().unwrap(),
    ];
    for error in errors {
        assert!(matches!(&error, Error::Storage(text) if !text.contains("hunter2")), "{error:?}");
    }
    outside.fail(false);
    session.save().unwrap();
}
