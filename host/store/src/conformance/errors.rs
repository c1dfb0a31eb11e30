//! Errors contain no secrets.

use std::{
    error::Error as _,
    sync::atomic::{AtomicU64, Ordering},
    time::SystemTime,
};

use super::{HOUR, Subject, put, renaming_to};
use crate::{Change, DestroyCondition, Digest, Error, Grace, Record, Snapshot, Store, Write};

/// The text in every name, value and owner that [`failures`] gives to a driver. It should be in a store's password, too.
pub const SECRET: &str = "hunter2";

pub async fn errors_tell_no_key_and_no_value(store: &Subject) {
    let [one, other] = [Digest::of(SECRET), Digest::of(&format!("another {SECRET}"))];
    for key in [&one, &other] {
        store.create(key, &[put(SECRET, SECRET.as_bytes())]).await;
    }
    let error = store.driver.update(&one, &renaming_to(other, None), None, store.now).await.expect_err("it is taken");
    assert_tells_nothing("update", &error, &[one, other]);
    // Longer than a store's index or statement may take.
    calls(&*store.driver, store.now, &SECRET.repeat(10_000)).await;
    if let Ok(schema) = store.needs_tables() {
        schema.drop_tables().await.expect("drop_tables");
        let (made, failed) = calls(&*store.driver, store.now, SECRET).await;
        assert_eq!(failed, made, "without tables every call fails");
    }
}

/// How many calls [`failures`] makes of a driver that implements [`Inspect`](crate::Inspect) and
/// [`Transfer`](crate::Transfer).
pub const CALLS: usize = 14;

/// Calls a store that is broken in some way, and returns how many of the [`CALLS`] failed. Panics if an error contains a digest,
/// a value or [`SECRET`].
///
/// The rule `errors_tell_no_key_and_no_value` does this without tables. The driver's own tests do it for the other ways in which
/// its store can break: a server that is gone, a table of another shape, data that no driver wrote.
pub async fn failures(driver: &dyn Store) -> usize {
    calls(driver, SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs()), SECRET).await.1
}

/// How many calls were made, and how many have failed.
async fn calls(driver: &dyn Store, now: u64, secret: &str) -> (usize, usize) {
    // A session that was not there before.
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let keys = ["key", "new", "copy"].map(|which| Digest::of(&format!("{which} {number} {SECRET}")));
    let [key, new, copy] = &keys;

    let write = Write { app: secret.to_owned(), name: secret.to_owned(), value: Some(secret.as_bytes().to_vec()) };
    let (owner, expires) = (Some(secret.to_owned()), now + HOUR);
    let record = Record {
        created: now,
        accessed: now,
        expires,
        absolute_expiry: None,
        rotated: now,
        owner,
        version: 1,
        size: 0,
    };
    let snapshot = Snapshot { record: record.clone(), variables: [write.clone()].into() };
    let change = Change {
        clears: vec![secret.to_owned()],
        owner: Some(record.owner.clone()),
        writes: [write.clone()].into(),
        expires: Some(expires + 1),
        ..renaming_to(*new, Some(Grace { until: expires, nonce: secret.as_bytes().to_vec() }))
    };
    let mut errors = vec![
        ("create", driver.create(key, &record, &[write].into()).await.err()),
        ("load", driver.load(key, secret, now, u32::MAX).await.err()),
        ("fetch", driver.fetch(key, secret, secret, now).await.err()),
    ];
    if let Some(inspect) = driver.inspect() {
        errors.extend([
            ("list", inspect.list(now, Some(secret), None, 9).await.err()),
            ("describe", inspect.describe(key, now).await.err()),
            ("count", inspect.count(now).await.err()),
            ("reused", inspect.reused(now).await.err()),
        ]);
    }
    if let Some(transfer) = driver.transfer() {
        errors.extend([
            ("export", transfer.export(key, now).await.err()),
            ("import", transfer.import(copy, &snapshot, None, now).await.err()),
            ("import over a version", transfer.import(copy, &snapshot, Some(1), now).await.err()),
        ]);
    }
    errors.extend([
        ("update", driver.update(key, &change, None, now).await.err()),
        ("destroy", driver.destroy(copy, &DestroyCondition::Any, now, 9).await.err()),
        ("destroy_owned", driver.destroy_owned(secret, Some(key), now, 9).await.err()),
        ("cleanup", driver.cleanup(now, 9).await.err()),
    ]);
    let (made, mut failed) = (errors.len(), 0);
    for (call, error) in errors {
        if let Some(error) = error {
            assert_tells_nothing(call, &error, &keys);
            failed += 1;
        }
    }
    (made, failed)
}

/// Checks what an operator could find of an error in a log.
fn assert_tells_nothing(call: &str, error: &Error, keys: &[Digest]) {
    let mut text = format!("{error} {error:?}");
    let mut source = error.source();
    while let Some(why) = source {
        text += &format!(" {why} {why:?}");
        source = why.source();
    }
    let text = text.to_lowercase();
    // As text, as the bytes of a list, and as hexadecimal digits.
    let listed = |bytes: &[u8]| format!("{bytes:?}").trim_matches(['[', ']']).to_owned();
    let hex: String = SECRET.bytes().map(|byte| format!("{byte:02x}")).collect();
    let mut forms = vec![SECRET.to_owned(), listed(SECRET.as_bytes()), hex];
    forms.extend(keys.iter().flat_map(|key| [key.to_hex(), listed(key.as_bytes())]));
    assert!(!forms.iter().any(|form| text.contains(form)), "an error of {call} tells a secret: {text}");
}
