//! The list of rules, and the macro that makes a test of each.

/// Adds a module with a `#[test]` for every rule, given the module's name and an `async fn() -> Subject`.
///
/// Rules that do not apply to the store are named: `conformance!(redis, open, not_applicable: [cleanup_forgets_keys_in_time])`.
/// Their tests are ignored, so that the harness reports and counts them. The test `rules_that_do_not_apply` prints why each does
/// not apply, and fails for a rule that does. A rule that does not apply and is not named fails.
#[macro_export]
macro_rules! conformance {
    ($name:ident, $open:expr) => {
        $crate::conformance!($name, $open, not_applicable: []);
    };
    ($name:ident, $open:expr, not_applicable: [$($rule:ident),* $(,)?]) => {
        mod $name {
            #[allow(unused_imports, reason = "the opener may be given by a path")]
            use super::*;

            $crate::__conformance_test!([$] $open; $($rule)*);
            $crate::__conformance_rules!(__conformance_tests);

            #[test]
            fn rules_that_do_not_apply() {
                $crate::conformance::check_not_applicable(stringify!($name), || $open(), &[$(stringify!($rule)),*]);
            }
        }
    };
}

/// Defines what makes the test of a rule, given a `$` for what it defines.
#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_test {
    ([$dollar:tt] $open:expr; $($not_applicable:ident)*) => {
        macro_rules! __test {
            $(($not_applicable) => {
                #[test]
                #[ignore = "does not apply to this store"]
                fn $not_applicable() {
                    let rule = stringify!($not_applicable);
                    $crate::conformance::check_not_applicable(rule, || $open(), &[rule]);
                }
            };)*
            ($dollar rule:ident) => {
                #[test]
                fn $dollar rule() {
                    $crate::conformance::check(|| $open(), stringify!($dollar rule)).assert_kept();
                }
            };
        }
    };
}

/// The rules, by the module each is in.
#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_rules {
    ($callback:ident) => {
        $crate::$callback! {
            creating:
                create_stores_the_record_and_the_variables
                create_sets_version_and_size_by_itself
                create_keeps_the_last_write_of_a_variable_and_ignores_removals
                create_never_overwrites_a_live_session
                create_of_an_expired_key_answers_exists
                create_of_an_ended_key_answers_exists
                create_of_a_former_key_answers_exists
                create_of_a_forgotten_key_succeeds;
            loading:
                load_of_an_unknown_key_answers_absent
                load_answers_the_variables_of_one_application_sorted_by_name
                load_at_the_expiry_answers_expired
                load_answers_short_values_inline_and_long_ones_at_least_by_their_size
                fetch_gets_one_value_or_none
                fetch_at_the_expiry_gets_none;
            details:
                load_answers_the_details_beside_the_variables_of_any_application
                details_are_answered_whole_whatever_their_size
                details_follow_a_rename
                details_count_as_variables_do
                clears_of_applications_leave_the_details
                details_are_copied
                load_sees_details_and_variables_of_one_update;
            lifetimes:
                lifetime_moves_the_expiry_and_the_end_both_ways
                lifetime_is_capped_by_its_own_end
                lifetime_counts_and_an_expiry_after_a_use_does_not
                use_never_passes_an_end_that_was_moved
                lifetime_that_is_over_expires_the_session
                lifetime_that_is_shortened_is_cleaned_up_in_time
                lifetime_that_is_lengthened_is_found_in_time
                lifetime_is_set_with_owner_and_new_key
                lifetime_of_a_refused_update_changes_nothing
                import_over_a_session_never_passes_the_copys_end;
            updating:
                update_of_an_unknown_key_answers_gone_and_creates_nothing
                update_at_the_expiry_answers_gone
                update_after_destroy_answers_gone
                update_of_a_former_key_answers_gone
                update_writes_replaces_and_removes
                update_keeps_the_last_write_of_a_variable
                clears_remove_one_applications_variables_before_the_writes
                version_grows_with_clears_writes_and_owners_alone
                expected_version_that_differs_answers_conflict_and_writes_nothing
                expected_version_of_an_expired_session_answers_gone
                expiry_only_moves_to_a_later_time
                expiry_never_passes_the_end
                accessed_never_goes_back
                owner_is_set_and_taken_away
                size_is_exact
                update_that_grows_past_the_limit_answers_too_large_and_writes_nothing
                update_that_shrinks_or_keeps_a_size_past_the_limit_is_committed;
            renaming:
                rename_moves_everything
                rename_and_writes_are_one_transaction
                rename_without_grace_ends_the_old_key
                rename_without_grace_and_without_memory_leaves_no_trace
                former_key_within_its_grace_leads_to_the_session
                former_key_after_its_grace_answers_ended_until_it_is_forgotten
                former_key_follows_a_second_rename_with_grace
                former_key_ends_with_a_rename_without_grace
                former_key_of_a_destroyed_session_answers_ended
                former_key_of_an_expired_session_answers_ended
                former_key_never_leads_to_another_session
                rename_to_a_key_that_is_there_is_an_error_and_changes_nothing;
            ending:
                destroy_removes_a_session_at_once
                destroy_of_an_unknown_key_answers_false_and_remembers_nothing
                destroy_of_an_expired_session_answers_false_and_removes_it
                destroy_of_a_former_key_answers_false_and_changes_nothing
                destroy_of_what_has_expired_leaves_a_live_session
                destroy_of_an_owners_session_leaves_every_other_one
                ended_key_is_remembered_to_the_second
                ended_key_is_not_remembered_when_asked_not_to
                second_destroy_does_not_extend_the_memory
                every_ended_answer_is_counted_until_the_key_is_forgotten
                fetch_counts_no_use_of_an_ended_digest
                destroy_owned_ends_all_live_sessions_of_an_owner_but_one
                destroy_owned_tells_similar_owners_apart
                destroy_owned_spares_the_session_that_a_former_key_leads_to;
            cleaning:
                cleanup_removes_what_has_expired_and_nothing_else
                cleanup_leaves_what_is_live_or_remembered
                cleanup_removes_at_most_the_limit_and_fewer_when_none_is_left
                cleanup_forgets_keys_in_time
                cleanup_leaves_no_variables_behind
                cleanup_ends_the_former_keys_of_an_expired_session
                cleanup_that_removes_fewer_than_the_limit_has_left_none
                concurrent_cleanups_count_each_session_once
                update_racing_cleanup_never_brings_back;
            listing:
                count_counts_live_sessions_alone
                list_is_in_the_order_of_keys_and_goes_on_after_a_key
                list_of_an_owner_leaves_out_the_others
                list_holds_live_sessions_alone
                describe_tells_names_and_sizes_of_all_applications;
            copying:
                export_answers_all_of_a_live_session_and_nothing_else
                import_keeps_the_record_with_its_version
                import_without_over_never_overwrites
                import_over_a_version_replaces_everything
                import_over_another_version_or_no_session_changes_nothing
                imported_session_is_one_like_any_other
                import_racing_update_loses_nothing_that_was_committed
                export_never_sees_half_an_update;
            tables:
                create_tables_keeps_what_is_there
                drop_tables_removes_everything
                operations_without_tables_say_that_they_are_missing
                concurrent_create_tables_all_succeed
                summary_says_something
                clock_tells_the_time_or_nothing;
            values:
                any_bytes_are_kept
                hostile_names_are_kept_apart
                names_and_owners_of_255_characters_are_kept
                large_values_are_kept
                many_variables_are_kept
                far_times_are_kept;
            races:
                fifty_concurrent_updates_of_different_variables_all_survive
                concurrent_updates_of_one_variable_leave_one_of_them
                of_concurrent_strict_updates_exactly_one_commits
                strict_increments_that_are_repeated_lose_nothing
                of_concurrent_creates_exactly_one_succeeds
                of_concurrent_destroys_exactly_one_ends_the_session
                update_racing_destroy_leaves_nothing
                update_racing_destroy_owned_leaves_nothing
                of_concurrent_renames_exactly_one_wins
                update_racing_rename_is_kept_or_gone
                rename_racing_destroy_leaves_one_answer
                load_never_sees_half_an_update
                concurrent_updates_never_grow_past_the_limit;
            keys:
                of_two_renames_to_one_key_exactly_one_wins
                of_a_create_and_a_rename_to_one_key_exactly_one_wins
                import_racing_destroy_never_brings_back;
            owners:
                destroy_owned_ends_any_number_of_sessions
                destroy_owned_ends_sessions_that_are_given_other_keys_meanwhile
                destroy_owned_spares_a_session_that_is_given_other_keys_meanwhile
                update_of_the_owner_racing_destroy_owned_comes_before_or_after;
            logins:
                owner_of_as_many_sessions_as_allowed_gets_no_further_one
                session_that_is_the_owners_already_is_not_counted
                limit_of_an_owner_counts_the_owners_live_sessions_alone
                limit_without_a_new_owner_is_none
                other_refusals_come_before_that_of_too_many_sessions
                of_concurrent_logins_exactly_as_many_succeed_as_are_allowed
                login_finds_a_session_that_is_given_other_keys_meanwhile;
            whole:
                load_sees_all_of_an_update_of_everything_or_nothing
                update_that_is_given_up_is_whole_or_not_at_all
                create_that_is_given_up_is_whole_or_not_at_all
                end_that_is_given_up_is_whole_or_not_at_all;
            errors:
                errors_tell_no_key_and_no_value;
            model:
                any_sequence_of_operations_answers_as_the_model;
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_tests {
    ($($module:ident: $($rule:ident)+;)+) => {
        $($(__test!($rule);)+)+
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_table {
    ($($module:ident: $($rule:ident)+;)+) => {
        &[$($((stringify!($rule), |store| Box::pin(async move { $module::$rule(store).await.into() }))),+),+]
    };
}
