//! Reloads applications and settings without losing a request.

use std::{collections::BTreeSet, future::pending, sync::Arc};

use anyhow::Result;
use tokio::{signal::unix::Signal, task::spawn_blocking};

use super::{
    Args,
    dev::Watch,
    listener::Site,
    mounts::{Grants, Mounts},
};
use crate::{
    application::{Application, Platform},
    compose::Unused,
    config::Config,
    output,
};

/// Loads the applications, at the start and again at each reload.
pub struct Loader {
    pub args: Args,
    /// The settings that were read at the start.
    pub config: Config,
    pub platform: Arc<Platform>,
}

impl Loader {
    /// Reads, composes and compiles the applications, and checks that they can be instantiated.
    pub async fn load(self: &Arc<Self>, platform: Arc<Platform>, grants: Grants) -> Result<Mounts> {
        let loader = self.clone();
        let load = move || {
            let Args { modules, reuse, .. } = &loader.args;
            let mounts = loader.args.mounts();
            let unused = if mounts.len() > 1 { Unused::Skip } else { Unused::Refuse };
            Mounts::load(mounts, &grants, |file| Application::load(&platform, file, modules, unused, *reuse))
        };
        // Compiling takes seconds, so it runs off the async threads.
        let mounts = spawn_blocking(load).await??;
        mounts.check().await?;
        Ok(mounts)
    }

    /// Loads the applications again, with the current settings of sessions.
    async fn reload(self: &Arc<Self>) -> Result<Mounts> {
        let config = self.args.config()?;
        for section in self.need_restart(&config) {
            tracing::warn!("[{section}] of lemon.ini has changed: restart the server to apply it");
        }
        let grants = Grants::new(&config);
        let session = self.platform.session().with_settings(config.settings)?.limit_new_sessions(config.new_sessions);
        let mut platform = self.platform.with_session(session)?;
        if self.args.dev {
            // Each version of an application would stay in the cache for weeks. The next start stores the last one.
            platform = platform.with_read_only_cache();
        }
        self.load(Arc::new(platform), grants).await
    }

    /// Watches the files that are loaded.
    pub fn watch(&self) -> Watch {
        let applications = self.args.mounts().into_iter().map(|mount| mount.file);
        let files = applications.chain(self.args.modules.paths().iter().cloned()).collect();
        Watch::new(files, vec![self.args.storage.path().to_owned()])
    }

    /// The changed sections that only a restart applies.
    fn need_restart(&self, config: &Config) -> Vec<String> {
        let old = &self.config;
        let named: BTreeSet<_> = old.storages.keys().chain(config.storages.keys()).collect();
        let named = named.into_iter().filter(|name| old.storages.get(*name) != config.storages.get(*name));
        let server = (old.server != config.server).then(|| "server".to_owned());
        let storage = (old.storage != config.storage).then(|| "storage".to_owned());
        server.into_iter().chain(storage).chain(named.map(|name| format!("storage.{name}"))).collect()
    }
}

/// Reloads the site at each SIGHUP, and at each change that is watched for. If loading fails, the site is not changed.
pub async fn at_each(mut hangup: Signal, mut watch: Option<Watch>, loader: Arc<Loader>, site: Arc<Site>) {
    loop {
        let changed = async {
            match &mut watch {
                Some(watch) => watch.changed().await,
                None => pending().await,
            }
        };
        tokio::select! {
            signal = hangup.recv() => if signal.is_none() { return },
            () = changed => {}
        }
        let result = loader.reload().await;
        site.metrics.reloaded(result.is_ok());
        match result {
            Ok(mounts) => {
                site.replace(mounts);
                tracing::info!("reloaded {}", super::names(&loader.args.mounts()));
                if let Some(dev) = &site.dev {
                    dev.loaded();
                }
            }
            Err(error) => {
                let why = output::causes(&error);
                tracing::error!("the reload failed, and the server keeps the previous applications: {why}");
                if let Some(dev) = &site.dev {
                    dev.not_loaded(&why);
                }
            }
        }
    }
}
