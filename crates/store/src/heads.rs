//! What this process knows of the lanes: which hold jobs, and the best job of each. All of it may be wrong for a second, and may vanish: whoever
//! finds nothing asks the database.

use std::collections::HashMap;

use panda_core::id::LaneId;
use parking_lot::Mutex;

use crate::{
    batch::{Batch, Op},
    driver::Claimed,
    value::Value,
};

/// How long something is believed, microseconds of the caller's clock: other processes activate jobs too.
const MEMORY_US: i64 = 1_000_000;

/// Key of a job in its lane: negated priority and id.
pub type Key = (i64, i64);

/// A lane in which a batch may have activated jobs, with the least key when it is known.
pub(crate) type Touched = Vec<(LaneId, Option<Key>)>;

#[derive(Debug, Clone, Copy)]
struct Head {
    /// No job of the lane comes before it; None = there is no job.
    first: Option<Key>,
    at_us: i64,
}

#[derive(Debug, Default)]
struct Inner {
    lanes: HashMap<LaneId, Head>,
    /// Rises with every activation: what was read before one is not learnt after it.
    generation: u64,
}

/// The memory.
#[derive(Debug, Default)]
pub(crate) struct Heads(Mutex<Inner>);

/// The lanes in which this batch activates jobs.
pub(crate) fn touched(batch: &Batch) -> Touched {
    let mut out = Touched::new();
    for op in &batch.ops {
        match op {
            Op::Exec { binds, .. } => {
                if let Some((_, Value::Int(lane))) = binds.iter().find(|(name, _)| *name == "ready") {
                    out.push((LaneId(*lane), None));
                }
            }
            Op::Insert { stmt, rows } if stmt.table == "job" => {
                let column = |name: &str| stmt.columns.iter().position(|(c, _)| *c == name);
                let (Some(ready), Some(neg), Some(id)) = (column("ready_lane"), column("neg_priority"), column("id")) else { continue };
                for row in rows {
                    if let (Some(Value::Int(lane)), Some(Value::Int(neg)), Some(Value::Int(id))) =
                        (row.get(ready), row.get(neg), row.get(id))
                    {
                        let (lane, key) = (LaneId(*lane), (*neg, *id));
                        match out.last_mut() {
                            Some((last, Some(least))) if *last == lane => *least = key.min(*least),
                            _ => out.push((lane, Some(key))),
                        }
                    }
                }
            }
            Op::Insert { .. } => {}
        }
    }
    out
}

impl Heads {
    /// To be asked before the database is.
    pub(crate) fn generation(&self) -> u64 {
        self.0.lock().generation
    }
    /// What is known of these lanes (empty ones are left out), which of them are not known, and the generation.
    pub(crate) fn known(&self, lanes: &[LaneId], now_us: i64) -> (Vec<(LaneId, Key)>, Vec<LaneId>, u64) {
        let inner = self.0.lock();
        let (mut known, mut stale) = (Vec::with_capacity(lanes.len()), vec![]);
        for lane in lanes {
            match inner.lanes.get(lane) {
                Some(head) if now_us - head.at_us < MEMORY_US => known.extend(head.first.map(|key| (*lane, key))),
                _ => stale.push(*lane),
            }
        }
        (known, stale, inner.generation)
    }
    /// Keeps what was read, unless jobs were activated meanwhile.
    pub(crate) fn learn(&self, found: &[(LaneId, Option<Key>)], generation: u64, now_us: i64) {
        let mut inner = self.0.lock();
        if inner.generation != generation {
            return;
        }
        for (lane, first) in found {
            inner.lanes.insert(*lane, Head { first: *first, at_us: now_us });
        }
    }
    /// Notes activations, after their commit.
    pub(crate) fn note(&self, touched: &Touched) {
        if touched.is_empty() {
            return;
        }
        let mut inner = self.0.lock();
        inner.generation += 1;
        for (lane, key) in touched {
            match (inner.lanes.get_mut(lane), key) {
                (Some(head), Some(key)) => head.first = Some(head.first.map_or(*key, |f| f.min(*key))),
                (Some(_), None) => {
                    inner.lanes.remove(lane);
                }
                (None, _) => {}
            }
        }
    }
    /// Notes what a claim took of `lanes`, in their order. `whole`: it had no limits, so that lanes before the last one it took from are empty, and
    /// that one too when fewer than it wanted were there.
    pub(crate) fn taken(&self, (lanes, want): (&[LaneId], usize), taken: &[Claimed], whole: bool, generation: u64, now_us: i64) {
        let mut inner = self.0.lock();
        let mut last = None;
        for job in taken {
            let key = (-job.priority, job.job_id.0);
            if let Some(head) = inner.lanes.get_mut(&job.lane_id) {
                // Nothing before it was left when it was taken, unless limits left it.
                head.first = if whole { head.first.map(|f| f.max(key)) } else { head.first };
            }
            last = last.max(lanes.iter().position(|l| *l == job.lane_id));
        }
        if !whole || inner.generation != generation {
            return;
        }
        let empty = match last {
            None => lanes,
            Some(at) if taken.len() < want => &lanes[..=at],
            Some(at) => &lanes[..at],
        };
        for lane in empty {
            if taken.iter().all(|job| job.lane_id != *lane) || taken.len() < want {
                inner.lanes.insert(*lane, Head { first: None, at_us: now_us });
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use panda_core::id::JobId;
    use std::sync::Arc;

    fn job(lane: i64, priority: i64, id: i64) -> Claimed {
        Claimed {
            job_id: JobId(id),
            task_id: None,
            lane_id: LaneId(lane),
            attempt: 0,
            priority,
            person_id: 1,
            debug: false,
            cores: 1,
            common: Arc::from(""),
            doc: String::new(),
        }
    }
    const LANES: [LaneId; 3] = [LaneId(1), LaneId(2), LaneId(3)];

    #[test]
    fn what_is_read_is_known_until_something_is_activated() {
        let heads = Heads::default();
        let (known, stale, generation) = heads.known(&LANES, 0);
        assert_eq!((known.len(), stale.len()), (0, 3));
        heads.learn(&[(LANES[0], Some((-5, 10))), (LANES[1], None), (LANES[2], Some((-7, 11)))], generation, 0);
        assert_eq!(heads.known(&LANES, 0).0, [(LANES[0], (-5, 10)), (LANES[2], (-7, 11))]);
        heads.note(&vec![(LANES[1], Some((-9, 12)))]);
        assert_eq!(heads.known(&LANES, 0).0[1], (LANES[1], (-9, 12)));
        heads.note(&vec![(LANES[0], None)]);
        assert_eq!(heads.known(&LANES, 0).1, [LANES[0]], "a lane of which nothing better is known is read again");
        // Read before the activation, learnt after it: not believed.
        heads.learn(&[(LANES[0], None)], generation, 0);
        assert_eq!(heads.known(&LANES, 0).1, [LANES[0]]);
    }

    #[test]
    fn claims_move_heads() {
        let heads = Heads::default();
        let read: Vec<_> = LANES.iter().map(|l| (*l, Some((-9, 1)))).collect();
        heads.learn(&read, 0, 0);
        heads.taken((&LANES, 1), &[job(2, 5, 20)], true, 0, 0);
        assert_eq!(heads.known(&LANES, 0).0, [(LANES[1], (-5, 20)), (LANES[2], (-9, 1))], "the lane before it was empty");
        heads.taken((&LANES[2..], 1), &[job(3, 4, 30)], false, 0, 0);
        assert_eq!(heads.known(&LANES[2..], 0).0, [(LANES[2], (-9, 1))], "limits may have left better ones");
        heads.taken((&LANES[1..], 1), &[], true, 0, 0);
        assert_eq!(heads.known(&LANES, 0).0, []);
        assert_eq!(heads.known(&LANES, MEMORY_US - 1).1, []);
        assert_eq!(heads.known(&LANES, MEMORY_US).1, LANES, "after a second nothing is believed");
    }
}
