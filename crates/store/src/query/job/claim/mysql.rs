//! Claims and heartbeats on MariaDB and MySQL: SELECT … SKIP LOCKED and UPDATE … IN, for several lanes at once. A round trip costs more there than parsing does, so the
//! second half of a claim is one text of several statements; it holds only integers and one quoted word.

use std::fmt::Write as _;

use crate::statements;

statements! {
    [hot] write PICK = "claim.pick", "SELECT id, ram_mb, disk_mb, walltime_s, ready_lane FROM job FORCE INDEX (job_ready) WHERE ready_lane = :lane AND (neg_priority > :neg OR (neg_priority = :neg AND id >= :id)) ORDER BY neg_priority, id LIMIT :n {skip_locked}";
    [hot] write PICK_IDS = "claim.pick_ids", "SELECT id, ram_mb, disk_mb, walltime_s, ready_lane FROM job FORCE INDEX (PRIMARY) WHERE id IN (:ids*) AND ready_lane = :lane ORDER BY id LIMIT :n {skip_locked}";
    // Waits for other transactions: asked before "no jobs" is answered.
    [hot] write WAIT_IDS = "claim.wait_ids", "SELECT id, ram_mb, disk_mb, walltime_s, ready_lane FROM job FORCE INDEX (PRIMARY) WHERE id IN (:ids*) AND ready_lane = :lane ORDER BY id LIMIT :n FOR UPDATE";
}

/// Quotes a text; the session's mode has no backslash escapes.
fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Joins numbers by commas.
fn list(ids: impl Iterator<Item = i64>) -> String {
    let mut out = String::new();
    for id in ids {
        if !out.is_empty() {
            out.push(',');
        }
        let _ = write!(out, "{id}");
    }
    out
}

/// Takes locked rows (job, host of the caller it is for): update, events, documents, commit.
pub(crate) fn take_text(rows: &[(i64, Option<&str>)], now_us: i64) -> String {
    let ids = list(rows.iter().map(|(id, _)| *id));
    let mut host = String::from("NULL");
    if rows.iter().any(|(_, h)| h.is_some()) {
        host = String::from("CASE id");
        for (id, h) in rows {
            if let Some(h) = h {
                let _ = write!(host, " WHEN {id} THEN {}", quote(h));
            }
        }
        host.push_str(" END");
    }
    format!(
        "UPDATE job SET state = 'sent', ready_lane = NULL, rev = rev + 1, started_us = {now_us}, state_us = {now_us}, modified_us = {now_us}, host = {host} WHERE id IN ({ids}); \
         INSERT INTO job_event (job_id, rev, from_state, to_state, actor, at_us) SELECT id, rev, 'activated', 'sent', 'pilot', {now_us} FROM job WHERE id IN ({ids}); \
         SELECT j.id, j.task_id, j.attempt, j.neg_priority, j.person_id, j.debug, d.doc, d.common_id, j.core_count FROM job j LEFT JOIN job_doc d ON d.job_id = j.id WHERE j.id IN ({ids}); \
         COMMIT"
    )
}

/// One heartbeat as [`beats_text`] writes it: job, attempt of the job row, time, metrics.
pub(crate) type LiveRow<'a> = (i64, i64, i64, Option<&'a str>);

/// Reads what heartbeats are compared with.
pub(crate) fn beats_read(jobs: impl Iterator<Item = i64>) -> String {
    format!("SELECT id, state, attempt, command, debug FROM job WHERE id IN ({})", list(jobs))
}

/// Writes the heartbeats that agree, by rising job.
pub(crate) fn beats_text(rows: &[LiveRow<'_>]) -> String {
    let mut out = String::from("INSERT INTO job_live (job_id, attempt, seen_us, doc) VALUES ");
    for (i, (job, attempt, now, doc)) in rows.iter().enumerate() {
        let doc = doc.map_or_else(|| "NULL".to_owned(), quote);
        let _ = write!(out, "{}({job},{attempt},{now},{doc})", if i > 0 { "," } else { "" });
    }
    out.push_str(" ON DUPLICATE KEY UPDATE attempt = VALUES(attempt), seen_us = VALUES(seen_us), doc = COALESCE(VALUES(doc), doc)");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_quote_what_people_wrote() {
        let text = take_text(&[(7, Some("o'node\\")), (8, None)], 5);
        assert!(text.contains("CASE id WHEN 7 THEN 'o''node\\' END WHERE id IN (7,8)"), "{text}");
        assert!(beats_text(&[(7, 0, 5, None), (8, 1, 5, Some("{}"))]).contains("VALUES (7,0,5,NULL),(8,1,5,'{}') ON"));
    }
}
