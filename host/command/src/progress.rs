//! Signs of life while something takes long. They are for terminals: elsewhere nothing is written.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// Ends when it is dropped.
pub struct Progress(ProgressBar);

impl Progress {
    /// Says what is being done, and for how long.
    pub fn start(what: &'static str) -> Self {
        Self::with("{spinner} {msg} ({elapsed})", what)
    }

    /// Says how many were done.
    pub fn count(what: &'static str) -> Self {
        Self::with("{spinner} {human_pos} {msg} ({elapsed})", what)
    }

    fn with(template: &str, what: &'static str) -> Self {
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner());
        let bar = ProgressBar::new_spinner().with_style(style).with_message(what);
        bar.enable_steady_tick(Duration::from_millis(200));
        Self(bar)
    }

    /// So many were done until now.
    pub fn at(&self, done: u64) {
        self.0.set_position(done);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
