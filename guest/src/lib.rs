//! The session component of `lemon:session`.

#![no_std]
#![deny(missing_docs)]
