use super::*;

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
fn headers_are_returned_once() {
    let session = plain().start(options()).unwrap();
    assert_eq!(session.save().unwrap().len(), 3);
    session.set("a", &one()).unwrap();
    assert!(session.save().unwrap().is_empty());
}
