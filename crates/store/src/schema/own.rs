//! Statements over the store's own tables: recorded steps, ranges of ids, the wake-up counter, the backend's clock.
//!
//! Drivers run these; nothing above the store knows of them.

/// The table of recorded steps, in the schema's vocabulary.
pub(crate) const MIGRATION_TABLE: &str =
    "CREATE TABLE IF NOT EXISTS migration (step ID NOT NULL PRIMARY KEY, hash NAME(20) NOT NULL, applied_us MICROS NOT NULL) {table}";

crate::statements! {
    read STEPS = "migration.steps", "SELECT step, hash FROM migration ORDER BY step LIMIT 100000";
    write RECORD = "migration.record", "INSERT INTO migration (step, hash, applied_us) VALUES (:step, :hash, :now)";
    write IDS_ADD = "id_block.add", "INSERT INTO id_block (name, next_id) VALUES (:name, :first) {skip_dup(name)}";
    write IDS_TAKE = "id_block.take", "UPDATE id_block SET next_id = next_id + :n WHERE name = :name";
    read IDS_READ = "id_block.read", "SELECT next_id FROM id_block WHERE name = :name LIMIT 1";
    write WAKE_BUMP = "wake.bump", "INSERT INTO wake (name, n) VALUES ('all', 1) {upsert(name): n = wake.n + 1}";
    read WAKE_READ = "wake.read", "SELECT n FROM wake WHERE name = 'all' LIMIT 1";
    read CLOCK = "clock.read", "SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT) AS us LIMIT 1",
        mysql: "SELECT CAST(UNIX_TIMESTAMP(NOW(6)) * 1000000 AS SIGNED) AS us LIMIT 1",
        sqlite: "SELECT CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER) * 1000 AS us LIMIT 1";
}
