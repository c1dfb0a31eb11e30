//! The manual page lemon.ini(5), made of the comments in the file of all settings.

use roff::{Inline, Roff, bold, line_break, roman};

/// `examples/lemon.ini`: each setting with its default, below a comment about it.
const SETTINGS: &str = include_str!("../../lemon.ini");

/// The page as text.
pub fn page() -> String {
    let mut page = Roff::new();
    let version = concat!("lemon-session ", env!("CARGO_PKG_VERSION"));
    page.control("TH", ["lemon.ini", "5", "", version, "lemon:session"]);
    page.control("SH", ["NAME"]).text([roman("lemon.ini - the settings of lemon-session")]);
    page.control("SH", ["DESCRIPTION"]);
    for block in SETTINGS.split("\n\n") {
        add(&mut page, block);
    }
    page.control("SH", ["SEE ALSO"]).text([
        bold("lemon-session"),
        roman("(1), "),
        bold("lemon-session-doctor"),
        roman("(1)"),
    ]);
    page.render()
}

/// Adds lines without an empty one between them: the head of a section, or settings and their comment.
fn add(page: &mut Roff, block: &str) {
    let lines: Vec<_> = block.lines().collect();
    if let Some(section) = lines.iter().find(|line| line.starts_with('[')) {
        page.control("SH", [*section]);
    }
    let comments: Vec<_> = lines.iter().filter_map(|line| line.strip_prefix('#')).collect();
    let (settings, text): (Vec<_>, Vec<_>) = comments.into_iter().partition(|line| is_setting(line));
    match settings.len() {
        0 => page.control("PP", []),
        _ => {
            let names = settings.iter().flat_map(|setting| [bold(setting.trim()), line_break()]);
            let mut names: Vec<_> = names.collect();
            names.pop();
            page.control("TP", []).text(names)
        }
    };
    let mut prose = Vec::new();
    for line in text {
        // What is indented is an example, as it stands.
        match line.strip_prefix("     ") {
            Some(example) => {
                say(page, &mut prose);
                page.control("RS", ["4"]).control("nf", []).text([roman(example)]).control("fi", []).control("RE", []);
            }
            None if line.is_empty() => say(page, &mut prose),
            None => prose.push(line.trim()),
        }
    }
    say(page, &mut prose);
}

/// Whether a line of a comment is a setting with its default: ` key = value`.
fn is_setting(line: &str) -> bool {
    let key = line.strip_prefix(' ').and_then(|line| line.split_once(" =")).map(|(key, _)| key);
    key.is_some_and(|key| !key.is_empty() && key.chars().all(|char| char.is_ascii_lowercase() || char == '-'))
}

fn say(page: &mut Roff, prose: &mut Vec<&str>) {
    if !prose.is_empty() {
        let text: Vec<Inline> = vec![roman(prose.join(" "))];
        page.text(text);
        prose.clear();
    }
}
