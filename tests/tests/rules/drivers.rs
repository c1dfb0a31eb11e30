//! Every rule on every driver.

use std::sync::Arc;

use lemon_session_host::driver::memory::Memory;

use crate::{rules, site::Site};

macro_rules! every_rule {
    ($($driver:ident: $open:path),+ $(,)?) => {
        $(mod $driver {
            every_rule!(@ $open;
                every_kind_of_value_is_there_on_the_next_request
                fifty_parallel_requests_keep_fifty_variables
                a_save_in_flight_at_a_logout_answers_gone
                a_save_in_flight_at_the_expiry_answers_gone
                a_save_in_flight_at_a_login_answers_gone
                a_save_in_flight_at_the_end_of_all_of_an_owners_sessions_answers_gone
                of_two_saves_of_a_variable_the_last_wins
                a_strict_counter_that_is_retried_loses_nothing
                additions_are_never_lost
                a_login_keeps_all_variables_and_ends_the_old_id_at_once
                however_many_race_for_a_renewal_there_is_one_successor
                a_session_expires_to_the_second_and_never_before_its_idle_time
                without_rolling_and_at_the_maximum_a_session_ends_to_the_second
                a_hundred_reads_of_a_fresh_session_write_at_most_once
                trouble_in_the_store_reaches_the_application
                a_reserved_application_opens_only_to_its_holder
                limits_are_kept_and_named
                concurrent_growth_never_passes_the_limit_of_a_session
                data_of_an_unknown_format_is_refused_and_left_as_it_is
            );
        })+
    };
    (@ $open:path; $($rule:ident)+) => {
        $(#[test]
        fn $rule() {
            $open(|site| Box::pin(super::rules::$rule(site)));
        })+
    };
}

every_rule! {
    memory: super::on_memory,
}

type Rule = fn(Site) -> std::pin::Pin<Box<dyn Future<Output = ()>>>;

fn on_memory(rule: Rule) {
    run(async move { rule(Site::new(Arc::new(Memory::new()))).await });
}

fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime can be started").block_on(test);
}
