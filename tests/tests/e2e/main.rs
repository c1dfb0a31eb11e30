//! What a visitor, an attacker and an operator see of the built command.

mod admin;
mod advice;
mod browser;
mod command;
mod connections;
mod console;
mod console_in_browser;
mod container;
mod dev;
mod device_bound;
mod doctor;
mod endurance;
mod examples;
mod failures;
mod faults;
mod foreign;
mod grants;
mod hostile;
mod large;
mod logins;
mod monitoring;
mod moving;
mod operating;
mod packages;
mod packaging;
mod races;
mod reload;
mod sealing;
mod serve;
mod shared;
mod visits;
mod welcome;

#[path = "../../../host/sql/testing/proxy.rs"]
#[allow(dead_code, reason = "the drivers' tests use the rest")]
mod proxy;
#[path = "../../../host/redis/tests/redis/servers.rs"]
#[allow(dead_code, reason = "the drivers' tests use the rest")]
mod redis_servers;
#[path = "../../../host/sql/testing/servers.rs"]
#[allow(dead_code, reason = "the drivers' tests use the rest")]
mod sql_servers;
