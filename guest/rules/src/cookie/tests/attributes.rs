use super::*;

#[test]
fn same_site_none_and_partitioned_demand_secure() {
    let none = |cookie: &mut Given| cookie.same_site = Some(SameSite::None);
    let partitioned = |cookie: &mut Given| cookie.partitioned = Some(true);
    assert!(written(|_, cookie| none(cookie)).is_err());
    assert!(written(|_, cookie| partitioned(cookie)).is_err());
    let both = |options: &mut Options, cookie: &mut Given| {
        options.https = true;
        none(cookie);
        partitioned(cookie);
    };
    assert!(written(both).unwrap().contains("; Secure; HttpOnly; Partitioned; SameSite=None"));
}

#[test]
fn prefixes_demand_their_attributes_whatever_their_case() {
    for name in
        ["__Host-a", "__host-a", "__Secure-a", "__SECURE-a", "__Http-a", "__HTTP-a", "__Host-Http-a", "__hOST-hTTP-a"]
    {
        let named = |cookie: &mut Given| cookie.name = Some(name.into());
        assert!(written(|_, cookie| named(cookie)).is_err(), "{name} without Secure");
        let secure = |options: &mut Options, cookie: &mut Given| {
            options.https = true;
            named(cookie);
        };
        assert!(written(secure).is_ok(), "{name} with Secure");
        let below = |options: &mut Options, cookie: &mut Given| {
            secure(options, cookie);
            cookie.path = Some("/shop".into());
        };
        let is_host = name.to_ascii_lowercase().starts_with("__host-");
        assert_eq!(written(below).is_err(), is_host, "{name} with a path");
        let with_domain = |options: &mut Options, cookie: &mut Given| {
            secure(options, cookie);
            cookie.domain = Some("example.org".into());
        };
        assert_eq!(written(with_domain).is_err(), is_host, "{name} with a domain");
        let scripted = |options: &mut Options, cookie: &mut Given| {
            secure(options, cookie);
            cookie.http_only = Some(false);
        };
        assert_eq!(written(scripted).is_err(), name.to_ascii_lowercase().contains("http-"), "{name} for scripts");
    }
    assert!(written(|_, cookie| cookie.name = Some("__Httpa".into())).is_ok(), "no prefix");
}

#[test]
fn bad_attributes_are_refused() {
    for path in ["", "shop", "/a;b", "/a\r\nSet-Cookie: x=y", "/é"] {
        assert!(written(|_, cookie| cookie.path = Some(path.into())).is_err(), "{path:?}");
    }
    let long = format!("{}.org", "a".repeat(64));
    let longer = ["a".repeat(63).as_str(); 4].join(".");
    for domain in
        ["a b", "a;b", "..", "a..b", "exa\nmple.org", "ex_ample", "-a.b", "a-.b", "a.-b", "a.b-", &long, &longer]
    {
        assert!(written(|_, cookie| cookie.domain = Some(domain.into())).is_err(), "{domain:?}");
    }
    for name in ["", "a b", "a=b", "a;b", "a\r\nb", "é"] {
        assert!(written(|_, cookie| cookie.name = Some(name.into())).is_err(), "{name:?}");
    }
}

#[test]
fn lengths_are_those_that_browsers_take() {
    let taken = |change: &dyn Fn(&mut Given)| written(|_, cookie| change(cookie)).is_ok();
    let label = "a".repeat(63);
    let host = [&label[..], &label, &label, &label[..61]].join(".");
    assert_eq!(host.len(), 253);
    let domain = |domain: &str| taken(&|cookie| cookie.domain = Some(domain.into()));
    assert!(domain(&host) && domain(&label));
    assert!(!domain(&format!("{host}a")) && !domain(&format!("{label}a")));
    let comment = |length| taken(&|cookie| cookie.comment = Some("a".repeat(length)));
    assert!(comment(1024) && !comment(1025));
    let path = |length| taken(&|cookie| cookie.path = Some("/".repeat(length)));
    assert!(path(1024) && !path(1025));
    // An id of 43 characters, a dot and a mark of 4 beside the name: 4096 bytes.
    let name = |length| taken(&|cookie| cookie.name = Some("a".repeat(length)));
    assert!(name(4096 - 48) && !name(4096 - 47));
}

#[test]
fn an_application_that_cannot_name_a_cookie_is_told_what_to_do() {
    let error = Cookie::new(None, false, &settings().cookie, "my shop").check().unwrap_err();
    assert!(matches!(error, Error::InvalidOption(text) if text.contains("a name of its own")));
}
