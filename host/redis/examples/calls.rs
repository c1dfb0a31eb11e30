//! Saves and loads a session a number of times over a blocking socket, and prints how long one call takes.
//!
//! ```sh
//! cargo build --release -p lemon-session-redis --example calls --target wasm32-wasip2
//! wasmtime run -S inherit-network target/wasm32-wasip2/release/examples/calls.wasm redis://127.0.0.1:6379 1000
//! ```
//!
//! Several of them may run at once, as WebAssembly and natively: they add to one counter, and none of their additions
//! is lost.

use std::{
    error::Error,
    time::{Instant, SystemTime},
};

use futures::executor::block_on;
use lemon_session_redis::Redis;
use lemon_session_store::{
    Change, Digest, LoadOutcome, Record, Result, StorageOptions, Store, Stored, TableName, UpdateOutcome, Write,
};

const APP: &str = "calls";

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let usage = "arguments: URL, number of calls, options of the driver as NAME=VALUE";
    let url = arguments.next().ok_or(usage)?;
    let calls: u32 = arguments.next().ok_or(usage)?.parse()?;

    let started = Instant::now();
    let mut options = StorageOptions { table: TableName::new("Calls")?, ..StorageOptions::new(url) };
    for option in arguments {
        let (name, value) = option.split_once('=').ok_or(usage)?;
        options.options.insert(name.to_owned(), value.to_owned());
    }
    let store = block_on(Redis::open_blocking(options))?;
    if let Some(schema) = store.schema() {
        block_on(schema.create_tables())?;
    }
    println!("connected in {:?}", started.elapsed());

    let (digest, now) = (Digest::of("the session that all of these programs share"), now());
    let record = Record {
        created: now,
        accessed: now,
        expires: now + 3600,
        absolute_expiry: None,
        rotated: now,
        owner: None,
        version: 1,
        size: 0,
    };
    // Another program may have created it.
    block_on(store.create(&digest, &record, &[].into()))?;

    let (started, mut counter) = (Instant::now(), 0);
    for _ in 0..calls {
        counter = block_on(add(&*store, &digest))?;
    }
    println!("the counter is {counter}; {:?} for each addition", started.elapsed() / calls.max(1));
    Ok(())
}

/// Adds one to the counter. If another program has changed the session since it was loaded, starts again.
async fn add(store: &dyn Store, digest: &Digest) -> Result<u32, Box<dyn Error>> {
    loop {
        let LoadOutcome::Found(loaded) = store.load(digest, APP, now(), 1024).await? else {
            return Err("the session has ended".into());
        };
        let counter = match loaded.variables.first().map(|variable| &variable.value) {
            Some(Stored::Inline(bytes)) => u32::from_be_bytes(bytes.as_slice().try_into()?),
            _ => 0,
        };
        let value = Some((counter + 1).to_be_bytes().to_vec());
        let write = Write { app: APP.to_owned(), name: "counter".to_owned(), value };
        let change = Change { writes: [write].into(), max_size: 1024, ..Change::default() };
        match store.update(digest, &change, Some(loaded.record.version), now()).await? {
            UpdateOutcome::Committed(_) => return Ok(counter + 1),
            UpdateOutcome::Conflict(_) => {}
            other => return Err(format!("the session has not been changed: {other:?}").into()),
        }
    }
}

fn now() -> u64 {
    SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs())
}
