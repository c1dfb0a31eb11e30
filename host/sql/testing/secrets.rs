//! Errors contain no secrets.

use lemon_session_store::conformance::{CALLS, failures};

use super::{address, key, own_table, proxy::Proxy, record, through, try_open, with_tables, write};

/// Checks that no error contains a secret, with [`failures`]. Each of `changes` breaks the tables in another way.
pub async fn errors_tell_no_secrets(url: &str, changes: &[&str], change: impl AsyncFn(String)) {
    for sql in changes {
        let change = &change;
        with_tables(url, &[("timeout", "2")], |driver, table| async move {
            assert_eq!(failures(&*driver).await, 0, "intact tables cause no error");
            driver.create(&key("bad"), &record(), &[write("x", b"1")].into()).await.expect("create");
            change(sql.replace("{table}", table.as_str())).await;
            let failed = failures(&*driver).await;
            assert!(failed > 0, "{sql} breaks something");
        })
        .await;
    }
    let proxy = Proxy::to(address(url)).await;
    let driver = try_open(&through(url, &proxy), &own_table(), &[]).await.expect("the store opens");
    proxy.refuse();
    assert_eq!(failures(&*driver).await, CALLS, "the server is gone");
}
