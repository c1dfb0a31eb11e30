use super::*;

/// The keys of the problems that a change of the defaults makes.
fn problems(change: impl FnOnce(&mut Settings)) -> Vec<String> {
    let mut settings = Settings::default();
    change(&mut settings);
    match settings.validate() {
        Ok(()) => Vec::new(),
        Err(InvalidSettings { problems }) => {
            problems.into_iter().map(|problem| format!("{}.{}", problem.section, problem.key)).collect()
        }
    }
}

fn cookie(change: impl FnOnce(&mut CookieSettings)) -> Vec<String> {
    problems(|settings| change(&mut settings.cookie))
}

#[test]
fn problems_are_told_a_line_each_with_section_and_key() {
    let mut settings = Settings { expires: 0, ..Settings::default() };
    settings.cookie.path = "shop".to_owned();
    let text = settings.validate().unwrap_err().to_string();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 2, "{text}");
    assert_eq!(lines[0], "[session] expires: a session lasts at least 1 second");
    assert!(lines[1].starts_with("[session.cookie] path: 'shop' is not a path"), "{text}");
}

#[test]
fn the_defaults_are_possible() {
    assert_eq!(Settings::default().validate(), Ok(()));
}

#[test]
fn the_idle_time_is_within_the_longest_life() {
    assert_eq!(problems(|s| s.expires = 0), ["session.expires"]);
    assert_eq!(problems(|s| s.max_lifetime = 1439), ["session.expires"]);
    assert!(problems(|s| s.max_lifetime = 1440).is_empty());
    assert!(problems(|s| (s.max_lifetime, s.expires) = (0, u32::MAX)).is_empty());
}

#[test]
fn a_touch_is_written_within_the_idle_time() {
    assert_eq!(problems(|s| s.touch_after = Some(1441)), ["session.touch-after"]);
    assert!(problems(|s| s.touch_after = Some(1440)).is_empty());
    assert!(problems(|s| s.touch_after = Some(0)).is_empty());
}

#[test]
fn the_grace_of_a_renewal_ends_before_the_next_one() {
    assert_eq!(problems(|s| s.renew_after = 59), ["session.renew-grace"]);
    assert!(problems(|s| s.renew_after = 60).is_empty());
}

#[test]
fn sessions_are_bound_to_devices_only_with_a_cookie_that_browsers_bind_them_to() {
    let bound = |change: fn(&mut CookieSettings)| {
        problems(|s| {
            s.device_bound = 600;
            change(&mut s.cookie);
        })
    };
    assert!(bound(|_| ()).is_empty());
    assert!(bound(|cookie| cookie.secure = Secure::On).is_empty());
    assert_eq!(bound(|cookie| cookie.secure = Secure::Off), ["session.device-bound"]);
    assert_eq!(bound(|cookie| (cookie.secure, cookie.partitioned) = (Secure::On, true)), ["session.device-bound"]);
    assert_eq!(bound(|cookie| cookie.domain = "example.org".to_owned()), ["session.device-bound"]);
    assert!(cookie(|cookie| cookie.domain = "example.org".to_owned()).is_empty(), "off");
    assert!(problems(|s| s.device_bound = 400 * 24 * 60 * 60).is_empty());
    assert_eq!(problems(|s| s.device_bound = 400 * 24 * 60 * 60 + 1), ["session.device-bound"]);
}

#[test]
fn cleanup_is_a_probability() {
    for cleanup in [-0.01, 1.01, f64::NAN, f64::INFINITY] {
        assert_eq!(problems(|s| s.cleanup = cleanup), ["session.cleanup"], "{cleanup}");
    }
    assert!(problems(|s| s.cleanup = 0.0).is_empty() && problems(|s| s.cleanup = 1.0).is_empty());
}

#[test]
fn an_application_has_a_name() {
    for app in ["", "a\nb"] {
        assert!(problems(|s| s.app = app.to_owned()).contains(&"session.app".to_owned()), "{app:?}");
    }
    assert!(problems(|s| s.app = "é".repeat(256)).contains(&"session.app".to_owned()));
    let long = |s: &mut Settings| (s.app, s.cookie.name) = ("é".repeat(255), Some("shop".to_owned()));
    assert!(problems(long).is_empty());
}

#[test]
fn the_cookies_name_is_a_token_also_when_the_application_gives_it() {
    for name in ["", "a b", "a;b", "a=b", "é", "a\r\nb"] {
        assert_eq!(cookie(|c| c.name = Some(name.to_owned())), ["session.cookie.name"], "{name:?}");
    }
    assert_eq!(problems(|s| s.app = "my shop".to_owned()), ["session.cookie.name"]);
    let named = |s: &mut Settings| (s.app, s.cookie.name) = ("my shop".to_owned(), Some("shop".to_owned()));
    assert!(problems(named).is_empty());
    assert_eq!(cookie(|c| c.name = Some("a".repeat(4049))), ["session.cookie.name"]);
    assert!(cookie(|c| c.name = Some("a".repeat(4048))).is_empty());
}

#[test]
fn no_attribute_of_the_cookie_can_end_it() {
    for path in ["", "shop", "/a;b", "/a\r\nb", "/é"] {
        assert_eq!(cookie(|c| c.path = path.to_owned()), ["session.cookie.path"], "{path:?}");
    }
    assert_eq!(cookie(|c| c.path = "/".repeat(1025)), ["session.cookie.path"]);
    assert!(cookie(|c| c.path = "/".repeat(1024)).is_empty());
    let host = ["a".repeat(63).as_str(); 4].join(".")[..253].to_owned();
    assert!(cookie(|c| c.domain = host.clone()).is_empty());
    for domain in [host + "a", "a".repeat(64)] {
        assert_eq!(cookie(|c| c.domain = domain.clone()), ["session.cookie.domain"], "{domain}");
    }
    for domain in ["a b", "a;b", "a..b", "-a.b", "a_b", "example.org.", "http://a"] {
        assert_eq!(cookie(|c| c.domain = domain.to_owned()), ["session.cookie.domain"], "{domain:?}");
    }
    for domain in ["example.org", ".example.org", "localhost", "a-1.b"] {
        assert!(cookie(|c| c.domain = domain.to_owned()).is_empty(), "{domain:?}");
    }
    for comment in ["a;b", "a\r\nSet-Cookie: b=c", "é"] {
        assert_eq!(cookie(|c| c.comment = comment.to_owned()), ["session.cookie.comment"], "{comment:?}");
    }
}

#[test]
fn the_prefixes_for_http_demand_that_scripts_cannot_reach_the_cookie() {
    for name in ["__Http-a", "__host-http-a"] {
        let named = |c: &mut CookieSettings| (c.name, c.secure) = (Some(name.to_owned()), Secure::On);
        assert!(cookie(named).is_empty(), "{name}");
        let reached = |c: &mut CookieSettings| {
            named(c);
            c.http_only = false;
        };
        assert_eq!(cookie(reached), ["session.cookie.name"], "{name} for scripts");
        assert!(cookie(|c| c.name = Some(name.to_owned())).contains(&"session.cookie.name".to_owned()), "{name}");
    }
}

#[test]
fn a_cookie_lives_400_days_at_most() {
    assert_eq!(cookie(|c| c.lifetime = Some(34_560_001)), ["session.cookie.lifetime"]);
    assert!(cookie(|c| c.lifetime = Some(34_560_000)).is_empty());
}

#[test]
fn what_browsers_refuse_without_secure_demands_it() {
    for secure in [Secure::Auto, Secure::Off] {
        assert_eq!(cookie(|c| (c.secure, c.same_site) = (secure, SameSite::None)), ["session.cookie.same-site"]);
        assert_eq!(cookie(|c| (c.secure, c.partitioned) = (secure, true)), ["session.cookie.partitioned"]);
        for name in ["__Host-a", "__HOST-a", "__Secure-a", "__secure-a"] {
            let named = |c: &mut CookieSettings| (c.secure, c.name) = (secure, Some(name.to_owned()));
            assert_eq!(cookie(named), ["session.cookie.name"], "{name}");
        }
    }
    let all = |c: &mut CookieSettings| {
        (c.secure, c.same_site, c.partitioned) = (Secure::On, SameSite::None, true);
        c.name = Some("__Host-a".to_owned());
    };
    assert!(cookie(all).is_empty());
    assert_eq!(cookie(|c| (all(c), c.path = "/shop".to_owned()).1), ["session.cookie.name"]);
    assert_eq!(cookie(|c| (all(c), c.domain = "a.b".to_owned()).1), ["session.cookie.name"]);
}

#[test]
fn limits_leave_room_for_a_session() {
    assert_eq!(problems(|s| s.limits.key_length = 0), ["session.limits.key-length"]);
    assert_eq!(problems(|s| s.limits.key_length = 256), ["session.limits.key-length"]);
    assert_eq!(problems(|s| s.limits.app_length = 256), ["session.limits.app-length"]);
    assert_eq!(problems(|s| s.limits.variables = 0), ["session.limits.variables"]);
    assert_eq!(problems(|s| s.limits.value_bytes = s.limits.session_bytes + 1), ["session.limits.value-bytes"]);
    assert_eq!(problems(|s| s.limits.session_bytes = (256 << 20) + 1), ["session.limits.session-bytes"]);
    assert_eq!(problems(|s| s.limits.header_bytes = 255), ["session.limits.header-bytes"]);
    let least = |s: &mut Settings| {
        (s.limits.key_length, s.limits.variables, s.limits.value_bytes) = (1, 1, 1);
        (s.limits.session_bytes, s.limits.header_bytes) = (1, 256);
    };
    assert!(problems(least).is_empty());
    let most = |s: &mut Settings| {
        (s.limits.key_length, s.limits.app_length) = (255, 255);
        (s.limits.value_bytes, s.limits.session_bytes) = (256 << 20, 256 << 20);
    };
    assert!(problems(most).is_empty());
}

#[test]
fn a_reserved_name_has_the_hash_of_its_key() {
    let reserve = |names: &[(&str, &str)]| {
        let reserved =
            names.iter().map(|(name, hash)| Reservation { name: (*name).into(), secret_hash: (*hash).into() });
        let reserved = reserved.collect();
        problems(|s| s.reserved = reserved)
    };
    let hash = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
    assert!(reserve(&[("auth", hash)]).is_empty());
    assert_eq!(reserve(&[("auth", "secret")]), ["session.reserved.auth"]);
    assert_eq!(reserve(&[("auth", &hash.replace('9', "g"))]), ["session.reserved.auth"]);
    assert_eq!(reserve(&[("auth", &hash[1..])]), ["session.reserved.auth"]);
    assert_eq!(reserve(&[("a\nb", hash)]), ["session.reserved.a\nb"]);
    assert_eq!(reserve(&[("auth", hash), ("auth", hash)]), ["session.reserved.auth"]);
}

#[test]
fn all_problems_are_told_at_once() {
    assert_eq!(problems(|s| (s.expires, s.cleanup) = (0, 2.0)).len(), 2);
}
