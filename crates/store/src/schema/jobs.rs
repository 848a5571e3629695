//! Jobs: what is filtered or changes state (`job`), what only the pilot reads (`job_doc`), the heartbeat (`job_live`), history and reports.

/// DDL steps.
pub(super) const STEPS: &[&str] = &[
    // kind: run, build, merge, prepare, standalone. ready_lane is NULL unless the job is activated.
    "CREATE TABLE job (id ID NOT NULL PRIMARY KEY, task_id ID, state NAME(12) NOT NULL, sub_state NAME(20), kind NAME(12) NOT NULL, queue_id ID, lane_id ID, ready_lane ID, neg_priority INT NOT NULL, attempt INT NOT NULL, max_attempt INT NOT NULL, vo NAME(40) NOT NULL, label NAME(20) NOT NULL, person_id ID NOT NULL, name NAME(255), processing_type NAME(100), resource_type NAME(20) NOT NULL, core_count INT NOT NULL, ram_mb INT NOT NULL, disk_mb INT NOT NULL, walltime_s INT NOT NULL, command NAME(20), debug INT NOT NULL, host NAME(128), batch_id NAME(80), wait_job ID, trans_exit_code INT, pilot_error_code INT, exe_error_code INT, sup_error_code INT, diag NAME(500), created_us MICROS NOT NULL, modified_us MICROS NOT NULL, state_us MICROS NOT NULL, started_us MICROS, ended_us MICROS, rev INT NOT NULL) {table hot}",
    "CREATE INDEX job_ready ON job (ready_lane, neg_priority, id) {only: ready_lane IS NOT NULL}",
    // pilot3 pins its second and later jobs to a task. The lane stands before the priority so that backends without partial indexes do not walk over ended jobs.
    "CREATE INDEX job_task_ready ON job (task_id, ready_lane, neg_priority, id) {only: ready_lane IS NOT NULL}",
    "CREATE INDEX job_task ON job (task_id, state)",
    "CREATE INDEX job_count ON job (state, queue_id, label, resource_type)",
    "CREATE INDEX job_wait ON job (wait_job) {only: wait_job IS NOT NULL}",
    // No column of it changes after the job is made: an index on a time would be rewritten by every transition.
    "CREATE INDEX job_person ON job (person_id, task_id, id) {only: task_id IS NULL}",
    // The common part of a task's jobs and each job's own part: fragments of one JSON object, joined at dispatch.
    "CREATE TABLE job_common (id ID NOT NULL PRIMARY KEY, task_id ID, doc DOC NOT NULL) {table}",
    "CREATE TABLE job_doc (job_id ID NOT NULL PRIMARY KEY, common_id ID NOT NULL, doc DOC NOT NULL) {table}",
    // The heartbeat; no index on its columns, a paged scan finds the lost ones.
    "CREATE TABLE job_live (job_id ID NOT NULL PRIMARY KEY, attempt INT NOT NULL, seen_us MICROS NOT NULL, doc DOC) {table hot}",
    "CREATE TABLE job_event (job_id ID NOT NULL, rev INT NOT NULL, from_state NAME(12), to_state NAME(12) NOT NULL, actor NAME(12) NOT NULL, at_us MICROS NOT NULL, reason NAME(500), PRIMARY KEY (job_id, rev)) {table norowid}",
    // Outputs, logs and libraries of every job; inputs only of jobs without a task. used_by: the merge job that consumes it.
    "CREATE TABLE job_file (id ID NOT NULL PRIMARY KEY, job_id ID NOT NULL, task_id ID, dataset_id ID, role NAME(12) NOT NULL, seq INT NOT NULL, lfn NAME(255) NOT NULL, scope NAME(100), guid NAME(40), fsize INT, checksum NAME(60), surl NAME(1000), n_events INT, state NAME(12) NOT NULL, optional INT NOT NULL, used_by ID) {table}",
    "CREATE UNIQUE INDEX job_file_lfn ON job_file (job_id, lfn)",
    "CREATE INDEX job_file_dataset ON job_file (dataset_id, state, id)",
    "CREATE INDEX job_file_used ON job_file (used_by) {only: used_by IS NOT NULL}",
    // Inbox of final reports, deleted when the job has left holding.
    "CREATE TABLE job_report (job_id ID NOT NULL, attempt INT NOT NULL, at_us MICROS NOT NULL, doc DOC NOT NULL, PRIMARY KEY (job_id, attempt)) {table}",
    // Which job takes up the work of which: retry, merge, rebrokerage.
    "CREATE TABLE job_retry (new_id ID NOT NULL, old_id ID NOT NULL, relation NAME(16) NOT NULL, PRIMARY KEY (new_id, old_id)) {table norowid}",
    "CREATE INDEX job_retry_old ON job_retry (old_id)",
    // What a job left behind: diagnoses, metrics, metadata.
    "CREATE TABLE job_end (job_id ID NOT NULL PRIMARY KEY, doc DOC, meta DOC) {table}",
];
