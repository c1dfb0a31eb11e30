//! `redis://`, `redis+sentinel://` and `redis+cluster://`: sessions in Redis or Valkey, alone, with Sentinel, or as a cluster. With
//! `rediss` in place of `redis` they are the same over TLS.
//!
//! A URL is `redis://USER:PASSWORD@HOST:PORT/DATABASE` for one server, and
//! `redis+cluster://USER:PASSWORD@HOST:PORT,HOST:PORT`, which names one or more nodes, for a cluster.
//! `redis+sentinel://USER:PASSWORD@HOST:PORT,HOST:PORT/PRIMARY/DATABASE` names sentinels, and the name that they know the primary by;
//! user, password and database are those of the primary, and sentinels are asked without a password. Redis 6 or later is needed.
//! Options:
//!
//! - `replicas`: how many replicas have to have a change before it counts as made; 0 unless given;
//! - `timeout`: how long a call may take, as `10s`; 5s unless given;
//! - `ca-file`: a PEM file with the certificates to trust instead of the system's;
//! - `password-file`, `password-env`: a file, or an environment variable, that holds the password, instead of the URL.
//!
//! # On WebAssembly
//!
//! On `wasm32-wasip2`, and natively with [`Redis::open_blocking`], the driver uses `std::net` instead of the asynchronous
//! clients of the crate `redis`, which then only encodes calls and parses answers. What is stored is the same, so native
//! hosts and components can use one server together. Differences:
//!
//! - A single server only: the URLs of a cluster and of sentinels are refused.
//! - `rediss://` needs the feature `tls`, and trusts `ca-file` or else Mozilla's list of authorities. The feature uses
//!   ring: for `wasm32-wasip2` that takes a C compiler for WebAssembly. `guest/providers/tls.mk` of the repository builds
//!   a provider with one.
//! - A call blocks its thread, and its future is ready when it is first polled. A connection is kept for the next call;
//!   one that the server has closed meanwhile is noticed before a call is sent. The timeout is that of a whole call,
//!   with connecting and repeats.
//! - What goes over many digests, such as `list`, asks for one after the other.
//! - The runtime has to allow connections, and the resolution of names if the URL has a name: with Wasmtime
//!   `-S inherit-network` and `-S allow-ip-name-lookup`.
//!
//! # What is stored
//!
//! | key | value |
//! | --- | --- |
//! | `Session:layout` | The version of this layout. It exists as long as the tables do. |
//! | `Session:s:DIGEST` | The entry of a digest, a hash. It holds either the session's record and variables, or the tombstone of an ended digest: how often it was used since, and the digest it leads to. |
//! | `Session:o:OWNER` | The index of an owner: a sorted set of the digests of the owner's sessions, by their expiry. |
//!
//! `Session` is the table. The field of a variable is `<length>:<application><name>`, where the length is that of the
//! application's name, in bytes; that of a detail is `0:<name>`. The fields of the record begin with a letter. Because a session is one Redis key, it is in one slot of a cluster and can only be
//! evicted as a whole.
//!
//! An update with `max_owned` counts the owner's live sessions in its script, so that the limit is exact. In a cluster, the index is in
//! another slot than the session, and the driver counts before the update: logins of one owner at the same moment can then exceed the
//! limit, each by one.
//!
//! `load`, `fetch`, `update` and `destroy` each run one Lua script, called by the hash of its text: atomic, and one
//! round trip. So does `create`, with one or two more round trips in a cluster. A load through a tombstone takes one
//! more. Times are in seconds; the latest that can be stored is 2^53 - 1, which replaces later ones.
//!
//! # Expiry
//!
//! The record and the clock decide whether a session has expired: the caller's, or the server's (`TIME`) if that is
//! earlier. Each key also has a time to live, which is five minutes longer than its content is needed. Redis then
//! removes it, so `cleanup` has nothing to do. An expired session therefore answers [`LoadOutcome::Expired`] for about
//! five minutes, and [`LoadOutcome::Absent`] afterwards.
//!
//! # In a cluster
//!
//! A script can access only one slot. An operation on several slots takes several steps, in an order that makes every
//! state in between safe to read, and safe to be left in by a host that dies there.
//!
//! An id rotation takes three steps:
//!
//! 1. A script copies the changed session to its new digest. The copy is *pending*.
//! 2. A script replaces the session at the old digest by a tombstone that names the copy, unless the session has
//!    changed since it was copied. This step decides.
//! 3. A script makes the copy the session: it is no longer pending.
//!
//! Of several concurrent rotations, one succeeds in step 2; the others remove their copies. A reader that finds a
//! pending copy reads the entry of the old digest. If that names the copy, the reader takes step 3 itself; otherwise
//! there is no session at the new digest. Before step 2 the session is at the old digest, afterwards at the new one,
//! and never at both or neither.
//!
//! A digest is added to an owner's index before its session gets the owner or a later expiry. It stays there until well
//! after that expiry, and the session records until when. So the index always holds all sessions of the owner. It may
//! hold other digests too, so the owner of each session is checked. `destroy_owned` goes over the index once, in
//! batches, and follows sessions whose id is rotated meanwhile. It ends all sessions that the owner had when it was
//! called.
//!
//! On a single server the index holds the owner's sessions, and for up to a day the digests of those that have expired.
//! `destroy_owned` ends them in batches, one script each, because a script blocks all other calls.
//!
//! A session that is found proves that the tables exist. The version of the layout is therefore read only where no
//! session is found, and before one is created.
//!
//! # For operators
//!
//! `count`, `list` without an owner, `reused` and `drop_tables` go over all keys of the server, or of each master of
//! the cluster, with `SCAN`. They block no other calls, and are exact as far as nothing changes meanwhile. While slots
//! are being moved to other nodes, they may miss sessions in these slots. Each page of `list` takes a pass over all
//! keys.
//!
//! `maxmemory-policy` should be `noeviction`: a server that is out of memory then refuses saves, and keeps all
//! sessions. `volatile-ttl` evicts the sessions that would expire first, each as a whole. It may also evict an owner's
//! index, and `destroy_owned` then misses sessions. The policies `allkeys-…` may evict `Session:layout`, and then all
//! calls fail because the tables are missing.
//!
//! Redis replicates and writes to disk after it has answered. A power failure or a failover can therefore undo a save
//! or a `destroy`: with `appendfsync everysec`, those of about the last second. A session whose `destroy` was undone is
//! live again until it expires. `appendfsync always` avoids the former, and the option `replicas` most of the latter; or keep
//! sessions in SQL.
//!
//! With `replicas = 1`, each change is followed by `WAIT`, and is an error unless a replica has it within half of `timeout`: then it
//! may or may not have taken effect. What was acknowledged survives the end of the primary if the replica that is promoted is one
//! that has it. Sentinel and Redis Cluster promote the one that has received most, so this holds as long as that one can be reached;
//! with as many `replicas` as there are, it always does. What is not avoided: a load, or a refusal such as `gone`, may tell of a
//! change that no replica has yet, and that a failover undoes. A primary that is cut off from its replicas goes on answering loads,
//! also after another one was promoted. Changes go over a connection of their own, because `WAIT` holds up what is sent after it: one
//! host makes about as many changes a second as there are round trips to a replica in it.
//!
//! With sentinels, a call that fails for want of an answer or of replicas has the next one ask the sentinels for the primary.
//!
//! A call fails if its connection is lost before the answer arrives; it may or may not have taken effect. Only calls
//! that change nothing are repeated.

#![deny(missing_docs)]

mod change;
mod check;
mod create;
mod destroy;
mod errors;
mod find;
mod index;
mod keys;
mod layout;
mod options;
mod reply;
mod rotation;
mod scan;
mod script;
mod server;
mod transport;

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt, stream};
use lemon_session_store::{
    Change, CreateOutcome, DETAILS, DestroyCondition, Digest, Error, Inspect, Listed, LoadOutcome, Loaded, Record,
    Result, Schema, Snapshot, StorageOptions, Store, Stored, TableName, Transfer, UpdateOutcome, Variable, Write,
    Writes,
    registry::{Open, Opening},
};
use redis::Value;

use self::{
    change::Changes,
    find::Found,
    keys::{ENTRIES, field, names, prefix},
    layout::LAYOUT,
    options::Address,
    reply::{Reply, Word, unexpected},
    rotation::Copy,
    script::{Args, Script},
    server::{Repeat, Server},
};

/// The schemes of its URLs, for [`Registry::register`](lemon_session_store::Registry::register).
pub const SCHEMES: [(&str, Open); 6] = [
    ("redis", Redis::open),
    ("rediss", Redis::open),
    ("redis+cluster", Redis::open),
    ("rediss+cluster", Redis::open),
    ("redis+sentinel", Redis::open),
    ("rediss+sentinel", Redis::open),
];

/// The most calls that one operation has under way at once, and the most sessions that one script ends: a script blocks
/// all other calls.
const AT_ONCE: usize = 100;
/// The most steps of a call before it gives up. A step follows a tombstone, or repeats what a concurrent change has
/// outrun.
const STEPS: usize = 100;

/// Sessions in Redis.
pub struct Redis {
    server: Server,
    table: TableName,
}

impl Redis {
    /// Connects to the server or the cluster that the URL names.
    ///
    /// # Errors
    ///
    /// Fails if the URL or an option is wrong, if the server does not answer or refuses the user, and if it is a
    /// replica or a node of a cluster in place of a single server.
    pub fn open(options: StorageOptions) -> Opening {
        Box::pin(async move {
            let address = Address::new(&options)?;
            let (name, timeout, replicas) = (address.to_string(), address.timeout, address.replicas);
            let server = Server::new(transport::connect(address).await?, name, timeout, replicas);
            Ok(Arc::new(Self { server, table: options.table }) as Arc<dyn Store>)
        })
    }

    /// Connects to a single server over `std::net`. A call then blocks its thread until it is answered, and needs no
    /// tokio; in a task of tokio it belongs into `spawn_blocking`. On WebAssembly, [`open`](Self::open) does the same.
    ///
    /// # Errors
    ///
    /// Fails where `open` does, and if the URL is that of a cluster, or demands TLS and the crate is built without its
    /// feature `tls`.
    pub fn open_blocking(options: StorageOptions) -> Opening {
        Box::pin(async move {
            let address = Address::new(&options)?;
            let (name, timeout, replicas) = (address.to_string(), address.timeout, address.replicas);
            let server = Server::new(transport::socket::connect(address).await?, name, timeout, replicas);
            Ok(Arc::new(Self { server, table: options.table }) as Arc<dyn Store>)
        })
    }

    /// Calls a script on a Redis key of this store; on a single server also on the layout and on `further` keys.
    async fn call(
        &self,
        script: &Script,
        key: String,
        further: &[String],
        args: &Args,
        repeat: Repeat,
    ) -> Result<Reply> {
        let mut keys = vec![key];
        if !self.server.is_cluster() {
            keys.push(self.layout());
            keys.extend_from_slice(further);
        }
        let mut reply = self.server.call(script, &keys, args, repeat).await?;
        match reply.word() {
            Word::Layout => Err(self.wrong_layout(reply.bytes_if()?)),
            _ => Ok(reply),
        }
    }

    /// Some fields of a digest's entry.
    async fn fields(&self, key: &Digest, names: &[&str]) -> Result<Vec<Option<Vec<u8>>>> {
        let mut get = redis::cmd("HMGET");
        get.arg(self.entry(key)).arg(names);
        reply::list(self.server.command(get).await?)
    }

    fn restless(&self) -> Error {
        Error::unavailable(format!("{}: a session changed so often that a call gave up", self.server.name()))
    }
}

#[async_trait]
impl Store for Redis {
    fn summary(&self) -> String {
        self.server.name().to_owned()
    }

    async fn load(&self, key: &Digest, app: &str, now: u64, inline_bytes: u32) -> Result<LoadOutcome> {
        let prefix = prefix(app);
        let (mut reply, renewal) =
            match self.find(&script::LOAD, key, now, &[&prefix, inline_bytes.to_string().as_bytes()]).await? {
                Found::Session { reply, renewal } => (reply, renewal),
                Found::Absent => return Ok(LoadOutcome::Absent),
                Found::Expired => return Ok(LoadOutcome::Expired),
                Found::Ended => return Ok(LoadOutcome::Ended),
                Found::Sealed if self.reuse(key, now).await? => return Ok(LoadOutcome::Ended),
                Found::Sealed => return Ok(LoadOutcome::Absent),
            };
        let record = reply.record()?;
        let details_prefix = keys::prefix(DETAILS);
        let (mut details, mut variables) = (Vec::new(), Vec::new());
        while let Some(field) = reply.next() {
            let field = reply::bytes_if(field)?.unwrap_or_default();
            let (of, name) = match field.strip_prefix(details_prefix.as_slice()) {
                Some(name) => (&mut details, Some(name)),
                None => (&mut variables, field.strip_prefix(prefix.as_slice())),
            };
            let name = name.ok_or_else(|| unexpected("another application's variable"))?;
            let value = match reply.next() {
                Some(Value::BulkString(bytes)) => Stored::Inline(bytes),
                Some(Value::Int(size)) => Stored::Large(size.unsigned_abs()),
                _ => return Err(unexpected("a variable without a value")),
            };
            of.push(Variable { name: reply::utf8(name.to_vec())?, value });
        }
        for found in [&mut details, &mut variables] {
            found.sort_by(|a: &Variable, b| a.name.cmp(&b.name));
        }
        Ok(LoadOutcome::Found(Loaded { record, details, variables, renewal }))
    }

    async fn fetch(&self, key: &Digest, app: &str, name: &str, now: u64) -> Result<Option<Vec<u8>>> {
        match self.find(&script::FETCH, key, now, &[&field(app, name)]).await? {
            Found::Session { mut reply, .. } => reply.bytes_if(),
            _ => Ok(None),
        }
    }

    async fn create(&self, key: &Digest, record: &Record, writes: &Writes) -> Result<CreateOutcome> {
        let record = Record { version: 1, ..record.clone() };
        let created = self.store(key, &record, writes, None, record.accessed).await?;
        Ok(if created { CreateOutcome::Created } else { CreateOutcome::Exists })
    }

    async fn update(&self, key: &Digest, change: &Change, expected: Option<u64>, now: u64) -> Result<UpdateOutcome> {
        let changes = Changes::new(change, expected, now);
        let new = change.rotation.iter().map(|rotation| self.entry(&rotation.to)).collect::<Vec<_>>();
        let mut indexed = String::new();
        let mut max_owned = change.max_owned;
        for _ in 0..STEPS {
            let args = changes.args(&indexed, "", max_owned);
            let mut reply = self.call(&script::UPDATE, self.entry(key), &new, &args, Repeat::Never).await?;
            if let (Word::Move, Some(rotation)) = (reply.word(), &change.rotation) {
                match self.rename(key, &changes, rotation, Copy::new(reply)?, now).await? {
                    Some(decided) => reply = decided,
                    None => continue,
                }
            }
            match reply.word() {
                Word::Committed => return Ok(UpdateOutcome::Committed(reply.number()?)),
                Word::Conflict => return Ok(UpdateOutcome::Conflict(reply.number()?)),
                Word::Large => return Ok(UpdateOutcome::TooLarge(reply.number()?)),
                Word::Owned => return Ok(UpdateOutcome::TooManyOwned(reply.number()?)),
                Word::Count => {
                    let others = self.live_owned(&reply.text()?, now).await?;
                    if max_owned.take().is_some_and(|most| others >= most.into()) {
                        return Ok(UpdateOutcome::TooManyOwned(others));
                    }
                }
                Word::Taken => return Err(Error::unavailable("the new digest of a session is taken")),
                Word::Index => {
                    let (owner, expires) = (reply.text()?, reply.number()?);
                    indexed = format!("{}:{owner}", self.add_to_index(&owner, key, expires, now).await?);
                }
                Word::Pending if self.settle(key, &reply.text()?, now).await? => {}
                _ => {
                    self.check_absence().await?;
                    return Ok(UpdateOutcome::Gone);
                }
            }
        }
        Err(self.restless())
    }

    async fn destroy(&self, key: &Digest, only: &DestroyCondition, now: u64, remember: u32) -> Result<bool> {
        let args = Args::at(now).number(remember.into()).condition(only).bytes(b"");
        let ended = self.end(key, false, &args, now).await?;
        if !ended {
            self.check_absence().await?;
        }
        Ok(ended)
    }

    async fn destroy_owned(&self, owner: &str, except: Option<&Digest>, now: u64, remember: u32) -> Result<u64> {
        let spared = match except {
            Some(key) => self.identity(key, now).await?,
            None => Vec::new(),
        };
        let mut ended = 0;
        if !self.server.is_cluster() {
            let args = Args::at(now).number(remember.into()).bytes(&spared).number(AT_ONCE as u64);
            loop {
                let mut reply = self.call(&script::DESTROY_OWNED, self.index(owner), &[], &args, Repeat::Never).await?;
                ended += reply.number()?;
                if reply.number()? < AT_ONCE as u64 {
                    return Ok(ended);
                }
            }
        }
        self.check_layout().await?;
        let args = &Args::at(now).number(remember.into()).text(&format!("={owner}")).bytes(&spared);
        let mut cursor = Some(0);
        while let Some(at) = cursor {
            let (next, keys) = self.owned_from(owner, at).await?;
            let ends = stream::iter(keys).map(|key| async move { self.end(&key, true, args, now).await });
            let ends: Vec<bool> = ends.buffer_unordered(AT_ONCE).try_collect().await?;
            ended += ends.into_iter().filter(|ended| *ended).count() as u64;
            cursor = next;
        }
        Ok(ended)
    }

    async fn cleanup(&self, _now: u64, _limit: u32) -> Result<u32> {
        self.check_layout().await?;
        Ok(0)
    }

    fn inspect(&self) -> Option<&dyn Inspect> {
        Some(self)
    }

    fn transfer(&self) -> Option<&dyn Transfer> {
        Some(self)
    }

    fn schema(&self) -> Option<&dyn Schema> {
        Some(self)
    }
}

#[async_trait]
impl Inspect for Redis {
    async fn count(&self, now: u64) -> Result<u64> {
        self.check_layout().await?;
        let now = now.min(self.server.time().await?);
        let (mut seen, mut live) = (HashSet::new(), 0);
        let mut pass = self.pass(ENTRIES).await?;
        while let Some(mut keys) = pass.keys().await? {
            keys.retain(|key| seen.insert(*key));
            live += self.live_ones(keys, now).await?.len() as u64;
        }
        Ok(live)
    }

    async fn reused(&self, now: u64) -> Result<u64> {
        self.check_layout().await?;
        let now = now.min(self.server.time().await?);
        let (mut seen, mut reused) = (HashSet::new(), 0);
        let mut pass = self.pass(ENTRIES).await?;
        while let Some(mut keys) = pass.keys().await? {
            keys.retain(|key| seen.insert(*key));
            let asked = stream::iter(keys).map(|key| async move { self.fields(&key, &["remembered", "reused"]).await });
            let answers: Vec<_> = asked.buffer_unordered(AT_ONCE).try_collect().await?;
            for fields in answers {
                if let [Some(remembered), Some(times)] = fields.as_slice()
                    && now < reply::number(remembered)?
                {
                    reused += reply::number(times)?;
                }
            }
        }
        Ok(reused)
    }

    async fn list(&self, now: u64, owner: Option<&str>, after: Option<&Digest>, limit: u32) -> Result<Vec<Listed>> {
        self.check_layout().await?;
        let limit = limit as usize;
        if limit == 0 {
            return Ok(Vec::new());
        }
        let now = now.min(self.server.time().await?);
        let follows = |key: &Digest| after.is_none_or(|after| key > after);
        if let Some(owner) = owner {
            let mut keys: Vec<Digest> = self.owned(owner).await?.into_iter().filter(follows).collect();
            let mut listed = Vec::new();
            while listed.len() < limit && !keys.is_empty() {
                let rest = keys.split_off(AT_ONCE.min(keys.len()));
                let live = self.live_ones(std::mem::replace(&mut keys, rest), now).await?;
                listed.extend(live.into_iter().filter(|listed| listed.record.owner.as_deref() == Some(owner)));
            }
            listed.truncate(limit);
            return Ok(listed);
        }
        // The first ones of those found so far.
        let mut first: BTreeMap<Digest, Listed> = BTreeMap::new();
        let mut pass = self.pass(ENTRIES).await?;
        while let Some(keys) = pass.keys().await? {
            let last = first.last_key_value().filter(|_| first.len() == limit).map(|(key, _)| *key);
            let keys = keys.into_iter().filter(|key| follows(key) && last.is_none_or(|last| *key < last));
            for listed in self.live_ones(keys, now).await? {
                first.insert(listed.digest, listed);
            }
            while first.len() > limit {
                first.pop_last();
            }
        }
        Ok(first.into_values().collect())
    }

    async fn describe(&self, key: &Digest, now: u64) -> Result<Option<(Record, Vec<(String, String, u64)>)>> {
        for _ in 0..STEPS {
            let mut reply = self.call(&script::DESCRIBE, self.entry(key), &[], &Args::at(now), Repeat::Safe).await?;
            match reply.word() {
                Word::Found => {
                    let record = reply.record()?;
                    let mut variables = Vec::new();
                    while let Some(field) = reply.next() {
                        let (app, name) = names(reply::bytes_if(field)?.unwrap_or_default())?;
                        let Some(Value::Int(size)) = reply.next() else {
                            return Err(unexpected("a variable without a size"));
                        };
                        variables.push((app, name, size.unsigned_abs()));
                    }
                    variables.sort();
                    return Ok(Some((record, variables)));
                }
                Word::Pending if self.settle(key, &reply.text()?, now).await? => {}
                _ => {
                    self.check_absence().await?;
                    return Ok(None);
                }
            }
        }
        Err(self.restless())
    }

    async fn clock(&self) -> Result<Option<u64>> {
        self.server.time().await.map(Some)
    }
}

#[async_trait]
impl Transfer for Redis {
    async fn export(&self, key: &Digest, now: u64) -> Result<Option<Snapshot>> {
        for _ in 0..STEPS {
            let mut reply = self.call(&script::EXPORT, self.entry(key), &[], &Args::at(now), Repeat::Safe).await?;
            match reply.word() {
                Word::Found => {
                    let record = reply.record()?;
                    let mut variables = Vec::new();
                    while let Some(field) = reply.next() {
                        let (app, name) = names(reply::bytes_if(field)?.unwrap_or_default())?;
                        variables.push(Write { app, name, value: Some(reply.bytes()?) });
                    }
                    return Ok(Some(Snapshot { record, variables: variables.into() }));
                }
                Word::Pending if self.settle(key, &reply.text()?, now).await? => {}
                _ => {
                    self.check_absence().await?;
                    return Ok(None);
                }
            }
        }
        Err(self.restless())
    }

    async fn import(&self, key: &Digest, snapshot: &Snapshot, over: Option<u64>, now: u64) -> Result<bool> {
        self.store(key, &snapshot.record, &snapshot.variables, over, now).await
    }
}

#[async_trait]
impl Schema for Redis {
    async fn create_tables(&self) -> Result<()> {
        let mut set = redis::cmd("SET");
        set.arg(self.layout()).arg(LAYOUT).arg("NX");
        self.server.command(set).await?;
        self.check_layout().await
    }

    async fn drop_tables(&self) -> Result<()> {
        let unlink = |names: Vec<Vec<u8>>| {
            let mut unlink = redis::cmd("UNLINK");
            unlink.arg(names);
            unlink
        };
        // First, so that nothing is stored any more.
        self.server.command(unlink(vec![self.layout().into_bytes()])).await?;
        let mut pass = self.pass("").await?;
        while let Some(names) = pass.names().await? {
            // In a cluster, each key is in a slot of its own.
            let size = if self.server.is_cluster() { 1 } else { names.len().max(1) };
            let commands: Vec<_> = names.chunks(size).map(|names| unlink(names.to_vec())).collect();
            let sent = stream::iter(commands).map(|unlink| self.server.command(unlink));
            let _: Vec<_> = sent.buffer_unordered(AT_ONCE).try_collect().await?;
        }
        Ok(())
    }

    async fn tables_exist(&self) -> Result<bool> {
        match self.stored_layout().await? {
            None => Ok(false),
            Some(version) if version == LAYOUT.as_bytes() => Ok(true),
            other => Err(self.wrong_layout(other)),
        }
    }
}
