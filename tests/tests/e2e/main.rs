//! What a visitor, an attacker and an operator see of the built command.

mod browser;
mod command;
mod doctor;
mod examples;
mod hostile;
mod moving;
mod operating;
mod packaging;
mod races;
mod readme;
mod serve;
mod visits;
