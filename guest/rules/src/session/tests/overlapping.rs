//! Calls that wait for the store: several on one session, several sessions, and calls that are cancelled at each await.

use std::{
    pin::{Pin, pin},
    rc::Rc,
    task::{Context, Poll, Waker},
};

use futures::{executor::block_on, future::LocalBoxFuture, join};

use super::*;
use crate::{World, testing::Waiting};

type Handle = crate::Session<Waiting>;

fn instance(outside: &Outside) -> Rc<World<Waiting>> {
    Rc::new(World::new(Waiting::new(outside)))
}

fn begun(outside: &Outside) -> Handle {
    block_on(crate::start(&instance(outside), options())).unwrap()
}

fn resumed(outside: &Outside, id: &str) -> Handle {
    block_on(crate::start(&instance(outside), carrying(id))).unwrap()
}

/// Polls a future so often, unless it comes to its end before.
fn poll_times<F: Future + ?Sized>(mut future: Pin<&mut F>, times: usize) -> Option<F::Output> {
    let mut context = Context::from_waker(Waker::noop());
    (0..times).find_map(|_| match future.as_mut().poll(&mut context) {
        Poll::Ready(answer) => Some(answer),
        Poll::Pending => None,
    })
}

#[test]
fn a_handle_tells_of_itself_while_a_call_waits() {
    let outside = plain();
    let session = resumed(&outside, &outside.visited());
    session.regenerate_id().unwrap();
    let old = (session.id(), session.digest(), session.expires_at());
    let mut save = pin!(session.save());
    assert!(poll_times(save.as_mut(), 1).is_none());
    assert_eq!((session.id(), session.digest(), session.expires_at()), old);
    assert_eq!((session.app(), session.created()), ("session".into(), false));
    block_on(save).unwrap();
    assert_eq!(session.digest(), id::to_hex(&id::digest(&session.id())));
}

#[test]
fn calls_on_one_session_take_effect_in_the_order_in_which_they_were_made() {
    let outside = plain();
    let session = begun(&outside);
    let two = Value::Integer(2);
    let (saved, deleted, shop, read, set) = block_on(async {
        session.set("a", &one()).await.unwrap();
        join!(
            async { session.turn().await.save().await },
            async { session.turn().await.delete("a") },
            async { session.turn().await.application_named("shop").await },
            async { session.turn().await.get("a").await },
            async { session.turn().await.set("a", &two).await },
        )
    });
    assert!(deleted.unwrap() && saved.is_ok() && set.is_ok());
    assert_eq!(read.unwrap(), None);
    let id = session.id();
    assert_eq!(outside.resume(&id).unwrap().get("a").unwrap(), Some(one()), "only the first was before the save");
    block_on(async { shop.unwrap().turn().await.save().await }).unwrap();
    assert_eq!(outside.resume(&id).unwrap().get("a").unwrap(), Some(two));
}

#[test]
fn sessions_do_not_wait_for_one_another() {
    let outside = plain();
    let world = instance(&outside);
    let [waits, goes_on] = [(); 2].map(|()| block_on(crate::start(&world, options())).unwrap());
    let mut save = pin!(async { waits.turn().await.save().await });
    assert!(poll_times(save.as_mut(), 1).is_none());
    block_on(async { goes_on.turn().await.save().await }).unwrap();
    assert_eq!(outside.stored(), 1);
    block_on(save).unwrap();
    assert_eq!(outside.stored(), 2);
}

#[test]
fn starts_of_one_request_that_overlap_are_one_session() {
    let outside = plain();
    let world = instance(&outside);
    let dead = id::new([7; 32], "");
    outside.call_as(1, Grant::Owners);
    let (page, module) =
        block_on(async { join!(crate::start(&world, carrying(&dead)), crate::start(&world, carrying(&dead))) });
    let (page, module) = (page.unwrap(), module.unwrap());
    assert!(page.created() && module.created());
    assert_eq!(page.id(), module.id());

    outside.call_as(2, Grant::Owners);
    let other = block_on(crate::start(&world, carrying(&dead))).unwrap();
    assert_ne!(other.id(), page.id());
    outside.call_as(1, Grant::Owners);
    let again = block_on(crate::start(&world, carrying(&dead))).unwrap();
    assert_eq!(again.id(), page.id(), "another request came in between");
}

#[test]
fn a_start_joins_a_session_when_the_calls_on_it_have_ended() {
    for ends in [false, true] {
        let outside = plain();
        let world = instance(&outside);
        outside.call_as(1, Grant::Owners);
        let page = block_on(crate::start(&world, options())).unwrap();
        block_on(page.save()).unwrap();
        let (ended, module) = block_on(async {
            join!(
                async {
                    let page = page.turn().await;
                    if ends { page.destroy().await } else { page.save().await }
                },
                crate::start(&world, options()),
            )
        });
        ended.unwrap();
        assert_eq!(module.unwrap().id() == page.id(), !ends);
    }
}

#[test]
fn what_other_requests_saved_is_forgotten_in_the_end() {
    let outside = plain();
    let world = instance(&outside);
    let start = |request| {
        outside.call_as(request, Grant::Owners);
        block_on(crate::start(&world, options())).unwrap()
    };
    let saved = |request| {
        let session = start(request);
        block_on(session.save()).unwrap();
        session.id()
    };
    let first = saved(1);
    let open = start(2);
    for request in 3..=10 {
        saved(request);
    }
    assert_eq!(start(1).id(), first);
    for request in 11..=40 {
        saved(request);
    }
    assert_ne!(start(1).id(), first);
    assert_eq!(start(2).id(), open.id(), "its handle is open");
}

/// A call that is cancelled, and what is stored if it was not.
struct Cancelled {
    name: &'static str,
    outside: fn() -> Outside,
    /// Whether the session is stored, with the variable `a`.
    stored: bool,
    before: fn(&Outside, &Handle),
    call: fn(&Handle) -> LocalBoxFuture<'_, Result<()>>,
    after: Option<&'static [(&'static str, i64)]>,
}

fn save(session: &Handle) -> LocalBoxFuture<'_, Result<()>> {
    Box::pin(async { session.turn().await.save().await.map(drop) })
}

fn destroy(session: &Handle) -> LocalBoxFuture<'_, Result<()>> {
    Box::pin(async { session.turn().await.destroy().await.map(drop) })
}

fn set(_: &Outside, session: &Handle) {
    block_on(session.set("b", &Value::Integer(2))).unwrap();
}

fn cancelled() -> [Cancelled; 8] {
    let set_b = Some(&[("a", 1), ("b", 2)][..]);
    let case = |name, before, call, after| Cancelled { name, outside: plain, stored: true, before, call, after };
    [
        Cancelled { stored: false, ..case("create", set, save, Some(&[("b", 2)])) },
        case("set", set, save, set_b),
        Cancelled { outside: || Outside::new(|settings| settings.strict = true), ..case("strict", set, save, set_b) },
        Cancelled {
            outside: || {
                let outside = renewing();
                outside.call_as(0, Grant::All);
                outside
            },
            ..case(
                "renew",
                |outside, session| {
                    outside.wait(700);
                    set(outside, session);
                },
                save,
                set_b,
            )
        },
        case(
            "add, overtaken twice",
            |outside, session| {
                outside.overtake(2);
                session.add("a", 10).unwrap();
            },
            save,
            Some(&[("a", 11)]),
        ),
        case(
            "log in",
            |_, session| {
                session.regenerate_id().unwrap();
                session.set_owner(Some("ann".into())).unwrap();
            },
            save,
            Some(&[("a", 1)]),
        ),
        case("clear", |_, session| session.clear().unwrap(), save, Some(&[])),
        case("destroy", |_, _| (), destroy, None),
    ]
}

/// The integers of the session with one of these ids, if there is one.
fn stored(outside: &Outside, ids: &[String]) -> Option<Vec<(String, i64)>> {
    let sessions = ids.iter().map(|id| outside.resume(id).unwrap());
    let mut live: Vec<_> = sessions.filter(|session| !session.created()).collect();
    live.dedup_by_key(|session| session.digest());
    assert!(live.len() < 2, "one of two ids is dead");
    let integer = |(name, value)| match value {
        Value::Integer(value) => (name, value),
        other => panic!("{name} is {other:?}"),
    };
    Some(live.pop()?.entries().unwrap().into_iter().map(integer).collect())
}

/// Cancels the call when it has been polled `times`. Returns whether it had come to its end by then.
fn cancel(case: &Cancelled, times: usize) -> bool {
    let Cancelled { name, stored: is_stored, before, call, after, .. } = case;
    let outside = (case.outside)();
    let session = if *is_stored { resumed(&outside, &outside.visited()) } else { begun(&outside) };
    let old = session.id();
    before(&outside, &session);
    let ids = [old.clone(), session.id()];
    let expected = |entries: Option<&[(&str, i64)]>| {
        entries.map(|entries| entries.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect::<Vec<_>>())
    };
    let (untouched, done) = (expected(is_stored.then_some(&[("a", 1)])), expected(*after));

    let answer = poll_times(call(&session).as_mut(), times);
    // A renewed id is found under its new one from the old one.
    let is = stored(&outside, &ids);
    if let Some(answer) = answer {
        answer.unwrap();
        assert_eq!(is, done, "{name}");
        return true;
    }
    assert!(is == untouched || is == done, "{name}, cancelled at {times}: {is:?}");
    assert!(poll_times(pin!(session.turn()), 1).is_some(), "{name}, cancelled at {times}: the turn is free");
    _ = (session.id(), session.digest(), session.expires_at());

    match block_on(call(&session)) {
        Ok(()) => assert_eq!(stored(&outside, &ids), done, "{name}, cancelled at {times}: the handle is usable"),
        Err(Error::Gone) => {
            assert_eq!(stored(&outside, &ids), is, "{name}, cancelled at {times}: the handle has ended");
            assert_eq!(session.owner(), Err(Error::Gone));
        }
        Err(error) => panic!("{name}, cancelled at {times}: {error:?}"),
    }
    assert!(outside.stored() <= 1, "{name}, cancelled at {times}: a session was stored twice");
    false
}

#[test]
fn a_call_that_is_cancelled_at_any_await_is_before_or_after_its_write_and_never_repeated() {
    for case in cancelled() {
        let awaits = (0..).take_while(|times| !cancel(&case, *times)).count();
        assert!(awaits > 2, "{} waits for the store", case.name);
    }
}

#[test]
fn a_read_that_is_cancelled_changes_nothing() {
    let outside = plain();
    let id = outside.visited();
    let large = Value::Bytes(vec![7; 10_000]);
    let session = outside.resume(&id).unwrap();
    session.set("large", &large).unwrap();
    session.save().unwrap();
    for times in 1..3 {
        let session = resumed(&outside, &id);
        session.add("a", 1).unwrap();
        assert!(poll_times(pin!(session.get("large")), times).is_none());
        assert!(poll_times(pin!(session.take("large")), times).is_none());
        assert!(poll_times(pin!(session.application_named("shop")), times).is_none());
        assert!(poll_times(pin!(session.reserve("auth", None)), times).is_none());
        assert_eq!(block_on(session.get("large")).unwrap().as_ref(), Some(&large));
        assert_eq!(block_on(session.application_named("shop")).unwrap().keys().unwrap().len(), 0);
        assert_eq!(session.owner(), Ok(None));
    }
    assert_eq!(outside.resume(&id).unwrap().get("a").unwrap(), Some(one()));
}
