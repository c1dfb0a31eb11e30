//! Whether a text is JSON (RFC 8259), nested no deeper than the parsers of all languages accept.
//!
//! serde_json checks the syntax and builds nothing. It skips ignored values at any depth, so the depth is counted afterwards.

use alloc::format;

use serde::de::IgnoredAny;

use crate::{Error, Result};

/// The most levels of arrays and objects that a text may have: what the parsers of all languages accept.
pub const MAX_DEPTH: usize = 127;

/// Checks a text.
///
/// # Errors
///
/// Fails with `invalid-value` for text that is not JSON, with the line and column where it stops being JSON (both from 1; the
/// column counts bytes), and for text of more than [`MAX_DEPTH`] levels.
pub fn check(text: &str) -> Result<()> {
    serde_json::from_str::<IgnoredAny>(text)
        .map_err(|error| Error::InvalidValue(format!("the value is not JSON (RFC 8259): {error}")))?;
    if depth(text) > MAX_DEPTH {
        return Err(Error::InvalidValue(format!(
            "the value is JSON of more than {MAX_DEPTH} levels, which not every language can read"
        )));
    }
    Ok(())
}

/// How deep a text that is JSON is nested.
fn depth(text: &str) -> usize {
    let (mut depth, mut deepest, mut in_string) = (0_usize, 0, false);
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => in_string = !in_string,
            // A backslash occurs in strings only; the byte after it ends none.
            b'\\' => _ = bytes.next(),
            _ if in_string => {}
            b'[' | b'{' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' => depth -= 1,
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};
    use serde_json::json;

    use super::*;

    fn values() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(json!(null)),
            any::<bool>().prop_map(|value| json!(value)),
            any::<i64>().prop_map(|value| json!(value)),
            any::<f64>().prop_map(|value| json!(value)),
            any::<String>().prop_map(|value| json!(value)),
            "[\\[\\]{}\"\\\\,:]{0,8}".prop_map(|value| json!(value)),
        ];
        leaf.prop_recursive(6, 48, 6, |inner| {
            prop_oneof![
                vec(inner.clone(), 0..6).prop_map(|list| json!(list)),
                vec((any::<String>(), inner), 0..6).prop_map(|entries| entries.into_iter().collect()),
            ]
        })
    }

    fn text(value: &serde_json::Value, is_pretty: bool) -> String {
        if is_pretty { serde_json::to_string_pretty(value).unwrap() } else { value.to_string() }
    }

    fn levels(value: &serde_json::Value) -> usize {
        match value {
            serde_json::Value::Array(list) => 1 + list.iter().map(levels).max().unwrap_or(0),
            serde_json::Value::Object(entries) => 1 + entries.values().map(levels).max().unwrap_or(0),
            _ => 0,
        }
    }

    fn is_json(text: &str) -> bool {
        match check(text) {
            Ok(()) => true,
            Err(Error::InvalidValue(_)) => false,
            Err(other) => panic!("{other:?}"),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

        #[test]
        fn json_passes(value in values(), is_pretty: bool) {
            prop_assert_eq!(check(&text(&value, is_pretty)), Ok(()));
        }

        #[test]
        fn the_depth_is_that_of_the_value(value in values(), is_pretty: bool) {
            prop_assert_eq!(depth(&text(&value, is_pretty)), levels(&value));
        }

        /// Arrays and objects end with a bracket: no beginning of their text is JSON.
        #[test]
        fn json_cut_short_is_refused(value in values(), is_pretty: bool, length: prop::sample::Index) {
            let text = text(&json!([value]), is_pretty);
            prop_assert!(!is_json(&text[..text.floor_char_boundary(length.index(text.len()))]));
        }

        #[test]
        fn any_text_passes_or_fails_cleanly(text: String) {
            is_json(&text);
        }
    }

    #[test]
    fn the_grammar_is_that_of_rfc_8259() {
        let accepted = [
            "0",
            "-0",
            "12",
            "-1.5",
            "1e400",
            "1E+2",
            "1.5e-7",
            "123456789012345678901234567890",
            "true",
            "false",
            "null",
            "\"\"",
            "[]",
            "{}",
            " [ ] ",
            "\t\r\n{ \"a\" : 1 , \"b\" : [ 2 , { } ] }\n",
            "{\"a\":1,\"a\":2}",
            "{\"\":0}",
            "\"é€😀\u{7f}\u{2028}\"",
            r#""\"\\\/\b\f\n\r\t\u00e9\uD83D\ude00""#,
            // RFC 8259, section 8.2, leaves lone surrogates to the parser.
            r#""\ud800""#,
            r#""\udc00\ud800""#,
            r#""\u0000""#,
        ];
        for text in accepted {
            assert!(is_json(text), "{text:?}");
        }
        let refused = [
            "",
            " ",
            "[",
            "]",
            "{",
            "}",
            "[1,]",
            "[,1]",
            "[1 2]",
            "[1]]",
            "[1}",
            "{1]",
            "[1] [2]",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{\"a\" 1}",
            "{a:1}",
            "{'a':1}",
            "{1:1}",
            "{null:1}",
            "'a'",
            "a",
            "tru",
            "nul",
            "True",
            "nulll",
            "true false",
            "NaN",
            "Infinity",
            "-Infinity",
            "-",
            "--1",
            "+1",
            "01",
            "-01",
            "00",
            "1.",
            ".5",
            "-.5",
            "1.e1",
            "1e",
            "1e+",
            "1ee2",
            "0x1",
            "1_000",
            "1 000",
            "\"",
            "\"a",
            "\"\\\"",
            "\"\\x\"",
            "\"\\u\"",
            "\"\\u12\"",
            "\"\\u12g4\"",
            "\"\\U0041\"",
            "\"\n\"",
            "\"\t\"",
            "\"\0\"",
            "\u{feff}[]",
            "\u{a0}[]",
            "[]\0",
            "// a\n1",
            "/**/1",
            "\u{c}1",
        ];
        for text in refused {
            assert!(!is_json(text), "{text:?}");
        }
    }

    #[test]
    fn every_byte_of_a_string_is_looked_at() {
        for character in '\0'..='\u{100}' {
            for length in 0..20 {
                let text = ["\"", &"x".repeat(length), &String::from(character), &"y".repeat(length), "\""].concat();
                assert_eq!(is_json(&text), !matches!(character, ..' ' | '"' | '\\'), "{text:?}");
            }
        }
    }

    #[test]
    fn the_place_is_the_line_and_the_bytes_read_of_it() {
        for (text, line, column) in
            [("", 1, 0), ("[1,]", 1, 4), ("{\n  \"a\"", 2, 5), ("[\n\n é]", 3, 2), ("\"\u{1}\"", 1, 1)]
        {
            let Err(Error::InvalidValue(message)) = check(text) else { panic!("{text:?} is accepted") };
            assert!(message.ends_with(&format!(" at line {line} column {column}")), "{text:?}: {message}");
        }
    }

    #[test]
    fn nesting_is_as_deep_as_serde_json_reads_it() {
        for (levels, is_accepted) in [(127, true), (128, false), (1_000_000, false)] {
            let inner = levels - 1;
            for text in [
                "[".repeat(levels) + &"]".repeat(levels),
                "[".repeat(inner) + "{}" + &"]".repeat(inner),
                "{\"a\":".repeat(levels) + "0" + &"}".repeat(levels),
                "[1,".repeat(levels) + "2" + &"]".repeat(levels),
            ] {
                let outcome = check(&text);
                assert_eq!(outcome.is_ok(), is_accepted, "{levels} levels");
                let is_read = serde_json::from_str::<serde_json::Value>(&text).is_ok();
                assert_eq!(is_read, is_accepted, "{levels} levels");
                if !is_accepted {
                    assert!(matches!(outcome, Err(Error::InvalidValue(text)) if text.contains("127 levels")));
                }
            }
        }
        assert!(
            matches!(check(&"[".repeat(128)), Err(Error::InvalidValue(text)) if text.contains("line 1 column 128"))
        );
        assert_eq!(check(&format!("[{}]", vec!["[]"; 1000].join(","))), Ok(()), "side by side is not nested");
    }
}
