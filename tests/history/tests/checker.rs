//! The checker on histories that are written by hand: it allows what the contract allows, and explains what it does not.

use std::sync::Arc;

use lemon_session_history::{
    Action, Bounds, Change, Failovers, Id, Kind, NewId, Operation, Saved, Started, Variables, Verdict, Violation, check,
};

/// When every session here expires, by clocks that show 1000.
const UNTIL: u64 = 2000;

fn id(name: &str) -> Id {
    name.into()
}

fn variables(pairs: &[(&str, i64)]) -> Variables {
    pairs.iter().map(|(name, value)| (Arc::from(*name), *value)).collect()
}

fn sets(pairs: &[(&str, i64)]) -> Change {
    Change { sets: variables(pairs), expires: Bounds { least: UNTIL, most: UNTIL }, ..Change::default() }
}

fn adds(delta: i64) -> Change {
    Change { adds: variables(&[("sum", delta)]), ..sets(&[]) }
}

fn create(change: Change) -> Action {
    Action::Save { id: id("one"), creates: true, change, answer: Some(Saved::Committed(Some(1))) }
}

fn save(change: Change, answer: Option<Saved>) -> Action {
    Action::Save { id: id("one"), creates: false, change, answer }
}

fn saved(change: Change) -> Action {
    save(change, Some(Saved::Committed(None)))
}

fn found(pairs: &[(&str, i64)]) -> Action {
    let answer = Started::Found { variables: variables(pairs), owner: None, version: None, expires: UNTIL };
    Action::Start { id: id("one"), strict: false, answer: Some(answer) }
}

fn absent() -> Action {
    Action::Start { id: id("one"), strict: false, answer: Some(Started::Absent) }
}

fn destroyed() -> Action {
    Action::Destroy { id: id("one"), answer: Some(()) }
}

/// Operations of a client each, with the times at which they begin and end.
fn history(operations: impl IntoIterator<Item = (u64, u64, Action)>) -> Vec<Operation> {
    let operation = |(client, (invoked, completed, action))| Operation {
        client,
        host: 0,
        request: client,
        invoked,
        completed,
        clock: 1000..=1000,
        action,
    };
    operations.into_iter().enumerate().map(operation).collect()
}

/// The same, one after the other.
fn sequence(actions: impl IntoIterator<Item = Action>) -> Vec<Operation> {
    history(actions.into_iter().zip(0..).map(|(action, nth)| (10 * nth, 10 * nth + 5, action)))
}

#[track_caller]
fn allowed(history: &[Operation]) {
    check(history, Failovers::KeepEverything).assert_allowed();
}

#[track_caller]
fn violated(history: &[Operation], kind: Kind) -> Violation {
    match check(history, Failovers::KeepEverything) {
        Verdict::Violated(violation) => {
            assert_eq!(violation.kind, kind, "{violation}");
            *violation
        }
        verdict => panic!("{verdict:?}"),
    }
}

#[test]
fn saves_of_different_variables_all_survive() {
    let saves = [create(sets(&[])), saved(sets(&[("a", 1)])), saved(sets(&[("b", 2)]))];
    allowed(&sequence([saves.to_vec(), vec![found(&[("a", 1), ("b", 2)])]].concat()));
}

#[test]
fn lost_update_is_found() {
    let saves = [create(sets(&[])), saved(sets(&[("a", 1)])), saved(sets(&[("b", 2)])), found(&[("b", 2)])];
    violated(&sequence(saves), Kind::Inconsistent);
}

#[test]
fn stale_read_is_found() {
    let operations = [create(sets(&[])), saved(sets(&[("a", 1)])), saved(sets(&[("a", 2)])), found(&[("a", 1)])];
    violated(&sequence(operations), Kind::Inconsistent);
}

#[test]
fn torn_save_is_found() {
    violated(
        &history([
            (0, 5, create(sets(&[]))),
            (10, 40, saved(sets(&[("a", 1), ("b", 1)]))),
            (15, 20, found(&[("a", 1)])),
        ]),
        Kind::Inconsistent,
    );
}

#[test]
fn reads_beside_a_save_see_all_of_it_or_nothing_and_never_go_back() {
    let all = [("a", 1), ("b", 1)];
    let reads = |first: &[(&str, i64)], second: &[(&str, i64)]| {
        history([
            (0, 5, create(sets(&[]))),
            (10, 60, saved(sets(&all))),
            (15, 20, found(first)),
            (25, 30, found(second)),
        ])
    };
    allowed(&reads(&[], &[]));
    allowed(&reads(&[], &all));
    allowed(&reads(&all, &all));
    violated(&reads(&all, &[]), Kind::Inconsistent);
}

#[test]
fn resurrection_is_found() {
    violated(&sequence([create(sets(&[("a", 1)])), destroyed(), found(&[("a", 1)])]), Kind::Resurrected);
}

#[test]
fn save_after_an_acknowledged_end_is_found() {
    violated(&sequence([create(sets(&[])), destroyed(), saved(sets(&[("a", 1)]))]), Kind::Resurrected);
    allowed(&sequence([create(sets(&[])), destroyed(), save(sets(&[("a", 1)]), Some(Saved::Gone)), absent()]));
}

#[test]
fn session_that_vanishes_is_found() {
    violated(&sequence([create(sets(&[])), absent()]), Kind::Vanished);
}

#[test]
fn session_may_be_absent_once_it_has_expired_by_the_clock_of_the_host() {
    let mut history = sequence([create(sets(&[])), absent()]);
    history[1].clock = UNTIL..=UNTIL;
    allowed(&history);
    history[1].clock = UNTIL - 1..=UNTIL - 1;
    violated(&history, Kind::Vanished);
}

#[test]
fn session_is_not_found_once_it_has_expired() {
    let mut history = sequence([create(sets(&[])), found(&[])]);
    history[1].clock = UNTIL..=UNTIL;
    violated(&history, Kind::Inconsistent);
}

#[test]
fn cleanup_ends_what_has_expired_by_its_clock_and_nothing_else() {
    let mut history = sequence([create(sets(&[])), Action::Cleanup, absent()]);
    violated(&history, Kind::Vanished);
    history[1].clock = UNTIL..=UNTIL;
    allowed(&history);
    // It came too late to be what ended the session.
    (history[1].invoked, history[1].completed) = (100, 105);
    violated(&history, Kind::Vanished);
}

#[test]
fn cleanup_before_an_unrelated_answer_still_counts() {
    let mut history = history([
        (0, 5, create(sets(&[]))),
        (10, 15, Action::Cleanup),
        (12, 60, absent()),
        (20, 25, Action::Start { id: id("one"), strict: false, answer: Some(Started::Absent) }),
    ]);
    history[1].clock = UNTIL..=UNTIL;
    allowed(&history);
}

#[test]
fn what_was_not_answered_may_have_taken_effect_or_not_or_does_so_later() {
    let unanswered = || save(sets(&[("a", 1)]), None);
    allowed(&sequence([create(sets(&[])), unanswered(), found(&[])]));
    allowed(&sequence([create(sets(&[])), unanswered(), found(&[("a", 1)])]));
    allowed(&sequence([create(sets(&[])), unanswered(), found(&[]), found(&[("a", 1)])]));
    violated(&sequence([create(sets(&[])), unanswered(), found(&[("a", 1)]), found(&[])]), Kind::Inconsistent);
}

#[test]
fn what_was_not_answered_takes_effect_once() {
    let unanswered = save(adds(1), None);
    allowed(&sequence([create(sets(&[])), unanswered.clone(), found(&[("sum", 1)])]));
    violated(&sequence([create(sets(&[])), unanswered, found(&[("sum", 2)])]), Kind::Inconsistent);
}

#[test]
fn end_that_was_not_answered_may_have_happened_and_is_not_undone() {
    let unanswered = || Action::Destroy { id: id("one"), answer: None };
    allowed(&sequence([create(sets(&[])), unanswered(), found(&[]), absent()]));
    violated(&sequence([create(sets(&[])), unanswered(), absent(), found(&[])]), Kind::Resurrected);
}

#[test]
fn sums_are_exact() {
    let sum = |sum| {
        history([
            (0, 5, create(sets(&[]))),
            (10, 20, saved(adds(1))),
            (10, 20, saved(adds(2))),
            (10, 20, saved(adds(4))),
            (30, 35, found(&[("sum", sum)])),
        ])
    };
    allowed(&sum(7));
    for lost in [1, 2, 4, 14] {
        violated(&sum(7 - lost), Kind::Inconsistent);
    }
}

#[test]
fn versions_are_linear() {
    let version = |version| save(sets(&[("a", version as i64)]), Some(Saved::Committed(Some(version))));
    allowed(&sequence([create(sets(&[])), version(2), version(3)]));
    violated(&sequence([create(sets(&[])), version(2), version(2)]), Kind::Inconsistent);
    violated(&sequence([create(sets(&[])), version(3)]), Kind::Inconsistent);
}

#[test]
fn strict_save_that_another_save_overtook_is_a_conflict() {
    let strict = |answer| {
        let mut history =
            sequence([create(sets(&[])), found(&[]), saved(sets(&[("a", 1)])), save(sets(&[("b", 2)]), Some(answer))]);
        let Action::Start { strict, .. } = &mut history[1].action else { unreachable!() };
        *strict = true;
        history[3].request = history[1].request;
        history
    };
    allowed(&strict(Saved::Conflict));
    violated(&strict(Saved::Committed(None)), Kind::Inconsistent);
}

#[test]
fn conflict_without_another_save_is_found() {
    violated(&sequence([create(sets(&[])), save(sets(&[("a", 1)]), Some(Saved::Conflict))]), Kind::Inconsistent);
}

#[test]
fn old_id_of_a_rotation_is_dead_and_the_new_one_has_everything() {
    let rotate = || saved(Change { rotation: Some(NewId::Known(id("two"))), ..sets(&[]) });
    let new = |pairs: &[(&str, i64)]| {
        let answer = Started::Found { variables: variables(pairs), owner: None, version: None, expires: UNTIL };
        Action::Start { id: id("two"), strict: false, answer: Some(answer) }
    };
    allowed(&sequence([create(sets(&[("a", 1)])), rotate(), absent(), new(&[("a", 1)])]));
    violated(&sequence([create(sets(&[("a", 1)])), rotate(), found(&[("a", 1)])]), Kind::Resurrected);
    violated(&sequence([create(sets(&[("a", 1)])), rotate(), new(&[])]), Kind::Inconsistent);
}

#[test]
fn destroy_owned_ends_the_owners_sessions_and_no_others() {
    let owned = |owner: &str| Change { owner: Some(Some(owner.into())), ..sets(&[]) };
    let destroy = || Action::DestroyOwned { owner: "ann".into(), except: None, answer: Some(()) };
    allowed(&sequence([create(owned("ann")), destroy(), absent()]));
    violated(&sequence([create(owned("ann")), destroy(), saved(sets(&[("a", 1)]))]), Kind::Resurrected);
    violated(&sequence([create(owned("bob")), destroy(), absent()]), Kind::Vanished);
}

#[test]
fn client_that_knows_only_when_its_whole_request_began_and_ended_is_understood() {
    let mut history = history([
        (0, 5, create(sets(&[]))),
        (10, 50, found(&[])),
        (10, 50, saved(sets(&[("a", 1)]))),
        (60, 65, found(&[("a", 1)])),
    ]);
    (history[2].client, history[2].request) = (history[1].client, history[1].request);
    allowed(&history);
    // It cannot have read what it saved afterwards.
    history[1].action = found(&[("a", 1)]);
    violated(&history, Kind::Inconsistent);
}

#[test]
fn failover_may_lose_the_last_saves_only_where_that_is_allowed() {
    let history = sequence([
        create(sets(&[])),
        saved(sets(&[("a", 1)])),
        saved(sets(&[("b", 2)])),
        Action::Failover,
        found(&[("a", 1)]),
    ]);
    check(&history, Failovers::MayLoseTheLast).assert_allowed();
    violated(&history, Kind::Inconsistent);
}

#[test]
fn failover_that_keeps_a_later_save_and_loses_an_earlier_one_is_found() {
    let history = sequence([
        create(sets(&[])),
        saved(sets(&[("a", 1)])),
        saved(sets(&[("b", 2)])),
        Action::Failover,
        found(&[("b", 2)]),
    ]);
    assert!(matches!(check(&history, Failovers::MayLoseTheLast), Verdict::Violated(_)));
}

#[test]
fn explanation_has_what_is_needed_in_the_order_of_time() {
    let violation = violated(
        &sequence([
            create(sets(&[])),
            saved(sets(&[("z", 9)])),
            saved(sets(&[("a", 1)])),
            saved(sets(&[("b", 2)])),
            found(&[("b", 2), ("z", 9)]),
            found(&[("b", 2), ("z", 9)]),
        ]),
        Kind::Inconsistent,
    );
    assert_eq!(
        violation.to_string(),
        "session one: what was read or saved does not follow from the saves before it
  no order of these operations explains their answers (times in ms, host clocks in s):
       0.010 –      0.015  client 1, host 0 at 1000: save one: z=9 → saved
       0.020 –      0.025  client 2, host 0 at 1000: save one: a=1 → saved
       0.030 –      0.035  client 3, host 0 at 1000: save one: b=2 → saved
       0.040 –      0.045  client 4, host 0 at 1000: start one → found {b=2, z=9}, until 2000
"
    );
}
