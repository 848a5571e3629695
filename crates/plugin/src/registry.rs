//! Plug-ins by name.

use std::{collections::BTreeMap, sync::Arc};

use parking_lot::RwLock;

use crate::{Brokerage, DataManagement, Error, Kind, Namer, Naming, NamingService, Notifier, RetryPolicy};

/// The plug-ins that this program has. A copy is the same registry.
#[derive(Default, Clone)]
pub struct Registry(Arc<RwLock<Plugins>>);

#[derive(Default)]
struct Plugins {
    data: BTreeMap<String, Arc<dyn DataManagement>>,
    brokerage: BTreeMap<String, Arc<dyn Brokerage>>,
    retry: BTreeMap<String, Arc<dyn RetryPolicy>>,
    naming: BTreeMap<String, Namer>,
    notify: BTreeMap<String, Arc<dyn Notifier>>,
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

/// What is found of that name; otherwise why not: what needs it waits until it is there, and nothing falls back to another one.
fn found<T: Clone>(kind: Kind, name: &str, all: &BTreeMap<String, T>) -> Result<T, Error> {
    all.get(name).cloned().ok_or_else(|| Error::later(format!("{} plug-in `{name}` is not configured on this server", kind.as_str())))
}

impl Registry {
    /// Adds a data management plug-in; one of the same name is replaced.
    pub fn add_data(&self, name: &str, plugin: Arc<dyn DataManagement>) {
        self.0.write().data.insert(name.to_owned(), plugin);
    }
    /// Adds a brokerage plug-in; one of the same name is replaced.
    pub fn add_brokerage(&self, name: &str, plugin: Arc<dyn Brokerage>) {
        self.0.write().brokerage.insert(name.to_owned(), plugin);
    }
    /// Adds a retry policy; one of the same name is replaced.
    pub fn add_retry(&self, name: &str, plugin: Arc<dyn RetryPolicy>) {
        self.0.write().retry.insert(name.to_owned(), plugin);
    }
    /// Adds a naming plug-in that is a part of the program; one of the same name is replaced.
    pub fn add_naming(&self, name: &str, plugin: Arc<dyn Naming>) {
        self.0.write().naming.insert(name.to_owned(), Namer::Part(plugin));
    }
    /// Adds a naming plug-in that answers later; one of the same name is replaced.
    pub fn add_naming_service(&self, name: &str, plugin: Arc<dyn NamingService>) {
        self.0.write().naming.insert(name.to_owned(), Namer::Service(plugin));
    }
    /// Adds a notification plug-in; one of the same name is replaced.
    pub fn add_notify(&self, name: &str, plugin: Arc<dyn Notifier>) {
        self.0.write().notify.insert(name.to_owned(), plugin);
    }
    /// A data management plug-in; [`Error::Later`] when there is none of that name.
    pub fn data(&self, name: &str) -> Result<Arc<dyn DataManagement>, Error> {
        found(Kind::Data, name, &self.0.read().data)
    }
    /// A brokerage plug-in; [`Error::Later`] when there is none of that name.
    pub fn brokerage(&self, name: &str) -> Result<Arc<dyn Brokerage>, Error> {
        found(Kind::Brokerage, name, &self.0.read().brokerage)
    }
    /// A retry policy; [`Error::Later`] when there is none of that name.
    pub fn retry(&self, name: &str) -> Result<Arc<dyn RetryPolicy>, Error> {
        found(Kind::Retry, name, &self.0.read().retry)
    }
    /// A naming plug-in; [`Error::Later`] when there is none of that name.
    pub fn naming(&self, name: &str) -> Result<Namer, Error> {
        found(Kind::Naming, name, &self.0.read().naming)
    }
    /// A notification plug-in; [`Error::Later`] when there is none of that name.
    pub fn notify(&self, name: &str) -> Result<Arc<dyn Notifier>, Error> {
        found(Kind::Notify, name, &self.0.read().notify)
    }
    /// Whether there is a plug-in of this kind and name; the error says so when there is not.
    pub fn has(&self, kind: Kind, name: &str) -> Result<(), Error> {
        match kind {
            Kind::Data => self.data(name).map(drop),
            Kind::Brokerage => self.brokerage(name).map(drop),
            Kind::Retry => self.retry(name).map(drop),
            Kind::Naming => self.naming(name).map(drop),
            Kind::Notify => self.notify(name).map(drop),
        }
    }
    /// Kinds and names of all.
    #[must_use]
    pub fn names(&self) -> Vec<(Kind, String)> {
        let all = self.0.read();
        let mut names = Vec::new();
        names.extend(all.data.keys().map(|name| (Kind::Data, name.clone())));
        names.extend(all.brokerage.keys().map(|name| (Kind::Brokerage, name.clone())));
        names.extend(all.retry.keys().map(|name| (Kind::Retry, name.clone())));
        names.extend(all.naming.keys().map(|name| (Kind::Naming, name.clone())));
        names.extend(all.notify.keys().map(|name| (Kind::Notify, name.clone())));
        names
    }
    /// What is wrong with those that do not work now, a sentence each.
    #[must_use]
    pub fn troubles(&self) -> Vec<String> {
        let all = self.0.read();
        let mut lines = Vec::new();
        lines.extend(all.data.values().filter_map(|p| p.trouble()));
        lines.extend(all.brokerage.values().filter_map(|p| p.trouble()));
        lines.extend(all.retry.values().filter_map(|p| p.trouble()));
        lines.extend(all.naming.values().filter_map(|p| if let Namer::Service(p) = p { p.trouble() } else { None }));
        lines.extend(all.notify.values().filter_map(|p| p.trouble()));
        lines
    }
}
