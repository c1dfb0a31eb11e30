//! The password, from the URL, a file or an environment variable.

use std::fmt;

use lemon_session_store::{Error, Result};

/// A password, which `Debug` does not show.
#[derive(Clone)]
pub struct Password(String);

impl Password {
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password")
    }
}

pub(super) fn password(
    in_url: Option<String>,
    file: Option<String>,
    variable: Option<String>,
) -> Result<Option<Password>> {
    let password = match (in_url, file, variable) {
        (None, None, None) => return Ok(None),
        (Some(password), None, None) => password,
        (None, Some(file), None) => {
            let text = std::fs::read_to_string(&file)
                .map_err(|error| Error::invalid(format!("cannot read the password-file {file:?}: {error}")))?;
            text.trim_end_matches(['\r', '\n']).to_owned()
        }
        (None, None, Some(variable)) => std::env::var(&variable).map_err(|_| {
            Error::invalid(format!("password-env names the environment variable {variable}, which is not set to text"))
        })?,
        _ => {
            return Err(Error::invalid(
                "the password is given more than once: give it in the storage URL, by password-file or by password-env",
            ));
        }
    };
    Ok(Some(Password(password)))
}
