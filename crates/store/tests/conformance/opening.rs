//! Opening, migrating, refusing.

use panda_store::{
    OpenError, Store, migration_plan, schema,
    testing::{Backend, TestDb},
};

pub async fn the_schema_is_recorded(backend: Backend) {
    let db = TestDb::fresh(backend).await;
    assert!(migration_plan(db.url()).await.unwrap().len() >= schema::version());
    let e = Store::open(db.url(), false).await.unwrap_err();
    assert!(matches!(e, OpenError::Older { found: 0, .. }), "{e}");
    let store = db.open().await;
    assert_eq!(store.schema_found().await.unwrap(), schema::version());
    store.close().await;
    drop(store);
    assert!(migration_plan(db.url()).await.unwrap().is_empty());
    Store::open(db.url(), false).await.unwrap().close().await;
}

pub async fn a_newer_or_foreign_schema_is_refused(backend: Backend) {
    let db = TestDb::fresh(backend).await.unchecked();
    db.open().await.close().await;
    db.run(&[format!("INSERT INTO migration (step, hash, applied_us) VALUES ({}, 'x', 0)", schema::version() + 1)]).await;
    let e = Store::open(db.url(), true).await.unwrap_err();
    assert!(matches!(e, OpenError::Newer { .. }), "{e}");
    assert!(e.to_string().contains("use a newer `panda`"), "{e}");
    db.run(&["UPDATE migration SET hash = 'y' WHERE step = 3".to_owned()]).await;
    let e = Store::open(db.url(), true).await.unwrap_err();
    assert!(matches!(e, OpenError::Differs { step: 3, .. }), "{e}");
}

pub async fn a_restart_continues_half_a_migration(backend: Backend) {
    let db = TestDb::fresh(backend).await;
    db.open().await.close().await;
    // As if the last steps had not run, and on backends whose DDL commits by itself: as if one had run and its record had been lost.
    let last = schema::version();
    db.run(&["DROP TABLE job_end".to_owned(), format!("DELETE FROM migration WHERE step = {last}")]).await;
    db.open().await.close().await;
    if backend != Backend::Sqlite && backend != Backend::Postgres {
        db.run(&[format!("DELETE FROM migration WHERE step = {last}")]).await;
    }
    let store = db.open().await;
    assert_eq!(store.schema_found().await.unwrap(), last);
    assert!(panda_store::query::job::report::end(&store, panda_core::id::JobId(1)).await.unwrap().is_none());
    store.close().await;
}
