//! Stores whose drivers are components: `component:FILE?…`.

mod conformance;
mod hostile;
mod postgres;
mod serving;
