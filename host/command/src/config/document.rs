//! The text of `lemon.ini` as sections of keys with their lines, and the mistakes in it.

use std::collections::BTreeMap;

use ini::{Ini, ParseOption};
use lemon_session_host::store::suggest::did_you_mean;
use lemon_session_rules::settings::Keys;

use super::Mistake;

/// A file that is being read. A key or section that is never read is a mistake.
pub(crate) struct Document {
    sections: BTreeMap<String, Content>,
    /// The names of all sections that were read; one that ends with a dot is a prefix.
    known: Vec<String>,
    mistakes: Vec<Mistake>,
    /// Every key that was read, and whether the file has it.
    #[cfg(test)]
    pub(super) asked: Vec<(String, &'static str, bool)>,
}

#[derive(Default)]
struct Content {
    line: Option<usize>,
    entries: Vec<Entry>,
}

struct Entry {
    key: String,
    value: String,
    line: Option<usize>,
    is_read: bool,
}

/// One section that is being read.
pub(crate) struct Section<'a> {
    name: &'a str,
    content: &'a mut Content,
    mistakes: &'a mut Vec<Mistake>,
    known: Vec<&'static str>,
}

impl Document {
    pub(super) fn parse(text: &str) -> Result<Self, Vec<Mistake>> {
        // A value is the rest of its line without escapes, because passwords contain quotes and backslashes.
        let options = ParseOption { enabled_quote: false, enabled_escape: false, ..ParseOption::default() };
        let text = text.trim_start_matches('\u{feff}');
        let unread = unreadable(text);
        if !unread.is_empty() {
            return Err(unread);
        }
        let ini = Ini::load_from_str_opt(text, options)
            .map_err(|error| vec![Mistake { line: Some(error.line), message: format!("{}; {EXPECTED}", error.msg) }])?;

        let mut document = Self {
            sections: BTreeMap::new(),
            known: Vec::new(),
            mistakes: Vec::new(),
            #[cfg(test)]
            asked: Vec::new(),
        };
        let mut lines = Lines::new(text);
        for (name, properties) in ini.iter() {
            if name.is_none() && properties.is_empty() {
                continue;
            }
            let line = name.and_then(|name| lines.section(name));
            if name.is_none() {
                let keys: Vec<_> = properties.iter().map(|(key, _)| key).collect();
                let message =
                    format!("{} before any section: write [session], for example, in a line above", keys.join(", "));
                document.mistakes.push(Mistake { line: Some(1), message });
            }
            let name = name.unwrap_or_default();
            let content = document.sections.entry(name.to_owned()).or_default();
            content.line = content.line.or(line);
            for (key, value) in properties.iter() {
                let line = lines.key(key);
                if let Some(first) = content.entries.iter().find(|entry| entry.key == key) {
                    let before = first.line.map(|line| format!(", first on line {line}")).unwrap_or_default();
                    let message = format!("[{name}] {key}: given twice{before}; remove one of them");
                    document.mistakes.push(Mistake { line, message });
                    continue;
                }
                content.entries.push(Entry { key: key.to_owned(), value: value.to_owned(), line, is_read: false });
            }
        }
        document.sections.remove("");
        Ok(document)
    }

    /// Reads a section. A missing one is read as an empty one.
    pub(super) fn section(&mut self, name: &str, read: impl FnOnce(&mut Section<'_>)) {
        self.known.push(name.to_owned());
        let mut content = self.sections.remove(name).unwrap_or_default();
        self.read(name, &mut content, read);
        self.sections.insert(name.to_owned(), content);
    }

    /// Reads all sections whose name begins with `prefix`, and passes the rest of each name.
    pub(super) fn sections(&mut self, prefix: &str, mut read: impl FnMut(&str, &mut Section<'_>)) {
        self.known.push(prefix.to_owned());
        let names: Vec<_> = self.sections.keys().filter(|name| name.starts_with(prefix)).cloned().collect();
        for full in names {
            let mut content = self.sections.remove(&full).unwrap_or_default();
            match &full[prefix.len()..] {
                "" => self.mistakes.push(Mistake {
                    line: content.line,
                    message: format!("[{full}]: the name is missing; for example [{prefix}archive]"),
                }),
                name => self.read(&full, &mut content, |section| read(name, section)),
            }
            self.sections.insert(full, content);
        }
    }

    /// Records a mistake in a key's value.
    pub(super) fn mistake(&mut self, section: &str, key: &str, message: String) {
        let content = self.sections.get(section);
        let entry = content.and_then(|content| content.entries.iter().find(|entry| entry.key == key));
        let line = entry.and_then(|entry| entry.line);
        self.mistakes.push(Mistake { line, message: format!("[{section}] {key}: {message}") });
    }

    /// All mistakes by line, including sections and keys that were not read.
    pub(super) fn into_mistakes(mut self) -> Vec<Mistake> {
        for (name, content) in &self.sections {
            let is_known = |known: &String| name == known || (known.ends_with('.') && name.starts_with(known));
            if !self.known.iter().any(is_known) {
                let hint = did_you_mean(name, self.known.iter().map(String::as_str));
                let message = format!("[{name}]: there is no such section{hint}");
                self.mistakes.push(Mistake { line: content.line, message });
            }
        }
        self.mistakes.sort_by_key(|mistake| mistake.line);
        self.mistakes
    }

    fn read(&mut self, name: &str, content: &mut Content, read: impl FnOnce(&mut Section<'_>)) {
        let mut section = Section { name, content, mistakes: &mut self.mistakes, known: Vec::new() };
        read(&mut section);
        let known = section.known;
        for entry in content.entries.iter().filter(|entry| !entry.is_read) {
            let hint = did_you_mean(&entry.key, known.iter().copied());
            let message = format!("[{name}] {}: there is no such key{hint}", entry.key);
            self.mistakes.push(Mistake { line: entry.line, message });
        }
        #[cfg(test)]
        for key in known {
            self.asked.push((name.to_owned(), key, content.entries.iter().any(|entry| entry.key == key)));
        }
    }
}

impl Section<'_> {
    /// The section's name.
    pub(super) fn name(&self) -> &str {
        self.name
    }

    /// All keys with their values and lines.
    pub(super) fn entries(&self) -> impl Iterator<Item = (String, (String, Option<usize>))> {
        self.content.entries.iter().map(|entry| (entry.key.clone(), (entry.value.clone(), entry.line)))
    }

    /// All keys that were not read yet, with their values, for sections with arbitrary keys.
    pub(super) fn rest(&mut self) -> Vec<(String, String)> {
        let unread = self.content.entries.iter_mut().filter(|entry| !entry.is_read);
        let rest = unread.map(|entry| {
            entry.is_read = true;
            (entry.key.clone(), entry.value.clone())
        });
        rest.collect()
    }

    /// Records a mistake in a key's value, or a missing key.
    pub(super) fn mistake(&mut self, key: &str, message: String) {
        let entry = self.content.entries.iter().find(|entry| entry.key == key);
        let line = entry.map_or(self.content.line, |entry| entry.line);
        self.mistakes.push(Mistake { line, message: format!("[{}] {key}: {message}", self.name) });
    }
}

impl Keys for Section<'_> {
    fn read<T>(&mut self, key: &'static str, target: &mut T, parse: impl FnOnce(&str) -> Result<T, String>) {
        self.known.push(key);
        let Some(entry) = self.content.entries.iter_mut().find(|entry| entry.key == key) else { return };
        entry.is_read = true;
        match parse(&entry.value) {
            Ok(value) => *target = value,
            Err(message) => {
                let message = format!("[{}] {key}: {message}", self.name);
                self.mistakes.push(Mistake { line: entry.line, message });
            }
        }
    }
}

const EXPECTED: &str = "expected [section], key = value, or a comment that begins with # or ;";

/// The lines that are neither sections nor keys nor comments. The parser would take such a line for a part of the next one.
fn unreadable(text: &str) -> Vec<Mistake> {
    let wrong = Lines::new(text).rest.filter_map(|(number, line)| {
        let what = match line {
            Line::Broken(line) if line.starts_with('[') => format!("the section {line:?} has no ]"),
            Line::Broken(line) => format!("{line:?} has no value"),
            Line::Digest("") => "a value without a key".to_owned(),
            Line::Section(_) | Line::Digest(_) => return None,
        };
        Some(Mistake { line: Some(number), message: format!("{what}; {EXPECTED}") })
    });
    wrong.collect()
}

/// Finds the lines of sections and keys, which the parser does not report.
struct Lines<'a> {
    rest: std::vec::IntoIter<(usize, Line<'a>)>,
}

#[derive(PartialEq)]
enum Line<'a> {
    Section(&'a str),
    Digest(&'a str),
    /// Neither of them.
    Broken(&'a str),
}

impl<'a> Lines<'a> {
    fn new(text: &'a str) -> Self {
        let mut lines = Vec::new();
        let mut goes_on = false;
        for (number, line) in (1..).zip(text.lines()) {
            let continues = std::mem::replace(&mut goes_on, line.ends_with('\\'));
            let line = line.trim();
            if continues || line.is_empty() || line.starts_with(['#', ';']) {
                continue;
            }
            lines.push(match line.strip_prefix('[').and_then(|line| line.split_once(']')) {
                Some((name, _)) => (number, Line::Section(name.trim())),
                None => match line.split_once(['=', ':']) {
                    Some((key, _)) if !line.starts_with('[') => (number, Line::Digest(key.trim())),
                    _ => (number, Line::Broken(line)),
                },
            });
        }
        Self { rest: lines.into_iter() }
    }

    /// The line of the next section of this name.
    fn section(&mut self, name: &str) -> Option<usize> {
        self.find(&Line::Section(name))
    }

    /// The line of the next key of this name.
    fn key(&mut self, key: &str) -> Option<usize> {
        self.find(&Line::Digest(key))
    }

    fn find(&mut self, wanted: &Line<'_>) -> Option<usize> {
        let ahead = self.rest.as_slice().iter().position(|(_, line)| line == wanted)?;
        self.rest.nth(ahead).map(|(number, _)| number)
    }
}
