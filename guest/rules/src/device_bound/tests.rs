use super::*;
use crate::{
    Value, at_once,
    options::Options,
    settings::Settings,
    testing::{Outside, options},
    types::{Location, SameSite, Secure},
};

const LIFETIME: u64 = 600;
const KEY: &str = r#"{"crv":"P-256","kty":"EC","x":"…","y":"…"}"#;

fn binding(change: impl FnOnce(&mut Settings)) -> Outside {
    Outside::new(|settings| {
        settings.device_bound = LIFETIME as u32;
        settings.renew_grace = 0;
        change(settings);
    })
}

/// A request of the browser itself.
fn of(cookie: &str) -> Request {
    Request { cookies: vec![cookie.as_bytes().to_vec()], cookie: "session".to_owned(), location: Location::default() }
}

/// A request over HTTPS with these cookies.
fn with(cookies: &[String]) -> Options {
    Options { cookies: vec![cookies.join("; ").into_bytes()], https: true, ..options() }
}

fn value<'a>(headers: &'a [Header], name: &str) -> Option<&'a str> {
    headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
}

/// The first text between quotation marks after `key`.
fn quoted<'a>(field: &'a str, key: &str) -> &'a str {
    field.split_once(&format!("{key}\"")).unwrap().1.split('"').next().unwrap()
}

/// The first cookie that headers set, as a request brings it.
fn cookie(headers: &[Header]) -> String {
    value(headers, "set-cookie").unwrap().split(';').next().unwrap().to_owned()
}

/// A browser of the W3C draft, without the cryptography: it signs whatever challenge it has.
struct Browser<'a> {
    outside: &'a Outside,
    session: String,
    bound: String,
    identifier: String,
    challenge: String,
}

impl<'a> Browser<'a> {
    fn logged_in(outside: &'a Outside) -> Self {
        let session = outside.start(with(&[])).unwrap();
        session.authenticate("ann", "password").unwrap();
        let headers = session.save().unwrap();
        let registration = value(&headers, "secure-session-registration").expect("it is asked to register a key");
        let challenge = quoted(registration, "challenge=").to_owned();
        Self { outside, session: cookie(&headers), bound: String::new(), identifier: String::new(), challenge }
    }

    fn bound(outside: &'a Outside) -> Self {
        let mut browser = Self::logged_in(outside);
        let answer = browser.register();
        browser.take(answer);
        browser
    }

    fn proof(&self) -> Proof {
        Proof { key: KEY.to_owned(), challenge: self.challenge.clone() }
    }

    fn register(&self) -> Answer {
        let world = self.outside.instance();
        at_once(register(&world, &of(&self.session), &self.proof())).unwrap()
    }

    fn refresh(&self, proof: Option<&Proof>) -> Answer {
        let world = self.outside.instance();
        at_once(refresh(&world, &of(&self.session), &self.identifier, proof)).unwrap()
    }

    fn take(&mut self, answer: Answer) {
        let Answer::Bound(bound) = answer else { panic!("{answer:?}") };
        self.bound = cookie(&bound.headers);
        self.challenge = quoted(value(&bound.headers, "secure-session-challenge").unwrap(), "").to_owned();
        self.identifier = bound.identifier;
    }

    fn refreshed(&mut self) {
        let answer = self.refresh(Some(&self.proof()));
        self.take(answer);
    }

    /// What a request with both cookies, or with that of the session alone, gets: the owner of its session.
    fn visits(&self, cookies: &[&String]) -> Result<Option<String>> {
        let cookies: Vec<_> = cookies.iter().map(|cookie| (*cookie).clone()).collect();
        self.outside.start(with(&cookies))?.owner()
    }

    fn is_in(&self) -> bool {
        match self.visits(&[&self.session, &self.bound]) {
            Ok(owner) => owner.as_deref() == Some("ann"),
            Err(Error::Denied(_)) => false,
            other => panic!("{other:?}"),
        }
    }
}

fn challenge_of(answer: &Answer) -> String {
    let Answer::Challenge((name, value)) = answer else { panic!("{answer:?}") };
    assert_eq!(name, "secure-session-challenge");
    quoted(value, "").to_owned()
}

#[test]
fn a_login_asks_the_browser_once_to_register_a_key() {
    let outside = binding(|_| ());
    let session = outside.start(with(&[])).unwrap();
    session.authenticate("ann", "password").unwrap();
    let headers = session.save().unwrap();
    let registration = value(&headers, "secure-session-registration").unwrap();
    let start = r#"(ES256 RS256);path="/.lemon-session/register?cookie=session";challenge=""#;
    assert!(registration.starts_with(start), "{registration}");
    assert_eq!(quoted(registration, "challenge=").len(), 43, "256 bits");
    assert_eq!(value(&session.save().unwrap(), "secure-session-registration"), None);
    let later = outside.start(with(&[cookie(&headers)])).unwrap();
    assert_eq!(value(&later.save().unwrap(), "secure-session-registration"), None);
}

#[test]
fn without_the_setting_https_or_a_cookie_of_one_host_nothing_is_asked() {
    let asks = |change: fn(&mut Settings), options: Options| {
        let session = binding(change).start(options).unwrap();
        session.authenticate("ann", "password").unwrap();
        value(&session.save().unwrap(), "secure-session-registration").is_some()
    };
    assert!(asks(|_| (), with(&[])));
    assert!(!asks(|settings| settings.device_bound = 0, with(&[])));
    assert!(!asks(|_| (), Options { https: false, ..with(&[]) }));
    assert!(asks(|settings| settings.cookie.secure = Secure::On, Options { https: false, ..with(&[]) }));
    assert!(!asks(|settings| settings.cookie.domain = "example.org".to_owned(), with(&[])));
    assert!(!asks(|settings| settings.cookie.partitioned = true, with(&[])));
    assert!(!asks(|_| (), Options { session_id: Some(String::new()), ..with(&[]) }));
    assert!(!asks(|settings| settings.cookie.path = "/a\"b".to_owned(), with(&[])), "the header could not hold it");
}

#[test]
fn the_path_has_what_the_endpoint_needs_to_find_the_session() {
    let path = |name: &str, path: &str, location: Location| {
        let given = crate::options::Cookie { name: Some(name.into()), path: Some(path.into()), ..Default::default() };
        let settings = Settings::default();
        registration_path(&Cookie::new(Some(&given), true, &settings.cookie, "app"), &location)
    };
    assert_eq!(path("a&b%", "/shop/", Location::default()), "/shop/.lemon-session/register?cookie=a%26b%25");
    let location = Location { storage: Some("big one".into()), table: Some("T".into()) };
    assert_eq!(path("a", "/", location), "/.lemon-session/register?cookie=a&storage=big%20one&table=T");
}

#[test]
fn a_stolen_cookie_is_worth_nothing_once_the_bound_cookie_beside_it_has_expired() {
    let outside = binding(|_| ());
    let browser = Browser::logged_in(&outside);
    assert_eq!(browser.visits(&[&browser.session]).unwrap().as_deref(), Some("ann"), "it is not bound yet");
    let mut browser = Browser::bound(&outside);
    assert!(matches!(browser.visits(&[&browser.session]), Err(Error::Denied(_))), "the session's cookie alone");
    assert!(browser.is_in());
    let stolen = browser.bound.clone();
    outside.wait(LIFETIME - 1);
    assert!(browser.is_in());
    outside.wait(1);
    assert!(!browser.is_in());
    browser.refreshed();
    assert!(browser.is_in());
    assert!(matches!(browser.visits(&[&browser.session, &stolen]), Err(Error::Denied(_))));
}

#[test]
fn a_request_without_the_bound_cookie_changes_nothing() {
    let outside = binding(|_| ());
    let browser = Browser::bound(&outside);
    let rows = outside.rows();
    outside.calls();
    assert!(browser.visits(&[&browser.session]).is_err());
    assert_eq!(outside.calls(), ["load"]);
    assert_eq!(outside.rows(), rows);
    assert!(browser.is_in());
}

#[test]
fn the_bound_cookie_costs_no_call_of_the_store() {
    let outside = binding(|_| ());
    let browser = Browser::bound(&outside);
    outside.calls();
    assert!(browser.is_in());
    assert_eq!(outside.calls(), ["load"]);
}

#[test]
fn requests_that_were_sent_before_the_browser_had_the_bound_cookie_are_answered_within_the_grace_period() {
    let outside = binding(|settings| settings.renew_grace = 60);
    let browser = Browser::bound(&outside);
    outside.wait(59);
    assert!(browser.visits(&[&browser.session]).is_ok());
    outside.wait(1);
    assert!(browser.visits(&[&browser.session]).is_err());
    assert!(browser.is_in());
}

#[test]
fn the_bound_cookie_has_the_attributes_of_the_session_s_and_expires_in_the_browser_first() {
    let outside =
        binding(|settings| (settings.cookie.path, settings.cookie.same_site) = ("/a".into(), SameSite::Strict));
    let browser = Browser::logged_in(&outside);
    let Answer::Bound(bound) = browser.register() else { panic!() };
    assert_eq!(bound.cookie, "session-bound");
    assert_eq!(bound.attributes, "Path=/a; Secure; HttpOnly; SameSite=Strict");
    let set = value(&bound.headers, "set-cookie").unwrap();
    assert!(
        set.starts_with("session-bound=") && set.ends_with("; Path=/a; Secure; HttpOnly; SameSite=Strict; Max-Age=540")
    );
    let challenge = value(&bound.headers, "secure-session-challenge").unwrap();
    assert_eq!(quoted(challenge, ";id="), bound.identifier);
}

#[test]
fn no_other_text_is_a_bound_cookie() {
    let outside = binding(|_| ());
    let browser = Browser::bound(&outside);
    let other = Browser::bound(&outside);
    let token = browser.bound.split_once('=').unwrap().1.to_owned();
    assert!(browser.visits(&[&browser.session, &other.bound]).is_err(), "that of another session");
    let changed = |index: usize| {
        let mut token = token.clone().into_bytes();
        token[index] = if token[index] == b'A' { b'B' } else { b'A' };
        String::from_utf8(token).unwrap()
    };
    let mut texts: Vec<String> = (0..token.len() - 1).map(changed).collect();
    texts.extend(
        ["", "x", &token[1..], &format!("{token}A"), &"A".repeat(TOKEN), &"é".repeat(TOKEN / 2)].map(String::from),
    );
    for text in texts {
        assert!(browser.visits(&[&browser.session, &format!("session-bound={text}")]).is_err(), "{text}");
    }
    assert!(browser.visits(&[&browser.session, &"session-bound=x".into(), &browser.bound]).is_ok(), "one of two is");
}

#[test]
fn a_key_is_registered_once_and_only_for_the_challenge_of_the_login() {
    let outside = binding(|_| ());
    let mut browser = Browser::logged_in(&outside);
    let expected = browser.challenge.clone();
    for wrong in ["", "x", ".retry", &"A".repeat(43), &expected[1..]] {
        browser.challenge = wrong.into();
        assert_eq!(browser.register(), Answer::Refused, "{wrong}");
    }
    browser.challenge = expected.clone();
    assert!(matches!(browser.register(), Answer::Bound(_)));
    assert_eq!(browser.register(), Answer::Refused, "replayed");
    let late = Browser::logged_in(&outside);
    outside.wait(ANSWER_TIME);
    assert_eq!(late.register(), Answer::Refused);
    browser.session = "session=x".into();
    assert_eq!(browser.register(), Answer::Refused, "no session");
}

#[test]
fn a_bound_session_gets_no_other_key() {
    let outside = binding(|_| ());
    let mut browser = Browser::bound(&outside);
    assert_eq!(browser.register(), Answer::Refused, "with the challenge of the next refresh");
    let session = outside.start(with(&[browser.session.clone(), browser.bound.clone()])).unwrap();
    session.authenticate("ann", "password").unwrap();
    let headers = session.save().unwrap();
    assert_eq!(value(&headers, "secure-session-registration"), None, "the same owner again");
    browser.session = cookie(&headers);
    assert!(browser.is_in());
    browser.refreshed();
}

#[test]
fn another_owner_is_bound_anew() {
    let outside = binding(|_| ());
    let mut browser = Browser::bound(&outside);
    let session = outside.start(with(&[browser.session.clone(), browser.bound.clone()])).unwrap();
    session.authenticate("bob", "password").unwrap();
    let headers = session.save().unwrap();
    browser.session = cookie(&headers);
    assert_eq!(browser.visits(&[&browser.session]).unwrap().as_deref(), Some("bob"), "not bound yet");
    assert_eq!(browser.refresh(None), Answer::Ended, "the browser forgets the old one");
    browser.challenge = quoted(value(&headers, "secure-session-registration").unwrap(), "challenge=").to_owned();
    let answer = browser.register();
    let old = browser.bound.clone();
    browser.take(answer);
    assert!(browser.visits(&[&browser.session, &old]).is_err());
    assert!(browser.visits(&[&browser.session, &browser.bound]).is_ok());
}

#[test]
fn a_refresh_takes_one_challenge_and_each_challenge_once() {
    let outside = binding(|_| ());
    let mut browser = Browser::bound(&outside);
    let used = browser.proof();
    browser.refreshed();
    let answer = browser.refresh(Some(&used));
    assert_ne!(challenge_of(&answer), used.challenge, "replayed");
    let first = browser.challenge.clone();
    browser.refreshed();
    assert_ne!(browser.challenge, first);
}

#[test]
fn a_browser_without_a_challenge_is_sent_the_one_that_it_has_to_sign() {
    let outside = binding(|_| ());
    let mut browser = Browser::bound(&outside);
    let before = outside.rows();
    let sent = challenge_of(&browser.refresh(None));
    assert_eq!(sent, browser.challenge);
    assert_eq!(challenge_of(&browser.refresh(None)), sent, "whoever asks does not change it");
    assert_eq!(outside.rows(), before);
    browser.refreshed();
    outside.wait(LIFETIME + ANSWER_TIME - MIN_LEFT);
    let later = challenge_of(&browser.refresh(None));
    assert_ne!(later, browser.challenge, "one that would expire soon is replaced");
    browser.challenge = later;
    browser.refreshed();
}

#[test]
fn a_signed_challenge_that_is_stale_gets_one_retry() {
    let outside = Outside::new(|settings| (settings.device_bound, settings.expires) = (LIFETIME as u32, 100_000));
    let mut browser = Browser::bound(&outside);
    let stale = browser.proof();
    outside.wait(LIFETIME + ANSWER_TIME);
    let retry = challenge_of(&browser.refresh(Some(&stale)));
    browser.challenge = retry.clone();
    browser.refreshed();
    assert!(browser.is_in());
    browser.challenge = retry;
    assert_eq!(browser.refresh(Some(&browser.proof())), Answer::Refused, "no second retry");
}

#[test]
fn a_proof_by_another_key_is_refused_and_a_signed_challenge_of_another_session_is_not_the_expected_one() {
    let outside = binding(|_| ());
    let browser = Browser::bound(&outside);
    let other = Browser::bound(&outside);
    let by_other = Proof { key: "other".into(), ..browser.proof() };
    assert_eq!(browser.refresh(Some(&by_other)), Answer::Refused);
    assert_ne!(browser.challenge, other.challenge);
    let sent = challenge_of(&browser.refresh(Some(&other.proof())));
    assert_eq!(sent, format!("{}.retry", browser.challenge));
}

#[test]
fn the_key_of_a_session_is_told_only_for_its_identifier() {
    let outside = binding(|_| ());
    let browser = Browser::bound(&outside);
    let told = |cookie: &str, identifier: &str| at_once(key(&outside.instance(), &of(cookie), identifier)).unwrap();
    assert_eq!(told(&browser.session, &browser.identifier).as_deref(), Some(KEY));
    assert_eq!(told(&browser.session, "x"), None);
    assert_eq!(told("session=x", &browser.identifier), None);
    let other = Browser { identifier: "x".to_owned(), ..Browser::bound(&outside) };
    assert_eq!((other.refresh(None), other.refresh(Some(&other.proof()))), (Answer::Ended, Answer::Ended));
    let unbound = Browser::logged_in(&outside);
    assert_eq!(told(&unbound.session, ""), None);
    for answer in [unbound.refresh(None), unbound.refresh(Some(&unbound.proof()))] {
        assert_eq!(answer, Answer::Ended);
    }
}

#[test]
fn of_two_tabs_that_refresh_at_once_both_go_on() {
    let outside = binding(|_| ());
    let mut tabs = [Browser::bound(&outside), Browser::bound(&outside)];
    tabs[1].session = tabs[0].session.clone();
    tabs[1].identifier = tabs[0].identifier.clone();
    tabs[1].challenge = tabs[0].challenge.clone();
    let both = tabs[0].proof();
    // Another save between load and update.
    outside.overtake(1);
    outside.calls();
    tabs[0].refreshed();
    assert_eq!(outside.calls(), ["load", "update", "load", "update"], "it looks again at what has changed meanwhile");
    tabs[1].challenge = challenge_of(&tabs[1].refresh(Some(&both)));
    tabs[1].refreshed();
    assert!(tabs[0].is_in() && tabs[1].is_in(), "each bound cookie is valid until it expires");
}

#[test]
fn rotations_of_the_id_keep_the_binding() {
    let outside = Outside::new(|settings| {
        (settings.device_bound, settings.renew_after, settings.renew_grace) = (LIFETIME as u32, 100, 50);
    });
    let mut browser = Browser::bound(&outside);
    outside.wait(100);
    let session = outside.start(with(&[browser.session.clone(), browser.bound.clone()])).unwrap();
    let renewed = cookie(&session.save().unwrap());
    assert_ne!(renewed, browser.session);
    browser.refreshed();
    assert!(browser.is_in(), "within the grace period the old id refreshes too");
    browser.session = renewed;
    assert!(browser.is_in());
    assert!(browser.visits(&[&browser.session]).is_err());
    outside.wait(50);
    browser.refreshed();
    assert!(browser.is_in());
}

#[test]
fn a_refresh_is_no_use_of_the_session() {
    let outside = binding(|settings| settings.expires = 1000);
    let mut browser = Browser::bound(&outside);
    outside.wait(500);
    browser.refreshed();
    outside.wait(500);
    browser.refreshed();
    outside.wait(50);
    assert_eq!(browser.refresh(None), Answer::Ended, "it expired as if the browser had not asked");
}

#[test]
fn a_session_that_has_ended_ends_for_the_browser_too() {
    let outside = binding(|_| ());
    let browser = Browser::bound(&outside);
    let session = outside.start(with(&[browser.session.clone(), browser.bound.clone()])).unwrap();
    session.destroy().unwrap();
    assert_eq!(browser.refresh(None), Answer::Ended);
    assert_eq!(browser.visits(&[&browser.session]).unwrap(), None, "a new session");
}

#[test]
fn an_id_that_an_application_passes_needs_the_bound_cookie_too() {
    let outside = binding(|_| ());
    let browser = Browser::bound(&outside);
    let id = browser.session.split(['=', '.']).nth(1).unwrap().to_owned();
    let start = |cookies: &[String]| outside.start(Options { session_id: Some(id.clone()), ..with(cookies) });
    assert!(matches!(start(&[]).map(|_| ()), Err(Error::Denied(_))));
    assert!(!start(std::slice::from_ref(&browser.bound)).unwrap().created());
}

#[test]
fn with_the_setting_off_again_the_session_s_cookie_is_enough() {
    let outside = binding(|_| ());
    let browser = Browser::bound(&outside);
    outside.set(|settings| settings.device_bound = 0);
    assert!(browser.visits(&[&browser.session]).is_ok());
}

#[test]
fn a_browser_that_registers_no_key_has_its_session_as_before() {
    let outside = binding(|_| ());
    let browser = Browser::logged_in(&outside);
    for _ in 0..10 {
        outside.wait(LIFETIME);
        let session = outside.start(with(std::slice::from_ref(&browser.session))).unwrap();
        assert_eq!(session.owner().unwrap().as_deref(), Some("ann"));
        session.save().unwrap();
    }
}

#[test]
fn a_binding_that_cannot_be_read_admits_nobody() {
    let outside = binding(|_| ());
    let browser = Browser::bound(&outside);
    for bytes in [&b""[..], b"\x01", &crate::codec::encode(&Value::Bytes(vec![1; 55])).unwrap()] {
        outside.corrupt(DETAILS, DEVICE, bytes);
        assert!(!browser.is_in());
    }
}

#[test]
fn a_store_that_fails_is_an_error_and_no_answer_to_the_browser() {
    let outside = binding(|_| ());
    let browser = Browser::bound(&outside);
    outside.fail(true);
    let world = outside.instance();
    let request = of(&browser.session);
    let is_storage = |error: Error| matches!(error, Error::Storage(_));
    assert!(is_storage(at_once(refresh(&world, &request, &browser.identifier, Some(&browser.proof()))).unwrap_err()));
    assert!(is_storage(at_once(register(&world, &request, &browser.proof())).unwrap_err()));
    assert!(is_storage(at_once(key(&world, &request, &browser.identifier)).unwrap_err()));
}

#[test]
fn a_challenge_is_answered_until_a_while_after_the_bound_cookie_has_expired() {
    let outside = Outside::new(|settings| (settings.device_bound, settings.expires) = (LIFETIME as u32, 100_000));
    for (wait, is_in_time) in [(LIFETIME + ANSWER_TIME - 1, true), (LIFETIME + ANSWER_TIME, false)] {
        let browser = Browser::bound(&outside);
        outside.wait(wait);
        assert_eq!(matches!(browser.refresh(Some(&browser.proof())), Answer::Bound(_)), is_in_time, "{wait}");
    }
}
