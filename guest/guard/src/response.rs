//! What the guard adds to the application's response.

use lemon_session::Headers;

/// Which of the headers that the session's save returned are added to a response. `cookies` are the `Set-Cookie` values of the
/// application, which may use the same session: a cookie that it sets or deletes itself counts. A response that does not depend
/// on the session, as it sets no cookie and no owner was passed on, may be cached as the application says.
pub fn to_add(session: Headers, name: &str, cookies: &[Vec<u8>], has_owner: bool) -> Headers {
    let is_set = cookies.iter().any(|cookie| sets(cookie, name));
    let headers: Headers = session.into_iter().filter(|(header, _)| !(is_set && header == "set-cookie")).collect();
    let depends = has_owner || headers.iter().any(|(header, _)| header == "set-cookie");
    if depends { headers } else { Headers::default() }
}

/// Whether a `Set-Cookie` value sets the cookie of this name.
fn sets(cookie: &[u8], name: &str) -> bool {
    let mut parts = cookie.splitn(2, |byte| *byte == b'=');
    parts.next().is_some_and(|part| part.trim_ascii() == name.as_bytes()) && parts.next().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    const COOKIE: (&str, &str) = ("set-cookie", "shop=id; Path=/");
    const NO_STORE: (&str, &str) = ("cache-control", "no-store");
    const VARY: (&str, &str) = ("vary", "Cookie");

    fn headers(pairs: &[(&str, &str)]) -> Headers {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[track_caller]
    fn adds(saved: &[(&str, &str)], cookies: &[&str], has_owner: bool, expected: &[(&str, &str)]) {
        let cookies: Vec<_> = cookies.iter().map(|cookie| cookie.as_bytes().to_vec()).collect();
        assert_eq!(to_add(headers(saved), "shop", &cookies, has_owner), headers(expected));
    }

    #[test]
    fn a_renewed_cookie_is_added_beside_those_of_the_application() {
        let all = [COOKIE, NO_STORE, VARY];
        for cookies in [&[][..], &["theme=dark"], &["shopping=1"], &["ashop=1"], &["a=shop=1"], &["shop"]] {
            adds(&all, cookies, false, &all);
        }
    }

    #[test]
    fn a_cookie_that_the_application_sets_itself_counts() {
        for own in ["shop=; Max-Age=0", "shop=other; Path=/", " shop =x"] {
            adds(&[COOKIE, NO_STORE, VARY], &["theme=dark", own], false, &[]);
            adds(&[COOKIE, NO_STORE, VARY], &[own], true, &[NO_STORE, VARY]);
        }
    }

    #[test]
    fn what_does_not_depend_on_the_session_may_be_cached() {
        adds(&[NO_STORE, VARY], &[], false, &[]);
        adds(&[NO_STORE, VARY], &["theme=dark"], false, &[]);
        adds(&[NO_STORE, VARY], &[], true, &[NO_STORE, VARY]);
    }
}
