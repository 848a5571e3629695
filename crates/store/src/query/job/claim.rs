//! SQL texts of claims and heartbeats: what every backend runs, and what only one of them can.
//!
//! A claim moves jobs from `activated` to `sent` by `pilot` and writes the event row, which is the one transition that `core` decides for
//! whole lanes at once (a test asks its table). How claims are combined is the drivers' business.

use crate::statements;

#[cfg_attr(not(feature = "mysql"), allow(dead_code))]
pub(crate) mod mysql;
#[cfg_attr(not(feature = "postgres"), allow(dead_code))]
pub(crate) mod postgres;
pub(crate) mod sqlite;

/// Most rows of a lane that one statement looks at for limits that the lane does not express; a scan continues by key.
pub(crate) const SCAN_ROWS: usize = 500;

statements! {
    // Candidates of a lane behind a key, for limits that the lane does not express; the caller filters and takes by id.
    [hot] read SCAN = "claim.scan",
        "SELECT id, neg_priority, ram_mb, disk_mb, walltime_s, person_id FROM job WHERE ready_lane = :lane AND (neg_priority, id) > (:neg, :id) ORDER BY neg_priority, id LIMIT 500",
        mysql: "SELECT id, neg_priority, ram_mb, disk_mb, walltime_s, person_id FROM job WHERE ready_lane = :lane AND (neg_priority > :neg OR (neg_priority = :neg AND id > :id)) ORDER BY neg_priority, id LIMIT 500";
    [hot] read SCAN_TASK = "claim.scan_task",
        "SELECT id, neg_priority, ram_mb, disk_mb, walltime_s, person_id FROM job WHERE task_id = :task AND ready_lane = :lane AND (neg_priority, id) > (:neg, :id) ORDER BY neg_priority, id LIMIT 500",
        mysql: "SELECT id, neg_priority, ram_mb, disk_mb, walltime_s, person_id FROM job WHERE task_id = :task AND ready_lane = :lane AND (neg_priority > :neg OR (neg_priority = :neg AND id > :id)) ORDER BY neg_priority, id LIMIT 500";
    // Which of these lanes hold a job; a scalar subquery with a limit cannot be turned into a join over all jobs.
    [hot] read LANES = "claim.lanes", "SELECT l.id FROM lane l WHERE l.id IN (:lanes*) AND (SELECT j.id FROM job j WHERE j.ready_lane = l.id LIMIT 1) IS NOT NULL ORDER BY l.id LIMIT 1000";
    // The first job of each of these lanes; a lane without jobs has none.
    [hot] read HEADS = "claim.heads", "SELECT l.id, (SELECT j.neg_priority FROM job j WHERE j.ready_lane = l.id ORDER BY j.neg_priority, j.id LIMIT 1), (SELECT j.id FROM job j WHERE j.ready_lane = l.id ORDER BY j.neg_priority, j.id LIMIT 1) FROM lane l WHERE l.id IN (:lanes*) ORDER BY l.id LIMIT 1000";
    [hot] read COMMON = "claim.common", "SELECT doc FROM job_common WHERE id = :id LIMIT 1";
    [hot] read BEAT_READ = "beat.read", "SELECT state, attempt, command, debug FROM job WHERE id = :id LIMIT 1";
    // A heartbeat without metrics keeps those of the one before.
    [hot] write BEAT = "beat.write", "INSERT INTO job_live (job_id, attempt, seen_us, doc) VALUES (:job, :attempt, :now, :doc) {upsert(job_id): attempt, seen_us, doc = COALESCE(new.doc, job_live.doc)}";
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use panda_core::{
        job::{JobState, transition},
        machine::Actor,
    };

    #[test]
    fn a_pilot_may_take_an_activated_job() {
        transition::check(Some(JobState::Activated), JobState::Sent, Actor::Pilot).unwrap();
        assert_eq!((JobState::Activated.as_str(), JobState::Sent.as_str(), Actor::Pilot.as_str()), ("activated", "sent", "pilot"));
        for text in [super::sqlite::EVENT.sql, super::postgres::TAKE.sql, &super::mysql::take_text(&[(1, None)], 0)] {
            assert!(text.contains("'activated', 'sent', 'pilot'"), "{text}");
        }
    }
}
