//! What a visitor, an attacker and an operator see of the built command.

mod admin;
mod browser;
mod command;
mod doctor;
mod endurance;
mod examples;
mod hostile;
mod moving;
mod operating;
mod packaging;
mod races;
mod readme;
mod reload;
mod serve;
mod visits;
