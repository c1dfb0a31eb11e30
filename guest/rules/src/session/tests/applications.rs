use super::*;

#[test]
fn applications_share_a_session_and_never_each_others_variables() {
    let outside = plain();
    let session = outside.start(options()).unwrap();
    let other = session.application_named("other").unwrap();
    session.set("a", &Value::Integer(1)).unwrap();
    other.set("a", &Value::Integer(2)).unwrap();
    assert_eq!(other.id(), session.id());
    session.save().unwrap();

    let named = Cookie { name: Some("session".into()), ..cookie() };
    let options = Options { app: Some("other".into()), cookie: Some(named), ..carrying(&session.id()) };
    let other = outside.start(options).unwrap();
    assert_eq!(other.app(), "other");
    assert_eq!(other.get("a").unwrap(), Some(Value::Integer(2)));
    other.clear().unwrap();
    other.save().unwrap();
    assert_eq!(outside.resume(&session.id()).unwrap().get("a").unwrap(), Some(Value::Integer(1)));
}
