//! The rules of sessions, each on any driver.

use std::sync::{Arc, atomic::Ordering::Relaxed};

use futures::future::join_all;
use lemon_session_host::{
    Session, Sessions,
    sessions::{Error, Options, Value},
    settings::Reservation,
    store::{Change, Digest},
};

use crate::{
    site::{Site, carrying, resume, sent_id, visited},
    wrapped::Wrapped,
};

/// Clients of the counter rules.
const CLIENTS: i64 = 32;

async fn is_dead(sessions: &Sessions, id: &str) -> bool {
    resume(sessions, id).await.created().await.unwrap()
}

/// A request that has set a variable and not saved it yet.
async fn in_flight(sessions: &Sessions, id: &str) -> Session {
    let session = resume(sessions, id).await;
    session.set("late", 1).await.unwrap();
    session
}

async fn assert_gone(site: &Site, sessions: &Sessions, late: &Session, id: &str) {
    let before = site.driver.inspect().unwrap().count(site.now()).await.unwrap();
    assert_eq!(late.save().await, Err(Error::Gone), "a save that comes too late");
    assert_eq!(late.get("a").await, Err(Error::Gone), "a handle of a session that has ended");
    assert!(is_dead(sessions, id).await, "the session came back");
    assert_eq!(
        site.driver.inspect().unwrap().count(site.now()).await.unwrap(),
        before,
        "a session was made up in its place"
    );
}

pub async fn every_kind_of_value_is_there_on_the_next_request(site: Site) {
    let sessions = site.sessions(|_| ());
    let values = [
        Value::Null,
        Value::Boolean(true),
        Value::Integer(i64::MIN),
        Value::Integer(1),
        Value::Real(1.0),
        Value::Real(f64::NEG_INFINITY),
        Value::Text("1 € \u{1F34B}".into()),
        Value::Bytes((0..=255).collect()),
        Value::Json(r#"{"a": [1, 1.0, null, {"b": "\u00e9"}]}"#.into()),
        Value::Bytes(vec![7; 100_000]),
    ];
    let session = sessions.start(Options::default()).await.unwrap();
    for (n, value) in values.iter().enumerate() {
        session.set(&format!("k{n}"), value.clone()).await.unwrap();
    }
    let id = sent_id(&session.save().await.unwrap()).unwrap();
    let session = resume(&sessions, &id).await;
    assert!(!session.created().await.unwrap());
    for (n, value) in values.iter().enumerate() {
        assert_eq!(session.get(&format!("k{n}")).await.unwrap().as_ref(), Some(value));
    }
    assert_eq!(session.entries().await.unwrap().len(), values.len());
}

pub async fn fifty_parallel_requests_keep_fifty_variables(site: Site) {
    let sessions = site.sessions(|_| ());
    let id = visited(&sessions).await;
    let requests = join_all((0..50).map(|_| resume(&sessions, &id))).await;
    join_all(requests.iter().enumerate().map(async |(n, request)| {
        request.set(&format!("k{n}"), n as i64).await.unwrap();
        request.save().await.unwrap();
    }))
    .await;
    drop(requests);
    let session = resume(&sessions, &id).await;
    assert_eq!(session.keys().await.unwrap().len(), 51);
    for n in 0..50 {
        assert_eq!(session.get(&format!("k{n}")).await.unwrap(), Some(Value::Integer(n)));
    }
}

pub async fn a_save_in_flight_at_a_logout_answers_gone(site: Site) {
    let sessions = site.sessions(|_| ());
    let id = visited(&sessions).await;
    let late = in_flight(&sessions, &id).await;
    resume(&sessions, &id).await.destroy().await.unwrap();
    assert_gone(&site, &sessions, &late, &id).await;
}

pub async fn a_save_in_flight_at_the_expiry_answers_gone(site: Site) {
    let sessions = site.sessions(|_| ());
    let id = visited(&sessions).await;
    let late = in_flight(&sessions, &id).await;
    site.wait(1512);
    assert_gone(&site, &sessions, &late, &id).await;
}

pub async fn a_save_in_flight_at_a_login_answers_gone(site: Site) {
    let sessions = site.sessions(|_| ());
    let id = visited(&sessions).await;
    let late = in_flight(&sessions, &id).await;
    let login = resume(&sessions, &id).await;
    login.regenerate_id().await.unwrap();
    let new = sent_id(&login.save().await.unwrap()).unwrap();
    drop(login);
    assert_gone(&site, &sessions, &late, &id).await;
    assert_eq!(resume(&sessions, &new).await.get("late").await.unwrap(), None);
}

pub async fn a_save_in_flight_at_the_end_of_all_of_an_owners_sessions_answers_gone(site: Site) {
    let sessions = site.sessions(|_| ());
    let owned = async || {
        let session = sessions.start(Options::default()).await.unwrap();
        session.set_owner(Some("ann")).await.unwrap();
        (sent_id(&session.save().await.unwrap()).unwrap(), session.digest().await.unwrap())
    };
    let (here, there, other) = (owned().await, owned().await, visited(&sessions).await);
    let late = in_flight(&sessions, &there.0).await;
    let manager = sessions.manager();
    let page = manager.list(&Default::default(), Some("ann"), None, 10).await.unwrap();
    assert_eq!(page.entries.len(), 2);
    assert_eq!(manager.destroy_owned(&Default::default(), "ann", Some(&here.1)).await.unwrap(), 1);
    assert_gone(&site, &sessions, &late, &there.0).await;
    assert!(!is_dead(&sessions, &here.0).await);
    assert!(!is_dead(&sessions, &other).await);
}

pub async fn of_two_saves_of_a_variable_the_last_wins(site: Site) {
    let sessions = site.sessions(|_| ());
    let id = visited(&sessions).await;
    let (first, second) = (resume(&sessions, &id).await, resume(&sessions, &id).await);
    first.set("a", 3).await.unwrap();
    second.set("a", 2).await.unwrap();
    second.save().await.unwrap();
    first.save().await.unwrap();
    assert_eq!(resume(&sessions, &id).await.get("a").await.unwrap(), Some(Value::Integer(3)));
}

pub async fn a_strict_counter_that_is_retried_loses_nothing(site: Site) {
    let sessions = site.sessions(|settings| settings.strict = true);
    let id = visited(&sessions).await;
    join_all((0..CLIENTS).map(|_| {
        let (sessions, id, times) = (sessions.clone(), id.clone(), site.times);
        tokio::spawn(async move {
            for _ in 0..times {
                loop {
                    let session = resume(&sessions, &id).await;
                    let Some(Value::Integer(n)) = session.get("a").await.unwrap() else { panic!("no integer") };
                    session.set("a", n + 1).await.unwrap();
                    match session.save().await {
                        Ok(_) => break,
                        Err(Error::Conflict) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
            }
        })
    }))
    .await
    .into_iter()
    .for_each(|client| client.unwrap());
    assert_eq!(resume(&sessions, &id).await.get("a").await.unwrap(), Some(Value::Integer(1 + CLIENTS * site.times)));
}

pub async fn additions_are_never_lost(site: Site) {
    let sessions = site.sessions(|_| ());
    let id = visited(&sessions).await;
    join_all((0..CLIENTS).map(|_| {
        let (sessions, id, times) = (sessions.clone(), id.clone(), site.times);
        tokio::spawn(async move {
            for _ in 0..times {
                let session = resume(&sessions, &id).await;
                session.add("a", 1).await.unwrap();
                session.save().await.unwrap();
            }
        })
    }))
    .await
    .into_iter()
    .for_each(|client| client.unwrap());
    assert_eq!(resume(&sessions, &id).await.get("a").await.unwrap(), Some(Value::Integer(1 + CLIENTS * site.times)));
}

pub async fn a_login_keeps_all_variables_and_ends_the_old_id_at_once(site: Site) {
    let sessions = site.sessions(|_| ());
    let old = visited(&sessions).await;
    let session = resume(&sessions, &old).await;
    session.application("shop").await.unwrap().set("cart", 3).await.unwrap();
    session.set("b", 2).await.unwrap();
    session.regenerate_id().await.unwrap();
    session.set_owner(Some("ann")).await.unwrap();
    let new = sent_id(&session.save().await.unwrap()).unwrap();
    assert_ne!(new, old);

    assert_eq!(site.driver.inspect().unwrap().reused(site.now()).await.unwrap(), 0);
    assert!(is_dead(&sessions, &old).await);
    assert_eq!(
        site.driver.inspect().unwrap().reused(site.now()).await.unwrap(),
        1,
        "the reuse of an ended id is counted"
    );
    let session = resume(&sessions, &new).await;
    assert_eq!(session.keys().await.unwrap(), ["a", "b"]);
    assert_eq!(session.application("shop").await.unwrap().get("cart").await.unwrap(), Some(Value::Integer(3)));
    assert_eq!(session.owner().await.unwrap().as_deref(), Some("ann"));
}

pub async fn however_many_race_for_a_renewal_there_is_one_successor(site: Site) {
    let sessions = site.sessions(|settings| settings.renew_after = 600);
    let old = visited(&sessions).await;
    site.wait(600);
    let requests = join_all((0..20).map(|_| resume(&sessions, &old))).await;
    let sent = join_all(requests.iter().enumerate().map(async |(n, request)| {
        request.set(&format!("k{n}"), 1).await.unwrap();
        sent_id(&request.save().await.unwrap()).unwrap()
    }))
    .await;
    drop(requests);
    let new = &sent[0];
    assert!(sent.iter().all(|id| id == new && *id != old), "all are sent the same new id");
    assert_eq!(site.driver.inspect().unwrap().count(site.now()).await.unwrap(), 1);

    site.wait(59);
    let late = resume(&sessions, &old).await;
    assert_eq!(late.id().await.unwrap(), *new, "within the grace the old id leads to the session");
    assert_eq!(late.keys().await.unwrap().len(), 21);
    assert_eq!(sent_id(&late.save().await.unwrap()).as_ref(), Some(new));
    drop(late);
    site.wait(1);
    assert!(is_dead(&sessions, &old).await, "after the grace the old id is nobody");
    assert!(!is_dead(&sessions, new).await);
}

pub async fn a_session_expires_to_the_second_and_never_before_its_idle_time(site: Site) {
    let sessions = site.sessions(|_| ());
    let id = visited(&sessions).await;
    for wait in [1, 71, 72, 73, 1439, 1440, 1440, 700, 1440] {
        site.wait(wait);
        let session = resume(&sessions, &id).await;
        assert!(!session.created().await.unwrap(), "after {wait} seconds");
        session.save().await.unwrap();
    }
    let expires = resume(&sessions, &id).await.expires_at().await.unwrap();
    site.wait(expires - site.now() - 1);
    assert!(!is_dead(&sessions, &id).await);
    site.wait(1);
    assert!(is_dead(&sessions, &id).await);
}

pub async fn without_rolling_and_at_the_maximum_a_session_ends_to_the_second(site: Site) {
    let fixed = site.sessions(|settings| settings.rolling = false);
    let capped = site.sessions(|settings| {
        settings.expires = 1000;
        settings.max_lifetime = 1500;
    });
    let (first, second) = (visited(&fixed).await, visited(&capped).await);
    site.wait(900);
    resume(&fixed, &first).await.save().await.unwrap();
    resume(&capped, &second).await.save().await.unwrap();
    site.wait(539);
    assert!(!is_dead(&fixed, &first).await);
    site.wait(1);
    assert!(is_dead(&fixed, &first).await);
    assert!(!is_dead(&capped, &second).await);
    resume(&capped, &second).await.save().await.unwrap();
    site.wait(59);
    assert!(!is_dead(&capped, &second).await);
    site.wait(1);
    assert!(is_dead(&capped, &second).await);
}

pub async fn a_hundred_reads_of_a_fresh_session_write_at_most_once(site: Site) {
    let counted = Wrapped::new(Arc::clone(&site.driver));
    let sessions = site.sessions_on(counted.clone(), |_| ());
    let id = visited(&sessions).await;
    counted.writes.store(0, Relaxed);
    for _ in 0..100 {
        let session = resume(&sessions, &id).await;
        session.get("a").await.unwrap();
        session.save().await.unwrap();
        site.wait(1);
    }
    assert!(counted.writes.load(Relaxed) <= 1, "{} writes", counted.writes.load(Relaxed));
}

pub async fn trouble_in_the_store_reaches_the_application(site: Site) {
    let failing = Wrapped::new(Arc::clone(&site.driver));
    let sessions = site.sessions_on(failing.clone(), |_| ());
    let id = visited(&sessions).await;
    let session = in_flight(&sessions, &id).await;

    failing.fails_before.store(true, Relaxed);
    for error in [
        sessions.start(carrying(&id)).await.err().expect("no fresh session in the place of one that cannot be read"),
        session.save().await.unwrap_err(),
        session.destroy().await.unwrap_err(),
    ] {
        assert!(matches!(&error, Error::Storage(text) if !text.contains("hunter2")), "{error}");
    }
    failing.fails_before.store(false, Relaxed);
    assert_eq!(resume(&sessions, &id).await.get("late").await.unwrap(), None, "nothing is half written");
    assert_eq!(site.driver.inspect().unwrap().count(site.now()).await.unwrap(), 1);

    // The connection is cut after the store has written: the caller does not know the outcome, and can safely repeat
    // the call.
    failing.fails_after.store(true, Relaxed);
    assert!(matches!(session.save().await, Err(Error::Storage(_))));
    failing.fails_after.store(false, Relaxed);
    session.save().await.unwrap();
    assert_eq!(resume(&sessions, &id).await.get("late").await.unwrap(), Some(Value::Integer(1)));
}

pub async fn a_reserved_application_opens_only_to_its_holder(site: Site) {
    let hash = Digest::of("secret").to_hex();
    let sessions = site.sessions(|settings| {
        settings.reserved = vec![Reservation { name: "site".into(), secret_hash: hash }];
    });
    let id = visited(&sessions).await;
    let page = resume(&sessions, &id).await;
    let early = page.application("auth").await.unwrap();
    let auth = page.reserve("auth", Some("key")).await.unwrap();
    auth.set("user", "ann").await.unwrap();
    for outcome in [
        early.get("user").await.map(drop),
        early.set("user", "eve").await,
        page.application("auth").await.map(drop),
        page.reserve("auth", Some("guess")).await.map(drop),
        page.application("site").await.map(drop),
        page.reserve("site", Some("guess")).await.map(drop),
        sessions.start(Options { app: Some("site".into()), ..carrying(&id) }).await.map(drop),
    ] {
        assert!(matches!(outcome, Err(Error::Reserved(_))), "{outcome:?}");
    }
    page.reserve("site", Some("secret")).await.unwrap().set("b", 1).await.unwrap();
    page.save().await.unwrap();
    drop((page, early, auth));
    let page = resume(&sessions, &id).await;
    let again = page.reserve("auth", Some("key")).await.unwrap();
    assert_eq!(again.get("user").await.unwrap(), Some(Value::Text("ann".into())));
}

pub async fn limits_are_kept_and_named(site: Site) {
    let sessions = site.sessions(|settings| {
        settings.limits.key_length = 8;
        settings.limits.app_length = 8;
        settings.limits.variables = 3;
        settings.limits.value_bytes = 100;
        settings.limits.session_bytes = 150;
        settings.limits.header_bytes = 300;
    });
    let id = visited(&sessions).await;
    let session = resume(&sessions, &id).await;
    let large = |outcome: Result<(), Error>, setting: &str| match outcome {
        Err(Error::TooLarge(text)) => assert!(text.contains(setting), "{text}"),
        other => panic!("{setting}: {other:?}"),
    };
    assert!(matches!(session.set("123456789", 1).await, Err(Error::InvalidName(_))));
    assert!(matches!(session.application("123456789").await.map(drop), Err(Error::InvalidName(_))));
    large(session.set("b", vec![0; 100]).await, "value-bytes");
    session.set("b", vec![0; 90]).await.unwrap();
    session.set("c", 1).await.unwrap();
    large(session.set("d", 1).await, "variables");
    session.set("c", vec![0; 90]).await.unwrap();
    large(session.save().await.map(drop), "session-bytes");
    let long = Options { cookies: vec![vec![b'a'; 301]], ..Options::default() };
    large(sessions.start(long).await.map(drop), "header-bytes");
}

pub async fn concurrent_growth_never_passes_the_limit_of_a_session(site: Site) {
    let sessions = site.sessions(|settings| {
        settings.limits.value_bytes = 1000;
        settings.limits.session_bytes = 1000;
    });
    let id = visited(&sessions).await;
    let requests = join_all((0..20).map(|_| resume(&sessions, &id))).await;
    let saved = join_all(requests.iter().enumerate().map(async |(n, request)| {
        request.set(&format!("k{n}"), vec![0; 200]).await.unwrap();
        request.save().await
    }))
    .await;
    assert_eq!(saved.iter().filter(|outcome| outcome.is_ok()).count(), 4);
    assert!(saved.iter().all(|outcome| matches!(outcome, Ok(_) | Err(Error::TooLarge(_)))));
}

pub async fn data_of_an_unknown_format_is_refused_and_left_as_it_is(site: Site) {
    use lemon_session_host::store::{LoadOutcome, Stored, Write};
    let sessions = site.sessions(|_| ());
    let id = visited(&sessions).await;
    let future = Write { app: "session".into(), name: "f".into(), value: Some(vec![2, 1, 2, 3]) };
    let change = Change { writes: [future].into(), max_size: 1 << 20, ..Change::default() };
    site.driver.update(&Digest::of(&id), &change, None, site.now()).await.unwrap();
    let session = resume(&sessions, &id).await;
    assert!(matches!(session.get("f").await, Err(Error::Unreadable(text)) if text.contains("format 2")));
    assert!(matches!(session.entries().await, Err(Error::Unreadable(_))));
    session.set("b", 1).await.unwrap();
    session.save().await.unwrap();
    let LoadOutcome::Found(loaded) = site.driver.load(&Digest::of(&id), "session", site.now(), 100).await.unwrap()
    else {
        panic!("the session is there");
    };
    assert!(loaded.variables.iter().any(|variable| variable.value == Stored::Inline(vec![2, 1, 2, 3])));
}
