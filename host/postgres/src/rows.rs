//! Parameters of statements, and the rows that they return.

use lemon_session_sql::{
    limits::{check_owner, check_writes},
    tombstone::known_until,
};
use lemon_session_store::{Change, Digest, Loaded, Record, Result, Stored, Variable, Write, Writes};
use tokio_postgres::Row;

/// A time, a size or a version as PostgreSQL stores it: its largest integer replaces larger numbers.
pub fn stored(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub fn number(stored: i64) -> u64 {
    u64::try_from(stored).unwrap_or(0)
}

/// A record from the first eight columns of a row.
pub fn record(row: &Row) -> Result<Record, tokio_postgres::Error> {
    let column = |index: usize| row.try_get::<_, i64>(index).map(number);
    Ok(Record {
        created: column(0)?,
        accessed: column(1)?,
        expires: column(2)?,
        absolute_expiry: row.try_get::<_, Option<i64>>(3)?.map(number),
        rotated: column(4)?,
        owner: row.try_get::<_, Option<&[u8]>>(5)?.map(text),
        version: column(6)?,
        size: column(7)?,
    })
}

/// A name, which is stored as bytes.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Writes as three parallel arrays.
#[derive(Default)]
pub struct Columns {
    pub apps: Vec<Vec<u8>>,
    pub names: Vec<Vec<u8>>,
    pub values: Vec<Option<Vec<u8>>>,
}

impl Columns {
    /// The variables of a new session.
    pub fn of(record: &Record, writes: &Writes) -> Result<Self> {
        check_owner(record.owner.as_deref())?;
        check_writes(writes)?;
        Ok(writes.iter().filter(|write| write.value.is_some()).collect())
    }
}

impl<'a> FromIterator<&'a Write> for Columns {
    fn from_iter<T: IntoIterator<Item = &'a Write>>(writes: T) -> Self {
        let mut columns = Self::default();
        for write in writes {
            columns.apps.push(write.app.clone().into_bytes());
            columns.names.push(write.name.clone().into_bytes());
            columns.values.push(write.value.clone());
        }
        columns
    }
}

/// The parameters of an update.
pub struct Update {
    pub digest: Digest,
    pub expected: Option<i64>,
    pub clears: Vec<Vec<u8>>,
    pub writes: Columns,
    pub owns: bool,
    pub owner: Option<Vec<u8>>,
    pub expires: Option<i64>,
    pub lives: bool,
    pub absolute_expiry: Option<i64>,
    pub renamed: Option<Digest>,
    pub leads_until: Option<i64>,
    pub nonce: Option<Vec<u8>>,
    pub known_until: i64,
    pub max_size: i64,
    pub max_owned: Option<i64>,
    pub now: i64,
}

impl Update {
    pub fn new(digest: &Digest, change: &Change, expected: Option<u64>, now: u64) -> Self {
        let grace = change.rotation.as_ref().and_then(|rotation| rotation.grace.as_ref());
        Self {
            digest: *digest,
            expected: expected.map(stored),
            clears: change.clears.iter().map(|app| app.clone().into_bytes()).collect(),
            writes: change.writes.iter().collect(),
            owns: change.owner.is_some(),
            owner: change.owner.clone().flatten().map(String::into_bytes),
            expires: change.lifetime.map(|lifetime| lifetime.expiry()).or(change.expires).map(stored),
            lives: change.lifetime.is_some(),
            absolute_expiry: change.lifetime.and_then(|lifetime| lifetime.absolute_expiry).map(stored),
            renamed: change.rotation.as_ref().map(|rotation| rotation.to),
            leads_until: grace.map(|grace| stored(grace.until)),
            nonce: grace.map(|grace| grace.nonce.clone()),
            known_until: stored(known_until(change, now)),
            max_size: stored(change.max_size),
            max_owned: change.max_owned.map(i64::from),
            now: stored(now),
        }
    }
}

/// The answer of a load that has found a session.
pub fn loaded(rows: &[Row], first: &Row) -> Result<Loaded, tokio_postgres::Error> {
    let (mut details, mut variables) = (Vec::new(), Vec::with_capacity(rows.len()));
    for row in rows {
        // A session without details and variables is a row without a name.
        let Some(name) = row.try_get::<_, Option<&[u8]>>(12)? else { continue };
        let value = match row.try_get::<_, Option<Vec<u8>>>(14)? {
            Some(value) => Stored::Inline(value),
            None => Stored::Large(number(row.try_get(13)?)),
        };
        let of = if row.try_get(15)? { &mut details } else { &mut variables };
        of.push(Variable { name: text(name), value });
    }
    Ok(Loaded { record: record(first)?, details, variables, renewal: first.try_get(11)? })
}
