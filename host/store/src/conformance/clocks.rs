//! Callers whose clocks are off.

use super::{APP, HOUR, change, key, put, renaming_to, writing};
use crate::{Change, CreateOutcome, DestroyCondition, Digest, Grace, LoadOutcome, Record, Store, UpdateOutcome};

/// Checks what callers whose clocks are an hour off do to sessions, in a store that has a clock of its own
/// ([`Inspect::clock`](crate::Inspect::clock)) and tables. Panics if a rule is broken:
///
/// - What is live by the store's clock is live for a caller whose clock is ahead, in every call, and neither such a caller's
///   `destroy` of what has expired nor its cleanup ends it.
/// - `destroy_owned` ends all sessions of the owner by any clock, also those that have expired, and counts the live ones.
/// - A caller whose clock is behind ends nothing too early.
pub async fn clocks(driver: &dyn Store) {
    let now = driver.inspect().expect("Inspect").clock().await.expect("clock").expect("a clock of its own");
    let (ahead, behind) = (now + HOUR, now - HOUR);
    driver.check_clock(now).await.expect("the clocks agree");
    for off in [ahead, behind] {
        driver.check_clock(off).await.expect_err("a caller whose clock is off does not clean up");
    }
    caller_that_is_ahead_ends_no_live_session(driver, now, ahead).await;
    caller_that_is_ahead_remembers_for_as_long_as_any_other(driver, now, ahead).await;
    destroy_owned_ends_all_by_any_clock(driver, now, ahead, behind).await;
    caller_that_is_behind_ends_nothing_too_early(driver, now, behind).await;
}

/// A session of Ada's that was begun at a time, and expires half an hour later.
async fn begin(driver: &dyn Store, key: &Digest, at: u64) {
    let record = Record {
        created: at,
        accessed: at,
        expires: at + HOUR / 2,
        absolute_expiry: None,
        rotated: at,
        owner: Some("Ada".to_owned()),
        version: 0,
        size: 0,
    };
    let created = driver.create(key, &record, &[put("x", b"1")].into()).await.expect("create");
    assert_eq!(created, CreateOutcome::Created);
}

async fn is_live(driver: &dyn Store, key: &Digest, at: u64) -> bool {
    matches!(driver.load(key, APP, at, u32::MAX).await.expect("load"), LoadOutcome::Found(_))
}

async fn caller_that_is_ahead_ends_no_live_session(driver: &dyn Store, now: u64, ahead: u64) {
    let inspect = driver.inspect().expect("Inspect");
    let [old, new] = ["clocks: old", "clocks: new"].map(key);
    begin(driver, &old, now).await;
    let grace = Some(Grace { until: ahead + HOUR, nonce: b"n".to_vec() });
    let rotated = driver.update(&old, &renaming_to(new, grace), None, now).await.expect("update");
    assert!(matches!(rotated, UpdateOutcome::Committed(_)), "{rotated:?}");

    for digest in [&old, &new] {
        assert!(is_live(driver, digest, ahead).await, "what is live by the store's clock is live for every caller");
        let value = driver.fetch(digest, APP, "x", ahead).await.expect("fetch");
        assert_eq!(value.as_deref(), Some(&b"1"[..]), "fetch finds the session");
    }
    let expired = driver.destroy(&new, &DestroyCondition::Expired, ahead, 60).await.expect("destroy");
    assert!(!expired && is_live(driver, &new, now).await, "it has not expired, so it is not ended");
    let removed = driver.cleanup(ahead, 100).await.expect("cleanup");
    assert!(removed == 0 && is_live(driver, &new, now).await, "a cleanup removes none that is live");
    assert_eq!(inspect.count(ahead).await.expect("count"), 1);
    assert_eq!(inspect.list(ahead, Some("Ada"), None, 10).await.expect("list").len(), 1);
    let saved = driver.update(&new, &writing([put("x", b"2")]), None, ahead).await.expect("update");
    assert!(matches!(saved, UpdateOutcome::Committed(_)), "it can be saved: {saved:?}");
    let only = DestroyCondition::Owned("Ada".to_owned());
    assert!(driver.destroy(&new, &only, ahead, 60).await.expect("destroy"), "it can be ended");
}

async fn caller_that_is_ahead_remembers_for_as_long_as_any_other(driver: &dyn Store, now: u64, ahead: u64) {
    let [short, long] = ["clocks: short", "clocks: long"].map(key);
    for (digest, remember) in [(&short, 0), (&long, 60)] {
        begin(driver, digest, now).await;
        assert!(driver.destroy(digest, &DestroyCondition::Any, ahead, remember).await.expect("destroy"));
    }
    let load = async |digest: &Digest| driver.load(digest, APP, ahead, 0).await.expect("load");
    assert_eq!(load(&short).await, LoadOutcome::Absent, "it was not to be remembered");
    assert_eq!(load(&long).await, LoadOutcome::Ended, "it is remembered by the store's clock");
}

async fn destroy_owned_ends_all_by_any_clock(driver: &dyn Store, now: u64, ahead: u64, behind: u64) {
    let [live, expired, other] = ["clocks: live", "clocks: expired", "clocks: other"].map(key);
    for (caller, begun) in [(ahead, [now, behind, now]), (now, [now, behind, now])] {
        for (digest, at) in [&live, &expired, &other].into_iter().zip(begun) {
            begin(driver, digest, at).await;
        }
        assert!(is_live(driver, &expired, behind).await, "a host whose clock is behind still serves it");
        let ended = driver.destroy_owned("Ada", Some(&other), caller, 0).await.expect("destroy_owned");
        assert_eq!(ended, 1, "one of those that were ended was live by the store's clock");
        for digest in [&live, &expired] {
            assert!(!is_live(driver, digest, behind).await, "none of the owner's is left for any host");
        }
        assert!(is_live(driver, &other, now).await, "except the one that is spared");
        assert!(driver.destroy(&other, &DestroyCondition::Any, now, 0).await.expect("destroy"));
    }
}

async fn caller_that_is_behind_ends_nothing_too_early(driver: &dyn Store, now: u64, behind: u64) {
    let session = key("clocks: behind");
    begin(driver, &session, now).await;
    assert!(is_live(driver, &session, behind).await);
    assert!(!driver.destroy(&session, &DestroyCondition::Expired, behind, 0).await.expect("destroy"));
    driver.cleanup(behind, 100).await.expect("cleanup");
    let earlier = Change { expires: Some(behind + HOUR / 2), ..change() };
    driver.update(&session, &earlier, None, behind).await.expect("update");
    let found = driver.load(&session, APP, now, 0).await.expect("load");
    let LoadOutcome::Found(found) = found else { panic!("the session is live, but load answers {found:?}") };
    assert_eq!(found.record.expires, now + HOUR / 2, "its save has not moved the expiry to an earlier time");
    assert!(driver.destroy(&session, &DestroyCondition::Any, now, 0).await.expect("destroy"));
}
