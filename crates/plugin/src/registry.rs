//! Plug-ins by name.

use std::{collections::BTreeMap, sync::Arc};

use crate::{DataManagement, Error};

/// The plug-ins that this program has.
#[derive(Default, Clone)]
pub struct Registry {
    data: BTreeMap<String, Arc<dyn DataManagement>>,
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.data.keys()).finish()
    }
}

impl Registry {
    /// Adds a data management plug-in; one of the same name is replaced.
    pub fn add_data(&mut self, name: &str, plugin: Arc<dyn DataManagement>) {
        self.data.insert(name.to_owned(), plugin);
    }
    /// A data management plug-in. A name that is not configured is [`Error::Later`]: what needs it waits until it is, and nothing falls back to
    /// another one.
    pub fn data(&self, name: &str) -> Result<Arc<dyn DataManagement>, Error> {
        self.data.get(name).cloned().ok_or_else(|| Error::later(format!("data plug-in `{name}` is not configured on this server")))
    }
    /// Names of the data management plug-ins.
    pub fn data_names(&self) -> impl Iterator<Item = &str> {
        self.data.keys().map(String::as_str)
    }
}
