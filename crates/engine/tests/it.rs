//! The engine over an embedded database, its loops stepped by hand, with a pilot played by the test.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

/// Runs each case on one backend.
macro_rules! on {
    ($backend:ident: $($case:ident),* $(,)?) => { $(
        #[tokio::test]
        async fn $case() {
            let w = crate::world::World::on(panda_store::testing::Backend::$backend).await;
            super::$case(&w).await;
            w.close().await;
        }
    )* };
}
macro_rules! cases {
    ($($case:ident),* $(,)?) => {
        mod sqlite {
            on!(Sqlite: $($case),*);
        }
        mod db_postgres {
            on!(Postgres: $($case),*);
        }
        mod db_mariadb {
            on!(Mysql: $($case),*);
        }
    };
}

#[path = "it/accounting.rs"]
mod accounting;
#[path = "it/archive.rs"]
mod archive;
#[path = "it/brake.rs"]
mod brake;
#[path = "it/dag.rs"]
mod dag;
#[path = "it/effects.rs"]
mod effects;
#[path = "it/events.rs"]
mod events;
#[path = "it/feed.rs"]
mod feed;
#[path = "it/keeper.rs"]
mod keeper;
#[path = "it/measured.rs"]
mod measured;
#[path = "it/merge.rs"]
mod merge;
#[path = "it/mixed.rs"]
mod mixed;
#[path = "it/nucleus.rs"]
mod nucleus;
#[path = "it/plugin.rs"]
mod plugin;
#[path = "it/rebroker.rs"]
mod rebroker;
#[path = "it/reopen.rs"]
mod reopen;
#[path = "it/retention.rs"]
mod retention;
#[path = "it/retries.rs"]
mod retries;
#[path = "it/retry.rs"]
mod retry;
#[path = "it/scout.rs"]
mod scout;
#[path = "it/seams.rs"]
mod seams;
#[path = "it/several.rs"]
mod several;
#[path = "it/shares.rs"]
mod shares;
#[path = "it/small.rs"]
mod small;
#[path = "it/split.rs"]
mod split;
#[path = "it/steer.rs"]
mod steer;
#[path = "it/stub.rs"]
mod stub;
#[path = "it/tasks.rs"]
mod tasks;
#[path = "it/watch.rs"]
mod watch;
#[path = "it/why.rs"]
mod why;
#[path = "it/world.rs"]
mod world;
