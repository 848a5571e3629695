//! What came out.

use std::{collections::BTreeMap, fmt};

use panda_core::id::TaskId;
use panda_store::query::{archive, job::count};
use serde::Serialize;

use crate::{
    SimError, check,
    world::{BEGIN_US, World},
};

/// Counters of a run.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Counts {
    /// Tasks submitted.
    pub tasks: u64,
    /// Submissions that the system refused.
    pub refused: u64,
    /// Jobs handed out, attempts counted.
    pub dispatched: u64,
    /// Canary jobs among them, which test queues that are held.
    pub canaries: u64,
    /// Jobs that ended at their pilots.
    pub ended: u64,
    /// Reports sent.
    pub reports: u64,
    /// Last reports sent twice.
    pub repeated: u64,
    /// Answers with jobs that were lost on the way.
    pub lost_answers: u64,
    /// Faults and changes of mind.
    pub faults: u64,
}

/// A share's part of what ran.
#[derive(Debug, Clone, Serialize)]
pub struct ShareLine {
    /// Name.
    pub share: String,
    /// Its target, percent of everything.
    pub target: f64,
    /// What it had of the running cores on average while all shares had work that waited, percent.
    pub actual: f64,
}

/// The result of a run.
#[derive(Debug, Clone, Serialize)]
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// Simulated hours.
    pub hours: f64,
    /// Counters.
    pub counts: Counts,
    /// Steps of loops.
    pub loop_steps: u64,
    /// Jobs by state at the end, hot ones.
    pub jobs: BTreeMap<String, i64>,
    /// Tasks by state at the end.
    pub task_states: BTreeMap<String, u64>,
    /// Percent of the slot time that had a job.
    pub slots_used: f64,
    /// Seconds from a task's submission to the start of its first job: median, 90th percentile, longest.
    pub first_job_s: [i64; 3],
    /// Shares.
    pub shares: Vec<ShareLine>,
    /// Samples behind the shares, and those left out because a share had nothing that waits.
    pub share_samples: (u64, u64),
    /// A number made of all that happened, in order: equal for equal seeds.
    pub fingerprint: String,
    /// What did not hold.
    pub violations: Vec<String>,
}

impl World {
    /// What came out.
    pub async fn outcome(mut self) -> Result<Outcome, SimError> {
        self.check_now().await?;
        if self.scenario.drain_hours > 0.0 {
            let ids: Vec<i64> = self.tasks.iter().map(|t| t.id).collect();
            let wrong = check::end(&self.ops, &ids, &self.stored).await?;
            wrong.into_iter().for_each(|w| self.violation(w));
        }
        for name in std::mem::take(&mut self.loops.restless) {
            self.violation(format!("loop {name} does not come to rest"));
        }
        let mut jobs = BTreeMap::new();
        for g in count::groups(&self.ops.store).await? {
            *jobs.entry(g.state.to_string()).or_insert(0) += g.n;
        }
        let mut task_states = BTreeMap::new();
        for t in &self.tasks {
            if let Some(row) = archive::task::find(&self.ops.store, TaskId(t.id)).await? {
                *task_states.entry(row.state.to_string()).or_insert(0) += 1;
            }
        }
        let now = self.now_us();
        let running: i128 = self.jobs.iter().flatten().map(|h| i128::from(now - h.taken_us)).sum();
        let used: i128 = self.sites.iter().map(|s| s.used_us).sum::<i128>() + running;
        let slots: i128 = self.sites.iter().map(|s| i128::from(self.scenario.queues[s.group].slots)).sum();
        let whole = slots * i128::from(now - BEGIN_US);
        let mut first: Vec<i64> = self.tasks.iter().filter_map(|t| Some((t.first_us? - t.at_us) / 1_000_000)).collect();
        first.sort_unstable();
        let at = |part: usize| first.get((first.len().saturating_sub(1)) * part / 100).copied().unwrap_or(0);
        let samples = self.shares.samples.max(1) as f64;
        let line = |(share, target): (&String, &f64)| ShareLine {
            share: share.clone(),
            target: target * 100.0,
            actual: self.shares.sums.get(share).copied().unwrap_or(0.0) / samples * 100.0,
        };
        Ok(Outcome {
            seed: self.scenario.seed,
            hours: (now - BEGIN_US) as f64 / 3.6e9,
            loop_steps: self.loops.steps,
            jobs,
            task_states,
            slots_used: if whole > 0 { used as f64 / whole as f64 * 100.0 } else { 0.0 },
            first_job_s: [at(50), at(90), at(100)],
            shares: self.shares.targets.iter().map(line).collect(),
            share_samples: (self.shares.samples, self.shares.without_demand),
            fingerprint: format!("{:016x}", self.fingerprint),
            violations: self.violations,
            counts: self.counts,
        })
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let states = |of: &mut dyn Iterator<Item = (&String, String)>| of.map(|(s, n)| format!("{n} {s}")).collect::<Vec<_>>().join(", ");
        writeln!(f, "simulated      {:.1} h, seed {}, fingerprint {}", self.hours, self.seed, self.fingerprint)?;
        writeln!(
            f,
            "tasks          {} ({} refused): {}",
            self.counts.tasks,
            self.counts.refused,
            states(&mut self.task_states.iter().map(|(s, n)| (s, n.to_string())))
        )?;
        writeln!(
            f,
            "jobs           {} handed out, {} ended: {}",
            self.counts.dispatched,
            self.counts.ended,
            states(&mut self.jobs.iter().map(|(s, n)| (s, n.to_string())))
        )?;
        writeln!(f, "slots          {:.1} % of their time with a job", self.slots_used)?;
        let [median, most, longest] = self.first_job_s;
        writeln!(f, "first job      {median} s after submission (median), {most} s (90 %), {longest} s (longest)")?;
        for s in &self.shares {
            writeln!(f, "share          {:<20} target {:6.2} %, had {:6.2} %", s.share, s.target, s.actual)?;
        }
        if !self.shares.is_empty() {
            writeln!(
                f,
                "               {} samples; {} left out because a share had nothing that waited",
                self.share_samples.0, self.share_samples.1
            )?;
        }
        let c = &self.counts;
        writeln!(
            f,
            "faults         {} lost answers, {} repeated reports, {} others; {} canary jobs",
            c.lost_answers, c.repeated, c.faults, c.canaries
        )?;
        match self.violations.len() {
            0 => write!(f, "invariants     hold"),
            n => {
                write!(f, "invariants     {n} broken")?;
                self.violations.iter().try_for_each(|v| write!(f, "\n  {v}"))
            }
        }
    }
}
