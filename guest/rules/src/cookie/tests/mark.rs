use super::*;

#[test]
fn every_attribute_changes_the_mark_and_the_defaults_have_none() {
    let settings = settings();
    let mark = |change: fn(&mut Given)| {
        let mut given = cookie();
        change(&mut given);
        Cookie::new(Some(&given), false, &settings.cookie, "session").mark()
    };
    assert_eq!(mark(|_| ()), None);
    assert_eq!(mark(|cookie| cookie.name = Some("other".into())), None, "a cookie of another name is another one");
    let changes: [fn(&mut Given); 13] = [
        |cookie| cookie.path = Some("/shop".into()),
        |cookie| cookie.domain = Some("example.org".into()),
        |cookie| cookie.domain = Some("/shop".into()),
        |cookie| cookie.comment = Some("example.org".into()),
        |cookie| cookie.secure = Some(Secure::On),
        |cookie| cookie.http_only = Some(false),
        |cookie| cookie.partitioned = Some(true),
        |cookie| cookie.same_site = Some(SameSite::Strict),
        |cookie| cookie.same_site = Some(SameSite::None),
        |cookie| cookie.lifetime = Some(0),
        |cookie| cookie.lifetime = Some(86400),
        |cookie| cookie.lifetime = Some(MAX_LIFETIME),
        |cookie| (cookie.path, cookie.lifetime) = (Some("/shop".into()), Some(0)),
    ];
    let mut marks: Vec<_> = changes.into_iter().map(|change| mark(change).expect("a mark")).collect();
    assert!(marks.iter().flatten().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(byte)), "{marks:?}");
    marks.sort_unstable();
    marks.dedup();
    assert_eq!(marks.len(), 13);
    let cookie = Given { lifetime: Some(0), ..cookie() };
    let cookie = Cookie::new(Some(&cookie), false, &settings.cookie, "session");
    let sent = cookie.set(ID, 1440);
    let value = sent.split(['=', ';']).nth(1).unwrap();
    assert_eq!(parse(value.as_bytes()), Some((ID, cookie.mark())), "{sent}");
    assert!(cookie.delete().starts_with("session=; "));
}

/// Other marks would have every such cookie sent again.
#[test]
fn marks_stay_what_they_are() {
    let settings = settings();
    let mark = |given: Given| Cookie::new(Some(&given), true, &settings.cookie, "session").mark();
    assert_eq!(mark(cookie()), Some(*b"_due"));
    let (path, domain) = (Some("/shop".into()), Some("example.org".into()));
    let (same_site, lifetime) = (Some(SameSite::Strict), Some(86400));
    assert_eq!(mark(Given { path, domain, same_site, lifetime, ..cookie() }), Some(*b"GJKg"));
}
