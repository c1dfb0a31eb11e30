//! The rules for names: of variables, applications and owners.

use alloc::{format, string::String};

use crate::{Error, Result};

/// The longest owner, in characters.
pub const OWNER_LENGTH: u32 = 255;
/// The longest authentication method, in characters.
pub const METHOD_LENGTH: u32 = 64;
/// The longest label of a session, in characters.
pub const LABEL_LENGTH: u32 = 255;

/// The character with which the names of variables begin that a session keeps for itself. As no name may contain it, an application
/// can neither read nor write them.
pub const HIDDEN: char = '\u{1}';

/// Whether a name is that of a variable that a session keeps for itself.
pub fn is_hidden(name: &str) -> bool {
    name.starts_with(HIDDEN)
}

/// What the names of flash messages begin with.
pub const FLASH: &str = "\u{1}flash";

/// What the name of a variable stands for that a session keeps for itself.
pub fn meaning(name: &str) -> Option<&'static str> {
    name.starts_with(FLASH).then_some("flash message")
}

/// The beginning of a caller's text without control characters, for an error message.
pub fn shown(text: &str) -> String {
    text.chars().take(64).map(|character| if character.is_control() { '\u{fffd}' } else { character }).collect()
}

/// Checks a name: 1 to `limit` characters, none of them a control character.
///
/// # Errors
///
/// Fails with `invalid-name`, whose text calls the name `what`.
pub fn check(what: &str, name: &str, limit: u32) -> Result<()> {
    verdict(what, name, limit).map_err(Error::InvalidName)
}

/// As [`check`], but fails with the text alone.
pub(crate) fn verdict(what: &str, name: &str, limit: u32) -> Result<(), String> {
    // Most names are printable ASCII, where a byte is a character.
    if (1..=limit as usize).contains(&name.len()) && name.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return Ok(());
    }
    let length = name.chars().count();
    if length == 0 {
        return Err(format!("{what} is empty; it must have 1 to {limit} characters"));
    }
    if length > limit as usize {
        return Err(format!("{what} has {length} characters; the limit is {limit}"));
    }
    if name.chars().any(char::is_control) {
        return Err(format!("{what} contains a control character, which no name may contain"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_shown_as_64_characters_at_most_none_of_them_a_control_character() {
        assert_eq!(shown("a\r\nb\u{85}é"), "a\u{fffd}\u{fffd}b\u{fffd}é");
        assert_eq!(shown(&"é".repeat(65)), "é".repeat(64));
    }

    #[test]
    fn length_is_counted_in_characters() {
        for name in ["a".repeat(32), "é".repeat(32)] {
            assert!(check("key", &name, 32).is_ok());
            assert!(check("key", &(name + "a"), 32).is_err());
        }
        assert!(matches!(check("key", &"é".repeat(33), 32), Err(Error::InvalidName(text)) if text.contains("33")));
    }

    #[test]
    fn empty_and_control_characters_are_refused() {
        for name in ["", "a\nb", "\0", "a\u{7f}"] {
            assert!(matches!(check("key", name, 32), Err(Error::InvalidName(_))), "{name:?}");
        }
    }
}
