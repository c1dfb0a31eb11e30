//! Whether a text is JSON (RFC 8259), nested no deeper than every language reads it. Nothing is made of it.
//!
//! serde_json tells the same, and the tests hold this to it; in the component it takes 4 KB more.

use alloc::vec::Vec;

/// How many levels of lists and dictionaries a text may have: what the readers of all languages take.
pub const MAX_DEPTH: usize = 127;

/// What is wrong with a text.
#[derive(Debug, PartialEq, Eq)]
pub enum Wrong {
    /// It is not JSON from here on.
    Syntax(Place),
    /// It is nested deeper than [`MAX_DEPTH`].
    Depth,
}

/// Where a text stops being JSON: its line, from 1, and how many bytes of that line were read.
#[derive(Debug, PartialEq, Eq)]
pub struct Place {
    /// The line, from 1.
    pub line: usize,
    /// The bytes of the line that were read, the one that is wrong among them.
    pub column: usize,
}

/// Checks a text.
pub fn check(text: &str) -> Result<(), Wrong> {
    let mut reader = Reader { rest: text.as_bytes(), is_too_deep: false };
    reader.text().ok_or_else(|| {
        if reader.is_too_deep {
            return Wrong::Depth;
        }
        let read = &text.as_bytes()[..text.len() - reader.rest.len()];
        Wrong::Syntax(Place {
            line: 1 + read.iter().filter(|byte| **byte == b'\n').count(),
            column: read.iter().rev().take_while(|byte| **byte != b'\n').count(),
        })
    })
}

/// Each method passes over what it is named after, or stops after the byte that is wrong.
struct Reader<'a> {
    rest: &'a [u8],
    is_too_deep: bool,
}

impl Reader<'_> {
    fn text(&mut self) -> Option<()> {
        // The brackets that have to close, the last of them apart: one level needs no memory.
        let mut outer = Vec::new();
        let mut inner = None;
        loop {
            let token = self.token()?;
            let depth = outer.len() + usize::from(inner.is_some());
            if matches!(token, b'[' | b'{') && depth == MAX_DEPTH {
                self.is_too_deep = true;
                return None;
            }
            match token {
                b'n' => self.word(b"ull")?,
                b't' => self.word(b"rue")?,
                b'f' => self.word(b"alse")?,
                b'"' => self.string()?,
                b'[' if self.token_if(b']') => {}
                b'[' => {
                    outer.extend(inner.replace(b']'));
                    continue;
                }
                b'{' if self.token_if(b'}') => {}
                b'{' => {
                    outer.extend(inner.replace(b'}'));
                    self.name()?;
                    continue;
                }
                byte => self.number(byte)?,
            }
            // A value has ended, and with it all that it is the last of.
            while let Some(closing) = inner {
                match self.token()? {
                    b',' => break,
                    byte if byte == closing => inner = outer.pop(),
                    _ => return None,
                }
            }
            match inner {
                None => return self.token().is_none().then_some(()),
                Some(b'}') => self.name()?,
                Some(_) => {}
            }
        }
    }

    fn next(&mut self) -> Option<u8> {
        let (byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*byte)
    }

    /// The next byte, if it is a fitting one.
    fn next_if(&mut self, fits: impl Fn(u8) -> bool) -> bool {
        let found = self.rest.first().is_some_and(|byte| fits(*byte));
        if found {
            self.rest = &self.rest[1..];
        }
        found
    }

    fn white_space(&mut self) {
        while self.next_if(|byte| matches!(byte, b' ' | b'\n' | b'\t' | b'\r')) {}
    }

    /// The next byte that is not white space.
    fn token(&mut self) -> Option<u8> {
        self.white_space();
        self.next()
    }

    fn token_if(&mut self, token: u8) -> bool {
        self.white_space();
        self.next_if(|byte| byte == token)
    }

    /// A name in a dictionary, and its colon.
    fn name(&mut self) -> Option<()> {
        self.expect(b'"')?;
        self.string()?;
        self.expect(b':')
    }

    fn expect(&mut self, token: u8) -> Option<()> {
        (self.token()? == token).then_some(())
    }

    fn word(&mut self, rest: &[u8]) -> Option<()> {
        rest.iter().try_for_each(|byte| (self.next()? == *byte).then_some(()))
    }

    fn number(&mut self, first: u8) -> Option<()> {
        let first = if first == b'-' { self.next()? } else { first };
        match first {
            // A digit behind it is no part of the number, and nothing that may follow one.
            b'0' => {}
            b'1'..=b'9' => self.digits(),
            _ => return None,
        }
        if self.next_if(|byte| byte == b'.') {
            self.digit()?;
            self.digits();
        }
        if self.next_if(|byte| matches!(byte, b'e' | b'E')) {
            self.next_if(|byte| matches!(byte, b'+' | b'-'));
            self.digit()?;
            self.digits();
        }
        Some(())
    }

    fn digit(&mut self) -> Option<()> {
        self.next()?.is_ascii_digit().then_some(())
    }

    fn digits(&mut self) {
        while self.next_if(|byte| byte.is_ascii_digit()) {}
    }

    /// A string that has begun. Of a control character it stops short.
    fn string(&mut self) -> Option<()> {
        loop {
            self.plain();
            match self.rest {
                [b'"', rest @ ..] => {
                    self.rest = rest;
                    return Some(());
                }
                [b'\\', rest @ ..] => {
                    self.rest = rest;
                    self.escape()?;
                }
                _ => return None,
            }
        }
    }

    /// All that a string may simply hold, eight bytes at a time: strings are most of a long text.
    fn plain(&mut self) {
        const EACH: u64 = u64::MAX / 255;
        const HIGH: u64 = EACH << 7;
        let mut rest = self.rest;
        while let Some((bytes, after)) = rest.split_first_chunk() {
            let bytes = u64::from_le_bytes(*bytes);
            // The high bit of the first byte below a limit is set, and of none before it.
            let below = |bytes: u64, limit: u8| bytes.wrapping_sub(EACH * u64::from(limit)) & !bytes & HIGH;
            let equal = |byte: u8| below(bytes ^ (EACH * u64::from(byte)), 1);
            let found = below(bytes, b' ') | equal(b'"') | equal(b'\\');
            if found != 0 {
                self.rest = &rest[found.trailing_zeros() as usize / 8..];
                return;
            }
            rest = after;
        }
        self.rest = rest;
        while self.next_if(|byte| !matches!(byte, ..b' ' | b'"' | b'\\')) {}
    }

    fn escape(&mut self) -> Option<()> {
        match self.next()? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(()),
            b'u' => {
                let (digits, rest) = self.rest.split_at(self.rest.len().min(4));
                self.rest = rest;
                (digits.len() == 4 && digits.iter().all(u8::is_ascii_hexdigit)).then_some(())
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*, sample};
    use serde_json::json;

    use super::*;

    /// serde_json's answer.
    fn expected(text: &str) -> Result<(), Wrong> {
        match serde_json::from_str::<serde::de::IgnoredAny>(text) {
            Ok(_) => Ok(()),
            Err(error) => Err(Wrong::Syntax(Place { line: error.line(), column: error.column() })),
        }
    }

    const PARTS: &[&str] = &[
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "\"key\":",
        "\"é\"",
        "\\",
        "\\n",
        "\\u",
        "\\u00e9",
        "\\x",
        "0",
        "12",
        "-",
        ".",
        "1.5",
        "e",
        "E+",
        "e-7",
        "true",
        "false",
        "null",
        "tru",
        "nul",
        " ",
        "\n",
        "\r",
        "\t",
        "\u{1}",
        "\0",
        "\u{7f}",
        "€",
        "a",
        "plain text",
    ];

    fn values() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(json!(null)),
            any::<bool>().prop_map(|value| json!(value)),
            any::<i64>().prop_map(|value| json!(value)),
            any::<f64>().prop_map(|value| json!(value)),
            any::<String>().prop_map(|value| json!(value)),
        ];
        leaf.prop_recursive(6, 48, 6, |inner| {
            prop_oneof![
                vec(inner.clone(), 0..6).prop_map(|list| json!(list)),
                vec((any::<String>(), inner), 0..6).prop_map(|entries| entries.into_iter().collect()),
            ]
        })
    }

    fn texts() -> impl Strategy<Value = String> {
        (values(), any::<bool>()).prop_map(|(value, is_pretty)| {
            if is_pretty { serde_json::to_string_pretty(&value).unwrap() } else { value.to_string() }
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

        #[test]
        fn json_passes(text in texts()) {
            prop_assert_eq!(check(&text), Ok(()));
        }

        #[test]
        fn json_with_something_put_in_or_left_out_is_judged_as_by_serde_json(
            text in texts(),
            begin: sample::Index,
            length in 0_usize..4,
            part in sample::select(PARTS),
        ) {
            let mut characters: Vec<char> = text.chars().collect();
            let begin = begin.index(characters.len());
            let end = (begin + length).min(characters.len());
            characters.splice(begin..end, part.chars());
            let text = String::from_iter(characters);
            prop_assert_eq!(check(&text), expected(&text), "{}", text);
        }

        #[test]
        fn json_cut_short_is_judged_as_by_serde_json(text in texts(), length: sample::Index) {
            let length = text.floor_char_boundary(length.index(text.len() + 1));
            prop_assert_eq!(check(&text[..length]), expected(&text[..length]));
        }

        #[test]
        fn parts_of_json_are_judged_as_by_serde_json(parts in vec(sample::select(PARTS), 0..12)) {
            let text = parts.concat();
            prop_assert_eq!(check(&text), expected(&text), "{}", text);
        }

        #[test]
        fn strings_are_judged_as_by_serde_json(parts in vec(sample::select(PARTS), 0..24)) {
            let text = ["[\"", &parts.concat(), "\"]"].concat();
            prop_assert_eq!(check(&text), expected(&text), "{}", text);
        }

        #[test]
        fn any_text_is_judged_as_by_serde_json(text: String) {
            prop_assert_eq!(check(&text), expected(&text));
        }
    }

    #[test]
    fn every_byte_of_a_string_is_looked_at() {
        for character in '\0'..='\u{100}' {
            for length in 0..20 {
                let text = ["\"", &"x".repeat(length), &String::from(character), &"y".repeat(length), "\""].concat();
                assert_eq!(check(&text), expected(&text), "{text:?}");
            }
        }
    }

    #[test]
    fn the_place_is_the_line_and_the_bytes_read_of_it() {
        for (text, line, column) in
            [("", 1, 0), ("[1,]", 1, 4), ("{\n  \"a\"", 2, 5), ("[\n\n é]", 3, 2), ("\"\u{1}\"", 1, 1)]
        {
            assert_eq!(check(text), Err(Wrong::Syntax(Place { line, column })), "{text:?}");
            assert_eq!(expected(text), check(text), "{text:?}");
        }
    }

    #[test]
    fn nesting_is_as_deep_as_serde_json_reads_it() {
        for (levels, outcome) in [(127, Ok(())), (128, Err(Wrong::Depth)), (1_000_000, Err(Wrong::Depth))] {
            let inner = levels - 1;
            for text in [
                "[".repeat(levels) + &"]".repeat(levels),
                "[".repeat(inner) + "{}" + &"]".repeat(inner),
                "{\"a\":".repeat(levels) + "0" + &"}".repeat(levels),
                "[1,".repeat(levels) + "2" + &"]".repeat(levels),
            ] {
                assert_eq!(check(&text), outcome, "{levels} levels");
                let is_read = serde_json::from_str::<serde_json::Value>(&text).is_ok();
                assert_eq!(is_read, outcome.is_ok(), "{levels} levels");
            }
        }
        assert_eq!(check(&("[".repeat(127))), Err(Wrong::Syntax(Place { line: 1, column: 127 })));
        assert_eq!(check(&format!("[{}]", vec!["[]"; 1000].join(","))), Ok(()), "side by side is not nested");
    }
}
