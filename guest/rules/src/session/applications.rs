//! The variables of several applications in one session, and names that are reserved.

use alloc::vec::Vec;

use super::Session;
use crate::{Env, Result, name, pending::Application, reservation::Token};

impl<E: Env> Session<E> {
    /// The same session, with the variables of another application.
    pub async fn application_named(&self, name: &str) -> Result<Self> {
        name::check("the application's name", name, self.core.world.settings().limits.app_length)?;
        let digest = self.live()?.digest;
        let reservations = self.core.world.reservations();
        let token = match reservations.check(&digest, name, None) {
            Ok(()) => None,
            Err(_) => reservations.check(&digest, name, self.token).map(|()| self.token)?,
        };
        self.view(name, token).await
    }

    /// Reserves an application name.
    pub async fn reserve(&self, name: &str, secret: Option<&str>) -> Result<Self> {
        name::check("the application's name", name, self.core.world.settings().limits.app_length)?;
        let session = self.live()?.digest;
        let token = self.core.world.reservations().reserve(&session, name, secret)?;
        self.view(name, Some(token)).await
    }

    /// Ends the reservation of a name.
    pub fn release(&self, name: &str) -> Result<()> {
        let digest = self.live()?.digest;
        self.core.world.reservations().release(&digest, name, self.token)
    }

    /// A handle with an application's variables, which are loaded unless they were before.
    async fn view(&self, name: &str, token: Option<Token>) -> Result<Self> {
        let known = self.live()?.applications.iter().position(|application| application.name == name);
        let app = match known {
            Some(app) => app,
            None => {
                let variables = if self.is_stored() { self.core.load(name).await?.variables } else { Vec::new() };
                let mut state = self.core.state.borrow_mut();
                state.applications.push(Application::new(name, variables));
                state.applications.len() - 1
            }
        };
        Ok(Self { core: self.core.clone(), app, token })
    }
}
