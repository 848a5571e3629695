//! What every page needs: the operations as a reader, names of people and queues, and the request as pages see it.

use std::{collections::HashMap, sync::Arc};

use axum::{
    extract::{FromRequestParts, Query as AxumQuery},
    http::{header, request::Parts},
};
use panda_access::{Principal, Role, Scope, Standing};
use panda_core::id::QueueId;
use panda_ops::{Ops, queue::Snapshot};

use crate::{MonitorState, args::Query, trouble::Trouble};

/// The state behind the router.
pub(crate) struct App {
    /// The operations.
    pub ops: Arc<Ops>,
    /// See [`MonitorState`].
    pub state: MonitorState,
    /// Whom operations see reading, of every VO, and nothing else: pages have no log-in yet.
    pub reader: Principal,
}

impl App {
    /// Over this state.
    pub(crate) fn new(mut state: MonitorState) -> Self {
        if state.title.trim().is_empty() {
            state.title = "PanDA".to_owned();
        }
        let reader = Principal {
            issuer: "panda".into(),
            subject: "monitor".into(),
            name: "monitor".into(),
            nickname: "monitor".into(),
            vo: None,
            roles: Default::default(),
            groups: Vec::new(),
            email: None,
            standing: Standing { roles: [Role::Operator].into(), scopes: Some([Scope::Read].into()), ..Standing::default() },
        };
        Self { ops: state.ops.clone(), state, reader }
    }
    /// Shown names of these people, by row.
    pub(crate) async fn names(&self, people: impl Iterator<Item = i64>) -> Result<Names, Trouble> {
        let mut names = HashMap::new();
        for id in people {
            if let std::collections::hash_map::Entry::Vacant(e) = names.entry(id) {
                e.insert(self.ops.person_by_id(id).await?.name.clone());
            }
        }
        Ok(Names { people: names, queues: self.ops.queues().await? })
    }
}

/// Names for ids, as far as one page needs them.
pub(crate) struct Names {
    people: HashMap<i64, String>,
    /// Queues and storage endpoints.
    pub queues: Arc<Snapshot>,
}

impl Names {
    /// A person's shown name.
    pub(crate) fn person(&self, id: i64) -> String {
        self.people.get(&id).cloned().unwrap_or_default()
    }
    /// A queue's name; None for a job that has no queue, the number for a queue that is gone.
    pub(crate) fn queue(&self, id: Option<QueueId>) -> Option<String> {
        id.map(|id| self.queues.by_id.get(&id).map_or_else(|| id.to_string(), |q| q.name.clone()))
    }
}

/// A request as pages see it.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    /// Path, as sent.
    pub path: String,
    /// Query.
    pub query: Query,
    /// Whether JSON is wanted.
    pub json: bool,
}

impl<S: Sync> FromRequestParts<S> for Asked {
    type Rejection = std::convert::Infallible;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let query = AxumQuery::<Vec<(String, String)>>::try_from_uri(&parts.uri).map(|q| q.0).unwrap_or_default();
        let query = Query(query);
        let accept = parts.headers.get(header::ACCEPT).and_then(|v| v.to_str().ok()).unwrap_or_default();
        let json = query.flag("json") || prefers_json(accept);
        Ok(Self { path: parts.uri.path().to_owned(), query, json })
    }
}

/// Whether an `Accept` header names JSON before HTML; weights are not looked at, browsers list HTML first.
fn prefers_json(accept: &str) -> bool {
    let first = accept.split(',').map(|m| m.split(';').next().unwrap_or_default().trim()).find_map(|m| match m {
        "application/json" | "text/json" => Some(true),
        "text/html" | "application/xhtml+xml" => Some(false),
        _ => None,
    });
    first.unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accept() {
        assert!(prefers_json("application/json") && prefers_json("text/json;q=0.9, text/html"));
        assert!(!prefers_json("text/html,application/json") && !prefers_json("*/*") && !prefers_json(""));
    }
}
