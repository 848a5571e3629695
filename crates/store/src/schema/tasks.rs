//! Tasks, their data sets and their files.

/// DDL steps.
pub(super) const STEPS: &[&str] = &[
    "CREATE TABLE task (id ID NOT NULL PRIMARY KEY, name NAME(255) NOT NULL, state NAME(16) NOT NULL, prev_state NAME(16), vo NAME(40) NOT NULL, label NAME(20) NOT NULL, person_id ID NOT NULL, working_group NAME(60), processing_type NAME(100), priority INT NOT NULL, parent_id ID, attempt INT NOT NULL, command NAME(20), reason NAME(500), created_us MICROS NOT NULL, modified_us MICROS NOT NULL, started_us MICROS, ended_us MICROS, state_us MICROS NOT NULL, share_name NAME(60), nucleus NAME(100), doc_rev INT NOT NULL, n_throttled INT NOT NULL, checked_us MICROS, rev INT NOT NULL) {table}",
    "CREATE INDEX task_state ON task (state, id)",
    "CREATE INDEX task_owner ON task (person_id, modified_us)",
    "CREATE INDEX task_modified ON task (modified_us)",
    "CREATE INDEX task_parent ON task (parent_id)",
    // A live task's name is unique for its owner: the decision that no other exists rests on this key, the row goes when the task ends for good.
    "CREATE TABLE task_name (person_id ID NOT NULL, name NAME(255) NOT NULL, task_id ID NOT NULL, PRIMARY KEY (person_id, name)) {table}",
    // As submitted (after the documented VO rewrite); everything refined from it is recomputed, so it cannot disagree. adjust: what the engine
    // itself changed since (JSON). Each change of either adds one to task.doc_rev.
    "CREATE TABLE task_doc (task_id ID NOT NULL PRIMARY KEY, params DOC NOT NULL, adjust DOC) {table}",
    "CREATE TABLE task_event (task_id ID NOT NULL, rev INT NOT NULL, from_state NAME(16), to_state NAME(16) NOT NULL, actor NAME(12) NOT NULL, at_us MICROS NOT NULL, reason NAME(500), PRIMARY KEY (task_id, rev)) {table norowid}",
    "CREATE TABLE task_command (task_id ID NOT NULL PRIMARY KEY, command NAME(20) NOT NULL, person_id ID NOT NULL, at_us MICROS NOT NULL, doc DOC) {table}",
    // is_open: more files may come. part, part_after: how far the input has been listed. role: input, pseudo_input, lib, output, log, trn_output, trn_log. Counters move by deltas and can be recomputed from the file rows.
    "CREATE TABLE task_dataset (id ID NOT NULL PRIMARY KEY, task_id ID NOT NULL, role NAME(16) NOT NULL, name NAME(255) NOT NULL, stream NAME(40), is_master INT NOT NULL, state NAME(12) NOT NULL, pattern NAME(500), n_files INT NOT NULL, n_used INT NOT NULL, n_finished INT NOT NULL, n_failed INT NOT NULL, n_on_hold INT NOT NULL, n_events INT NOT NULL, next_serial INT NOT NULL, seq INT NOT NULL, is_open INT NOT NULL, part INT NOT NULL, part_after NAME(255), checked_us MICROS, n_missing INT NOT NULL, n_events_used INT NOT NULL, n_events_finished INT NOT NULL) {table}",
    "CREATE INDEX task_dataset_task ON task_dataset (task_id, seq)",
    // The unit of accounting: one row a file (or part of a file) of a task's inputs. file_no: rows of one file share it; ram_mb: memory that its jobs
    // get beyond the task's (0 = the task's); prev_job: the last job that was in charge and is not any more.
    "CREATE TABLE task_file (id ID NOT NULL PRIMARY KEY, task_id ID NOT NULL, dataset_id ID NOT NULL, seq INT NOT NULL, lfn NAME(255) NOT NULL, scope NAME(100), guid NAME(40), fsize INT, checksum NAME(60), n_events INT, first_event INT, last_event INT, surl NAME(1000), state NAME(12) NOT NULL, attempt INT NOT NULL, max_attempt INT NOT NULL, failed INT NOT NULL, job_id ID, file_no INT NOT NULL, max_failure INT, ram_mb INT NOT NULL, boundary INT, lumiblock INT, prev_job ID) {table}",
    "CREATE INDEX task_file_next ON task_file (dataset_id, state, seq)",
    "CREATE INDEX task_file_job ON task_file (job_id)",
];
