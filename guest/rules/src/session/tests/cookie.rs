use super::*;

#[test]
fn max_age_is_the_idle_time_and_the_slice_that_may_pass_unwritten() {
    let headers = plain().start(options()).unwrap().save().unwrap();
    assert!(headers[0].1.ends_with("; Max-Age=1512"), "{}", headers[0].1);
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
