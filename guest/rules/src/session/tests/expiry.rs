use super::*;

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
