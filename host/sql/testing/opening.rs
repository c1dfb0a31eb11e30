//! Errors when a store is opened.

use super::{address, open, own_table, servers::PASSWORD, try_open};

pub async fn wrong_settings_are_refused_at_once(url: &str, wrong_password: &str, missing_database: &str) {
    let scheme = url.split(':').next().expect("a scheme");
    let unreachable = format!("{scheme}://user:hunter2@127.0.0.1:1/sessions");
    let cases = [
        (wrong_password.to_owned(), vec![], true, "password"),
        (missing_database.to_owned(), vec![], true, "CREATE DATABASE"),
        (unreachable.clone(), vec![], false, "Is the server running"),
        (format!("{scheme}://user:hunter2@host.invalid/sessions"), vec![], false, "Is the server running"),
        (format!("{scheme}://user:hunter2@127.0.0.1:port/sessions"), vec![], true, "of the form"),
        (format!("{scheme}://user:hunter2@127.0.0.1/"), vec![], true, "names no database"),
        (format!("{scheme}://127.0.0.1/sessions"), vec![], true, "names no user"),
        (format!("{unreachable}?pool=5"), vec![], true, "pool-size"),
        (format!("{unreachable}?pool-size=0"), vec![], true, "from 1 to"),
        (format!("{unreachable}?sslmode=yes"), vec![], true, "verify-full"),
        (unreachable.clone(), vec![("timeout", "soon")], true, "not a time"),
        (unreachable.clone(), vec![("colour", "red")], true, "connect-timeout"),
        (unreachable.clone(), vec![("password-env", "HUNTER2")], true, "more than once"),
        (unreachable.replace(":hunter2", ""), vec![("password-file", "/no/such/file")], true, "/no/such/file"),
        (unreachable.replace(":hunter2", ""), vec![("password-env", "NO_SUCH_VARIABLE")], true, "NO_SUCH_VARIABLE"),
        (unreachable.clone(), vec![("sslmode", "verify-full"), ("sslrootcert", "/no/ca")], true, "/no/ca"),
    ];
    for (url, options, invalid, says) in cases {
        let error =
            try_open(&url, &own_table(), &options).await.err().unwrap_or_else(|| panic!("{url} cannot be opened"));
        let text = format!("{error} {error:?}");
        assert!(text.contains(says), "{url}: {text}");
        assert_eq!(error.is_invalid(), invalid, "{url}: {text}");
        assert!(!text.contains("hunter2") && !text.contains(PASSWORD), "no password in {text}");
    }
}

pub async fn summary_holds_no_password(url: &str) {
    let summary = open(url, &own_table()).await.summary();
    assert!(summary.contains(&address(url)), "{summary}");
    assert!(!summary.contains(PASSWORD) && !summary.contains("cret"), "{summary}");
}
