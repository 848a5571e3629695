//! Pilots whose jobs take events in ranges: they ask for some now and then, say of most how they went, and keep silent about others.

use panda_core::id::JobId;
use panda_ops::event::{self, Change};
use rand::RngExt as _;

use crate::{
    SimError,
    fate::{self, End},
    site::Phase,
    world::World,
};

/// Ranges of one question.
const A_CALL: i64 = 3;
/// Questions of a job at its end, when all goes well; what is left then others do.
const LAST_CALLS: usize = 6;
/// Percent of ranges that are done, and percent of which nothing is said.
const DONE_PERCENT: f64 = 85.0;
const UNSAID_PERCENT: f64 = 5.0;

impl World {
    /// What the pilot of a job does about its ranges now. A range that is done twice is a violation.
    pub(crate) async fn take_ranges(&mut self, key: u32) -> Result<(), SimError> {
        let now = self.now_us();
        let Some(held) = self.jobs.get(key as usize).and_then(Option::as_ref).filter(|h| h.ranges && h.phase == Phase::Running) else {
            return Ok(());
        };
        let job = JobId(held.id);
        let calls = if now >= held.end_us && held.fate.end == End::Well { LAST_CALLS } else { 1 };
        let (ops, pilot) = (self.ops.clone(), self.pilot.clone());
        for _ in 0..calls {
            let got = event::acquire(&ops, &pilot, job, None, A_CALL).await?;
            if got.is_empty() {
                return Ok(());
            }
            let mut said = Vec::new();
            for (range, _) in &got {
                let draw = fate::chance(self.scenario.seed, 3, range.id ^ (range.attempt << 48)).random::<f64>() * 100.0;
                let word = if self.draining() || draw < DONE_PERCENT { "finished" } else { "failed" };
                if self.draining() || draw < 100.0 - UNSAID_PERCENT {
                    said.push((range.clone(), Change { range: event::name(range).to_string(), word: word.into(), ..Change::default() }));
                }
            }
            let changes: Vec<Change> = said.iter().map(|(_, c)| c.clone()).collect();
            let updated = event::update(&ops, &pilot, &changes).await?;
            for ((range, change), taken) in said.iter().zip(updated.taken) {
                if !taken {
                    self.violation(format!("job {job} has range {} and may not say that it is {}", change.range, change.word));
                } else if change.word == "finished" {
                    // Cut for another job, it is of files that were retried from their beginning.
                    let done = self.ranges_done.insert((range.cut_for.0, range.file_id, range.number), range.attempt);
                    if let Some(before) = done {
                        self.violation(format!("range {} was done before, at attempt {before}", change.range));
                    }
                }
            }
            self.trace(&[3, job.0, got.len() as i64]);
        }
        Ok(())
    }
}
