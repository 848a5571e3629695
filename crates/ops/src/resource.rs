//! The site's table of resource types (`spec/engine.md` section 9.3), read from its setting.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use panda_core::{
    policy::resource::{Type, Types},
    setting::{ANY, dispatch::RESOURCE_TYPES},
};
use serde_json::Value;

use crate::{Ops, OpsError};

/// The table as it was last read, with the text that it was read from.
#[derive(Debug, Default)]
pub struct Table(ArcSwapOption<(String, Arc<Types>)>);

impl Ops {
    /// The resource types.
    pub async fn resource_types(&self) -> Result<Arc<Types>, OpsError> {
        let settings = self.settings().await?;
        let text = settings.text(&RESOURCE_TYPES, ANY, ANY);
        if let Some(held) = self.resource_types.0.load_full()
            && held.0 == text
        {
            return Ok(held.1.clone());
        }
        let types = Arc::new(if text.is_empty() {
            Types::default()
        } else {
            read(text).unwrap_or_else(|e| {
                tracing::error!("setting {}: {e}; the built-in types are used", RESOURCE_TYPES.name);
                Types::default()
            })
        });
        self.resource_types.0.store(Some(Arc::new((text.to_owned(), types.clone()))));
        Ok(types)
    }
}

/// Reads a table: a JSON list of `{"name", "min_cores", "max_cores", "above_mb", "max_mb"}`; what is left away is no bound.
pub fn read(text: &str) -> Result<Types, String> {
    let list: Vec<Value> = serde_json::from_str(text).map_err(|e| format!("no JSON list: {e}"))?;
    let mut types = Vec::with_capacity(list.len());
    for t in &list {
        let number = |key: &str| match t.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(v) => v.as_i64().map(Some).ok_or_else(|| format!("{key} must be a whole number, got {v}")),
        };
        types.push(Type {
            name: t.get("name").and_then(Value::as_str).ok_or("each type needs a name")?.to_owned(),
            min_cores: number("min_cores")?.unwrap_or(1),
            max_cores: number("max_cores")?,
            above_mb: number("above_mb")?.unwrap_or(-1),
            max_mb: number("max_mb")?,
        });
    }
    Types::new(types)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        setting,
        testing::{World, operator},
    };

    /// engine.md 9.3: the bounds are a table that a site can change; a faulty one does not stop the system.
    #[tokio::test]
    async fn a_site_changes_its_types() {
        let w = World::new().await;
        let of = async |cores, ram| w.ops.resource_types().await.unwrap().of(cores, ram).to_owned();
        assert_eq!(of(8, 1_000).await, "MCORE");
        let set = async |text: &str| setting::set(&w.ops, &operator(), RESOURCE_TYPES.name, "", "", text).await;
        set(r#"[{"name": "SMALL", "max_cores": 8}, {"name": "LARGE", "min_cores": 9}]"#).await.unwrap();
        assert_eq!((of(8, 1_000_000).await, of(9, 0).await), ("SMALL".to_owned(), "LARGE".to_owned()));
        assert!(set("nonsense").await.unwrap_err().to_string().contains("no JSON list"));
        let mut batch = panda_store::Batch::new();
        panda_store::query::setting::set(&mut batch, RESOURCE_TYPES.name, ANY, ANY, "nonsense", 1);
        w.ops.store.apply(batch).await.unwrap();
        w.pass(2);
        assert_eq!(of(8, 1_000).await, "MCORE");
    }
}
