//! What the engine's pages show: shares with jobs of several VOs, holds, caps, throttles and tasks on hold.

use panda_access::{Principal, Role, Standing};
use panda_core::{
    id::{JobId, QueueId},
    job::{record::JobKind, state::JobState},
    machine::Actor,
    policy::brake::{HoldKind, HoldState},
    task::state::TaskState,
};
use panda_ops::hold::operator;
use panda_store::{
    Batch,
    query::{
        cache::{self, CacheFile},
        hold::{self, EVERY_NODE, HoldRow},
    },
};
use serde_json::{Value, json};

use super::{Spec, World, who};

fn operator() -> Principal {
    Principal { standing: Standing { roles: [Role::Operator].into(), ..Standing::default() }, ..who("operator", &[]) }
}

impl World {
    pub async fn share(&self, name: &str, values: Value) {
        let values = values.as_object().unwrap().clone();
        panda_ops::share::change::set(&self.ops, &operator(), name, &values).await.unwrap();
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
    pub async fn setting(&self, name: &str, vo: &str, value: &str) {
        panda_ops::setting::set(&self.ops, &operator(), name, vo, "", value).await.unwrap();
    }
    /// A brake of a queue, or of one machine of it.
    pub async fn brake(&self, queue: QueueId, node: &str, reason: &str, tries: i64, job: Option<JobId>) {
        let h = HoldRow {
            queue_id: queue,
            node: node.into(),
            kind: HoldKind::Brake,
            state: HoldState::Held,
            reason: reason.into(),
            who: panda_ops::hold::ENGINE.into(),
            since_us: self.now - 1_800_000_000,
            next_us: self.now + 600_000_000,
            wait_s: 600,
            tries,
            job_id: job,
            rev: 0,
        };
        let mut batch = Batch::new();
        hold::add(&mut batch, &h);
        self.apply(batch).await;
        if job.is_some() {
            let mut batch = Batch::new();
            hold::set(&mut batch, &HoldRow { state: HoldState::Trial, ..h });
            self.apply(batch).await;
        }
        self.ops.queues_changed().await.unwrap();
    }
    /// Holds of every kind, caps, a throttle, and tasks that wait. Needs [`World::fill`] and [`Self::fill_shares`]; `job` is
    /// the canary that is under way.
    pub async fn fill_holds(&self, job: JobId) {
        let (ops, by) = (&self.ops, operator());
        self.queue("DISK_FULL", "online", "any", "{}").await;
        let braked = ops.queue("LOCAL").await.unwrap().unwrap().id;
        operator::drain(ops, &by, None, "new disks on Monday").await.unwrap();
        operator::drain(ops, &by, Some("DISK_FULL"), "being emptied").await.unwrap();
        operator::hold(ops, &by, "DISK_FULL", "the storage is full <script>alert('x')</script>").await.unwrap();
        let failed = "9 of 10 jobs that ended in 60 minutes failed, 9 of them by the system's fault, of 2 tasks and 2 people";
        self.brake(braked, EVERY_NODE, failed, 2, Some(job)).await;
        self.brake(braked, "node<b>7</b>", failed, 0, None).await;
        self.setting("cap.user_jobs", "amber", "4").await;
        self.setting("cap.vo_cores", "amber", "100").await;
        self.setting("throttle.limits", "", r#"{"NQUEUELIMIT_Simulation": 1, "NRUNNINGCAP_Simulation": 2}"#).await;
        let (d, r, p) = ((TaskState::Defined, 1), (TaskState::Ready, 1), TaskState::Pending);
        for n in 0..3 {
            let reason = format!(
                "user `bob` has {} jobs running; the cap lets jobs be made below 4. They are made again when some have ended",
                4 + n
            );
            let t = self.task("bob", &format!("user.bob.capped.{n}/"), 900 - n, &[d, r, (p, 60)], Some(&reason)).await;
            self.decide(t.id.0, "cap", &json!({ "reason": reason }).to_string()).await;
        }
        let t = self.task("bob", "user.bob.inputs/", 800, &[d, (p, 1)], Some("the data set <i>user.bob.raw</i> is not there yet")).await;
        self.decide(t.id.0, "input", "{}").await;
        let running = [d, r, (TaskState::Running, 1)];
        self.task("alice", "user.alice.rest/", 700, &[&running[..], &[(TaskState::Paused, 5)]].concat(), None).await;
    }
    /// Uploads of which some are due, live logs, and settings that say when.
    pub async fn fill_retention(&self) {
        self.setting("archive.keep_days", "amber", "365").await;
        self.setting("retention.journal_days", "", "1").await;
        let day = 86_400_000_000;
        let mut batch = Batch::new();
        for (name, age) in [("sources.<b>1</b>.tar.gz", 40), ("sources.2.tar.gz", 2), ("notes.txt", 9)] {
            let f = CacheFile {
                name: name.into(),
                person_id: 1,
                vo: Some("amber".into()),
                fsize: 12_345_678,
                checksum: "1".into(),
                touched_us: self.now - age * day,
            };
            cache::add(&mut batch, &f);
        }
        self.apply(batch).await;
    }
}
