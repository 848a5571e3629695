//! Plug-ins by name.

use std::{collections::BTreeMap, sync::Arc};

use parking_lot::RwLock;

use crate::{DataManagement, Error, Kind, Notifier};

/// The plug-ins that this program has. A copy is the same registry.
#[derive(Default, Clone)]
pub struct Registry(Arc<RwLock<Plugins>>);

#[derive(Default)]
struct Plugins {
    data: BTreeMap<String, Arc<dyn DataManagement>>,
    notify: BTreeMap<String, Arc<dyn Notifier>>,
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

/// What is found of that name; otherwise why not: what needs it waits until it is there, and nothing falls back to another one.
fn found<T: ?Sized>(kind: Kind, name: &str, all: &BTreeMap<String, Arc<T>>) -> Result<Arc<T>, Error> {
    all.get(name).cloned().ok_or_else(|| Error::later(format!("{} plug-in `{name}` is not configured on this server", kind.as_str())))
}

impl Registry {
    /// Adds a data management plug-in; one of the same name is replaced.
    pub fn add_data(&self, name: &str, plugin: Arc<dyn DataManagement>) {
        self.0.write().data.insert(name.to_owned(), plugin);
    }
    /// Adds a notification plug-in; one of the same name is replaced.
    pub fn add_notify(&self, name: &str, plugin: Arc<dyn Notifier>) {
        self.0.write().notify.insert(name.to_owned(), plugin);
    }
    /// A data management plug-in; [`Error::Later`] when there is none of that name.
    pub fn data(&self, name: &str) -> Result<Arc<dyn DataManagement>, Error> {
        found(Kind::Data, name, &self.0.read().data)
    }
    /// A notification plug-in; [`Error::Later`] when there is none of that name.
    pub fn notify(&self, name: &str) -> Result<Arc<dyn Notifier>, Error> {
        found(Kind::Notify, name, &self.0.read().notify)
    }
    /// Whether there is a plug-in of this kind and name; the error says so when there is not.
    pub fn has(&self, kind: Kind, name: &str) -> Result<(), Error> {
        match kind {
            Kind::Data => self.data(name).map(drop),
            Kind::Notify => self.notify(name).map(drop),
        }
    }
    /// Kinds and names of all.
    #[must_use]
    pub fn names(&self) -> Vec<(Kind, String)> {
        let all = self.0.read();
        let data = all.data.keys().map(|name| (Kind::Data, name.clone()));
        data.chain(all.notify.keys().map(|name| (Kind::Notify, name.clone()))).collect()
    }
    /// What is wrong with those that do not work now, a sentence each.
    #[must_use]
    pub fn troubles(&self) -> Vec<String> {
        let all = self.0.read();
        let data = all.data.values().filter_map(|p| p.trouble());
        data.chain(all.notify.values().filter_map(|p| p.trouble())).collect()
    }
}
