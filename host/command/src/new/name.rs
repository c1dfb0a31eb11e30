//! What an application may be called: a name that folders, cookies and the package managers of all languages take.

use std::{fmt, str::FromStr};

const LONGEST: usize = 64;

/// The name of an application.
#[derive(Clone, Debug)]
pub struct Name(String);

impl Name {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let is_part = |char: char| char.is_ascii_lowercase() || char.is_ascii_digit() || char == '-';
        if let Some(char) = name.chars().find(|char| !is_part(*char)) {
            return Err(format!("{char:?} is not a lower-case letter, a digit or a hyphen"));
        }
        if !name.starts_with(|char: char| char.is_ascii_lowercase()) || name.ends_with('-') {
            return Err("it must start with a lower-case letter and end with a letter or a digit".to_owned());
        }
        if name.len() > LONGEST {
            return Err(format!("it has {} characters; the limit is {LONGEST}", name.len()));
        }
        // Cargo does not take two packages of one name.
        if name == "lemon-session" {
            return Err("this is the name of the package that the application uses".to_owned());
        }
        Ok(Self(name.to_owned()))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_lower_case_letters_digits_and_hyphens() {
        let longest = "a".repeat(LONGEST);
        for name in ["shop", "a", "my-shop-2", &longest] {
            assert_eq!(name.parse::<Name>().unwrap().as_str(), name);
        }
        let why = |name: &str| name.parse::<Name>().unwrap_err();
        assert_eq!(why("Shop"), "'S' is not a lower-case letter, a digit or a hyphen");
        assert_eq!(why("../shop"), "'.' is not a lower-case letter, a digit or a hyphen");
        for name in ["", "2shop", "-shop", "shop-"] {
            assert_eq!(why(name), "it must start with a lower-case letter and end with a letter or a digit", "{name}");
        }
        assert_eq!(why(&"a".repeat(LONGEST + 1)), "it has 65 characters; the limit is 64");
        assert_eq!(why("lemon-session"), "this is the name of the package that the application uses");
    }
}
