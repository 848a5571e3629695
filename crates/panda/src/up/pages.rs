//! What the monitor is told beyond the operations.

use std::sync::Arc;

use axum::http::{StatusCode, request::Parts};
use panda_access::{Principal, Role, Scope};
use panda_engine::Engine;
use panda_monitor::{Door, MonitorState, Refused};
use panda_ops::Ops;
use panda_server::{ServerState, ctx::Peer, dispatch};
use serde_json::{Value, json};

use crate::config::Access;

/// The state of the pages; with the loops' status where they run here.
pub(super) fn state(ops: &Arc<Ops>, engine: Option<&Arc<Engine>>) -> MonitorState {
    let status = engine.cloned().map(|engine| Arc::new(move || loops(&engine)) as Arc<dyn Fn() -> Value + Send + Sync>);
    MonitorState { ops: ops.clone(), engine_status: status, title: String::new(), door: None }
}

fn loops(engine: &Engine) -> Value {
    let one = |status: panda_engine::driver::LoopStatus| {
        json!({
            "loop": status.kind.name(), "last_us": status.last_us, "steps": status.steps, "done": status.done, "last_error": status.last_error,
        })
    };
    engine.status().into_iter().map(one).collect()
}

/// The door of the pages: those whom the API would know, as far as the configuration lets them in.
pub(super) fn door(server: &Arc<ServerState>, access: Access) -> Option<Door> {
    if access == Access::Public {
        return None;
    }
    let server = Arc::clone(server);
    Some(Arc::new(move |parts: &Parts| {
        let (server, headers) = (Arc::clone(&server), parts.headers.clone());
        let peer = parts.extensions.get::<Peer>().cloned().unwrap_or_default();
        Box::pin(async move {
            match dispatch::identify(&server, &peer, &headers).await {
                Ok(Some(who)) => admit(&who, access),
                Ok(None) => Err(refused(StatusCode::UNAUTHORIZED, "These pages are read by people who are known here.", KNOWN)),
                Err(rejection) => Err(refused(rejection.status, &rejection.text, KNOWN)),
            }
        })
    }))
}

/// What to do for somebody who is not known.
const KNOWN: &str = "Come over TLS with a client certificate in the browser, or send `Authorization: Bearer TOKEN`.";

fn refused(status: StatusCode, what: &str, hint: &str) -> Refused {
    Refused { status, what: what.to_owned(), hint: hint.to_owned() }
}

/// Whether somebody who is known may read. Pilots and Harvesters act on machines of others, and pages show more than their jobs.
fn admit(who: &Principal, access: Access) -> Result<(), Refused> {
    let no = |what: &str, hint: &str| Err(refused(StatusCode::FORBIDDEN, what, hint));
    let is_operator = who.acts(&Role::Operator, None);
    let is_worker = [Role::Pilot, Role::Harvester].iter().any(|role| who.acts(role, None));
    if who.standing.scopes.as_ref().is_some_and(|scopes| !scopes.contains(&Scope::Read)) {
        return no("This API token is not for reading.", "`panda token create NAME --scope read` makes one that is.");
    }
    match access {
        Access::Operators if !is_operator => no("These pages are for operators.", "`panda user grant NAME operator` makes somebody one."),
        _ if is_worker && !is_operator => no("These pages are for people.", "Ask as yourself, without the role of pilots or Harvester."),
        _ => Ok(()),
    }
}
