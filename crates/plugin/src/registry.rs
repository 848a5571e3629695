//! Plug-ins by name.

use std::{collections::BTreeMap, sync::Arc};

use parking_lot::RwLock;

use crate::{DataManagement, Error, Kind};

/// The plug-ins that this program has. A copy is the same registry.
#[derive(Default, Clone)]
pub struct Registry(Arc<RwLock<Plugins>>);

#[derive(Default)]
struct Plugins {
    data: BTreeMap<String, Arc<dyn DataManagement>>,
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

/// What somebody is told who names a plug-in that is not there: what needs it waits until it is, and nothing falls back to another one.
fn absent(kind: Kind, name: &str) -> Error {
    Error::later(format!("{} plug-in `{name}` is not configured on this server", kind.as_str()))
}

impl Registry {
    /// Adds a data management plug-in; one of the same name is replaced.
    pub fn add_data(&self, name: &str, plugin: Arc<dyn DataManagement>) {
        self.0.write().data.insert(name.to_owned(), plugin);
    }
    /// A data management plug-in; [`Error::Later`] when there is none of that name.
    pub fn data(&self, name: &str) -> Result<Arc<dyn DataManagement>, Error> {
        self.0.read().data.get(name).cloned().ok_or_else(|| absent(Kind::Data, name))
    }
    /// Kinds and names of all.
    #[must_use]
    pub fn names(&self) -> Vec<(Kind, String)> {
        let all = self.0.read();
        all.data.keys().map(|name| (Kind::Data, name.clone())).collect()
    }
    /// What is wrong with those that do not work now, a sentence each.
    #[must_use]
    pub fn troubles(&self) -> Vec<String> {
        let all: Vec<Arc<dyn DataManagement>> = self.0.read().data.values().cloned().collect();
        all.iter().filter_map(|p| p.trouble()).collect()
    }
}
