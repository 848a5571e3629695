//! Claims on SQLite: one UPDATE … RETURNING a job, since the single writer needs no locks.

use crate::statements;

statements! {
    // The limits filter at most 500 rows; the caller scans on when none of them fits.
    [hot] write TAKE = "claim.take", "UPDATE job SET state = 'sent', ready_lane = NULL, rev = rev + 1, started_us = :now, state_us = :now, modified_us = :now, host = :host WHERE id = (SELECT c.id FROM (SELECT id, ram_mb, disk_mb, walltime_s, person_id FROM job WHERE ready_lane = :lane ORDER BY neg_priority, id LIMIT 500) c WHERE c.ram_mb <= :ram AND c.disk_mb <= :disk AND c.walltime_s <= :wall AND (:person IS NULL OR c.person_id = :person) LIMIT 1) RETURNING id, task_id, attempt, neg_priority, person_id, debug, rev, core_count";
    // Several at once; they come in any order.
    [hot] write TAKE_MANY = "claim.take_many", "UPDATE job SET state = 'sent', ready_lane = NULL, rev = rev + 1, started_us = :now, state_us = :now, modified_us = :now, host = :host WHERE id IN (SELECT c.id FROM (SELECT id, ram_mb, disk_mb, walltime_s, person_id FROM job WHERE ready_lane = :lane ORDER BY neg_priority, id LIMIT 500) c WHERE c.ram_mb <= :ram AND c.disk_mb <= :disk AND c.walltime_s <= :wall AND (:person IS NULL OR c.person_id = :person) LIMIT :n) RETURNING id, task_id, attempt, neg_priority, person_id, debug, rev, core_count";
    [hot] write TAKE_TASK = "claim.take_task", "UPDATE job SET state = 'sent', ready_lane = NULL, rev = rev + 1, started_us = :now, state_us = :now, modified_us = :now, host = :host WHERE id = (SELECT c.id FROM (SELECT id, ram_mb, disk_mb, walltime_s, person_id FROM job WHERE task_id = :task AND ready_lane = :lane ORDER BY neg_priority, id LIMIT 500) c WHERE c.ram_mb <= :ram AND c.disk_mb <= :disk AND c.walltime_s <= :wall AND (:person IS NULL OR c.person_id = :person) LIMIT 1) RETURNING id, task_id, attempt, neg_priority, person_id, debug, rev, core_count";
    [hot] write TAKE_ID = "claim.take_id", "UPDATE job SET state = 'sent', ready_lane = NULL, rev = rev + 1, started_us = :now, state_us = :now, modified_us = :now, host = :host WHERE id = :id AND ready_lane = :lane AND ram_mb <= :ram AND disk_mb <= :disk AND walltime_s <= :wall RETURNING id, task_id, attempt, neg_priority, person_id, debug, rev, core_count";
    [hot] write EVENT = "claim.event", "INSERT INTO job_event (job_id, rev, from_state, to_state, actor, at_us) VALUES (:id, :rev, 'activated', 'sent', 'pilot', :now)";
    [hot] read DOC = "claim.doc", "SELECT doc, common_id FROM job_doc WHERE job_id = :id LIMIT 1";
}
