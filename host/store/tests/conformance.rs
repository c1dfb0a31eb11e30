//! The conformance suite on the driver `memory:`, on a driver that serves requests and nothing else, and on drivers with a
//! mistake each.

mod broken;
mod plain;

use std::sync::Arc;

use lemon_session_store::{Store, conformance::Subject, memory::Memory};
use plain::Plain;

async fn memory() -> Subject {
    Subject::new(Arc::new(Memory::new())).without_tables()
}

async fn plain() -> Subject {
    Subject::new(Arc::new(Plain::default()))
}

lemon_session_store::conformance!(
    memory_driver,
    memory,
    not_applicable: [operations_without_tables_say_that_they_are_missing]
);

lemon_session_store::conformance!(
    driver_for_requests_alone,
    plain,
    not_applicable: [
        every_ended_answer_is_counted_until_the_key_is_forgotten,
        fetch_counts_no_use_of_an_ended_digest,
        count_counts_live_sessions_alone,
        list_is_in_the_order_of_keys_and_goes_on_after_a_key,
        list_of_an_owner_leaves_out_the_others,
        list_holds_live_sessions_alone,
        describe_tells_names_and_sizes_of_all_applications,
        clock_tells_the_time_or_nothing,
        export_answers_all_of_a_live_session_and_nothing_else,
        import_keeps_the_record_with_its_version,
        import_without_over_never_overwrites,
        import_over_a_version_replaces_everything,
        import_over_a_session_never_passes_the_copys_end,
        details_are_copied,
        import_over_another_version_or_no_session_changes_nothing,
        imported_session_is_one_like_any_other,
        import_racing_update_loses_nothing_that_was_committed,
        import_racing_destroy_never_brings_back,
        export_never_sees_half_an_update,
        create_tables_keeps_what_is_there,
        drop_tables_removes_everything,
        operations_without_tables_say_that_they_are_missing,
        concurrent_create_tables_all_succeed,
    ]
);

#[test]
fn error_for_what_a_driver_lacks_names_the_store_and_the_trait() {
    let store: &dyn Store = &Plain::default();
    for (error, lacks) in [
        (
            store.try_inspect().err(),
            "cannot count, list or describe its sessions: its driver does not implement Inspect",
        ),
        (store.try_transfer().err(), "cannot export or import sessions: its driver does not implement Transfer"),
        (store.try_schema().err(), "has no tables: its driver does not implement Schema"),
    ] {
        let error = error.expect("the driver implements Store alone");
        assert!(error.is_unsupported());
        assert_eq!(error.to_string(), format!("a plain store {lacks}"));
    }
    let memory: &dyn Store = &Memory::new();
    assert!(memory.try_inspect().is_ok() && memory.try_transfer().is_ok() && memory.try_schema().is_ok());
}
