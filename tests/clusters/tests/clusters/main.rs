//! Clusters of servers that fail while clients use sessions in them.
//!
//! Each test starts a cluster on free ports of this machine, in a temporary folder, and ends it. Clients on two hosts use sessions
//! by the rules of `guest/rules`, as `lemon_session_history::visit` does, while a node is killed, suspended or cut off and another one
//! takes its place. What they saw is then checked: see docs/proof.md. docs/drivers.md has the table of results.
//!
//! `LEMON_TEST_JEPSEN=600` has faults happen for 600 seconds in each cluster (`make jepsen`), instead of a few once.
//! `LEMON_TEST_PEERS=2` has PHP, express-session and tower-sessions go through the same schedule as ours, twice (`make jepsen-peers`);
//! `LEMON_TEST_PEER=PHP` leaves those whose name contains it.
//! `LEMON_TEST_FAULT=killed` leaves those of these faults whose name contains it. `LEMON_TEST_SEED=N` has them happen in the order of
//! that seed, and `LEMON_TEST_ERRORS=1` prints the errors that hosts get.

mod clients;
mod costs;
mod faults;
mod galera;
mod logins;
mod mariadb;
mod pair;
mod peers;
mod pgbouncer;
mod postgres;
mod process;
mod proxy;
mod redis;
mod redis_cluster;
