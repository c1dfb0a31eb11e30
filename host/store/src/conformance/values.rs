use super::{APP, HOUR, Subject, key, pairs, put, put_in, removal, writing};
use crate::{Change, Record, UpdateOutcome};

pub async fn any_bytes_are_kept(store: &Subject) {
    let k = key("a");
    let every: Vec<u8> = (0..=255).collect();
    let values: [(&str, &[u8]); 8] = [
        ("0 empty", b""),
        ("1 a zero", b"\0"),
        ("2 zeros", &[0; 1000]),
        ("3 every byte", &every),
        ("4 not UTF-8", b"\xff\xfe\xc3\x28"),
        ("5 quotes", b"'; DROP TABLE Session; --\"`\\"),
        ("6 hex", b"\\xDEADBEEF"),
        ("7 spaces", b"  \r\n\t "),
    ];
    let writes: Vec<_> = values.iter().map(|(name, value)| put(name, value)).collect();
    store.create(&k, &writes).await;
    assert_eq!(store.variables(&k, APP, store.now).await, pairs(&values));
    let writes: Vec<_> = values.iter().map(|(name, value)| put_in("updated", name, value)).collect();
    store.driver.update(&k, &writing(writes), None, store.now).await.expect("update");
    assert_eq!(store.variables(&k, "updated", store.now).await, pairs(&values));
}

/// Texts that a careless store takes for one another, or for something else than text.
const HOSTILE: &[&str] = &[
    "name",
    "Name",
    "NAME",
    "name ",
    " name",
    "name  ",
    "nàme",
    "na\u{300}me",
    "n\u{00e0}me\u{200b}",
    "ｎａｍｅ",
    "straße",
    "strasse",
    "STRASSE",
    "ß",
    "ẞ",
    "ss",
    "İ",
    "i",
    "I",
    "ı",
    "ﬁ",
    "fi",
    "Å",
    "\u{212b}",
    "A\u{30a}",
    "😀",
    "😁",
    "𝓪",
    "\u{10ffff}",
    "'",
    "''",
    "\"",
    "`",
    "\\",
    "\\'",
    "\\\\",
    "%",
    "_",
    "*",
    "?",
    "[a-z]",
    "{x}",
    "}",
    ":",
    "a:b",
    "a",
    "b",
    "$1",
    "?1",
    "@x",
    "#",
    "--",
    "/*",
    "*/",
    ";",
    "'; DROP TABLE Session; --",
    "NULL",
    "null",
    "0",
    "00",
    "1",
    "1.0",
    "01",
    "-1",
    "true",
    "\u{feff}",
    "\u{202e}x",
    "x\u{200d}",
    "\u{a0}",
    "\u{3000}",
    "x,y",
    "x|y",
    "x/y",
    "x=y",
    "x&y",
    "x\u{2028}y",
    "()",
    "<>",
];

pub async fn hostile_names_are_kept_apart(store: &Subject) {
    let mut distinct = HOSTILE.to_vec();
    distinct.sort_unstable();
    distinct.dedup();

    let k = key("a");
    let in_names: Vec<_> = distinct.iter().map(|name| put(name, name.as_bytes())).collect();
    let in_apps: Vec<_> = distinct.iter().map(|app| put_in(app, "x", app.as_bytes())).collect();
    store.create(&k, &in_names).await;
    store.driver.update(&k, &writing(in_apps), None, store.now).await.expect("update");

    let expected: Vec<_> = distinct.iter().map(|name| ((*name).to_owned(), name.as_bytes().to_vec())).collect();
    assert_eq!(
        store.variables(&k, APP, store.now).await,
        expected,
        "every name is a variable of its own, sorted by bytes"
    );
    for (n, text) in distinct.iter().enumerate() {
        assert_eq!(
            store.variables(&k, text, store.now).await,
            pairs(&[("x", text.as_bytes())]),
            "application {text:?}"
        );
        let fetched = store.driver.fetch(&k, APP, text, store.now).await.expect("fetch");
        assert_eq!(fetched.as_deref(), Some(text.as_bytes()), "variable {text:?}");
        let removed = Change { clears: vec![(*text).to_owned()], ..writing([removal(text)]) };
        store.driver.update(&k, &removed, None, store.now).await.expect("update");
        let left = &distinct[n + 1..];
        let size: usize = left.iter().map(|text| text.len() + text.len() + "x".len() + text.len()).sum();
        let found = store.found(&k, APP, store.now).await;
        assert_eq!(found.variables.len(), left.len(), "removing {text:?} removed one variable");
        assert_eq!(found.record.size, size as u64, "removing {text:?} removed one variable and one application");
        assert_eq!(store.variables(&k, text, store.now).await, [], "removing {text:?} removed the application");
    }
}

pub async fn names_and_owners_of_255_characters_are_kept(store: &Subject) {
    let long = |last: char| "😀".repeat(254) + &last.to_string();
    let k = key("a");
    let record = Record { owner: Some(long('x')), ..store.record() };
    store.create_as(&k, &record, &[put_in(&long('a'), &long('1'), b"1"), put_in(&long('a'), &long('2'), b"2")]).await;
    store.driver.update(&k, &writing([put_in(&long('b'), &long('1'), b"3")]), None, store.now).await.expect("update");
    let expected = [(long('1'), b"1".to_vec()), (long('2'), b"2".to_vec())];
    assert_eq!(store.variables(&k, &long('a'), store.now).await, expected);
    assert_eq!(store.variables(&k, &long('b'), store.now).await, [(long('1'), b"3".to_vec())]);
    assert_eq!(store.found(&k, APP, store.now).await.record.owner, Some(long('x')));
    store.assert_owned(store.now, &long('x'), &[k]).await;
    store.assert_owned(store.now, &long('y'), &[]).await;
}

pub async fn large_values_are_kept(store: &Subject) {
    let k = key("a");
    let value =
        |seed: u8| -> Vec<u8> { (0..1 << 20).map(|n: u32| (n >> 8) as u8 ^ (n as u8).wrapping_mul(seed)).collect() };
    store.create(&k, &[put("first", &value(3)), put("small", b"1")]).await;
    assert_eq!(store.variables(&k, APP, store.now).await, pairs(&[("first", &value(3)), ("small", b"1")]));
    let writes = [put("first", &value(5)), put("second", &value(7)), put_in("other", "third", &value(11))];
    store.driver.update(&k, &writing(writes), None, store.now).await.expect("update");
    let expected = pairs(&[("first", &value(5)), ("second", &value(7)), ("small", b"1")]);
    assert_eq!(store.variables(&k, APP, store.now).await, expected);
    assert_eq!(store.variables(&k, "other", store.now).await, pairs(&[("third", &value(11))]));
    let size = 3 * (1 << 20) + 5 + 6 + 5 + 5 + 1;
    assert_eq!(store.found(&k, APP, store.now).await.record.size, size);
}

pub async fn many_variables_are_kept(store: &Subject) {
    let k = key("a");
    let name = |n: u32| format!("variable {n:04}");
    let writes: Vec<_> = (0..1000).map(|n| put(&name(n), &n.to_be_bytes())).collect();
    store.create(&k, &writes[..500]).await;
    store.driver.update(&k, &writing(writes[500..].to_vec()), None, store.now).await.expect("update");
    let expected: Vec<_> = (0..1000_u32).map(|n| (name(n), n.to_be_bytes().to_vec())).collect();
    assert_eq!(store.variables(&k, APP, store.now).await, expected);
    let removals: Vec<_> = (0..1000).map(|n| removal(&name(n))).collect();
    let answer = store.driver.update(&k, &writing(removals), None, store.now).await.expect("update");
    assert_eq!(answer, UpdateOutcome::Committed(3));
    assert_eq!(store.found(&k, APP, store.now).await.record.size, 0);
}

pub async fn far_times_are_kept(store: &Subject) {
    let k = key("a");
    // The last second of the year 9999.
    let far = 253_402_300_799;
    let record = Record { created: 0, rotated: 0, absolute_expiry: Some(far), expires: far - 1, ..store.record() };
    store.create_as(&k, &record, &[]).await;
    let found = store.found(&k, APP, store.now).await.record;
    assert_eq!((found.created, found.rotated, found.absolute_expiry, found.expires), (0, 0, Some(far), far - 1));
    store
        .driver
        .update(&k, &Change { expires: Some(u64::MAX), ..super::change() }, None, store.now)
        .await
        .expect("update");
    assert_eq!(store.found(&k, APP, store.now + HOUR).await.record.expires, far, "an expiry never passes the end");
}
