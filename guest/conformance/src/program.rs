//! The suite as a program: `wasmtime run` and its like run it, joined with a provider.

use std::{cell::RefCell, env, panic, process};

use lemon_session_store::conformance;

use crate::{
    bindings::{
        exports::lemon::session_conformance::suite::{Finding, Format, Outcome, Store, Tables},
        lemon::session::types::Location,
    },
    check, report,
};

const USAGE: &str = "\
Checks that a store keeps the rules of lemon:session/storage. That removes everything which the store holds.

    --erase               say that everything may be removed; nothing is checked without this
    --tables HOW          required: no call works without them (the default); emptied: they always exist, and dropping
                          them removes everything; absent: the store is new and empty for each rule
    --expires-by-itself   the store removes what has expired by itself, and cleanup has nothing to do
    --storage NAME        the store, where the host has several
    --table NAME          the table
    --json                report as JSON
    --list                list the rules
    RULE…                 check these rules; all, if none is named

The first broken rule ends the program, as it ends the instance: name the other rules to check them all the same.
";

/// What was checked and what is left. A broken rule ends the program from its panic hook.
#[derive(Default)]
struct Progress {
    is_json: bool,
    findings: Vec<Finding>,
    /// The rule that is being checked first, then the others.
    left: Vec<String>,
}

impl Progress {
    fn find(&mut self, rule: String, outcome: Outcome) {
        self.findings.push(Finding { rule, outcome });
        if let (Some(finding), false) = (self.findings.last(), self.is_json) {
            println!("{}", report::line(finding));
        }
    }

    fn finish(&self) {
        if self.is_json {
            print!("{}", report::report(&self.findings, Format::Json));
        } else {
            print!("{}", report::summary(&self.findings));
        }
    }
}

thread_local! {
    static PROGRESS: RefCell<Progress> = RefCell::default();
}

pub fn run() -> Result<(), ()> {
    let Arguments { store, is_json, rules } = match arguments(env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(Stop::Asked(text)) => {
            print!("{text}");
            return Ok(());
        }
        Err(Stop::Refused(why)) => {
            eprint!("{why}\n\n{USAGE}");
            return Err(());
        }
    };
    PROGRESS.set(Progress { is_json, findings: Vec::new(), left: rules.clone() });
    panic::set_hook(Box::new(|broken| {
        let found = report::found(broken);
        let mut progress = PROGRESS.take();
        let mut left = std::mem::take(&mut progress.left).into_iter();
        progress.find(left.next().unwrap_or_default(), Outcome::Broken(found));
        for rule in left {
            progress.find(rule, Outcome::Unchecked("a rule before it is broken".to_owned()));
        }
        progress.finish();
        process::exit(1);
    }));
    for rule in rules {
        let outcome = check(&rule, &store);
        PROGRESS.with_borrow_mut(|progress| {
            progress.left.remove(0);
            progress.find(rule, outcome);
        });
    }
    PROGRESS.with_borrow(Progress::finish);
    Ok(())
}

struct Arguments {
    store: Store,
    is_json: bool,
    rules: Vec<String>,
}

enum Stop {
    Asked(String),
    Refused(String),
}

fn arguments(mut given: impl Iterator<Item = String>) -> Result<Arguments, Stop> {
    let location = Location { storage: None, table: None };
    let store = Store { location, tables: Tables::Required, expires_by_itself: false };
    let mut arguments = Arguments { store, is_json: false, rules: Vec::new() };
    let mut may_erase = false;
    while let Some(argument) = given.next() {
        let mut value = || given.next().ok_or_else(|| Stop::Refused(format!("{argument} needs a value")));
        match &*argument {
            "--erase" => may_erase = true,
            "--tables" => arguments.store.tables = tables(&value()?)?,
            "--expires-by-itself" => arguments.store.expires_by_itself = true,
            "--storage" => arguments.store.location.storage = Some(value()?),
            "--table" => arguments.store.location.table = Some(value()?),
            "--json" => arguments.is_json = true,
            "--list" => return Err(Stop::Asked(conformance::rules().map(|rule| format!("{rule}\n")).collect())),
            "--help" => return Err(Stop::Asked(USAGE.to_owned())),
            rule if conformance::rules().any(|known| known == rule) => arguments.rules.push(argument),
            _ => return Err(Stop::Refused(format!("{argument} is neither an option nor a rule"))),
        }
    }
    if !may_erase {
        return Err(Stop::Refused("the check removes everything in the store: allow it with --erase".to_owned()));
    }
    if arguments.rules.is_empty() {
        arguments.rules = conformance::rules().map(str::to_owned).collect();
    }
    Ok(arguments)
}

fn tables(value: &str) -> Result<Tables, Stop> {
    match value {
        "required" => Ok(Tables::Required),
        "emptied" => Ok(Tables::Emptied),
        "absent" => Ok(Tables::Absent),
        _ => Err(Stop::Refused(format!("--tables {value} is none of required, emptied and absent"))),
    }
}
