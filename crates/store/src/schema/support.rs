//! Tables that serve the others: people, queues, storage, caches, leases, decisions.

/// DDL steps.
pub(super) const STEPS: &[&str] = &[
    // Ranges of ids handed to processes; an id is never used twice, gaps are fine.
    "CREATE TABLE id_block (name NAME(30) NOT NULL PRIMARY KEY, next_id ID NOT NULL) {table}",
    "CREATE TABLE lease (name NAME(60) NOT NULL PRIMARY KEY, holder NAME(120), epoch INT NOT NULL, until_us MICROS NOT NULL) {table}",
    // One row a database: MariaDB and MySQL have no notifications, so processes look at this counter.
    "CREATE TABLE wake (name NAME(40) NOT NULL PRIMARY KEY, n INT NOT NULL) {table}",
    // Values of settings that differ from the shipped defaults; `*` stands for any VO or label.
    "CREATE TABLE setting (name NAME(80) NOT NULL, vo NAME(40) NOT NULL, label NAME(20) NOT NULL, value NAME(2000) NOT NULL, modified_us MICROS NOT NULL, PRIMARY KEY (name, vo, label)) {table norowid}",
    // Published snapshots (counts, shares) and small settings.
    "CREATE TABLE snapshot (name NAME(60) NOT NULL PRIMARY KEY, at_us MICROS NOT NULL, doc DOC NOT NULL) {table}",
    // Owner = (issuer, subject); names are shown, never keyed on.
    "CREATE TABLE person (id ID NOT NULL PRIMARY KEY, issuer NAME(200) NOT NULL, subject NAME(200) NOT NULL, name NAME(200) NOT NULL, nickname NAME(100), email NAME(200), state NAME(12) NOT NULL, created_us MICROS NOT NULL) {table}",
    "CREATE UNIQUE INDEX person_key ON person (issuer, subject)",
    "CREATE INDEX person_name ON person (name)",
    "CREATE INDEX person_nickname ON person (nickname)",
    // Experiments that are served beside the configured ones. doc: what is known of them (JSON), their identity provider among it.
    "CREATE TABLE vo (name NAME(40) NOT NULL PRIMARY KEY, doc DOC NOT NULL, created_us MICROS NOT NULL, modified_us MICROS NOT NULL) {table}",
    // Roles granted here, and bans (role `banned`). subject: the short name while pending. reach: `*`, `vo:<name>`, `site:<name>`.
    "CREATE TABLE role_grant (issuer NAME(200) NOT NULL, subject NAME(200) NOT NULL, pending INT NOT NULL, role NAME(20) NOT NULL, reach NAME(110) NOT NULL, shown NAME(200) NOT NULL, by_name NAME(200) NOT NULL, at_us MICROS NOT NULL, until_us MICROS, PRIMARY KEY (issuer, subject, pending, role, reach)) {table}",
    // What robots and agents show: SHA-256 of the text, whose it is, what it may (doc, JSON).
    "CREATE TABLE api_token (id ID NOT NULL PRIMARY KEY, hash NAME(64) NOT NULL, issuer NAME(200) NOT NULL, subject NAME(200) NOT NULL, shown NAME(200) NOT NULL, doc DOC NOT NULL, created_us MICROS NOT NULL, until_us MICROS NOT NULL, revoked_us MICROS) {table}",
    "CREATE UNIQUE INDEX api_token_hash ON api_token (hash)",
    "CREATE TABLE secret (person_id ID NOT NULL, name NAME(200) NOT NULL, content DOC NOT NULL, PRIMARY KEY (person_id, name)) {table}",
    // doc: what is known of it besides (JSON): whether it may be read and written, free space, tape, nucleus.
    "CREATE TABLE rse (id ID NOT NULL PRIMARY KEY, name NAME(100) NOT NULL, root NAME(700) NOT NULL, state NAME(12) NOT NULL, doc DOC) {table}",
    "CREATE UNIQUE INDEX rse_name ON rse (name)",
    // Ways between storage endpoints, as measured or told from outside.
    "CREATE TABLE rse_link (src NAME(100) NOT NULL, dst NAME(100) NOT NULL, cost INT NOT NULL, mbps INT, queued INT NOT NULL, at_us MICROS NOT NULL, PRIMARY KEY (src, dst)) {table norowid}",
    "CREATE TABLE queue (id ID NOT NULL PRIMARY KEY, name NAME(100) NOT NULL, site NAME(100) NOT NULL, state NAME(12) NOT NULL, pilot_family NAME(24) NOT NULL, rse_id ID NOT NULL, script_base NAME(500), core_count INT NOT NULL, max_ram_mb INT NOT NULL, max_disk_mb INT NOT NULL, max_walltime_s INT NOT NULL, doc DOC NOT NULL, rev INT NOT NULL, modified_us MICROS NOT NULL) {table}",
    "CREATE UNIQUE INDEX queue_name ON queue (name)",
    // A lane groups the jobs that any asker who may hold one may hold: interned, referred to by job.ready_lane.
    "CREATE TABLE lane (id ID NOT NULL PRIMARY KEY, queue_id ID NOT NULL, vo NAME(40) NOT NULL, resource_type NAME(20) NOT NULL, label NAME(20) NOT NULL, share_name NAME(60) NOT NULL, ram_step INT NOT NULL) {table}",
    "CREATE UNIQUE INDEX lane_key ON lane (queue_id, vo, resource_type, label, share_name, ram_step)",
    // Parts that VOs, groups and activities have of what runs: a tree. part_percent: percent among siblings; rank_no: the order of matching; rules:
    // patterns by name (JSON). The lease row `shares` is the revision of the whole: what is checked are all of them together.
    "CREATE TABLE share_node (name NAME(60) NOT NULL PRIMARY KEY, parent NAME(60), part_percent REAL NOT NULL, throttled INT NOT NULL, rank_no INT NOT NULL, rules NAME(2000) NOT NULL) {table}",
    // Sandboxes and other files under /cache.
    "CREATE TABLE cache_file (name NAME(255) NOT NULL PRIMARY KEY, person_id ID NOT NULL, vo NAME(40), fsize INT NOT NULL, checksum NAME(40) NOT NULL, created_us MICROS NOT NULL, touched_us MICROS NOT NULL) {table}",
    "CREATE INDEX cache_file_same ON cache_file (person_id, fsize, checksum)",
    "CREATE INDEX cache_file_old ON cache_file (touched_us)",
    // The neutral catalogue of data sets.
    "CREATE TABLE dataset (id ID NOT NULL PRIMARY KEY, vo NAME(40) NOT NULL, name NAME(255) NOT NULL, scope NAME(100) NOT NULL, state NAME(12) NOT NULL, person_id ID, n_files INT NOT NULL, n_bytes INT NOT NULL, created_us MICROS NOT NULL) {table}",
    "CREATE UNIQUE INDEX dataset_name ON dataset (vo, name)",
    "CREATE TABLE dataset_file (id ID NOT NULL PRIMARY KEY, dataset_id ID NOT NULL, lfn NAME(255) NOT NULL, scope NAME(100) NOT NULL, guid NAME(40), fsize INT, checksum NAME(60), n_events INT, surl NAME(1000), rse NAME(100), lumiblock INT, boundary INT, lost INT NOT NULL) {table}",
    "CREATE UNIQUE INDEX dataset_file_lfn ON dataset_file (dataset_id, lfn)",
    // Data sets that were copied from a data management plug-in, from which, and when it was asked last; state of such a data set: `arriving` until its last file is there.
    "CREATE TABLE dataset_keeper (dataset_id ID NOT NULL PRIMARY KEY, plugin NAME(60) NOT NULL, checked_us MICROS NOT NULL) {table}",
    // Constituents of a data set container, in order.
    "CREATE TABLE dataset_part (container_id ID NOT NULL, part_id ID NOT NULL, seq INT NOT NULL, PRIMARY KEY (container_id, part_id)) {table norowid}",
    // Workers and the machines they ran on.
    // told_us: when its Harvester told of it last, 0 = only its pilot did; pilot_us: when its pilot spoke last, 0 = never; pilot_state: what it said;
    // sync_level 1: the end of the worker is the end of its jobs; doc: addresses of logs and whatever else was told (JSON).
    "CREATE TABLE worker (id ID NOT NULL PRIMARY KEY, harvester NAME(100) NOT NULL, worker_no ID NOT NULL, queue_id ID, state NAME(12) NOT NULL, node NAME(128), batch_id NAME(100), label NAME(20), resource_type NAME(20), n_cores INT, endpoint NAME(128), submit_host NAME(128), sync_level INT, error_code INT, reason NAME(500), submitted_us MICROS, started_us MICROS, ended_us MICROS, pilot_state NAME(12), pilot_us MICROS NOT NULL, told_us MICROS NOT NULL, doc DOC, created_us MICROS NOT NULL, modified_us MICROS NOT NULL, rev INT NOT NULL) {table}",
    "CREATE UNIQUE INDEX worker_key ON worker (harvester, worker_no)",
    "CREATE INDEX worker_queue ON worker (queue_id, pilot_us)",
    "CREATE INDEX worker_state ON worker (state, modified_us)",
    // Which jobs a worker has, as its Harvester or its pilot said last.
    "CREATE TABLE job_worker (worker_id ID NOT NULL, job_id ID NOT NULL, PRIMARY KEY (worker_id, job_id)) {table norowid}",
    "CREATE INDEX job_worker_job ON job_worker (job_id)",
    // Harvester instances; vo: of whom its first word came, none = one that serves the whole site; doc: what the heartbeats said besides (JSON).
    "CREATE TABLE harvester (name NAME(100) NOT NULL PRIMARY KEY, version NAME(40), who NAME(200) NOT NULL, vo NAME(40), started_us MICROS, heard_us MICROS NOT NULL, created_us MICROS NOT NULL, doc DOC) {table}",
    // What an instance has at a queue: doc is {label: {resource type: {state: workers}}}.
    "CREATE TABLE harvester_stat (harvester NAME(100) NOT NULL, queue_name NAME(100) NOT NULL, at_us MICROS NOT NULL, doc DOC NOT NULL, PRIMARY KEY (harvester, queue_name)) {table}",
    // Commands to instances. state: new, retrieved, acknowledged; ack: whether an acknowledgement is asked for.
    "CREATE TABLE harvester_command (id ID NOT NULL PRIMARY KEY, harvester NAME(100) NOT NULL, name NAME(200) NOT NULL, params DOC, ack INT NOT NULL, state NAME(12) NOT NULL, created_us MICROS NOT NULL, changed_us MICROS NOT NULL) {table}",
    "CREATE INDEX harvester_command_next ON harvester_command (harvester, state, id)",
    "CREATE INDEX harvester_command_old ON harvester_command (changed_us)",
    // Messages of instances, by their own numbers, which start again when an instance loses its database.
    "CREATE TABLE harvester_dialog (harvester NAME(100) NOT NULL, dialog_no ID NOT NULL, module NAME(100), subject NAME(100), severity NAME(12) NOT NULL, message NAME(500), at_us MICROS NOT NULL, PRIMARY KEY (harvester, dialog_no)) {table}",
    "CREATE INDEX harvester_dialog_old ON harvester_dialog (at_us)",
    // What instances measured of their own machine.
    "CREATE TABLE harvester_metric (harvester NAME(100) NOT NULL, host NAME(128) NOT NULL, at_us MICROS NOT NULL, doc DOC NOT NULL, PRIMARY KEY (harvester, host, at_us)) {table}",
    "CREATE INDEX harvester_metric_old ON harvester_metric (at_us)",
    // Slots that a queue is told to have for a share (`*`: any) and a resource type (`*`: any).
    "CREATE TABLE target_slot (queue_id ID NOT NULL, share_name NAME(60) NOT NULL, resource_type NAME(20) NOT NULL, n_slots INT NOT NULL, expires_us MICROS, modified_us MICROS NOT NULL, PRIMARY KEY (queue_id, share_name, resource_type)) {table norowid}",
    "CREATE TABLE worker_event (worker_id ID NOT NULL, rev INT NOT NULL, from_state NAME(12), to_state NAME(12) NOT NULL, at_us MICROS NOT NULL, PRIMARY KEY (worker_id, rev)) {table norowid}",
    "CREATE TABLE worker_node (site NAME(100) NOT NULL, host NAME(128) NOT NULL, doc DOC, gpu DOC, seen_us MICROS NOT NULL, PRIMARY KEY (site, host)) {table}",
    // Why something waits, or went where it went: the latest record of each (subject, stage).
    "CREATE TABLE decision (subject_id ID NOT NULL, stage NAME(30) NOT NULL, at_us MICROS NOT NULL, doc DOC NOT NULL, PRIMARY KEY (subject_id, stage)) {table}",
    // What the latest records were before they changed.
    "CREATE TABLE decision_history (subject_id ID NOT NULL, stage NAME(30) NOT NULL, at_us MICROS NOT NULL, doc DOC NOT NULL, PRIMARY KEY (subject_id, stage, at_us)) {table}",
    // Retry rules of a site; a row with the number of a shipped rule replaces it. params: JSON.
    "CREATE TABLE retry_rule (id ID NOT NULL PRIMARY KEY, source NAME(16) NOT NULL, code INT, message NAME(500), vo NAME(40), label NAME(20), architecture NAME(100), release_name NAME(100), share_name NAME(60), action NAME(32) NOT NULL, active INT NOT NULL, expires_us MICROS, note NAME(500), params DOC, modified_us MICROS NOT NULL) {table}",
    // External effects, run at least once by one loop. subject_id: the task that it is about; until_us: when it is given up.
    "CREATE TABLE effect (id ID NOT NULL PRIMARY KEY, effect_key NAME(200) NOT NULL, kind NAME(30) NOT NULL, subject_id ID NOT NULL, state NAME(12) NOT NULL, attempts INT NOT NULL, created_us MICROS NOT NULL, next_us MICROS NOT NULL, until_us MICROS NOT NULL, reason NAME(500), doc DOC) {table}",
    "CREATE UNIQUE INDEX effect_once ON effect (effect_key)",
    "CREATE INDEX effect_subject ON effect (subject_id)",
    "CREATE INDEX effect_due ON effect (state, next_us)",
    // Queues, and nodes of queues, that get no jobs: node `*` = the whole queue, queue 0 = the whole server. kind: drain, operator, brake. state: held,
    // or trial while a canary job is under way (job_id, when it is known). next_us: when the next one may go.
    "CREATE TABLE queue_hold (queue_id ID NOT NULL, node NAME(128) NOT NULL, kind NAME(12) NOT NULL, state NAME(12) NOT NULL, reason NAME(500) NOT NULL, who NAME(200) NOT NULL, since_us MICROS NOT NULL, next_us MICROS NOT NULL, wait_s INT NOT NULL, tries INT NOT NULL, job_id ID, rev INT NOT NULL, PRIMARY KEY (queue_id, node, kind)) {table}",
    // What operators and the system did that is not the state of a task or job: holds, drains, removals.
    "CREATE TABLE journal (id ID NOT NULL PRIMARY KEY, at_us MICROS NOT NULL, area NAME(20) NOT NULL, what NAME(30) NOT NULL, subject NAME(200) NOT NULL, who NAME(200) NOT NULL, doc DOC) {table}",
    "CREATE INDEX journal_area ON journal (area, id)",
    // Which tasks and jobs name an uploaded file: it stays while one of them may need it.
    "CREATE TABLE cache_use (name NAME(255) NOT NULL, subject_id ID NOT NULL, PRIMARY KEY (name, subject_id)) {table norowid}",
    "CREATE INDEX cache_use_subject ON cache_use (subject_id)",
    // How much the archive holds, added up as rows move.
    "CREATE TABLE archive_size (vo NAME(40) NOT NULL, kind NAME(20) NOT NULL, n_rows INT NOT NULL, n_bytes INT NOT NULL, PRIMARY KEY (vo, kind)) {table}",
];
