//! Holds: the whole server, a queue, or one machine of a queue gets no jobs, and why. Three kinds: a drain (somebody stops the dispatch, e.g. before
//! maintenance), an operator's hold of a queue, and the automatic brake ([`brake`]), which a canary job releases ([`canary`]).
//!
//! Only the dispatch, brokerage and what people see know of holds; heartbeats, reports and everything else go on.

pub mod brake;
pub mod canary;
pub mod operator;

use std::sync::Arc;

use panda_core::{
    id::QueueId,
    policy::brake::{HoldKind, HoldState, machine},
};
use panda_store::{
    Batch, IdKind,
    query::{
        hold::{EVERY_NODE, HoldRow, SERVER},
        journal::{self, Line},
    },
};
use serde_json::{Value, json};

use crate::{Ops, OpsError, clock, queue::Snapshot};

/// Who the journal names for what the system does by itself.
pub const ENGINE: &str = "engine";
/// Longest reason kept, characters.
pub const MAX_REASON: usize = 500;

/// What the dispatch does for a pilot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Gate {
    /// It hands out jobs.
    Open,
    /// It hands out nothing.
    Shut(Arc<HoldRow>),
    /// It may hand out one canary job.
    Trial(Arc<HoldRow>),
}

impl Snapshot {
    /// Holds that stand on a queue now: of the server, of the queue, of its machines.
    pub fn holds(&self, queue: QueueId) -> impl Iterator<Item = &Arc<HoldRow>> {
        self.holds.iter().filter(move |h| (h.queue_id == queue || h.queue_id == SERVER) && h.state != HoldState::Free)
    }
    /// The drain of the whole server, if there is one.
    #[must_use]
    pub fn drained(&self) -> Option<&Arc<HoldRow>> {
        self.holds.iter().find(|h| h.queue_id == SERVER)
    }
    /// The hold for which brokerage sends nothing new to a queue, if there is one: the queue as a whole is held or drained. A drain of the whole
    /// server moves no work elsewhere, so brokerage goes on.
    #[must_use]
    pub fn kept_from(&self, queue: QueueId) -> Option<&Arc<HoldRow>> {
        self.holds(queue).find(|h| h.queue_id == queue && h.node == EVERY_NODE)
    }
    /// What the dispatch does for a pilot of this queue on this node at `now_us`.
    #[must_use]
    pub fn gate(&self, queue: QueueId, node: Option<&str>, now_us: i64) -> Gate {
        let here = node.map_or("", machine);
        let mut trial = None;
        for h in self.holds(queue).filter(|h| h.node == EVERY_NODE || h.node == here) {
            if h.kind != HoldKind::Brake || h.state == HoldState::Trial || h.next_us > now_us {
                return Gate::Shut(h.clone());
            }
            trial.get_or_insert(h);
        }
        trial.map_or(Gate::Open, |h| Gate::Trial(h.clone()))
    }
}

/// What a hold means, and what frees it: two sentences. `name`: the queue's.
#[must_use]
pub fn sentences(h: &HoldRow, name: &str) -> (String, String) {
    let since = clock::text(h.since_us);
    match h.kind {
        HoldKind::Drain if h.queue_id == SERVER => {
            (format!("the server hands out no jobs since {since}, drained by {}: {}", h.who, h.reason), "`panda undrain`".into())
        }
        HoldKind::Drain => (
            format!("queue {name} gets no jobs since {since}, drained by {}: {}", h.who, h.reason),
            format!("`panda undrain --queue {name}`"),
        ),
        HoldKind::Operator => {
            (format!("queue {name} is held since {since} by {}: {}", h.who, h.reason), format!("`panda queue release {name}`"))
        }
        HoldKind::Brake => {
            let place = if h.node == EVERY_NODE { format!("queue {name}") } else { format!("{} of queue {name}", h.node) };
            let next = match (h.state, h.job_id) {
                (HoldState::Trial, Some(job)) => format!("the good end of canary job/{job}"),
                _ => format!("a canary job that ends well; the next one may go at {}", clock::text(h.next_us)),
            };
            (format!("{place} is held since {since}: {}", h.reason), format!("{next}; or `panda queue release {name}`"))
        }
    }
}

/// A hold as JSON: `{"queue", "node", "kind", "state", "reason", "frees", "who", "since", "next", "tries", "job_id"}`; queue is null for the whole server,
/// node for a whole queue.
#[must_use]
pub fn as_json(h: &HoldRow, queues: &Snapshot) -> Value {
    let name = queues.by_id.get(&h.queue_id).map(|q| q.name.as_str());
    let brake = h.kind == HoldKind::Brake;
    json!({
        "queue": name, "node": (h.node != EVERY_NODE).then_some(&h.node), "kind": h.kind.as_str(), "state": h.state.as_str(),
        "reason": h.reason, "frees": sentences(h, name.unwrap_or_default()).1, "who": h.who, "since": clock::text(h.since_us),
        "next": brake.then(|| clock::text(h.next_us)), "tries": h.tries, "job_id": h.job_id.map(|j| j.0),
    })
}

/// Every hold that stands, as JSON; that of a whole queue also with `"finished"` and `"failed"`, what ended there lately (setting
/// `broker.failure_window_s`).
pub async fn list(ops: &Ops) -> Result<Vec<Value>, OpsError> {
    let queues = ops.queues_changed().await?;
    let load = crate::statistics::load(ops).await?;
    let one = |h: &Arc<HoldRow>| {
        let mut out = as_json(h, &queues);
        if h.queue_id != SERVER && h.node == EVERY_NODE {
            let ended = load.queue(h.queue_id).ended.values();
            let (finished, failed) = ended.fold((0, 0), |sum, e| (sum.0 + e.finished, sum.1 + e.failed));
            (out["finished"], out["failed"]) = (finished.into(), failed.into());
        }
        out
    };
    Ok(queues.holds.iter().filter(|h| h.state != HoldState::Free).map(one).collect())
}

/// The subject of a queue's decision records: below those of tasks and jobs.
#[must_use]
pub fn subject(queue: QueueId) -> i64 {
    -queue.0
}

/// Adds a line of the journal about a hold.
async fn note(ops: &Ops, batch: &mut Batch, h: &HoldRow, name: &str, what: &str, doc: Option<Value>) -> Result<(), OpsError> {
    let subject = match (h.queue_id == SERVER, h.node == EVERY_NODE) {
        (true, _) => "server".to_owned(),
        (false, true) => format!("queue {name}"),
        (false, false) => format!("{} of queue {name}", h.node).chars().take(200).collect(),
    };
    let doc = doc.unwrap_or_else(|| json!({"reason": h.reason}));
    let line = Line {
        id: ops.store.id(IdKind::Row).await?,
        at_us: ops.now().0,
        area: h.kind.as_str().to_owned(),
        what: what.to_owned(),
        subject,
        who: h.who.clone(),
        doc: Some(doc.to_string()),
    };
    journal::add(batch, &line);
    Ok(())
}
