//! One suite on every backend: what a batch, a claim, a heartbeat and an id promise. `sqlite_*` needs nothing, `db_postgres_*` and
//! `db_mariadb_*` need the servers of `PANDA_TEST_POSTGRES` and `PANDA_TEST_MYSQL`; `db_mysql_*` runs where `PANDA_TEST_REAL_MYSQL` is set.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod batches;
mod claims;
mod durability;
mod fixtures;
mod opening;

use panda_store::testing::Backend;

/// Runs one check on every backend.
macro_rules! on_every_backend {
    ($($module:ident :: $check:ident),* $(,)?) => {
        mod sqlite { use super::*; $( #[tokio::test(flavor = "multi_thread", worker_threads = 4)] async fn $check() { $module::$check(Backend::Sqlite).await; } )* }
        #[cfg(feature = "postgres")]
        mod db_postgres { use super::*; $( #[tokio::test(flavor = "multi_thread", worker_threads = 4)] async fn $check() { $module::$check(Backend::Postgres).await; } )* }
        #[cfg(feature = "mysql")]
        mod db_mariadb { use super::*; $( #[tokio::test(flavor = "multi_thread", worker_threads = 4)] async fn $check() { $module::$check(Backend::Mysql).await; } )* }
        #[cfg(feature = "mysql")]
        mod db_mysql { use super::*; $( #[tokio::test(flavor = "multi_thread", worker_threads = 4)] async fn $check() {
            if std::env::var_os("PANDA_TEST_REAL_MYSQL").is_some() { $module::$check(Backend::RealMysql).await; }
        } )* }
    };
}

on_every_backend!(
    batches::a_batch_is_applied_whole_or_not_at_all,
    batches::duplicates_and_conflicts_name_the_statement,
    batches::bulk_inserts_keep_every_value,
    batches::text_is_compared_byte_by_byte,
    batches::lists_of_any_length,
    batches::batches_that_share_a_commit_fail_alone,
    batches::deltas_of_many_callers_add_up,
    batches::ids_are_never_handed_out_twice,
    batches::wake_ups_come_after_the_commit,
    claims::every_job_is_claimed_once,
    claims::lanes_and_priorities_are_kept,
    claims::limits_filter_behind_the_first_rows,
    claims::limits_are_met_under_contention,
    claims::a_new_job_of_higher_priority_is_seen,
    claims::documents_come_with_the_job,
    claims::heartbeats_of_many_callers,
    opening::the_schema_is_recorded,
    opening::a_newer_or_foreign_schema_is_refused,
    opening::refusals_are_one_clear_sentence,
    opening::a_restart_continues_half_a_migration,
);
