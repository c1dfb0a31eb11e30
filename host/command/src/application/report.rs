//! Recognises what a guest prints when it fails: a panic of Rust, a traceback of Python, an exception of JavaScript, a panic of Go.
//!
//! The lines are one report, whose cause is one line of text.

use std::fmt;

/// The maximum length of a cause. The guest controls it.
const LONGEST_CAUSE: usize = 2048;
/// The maximum length of a whole report.
const LONGEST_TEXT: usize = 16 * 1024;

/// Why a guest failed, as it printed itself.
#[derive(Debug)]
pub struct Report {
    cause: String,
    /// All lines, if backtraces are logged.
    text: Option<String>,
    part: Part,
    /// Whether the cause is an exception of Python. Its runtime panics after one, which tells nothing more.
    is_python: bool,
}

/// Where in a report the next line is.
#[derive(Debug)]
enum Part {
    /// In the message of a panic. It is not the cause if the panic is only how the runtime of Python ends.
    Panic { is_cause: bool },
    /// In the frames of a traceback, with the innermost one so far.
    Frames(String),
    /// Before the line with an exception of JavaScript.
    Exception,
    /// In the stack of one, and whether the cause has its first frame.
    Stack(bool),
    /// In the message of a panic of Go.
    Message,
    /// In the frames of its goroutines, and whether the cause has the innermost one.
    Goroutine(bool),
    /// Behind all that is known to belong to it.
    End,
    /// Before another traceback, which is a consequence of the last one.
    Chained,
}

/// What the runtimes for JavaScript print before an exception that was not caught.
const LISTENER: &str = "Exception while ";
const REJECTIONS: &str = "Warning: Unhandled promise rejections detected";
const HANDLER: [&str; 2] = ["Error while running request handler: ", "Promise rejected but never handled: "];
/// What Go prints before the message of a panic, and of an error that a program cannot handle.
const GO: [&str; 2] = ["panic: ", "fatal error: "];
const TRACEBACK: &str = "Traceback (most recent call last):";
/// What Python prints between the tracebacks of exceptions that belong together.
const CHAINED: [&str; 2] = ["During handling of the above exception, ", "The above exception was the direct cause of "];

impl Report {
    /// Begins a report, if this is the first line of one.
    pub fn begin(line: &str, has_text: bool) -> Option<Self> {
        let (cause, part) = first(line)?;
        let mut report = Self { cause: String::new(), text: has_text.then(String::new), part, is_python: false };
        report.add_cause(&cause);
        report.is_python = matches!(report.part, Part::Frames(_));
        report.add_text(line);
        Some(report)
    }

    /// Adds a line. False if it does not belong to the report.
    pub fn add(&mut self, line: &str) -> bool {
        let is_indented = line.is_empty() || line.starts_with(char::is_whitespace);
        match &mut self.part {
            Part::Panic { .. } if line.starts_with("note: run with ") => self.part = Part::End,
            Part::Panic { is_cause: true } => self.add_cause(line),
            Part::Panic { is_cause: false } => {}
            Part::Frames(frame) if is_indented => {
                if line.trim_start().starts_with("File \"") {
                    line.trim().clone_into(frame);
                }
            }
            Part::Frames(frame) => {
                let frame = std::mem::take(frame);
                self.part = Part::End;
                self.cause.clear();
                self.add_cause(line);
                self.add_cause(&if frame.is_empty() { frame } else { format!("({frame})") });
            }
            Part::Exception => {
                // `js/page.js:10:11 TypeError: the message`, or the first line of another form.
                let (cause, part) = first(line).unwrap_or_else(|| (line.to_owned(), Part::Stack(true)));
                self.part = part;
                self.add_cause(&cause);
            }
            Part::Stack(has_frame) if is_indented || line == "Stack:" => {
                if is_indented && !line.is_empty() && !std::mem::replace(has_frame, true) {
                    self.add_cause(&format!("({})", line.trim()));
                }
            }
            Part::Message if line.starts_with("goroutine ") => self.part = Part::Goroutine(false),
            Part::Message => self.add_cause(line),
            // `main.page(...)`, and in the next line `	/visits/visits.go:33 +0x1d`.
            Part::Goroutine(has_frame) if is_indented || line.ends_with(')') || line.starts_with("goroutine ") => {
                if is_indented && !line.is_empty() && !std::mem::replace(has_frame, true) {
                    let place = line.trim().split(" +0x").next().unwrap_or_default();
                    self.add_cause(&format!("({place})"));
                }
            }
            Part::Goroutine(_) if line.starts_with("created by ") => {}
            Part::Goroutine(_) | Part::Stack(_) | Part::End | Part::Chained => return self.add_behind(line),
        }
        self.add_text(line);
        true
    }

    /// Adds a line behind what is known to belong to the report.
    fn add_behind(&mut self, line: &str) -> bool {
        match first(line) {
            Some((_, part @ Part::Frames(_))) if matches!(self.part, Part::Chained) => self.part = part,
            Some((_, Part::Panic { .. })) if self.is_python => self.part = Part::Panic { is_cause: false },
            None if line.is_empty() => {}
            None if CHAINED.iter().any(|chained| line.starts_with(chained)) => self.part = Part::Chained,
            _ => return false,
        }
        self.add_text(line);
        true
    }

    fn add_cause(&mut self, line: &str) {
        let line = line.trim();
        if !line.is_empty() {
            let separator = if self.cause.is_empty() { "" } else { " " };
            append(&mut self.cause, LONGEST_CAUSE, &[separator, line]);
        }
    }

    fn add_text(&mut self, line: &str) {
        if let Some(text) = &mut self.text {
            append(text, LONGEST_TEXT, &["\n    ", line]);
        }
    }
}

/// The cause and the part that the first line of a report begins.
fn first(line: &str) -> Option<(String, Part)> {
    if line.starts_with("thread '")
        && let Some((_, place)) = line.split_once(" panicked at ")
    {
        Some((format!("panicked at {place}"), Part::Panic { is_cause: true }))
    } else if line == TRACEBACK {
        Some(("an exception of Python".to_owned(), Part::Frames(String::new())))
    } else if line.starts_with(LISTENER) || line.starts_with(REJECTIONS) {
        Some((String::new(), Part::Exception))
    } else if let Some(cause) = HANDLER.iter().find_map(|before| line.strip_prefix(before)) {
        Some((cause.to_owned(), Part::Stack(false)))
    } else if GO.iter().any(|before| line.starts_with(before)) {
        Some((line.to_owned(), Part::Message))
    } else if line.starts_with("memory allocation of ") && line.ends_with(" bytes failed") {
        // Notes like those about a panic follow.
        Some((line.to_owned(), Part::Panic { is_cause: false }))
    } else {
        None
    }
}

/// Appends text up to a limit.
fn append(to: &mut String, limit: usize, parts: &[&str]) {
    for part in parts {
        let left = limit.saturating_sub(to.len());
        to.push_str(&part[..part.floor_char_boundary(left)]);
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cause = if self.cause.is_empty() { "an exception" } else { &self.cause };
        f.write_str(cause)?;
        f.write_str(self.text.as_deref().unwrap_or_default())
    }
}

impl std::error::Error for Report {}

#[cfg(test)]
mod tests {
    use super::*;

    /// The reports in lines, and the lines that belong to none.
    fn read(lines: &str, has_text: bool) -> (Vec<String>, Vec<&str>) {
        let (mut reports, mut others): (Vec<Report>, _) = (Vec::new(), Vec::new());
        for line in lines.lines() {
            if reports.last_mut().is_some_and(|report| report.add(line)) {
                continue;
            }
            match Report::begin(line, has_text) {
                Some(report) => reports.push(report),
                None => others.push(line),
            }
        }
        (reports.iter().map(ToString::to_string).collect(), others)
    }

    #[track_caller]
    fn assert_read(lines: &str, reports: &[&str], others: &[&str]) {
        let (read, left) = read(lines, false);
        assert_eq!((read.iter().map(String::as_str).collect::<Vec<_>>(), left), (reports.to_vec(), others.to_vec()));
    }

    #[test]
    fn the_cause_of_a_panic_is_its_place_and_its_message() {
        let panic = "before\n\nthread '<unnamed>' (1) panicked at src/lib.rs:41:22:\nassertion `left == right` failed\n  left: 1\n right: 2\nnote: run with `RUST_BACKTRACE=1` environment variable to display a backtrace\nbehind\n";
        let cause = "panicked at src/lib.rs:41:22: assertion `left == right` failed left: 1 right: 2";
        assert_read(panic, &[cause], &["before", "", "behind"]);
    }

    #[test]
    fn the_cause_of_a_traceback_is_the_exception_and_its_innermost_frame() {
        let traceback = r#"Traceback (most recent call last):
  File "/0/values.py", line 14, in handle
    route()
  File "/0/values.py", line 90, in route
KeyError: '/nix'

thread '<unnamed>' (1) panicked at runtime/src/lib.rs:1280:25:
Python function threw an unexpected exception
note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace
"#;
        assert_read(traceback, &[r#"KeyError: '/nix' (File "/0/values.py", line 90, in route)"#], &[]);

        let chained = r#"Traceback (most recent call last):
  File "a.py", line 1, in a
KeyError: 'b'

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "a.py", line 3, in a
ValueError: c
INFO:root:behind
Traceback (most recent call last):
  File "a.py", line 9, in d
TypeError: e
"#;
        let causes = [r#"ValueError: c (File "a.py", line 3, in a)"#, r#"TypeError: e (File "a.py", line 9, in d)"#];
        assert_read(chained, &causes, &["INFO:root:behind"]);
    }

    #[test]
    fn the_cause_of_an_exception_of_javascript_is_its_message_and_its_place() {
        let listener =
            "Exception while Exception in event listener for fetch\njs/page.js:10:11 TypeError: boom\nbehind";
        assert_read(listener, &["js/page.js:10:11 TypeError: boom"], &["behind"]);
        let handler = "Error while running request handler: boom\nStack:\n  later@js/page.js:2:41\n  async*answer@js/page.js:5:39\n\nbehind";
        assert_read(handler, &["boom (later@js/page.js:2:41)"], &["behind"]);
        let floating = "Warning: Unhandled promise rejections detected after handling incoming request.\nPromise rejected but never handled: boom\nStack:\n  later@js/page.js:2:41\n\n";
        assert_read(floating, &["boom (later@js/page.js:2:41)"], &[]);
    }

    #[test]
    fn the_cause_of_a_panic_of_go_is_its_message_and_its_place() {
        let panic = "panic: runtime error: index out of range [3] with length 3 [recovered]\n\tpanic: again\n\ngoroutine 1 [running]:\nmain.page({0x1, 0x2})\n\t/visits/visits.go:33 +0x1d\nmain.main()\n\t/visits/visits.go:9 +0x2\n\ngoroutine 7 [select]:\nmain.wait(...)\n\t/visits/wait.go:3\ncreated by main.page in goroutine 1\n\t/visits/visits.go:31 +0x5\nbehind";
        let cause = "panic: runtime error: index out of range [3] with length 3 [recovered] panic: again (/visits/visits.go:33)";
        assert_read(panic, &[cause], &["behind"]);
        let fatal = "fatal error: all goroutines are asleep - deadlock!\n\ngoroutine 1 [select (no cases)]:\nmain.page()\n\t/visits/visits.go:4 +0x3\n";
        assert_read(fatal, &["fatal error: all goroutines are asleep - deadlock! (/visits/visits.go:4)"], &[]);
    }

    #[test]
    fn lines_that_report_no_failure_belong_to_none() {
        let lines = "the thread panicked at dawn\nTraceback\nan Error while running\n  indented\n";
        assert_read(lines, &[], &lines.lines().collect::<Vec<_>>());
    }

    #[test]
    fn a_report_is_bounded() {
        let lines = format!("thread 'a' panicked at {}:\n{}", "é".repeat(5000), "é\n".repeat(100_000));
        let report = |has_text| read(&lines, has_text).0[0].len();
        assert!(report(false) <= LONGEST_CAUSE);
        assert!((LONGEST_TEXT..=LONGEST_TEXT + LONGEST_CAUSE).contains(&report(true)), "{}", report(true));
        let (report, others) = read(&lines, true);
        assert!(report[0].contains("\n    thread 'a' panicked at é") && others.is_empty());
    }
}
