use super::*;

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
    assert!(outside.resume(&old).unwrap().created(), "after the grace the old id leads to no session");
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

#[test]
fn the_digest_is_the_one_that_the_store_knows_until_the_session_is_saved() {
    let outside = plain();
    let id = outside.visited();
    let session = outside.resume(&id).unwrap();
    let old = id::to_hex(&id::digest(&id));
    session.regenerate_id().unwrap();
    assert_eq!(session.digest(), old);
    session.save().unwrap();
    assert_eq!(session.digest(), id::to_hex(&id::digest(&session.id())));
    assert_ne!(session.digest(), old);

    let new = outside.start(options()).unwrap();
    new.regenerate_id().unwrap();
    assert_eq!(new.digest(), id::to_hex(&id::digest(&new.id())), "the store knows neither id");
}
