//! The setting `max-sessions`: how many sessions an owner may have after a login.

use alloc::{format, string::String, vec::Vec};

use super::{Core, State};
use crate::{
    Env, Error, Result,
    details::{self, Details},
    manager::PAGE,
    pending::Application,
    settings::MaxSessionsReached,
    storage::{Change, DETAILS, DestroyCondition, Listed},
};

/// How often `save` ends sessions of the owner, and is overtaken by other logins, before it fails.
const ATTEMPTS: u32 = 100;

impl<E: Env> Core<E> {
    /// The most sessions that the owner may have after the next save, if that stores a login of another owner than before.
    pub(super) fn max_owned(&self, state: &State) -> Option<u32> {
        let most = self.world.settings().max_sessions;
        let is_counted = state.has_logged_in && matches!(state.new_owner, Some(Some(_)));
        (is_counted && most != 0).then_some(most)
    }

    /// What becomes of a login whose owner has too many sessions: after this, the save can be tried again.
    pub(super) async fn make_room(&self, change: &Change, sessions: u64, attempts: u32) -> Result<()> {
        let settings = self.world.settings();
        let (Some(Some(owner)), Some(most)) = (&change.owner, change.max_owned) else {
            return Err(Error::Storage(String::from("the session store counted sessions of no owner")));
        };
        let why = match settings.max_sessions_reached {
            MaxSessionsReached::EndOldest if attempts < ATTEMPTS => return self.end_oldest(owner, most).await,
            MaxSessionsReached::EndOldest => "other logins of the owner were faster each time: try again",
            MaxSessionsReached::Refuse => "end one of them first",
        };
        self.take_back().await?;
        Err(Error::TooMany(format!(
            "the owner has {sessions} sessions and the setting max-sessions allows {most}: {why}"
        )))
    }

    /// Ends so many of the owner's sessions that there is room for one more, those with the oldest logins first. Of more than a
    /// page, which an owner can only have from before the setting, it ends those of the first page.
    async fn end_oldest(&self, owner: &str, most: u32) -> Result<()> {
        let (env, location) = (&self.world.env, &self.parameters.location);
        let now = env.now();
        let listed = env.list(location, now, Some(owner), None, PAGE).await?;
        // Others may have ended some since the store counted them.
        let surplus = (listed.len() + 1).saturating_sub(most as usize);
        let mut logins = Vec::with_capacity(listed.len());
        for Listed { digest, record } in listed {
            // Unlike a load, this counts no use of an id that has ended since. Without a login, or after its end, a session is as
            // old as itself: what another login has ended as the oldest is the oldest here too.
            let login = env.fetch(location, &digest, DETAILS, details::AUTHENTICATED, now).await?;
            let at = login.and_then(|bytes| details::time(&bytes)).unwrap_or(record.created);
            logins.push((at, digest));
        }
        logins.sort_unstable();
        let (only, remember) = (DestroyCondition::Owned(owner.into()), self.world.settings().remember_ended);
        for (_, digest) in logins.iter().take(surplus) {
            env.destroy(location, digest, &only, now, remember).await?;
        }
        Ok(())
    }

    /// Discards all changes, as the page may have meant them for the owner, and reads what is stored.
    async fn take_back(&self) -> Result<()> {
        let names: Vec<String> = {
            let state = &mut *self.state.borrow_mut();
            (state.new_owner, state.new_id, state.new_lifetime) = (None, None, None);
            (state.has_logged_in, state.offers_binding) = (false, false);
            state.details = Details::new(Vec::new());
            let discard = |application: &mut Application| {
                *application = Application::new(&application.name, Vec::new());
                application.name.clone()
            };
            state.applications.iter_mut().map(discard).collect()
        };
        for (index, name) in names.iter().enumerate() {
            let loaded = self.load(name).await?;
            self.state.borrow_mut().applications[index] = Application::new(name, loaded.variables);
        }
        Ok(())
    }
}
