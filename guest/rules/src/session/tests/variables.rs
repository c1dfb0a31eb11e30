use super::*;

#[test]
fn every_kind_of_value_comes_back_as_it_was() {
    let outside = plain();
    let values = [
        ("null", Value::Null),
        ("boolean", Value::Boolean(false)),
        ("integer", Value::Integer(i64::MIN)),
        ("real", Value::Real(1.0)),
        ("text", Value::Text("1 €".into())),
        ("bytes", Value::Bytes(vec![0, 255])),
        ("json", Value::Json("{\"a\": [1, 1.0, null]}".into())),
    ];
    let session = outside.start(options()).unwrap();
    for (key, value) in &values {
        session.set(key, value).unwrap();
        assert_eq!(session.get(key).unwrap().as_ref(), Some(value), "before save");
    }
    session.save().unwrap();
    let session = outside.resume(&session.id()).unwrap();
    for (key, value) in &values {
        assert_eq!(session.get(key).unwrap().as_ref(), Some(value), "after save");
    }
    let mut sorted = values.to_vec();
    sorted.sort_by_key(|(key, _)| *key);
    let entries: Vec<_> = sorted.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    assert_eq!(session.entries().unwrap(), entries);
}

#[test]
fn null_is_not_absence() {
    let session = plain().start(options()).unwrap();
    session.set("a", &Value::Null).unwrap();
    assert_eq!(session.get("a").unwrap(), Some(Value::Null));
    assert!(session.has_key("a").unwrap());
    assert_eq!(session.get("b").unwrap(), None);
}

#[test]
fn deleted_variables_are_gone_at_once_and_after_save() {
    let outside = plain();
    let id = outside.visited();
    let session = outside.resume(&id).unwrap();
    assert!(session.delete("a").unwrap());
    assert!(!session.delete("a").unwrap());
    assert_eq!(session.get("a").unwrap(), None);
    assert!(session.keys().unwrap().is_empty());
    session.save().unwrap();
    assert_eq!(outside.resume(&id).unwrap().get("a").unwrap(), None);
}

#[test]
fn a_message_that_is_taken_is_shown_once() {
    let outside = plain();
    let id = outside.visited();
    let session = outside.resume(&id).unwrap();
    assert_eq!(session.take("a").unwrap(), Some(one()));
    assert_eq!(session.take("a").unwrap(), None);
    session.save().unwrap();
    assert_eq!(outside.resume(&id).unwrap().take("a").unwrap(), None);
}

#[test]
fn clear_also_removes_what_others_set_before_it_is_saved() {
    let outside = plain();
    let id = outside.visited();
    let clearing = outside.resume(&id).unwrap();
    let setting = outside.resume(&id).unwrap();
    clearing.clear().unwrap();
    clearing.set("c", &one()).unwrap();
    setting.set("b", &one()).unwrap();
    setting.save().unwrap();
    clearing.save().unwrap();
    assert_eq!(outside.resume(&id).unwrap().keys().unwrap(), ["c"]);

    let later = outside.resume(&id).unwrap();
    later.set("d", &one()).unwrap();
    later.save().unwrap();
    clearing.set("e", &one()).unwrap();
    clearing.save().unwrap();
    assert_eq!(outside.resume(&id).unwrap().keys().unwrap(), ["c", "d", "e"], "a clear is saved once");
}

#[test]
fn keys_and_values_past_their_limits_are_refused() {
    let outside = Outside::new(|settings| {
        settings.limits.value_bytes = 10;
        settings.limits.variables = 2;
    });
    let session = outside.start(options()).unwrap();
    for key in ["", "a\0", &"k".repeat(33)] {
        assert!(matches!(session.set(key, &one()), Err(Error::InvalidName(_))), "{key:?}");
        assert!(matches!(session.get(key), Err(Error::InvalidName(_))), "{key:?}");
    }
    assert!(
        matches!(session.set("a", &Value::Bytes(vec![0; 10])), Err(Error::TooLarge(text)) if text.contains("value-bytes"))
    );
    assert!(matches!(session.set("a", &Value::Json("{".into())), Err(Error::InvalidValue(_))));
    session.set("a", &one()).unwrap();
    session.set(&"k".repeat(32), &one()).unwrap();
    session.set("a", &one()).unwrap();
    assert!(matches!(session.set("c", &one()), Err(Error::TooLarge(text)) if text.contains("variables")));
    assert!(matches!(session.add("c", 1), Err(Error::TooLarge(_))));
    session.delete("a").unwrap();
    session.set("c", &one()).unwrap();
    assert!(session.set("d", &one()).is_err(), "the one that was deleted makes room for one");
    session.set(&"k".repeat(32), &Value::Bytes(vec![0; 7])).unwrap();
    let long = Value::Json("{".repeat(11));
    assert!(matches!(session.set("c", &long), Err(Error::TooLarge(_))), "what is too large is not read");
}

#[test]
fn a_large_value_is_fetched_only_when_it_is_asked_for() {
    let outside = plain();
    let large = Value::Bytes(vec![7; 100_000]);
    let session = outside.start(options()).unwrap();
    session.set("large", &large).unwrap();
    session.save().unwrap();
    outside.calls();

    let session = outside.resume(&session.id()).unwrap();
    assert!(session.has_key("large").unwrap());
    assert_eq!(outside.calls(), ["load"]);
    assert_eq!(session.get("large").unwrap(), Some(large));
    assert_eq!(outside.calls(), ["fetch"]);
}

#[test]
fn data_of_an_unknown_format_is_unreadable_and_left_alone() {
    let outside = plain();
    let id = outside.visited();
    outside.corrupt("session", "a", &[9, 1]);
    let session = outside.resume(&id).unwrap();
    assert!(matches!(session.get("a"), Err(Error::Unreadable(text)) if text.contains("format 9")));
    session.set("b", &one()).unwrap();
    session.save().unwrap();
    assert!(matches!(outside.resume(&id).unwrap().get("a"), Err(Error::Unreadable(_))));
}
