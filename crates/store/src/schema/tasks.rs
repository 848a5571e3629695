//! Tasks, their data sets and their files.

/// Columns of tables that have a cold twin of the same shape.
macro_rules! columns {
    (task) => {
        "id ID NOT NULL PRIMARY KEY, name NAME(255) NOT NULL, state NAME(16) NOT NULL, prev_state NAME(16), vo NAME(40) NOT NULL, label NAME(20) NOT NULL, person_id ID NOT NULL, working_group NAME(60), processing_type NAME(100), priority INT NOT NULL, parent_id ID, attempt INT NOT NULL, command NAME(20), reason NAME(500), created_us MICROS NOT NULL, modified_us MICROS NOT NULL, started_us MICROS, ended_us MICROS, state_us MICROS NOT NULL, share_name NAME(60), nucleus NAME(100), doc_rev INT NOT NULL, n_throttled INT NOT NULL, checked_us MICROS, frozen_us MICROS, cold_us MICROS, rev INT NOT NULL"
    };
    (task_doc) => {
        "task_id ID NOT NULL PRIMARY KEY, params DOC NOT NULL, adjust DOC"
    };
    (task_event) => {
        "task_id ID NOT NULL, rev INT NOT NULL, from_state NAME(16), to_state NAME(16) NOT NULL, actor NAME(12) NOT NULL, at_us MICROS NOT NULL, reason NAME(500), PRIMARY KEY (task_id, rev)"
    };
    (task_dataset) => {
        "id ID NOT NULL PRIMARY KEY, task_id ID NOT NULL, role NAME(16) NOT NULL, name NAME(255) NOT NULL, stream NAME(40), is_master INT NOT NULL, state NAME(12) NOT NULL, pattern NAME(500), n_files INT NOT NULL, n_used INT NOT NULL, n_finished INT NOT NULL, n_failed INT NOT NULL, n_on_hold INT NOT NULL, n_events INT NOT NULL, next_serial INT NOT NULL, seq INT NOT NULL, is_open INT NOT NULL, part INT NOT NULL, part_after NAME(255), checked_us MICROS, n_missing INT NOT NULL, n_events_used INT NOT NULL, n_events_finished INT NOT NULL, todo INT, look_us MICROS, feed NAME(200)"
    };
    (task_file) => {
        "id ID NOT NULL PRIMARY KEY, task_id ID NOT NULL, dataset_id ID NOT NULL, seq INT NOT NULL, lfn NAME(255) NOT NULL, scope NAME(100), guid NAME(40), fsize INT, checksum NAME(60), n_events INT, first_event INT, last_event INT, surl NAME(1000), state NAME(12) NOT NULL, attempt INT NOT NULL, max_attempt INT NOT NULL, failed INT NOT NULL, job_id ID, file_no INT NOT NULL, max_failure INT, ram_mb INT NOT NULL, boundary INT, lumiblock INT, prev_job ID, event_no INT, n_wait INT, blame INT"
    };
}

/// DDL steps.
pub(super) const STEPS: &[&str] = &[
    // frozen_us: since when it is on hold without making progress; cold_us: when its jobs were last moved to the archive.
    concat!("CREATE TABLE task (", columns!(task), ") {table}"),
    "CREATE INDEX task_state ON task (state, id)",
    "CREATE INDEX task_owner ON task (person_id, modified_us)",
    "CREATE INDEX task_modified ON task (modified_us)",
    "CREATE INDEX task_parent ON task (parent_id)",
    // A live task's name is unique for its owner: the decision that no other exists rests on this key, the row goes when the task ends for good.
    "CREATE TABLE task_name (person_id ID NOT NULL, name NAME(255) NOT NULL, task_id ID NOT NULL, PRIMARY KEY (person_id, name)) {table}",
    // Queues that jobs of a task were taken away from: it avoids them for a while.
    "CREATE TABLE task_moved (task_id ID NOT NULL, queue_id ID NOT NULL, reason NAME(500) NOT NULL, at_us MICROS NOT NULL, PRIMARY KEY (task_id, queue_id)) {table norowid}",
    // As submitted (after the documented VO rewrite); everything refined from it is recomputed, so it cannot disagree. adjust: what the engine
    // itself changed since (JSON). Each change of either adds one to task.doc_rev.
    concat!("CREATE TABLE task_doc (", columns!(task_doc), ") {table}"),
    concat!("CREATE TABLE task_event (", columns!(task_event), ") {table norowid}"),
    "CREATE TABLE task_command (task_id ID NOT NULL PRIMARY KEY, command NAME(20) NOT NULL, person_id ID NOT NULL, at_us MICROS NOT NULL, doc DOC) {table}",
    // is_open: more files may come. part, part_after: how far the input has been listed. role: input, pseudo_input, lib, output, log, trn_output, trn_log. Counters move by deltas and can be recomputed from the file rows.
    concat!("CREATE TABLE task_dataset (", columns!(task_dataset), ") {table}"),
    "CREATE INDEX task_dataset_task ON task_dataset (task_id, seq)",
    // todo: what a loop has to do for it, NULL = nothing: 1 jobs of an input, 2 an input that has ended, 3 outputs to be merged. It follows from the
    // counters and is written with them, so that loops find their work without looking at tasks that have none.
    "CREATE INDEX task_dataset_todo ON task_dataset (todo, task_id) {only: todo IS NOT NULL}",
    // look_us: when an input is to be listed (again); NULL = never. feed: how its files were numbered and cut so far.
    "CREATE INDEX task_dataset_look ON task_dataset (look_us) {only: look_us IS NOT NULL}",
    // Which inputs wait for, or grow with, a data set of the catalogue, which may not exist yet.
    "CREATE TABLE dataset_watch (vo NAME(40) NOT NULL, name NAME(255) NOT NULL, watcher_id ID NOT NULL, PRIMARY KEY (vo, name, watcher_id)) {table norowid}",
    "CREATE INDEX dataset_watch_by ON dataset_watch (watcher_id)",
    // Libraries by what they were made of (a digest), for other tasks of the same person; the newest of each queue.
    "CREATE TABLE task_library (made_of NAME(40) NOT NULL, queue_id ID NOT NULL, file_id ID NOT NULL, made_us MICROS NOT NULL, PRIMARY KEY (made_of, queue_id)) {table norowid}",
    // The unit of accounting: one row a file (or part of a file) of a task's inputs. file_no: rows of one file share it; ram_mb: memory that its jobs
    // get beyond the task's (0 = the task's); prev_job: the last job that was in charge and is not any more.
    concat!("CREATE TABLE task_file (", columns!(task_file), ") {table}"),
    // Three indexes and no more: a million rows are written twice before the first job of a large task runs. event_no: events of the rows before it.
    // n_wait: of a node of a DAG, how many dependencies have not ended (NULL: no node); blame: the node (seq) because of which it does not run.
    "CREATE UNIQUE INDEX task_file_seq ON task_file (dataset_id, seq)",
    "CREATE INDEX task_file_next ON task_file (dataset_id, state, seq) {only: state = 'ready'}",
    // Files whose jobs get more memory than their task asks for: few.
    "CREATE INDEX task_file_ram ON task_file (dataset_id, ram_mb) {only: ram_mb > 0}",
    "CREATE INDEX task_file_job ON task_file (job_id) {only: job_id IS NOT NULL}",
    // The nodes of a DAG as they were given, a page of some hundred a row: arguments, what each depends on, what depends on it. It never changes.
    "CREATE TABLE task_dag (dataset_id ID NOT NULL, first_seq INT NOT NULL, doc DOC NOT NULL, PRIMARY KEY (dataset_id, first_seq)) {table}",
    // Nodes that ended and whose dependants do not know yet; done: how many of these do. seq 0: all dependants are to be looked at anew.
    "CREATE TABLE dag_ended (dataset_id ID NOT NULL, seq INT NOT NULL, done INT NOT NULL, PRIMARY KEY (dataset_id, seq)) {table norowid}",
    // Files whose events are handed out in ranges: n_each events a range, n_cut of them so far. They go with their task.
    "CREATE TABLE event_file (file_id ID NOT NULL PRIMARY KEY, task_id ID NOT NULL, first_event INT NOT NULL, n_events INT NOT NULL, n_each INT NOT NULL, n_cut INT NOT NULL, max_attempt INT NOT NULL) {table}",
    "CREATE INDEX event_file_task ON event_file (task_id)",
    // Ranges that were cut. cut_for: the job of its name; job_id: who has it, or had it last.
    "CREATE TABLE event_range (id ID NOT NULL PRIMARY KEY, file_id ID NOT NULL, task_id ID NOT NULL, n_range INT NOT NULL, cut_for ID NOT NULL, job_id ID NOT NULL, first_event INT NOT NULL, last_event INT NOT NULL, state NAME(12) NOT NULL, attempt INT NOT NULL, output NAME(255), store_id INT, error_code INT, diag NAME(500), at_us MICROS NOT NULL) {table}",
    "CREATE UNIQUE INDEX event_range_file ON event_range (file_id, n_range)",
    "CREATE INDEX event_range_state ON event_range (file_id, state, n_range)",
    "CREATE INDEX event_range_job ON event_range (job_id, id)",
    "CREATE INDEX event_range_task ON event_range (task_id)",
    // Jobs that share their files: consumers of the same events, clones. set_id: the first of them.
    "CREATE TABLE event_job (job_id ID NOT NULL PRIMARY KEY, task_id ID NOT NULL, set_id ID NOT NULL) {table}",
    "CREATE INDEX event_job_set ON event_job (set_id, job_id)",
    "CREATE INDEX event_job_task ON event_job (task_id)",
    // The archive of tasks that cannot be taken up again.
    concat!("CREATE TABLE task_archive (", columns!(task), ") {table}"),
    "CREATE INDEX task_archive_state ON task_archive (state, id)",
    "CREATE INDEX task_archive_owner ON task_archive (person_id, modified_us)",
    "CREATE INDEX task_archive_old ON task_archive (vo, modified_us)",
    "CREATE INDEX task_archive_new ON task_archive (modified_us)",
    "CREATE INDEX task_archive_parent ON task_archive (parent_id)",
    concat!("CREATE TABLE task_archive_doc (", columns!(task_doc), ") {table}"),
    concat!("CREATE TABLE task_archive_event (", columns!(task_event), ") {table norowid}"),
    concat!("CREATE TABLE task_archive_set (", columns!(task_dataset), ") {table}"),
    "CREATE INDEX task_archive_set_task ON task_archive_set (task_id, seq)",
    "CREATE INDEX task_archive_set_name ON task_archive_set (name)",
    concat!("CREATE TABLE task_archive_file (", columns!(task_file), ") {table}"),
    "CREATE INDEX task_archive_file_set ON task_archive_file (dataset_id, seq)",
    "CREATE INDEX task_archive_file_job ON task_archive_file (job_id)",
    // Tasks whose row is in the archive and whose files and common documents are still on their way there.
    "CREATE TABLE archive_left (task_id ID NOT NULL PRIMARY KEY) {table}",
];
