use super::*;

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
