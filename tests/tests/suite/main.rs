//! The conformance suite as a component: what it finds of a store that keeps the contract, and of stores that do not.

mod broken;
mod languages;

use std::sync::{Arc, LazyLock};

use broken::{Broken, Mistake};
use lemon_session_host::{
    SessionCtx, SessionCtxView, SessionView, add_to_linker, bindings::lemon::session::types::Location,
};
use lemon_session_store::{Store as Driver, memory::Memory};
use lemon_session_tests::build;
use serde_json::Value;
use wasmtime::{
    Engine, Store,
    component::{Component, Linker, ResourceTable},
};
use wasmtime_wasi::{I32Exit, WasiCtx, WasiCtxView, WasiView, p2::pipe::MemoryOutputPipe};

use self::exports::lemon::session_conformance::suite::{self, Finding, Format, Outcome, Tables};

wasmtime::component::bindgen!({
    path: "../guest/conformance/wit",
    world: "conformance",
    imports: { default: async },
    exports: { default: async },
    with: { "lemon:session/types": lemon_session_host::bindings::lemon::session::types },
});

struct Host {
    wasi: WasiCtx,
    table: ResourceTable,
    session: SessionCtx,
}

impl WasiView for Host {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl SessionView for Host {
    fn session(&mut self) -> SessionCtxView<'_> {
        SessionCtxView { ctx: &mut self.session }
    }
}

static SUITE: LazyLock<ConformancePre<Host>> = LazyLock::new(|| {
    let engine = Engine::default();
    let file = build::component("lemon_session_conformance");
    let component = Component::from_file(&engine, file).expect("the component compiles");
    let mut linker = Linker::new(&engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker).expect("a new linker");
    add_to_linker(&mut linker).expect("a new linker");
    ConformancePre::new(linker.instantiate_pre(&component).expect("all imports are there"))
        .expect("the suite's exports")
});

/// An instance that prints here.
struct Instance {
    store: Store<Host>,
    suite: Conformance,
    stdout: MemoryOutputPipe,
    stderr: MemoryOutputPipe,
}

impl Instance {
    async fn new(driver: &Arc<dyn Driver>, arguments: &[&str]) -> Self {
        let [stdout, stderr] = [(); 2].map(|()| MemoryOutputPipe::new(1 << 20));
        let mut wasi = WasiCtx::builder();
        wasi.arg("suite").args(arguments).stdout(stdout.clone()).stderr(stderr.clone());
        let session = SessionCtx::new(Arc::clone(driver));
        let host = Host { wasi: wasi.build(), table: ResourceTable::new(), session };
        let mut store = Store::new(SUITE.engine(), host);
        let suite = SUITE.instantiate_async(&mut store).await.expect("an instance");
        Self { store, suite, stdout, stderr }
    }

    async fn rules(&mut self) -> Vec<String> {
        self.suite.lemon_session_conformance_suite().call_rules(&mut self.store).await.expect("rules")
    }

    async fn check(mut self, rule: &str) -> Outcome {
        let location = Location { storage: None, table: None };
        let store = suite::Store { location, tables: Tables::Emptied, expires_by_itself: false };
        match self.suite.lemon_session_conformance_suite().call_check(&mut self.store, rule, &store).await {
            Ok(outcome) => outcome,
            Err(_) => Outcome::Broken(text(&self.stderr)),
        }
    }
}

fn text(pipe: &MemoryOutputPipe) -> String {
    String::from_utf8(pipe.contents().to_vec()).expect("text")
}

/// Runs the suite as a program. Returns its exit status and what it printed.
async fn program(driver: &Arc<dyn Driver>, arguments: &[&str]) -> (i32, String, String) {
    let mut instance = Instance::new(driver, arguments).await;
    let status = match instance.suite.wasi_cli_run().call_run(&mut instance.store).await {
        Ok(answer) => answer.is_err().into(),
        Err(error) => error.downcast::<I32Exit>().expect("an exit and no trap").0,
    };
    (status, text(&instance.stdout), text(&instance.stderr))
}

fn memory() -> Arc<dyn Driver> {
    Arc::new(Memory::new())
}

#[tokio::test(flavor = "multi_thread")]
async fn store_that_keeps_the_contract_keeps_every_rule_that_applies() {
    let driver = memory();
    let mut findings = Vec::new();
    for rule in Instance::new(&driver, &[]).await.rules().await {
        let outcome = Instance::new(&driver, &[]).await.check(&rule).await;
        findings.push(Finding { rule, outcome });
    }
    let not_kept = findings.iter().filter_map(|Finding { rule, outcome }| match outcome {
        Outcome::Kept => None,
        Outcome::NotApplicable(_) => Some(rule.as_str()),
        other => panic!("{rule}: {other:?}"),
    });
    let expected = [
        "details_are_copied",
        "import_over_a_session_never_passes_the_copys_end",
        "every_ended_answer_is_counted_until_the_key_is_forgotten",
        "fetch_counts_no_use_of_an_ended_digest",
        "describe_tells_names_and_sizes_of_all_applications",
        "export_answers_all_of_a_live_session_and_nothing_else",
        "import_keeps_the_record_with_its_version",
        "import_without_over_never_overwrites",
        "import_over_a_version_replaces_everything",
        "import_over_another_version_or_no_session_changes_nothing",
        "imported_session_is_one_like_any_other",
        "import_racing_update_loses_nothing_that_was_committed",
        "export_never_sees_half_an_update",
        "operations_without_tables_say_that_they_are_missing",
        "summary_says_something",
        "clock_tells_the_time_or_nothing",
        "import_racing_destroy_never_brings_back",
        "update_that_is_given_up_is_whole_or_not_at_all",
        "create_that_is_given_up_is_whole_or_not_at_all",
        "end_that_is_given_up_is_whole_or_not_at_all",
    ];
    assert_eq!(not_kept.collect::<Vec<_>>(), expected);

    let mut instance = Instance::new(&driver, &[]).await;
    let report = instance.suite.lemon_session_conformance_suite();
    let text = report.call_report(&mut instance.store, &findings, Format::Text).await.expect("a report");
    let counts = format!("{} rules: {} kept, 0 broken, 20 not applicable\n", findings.len(), findings.len() - 20);
    assert!(text.contains(&counts), "{text}");
    assert!(text.contains("\n  ✓ create_never_overwrites_a_live_session\n"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_mistake_is_found_and_what_was_found_is_told() {
    for (mistake, rule, told) in [
        (Mistake::LosesAWrite, "update_writes_replaces_and_removes", "left: "),
        (Mistake::Resurrects, "update_after_destroy_answers_gone", "left: Committed("),
        (Mistake::ReadsStale, "accessed_never_goes_back", "left: "),
    ] {
        let kept = Instance::new(&memory(), &[]).await.check(rule).await;
        assert!(matches!(kept, Outcome::Kept), "{rule} without a mistake: {kept:?}");
        let driver: Arc<dyn Driver> = Arc::new(Broken::new(mistake));
        let Outcome::Broken(found) = Instance::new(&driver, &[]).await.check(rule).await else {
            panic!("{mistake:?} breaks {rule}");
        };
        assert!(found.contains(told) && found.contains("conformance/"), "{mistake:?}: {found}");
        // The next rule is checked on a store without what the broken one left.
        let next = Instance::new(&driver, &[]).await.check("create_never_overwrites_a_live_session").await;
        assert!(matches!(next, Outcome::Kept), "{mistake:?}: {next:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_that_does_not_exist_is_not_checked() {
    let outcome = Instance::new(&memory(), &[]).await.check("sessions_are_nice").await;
    assert!(matches!(&outcome, Outcome::Unchecked(why) if why == "there is no rule of this name"), "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn program_reports_what_it_found_in_text_and_json() {
    let rules =
        ["create_never_overwrites_a_live_session", "update_after_destroy_answers_gone", "large_values_are_kept"];
    let arguments = [&["--erase", "--tables", "emptied"][..], &rules].concat();
    let (status, stdout, stderr) = program(&memory(), &arguments).await;
    assert_eq!((status, stderr.as_str()), (0, ""));
    assert!(stdout.contains("\n3 rules: 3 kept, 0 broken, 0 not applicable\n"), "{stdout}");

    let broken: Arc<dyn Driver> = Arc::new(Broken::new(Mistake::Resurrects));
    let (status, stdout, stderr) = program(&broken, &[&["--json"][..], &arguments].concat()).await;
    assert_eq!((status, stderr.as_str()), (1, ""));
    let report: Value = serde_json::from_str(&stdout).expect("JSON");
    let counts = ["kept", "broken", "not-applicable", "unchecked"].map(|count| report[count].as_u64());
    assert_eq!(counts, [Some(1), Some(1), Some(0), Some(1)], "{stdout}");
    let outcomes: Vec<_> = report["rules"].as_array().expect("rules").iter().map(|rule| &rule["outcome"]).collect();
    assert_eq!(outcomes, ["kept", "broken", "unchecked"]);
    assert!(report["rules"][1]["message"].as_str().is_some_and(|found| found.contains("Committed(")), "{stdout}");
}

#[tokio::test(flavor = "multi_thread")]
async fn program_removes_nothing_unless_it_is_told_to() {
    for (arguments, refused) in [
        (&[][..], "allow it with --erase"),
        (&["--erase", "--tables"], "--tables needs a value"),
        (&["--erase", "--tables", "many"], "--tables many is none of required, emptied and absent"),
        (&["--erase", "sessions_are_nice"], "sessions_are_nice is neither an option nor a rule"),
    ] {
        let (status, stdout, stderr) = program(&memory(), arguments).await;
        assert_eq!((status, stdout.as_str()), (1, ""), "{arguments:?}");
        assert!(stderr.contains(refused), "{arguments:?}: {stderr}");
    }
    let (status, stdout, _) = program(&memory(), &["--list"]).await;
    assert_eq!(status, 0);
    assert!(stdout.lines().count() > 100 && stdout.contains("large_values_are_kept\n"), "{stdout}");
}
