//! Flash messages: values that wait in the session for the next page that shows them.
//!
//! Each is a variable of its own, so that requests that leave messages at once keep each other's. Its name begins with
//! [`FLASH`], and sorts by time.

use alloc::{format, string::String, vec::Vec};
use core::time::Duration;

use super::Session;
use crate::{Env, Error, Result, Value, codec, name::FLASH, pending::Application};

/// Messages of one application that wait in a session; a further one takes the place of the oldest.
pub const MAX_FLASHES: usize = 100;

impl<E: Env> Session<E> {
    /// Leaves a message for the next call of [`flashes`](Self::flashes), in this request or in a later one.
    pub fn flash(&self, value: &Value) -> Result<()> {
        self.check_value("flash", codec::length(value))?;
        let bytes = codec::encode(value)?;
        self.check_value("flash", bytes.len())?;
        let mut random = [0; 4];
        self.core.world.env.random(&mut random);
        let mut application = self.application_mut()?;
        let waiting = names(&application);
        for oldest in waiting.iter().rev().skip(MAX_FLASHES - 1) {
            application.delete(oldest);
        }
        let name = name_after(waiting.last().map(String::as_str), self.core.world.env.clock(), random);
        self.check_room(&application, &name)?;
        application.set(&name, bytes);
        Ok(())
    }

    /// Takes all messages, oldest first. One that is stored in a format that this version does not know stays where it is.
    pub async fn flashes(&self) -> Result<Vec<Value>> {
        let waiting = names(&*self.application()?);
        let mut values = Vec::with_capacity(waiting.len());
        for name in waiting {
            match self.read(&name).await {
                Err(Error::Unreadable(_)) => continue,
                value => values.extend(value?),
            }
            self.application_mut()?.delete(&name);
        }
        Ok(values)
    }
}

/// The names of the messages that wait, oldest first.
fn names(application: &Application) -> Vec<String> {
    application.all_names().filter(|name| name.starts_with(FLASH)).cloned().collect()
}

/// The name of a message that was left at `clock`, after all those that its request knows. Requests that leave messages in the
/// same nanosecond differ in `random`.
fn name_after(last: Option<&str>, clock: Duration, random: [u8; 4]) -> String {
    let time = |name: &str| u64::from_str_radix(name.get(FLASH.len()..FLASH.len() + 16)?, 16).ok();
    let earliest = last.and_then(time).map_or(0, |time| time.saturating_add(1));
    let nanoseconds = u64::try_from(clock.as_nanos()).unwrap_or(u64::MAX);
    format!("{FLASH}{:016x}{:08x}", nanoseconds.max(earliest), u32::from_le_bytes(random))
}
