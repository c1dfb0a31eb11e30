//! The conformance suite of `lemon:session/storage` as a component: it imports a store, and exports the rules one by one and as a
//! program. The crate is empty unless it is compiled to WebAssembly.

#![cfg(target_family = "wasm")]

mod imported;
mod program;
mod report;

use std::{panic, sync::Arc};

use lemon_session_store::conformance;

use self::{
    bindings::exports::{
        lemon::session_conformance::suite::{self, Finding, Format, Outcome, Tables},
        wasi::cli::run,
    },
    imported::Imported,
};

mod bindings {
    wit_bindgen::generate!({ world: "conformance", path: "wit", generate_all });
}

/// What no component can check, and why.
const BEYOND: [(&str, &str); 5] = [
    ("summary_says_something", NO_CALL),
    ("clock_tells_the_time_or_nothing", NO_CALL),
    ("update_that_is_given_up_is_whole_or_not_at_all", NOT_GIVEN_UP),
    ("create_that_is_given_up_is_whole_or_not_at_all", NOT_GIVEN_UP),
    ("end_that_is_given_up_is_whole_or_not_at_all", NOT_GIVEN_UP),
];
const NO_CALL: &str = "lemon:session/storage has no call for it";
const NOT_GIVEN_UP: &str = "a component waits for the end of each call and cannot give one up";

struct Component;

bindings::export!(Component with_types_in bindings);

impl suite::Guest for Component {
    fn rules() -> Vec<String> {
        conformance::rules().map(str::to_owned).collect()
    }

    fn check(rule: String, store: suite::Store) -> Outcome {
        panic::set_hook(Box::new(|broken| eprintln!("{}", report::found(broken))));
        check(&rule, &store)
    }

    fn report(findings: Vec<Finding>, format: Format) -> String {
        report::report(&findings, format)
    }
}

impl run::Guest for Component {
    fn run() -> Result<(), ()> {
        program::run()
    }
}

/// Checks a rule, and panics if the store breaks it.
fn check(rule: &str, store: &suite::Store) -> Outcome {
    if !conformance::rules().any(|known| known == rule) {
        return Outcome::Unchecked("there is no rule of this name".to_owned());
    }
    if let Some((_, why)) = BEYOND.iter().find(|(beyond, _)| *beyond == rule) {
        return Outcome::NotApplicable((*why).to_owned());
    }
    match conformance::check(|| open(store), rule) {
        conformance::Outcome::Kept => Outcome::Kept,
        conformance::Outcome::NotApplicable(why) => Outcome::NotApplicable(why.to_owned()),
        conformance::Outcome::Unchecked => Outcome::Unchecked("there is no store".to_owned()),
    }
}

/// The imported store, without what an earlier rule may have left in it.
async fn open(store: &suite::Store) -> conformance::Subject {
    let driver = Arc::new(Imported::new(store));
    if store.tables != Tables::Absent {
        driver.empty().expect("drop-tables removes what is there, and nothing where nothing is there");
    }
    let mut subject = conformance::Subject::new(driver);
    if store.tables != Tables::Required {
        subject = subject.without_tables();
    }
    if store.expires_by_itself {
        subject = subject.expiring_by_itself();
    }
    subject
}
