//! What was found, for people and for programs.

use std::panic::PanicHookInfo;

use serde::Serialize;

use crate::bindings::exports::lemon::session_conformance::suite::{Finding, Format, Outcome};

/// The characters that are shown of what was found: it may quote values of a megabyte.
const SHOWN: usize = 2_000;

/// What holds for every report of a component.
const NOTE: &str =
    "The suite has one thread here: in the rules about races, callers take turns and no two calls overlap.";

/// What a broken rule says.
pub fn found(broken: &PanicHookInfo) -> String {
    let message = broken.payload_as_str().unwrap_or("the rule is broken");
    let place = broken.location().map_or(String::new(), |place| format!("\nat {place}"));
    let cut = message.char_indices().nth(SHOWN).map_or(message.len(), |(end, _)| end);
    let more = if cut < message.len() { " …" } else { "" };
    format!("{}{more}{place}", &message[..cut])
}

pub fn report(findings: &[Finding], format: Format) -> String {
    match format {
        Format::Text => {
            let lines = findings.iter().map(|finding| line(finding) + "\n");
            lines.chain([summary(findings)]).collect()
        }
        Format::Json => json(findings),
    }
}

/// One line for a rule that is kept, more for others.
pub fn line(Finding { rule, outcome }: &Finding) -> String {
    let indented = |text: &str| text.trim_end().replace('\n', "\n      ");
    match outcome {
        Outcome::Kept => format!("  ✓ {rule}"),
        Outcome::Broken(what) => format!("  ✗ {rule}\n      {}", indented(what)),
        Outcome::NotApplicable(why) => format!("  – {rule}: {}", indented(why)),
        Outcome::Unchecked(why) => format!("  ? {rule}: {}", indented(why)),
    }
}

pub fn summary(findings: &[Finding]) -> String {
    let Counts { kept, broken, not_applicable, unchecked } = Counts::of(findings);
    let rules = if findings.len() == 1 { "1 rule".to_owned() } else { format!("{} rules", findings.len()) };
    let mut text = format!("{rules}: {kept} kept, {broken} broken, {not_applicable} not applicable");
    if unchecked > 0 {
        text += &format!(", {unchecked} not checked");
    }
    format!("\n{text}\n{NOTE}\n")
}

fn json(findings: &[Finding]) -> String {
    let rules = findings.iter().map(|Finding { rule, outcome }| {
        let (outcome, message) = match outcome {
            Outcome::Kept => ("kept", None),
            Outcome::Broken(what) => ("broken", Some(&**what)),
            Outcome::NotApplicable(why) => ("not-applicable", Some(&**why)),
            Outcome::Unchecked(why) => ("unchecked", Some(&**why)),
        };
        Rule { rule, outcome, message }
    });
    let report = Report { counts: Counts::of(findings), note: NOTE, rules: rules.collect() };
    serde_json::to_string_pretty(&report).expect("texts and numbers are JSON") + "\n"
}

#[derive(Serialize)]
struct Report<'a> {
    #[serde(flatten)]
    counts: Counts,
    note: &'a str,
    rules: Vec<Rule<'a>>,
}

#[derive(Default, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Counts {
    kept: usize,
    broken: usize,
    not_applicable: usize,
    unchecked: usize,
}

impl Counts {
    fn of(findings: &[Finding]) -> Self {
        let mut counts = Self::default();
        for finding in findings {
            *match finding.outcome {
                Outcome::Kept => &mut counts.kept,
                Outcome::Broken(_) => &mut counts.broken,
                Outcome::NotApplicable(_) => &mut counts.not_applicable,
                Outcome::Unchecked(_) => &mut counts.unchecked,
            } += 1;
        }
        counts
    }
}

#[derive(Serialize)]
struct Rule<'a> {
    rule: &'a str,
    outcome: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
}
