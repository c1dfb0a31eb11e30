//! What guests print while they answer a request, for the page about its failure.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

/// The most that is kept of one request, in bytes: the end of it. The guest controls it.
const KEPT: usize = 16 * 1024;

/// The last lines that guests printed while they answered one request.
#[derive(Default)]
pub struct Printed {
    text: Mutex<String>,
    is_report: AtomicBool,
}

impl Printed {
    /// Adds a line.
    pub fn add(&self, line: &str) {
        let mut text = self.text.lock().unwrap_or_else(PoisonError::into_inner);
        text.push_str(line);
        text.push('\n');
        if text.len() > KEPT {
            let begin = text.ceil_char_boundary(text.len() - KEPT);
            // From the next whole line on. The last line is shorter than what is kept.
            let begin = text[begin..].find('\n').map_or(begin, |end| begin + end + 1);
            text.drain(..begin);
        }
    }

    /// One of the lines begins a report of a failure.
    pub fn note_report(&self) {
        self.is_report.store(true, Ordering::Relaxed);
    }

    /// Whether the guest has reported a failure.
    pub fn has_report(&self) -> bool {
        self.is_report.load(Ordering::Relaxed)
    }

    /// The lines so far.
    pub fn text(&self) -> String {
        self.text.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_whole_lines_are_kept() {
        let printed = Printed::default();
        assert_eq!(printed.text(), "");
        for number in 0..10_000 {
            printed.add(&format!("line {number}, with an \u{e9}"));
        }
        let text = printed.text();
        assert!(text.len() <= KEPT && text.len() > KEPT - 100, "{}", text.len());
        assert!(text.starts_with("line ") && text.ends_with("line 9999, with an \u{e9}\n"), "{text}");
    }

    #[test]
    fn a_line_of_any_length_leaves_no_more_than_is_kept() {
        let printed = Printed::default();
        printed.add("first");
        printed.add(&"\u{e9}".repeat(KEPT));
        assert!(printed.text().len() <= KEPT);
        printed.add("last");
        assert!(printed.text().ends_with("last\n"), "{}", printed.text());
    }
}
