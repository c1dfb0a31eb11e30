use super::*;

/// A session with what `give` gives it, saved: its id and the headers.
fn given(outside: &Outside, give: impl FnOnce(&Session<Outside>)) -> (String, Vec<Header>) {
    let id = outside.visited();
    let session = outside.resume(&id).unwrap();
    give(&session);
    let headers = session.save().unwrap();
    (id, headers)
}

fn max_age(headers: &[Header]) -> Option<u64> {
    let (_, cookie) = headers.iter().find(|(name, _)| name == "set-cookie").expect("a cookie");
    cookie.split_once("; Max-Age=").map(|(_, age)| age.parse().unwrap())
}

fn is_live(outside: &Outside, id: &str) -> bool {
    !outside.resume(id).unwrap().created()
}

#[test]
fn remember_lasts_for_all_later_requests_and_their_cookies() {
    let outside = Outside::new(|settings| settings.cookie.lifetime = Some(0));
    let (id, headers) = given(&outside, |session| session.remember(100_000).unwrap());
    assert_eq!(max_age(&headers), Some(105_000), "the idle time and its slice");
    for _ in 0..3 {
        outside.wait(100_000);
        let session = outside.resume(&id).unwrap();
        assert!(!session.created());
        assert_eq!(max_age(&session.save().unwrap()), Some(105_000), "it is renewed with each use");
    }
    outside.wait(105_000);
    assert!(!is_live(&outside, &id));
}

#[test]
fn a_lifetime_ends_a_session_earlier_too() {
    let outside = plain();
    let (id, headers) = given(&outside, |session| session.remember(60).unwrap());
    assert_eq!(max_age(&headers), Some(63));
    for _ in 0..3 {
        outside.wait(60);
        outside.resume(&id).unwrap().save().unwrap();
    }
    outside.wait(63);
    assert!(!is_live(&outside, &id));
}

#[test]
fn a_lifetime_of_a_session_that_was_never_saved_counts_from_its_first_save() {
    let outside = plain();
    let session = outside.start(options()).unwrap();
    session.remember(60).unwrap();
    outside.wait(30);
    session.save().unwrap();
    assert_eq!(session.expires_at(), NOW + 30 + 63);
    outside.wait(62);
    assert!(is_live(&outside, &session.id()));
    outside.wait(1);
    assert!(!is_live(&outside, &session.id()));
}

#[test]
fn the_cookie_lasts_as_the_session_was_given_and_is_not_sent_again_without_need() {
    let outside = plain();
    for (cookie, expected) in [(Some(0), None), (Some(7), Some(7)), (None, Some(1512))] {
        let lifetime = Lifetime { cookie, ..Lifetime::default() };
        let (_, headers) = given(&outside, |session| session.set_lifetime(&lifetime).unwrap());
        assert_eq!(max_age(&headers), expected);
        let value = sent_value(&headers).unwrap();
        let headers = outside.resume(&value).unwrap().save().unwrap();
        assert_eq!(sent_value(&headers), None, "the browser has it");
    }
}

#[test]
fn a_session_ends_after_its_max_lifetime_however_often_it_is_used() {
    let outside = plain();
    let lifetime = Lifetime { max_lifetime: Some(3000), ..Lifetime::default() };
    let (id, _) = given(&outside, |session| session.set_lifetime(&lifetime).unwrap());
    for _ in 0..2 {
        outside.wait(1400);
        outside.resume(&id).unwrap().save().unwrap();
    }
    outside.wait(199);
    assert!(is_live(&outside, &id));
    outside.wait(1);
    assert!(!is_live(&outside, &id));
}

#[test]
fn the_settings_cap_a_lifetime() {
    let outside = Outside::new(|settings| settings.max_expires = 2000);
    let (id, headers) = given(&outside, |session| session.remember(1_000_000).unwrap());
    assert_eq!(max_age(&headers), Some(2100));
    outside.wait(2100);
    assert!(!is_live(&outside, &id));

    let outside = Outside::new(|settings| settings.max_lifetime = 5000);
    let lifetime = Lifetime { expires: Some(9000), max_lifetime: Some(9000), cookie: None };
    let (id, _) = given(&outside, |session| session.set_lifetime(&lifetime).unwrap());
    outside.wait(4999);
    assert!(is_live(&outside, &id));
    outside.wait(1);
    assert!(!is_live(&outside, &id), "the setting counts from the creation");
}

#[test]
fn a_login_has_its_own_deadline_in_place_of_max_lifetime() {
    let outside = Outside::new(|settings| (settings.max_lifetime, settings.login_lifetime) = (3000, 5000));
    let id = outside.visited();
    outside.wait(1000);
    let session = outside.resume(&id).unwrap();
    session.authenticate("ann", "password").unwrap();
    let id = sent_id(&session.save().unwrap()).unwrap();
    assert_eq!(session.metadata().unwrap().absolute_expiry, Some(NOW + 1000 + 5000));
    for _ in 0..4 {
        outside.wait(1200);
        outside.resume(&id).unwrap().save().unwrap();
    }
    outside.wait(199);
    assert!(is_live(&outside, &id));
    let lifetime = Lifetime { expires: Some(9000), max_lifetime: Some(9000), cookie: None };
    outside.resume(&id).unwrap().set_lifetime(&lifetime).unwrap();
    outside.wait(1);
    assert!(!is_live(&outside, &id));
}

#[test]
fn the_lifetime_that_is_given_last_counts_and_none_is_that_of_the_settings() {
    let outside = plain();
    let (id, _) = given(&outside, |session| {
        session.remember(60).unwrap();
        session.remember(100_000).unwrap();
    });
    outside.wait(100_000);
    let session = outside.resume(&id).unwrap();
    assert!(!session.created());
    session.set_lifetime(&Lifetime::default()).unwrap();
    assert_eq!(max_age(&session.save().unwrap()), Some(1512));
    outside.wait(1512);
    assert!(!is_live(&outside, &id));
}

#[test]
fn the_lifetime_of_a_session_precedes_that_of_a_start_which_counts_for_this_start_alone() {
    let outside = plain();
    let week: u32 = 7 * 24 * 3600;
    let brief = |id: &str| outside.start(Options { expires: Some(60), ..carrying(id) }).unwrap();
    let (id, _) = given(&outside, |session| session.remember(week).unwrap());
    outside.wait(week.into());
    brief(&id).save().unwrap();
    outside.wait(week.into());
    assert!(is_live(&outside, &id), "the use under another start counted for the week");

    let id = outside.visited();
    let long = outside.start(Options { expires: Some(week), ..carrying(&id) }).unwrap();
    long.save().unwrap();
    outside.wait(week.into());
    let session = outside.resume(&id).unwrap();
    assert!(!session.created());
    session.save().unwrap();
    outside.wait(week.into());
    assert!(!is_live(&outside, &id), "the idle time of one start is not that of the next");
}

#[test]
fn a_lifetime_of_no_seconds_is_refused() {
    let session = plain().start(options()).unwrap();
    let refused = |lifetime| match session.set_lifetime(&lifetime) {
        Err(Error::InvalidOption(text)) => text,
        other => panic!("{other:?}"),
    };
    let text = refused(Lifetime { expires: Some(0), ..Lifetime::default() });
    assert_eq!(text, "expires: a session lasts at least 1 second");
    let text = refused(Lifetime { max_lifetime: Some(0), ..Lifetime::default() });
    assert_eq!(text, "max-lifetime: a session lasts at least 1 second");
}

#[test]
fn a_lifetime_that_is_not_saved_is_noticed() {
    let outside = plain();
    let id = outside.visited();
    outside.resume(&id).unwrap().remember(60).unwrap();
    assert_eq!(outside.notices(), [Notice::Unsaved("session".into())]);
}

/// The requests `a` and `b` in one of the six orders of their starts and saves.
fn in_order(order: usize, mut start: impl FnMut(usize), mut save: impl FnMut(usize)) {
    const ORDERS: [[usize; 4]; 6] =
        [[0, 0, 1, 1], [0, 1, 0, 1], [0, 1, 1, 0], [1, 0, 0, 1], [1, 0, 1, 0], [1, 1, 0, 0]];
    let mut started = [false; 2];
    for request in ORDERS[order] {
        match std::mem::replace(&mut started[request], true) {
            false => start(request),
            true => save(request),
        }
    }
}

#[test]
fn in_every_order_a_use_by_another_request_undoes_no_change_of_the_lifetime() {
    for (seconds, before, after) in [(60, 1000, 64), (100_000, 1000, 105_000)] {
        for order in 0..6 {
            let outside = plain();
            let id = outside.visited();
            // So long that a use is written down.
            outside.wait(before);
            let sessions = std::cell::RefCell::new([None, None]);
            let start = |request: usize| {
                let session = outside.resume(&id).unwrap();
                if request == 1 {
                    session.remember(seconds).unwrap();
                }
                sessions.borrow_mut()[request] = Some(session);
            };
            in_order(order, start, |request| _ = sessions.borrow()[request].as_ref().unwrap().save().unwrap());
            outside.wait(u64::from(seconds));
            assert!(is_live(&outside, &id), "{seconds} seconds after a use in the order {order}");
            outside.wait(after - u64::from(seconds));
            assert!(!is_live(&outside, &id), "{after} seconds after a use in the order {order}");
        }
    }
}
