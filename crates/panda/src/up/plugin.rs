//! Plug-ins of the configuration: child processes, started when they are asked first.

use std::sync::Arc;

use panda_plugin::{Error, Kind, Registry, RemoteData};

use crate::config::PluginConfig;

/// Adds the plug-ins of a configuration.
pub(super) fn register(registry: &Registry, plugins: &[PluginConfig]) {
    for plugin in plugins {
        match plugin.kind {
            Kind::Data => registry.add_data(&plugin.name, Arc::new(RemoteData::new(plugin.options()))),
        }
    }
}

/// Starts a plug-in of the configuration and asks who it is.
pub(crate) async fn check(plugin: &PluginConfig) -> Result<(), Error> {
    match plugin.kind {
        Kind::Data => RemoteData::new(plugin.options()).check().await,
    }
}
