use super::{APP, HOUR, Outcome, Subject, change, key, put, put_in, renaming_to};
use crate::{Change, DestroyCondition, Digest, Grace, Inspect, Listed, Record};

pub async fn count_counts_live_sessions_alone(store: &Subject) -> Result<(), Outcome> {
    let inspect = store.inspect()?;
    let count = async |now| inspect.count(now).await.expect("count");
    assert_eq!(count(store.now).await, 0, "a new store is empty");
    for n in 0..3 {
        let record = Record { expires: store.now + 10 * (n + 1), ..store.record() };
        store.create_as(&key(&n.to_string()), &record, &[put("x", b"1"), put("y", b"2")]).await;
    }
    for (after, live) in [(0, 3), (9, 3), (10, 2), (20, 1), (29, 1), (30, 0)] {
        assert_eq!(count(store.now + after).await, live, "{after} seconds later");
    }
    store.driver.destroy(&key("2"), &DestroyCondition::Any, store.now, HOUR as u32).await.expect("destroy");
    assert_eq!(count(store.now).await, 2, "an ended digest is no session");
    Ok(())
}

async fn keys(inspect: &dyn Inspect, now: u64, owner: Option<&str>, after: Option<&Digest>, limit: u32) -> Vec<Digest> {
    let listed = inspect.list(now, owner, after, limit).await.expect("list");
    listed.iter().map(|listed| listed.digest).collect()
}

pub async fn list_is_in_the_order_of_keys_and_goes_on_after_a_key(store: &Subject) -> Result<(), Outcome> {
    let inspect = store.inspect()?;
    // Keys whose bytes order differently as text, as signed bytes, or without their zeros.
    let mut expected: Vec<Digest> = [0x00, 0x01, 0x27, 0x5c, 0x7f, 0x80, 0xc3, 0xfe, 0xff]
        .into_iter()
        .flat_map(|first| [0x00, 0x7f, 0x80, 0xff].map(|last| (first, last)))
        .map(|(first, last)| {
            let mut bytes = [0; 32];
            (bytes[0], bytes[31]) = (first, last);
            Digest::from(bytes)
        })
        .collect();
    for key in expected.iter().rev() {
        store.create(key, &[put("x", b"1")]).await;
    }
    expected.sort();
    assert_eq!(keys(inspect, store.now, None, None, 100).await, expected, "in the order of the keys' bytes");
    assert_eq!(keys(inspect, store.now, None, None, 5).await, expected[..5], "at most as many as asked for");
    assert_eq!(keys(inspect, store.now, None, None, 0).await, []);
    assert_eq!(keys(inspect, store.now, None, Some(&expected[4]), 100).await, expected[5..], "after a key, without it");
    assert_eq!(keys(inspect, store.now, None, expected.last(), 100).await, []);
    let between = Digest::from([0x10; 32]);
    assert_eq!(
        keys(inspect, store.now, None, Some(&between), 100).await,
        expected[8..],
        "after a key that is not there"
    );

    let mut paged = Vec::new();
    loop {
        let page = keys(inspect, store.now, None, paged.last(), 7).await;
        if page.is_empty() {
            break;
        }
        paged.extend(page);
    }
    assert_eq!(paged, expected, "page by page it is the same list");
    Ok(())
}

pub async fn list_of_an_owner_leaves_out_the_others(store: &Subject) -> Result<(), Outcome> {
    let inspect = store.inspect()?;
    let mut expected = Vec::new();
    for n in 0..30 {
        let owner = ["Ada", "Bob"].get(n % 3).map(|owner| (*owner).to_owned());
        if owner.as_deref() == Some("Ada") {
            expected.push(key(&n.to_string()));
        }
        store.create_as(&key(&n.to_string()), &Record { owner, ..store.record() }, &[]).await;
    }
    expected.sort();
    assert_eq!(keys(inspect, store.now, Some("Ada"), None, 100).await, expected);
    assert_eq!(keys(inspect, store.now, Some("Ada"), Some(&expected[2]), 4).await, expected[3..7]);
    assert_eq!(keys(inspect, store.now, Some("nobody"), None, 100).await, []);
    assert_eq!(keys(inspect, store.now, None, None, 100).await.len(), 30);
    Ok(())
}

pub async fn list_holds_live_sessions_alone(store: &Subject) -> Result<(), Outcome> {
    let inspect = store.inspect()?;
    let record =
        Record { owner: Some("Ada".to_owned()), absolute_expiry: Some(store.now + 5 * HOUR), ..store.record() };
    for name in ["live", "renamed", "destroyed"] {
        store.create_as(&key(name), &record, &[put("x", b"1")]).await;
    }
    store.create_as(&key("expired"), &Record { expires: store.now + 1, ..record.clone() }, &[]).await;
    store.driver.destroy(&key("destroyed"), &DestroyCondition::Any, store.now, HOUR as u32).await.expect("destroy");
    let grace = Some(Grace { until: store.now + HOUR, nonce: b"n".to_vec() });
    store.driver.update(&key("renamed"), &renaming_to(key("new"), grace), None, store.now).await.expect("update");

    let record = Record { version: 1, size: 2, ..record };
    let mut expected = [key("live"), key("new")].map(|key| Listed { digest: key, record: record.clone() });
    expected.sort_by_key(|listed| listed.digest);
    let now = store.now + 1;
    assert_eq!(inspect.list(now, None, None, 100).await.expect("list"), expected);
    assert_eq!(inspect.list(now, Some("Ada"), None, 100).await.expect("list"), expected);
    assert_eq!(inspect.list(store.now + HOUR, None, None, 100).await.expect("list"), [], "all have expired");
    Ok(())
}

pub async fn describe_tells_names_and_sizes_of_all_applications(store: &Subject) -> Result<(), Outcome> {
    store.inspect()?;
    let unsupported = Outcome::NotApplicable("its driver cannot describe a session");
    store.described(&key("a"), store.now).await.ok_or(unsupported)?;
    let described = async |key: Digest, now| store.described(&key, now).await.expect("describe is supported");
    let k = key("a");
    store
        .create(&k, &[put("b", b"22"), put("a", b""), put_in("Other", "large", &[0; 30_000]), put_in("é", "x", b"1")])
        .await;
    store
        .driver
        .update(&k, &Change { owner: Some(Some("Ada".to_owned())), ..change() }, None, store.now)
        .await
        .expect("update");
    let (record, variables) = described(k, store.now).await.expect("a live session");
    assert_eq!(record, store.found(&k, APP, store.now).await.record, "the record is the one that load answers");
    let expected = [("Other", "large", 30_000), (APP, "a", 0), (APP, "b", 2), ("é", "x", 1)];
    let expected = expected.map(|(app, name, bytes)| (app.to_owned(), name.to_owned(), bytes));
    assert_eq!(variables, expected, "sorted by application and name");
    assert_eq!(described(key("b"), store.now).await, None, "no such session");
    assert_eq!(described(k, store.now + HOUR).await, None, "an expired session");
    Ok(())
}
