//! The example in a real browser.

use fantoccini::Locator;
use lemon_session_tests::{Server, browser::Browser};

#[tokio::test]
async fn chromium_walks_through_the_three_pages() {
    let Some(browser) = Browser::start().await else { return };
    let server = Server::start("visits");
    let client = &browser.client;
    let text = async || client.find(Locator::Css("body")).await.unwrap().text().await.unwrap();

    client.goto(&server.url("/")).await.unwrap();
    assert!(text().await.contains("This is your first visit"));

    // WebDriver tells what the browser keeps, and scripts what they are let see.
    let cookie = client.get_named_cookie("visits").await.unwrap();
    assert_eq!(cookie.http_only(), Some(true));
    assert_eq!(cookie.same_site().map(|same_site| same_site.to_string()).as_deref(), Some("Lax"));
    assert_eq!(cookie.path(), Some("/"));
    assert_ne!(cookie.secure(), Some(true));
    let expires = cookie.expires_datetime().expect("the cookie outlives the browser").unix_timestamp();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() as i64;
    assert!((now + 1380..=now + 1441).contains(&expires), "{} seconds", expires - now);
    let visible = client.execute("return document.cookie", vec![]).await.unwrap();
    assert_eq!(visible, "", "out of reach of scripts");

    client.refresh().await.unwrap();
    let page = text().await;
    assert!(page.contains("Welcome back") && page.contains("variable1: Python Rules!"), "{page}");

    client.find(Locator::LinkText("Destroy session")).await.unwrap().click().await.unwrap();
    assert!(text().await.contains("Session Deleted"));
    assert!(client.get_all_cookies().await.unwrap().is_empty(), "the browser has dropped the cookie");

    client.goto(&server.url("/")).await.unwrap();
    assert!(text().await.contains("This is your first visit"));
    let renewed = client.get_named_cookie("visits").await.unwrap();
    assert_ne!(renewed.value(), cookie.value());
    browser.close().await;
}
