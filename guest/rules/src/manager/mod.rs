//! Setting up the store and managing its sessions: `lemon:session/manager`. The caller's grant says what it may do.

use alloc::{format, string::String, vec::Vec};

use crate::{
    Env, Error, Result, World,
    details::Details,
    id::{self, Digest, parse_digest},
    settings::Grant,
    storage::{DETAILS, DestroyCondition, Failure, Listed, LoadOutcome, Loaded, Location, SessionRecord},
};

/// What is known of a stored session. Times are in seconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The SHA-256 digest of the session's id, in hexadecimal.
    pub digest: String,
    /// When it was created.
    pub created: u64,
    /// When it was last used, as precisely as the setting `touch-after` has uses written.
    pub accessed: u64,
    /// When it expires unless it is used again.
    pub expires: u64,
    /// Its owner.
    pub owner: Option<String>,
    /// The size of all names and values of its variables, in bytes.
    pub size: u64,
    /// When its owner last logged in. This and what follows is told of the sessions of one owner, and of a single session.
    pub authenticated_at: Option<u64>,
    /// How its owner logged in.
    pub method: Option<String>,
    /// What its owner calls it.
    pub label: Option<String>,
    /// The client's address when it began or when its owner logged in last, if the settings keep it.
    pub address: Option<String>,
    /// The client's `User-Agent` then, if the settings keep it.
    pub user_agent: Option<String>,
}

/// One page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The sessions, in the order of their digests.
    pub entries: Vec<Entry>,
    /// What to pass as `after` for the next page; `None` on the last.
    pub next: Option<String>,
}

/// The most sessions on one page of a list.
pub const PAGE: u32 = 1000;
/// The most sessions on one page of an owner's list, each of which is loaded for its details.
pub const OWNED_PAGE: u32 = 100;
/// The most sessions that one call cleans up.
pub const BATCH: u32 = 10_000;

/// Creates the tables; fails with all errors.
pub async fn create_tables<E: Env>(world: &World<E>, location: &Location) -> Result<(), Vec<Error>> {
    allow(world, "create-tables", Needs::All).map_err(|error| Vec::from([error]))?;
    world.env.create_tables(location).await.map_err(errors)
}

/// Removes the tables; fails with all errors.
pub async fn drop_tables<E: Env>(world: &World<E>, location: &Location) -> Result<(), Vec<Error>> {
    allow(world, "drop-tables", Needs::All).map_err(|error| Vec::from([error]))?;
    world.env.drop_tables(location).await.map_err(errors)
}

/// Whether the tables exist.
pub async fn tables_exist<E: Env>(world: &World<E>, location: &Location) -> Result<bool> {
    allow(world, "tables-exist", Needs::All)?;
    Ok(world.env.tables_exist(location).await?)
}

/// Removes expired sessions, at most `limit`.
pub async fn cleanup<E: Env>(world: &World<E>, location: &Location, limit: u32) -> Result<u32> {
    allow(world, "cleanup", Needs::All)?;
    Ok(world.env.cleanup(location, world.env.now(), limit.min(BATCH)).await?)
}

/// How many sessions are live.
pub async fn count<E: Env>(world: &World<E>, location: &Location) -> Result<u64> {
    allow(world, "count", Needs::All)?;
    Ok(world.env.count(location, world.env.now()).await?)
}

/// One page of live sessions.
pub async fn list<E: Env>(
    world: &World<E>,
    location: &Location,
    owner: Option<&str>,
    after: Option<&str>,
    limit: u32,
) -> Result<Page> {
    match owner {
        Some(_) => allow(world, "list with an owner", Needs::Owner)?,
        None => allow(world, "list without an owner", Needs::All)?,
    }
    let after = after.map(parse_digest).transpose()?;
    let limit = limit.clamp(1, if owner.is_some() { OWNED_PAGE } else { PAGE });
    let after = after.as_ref().map(|digest| &digest[..]);
    let listed = world.env.list(location, world.env.now(), owner, after, limit).await?;
    let is_full = listed.len() >= limit as usize;
    let next = listed.last().filter(|_| is_full).map(|listed| id::to_hex(&listed.digest));
    let mut entries = Vec::with_capacity(listed.len());
    for Listed { digest, record } in listed {
        match owner {
            Some(_) => entries.extend(load(world, location, &digest, owner).await?),
            None => entries.push(entry(&digest, record, &Details::new(Vec::new()))),
        }
    }
    Ok(Page { entries, next })
}

/// One live session; only a session of `owner` if that is given.
pub async fn get<E: Env>(
    world: &World<E>,
    location: &Location,
    session: &str,
    owner: Option<&str>,
) -> Result<Option<Entry>> {
    match owner {
        Some(_) => allow(world, "get with an owner", Needs::Owner)?,
        None => allow(world, "get without an owner", Needs::All)?,
    }
    let digest = parse_digest(session)?;
    if owner.is_some() {
        // Loading the digest of an ended session would count as a use of its id.
        let before = predecessor(&digest);
        let after = before.as_ref().map(|digest| &digest[..]);
        let listed = world.env.list(location, world.env.now(), owner, after, 1).await?;
        if listed.first().is_none_or(|listed| listed.digest != digest) {
            return Ok(None);
        }
    }
    load(world, location, &digest, owner).await
}

/// A live session with its details, if it is the owner's.
async fn load<E: Env>(
    world: &World<E>,
    location: &Location,
    digest: &[u8],
    owner: Option<&str>,
) -> Result<Option<Entry>> {
    let now = world.env.now();
    let outcome = world.load(location, digest, DETAILS, now, 0).await?;
    let LoadOutcome::Found(Loaded { record, details, .. }) = outcome else { return Ok(None) };
    let is_theirs = owner.is_none() || record.owner.as_deref() == owner;
    Ok(is_theirs.then(|| entry(digest, record, &Details::new(details))))
}

/// The digest before this one, in the order of lists; none before the first.
fn predecessor(digest: &Digest) -> Option<Digest> {
    let mut before = *digest;
    for byte in before.iter_mut().rev() {
        *byte = byte.wrapping_sub(1);
        if *byte != u8::MAX {
            return Some(before);
        }
    }
    None
}

/// Ends one session; only a session of `owner` if that is given.
pub async fn destroy<E: Env>(
    world: &World<E>,
    location: &Location,
    session: &str,
    owner: Option<&str>,
) -> Result<bool> {
    let only = match owner {
        Some(owner) => {
            allow(world, "destroy with an owner", Needs::Owner)?;
            DestroyCondition::Owned(owner.into())
        }
        None => {
            allow(world, "destroy without an owner", Needs::All)?;
            DestroyCondition::Any
        }
    };
    let digest = parse_digest(session)?;
    Ok(world.env.destroy(location, &digest, &only, world.env.now(), world.settings().remember_ended).await?)
}

/// Ends all sessions of an owner except one.
pub async fn destroy_owned<E: Env>(
    world: &World<E>,
    location: &Location,
    owner: &str,
    except: Option<&str>,
) -> Result<u64> {
    allow(world, "destroy-owned", Needs::Owner)?;
    let except = except.map(parse_digest).transpose()?;
    let except = except.as_ref().map(|digest| &digest[..]);
    Ok(world.env.destroy_owned(location, owner, except, world.env.now(), world.settings().remember_ended).await?)
}

/// The sessions that a function affects.
#[derive(PartialEq)]
enum Needs {
    /// The sessions of one owner.
    Owner,
    /// All sessions.
    All,
}

/// Refuses what the caller's grant does not include.
fn allow<E: Env>(world: &World<E>, function: &str, needs: Needs) -> Result<()> {
    let (granted, grant) = match world.env.caller().manager {
        Grant::All => return Ok(()),
        Grant::Owners => (needs == Needs::Owner, "owners"),
        Grant::None => (false, "none"),
    };
    if granted {
        return Ok(());
    }
    Err(Error::Denied(format!(
        "manager.{function} is refused: this application's grant is '{grant}' (the setting manager of [session] and the \
         section [session.manager] in lemon.ini)"
    )))
}

fn errors(failure: Failure) -> Vec<Error> {
    Vec::from([failure.into()])
}

fn entry(digest: &[u8], record: SessionRecord, details: &Details) -> Entry {
    Entry {
        digest: id::to_hex(digest),
        created: record.created,
        accessed: record.accessed,
        expires: record.expires,
        owner: record.owner,
        size: record.size,
        authenticated_at: details.authenticated_at(),
        method: details.method(),
        label: details.label(),
        address: details.address(),
        user_agent: details.user_agent(),
    }
}

#[cfg(test)]
mod tests;
