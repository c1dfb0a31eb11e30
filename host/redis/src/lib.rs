//! `redis://` and `redis+cluster://`: sessions in Redis, or in a Redis Cluster. With `rediss` in place of `redis`, over TLS.
//!
//! URLs are `redis://USER:PASSWORD@HOST:PORT/DATABASE` and `redis+cluster://USER:PASSWORD@HOST:PORT,HOST:PORT`, with one or
//! more nodes of the cluster. Options: `password-file` or `password-env` name a file or an environment variable that holds
//! the password; `ca-file` certificates (PEM) to trust in place of the system's; `timeout` how long a call may
//! take, as `10s`; 5s unless given. Redis 6 or later is needed.
//!
//! # What is stored
//!
//! | key | what it is |
//! | --- | --- |
//! | `Session:layout` | the version of this layout: the tables are there. |
//! | `Session:s:KEY` | all that is known of a session's key, in one hash: the session's record and its variables; or that it has ended, how often it was presented since, and where it leads. |
//! | `Session:o:OWNER` | the keys of the owner's sessions, a sorted set by their expiry. |
//!
//! `Session` is the table. A variable is the field `<bytes of the application's name>:<application><name>`. As a session is
//! one Redis key, it is in one slot of a cluster, and can only be evicted as a whole.
//!
//! `load`, `fetch`, `update` and `destroy` are one Lua script each, called by its digest: atomic, and one round trip. So is
//! `create`, with one more in a cluster. A former key within its grace costs one more, too. Times are in seconds up to
//! 2^53 - 1; later ones are taken for that one.
//!
//! # Expiry
//!
//! Whether a session has expired is told by its record and the caller's clock. Each entry also has a time to live, five
//! minutes longer than it can mean anything, by which Redis removes it: `cleanup` has nothing to do. An expired session
//! therefore answers [`LoadOutcome::Expired`] for about five minutes, and [`LoadOutcome::Absent`] from then on. The clocks of
//! hosts may differ by those five minutes.
//!
//! # In a cluster
//!
//! A script reaches one slot, so that what concerns several slots takes steps, in an order in which each state between them
//! is safe to read and to be left in by a host that dies there.
//!
//! A rename copies the session, changed, to its new key, where it is *pending* (1). Then the old key's script makes it a
//! former or ended key that names the copy, if the session is still the one that was copied: this decides (2). Then the copy
//! stops being pending (3). Of several renames one decides; the copies of the others are removed. Who finds a pending
//! session asks its old key: if that names the copy, the reader takes step 3 itself; if not, there is no such session. After
//! (1) the session is the old key's, after (2) the new key's, and never both or neither.
//!
//! An owner's index gets a session's key before the session gets the owner or a later expiry, until a time well after its
//! expiry, and the session notes until when. So the index holds all of the owner's sessions at all times, and a key that
//! should not be there does no harm, as each session is asked. `destroy_owned` goes over the index once, some keys at a time,
//! and follows those that were renamed meanwhile: it ends all sessions that the owner had when it was called.
//!
//! On a single server the index holds the owner's sessions exactly, and `destroy_owned` ends those in it, some in each script,
//! until there are none: a script holds up all others.
//!
//! The version of the layout is only asked for where there is no session: a session that is there proves the tables.
//!
//! # For operators
//!
//! `count`, `list` without an owner, `reused` and `drop_tables` go over all keys of the server, or of each of the cluster's
//! masters, with `SCAN`: they are exact for what does not change meanwhile, and hold up nobody. In a cluster whose slots are
//! being moved they may miss sessions on their way. A page of `list` costs one pass over all keys.
//!
//! `maxmemory-policy` should be `noeviction`: without memory, saves then fail, and nobody is logged out. `volatile-ttl` drops
//! the sessions that would expire first, each as a whole; but it may drop an owner's index as well, and `destroy_owned` then
//! misses sessions. The policies `allkeys-…` may drop `Session:layout`, after which all calls answer that the tables are
//! missing.
//!
//! Redis replicates and writes to disk after it has answered. A save can be lost with a power failure (up to a second with
//! `appendfsync everysec`) or with a failover, and so can a `destroy`: the session is then back until it expires. Where
//! that is too much, set `appendfsync always`, and `min-replicas-to-write`, or keep sessions in SQL.
//!
//! A call whose connection is lost before the answer is an error: it was made or not. Only calls that change nothing are
//! repeated.

#![deny(missing_docs)]

mod options;
mod reply;
mod script;
mod server;
mod single;

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::Arc,
};

use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt, stream};
use lemon_session_store::{
    Change, CreateOutcome, DestroyCondition, Error, Inspect, Key, Listed, LoadOutcome, Loaded, Record, Rename, Result,
    Schema, Snapshot, StorageOptions, Store, Stored, TableName, Transfer, UpdateOutcome, Variable, Write, Writes,
    registry::{Open, Opening},
};
use rand::{TryRng, rngs::SysRng};
use redis::Value;

use self::{
    options::Address,
    reply::{RECORD, Reply, Word, unexpected},
    script::{Args, FAR, Script},
    server::{Node, PAGE, Repeat, Server},
};

/// The schemes of its URLs, for [`Registry::register`](lemon_session_store::Registry::register).
pub const SCHEMES: [(&str, Open); 4] =
    [("redis", Redis::open), ("rediss", Redis::open), ("redis+cluster", Redis::open), ("rediss+cluster", Redis::open)];

/// The version of the layout that this driver knows.
const LAYOUT: &str = "1";
/// What the names of the entries of sessions' keys begin with, after the table.
const ENTRIES: &str = "s:";
/// How many calls are under way at once where there are many to make, and how many sessions a script ends at most: for so long
/// a server answers nobody else.
const AT_ONCE: usize = 100;
/// After how many steps something that always ends is given up.
const STEPS: usize = 100;

/// Sessions in Redis.
pub struct Redis {
    server: Server,
    table: TableName,
}

/// Where a key led to.
enum Found {
    Session {
        reply: Reply,
        /// The nonce of the former key that led there.
        renewal: Option<Vec<u8>>,
    },
    Absent,
    Expired,
    Ended,
}

impl Redis {
    /// Connects to the server or the cluster that the URL names.
    pub fn open(options: StorageOptions) -> Opening {
        Box::pin(async move {
            let address = Address::new(&options).await?;
            let server = Server::connect(&address).await?;
            Ok(Arc::new(Self { server, table: options.table }) as Arc<dyn Store>)
        })
    }

    fn layout(&self) -> String {
        format!("{}:layout", self.table)
    }

    fn entry(&self, key: &Key) -> String {
        format!("{}:{ENTRIES}{}", self.table, key.to_hex())
    }

    fn index(&self, owner: &str) -> String {
        format!("{}:o:{owner}", self.table)
    }

    /// Calls a script on a key of this store, and on `further` ones where there are no slots.
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

    fn wrong_layout(&self, version: Option<Vec<u8>>) -> Error {
        match version {
            None => {
                Error::missing_tables(format!("{} has no table {}: create it first", self.server.name(), self.table))
            }
            Some(version) => Error::unavailable(format!(
                "table {} on {} has version {:?} of its layout, and this version of lemon-session knows {LAYOUT}",
                self.table,
                self.server.name(),
                String::from_utf8_lossy(&version),
            )),
        }
    }

    /// The version of the layout that is there, if there is one.
    async fn stored_layout(&self) -> Result<Option<Vec<u8>>> {
        let mut get = redis::cmd("GET");
        get.arg(self.layout());
        reply::bytes_if(self.server.command(get).await?)
    }

    async fn check_layout(&self) -> Result<()> {
        match self.stored_layout().await? {
            Some(version) if version == LAYOUT.as_bytes() => Ok(()),
            other => Err(self.wrong_layout(other)),
        }
    }

    /// Where nothing was found: a cluster's scripts do not know whether the tables are there.
    async fn check_absence(&self) -> Result<()> {
        if self.server.is_cluster() { self.check_layout().await } else { Ok(()) }
    }

    /// Calls `LOAD` or `FETCH` where a key leads.
    async fn find(&self, script: &Script, key: &Key, now: u64, args: &[&[u8]]) -> Result<Found> {
        let (mut at, mut identity, mut renewal) = (*key, Vec::new(), None);
        for _ in 0..STEPS {
            let given = Args::at(now).bytes(&identity).many(args.iter().copied());
            let mut reply = self.call(script, self.entry(&at), &[], &given, Repeat::Safe).await?;
            match reply.word() {
                Word::Found => return Ok(Found::Session { reply, renewal }),
                Word::Follow => {
                    at = reply.key()?;
                    identity = reply.bytes()?;
                    let nonce = reply.bytes()?;
                    renewal.get_or_insert(nonce);
                }
                Word::Pending if self.settle(&at, &reply.text()?, now).await? => {}
                // A former key that leads nowhere has ended.
                _ if renewal.is_some() => {
                    return Ok(
                        match self
                            .call(&script::REUSE, self.entry(key), &[], &Args::at(now), Repeat::Safe)
                            .await?
                            .word()
                        {
                            Word::Ended => Found::Ended,
                            _ => Found::Absent,
                        },
                    );
                }
                Word::Expired => return Ok(Found::Expired),
                Word::Ended => return Ok(Found::Ended),
                _ => {
                    self.check_absence().await?;
                    return Ok(Found::Absent);
                }
            }
        }
        Err(self.restless())
    }

    /// The identity of the session that a key leads to; empty where it leads to none.
    async fn identity(&self, key: &Key, now: u64) -> Result<Vec<u8>> {
        let (mut at, mut identity) = (*key, Vec::new());
        for _ in 0..STEPS {
            let given = Args::at(now).bytes(&identity);
            let mut reply = self.call(&script::IDENTITY, self.entry(&at), &[], &given, Repeat::Safe).await?;
            match reply.word() {
                Word::Found => return reply.bytes(),
                Word::Follow => {
                    at = reply.key()?;
                    identity = reply.bytes()?;
                }
                Word::Pending if self.settle(&at, &reply.text()?, now).await? => {}
                _ => return Ok(Vec::new()),
            }
        }
        Err(self.restless())
    }

    fn restless(&self) -> Error {
        Error::unavailable(format!("{}: a session changed so often that a call gave up", self.server.name()))
    }

    /// Finishes the rename that left a session pending, or tells that there is none.
    async fn settle(&self, key: &Key, pending: &str, now: u64) -> Result<bool> {
        let (from, token) = pending.split_at_checked(64).ok_or_else(|| unexpected("a wrong pending session"))?;
        let from = Key::from_hex(from).ok_or_else(|| unexpected("a wrong pending session"))?;
        let left = self.fields(&from, &["to", "token"]).await?;
        if left != [Some(key.to_hex().into_bytes()), Some(token.as_bytes().to_vec())] {
            return Ok(false);
        }
        self.finish(key, pending, true, now).await?;
        Ok(true)
    }

    /// Makes a pending copy the session, or removes it.
    async fn finish(&self, key: &Key, pending: &str, keep: bool, now: u64) -> Result<()> {
        let args = Args::at(now).text(pending).text(if keep { "keep" } else { "drop" });
        self.call(&script::SETTLE, self.entry(key), &[], &args, Repeat::Safe).await.map(drop)
    }

    async fn fields(&self, key: &Key, names: &[&str]) -> Result<Vec<Option<Vec<u8>>>> {
        let mut get = redis::cmd("HMGET");
        get.arg(self.entry(key)).arg(names);
        reply::list(self.server.command(get).await?)
    }

    /// The record of a live session.
    async fn live(&self, key: &Key, now: u64) -> Result<Option<Record>> {
        for _ in 0..STEPS {
            let mut fields = self.fields(key, &[&RECORD[..], &["pending"]].concat()).await?;
            match fields.pop().flatten().map(reply::utf8).transpose()? {
                Some(pending) if self.settle(key, &pending, now).await? => {}
                Some(_) => return Ok(None),
                // Without a session, there is nothing or the end of one.
                None if fields.first().is_none_or(Option::is_none) => return Ok(None),
                None => return Ok(Some(reply::record(fields)?).filter(|record| now < record.expires)),
            }
        }
        Err(self.restless())
    }

    /// In a cluster: adds a key to its owner's index, until well after it expires. Returns until when.
    async fn add_to_index(&self, owner: &str, key: &Key, expires: u64, now: u64) -> Result<u64> {
        // Twice as long as the session may last now: it will most likely be used again, and then there is nothing to do.
        let until = expires.saturating_add(expires.saturating_sub(now)).min(FAR);
        let args = Args::at(now).key(key).time(until);
        self.call(&script::INDEX, self.index(owner), &[], &args, Repeat::Safe).await?;
        Ok(until)
    }

    /// Stores a session whose key is free at `now`, or puts it in place of a live one of the version `over`; false when there
    /// is something else.
    async fn store(&self, key: &Key, record: &Record, writes: &Writes, over: Option<u64>, now: u64) -> Result<bool> {
        if self.server.is_cluster() {
            self.check_layout().await?;
        }
        let puts: Vec<_> = writes
            .iter()
            .filter_map(|Write { app, name, value }| Some((field(app, name), value.as_deref()?)))
            .collect();
        let (mut expires, identity) = (record.expires, random_token()?);
        for _ in 0..STEPS {
            let mut indexed = None;
            if let Some(owner) = record.owner.as_ref().filter(|_| self.server.is_cluster()) {
                indexed = Some(self.add_to_index(owner, key, expires, now).await?);
            }
            let args = Args::at(now)
                .text(&identity)
                .time_if(indexed)
                .text(&over.map_or_else(String::new, |version| version.to_string()))
                .time(record.created)
                .time(record.accessed)
                .time(record.expires)
                .time_if(record.ends)
                .time(record.renewed)
                .owner(record.owner.as_deref())
                .number(record.version)
                .number(writes.size())
                .many(puts.iter().flat_map(|(field, value)| [field.as_slice(), value]));
            let mut reply = self.call(&script::CREATE, self.entry(key), &[], &args, Repeat::Never).await?;
            match reply.word() {
                Word::Created => return Ok(true),
                Word::Index => expires = reply.number()?,
                Word::Pending if self.settle(key, &reply.text()?, now).await? => {}
                _ => return Ok(false),
            }
        }
        Err(self.restless())
    }

    /// A rename in a cluster, after `update` on the old key has found that it can be made.
    async fn rename(
        &self,
        key: &Key,
        change: &Changes<'_>,
        rename: &Rename,
        copy: Copy,
        now: u64,
    ) -> Result<Option<Reply>> {
        let token = random_token()?;
        let pending = format!("{}{token}", key.to_hex());
        let args = |indexed: &str| {
            let fields = copy.fields.iter().map(Vec::as_slice);
            change.args(indexed, &token).key(key).many(fields)
        };
        let mut indexed = String::new();
        if let Some(owner) = &copy.owner {
            indexed = format!("{}:{owner}", self.add_to_index(owner, &rename.to, copy.lasts, now).await?);
        }
        let placed = self.call(&script::PLACE, self.entry(&rename.to), &[], &args(&indexed), Repeat::Never).await?;
        if placed.word() != Word::Committed {
            return Ok(Some(placed));
        }

        let depart = Args::at(now)
            .key(&rename.to)
            .time_if(rename.grace.as_ref().map(|grace| grace.until))
            .bytes(rename.grace.as_ref().map_or(&[], |grace| &grace.nonce))
            .number(change.change.remember.into())
            .text(&token)
            .time(copy.lasts)
            .many(copy.version.iter().map(Vec::as_slice));
        let left = self.call(&script::DEPART, self.entry(key), &[], &depart, Repeat::Never).await?;
        match left.word() {
            Word::Left => {
                // If this fails, whoever loads the session next does it.
                let _ = self.finish(&rename.to, &pending, true, now).await;
                Ok(Some(placed))
            }
            Word::Gone => {
                let _ = self.finish(&rename.to, &pending, false, now).await;
                Ok(Some(left))
            }
            _ => {
                self.finish(&rename.to, &pending, false, now).await?;
                Ok(None)
            }
        }
    }

    /// Ends the session of a key, with the arguments of `DESTROY`; tells whether a live one was ended.
    async fn end(&self, key: &Key, follows: bool, args: &Args, now: u64) -> Result<bool> {
        let mut at = *key;
        for _ in 0..STEPS {
            let mut reply = self.call(&script::DESTROY, self.entry(&at), &[], args, Repeat::Never).await?;
            match reply.word() {
                Word::Ended => return Ok(true),
                Word::Pending if self.settle(&at, &reply.text()?, now).await? => {}
                Word::Pending => return Ok(false),
                _ => match reply.bytes_if()? {
                    Some(to) if follows => at = reply::key(&to)?,
                    _ => return Ok(false),
                },
            }
        }
        Err(self.restless())
    }

    /// The keys in an owner's index, sorted.
    async fn owned(&self, owner: &str) -> Result<BTreeSet<Key>> {
        let (mut owned, mut cursor) = (BTreeSet::new(), Some(0));
        while let Some(at) = cursor {
            let (next, keys) = self.owned_from(owner, at).await?;
            owned.extend(keys);
            cursor = next;
        }
        Ok(owned)
    }

    /// The next keys in an owner's index, and where to go on, if there are more. Those that are in it all the time come at
    /// least once.
    async fn owned_from(&self, owner: &str, cursor: u64) -> Result<(Option<u64>, Vec<Key>)> {
        let mut scan = redis::cmd("ZSCAN");
        scan.arg(self.index(owner)).arg(cursor).arg("COUNT").arg(PAGE);
        let mut page = reply::array(self.server.command(scan).await?)?.into_iter();
        let next = reply::number(reply::text(page.next().unwrap_or(Value::Nil))?.as_bytes())?;
        // Each is followed by its expiry.
        let members = reply::array(page.next().unwrap_or(Value::Nil))?.into_iter().step_by(2);
        let keys = members.map(|member| reply::key(&reply::bytes_if(member)?.unwrap_or_default()));
        Ok((Some(next).filter(|next| *next != 0), keys.collect::<Result<_>>()?))
    }

    /// A pass over the names of all keys of this store that begin so.
    async fn pass(&self, kind: &str) -> Result<Pass<'_>> {
        let nodes = self.server.nodes().await?.into_iter();
        Ok(Pass { server: &self.server, prefix: format!("{}:{kind}", self.table), nodes, at: None })
    }

    /// Which of some keys are those of live sessions, with their records, in the order of the keys given.
    async fn live_ones(&self, keys: impl IntoIterator<Item = Key>, now: u64) -> Result<Vec<Listed>> {
        let asked = stream::iter(keys).map(|key| async move { Ok::<_, Error>((key, self.live(&key, now).await?)) });
        let answers: Vec<_> = asked.buffered(AT_ONCE).try_collect().await?;
        Ok(answers.into_iter().filter_map(|(key, record)| Some(Listed { key, record: record? })).collect())
    }
}

/// A pass over the keys of all servers.
struct Pass<'a> {
    server: &'a Server,
    prefix: String,
    nodes: std::vec::IntoIter<Node>,
    /// The server the pass has reached, and where it goes on there.
    at: Option<(Node, u64)>,
}

impl Pass<'_> {
    /// The next few names; none at the end. A name may come twice.
    async fn names(&mut self) -> Result<Option<Vec<Vec<u8>>>> {
        let Some((node, cursor)) = self.at.take().or_else(|| Some((self.nodes.next()?, 0))) else { return Ok(None) };
        let (next, names) = self.server.scan(&node, cursor, &format!("{}*", self.prefix)).await?;
        self.at = Some((node, next)).filter(|_| next != 0);
        Ok(Some(names))
    }

    /// The session's keys in the next few names.
    async fn keys(&mut self) -> Result<Option<Vec<Key>>> {
        let Some(names) = self.names().await? else { return Ok(None) };
        let prefix = self.prefix.as_bytes();
        Ok(Some(names.iter().filter_map(|name| reply::key(name.strip_prefix(prefix)?).ok()).collect()))
    }
}

/// A session that is to be copied to its new key.
struct Copy {
    /// When it expires after the change.
    lasts: u64,
    /// Whose it is after the change.
    owner: Option<String>,
    /// What tells that it has not changed since.
    version: Vec<Vec<u8>>,
    /// Its fields and their values.
    fields: Vec<Vec<u8>>,
}

impl Copy {
    fn new(mut reply: Reply) -> Result<Self> {
        let lasts = reply.number()?;
        let owner = reply.bytes_if()?.map(reply::utf8).transpose()?;
        let version = (0..4).map(|_| reply.bytes()).collect::<Result<_>>()?;
        let fields = match reply.next() {
            Some(fields) => reply::list(fields)?.into_iter().flatten().collect(),
            None => return Err(unexpected("a session without fields")),
        };
        Ok(Self { lasts, owner, version, fields })
    }
}

/// A change as the scripts are given it.
struct Changes<'a> {
    change: &'a Change,
    expected: Option<u64>,
    now: u64,
}

impl Changes<'_> {
    fn args(&self, indexed: &str, token: &str) -> Args {
        let change = self.change;
        let owner = match &change.owner {
            None => String::new(),
            Some(None) => "-".to_owned(),
            Some(Some(owner)) => format!("+{owner}"),
        };
        let grace = change.rename.as_ref().and_then(|rename| rename.grace.as_ref());
        let args = Args::at(self.now)
            .text(&self.expected.map_or_else(String::new, |version| version.to_string()))
            .text(&owner)
            .time_if(change.expires)
            .number(change.max_size)
            .number(change.remember.into())
            .text(&change.rename.as_ref().map_or_else(String::new, |rename| rename.to.to_hex()))
            .time_if(grace.map(|grace| grace.until))
            .bytes(grace.map_or(&[], |grace| &grace.nonce))
            .text(indexed)
            .text(token);

        let (mut puts, mut removals) = (Vec::new(), Vec::new());
        for Write { app, name, value } in &change.writes {
            let (field, length) = (field(app, name), name.len().to_string().into_bytes());
            match value {
                Some(value) => puts.extend([field, length, value.clone()]),
                None => removals.extend([field, length]),
            }
        }
        let args =
            args.number(change.clears.len() as u64).number(puts.len() as u64 / 3).number(removals.len() as u64 / 2);
        let clears: Vec<_> = change.clears.iter().map(|app| prefix(app)).collect();
        args.many(clears.iter().chain(&puts).chain(&removals).map(Vec::as_slice))
    }
}

/// What the fields of an application's variables begin with. As it says how long the application's name is, no other
/// application's fields begin so.
fn prefix(app: &str) -> Vec<u8> {
    format!("{}:{app}", app.len()).into_bytes()
}

fn field(app: &str, name: &str) -> Vec<u8> {
    let mut field = prefix(app);
    field.extend_from_slice(name.as_bytes());
    field
}

/// Reads the names of application and variable from a field.
fn names(field: Vec<u8>) -> Result<(String, String)> {
    let field = reply::utf8(field)?;
    let names = field.split_once(':').and_then(|(length, names)| names.split_at_checked(length.parse().ok()?));
    let (app, name) = names.ok_or_else(|| unexpected("a field that is no variable"))?;
    Ok((app.to_owned(), name.to_owned()))
}

/// Something that nothing else is named.
fn random_token() -> Result<String> {
    let mut bytes = [0; 16];
    let drawn = SysRng.try_fill_bytes(&mut bytes);
    drawn.map_err(|error| Error::unavailable(format!("the system has no random bytes: {error}")))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[async_trait]
impl Store for Redis {
    fn summary(&self) -> String {
        self.server.name().to_owned()
    }

    async fn load(&self, key: &Key, app: &str, now: u64, inline_bytes: u32) -> Result<LoadOutcome> {
        let prefix = prefix(app);
        let (mut reply, renewal) =
            match self.find(&script::LOAD, key, now, &[&prefix, inline_bytes.to_string().as_bytes()]).await? {
                Found::Session { reply, renewal } => (reply, renewal),
                Found::Absent => return Ok(LoadOutcome::Absent),
                Found::Expired => return Ok(LoadOutcome::Expired),
                Found::Ended => return Ok(LoadOutcome::Ended),
            };
        let record = reply.record()?;
        let mut variables = Vec::new();
        while let Some(field) = reply.next() {
            let field = reply::bytes_if(field)?.unwrap_or_default();
            let name =
                field.strip_prefix(prefix.as_slice()).ok_or_else(|| unexpected("another application's variable"))?;
            let value = match reply.next() {
                Some(Value::BulkString(bytes)) => Stored::Inline(bytes),
                Some(Value::Int(size)) => Stored::Large(size.unsigned_abs()),
                _ => return Err(unexpected("a variable without a value")),
            };
            variables.push(Variable { name: reply::utf8(name.to_vec())?, value });
        }
        variables.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(LoadOutcome::Found(Loaded { record, variables, renewal }))
    }

    async fn fetch(&self, key: &Key, app: &str, name: &str, now: u64) -> Result<Option<Vec<u8>>> {
        match self.find(&script::FETCH, key, now, &[&field(app, name)]).await? {
            Found::Session { mut reply, .. } => reply.bytes_if(),
            _ => Ok(None),
        }
    }

    async fn create(&self, key: &Key, record: &Record, writes: &Writes) -> Result<CreateOutcome> {
        let record = Record { version: 1, ..record.clone() };
        let created = self.store(key, &record, writes, None, record.accessed).await?;
        Ok(if created { CreateOutcome::Created } else { CreateOutcome::Exists })
    }

    async fn update(&self, key: &Key, change: &Change, expected: Option<u64>, now: u64) -> Result<UpdateOutcome> {
        let changes = Changes { change, expected, now };
        let new = change.rename.iter().map(|rename| self.entry(&rename.to)).collect::<Vec<_>>();
        let mut indexed = String::new();
        for _ in 0..STEPS {
            let args = changes.args(&indexed, "");
            let mut reply = self.call(&script::UPDATE, self.entry(key), &new, &args, Repeat::Never).await?;
            if let (Word::Move, Some(rename)) = (reply.word(), &change.rename) {
                match self.rename(key, &changes, rename, Copy::new(reply)?, now).await? {
                    Some(decided) => reply = decided,
                    None => continue,
                }
            }
            match reply.word() {
                Word::Committed => return Ok(UpdateOutcome::Committed(reply.number()?)),
                Word::Conflict => return Ok(UpdateOutcome::Conflict(reply.number()?)),
                Word::Large => return Ok(UpdateOutcome::TooLarge(reply.number()?)),
                Word::Taken => return Err(Error::unavailable("the new key of a session is taken")),
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

    async fn destroy(&self, key: &Key, only: &DestroyCondition, now: u64, remember: u32) -> Result<bool> {
        let args = Args::at(now).number(remember.into()).condition(only).bytes(b"");
        let ended = self.end(key, false, &args, now).await?;
        if !ended {
            self.check_absence().await?;
        }
        Ok(ended)
    }

    async fn destroy_owned(&self, owner: &str, except: Option<&Key>, now: u64, remember: u32) -> Result<u64> {
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
        let args = &Args::at(now).number(remember.into()).owner(Some(owner)).bytes(&spared);
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

    async fn list(&self, now: u64, owner: Option<&str>, after: Option<&Key>, limit: u32) -> Result<Vec<Listed>> {
        self.check_layout().await?;
        let limit = limit as usize;
        if limit == 0 {
            return Ok(Vec::new());
        }
        let follows = |key: &Key| after.is_none_or(|after| key > after);
        if let Some(owner) = owner {
            let mut keys: Vec<Key> = self.owned(owner).await?.into_iter().filter(follows).collect();
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
        let mut first: BTreeMap<Key, Listed> = BTreeMap::new();
        let mut pass = self.pass(ENTRIES).await?;
        while let Some(keys) = pass.keys().await? {
            let last = first.last_key_value().filter(|_| first.len() == limit).map(|(key, _)| *key);
            let keys = keys.into_iter().filter(|key| follows(key) && last.is_none_or(|last| *key < last));
            for listed in self.live_ones(keys, now).await? {
                first.insert(listed.key, listed);
            }
            while first.len() > limit {
                first.pop_last();
            }
        }
        Ok(first.into_values().collect())
    }

    async fn describe(&self, key: &Key, now: u64) -> Result<Option<(Record, Vec<(String, String, u64)>)>> {
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
    async fn export(&self, key: &Key, now: u64) -> Result<Option<Snapshot>> {
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

    async fn import(&self, key: &Key, snapshot: &Snapshot, over: Option<u64>, now: u64) -> Result<bool> {
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
