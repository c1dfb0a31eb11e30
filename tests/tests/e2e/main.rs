//! What a visitor, an attacker and an operator see of the built command.

mod browser;
mod command;
mod hostile;
mod moving;
mod races;
mod readme;
mod serve;
mod visits;
