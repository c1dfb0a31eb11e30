//! Prints each finding as a line, immediately, or collects them.

use std::process::ExitCode;

use anyhow::Result;
use serde_json::json;

use crate::output;

pub struct Report {
    to: To,
    failed: bool,
}

/// Where the findings go.
enum To {
    Text,
    Json,
    List(Vec<Finding>),
}

/// The result of a check.
pub struct Finding {
    /// `ok`, `warning` or `FAIL`.
    pub status: &'static str,
    pub check: String,
    pub found: String,
    pub advice: Option<String>,
}

impl Report {
    pub fn new(json: bool) -> Self {
        Self { to: if json { To::Json } else { To::Text }, failed: false }
    }

    /// A report that prints nothing.
    pub fn list() -> Self {
        Self { to: To::List(Vec::new()), failed: false }
    }

    /// The findings of a [`list`](Self::list).
    pub fn into_findings(self) -> Vec<Finding> {
        match self.to {
            To::List(findings) => findings,
            To::Text | To::Json => Vec::new(),
        }
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

    fn line(&mut self, status: &'static str, check: &str, found: &str, advice: Option<&str>) -> Result<()> {
        match &mut self.to {
            To::Text => {
                let advice = advice.map_or(String::new(), |advice| format!("; {advice}"));
                let style = match status {
                    "ok" => output::OK,
                    "warning" => output::WARNING,
                    _ => output::FAILURE,
                };
                output::line(format_args!("{style}{status:<8}{style:#} {check:<10} {found}{advice}"))
            }
            To::Json => {
                let status = status.to_lowercase();
                output::line(json!({ "status": status, "check": check, "found": found, "advice": advice }))
            }
            To::List(findings) => {
                let advice = advice.map(str::to_owned);
                findings.push(Finding { status, check: check.to_owned(), found: found.to_owned(), advice });
                Ok(())
            }
        }
    }
}
