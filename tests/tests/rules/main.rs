//! The rules of sessions, through the session component as it is shipped: over every driver, and over every order in which
//! the storage calls of concurrent requests can come.

mod drivers;
mod interleavings;
mod model;
mod rules;
mod schedule;
mod site;
mod wrapped;
