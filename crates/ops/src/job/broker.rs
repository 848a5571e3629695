//! Which queue takes a job without a task: `core`'s broker over the queues as they are, spread over the jobs of one submission.

use std::sync::Arc;

use panda_core::{
    id::QueueId,
    policy::broker::{Candidate, Decision, Need, decide},
    queue::PilotFamily,
};
use panda_store::query::queue::QueueRow;
use serde_json::{Value, json};

use crate::{Ops, OpsError, queue::Snapshot, statistics};

/// Stage of the decision record.
pub const STAGE: &str = "broker";
/// Most different needs whose candidates one submission remembers.
const MAX_NEEDS: usize = 1_000;

/// What a broker of one submission knows.
#[derive(Debug)]
pub struct Broker {
    queues: Arc<Snapshot>,
    all: Vec<(Arc<QueueRow>, Candidate)>,
    known: Vec<(Need, Vec<usize>)>,
}

/// Where a job goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// To this queue.
    Queue(QueueId),
    /// Nowhere now, though a queue would fit once it is online; the sentence says why.
    Later(String),
    /// Nowhere ever; the sentence says what each queue lacks.
    Never(String),
}

impl Broker {
    /// Queues and their loads as they are now.
    pub async fn new(ops: &Ops) -> Result<Self, OpsError> {
        let queues = ops.queues().await?;
        let load = statistics::load(ops).await?;
        let all = queues.sorted().into_iter().map(|q| {
            let at = load.queue(q.id).all;
            let mut c = candidate(&q, at.running(), at.queued());
            c.online &= queues.kept_from(q.id).is_none();
            (q, c)
        });
        Ok(Self { all: all.collect(), queues, known: Vec::new() })
    }
    /// The queues and storage endpoints that it works with.
    #[must_use]
    pub fn snapshot(&self) -> &Snapshot {
        &self.queues
    }
    /// Chooses a queue for a job; its load counts for the next one.
    pub fn place(&mut self, need: &Need) -> Place {
        let Some(at) = self.known.iter().position(|(n, _)| n == need) else {
            let decision = self.decision(need);
            if decision.left.is_empty() {
                return self.refusal(need, &decision);
            }
            let fits = |name: &str| decision.left.iter().any(|l| l == name);
            let left = (0..self.all.len()).filter(|i| fits(&self.all[*i].1.name)).collect();
            if self.known.len() >= MAX_NEEDS {
                self.known.clear();
            }
            self.known.push((need.clone(), left));
            return self.place(need);
        };
        // The weight of `core`'s broker, over the loads as they have become.
        let weight = |i: &usize| {
            let c = &self.all[*i].1;
            (c.running + 1, c.queued + 1)
        };
        let left = &self.known[at].1;
        let best = left.iter().copied().reduce(|a, b| {
            let ((ra, qa), (rb, qb)) = (weight(&a), weight(&b));
            if i128::from(rb) * i128::from(qa) > i128::from(ra) * i128::from(qb) { b } else { a }
        });
        let Some(best) = best else { return Place::Never("there is no queue; add one with `panda queue add NAME`".into()) };
        self.all[best].1.queued += 1;
        Place::Queue(self.all[best].0.id)
    }
    /// The whole decision over the queues as they are, for a record of it.
    #[must_use]
    pub fn decision(&self, need: &Need) -> Decision {
        decide(&self.candidates(need), need)
    }
    fn candidates(&self, need: &Need) -> Vec<Candidate> {
        let named = |q: &QueueRow| need.only.contains(&q.name);
        self.all.iter().map(|(q, c)| Candidate { online: c.online || (q.state == "test" && named(q)), ..c.clone() }).collect()
    }
    fn refusal(&self, need: &Need, decision: &Decision) -> Place {
        let online: Vec<Candidate> = self.candidates(need).into_iter().map(|c| Candidate { online: true, ..c }).collect();
        if decide(&online, need).left.is_empty() { Place::Never(decision.sentence()) } else { Place::Later(decision.sentence()) }
    }
}

/// The decision record of a job that was placed or waits.
#[must_use]
pub fn record(place: &Place, snapshot: &Snapshot) -> Value {
    match place {
        Place::Queue(id) => json!({"chosen": snapshot.by_id.get(id).map(|q| q.name.as_str()), "considered": snapshot.by_id.len()}),
        Place::Later(why) | Place::Never(why) => json!({"chosen": null, "considered": snapshot.by_id.len(), "reason": why}),
    }
}

fn candidate(q: &QueueRow, running: i64, queued: i64) -> Candidate {
    let doc: Value = serde_json::from_str(&q.doc).unwrap_or_default();
    Candidate {
        name: q.name.clone(),
        online: q.state == "online",
        family: PilotFamily::parse(&q.pilot_family).unwrap_or(PilotFamily::Native),
        has_container: doc.get("container_type").and_then(Value::as_str).is_some_and(|c| !c.is_empty()),
        cores: q.core_count.max(0),
        max_ram_mb: q.max_ram_mb,
        max_disk_mb: q.max_disk_mb,
        max_walltime_s: q.max_walltime_s,
        running,
        queued,
    }
}
