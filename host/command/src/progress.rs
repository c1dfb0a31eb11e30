//! Progress indicators for terminals.

use std::{borrow::Cow, io::IsTerminal as _, time::Duration};

use indicatif::{ProgressBar, ProgressStyle};

use crate::log;

/// An indicator, which disappears when it is dropped. Without a terminal it is not shown.
pub struct Progress(ProgressBar);

impl Progress {
    /// Shows an action and the elapsed time.
    pub fn start(what: &'static str) -> Self {
        Self::with("{spinner} {msg} ({elapsed})", what)
    }

    /// Shows an action and the elapsed time on a terminal, and otherwise adds the action to the log.
    pub fn start_or_log(what: String) -> Option<Self> {
        if !std::io::stderr().is_terminal() || log::is_json() {
            tracing::info!("{what}");
            return None;
        }
        Some(Self::with("{spinner} {msg} {elapsed}", what))
    }

    /// Shows an action and a count.
    pub fn count(what: &'static str) -> Self {
        Self::with("{spinner} {human_pos} {msg} ({elapsed})", what)
    }

    fn with(template: &str, what: impl Into<Cow<'static, str>>) -> Self {
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner());
        let bar = ProgressBar::new_spinner().with_style(style).with_message(what);
        bar.enable_steady_tick(Duration::from_millis(200));
        Self(bar)
    }

    /// Sets the count.
    pub fn at(&self, done: u64) {
        self.0.set_position(done);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
