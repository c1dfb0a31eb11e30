use std::time::Duration;

use crate::{
    Error, Result, Value,
    bindings::{
        sessions::{Cookie, Options},
        settings::{Grant, Notice, Reservation},
        types::{CacheLimiter, SameSite},
    },
    id, manager,
    session::Session,
    start,
    testing::{NOW, Outside, caching, carrying, cookie, options, sent_id, sent_value},
};

fn plain() -> Outside {
    Outside::new(|_| ())
}

fn one() -> Value {
    Value::Integer(1)
}

// Beginning and resuming.

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
fn the_response_that_sets_the_cookie_must_not_be_stored() {
    for limiter in [CacheLimiter::Nocache, CacheLimiter::Private, CacheLimiter::Public, CacheLimiter::None] {
        let outside = Outside::new(|settings| settings.cache_limiter = limiter);
        let session = outside.start(options()).unwrap();
        let vary = (limiter != CacheLimiter::None).then_some("Cookie");
        let headers = session.save().unwrap();
        assert!(sent_id(&headers).is_some());
        assert_eq!(caching(&headers), [Some("no-store"), vary], "{limiter:?}");
        let headers = outside.resume(&session.id()).unwrap().destroy().unwrap();
        assert_eq!(caching(&headers), [Some("no-store"), vary], "{limiter:?}");
    }
}

#[test]
fn a_page_that_only_reads_says_what_caches_may_do_with_it() {
    let limiters = [
        (CacheLimiter::Nocache, [Some("no-store"), Some("Cookie")]),
        (CacheLimiter::Private, [Some("private, max-age=600"), Some("Cookie")]),
        (CacheLimiter::Public, [Some("public, max-age=600"), Some("Cookie")]),
        (CacheLimiter::None, [None, None]),
    ];
    for (limiter, expected) in limiters {
        let by_setting = Outside::new(|settings| (settings.cache_limiter, settings.cache_expire) = (limiter, 600));
        let by_option = Outside::new(|settings| settings.cache_expire = 600);
        for (outside, cache_limiter) in [(by_setting, None), (by_option, Some(limiter))] {
            let id = outside.visited();
            let session = outside.start(Options { cache_limiter, ..carrying(&id) }).unwrap();
            let headers = session.save().unwrap();
            assert_eq!(sent_id(&headers), None);
            assert_eq!(caching(&headers), expected, "{limiter:?}");
            session.set("a", &Value::Integer(2)).unwrap();
            assert!(session.save().unwrap().is_empty(), "caches are told once");
        }
    }
}

#[test]
fn a_cookie_that_is_set_by_a_later_save_forbids_caches_to_keep_the_response() {
    for (limiter, later) in [(CacheLimiter::Public, Some("no-store")), (CacheLimiter::Nocache, None)] {
        let outside = Outside::new(|settings| settings.cache_limiter = limiter);
        let session = outside.resume(&outside.visited()).unwrap();
        session.save().unwrap();
        session.regenerate_id().unwrap();
        let headers = session.save().unwrap();
        assert!(sent_id(&headers).is_some());
        assert_eq!(caching(&headers), [later, None], "{limiter:?}");
    }
}

#[test]
fn without_a_cookie_the_response_does_not_vary_by_it() {
    let outside = plain();
    let options = Options { session_id: Some(outside.visited()), ..options() };
    assert_eq!(caching(&outside.start(options).unwrap().save().unwrap()), [Some("no-store"), None]);
}

#[test]
fn max_age_is_the_idle_time_and_the_slice_that_may_pass_unwritten() {
    let headers = plain().start(options()).unwrap().save().unwrap();
    assert!(headers[0].1.ends_with("; Max-Age=1512"), "{}", headers[0].1);
}

#[test]
fn headers_are_returned_once() {
    let session = plain().start(options()).unwrap();
    assert_eq!(session.save().unwrap().len(), 3);
    session.set("a", &one()).unwrap();
    assert!(session.save().unwrap().is_empty());
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
fn a_seed_changes_ids_and_leaves_them_well_formed() {
    let id = |seed: &str| {
        let session = plain().start(Options { seed: Some(seed.into()), ..options() }).unwrap();
        session.id()
    };
    assert_ne!(id("a"), id("b"));
    assert_eq!(id("a"), id("a"), "the randomness of this test repeats itself");
    assert!(id::is_well_formed(id("a").as_bytes()));
}

// The parameter session-id.

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

// Parameters.

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

#[test]
fn the_cookie_bears_the_name_of_the_application_or_its_own() {
    let outside = plain();
    let named = |app: &str, name: Option<&str>| {
        let cookie = Cookie { name: name.map(Into::into), ..cookie() };
        let options = Options { app: Some(app.into()), cookie: Some(cookie), ..options() };
        outside.start(options).unwrap().save().unwrap()[0].1.split('=').next().unwrap().to_owned()
    };
    assert_eq!(named("shop", None), "shop");
    assert_eq!(named("my shop", Some("sid")), "sid");
}

#[test]
fn cleanup_is_a_probability_per_start() {
    let started = |probability: f64| {
        let outside = plain();
        for _ in 0..1000 {
            outside.start(Options { cleanup: Some(probability), ..options() }).unwrap();
        }
        outside.calls().iter().filter(|call| **call == "cleanup-later").count()
    };
    assert_eq!(started(1.0), 1000);
    assert_eq!(started(0.0), 0);
    let some = started(0.1);
    assert!((50..200).contains(&some), "{some} of 1000 at 0.1");
}

#[test]
fn nothing_is_drawn_for_a_cleanup_that_is_certain_or_off() {
    let id = |cleanup| plain().start(Options { cleanup: Some(cleanup), ..options() }).unwrap().id();
    assert_eq!(id(0.0), id(1.0), "the randomness of this test repeats itself");
    assert_ne!(id(0.0), id(0.5));
}

// Variables.

#[test]
fn every_kind_of_value_comes_back_as_it_was() {
    let outside = plain();
    let values = [
        ("null", Value::Null),
        ("boolean", Value::Boolean(false)),
        ("integer", Value::Integer(i64::MIN)),
        ("real", Value::Real(1.0)),
        ("text", Value::Text("1 €".into())),
        ("bytes", Value::Bytes(vec![0, 255])),
        ("json", Value::Json("{\"a\": [1, 1.0, null]}".into())),
    ];
    let session = outside.start(options()).unwrap();
    for (key, value) in &values {
        session.set(key, value).unwrap();
        assert_eq!(session.get(key).unwrap().as_ref(), Some(value), "before save");
    }
    session.save().unwrap();
    let session = outside.resume(&session.id()).unwrap();
    for (key, value) in &values {
        assert_eq!(session.get(key).unwrap().as_ref(), Some(value), "after save");
    }
    let mut sorted = values.to_vec();
    sorted.sort_by_key(|(key, _)| *key);
    let entries: Vec<_> = sorted.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    assert_eq!(session.entries().unwrap(), entries);
}

#[test]
fn null_is_not_absence() {
    let session = plain().start(options()).unwrap();
    session.set("a", &Value::Null).unwrap();
    assert_eq!(session.get("a").unwrap(), Some(Value::Null));
    assert!(session.has_key("a").unwrap());
    assert_eq!(session.get("b").unwrap(), None);
}

#[test]
fn deleted_variables_are_gone_at_once_and_after_save() {
    let outside = plain();
    let id = outside.visited();
    let session = outside.resume(&id).unwrap();
    assert!(session.delete("a").unwrap());
    assert!(!session.delete("a").unwrap());
    assert_eq!(session.get("a").unwrap(), None);
    assert!(session.keys().unwrap().is_empty());
    session.save().unwrap();
    assert_eq!(outside.resume(&id).unwrap().get("a").unwrap(), None);
}

#[test]
fn a_message_that_is_taken_is_shown_once() {
    let outside = plain();
    let id = outside.visited();
    let session = outside.resume(&id).unwrap();
    assert_eq!(session.take("a").unwrap(), Some(one()));
    assert_eq!(session.take("a").unwrap(), None);
    session.save().unwrap();
    assert_eq!(outside.resume(&id).unwrap().take("a").unwrap(), None);
}

#[test]
fn clear_also_removes_what_others_set_before_it_is_saved() {
    let outside = plain();
    let id = outside.visited();
    let clearing = outside.resume(&id).unwrap();
    let setting = outside.resume(&id).unwrap();
    clearing.clear().unwrap();
    clearing.set("c", &one()).unwrap();
    setting.set("b", &one()).unwrap();
    setting.save().unwrap();
    clearing.save().unwrap();
    assert_eq!(outside.resume(&id).unwrap().keys().unwrap(), ["c"]);

    let later = outside.resume(&id).unwrap();
    later.set("d", &one()).unwrap();
    later.save().unwrap();
    clearing.set("e", &one()).unwrap();
    clearing.save().unwrap();
    assert_eq!(outside.resume(&id).unwrap().keys().unwrap(), ["c", "d", "e"], "a clear is saved once");
}

#[test]
fn keys_and_values_past_their_limits_are_refused() {
    let outside = Outside::new(|settings| {
        settings.limits.value_bytes = 10;
        settings.limits.variables = 2;
    });
    let session = outside.start(options()).unwrap();
    for key in ["", "a\0", &"k".repeat(33)] {
        assert!(matches!(session.set(key, &one()), Err(Error::InvalidName(_))), "{key:?}");
        assert!(matches!(session.get(key), Err(Error::InvalidName(_))), "{key:?}");
    }
    assert!(
        matches!(session.set("a", &Value::Bytes(vec![0; 10])), Err(Error::TooLarge(text)) if text.contains("value-bytes"))
    );
    assert!(matches!(session.set("a", &Value::Json("{".into())), Err(Error::InvalidValue(_))));
    session.set("a", &one()).unwrap();
    session.set(&"k".repeat(32), &one()).unwrap();
    session.set("a", &one()).unwrap();
    assert!(matches!(session.set("c", &one()), Err(Error::TooLarge(text)) if text.contains("variables")));
    assert!(matches!(session.add("c", 1), Err(Error::TooLarge(_))));
    session.delete("a").unwrap();
    session.set("c", &one()).unwrap();
    assert!(session.set("d", &one()).is_err(), "the one that was deleted makes room for one");
    session.set(&"k".repeat(32), &Value::Bytes(vec![0; 7])).unwrap();
    let long = Value::Json("{".repeat(11));
    assert!(matches!(session.set("c", &long), Err(Error::TooLarge(_))), "what is too large is not read");
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
fn a_large_value_is_fetched_only_when_it_is_asked_for() {
    let outside = plain();
    let large = Value::Bytes(vec![7; 100_000]);
    let session = outside.start(options()).unwrap();
    session.set("large", &large).unwrap();
    session.save().unwrap();
    outside.calls();

    let session = outside.resume(&session.id()).unwrap();
    assert!(session.has_key("large").unwrap());
    assert_eq!(outside.calls(), ["load"]);
    assert_eq!(session.get("large").unwrap(), Some(large));
    assert_eq!(outside.calls(), ["fetch"]);
}

#[test]
fn data_of_an_unknown_format_is_unreadable_and_left_alone() {
    let outside = plain();
    let id = outside.visited();
    outside.corrupt("session", "a", &[9, 1]);
    let session = outside.resume(&id).unwrap();
    assert!(matches!(session.get("a"), Err(Error::Unreadable(text)) if text.contains("format 9")));
    session.set("b", &one()).unwrap();
    session.save().unwrap();
    assert!(matches!(outside.resume(&id).unwrap().get("a"), Err(Error::Unreadable(_))));
}

// Concurrent requests.

#[test]
fn different_variables_of_concurrent_requests_all_survive() {
    let outside = plain();
    let id = outside.visited();
    let requests: Vec<_> = (0..50).map(|_| outside.resume(&id).unwrap()).collect();
    for (n, request) in requests.iter().enumerate() {
        request.set(&format!("k{n}"), &one()).unwrap();
    }
    for request in &requests {
        request.save().unwrap();
    }
    assert_eq!(outside.resume(&id).unwrap().keys().unwrap().len(), 51);
}

#[test]
fn of_the_same_variable_the_last_save_wins_and_with_strict_the_loser_hears_conflict() {
    let outside = plain();
    let id = outside.visited();
    let save = |strict| {
        let options = || Options { strict: Some(strict), ..carrying(&id) };
        let (first, second) = (outside.start(options()).unwrap(), outside.start(options()).unwrap());
        first.set("a", &Value::Integer(if strict { 5 } else { 3 })).unwrap();
        second.set("a", &Value::Integer(4)).unwrap();
        second.save().unwrap();
        (first.save(), first)
    };
    assert!(save(false).0.is_ok());
    assert_eq!(outside.resume(&id).unwrap().get("a").unwrap(), Some(Value::Integer(3)));
    let (outcome, first) = save(true);
    assert_eq!(outcome, Err(Error::Conflict));
    assert_eq!(outside.resume(&id).unwrap().get("a").unwrap(), Some(Value::Integer(4)));
    assert_eq!(first.get("a"), Err(Error::Gone), "a handle that lost is of no use any more");
}

#[test]
fn strict_goes_by_what_was_read_first() {
    let outside = plain();
    let id = outside.visited();
    let strict = outside.start(Options { strict: Some(true), ..carrying(&id) }).unwrap();
    let other = outside.resume(&id).unwrap();
    other.set("a", &Value::Integer(2)).unwrap();
    other.save().unwrap();
    strict.application_named("late").unwrap();
    strict.set("a", &Value::Integer(3)).unwrap();
    assert_eq!(strict.save(), Err(Error::Conflict));
}

#[test]
fn additions_of_concurrent_requests_are_never_lost() {
    let outside = plain();
    let id = outside.visited();
    let requests: Vec<_> = (0..20).map(|_| outside.resume(&id).unwrap()).collect();
    for request in &requests {
        assert_eq!(request.add("a", 1).unwrap(), 2);
        assert_eq!(request.get("a").unwrap(), Some(Value::Integer(2)));
        request.application_named("other").unwrap().add("n", 2).unwrap();
    }
    for request in &requests {
        request.save().unwrap();
    }
    let session = outside.resume(&id).unwrap();
    assert_eq!(session.get("a").unwrap(), Some(Value::Integer(21)));
    assert_eq!(session.application_named("other").unwrap().get("n").unwrap(), Some(Value::Integer(40)));
}

#[test]
fn an_addition_is_repeated_until_a_thousand_saves_have_overtaken_it() {
    let outside = plain();
    let id = outside.visited();
    let save = |others| {
        let session = outside.resume(&id).unwrap();
        session.add("a", 1).unwrap();
        outside.overtake(others);
        (session.save().map(drop), session)
    };
    assert_eq!(save(999).0, Ok(()));
    let (outcome, session) = save(1000);
    assert_eq!(outcome, Err(Error::Conflict));
    assert_eq!(session.get("a"), Err(Error::Gone));
    assert_eq!(outside.resume(&id).unwrap().get("a").unwrap(), Some(Value::Integer(2)));
}

#[test]
fn a_save_that_adds_nothing_is_never_overtaken() {
    let outside = plain();
    let id = outside.visited();
    let session = outside.resume(&id).unwrap();
    session.set("a", &Value::Integer(2)).unwrap();
    outside.overtake(1);
    outside.calls();
    session.save().unwrap();
    assert_eq!(outside.calls(), ["update"]);
}

#[test]
fn only_integers_that_fit_can_be_added_to() {
    let outside = plain();
    let session = outside.start(options()).unwrap();
    session.set("text", &Value::Text("1".into())).unwrap();
    session.set("most", &Value::Integer(i64::MAX)).unwrap();
    for (key, delta) in [("text", 1), ("most", 1)] {
        assert!(matches!(session.add(key, delta), Err(Error::InvalidValue(_))), "{key}");
    }
    assert_eq!(session.add("most", -1).unwrap(), i64::MAX - 1);
    assert_eq!(session.add("new", 5).unwrap(), 5);
    session.save().unwrap();
    let session = outside.resume(&session.id()).unwrap();
    assert_eq!(session.add("new", 5).unwrap(), 10);
    assert_eq!(session.add("new", 5).unwrap(), 15);
    session.delete("new").unwrap();
    assert_eq!(session.add("new", 5).unwrap(), 5);
    session.save().unwrap();
    assert_eq!(outside.resume(&session.id()).unwrap().get("new").unwrap(), Some(Value::Integer(5)));
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

// The end.

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

#[test]
fn a_destroyed_session_deletes_the_cookie_that_the_visitor_may_have() {
    let outside = plain();
    let dead = outside.visited();
    outside.resume(&dead).unwrap().destroy().unwrap();
    for value in [dead.as_str(), "x"] {
        let headers = outside.resume(value).unwrap().destroy().unwrap();
        assert_eq!(sent_value(&headers).as_deref(), Some(""), "a cookie that leads nowhere: {value}");
    }
    let session = outside.start(options()).unwrap();
    session.save().unwrap();
    assert_eq!(sent_value(&session.destroy().unwrap()).as_deref(), Some(""), "the one that the save has sent");
}

#[test]
fn with_lazy_a_dead_cookie_is_deleted() {
    let outside = Outside::new(|settings| settings.lazy = true);
    let dead = outside.visited();
    outside.resume(&dead).unwrap().destroy().unwrap();
    for value in [dead.as_str(), &id::new([7; 32], ""), "x"] {
        let session = outside.resume(value).unwrap();
        assert_eq!(sent_value(&session.save().unwrap()).as_deref(), Some(""), "{value}");
        assert_eq!(sent_value(&session.save().unwrap()), None, "once");
        assert_eq!(outside.stored(), 0);
        session.set("a", &one()).unwrap();
        assert_eq!(sent_value(&session.save().unwrap()), Some(session.id()));
        session.destroy().unwrap();
    }
    assert_eq!(sent_value(&outside.start(options()).unwrap().save().unwrap()), None, "there is nothing to delete");
}

#[test]
fn a_session_lives_to_the_second() {
    let outside = Outside::new(|settings| settings.touch_after = Some(0));
    let id = outside.visited();
    outside.wait(1439);
    assert!(!outside.resume(&id).unwrap().created());
    outside.wait(1);
    assert!(outside.resume(&id).unwrap().created());
    assert_eq!(outside.stored(), 0, "touching an expired session destroys it");
}

#[test]
fn a_session_never_ends_before_its_idle_time_whatever_the_fraction_of_a_second() {
    for milliseconds in [0, 1, 500, 999] {
        let outside = Outside::new(|settings| settings.touch_after = Some(0));
        outside.wait_for(Duration::from_millis(milliseconds));
        let id = outside.visited();
        for _ in 0..3 {
            outside.wait(1439);
            outside.wait_for(Duration::from_millis(999));
            let session = outside.resume(&id).unwrap();
            assert!(!session.created(), "used at {milliseconds} milliseconds");
            session.save().unwrap();
        }
        outside.wait(1441);
        assert!(outside.resume(&id).unwrap().created());
    }
}

#[test]
fn an_expired_session_that_another_host_extended_meanwhile_stays() {
    let outside = Outside::new(|settings| settings.touch_after = Some(0));
    let id = outside.visited();
    outside.wait(1440);
    outside.extend_what_is_found_expired();
    assert!(outside.resume(&id).unwrap().created());
    assert_eq!(outside.calls().last(), Some(&"destroy"));
    assert_eq!(outside.stored(), 1, "it was not expired any more");
}

#[test]
fn every_use_gives_the_idle_time_anew() {
    let outside = plain();
    let id = outside.visited();
    for _ in 0..100 {
        outside.wait(1440);
        let session = outside.resume(&id).unwrap();
        assert!(!session.created());
        session.save().unwrap();
    }
    outside.wait(1440 + 72);
    assert!(outside.resume(&id).unwrap().created());
}

#[test]
fn a_hundred_reads_of_a_fresh_session_cost_at_most_one_write() {
    let outside = plain();
    let id = outside.visited();
    outside.calls();
    for _ in 0..100 {
        let session = outside.resume(&id).unwrap();
        session.get("a").unwrap();
        session.save().unwrap();
        outside.wait(1);
    }
    let writes = outside.calls().iter().filter(|call| **call != "load").count();
    assert_eq!(writes, 1);
}

#[test]
fn the_cookie_is_renewed_with_the_session() {
    let outside = plain();
    let id = outside.visited();
    outside.wait(72);
    assert_eq!(sent_id(&outside.resume(&id).unwrap().save().unwrap()), None);
    outside.wait(1);
    let headers = outside.resume(&id).unwrap().save().unwrap();
    assert_eq!(sent_id(&headers), Some(id));
    assert!(headers[0].1.ends_with("Max-Age=1512"));
}

#[test]
fn a_cookie_of_the_browsers_run_is_sent_once() {
    let outside = Outside::new(|settings| settings.cookie.lifetime = Some(0));
    let value = sent_value(&outside.start(options()).unwrap().save().unwrap()).unwrap();
    outside.wait(1000);
    assert_eq!(sent_value(&outside.resume(&value).unwrap().save().unwrap()), None);
    assert_eq!(outside.resume(&value).unwrap().expires_at(), NOW + 1000 + 1512);
}

#[test]
fn a_cookie_is_sent_again_when_it_differs_from_the_one_that_the_browser_has() {
    let outside = plain();
    let lasting = |seconds: u32| Some(Cookie { lifetime: Some(seconds), ..cookie() });
    let visit = |value: &str, cookie: Option<Cookie>, https: bool| {
        let session = outside.start(Options { cookie, https, ..carrying(value) }).unwrap();
        assert!(!session.created());
        session.save().unwrap()
    };
    let mut value = outside.visited();
    let changes: [(Option<Cookie>, bool, &str); 6] = [
        (lasting(0), false, "SameSite=Lax"),
        (lasting(86400), false, "Max-Age=86400"),
        (lasting(0), false, "SameSite=Lax"),
        (None, false, "Max-Age=1512"),
        (None, true, "Secure"),
        (Some(Cookie { path: Some("/shop".into()), ..cookie() }), true, "Path=/shop"),
    ];
    for (cookie, https, expected) in changes {
        let headers = visit(&value, cookie.clone(), https);
        assert!(headers[0].1.contains(expected), "{headers:?}");
        assert_eq!(headers[0].1.contains("Max-Age"), cookie.as_ref().is_none_or(|cookie| cookie.lifetime != Some(0)));
        let old = std::mem::replace(&mut value, sent_value(&headers).unwrap());
        assert_eq!(sent_value(&visit(&value, cookie.clone(), https)), None, "the browser has it");
        let both = format!("{old}; session={value}");
        assert_eq!(sent_value(&visit(&both, cookie, https)), None, "it is one of those that the browser has");
    }
    let ids: Vec<_> = outside.calls().into_iter().filter(|call| *call != "load").collect();
    assert_eq!(ids, ["create"], "to send a cookie again writes nothing");
}

#[test]
fn a_cookie_that_differs_is_sent_once_also_with_a_push_of_the_session() {
    let outside = plain();
    let id = outside.visited();
    outside.wait(1000);
    let session = outside.start(Options { https: true, ..carrying(&id) }).unwrap();
    let headers = session.save().unwrap();
    assert!(headers[0].1.contains("Secure") && headers[0].1.contains("Max-Age=1512"), "{headers:?}");
    assert_eq!(sent_id(&session.save().unwrap()), None);
}

#[test]
fn without_rolling_a_session_ends_with_its_first_idle_time() {
    let outside = Outside::new(|settings| settings.rolling = false);
    let id = outside.visited();
    outside.wait(1439);
    outside.resume(&id).unwrap().save().unwrap();
    outside.wait(1);
    assert!(outside.resume(&id).unwrap().created());
}

#[test]
fn max_lifetime_ends_a_session_however_often_it_is_used() {
    let outside = Outside::new(|settings| settings.max_lifetime = 3000);
    let id = outside.visited();
    for _ in 0..2 {
        outside.wait(1400);
        outside.resume(&id).unwrap().save().unwrap();
    }
    outside.wait(199);
    assert!(!outside.resume(&id).unwrap().created());
    outside.wait(1);
    assert!(outside.resume(&id).unwrap().created());
}

#[test]
fn trouble_in_the_store_reaches_the_application_without_its_details() {
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

// Several starts of one request.

fn start_in(
    outside: &Outside,
    world: &std::rc::Rc<crate::World<Outside>>,
    request: u64,
    cookies: &str,
) -> Session<Outside> {
    outside.call_as(request, Grant::Owners);
    let cookies = if cookies.is_empty() { Vec::new() } else { vec![cookies.into()] };
    start(world, Options { cookies, ..options() }).unwrap()
}

#[test]
fn two_starts_in_the_first_request_of_a_visitor_are_one_session() {
    let outside = plain();
    let world = outside.instance();
    let dead = format!("session={}", id::new([7; 32], ""));
    for (request, cookies) in [(1, ""), (2, dead.as_str()), (3, "session=x")] {
        let stored = outside.stored();
        let (page, module) =
            (start_in(&outside, &world, request, cookies), start_in(&outside, &world, request, cookies));
        assert!(page.created() && module.created());
        page.set("a", &one()).unwrap();
        assert_eq!(module.get("a").unwrap(), Some(one()), "they share what they changed");
        let sent = sent_id(&module.save().unwrap()).unwrap();
        assert_eq!(sent_id(&page.save().unwrap()), None, "the headers are returned once");
        assert_eq!(outside.stored(), stored + 1);
        assert_eq!(outside.resume(&sent).unwrap().get("a").unwrap(), Some(one()));
    }
    assert!(outside.notices().is_empty());
}

#[test]
fn a_start_after_the_first_session_was_saved_and_dropped_resumes_it() {
    let outside = plain();
    let world = outside.instance();
    let first = start_in(&outside, &world, 1, "");
    first.set("a", &one()).unwrap();
    let id = sent_id(&first.save().unwrap()).unwrap();
    drop(first);
    for _ in 0..2 {
        let again = start_in(&outside, &world, 1, "");
        assert_eq!(again.get("a").unwrap(), Some(one()));
        assert!(!again.created());
        assert_eq!(sent_id(&again.save().unwrap()), Some(id.clone()), "the visitor has no cookie yet");
    }
    assert_eq!(outside.stored(), 1);
}

#[test]
fn a_start_after_a_login_finds_the_session_under_its_new_id() {
    for keeps_it_open in [true, false] {
        let outside = plain();
        let world = outside.instance();
        let cookies = format!("session={}", outside.visited());
        let module = start_in(&outside, &world, 1, &cookies);
        module.regenerate_id().unwrap();
        module.save().unwrap();
        let id = module.id();
        let kept = keeps_it_open.then_some(module);
        let page = start_in(&outside, &world, 1, &cookies);
        assert_eq!(page.id(), id);
        assert_eq!(page.get("a").unwrap(), Some(one()));
        drop(kept);
    }
}

#[test]
fn a_start_joins_no_session_that_was_not_stored_and_none_that_the_cookies_lead_to() {
    let outside = plain();
    let world = outside.instance();
    drop(start_in(&outside, &world, 1, ""));
    drop(start_in(&outside, &world, 1, ""));
    assert!(outside.calls().is_empty(), "it was not stored");

    let cookies = format!("session={}", outside.visited());
    for _ in 0..2 {
        let session = start_in(&outside, &world, 2, &cookies);
        assert!(!session.created());
        assert_eq!(sent_id(&session.save().unwrap()), None, "the visitor has the cookie");
    }
}

#[test]
fn a_start_after_the_login_of_a_new_visitor_joins_the_session() {
    let outside = plain();
    let world = outside.instance();
    let module = start_in(&outside, &world, 1, "");
    module.save().unwrap();
    module.regenerate_id().unwrap();
    module.save().unwrap();
    assert_eq!(start_in(&outside, &world, 1, "").id(), module.id());
}

#[test]
fn a_session_is_never_joined_across_requests_or_visits() {
    let outside = plain();
    let world = outside.instance();
    let first = start_in(&outside, &world, 1, "");
    first.set("a", &one()).unwrap();
    first.save().unwrap();
    let is_apart = |session: Session<Outside>| {
        assert!(session.created() && session.id() != first.id());
        assert_eq!(session.get("a").unwrap(), None);
    };
    is_apart(start_in(&outside, &world, 2, ""));
    let other = |change: fn(&mut Options)| {
        let mut options = options();
        change(&mut options);
        outside.call_as(3, Grant::Owners);
        start(&world, options).unwrap()
    };
    let begun = start_in(&outside, &world, 3, "");
    let id = begun.id();
    assert_eq!(other(|_| ()).id(), id);
    for change in [
        (|options| options.app = Some("shop".into())) as fn(&mut Options),
        |options| options.cookie = Some(Cookie { name: Some("sid".into()), ..cookie() }),
        |options| options.location.table = Some("Forum".into()),
        |options| options.session_id = Some(String::new()),
        |options| options.cookies = vec![format!("session={}", id::new([9; 32], "")).into()],
    ] {
        assert_ne!(other(change).id(), id);
    }
    assert_eq!(other(|_| ()).id(), id, "it is still the one of its visit");
    begun.destroy().unwrap();
    assert_ne!(other(|_| ()).id(), id, "it has ended");

    outside.call_as(0, Grant::Owners);
    let untold = [start(&world, options()).unwrap(), start(&world, options()).unwrap()];
    assert_ne!(untold[0].id(), untold[1].id(), "the host does not tell requests apart");
}

#[test]
fn a_second_start_does_not_open_what_is_reserved() {
    let outside = plain();
    let world = outside.instance();
    let page = start_in(&outside, &world, 1, "");
    let _auth = page.reserve("auth", None).unwrap();
    let named = Cookie { name: Some("session".into()), ..cookie() };
    let options = Options { app: Some("auth".into()), cookie: Some(named), ..options() };
    assert!(matches!(start(&world, options.clone()).map(drop), Err(Error::Reserved(_))));
    let shop = start(&world, Options { app: Some("shop".into()), ..options }).unwrap();
    assert_eq!((shop.app().as_str(), shop.id()), ("shop", page.id()));
}

// The id.

#[test]
fn regenerate_id_moves_all_variables_and_the_old_id_is_dead_at_once() {
    let outside = plain();
    let old = outside.visited();
    let session = outside.resume(&old).unwrap();
    session.application_named("other").unwrap().set("b", &one()).unwrap();
    session.regenerate_id().unwrap();
    session.set_owner(Some("ann".into())).unwrap();
    assert_ne!(session.id(), old);
    outside.calls();
    let sent = sent_id(&session.save().unwrap()).unwrap();
    assert_eq!(outside.calls(), ["update"], "one transaction");
    assert_eq!(sent, session.id());
    assert!(outside.resume(&old).unwrap().created());

    let session = outside.resume(&sent).unwrap();
    assert_eq!(session.get("a").unwrap(), Some(one()));
    assert_eq!(session.application_named("other").unwrap().get("b").unwrap(), Some(one()));
    assert_eq!(session.owner().unwrap().as_deref(), Some("ann"));
}

#[test]
fn a_new_session_can_regenerate_its_id() {
    let outside = plain();
    let session = outside.start(options()).unwrap();
    let first = session.id();
    session.regenerate_id().unwrap();
    let sent = sent_id(&session.save().unwrap()).unwrap();
    assert_ne!(sent, first);
    assert!(!outside.resume(&sent).unwrap().created());
    assert!(outside.resume(&first).unwrap().created());
}

fn renewing() -> Outside {
    Outside::new(|settings| settings.renew_after = 600)
}

#[test]
fn renewal_gives_a_new_id_and_the_old_one_leads_to_it_for_the_grace() {
    let outside = renewing();
    let old = outside.visited();
    outside.wait(599);
    assert_eq!(sent_id(&outside.resume(&old).unwrap().save().unwrap()), Some(old.clone()), "pushed, not renewed");
    outside.wait(1);
    let new = sent_id(&outside.resume(&old).unwrap().save().unwrap()).unwrap();
    assert_ne!(new, old);

    outside.wait(59);
    let late = outside.resume(&old).unwrap();
    assert!(!late.created());
    assert_eq!(late.id(), new);
    late.set("late", &one()).unwrap();
    assert_eq!(sent_id(&late.save().unwrap()), Some(new.clone()));

    outside.wait(1);
    assert!(outside.resume(&old).unwrap().created(), "after the grace the old id is nobody");
    assert_eq!(outside.resume(&new).unwrap().get("late").unwrap(), Some(one()));
}

#[test]
fn an_id_that_no_cookie_carries_is_not_renewed() {
    let outside = renewing();
    let id = outside.visited();
    outside.wait(600);
    let session = outside.start(Options { session_id: Some(id.clone()), ..options() }).unwrap();
    session.save().unwrap();
    assert_eq!(session.id(), id);
}

#[test]
fn however_many_race_for_a_renewal_there_is_one_successor() {
    let outside = renewing();
    let old = outside.visited();
    outside.wait(600);
    let requests: Vec<_> = (0..10).map(|_| outside.resume(&old).unwrap()).collect();
    for (n, request) in requests.iter().enumerate() {
        request.set(&format!("k{n}"), &one()).unwrap();
    }
    let sent: Vec<_> = requests.iter().map(|request| sent_id(&request.save().unwrap()).unwrap()).collect();
    assert!(sent.iter().all(|id| *id == sent[0] && *id != old));
    assert_eq!(outside.stored(), 1);
    assert_eq!(outside.resume(&sent[0]).unwrap().keys().unwrap().len(), 11);
}

#[test]
fn a_session_that_was_renewed_meanwhile_is_not_renewed_again() {
    let outside = renewing();
    let old = outside.visited();
    outside.wait(600);
    let late = outside.resume(&old).unwrap();
    let new = sent_id(&outside.resume(&old).unwrap().save().unwrap()).unwrap();
    for n in 0..3 {
        late.set("late", &Value::Integer(n)).unwrap();
        late.save().unwrap();
        assert_eq!(late.id(), new);
    }
}

#[test]
fn a_session_that_is_renewed_meanwhile_can_be_destroyed_and_looked_into() {
    let outside = renewing();
    let old = outside.visited();
    outside.wait(600);
    let (destroying, looking) = (outside.resume(&old).unwrap(), outside.resume(&old).unwrap());
    let new = sent_id(&outside.resume(&old).unwrap().save().unwrap()).unwrap();
    assert!(looking.application_named("other").unwrap().keys().unwrap().is_empty());
    assert_eq!(looking.id(), new);
    destroying.destroy().unwrap();
    assert_eq!(outside.stored(), 0);
}

#[test]
fn a_login_ends_a_renewed_id_too() {
    let outside = renewing();
    let old = outside.visited();
    outside.wait(600);
    outside.resume(&old).unwrap().save().unwrap();
    let login = outside.resume(&old).unwrap();
    login.regenerate_id().unwrap();
    let new = sent_id(&login.save().unwrap()).unwrap();
    assert!(outside.resume(&old).unwrap().created());
    assert!(!outside.resume(&new).unwrap().created());
}

// Applications and reservations.

#[test]
fn applications_share_a_session_and_never_each_others_variables() {
    let outside = plain();
    let session = outside.start(options()).unwrap();
    let other = session.application_named("other").unwrap();
    session.set("a", &Value::Integer(1)).unwrap();
    other.set("a", &Value::Integer(2)).unwrap();
    assert_eq!(other.id(), session.id());
    session.save().unwrap();

    let named = Cookie { name: Some("session".into()), ..cookie() };
    let options = Options { app: Some("other".into()), cookie: Some(named), ..carrying(&session.id()) };
    let other = outside.start(options).unwrap();
    assert_eq!(other.app(), "other");
    assert_eq!(other.get("a").unwrap(), Some(Value::Integer(2)));
    other.clear().unwrap();
    other.save().unwrap();
    assert_eq!(outside.resume(&session.id()).unwrap().get("a").unwrap(), Some(Value::Integer(1)));
}

#[test]
fn a_reserved_application_opens_only_to_the_holder() {
    let outside = plain();
    let id = outside.visited();
    let instance = outside.instance();
    let page = start(&instance, carrying(&id)).unwrap();
    let sneaky = page.application_named("auth").unwrap();
    let auth = page.reserve("auth", None).unwrap();
    auth.set("user", &Value::Text("ann".into())).unwrap();

    let is_reserved = |outcome: Result<()>| assert!(matches!(outcome, Err(Error::Reserved(_))), "{outcome:?}");
    is_reserved(page.application_named("auth").map(drop));
    is_reserved(page.reserve("auth", None).map(drop));
    is_reserved(page.reserve("auth", Some("guess")).map(drop));
    is_reserved(page.release("auth"));
    is_reserved(sneaky.get("user").map(drop));
    is_reserved(sneaky.set("user", &one()));
    is_reserved(sneaky.delete("user").map(drop));
    is_reserved(sneaky.keys().map(drop));
    is_reserved(sneaky.entries().map(drop));
    is_reserved(sneaky.take("user").map(drop));
    is_reserved(sneaky.clear());
    is_reserved(sneaky.add("n", 1).map(drop));
    is_reserved(sneaky.has_key("user").map(drop));
    let named = Cookie { name: Some("session".into()), ..cookie() };
    let options = Options { app: Some("auth".into()), cookie: Some(named), ..carrying(&id) };
    is_reserved(start(&instance, options).map(drop));

    assert_eq!(auth.get("user").unwrap(), Some(Value::Text("ann".into())));
    auth.release("auth").unwrap();
    assert_eq!(page.application_named("auth").unwrap().get("user").unwrap(), Some(Value::Text("ann".into())));
}

#[test]
fn a_reservation_outlives_its_holder_and_its_sessions_id() {
    let instance = plain().instance();
    let page = start(&instance, options()).unwrap();
    drop(page.reserve("auth", Some("key")).unwrap());
    assert!(page.application_named("auth").is_err());
    page.regenerate_id().unwrap();
    page.save().unwrap();
    assert!(page.application_named("auth").is_err());
    let again = page.reserve("auth", Some("key")).unwrap();
    again.set("user", &one()).unwrap();
    again.release("auth").unwrap();
    assert!(page.application_named("auth").is_ok());
}

#[test]
fn a_reservation_is_over_with_the_last_handle_of_its_session() {
    let outside = plain();
    let id = outside.visited();
    let instance = outside.instance();
    let page = start(&instance, carrying(&id)).unwrap();
    drop(page.reserve("auth", None).unwrap());
    drop(page);
    assert!(start(&instance, carrying(&id)).unwrap().application_named("auth").is_ok());
}

#[test]
fn what_the_site_reserves_opens_only_to_the_key() {
    let hash = id::to_hex(&id::key("secret"));
    let outside = Outside::new(|settings| {
        settings.reserved = vec![
            Reservation { name: "auth".into(), key_hash: hash },
            Reservation { name: "shut".into(), key_hash: "".into() },
        ];
    });
    let page = outside.start(options()).unwrap();
    for outcome in [
        page.application_named("auth"),
        page.reserve("auth", None),
        page.reserve("auth", Some("guess")),
        page.reserve("shut", None),
        outside.start(Options { app: Some("auth".into()), ..options() }),
    ] {
        assert!(matches!(outcome.map(drop), Err(Error::Reserved(_))));
    }
    let auth = page.reserve("auth", Some("secret")).unwrap();
    auth.set("user", &one()).unwrap();
    assert!(auth.application_named("auth").is_ok());
    assert!(page.application_named("auth").is_err());
    auth.release("auth").unwrap();
    assert!(matches!(auth.get("user"), Err(Error::Reserved(_))), "the site's reservation stands");
}

// Owners and the manager.

#[test]
fn all_sessions_of_an_owner_are_listed_and_ended_but_one() {
    let outside = plain();
    let owned = |owner: &str| {
        let session = outside.start(options()).unwrap();
        session.set_owner(Some(owner.into())).unwrap();
        session.save().unwrap();
        session
    };
    let (here, _there, other) = (owned("ann"), owned("ann"), owned("bob"));
    let world = outside.instance();
    let location = options().location;
    let page = manager::list(&world, &location, Some("ann"), None, 10).unwrap();
    assert_eq!(page.entries.len(), 2);
    assert!(page.entries.iter().any(|entry| entry.digest == here.digest()));
    assert_eq!(manager::destroy_owned(&world, &location, "ann", Some(&here.digest())).unwrap(), 1);
    assert_eq!(manager::count(&world, &location).unwrap(), 2);
    assert!(!outside.resume(&here.id()).unwrap().created());
    assert!(!outside.resume(&other.id()).unwrap().created());
}

#[test]
fn the_digest_is_the_one_that_the_store_knows_until_the_session_is_saved() {
    let outside = plain();
    let id = outside.visited();
    let session = outside.resume(&id).unwrap();
    let old = id::to_hex(&id::key(&id));
    session.regenerate_id().unwrap();
    assert_eq!(session.digest(), old);
    session.save().unwrap();
    assert_eq!(session.digest(), id::to_hex(&id::key(&session.id())));
    assert_ne!(session.digest(), old);

    let new = outside.start(options()).unwrap();
    new.regenerate_id().unwrap();
    assert_eq!(new.digest(), id::to_hex(&id::key(&new.id())), "the store knows neither id");
}

/// A session of an owner.
fn owned(outside: &Outside, owner: &str) -> Session<Outside> {
    let session = outside.start(options()).unwrap();
    session.set_owner(Some(owner.into())).unwrap();
    session.save().unwrap();
    session
}

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
    let renewed = sent_id(&outside.resume(&here).unwrap().save().unwrap()).unwrap();
    assert_eq!(slow.destroy_others().unwrap(), 1);
    assert!(!outside.resume(&renewed).unwrap().created());
    assert!(outside.resume(&elsewhere).unwrap().created());
}

#[test]
fn the_grant_says_what_an_application_may_call_of_the_manager() {
    let outside = plain();
    let ann = owned(&outside, "ann");
    let (world, location) = (outside.instance(), options().location);
    let denied = |function: &str, grant: &str, outcome: Option<Error>| {
        let names = |text: &str| text.contains(function) && text.contains(grant) && text.contains("[session.manager]");
        assert!(matches!(&outcome, Some(Error::Denied(text)) if names(text)), "{outcome:?}");
    };
    let everything = |grant: &str| {
        denied("create-tables", grant, manager::create_tables(&world, &location).err().unwrap().pop());
        denied("drop-tables", grant, manager::drop_tables(&world, &location).err().unwrap().pop());
        denied("tables-exist", grant, manager::tables_exist(&world, &location).err());
        denied("cleanup", grant, manager::cleanup(&world, &location, 1).err());
        denied("count", grant, manager::count(&world, &location).err());
        denied("list without", grant, manager::list(&world, &location, None, None, 1).err());
        denied("destroy without", grant, manager::destroy(&world, &location, &ann.digest(), None).err());
    };
    outside.calls();

    outside.call_as(1, Grant::None);
    everything("'none'");
    denied("list with", "'none'", manager::list(&world, &location, Some("ann"), None, 1).err());
    denied("destroy with", "'none'", manager::destroy(&world, &location, &ann.digest(), Some("ann")).err());
    denied("destroy-owned", "'none'", manager::destroy_owned(&world, &location, "ann", None).err());
    outside.call_as(2, Grant::Owners);
    everything("'owners'");
    assert!(outside.calls().is_empty(), "nothing that is refused reaches the store");

    assert_eq!(manager::list(&world, &location, Some("ann"), None, 10).unwrap().entries.len(), 1);
    assert!(!manager::destroy(&world, &location, &ann.digest(), Some("bob")).unwrap(), "it is not bob's");
    assert!(manager::destroy(&world, &location, &ann.digest(), Some("ann")).unwrap());
    assert_eq!(manager::destroy_owned(&world, &location, "ann", None).unwrap(), 0);
    let session = owned(&outside, "ann");
    outside.call_as(3, Grant::None);
    assert_eq!(session.destroy_others().unwrap(), 0, "a session's own function is not the manager's");

    outside.call_as(4, Grant::All);
    manager::create_tables(&world, &location).unwrap();
    assert!(manager::tables_exist(&world, &location).unwrap());
    assert_eq!(manager::cleanup(&world, &location, 1).unwrap(), 0);
    assert_eq!(manager::count(&world, &location).unwrap(), 1);
    assert!(manager::destroy(&world, &location, &session.digest(), None).unwrap());
    manager::drop_tables(&world, &location).unwrap();
}

#[test]
fn a_list_comes_in_pages() {
    let outside = plain();
    for _ in 0..5 {
        outside.visited();
    }
    let world = outside.instance();
    let mut digests = Vec::new();
    let mut after = None;
    for length in [2, 2, 1] {
        let page = manager::list(&world, &options().location, None, after.as_deref(), 2).unwrap();
        assert_eq!(page.entries.len(), length);
        digests.extend(page.entries.into_iter().map(|entry| entry.digest));
        after = page.next;
        assert_eq!(after.as_ref(), digests.last().filter(|_| length == 2));
    }
    assert!(digests.is_sorted_by(|a, b| a < b));
}

#[test]
fn the_manager_counts_lists_and_cleans_up_by_the_clock() {
    let outside = plain();
    let (world, location) = (outside.instance(), options().location);
    let expired = [outside.visited(), outside.visited()];
    outside.wait(10_000);
    let live = outside.visited();
    assert_eq!(manager::count(&world, &location).unwrap(), 1);
    let listed = manager::list(&world, &location, None, None, 10).unwrap().entries;
    assert_eq!(listed[0].digest, id::to_hex(&id::key(&live)));
    assert_eq!((listed.len(), listed[0].created), (1, NOW + 10_000));
    assert!(!manager::destroy(&world, &location, &id::to_hex(&id::key(&expired[0])), None).unwrap());
    assert_eq!(outside.stored(), 2, "it is removed all the same");
    assert_eq!(manager::cleanup(&world, &location, 0).unwrap(), 0);
    assert_eq!(manager::cleanup(&world, &location, 10).unwrap(), 1);
    assert_eq!(outside.stored(), 1);
}

#[test]
fn the_manager_tells_what_failed() {
    let outside = plain();
    let (world, location) = (outside.instance(), options().location);
    outside.fail(true);
    for outcome in [manager::create_tables(&world, &location), manager::drop_tables(&world, &location)] {
        assert!(matches!(&outcome.unwrap_err()[..], [Error::Storage(text)] if !text.contains("hunter2")));
    }
}

#[test]
fn what_is_no_digest_is_refused() {
    let world = plain().instance();
    assert!(matches!(manager::destroy(&world, &options().location, "abc", None), Err(Error::InvalidName(_))));
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
