use super::*;

#[test]
fn a_reserved_application_opens_only_to_the_holder() {
    let outside = plain();
    let id = outside.visited();
    let instance = outside.instance();
    let page = start(&instance, carrying(&id)).unwrap();
    let sneaky = page.application_named("auth").unwrap();
    let auth = page.reserve("auth", None).unwrap();
    auth.set("user", &Value::Text("ann".into())).unwrap();

    let is_reserved = |outcome: Result<()>| assert!(matches!(outcome, Err(Error::Reserved(_))), "{outcome:?}");
    is_reserved(page.application_named("auth").map(drop));
    is_reserved(page.reserve("auth", None).map(drop));
    is_reserved(page.reserve("auth", Some("guess")).map(drop));
    is_reserved(page.release("auth"));
    is_reserved(sneaky.get("user").map(drop));
    is_reserved(sneaky.set("user", &one()));
    is_reserved(sneaky.delete("user").map(drop));
    is_reserved(sneaky.keys().map(drop));
    is_reserved(sneaky.entries().map(drop));
    is_reserved(sneaky.take("user").map(drop));
    is_reserved(sneaky.clear());
    is_reserved(sneaky.add("n", 1).map(drop));
    is_reserved(sneaky.has_key("user").map(drop));
    let named = Cookie { name: Some("session".into()), ..cookie() };
    let options = Options { app: Some("auth".into()), cookie: Some(named), ..carrying(&id) };
    is_reserved(start(&instance, options).map(drop));

    assert_eq!(auth.get("user").unwrap(), Some(Value::Text("ann".into())));
    auth.release("auth").unwrap();
    assert_eq!(page.application_named("auth").unwrap().get("user").unwrap(), Some(Value::Text("ann".into())));
}

#[test]
fn a_reservation_outlives_its_holder_and_its_sessions_id() {
    let instance = plain().instance();
    let page = start(&instance, options()).unwrap();
    drop(page.reserve("auth", Some("key")).unwrap());
    assert!(page.application_named("auth").is_err());
    page.regenerate_id().unwrap();
    page.save().unwrap();
    assert!(page.application_named("auth").is_err());
    let again = page.reserve("auth", Some("key")).unwrap();
    again.set("user", &one()).unwrap();
    again.release("auth").unwrap();
    assert!(page.application_named("auth").is_ok());
}

#[test]
fn a_reservation_is_over_with_the_last_handle_of_its_session() {
    let outside = plain();
    let id = outside.visited();
    let instance = outside.instance();
    let page = start(&instance, carrying(&id)).unwrap();
    drop(page.reserve("auth", None).unwrap());
    drop(page);
    assert!(start(&instance, carrying(&id)).unwrap().application_named("auth").is_ok());
}

#[test]
fn what_the_site_reserves_opens_only_to_the_key() {
    let hash = id::to_hex(&id::digest("secret"));
    let outside = Outside::new(|settings| {
        settings.reserved = vec![
            Reservation { name: "auth".into(), secret_hash: hash },
            Reservation { name: "shut".into(), secret_hash: "".into() },
        ];
    });
    let page = outside.start(options()).unwrap();
    for outcome in [
        page.application_named("auth"),
        page.reserve("auth", None),
        page.reserve("auth", Some("guess")),
        page.reserve("shut", None),
        outside.start(Options { app: Some("auth".into()), ..options() }),
    ] {
        assert!(matches!(outcome.map(drop), Err(Error::Reserved(_))));
    }
    let auth = page.reserve("auth", Some("secret")).unwrap();
    auth.set("user", &one()).unwrap();
    assert!(auth.application_named("auth").is_ok());
    assert!(page.application_named("auth").is_err());
    auth.release("auth").unwrap();
    assert!(matches!(auth.get("user"), Err(Error::Reserved(_))), "the site's reservation stands");
}
