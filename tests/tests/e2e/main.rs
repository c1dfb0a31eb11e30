//! What a visitor, an attacker and an operator see of the built command.

mod admin;
mod browser;
mod command;
mod endurance;
mod hostile;
mod races;
mod readme;
mod reload;
mod serve;
mod visits;
