//! Whether the answers of a component are ones that the contract allows.
//!
//! The component is not trusted: a session without a version, a version that goes back or a list without order would break
//! the rules of sessions above it. What the host cannot know, such as the value of a variable, is not
//! checked. Nor is whether a session has expired: the clock of this host may be ahead of that of the store.

use lemon_session_store::{Change, Digest, Listed, LoadOutcome, Record, Stored, UpdateOutcome};

/// What is wrong with an answer, for the operator.
type Result<T> = std::result::Result<T, String>;

pub fn load(outcome: LoadOutcome, inline_bytes: u32) -> Result<LoadOutcome> {
    let LoadOutcome::Found(loaded) = &outcome else { return Ok(outcome) };
    record(&loaded.record)?;
    for (what, of) in [("details", &loaded.details), ("variables", &loaded.variables)] {
        if !of.is_sorted_by(|a, b| a.name < b.name) {
            return Err(format!("load returned {what} that are not sorted by name, or one of them twice"));
        }
    }
    if loaded.details.iter().any(|detail| matches!(detail.value, Stored::Large(_))) {
        return Err("load returned the size of a detail instead of its value".into());
    }
    let mut size = 0_u64;
    for variable in loaded.details.iter().chain(&loaded.variables) {
        let bytes = match &variable.value {
            Stored::Inline(value) => value.len() as u64,
            Stored::Large(bytes) if *bytes <= inline_bytes.into() => {
                return Err(format!("load returned the size of a value of {bytes} bytes instead of the value"));
            }
            Stored::Large(bytes) => *bytes,
        };
        size = size.saturating_add(bytes).saturating_add(variable.name.len() as u64);
    }
    if size > loaded.record.size {
        let whole = loaded.record.size;
        return Err(format!("load returned details and variables of {size} bytes of a session of {whole} bytes"));
    }
    Ok(outcome)
}

pub fn update(outcome: UpdateOutcome, change: &Change, expected: Option<u64>) -> Result<UpdateOutcome> {
    let fits = match outcome {
        UpdateOutcome::Committed(version) => {
            let grows = u64::from(change.is_counted());
            version > 0 && expected.is_none_or(|expected| version == expected.saturating_add(grows))
        }
        UpdateOutcome::Conflict(version) => expected.is_some_and(|expected| version != expected),
        UpdateOutcome::Gone => true,
        UpdateOutcome::TooLarge(size) => size > change.max_size,
        UpdateOutcome::TooManyOwned(sessions) => change.owner_limit().is_some_and(|(_, most)| sessions >= most),
    };
    if fits { Ok(outcome) } else { Err(format!("update returned {outcome:?}, which does not fit the change")) }
}

pub fn removed<N: Into<u64> + Copy>(count: N, limit: u32) -> Result<N> {
    let removed = count.into();
    if removed <= limit.into() { Ok(count) } else { Err(format!("cleanup removed {removed} of at most {limit}")) }
}

pub fn list(listed: Vec<Listed>, owner: Option<&str>, after: Option<&Digest>, limit: u32) -> Result<Vec<Listed>> {
    let length = listed.len();
    if length as u64 > limit.into() {
        return Err(format!("list returned {length} sessions of at most {limit}"));
    }
    let follows = listed.first().is_none_or(|first| after.is_none_or(|after| first.digest > *after));
    if !follows || !listed.is_sorted_by(|a, b| a.digest < b.digest) {
        return Err("list returned sessions that are not in the order of their digests".into());
    }
    for session in &listed {
        record(&session.record)?;
        if owner.is_some() && session.record.owner.as_deref() != owner {
            return Err("list returned a session of another owner".into());
        }
    }
    Ok(listed)
}

/// Checks the record of a session that is live.
fn record(record: &Record) -> Result<()> {
    let fault = if record.absolute_expiry.is_some_and(|absolute| absolute < record.expires) {
        "expires after its absolute expiry"
    } else if record.version == 0 {
        "has the version 0"
    } else {
        return Ok(());
    };
    Err(format!("a session was returned as live that {fault}"))
}

#[cfg(test)]
mod tests {
    use lemon_session_store::{Lifetime, Loaded, Variable, Write};

    use super::*;

    const NOW: u64 = 1_000;

    fn good() -> Record {
        let owner = Some("Ada".to_owned());
        Record {
            created: 1,
            accessed: 2,
            expires: NOW + 1,
            absolute_expiry: None,
            rotated: 1,
            owner,
            version: 1,
            size: 9,
        }
    }

    fn loaded(record: Record, variables: Vec<(&str, Stored)>) -> Result<LoadOutcome> {
        loaded_with(record, vec![], variables)
    }

    fn loaded_with(
        record: Record,
        details: Vec<(&str, Stored)>,
        variables: Vec<(&str, Stored)>,
    ) -> Result<LoadOutcome> {
        let [details, variables] = [details, variables]
            .map(|of| of.into_iter().map(|(name, value)| Variable { name: name.into(), value }).collect());
        load(LoadOutcome::Found(Loaded { record, details, variables, renewal: None }), 3)
    }

    #[test]
    fn load_of_a_session_that_cannot_be_is_refused() {
        let inline = |bytes: usize| Stored::Inline(vec![0; bytes]);
        assert!(loaded(good(), vec![("a", inline(3)), ("b", Stored::Large(4))]).is_ok());
        assert!(loaded(good(), vec![("a", inline(8))]).is_ok(), "a long value may be returned inline");
        let absolute_expiry = Some(NOW);
        for (record, variables, part) in [
            (Record { absolute_expiry, ..good() }, vec![], "absolute"),
            (Record { version: 0, ..good() }, vec![], "version 0"),
            (good(), vec![("b", inline(1)), ("a", inline(1))], "sorted"),
            (good(), vec![("a", inline(1)), ("a", inline(1))], "sorted"),
            (good(), vec![("a", Stored::Large(3))], "instead of the value"),
            (good(), vec![("a", inline(9))], "10 bytes of a session of 9"),
            (good(), vec![("a", Stored::Large(u64::MAX)), ("b", Stored::Large(u64::MAX))], "of a session of 9"),
        ] {
            let why = loaded(record, variables).expect_err("an answer that cannot be");
            assert!(why.contains(part), "{why}");
        }
    }

    #[test]
    fn load_of_details_that_cannot_be_is_refused() {
        let inline = |bytes: usize| Stored::Inline(vec![0; bytes]);
        assert!(loaded_with(good(), vec![("a", inline(3)), ("b", inline(1))], vec![("a", inline(2))]).is_ok());
        for (details, variables, part) in [
            (vec![("b", inline(1)), ("a", inline(1))], vec![], "details that are not sorted"),
            (vec![("a", Stored::Large(5))], vec![], "the size of a detail"),
            (vec![("a", inline(4))], vec![("a", inline(4))], "10 bytes of a session of 9"),
        ] {
            let why = loaded_with(good(), details, variables).expect_err("an answer that cannot be");
            assert!(why.contains(part), "{why}");
        }
    }

    #[test]
    fn update_that_does_not_fit_its_change_is_refused() {
        let write = Write { app: "a".into(), name: "b".into(), value: None };
        let writes = Change { writes: [write].into(), max_size: 100, ..Change::default() };
        let touches = Change { max_size: 100, ..Change::default() };
        let lifetime = Some(Lifetime { expires: NOW, absolute_expiry: None });
        let lives = Change { lifetime, ..touches.clone() };
        let login = |owner| Change { owner: Some(owner), max_owned: Some(2), ..touches.clone() };
        let (login, logout) = (login(Some("Ada".to_owned())), login(None));
        use UpdateOutcome::{Committed, Conflict, Gone, TooLarge, TooManyOwned};
        for (outcome, change, expected, fits) in [
            (Committed(1), &touches, None, true),
            (Committed(0), &touches, None, false),
            (Committed(7), &touches, Some(7), true),
            (Committed(8), &touches, Some(7), false),
            (Committed(8), &writes, Some(7), true),
            (Committed(7), &writes, Some(7), false),
            (Committed(8), &lives, Some(7), true),
            (Committed(7), &lives, Some(7), false),
            (Committed(u64::MAX), &writes, Some(u64::MAX), true),
            (Conflict(8), &writes, Some(7), true),
            (Conflict(7), &writes, Some(7), false),
            (Conflict(7), &writes, None, false),
            (Gone, &writes, Some(7), true),
            (TooLarge(101), &writes, None, true),
            (TooLarge(100), &writes, None, false),
            (TooManyOwned(2), &login, None, true),
            (TooManyOwned(1), &login, None, false),
            (TooManyOwned(2), &logout, None, false),
            (TooManyOwned(2), &touches, None, false),
        ] {
            assert_eq!(update(outcome, change, expected).is_ok(), fits, "{outcome:?} {expected:?}");
        }
    }

    #[test]
    fn list_out_of_order_or_beyond_what_was_asked_is_refused() {
        let listed = |digests: &[u8]| -> Vec<Listed> {
            digests.iter().map(|byte| Listed { digest: [*byte; 32].into(), record: good() }).collect()
        };
        let (before, ada) = (Digest::from([1; 32]), Some("Ada"));
        assert!(list(listed(&[2, 3]), ada, Some(&before), 2).is_ok());
        for (digests, owner, limit) in
            [(&[2, 3][..], ada, 1), (&[3, 2], ada, 9), (&[2, 2], ada, 9), (&[1, 2], ada, 9), (&[2], Some("Bob"), 9)]
        {
            assert!(list(listed(digests), owner, Some(&before), limit).is_err(), "{digests:?}");
        }
        assert_eq!((removed(3_u32, 3), removed(4_u32, 3).is_err()), (Ok(3), true));
    }
}
