//! The contract of a driver, one test a rule: for the drivers of this crate, and for those that others write.
//!
//! The feature `conformance` adds this module. A crate with a driver of its own takes this one as a development dependency
//! with that feature, and stamps the whole suite out in a test of its own, one `#[test]` a rule:
//!
//! ```
//! use std::sync::Arc;
//!
//! use lemon_session_store::{conformance::Store, memory::Memory};
//!
//! /// A store nobody else uses, opened once for each rule: a database or a table of its own.
//! async fn open() -> Store {
//!     Store::new(Arc::new(Memory::new())).without_tables()
//! }
//!
//! // A module `memory` with a test for every rule.
//! lemon_session_store::conformance!(memory, open, not_applicable: [operations_without_tables_say_that_they_are_missing]);
//! # fn main() {
//! #     let rules = lemon_session_store::conformance::rules();
//! #     let kept = rules.filter(|rule| {
//! #         lemon_session_store::conformance::check(open, rule) == lemon_session_store::conformance::Outcome::Kept
//! #     });
//! #     assert!(kept.count() > 100);
//! # }
//! ```
//!
//! A rule that is about something the store does not do is named as not applicable: see [`conformance!`](crate::conformance).
//!
//! Races are only worth something between hosts. Where a store can be opened twice, [`Store::and`] gives the rules a second
//! handle on it, opened as another process would.
//!
//! Times are injected: they begin at the machine's own time and run ahead by hours, so that a store which expires sessions
//! by itself, by its own clock, keeps them until the rule is done. No rule waits for time to pass.

mod cleaning;
mod copying;
mod creating;
mod ending;
mod errors;
mod keys;
mod listing;
mod loading;
mod model;
mod owners;
mod races;
mod renaming;
mod tables;
mod updating;
mod values;
mod whole;

use std::{any::Any, future::Future, io::Write as _, panic::AssertUnwindSafe, sync::Arc, time::SystemTime};

use futures::{FutureExt, future::BoxFuture};

pub use self::errors::{CALLS, SECRET, failures};
use crate::{Change, CreateOutcome, Driver, Grace, Key, LoadOutcome, Loaded, Record, Rename, Stored, Write};

/// Adds a module with a `#[test]` for every rule, given the module's name and an `async fn() -> Store`.
///
/// Rules that do not apply to the store are named: `conformance!(redis, open, not_applicable: [cleanup_forgets_keys_in_time])`.
/// Their tests are ignored, so that the harness reports and counts them; the test `rules_that_do_not_apply` says why each does
/// not, and fails for a rule that does. A rule that is not named and does not apply fails.
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

type Rule = for<'a> fn(&'a Store) -> BoxFuture<'a, Outcome>;

const RULES: &[(&str, Rule)] = __conformance_rules!(__conformance_table);

/// The names of all rules.
pub fn rules() -> impl Iterator<Item = &'static str> {
    RULES.iter().map(|(name, _)| *name)
}

/// What the check of a rule has come to. Where the store breaks the rule, it panics instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Outcome {
    /// The store keeps the rule.
    Kept,
    /// The rule is about something that the store does not do, for this reason.
    NotApplicable(&'static str),
    /// There was no store to check the rule on.
    Unchecked,
}

impl Outcome {
    /// Panics where the rule does not apply to the store.
    pub fn assert_kept(self) {
        if let Self::NotApplicable(why) = self {
            panic!("the rule does not apply to this store, as {why}: name it under `not_applicable`");
        }
    }
}

impl From<()> for Outcome {
    fn from((): ()) -> Self {
        Self::Kept
    }
}

/// Of a rule that begins by asking whether it applies.
impl From<Result<(), Self>> for Outcome {
    fn from(kept: Result<(), Self>) -> Self {
        kept.err().unwrap_or(Self::Kept)
    }
}

/// Checks that rules do not apply to a store, and says why, past the test harness, which hides what tests that pass print.
#[doc(hidden)]
pub fn check_not_applicable<Opening: Future<Output: Into<Option<Store>>>>(
    name: &str,
    open: impl Fn() -> Opening,
    rules: &[&str],
) {
    let mut report = String::new();
    for rule in rules {
        match check(&open, rule) {
            Outcome::Kept => panic!("{rule} applies to this store: take it out of `not_applicable`"),
            Outcome::NotApplicable(why) => report += &format!("\n  {rule}: {why}"),
            Outcome::Unchecked => {}
        }
    }
    if !report.is_empty() {
        let (some, all) = (rules.len(), RULES.len());
        let _ = writeln!(std::io::stderr(), "{name}: {some} of {all} rules do not apply:{report}");
    }
}

/// Checks one rule on a store of its own: panics when the store breaks it.
///
/// Creates the store's tables before, and drops them afterwards.
///
/// An opener may answer `None` where there is nothing to check on, a server that does not run for example; it should then
/// say so.
pub fn check<Opening: Future<Output: Into<Option<Store>>>>(open: impl FnOnce() -> Opening, rule: &str) -> Outcome {
    let (_, rule) = RULES.iter().find(|(name, _)| *name == rule).unwrap_or_else(|| panic!("there is no rule {rule}"));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build();
    runtime.expect("a runtime for the test").block_on(async {
        let store: Option<Store> = open().await.into();
        let Some(store) = store else { return Outcome::Unchecked };
        store.driver.create_tables().await.expect("the store's tables can be created");
        let kept = AssertUnwindSafe(rule(&store)).catch_unwind().await;
        let dropped = store.driver.drop_tables().await;
        let closed = futures::future::try_join_all(store.handles().map(|handle| handle.close())).await;
        let outcome = kept.unwrap_or_else(|broken| std::panic::resume_unwind(broken));
        dropped.expect("the store's tables can be dropped");
        closed.expect("the store can be closed");
        outcome
    })
}

/// A store to check rules on, which nobody else uses.
pub struct Store {
    driver: Arc<dyn Driver>,
    other: Option<Arc<dyn Driver>>,
    tables: bool,
    expires_by_itself: bool,
    now: u64,
    _kept: Vec<Box<dyn Any + Send + Sync>>,
}

impl Store {
    /// A store that is empty and has no tables yet.
    pub fn new(driver: Arc<dyn Driver>) -> Self {
        let now = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs());
        Self { driver, other: None, tables: true, expires_by_itself: false, now, _kept: Vec::new() }
    }

    /// Adds a second handle on the same store, opened as another process would open it.
    #[must_use]
    pub fn and(mut self, other: Arc<dyn Driver>) -> Self {
        self.other = Some(other);
        self
    }

    /// For a store that needs no tables: they always exist, and dropping them only empties it.
    #[must_use]
    pub fn without_tables(mut self) -> Self {
        self.tables = false;
        self
    }

    /// For a store that removes expired sessions and forgotten keys by itself and by its own clock: its cleanup has nothing
    /// to do.
    #[must_use]
    pub fn expiring_by_itself(mut self) -> Self {
        self.expires_by_itself = true;
        self
    }

    /// Keeps a value, the store's temporary folder for example, until the rule is done.
    #[must_use]
    pub fn keeping(mut self, kept: impl Any + Send + Sync) -> Self {
        self._kept.push(Box::new(kept));
        self
    }

    /// For rules about the removal of what has expired.
    fn removes_by_cleanup(&self) -> Result<(), Outcome> {
        let why = "the store removes by itself what has expired";
        if self.expires_by_itself { Err(Outcome::NotApplicable(why)) } else { Ok(()) }
    }

    /// For rules about tables that are not there.
    fn needs_tables(&self) -> Result<(), Outcome> {
        let why = "the store needs no tables";
        if self.tables { Ok(()) } else { Err(Outcome::NotApplicable(why)) }
    }

    fn other(&self) -> &Arc<dyn Driver> {
        self.other.as_ref().unwrap_or(&self.driver)
    }

    fn handles(&self) -> impl Iterator<Item = &Arc<dyn Driver>> {
        std::iter::once(&self.driver).chain(&self.other)
    }

    /// A handle for the task of this number: they take turns.
    fn handle(&self, number: usize) -> Arc<dyn Driver> {
        Arc::clone(if number.is_multiple_of(2) { &self.driver } else { self.other() })
    }

    /// A record that is live for an hour from `self.now`.
    fn record(&self) -> Record {
        Record {
            created: self.now,
            accessed: self.now,
            expires: self.now + HOUR,
            ends: None,
            renewed: self.now,
            owner: None,
            version: 0,
            size: 0,
        }
    }

    /// Creates a session that is live for an hour from `self.now`.
    async fn create(&self, key: &Key, writes: &[Write]) {
        self.create_as(key, &self.record(), writes).await;
    }

    async fn create_as(&self, key: &Key, record: &Record, writes: &[Write]) {
        let created = self.driver.create(key, record, writes).await.expect("create");
        assert_eq!(created, CreateOutcome::Created, "a session of a new key is created");
    }

    /// Loads a session that has to be live.
    async fn found(&self, key: &Key, app: &str, now: u64) -> Loaded {
        match self.driver.load(key, app, now, u32::MAX).await.expect("load") {
            LoadOutcome::Found(loaded) => loaded,
            other => panic!("the session is live, but load answers {other:?}"),
        }
    }

    async fn load(&self, key: &Key, now: u64) -> LoadOutcome {
        self.driver.load(key, APP, now, u32::MAX).await.expect("load")
    }

    /// All variables of an application, by name, with their values.
    async fn variables(&self, key: &Key, app: &str, now: u64) -> Vec<(String, Vec<u8>)> {
        let loaded = self.found(key, app, now).await;
        let mut variables = Vec::new();
        for variable in loaded.variables {
            let value = match variable.value {
                Stored::Inline(value) => value,
                Stored::Large(bytes) => {
                    let value = self.driver.fetch(key, app, &variable.name, now).await.expect("fetch");
                    let value = value.expect("fetch gets what load answered by its size");
                    assert_eq!(value.len() as u64, bytes, "load answers the size of a large value");
                    value
                }
            };
            variables.push((variable.name, value));
        }
        variables
    }

    async fn count(&self, now: u64) -> u64 {
        self.driver.count(now).await.expect("count")
    }
}

const HOUR: u64 = 3600;
const APP: &str = "shop";

fn key(name: &str) -> Key {
    Key::of(name)
}

fn put(name: &str, value: &[u8]) -> Write {
    put_in(APP, name, value)
}

fn put_in(app: &str, name: &str, value: &[u8]) -> Write {
    Write { app: app.to_owned(), name: name.to_owned(), value: Some(value.to_owned()) }
}

fn removal(name: &str) -> Write {
    Write { app: APP.to_owned(), name: name.to_owned(), value: None }
}

/// A change without a limit, whose ended keys are remembered for an hour.
fn change() -> Change {
    Change { max_size: u64::MAX, remember: HOUR as u32, ..Change::default() }
}

fn writing(writes: impl Into<Vec<Write>>) -> Change {
    Change { writes: writes.into(), ..change() }
}

fn renaming_to(to: Key, grace: Option<Grace>) -> Change {
    Change { rename: Some(Rename { to, grace }), ..change() }
}

fn pairs(variables: &[(&str, &[u8])]) -> Vec<(String, Vec<u8>)> {
    variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}
