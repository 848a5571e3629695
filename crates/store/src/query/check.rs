//! What holds at every moment, whatever was killed when: statements that find rows for which it does not.

use crate::{Error, Store, statements};

statements! {
    read JOB_CHAIN = "check.job_chain", "SELECT j.id FROM job j WHERE NOT EXISTS (SELECT 1 FROM job_event e WHERE e.job_id = j.id AND e.to_state = j.state AND e.rev = (SELECT MAX(x.rev) FROM job_event x WHERE x.job_id = j.id)) ORDER BY j.id LIMIT 20";
    read TASK_CHAIN = "check.task_chain", "SELECT t.id FROM task t WHERE NOT EXISTS (SELECT 1 FROM task_event e WHERE e.task_id = t.id AND e.to_state = t.state AND e.rev = (SELECT MAX(x.rev) FROM task_event x WHERE x.task_id = t.id)) ORDER BY t.id LIMIT 20";
    read COLD_CHAIN = "check.cold_chain", "SELECT j.id FROM job_archive j WHERE EXISTS (SELECT 1 FROM job_archive_event e WHERE e.job_id = j.id) AND NOT EXISTS (SELECT 1 FROM job_archive_event e WHERE e.job_id = j.id AND e.to_state = j.state AND e.rev = (SELECT MAX(x.rev) FROM job_archive_event x WHERE x.job_id = j.id)) ORDER BY j.id LIMIT 20";
    read TWICE = "check.twice", "SELECT j.id FROM job j JOIN job_archive a ON a.id = j.id ORDER BY j.id LIMIT 20";
    read TASK_TWICE = "check.task_twice", "SELECT t.id FROM task t JOIN task_archive a ON a.id = t.id ORDER BY t.id LIMIT 20";
    read HELD = "check.held_inputs", "SELECT f.id FROM task_file f JOIN job j ON j.id = f.job_id WHERE f.state = 'running' AND j.state IN ('failed', 'cancelled', 'closed') ORDER BY f.id LIMIT 20";
    read LEFT = "check.left_outputs", "SELECT f.job_id FROM job j JOIN job_file f ON f.job_id = j.id WHERE j.state = 'finished' AND f.state = 'running' ORDER BY f.job_id LIMIT 20";
    read LANES = "check.ready_lane", "SELECT id FROM job WHERE (ready_lane IS NULL AND state = 'activated') OR (ready_lane IS NOT NULL AND state <> 'activated') ORDER BY id LIMIT 20";
}

/// What does not hold in this database, though it must at every moment: jobs and tasks whose last event is not their state, lanes that do not
/// agree with states, files in the hands of jobs that have ended. At most 20 of each kind. Reads whole tables: for tests and simulations.
///
/// # Errors
/// As every read.
pub async fn broken(store: &Store) -> Result<Vec<String>, Error> {
    let mut wrong = vec![];
    for (stmt, what) in [
        (&JOB_CHAIN, "job's history does not end in its state"),
        (&TASK_CHAIN, "task's history does not end in its state"),
        (&COLD_CHAIN, "archived job's history does not end in its state"),
        (&TWICE, "job is hot and in the archive"),
        (&TASK_TWICE, "task is hot and in the archive"),
        (&HELD, "file of a task is in the hands of a job that failed or was ended"),
        (&LEFT, "job has finished and one of its files has not"),
        (&LANES, "job stands in a lane and is not activated, or the other way round"),
    ] {
        for row in store.fetch(stmt, vec![]).await? {
            wrong.push(format!("{}: {what}", row.int(0)?));
        }
    }
    Ok(wrong)
}
