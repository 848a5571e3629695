//! Claims and heartbeats on PostgreSQL: one statement each, for all callers that wait.

use crate::statements;

/// Takes the rows `$PICK` has locked: update, event and documents in one statement. Slot `i` of `:hosts` gets the `i`-th picked row, so that
/// rows can be handed to the callers they were taken for; picked rows beyond the limits stay as they are.
macro_rules! take {
    ($pick:literal) => {
        concat!(
            "WITH pick AS MATERIALIZED (", $pick, "), ",
            "slot AS MATERIALIZED (SELECT id, row_number() OVER (ORDER BY neg_priority, id) AS slot FROM pick), ",
            "taken AS (UPDATE job SET state = 'sent', ready_lane = NULL, rev = job.rev + 1, started_us = :now, state_us = :now, modified_us = :now, host = NULLIF(h.host, '') FROM slot JOIN unnest(:hosts::text[]) WITH ORDINALITY AS h(host, slot) ON h.slot = slot.slot WHERE job.id = slot.id AND job.ram_mb <= :ram AND job.disk_mb <= :disk AND job.walltime_s <= :wall RETURNING job.id, job.task_id, job.attempt, job.neg_priority, job.person_id, job.debug, job.rev, job.core_count, slot.slot), ",
            "event AS (INSERT INTO job_event (job_id, rev, from_state, to_state, actor, at_us) SELECT id, rev, 'activated', 'sent', 'pilot', :now FROM taken) ",
            "SELECT t.id, t.task_id, t.attempt, t.neg_priority, t.person_id, t.debug, t.slot, d.doc, d.common_id, t.core_count FROM taken t LEFT JOIN job_doc d ON d.job_id = t.id ORDER BY t.slot LIMIT 1000"
        )
    };
}

statements! {
    // From a remembered key on: index entries of jobs taken before are dead but not yet removed, and walking over them costs.
    [hot] write TAKE = "claim.take", take!("SELECT id, neg_priority FROM job WHERE ready_lane = :lane AND (neg_priority, id) >= (:neg, :id) ORDER BY neg_priority, id LIMIT :n FOR UPDATE SKIP LOCKED");
    // For a lone caller: half the plan.
    [hot] write TAKE_ONE = "claim.take_one", "WITH pick AS MATERIALIZED (SELECT id FROM job WHERE ready_lane = :lane AND (neg_priority, id) >= (:neg, :id) ORDER BY neg_priority, id LIMIT 1 FOR UPDATE SKIP LOCKED), \
        taken AS (UPDATE job SET state = 'sent', ready_lane = NULL, rev = job.rev + 1, started_us = :now, state_us = :now, modified_us = :now, host = :host FROM pick WHERE job.id = pick.id AND job.ram_mb <= :ram AND job.disk_mb <= :disk AND job.walltime_s <= :wall RETURNING job.id, job.task_id, job.attempt, job.neg_priority, job.person_id, job.debug, job.rev, job.core_count), \
        event AS (INSERT INTO job_event (job_id, rev, from_state, to_state, actor, at_us) SELECT id, rev, 'activated', 'sent', 'pilot', :now FROM taken) \
        SELECT t.id, t.task_id, t.attempt, t.neg_priority, t.person_id, t.debug, 1::bigint, d.doc, d.common_id, t.core_count FROM taken t LEFT JOIN job_doc d ON d.job_id = t.id LIMIT 1";
    [hot] write TAKE_IDS = "claim.take_ids", take!("SELECT id, neg_priority FROM job WHERE id IN (:ids*) AND ready_lane = :lane ORDER BY neg_priority, id LIMIT :n FOR UPDATE SKIP LOCKED");
    // Waits for other transactions: asked before "no jobs" is answered.
    [hot] write WAIT_IDS = "claim.wait_ids", take!("SELECT id, neg_priority FROM job WHERE id IN (:ids*) AND ready_lane = :lane ORDER BY neg_priority, id LIMIT :n FOR UPDATE");
    [hot] write BEATS = "beat.many", "WITH b AS MATERIALIZED (SELECT * FROM unnest(:jobs::bigint[], :attempts::bigint[], :states::text[], :nows::bigint[], :docs::text[]) AS t(job_id, attempt, state, now_us, doc)), \
        good AS MATERIALIZED (SELECT b.job_id, b.now_us, b.doc, j.attempt, j.command, j.debug FROM b CROSS JOIN LATERAL (SELECT state, attempt, command, debug FROM job WHERE id = b.job_id OFFSET 0) j WHERE j.state = b.state AND (b.attempt IS NULL OR b.attempt = j.attempt)), \
        live AS (INSERT INTO job_live (job_id, attempt, seen_us, doc) SELECT job_id, attempt, now_us, doc FROM good ORDER BY job_id ON CONFLICT (job_id) DO UPDATE SET attempt = excluded.attempt, seen_us = excluded.seen_us, doc = COALESCE(excluded.doc, job_live.doc)) \
        SELECT job_id, command, debug FROM good LIMIT 1000";
    write IDS = "id_block.reserve", "INSERT INTO id_block (name, next_id) VALUES (:name, :first::bigint + :n::bigint) ON CONFLICT (name) DO UPDATE SET next_id = id_block.next_id + :n RETURNING next_id";
}
