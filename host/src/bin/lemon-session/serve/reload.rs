//! Reads anew what is served, without a request being lost.

use std::{collections::BTreeSet, sync::Arc};

use anyhow::{Context as _, Result};
use lemon_session_host::{Config, SessionCtx};
use tokio::{signal::unix::Signal, task::spawn_blocking};
use wasmtime::Engine;

use super::{Args, listener::Site};
use crate::application::Application;

/// All it takes to load the application again.
pub struct Loader {
    pub args: Args,
    /// As it was read at the start.
    pub config: Config,
    pub engine: Engine,
    pub session: SessionCtx,
}

impl Loader {
    /// Reads, composes and compiles the application, and tries whether it can be instantiated.
    pub async fn load(self: &Arc<Self>, session: SessionCtx) -> Result<Application> {
        let loader = self.clone();
        let load = move || {
            let Args { application, modules, reuse, .. } = &loader.args;
            Application::load(
                &loader.engine,
                application,
                modules,
                session,
                &Arc::new(loader.config.server.clone()),
                *reuse,
            )
        };
        // Compiling takes seconds.
        let application = spawn_blocking(load).await??;
        application.check().await.with_context(|| format!("cannot instantiate {}", self.args.application.display()))?;
        Ok(application)
    }

    /// Loads the application and its settings again.
    async fn reload(self: &Arc<Self>) -> Result<Application> {
        let config = self.args.config()?;
        for section in self.stay(&config) {
            tracing::warn!("[{section}] of lemon.ini has changed: that takes a restart");
        }
        self.load(self.session.with_settings(config.settings)?).await
    }

    /// The sections that are not reloaded, and have changed.
    fn stay(&self, config: &Config) -> Vec<String> {
        let mut changed = Vec::new();
        if config.server != self.config.server {
            changed.push("server".to_owned());
        }
        if config.storage != self.config.storage {
            changed.push("storage".to_owned());
        }
        let named = config.storages.keys().chain(self.config.storages.keys()).collect::<BTreeSet<_>>();
        let differs = |name: &&&String| config.storages.get(**name) != self.config.storages.get(**name);
        changed.extend(named.iter().filter(differs).map(|name| format!("storage.{name}")));
        changed
    }
}

/// Has the site serve what is loaded anew at each SIGHUP. What cannot be loaded changes nothing.
pub async fn at_each(mut hangup: Signal, loader: Arc<Loader>, site: Arc<Site>) {
    while hangup.recv().await.is_some() {
        let result = loader.reload().await;
        site.metrics.reloaded(result.is_ok());
        match result {
            Ok(application) => {
                site.replace(application);
                tracing::info!("reloaded {}", loader.args.application.display());
            }
            Err(error) => tracing::error!("not reloaded, what was served still is: {error:#}"),
        }
    }
}
