//! The header fields of both versions of wasi:http.

use std::fmt::Display;

/// The header fields of a response, to which [`Headers::append_to`](crate::Headers::append_to) appends: those of wasi:http
/// 0.2 with the feature `wasi-http`, and those of wasi:http 0.3 with the feature `async`.
pub trait Fields {
    /// Why a field cannot be added.
    type Error: Display;

    /// The values of the fields with this name.
    fn get(&self, name: &str) -> Vec<Vec<u8>>;

    /// Adds a field.
    ///
    /// # Errors
    ///
    /// Fails for immutable fields.
    fn append(&self, name: &str, value: &[u8]) -> Result<(), Self::Error>;

    /// Replaces the fields with this name by one.
    ///
    /// # Errors
    ///
    /// Fails for immutable fields.
    fn set(&self, name: &str, value: Vec<u8>) -> Result<(), Self::Error>;
}

macro_rules! fields {
    ($wasi:ident) => {
        impl Fields for $wasi::http::types::Fields {
            type Error = $wasi::http::types::HeaderError;

            fn get(&self, name: &str) -> Vec<Vec<u8>> {
                self.get(name)
            }

            fn append(&self, name: &str, value: &[u8]) -> Result<(), Self::Error> {
                self.append(name, value)
            }

            fn set(&self, name: &str, value: Vec<u8>) -> Result<(), Self::Error> {
                self.set(name, &[value])
            }
        }
    };
}

#[cfg(feature = "wasi-http")]
fields!(wasip2);
#[cfg(feature = "async")]
fields!(wasip3);
