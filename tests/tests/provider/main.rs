//! Stores whose drivers are components: `component:FILE?…`.

mod hostile;
