//! Setting up the store and managing its sessions: `lemon:session/manager`.

use alloc::{format, vec::Vec};

use crate::{
    Env, Error, Result, World,
    bindings::{
        manager::{Entry, Page},
        storage::{Failure, Listed, Location},
    },
    id::{self, Key},
};

/// The most sessions on one page of a list.
pub const PAGE: u32 = 1000;
/// The most sessions that one call cleans up.
pub const BATCH: u32 = 10_000;

/// Creates the tables; the list of errors when there are any.
pub fn create_tables<E: Env>(world: &World<E>, location: &Location) -> Result<(), Vec<Error>> {
    world.env.create_tables(location).map_err(errors)
}

/// Removes the tables; the list of errors when there are any.
pub fn drop_tables<E: Env>(world: &World<E>, location: &Location) -> Result<(), Vec<Error>> {
    world.env.drop_tables(location).map_err(errors)
}

/// Whether the tables are there.
pub fn tables_exist<E: Env>(world: &World<E>, location: &Location) -> Result<bool> {
    Ok(world.env.tables_exist(location)?)
}

/// Removes expired sessions, at most `limit`.
pub fn cleanup<E: Env>(world: &World<E>, location: &Location, limit: u32) -> Result<u32> {
    Ok(world.env.cleanup(location, world.env.now(), limit.min(BATCH))?)
}

/// How many sessions are live.
pub fn count<E: Env>(world: &World<E>, location: &Location) -> Result<u64> {
    Ok(world.env.count(location, world.env.now())?)
}

/// One page of live sessions.
pub fn list<E: Env>(
    world: &World<E>,
    location: &Location,
    owner: Option<&str>,
    after: Option<&str>,
    limit: u32,
) -> Result<Page> {
    let after = after.map(digest).transpose()?;
    let limit = limit.clamp(1, PAGE);
    let after = after.as_ref().map(|key| &key[..]);
    let listed = world.env.list(location, world.env.now(), owner, after, limit)?;
    let entries: Vec<Entry> = listed.into_iter().map(entry).collect();
    let is_full = entries.len() >= limit as usize;
    let next = entries.last().filter(|_| is_full).map(|entry| entry.digest.clone());
    Ok(Page { entries, next })
}

/// Ends one session.
pub fn destroy<E: Env>(world: &World<E>, location: &Location, session: &str) -> Result<bool> {
    let key = digest(session)?;
    Ok(world.env.destroy(location, &key, world.env.now(), world.settings().remember_ended)?)
}

/// Ends all sessions of an owner, but one.
pub fn destroy_owned<E: Env>(world: &World<E>, location: &Location, owner: &str, except: Option<&str>) -> Result<u64> {
    let except = except.map(digest).transpose()?;
    let except = except.as_ref().map(|key| &key[..]);
    Ok(world.env.destroy_owned(location, owner, except, world.env.now(), world.settings().remember_ended)?)
}

fn errors(failure: Failure) -> Vec<Error> {
    Vec::from([failure.into()])
}

fn digest(text: &str) -> Result<Key> {
    id::from_hex(text).ok_or_else(|| {
        Error::InvalidName(format!("'{text}' is not the digest of a session: 64 hexadecimal digits are"))
    })
}

fn entry(listed: Listed) -> Entry {
    let record = listed.record;
    Entry {
        digest: id::to_hex(&listed.key),
        created: record.created,
        accessed: record.accessed,
        expires: record.expires,
        owner: record.owner,
        size: record.size,
    }
}
