//! Goes through all live sessions of a store.

use anyhow::Result;
use lemon_session_host::store::{Inspect, Listed};

use crate::progress::Progress;

/// Sessions per request to the store. The pages are large, because Redis scans all keys for each.
pub const PAGE: u32 = 10_000;

/// Calls `each` with every live session, or with those of one owner, in the order of their digests.
pub async fn each(inspect: &dyn Inspect, now: u64, owner: Option<&str>, mut each: impl FnMut(Listed)) -> Result<()> {
    let progress = Progress::count("sessions read");
    let (mut after, mut read) = (None, 0);
    loop {
        let page = inspect.list(now, owner, after.as_ref(), PAGE).await?;
        let is_last = page.len() < PAGE as usize;
        read += page.len() as u64;
        progress.at(read);
        after = page.last().map(|listed| listed.digest);
        page.into_iter().for_each(&mut each);
        if is_last {
            return Ok(());
        }
    }
}
