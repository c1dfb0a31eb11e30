//! The example in a real browser.

use fantoccini::Locator;
use lemon_session_tests::{
    Launch, Server,
    browser::Browser,
    proxy::{Proxy, free_port},
};

#[tokio::test]
async fn chromium_walks_through_the_three_pages() {
    let Some(browser) = Browser::start().await else { return };
    let server = Server::start("visits");
    let client = &browser.client;

    client.goto(&server.url("/")).await.unwrap();
    browser.assert_shows("", "This is your first visit").await;

    // WebDriver tells what the browser keeps, and scripts what they are let see.
    let cookie = client.get_named_cookie("visits").await.unwrap();
    assert_eq!(cookie.http_only(), Some(true));
    assert_eq!(cookie.same_site().map(|same_site| same_site.to_string()).as_deref(), Some("Lax"));
    assert_eq!(cookie.path(), Some("/"));
    assert_ne!(cookie.secure(), Some(true));
    let expires = cookie.expires_datetime().expect("the cookie outlives the browser").unix_timestamp();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() as i64;
    assert!((now + 1380..=now + 1513).contains(&expires), "{} seconds", expires - now);
    let visible = client.execute("return document.cookie", vec![]).await.unwrap();
    assert_eq!(visible, "", "out of reach of scripts");

    client.refresh().await.unwrap();
    browser.assert_shows("", "Welcome back").await;
    browser.assert_shows("", "variable1: Python Rules!").await;

    client.find(Locator::Css("button")).await.unwrap().click().await.unwrap();
    browser.assert_shows("", "Session Deleted").await;
    assert!(client.get_all_cookies().await.unwrap().is_empty(), "the browser has dropped the cookie");

    client.goto(&server.url("/")).await.unwrap();
    browser.assert_shows("", "This is your first visit").await;
    let rotated = client.get_named_cookie("visits").await.unwrap();
    assert_ne!(rotated.value(), cookie.value());
    browser.close().await;
}

#[tokio::test]
async fn chromium_keeps_a_host_cookie_that_came_through_a_proxy_with_https_until_it_is_deleted() {
    let Some(browser) = Browser::start().await else { return };
    let ini = "[session.cookie]\nname = __Host-visits\nsecure = on\n[server]\ntrusted-proxies = 127.0.0.1\n";
    let server = Launch::new("visits").ini(ini).start();
    let (https, http) = (free_port(), free_port());
    let fields = "proxy_set_header Host $http_host; proxy_set_header X-Forwarded-Proto $scheme;";
    let pass = format!("location / {{ proxy_pass http://{}; {fields} }}", server.address);
    let servers = format!(
        "server {{ listen 127.0.0.1:{https} ssl; ssl_certificate CERTIFICATE; ssl_certificate_key KEY; {pass} }}\n\
         server {{ listen 127.0.0.1:{http}; {pass} }}"
    );
    let Some(_proxy) = Proxy::start(&servers, "site.test", &[https, http]) else { return };
    let client = &browser.client;
    let url = format!("https://site.test:{https}/");

    client.goto(&url).await.unwrap();
    browser.assert_shows("", "This is your first visit").await;
    let cookie = client.get_named_cookie("__Host-visits").await.unwrap();
    assert_eq!((cookie.secure(), cookie.http_only(), cookie.path()), (Some(true), Some(true), Some("/")));
    client.refresh().await.unwrap();
    browser.assert_shows("", "Welcome back").await;

    client.find(Locator::Css("button")).await.unwrap().click().await.unwrap();
    browser.assert_shows("", "Session Deleted").await;
    assert!(client.get_all_cookies().await.unwrap().is_empty(), "the browser has dropped the cookie");
    client.goto(&url).await.unwrap();
    browser.assert_shows("", "This is your first visit").await;

    // Over plain HTTP a browser takes no such cookie: each visit is the first.
    let before = client.get_named_cookie("__Host-visits").await.unwrap();
    client.goto(&format!("http://site.test:{http}/")).await.unwrap();
    browser.assert_shows("", "This is your first visit").await;
    client.refresh().await.unwrap();
    browser.assert_shows("", "This is your first visit").await;
    client.goto(&url).await.unwrap();
    browser.assert_shows("", "Welcome back").await;
    assert_eq!(client.get_named_cookie("__Host-visits").await.unwrap().value(), before.value());
    browser.close().await;
}
