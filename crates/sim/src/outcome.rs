//! What came out.

use std::{collections::BTreeMap, fmt};

use serde::Serialize;

/// Counters of a run.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Counts {
    /// Tasks submitted.
    pub tasks: u64,
    /// Submissions that the system refused.
    pub refused: u64,
    /// Jobs handed out, attempts counted.
    pub dispatched: u64,
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

impl Outcome {
    /// The largest difference between a share's target and what it had, points of percent.
    #[must_use]
    pub fn worst_share(&self) -> f64 {
        self.shares.iter().map(|s| (s.target - s.actual).abs()).fold(0.0, f64::max)
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
        writeln!(f, "faults         {} lost answers, {} repeated reports, {} others", c.lost_answers, c.repeated, c.faults)?;
        match self.violations.len() {
            0 => write!(f, "invariants     hold"),
            n => {
                write!(f, "invariants     {n} broken")?;
                self.violations.iter().try_for_each(|v| write!(f, "\n  {v}"))
            }
        }
    }
}
