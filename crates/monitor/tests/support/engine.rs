//! What the engine's pages show: shares with jobs of several VOs.

use panda_access::Role;
use panda_core::{id::QueueId, job::record::JobKind, job::state::JobState, machine::Actor};
use serde_json::{Value, json};

use super::{Spec, World, who};

impl World {
    pub async fn share(&self, name: &str, values: Value) {
        let values = values.as_object().unwrap().clone();
        panda_ops::share::change::set(&self.ops, &who("operator", &[Role::Production]), name, &values).await.unwrap();
    }
    /// `n` jobs of a share and VO that no task has: running, or waiting for a pilot.
    pub async fn jobs_in(&self, share: &str, vo: &str, queue: QueueId, n: usize, running: bool) {
        use JobState as J;
        let sent = [(J::Activated, Actor::Engine, 0), (J::Sent, Actor::Pilot, 1), (J::Running, Actor::Pilot, 1)];
        let path = if running { &sent[..] } else { &sent[..1] };
        for _ in 0..n {
            let spec =
                Spec { task: None, kind: JobKind::Standalone, queue: Some(queue), path, error: None, doc: r#""jobPars":"""#, age_s: 300 };
            self.job_in(share, vo, spec).await;
        }
    }
    /// Shares in three levels, with jobs.
    pub async fn fill_shares(&self) {
        let queue = self.queue("GRID_B", "online", "native", "{}").await;
        self.share("Production", json!({"value": 60, "label": "managed|test"})).await;
        self.share("Simulation", json!({"value": 75, "parent": "Production", "processing_type": "simul", "throttled": true})).await;
        self.share("Reprocessing", json!({"value": 25, "parent": "Production"})).await;
        self.share("Analysis", json!({"value": 30, "label": "user", "working_group": "<b>top</b>.*"})).await;
        self.jobs_in("Simulation", "amber", queue, 3, true).await;
        self.jobs_in("Simulation", "amber", queue, 2, false).await;
        self.jobs_in("Reprocessing", "beryl", queue, 1, true).await;
        self.jobs_in("Analysis", "amber", queue, 4, true).await;
        self.jobs_in("Analysis", "<i>beryl</i>", queue, 1, false).await;
    }
}
