//! What a visitor, an attacker and an operator see of the built command.

mod browser;
mod command;
mod hostile;
mod serve;
mod visits;
