use std::fmt;

/// What a store's methods return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A call that a store could not complete. The text and the sources are for the operator's log and contain no digest, no value
/// and no password.
#[derive(Debug)]
pub struct Error {
    kind: Kind,
    message: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    MissingTables,
    UnknownLocation,
    Invalid,
    Unsupported,
    Unavailable,
    ClockOff,
}

impl Error {
    /// The tables are not there.
    pub fn missing_tables(message: impl Into<String>) -> Self {
        Self::new(Kind::MissingTables, message)
    }

    /// The location is not one that was configured.
    pub fn unknown_location(message: impl Into<String>) -> Self {
        Self::new(Kind::UnknownLocation, message)
    }

    /// The storage URL or an option beside it cannot be used; the message says what would be right.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(Kind::Invalid, message)
    }

    /// The driver does not implement the trait that the call needs.
    pub fn unsupported(message: impl Into<String>) -> Self {
        Self::new(Kind::Unsupported, message)
    }

    /// The clock of this host and that of the store differ too much.
    pub(crate) fn clock_off(message: impl Into<String>) -> Self {
        Self::new(Kind::ClockOff, message)
    }

    /// Anything else: the store cannot be reached, is too busy, is full or is broken.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(Kind::Unavailable, message)
    }

    /// Adds what caused it.
    pub fn with_source(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Whether the tables are not there.
    pub fn is_missing_tables(&self) -> bool {
        self.kind == Kind::MissingTables
    }

    /// Whether the location is not one that was configured.
    pub fn is_unknown_location(&self) -> bool {
        self.kind == Kind::UnknownLocation
    }

    /// Whether the configuration is at fault.
    pub fn is_invalid(&self) -> bool {
        self.kind == Kind::Invalid
    }

    /// Whether the driver lacks what the call needs.
    pub fn is_unsupported(&self) -> bool {
        self.kind == Kind::Unsupported
    }

    /// Whether the clock of this host and that of the store differ too much for what was asked. The store has not failed.
    pub fn is_clock_off(&self) -> bool {
        self.kind == Kind::ClockOff
    }

    /// The same error for another caller, without its source.
    pub fn again(&self) -> Self {
        Self::new(self.kind, self.message.clone())
    }

    fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|source| &**source as _)
    }
}
