//! Jobs: what is filtered or changes state (`job`), what only the pilot reads (`job_doc`), the heartbeat (`job_live`), history and reports.

/// Columns of tables that have a cold twin of the same shape; a cold table never differs from its hot one.
macro_rules! columns {
    (job) => {
        "id ID NOT NULL PRIMARY KEY, task_id ID, state NAME(12) NOT NULL, sub_state NAME(20), kind NAME(12) NOT NULL, queue_id ID, lane_id ID, ready_lane ID, neg_priority INT NOT NULL, attempt INT NOT NULL, max_attempt INT NOT NULL, vo NAME(40) NOT NULL, label NAME(20) NOT NULL, person_id ID NOT NULL, name NAME(255), processing_type NAME(100), resource_type NAME(20) NOT NULL, core_count INT NOT NULL, ram_mb INT NOT NULL, disk_mb INT NOT NULL, walltime_s INT NOT NULL, command NAME(20), debug INT NOT NULL, host NAME(128), batch_id NAME(80), wait_job ID, trans_exit_code INT, pilot_error_code INT, exe_error_code INT, ddm_error_code INT, sup_error_code INT, dispatcher_error_code INT, server_error_code INT, diag NAME(500), created_us MICROS NOT NULL, modified_us MICROS NOT NULL, state_us MICROS NOT NULL, started_us MICROS, ended_us MICROS, rev INT NOT NULL"
    };
    (job_common) => {
        "id ID NOT NULL PRIMARY KEY, task_id ID, doc DOC NOT NULL"
    };
    (job_doc) => {
        "job_id ID NOT NULL PRIMARY KEY, common_id ID NOT NULL, doc DOC NOT NULL"
    };
    (job_event) => {
        "job_id ID NOT NULL, rev INT NOT NULL, from_state NAME(12), to_state NAME(12) NOT NULL, actor NAME(12) NOT NULL, at_us MICROS NOT NULL, reason NAME(500), PRIMARY KEY (job_id, rev)"
    };
    (job_file) => {
        "id ID NOT NULL PRIMARY KEY, job_id ID NOT NULL, task_id ID, dataset_id ID, role NAME(12) NOT NULL, seq INT NOT NULL, lfn NAME(255) NOT NULL, scope NAME(100), guid NAME(40), fsize INT, checksum NAME(60), surl NAME(1000), n_events INT, state NAME(12) NOT NULL, optional INT NOT NULL, attempt INT NOT NULL, used_by ID"
    };
    (job_retry) => {
        "new_id ID NOT NULL, old_id ID NOT NULL, relation NAME(16) NOT NULL, PRIMARY KEY (new_id, old_id)"
    };
    (job_end) => {
        "job_id ID NOT NULL PRIMARY KEY, doc DOC, meta DOC"
    };
}

/// DDL steps.
pub(super) const STEPS: &[&str] = &[
    // Error codes by source: payload, pilot, executor, data, worker or batch system, dispatcher (heartbeats), this server.
    // kind: run, build, merge, prepare, standalone. ready_lane is NULL unless the job is activated.
    concat!("CREATE TABLE job (", columns!(job), ") {table hot}"),
    "CREATE INDEX job_ready ON job (ready_lane, neg_priority, id) {only: ready_lane IS NOT NULL}",
    // pilot3 pins its second and later jobs to a task. The lane stands before the priority so that backends without partial indexes do not walk over ended jobs.
    "CREATE INDEX job_task_ready ON job (task_id, ready_lane, neg_priority, id) {only: ready_lane IS NOT NULL}",
    "CREATE INDEX job_task ON job (task_id, state)",
    // Covers the counts that brokerage, shares and throttles work with; the lane tells queue, share and resource type.
    "CREATE INDEX job_count ON job (state, lane_id, label, vo, person_id, core_count)",
    // What ended lately at a queue, and whose it was: written once, at the end.
    "CREATE INDEX job_ended ON job (queue_id, ended_us, state, person_id) {only: ended_us IS NOT NULL}",
    "CREATE INDEX job_wait ON job (wait_job) {only: wait_job IS NOT NULL}",
    // No column of it changes after the job is made: an index on a time would be rewritten by every transition.
    "CREATE INDEX job_person ON job (person_id, task_id, id) {only: task_id IS NULL}",
    // The common part of a task's jobs and each job's own part: fragments of one JSON object, joined at dispatch.
    concat!("CREATE TABLE job_common (", columns!(job_common), ") {table}"),
    concat!("CREATE TABLE job_doc (", columns!(job_doc), ") {table}"),
    // Both rise together, so that rows go to its end.
    "CREATE INDEX job_doc_common ON job_doc (common_id)",
    // The heartbeat; no index on its columns, a paged scan finds the lost ones.
    "CREATE TABLE job_live (job_id ID NOT NULL PRIMARY KEY, attempt INT NOT NULL, seen_us MICROS NOT NULL, doc DOC) {table hot}",
    concat!("CREATE TABLE job_event (", columns!(job_event), ") {table norowid}"),
    // Outputs, logs and libraries of every job; inputs only of jobs without a task. used_by: the merge job that consumes it; attempt: merges of it that failed.
    concat!("CREATE TABLE job_file (", columns!(job_file), ") {table}"),
    "CREATE UNIQUE INDEX job_file_lfn ON job_file (job_id, lfn)",
    "CREATE INDEX job_file_dataset ON job_file (dataset_id, state, id)",
    "CREATE INDEX job_file_used ON job_file (used_by) {only: used_by IS NOT NULL}",
    // Inbox of final reports, deleted when the job has left holding.
    "CREATE TABLE job_report (job_id ID NOT NULL, attempt INT NOT NULL, at_us MICROS NOT NULL, doc DOC NOT NULL, PRIMARY KEY (job_id, attempt)) {table}",
    // Which job takes up the work of which: retry, merge, rebrokerage.
    concat!("CREATE TABLE job_retry (", columns!(job_retry), ") {table norowid}"),
    "CREATE INDEX job_retry_old ON job_retry (old_id)",
    // What a job left behind: diagnoses, metrics, metadata.
    concat!("CREATE TABLE job_end (", columns!(job_end), ") {table}"),
    // The archive: what has ended some days ago, append-only, moved whole (`query/archive`). Its states are the hot tables' last ones.
    concat!("CREATE TABLE job_archive (", columns!(job), ") {table}"),
    "CREATE INDEX job_archive_task ON job_archive (task_id, id)",
    "CREATE INDEX job_archive_state ON job_archive (state, id)",
    "CREATE INDEX job_archive_queue ON job_archive (queue_id, id)",
    "CREATE INDEX job_archive_person ON job_archive (person_id, task_id, id) {only: task_id IS NULL}",
    "CREATE INDEX job_archive_old ON job_archive (task_id, vo, modified_us) {only: task_id IS NULL}",
    "CREATE INDEX job_archive_new ON job_archive (modified_us)",
    concat!("CREATE TABLE job_archive_common (", columns!(job_common), ") {table}"),
    concat!("CREATE TABLE job_archive_doc (", columns!(job_doc), ") {table}"),
    "CREATE INDEX job_archive_doc_common ON job_archive_doc (common_id)",
    concat!("CREATE TABLE job_archive_event (", columns!(job_event), ") {table norowid}"),
    concat!("CREATE TABLE job_archive_file (", columns!(job_file), ") {table}"),
    "CREATE INDEX job_archive_file_job ON job_archive_file (job_id, seq)",
    "CREATE INDEX job_archive_file_set ON job_archive_file (dataset_id, id)",
    concat!("CREATE TABLE job_archive_retry (", columns!(job_retry), ") {table norowid}"),
    "CREATE INDEX job_archive_retry_old ON job_archive_retry (old_id)",
    concat!("CREATE TABLE job_archive_end (", columns!(job_end), ") {table}"),
];
