use super::{APP, HOUR, Subject, key, pairs, put, put_in};
use crate::{LoadOutcome, Stored};

pub async fn load_of_an_unknown_key_answers_absent(store: &Subject) {
    store.create(&key("a"), &[]).await;
    assert_eq!(store.load(&key("b"), store.now).await, LoadOutcome::Absent);
    store.assert_reused(store.now, 0, "an unknown key is no ended one").await;
}

pub async fn load_answers_the_variables_of_one_application_sorted_by_name(store: &Subject) {
    let k = key("a");
    let writes = [
        put("é", b"5"),
        put("b", b"3"),
        put("a", b"1"),
        put("aa", b"2"),
        put("z", b"4"),
        put_in("other", "x", b"9"),
        put_in("shopping", "y", b"8"),
    ];
    store.create(&k, &writes).await;
    let expected = pairs(&[("a", b"1"), ("aa", b"2"), ("b", b"3"), ("z", b"4"), ("é", b"5")]);
    assert_eq!(store.variables(&k, APP, store.now).await, expected, "sorted by the bytes of their names");
    assert_eq!(store.variables(&k, "other", store.now).await, pairs(&[("x", b"9")]));
    assert_eq!(store.variables(&k, "none", store.now).await, []);
}

pub async fn load_at_the_expiry_answers_expired(store: &Subject) {
    let k = key("a");
    store.create(&k, &[put("x", b"1")]).await;
    let expires = store.now + HOUR;
    assert!(matches!(store.load(&k, expires - 1).await, LoadOutcome::Found(_)), "live a second before its expiry");
    assert_eq!(store.load(&k, expires).await, LoadOutcome::Expired, "expired from the second of its expiry");
    assert_eq!(store.load(&k, expires + HOUR).await, LoadOutcome::Expired);
    store.assert_reused(store.now, 0, "an expired key is no ended one").await;
}

pub async fn load_answers_short_values_inline_and_long_ones_at_least_by_their_size(store: &Subject) {
    let k = key("a");
    let sizes = [0_usize, 1, 99, 100, 101, 5_000, 100_000];
    let value = |size: usize| vec![b'v'; size];
    let writes: Vec<_> = sizes.iter().map(|size| put(&format!("{size:06}"), &value(*size))).collect();
    store.create(&k, &writes).await;
    for inline in [0, 100, 5_000, u32::MAX] {
        let LoadOutcome::Found(loaded) = store.driver.load(&k, APP, store.now, inline).await.expect("load") else {
            panic!("the session is live");
        };
        assert_eq!(loaded.variables.len(), sizes.len());
        for (variable, size) in loaded.variables.iter().zip(sizes) {
            match &variable.value {
                Stored::Inline(bytes) => assert_eq!(*bytes, value(size)),
                Stored::Large(bytes) => {
                    assert_eq!(*bytes, size as u64, "a large value is answered by its size");
                    assert!(
                        size > inline as usize,
                        "a value of {size} bytes is answered whole where {inline} were allowed"
                    );
                }
            }
            let fetched = store.driver.fetch(&k, APP, &variable.name, store.now).await.expect("fetch");
            assert_eq!(fetched, Some(value(size)), "fetch gets every value, short or long");
        }
    }
}

pub async fn fetch_gets_one_value_or_none(store: &Subject) {
    let k = key("a");
    store.create(&k, &[put("x", b"1"), put_in("other", "y", b"2")]).await;
    let fetch = async |k, app, name| store.driver.fetch(k, app, name, store.now).await.expect("fetch");
    assert_eq!(fetch(&k, APP, "x").await, Some(b"1".to_vec()));
    assert_eq!(fetch(&k, "other", "y").await, Some(b"2".to_vec()));
    assert_eq!(fetch(&k, APP, "y").await, None, "another application's variable");
    assert_eq!(fetch(&k, APP, "z").await, None, "no such variable");
    assert_eq!(fetch(&key("b"), APP, "x").await, None, "no such session");
}

pub async fn fetch_at_the_expiry_gets_none(store: &Subject) {
    let k = key("a");
    store.create(&k, &[put("x", b"1")]).await;
    let fetch = async |now| store.driver.fetch(&k, APP, "x", now).await.expect("fetch");
    assert_eq!(fetch(store.now + HOUR - 1).await, Some(b"1".to_vec()));
    assert_eq!(fetch(store.now + HOUR).await, None, "expired data is never readable");
}
