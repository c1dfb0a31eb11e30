use core::{
    pin::Pin,
    task::{Context, Poll, Waker},
};
use std::rc::Rc;

use super::*;
use crate::{
    Env as _, World,
    settings::MaxSessionsReached::{self, EndOldest, Refuse},
    testing::{Order, Steps, Waiting},
};

fn limited(most: u32, reached: MaxSessionsReached) -> Outside {
    Outside::new(|settings| (settings.max_sessions, settings.max_sessions_reached) = (most, reached))
}

/// A session that logs in a second later; its id.
fn log_in(outside: &Outside, owner: &str) -> Result<String> {
    outside.wait(1);
    let session = outside.start(options()).unwrap();
    session.authenticate(owner, "password").unwrap();
    session.save()?;
    Ok(session.id())
}

fn is_live(outside: &Outside, id: &str) -> bool {
    !outside.resume(id).unwrap().created()
}

/// How many live sessions an owner has.
fn owned_by(outside: &Outside, owner: &str) -> usize {
    crate::at_once(outside.list(&options().location, outside.now(), Some(owner), None, 1000)).unwrap().len()
}

#[test]
fn a_login_beyond_the_maximum_ends_the_session_whose_login_is_the_oldest() {
    let outside = limited(2, EndOldest);
    let bob = log_in(&outside, "bob").unwrap();
    let [first, second] = [log_in(&outside, "ann").unwrap(), log_in(&outside, "ann").unwrap()];
    // The first one logs in again, so that the second is the oldest.
    outside.wait(1);
    let session = outside.resume(&first).unwrap();
    session.authenticate("ann", "password").unwrap();
    let first = sent_id(&session.save().unwrap()).unwrap();
    assert!(is_live(&outside, &second), "a session that is the owner's already is not counted again");

    let third = log_in(&outside, "ann").unwrap();
    assert_eq!([&first, &second, &third, &bob].map(|id| is_live(&outside, id)), [true, false, true, true]);
    let fourth = log_in(&outside, "ann").unwrap();
    assert_eq!([&first, &third, &fourth].map(|id| is_live(&outside, id)), [false, true, true]);
}

#[test]
fn to_look_for_the_oldest_login_counts_no_use_of_an_id() {
    let outside = limited(1, EndOldest);
    let id = outside.visited();
    log_in(&outside, "ann").unwrap();
    let session = outside.resume(&id).unwrap();
    session.authenticate("ann", "password").unwrap();
    outside.calls();
    session.save().unwrap();
    assert_eq!(outside.calls(), ["update", "list", "fetch", "destroy", "update"]);
}

#[test]
fn a_session_without_a_login_is_as_old_as_itself() {
    let outside = limited(2, EndOldest);
    let first = log_in(&outside, "ann").unwrap();
    outside.wait(1);
    let set = owned(&outside, "ann").id();
    outside.wait(1);
    let session = outside.resume(&first).unwrap();
    session.authenticate("ann", "password").unwrap();
    let first = sent_id(&session.save().unwrap()).unwrap();
    log_in(&outside, "ann").unwrap();
    assert_eq!([&first, &set].map(|id| is_live(&outside, id)), [true, false]);
}

#[test]
fn a_login_beyond_the_maximum_is_refused_and_the_session_goes_on_as_it_was() {
    let outside = Outside::new(|settings| {
        (settings.max_sessions, settings.max_sessions_reached, settings.login_lifetime) = (2, Refuse, 900);
    });
    let theirs = [log_in(&outside, "ann").unwrap(), log_in(&outside, "ann").unwrap()];
    let id = outside.visited();
    let session = outside.resume(&id).unwrap();
    let other = session.application_named("other").unwrap();
    let before = session.metadata().unwrap();
    let expires = session.expires_at();
    session.authenticate("ann", "password").unwrap();
    session.clear().unwrap();
    session.set("rights", &one()).unwrap();
    other.set("rights", &one()).unwrap();
    session.remember(100_000).unwrap();
    let rows = outside.rows();
    let refused = session.save();
    assert!(
        matches!(&refused, Err(Error::TooMany(text)) if text.contains("has 2 sessions") && text.contains("max-sessions")),
        "{refused:?}"
    );
    assert_eq!(outside.rows(), rows, "nothing was written");
    assert_eq!((session.id(), session.owner().unwrap(), session.modified()), (id.clone(), None, false));
    assert_eq!((session.metadata().unwrap(), session.expires_at()), (before, expires));
    assert_eq!(session.get("a").unwrap(), Some(one()), "what is stored is there again");
    assert_eq!((session.get("rights").unwrap(), other.get("rights").unwrap()), (None, None));

    session.flash(&Value::Text("too many".into())).unwrap();
    session.save().unwrap();
    let session = outside.resume(&id).unwrap();
    assert_eq!(session.flashes().unwrap(), [Value::Text("too many".into())]);
    assert_eq!(session.entries().unwrap(), [("a".into(), one())], "no later save stores what was meant for the owner");
    assert!(theirs.iter().all(|id| is_live(&outside, id)));

    outside.resume(&theirs[0]).unwrap().destroy().unwrap();
    session.authenticate("ann", "password").unwrap();
    session.save().unwrap();
    assert_eq!(owned_by(&outside, "ann"), 2);
}

#[test]
fn a_new_session_whose_login_is_refused_is_stored_without_anything() {
    let outside = limited(1, Refuse);
    log_in(&outside, "ann").unwrap();
    let session = outside.start(options()).unwrap();
    session.authenticate("ann", "password").unwrap();
    session.set("rights", &one()).unwrap();
    outside.calls();
    assert!(matches!(session.save(), Err(Error::TooMany(_))));
    assert_eq!(outside.calls()[..2], ["create", "update"]);
    assert_eq!((session.owner().unwrap(), session.get("rights").unwrap()), (None, None));
    session.set("message", &one()).unwrap();
    let sent = sent_id(&session.save().unwrap()).expect("the cookie of a new session");
    let session = outside.resume(&sent).unwrap();
    assert_eq!((session.owner().unwrap(), session.metadata().unwrap().method), (None, None));
    assert_eq!(session.entries().unwrap(), [("message".into(), one())]);
}

#[test]
fn a_new_session_stores_its_login_and_variables_with_one_update() {
    let outside = Outside::new(|settings| (settings.max_sessions, settings.login_lifetime) = (1, 900));
    let session = outside.start(options()).unwrap();
    session.authenticate("ann", "password").unwrap();
    session.set("a", &one()).unwrap();
    session.add("n", 2).unwrap();
    outside.calls();
    let sent = sent_id(&session.save().unwrap()).unwrap();
    assert_eq!(outside.calls(), ["create", "update"]);
    let session = outside.resume(&sent).unwrap();
    assert_eq!(session.owner().unwrap().as_deref(), Some("ann"));
    let metadata = session.metadata().unwrap();
    assert_eq!((metadata.authenticated_at, metadata.absolute_expiry), (Some(NOW), Some(NOW + 900)));
    assert_eq!(session.entries().unwrap(), [("a".into(), one()), ("n".into(), Value::Integer(2))]);
    outside.set(|settings| settings.max_sessions = 0);
    outside.calls();
    log_in(&outside, "ann").unwrap();
    assert_eq!(outside.calls(), ["create"], "without a maximum there is nothing to count");
}

#[test]
fn a_change_of_the_owner_is_no_login() {
    for reached in [EndOldest, Refuse] {
        let outside = limited(1, reached);
        let first = log_in(&outside, "ann").unwrap();
        let session = outside.start(options()).unwrap();
        // The login is that of another owner.
        session.authenticate("bob", "password").unwrap();
        session.set_owner(Some("ann".into())).unwrap();
        session.save().unwrap();
        assert_eq!(owned_by(&outside, "ann"), 2);
        assert!(is_live(&outside, &first));
        session.authenticate("ann", "password").unwrap();
        session.save().unwrap();
        assert_eq!(owned_by(&outside, "ann"), 2, "it was the owner's already");
    }
}

#[test]
fn a_maximum_that_was_lowered_ends_as_many_as_there_are_too_many() {
    let outside = limited(0, EndOldest);
    let ids: Vec<_> = (0..5).map(|_| log_in(&outside, "ann").unwrap()).collect();
    outside.set(|settings| settings.max_sessions = 3);
    let new = log_in(&outside, "ann").unwrap();
    let live: Vec<_> = ids.iter().map(|id| is_live(&outside, id)).collect();
    assert_eq!(live, [false, false, false, true, true]);
    assert!(is_live(&outside, &new));
}

#[test]
fn nobody_is_logged_out_for_a_login_that_is_not_stored() {
    let outside = Outside::new(|settings| (settings.max_sessions, settings.limits.session_bytes) = (1, 100));
    let first = log_in(&outside, "ann").unwrap();
    let session = outside.resume(&outside.visited()).unwrap();
    session.authenticate("ann", "password").unwrap();
    session.set("a", &Value::Bytes(vec![0; 100])).unwrap();
    assert!(matches!(session.save(), Err(Error::TooLarge(_))));
    assert!(is_live(&outside, &first));
}

#[test]
fn a_login_that_others_overtake_each_time_fails_in_the_end() {
    let outside = limited(1, EndOldest);
    outside.crowd();
    let session = outside.resume(&outside.visited()).unwrap();
    session.authenticate("ann", "password").unwrap();
    outside.calls();
    let refused = session.save();
    assert!(matches!(&refused, Err(Error::TooMany(text)) if text.contains("try again")), "{refused:?}");
    assert_eq!(outside.calls().iter().filter(|call| **call == "update").count(), 100);
    assert_eq!(session.owner().unwrap(), None);
}

async fn login(world: Rc<World<Waiting>>, id: Option<String>) -> Result<()> {
    let session = crate::start(&world, id.map_or_else(options, |id| carrying(&id))).await?;
    let session = session.turn().await;
    session.authenticate("ann", "password")?;
    session.save().await.map(drop)
}

/// Has several requests log in, in every order of their storage calls. An owner who has `before` sessions has at most `most` at
/// any time, and in the end as many as that, or as there were logins. Returns the number of orders.
fn race(most: u32, reached: MaxSessionsReached, before: usize, is_stored: &[bool]) -> usize {
    let mut order = Order::default();
    for explored in 1.. {
        let outside = limited(most, reached);
        (0..before).for_each(|_| _ = log_in(&outside, "ann").unwrap());
        let steps = Rc::<Steps>::default();
        let mut answers: Vec<Option<Result<()>>> = vec![None; is_stored.len()];
        let mut actors: Vec<Pin<Box<dyn Future<Output = Result<()>>>>> = Vec::new();
        for is_stored in is_stored {
            let world = Rc::new(World::new(Waiting::shared(&outside, &steps)));
            actors.push(Box::pin(login(world, is_stored.then(|| outside.visited()))));
        }
        let poll = |answers: &mut Vec<Option<_>>, actors: &mut Vec<Pin<Box<dyn Future<Output = _>>>>, actor: usize| {
            steps.current.set(actor);
            if let Poll::Ready(answer) = actors[actor].as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                answers[actor] = Some(answer);
            }
            let now = owned_by(&outside, "ann");
            assert!(now <= most as usize, "{now} sessions of at most {most}");
        };
        // To the first call of each.
        (0..actors.len()).for_each(|actor| poll(&mut answers, &mut actors, actor));
        loop {
            let waiting: Vec<_> = (0..actors.len()).filter(|actor| answers[*actor].is_none()).collect();
            if waiting.is_empty() {
                break;
            }
            let choice = order.choose(waiting.len());
            poll(&mut answers, &mut actors, waiting[choice]);
        }
        drop(actors);
        let logins = answers.len();
        assert_eq!(owned_by(&outside, "ann"), (before + logins).min(most as usize), "{order:?}");
        let succeeded = answers.iter().filter(|answer| **answer == Some(Ok(()))).count();
        match reached {
            EndOldest => assert_eq!(succeeded, logins, "{order:?}: {answers:?}"),
            Refuse => {
                assert_eq!(succeeded, logins.min(most as usize - before), "{order:?}: {answers:?}");
                let refused = answers.iter().filter(|answer| matches!(answer, Some(Err(Error::TooMany(_)))));
                assert_eq!(refused.count(), logins - succeeded, "{order:?}: {answers:?}");
            }
        }
        match order.following() {
            Some(next) => order = next,
            None => return explored,
        }
    }
    unreachable!("there are finitely many orders")
}

#[test]
fn every_order_of_two_logins_leaves_as_many_sessions_as_are_allowed() {
    let mut explored = 0;
    for most in [1, 2] {
        for (reached, before) in
            [EndOldest, Refuse].into_iter().flat_map(|reached| (0..=most).map(move |n| (reached, n)))
        {
            for is_stored in [[true, true], [true, false], [false, false]] {
                explored += race(most, reached, before as usize, &is_stored);
            }
        }
    }
    assert!(explored > 1_000, "{explored} orders");
}
