use super::*;

#[test]
fn a_token_is_valid_in_later_requests_of_its_session_and_differs_each_time() {
    let outside = plain();
    let session = outside.start(options()).unwrap();
    let tokens = [(); 3].map(|()| session.csrf_token().unwrap());
    session.save().unwrap();
    assert!(tokens[0] != tokens[1] && tokens[1] != tokens[2]);
    let later = outside.resume(&session.id()).unwrap();
    for token in tokens {
        assert!(
            token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)),
            "fits any form: {token}"
        );
        assert!(later.check_csrf(&token).unwrap());
        assert!(later.check_csrf(&token).unwrap(), "a form can be sent again");
    }
}

#[test]
fn a_token_needs_nothing_stored() {
    let outside = plain();
    let session = outside.resume(&outside.visited()).unwrap();
    outside.calls();
    let token = session.csrf_token().unwrap();
    assert!(session.check_csrf(&token).unwrap());
    assert!(!session.check_csrf("").unwrap());
    session.save().unwrap();
    assert_eq!(outside.calls(), Vec::<&str>::new());
}

#[test]
fn no_other_text_is_a_token() {
    let outside = plain();
    let [session, other] = [(); 2].map(|()| outside.resume(&outside.visited()).unwrap());
    let token = session.csrf_token().unwrap();
    assert!(!other.check_csrf(&token).unwrap());
    let mut wrong = vec![String::new(), session.id(), session.digest(), token[1..].into(), token.clone() + "A"];
    wrong.extend([token.clone() + "=", token.replace(&token[..1], "+"), "A".repeat(86), "é".repeat(43)]);
    for (index, character) in token.char_indices() {
        let another = if character == 'A' { "Q" } else { "A" };
        wrong.push(format!("{}{another}{}", &token[..index], &token[index + 1..]));
    }
    for text in wrong {
        assert!(!session.check_csrf(&text).unwrap(), "{text}");
    }
}

#[test]
fn a_login_ends_the_tokens_from_before_it() {
    let outside = renewing();
    let session = outside.resume(&outside.visited()).unwrap();
    let before = session.csrf_token().unwrap();
    session.regenerate_id().unwrap();
    assert!(session.check_csrf(&before).unwrap(), "the request that logs in brought one");
    let after = session.csrf_token().unwrap();
    session.save().unwrap();
    let session = outside.resume(&session.id()).unwrap();
    assert!(!session.check_csrf(&before).unwrap(), "an attacker may have known it");
    assert!(session.check_csrf(&after).unwrap());
}

#[test]
fn a_token_outlives_one_rotation_of_the_id_and_no_second() {
    let outside = renewing();
    let session = outside.resume(&outside.visited()).unwrap();
    outside.wait(600);
    let token = session.csrf_token().unwrap();
    session.save().unwrap();
    assert!(session.check_csrf(&token).unwrap(), "in the request that rotates");
    let forged = outside.resume(&outside.visited()).unwrap().csrf_token().unwrap();

    outside.wait(599);
    let session = outside.resume(&session.id()).unwrap();
    assert!(session.check_csrf(&token).unwrap());
    assert!(!session.check_csrf(&forged).unwrap());
    assert_eq!(session.keys().unwrap(), ["a"]);
    session.save().unwrap();

    outside.wait(1);
    session.save().unwrap();
    assert!(!outside.resume(&session.id()).unwrap().check_csrf(&token).unwrap());
}

#[test]
fn a_rotation_before_a_login_keeps_nothing_for_after_it() {
    let outside = renewing();
    let session = outside.resume(&outside.visited()).unwrap();
    let token = session.csrf_token().unwrap();
    outside.wait(600);
    session.save().unwrap();
    session.regenerate_id().unwrap();
    session.save().unwrap();
    let session = outside.resume(&session.id()).unwrap();
    assert!(!session.check_csrf(&token).unwrap());
}

#[test]
fn what_a_rotation_keeps_makes_no_token() {
    let outside = renewing();
    let session = outside.resume(&outside.visited()).unwrap();
    outside.wait(600);
    session.save().unwrap();
    let hidden: Vec<_> = outside.variables().into_iter().filter(|(_, name)| name != "a").collect();
    assert_eq!(hidden, [(String::new(), "csrf".to_owned())]);
    assert!(matches!(session.application_named("").map(drop), Err(Error::InvalidName(_))), "no application's");
}

#[test]
fn a_session_without_room_is_rotated_all_the_same() {
    let outside = Outside::new(|settings| {
        settings.renew_after = 600;
        settings.limits.session_bytes = 20;
        settings.limits.value_bytes = 20;
    });
    let session = outside.resume(&outside.visited()).unwrap();
    let old = session.id();
    outside.wait(600);
    session.save().unwrap();
    assert_ne!(session.id(), old);
    assert_eq!(outside.variables().len(), 1);
}

#[test]
fn a_lazy_session_whose_token_was_given_out_is_stored() {
    let outside = Outside::new(|settings| settings.lazy = true);
    let session = outside.start(options()).unwrap();
    let token = session.csrf_token().unwrap();
    let id = sent_id(&session.save().unwrap()).expect("a cookie");
    assert!(outside.resume(&id).unwrap().check_csrf(&token).unwrap());
}

#[test]
fn an_ended_session_has_no_tokens() {
    let outside = plain();
    let session = outside.resume(&outside.visited()).unwrap();
    let token = session.csrf_token().unwrap();
    session.destroy().unwrap();
    assert_eq!(session.csrf_token(), Err(Error::Gone));
    assert_eq!(session.check_csrf(&token), Err(Error::Gone));
}
