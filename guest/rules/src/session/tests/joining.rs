use super::*;

fn start_in(
    outside: &Outside,
    world: &std::rc::Rc<crate::World<Outside>>,
    request: u64,
    cookies: &str,
) -> Session<Outside> {
    outside.call_as(request, Grant::Owners);
    let cookies = if cookies.is_empty() { Vec::new() } else { vec![cookies.into()] };
    start(world, Options { cookies, ..options() }).unwrap()
}

fn start_of(
    outside: &Outside,
    world: &std::rc::Rc<crate::World<Outside>>,
    request: u64,
    cookies: &str,
    app: &str,
) -> Session<Outside> {
    outside.call_as(request, Grant::Owners);
    let named = Cookie { name: Some("session".into()), ..cookie() };
    start(world, Options { app: Some(app.into()), cookie: Some(named), cookies: vec![cookies.into()], ..options() })
        .unwrap()
}

#[test]
fn two_starts_in_the_first_request_of_a_visitor_are_one_session() {
    let outside = plain();
    let world = outside.instance();
    let dead = format!("session={}", id::new([7; 32], ""));
    for (request, cookies) in [(1, ""), (2, dead.as_str()), (3, "session=x")] {
        let stored = outside.stored();
        let (page, module) =
            (start_in(&outside, &world, request, cookies), start_in(&outside, &world, request, cookies));
        assert!(page.created() && module.created());
        page.set("a", &one()).unwrap();
        assert_eq!(module.get("a").unwrap(), Some(one()), "they share what they changed");
        let sent = sent_id(&module.save().unwrap()).unwrap();
        assert_eq!(sent_id(&page.save().unwrap()), None, "the headers are returned once");
        assert_eq!(outside.stored(), stored + 1);
        assert_eq!(outside.resume(&sent).unwrap().get("a").unwrap(), Some(one()));
    }
    assert!(outside.notices().is_empty());
}

#[test]
fn a_start_after_the_first_session_was_saved_and_dropped_resumes_it() {
    let outside = plain();
    let world = outside.instance();
    let first = start_in(&outside, &world, 1, "");
    first.set("a", &one()).unwrap();
    let id = sent_id(&first.save().unwrap()).unwrap();
    drop(first);
    for _ in 0..2 {
        let again = start_in(&outside, &world, 1, "");
        assert_eq!(again.get("a").unwrap(), Some(one()));
        assert!(!again.created());
        assert_eq!(sent_id(&again.save().unwrap()), Some(id.clone()), "the visitor has no cookie yet");
    }
    assert_eq!(outside.stored(), 1);
}

#[test]
fn a_start_after_a_login_finds_the_session_under_its_new_id() {
    for keeps_it_open in [true, false] {
        let outside = plain();
        let world = outside.instance();
        let cookies = format!("session={}", outside.visited());
        let module = start_in(&outside, &world, 1, &cookies);
        module.regenerate_id().unwrap();
        module.save().unwrap();
        let id = module.id();
        let kept = keeps_it_open.then_some(module);
        let page = start_in(&outside, &world, 1, &cookies);
        assert_eq!(page.id(), id);
        assert_eq!(page.get("a").unwrap(), Some(one()));
        drop(kept);
    }
}

#[test]
fn a_start_joins_no_session_that_was_not_stored_and_none_that_the_cookies_lead_to() {
    let outside = plain();
    let world = outside.instance();
    drop(start_in(&outside, &world, 1, ""));
    drop(start_in(&outside, &world, 1, ""));
    assert!(outside.calls().is_empty(), "it was not stored");

    let cookies = format!("session={}", outside.visited());
    for _ in 0..2 {
        let session = start_in(&outside, &world, 2, &cookies);
        assert!(!session.created());
        assert_eq!(sent_id(&session.save().unwrap()), None, "the visitor has the cookie");
    }
}

#[test]
fn a_second_handle_that_does_not_see_the_changes_of_the_first_is_told_to_the_host() {
    let outside = plain();
    let world = outside.instance();
    let cookies = format!("session={}", outside.visited());
    let twice = [Notice::StartedTwice("session".into())];
    let (first, second) = (start_in(&outside, &world, 1, &cookies), start_in(&outside, &world, 1, &cookies));
    assert_eq!(outside.notices(), twice);
    first.set("a", &Value::Integer(2)).unwrap();
    assert_eq!(second.get("a").unwrap(), Some(one()));
    first.save().unwrap();
    drop((first, second));

    drop(start_in(&outside, &world, 2, &cookies));
    let shop = start_of(&outside, &world, 2, &cookies, "shop");
    let again = start_in(&outside, &world, 2, &cookies);
    let other_request = start_in(&outside, &world, 3, &cookies);
    assert_eq!(outside.notices(), [], "one after the other, of another application, or in another request");
    shop.destroy().unwrap();
    drop((again, other_request, start_of(&outside, &world, 2, &cookies, "shop")));
    assert_eq!(outside.notices(), [], "the first has ended");
}

#[test]
fn a_start_after_the_login_of_a_new_visitor_joins_the_session() {
    let outside = plain();
    let world = outside.instance();
    let module = start_in(&outside, &world, 1, "");
    module.save().unwrap();
    module.regenerate_id().unwrap();
    module.save().unwrap();
    assert_eq!(start_in(&outside, &world, 1, "").id(), module.id());
}

#[test]
fn a_session_is_never_joined_across_requests_or_visits() {
    let outside = plain();
    let world = outside.instance();
    let first = start_in(&outside, &world, 1, "");
    first.set("a", &one()).unwrap();
    first.save().unwrap();
    let is_apart = |session: Session<Outside>| {
        assert!(session.created() && session.id() != first.id());
        assert_eq!(session.get("a").unwrap(), None);
    };
    is_apart(start_in(&outside, &world, 2, ""));
    let other = |change: fn(&mut Options)| {
        let mut options = options();
        change(&mut options);
        outside.call_as(3, Grant::Owners);
        start(&world, options).unwrap()
    };
    let begun = start_in(&outside, &world, 3, "");
    let id = begun.id();
    assert_eq!(other(|_| ()).id(), id);
    for change in [
        (|options| options.app = Some("shop".into())) as fn(&mut Options),
        |options| options.cookie = Some(Cookie { name: Some("sid".into()), ..cookie() }),
        |options| options.location.table = Some("Forum".into()),
        |options| options.session_id = Some(String::new()),
        |options| options.cookies = vec![format!("session={}", id::new([9; 32], "")).into()],
    ] {
        assert_ne!(other(change).id(), id);
    }
    assert_eq!(other(|_| ()).id(), id, "it is still the one of its visit");
    begun.destroy().unwrap();
    assert_ne!(other(|_| ()).id(), id, "it has ended");

    outside.call_as(0, Grant::Owners);
    let untold = [start(&world, options()).unwrap(), start(&world, options()).unwrap()];
    assert_ne!(untold[0].id(), untold[1].id(), "the host does not tell requests apart");
}

#[test]
fn a_second_start_does_not_open_what_is_reserved() {
    let outside = plain();
    let world = outside.instance();
    let page = start_in(&outside, &world, 1, "");
    let _auth = page.reserve("auth", None).unwrap();
    let named = Cookie { name: Some("session".into()), ..cookie() };
    let options = Options { app: Some("auth".into()), cookie: Some(named), ..options() };
    assert!(matches!(start(&world, options.clone()).map(drop), Err(Error::Reserved(_))));
    let shop = start(&world, Options { app: Some("shop".into()), ..options }).unwrap();
    assert_eq!((shop.app().as_str(), shop.id()), ("shop", page.id()));
}
