//! Sessions for handlers of axum.

pub mod session;

#[cfg(test)]
mod tests;
