//! Plug-ins of the configuration: child processes, started when they are asked first.

use std::sync::Arc;

use panda_plugin::{Error, Kind, Registry, Remote};

use crate::config::PluginConfig;

/// Adds the plug-ins of a configuration.
pub(super) fn register(registry: &Registry, plugins: &[PluginConfig]) {
    for plugin in plugins {
        let child = Arc::new(Remote::new(plugin.options()));
        match plugin.kind {
            Kind::Data => registry.add_data(&plugin.name, child),
            Kind::Brokerage => registry.add_brokerage(&plugin.name, child),
            Kind::Retry => registry.add_retry(&plugin.name, child),
            Kind::Naming => registry.add_naming_service(&plugin.name, child),
            Kind::Notify => registry.add_notify(&plugin.name, child),
        }
    }
}

/// Starts a plug-in of the configuration and asks who it is.
pub(crate) async fn check(plugin: &PluginConfig) -> Result<(), Error> {
    Remote::new(plugin.options()).check().await
}
