//! Prints each finding as a line, immediately.

use std::process::ExitCode;

use anyhow::Result;
use serde_json::json;

use crate::output;

pub struct Report {
    json: bool,
    failed: bool,
}

impl Report {
    pub fn new(json: bool) -> Self {
        Self { json, failed: false }
    }

    /// The check passed.
    pub fn ok(&mut self, check: &str, found: &str) -> Result<()> {
        self.line("ok", check, found, None)
    }

    /// The check found a weakness, which `advice` removes.
    pub fn warning(&mut self, check: &str, found: &str, advice: &str) -> Result<()> {
        self.line("warning", check, found, Some(advice))
    }

    /// The check failed. Without advice, `found` contains the remedy.
    pub fn fail(&mut self, check: &str, found: &str, advice: Option<&str>) -> Result<()> {
        self.failed = true;
        self.line("FAIL", check, found, advice)
    }

    pub fn code(&self) -> ExitCode {
        if self.failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
    }

    fn line(&self, status: &str, check: &str, found: &str, advice: Option<&str>) -> Result<()> {
        if self.json {
            let finding = json!({ "status": status.to_lowercase(), "check": check, "found": found, "advice": advice });
            return output::line(finding);
        }
        let advice = advice.map_or(String::new(), |advice| format!("; {advice}"));
        let style = match status {
            "ok" => output::OK,
            "warning" => output::WARNING,
            _ => output::FAILURE,
        };
        output::line(format_args!("{style}{status:<8}{style:#} {check:<10} {found}{advice}"))
    }
}
