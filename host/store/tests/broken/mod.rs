//! The suite finds drivers that break the contract: each rule about a race, or about what is left of a call, fails on a driver that
//! has the mistake it is about.

mod store;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use lemon_session_store::{
    conformance::{Outcome, Subject, check},
    memory::Memory,
};
use store::{
    Broken,
    Mistake::{
        self, AnswersDetailsBySize, CleansUpLessThanItCould, CleansUpWhatIsLive, CountsExpired, CountsListedKeys,
        CountsListedOwned, CountsOwnedBefore, CountsOwnedTwice, CreatesInSteps, DestroysInSteps, EndsListedKeys,
        EndsOneBatch, IgnoresLifetimes, IgnoresMaxOwned, ImportsWhatIsGone, LeavesDetailsOut, LimitsWithoutOwner,
        LooksAtTheKeyBefore, LooksAtTheSizeBefore, OnlyLengthens, TellsKeys, UpdatesInSteps,
    },
};

fn keeps(mistake: Mistake, rule: &str) -> bool {
    let open = || async move { Subject::new(Arc::new(Broken::new(mistake))).without_tables() };
    catch_unwind(AssertUnwindSafe(|| assert_eq!(check(open, rule), Outcome::Kept))).is_ok()
}

#[test]
fn every_mistake_breaks_the_rule_about_it() {
    for (mistake, rule) in [
        (EndsListedKeys, "destroy_owned_ends_sessions_that_are_given_other_keys_meanwhile"),
        (CountsListedKeys, "update_of_the_owner_racing_destroy_owned_comes_before_or_after"),
        (EndsListedKeys, "destroy_owned_spares_a_session_that_is_given_other_keys_meanwhile"),
        (EndsOneBatch, "destroy_owned_ends_any_number_of_sessions"),
        (LooksAtTheSizeBefore, "concurrent_updates_never_grow_past_the_limit"),
        (LooksAtTheKeyBefore, "of_two_renames_to_one_key_exactly_one_wins"),
        (LooksAtTheKeyBefore, "of_a_create_and_a_rename_to_one_key_exactly_one_wins"),
        (ImportsWhatIsGone, "import_racing_destroy_never_brings_back"),
        (CreatesInSteps, "create_that_is_given_up_is_whole_or_not_at_all"),
        (UpdatesInSteps, "update_that_is_given_up_is_whole_or_not_at_all"),
        (UpdatesInSteps, "load_sees_all_of_an_update_of_everything_or_nothing"),
        (DestroysInSteps, "end_that_is_given_up_is_whole_or_not_at_all"),
        (CleansUpLessThanItCould, "cleanup_that_removes_fewer_than_the_limit_has_left_none"),
        (CleansUpWhatIsLive, "cleanup_leaves_what_is_live_or_remembered"),
        (TellsKeys, "errors_tell_no_key_and_no_value"),
        (LeavesDetailsOut, "load_answers_the_details_beside_the_variables_of_any_application"),
        (LeavesDetailsOut, "details_follow_a_rename"),
        (LeavesDetailsOut, "clears_of_applications_leave_the_details"),
        (LeavesDetailsOut, "details_are_copied"),
        (LeavesDetailsOut, "any_sequence_of_operations_answers_as_the_model"),
        (AnswersDetailsBySize, "details_are_answered_whole_whatever_their_size"),
        (IgnoresLifetimes, "lifetime_counts_and_an_expiry_after_a_use_does_not"),
        (IgnoresLifetimes, "lifetime_is_set_with_owner_and_new_key"),
        (IgnoresLifetimes, "lifetime_that_is_over_expires_the_session"),
        (IgnoresLifetimes, "any_sequence_of_operations_answers_as_the_model"),
        (OnlyLengthens, "lifetime_moves_the_expiry_and_the_end_both_ways"),
        (OnlyLengthens, "lifetime_is_capped_by_its_own_end"),
        (OnlyLengthens, "use_never_passes_an_end_that_was_moved"),
        (OnlyLengthens, "lifetime_that_is_shortened_is_cleaned_up_in_time"),
        (OnlyLengthens, "lifetime_that_is_lengthened_is_found_in_time"),
        (IgnoresMaxOwned, "owner_of_as_many_sessions_as_allowed_gets_no_further_one"),
        (IgnoresMaxOwned, "any_sequence_of_operations_answers_as_the_model"),
        (CountsOwnedTwice, "session_that_is_the_owners_already_is_not_counted"),
        (CountsExpired, "limit_of_an_owner_counts_the_owners_live_sessions_alone"),
        (CountsOwnedBefore, "other_refusals_come_before_that_of_too_many_sessions"),
        (CountsOwnedBefore, "of_concurrent_logins_exactly_as_many_succeed_as_are_allowed"),
        (CountsListedOwned, "login_finds_a_session_that_is_given_other_keys_meanwhile"),
        (LimitsWithoutOwner, "limit_without_a_new_owner_is_none"),
    ] {
        assert!(keeps(Mistake::Nothing, rule), "{rule} holds without a mistake");
        assert!(!keeps(mistake, rule), "{rule} finds the mistake it is about");
    }
}

#[test]
fn rule_that_does_not_apply_is_neither_kept_nor_broken() {
    let open = || async { Subject::new(Arc::new(Memory::new())).without_tables().expiring_by_itself() };
    let outcome = |rule| check(open, rule);
    assert!(matches!(outcome("cleanup_forgets_keys_in_time"), Outcome::NotApplicable(_)));
    assert!(matches!(outcome("operations_without_tables_say_that_they_are_missing"), Outcome::NotApplicable(_)));
    assert_eq!(outcome("destroy_removes_a_session_at_once"), Outcome::Kept);
    let unlisted = || outcome("cleanup_forgets_keys_in_time").assert_kept();
    assert!(catch_unwind(unlisted).is_err(), "a rule that is not named and does not apply fails");
    let listed = |rule: &'static str| {
        catch_unwind(|| lemon_session_store::conformance::check_not_applicable("test", open, &[rule])).is_ok()
    };
    assert!(listed("cleanup_forgets_keys_in_time"));
    assert!(!listed("destroy_removes_a_session_at_once"), "a rule that is named and applies fails");
}

#[tokio::test]
async fn stores_without_a_server_are_left_out() {
    let open = || async { Option::<Subject>::None };
    let outcome = tokio::task::spawn_blocking(move || check(open, "destroy_removes_a_session_at_once"));
    assert_eq!(outcome.await.expect("no panic"), Outcome::Unchecked);
}
